# SPDX-License-Identifier: GPL-2.0-or-later
"""Every subcommand that talks to the daemon, for people and for programs."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from commandcase import (COMMAND, DANGEROUS, DEADLINE, CommandCase, run,  # noqa: E402
                         run_on_terminal)
from approvalcase import policy  # noqa: E402
from daemoncase import STICK, TO_WORK, world  # noqa: E402
from support.varlink import Interface  # noqa: E402
from test_interface import HID, WIRE  # noqa: E402
from harness import INTERFACE, VarlinkError  # noqa: E402

TYPES = Interface((WIRE / f"{INTERFACE}.varlink").read_text(encoding="utf-8"))
RULES = "no-hid: deny usb interface 03*\n" + TO_WORK
ASK = "backup: ask block id 0781:5581 to work\n"
OFF = "  {} not running; what is plugged in there is not seen\n"
# a label that would like to be something else
HOSTILE = {"vendor": "Evil\u202e\u200b", "model": "\"to vault", "serial": "\u2066\ufeff",
           "fs_label": "a\u0301\u2028", "devtype": "disk"}


def reply_type(method: str):
    """What a method answers."""
    return TYPES.methods[method][1]


class StatusTest(CommandCase):
    """status"""

    def test_it_tells_in_the_order_of_interest(self):
        rig = self.start(RULES)
        self.attach_stick(rig)
        self.command(rig, "pause", "1h")
        text = self.command(rig, "status")
        order = ["Paused: nothing is attached\n", "Needs attention\n",
                 "attaching is paused for another 59 min; to go on now: "
                 "qvm-autoattach resume\n",
                 "Attached\n", "sys-usb:sda\twork\tstick\t\"SanDisk Ultra\"\n",
                 "Last outcomes, newest first\n",
                 "sys-usb:sda \"SanDisk Ultra\": attached to work by rule stick\n",
                 "Sources\n"]
        places = [text.find(part) for part in order]
        self.assertNotIn(-1, places, text)
        self.assertEqual(places, sorted(places), text)

    def test_json_has_the_form_of_the_interface(self):
        rig = self.start(RULES)
        self.attach_stick(rig)
        TYPES.check(reply_type("GetStatus"), self.json(rig, "status"), "status")

    def test_a_policy_daemon_that_was_not_there_is_told_until_it_answers(self):
        rig = self.start(RULES)
        self.attach_stick(rig)
        rig.sim.detach(backend="sys-usb", port="sda")
        rig.daemon.wait_outcome("sda", 308)
        self.assertEqual(self.command(rig, "status", "-q"), "")
        rig.sim.crash(service="policy")
        self.command(rig, "retry", "sys-usb:sda", status=5)
        text = self.command(rig, "status", "-q")
        self.assertRegex(text, r"^  the policy daemon cannot be reached \(asked .*\); "
                               r"nothing is attached without it; .*\n$")
        self.assertTrue(self.command(rig, "status").startswith(
            "Not working: the policy daemon did not answer\n"))
        status = self.json(rig, "status")
        TYPES.check(reply_type("GetStatus"), status, "status")
        self.assertEqual(status["policy"]["state"], "unreachable")
        rig.sim.restart(service="policy")
        self.command(rig, "retry", "sys-usb:sda")
        self.assertEqual(self.command(rig, "status", "-q"), "")

    def test_a_target_that_does_not_exist_is_told(self):
        rig = self.start(TO_WORK.replace("to work", "to wrok"),
                         world(policy=policy(("wrok", "deny"))))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        warning = ("50-test.rules:1:36: warning: there is no qube 'wrok'; nothing can "
                   "be attached to it\n")
        self.assertEqual(self.command(rig, "status", "-q"),
                         f"  1 warning in {rig.daemon.rules_dir}\n    {warning}")
        rules = self.json(rig, "status")["rules"]
        self.assertEqual((rules["n_errors"], rules["n_warnings"],
                          rules["errors"][0]["message"]),
                         (0, 1, "there is no qube 'wrok'; nothing can be attached to it"))
        self.assertEqual(self.command(rig, "reload"),
                         f"{warning}1 rule of 1 file in force, 1 warning\n")
        self.assertEqual(self.json(rig, "reload")["rules"]["n_warnings"], 1)

    def test_what_policy_denies_is_told_with_its_target(self):
        rig = self.start(TO_WORK + "two: allow block to { work vault }\n",
                         world(policy=policy(default="deny")))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assertIn("rule stick takes it, but the Qubes policy does not allow work; to "
                      "see why: qvm-autoattach explain\n", self.command(rig, "history"))
        self.assertEqual(self.assert_last(rig, "sda", 303)["target"], "work")
        self.assert_told(connection, connection.add("block", "sdb", devtype="disk"), 300)
        self.assertIn("rule two takes it, but the Qubes policy allows none of its "
                      "targets; to see why: ", self.command(rig, "history"))
        self.assertIsNone(self.assert_last(rig, "sdb", 303)["target"])

    def test_status_does_without_a_look_that_is_impossible(self):
        rig = self.start(TO_WORK.replace("to work", "to wrok"))
        self.barrier(self.forwarder(rig))
        hold = rig.sim.hold(method="admin.vm.List")["id"]
        self.assertEqual(self.command(rig, "status", "-q"), "")
        rig.sim.release(id=hold)
        shutil.rmtree(rig.daemon.rules_dir)
        rig.daemon.wait_status(lambda status: status["rules"]["missing"], "it is gone")
        self.assertIn("does not exist", self.command(rig, "status", "-q"))

    def test_explain_finds_out_that_the_policy_daemon_is_back(self):
        rig = self.start(TO_WORK)
        rig.sim.crash(service="policy")
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assertIn("the policy daemon cannot be reached",
                      self.command(rig, "status", "-q"))
        rig.sim.restart(service="policy")
        self.command(rig, "explain", "sys-usb:sda")
        self.assertEqual(self.json(rig, "status")["policy"]["state"], "answering")
        rig.daemon.wait_outcome("sda", 200)
        self.assertEqual(self.command(rig, "status", "-q"), "")
        rig.sim.crash(service="policy")
        self.command(rig, "explain", "sys-usb:sda", status=5)
        self.assertEqual(self.json(rig, "status")["policy"]["state"], "unreachable")

    def test_a_forwarder_of_another_version_is_told_as_that(self):
        rig = self.start(RULES)
        connection = self.enterContext(rig.daemon.connect())
        connection.hello(version=2, agent="new\u202e/2")
        connection.wait_closed()
        self.assertRegex(
            self.command(rig, "status", "-q"),
            r"^  dom0 \(.*\) does not understand the forwarder of sys-usb \("
            r'"new\\u\{202e\}/2", 401\): are both packages of one version\?\n$')
        status = self.json(rig, "status")
        TYPES.check(reply_type("GetStatus"), status, "status")
        refused = status["refused"][0]
        self.assertEqual((refused["source"], refused["code"], refused["agent"]),
                         ("sys-usb", 401, "new\\u{202e}/2"))
        # one that works is not at fault for what is sent by hand
        forwarder = self.forwarder(rig)
        self.barrier(forwarder)
        self.assertEqual(self.command(rig, "status", "-q"), "")
        by_hand = self.by_hand(rig)
        by_hand.send({"type": "event"})
        by_hand.wait_closed()
        self.assertEqual(self.json(rig, "status")["refused"], [])
        forwarder.send({"type": "event"})
        forwarder.wait_closed()
        self.assertIn('("qubes-autoattach/test", 400): ',
                      self.command(rig, "status", "-q"))
        by_hand = self.by_hand(rig)
        by_hand.eof()
        by_hand.wait_closed()
        self.assertEqual(self.json(rig, "status")["refused"], [])

    def test_a_usb_qube_that_is_off_is_told_as_that(self):
        rig = self.start(RULES)
        self.barrier(self.forwarder(rig))
        rig.sim.qube_stop(name="sys-usb")
        # it may be forgotten by then
        rig.daemon.wait_status(
            lambda status: not any(source["n_connections"]
                                   for source in status["sources"]), "it is gone")
        self.assertEqual(self.command(rig, "status", "-q"), OFF.format("sys-usb is"))

    def test_usb_qubes_that_have_not_called_are_known_by_the_rules(self):
        rig = self.start(
            "r: deny block from { usb-a usb-b }\ns: deny usb from usb-b\n",
            world(qubes={"usb-a": {"state": "Halted"}, "usb-b": {"state": "Halted"}}))
        self.assertEqual(self.command(rig, "status", "-q"),
                         OFF.format("usb-a and usb-b are"))
        status = self.json(rig, "status")
        TYPES.check(reply_type("GetStatus"), status, "status")
        self.assertEqual(status["rules"]["sources"], ["usb-a", "usb-b"])

    @unittest.skipUnless(os.geteuid() != 0 or shutil.which("setpriv"), "needs setpriv")
    def test_an_agent_that_may_not_be_used_is_no_missing_login(self):
        # modes apply to root, too
        tool = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
        rig = self.start(ASK, tool=tool if os.geteuid() == 0 else ())
        os.chmod(rig.sim.agent_socket, 0)
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        rig.daemon.wait_status(lambda status: status["prompts"]["agent_refused"],
                               "that the agent may not be used")
        self.assertIn("  1 prompt to be shown, but the daemon may not write to the policy "
                      "agent's socket; ", self.command(rig, "status", "-q"))
        os.chmod(rig.sim.agent_socket, 0o600)
        rig.sim.wait_window()
        self.assertNotIn("policy agent", self.command(rig, "status", "-q"))
        rig.sim.click(answer="allow")
        connection.answer(seq)

    def test_a_no_is_told_with_what_helps(self):
        rig = self.start(ASK)
        connection = self.forwarder(rig)
        rig.sim.agent_script(default="deny")
        connection.answer(connection.add("block", "sda", **STICK))
        self.assertRegex(
            self.command(rig, "status"),
            r"(just now|\d+ s ago) +sys-usb:sda \"SanDisk Ultra\": rule backup asked, "
            r"you said no; replug it to be asked again, or: qvm-autoattach retry\n")


class DevicesTest(CommandCase):
    """devices"""

    def plugged(self, rules: str = RULES):
        """A stick, attached, and a keyboard, denied."""
        rig = self.start(rules)
        connection = self.attach_stick(rig)
        connection.answer(connection.add("usb", "3-1", **HID))
        return rig

    def test_a_row_for_each(self):
        rig = self.plugged()
        self.assertEqual(
            self.command(rig, "devices"),
            "DEVICE\tID\tNAME\tSIZE\tATTACHED\tRULE\n"
            "sys-usb:sda\t0781:5581\t\"SanDisk Ultra\"\t14.3 GiB\twork\tstick\n"
            "sys-usb:3-1\t046d:c31c\t\t\t\tno-hid (deny)\n")
        self.assertEqual(self.command(rig, "devices", "-q"),
                         "sys-usb:sda\nsys-usb:3-1\n")

    def test_json_has_the_form_of_the_interface(self):
        rig = self.plugged()
        TYPES.check(reply_type("ListDevices"), self.json(rig, "devices"), "devices")

    def test_verbose_tells_what_rules_are_written_of(self):
        text = self.command(self.plugged(), "devices", "-v")
        for line in ("sys-usb:sda \"SanDisk Ultra\"", "  attached to    work, by rule stick",
                     "  rule           stick, 50-test.rules:2",
                     "  serial         \"4C530001\"", "  size           15376000000",
                     "  removable      yes", "  interface      030101",
                     "  id             0781:5581", "  type           \"disk\"",
                     "  rule           no-hid (deny), 50-test.rules:1"):
            self.assertIn(line + "\n", text)
        # no rule takes that
        self.assertNotIn("usb_device", text)
        self.assertRegex(text, r"\n  last outcome   attached \((just now|\d+ s ago)\)\n")

    def test_verbose_tells_what_is_in_work(self):
        rig = self.start(TO_WORK)
        hold = rig.sim.hold(method="*.Available")["id"]
        connection = self.forwarder(rig)
        connection.add("block", "sda", parent="2-1", **STICK)
        rig.sim.wait_held(id=hold, count=1)
        connection.add("block", "sdb", devtype="disk")
        self.barrier(connection)
        text = self.command(rig, "devices", "-v")
        self.assertIn("\n  in work        checking\n  part of        2-1\n", text)
        self.assertIn("sys-usb:sdb\n  rule           (none)\n", text)
        rig.sim.release(id=hold)

    def test_nothing_is_said_in_words(self):
        rig = self.start()
        self.assertEqual(self.command(rig, "devices"),
                         "no devices are reported: no USB qube has a forwarder; "
                         "look at: qvm-autoattach status\n")
        self.assertEqual(self.json(rig, "devices"), {"devices": []})
        self.forwarder(rig)
        rig.daemon.wait_status(lambda status: any(
            source["forwarder"] for source in status["sources"]), "a forwarder")
        self.assertEqual(self.command(rig, "devices"), "no devices are reported\n")

    def test_what_a_forwarder_that_has_gone_told_is_marked(self):
        rig = self.start("")
        connection = self.forwarder(rig)
        connection.answer(connection.add("block", "sda", **STICK))
        connection.close()
        rig.daemon.wait_status(lambda status: not any(
            source["n_connections"] for source in status["sources"]), "no forwarder")
        for form in ((), ("-v",)):
            result = run("devices", *form, "--socket", rig.daemon.control_socket)
            self.assertIn("sys-usb:sda", result.stdout)
            self.assertEqual(
                (result.returncode, result.stderr),
                (0, "qvm-autoattach: sys-usb has no forwarder, what is plugged in "
                    "there now is not seen; look at: qvm-autoattach status\n"))
        self.assertEqual(self.command(rig, "devices", "-q"), "sys-usb:sda\n")

    def test_more_than_one_reply_holds(self):
        rig = self.start("", unlimited=True)
        connection = self.forwarder(rig)
        names = [f"sd{a}{b}" for a in "abcdefghij" for b in "abcdefghij"]
        for name in names:
            connection.answer(connection.add("block", name, **STICK))
        self.assertEqual(self.command(rig, "devices", "-q"),
                         "".join(f"sys-usb:{name}\n" for name in names))
        self.assertEqual(len(self.json(rig, "devices")["devices"]), 100)


class RulesTest(CommandCase):
    """rules and reload"""

    def test_a_row_for_each_with_its_hits(self):
        rig = self.start(RULES)
        self.attach_stick(rig)
        self.assertEqual(
            self.command(rig, "rules"),
            "NAME\tHITS\tWHERE\tRULE\n"
            "no-hid\t0\t50-test.rules:1\tdeny usb interface 03*\n"
            "stick\t1\t50-test.rules:2\tallow block id 0781:5581 to work\n")
        self.assertEqual(self.command(rig, "rules", "-q"), "no-hid\nstick\n")
        self.assertEqual(self.command(rig, "rules", "-v"),
                         "# 50-test.rules:1, no hits\n"
                         "no-hid: deny usb interface 03*\n"
                         "# 50-test.rules:2, 1 hit\n"
                         "stick: allow block id 0781:5581 to work\n")
        TYPES.check(reply_type("ListRules"), self.json(rig, "rules"), "rules")

    def test_no_rules(self):
        rig = self.start("")
        self.assertEqual(self.command(rig, "rules"), "no rules are in force\n")
        self.assertEqual(self.json(rig, "rules"), {"rules": []})

    def test_reload_tells_what_is_in_force(self):
        rig = self.start(TO_WORK)
        rig.daemon.rules(RULES)
        self.assertEqual(self.command(rig, "reload"), "2 rules of 1 file in force\n")
        reply = self.json(rig, "reload")
        TYPES.check(reply_type("Reload"), reply, "reload")
        self.assertEqual(self.command(rig, "reload", "-q"), "")

    def test_reload_tells_what_is_wrong(self):
        rig = self.start(TO_WORK)
        rig.daemon.rules("b: alow block to work\n", "60-bad.rules")
        self.assertRegex(
            self.command(rig, "reload", status=2),
            r"\A60-bad.rules:1:4: .*\n  b: alow block to work\n     \^\n"
            r"1 error; the old rules stay in force\n\Z")
        self.assertTrue(self.json(rig, "reload", status=2)["rules"]["failed"])
        self.assertEqual(self.command(rig, "reload", "-q", status=2), "")
        # nor are there old ones after a restart
        rig.daemon.restart()
        self.assertTrue(self.command(rig, "reload", status=2).endswith(
            "1 error; no rules are in force\n"))

    def test_a_folder_that_is_missing_is_told_with_what_makes_it(self):
        rig = self.start(TO_WORK)
        self.attach_stick(rig)
        folder = rig.daemon.rules_dir
        shutil.rmtree(folder)
        cure = f"to make it: sudo mkdir -m 755 {folder}\n"
        self.assertEqual(
            self.command(rig, "reload", status=2),
            f"the rules folder {folder} does not exist, no rules are in force; {cure}")
        self.assertTrue(self.json(rig, "reload", status=2)["rules"]["missing"])
        self.assertEqual(
            self.command(rig, "status", "-q"),
            f"  the rules folder {folder} does not exist, nothing is attached; {cure}")
        self.assertTrue(self.refused(rig, "add", "n", "sys-usb:sda", "--to", "work",
                                     status=3)
                        .startswith(f"{folder}: there is no such folder; {cure}"))
        self.assertIn(f"{folder}: there is no such folder; {cure}",
                      self.command(rig, "check", status=2))


    def test_what_is_passed_over_is_told_where_no_rule_is_read(self):
        rig = self.start("")
        self.barrier(self.forwarder(rig))
        folder = rig.daemon.rules_dir
        for name in ("30-user.rule", "40.RULES", ".5.rules", "6.rules~"):
            (folder / name).write_text(TO_WORK, encoding="utf-8")
        suffix = "its name does not end in .rules\n"
        wanted = [f"{folder}/.5.rules is passed over: its name begins with a dot\n",
                  f"{folder}/30-user.rule is passed over: {suffix}",
                  f"{folder}/40.RULES is passed over: {suffix}",
                  f"{folder}/6.rules~ is passed over: {suffix}"]
        self.assertEqual(self.command(rig, "check"),
                         "".join(wanted) + "no files, no rules, no errors\n")
        self.assertEqual([entry["file"] for entry in self.json(rig, "check")["passed_over"]],
                         [f"{folder}/{name}" for name in
                          (".5.rules", "30-user.rule", "40.RULES", "6.rules~")])
        self.assertEqual(self.command(rig, "reload"),
                         "".join(wanted) + "no rules of no files in force\n")
        self.assertTrue(self.command(rig, "status", "-q").endswith(
            "".join(f"    {line}" for line in wanted)))
        TYPES.check(reply_type("GetStatus"), self.json(rig, "status"), "status")
        TYPES.check(reply_type("Reload"), self.json(rig, "reload"), "reload")
        rig.daemon.rules(TO_WORK)
        self.assertEqual(self.command(rig, "reload"), "1 rule of 1 file in force\n")
        self.assertEqual(self.command(rig, "check"), "1 file, 1 rule, no errors\n")
        self.assertEqual(self.command(rig, "check", "-v"),
                         f"{folder}/50-test.rules\n" + "".join(wanted)
                         + "1 file, 1 rule, no errors\n")
        self.assertEqual(self.command(rig, "status", "-q"), "")


class HistoryTest(CommandCase):
    """history"""

    LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (.*)\n")

    def sentences(self, text: str) -> list[str]:
        """The lines without their time."""
        return [self.LINE.fullmatch(line).group(1)
                for line in text.splitlines(keepends=True)]

    def history(self):
        """Three outcomes."""
        rig = self.start(RULES)
        connection = self.attach_stick(rig)
        connection.answer(connection.add("usb", "3-1", **HID))
        connection.answer(connection.remove("block", "sda"))
        return rig, connection

    def test_the_last_ones_newest_last(self):
        rig, _ = self.history()
        wanted = ["sys-usb:sda \"SanDisk Ultra\": attached to work by rule stick",
                  "sys-usb:3-1: rule no-hid denies it",
                  "sys-usb:sda \"SanDisk Ultra\": detached from work"]
        self.assertEqual(self.sentences(self.command(rig, "history")), wanted)
        for arguments in (("-n", "2"), ("-n2",), ("--number=2",)):
            self.assertEqual(self.sentences(self.command(rig, "history", *arguments)),
                             wanted[1:])
        self.assertRegex(self.command(rig, "history", "-v", "-n1"),
                         r"\n    203 detached, after \d+ ms\n\Z")
        self.assertEqual(self.command(rig, "history", "-n", "0"), "")

    def test_that_there_are_none_is_said_to_a_person(self):
        rig = self.start(RULES)
        self.assertEqual(self.command(rig, "history"), "no outcomes yet\n")
        for arguments in (("--json",), ("-q",), ("-n", "0")):
            self.assertEqual(self.command(rig, "history", *arguments), "")

    def test_json_is_an_object_a_line(self):
        rig, _ = self.history()
        text = self.command(rig, "history", "--json")
        outcomes = [json.loads(line) for line in text.splitlines()]
        for outcome in outcomes:
            TYPES.check(TYPES.types["Outcome"], outcome, "outcome")
        self.assertEqual([outcome["code"] for outcome in outcomes], [200, 302, 203])

    def test_it_follows_until_it_is_interrupted(self):
        rig, connection = self.history()
        following = self.running(rig, "history", "-f", "-n", "1")
        self.assertIn("detached from work", following.line())
        connection.answer(connection.change("usb", "3-1", **HID))
        self.assertIn("rule no-hid denies it", following.line())
        following.interrupt()
        self.assertEqual(following.end(), (0, "", ""))

    def test_it_follows_for_programs_too(self):
        rig, connection = self.history()
        following = self.running(rig, "history", "-f", "-n", "1", "--json")
        self.assertEqual(json.loads(following.line())["code"], 203)
        connection.answer(connection.change("usb", "3-1", **HID))
        self.assertEqual(json.loads(following.line())["code"], 302)
        following.interrupt()
        self.assertEqual(following.end(), (0, "", ""))

    def test_it_comes_back_with_the_daemon(self):
        rig, _ = self.history()
        following = self.running(rig, "history", "-f", "-n", "1")
        self.assertIn("detached from work", following.line())
        rig.daemon.restart()
        self.assertEqual(following.complaint(),
                         "qvm-autoattach: the daemon has gone; waiting for it to "
                         "come back\n")
        connection = self.forwarder(rig)
        connection.answer(connection.add("usb", "3-1", **HID))
        self.assertIn("rule no-hid denies it", following.line())
        following.interrupt()
        self.assertEqual(following.end(), (0, "", ""))

    def test_it_can_be_interrupted_while_the_daemon_is_gone(self):
        rig, _ = self.history()
        following = self.running(rig, "history", "-f", "-n", "1")
        following.line()
        rig.daemon.stop()
        following.complaint()
        following.interrupt()
        self.assertEqual(following.end()[0], 0)
        rig.daemon.start()


# behind what became of a detach
ALONE = ("  left alone until it is replugged, or until: qvm-autoattach retry "
         "sys-usb:sda\n")


class ActTest(CommandCase):
    """retry, detach, pause, resume"""

    def test_detach_and_retry(self):
        rig = self.start(RULES)
        self.attach_stick(rig)
        self.assertEqual(self.command(rig, "detach", "sys-usb:sda"),
                         "sys-usb:sda \"SanDisk Ultra\": detached from work\n" + ALONE)
        rig.sim.wait_detached(backend="sys-usb", port="sda")
        self.assertEqual(self.command(rig, "retry", "sys-usb:sda"),
                         "sys-usb:sda \"SanDisk Ultra\": attached to work by rule "
                         "stick\n")
        reply = self.json(rig, "detach", "sys-usb:sda")
        TYPES.check(reply_type("Detach"), reply, "detach")
        reply = self.json(rig, "retry", "sys-usb:sda")
        TYPES.check(reply_type("Retry"), reply, "retry")
        self.assertEqual(self.command(rig, "retry", "sys-usb:sda", "-q"), "")

    def test_a_detach_of_what_is_being_attached_undoes_that(self):
        rig = self.start(RULES)
        hold = rig.sim.hold(method="*.Attach", phase="answer")["id"]
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        rig.sim.wait_held(id=hold, count=1)
        detaching = self.running(rig, "detach", "sys-usb:sda")
        self.assert_told(connection, seq, 300)
        rig.sim.release(id=hold)
        self.assertEqual(detaching.end(),
                         (0, "sys-usb:sda: nothing of it is left attached\n" + ALONE, ""))
        rig.sim.wait_detached(backend="sys-usb", port="sda")
        self.assert_last(rig, "sda", 308)

    def test_a_detach_that_waits_for_qubesd_says_so(self):
        rig = self.start(RULES)
        self.attach_stick(rig)
        rig.sim.crash(service="qubesd")
        detaching = self.running(rig, "detach", "sys-usb:sda")
        self.assertEqual(detaching.complaint(),
                         "qvm-autoattach: sys-usb:sda: waiting until qubesd can be "
                         "reached; Ctrl-C ends the waiting only\n")
        rig.sim.restart(service="qubesd")
        self.assertEqual(detaching.end(),
                         (0, "sys-usb:sda \"SanDisk Ultra\": detached from work\n" + ALONE,
                          ""))

    def test_the_exit_status_is_that_of_the_outcome(self):
        rig = self.start(RULES)
        connection = self.forwarder(rig)
        rig.sim.fault(method="*.Attach", do="exception", type="QubesVMNotFoundError",
                      message="no such qube", count=-1)
        connection.answer(connection.add("usb", "3-1", **HID))
        connection.answer(connection.add("block", "sda", **STICK))
        self.assertEqual(self.command(rig, "retry", "sys-usb:3-1", status=3),
                         "sys-usb:3-1: rule no-hid denies it\n")
        self.assertEqual(self.json(rig, "retry", "sys-usb:3-1", status=3)["code"], 302)
        text = self.command(rig, "retry", "sys-usb:sda", status=5)
        self.assertIn("qubesd answered with an error", text)
        self.assertEqual(self.command(rig, "retry", "sys-usb:sda", "-q", status=5), "")

    def test_a_device_that_is_not_there(self):
        rig = self.start()
        for act in ("retry", "detach"):
            self.assertEqual(
                self.refused(rig, act, "sys-usb:sdz", status=4),
                "qvm-autoattach: no device sys-usb:sdz is reported; qvm-autoattach "
                "devices lists those that are, qvm-autoattach status tells which USB "
                "qubes report\n")

    def test_what_is_no_device_is_told(self):
        rig = self.start()
        for word, what in (("sda", "as sys-usb:sda"), (":sda", "before the colon"),
                           ("sys-usb:", "after the colon"),
                           ("sys-usb:\033[2J", "after the colon"),
                           ("sys-usb:sda:1", "after the colon")):
            complaint = self.refused(rig, "retry", word, status=64)
            self.assertIn(what, complaint)
            self.assertIsNone(DANGEROUS.search(complaint))
        self.assertIn("needs a DEVICE", self.refused(rig, "retry", status=64))
        self.assertIn("one word too many",
                      self.refused(rig, "retry", "a:b", "c:d", status=64))

    def test_pause_and_resume(self):
        rig = self.start(RULES)
        connection = self.forwarder(rig)
        self.assertEqual(self.command(rig, "pause", "210m"),
                         "attaching is paused for 210 min\n")
        self.assertEqual(self.command(rig, "pause", "90m"),
                         "attaching is paused for 90 min\n")
        connection.answer(connection.add("block", "sda", **STICK))
        self.assertIn("attaching is paused", self.command(rig, "history"))
        self.assertEqual(self.command(rig, "resume"), "attaching goes on\n")
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        self.assertEqual(self.command(rig, "resume"), "attaching was not paused\n")
        self.assertIn("qvm-autoattach resume", self.command(rig, "pause"))
        TYPES.check(reply_type("Pause"), self.json(rig, "pause", "1h"), "pause")
        TYPES.check(reply_type("Resume"), self.json(rig, "resume"), "resume")
        self.assertEqual(self.command(rig, "pause", "-q"), "")
        self.assertEqual(self.command(rig, "resume", "-q"), "")

    def test_wait_says_what_is_no_name_of_a_rule(self):
        rig = self.start(RULES)
        for name in ("", b"\xff", "a\nb"):
            self.assertIn("is neither a device, as sys-usb:sda, nor the name of a rule",
                          self.refused(rig, "wait", name, status=64))

    def test_following_ends_when_nobody_reads_any_more(self):
        rig = self.start(RULES)
        self.attach_stick(rig)
        result = subprocess.run(
            ["sh", "-c", '"$@" | head -n 1', "sh", COMMAND, "history", "-f", "--socket",
             rig.daemon.control_socket], capture_output=True, text=True, check=False,
            timeout=DEADLINE)
        self.assertIn("attached to work", result.stdout)
        self.assertEqual(result.stderr, "")

    def test_a_time_that_no_number_holds_is_refused(self):
        rig = self.start(RULES)
        for time in ("36526d", "106751992d", "213503983d", "999999999d", "0", "0h",
                     "1h30m", "1.5h", "9999999999", "", "h"):
            self.assertIn("is no time", self.refused(rig, "pause", time, status=64))
            self.assertIn("is no time", self.refused(
                rig, "wait", "sys-usb:sda", f"--timeout={time}", status=64))
        self.command(rig, "pause", "36525d")

    def test_no_pause_is_too_long_for_the_state_to_be_saved(self):
        rig = self.start(RULES)
        self.attach_stick(rig)
        self.command(rig, "detach", "sys-usb:sda")
        with self.assertRaises(VarlinkError):
            rig.daemon.call("Pause", duration_usec=2**63 - 1)
        rig.daemon.call("Pause", duration_usec=36525 * 24 * 3600 * 10**6)
        rig.daemon.restart()
        self.assertIsNotNone(rig.daemon.status()["pause"])
        self.command(rig, "resume")
        self.assertNotIn("is worth nothing", self.command(rig, "status"))

    def test_a_pause_outlives_the_daemon(self):
        rig = self.start(RULES)
        self.command(rig, "pause", "1h")
        until = rig.daemon.status()["pause"]["until_usec"]
        rig.daemon.restart()
        rig.settle()
        self.assertLess(abs(rig.daemon.status()["pause"]["until_usec"] - until),
                        60_000_000)
        connection = self.forwarder(rig)
        connection.answer(connection.add("block", "sda", **STICK))
        self.assertIn("attaching is paused", self.command(rig, "history"))
        self.command(rig, "pause")
        rig.daemon.kill()
        rig.daemon.start()
        self.assertEqual(rig.daemon.status()["pause"], {"until_usec": None})
        self.command(rig, "resume")
        rig.daemon.restart()
        self.assertIsNone(rig.daemon.status()["pause"])

    def test_what_was_detached_is_left_alone_after_a_restart(self):
        rig = self.start(RULES)
        self.attach_stick(rig)
        self.command(rig, "detach", "sys-usb:sda")
        rig.daemon.restart()
        rig.settle()
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.present("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 308)
        self.command(rig, "retry", "sys-usb:sda")
        rig.daemon.restart()
        rig.settle()
        # what it attached before is known with its rule
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.present("block", "sda", **STICK), 201)
        self.assertIn("sys-usb:sda\twork\tstick\t", self.command(rig, "status"))

    def test_what_is_no_time_is_told(self):
        for word in ("0", "soon", "5w", "-1s", "99999999999s", "1.5h", ""):
            self.assertIn("write it as 30s, 5m or 2h",
                          run("pause", "--", word).stderr)
            self.assertEqual(run("pause", "--", word).returncode, 64)
        self.assertIn("is no number", run("history", "-n", "many").stderr)
        self.assertIn("-n needs a value", run("history", "-n").stderr)


class WaitTest(CommandCase):
    """wait"""

    DONE = "sys-usb:sda \"SanDisk Ultra\": attached to work by rule stick\n"

    @staticmethod
    def stir(waiting, connection) -> str:
        """Tell of the stick until who waits with -v hears of it."""
        return waiting.complaint_after(
            lambda: connection.answer(connection.change("block", "sda", **STICK)))

    def test_what_is_attached_is_told_at_once(self):
        rig = self.start(RULES)
        self.attach_stick(rig)
        for what in ("sys-usb:sda", "stick"):
            self.assertEqual(self.command(rig, "wait", what), self.DONE)
            self.assertEqual(self.command(rig, "wait", what, "-q"), "")
            TYPES.check(TYPES.types["Attached"], self.json(rig, "wait", what), what)

    def test_it_waits(self):
        rig = self.start(RULES)
        waiting = self.running(rig, "wait", "sys-usb:sda", "--timeout", "1h")
        self.attach_stick(rig)
        self.assertEqual(waiting.end(), (0, self.DONE, ""))

    def test_what_was_attached_before_the_daemon_began_is_found(self):
        rig = self.start("no: deny usb\n")
        rig.daemon.stop()
        rig.sim.attach(backend="sys-usb", port="sda", target="work")
        rig.daemon.start()
        connection = self.by_hand(rig)
        seq = connection.event("present", "block", "sda", **STICK)
        self.assert_told(connection, seq, 300)
        self.assertEqual(self.command(rig, "wait", "sys-usb:sda"),
                         "sys-usb:sda \"SanDisk Ultra\": attached to work\n")
        self.assertIn("\twork\t", self.command(rig, "devices"))

    def test_it_tells_what_happens_meanwhile(self):
        rig = self.start("no: deny block serial \"4C530001\"\n")
        connection = self.forwarder(rig)
        connection.answer(connection.add("block", "sda", **STICK))
        waiting = self.running(rig, "wait", "-v", "sys-usb:sda")
        self.assertEqual(self.stir(waiting, connection),
                         "sys-usb:sda \"SanDisk Ultra\": rule no denies it\n")
        rig.daemon.rules(RULES)
        self.command(rig, "reload")
        self.command(rig, "retry", "sys-usb:sda")
        status, out, _ = waiting.end()
        self.assertEqual((status, out), (0, self.DONE))

    def test_its_time_ends(self):
        rig = self.start(RULES)
        self.assertEqual(self.refused(rig, "wait", "stick", "--timeout", "1s", status=5),
                         "qvm-autoattach: not attached within 1 s\n")
        self.assertEqual(
            self.refused(rig, "wait", "stick", "-q", "--timeout=1s", status=5), "")

    def test_what_is_no_device_or_time_is_told(self):
        for arguments in (("sys-usb:",), ("stick", "--timeout", "soon")):
            result = run("wait", *arguments)
            self.assertEqual((result.returncode, result.stdout), (64, ""))

    def test_a_rule_that_is_not_there(self):
        rig = self.start(RULES)
        self.assertEqual(self.refused(rig, "wait", "stikc", status=4),
                         "qvm-autoattach: no rule \"stikc\"; did you mean stick?\n")
        self.assertIn("qvm-autoattach rules lists them",
                      self.refused(rig, "wait", "backups", status=4))

    def test_it_ends_when_it_is_interrupted(self):
        rig = self.start("")
        waiting = self.running(rig, "wait", "sys-usb:sda", "-v")
        self.stir(waiting, self.forwarder(rig))
        waiting.interrupt()
        status, out, err = waiting.end()
        self.assertEqual((status, out), (130, ""))
        self.assertNotIn("interrupted", err)

    def test_it_ends_when_the_daemon_goes(self):
        rig = self.start("")
        waiting = self.running(rig, "wait", "sys-usb:sda", "-v")
        self.stir(waiting, self.forwarder(rig))
        rig.daemon.stop()
        status, out, err = waiting.end()
        self.assertEqual((status, out), (5, ""))
        self.assertIn("qvm-autoattach: the daemon has closed the connection", err)
        rig.daemon.start()


class HostileTest(CommandCase):
    """What a device says of itself does no harm, whoever prints it."""

    def test_every_output_is_harmless(self):
        rig = self.start("stick: allow block to work\n")
        connection = self.forwarder(rig)
        connection.answer(connection.add("block", "sda", **HOSTILE))
        for arguments in (("status",), ("status", "-v"), ("devices",), ("devices", "-v"),
                          ("history",), ("history", "-v"), ("rules",),
                          ("detach", "sys-usb:sda"), ("retry", "sys-usb:sda"),
                          ("wait", "sys-usb:sda")):
            for text in (self.command(rig, *arguments),
                         self.screen(rig, *arguments),
                         self.screen(rig, *arguments, env={"LC_ALL": "C"})):
                self.assertIsNone(DANGEROUS.search(text), (arguments, text))
                self.assertNotIn("\u0301", text)
            self.assertTrue(run(*arguments, "--json", "--socket",
                                rig.daemon.control_socket).stdout.isascii())

    def test_its_words_stay_in_their_quotes(self):
        rig = self.start("stick: allow block to work\n")
        connection = self.forwarder(rig)
        connection.answer(connection.add("block", "sda", **HOSTILE))
        self.assertIn("sys-usb:sda \"Evil\\u{202e}\\u{200b} \\\"to vault\": attached to "
                      "work by rule stick\n", self.command(rig, "history"))

    def test_a_backslash_of_its_own_escapes_nothing(self):
        rig = self.start("stick: allow block serial x to work\n")
        connection = self.forwarder(rig)
        connection.answer(connection.add("block", "sda", vendor="V\\",
                                         serial='4C53\\" (checked by dom0)',
                                         fs_label="\\u{202e}"))
        for status, *arguments in ((0, "devices", "-v"),
                                   (3, "explain", "-v", "sys-usb:sda")):
            text = self.command(rig, *arguments, status=status)
            self.assertIn(r' "4C53\\\" (checked by dom0)"', text)
            self.assertIn(r' "\\u{202e}"', text)
            self.assertEqual(text.count(r' "V\\"'), 2, text)
            self.assertNotIn(r'\\\\', text)
        self.assertIn(r'this has "4C53\\\" (checked by dom0)"', text)
        self.assertIn(r'sys-usb:sda "V\\": ', self.command(rig, "history"))

    def test_columns_stand_whatever_the_text(self):
        rig = self.start("stick: allow block to work\n")
        connection = self.forwarder(rig)
        for name, model in (("sda", "日本語のメモリ"), ("sdb", "\u202e\u0301"),
                            ("sdc", "x" * 126), ("sdd", "plain")):
            connection.answer(connection.add("block", name, devtype="disk",
                                             vendor_id="0781", product_id="5581",
                                             model=model, size=2**40))
        rows = self.screen(rig, "devices").splitlines()
        column = rows[0].index("SIZE")
        for row in rows[1:]:
            # a wide character takes two columns
            wide = sum(ord(char) > 0x2e80 for char in row)
            self.assertEqual(row[column - wide:].split()[:2], ["1.0", "TiB"], row)
            self.assertLessEqual(len(row) + wide, 80)


class FormTest(CommandCase):
    """What all of them have."""

    def test_no_colour_but_on_a_terminal_that_wants_it(self):
        rig = self.start(RULES)
        self.attach_stick(rig)
        for arguments in (("status",), ("devices",), ("history",), ("rules",)):
            call = (*arguments, "--socket", rig.daemon.control_socket)
            self.assertIn("\033", run_on_terminal(*call) +
                          run_on_terminal("status", *call[1:]))
            self.assertNotIn("\033", run_on_terminal(*call, env={"NO_COLOR": "1"}))
            self.assertNotIn("\033", run_on_terminal(*call, env={"TERM": "dumb"}))
            self.assertNotIn("\033", self.command(rig, *arguments))

    def test_each_tells_that_there_is_no_daemon(self):
        for arguments in (("status",), ("devices",), ("history",), ("history", "-f"),
                          ("rules",), ("retry", "a:sda"), ("detach", "a:sda"),
                          ("pause",), ("resume",), ("reload",), ("wait", "a:sda")):
            result = run(*arguments, "--socket", "/nonexistent/control.sock")
            self.assertEqual((result.returncode, result.stdout), (5, ""))
            self.assertIn("the daemon is not running", result.stderr)

    def test_output_that_cannot_be_written_is_no_success(self):
        rig = self.start(RULES)
        self.attach_stick(rig)
        with open("/dev/full", "w", encoding="ascii") as full:
            for arguments in (("devices",), ("history",), ("history", "-f"),
                              ("rules", "--json")):
                result = subprocess.run(
                    [COMMAND, *arguments, "--socket", rig.daemon.control_socket],
                    stdout=full, stderr=subprocess.PIPE, check=False,
                    timeout=DEADLINE)
                self.assertEqual(result.returncode, 5)
                self.assertIn(b"cannot write", result.stderr)


if __name__ == "__main__":
    unittest.main()
