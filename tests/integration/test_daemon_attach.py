# SPDX-License-Identifier: GPL-2.0-or-later
"""A record reaches its qube: the exact calls and the exact answer."""

import unittest

import harness
from daemoncase import (ATTACH, ATTACHED, AVAILABLE, BOOT, IDENTITY, LOOK, PART,
                        PINNED, SHOW, STATE, STICK, TAKE_OFF, DaemonCase,
                        request, stick, stick_n, sticks, told, world)


class ExactCalls(DaemonCase):
    """What the issue calls done, in both dialects."""

    def check(self, dialect: str, target: str, calls: list[bytes]) -> None:
        """One record by hand makes exactly these calls."""
        rig = self.start(scenario=world(target), dialect=dialect)
        connection = self.by_hand(rig)
        connection.add("block", "sda", **STICK)
        self.assertEqual(connection.stream.read_until(b"\n"),
                         b'{"seq":1,"code":200,"status":"attached"}')
        self.assertEqual(rig.requests(), calls)
        self.assertEqual(rig.sim.wait_attached(backend="sys-usb", port="sda"),
                         {"target": "work"})
        outcome = self.assert_last(rig, "sda", 200)
        self.assertEqual(
            (outcome["rule"], outcome["target"], outcome["label"]),
            ("stick", "work", "SanDisk Ultra"))

    def test_a_running_target_takes_two_calls_on_4_3(self):
        self.check("4.3", "Running", [LOOK, PINNED])

    def test_a_running_target_takes_two_calls_on_4_4(self):
        self.check("4.4", "Running", [LOOK, PINNED])

    def test_a_halted_target_is_started_and_looked_at_again_on_4_3(self):
        self.check("4.3", "Halted", [LOOK, PINNED, BOOT, LOOK, PINNED])

    def test_a_halted_target_is_started_and_looked_at_again_on_4_4(self):
        self.check("4.4", "Halted", [LOOK, PINNED, BOOT, LOOK, PINNED])

    def test_each_call_is_byte_for_byte_as_wire_has_it(self):
        self.assertEqual(
            [LOOK, PINNED, BOOT],
            [b"admin.vm.device.block.Available+sda dom0 name sys-usb\0",
             b"admin.vm.device.block.Attach+sys-usb+sda"
             b"+0781+5581+4C530001+u080650+1.0 dom0 name work\0",
             b"admin.vm.Start+ dom0 name work\0"])

    def test_without_a_rule_no_call_is_made(self):
        rig = self.start("other: allow block id 1234:5678 to work\n")
        connection = self.by_hand(rig)
        connection.add("block", "sda", **STICK)
        self.assertEqual(connection.stream.read_until(b"\n"),
                         b'{"seq":1,"code":300,"status":"not-attached"}')
        self.assertEqual(rig.requests(), [])
        self.assert_last(rig, "sda", 301)

    def test_with_an_empty_folder_no_call_is_made(self):
        rig = self.start("")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assertEqual(rig.requests(), [])
        self.assert_last(rig, "sda", 301)

    def test_the_keyword_form_of_the_descriptor_is_the_same_service(self):
        rig = self.start()
        connection = self.by_hand(rig, kind="keyword")
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)

    def test_answers_in_single_bytes_and_random_order_are_read_the_same(self):
        for seed in (1, 2, 3):
            with self.subTest(seed=seed):
                rig = self.start(seed=seed)
                connection = self.by_hand(rig)
                self.assert_told(connection,
                                 connection.add("block", "sda", **STICK), 200)
                self.assertEqual(rig.requests(), [LOOK, PINNED])


class OldRelease(DaemonCase):
    """4.2 is recognised and refused."""

    def test_nothing_is_attached_and_status_says_why(self):
        rig = self.start(dialect="4.2")
        status = rig.daemon.wait_status(
            lambda status: status["qubesd"]["state"] == "unsupported", "4.2")
        self.assertRegex(status["qubesd"]["detail"], "R4.3")
        rig.mark()
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 503, "R4.3")
        self.assertEqual(rig.count("Attach"), 0)
        self.assertEqual(rig.count("Start"), 0)

    def test_it_attaches_once_a_newer_release_answers(self):
        old = self.start(dialect="4.2")
        old.daemon.wait_status(
            lambda status: status["qubesd"]["state"] == "unsupported", "4.2")
        connection = self.by_hand(old)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        old.sim.crash(service="qubesd")
        with harness.Sim(world(), dialect="4.4") as new:
            # what stands at the old path now is the new one's socket
            old.sim.qubesd_socket.symlink_to(new.qubesd_socket)
            new.wait_attached(backend="sys-usb", port="sda", target="work")
            old.daemon.wait_outcome("sda", 200)
            old.sim.qubesd_socket.unlink()


class Options(DaemonCase):
    """What a rule's options make of the payload."""

    def check(self, options: str, payload: str) -> None:
        """A rule with these options sends this payload."""
        rig = self.start(f"r: allow block type disk to work {options}\n")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assertEqual(rig.requests(), [LOOK, request(
            ATTACH, f"sys-usb+sda+{IDENTITY}", "work", payload)])

    def test_read_only(self):
        self.check("read-only", "_read-only='yes'")

    def test_frontend(self):
        self.check("frontend xvdj", "_frontend-dev='xvdj'")

    def test_cdrom(self):
        self.check("cdrom", "_devtype='cdrom'")

    def test_all_three(self):
        self.check("cdrom frontend xvdk read-only",
                   "_read-only='yes' _frontend-dev='xvdk' _devtype='cdrom'")

    def test_block_options_of_an_any_rule_count(self):
        rig = self.start("r: allow any id 0781:5581 to work read-only\n")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assertEqual(rig.calls(method=ATTACH)[0]["payload"],
                         "_read-only='yes'")


class SeveralTargets(DaemonCase):
    """allow takes the first that runs, else the first."""

    RULE = "r: allow block type disk to { vault work backups }\n"

    def check(self, running: list[str], taken: str) -> list[bytes]:
        """With these qubes running the disk gets there."""
        qubes = {name: {"state": "Running" if name in running else "Halted"}
                 for name in ("vault", "work", "backups")}
        rig = self.start(self.RULE, world(qubes=qubes))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assertEqual(rig.sim.wait_attached(backend="sys-usb", port="sda"),
                         {"target": taken})
        self.assertEqual(self.assert_last(rig, "sda", 200)["target"], taken)
        return [call["dest"] for call in rig.calls(method="admin.vm.Start")]

    def test_the_first_if_it_runs(self):
        self.assertEqual(self.check(["vault", "work"], "vault"), [])

    def test_the_second_if_the_first_does_not_run(self):
        self.assertEqual(self.check(["work", "backups"], "work"), [])

    def test_the_last_if_only_that_runs(self):
        self.assertEqual(self.check(["backups"], "backups"), [])

    def test_the_first_is_started_if_none_runs(self):
        self.assertEqual(self.check([], "vault"), ["vault"])

    def test_a_target_that_does_not_exist_is_passed_over(self):
        rig = self.start("r: allow block type disk to { nosuch work }\n")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assertEqual(self.assert_last(rig, "sda", 200)["target"], "work")

    def test_a_device_in_any_of_them_is_where_the_rule_wants_it(self):
        rig = self.start(self.RULE, world(qubes={"backups": {"state": "Running"}}))
        rig.sim.attach(backend="sys-usb", port="sda", target="backups")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 201)
        self.assertEqual(rig.requests(), [LOOK])


class OneTarget(DaemonCase):
    """Several devices for one qube."""

    def test_a_halted_target_is_started_once_for_all_devices(self):
        devices = [device for n in range(4) for device in stick(
            f"sd{'abcd'[n]}", f"2-{n + 1}", f"4C53000{n}")]
        rig = self.start(scenario=world("Halted", devices))
        connection = self.by_hand(rig)
        with rig.sim.held(method="admin.vm.Start") as hold:
            for name in "abcd":
                connection.add("block", f"sd{name}", **STICK)
            rig.sim.wait_held(id=hold)
            # every one of them has been told that it does not run
            rig.sim.wait_call(method=ATTACH, count=4, since=rig.since, done=True)
            for name in "abcd":
                rig.daemon.wait_job("starting-target", f"sd{name}")
        for seq in (1, 2, 3, 4):
            self.assert_told(connection, seq, 200)
        self.assertEqual(rig.count("Start"), 1)
        for name in "abcd":
            self.assertEqual(rig.sim.wait_attached(
                backend="sys-usb", port=f"sd{name}"), {"target": "work"})

    def test_a_device_that_comes_during_the_start_waits_for_the_same_start(self):
        rig = self.start(scenario=world("Halted", stick() + stick(
            "sdb", "2-2", "4C530002")))
        connection = self.by_hand(rig)
        with rig.sim.held(method="admin.vm.Start", phase="work") as hold:
            connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.behaviour(not_running_states=["Transient"])
            connection.add("block", "sdb", **STICK)
            rig.daemon.wait_job("starting-target", "sdb")
        self.assert_told(connection, 1, 200)
        self.assert_told(connection, 2, 200)
        self.assertEqual(rig.count("Start"), 1)

    def test_two_targets_are_started_each_for_itself(self):
        rig = self.start("a: allow block serial 4C530001 to work\n"
                         "b: allow block serial 4C530002 to vault\n",
                         world("Halted", stick() + stick("sdb", "2-2", "4C530002")))
        connection = self.by_hand(rig)
        with rig.sim.held(method="admin.vm.Start", phase="work") as hold:
            connection.add("block", "sda", **STICK)
            connection.add("block", "sdb", **{**STICK, "serial": "4C530002"})
            rig.sim.wait_held(id=hold, count=2)
        self.assert_told(connection, 1, 200)
        self.assert_told(connection, 2, 200)
        self.assertEqual(self.assert_last(rig, "sdb", 200)["target"], "vault")

    def test_a_native_assignment_that_was_quicker_is_already_attached(self):
        rig = self.start()
        with rig.sim.held(method=ATTACH, phase="begin") as hold:
            connection = self.by_hand(rig)
            connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.attach(backend="sys-usb", port="sda", target="work")
        self.assert_told(connection, 1, 201)
        self.assertEqual(rig.requests(), [LOOK, PINNED, SHOW])
        # it is not ours: unplugging it makes us detach nothing
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.count("Detach"), 0)


class Appearing(DaemonCase):
    """A device that qubesd lists later than the forwarder tells of it."""

    def test_qubesds_event_continues_the_job_without_another_look(self):
        rig = self.start(scenario=world(devices=[]))
        connection = self.by_hand(rig)
        connection.add("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-device")
        rig.sim.plug(devices=stick())
        self.assert_told(connection, 1, 200)
        self.assertEqual(rig.requests(), [LOOK, PINNED])

    def test_what_qubesds_events_have_told_of_takes_one_call(self):
        rig = self.start(scenario=world(devices=[]))
        connection = self.by_hand(rig)
        connection.add("block", "sdb", **stick_n(1))
        rig.daemon.wait_job("awaiting-device", "sdb")
        # once sdb is attached the daemon has been told of sda as well
        rig.sim.plug(devices=sticks(2))
        self.assert_told(connection, 1, 200)
        rig.mark()
        connection.add("block", "sda", **stick_n(0))
        self.assert_told(connection, 2, 200)
        self.assertEqual(rig.requests(), [PINNED])

    def test_an_identity_that_cannot_be_sent_is_read_again_not_guessed(self):
        rig = self.start(scenario=world(devices=[]))
        connection = self.by_hand(rig)
        connection.add("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-device")
        rig.sim.plug(devices=stick(serial="4C 53'0001"))
        self.assert_told(connection, 1, 200)
        self.assertEqual(rig.requests()[-2:], [
            request(ATTACH, "sys-usb+sda", "work"), SHOW])
        self.assert_last(rig, "sda", 200, "identity")

    def test_another_devices_event_does_not_continue_it(self):
        rig = self.start(scenario=world(devices=[]))
        connection = self.by_hand(rig)
        connection.add("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-device")
        rig.sim.plug(devices=stick("sdb", "2-2", "4C530002"))
        rig.sim.plug(devices=stick(backend="work"))
        self.barrier(connection)
        self.assertEqual(rig.requests(), [LOOK])
        rig.sim.plug(devices=stick())
        self.assert_told(connection, 1, 200)

    def test_an_identity_of_the_event_that_is_old_is_read_once_more(self):
        for dialect in ("4.3", "4.4"):
            with self.subTest(dialect=dialect):
                rig = self.start(scenario=world(devices=[]), dialect=dialect)
                connection = self.by_hand(rig)
                connection.add("block", "sda", **STICK)
                rig.daemon.wait_job("awaiting-device")
                with rig.sim.held(method=ATTACH, phase="begin") as hold:
                    rig.sim.plug(devices=stick())
                    rig.sim.wait_held(id=hold)
                    rig.sim.set_identity(backend="sys-usb", port="2-1",
                                         identity="0781:5581:4C530001:u080651")
                self.assert_told(connection, 1, 200)
                self.assertEqual(rig.count("Available"), 2)
                self.assertEqual(
                    rig.calls(method=ATTACH)[-1]["arg"],
                    "sys-usb+sda+0781+5581+4C530001+u080651+1.0")


class Identity(DaemonCase):
    """The identity is pinned where it can be, and never trusted."""

    def test_a_disk_without_parent_is_pinned_as_none(self):
        rig = self.start("r: allow block type disk to work\n", world(devices=[
            {"backend": "sys-usb", "port": "sdb", "class": "block"}]))
        connection = self.by_hand(rig)
        self.assert_told(connection,
                         connection.add("block", "sdb", devtype="disk"), 200)
        self.assertEqual(rig.requests()[1],
                         request(ATTACH, "sys-usb+sdb++None", "work"))

    def test_an_unknown_interface_is_written_as_underscores(self):
        rig = self.start("r: allow block partition 1 to work\n", world(devices=[
            {"backend": "sys-usb", "port": "sda1", "class": "block",
             "parent": "sda"}]))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add(
            "block", "sda1", devtype="partition", partition=1), 200)
        self.assertEqual(rig.requests()[1], request(
            ATTACH, "sys-usb+sda1+0000+0000++_______+1", "work"))

    HOSTILE = ("4C 53", "a'b", "a\\b", "a\tb", "../../x", "a+b", "äöü", "x" * 600,
               "a' port_id='sdb' x='", "a attachment='vault'")

    def test_a_hostile_identity_is_never_put_on_the_wire(self):
        for serial in self.HOSTILE:
            with self.subTest(serial=serial[:20]):
                rig = self.start(scenario=world(devices=stick(serial=serial)))
                connection = self.by_hand(rig)
                self.assert_told(connection,
                                 connection.add("block", "sda", **STICK), 200)
                self.assertEqual(rig.requests(), [
                    LOOK, request(ATTACH, "sys-usb+sda", "work"), SHOW])
                self.assert_last(rig, "sda", 200, "identity")

    def test_an_unpinned_attach_that_the_target_refuses_is_told_as_such(self):
        rig = self.start(scenario=world(
            devices=stick(serial="a b"), qubes={"work": {
                "state": "Running", "denied": ["u03****"]}}))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assertIn(self.assert_last(rig, "sda", rig.daemon.outcomes()[-1][
            "code"])["code"], (502, 521))

    def test_another_device_under_the_name_is_superseded(self):
        rig = self.start("r: allow block id 1234:5678 to work\n")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **{
            **STICK, "vendor_id": "1234", "product_id": "5678"}), 300)
        self.assertEqual(rig.requests(), [LOOK])
        self.assert_last(rig, "sda", 311)

    def test_ids_compare_without_case(self):
        rig = self.start("r: allow block id 05AC:12aB to work\n", world(devices=[
            {"backend": "sys-usb", "port": "2-1", "class": "usb",
             "identity": "05AC:12AB:1:u080650"},
            {"backend": "sys-usb", "port": "sda", "class": "block",
             "parent": "2-1", "interface": "1.0"}]))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **{
            **STICK, "vendor_id": "05ac", "product_id": "12ab"}), 200)

    def test_a_record_without_ids_contradicts_nothing(self):
        rig = self.start("r: allow block type disk to work\n")
        connection = self.by_hand(rig)
        self.assert_told(connection,
                         connection.add("block", "sda", devtype="disk"), 200)

    def test_an_unknown_identity_of_zeros_contradicts_nothing(self):
        rig = self.start(scenario=world(devices=[
            {"backend": "sys-usb", "port": "sda", "class": "block",
             "identity": "0000:0000::?******:1"}]))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)

    def test_a_changed_identity_before_a_start_is_pinned_anew_after_it(self):
        rig = self.start(scenario=world("Halted"))
        connection = self.by_hand(rig)
        with rig.sim.held(method="admin.vm.Start") as hold:
            connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.set_identity(backend="sys-usb", port="2-1",
                                 identity="0781:5581:4C530001:u080651")
        self.assert_told(connection, 1, 200)
        self.assertEqual(rig.requests()[-1], request(
            ATTACH, "sys-usb+sda+0781+5581+4C530001+u080651+1.0", "work"))

    def test_another_device_after_the_start_is_not_attached(self):
        rig = self.start(scenario=world("Halted"))
        connection = self.by_hand(rig)
        with rig.sim.held(method="admin.vm.Start") as hold:
            connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.set_identity(backend="sys-usb", port="2-1",
                                 identity="dead:beef:4C530001:u080651")
        self.assert_told(connection, 1, 300)
        self.assert_last(rig, "sda", 311)
        self.assertEqual(rig.requests(), [LOOK, PINNED, BOOT, LOOK])


class Partitions(DaemonCase):
    """allow means whole disks unless it says otherwise."""

    def test_a_rule_without_type_leaves_partitions_alone(self):
        rig = self.start()
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add(
            "block", "sda1", parent="sda", **PART), 300)
        self.assert_last(rig, "sda1", 301)
        self.assertEqual(rig.requests(), [])

    def test_a_partition_is_attached_by_its_own_name(self):
        rig = self.start("r: allow block partition 1 to work\n", world(
            devices=stick() + [{"backend": "sys-usb", "port": "sda1",
                                "class": "block", "parent": "sda"}]))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add(
            "block", "sda1", parent="sda", **PART), 200)
        self.assertEqual(rig.requests()[0],
                         request(AVAILABLE, "sda1", "sys-usb"))
        self.assertEqual(rig.sim.wait_attached(backend="sys-usb", port="sda1"),
                         {"target": "work"})


class Unneeded(DaemonCase):
    """Calls that must not be made."""

    def test_an_attach_that_was_pinned_and_answered_is_not_verified(self):
        rig = self.start()
        self.by_hand(rig).add("block", "sda", **STICK)
        rig.daemon.wait_outcome("sda", 200)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.count("Attached"), 0)
        self.assertEqual(rig.requests(), [LOOK, PINNED])

    def test_state_and_start_are_not_asked_of_a_target_that_runs(self):
        rig = self.start()
        self.by_hand(rig).add("block", "sda", **STICK)
        rig.daemon.wait_outcome("sda", 200)
        self.assertEqual(rig.calls(method=STATE) + rig.calls(method="*.Start"), [])

    def test_detach_is_called_once_and_by_name_of_the_port(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.requests(), [SHOW, TAKE_OFF])
        self.assertEqual(told(1, 203)["status"], "detached")


if __name__ == "__main__":
    unittest.main()
