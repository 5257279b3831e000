# SPDX-License-Identifier: GPL-2.0-or-later
"""Unplugged or replaced, at every point of a job; and what remove undoes."""

import unittest

from daemoncase import (ATTACH, ATTACHED, AVAILABLE, DETACH, LOOK, PINNED, SHOW,
                        START, STATE, STICK, TAKE_OFF, DaemonCase, request, stick,
                        world)

TWO = "r: allow block type disk to { vault work }\n"


class Remove(DaemonCase):
    """The record `remove`."""

    def test_what_we_attached_is_detached(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        rig.sim.wait_detached(backend="sys-usb", port="sda")
        self.assert_last(rig, "sda", 203)
        self.assertEqual(rig.requests(), [SHOW, TAKE_OFF])

    def test_what_went_away_by_itself_is_detached_all_the_same(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        self.assert_told(connection, connection.remove("block", "sda"), 203)

    def test_a_device_never_heard_of_costs_no_call(self):
        rig = self.start()
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.remove("block", "sdx"), 203)
        self.assert_told(connection, connection.remove("usb", "3-1.4"), 203)
        self.assertEqual(rig.requests(), [])

    def test_a_second_remove_costs_no_call(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.requests(), [SHOW, TAKE_OFF])

    def test_two_removes_at_once_share_one_detach(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        with rig.sim.held(method=DETACH) as hold:
            connection.remove("block", "sda")
            rig.sim.wait_held(id=hold)
            connection.remove("block", "sda")
        self.assert_told(connection, 2, 203)
        self.assert_told(connection, 3, 203)
        self.assertEqual(rig.requests(), [SHOW, TAKE_OFF])

    def test_what_a_person_attached_is_not_touched(self):
        rig = self.start()
        rig.sim.attach(backend="sys-usb", port="sda", target="work")
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 201)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.requests(), [LOOK])
        self.assertEqual(rig.sim.wait_attached(backend="sys-usb", port="sda"),
                         {"target": "work"})

    def test_a_device_that_no_rule_named_costs_no_call(self):
        rig = self.start("")
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.requests(), [])

    def test_a_detach_that_says_not_attached_is_detached(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        rig.sim.fault(method=DETACH, do="exception", type="DeviceNotAssigned")
        self.assert_told(connection, connection.remove("block", "sda"), 203)

    def test_a_target_that_is_no_more_has_nothing_attached(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        rig.sim.fault(method=DETACH, do="exception", type="QubesVMNotFoundError")
        self.assert_told(connection, connection.remove("block", "sda"), 203)

    def test_an_empty_answer_to_detach_is_looked_into(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        rig.sim.fault(method=DETACH, do="empty-after")
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.requests(), [SHOW, TAKE_OFF, SHOW])

    def test_a_detach_that_failed_once_is_tried_again(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        rig.sim.fault(method=DETACH, do="fail")
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.requests(), [SHOW, TAKE_OFF, SHOW, SHOW, TAKE_OFF])
        rig.sim.wait_detached(backend="sys-usb", port="sda")

    def test_a_detach_that_always_fails_is_told_as_not_attached(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        rig.sim.fault(method=DETACH, do="fail", count=-1)
        self.assert_told(connection, connection.remove("block", "sda"), 300)
        self.assert_last(rig, "sda", 521)
        self.assertEqual(rig.count("Detach"), 4)

    def test_a_detach_that_failed_is_tried_again_at_the_next_remove(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        rig.sim.fault(method=DETACH, do="garbage")
        rig.sim.fault(method=ATTACHED, do="garbage")
        self.assert_told(connection, connection.remove("block", "sda"), 300)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        rig.sim.wait_detached(backend="sys-usb", port="sda")

    def test_add_after_remove_is_a_new_plug(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        for _ in range(3):
            self.assert_told(connection, connection.remove("block", "sda"), 203)
            self.assert_told(connection,
                             connection.add("block", "sda", **STICK), 200)
        self.assertEqual(rig.requests(), [SHOW, TAKE_OFF, LOOK, PINNED] * 3)

    def test_an_add_during_the_detach_waits_for_it(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        with rig.sim.held(method=DETACH) as hold:
            remove = connection.remove("block", "sda")
            rig.sim.wait_held(id=hold)
            add = connection.add("block", "sda", **STICK)
            self.assertEqual(rig.daemon.wait_job("queued")["device"], "sda")
            self.assertEqual(rig.requests(), [SHOW, TAKE_OFF])
        self.assert_told(connection, remove, 203)
        self.assert_told(connection, add, 200)
        self.assertEqual(rig.requests(), [SHOW, TAKE_OFF, LOOK, PINNED])

    def test_a_remove_of_what_waits_for_the_detach_ends_it(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        with rig.sim.held(method=DETACH) as hold:
            connection.remove("block", "sda")
            rig.sim.wait_held(id=hold)
            add = connection.add("block", "sda", **STICK)
            again = connection.remove("block", "sda")
            self.assert_told(connection, add, 300)
        self.assert_told(connection, again, 203)
        self.assertEqual(rig.requests(), [SHOW, TAKE_OFF])
        self.assertEqual([o["code"] for o in rig.daemon.outcomes("sda")],
                         [200, 311, 203])


class AtEachPoint(DaemonCase):
    """The stick goes while a call of its job is under way."""

    def interrupt(self, method: str, phase: str = "begin", *, rules: str = "",
                  scenario: dict | None = None, faults: tuple = ()) -> tuple:
        """Hold the call, unplug, let go; everything ends 311 and 203."""
        rig = self.start(rules or TWO.replace("vault ", ""), scenario)
        for fault in faults:
            rig.sim.fault(**fault)
        connection = self.forwarder(rig)
        with rig.sim.held(method=method, phase=phase) as hold:
            add = connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            remove = connection.remove("block", "sda")
            # who asked for the attach need not wait for the call
            self.assert_told(connection, add, 300)
        self.assert_told(connection, remove, 203)
        self.assertIn(311, [o["code"] for o in rig.daemon.outcomes("sda")])
        rig.daemon.wait_no_jobs()
        rig.sim.wait_detached(backend="sys-usb", port="sda")
        self.assertEqual(rig.daemon.status()["sources"][0]["n_devices"], 0)
        return rig, connection

    def test_while_checking(self):
        rig, _ = self.interrupt(AVAILABLE)
        self.assertEqual(rig.requests(), [LOOK])

    def test_while_selecting_a_target(self):
        rig, _ = self.interrupt(STATE, rules=TWO)
        self.assertEqual(rig.count("Attach"), 0)

    def test_before_the_attach_is_done(self):
        for dialect in ("4.3", "4.4"):
            with self.subTest(dialect=dialect):
                rig, _ = self.interrupt(ATTACH,
                                        scenario=world(dialect=dialect))
                self.assertIn(TAKE_OFF, rig.requests())

    def test_after_the_attach_is_done_but_not_answered(self):
        rig, _ = self.interrupt(ATTACH, "answer")
        self.assertEqual(rig.requests(), [LOOK, PINNED, SHOW, TAKE_OFF])

    def test_while_the_hypervisor_works_on_the_attach(self):
        rig, _ = self.interrupt(ATTACH, "work")
        self.assertEqual(rig.requests(), [LOOK, PINNED, SHOW, TAKE_OFF])

    def test_while_an_attach_fails(self):
        rig, _ = self.interrupt(ATTACH, faults=({"method": ATTACH, "do": "fail"},))
        self.assertEqual(rig.count("Attach"), 1)

    def test_while_an_attach_to_a_halted_target_is_answered(self):
        rig, _ = self.interrupt(ATTACH, scenario=world("Halted"))
        self.assertEqual(rig.requests(), [LOOK, PINNED])
        self.assertEqual(rig.sim.state()["qubes"]["work"]["state"], "Halted")

    def test_while_the_target_starts(self):
        rig, _ = self.interrupt(START, scenario=world("Halted"))
        rig.sim.wait_qube(name="work", state="Running")
        self.assertEqual(rig.count("Attach"), 1)

    def test_while_rechecking(self):
        rig = self.start(scenario=world("Halted"))
        connection = self.forwarder(rig)
        with rig.sim.held(method=START, phase="answer") as start:
            add = connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=start)
            recheck = rig.sim.hold(method=AVAILABLE)["id"]
        rig.sim.wait_held(id=recheck)
        remove = connection.remove("block", "sda")
        self.assert_told(connection, add, 300)
        self.assert_told(connection, remove, 203)
        rig.sim.release(id=recheck)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.count("Attach"), 1)
        self.assertEqual(rig.count("Detach"), 0)

    def test_while_verifying(self):
        rig, _ = self.interrupt(ATTACHED, faults=(
            {"method": ATTACH, "do": "empty-after"},))
        self.assertEqual(rig.requests(), [LOOK, PINNED, SHOW, SHOW, TAKE_OFF])

    def test_while_diagnosing_a_start(self):
        rig, _ = self.interrupt(
            STATE, scenario=world("Paused", behaviour={
                "not_running_states": ["Paused"]}))
        self.assertEqual(rig.count("Detach"), 0)

    def test_while_pausing_before_another_try(self):
        rig = self.start()
        rig.sim.fault(method=ATTACH, do="fail", count=3)
        connection = self.forwarder(rig)
        add = connection.add("block", "sda", **STICK)
        # the third pause is 4 s long: this one is not over before the remove
        rig.sim.wait_call(method=ATTACH, count=3, since=rig.since, done=True)
        rig.daemon.wait_job("pausing")
        remove = connection.remove("block", "sda")
        self.assert_told(connection, add, 300)
        self.assert_told(connection, remove, 203)
        self.assertEqual(rig.requests(), [LOOK, PINNED, SHOW] * 3)

    def test_while_waiting_for_qubesd_to_list_it(self):
        rig = self.start(scenario=world(devices=[]))
        connection = self.forwarder(rig)
        add = connection.add("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-device")
        remove = connection.remove("block", "sda")
        self.assert_told(connection, add, 300)
        self.assert_told(connection, remove, 203)
        self.assert_last(rig, "sda", 311)
        rig.sim.plug(devices=stick())
        self.barrier(connection)
        self.assertEqual(rig.requests(), [LOOK])

    def test_while_qubesd_is_away(self):
        rig = self.start(scenario=world("Halted"))
        connection = self.forwarder(rig)
        with rig.sim.held(method=START) as hold:
            add = connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.crash(service="qubesd")
            rig.daemon.wait_job("awaiting-qubesd")
        remove = connection.remove("block", "sda")
        self.assert_told(connection, add, 300)
        self.assert_told(connection, remove, 203)
        rig.sim.restart(service="qubesd")
        rig.settle()
        self.assertEqual(rig.count("Attach"), 0)

    def test_an_attach_that_took_effect_late_is_undone_before_the_next(self):
        rig = self.start()
        connection = self.forwarder(rig)
        with rig.sim.held(method=ATTACH, phase="answer") as hold:
            first = connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            remove = connection.remove("block", "sda")
            second = connection.add("block", "sda", **{**STICK, "diskseq": 8})
            self.assert_told(connection, first, 300)
            rig.daemon.wait_job("queued")
        self.assert_told(connection, remove, 203)
        self.assert_told(connection, second, 200)
        self.assertEqual(rig.requests(), [LOOK, PINNED, SHOW, TAKE_OFF, LOOK, PINNED])
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_the_undoing_detach_that_fails_leaves_300(self):
        rig = self.start()
        rig.sim.fault(method=DETACH, do="garbage", count=-1)
        rig.sim.fault(method=ATTACHED, do="garbage", count=-1)
        connection = self.forwarder(rig)
        with rig.sim.held(method=ATTACH, phase="answer") as hold:
            add = connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            remove = connection.remove("block", "sda")
            self.assert_told(connection, add, 300)
        self.assert_told(connection, remove, 300)


class Replaced(DaemonCase):
    """Another plug under the same name, without a remove."""

    def check_attached(self, change: dict) -> None:
        """What was attached is detached, then the new one is attached."""
        rig = self.start("r: allow block type disk to work\n")
        connection = self.attach_stick(rig)
        self.assert_told(connection, connection.add(
            "block", "sda", **{**STICK, **change}), 200)
        self.assertEqual(rig.requests()[:3], [SHOW, TAKE_OFF, LOOK])
        self.assertEqual(rig.count("Attach"), 1)
        self.assertEqual([o["code"] for o in rig.daemon.outcomes("sda")],
                         [200, 203, 200])

    def check_others(self, change: dict, identity: str) -> None:
        """What the target has is the new one: we did not attach that."""
        rig = self.start("r: allow block type disk to work\n")
        connection = self.attach_stick(rig)
        rig.sim.set_identity(backend="sys-usb", port="2-1", identity=identity)
        self.assert_told(connection, connection.add(
            "block", "sda", **{**STICK, **change}), 201)
        self.assertEqual(rig.requests(), [SHOW, LOOK])
        self.assertEqual([o["code"] for o in rig.daemon.outcomes("sda")],
                         [200, 203, 201])
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.requests(), [SHOW, LOOK])

    def test_another_diskseq(self):
        self.check_attached({"diskseq": 8})

    def test_another_serial(self):
        self.check_attached({"serial": "OTHER"})

    def test_another_path(self):
        self.check_attached({"path": "pci-0000:00:14.0-usb-0:2"})

    def test_another_product(self):
        self.check_others({"product_id": "5582"}, "0781:5582:4C530001:u080650")

    def test_another_vendor(self):
        self.check_others({"vendor_id": "0782"}, "0782:5581:4C530001:u080650")

    def test_in_work_ends_the_old_job_311(self):
        rig = self.start()
        connection = self.forwarder(rig)
        with rig.sim.held(method=AVAILABLE) as hold:
            first = connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            second = connection.change(
                "block", "sda", **{**STICK, "diskseq": 8})
            self.assert_told(connection, first, 300)
            self.assert_last(rig, "sda", 311)
        self.assert_told(connection, second, 200)

    def test_something_else_that_changes_is_the_same_plug(self):
        rig = self.start("r: allow block type disk to work\n")
        connection = self.attach_stick(rig)
        self.assert_told(connection, connection.change("block", "sda", **{
            **STICK, "fs_type": "ext4", "fs_label": "x", "size": 512}), 201)
        self.assertEqual(rig.requests(), [LOOK])


class Shutdown(DaemonCase):
    """The source goes down: all of its plugs are gone."""

    def test_a_job_in_work_ends_311(self):
        rig = self.start()
        connection = self.forwarder(rig)
        with rig.sim.held(method=AVAILABLE) as hold:
            add = connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.qube_stop(name="sys-usb")
            self.assert_told(connection, add, 300)
        self.assert_last(rig, "sda", 311)
        # the source has nothing and is off: it may be forgotten by now
        self.assertFalse(any(source["n_devices"] for source in
                             rig.daemon.wait_no_jobs()["sources"]))
        self.assertEqual(rig.requests(), [LOOK])

    def test_what_was_attached_needs_no_detach(self):
        rig = self.start()
        self.attach_stick(rig)
        rig.sim.qube_stop(name="sys-usb")
        rig.daemon.wait_status(lambda status: status["sources"][0]["n_devices"] == 0,
                               "no devices")
        self.assertEqual(rig.requests(), [])

    def test_another_qube_going_down_changes_nothing(self):
        rig = self.start(scenario=world(qubes={"vault": {"state": "Running"}}))
        connection = self.attach_stick(rig)
        rig.sim.qube_stop(name="vault")
        self.assert_told(connection, connection.change("block", "sda", **STICK), 201)
        self.assertEqual(rig.requests(), [LOOK])


class Wrong(DaemonCase):
    """qubesd attached something else."""

    def test_an_unpinned_attach_of_another_device_is_detached_521(self):
        rig = self.start(scenario=world(devices=stick(serial="a b") + stick(
            "sdb", "2-2", "4C530002")))
        connection = self.forwarder(rig)
        # between the look and the attach another stick came under the name
        with rig.sim.held(method=ATTACH) as hold:
            add = connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.set_identity(backend="sys-usb", port="2-1",
                                 identity="dead:beef:1:u080650")
        self.assert_told(connection, add, 300)
        self.assert_last(rig, "sda", 521, "another device")
        rig.sim.wait_detached(backend="sys-usb", port="sda")
        self.assertEqual(rig.requests(), [
            LOOK, request(ATTACH, "sys-usb+sda", "work"), SHOW, SHOW, TAKE_OFF])

    def test_an_unpinned_attach_that_took_another_port_is_no_success(self):
        rig = self.start(scenario=world(devices=stick(serial="a b") + stick(
            "sdb", "2-2", "4C530002")))
        rig.sim.fault(method=ATTACH, do="wrong-device", port="sdb", count=-1)
        connection = self.forwarder(rig)
        add = connection.add("block", "sda", **STICK)
        rig.sim.wait_call(method=ATTACHED, since=rig.since, done=True)
        rig.daemon.wait_job("pausing")
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assert_told(connection, add, 300)


class Crash(DaemonCase):
    """Nothing is left over by a client that is gone."""

    @staticmethod
    def about_devices(rig) -> list[bytes]:
        """Nobody reports any more: also whether the source runs is asked."""
        runs = request("admin.vm.CurrentState", "", "sys-usb")
        return [each for each in rig.requests() if each != runs]

    def test_a_job_goes_on_when_its_connection_is_gone(self):
        rig = self.start()
        connection = self.by_hand(rig)
        with rig.sim.held(method=ATTACH) as hold:
            connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            connection.close()
            rig.daemon.wait_status(
                lambda status: status["sources"][0]["n_connections"] == 0,
                "no connection")
        rig.daemon.wait_outcome("sda", 200)
        self.assertEqual(self.about_devices(rig), [LOOK, PINNED])

    def test_a_lost_connection_forgets_nothing(self):
        rig = self.start()
        self.attach_stick(rig).close()
        again = self.by_hand(rig)
        self.assert_told(again, again.remove("block", "sda"), 203)
        self.assertEqual(self.about_devices(rig), [SHOW, TAKE_OFF])


if __name__ == "__main__":
    unittest.main()
