# SPDX-License-Identifier: GPL-2.0-or-later
"""Detach and replug: what is the same plug, and what the person took away."""

import time
import unittest

from usbcase import (ANY, DISK, KEY, PART, STICK, USB, USB_ATTACH, USB_ATTACHED,
                     UsbCase, harness, part_n, partitions, stick, sticks, usb_n,
                     world)

WHEN = "key: allow usb id 0781:5581 to work when-running\n"
# keeps qubesd busy with another device for the seven seconds of four attempts
BUSY = "busy: allow block id abcd:0001 to vault\n"


class TakenAway(UsbCase):
    """308: the person detached it, and it is left alone until it is replugged."""

    def take_away(self, rig: harness.Rig, port: str = "2-1") -> None:
        """The person detaches it; the daemon has noticed."""
        rig.sim.detach(backend="sys-usb", port=port)
        rig.daemon.wait_outcome(port, 308)
        rig.daemon.wait_no_jobs()
        rig.mark()

    def assert_left_alone(self, rig: harness.Rig, connection: harness.EventConn,
                          devclass: str, device: str, **words) -> None:
        """A record of it ends 308 and attaches nothing."""
        for action in ("change", "add"):
            self.assert_told(connection, connection.event(
                action, devclass, device, **words), 300)
            codes = [code for code in self.codes(rig, device) if code != 203]
            self.assertEqual(codes[-1:], [308])
        self.assertEqual(rig.count("Attach"), 0)

    def test_a_usb_device_that_is_free_at_once(self):
        rig = self.start()
        connection = self.attach_usb(rig)
        self.take_away(rig)
        self.assert_left_alone(rig, connection, "usb", "2-1", **USB)

    def test_a_usb_device_that_counts_as_attached_for_a_second(self):
        # the look agrees only when the backend has written that it is free
        rig = self.start(lag=1.0)
        connection = self.attach_usb(rig)
        self.take_away(rig)
        rig.sim.wait_detached(backend="sys-usb", port="2-1")
        self.assert_left_alone(rig, connection, "usb", "2-1", **USB)

    def test_a_record_within_that_second_attaches_nothing(self):
        rig = self.start(lag=-1)
        connection = self.attach_usb(rig)
        rig.sim.detach(backend="sys-usb", port="2-1")
        rig.sim.wait_call(method=USB_ATTACHED, since=rig.since)
        connection.change("usb", "2-1", **USB)
        # a remove and an add are what the new probe looks like
        connection.remove("usb", "2-1")
        connection.add("usb", "2-1", **USB)
        self.barrier(connection)
        rig.sim.settle_usb()
        for seq in (2, 4):
            connection.answer(seq)
        rig.daemon.wait_outcome("2-1", 308)
        self.assert_left_alone(rig, connection, "usb", "2-1", **USB)
        self.assert_attached(rig, "2-1", None)

    def test_an_attach_event_that_never_was_within_that_second(self):
        # any list change meanwhile makes qubesd tell of an attach and a detach
        rig = self.start(lag=-1)
        connection = self.attach_usb(rig)
        rig.sim.detach(backend="sys-usb", port="2-1")
        rig.sim.plug(backend="sys-usb", port="2-2", class_="usb")
        rig.sim.settle_usb()
        rig.daemon.wait_outcome("2-1", 308)
        self.assert_left_alone(rig, connection, "usb", "2-1", **USB)
        self.assert_attached(rig, "2-1", None)

    def test_everything_under_it_is_left_alone(self):
        # after the detach its disks come as if they were plugged in now
        rig = self.start(ANY + "parts: allow block type partition to work\n",
                         world(devices=stick() + partitions("sda", 2),
                               behaviour={"reprobe": "block"}))
        connection = self.attach_usb(rig)
        self.take_away(rig)
        self.assert_left_alone(rig, connection, "block", "sda", parent="2-1", **STICK)
        for n in (1, 2):
            self.assert_left_alone(rig, connection, "block", f"sda{n}",
                                   parent="sda", **part_n(n))

    def test_its_usb_device_is_left_alone_when_a_disk_was_taken_away(self):
        rig = self.start(ANY)
        connection = self.forwarder(rig)
        disk = connection.add("block", "sda", parent="2-1", **STICK)
        self.assert_told(connection, disk, 200)
        self.take_away(rig, "sda")
        self.assert_left_alone(rig, connection, "usb", "2-1", **USB)

    def test_the_probe_that_follows_is_no_replug(self):
        # the USB device itself goes and comes, with another diskseq below it
        rig = self.start(ANY, world(behaviour={"reprobe": "usb"}))
        connection = self.attach_usb(rig)
        self.take_away(rig)
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        self.assert_left_alone(rig, connection, "usb", "2-1", **USB)
        self.assert_left_alone(rig, connection, "block", "sda", parent="2-1",
                               **{**STICK, "diskseq": 99})

    def test_the_probe_may_come_before_the_detach_is_told(self):
        rig = self.start(ANY)
        connection = self.attach_usb(rig)
        hold = rig.sim.hold(method="admin.Events")["id"]
        rig.sim.drop_events()
        rig.sim.wait_held(id=hold)
        rig.sim.detach(backend="sys-usb", port="2-1")
        connection.remove("usb", "2-1")
        connection.add("usb", "2-1", **USB)
        connection.add("block", "sda", parent="2-1", **STICK)
        rig.sim.release(id=hold)
        connection.answer(4)
        rig.settle()
        # what was attached meanwhile, if anything, must not stay so
        rig.sim.wait_detached(backend="sys-usb", port="sda")

    def test_another_device_at_the_same_port_is_another_plug(self):
        rig = self.start()
        connection = self.attach_usb(rig)
        self.take_away(rig)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        rig.sim.plug(devices=stick(serial="4C530009"))
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        self.assert_told(connection, connection.add(
            "usb", "2-1", **{**USB, "serial": "4C530009"}), 200)

    def test_the_same_device_at_another_port_is_another_plug(self):
        rig = self.start()
        connection = self.attach_usb(rig)
        self.take_away(rig)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        rig.sim.plug(devices=stick(port="2-5"))
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        self.assert_told(connection, connection.add("usb", "2-5", **{
            **USB, "path": "pci-0000:00:14.0-usb-0:5"}), 200)

    def test_another_stick_is_not_meant(self):
        rig = self.start(scenario=world(
            devices=stick() + stick("sdb", "2-2", "4C530002")))
        connection = self.attach_usb(rig)
        self.take_away(rig)
        self.assert_told(connection, connection.add("usb", "2-2", **usb_n(1)), 200)

    def test_a_new_boot_of_the_source_forgets_it(self):
        rig = self.start()
        self.attach_usb(rig)
        self.take_away(rig)
        again = self.picture(rig, devices=(("usb", "2-1", USB),),
                             boot_id=self.reboot(rig))
        self.assert_told(again, 1, 200)

    def test_a_real_unplug_long_after_it_ends_it(self):
        # the seven seconds of a job that fails lie between
        rig = self.start(KEY + BUSY, world(
            devices=stick() + [{"backend": "sys-usb", "port": "sdx",
                                "class": "block", "identity": "abcd:0001::1"}],
            qubes={"vault": {"state": "Running"}}))
        rig.sim.fault(method="*.block.Attach", do="fail", count=-1)
        connection = self.attach_usb(rig)
        self.take_away(rig)
        busy = connection.add("block", "sdx", vendor_id="abcd", product_id="0001",
                              devtype="disk")
        self.assert_told(connection, busy, 300)
        self.assert_last(rig, "sdx", 521)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        rig.sim.plug(devices=stick())
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)

    def test_after_a_reconnect_to_qubesd_it_is_noticed(self):
        for how in ("dropped", "crashed"):
            with self.subTest(how=how):
                rig = self.start()
                connection = self.attach_usb(rig)
                if how == "dropped":
                    hold = rig.sim.hold(method="admin.Events")["id"]
                    rig.sim.drop_events()
                    rig.sim.wait_held(id=hold)
                    rig.sim.detach(backend="sys-usb", port="2-1")
                    rig.sim.release(id=hold)
                else:
                    rig.sim.crash(service="qubesd")
                    rig.daemon.wait_status(
                        lambda status: status["qubesd"]["state"] == "gone", "gone")
                    rig.sim.detach(backend="sys-usb", port="2-1")
                    rig.sim.restart(service="qubesd")
                rig.daemon.wait_outcome("2-1", 308)
                rig.mark()
                self.assert_left_alone(rig, connection, "usb", "2-1", **USB)

    def test_moved_by_hand_to_another_qube_it_stays_there(self):
        rig = self.start(scenario=world(qubes={"vault": {"state": "Running"}}))
        connection = self.attach_usb(rig)
        rig.sim.detach(backend="sys-usb", port="2-1")
        rig.sim.attach(backend="sys-usb", port="2-1", target="vault")
        rig.daemon.wait_outcome("2-1", 308)
        self.assert_told(connection, connection.change("usb", "2-1", **USB), 300)
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        self.assert_attached(rig, "2-1", "vault")
        self.assertEqual(rig.count("Detach"), 0)

    def test_the_person_s_own_attach_is_left_where_it_is(self):
        rig = self.start()
        connection = self.attach_usb(rig)
        self.take_away(rig)
        rig.sim.attach(backend="sys-usb", port="2-1", target="work")
        self.barrier(connection)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        self.assertEqual(rig.count("Detach"), 0)


class NotThePerson(UsbCase):
    """A detach that is not the person's: no 308."""

    def test_our_own_detach(self):
        rig = self.start()
        connection = self.attach_usb(rig)
        for _ in range(2):
            self.assert_told(connection, connection.remove("usb", "2-1"), 203)
            self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        self.assertNotIn(308, self.codes(rig, "2-1"))

    def test_our_own_detach_of_one_that_counts_as_attached_a_second_longer(self):
        # DeviceAlreadyAttached within three seconds of a detach may pass
        rig = self.start(lag=-1)
        connection = self.attach_usb(rig)
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        add = connection.add("usb", "2-1", **USB)
        rig.daemon.wait_job("pausing", "2-1")
        rig.sim.settle_usb()
        self.assert_told(connection, add, 200)
        self.assertNotIn(308, self.codes(rig, "2-1"))
        self.assert_attached(rig, "2-1", "work")

    def test_an_unplug(self):
        rig = self.start()
        connection = self.attach_usb(rig)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        rig.sim.plug(devices=stick())
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        self.assertNotIn(308, self.codes(rig, "2-1"))

    def test_the_target_s_shutdown(self):
        for lag in (0, -1):
            with self.subTest(lag=lag):
                rig = self.start(WHEN, lag=lag)
                connection = self.attach_usb(rig)
                rig.sim.qube_stop(name="work")
                rig.sim.settle_usb()
                rig.sim.qube_start(name="work")
                rig.daemon.wait_outcome("2-1", 200, 2)
                self.assertNotIn(308, self.codes(rig, "2-1"))
                self.assert_told(connection,
                                 connection.change("usb", "2-1", **USB), 201)

    def test_the_target_s_shutdown_and_a_list_change_within_the_second(self):
        # it makes qubesd tell of an attach into the halted qube, and a detach
        for by_hand in (False, True):
            with self.subTest(by_hand=by_hand):
                rig = self.start(lag=-1)
                connection = self.forwarder(rig) if by_hand else \
                    self.attach_usb(rig)
                if by_hand:
                    rig.sim.attach(backend="sys-usb", port="2-1", target="work")
                    seq = connection.add("usb", "2-1", **USB)
                    self.assert_told(connection, seq, 201)
                rig.sim.qube_stop(name="work")
                rig.sim.plug(backend="sys-usb", port="2-2", class_="usb")
                rig.sim.settle_usb()
                rig.sim.qube_start(name="work")
                seq = connection.change("usb", "2-1", **USB)
                self.assertIn(connection.answer(seq)["code"], (200, 201))
                self.assert_attached(rig, "2-1", "work")
                self.assertNotIn(308, self.codes(rig, "2-1"))

    def test_the_target_s_kill_and_start_within_the_second(self):
        rig = self.start(WHEN, lag=-1)
        self.attach_usb(rig)
        rig.sim.qube_stop(name="work")
        rig.sim.qube_start(name="work")
        rig.daemon.wait_job("pausing", "2-1")
        rig.sim.settle_usb()
        rig.daemon.wait_outcome("2-1", 200, 2)
        self.assert_attached(rig, "2-1", "work")

    def test_the_source_s_shutdown(self):
        rig = self.start()
        self.attach_usb(rig)
        again = self.picture(rig, devices=(("usb", "2-1", USB),),
                             boot_id=self.reboot(rig))
        self.assert_told(again, 1, 200)
        self.assertNotIn(308, self.codes(rig, "2-1"))

    def test_the_person_s_usb_attach_that_rips_our_disk_away(self):
        # the disk is taken off qubesd's list before its detach is told
        rig = self.start(DISK, world(qubes={"vault": {"state": "Running"}}))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add(
            "block", "sda", parent="2-1", **STICK), 200)
        rig.sim.attach(backend="sys-usb", port="2-1", target="vault")
        rig.sim.wait_detached(backend="sys-usb", port="sda")
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assert_attached(rig, "2-1", "vault")

    def test_a_partition_s_attach_takes_its_disk_off_the_list_only(self):
        # device-removed means: not offered now
        rig = self.start("p: allow block partition 1 to work\n",
                         world(devices=stick() + partitions("sda", 2)))
        connection = self.forwarder(rig)
        connection.add("usb", "2-1", **USB)
        connection.add("block", "sda", parent="2-1", **STICK)
        part = connection.add("block", "sda1", parent="sda", **PART)
        self.assert_told(connection, part, 200)
        self.assert_told(connection, connection.change(
            "block", "sda1", parent="sda", **PART), 201)
        # its identity has changed with the disk that is not listed any more
        self.assertTrue(rig.sim.device("sda1")["identity"].startswith("0000:0000:"))
        self.assertNotIn(311, self.codes(rig, "sda1"))


class ComesBack(UsbCase):
    """The target starts: what a rule had attached to it comes back."""

    def test_when_running_devices_and_what_a_plain_rule_had_attached(self):
        for rules in (WHEN, KEY):
            with self.subTest(rules=rules):
                rig = self.start(rules)
                self.attach_usb(rig)
                rig.sim.qube_stop(name="work")
                rig.daemon.wait_no_jobs()
                rig.sim.qube_start(name="work")
                rig.daemon.wait_outcome("2-1", 200, 2)
                self.assert_attached(rig, "2-1", "work")
                self.assertEqual(rig.count("Start"), 0)

    def test_several_come_back_one_after_the_other(self):
        rig = self.start(WHEN, world("Halted", sticks(3)))
        connection = self.forwarder(rig)
        for n in range(3):
            self.assert_told(connection, connection.add(
                "usb", f"2-{n + 1}", **usb_n(n)), 300)
        rig.sim.qube_start(name="work")
        for n in range(3):
            rig.daemon.wait_outcome(f"2-{n + 1}", 200)
        self.assertEqual(rig.sim.most_at_once(USB_ATTACH), 1)

    def test_an_ask_rule_asks_again(self):
        rig = self.start("key: ask usb id 0781:5581 to work\n",
                         world(agent={"script": ["allow"]}))
        self.attach_usb(rig)
        rig.sim.qube_stop(name="work")
        rig.daemon.wait_no_jobs()
        rig.sim.qube_start(name="work")
        rig.sim.wait_window()
        self.assertEqual(rig.count("Attach"), 0)
        rig.sim.click(answer="allow")
        rig.daemon.wait_outcome("2-1", 200, 2)

    def test_what_the_person_attached_does_not(self):
        rig = self.start()
        rig.sim.attach(backend="sys-usb", port="2-1", target="work")
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 201)
        rig.sim.qube_stop(name="work")
        rig.sim.qube_start(name="work")
        self.barrier(connection)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.count("Attach"), 0)

    def test_after_an_unplug_it_does_not(self):
        rig = self.start(WHEN)
        connection = self.attach_usb(rig)
        rig.sim.qube_stop(name="work")
        rig.sim.unplug(backend="sys-usb", port="2-1")
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        rig.sim.qube_start(name="work")
        self.barrier(connection)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.count("Attach"), 0)


class Flapping(UsbCase):
    """A loose contact: it goes and comes twenty times and ends where it should."""

    def flap(self, devclass: str, device: str, words: dict, last: str) -> tuple:
        """Twenty times remove and add in one go; `last` is how it ends."""
        rig = self.start(ANY, unlimited=True)
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add(devclass, device, **words), 200)
        for n in range(20):
            rig.sim.unplug(backend="sys-usb", port="2-1")
            seq = connection.remove(devclass, device)
            if n < 19 or last == "add":
                rig.sim.plug(devices=stick())
                seq = connection.add(devclass, device, **{
                    **words, **({"diskseq": 100 + n} if devclass == "block" else {})})
        self.assert_told(connection, seq, 200 if last == "add" else 203)
        rig.daemon.wait_no_jobs()
        return rig, connection

    def test_a_usb_device_that_ends_plugged_in(self):
        rig, connection = self.flap("usb", "2-1", USB, "add")
        self.assert_attached(rig, "2-1", "work")
        self.assert_told(connection, connection.change("usb", "2-1", **USB), 201)

    def test_a_usb_device_that_ends_unplugged(self):
        rig, _ = self.flap("usb", "2-1", USB, "remove")
        self.assertEqual(rig.daemon.status()["sources"][0]["n_devices"], 0)

    def test_a_disk_that_ends_plugged_in(self):
        rig, _ = self.flap("block", "sda", {**STICK, "parent": "2-1"}, "add")
        self.assert_attached(rig, "sda", "work")

    def test_a_disk_that_ends_unplugged(self):
        rig, _ = self.flap("block", "sda", {**STICK, "parent": "2-1"}, "remove")
        self.assertEqual(rig.daemon.status()["sources"][0]["n_devices"], 0)

    def test_records_alone_flap_while_the_device_stays(self):
        rig = self.start(unlimited=True)
        connection = self.forwarder(rig)
        for _ in range(20):
            connection.add("usb", "2-1", **USB)
            seq = connection.remove("usb", "2-1")
        last = connection.add("usb", "2-1", **USB)
        self.assert_told(connection, seq, 203)
        self.assert_told(connection, last, 200)
        rig.daemon.wait_no_jobs()
        self.assert_attached(rig, "2-1", "work")

    def test_the_rate_makes_it_wait_and_unplugged_it_waits_no_more(self):
        begun = time.monotonic()
        rig = self.start()
        connection = self.forwarder(rig)
        for _ in range(20):
            self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
            self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        self.within_the_minute(begun)
        rig.mark()
        last = connection.add("usb", "2-1", **USB)
        rig.daemon.wait_job("awaiting-turn", "2-1")
        self.assertEqual(rig.count("Attach"), 0)
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        self.assert_told(connection, last, 300)
        rig.daemon.wait_no_jobs()


if __name__ == "__main__":
    unittest.main()
