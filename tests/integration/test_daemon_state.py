# SPDX-License-Identifier: GPL-2.0-or-later
"""What outlives the daemon: the state folder, with kill -9 in between."""

import json
import os
import subprocess
import unittest

import harness
from daemoncase import DaemonCase, STICK, world


class Restart(DaemonCase):
    """kill -9 in between: nothing is attached or detached twice."""

    def crash(self, rig: harness.Rig) -> harness.EventConn:
        """The daemon dies and is started; the forwarder has called again."""
        rig.daemon.kill()
        rig.daemon.start()
        rig.settle()
        return self.by_hand(rig)

    def test_what_we_attached_is_ours_still(self):
        rig = self.start()
        self.attach_stick(rig)
        connection = self.crash(rig)
        self.assert_told(connection,
                         connection.present("block", "sda", **STICK), 201)
        connection.synced()
        self.assertEqual(rig.count("admin.vm.device.block.Attach+"), 0)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        rig.sim.wait_detached(backend="sys-usb", port="sda")

    def test_what_is_gone_when_it_comes_back_is_detached(self):
        rig = self.start()
        self.attach_stick(rig)
        connection = self.crash(rig)
        connection.synced()
        rig.daemon.wait_outcome("sda", 203)
        rig.sim.wait_detached(backend="sys-usb", port="sda")

    def test_what_the_person_detached_meanwhile_is_left_alone(self):
        rig = self.start()
        self.attach_stick(rig)
        rig.daemon.kill()
        rig.sim.detach(backend="sys-usb", port="sda")
        rig.daemon.start()
        rig.settle()
        connection = self.by_hand(rig)
        self.assert_told(connection,
                         connection.present("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 308)

    def test_a_start_in_work_is_made_once(self):
        rig = self.start(scenario=world("Halted"))
        with rig.sim.held(method="admin.vm.Start"):
            connection = self.by_hand(rig)
            connection.present("block", "sda", **STICK)
            rig.daemon.wait_job("starting-target")
            connection = self.crash(rig)
            seq = connection.present("block", "sda", **STICK)
            rig.daemon.wait_job("starting-target")
        self.assert_told(connection, seq, 200)
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")


class File(DaemonCase):
    """Ours, bounded, of whole texts, never fatal."""

    @staticmethod
    def last_text(rig: harness.Rig) -> str:
        """Each text has a NUL behind it, and the last one counts."""
        whole, end, rest = (rig.daemon.state_dir / "state").read_text().rpartition("\0")
        assert end and not rest
        return whole.rpartition("\0")[2]

    def restart_with(self, text: bytes | None, mode: int = 0o600) -> harness.Rig:
        rig = self.start()
        self.attach_stick(rig)
        rig.daemon.kill()
        path = rig.daemon.state_dir / "state"
        if text is not None:
            path.write_bytes(text)
        path.chmod(mode)
        rig.daemon.start()
        rig.settle()
        return rig

    def assert_set_aside(self, rig: harness.Rig, text: bytes | None) -> None:
        aside = rig.daemon.state_dir / "state.bad"
        if text is not None:
            self.assertEqual(aside.read_bytes(), text)
        self.assertIn("state.bad", rig.daemon.process.stderr())
        # and it works all the same
        connection = self.by_hand(rig)
        self.assert_told(connection,
                         connection.present("block", "sda", **STICK), 201)

    def test_it_is_0600_and_whole_lines(self):
        rig = self.start()
        self.attach_stick(rig)
        path = rig.daemon.state_dir / "state"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        lines = [json.loads(line) for line in self.last_text(rig).splitlines()]
        self.assertEqual(lines[0]["type"], "state")
        self.assertEqual(lines[-1], {"type": "end"})
        self.assertEqual([line["held_by"] for line in lines
                          if line["type"] == "plug"], ["work"])
        self.assertEqual(os.listdir(rig.daemon.state_dir), ["state"])

    def test_a_second_daemon_leaves_what_is_the_first_ones(self):
        rig = self.start()
        self.attach_stick(rig)
        path = rig.daemon.state_dir / "state"
        kept = path.read_bytes()
        path.chmod(0o620)  # to the second it is worth nothing, as another user's is
        second = subprocess.run(rig.daemon.process.popen.args, check=False,
                                timeout=harness.DEADLINE, capture_output=True)
        self.assertEqual(second.returncode, 1, second)
        self.assertEqual(path.read_bytes(), kept)

    def test_garbage_is_set_aside(self):
        for text in (b"", b"\0\xff\n", b'{"type":"state","version":7}\n'):
            with self.subTest(text=text):
                self.assert_set_aside(self.restart_with(text), text)

    def test_half_a_file_is_set_aside(self):
        rig = self.start()
        self.attach_stick(rig)
        half = self.last_text(rig).encode("ascii")[:-5]
        self.assert_set_aside(self.restart_with(half), half)

    def test_what_a_kill_cut_off_does_not_count(self):
        rig = self.start()
        self.attach_stick(rig)
        whole = (rig.daemon.state_dir / "state").read_bytes()
        rig = self.restart_with(whole + b'{"type":"state","version":')
        self.assertNotIn("state.bad", rig.daemon.process.stderr())
        connection = self.by_hand(rig)
        self.assert_told(connection,
                         connection.present("block", "sda", **STICK), 201)
        # what follows is kept as well
        rig.daemon.kill()
        rig.daemon.start()
        rig.settle()
        self.assertNotIn("state.bad", rig.daemon.process.stderr())
        connection = self.by_hand(rig)
        self.assert_told(connection,
                         connection.present("block", "sda", **STICK), 201)
        self.assert_told(connection, connection.remove("block", "sda"), 203)

    def test_a_file_that_others_may_write_is_set_aside(self):
        self.assert_set_aside(self.restart_with(None, 0o666), None)

    def test_another_boot_of_dom0_is_no_complaint(self):
        rig = self.start()
        self.attach_stick(rig)
        rig.daemon.kill()
        path = rig.daemon.state_dir / "state"
        lines = self.last_text(rig).splitlines(keepends=True)
        first = json.loads(lines[0])
        first["boot_id"] = "0" * 32
        path.write_text(json.dumps(first) + "\n" + "".join(lines[1:]) + "\0")
        rig.daemon.start()
        rig.settle()
        self.assertNotIn("state.bad", rig.daemon.process.stderr())
        connection = self.by_hand(rig)
        connection.synced()
        self.barrier(connection)
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_a_folder_that_is_not_there_is_told_and_no_more(self):
        rig = self.start(arguments=("--state-dir", "/nonexistent/state"))
        self.attach_stick(rig)
        self.assertIn("/nonexistent/state cannot be written to",
                      rig.daemon.process.stderr())
        self.assertIn("/nonexistent/state",
                      rig.daemon.status()["daemon"]["state_problem"])


if __name__ == "__main__":
    unittest.main()
