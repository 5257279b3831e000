# SPDX-License-Identifier: GPL-2.0-or-later
"""The person is stronger; other qubes, other parts, targets that come and go."""

import unittest

from daemoncase import (ATTACH, ATTACHED, BOOT, LOOK, PART, PINNED, SHOW, STICK,
                        TAKE_OFF, TO_WORK, DaemonCase, request, stick, sticks,
                        world)

WHEN = "r: allow block type disk to work when-running\n"
IF = "r: allow block type disk to work if-running\n"
BOTH = ("whole: allow block type disk to work\n"
        "part: allow block type partition to work\n")
USB = {"vendor_id": "0781", "product_id": "5581", "serial": "4C530001",
       "devtype": "usb_device", "path": STICK["path"], "interfaces": ["080650"]}


def with_partitions() -> list[dict]:
    """The stick with sda1 and sda2."""
    return stick() + [{"backend": "sys-usb", "port": f"sda{n}", "class": "block",
                       "parent": "sda"} for n in (1, 2)]


class Already(DaemonCase):
    """Where the rule wants it: 201."""

    def test_attached_by_the_person_before(self):
        rig = self.start()
        rig.sim.attach(backend="sys-usb", port="sda", target="work")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 201)
        self.assertEqual(rig.requests(), [LOOK])
        self.assert_last(rig, "sda", 201)

    def test_present_add_and_change_of_what_we_attached(self):
        rig = self.start()
        connection = self.by_hand(rig)
        self.attach_stick(rig, connection)
        for action in ("present", "add", "change"):
            with self.subTest(action=action):
                self.assert_told(connection, connection.event(
                    action, "block", "sda", **STICK), 201)
        self.assertEqual(rig.requests(), [LOOK] * 3)


class Elsewhere(DaemonCase):
    """Another qube has it: 310."""

    def test_before_the_record(self):
        rig = self.start(scenario=world(qubes={"vault": {"state": "Running"}}))
        rig.sim.attach(backend="sys-usb", port="sda", target="vault")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 310)
        self.assertEqual(rig.requests(), [LOOK])

    def test_between_the_look_and_the_attach(self):
        rig = self.start(scenario=world(qubes={"vault": {"state": "Running"}}))
        connection = self.by_hand(rig)
        with rig.sim.held(method=ATTACH) as hold:
            connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.attach(backend="sys-usb", port="sda", target="vault")
        self.assert_told(connection, 1, 300)
        self.assert_last(rig, "sda", 310)
        self.assertEqual(rig.requests(), [LOOK, PINNED, SHOW])
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.count("Detach"), 0)
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="vault")

    def test_while_the_target_starts(self):
        rig = self.start(scenario=world("Halted", qubes={
            "vault": {"state": "Running"}}))
        connection = self.by_hand(rig)
        with rig.sim.held(method="admin.vm.Start") as hold:
            connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.attach(backend="sys-usb", port="sda", target="vault")
        self.assert_told(connection, 1, 300)
        self.assert_last(rig, "sda", 310)
        self.assertEqual(rig.requests(), [LOOK, PINNED, BOOT, LOOK])


class Parts(DaemonCase):
    """A USB device, its disks and their partitions exclude one another."""

    def test_a_partition_of_an_attached_disk(self):
        rig = self.start(BOTH, world(devices=with_partitions()))
        connection = self.attach_stick(rig)
        self.assert_told(connection, connection.add(
            "block", "sda1", parent="sda", **PART), 300)
        self.assert_last(rig, "sda1", 310)
        self.assertEqual(rig.count("Attach"), 0)

    def test_the_disk_of_an_attached_partition(self):
        rig = self.start(BOTH, world(devices=with_partitions()))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add(
            "block", "sda1", parent="sda", **PART), 200)
        rig.mark()
        self.assert_told(connection, connection.add(
            "block", "sda", parent="2-1", **STICK), 300)
        self.assert_last(rig, "sda", 310)
        self.assertEqual(rig.requests(), [])

    def test_a_partition_told_without_parent_is_known_by_its_name(self):
        rig = self.start(BOTH, world(devices=with_partitions()))
        connection = self.attach_stick(rig)
        self.assert_told(connection, connection.add("block", "sda1", **PART), 300)
        self.assert_last(rig, "sda1", 310)

    def test_a_partition_of_a_disk_in_work(self):
        rig = self.start(BOTH, world(devices=with_partitions()))
        connection = self.by_hand(rig)
        with rig.sim.held(method=ATTACH) as hold:
            disk = connection.add("block", "sda", parent="2-1", **STICK)
            rig.sim.wait_held(id=hold)
            part = connection.add("block", "sda1", parent="sda", **PART)
            self.assert_told(connection, part, 300)
            self.assert_last(rig, "sda1", 310)
        self.assert_told(connection, disk, 200)

    def test_sibling_partitions_do_not_exclude_one_another(self):
        rig = self.start(BOTH, world(devices=with_partitions()))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add(
            "block", "sda1", parent="sda", **PART), 200)
        self.assert_told(connection, connection.add(
            "block", "sda2", parent="sda", **{**PART, "partition": 2}), 200)

    def test_a_part_that_the_person_attached_excludes_too(self):
        rig = self.start(BOTH, world(devices=with_partitions(), qubes={
            "vault": {"state": "Running"}}))
        connection = self.by_hand(rig)
        connection.present("block", "sda", parent="2-1", **{
            **STICK, "devtype": "disk", "vendor_id": "ffff", "product_id": "0000"})
        self.assert_told(connection, 1, 300)
        rig.sim.attach(backend="sys-usb", port="sda", target="vault")
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="vault")
        self.assert_told(connection, connection.add(
            "block", "sda1", parent="sda", **PART), 300)
        self.assertEqual(rig.count("Attach"), 0)

    def test_a_part_attached_before_we_heard_of_any_excludes_too(self):
        # the person gave the USB device away before the daemon ran
        rig = self.start(BOTH, world(qubes={"vault": {"state": "Running"}},
                                     devices=with_partitions()))
        rig.sim.attach(backend="sys-usb", port="sda", target="vault")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add(
            "block", "sda1", parent="sda", **PART), 300)
        self.assertEqual(rig.count("Attach"), 0)

    def test_disks_of_two_sticks_do_not_exclude_one_another(self):
        rig = self.start(scenario=world(devices=sticks(2)))
        connection = self.attach_stick(rig)
        self.assert_told(connection, connection.add(
            "block", "sdb", parent="2-2", **STICK), 200)

    def test_the_same_names_of_another_source_do_not_exclude(self):
        rig = self.start(BOTH, world(
            devices=with_partitions() + stick("sda1", "2-1", backend="sys-usb2"),
            qubes={"sys-usb2": {"state": "Running"}}))
        self.attach_stick(rig)
        other = self.by_hand(rig, "sys-usb2")
        self.assert_told(other, other.add("block", "sda1", **PART), 200)

    def test_a_removed_disk_no_longer_excludes(self):
        rig = self.start(BOTH, world(devices=with_partitions()))
        connection = self.attach_stick(rig)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assert_told(connection, connection.add(
            "block", "sda1", parent="sda", **PART), 200)


class DetachedByPerson(DaemonCase):
    """308, until it is really unplugged."""

    def detach(self, rig, connection) -> None:
        """The person takes sda away; the daemon has noticed."""
        rig.sim.detach(backend="sys-usb", port="sda")
        rig.daemon.wait_outcome("sda", 308)
        self.assertEqual(rig.requests(), [SHOW])
        rig.mark()

    def test_it_is_noticed_with_one_look(self):
        rig = self.start()
        self.detach(rig, self.attach_stick(rig))
        self.assertEqual(self.assert_last(rig, "sda", 308)["target"], "work")

    def test_later_records_are_308_without_any_call(self):
        rig = self.start()
        connection = self.by_hand(rig)
        self.attach_stick(rig, connection)
        self.detach(rig, connection)
        for action in ("present", "add", "change"):
            self.assert_told(connection, connection.event(
                action, "block", "sda", **STICK), 300)
            self.assert_last(rig, "sda", 308)
        self.assertEqual(rig.requests(), [])

    def test_a_reconnect_of_the_forwarder_does_not_end_it(self):
        rig = self.start()
        self.detach(rig, self.attach_stick(rig))
        again = self.by_hand(rig)
        self.assert_told(again, again.present("block", "sda", **STICK), 300)
        again.synced()
        self.assert_told(again, again.change("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 308)
        self.assertEqual(rig.requests(), [])

    def test_a_replug_ends_it(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        self.detach(rig, connection)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assertEqual(rig.requests(), [LOOK, PINNED])

    def test_a_start_of_the_target_does_not_bring_it_back(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        self.detach(rig, connection)
        rig.sim.qube_stop(name="work")
        rig.sim.qube_start(name="work")
        self.barrier(connection)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.requests(), [])

    def test_our_own_detach_is_not_the_persons(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        for _ in range(2):
            self.assert_told(connection, connection.remove("block", "sda"), 203)
            self.assert_told(connection,
                             connection.add("block", "sda", **STICK), 200)
        self.assertNotIn(308, [o["code"] for o in rig.daemon.outcomes()])

    def test_an_unplug_is_not_the_persons_detach(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        rig.sim.plug(devices=stick())
        self.assert_told(connection, connection.change("block", "sda", **STICK), 200)
        self.assertNotIn(308, [o["code"] for o in rig.daemon.outcomes()])

    def test_a_shutdown_of_the_target_is_not_the_persons_detach(self):
        rig = self.start(WHEN)
        connection = self.attach_stick(rig)
        rig.sim.qube_stop(name="work")
        rig.sim.qube_start(name="work")
        rig.daemon.wait_outcome("sda", 200, 2)
        self.assertNotIn(308, [o["code"] for o in rig.daemon.outcomes()])
        self.assert_told(connection, connection.change("block", "sda", **STICK), 201)

    def test_a_detach_event_that_the_look_does_not_confirm_counts_nothing(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        rig.sim.emit(subject="work", event="device-detach:block",
                     pairs=[["port", "sys-usb:sda"]])
        rig.sim.wait_call(method=ATTACHED, since=rig.since, done=True)
        rig.daemon.wait_no_jobs()
        self.assert_told(connection, connection.change("block", "sda", **STICK), 201)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.requests(), [SHOW, LOOK, SHOW, TAKE_OFF])

    def test_a_detach_of_what_we_did_not_know_attached_counts_nothing(self):
        rig = self.start()
        connection = self.by_hand(rig)
        connection.add("block", "sda", **{**STICK, "product_id": "0000"})
        self.assert_told(connection, 1, 300)
        rig.sim.emit(subject="work", event="device-detach:block",
                     pairs=[["port", "sys-usb:sda"]])
        self.assert_told(connection, connection.add("block", "sda", **{
            **STICK, "product_id": "5581"}), 200)

    def test_moving_it_to_another_qube_by_hand_is_not_undone(self):
        rig = self.start(scenario=world(qubes={"vault": {"state": "Running"}}))
        connection = self.attach_stick(rig)
        rig.sim.detach(backend="sys-usb", port="sda")
        rig.sim.attach(backend="sys-usb", port="sda", target="vault")
        rig.daemon.wait_outcome("sda", 308)
        self.assert_told(connection, connection.change("block", "sda", **STICK), 300)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.count("Detach"), 0)
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="vault")

    def test_a_partition_that_the_person_detaches_stays_detached(self):
        for disk in (False, True):
            with self.subTest(disk=disk):
                # attaching a partition takes its disk off qubesd's list
                rig = self.start("r: allow block partition 1 to work\n",
                                 world(devices=with_partitions()))
                connection = self.by_hand(rig)
                if disk:
                    self.assert_told(connection, connection.add(
                        "block", "sda", parent="2-1", **STICK), 300)
                self.assert_told(connection, connection.add(
                    "block", "sda1", parent="sda", **PART), 200)
                rig.sim.detach(backend="sys-usb", port="sda1")
                rig.daemon.wait_outcome("sda1", 308)
                rig.mark()
                self.assert_told(connection, connection.change(
                    "block", "sda1", parent="sda", **PART), 300)
                self.assertEqual(rig.requests(), [])

    def test_everything_under_the_usb_device_is_308(self):
        rig = self.start(BOTH, world(devices=with_partitions()))
        connection = self.by_hand(rig)
        connection.present("usb", "2-1", **USB)
        self.assert_told(connection, 1, 300)
        self.assert_told(connection, connection.present(
            "block", "sda", parent="2-1", **STICK), 200)
        rig.mark()
        self.detach(rig, connection)
        self.assert_told(connection, connection.add(
            "block", "sda1", parent="sda", **PART), 300)
        self.assert_last(rig, "sda1", 308)
        self.assertEqual(rig.requests(), [])

    def test_while_the_event_stream_was_cut_it_is_noticed_afterwards(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        hold = rig.sim.hold(method="admin.Events")["id"]
        rig.sim.drop_events()
        rig.sim.wait_held(id=hold)
        rig.sim.detach(backend="sys-usb", port="sda")
        rig.sim.release(id=hold)
        rig.settle()
        self.assert_told(connection, connection.change("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 308)
        rig.sim.wait_detached(backend="sys-usb", port="sda")

    def test_while_the_attach_is_not_answered_yet(self):
        rig = self.start()
        connection = self.forwarder(rig)
        with rig.sim.held(method=ATTACH, phase="answer") as hold:
            add = connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.detach(backend="sys-usb", port="sda")
            # qubesd's events are read before its answer
            self.barrier(connection)
            self.barrier(connection)
        connection.answer(add)
        self.assert_told(connection, connection.change("block", "sda", **STICK), 300)
        rig.sim.wait_detached(backend="sys-usb", port="sda")

    def test_during_a_check_of_a_new_record_the_check_gives_way(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        with rig.sim.held(method="*.Available") as hold:
            change = connection.change("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.detach(backend="sys-usb", port="sda")
            self.assert_told(connection, change, 300)
        rig.daemon.wait_outcome("sda", 308)
        self.assertEqual(rig.count("Attach"), 0)


class IfRunning(DaemonCase):
    """if-running never starts the target: 306."""

    def test_a_halted_target_is_left_alone(self):
        rig = self.start(IF, world("Halted"))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 306)
        self.assertEqual(rig.requests(), [LOOK, PINNED])

    def test_a_later_start_of_the_target_attaches_nothing(self):
        rig = self.start(IF, world("Halted"))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        rig.sim.qube_start(name="work")
        self.barrier(connection)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.requests(), [LOOK, PINNED])

    def test_a_running_target_gets_it(self):
        rig = self.start(IF)
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)


class WhenRunning(DaemonCase):
    """when-running waits for the target: 307, and 200 as an outcome of its own."""

    def wait_for_target(self) -> tuple:
        """sda waits for work."""
        rig = self.start(WHEN, world("Halted"))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 307)
        self.assertEqual(rig.requests(), [LOOK, PINNED])
        rig.daemon.wait_no_jobs()
        rig.mark()
        return rig, connection

    def test_it_is_attached_as_soon_as_the_target_starts(self):
        rig, connection = self.wait_for_target()
        rig.sim.qube_start(name="work")
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        rig.daemon.wait_outcome("sda", 200)
        self.assertEqual(rig.requests(), [LOOK, PINNED])
        # no line tells of it
        seq = connection.remove("block", "sdx")
        self.assertEqual(connection.read()["seq"], seq)

    def test_another_target_that_starts_is_of_no_interest(self):
        rig, connection = self.wait_for_target()
        rig.sim.qube_start(name="vault")
        self.barrier(connection)
        self.assertEqual(rig.requests(), [])

    def test_an_unplug_ends_the_wait(self):
        rig, connection = self.wait_for_target()
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        rig.sim.qube_start(name="work")
        self.barrier(connection)
        self.assertEqual(rig.requests(), [])

    def test_a_rule_that_denies_now_ends_the_wait(self):
        rig, connection = self.wait_for_target()
        rig.daemon.rules("no: deny block type disk\n")
        rig.daemon.reload()
        rig.sim.qube_start(name="work")
        self.barrier(connection)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.requests(), [])

    def test_a_lost_connection_does_not_end_the_wait(self):
        rig, connection = self.wait_for_target()
        connection.close()
        rig.sim.qube_start(name="work")
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_it_is_attached_again_at_each_start(self):
        rig, _ = self.wait_for_target()
        for count in (1, 2, 3):
            rig.sim.qube_start(name="work")
            rig.daemon.wait_outcome("sda", 200, count)
            rig.daemon.wait_no_jobs()
            rig.sim.qube_stop(name="work")
        self.assertEqual(rig.requests(), [LOOK, PINNED] * 3)

    def test_what_a_plain_rule_had_attached_comes_back_too(self):
        rig = self.start(TO_WORK)
        connection = self.attach_stick(rig)
        rig.sim.qube_stop(name="work")
        self.barrier(connection)
        rig.sim.qube_start(name="work")
        rig.daemon.wait_outcome("sda", 200, 2)
        self.assertEqual(rig.requests(), [LOOK, PINNED])

    def test_what_the_person_had_attached_does_not_come_back(self):
        rig = self.start(TO_WORK)
        rig.sim.attach(backend="sys-usb", port="sda", target="work")
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 201)
        rig.mark()
        rig.sim.qube_stop(name="work")
        rig.sim.qube_start(name="work")
        self.barrier(connection)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.requests(), [])

    def test_any_of_several_targets_may_be_the_one_that_starts(self):
        rig = self.start("r: allow block type disk to { vault work } "
                         "when-running\n", world("Halted"))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 307)
        rig.sim.qube_start(name="work")
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        self.assertEqual(rig.count("Start"), 0)

    def test_several_devices_wait_for_one_target(self):
        rig = self.start(WHEN, world("Halted", sticks(3)))
        connection = self.forwarder(rig)
        for name in ("sda", "sdb", "sdc"):
            self.assert_told(connection, connection.add(
                "block", name, **STICK), 300)
        rig.sim.qube_start(name="work")
        for name in ("sda", "sdb", "sdc"):
            rig.daemon.wait_outcome(name, 200)
        self.assertEqual(rig.count("Start"), 0)


class StartFails(DaemonCase):
    """520, with the reason for dom0 alone."""

    def check(self, detail: str, code: int = 520, **fault) -> None:
        """A Start that goes wrong like this is told so."""
        rig = self.start(scenario=world("Halted"))
        rig.sim.fault(method="admin.vm.Start", **fault)
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", code, detail)
        self.assertEqual(rig.requests(), [LOOK, PINNED, BOOT])

    def test_a_start_that_fails(self):
        self.check("Start failed", do="fail")

    def test_not_enough_memory(self):
        self.check("Not enough memory", do="exception", type="QubesMemoryError",
                   message="Not enough memory to start domain 'work'")

    def test_no_agent_in_the_qube(self):
        self.check("qrexec agent", do="exception", type="QubesVMError",
                   message="Cannot connect to qrexec agent for 60 seconds")

    def test_a_target_that_may_not_be_started(self):
        rig = self.start(scenario=world("Halted", qubes={"work": {
            "state": "Halted", "prohibit_start": "not on Sundays"}}))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 520, "not on Sundays")

    def test_garbage_is_qubesds_refusal(self):
        self.check("no sense", 502, do="garbage")

    def test_all_devices_that_wait_for_it_are_told(self):
        rig = self.start(scenario=world("Halted", sticks(3)))
        rig.sim.fault(method="admin.vm.Start", do="fail")
        connection = self.by_hand(rig)
        with rig.sim.held(method="admin.vm.Start") as hold:
            for name in ("sda", "sdb", "sdc"):
                connection.add("block", name, **STICK)
            rig.sim.wait_held(id=hold)
            for name in ("sda", "sdb", "sdc"):
                rig.daemon.wait_job("starting-target", name)
        for seq in (1, 2, 3):
            self.assert_told(connection, seq, 300)
        self.assertEqual(rig.count("Start"), 1)
        for name in ("sda", "sdb", "sdc"):
            self.assert_last(rig, name, 520, "Start failed")

    def test_a_start_that_does_nothing_tells_the_state(self):
        for state in ("Paused", "Suspended", "Crashed"):
            with self.subTest(state=state):
                rig = self.start(scenario=world(state, behaviour={
                    "not_running_states": [state]}))
                connection = self.by_hand(rig)
                self.assert_told(connection,
                                 connection.add("block", "sda", **STICK), 300)
                self.assert_last(rig, "sda", 520, f"(?i)work is {state}")
                self.assertEqual(rig.requests(), [
                    LOOK, PINNED, BOOT, LOOK, PINNED,
                    request("admin.vm.CurrentState", "", "work")])

    def test_a_halting_target_is_started_once_it_is_down(self):
        rig = self.start(scenario=world("Halting", behaviour={
            "not_running_states": ["Halting"]}))
        connection = self.by_hand(rig)
        connection.add("block", "sda", **STICK)
        rig.daemon.wait_job("pausing")
        rig.sim.qube_stop(name="work")
        self.assert_told(connection, 1, 200)
        # one more where the pause was over before, and as often as it tries
        self.assertIn(rig.count("Start"), (2, 3, 4))

    def test_the_answer_to_start_may_be_empty(self):
        rig = self.start(scenario=world("Halted"))
        rig.sim.fault(method="admin.vm.Start", do="empty-after")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assertEqual(rig.requests(), [LOOK, PINNED, BOOT, LOOK, PINNED])


class Usb(DaemonCase):
    """A whole USB device goes only into a target that was seen to run."""

    def test_it_is_attached_pinned(self):
        rig = self.start("r: allow usb id 0781:5581 to work\n")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        calls = [bytes(call).split(b" ")[0] for call in rig.requests()]
        self.assertEqual(calls[:2], [b"admin.vm.device.usb.Available+2-1",
                                     b"admin.vm.CurrentState+"])
        self.assertEqual(len(calls), 3)
        self.assertTrue(calls[2].startswith(
            b"admin.vm.device.usb.Attach+sys-usb+2-1+0781+5581"))
        rig.sim.wait_attached(backend="sys-usb", port="2-1", target="work")
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)


class Deny(DaemonCase):
    """deny: 302."""

    def test_a_denied_device_costs_no_call(self):
        rig = self.start("no: deny block id 0781:*\n" + TO_WORK)
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assertEqual(self.assert_last(rig, "sda", 302)["rule"], "no")
        self.assertEqual(rig.requests(), [])

    def test_the_first_match_wins(self):
        rig = self.start(TO_WORK + "no: deny block id 0781:*\n")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)

    def test_a_record_that_is_denied_now_detaches_nothing(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        for rules, code in (("no: deny any\n", 302), ("", 301)):
            rig.daemon.rules(rules)
            rig.daemon.reload()
            self.assert_told(connection,
                             connection.change("block", "sda", **STICK), 300)
            self.assert_last(rig, "sda", code)
        self.assertEqual(rig.requests(), [])
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        # but it is still ours: an unplug detaches it
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.requests(), [SHOW, TAKE_OFF])

    def test_a_rule_for_another_source_is_none(self):
        rig = self.start("r: allow block type disk from sys-net to work\n")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 301)


class Told(DaemonCase):
    """What sys-usb may learn."""

    def test_no_answer_names_target_rule_or_reason(self):
        secret = "topsecret"
        cases = [(f"{secret}: deny any\n", {}),
                 (f"{secret}: allow block type disk to {secret}\n", {}),
                 (f"{secret}: allow block type disk to {secret} if-running\n", {}),
                 ("", {})]
        for rules, _ in cases:
            with self.subTest(rules=rules):
                rig = self.start(rules, world(qubes={secret: {"state": "Halted"}}))
                rig.sim.fault(method="admin.vm.Start", do="fail")
                connection = self.by_hand(rig)
                connection.add("block", "sda", **STICK)
                self.assertEqual(connection.stream.read_until(b"\n"),
                                 b'{"seq":1,"code":300,"status":"not-attached"}')


if __name__ == "__main__":
    unittest.main()
