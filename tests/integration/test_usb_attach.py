# SPDX-License-Identifier: GPL-2.0-or-later
"""Class usb: whole devices, one attach at a time per target (DESIGN 6)."""

import unittest

from usbcase import (ANY, ATTACHES, KEY, STICK, USB, USB_ATTACH, USB_ATTACHED,
                     USB_AVAILABLE, USB_DETACH, USB_PINNED, USB_TAKE_OFF, UsbCase,
                     harness, request, stick, sticks, usb_n, world)

START = "admin.vm.Start"
STATE = "admin.vm.CurrentState"
LOOK = request(USB_AVAILABLE, "2-1", "sys-usb")


class Passthrough(UsbCase):
    """The same rules, the whole device."""

    def test_it_goes_into_its_qube_pinned_after_one_look(self):
        for dialect in ("4.3", "4.4"):
            with self.subTest(dialect=dialect):
                rig = self.start(dialect=dialect)
                connection = self.by_hand(rig)
                self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
                self.assert_attached(rig, "2-1", "work")
                requests = rig.requests()
                self.assertEqual(requests[0], LOOK)
                self.assertEqual(requests[-1], USB_PINNED)
                self.assertEqual(rig.count("Attach"), 1)
                self.assertEqual(rig.calls(method=USB_AVAILABLE)[0]["arg"], "2-1")
                self.assertEqual(rig.count("Available", arg=""), 0)

    def test_a_halted_target_is_started_once_and_the_device_looked_up_again(self):
        rig = self.start(scenario=world("Halted"))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        self.assertEqual(rig.count("Start"), 1)
        order = [call["method"] for call in rig.calls()
                 if call["method"] in (START, USB_AVAILABLE, USB_ATTACH)]
        self.assertEqual(order[order.index(START):],
                         [START, USB_AVAILABLE, USB_ATTACH])
        self.assert_attached(rig, "2-1", "work")

    def test_another_device_after_the_start_is_not_attached(self):
        rig = self.start(scenario=world("Halted"))
        connection = self.by_hand(rig)
        with rig.sim.held(method=START) as hold:
            connection.add("usb", "2-1", **USB)
            rig.sim.wait_held(id=hold)
            rig.sim.set_identity(backend="sys-usb", port="2-1",
                                 identity="abcd:1234::u030101")
        self.assert_told(connection, 1, 300)
        self.assert_last(rig, "2-1", 311)
        self.assert_attached(rig, "2-1", None)

    def test_already_there_is_201_and_elsewhere_310(self):
        for target, told, code in (("work", 201, 201), ("vault", 300, 310)):
            with self.subTest(target=target):
                rig = self.start(scenario=world(
                    qubes={"vault": {"state": "Running"}}))
                rig.sim.attach(backend="sys-usb", port="2-1", target=target)
                connection = self.by_hand(rig)
                self.assert_told(connection,
                                 connection.add("usb", "2-1", **USB), told)
                self.assert_last(rig, "2-1", code)
                self.assertEqual(rig.count("Attach"), 0)
                self.assert_told(connection, connection.remove("usb", "2-1"), 203)
                self.assertEqual(rig.count("Detach"), 0)

    def test_qubesds_event_continues_a_job_that_waits_for_it(self):
        rig = self.start(scenario=world(devices=[]))
        connection = self.by_hand(rig)
        connection.add("usb", "2-1", **USB)
        rig.daemon.wait_job("awaiting-device", "2-1")
        rig.sim.plug(**{("class_" if key == "class" else key): value
                        for key, value in stick()[0].items()})
        self.assert_told(connection, 1, 200)
        self.assertEqual(rig.count("Available", arg="2-1"), 1)

    def test_an_identity_that_is_not_safe_is_never_put_on_the_wire(self):
        devices = stick()
        devices[0]["identity"] = "0781:5581:a b'c:u080650"
        rig = self.start(scenario=world(devices=devices))
        connection = self.by_hand(rig)
        seq = connection.add("usb", "2-1", **{**USB, "serial": "a b'c"})
        self.assert_told(connection, seq, 200)
        self.assertIn(request(USB_ATTACH, "sys-usb+2-1", "work"), rig.requests())
        self.assert_last(rig, "2-1", 200, "(?i)pin|identity")

    def test_a_stick_that_has_become_a_keyboard_is_not_attached(self):
        # its removal and the keyboard wait behind other records
        devices = stick()
        devices[0]["identity"] = "0781:5581:4C530001:u030101"
        rig = self.start(scenario=world(devices=devices))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 300)
        self.assert_last(rig, "2-1", 311, "another device")
        self.assertEqual(rig.count("Attach"), 0)

    def test_what_we_attached_is_detached_when_it_is_unplugged(self):
        rig = self.start()
        connection = self.attach_usb(rig)
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        self.assertEqual(rig.calls(method=USB_DETACH)[0]["request"],
                         USB_TAKE_OFF.hex())
        self.assertEqual(rig.count("Detach"), 1)
        rig.sim.wait_detached(backend="sys-usb", port="2-1")

    def test_what_went_away_by_itself_is_203_too(self):
        rig = self.start()
        connection = self.attach_usb(rig)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        rig.daemon.wait_no_jobs()

    def test_an_any_rule_takes_usb_devices_without_its_block_options(self):
        rig = self.start("r: allow any id 0781:5581 to work read-only\n")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        self.assertEqual(rig.calls(method=USB_ATTACH)[0]["payload"], "")

    def test_a_port_behind_a_hub_is_named_with_dots(self):
        devices = stick("sda", "2-1.4.2")
        rig = self.start(scenario=world(devices=devices))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1.4.2", **USB), 200)
        self.assert_attached(rig, "2-1.4.2", "work")

    def test_interface_conditions(self):
        for rule, code in (
                ("r: allow usb interface { 08* } to work", 200),
                ("r: allow usb only-interface { 0806* 03* } to work", 200),
                ("r: allow usb interface { 03* } to work", 301),
                ("r: allow usb only-interface { 03* } to work", 301),
                ("no: deny usb interface { 08* }\nr: allow usb to work", 302),
                ("r: allow block interface { 08* } to work", 301)):
            with self.subTest(rule=rule):
                rig = self.start(rule + "\n")
                connection = self.by_hand(rig)
                self.assert_told(connection, connection.add("usb", "2-1", **USB),
                                 200 if code == 200 else 300)
                self.assert_last(rig, "2-1", code)

    def test_a_composite_device_with_one_interface_too_many_does_not_match(self):
        rig = self.start("r: allow usb only-interface { 08* } to work\n")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **{
            **USB, "interfaces": ["080650", "030101"]}), 300)
        self.assert_last(rig, "2-1", 301)


class Words(UsbCase):
    """What went wrong is told in words, for dom0."""

    def test_the_proxy_is_not_installed_in_the_target(self):
        rig = self.start(scenario=world(qubes={
            "work": {"state": "Running", "usb_proxy": False}}))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 300)
        outcome = self.assert_last(rig, "2-1", 521, "(?i)usb-?proxy")
        self.assertRegex(outcome["detail"], "(?i)not installed")
        # another try would find it as little
        self.assertEqual(rig.count("Attach"), 1)

    def test_an_attach_that_always_fails_is_521_after_all_tries(self):
        rig = self.start()
        rig.sim.fault(method=USB_ATTACH, do="fail", count=-1,
                      message="no free port")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 300)
        self.assert_last(rig, "2-1", 521, "no free port")
        self.assertEqual(rig.count("Attach"), 4)

    def test_an_attach_that_fails_once_is_tried_again(self):
        rig = self.start()
        rig.sim.fault(method=USB_ATTACH, do="fail")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        self.assertEqual(rig.count("Attach"), 2)

    def test_an_empty_answer_that_did_attach_is_200(self):
        rig = self.start()
        rig.sim.fault(method=USB_ATTACH, do="empty-after")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        self.assertEqual(rig.count("Attach"), 1)
        self.assertEqual(rig.count("Attached"), 1)

    def test_garbage_is_502_and_not_retried(self):
        rig = self.start()
        rig.sim.fault(method=USB_ATTACH, do="garbage")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 300)
        self.assert_last(rig, "2-1", 502)
        self.assertEqual(rig.count("Attach"), 1)


class OnlyRunning(UsbCase):
    """An attach into a paused qube never returns: it is not begun."""

    def test_a_target_that_is_paused_is_told_and_not_touched(self):
        for state in ("Paused", "Suspended"):
            with self.subTest(state=state):
                rig = self.start(scenario=world(state))
                connection = self.by_hand(rig)
                self.assert_told(connection, connection.add("usb", "2-1", **USB), 300)
                self.assert_last(rig, "2-1", 520, f"(?i){state}")
                self.assertEqual(rig.count("Attach"), 0)

    def test_a_target_that_is_coming_up_gets_it_when_it_is_up(self):
        rig = self.start(scenario=world("Transient"))
        connection = self.by_hand(rig)
        connection.add("usb", "2-1", **USB)
        rig.daemon.wait_job("pausing", "2-1")
        rig.sim.qube_state(name="work", state="Running")
        self.assert_told(connection, 1, 200)
        self.assert_attached(rig, "2-1", "work")

    def test_if_running_leaves_a_halted_target_alone(self):
        rig = self.start("r: allow usb id 0781:5581 to work if-running\n",
                         world("Halted"))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 300)
        self.assert_last(rig, "2-1", 306)
        self.assertEqual(rig.count("Start"), 0)

    def test_when_running_waits_for_the_target(self):
        rig = self.start("r: allow usb id 0781:5581 to work when-running\n",
                         world("Halted"))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 300)
        self.assert_last(rig, "2-1", 307)
        rig.sim.qube_start(name="work")
        rig.daemon.wait_outcome("2-1", 200)
        self.assert_attached(rig, "2-1", "work")
        self.assertEqual(rig.count("Start"), 0)


class Turns(UsbCase):
    """One at a time per target; what fails or hangs holds up no other."""

    def plug(self, rules: str, count: int, **more) -> tuple:
        """A rig with so many sticks, and a forwarder."""
        rig = self.start(rules, world(devices=sticks(count), **more))
        return rig, self.forwarder(rig)

    def test_devices_of_one_target_go_one_after_the_other(self):
        rig, connection = self.plug(KEY, 4)
        with rig.sim.held(method=USB_ATTACH, phase="work") as hold:
            for n in range(4):
                connection.add("usb", f"2-{n + 1}", **usb_n(n))
            rig.sim.wait_held(id=hold)
            self.barrier(connection)
            self.assertEqual(len(rig.sim.calls(method=USB_ATTACH)), 1)
        for seq in range(1, 5):
            self.assert_told(connection, seq, 200)
        self.assertEqual(rig.sim.most_at_once(USB_ATTACH), 1)
        self.assertEqual(rig.count("Attach"), 4)

    def test_two_targets_do_not_wait_for_each_other(self):
        rig, connection = self.plug(
            'one: allow usb serial "4C530001" to work\n'
            'two: allow usb serial "4C530002" to vault\n', 2,
            qubes={"vault": {"state": "Running"}})
        with rig.sim.held(method=USB_ATTACH, phase="work") as hold:
            for n in range(2):
                connection.add("usb", f"2-{n + 1}", **usb_n(n))
            rig.sim.wait_held(id=hold, count=2)
        for seq in (1, 2):
            self.assert_told(connection, seq, 200)

    def test_block_devices_do_not_wait_for_usb_devices(self):
        rig, connection = self.plug(
            'one: allow usb serial "4C530001" to work\n'
            'two: allow block serial "4C530002" to work\n', 2)
        with rig.sim.held(method=USB_ATTACH, phase="work") as hold:
            usb = connection.add("usb", "2-1", **USB)
            rig.sim.wait_held(id=hold)
            disk = connection.add("block", "sdb", parent="2-2",
                                  **{**STICK, "serial": "4C530002"})
            self.assert_told(connection, disk, 200)
        self.assert_told(connection, usb, 200)

    def test_one_that_fails_gives_its_turn_to_the_next(self):
        rig, connection = self.plug(KEY, 3)
        rig.sim.fault(method=USB_ATTACH, arg="sys-usb+2-1+*", do="fail", count=-1)
        for n in range(3):
            connection.add("usb", f"2-{n + 1}", **usb_n(n))
        self.assert_told(connection, 2, 200)
        self.assert_told(connection, 3, 200)
        rig.daemon.wait_job("pausing", "2-1")
        self.assertEqual(rig.sim.most_at_once(USB_ATTACH), 1)

    def test_an_unplug_of_one_that_waits_ends_it_and_not_the_others(self):
        rig, connection = self.plug(KEY, 3)
        with rig.sim.held(method=USB_ATTACH, phase="work") as hold:
            for n in range(3):
                connection.add("usb", f"2-{n + 1}", **usb_n(n))
            rig.sim.wait_held(id=hold)
            self.barrier(connection)
            waiting = [job["device"] for job in rig.daemon.status()["jobs"]
                       if job["state"] != "attaching"]
            self.assertEqual(len(waiting), 2)
            remove = connection.remove("usb", waiting[0])
            self.assert_told(connection, remove, 203)
        for n in range(3):
            self.assert_told(connection, n + 1,
                             300 if f"2-{n + 1}" == waiting[0] else 200)
        self.assertEqual(self.codes(rig, waiting[0]), [311])
        self.assertEqual(rig.count("Detach"), 0)

    def test_while_one_hangs_other_targets_and_classes_go_on(self):
        rig, connection = self.plug(
            'one: allow usb serial "4C530001" to work\n'
            'two: allow usb serial "4C530002" to work\n'
            'three: allow usb serial "4C530003" to vault\n'
            'four: allow block serial "4C530004" to work\n', 4,
            qubes={"vault": {"state": "Running"}})
        hold = rig.sim.hold(method=USB_ATTACH, dest="work", phase="work")["id"]
        connection.add("usb", "2-1", **usb_n(0))
        rig.sim.wait_held(id=hold)
        connection.add("usb", "2-2", **usb_n(1))
        self.assert_told(connection, connection.add("usb", "2-3", **usb_n(2)), 200)
        self.assert_told(connection, connection.add(
            "block", "sdd", parent="2-4", **{**STICK, "serial": "4C530004"}), 200)
        self.assertEqual(len(rig.sim.calls(method=USB_ATTACH, dest="work")), 1)
        rig.sim.release(id=hold)
        self.assert_told(connection, 2, 200)

    @harness.takes_a_minute
    def test_past_its_deadline_it_keeps_the_queue_shut_until_it_answers(self):
        rig, connection = self.plug(KEY, 2)
        hold = rig.sim.hold(method=USB_ATTACH, phase="work")["id"]
        first = connection.add("usb", "2-1", **usb_n(0))
        rig.sim.wait_held(id=hold)
        second = connection.add("usb", "2-2", **usb_n(1))
        self.assertEqual(connection.answer(first, 90)["code"], 300)
        self.assert_last(rig, "2-1", 504)
        self.barrier(connection)
        self.assertEqual(len(rig.sim.calls(method=USB_ATTACH)), 1)
        rig.sim.release(id=hold)
        self.assert_told(connection, second, 200)
        # what came of the first is undone with its plug
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        rig.sim.wait_detached(backend="sys-usb", port="2-1")


class OnePlug(UsbCase):
    """A USB device, its disks and their partitions exclude one another."""

    def test_the_disk_of_an_attached_usb_device_is_310(self):
        rig = self.start(ANY)
        connection = self.attach_usb(rig)
        self.assert_told(connection, connection.add(
            "block", "sda", parent="2-1", **STICK), 300)
        self.assert_last(rig, "sda", 310)
        self.assertEqual(rig.count("Attach"), 0)

    def test_the_usb_device_of_an_attached_disk_is_310(self):
        rig = self.start(ANY)
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add(
            "block", "sda", parent="2-1", **STICK), 200)
        rig.mark()
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 300)
        self.assert_last(rig, "2-1", 310)
        self.assert_attached(rig, "sda", "work")
        self.assertEqual(rig.count("Attach"), 0)

    def test_the_usb_device_of_a_disk_that_the_person_attached_is_310(self):
        # qubesd would attach it and rip the disk away from its qube
        for told in ("before", "after"):
            with self.subTest(told=told):
                rig = self.start(KEY, world(qubes={"vault": {"state": "Running"}}))
                connection = self.by_hand(rig)
                if told == "before":
                    rig.sim.attach(backend="sys-usb", port="sda", target="vault")
                self.assert_told(connection, connection.add(
                    "block", "sda", parent="2-1", **STICK), 300)
                if told == "after":
                    rig.sim.attach(backend="sys-usb", port="sda", target="vault")
                self.assert_told(connection, connection.add("usb", "2-1", **USB), 300)
                self.assert_last(rig, "2-1", 310)
                self.assert_attached(rig, "sda", "vault")

    def test_a_disk_that_is_told_while_its_usb_device_is_checked_counts(self):
        # the USB device comes first in a picture
        rig = self.start(KEY, world(qubes={"vault": {"state": "Running"}}))
        rig.sim.attach(backend="sys-usb", port="sda", target="vault")
        connection = self.by_hand(rig)
        with rig.sim.held(method=USB_AVAILABLE) as hold:
            usb = connection.present("usb", "2-1", **USB)
            rig.sim.wait_held(id=hold)
            connection.present("block", "sda", parent="2-1", **STICK)
            connection.synced()
            self.barrier(connection)
        self.assert_told(connection, usb, 300)
        self.assert_last(rig, "2-1", 310)
        self.assert_attached(rig, "sda", "vault")

    def test_a_disk_that_we_have_not_heard_of_counts_too(self):
        # no record tells of it, as with a record sent by hand
        rig = self.start(KEY, world(qubes={"vault": {"state": "Running"}}))
        rig.sim.attach(backend="sys-usb", port="sda", target="vault")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 300)
        self.assert_last(rig, "2-1", 310)
        self.assert_attached(rig, "sda", "vault")

    def test_one_in_work_excludes_the_others_too(self):
        rig = self.start(ANY)
        connection = self.by_hand(rig)
        with rig.sim.held(method=USB_ATTACH) as hold:
            usb = connection.add("usb", "2-1", **USB)
            rig.sim.wait_held(id=hold)
            disk = connection.add("block", "sda", parent="2-1", **STICK)
            self.assert_told(connection, disk, 300)
            self.assert_last(rig, "sda", 310)
        self.assert_told(connection, usb, 200)


class AtEachPoint(UsbCase):
    """It is unplugged while a call of its job is under way."""

    def interrupt(self, method: str, phase: str = "begin",
                  scenario: dict | None = None, faults: tuple = ()) -> harness.Rig:
        """Everything ends 311 and 203, and nothing is left attached."""
        rig = self.start(scenario=scenario)
        for fault in faults:
            rig.sim.fault(**fault)
        connection = self.forwarder(rig)
        with rig.sim.held(method=method, phase=phase) as hold:
            add = connection.add("usb", "2-1", **USB)
            rig.sim.wait_held(id=hold)
            remove = connection.remove("usb", "2-1")
            self.assert_told(connection, add, 300)
        self.assert_told(connection, remove, 203)
        self.assertIn(311, self.codes(rig, "2-1"))
        rig.daemon.wait_no_jobs()
        rig.sim.wait_detached(backend="sys-usb", port="2-1")
        return rig

    def test_while_checking(self):
        rig = self.interrupt(USB_AVAILABLE)
        self.assertEqual(rig.count("Attach"), 0)

    def test_while_the_target_is_looked_at(self):
        rig = self.interrupt(STATE)
        self.assertEqual(rig.count("Attach"), 0)

    def test_while_the_target_starts(self):
        rig = self.interrupt(START, scenario=world("Halted"))
        self.assertEqual(rig.count("Detach"), 0)

    def test_before_the_attach_is_done(self):
        self.interrupt(USB_ATTACH)

    def test_while_the_attach_is_done(self):
        self.interrupt(USB_ATTACH, "work")

    def test_after_the_attach_is_done_but_not_answered(self):
        rig = self.interrupt(USB_ATTACH, "answer")
        self.assertEqual(rig.count("Detach"), 1)

    def test_while_verifying(self):
        rig = self.interrupt(USB_ATTACHED, faults=(
            {"method": USB_ATTACH, "do": "empty-after"},))
        self.assertEqual(rig.count("Detach"), 1)

    def test_really_unplugged_while_the_attach_is_done(self):
        rig = self.start()
        connection = self.forwarder(rig)
        with rig.sim.held(method=USB_ATTACH, phase="work") as hold:
            add = connection.add("usb", "2-1", **USB)
            rig.sim.wait_held(id=hold)
            rig.sim.unplug(backend="sys-usb", port="2-1")
            remove = connection.remove("usb", "2-1")
            self.assert_told(connection, add, 300)
        self.assert_told(connection, remove, 203)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.daemon.status()["sources"][0]["n_devices"], 0)


class Away(UsbCase):
    """qubesd goes in the middle of each call and comes back: jobs go on."""

    def crash_in(self, method: str, phase: str = "begin",
                 target: str = "Running") -> harness.Rig:
        """Crash while the call stands, restart; the job ends with 200."""
        rig = self.start(scenario=world(target))
        connection = self.by_hand(rig)
        with rig.sim.held(method=method, phase=phase) as hold:
            connection.add("usb", "2-1", **USB)
            rig.sim.wait_held(id=hold)
            rig.sim.crash(service="qubesd")
            rig.daemon.wait_status(
                lambda status: status["qubesd"]["state"] == "gone", "gone")
        rig.sim.restart(service="qubesd")
        self.assert_told(connection, 1, 200)
        self.assert_attached(rig, "2-1", "work")
        self.assertEqual(rig.count("Detach"), 0)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.sim.most_at_once(ATTACHES), 1)
        return rig

    def test_while_checking(self):
        self.crash_in(USB_AVAILABLE)

    def test_while_the_target_is_looked_at(self):
        self.crash_in(STATE)

    def test_while_the_target_starts(self):
        for phase in ("begin", "work", "answer"):
            with self.subTest(phase=phase):
                self.crash_in(START, phase, "Halted")

    def test_before_during_and_after_the_attach(self):
        for phase in ("begin", "work", "answer"):
            with self.subTest(phase=phase):
                self.crash_in(USB_ATTACH, phase)

    def test_while_detaching(self):
        for phase in ("begin", "work", "answer"):
            with self.subTest(phase=phase):
                rig = self.start()
                connection = self.attach_usb(rig)
                with rig.sim.held(method=USB_DETACH, phase=phase) as hold:
                    seq = connection.remove("usb", "2-1")
                    rig.sim.wait_held(id=hold)
                    rig.sim.crash(service="qubesd")
                    rig.daemon.wait_status(
                        lambda status: status["qubesd"]["state"] == "gone", "gone")
                rig.sim.restart(service="qubesd")
                self.assert_told(connection, seq, 203)
                self.assert_attached(rig, "2-1", None)

    def test_one_that_waits_for_its_turn_gets_it_after_the_crash(self):
        rig = self.start(scenario=world(devices=sticks(2)))
        connection = self.forwarder(rig)
        with rig.sim.held(method=USB_ATTACH, phase="work") as hold:
            for n in range(2):
                connection.add("usb", f"2-{n + 1}", **usb_n(n))
            rig.sim.wait_held(id=hold)
            self.barrier(connection)
            rig.sim.crash(service="qubesd")
            rig.daemon.wait_status(
                lambda status: status["qubesd"]["state"] == "gone", "gone")
        rig.sim.restart(service="qubesd")
        for seq in (1, 2):
            self.assert_told(connection, seq, 200)
        self.assertEqual(rig.sim.most_at_once(USB_ATTACH, dest="work"), 1)

    def test_the_simulator_itself_is_killed_and_keeps_the_world(self):
        scenario = world(behaviour={"usb_detach_lag": 0})
        sim = self.enterContext(harness.Sim(scenario, keeps_state=True))
        daemon = self.enterContext(harness.Daemon(sim, KEY))
        connection = self.enterContext(daemon.forwarder())
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        sim.kill()
        daemon.wait_status(lambda status: status["qubesd"]["state"] == "gone", "gone")
        sim.start()
        self.assert_told(connection, connection.change("usb", "2-1", **USB), 201)
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        sim.wait_detached(backend="sys-usb", port="2-1")


if __name__ == "__main__":
    unittest.main()
