# SPDX-License-Identifier: GPL-2.0-or-later
"""Beside Qubes' own assignments and lists, and dom0's own rules."""

import pathlib
import subprocess
import tempfile
import unittest

from usbcase import (ANY, DISK, KEY, STICK, USB, UsbCase, harness, stick, world)

COMMAND = harness.BUILD / "dom0" / "qvm-autoattach"
RACES = ("before", "added", "during", "after")


class NativeAssignment(UsbCase):
    """A device that Qubes itself assigned is left to it, whoever is faster."""

    def plug(self, devclass: str, race: str, target: str, rules: str = ANY,
             **more) -> tuple:
        """Assigned natively to `target`, wanted in work by the rule; plugged in."""
        rig = self.start(rules, world(devices=[], assignments=[
            {"backend": "sys-usb", "class": devclass, "target": target, "race": race}
        ], qubes={"vault": {"state": "Running"}}, **more))
        connection = self.forwarder(rig)
        rig.sim.plug(devices=stick())
        seq = connection.add(*(("usb", "2-1") if devclass == "usb"
                               else ("block", "sda")),
                             **(USB if devclass == "usb" else STICK))
        return rig, connection, seq

    def settle_down(self, rig: harness.Rig) -> None:
        """Nothing is in work on either side."""
        rig.daemon.wait_no_jobs()

    def test_a_disk_that_goes_to_the_same_qube(self):
        for race in RACES:
            with self.subTest(race=race):
                rig, connection, seq = self.plug("block", race, "work")
                self.assertIn(connection.answer(seq)["code"], (200, 201))
                self.assert_attached(rig, "sda", "work")
                self.assertLessEqual(rig.count("Attach"), 1)

    def test_a_disk_that_goes_to_another_qube(self):
        for race in RACES:
            with self.subTest(race=race):
                rig, connection, seq = self.plug("block", race, "vault")
                if race == "after":
                    self.assert_told(connection, seq, 200)
                    self.assert_attached(rig, "sda", "work")
                    continue
                self.assert_told(connection, seq, 300)
                self.assert_last(rig, "sda", 310)
                self.assert_attached(rig, "sda", "vault")
                # and it is Qubes' to take it away again
                self.assert_told(connection, connection.remove("block", "sda"), 203)
                self.assertEqual(rig.count("Detach"), 0)

    def test_a_usb_device_that_goes_to_the_same_qube(self):
        # at the same moment both collide: ours is tried again and finds it there
        for race in RACES:
            with self.subTest(race=race):
                rig, connection, seq = self.plug("usb", race, "work")
                self.assertIn(connection.answer(seq)["code"], (200, 201))
                rig.sim.wait_attached(backend="sys-usb", port="2-1", target="work")
                self.assert_told(connection,
                                 connection.change("usb", "2-1", **USB), 201)

    def test_a_usb_device_that_goes_to_another_qube(self):
        for race in ("before", "added"):
            with self.subTest(race=race):
                rig, connection, seq = self.plug("usb", race, "vault")
                self.assert_told(connection, seq, 300)
                self.assert_last(rig, "2-1", 310)
                self.assert_attached(rig, "2-1", "vault")
                self.assertEqual(rig.count("Detach"), 0)

    def test_two_usb_attaches_at_once_are_both_told_yes_and_one_has_it(self):
        # what qubesd tells last is where it is: the next record says so
        rig, connection, seq = self.plug("usb", "during", "vault")
        connection.answer(seq)
        rig.daemon.wait_no_jobs()
        self.assert_attached(rig, "2-1", "vault")
        self.assert_told(connection, connection.change("usb", "2-1", **USB), 300)
        self.assert_last(rig, "2-1", 310)
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        self.assert_attached(rig, "2-1", "vault")

    def test_its_target_that_starts_is_no_reason_to_take_it_away(self):
        rig = self.start(DISK, world(assignments=[
            {"backend": "sys-usb", "target": "vault"}]))
        connection = self.attach_stick(rig)
        rig.sim.qube_start(name="vault")
        self.assert_told(connection, connection.change("block", "sda", **STICK), 201)
        self.assert_attached(rig, "sda", "work")

    def test_both_wait_for_the_same_target(self):
        rig = self.start("r: allow block id 0781:5581 to work when-running\n",
                         world("Halted", assignments=[
                             {"backend": "sys-usb", "target": "work"}]))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        rig.sim.qube_start(name="work")
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        rig.daemon.wait_no_jobs()
        self.assert_told(connection, connection.change("block", "sda", **STICK), 201)
        self.assertNotIn(308, self.codes(rig, "sda"))

    def test_in_any_order_no_attach_is_repeated_and_none_taken_away(self):
        for seed in range(6):
            with self.subTest(seed=seed):
                rig, connection, seq = self.plug(
                    ("block", "usb")[seed % 2], "added",
                    ("work", "vault")[seed // 2 % 2],
                    behaviour={"attach_delay": 0.002 * seed})
                connection.answer(seq)
                rig.daemon.wait_no_jobs()
                self.assertEqual(rig.count("Detach"), 0)
                self.assert_once(rig)


class DeniedDevices(UsbCase):
    """The target's own list of what it never takes."""

    def test_it_is_told_as_such_where_qubesd_says_so(self):
        for devclass, words, code in (("block", STICK, 502), ("usb", USB, 502)):
            with self.subTest(devclass=devclass):
                devices = stick()
                devices[0]["interfaces"] = "u080650"
                rig = self.start(ANY, world(devices=devices, qubes={"work": {
                    "state": "Running", "denied": ["b******", "u08****"]}}))
                connection = self.forwarder(rig)
                device = "2-1" if devclass == "usb" else "sda"
                self.assert_told(connection,
                                 connection.add(devclass, device, **words), 300)
                self.assert_last(rig, device, code, "banned interface")
                self.assertEqual(rig.count("Attach"), 1)

    def test_what_it_does_not_name_passes_because_it_is_pinned(self):
        rig = self.start(KEY, world(qubes={"work": {
            "state": "Running", "denied": ["u03****"]}}))
        devices = self.forwarder(rig)
        rig.sim.set_device(backend="sys-usb", port="2-1",
                           changes={"interfaces": "u080650"})
        self.assert_told(devices, devices.add("usb", "2-1", **USB), 200)


class NeverATarget(unittest.TestCase):
    """dom0 and the source itself are refused when rules are checked."""

    def check(self, rule: str) -> subprocess.CompletedProcess:
        """What `check` says of a rule."""
        with tempfile.TemporaryDirectory(prefix="aa-") as folder:
            path = pathlib.Path(folder) / "50-test.rules"
            path.write_text(rule + "\n", encoding="utf-8")
            path.chmod(0o644)
            return subprocess.run([COMMAND, "check", path], capture_output=True,
                                  check=False, timeout=harness.DEADLINE, encoding="utf-8",
                                  stdin=subprocess.DEVNULL)

    def test_dom0(self):
        for rule in ("r: allow block type disk to dom0",
                     "r: ask usb id 1050:0407 to { work dom0 }"):
            with self.subTest(rule=rule):
                result = self.check(rule)
                self.assertEqual(result.returncode, 2, result)
                self.assertIn("dom0", result.stdout + result.stderr)

    def test_the_source_itself(self):
        result = self.check("r: allow usb id 1050:0407 from sys-usb to sys-usb")
        self.assertEqual(result.returncode, 2, result)
        self.assertIn("sys-usb", result.stdout + result.stderr)

    def test_another_qube_is_good(self):
        self.assertEqual(self.check(
            "r: allow usb id 1050:0407 from sys-usb to work").returncode, 0)


if __name__ == "__main__":
    unittest.main()
