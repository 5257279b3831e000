# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard rail: the stricter of the rule and the Qubes policy counts."""

import unittest

from approvalcase import (ALLOW, ASK, CHOICE, STICK, ApprovalCase, policy,
                          question, qubes, stick, world)
from daemoncase import PART

DENY = "stick: deny block type disk\n"


class Stricter(ApprovalCase):
    """Every rule's action against every verdict of the policy."""

    def check(self, rules: str, verdict: str) -> tuple:
        """The stick is plugged in under that rule and that policy."""
        rig = self.start(rules, world(policy=policy(default=verdict)))
        connection = self.forwarder(rig)
        return rig, connection, connection.add("block", "sda", **STICK)

    def test_allow_and_allow_attaches_unasked(self):
        rig, connection, seq = self.check(ALLOW, "allow")
        self.assert_told(connection, seq, 200)
        self.assert_unasked(rig)
        self.assertEqual(self.questions(rig), [question("work", assume=False)])

    def test_allow_and_ask_prompts(self):
        rig, connection, seq = self.check(ALLOW, "ask")
        self.assertEqual(rig.sim.wait_window()[0]["offered"], ["work"])
        self.assert_untouched(rig)
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)

    def test_ask_is_told_from_deny_by_a_second_question(self):
        for verdict in ("ask", "deny"):
            with self.subTest(verdict=verdict):
                rig, _, _ = self.check(ALLOW, verdict)
                rig.sim.wait_call(service="policy", count=2)
                self.assertEqual(self.questions(rig),
                                 [question("work", assume=False),
                                  question("work", assume=True)])

    def test_allow_and_deny_is_303(self):
        rig, connection, seq = self.check(ALLOW, "deny")
        self.refused(rig, connection, seq, 303)
        self.assert_unasked(rig)
        # not even looked at
        self.assertEqual(rig.requests(), [])

    def test_ask_and_allow_prompts(self):
        rig, connection, seq = self.check(ASK, "allow")
        rig.sim.wait_window()
        self.assert_untouched(rig)
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)
        # once more behind the prompt
        self.assertEqual(self.questions(rig), [question("work", assume=True)] * 2)

    def test_a_policy_that_denies_while_the_prompt_is_open_is_heard(self):
        rig, connection, seq = self.check(ASK, "allow")
        rig.sim.wait_window()
        rig.sim.policy(default="deny", rules=[])
        rig.sim.click(answer="allow")
        self.refused(rig, connection, seq, 303)

    def test_ask_and_ask_prompts_once(self):
        rig, connection, seq = self.check(ASK, "ask")
        rig.sim.wait_window()
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)
        self.assertEqual(len(self.prompts(rig)), 1)

    def test_ask_and_deny_is_303_unasked(self):
        rig, connection, seq = self.check(ASK, "deny")
        self.refused(rig, connection, seq, 303)
        self.assert_unasked(rig)

    def test_deny_asks_nobody(self):
        rig, connection, seq = self.check(DENY, "allow")
        self.refused(rig, connection, seq, 302)
        self.assertEqual(self.questions(rig), [])
        self.assert_unasked(rig)

    def test_no_rule_asks_nobody(self):
        rig, connection, seq = self.check(
            "other: ask block id 1111:1111 to work\n", "allow")
        self.refused(rig, connection, seq, 301)
        self.assertEqual(self.questions(rig), [])


class EachTarget(ApprovalCase):
    """Each target of a rule is judged by itself."""

    def test_the_question_names_the_source_and_each_target(self):
        rig, _, _ = self.ask(CHOICE)
        self.assertEqual(self.questions(rig),
                         [question(target, assume=True)
                          for target in ("work", "vault", "backups")])

    def test_a_policy_for_one_source_holds_for_it_alone(self):
        rules = [{"argument": "sys-usb", "verdict": "deny"}]
        rig = self.start(ALLOW, world(
            qubes={"usb-too": {"state": "Running"}},
            devices=stick() + stick("sdb", "3-1", "77", "usb-too"),
            policy={"rules": rules}))
        first, second = self.forwarder(rig), self.forwarder(rig, "usb-too")
        self.assert_told(first, first.add("block", "sda", **STICK), 300)
        self.assert_told(second, second.add("block", "sdb", **STICK), 200)

    def test_a_denied_target_is_not_offered(self):
        rig, _, _ = self.ask(CHOICE, world(policy=policy(("vault", "deny"))))
        self.assertEqual(self.prompts(rig)[0]["targets"], ["work", "backups"])
        self.assertNotIn("vault", self.prompts(rig)[0]["icons"])

    def test_with_the_first_denied_the_next_is_preselected(self):
        rig, connection, seq = self.ask(
            CHOICE, world(policy=policy(("work", "deny"))))
        self.assertEqual(self.prompts(rig)[0]["default_target"], "vault")
        rig.sim.click(answer="allow:vault")
        self.assert_told(connection, seq, 200)
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="vault")

    def test_a_denied_target_cannot_be_chosen(self):
        rig, connection, seq = self.ask(
            CHOICE, world(policy=policy(("vault", "deny"))))
        rig.sim.click(answer="allow:vault")
        self.refused(rig, connection, seq, 304)

    def test_allow_takes_the_first_target_that_policy_lets_through(self):
        rig = self.start("r: allow block type disk to { work vault backups }\n",
                         world(policy=policy(("work", "deny"))))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        # work runs, but is denied; of the others none runs
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="vault")

    def test_allow_takes_the_first_that_runs_of_those_let_through(self):
        rig = self.start("r: allow block type disk to { work vault backups }\n",
                         world(qubes={"backups": {"state": "Running"}},
                               policy=policy(("work", "deny"))))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="backups")

    def test_allow_asks_where_policy_asks_for_the_target_it_takes(self):
        rig = self.start("r: allow block type disk to { vault work }\n",
                         world(policy=policy(("work", "ask"))))
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        window = rig.sim.wait_window()[0]
        self.assertEqual(window["params"]["default_target"], "work")
        self.assert_untouched(rig)
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)

    def test_allow_does_not_ask_where_policy_asks_for_another(self):
        rig = self.start("r: allow block type disk to { vault work }\n",
                         world(policy=policy(("vault", "ask"))))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assert_unasked(rig)

    def test_a_target_without_an_answer_leaves_the_others(self):
        rig, _, _ = self.ask(CHOICE, world(policy=policy(("vault", "garbage"),
                                                         ("work", "empty"))))
        self.assertEqual(self.prompts(rig)[0]["targets"], ["backups"])

    def test_a_target_that_does_not_exist_is_denied(self):
        rig = self.start("r: ask block type disk to nobody\n")
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        self.refused(rig, connection, seq, 303)

    def test_the_source_itself_is_no_target_whatever_policy_says(self):
        # written without "from" the rule cannot know
        rig = self.start("r: ask block type disk to { sys-usb work }\n")
        connection = self.forwarder(rig)
        connection.add("block", "sda", **STICK)
        rig.sim.wait_window()
        self.assertEqual(self.prompts(rig)[0]["targets"], ["work"])
        self.assertEqual(self.questions(rig), [question("work", assume=True)])

    def test_a_rule_with_only_the_source_attaches_nothing(self):
        rig = self.start("r: allow block type disk to sys-usb\n")
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        self.refused(rig, connection, seq, 303)
        self.assertEqual(self.questions(rig), [])

    def test_dom0_is_no_target_whatever_policy_says(self):
        rig = self.start("r: allow block type disk to dom0\n")
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        # the rule itself is an error: there is no rule
        self.refused(rig, connection, seq, 301)
        self.assertTrue(rig.daemon.status()["rules"]["failed"])

    def test_already_attached_is_told_after_the_guard_rail_alone(self):
        rig = self.start(ASK, world(devices=stick(attachment="work")))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 201)
        self.assert_unasked(rig)


class Disposables(ApprovalCase):
    """@dispvm is asked for by both of its names."""

    RULE = "r: allow block type disk to @dispvm\n"

    def check(self, *rules: tuple, rule: str | None = None) -> tuple:
        """The stick is plugged in."""
        rig = self.start(rule or self.RULE,
                         world(qubes=qubes(), policy=policy(*rules)))
        connection = self.forwarder(rig)
        return rig, connection, connection.add("block", "sda", **STICK)

    def test_both_names_are_asked_for(self):
        rig, connection, seq = self.check()
        self.assert_told(connection, seq, 200)
        # once more behind its start
        self.assertEqual(self.questions(rig),
                         [question("@dispvm", assume=False),
                          question("@dispvm:default-dvm", assume=False)] * 2)

    def test_a_no_to_either_name_is_a_no(self):
        for name in ("@dispvm", "@dispvm:default-dvm"):
            with self.subTest(name=name):
                rig, connection, seq = self.check((name, "deny"))
                self.refused(rig, connection, seq, 303)

    def test_no_answer_to_either_name_is_a_no(self):
        for name in ("@dispvm", "@dispvm:default-dvm"):
            with self.subTest(name=name):
                rig, connection, seq = self.check((name, "garbage"))
                self.refused(rig, connection, seq, 303)

    def test_ask_for_either_name_prompts(self):
        for name in ("@dispvm", "@dispvm:default-dvm"):
            with self.subTest(name=name):
                rig, _, _ = self.check((name, "ask"))
                self.assertEqual(rig.sim.wait_window()[0]["params"]["targets"],
                                 ["@dispvm:default-dvm"])
                self.assert_untouched(rig)

    def test_a_named_template_is_asked_for_by_its_name_alone(self):
        rig, connection, seq = self.check(
            ("@dispvm", "deny"), rule="r: allow block type disk to "
            "@dispvm:media-dvm\n")
        self.assert_told(connection, seq, 200)
        self.assertEqual(self.questions(rig),
                         [question("@dispvm:media-dvm", assume=False)] * 2)

    def test_the_template_s_own_name_is_judged(self):
        rig, connection, seq = self.check(
            ("@dispvm:media-dvm", "deny"), rule="r: ask block type disk to "
            "@dispvm:media-dvm\n")
        self.refused(rig, connection, seq, 303)


class NoAnswer(ApprovalCase):
    """No answer means no, and the reason is told."""

    def check(self, verdict: str, code: int, detail: str) -> None:
        """The policy daemon does that; afterwards it is well again."""
        for rules in (ALLOW, ASK):
            with self.subTest(rules=rules):
                rig = self.start(rules, world(policy=policy(default=verdict)))
                connection = self.forwarder(rig)
                seq = connection.add("block", "sda", **STICK)
                self.refused(rig, connection, seq, code, detail)
                self.assert_unasked(rig)

    def test_an_empty_answer_is_a_no(self):
        self.check("empty", 303, "gave no answer")

    def test_garbage_is_a_no(self):
        self.check("garbage", 303, "gave no answer")

    def test_a_daemon_that_dies_in_the_middle_is_a_no(self):
        self.check("death", 303, "gave no answer")

    def test_without_a_socket_it_is_503_until_it_is_back(self):
        for rules in (ALLOW, ASK):
            with self.subTest(rules=rules):
                rig = self.start(rules)
                rig.sim.crash(service="policy")
                connection = self.forwarder(rig)
                seq = connection.add("block", "sda", **STICK)
                self.refused(rig, connection, seq, 503, "policy daemon")
                self.assert_unasked(rig)
                rig.sim.agent_script(default="allow")
                rig.sim.restart(service="policy")
                rig.daemon.wait_outcome("sda", 200)

    def test_silence_is_504_after_ten_seconds(self):
        # the only test here that waits for a deadline
        rig = self.start(ALLOW, world(policy=policy(default="silence")))
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        self.refused(rig, connection, seq, 504, "policy daemon")

    def test_an_unplug_while_it_is_silent_ends_the_job(self):
        rig = self.start(ALLOW, world(policy=policy(default="silence")))
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        rig.sim.wait_call(service="policy")
        gone = connection.remove("block", "sda")
        self.assert_told(connection, seq, 300)
        self.assert_told(connection, gone, 203)
        self.assert_last(rig, "sda", 311)

    def test_other_sources_are_served_while_it_is_silent_for_one(self):
        rig = self.start(ALLOW, world(
            qubes={"usb-too": {"state": "Running"}},
            devices=stick() + stick("sdb", "3-1", "77", "usb-too"),
            policy={"rules": [{"argument": "sys-usb", "verdict": "silence"}]}))
        first, second = self.forwarder(rig), self.forwarder(rig, "usb-too")
        first.add("block", "sda", **STICK)
        rig.sim.wait_call(service="policy")
        self.assert_told(second, second.add("block", "sdb", **STICK), 200)

    def test_a_verdict_is_asked_anew_for_each_record(self):
        rig = self.start(ALLOW, world(devices=stick() + stick("sdb", "2-2", "8")))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        rig.sim.policy(**policy(default="deny"))
        other = {**STICK, "serial": "8", "path": "other"}
        self.assert_told(connection, connection.add("block", "sdb", **other), 300)
        self.assert_last(rig, "sdb", 303)

    def test_a_partition_is_judged_like_a_disk(self):
        rig = self.start("r: allow block type partition to work\n", world(
            devices=[*stick(), {"backend": "sys-usb", "port": "sda1",
                                "class": "block", "parent": "sda"}],
            policy=policy(default="deny")))
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda1", parent="sda", **PART)
        self.assert_told(connection, seq, 300)
        self.assert_last(rig, "sda1", 303)


if __name__ == "__main__":
    unittest.main()
