# SPDX-License-Identifier: GPL-2.0-or-later
"""An approval is bound: to one plug, one rule, and what still can be done.

Also what happens before login, to floods, and when everything goes away.
"""

import os
import unittest

from approvalcase import (ALLOW, ASK, CHOICE, STICK, ApprovalCase, harness,
                          policy, stick, stick_n, sticks, world)

OTHER = {"serial": "OTHER", "path": "pci-0000:00:14.0-usb-0:9",
         "product_id": "9999", "vendor_id": "1234", "diskseq": 8}


class Plug(ApprovalCase):
    """An approval belongs to one plug."""

    def yes_is_worth_nothing(self, rig: harness.Rig) -> None:
        """A click on the old window, and nothing is done because of it."""
        rig.sim.click(answer="allow", window=1)
        rig.sim.wait_call(method="policy.Ask", done=True)
        rig.daemon.wait_status(
            lambda status: status["prompts"]["n_open"] != 1
            or len(self.prompts(rig)) > 1, "the old window is gone")
        self.assert_untouched(rig)

    def test_another_device_under_the_same_name_is_not_what_was_approved(self):
        rig, connection, seq = self.ask()
        rig.sim.unplug(backend="sys-usb", port="2-1")
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assert_told(connection, seq, 300)
        self.assert_last(rig, "sda", 311)
        rig.sim.plug(devices=stick(serial="OTHER"))
        seq = connection.add("block", "sda", **{**STICK, "serial": "OTHER"})
        rig.daemon.wait_job("awaiting-prompt")
        self.yes_is_worth_nothing(rig)
        # it is asked for by itself
        rig.sim.wait_call(method="policy.Ask", count=2)
        rig.sim.click(answer="deny")
        self.refused(rig, connection, seq, 304)

    def test_the_same_device_plugged_in_again_is_another_plug(self):
        rig, connection, _ = self.ask()
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        connection.add("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-prompt")
        self.yes_is_worth_nothing(rig)
        rig.sim.wait_call(method="policy.Ask", count=2)
        rig.sim.click(answer="deny")

    def test_each_property_that_makes_a_plug_counts(self):
        for key, value in OTHER.items():
            with self.subTest(key=key):
                # qubesd knows too little of the device to contradict
                rig = self.start(ASK, world(devices=[
                    {"backend": "sys-usb", "port": "sda", "class": "block"}]))
                connection = self.forwarder(rig)
                first = connection.add("block", "sda", **STICK)
                rig.sim.wait_window()
                second = connection.change("block", "sda", **{**STICK, key: value})
                self.assert_told(connection, first, 300)
                rig.daemon.wait_job("awaiting-prompt")
                self.yes_is_worth_nothing(rig)
                rig.sim.wait_call(method="policy.Ask", count=2)
                rig.sim.click(answer="allow")
                self.assert_told(connection, second, 200)

    def test_a_property_that_does_not_make_a_plug_changes_nothing(self):
        rig, connection, first = self.ask()
        second = connection.change("block", "sda",
                                   **{**STICK, "fs_label": "new", "size": 512})
        self.barrier(connection)
        rig.sim.click(answer="allow")
        self.assert_told(connection, first, 200)
        self.assert_told(connection, second, 200)

    def test_a_picture_without_the_device_is_an_unplug(self):
        rig, connection, seq = self.ask()
        newer = self.by_hand(rig)
        newer.synced()
        self.assert_told(connection, seq, 300)
        self.assert_last(rig, "sda", 311)
        self.yes_is_worth_nothing(rig)

    def test_a_picture_with_the_device_is_none(self):
        rig, connection, _ = self.ask()
        connection.close()
        newer = self.by_hand(rig)
        seq = newer.present("block", "sda", **STICK)
        newer.synced()
        self.barrier(newer)
        rig.sim.click(answer="allow")
        self.assert_told(newer, seq, 200)
        self.assertEqual(len(self.prompts(rig)), 1)

    def test_another_boot_of_the_source_is_another_plug(self):
        rig, connection, seq = self.ask()
        newer = self.enterContext(rig.daemon.connect())
        newer.hello(boot_id="f" * 32)
        self.assert_told(connection, seq, 300)
        newer.present("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-prompt")
        self.yes_is_worth_nothing(rig)
        rig.sim.wait_call(method="policy.Ask", count=2)
        rig.sim.click(answer="deny")

    def test_a_source_that_shuts_down_takes_its_prompt_s_worth_along(self):
        rig, connection, seq = self.ask()
        rig.sim.qube_stop(name="sys-usb")
        self.assert_told(connection, seq, 300)
        self.assert_last(rig, "sda", 311)
        self.yes_is_worth_nothing(rig)

    def test_a_lost_connection_changes_nothing(self):
        rig, connection, _ = self.ask()
        connection.close()
        rig.sim.click(answer="allow")
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_the_device_is_looked_up_again_after_the_yes(self):
        rig, connection, seq = self.ask()
        rig.mark()
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)
        self.assertEqual([call["method"].rpartition(".")[2]
                          for call in rig.calls()], ["Available", "Attach"])

    def test_another_device_in_qubesd_s_list_after_the_yes_is_311(self):
        rig, connection, seq = self.ask()
        rig.sim.set_identity(backend="sys-usb", port="sda",
                             identity="1234:9999:EVIL:u080650:1.0")
        rig.sim.click(answer="allow")
        self.refused(rig, connection, seq, 311)

    def test_the_attach_is_pinned_to_the_identity_after_the_yes(self):
        rig, connection, seq = self.ask()
        rig.sim.set_identity(backend="sys-usb", port="sda",
                             identity="0781:5581:4C530001:u080650:1.7")
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)
        self.assertTrue(rig.calls(method="*.Attach")[0]["arg"].endswith("+1.7"))

    def test_what_the_person_attached_meanwhile_is_left_alone(self):
        rig, connection, seq = self.ask(scenario=world(
            qubes={"vault": {"state": "Running"}}))
        rig.sim.attach(backend="sys-usb", port="sda", target="vault")
        rig.sim.click(answer="allow")
        self.refused(rig, connection, seq, 310)
        self.assertEqual(rig.sim.device("sda")["attachment"], "vault")

    def test_a_qubesd_that_restarts_while_the_prompt_is_open_is_no_matter(self):
        rig, connection, seq = self.ask()
        rig.sim.crash()
        rig.sim.restart()
        rig.sim.wait_subscribers()
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)
        self.assertEqual(len(self.prompts(rig)), 1)

    def test_a_yes_while_qubesd_is_away_is_done_when_it_is_back(self):
        rig, connection, seq = self.ask()
        rig.sim.crash()
        rig.sim.click(answer="allow")
        rig.daemon.wait_job("awaiting-qubesd")
        rig.sim.restart()
        self.assert_told(connection, seq, 200)


class Rules(ApprovalCase):
    """The rule must be of the same name and text when the answer comes."""

    def reloaded(self, rules: str) -> tuple:
        """These rules are in force before the yes."""
        rig, connection, seq = self.ask()
        rig.daemon.rules(rules)
        rig.daemon.reload()
        rig.sim.click(answer="allow")
        return rig, connection, seq

    def test_the_same_rule_counts(self):
        for rules in (ASK, "# new\nusb: deny usb\n" + ASK,
                      "stick:   ask block type disk   to  work  # the same\n"):
            with self.subTest(rules=rules):
                _, connection, seq = self.reloaded(rules)
                self.assert_told(connection, seq, 200)

    def test_another_text_counts_for_nothing(self):
        for rules in ("stick: ask block type disk to work read-only\n",
                      "stick: ask block type disk to { work vault }\n",
                      "stick: ask block type disk to vault\n",
                      "stick: ask block to work\n",
                      "stick: ask block type disk to work timeout 5m\n"):
            with self.subTest(rules=rules):
                rig, connection, seq = self.reloaded(rules)
                self.refused(rig, connection, seq, 311)

    def test_what_the_rules_say_now_is_done_without_it(self):
        rig, connection, seq = self.reloaded(
            "stick: allow block type disk to work\n")
        self.assert_told(connection, seq, 300)
        rig.daemon.wait_outcome("sda", 200)
        self.assertEqual(
            [each["code"] for each in rig.daemon.outcomes("sda")], [311, 200])
        rig, connection, seq = self.reloaded("stick: deny block type disk\n")
        self.refused(rig, connection, seq, 302)

    def test_another_name_counts_for_nothing(self):
        rig, connection, seq = self.reloaded(ASK.replace("stick", "disk"))
        self.refused(rig, connection, seq, 311)

    def test_a_rule_that_is_gone_counts_for_nothing(self):
        rig, connection, seq = self.reloaded("")
        self.refused(rig, connection, seq, 301)

    def test_a_rule_that_is_no_longer_the_first_counts_for_nothing(self):
        rig, connection, seq = self.reloaded("no: deny block\n" + ASK)
        self.refused(rig, connection, seq, 302)

    def test_bad_rules_change_nothing(self):
        rig, connection, seq = self.reloaded("stick: aks block to work\n")
        self.assert_told(connection, seq, 200)
        self.assertTrue(rig.daemon.status()["rules"]["failed"])

    def test_such_a_yes_is_no_no(self):
        rig, connection, seq = self.reloaded(ASK.replace("stick", "disk"))
        self.refused(rig, connection, seq, 311)
        seq = connection.change("block", "sda", **STICK)
        rig.sim.wait_window()
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)

    def test_a_queued_job_whose_rule_is_gone_is_never_shown(self):
        rig = self.start(ASK, world(devices=sticks(2)))
        connection = self.forwarder(rig)
        connection.add("block", "sda", **STICK)
        rig.sim.wait_window()
        second = connection.add("block", "sdb", **stick_n(1))
        rig.daemon.wait_job("awaiting-prompt", "sdb")
        rig.daemon.rules("none: deny block\n")
        rig.daemon.reload()
        rig.sim.click(answer="deny")
        self.assert_told(connection, second, 300)
        self.assertEqual(len(self.prompts(rig)), 1)


class Silence(ApprovalCase):
    """Three noes in a row quieten the source."""

    def noes(self, count: int, rig: harness.Rig,
             connection: harness.EventConn) -> None:
        """So many sticks, each refused."""
        for n in range(count):
            seq = connection.add("block", f"sd{chr(ord('a') + n)}", **stick_n(n))
            rig.sim.wait_window()
            rig.sim.click(answer="deny")
            self.assert_told(connection, seq, 300)

    def test_after_three_noes_it_is_312_without_a_prompt(self):
        rig = self.start(ASK, world(devices=sticks(5)))
        connection = self.forwarder(rig)
        self.noes(3, rig, connection)
        for name in ("sdd", "sde"):
            seq = connection.add("block", name, **stick_n(ord(name[2]) - ord("a")))
            self.assert_told(connection, seq, 300)
            self.assert_last(rig, name, 312)
        self.assertEqual(len(self.prompts(rig)), 3)
        self.assert_untouched(rig)

    def test_two_noes_do_not(self):
        rig = self.start(ASK, world(devices=sticks(3)))
        connection = self.forwarder(rig)
        self.noes(2, rig, connection)
        connection.add("block", "sdc", **stick_n(2))
        rig.sim.wait_window()
        rig.sim.click(answer="deny")

    def test_jobs_that_wait_for_their_prompt_end_at_once(self):
        rig = self.start(ASK, world(devices=sticks(6)))
        connection = self.forwarder(rig)
        seqs = [connection.add("block", f"sd{chr(ord('a') + n)}", **stick_n(n))
                for n in range(6)]
        rig.sim.wait_window()
        rig.sim.agent_script(default="deny")
        rig.daemon.wait_status(
            lambda status: status["prompts"]["n_waiting"] == 5, "five wait")
        rig.sim.click(answer="deny")
        for seq in seqs:
            self.assert_told(connection, seq, 300)
        codes = [rig.daemon.outcomes(f"sd{name}")[-1]["code"] for name in "abcdef"]
        # which of them came first is not told
        self.assertEqual(sorted(codes), [304, 304, 304, 312, 312, 312])
        self.assertEqual(len(self.prompts(rig)), 3)

    def test_a_yes_ends_the_row(self):
        rig = self.start(ASK, world(devices=sticks(6)))
        connection = self.forwarder(rig)
        self.noes(2, rig, connection)
        seq = connection.add("block", "sdc", **stick_n(2))
        rig.sim.wait_window()
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)
        for n, name in ((3, "sdd"), (4, "sde"), (5, "sdf")):
            seq = connection.add("block", name, **stick_n(n))
            rig.sim.wait_window()
            rig.sim.click(answer="deny")
            self.assert_told(connection, seq, 300)
            self.assert_last(rig, name, 304)

    def test_an_answer_that_is_none_does_not_count(self):
        rig = self.start(ASK, world(devices=sticks(5)))
        connection = self.forwarder(rig)
        self.noes(2, rig, connection)
        seq = connection.add("block", "sdc", **stick_n(2))
        rig.sim.wait_window()
        rig.sim.click(answer="empty")
        self.assert_told(connection, seq, 300)
        connection.add("block", "sdd", **stick_n(3))
        rig.sim.wait_window()
        rig.sim.click(answer="deny")

    def test_another_source_may_still_ask(self):
        rig = self.start(ASK, world(
            qubes={"usb-too": {"state": "Running"}},
            devices=sticks(4) + stick("sdz", "3-1", "77", "usb-too")))
        first, second = self.forwarder(rig), self.forwarder(rig, "usb-too")
        self.noes(3, rig, first)
        seq = second.add("block", "sdz", **{**STICK, "serial": "77"})
        rig.sim.wait_window()
        rig.sim.click(answer="allow")
        self.assert_told(second, seq, 200)
        # and its yes is not the other's
        seq = first.add("block", "sdd", **stick_n(3))
        self.assert_told(first, seq, 300)
        self.assert_last(rig, "sdd", 312)

    def test_what_needs_no_prompt_is_not_silenced(self):
        rig = self.start("free: allow block name sdd to work\n" + ASK,
                         world(devices=sticks(4)))
        connection = self.forwarder(rig)
        self.noes(3, rig, connection)
        seq = connection.add("block", "sdd", **stick_n(3))
        self.assert_told(connection, seq, 200)

    def test_status_tells_for_how_long(self):
        rig = self.start(ASK, world(devices=sticks(3)))
        connection = self.forwarder(rig)
        self.noes(3, rig, connection)
        quiet = rig.daemon.status()["sources"][0]["quiet_usec"]
        self.assertLessEqual(quiet, 60 * 1000000)
        self.assertGreater(quiet, 0)


class BeforeLogin(ApprovalCase):
    """Nobody logged in yet: the job waits without using up its time."""

    def waiting(self, prepare) -> tuple:
        """The stick was plugged in while nobody could be asked."""
        # who logs in answers at once: there is but a second
        rig = self.start("stick: ask block type disk to work timeout 1s\n",
                         world(agent={"present": False, "default": "allow"}))
        prepare(rig)
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        rig.daemon.wait_status(lambda status: status["prompts"]["no_agent"],
                               "that nobody is logged in")
        self.assert_untouched(rig)
        return rig, connection, seq

    def goes_on(self, rig, connection, seq) -> None:
        """The job goes on where it was."""
        self.assert_told(connection, seq, 200)
        self.assertEqual(len(self.prompts(rig)), 1)

    def test_without_a_socket_it_waits_until_one_appears(self):
        waiting = self.waiting(lambda rig: None)
        waiting[0].sim.agent_up()
        self.goes_on(*waiting)

    def test_a_socket_where_nobody_listens_is_tried_again(self):
        # bind comes before listen, and listen makes no inotify event
        waiting = self.waiting(lambda rig: rig.sim.agent_up(listen=False))
        waiting[0].sim.agent_up()
        self.goes_on(*waiting)

    @unittest.skipIf(os.geteuid() == 0, "root may connect to anything")
    def test_a_socket_that_may_not_be_used_is_used_when_it_may(self):
        waiting = self.waiting(lambda rig: rig.sim.agent_up(mode=0))
        waiting[0].sim.agent_socket.chmod(0o660)
        self.goes_on(*waiting)

    def test_an_unplug_before_the_login_ends_the_job(self):
        rig, connection, seq = self.waiting(lambda rig: None)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assert_told(connection, seq, 300)
        rig.sim.agent_up()
        self.barrier(connection)
        self.assert_unasked(rig)

    def test_the_time_to_answer_begins_with_the_prompt(self):
        # the rule allows 1 s; the next try after the login may be later
        rig, connection, seq = self.waiting(
            lambda rig: rig.sim.agent_up(listen=False))
        self.assertEqual(rig.daemon.outcomes("sda"), [])
        rig.sim.agent_up()
        self.goes_on(rig, connection, seq)

    def test_after_a_logout_it_waits_for_the_next_login(self):
        rig, connection, seq = self.ask()
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)
        rig.sim.agent_down()
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        seq = connection.add("block", "sda", **STICK)
        rig.daemon.wait_status(lambda status: status["prompts"]["no_agent"],
                               "that nobody is logged in")
        rig.sim.agent_up()
        rig.sim.wait_window()
        rig.sim.click(answer="allow")
        self.assert_told(connection, seq, 200)

    def test_a_rule_that_needs_no_prompt_does_not_wait(self):
        rig = self.start(ALLOW, world(agent={"present": False}))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)


class Flood(ApprovalCase):
    """10,000 records that all match an ask rule."""

    COUNT = 10000
    RULES = ("free: allow block from usb-too to work\n"
             "stick: ask block type disk to work\n")

    @staticmethod
    def name(n: int) -> str:
        """sdaaa, sdaab, ..."""
        letters = [chr(ord("a") + n // 26 ** i % 26) for i in (2, 1, 0)]
        return "sd" + "".join(letters)

    def check(self, unlimited: bool, count: int) -> None:
        """One window, flat memory, and the other source is served."""
        names = [self.name(n) for n in range(256)]
        rig = self.start(self.RULES, world(
            qubes={"usb-too": {"state": "Running"}},
            devices=[{"backend": "sys-usb", "port": name, "class": "block"}
                     for name in names] + stick("sdb", "3-1", "77", "usb-too")),
            unlimited=unlimited)
        hostile, other = self.forwarder(rig), self.forwarder(rig, "usb-too")
        for n, name in enumerate(names[:200]):
            hostile.add("block", name, devtype="disk", path=f"p{n}")
        rig.sim.wait_window()
        rig.daemon.wait_status(
            lambda status: status["prompts"]["n_waiting"] == 199, "199 wait")
        before = rig.daemon.memory()
        for n in range(200, count):
            index = n % 200
            hostile.change("block", names[index], devtype="disk",
                           path=f"p{n}" if n % 2 else f"p{index}")
            if n % 100 == 99:
                # who does not read its answers is not read from
                self.barrier(hostile)
            if n % 1000 == 999:
                seq = other.add("block", "sdb", **{**STICK, "serial": "77"})
                self.assertIn(other.answer(seq)["code"], (200, 201))
        after = rig.daemon.memory()
        # a sanitizer keeps what was freed
        if not harness.is_sanitized():
            self.assertLess(after - before, 2 * 1024 * 1024)
        self.assertEqual(len(self.prompts(rig)), 1)
        self.assertEqual(rig.sim.state()["max_open_windows"], 1)

    def test_with_all_rates_off_there_is_one_window_and_memory_is_flat(self):
        self.check(True, self.COUNT)

    def test_more_jobs_than_the_limit_are_told_429(self):
        names = [self.name(n) for n in range(300)]
        rig = self.start(ASK, world(devices=[
            {"backend": "sys-usb", "port": name, "class": "block"}
            for name in names]), unlimited=True)
        connection = self.forwarder(rig)
        seqs = [connection.add("block", name, devtype="disk", path=name)
                for name in names]
        for seq in seqs[256:]:
            self.assertEqual(connection.answer(seq)["code"], 429)
        rig.sim.wait_window()
        self.assertEqual(len(self.prompts(rig)), 1)


class Several(ApprovalCase):
    """The prompts of several sources, and one that goes away."""

    def test_a_source_that_stops_lets_the_next_one_ask(self):
        rig = self.start(CHOICE, world(
            qubes={"usb-too": {"state": "Running"}},
            devices=stick() + stick("sdb", "3-1", "77", "usb-too"),
            policy=policy(("vault", "deny"))))
        first, second = self.forwarder(rig), self.forwarder(rig, "usb-too")
        first.add("block", "sda", **STICK)
        rig.sim.wait_window()
        seq = second.add("block", "sdb", **{**STICK, "serial": "77"})
        rig.daemon.wait_job("awaiting-prompt", "sdb")
        rig.sim.qube_stop(name="sys-usb")
        rig.sim.click(answer="allow:work")
        rig.sim.wait_call(method="policy.Ask", count=2)
        rig.sim.click(answer="allow:backups")
        self.assert_told(second, seq, 200)
        self.assertEqual(rig.count("Attach", dest="work"), 0)


if __name__ == "__main__":
    unittest.main()
