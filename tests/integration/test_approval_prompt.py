# SPDX-License-Identifier: GPL-2.0-or-later
"""The prompt: what it says, and what an answer to it means."""

import json
import unittest

from approvalcase import (ASK, CHOICE, STICK, ApprovalCase, policy, qubes, stick,
                          stick_n, sticks, world)
from daemoncase import gui_domain

FAULTS = ("exception", "empty", "garbage")


def prompt(params: str) -> bytes:
    """A request as WIRE 4 has it."""
    return b"policy.Ask dom0 name dom0\0" + params.encode("ascii")


class Request(ApprovalCase):
    """The bytes that the agent gets."""

    def sent(self, rig) -> bytes:
        """The only prompt's request; a newline behind the object is no matter."""
        calls = rig.sim.calls(method="policy.Ask")
        self.assertEqual(len(calls), 1)
        return bytes.fromhex(calls[0]["request"]).removesuffix(b"\n")

    def test_a_prompt_is_byte_for_byte_as_wire_has_it(self):
        rig, _, _ = self.ask(ASK, world(qubes={"work": {"state": "Running",
                                                        "label": "blue"}}))
        self.assertEqual(self.sent(rig), prompt(
            '{"source":"sys-usb","service":"autoattach.Attach",'
            '"argument":"+stick+sda","targets":["work"],"default_target":"work",'
            '"icons":{"sys-usb":"appvm-red","work":"appvm-blue"}}'))

    def test_all_targets_are_offered_in_order_and_have_icons(self):
        rig, _, _ = self.ask(
            "r-1: ask block type disk to { vault work @dispvm @dispvm:media-dvm }\n",
            world(qubes=qubes(vault={"label": "gray"})))
        self.assertEqual(self.sent(rig), prompt(
            '{"source":"sys-usb","service":"autoattach.Attach",'
            '"argument":"+r-1+sda","targets":["vault","work",'
            '"@dispvm:default-dvm","@dispvm:media-dvm"],"default_target":"vault",'
            '"icons":{"sys-usb":"appvm-red","vault":"appvm-gray",'
            '"work":"appvm-red","@dispvm:default-dvm":"dispvm-orange",'
            '"@dispvm:media-dvm":"dispvm-green"}}'))
        self.assertEqual(rig.sim.wait_window()[0]["offered"],
                         ["vault", "work", "@dispvm:default-dvm",
                          "@dispvm:media-dvm"])

    def test_plain_dispvm_is_shown_by_its_template(self):
        rig, _, _ = self.ask("r: ask block type disk to @dispvm\n",
                             world(qubes=qubes()))
        params = self.prompts(rig)[0]
        self.assertEqual(params["targets"], ["@dispvm:default-dvm"])
        self.assertEqual(params["default_target"], "@dispvm:default-dvm")

    def test_icons_that_qubesd_does_not_tell_have_a_fitting_default(self):
        for do in FAULTS:
            with self.subTest(do=do):
                scenario = world(qubes=qubes(), faults=[
                    {"method": "admin.vm.property.Get", "arg": arg, "do": do,
                     "count": -1, **({"type": "QubesException", "message": "no"}
                                     if do == "exception" else {})}
                    for arg in ("icon", "label")])
                rig, _, _ = self.ask(
                    "r: ask block type disk to { work @dispvm:media-dvm }\n",
                    scenario)
                self.assertEqual(self.prompts(rig)[0]["icons"],
                                 {"sys-usb": "appvm-red", "work": "appvm-red",
                                  "@dispvm:media-dvm": "dispvm-red"})
                self.assertEqual(rig.sim.wait_window()[0]["offered"],
                                 ["work", "@dispvm:media-dvm"])

    def test_an_icon_of_odd_characters_is_not_passed_on(self):
        rig, _, _ = self.ask(ASK, world(qubes={"sys-usb": {
            "state": "Running", "properties": {"icon": "../../etc/passwd"}}}))
        self.assertEqual(self.prompts(rig)[0]["icons"]["sys-usb"], "appvm-red")

    def test_every_kind_of_plain_kernel_name_is_shown(self):
        names = ["sda", "sdzz", "mmcblk0", "nvme0n1", "sr0", "dm-0", "md127",
                 "loop3"]
        rig = self.start(ASK, world(devices=[
            {"backend": "sys-usb", "port": name, "class": "block"}
            for name in names], agent={"default": "allow"}))
        connection = self.forwarder(rig)
        for n, name in enumerate(names):
            seq = connection.add("block", name, devtype="disk", path=f"p{n}")
            self.assert_told(connection, seq, 200)
        self.assertEqual([params["argument"] for params in self.prompts(rig)],
                         [f"+stick+{name}" for name in names])

    def test_a_partition_s_name_is_shown(self):
        names = ["sda1", "mmcblk0p2", "nvme0n1p3", "loop3p1", "md0p1"]
        rig = self.start("r: ask block type partition to work\n", world(devices=[
            {"backend": "sys-usb", "port": name, "class": "block"}
            for name in names], agent={"default": "allow"}))
        connection = self.forwarder(rig)
        for n, name in enumerate(names):
            seq = connection.add("block", name, devtype="partition", path=f"p{n}")
            self.assert_told(connection, seq, 200)
        self.assertEqual([params["argument"] for params in self.prompts(rig)],
                         [f"+r+{name}" for name in names])

    def test_a_name_that_could_be_a_word_is_not_shown(self):
        names = ["please-allow", "sdvault", "ok", "sda-is-good", "nvme", "sd",
                 "md-work", "loopy", "xvdi", "srx", "dm-crypt", "zz9"]
        rig = self.start(ASK, world(devices=[
            {"backend": "sys-usb", "port": name, "class": "block"}
            for name in names], agent={"default": "allow"}))
        connection = self.forwarder(rig)
        for n, name in enumerate(names):
            seq = connection.add("block", name, devtype="disk", path=f"p{n}")
            self.assert_told(connection, seq, 200)
        self.assertEqual({params["argument"] for params in self.prompts(rig)},
                         {"+stick"})
        self.assertEqual(len(self.prompts(rig)), len(names))

    def test_no_word_of_the_device_s_choice_gets_near_the_prompt(self):
        words = ["PLEASE-ALLOW", "click \"allow\" now", "x\\\"}", "work vault",
                 "+evil+sda"]
        hostile = {**STICK, "serial": words[0], "vendor": words[1],
                   "model": words[2], "fs_label": words[3], "fs_uuid": words[4],
                   "part_label": words[0], "part_uuid": "PLEASE-ALLOW",
                   "path": "PLEASE-ALLOW"}
        devices = stick(serial="PLEASE-ALLOW")
        devices[1].update(name=words[1], serial=words[0], vendor=words[2])
        rig = self.start(ASK, world(devices=devices))
        connection = self.forwarder(rig)
        connection.add("block", "sda", **hostile)
        rig.sim.wait_window()
        self.assertEqual(self.sent(rig), prompt(
            '{"source":"sys-usb","service":"autoattach.Attach",'
            '"argument":"+stick+sda","targets":["work"],"default_target":"work",'
            '"icons":{"sys-usb":"appvm-red","work":"appvm-red"}}'))
        for call in rig.sim.calls(service="policy"):
            self.assertNotIn(b"PLEASE", bytes.fromhex(call["request"]))


class Answers(ApprovalCase):
    """Exactly allow:TARGET with a target that was offered is a yes."""

    def test_the_person_chooses_among_the_targets(self):
        for target in ("work", "vault", "backups"):
            with self.subTest(target=target):
                rig, connection, seq = self.ask(CHOICE)
                rig.sim.click(answer=f"allow:{target}")
                self.assert_told(connection, seq, 200)
                rig.sim.wait_attached(backend="sys-usb", port="sda",
                                      target=target)
                self.assertEqual(self.assert_last(rig, "sda", 200)["target"],
                                 target)

    def test_a_template_is_chosen_by_the_name_that_was_shown(self):
        rig, connection, seq = self.ask("r: ask block type disk to "
                                        "{ work @dispvm }\n",
                                        world(qubes=qubes()))
        rig.sim.click(answer="allow:@dispvm:default-dvm")
        self.assert_told(connection, seq, 200)
        owner = rig.sim.wait_attached(backend="sys-usb", port="sda")["target"]
        self.assertRegex(owner, "^disp[0-9]+$")

    def check_no(self, answer: object) -> None:
        """The answer is a no, and stays one for this plug."""
        with self.subTest(answer=answer if len(str(answer)) < 99 else "long"):
            rig, connection, seq = self.ask(CHOICE)
            rig.sim.click(answer=answer)
            self.refused(rig, connection, seq, 304)
            seq = connection.change("block", "sda", **STICK)
            self.refused(rig, connection, seq, 304)
            self.assertEqual(len(self.prompts(rig)), 1)

    def test_deny_is_a_no(self):
        self.check_no("deny")

    def test_a_target_that_was_not_offered_is_a_no(self):
        for target in ("dom0", "sys-usb", "nobody", "@dispvm", "@adminvm", "wor",
                       "workk", "WORK", "*", ""):
            self.check_no({"data": f"allow:{target}"})

    def test_anything_but_exactly_a_yes_is_a_no(self):
        for text in ("allow:work\n", " allow:work", "allow: work", "allow:work ",
                     "ALLOW:work", "allow:", "yes", "allow:work\0",
                     "allow:work\nallow:work", "allow:workallow:work",
                     "allow:work\0deny", "result=allow", "\n"):
            self.check_no({"data": text})

    def test_garbage_is_a_no(self):
        self.check_no("garbage")

    def test_a_megabyte_is_a_no_and_not_kept(self):
        for text in ("allow:work" + "x" * 1024 * 1024,
                     "allow:work".ljust(1024 * 1024)):
            with self.subTest(text=text[:20]):
                rig, connection, seq = self.ask()
                before = rig.daemon.memory()
                rig.sim.click(answer={"data": text})
                self.refused(rig, connection, seq, 304)
                after = rig.daemon.memory()
                self.assertLess(after - before, 512 * 1024)

    def check_death(self, answer: object, wait: bool = True) -> None:
        """503, and no no: the same plug is asked for again."""
        with self.subTest(answer=answer):
            rig, connection, seq = self.ask()
            rig.sim.click(answer=answer)
            self.refused(rig, connection, seq, 503, "agent")
            rig.sim.agent_script(default="allow")
            if wait:
                rig.sim.crash(service="agent")
                rig.sim.agent_up()
            seq = connection.change("block", "sda", **STICK)
            self.assert_told(connection, seq, 200)

    def test_an_empty_answer_is_503_and_no_no(self):
        self.check_death("empty", wait=False)

    def test_an_agent_that_dies_is_503_and_no_no(self):
        self.check_death({"die": ""})

    def test_an_agent_that_is_killed_is_503_and_no_no(self):
        rig, connection, seq = self.ask()
        rig.sim.agent_down()
        self.refused(rig, connection, seq, 503, "agent")
        rig.sim.agent_script(default="allow")
        rig.sim.agent_up()
        seq = connection.change("block", "sda", **STICK)
        self.assert_told(connection, seq, 200)

    def test_a_no_is_remembered_until_the_replug(self):
        rig, connection, seq = self.ask()
        rig.sim.click(answer="deny")
        self.refused(rig, connection, seq, 304)
        for action in ("add", "change"):
            seq = connection.event(action, "block", "sda", **STICK)
            self.refused(rig, connection, seq, 304)
        self.assertEqual(len(self.prompts(rig)), 1)
        seq = connection.remove("block", "sda")
        self.assert_told(connection, seq, 203)
        seq = connection.add("block", "sda", **STICK)
        rig.sim.wait_window()
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)

    def test_a_no_is_not_for_another_device_under_the_same_name(self):
        rig, connection, seq = self.ask()
        rig.sim.click(answer="deny")
        self.refused(rig, connection, seq, 304)
        seq = connection.change("block", "sda", **{**STICK, "diskseq": 8})
        rig.sim.wait_window()
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)

    def test_a_no_holds_after_the_forwarder_has_reconnected(self):
        rig, connection, seq = self.ask()
        rig.sim.click(answer="deny")
        self.refused(rig, connection, seq, 304)
        connection.close()
        again = self.by_hand(rig)
        seq = again.present("block", "sda", **STICK)
        self.refused(rig, again, seq, 304)
        self.assertEqual(len(self.prompts(rig)), 1)

    def test_a_yes_is_good_for_one_attachment(self):
        # an ask rule asks again when its target starts again
        rig, connection, seq = self.ask()
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)
        rig.sim.qube_stop(name="work")
        rig.sim.wait_detached(backend="sys-usb", port="sda")
        rig.sim.qube_start(name="work")
        rig.sim.wait_window()
        rig.sim.click(answer="allow")
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        self.assertEqual(len(self.prompts(rig)), 2)


class Timeout(ApprovalCase):
    """A rule's timeout bounds the wait; the window stays."""

    RULE = "stick: ask block type disk to work timeout 1s\n"

    def late(self, rules: str | None = None) -> tuple:
        """Nobody has answered in time."""
        rig, connection, seq = self.ask(rules or self.RULE)
        self.refused(rig, connection, seq, 305)
        self.assertEqual(self.windows(rig), ["+stick+sda"])
        return rig, connection

    def test_nobody_in_time_is_305_and_a_late_yes_counts(self):
        rig, connection = self.late()
        rig.sim.click(answer="allow")
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        rig.daemon.wait_outcome("sda", 200)
        # the later outcome has no line
        self.barrier(connection)

    def test_a_late_no_is_remembered_like_any_other(self):
        rig, connection = self.late()
        rig.sim.click(answer="deny")
        rig.sim.wait_call(method="policy.Ask", done=True)
        # until the daemon has read it
        rig.daemon.wait_status(lambda status: status["prompts"]["n_open"] == 0,
                               "no open prompt")
        seq = connection.change("block", "sda", **STICK)
        self.refused(rig, connection, seq, 304)

    def test_305_is_no_no(self):
        rig, connection = self.late()
        rig.sim.crash(service="agent")
        rig.sim.agent_script(default="allow")
        rig.sim.agent_up()
        seq = connection.change("block", "sda", **STICK)
        self.assert_told(connection, seq, 200)
        self.assertEqual(len(self.prompts(rig)), 2)

    def late_yes_is_worth_nothing(self, rig) -> None:
        """And nothing is done because of it."""
        rig.sim.click(answer="allow")
        rig.daemon.wait_status(lambda status: status["prompts"]["n_open"] == 0,
                               "no open prompt")
        rig.daemon.wait_no_jobs()
        self.assert_untouched(rig)

    def test_a_late_yes_after_an_unplug_counts_for_nothing(self):
        rig, connection = self.late()
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.late_yes_is_worth_nothing(rig)

    def test_a_late_yes_after_a_changed_rule_counts_for_nothing(self):
        rig, _ = self.late()
        rig.daemon.rules(self.RULE.replace("work", "work read-only"))
        rig.daemon.reload()
        self.late_yes_is_worth_nothing(rig)

    def test_a_late_yes_with_the_rule_gone_counts_for_nothing(self):
        rig, _ = self.late()
        rig.daemon.rules("other: ask block type disk to work timeout 1s\n")
        rig.daemon.reload()
        self.late_yes_is_worth_nothing(rig)

    def test_a_late_yes_behind_a_new_deny_counts_for_nothing(self):
        rig, _ = self.late()
        rig.daemon.rules("no: deny block\n" + self.RULE)
        rig.daemon.reload()
        self.late_yes_is_worth_nothing(rig)

    def test_a_late_yes_is_bound_by_what_policy_says_now(self):
        rig, _ = self.late()
        rig.sim.policy(**policy(("work", "deny")))
        rig.sim.click(answer="allow")
        rig.daemon.wait_outcome("sda", 303)
        self.assertEqual(rig.sim.calls(method="admin.vm.device.block.Attach"), [])

    def test_a_late_yes_after_the_same_rules_were_loaded_again_counts(self):
        rig, _ = self.late()
        rig.daemon.rules("first: deny usb\n# a comment\n" + self.RULE)
        rig.daemon.reload()
        rig.sim.click(answer="allow")
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_a_yes_in_the_old_window_answers_the_job_that_waits_for_its_own(self):
        rig, connection = self.late()
        seq = connection.change("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-prompt")
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)
        self.assertEqual(len(self.prompts(rig)), 1)

    def test_a_yes_in_the_old_window_is_bound_by_what_policy_says_now(self):
        rig, connection = self.late(self.RULE.replace("work", "{ work vault }"))
        rig.sim.policy(**policy(("work", "deny")))
        seq = connection.change("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-prompt")
        rig.sim.click(answer="allow:work")
        self.refused(rig, connection, seq, 303)

    def test_a_no_in_the_old_window_answers_the_job_that_waits_for_its_own(self):
        rig, connection = self.late()
        seq = connection.change("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-prompt")
        rig.sim.click(answer="deny")
        self.refused(rig, connection, seq, 304)
        self.assertEqual(len(self.prompts(rig)), 1)

    def test_a_queued_job_s_time_runs_only_from_its_own_prompt(self):
        rig = self.start("stick: ask block type disk to work timeout 1s\n",
                         world(devices=sticks(2)))
        connection = self.forwarder(rig)
        first = connection.add("block", "sda", **STICK)
        rig.sim.wait_window()
        second = connection.add("block", "sdb", **stick_n(1))
        self.assert_told(connection, first, 300)
        self.assert_last(rig, "sda", 305)
        # the window stays open, and the other job waits without an outcome
        rig.daemon.wait_job("awaiting-prompt", "sdb")
        self.assertEqual(rig.daemon.outcomes("sdb"), [])
        # its own has but a second
        rig.sim.agent_script(default="allow")
        rig.sim.click(answer="deny")
        self.assert_told(connection, second, 200)
        self.assertEqual(len(self.prompts(rig)), 2)


class OneWindow(ApprovalCase):
    """One prompt window at a time in the whole system."""

    def two(self) -> tuple:
        """Two sources, each with a stick; the window of the first is open."""
        rig = self.start(ASK, world(
            qubes={"usb-too": {"state": "Running"}},
            devices=stick() + stick("sdb", "3-1", "77", "usb-too")))
        first, second = self.forwarder(rig), self.forwarder(rig, "usb-too")
        first_seq = first.add("block", "sda", **STICK)
        rig.sim.wait_window()
        second_seq = second.add("block", "sdb", **{**STICK, "serial": "77"})
        rig.daemon.wait_job("awaiting-prompt", "sdb")
        return rig, first, first_seq, second, second_seq

    def test_the_second_source_waits_for_the_first_s_window(self):
        rig, first, first_seq, second, second_seq = self.two()
        self.assertEqual(self.windows(rig), ["+stick+sda"])
        rig.sim.click(answer="allow")
        self.assert_told(first, first_seq, 200)
        rig.sim.wait_window()
        self.assertEqual(self.windows(rig), ["+stick+sdb"])
        rig.sim.click(answer="allow")
        self.assert_told(second, second_seq, 200)

    def test_a_window_counts_also_when_its_job_has_ended(self):
        rig, first, first_seq, second, second_seq = self.two()
        self.assert_told(first, first.remove("block", "sda"), 203)
        self.assert_told(first, first_seq, 300)
        self.barrier(second)
        rig.daemon.wait_job("awaiting-prompt", "sdb")
        self.assertEqual(self.windows(rig), ["+stick+sda"])
        rig.sim.click(answer="allow")
        rig.sim.wait_call(method="policy.Ask", count=2)
        self.assertEqual(self.windows(rig), ["+stick+sdb"])
        rig.sim.click(answer="allow")
        self.assert_told(second, second_seq, 200)
        self.assertEqual(rig.count("Attach"), 1)

    def test_the_connection_stays_until_the_agent_answers(self):
        rig, first, _, _, _ = self.two()
        self.assert_told(first, first.remove("block", "sda"), 203)
        self.assertFalse(rig.sim.state()["windows"][0]["caller_gone"])

    def test_a_queued_job_whose_device_is_gone_is_never_shown(self):
        rig, first, first_seq, second, second_seq = self.two()
        self.assert_told(second, second.remove("block", "sdb"), 203)
        self.assert_told(second, second_seq, 300)
        self.assert_last(rig, "sdb", 311)
        rig.sim.click(answer="allow")
        self.assert_told(first, first_seq, 200)
        self.barrier(second)
        self.assertEqual(len(self.prompts(rig)), 1)

    def test_a_queued_job_whose_source_has_shut_down_is_never_shown(self):
        rig, first, first_seq, second, second_seq = self.two()
        rig.sim.qube_stop(name="usb-too")
        self.assert_told(second, second_seq, 300)
        self.assert_last(rig, "sdb", 311)
        rig.sim.click(answer="allow")
        self.assert_told(first, first_seq, 200)
        self.assertEqual(len(self.prompts(rig)), 1)

    def test_many_at_once_are_shown_one_after_the_other(self):
        rig = self.start(ASK, world(devices=sticks(6),
                                    agent={"default": "allow"}))
        connection = self.forwarder(rig)
        seqs = [connection.add("block", f"sd{chr(ord('a') + n)}", **stick_n(n))
                for n in range(6)]
        for seq in seqs:
            self.assert_told(connection, seq, 200)
        self.assertEqual(len(self.prompts(rig)), 6)
        self.assertEqual(rig.sim.state()["max_open_windows"], 1)

    def test_the_same_record_joins_the_job_and_its_prompt(self):
        rig, connection, first = self.ask()
        second = connection.change("block", "sda", **STICK)
        self.barrier(connection)
        rig.sim.click(answer="allow")
        self.assert_told(connection, first, 200)
        self.assert_told(connection, second, 200)
        self.assertEqual(len(self.prompts(rig)), 1)


class Listed(ApprovalCase):
    """What qubesd does not list is not prompted for."""

    def test_no_prompt_for_what_qubesd_does_not_list(self):
        rig = self.start(ASK, world(devices=[]))
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-device")
        self.assert_unasked(rig)
        gone = connection.remove("block", "sda")
        self.assert_told(connection, seq, 300)
        self.assert_told(connection, gone, 203)
        self.assert_unasked(rig)

    def test_it_is_prompted_for_once_it_is_listed(self):
        rig = self.start(ASK, world(devices=[]))
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-device")
        rig.sim.plug(devices=stick())
        rig.sim.wait_window()
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)

    def test_no_prompt_for_what_is_attached_elsewhere(self):
        rig = self.start(ASK, world(devices=stick(attachment="vault"),
                                    qubes={"vault": {"state": "Running"}}))
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        self.assert_told(connection, seq, 300)
        self.assert_last(rig, "sda", 310)
        self.assert_unasked(rig)

    def test_no_prompt_for_another_device_of_that_name(self):
        rig = self.start(ASK)
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **{**STICK, "product_id": "ffff"})
        self.refused(rig, connection, seq, 311)
        self.assert_unasked(rig)

    def test_a_queued_device_that_qubesd_no_longer_lists_is_not_shown(self):
        # the forwarder is silent: qubesd's word alone must do
        rig = self.start(ASK, world(devices=sticks(2)))
        connection = self.forwarder(rig)
        first = connection.add("block", "sda", **STICK)
        rig.sim.wait_window()
        connection.add("block", "sdb", **stick_n(1))
        rig.daemon.wait_job("awaiting-prompt", "sdb")
        rig.sim.unplug(backend="sys-usb", port="2-2")
        rig.sim.click(answer="allow")
        self.assert_told(connection, first, 200)
        rig.daemon.wait_job("awaiting-device", "sdb")
        self.assertEqual(len(self.prompts(rig)), 1)
        # once it is listed again it is
        rig.sim.plug(devices=stick("sdb", "2-2", "4C530002"))
        rig.sim.wait_call(method="policy.Ask", count=2)
        rig.sim.click(answer="allow")


class GuiDomain(ApprovalCase):
    """Only dom0's own agent can be asked."""

    def check(self, guivm: str, detail: str) -> None:
        """A source with that GUI domain."""
        rig = self.start(ASK, world(qubes=gui_domain(guivm)))
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        self.refused(rig, connection, seq, 503, detail)
        self.assert_unasked(rig)
        outcome = rig.daemon.status()["outcomes"][-1]
        self.assertEqual(outcome["code"], 503)
        self.assertRegex(outcome["detail"], detail)
        sources = rig.daemon.status()["sources"]
        self.assertRegex(sources[0]["prompt_problem"], detail)
        # until a prompt can be shown
        rig.sim.qube_set(name="sys-usb", properties={
            "guivm": {"type": "vm", "value": "dom0"}})
        seq = connection.change("block", "sda", **STICK)
        rig.sim.wait_window()
        self.assertIsNone(rig.daemon.status()["sources"][0]["prompt_problem"])
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)

    def test_another_gui_domain_is_503_and_status_says_so(self):
        self.check("sys-gui", "GUI domain of sys-usb is sys-gui, not dom0")

    def test_no_gui_domain_is_503_and_status_says_so(self):
        self.check("", "GUI domain of sys-usb is none, not dom0")

    def test_an_allow_rule_needs_no_gui_domain(self):
        rig = self.start("r: allow block type disk to work\n",
                         world(qubes=gui_domain("")))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)

    def test_without_an_answer_nobody_is_asked(self):
        rig = self.start(ASK, world(faults=[
            {"method": "admin.vm.property.Get", "arg": "guivm", "do": "garbage",
             "count": -1}]))
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        self.refused(rig, connection, seq, 503)
        self.assert_unasked(rig)


if __name__ == "__main__":
    unittest.main()
