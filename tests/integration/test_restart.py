# SPDX-License-Identifier: GPL-2.0-or-later
"""The forwarder, the source's qube and qubesd start anew."""

import unittest

from usbcase import (ANY, ATTACHES, STICK, USB, USB_ATTACH, UsbCase, stick,
                     world)

OTHER_BOOT = "fedcba9876543210fedcba9876543210"
START = "admin.vm.Start"
BOTH = (("usb", "2-1", USB), ("block", "sda", {"parent": "2-1", **STICK}))
ONLY_USB = BOTH[:1]


class Forwarder(UsbCase):
    """The forwarder starts anew: the whole picture, the same boot."""

    def test_at_each_point_of_a_job_it_joins_it(self):
        for method, phase in (("*.usb.Available", "begin"), (USB_ATTACH, "begin"),
                              (USB_ATTACH, "answer")):
            with self.subTest(method=method, phase=phase):
                rig = self.start()
                first = self.forwarder(rig)
                with rig.sim.held(method=method, phase=phase) as hold:
                    first.add("usb", "2-1", **USB)
                    rig.sim.wait_held(id=hold)
                    first.close()
                    again = self.picture(rig, devices=ONLY_USB)
                    self.barrier(again)
                self.assert_told(again, 1, 200)
                self.assertEqual(rig.count("Attach"), 1)

    def test_what_was_unplugged_meanwhile_is_detached(self):
        rig = self.start()
        first = self.attach_usb(rig)
        first.close()
        self.picture(rig)
        rig.sim.wait_detached(backend="sys-usb", port="2-1")
        self.assertEqual(rig.count("Detach"), 1)

    def test_what_was_plugged_in_meanwhile_is_attached(self):
        rig = self.start(ANY, world(devices=[]))
        self.forwarder(rig).close()
        rig.sim.plug(devices=stick())
        again = self.picture(rig, devices=ONLY_USB)
        self.assert_told(again, 1, 200)

    def test_a_job_in_work_for_what_the_picture_lacks_ends_311(self):
        rig = self.start()
        first = self.forwarder(rig)
        with rig.sim.held(method=USB_ATTACH, phase="work") as hold:
            seq = first.add("usb", "2-1", **USB)
            rig.sim.wait_held(id=hold)
            self.picture(rig)
            self.assert_told(first, seq, 300)
            self.assertIn(311, self.codes(rig, "2-1"))
        rig.daemon.wait_no_jobs()
        self.assert_attached(rig, "2-1", None)

    def test_twenty_reconnects_attach_once(self):
        rig = self.start()
        for _ in range(20):
            connection = self.picture(rig, devices=ONLY_USB)
            self.assertIn(connection.answer(1)["code"], (200, 201))
            connection.close()
        self.assertEqual(rig.count("Attach"), 1)


class SourceQube(UsbCase):
    """sys-usb starts anew: another boot_id, every plug is another one."""

    def test_what_was_attached_is_attached_again(self):
        rig = self.start(ANY)
        self.attach_usb(rig)
        again = self.picture(rig, devices=BOTH, boot_id=self.reboot(rig))
        self.assert_told(again, 1, 200)
        self.assert_told(again, 2, 300)
        self.assert_attached(rig, "2-1", "work")
        self.assertEqual(rig.count("Attach"), 1)
        self.assertNotIn(308, self.codes(rig, "2-1"))

    def test_also_when_no_event_told_of_it(self):
        # the stream was cut at the wrong moment: the boot_id alone tells
        rig = self.start(ANY)
        self.attach_usb(rig)
        hold = rig.sim.hold(method="admin.Events")["id"]
        rig.sim.drop_events()
        rig.sim.wait_held(id=hold)
        rig.sim.qube_stop(name="sys-usb")
        rig.sim.qube_start(name="sys-usb")
        again = self.picture(rig, devices=BOTH, boot_id=OTHER_BOOT)
        rig.sim.release(id=hold)
        self.assert_told(again, 1, 200)
        self.assert_told(again, 2, 300)
        rig.daemon.wait_no_jobs()
        self.assert_attached(rig, "2-1", "work")
        self.assertNotIn(308, self.codes(rig, "2-1"))

    def test_at_each_point_of_a_job(self):
        for method, phase, target in (
                ("*.usb.Available", "begin", "Running"), (START, "work", "Halted"),
                (USB_ATTACH, "begin", "Running"), (USB_ATTACH, "work", "Running"),
                (USB_ATTACH, "answer", "Running")):
            with self.subTest(method=method, phase=phase):
                rig = self.start(scenario=world(target))
                connection = self.forwarder(rig)
                with rig.sim.held(method=method, phase=phase) as hold:
                    seq = connection.add("usb", "2-1", **USB)
                    rig.sim.wait_held(id=hold)
                    rig.sim.qube_stop(name="sys-usb")
                    self.assert_told(connection, seq, 300)
                    rig.sim.qube_start(name="sys-usb")
                self.assertIn(311, self.codes(rig, "2-1"))
                again = self.picture(rig, devices=ONLY_USB, boot_id=OTHER_BOOT)
                self.assert_told(again, 1, 200)
                self.assert_attached(rig, "2-1", "work")

    def test_other_names_for_the_same_devices(self):
        # after the boot the bus is numbered otherwise
        rig = self.start()
        self.attach_usb(rig)
        rig.sim.qube_stop(name="sys-usb")
        self.wait_forgotten(rig)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        rig.sim.plug(devices=stick("sdb", "4-1"))
        rig.sim.qube_start(name="sys-usb")
        again = self.picture(rig, devices=(("usb", "4-1", USB),), boot_id=OTHER_BOOT)
        self.assert_told(again, 1, 200)
        self.assert_attached(rig, "4-1", "work")

    def test_the_other_source_s_devices_stay(self):
        rig = self.start("all: allow usb to work\n", world(
            devices=stick() + stick(backend="sys-usb2"),
            qubes={"sys-usb2": {"state": "Running"}}))
        self.attach_usb(rig)
        other = self.forwarder(rig, "sys-usb2")
        self.assert_told(other, other.add("usb", "2-1", **USB), 200)
        rig.mark()
        self.reboot(rig)
        self.assert_told(other, other.change("usb", "2-1", **USB), 201)
        self.assert_attached(rig, "2-1", "work", "sys-usb2")


class Qubesd(UsbCase):
    """qubesd starts anew while much is attached and more is in work."""

    def test_what_changed_meanwhile_is_read_anew(self):
        rig = self.start("key: allow usb to work\nwait: allow block to vault "
                         "when-running\n", world(devices=stick() + stick(
                             "sdb", "2-2", "4C530002")))
        connection = self.attach_usb(rig)
        seq = connection.add("block", "sdb", parent="2-2", **{
            **STICK, "serial": "4C530002", "path": "pci-0000:00:14.0-usb-0:2"})
        self.assert_told(connection, seq, 300)
        self.assert_last(rig, "sdb", 307)
        rig.sim.crash(service="qubesd")
        rig.daemon.wait_status(
            lambda status: status["qubesd"]["state"] == "gone", "gone")
        rig.sim.detach(backend="sys-usb", port="2-1")
        rig.sim.qube_start(name="vault")
        rig.sim.restart(service="qubesd")
        rig.daemon.wait_outcome("2-1", 308)
        rig.daemon.wait_outcome("sdb", 200)
        self.assert_attached(rig, "sdb", "vault")
        self.assert_attached(rig, "2-1", None)

    def test_five_times_in_a_row(self):
        rig = self.start()
        connection = self.attach_usb(rig)
        for _ in range(5):
            rig.sim.crash(service="qubesd")
            rig.sim.restart(service="qubesd")
        self.assert_told(connection, connection.change("usb", "2-1", **USB), 201)
        self.assertEqual(rig.sim.most_at_once(ATTACHES), 1)
        self.assertEqual(len(rig.sim.calls(method=ATTACHES)), 1)


if __name__ == "__main__":
    unittest.main()
