# SPDX-License-Identifier: GPL-2.0-or-later
"""Native assignments that race another's Attach, and each other."""

from .support import LOOSE, STICK, SimTestCase

DONE = b"0\0"
ALREADY = b"2\0DeviceAlreadyAttached\0"
FAILED = b"2\0QubesUSBException\0"
PORT = {"backend": "sys-usb", "port": "2-1", "class": "usb", "identity": STICK}


class Races(SimTestCase):
    """When an assignment is acted upon."""

    def race(self, moment, devclass="block", target="personal", dest="work"):
        """An assignment to `target`, and an Attach to `dest` after the plug."""
        device = LOOSE if devclass == "block" else PORT
        sim = self.start(devices=[], assignments=[
            {"backend": "sys-usb", "class": devclass, "target": target,
             "race": moment}])
        sim.plug(**device)
        answer = sim.admin(f"admin.vm.device.{devclass}.Attach+sys-usb+"
                           f"{device['port']}", dest)
        return sim, answer

    def owner(self, sim, port="sdb"):
        """Who has the device."""
        return sim.device(port)["attachment"]

    def test_it_is_told_after_the_device(self):
        for moment in ("before", "added"):
            with self.subTest(moment=moment):
                sim = self.start(devices=[], assignments=[
                    {"backend": "sys-usb", "target": "personal", "race": moment}])
                events = self.events(sim)
                sim.plug(**LOOSE)
                self.assertEqual([frame[1] for frame in events.frames(4)], [
                    "device-list-change:block", "device-added:block",
                    "domain-qdb-change:/qubes-block-devices",
                    "device-attach:block"])
                self.assertEqual(self.owner(sim), "personal")

    def test_a_native_block_attach_that_is_first(self):
        for moment in ("before", "added", "during"):
            with self.subTest(moment=moment):
                sim, answer = self.race(moment)
                self.assertTrue(answer.startswith(ALREADY), answer)
                self.assertEqual(self.owner(sim), "personal")

    def test_a_native_block_attach_that_is_second(self):
        sim, answer = self.race("after")
        self.assertEqual((answer, self.owner(sim)), (DONE, "work"))

    def test_after_an_attach_that_failed_the_native_one_succeeds(self):
        sim = self.start(devices=[], assignments=[
            {"backend": "sys-usb", "target": "personal", "race": "after"}])
        sim.plug(**LOOSE)
        sim.fault(method="*.Attach", do="fail")
        self.assertEqual(
            sim.admin("admin.vm.device.block.Attach+sys-usb+sdb", "work"), b"")
        sim.wait_attached(backend="sys-usb", port="sdb", target="personal")

    def test_two_usb_attaches_to_two_qubes_are_both_told_yes(self):
        sim, answer = self.race("during", "usb")
        self.assertEqual(answer, DONE)
        self.assertEqual(self.owner(sim, "2-1"), "personal")

    def test_two_usb_attaches_to_one_qube_collide(self):
        sim, answer = self.race("during", "usb", target="work")
        self.assertTrue(answer.startswith(FAILED), answer)
        sim.wait_attached(backend="sys-usb", port="2-1", target="work")

    def test_any_order_by_holding_it(self):
        sim = self.start(devices=[], assignments=[
            {"backend": "sys-usb", "target": "personal"}])
        with sim.held(method="native-attach", phase="work") as hold:
            sim.plug(**LOOSE)
            sim.wait_held(id=hold)
            stream = self.open_request(
                sim, b"admin.vm.device.block.Attach+sys-usb+sdb dom0 name work\0")
            sim.wait_call(method="*.Attach")
        self.assertTrue(stream.read_all().startswith(ALREADY))
        self.assertEqual(self.owner(sim), "personal")

    def test_a_moment_that_does_not_exist_is_refused(self):
        sim = self.start()
        with self.assertRaisesRegex(Exception, "before, added, during, after"):
            sim.assign(backend="sys-usb", target="work", race="never")


class Batches(SimTestCase):
    """What qubesd does when several devices or targets come together."""

    def test_the_first_that_fails_ends_the_rest(self):
        # why native assignments lose devices when several come at once
        sim = self.start(devices=[], assignments=[
            {"backend": "sys-usb", "class": "usb", "target": "work"}])
        ports = [dict(PORT, port=f"2-{n}") for n in range(1, 9)]

        def n_attached():
            return sum(device["attachment"] == "work"
                       for device in sim.state()["devices"])

        with sim.held(method="native-attach", phase="work",
                      arg="sys-usb:2-5") as hold:
            sim.plug(devices=ports, at_once=True)
            sim.wait_held(id=hold)
            before = n_attached()
            sim.unplug(backend="sys-usb", port="2-5")
        sim.touch(backend="sys-usb", class_="usb")
        self.assertLess(before, 7)
        self.assertEqual(n_attached(), before)

    def test_a_list_change_with_several_attaches_one_after_the_other(self):
        sim = self.start(devices=[], assignments=[
            {"backend": "sys-usb", "class": "usb", "target": "work"}])
        events = self.events(sim)
        sim.plug(devices=[dict(PORT, port=f"2-{n}") for n in (1, 2)],
                 at_once=True)
        self.assertEqual([frame[1] for frame in events.frames(6)], [
            "device-list-change:usb", "device-added:usb", "device-added:usb",
            "domain-qdb-change:/qubes-usb-devices", "device-attach:usb",
            "device-attach:usb"])

    def test_two_targets_that_want_it_get_nothing(self):
        sim = self.start(devices=[], assignments=[
            {"backend": "sys-usb", "target": name}
            for name in ("work", "personal")])
        sim.plug(**LOOSE)
        sim.plug(backend="sys-usb", port="sdc", class_="block",
                 identity="x")
        self.assertIsNone(self.owner_of(sim, "sdb"))
        sim.unassign()
        sim.assign(backend="sys-usb", target="work")
        sim.plug(backend="sys-usb", port="sdd", class_="block")
        sim.wait_attached(backend="sys-usb", port="sdd", target="work")

    @staticmethod
    def owner_of(sim, port):
        """Who has a device."""
        return sim.device(port)["attachment"]

    def test_a_start_is_over_when_what_is_assigned_is_attached(self):
        sim = self.start(devices=[LOOSE], assignments=[
            {"backend": "sys-usb", "target": "vault"}])
        events = self.events(sim)
        with sim.held(method="native-attach") as hold:
            start = self.open_request(sim, b"admin.vm.Start dom0 name vault\0")
            sim.wait_held(id=hold)
            self.assertEqual(events.frame()[:2], ("vault", "domain-start"))
            call, = sim.calls(method="admin.vm.Start")
            self.assertEqual(call["state"], "running")
        self.assertEqual(start.read_all(), DONE)
        self.assertEqual(self.owner_of(sim, "sdb"), "vault")

    def test_a_resumed_qube_gets_what_it_is_assigned(self):
        sim = self.start(devices=[LOOSE])
        sim.assign(backend="sys-usb", target="work")
        sim.qube_state(name="work", state="Suspended")
        sim.qube_state(name="work", state="Running")
        sim.wait_attached(backend="sys-usb", port="sdb", target="work")
