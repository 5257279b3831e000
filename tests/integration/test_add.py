# SPDX-License-Identifier: GPL-2.0-or-later
"""suggest, add and remove: from a plugged stick to a rule in force."""

import json
import os
import pathlib
import pty
import shlex
import shutil
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from commandcase import COMMAND, DANGEROUS, DEADLINE, CommandCase, run  # noqa: E402
from daemoncase import PART, STICK, gui_domain, world  # noqa: E402
from harness import temporary_directory  # noqa: E402
from test_commands import TYPES  # noqa: E402
from test_interface import HID  # noqa: E402

NO_HID = "no-hid: deny usb interface 03*\n"
OTHER = {**STICK, "serial": "OTHER", "model": "Fit"}
BACKUP = ('backup: ask block id 0781:5581 serial "4C530001" from sys-usb to work '
          "when-running\n")


class RuleCase(CommandCase):
    """Two sticks of a kind, a partition and a keyboard are plugged in."""

    def plugged(self, rules: str = NO_HID, qubes: dict | None = None, **more):
        """The rig, once all of it is known."""
        rig = self.start(rules, world("Halted", qubes=qubes or {}))
        connection = self.forwarder(rig)
        connection.add("block", "sda", parent="2-1", **{**STICK, **more})
        connection.add("block", "sda1", parent="sda", **{**PART, **more})
        connection.add("block", "sdb", **OTHER)
        connection.answer(connection.add("usb", "3-1", **HID))
        rig.daemon.wait_status(lambda status: status["sources"][0]["n_devices"] == 4,
                               "four devices")
        return rig

    def file(self, rig, name: str = "50-backup.rules") -> str:
        """What is in a file of the rules folder."""
        return (rig.daemon.rules_dir / name).read_text(encoding="utf-8")

    def names(self, rig) -> list[str]:
        """The rules in force."""
        return [rule["name"] for rule in rig.daemon.call("ListRules")["rules"]]

    def refused_json(self, rig, *arguments) -> tuple[dict, str]:
        """The object of a command that ends with 3, and its standard error."""
        result = run(*arguments, "--json", "--socket", rig.daemon.control_socket)
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertEqual(result.stdout.count("\n"), 1)
        return json.loads(result.stdout), result.stderr

    def check_rules(self, text: str) -> subprocess.CompletedProcess:
        """check, of a file with this text."""
        path = self.enterContext(temporary_directory()) / "pasted.rules"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return run("check", path, "--json")


class SuggestTest(RuleCase):
    """suggest"""

    def test_rules_are_told_from_strict_to_loose(self):
        rig = self.plugged(fs_uuid="3F2A-91C0")
        answer = self.json(rig, "suggest", "sys-usb:sda", "--to", "work")
        self.assertEqual(answer["device"], {"source": "sys-usb", "device": "sda",
                                            "label": "SanDisk Ultra"})
        self.assertIsNone(answer["taken_by"])
        self.assertEqual([(item["name"], item["match"], len(item["also"]))
                          for item in answer["suggestions"]],
                         [("this-one-here", ["id", "serial", "path"], 0),
                          ("this-one", ["id", "serial"], 0),
                          ("this-kind-here", ["id", "path"], 1),
                          ("this-content", ["id", "fs-uuid"], 0),
                          ("this-kind", ["id"], 1),
                          ("this-content-anywhere", ["fs-uuid"], 0),
                          ("this-port", ["path"], 1),
                          ("any-disk", ["type"], 1)])
        self.assertEqual(answer["suggestions"][4]["also"],
                         [{"source": "sys-usb", "device": "sdb",
                           "label": "SanDisk Fit"}])
        self.assertEqual(answer["suggestions"][1]["rule"],
                         'this-one: ask block id 0781:5581 serial "4C530001" '
                         "from sys-usb to work when-running")

    def test_what_is_printed_can_be_pasted(self):
        rig = self.plugged(serial='4C*["\\', model="\u00fc\u202e #")
        for device in ("sda", "sda1", "sdb", "3-1"):
            for options in ((), ("-q",), ("--to", "work,@dispvm", "--allow", "--start")):
                text = self.command(rig, "suggest", f"sys-usb:{device}", *options)
                self.assertIsNone(DANGEROUS.search(text), text)
                result = self.check_rules(text)
                self.assertNotEqual(result.returncode, 2, result.stdout)
                self.assertEqual(json.loads(result.stdout)["rules"],
                                 sum(not line.startswith("#") and line != ""
                                     for line in text.splitlines()))

    def test_on_a_terminal_long_rules_are_broken_and_are_still_rules(self):
        rig = self.plugged(serial="a b\\\" c" * 9)
        for columns in (30, 80):
            text = self.screen(rig, "suggest", "sys-usb:sda", "-q", columns=columns)
            result = self.check_rules(text)
            self.assertNotEqual(result.returncode, 2, result.stdout)
            self.assertEqual(json.loads(result.stdout)["rules"], 6)
            self.assertIn(" \\\n    ", text)
        self.assertLessEqual(max(len(line) for line in text.splitlines()
                                 if "\"" not in line), 80)

    def test_on_a_terminal_long_comments_are_broken_and_are_still_comments(self):
        rig = self.plugged("all-of-them-and-more-than-that: ask block to vault\n",
                           model="Ultra of a longer name")
        text = self.screen(rig, "suggest", "sys-usb:sda", columns=60)
        self.assertLessEqual(max(map(len, text.splitlines())), 60)
        self.assertIn("\n# takes it now: another has to come before that one\n", text)
        self.assertNotEqual(self.check_rules(text).returncode, 2)
        one_line = self.command(rig, "suggest", "sys-usb:sda")
        self.assertIn("takes it now: another has to come before that one\n", one_line)

    def test_each_takes_the_device(self):
        rig = self.plugged(serial="\u202e\u00fc*?[x]\\\"", fs_uuid="a b")
        for device, properties in (("sda", {}), ("sda1", {})):
            for item in self.json(rig, "suggest", f"sys-usb:{device}",
                                  "--to", "work")["suggestions"]:
                rig.daemon.rules(item["rule"] + "\n", "10-new.rules")
                rig.daemon.reload()
                verdict = json.loads(run(
                    "explain", f"sys-usb:{device}", "--json", "--socket",
                    rig.daemon.control_socket).stdout)
                self.assertEqual(verdict["device"]["rule"]["name"], item["name"],
                                 properties)
                (rig.daemon.rules_dir / "10-new.rules").unlink()
                rig.daemon.reload()

    def test_names_are_never_those_that_are_taken(self):
        rig = self.plugged("this-one: deny usb serial 1\nthis-one-2: deny usb serial 2\n")
        names = [item["name"] for item in
                 self.json(rig, "suggest", "sys-usb:sda")["suggestions"]]
        self.assertIn("this-one-3", names)

    def test_people_are_told_what_else_it_takes(self):
        rig = self.plugged("any-stick: ask block type disk to vault\n")
        text = self.command(rig, "suggest", "sys-usb:sda")
        self.assertIn("# rule any-stick (50-test.rules:1) takes it now: another has to "
                      "come before that one\n", text)
        self.assertIn("# any device of this product (--match id)\n"
                      "# would now also take: sys-usb:sdb \"SanDisk Fit\"\n"
                      "this-kind: ask block id 0781:5581 from sys-usb to QUBE "
                      "when-running\n", text)

    def test_in_another_locale_it_is_ascii_and_still_a_rule(self):
        rig = self.plugged(serial="\u00fc1")
        text = run("suggest", "sys-usb:sda", "--socket", rig.daemon.control_socket,
                   env={"LC_ALL": "C"}).stdout
        self.assertTrue(text.isascii())
        self.assertIn('serial "?1"', text)

    def test_wrong_usage(self):
        rig = self.plugged()
        for arguments, message in (
                (("sda",), "sys-usb:sda"),
                (("sys-usb:sda", "--to", "a b"), "no qube"),
                (("sys-usb:sda", "--ask", "--allow"), "exclude"),
                (("sys-usb:sda", "--start", "--if-running"), "exclude"),
                (("sys-usb:sda", "--to", "work", "--close"), "disposable"),
                (("sys-usb:3-1", "--read-only"), "block devices only")):
            self.assertIn(message, self.refused(rig, "suggest", *arguments, status=64))
        self.assertIn("no device sys-usb:sdx",
                      self.refused(rig, "suggest", "sys-usb:sdx", status=4))


class AddTest(RuleCase):
    """add"""

    def test_it_is_shown_written_and_in_force(self):
        rig = self.plugged()
        text = self.command(rig, "add", "backup", "sys-usb:sda", "--to", "work")
        path = rig.daemon.rules_dir / "50-backup.rules"
        self.assertEqual(text, f"{path}:\n  {BACKUP}"
                         "the rule is in force; when sys-usb:sda is plugged in again, or "
                         "with `qvm-autoattach retry sys-usb:sda`: it waits until work "
                         "runs\n")
        self.assertEqual(self.file(rig), BACKUP)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o644)
        self.assertEqual(path.stat().st_uid, os.geteuid())
        self.assertEqual(self.names(rig), ["backup", "no-hid"])
        self.assertEqual(sorted(os.listdir(rig.daemon.rules_dir)),
                         ["50-backup.rules", "50-test.rules"])

    def test_a_rule_that_cannot_ask_is_told_as_that(self):
        rig = self.plugged(qubes=gui_domain("sys-gui"))
        text = self.command(rig, "add", "backup", "sys-usb:sda", "--to", "work",
                            "--start")
        self.assertRegex(text, "the rule is in force; when .*: a service that is needed "
                               "is not there: nobody can be asked: the GUI domain of "
                               "sys-usb is sys-gui, not dom0\n")

    def test_two_commands_from_a_stick_to_its_qube(self):
        rig = self.plugged()
        self.command(rig, "add", "backup", "sys-usb:sda", "--to", "work", "--allow",
                     "--start")
        self.command(rig, "retry", "sys-usb:sda")
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_all_that_a_rule_can_be_told(self):
        rig = self.plugged()
        for arguments, rule in (
                (("a", "sys-usb:sda", "--to", "@dispvm,work", "--match", "serial,type",
                  "--read-only", "--close"),
                 'a: ask block serial "4C530001" type disk from sys-usb to '
                 "{ @dispvm work } read-only when-running close\n"),
                (("b", "sys-usb:sda1", "--to", "vault", "--allow", "--if-running"),
                 'b: allow block id 0781:5581 serial "4C530001" partition 1 '
                 "from sys-usb to vault if-running\n"),
                (("c", "sys-usb:sdb", "--to", "vault", "--ask", "--start", "--match",
                  "path,serial,path"),
                 'c: ask block path "pci-0000:00:14.0-usb-0:1" serial "OTHER" '
                 "from sys-usb to vault\n")):
            self.command(rig, "add", *arguments, "-q")
            self.assertEqual(self.file(rig, f"50-{arguments[0]}.rules"), rule)

    def test_disposables_are_not_waited_for(self):
        rig = self.plugged()
        for to, end in (("@dispvm", "to @dispvm"),
                        ("@dispvm,work", "to { @dispvm work } when-running")):
            rules = [item["rule"] for item in self.json(
                rig, "suggest", "sys-usb:sda", "--to", to, "--allow")["suggestions"]]
            self.assertTrue(all(rule.endswith(end) for rule in rules), rules)
            self.command(rig, "add", "x", "sys-usb:sda", "--to", to, "--allow", "-q",
                         "--force")
            self.assertTrue(self.file(rig, "50-x.rules").endswith(f" {end}\n"))
            self.command(rig, "remove", "x", "-q")
        self.assertIn("--if-running is for qubes", self.refused(
            rig, "add", "x", "sys-usb:sda", "--to", "@dispvm", "--if-running",
            status=64))

    def test_json_tells_all(self):
        rig = self.plugged()
        answer = self.json(rig, "add", "backup", "sys-usb:sda", "--to", "work")
        TYPES.check(TYPES.types["Verdict"], answer.pop("verdict"), "verdict")
        self.assertEqual(answer, {
            "name": "backup", "rule": BACKUP.strip(), "written": True,
            "file": os.fspath(rig.daemon.rules_dir / "50-backup.rules"),
            "warnings": [], "command": None, "loaded": True})

    def test_a_name_that_is_taken_is_refused_or_replaced(self):
        rig = self.plugged(NO_HID + "old: deny usb serial 1\n")
        self.command(rig, "add", "backup", "sys-usb:sda", "--to", "vault")
        path = rig.daemon.rules_dir / "50-backup.rules"
        path.write_text(f"# before\n{self.file(rig)}# behind\n", encoding="utf-8")
        text = self.refused(rig, "add", "backup", "sys-usb:sda", "--to", "work", status=3)
        self.assertIn(f"{path}:2", text)
        self.assertIn("--force", text)
        self.command(rig, "add", "backup", "sys-usb:sda", "--to", "work", "--force")
        self.assertEqual(self.file(rig), f"# before\n{BACKUP}# behind\n")
        # what is in another file is not touched
        before = self.file(rig, "50-test.rules")
        self.refused(rig, "add", "old", "sys-usb:sdb", "--to", "work", "--force",
                     status=3)
        self.assertEqual(self.file(rig, "50-test.rules"), before)

    def test_it_is_put_behind_what_is_in_its_file(self):
        rig = self.plugged()
        path = rig.daemon.rules_dir / "50-backup.rules"
        path.write_text("# mine, without an end", encoding="utf-8")
        path.chmod(0o600)
        self.command(rig, "add", "backup", "sys-usb:sda", "--to", "work")
        self.assertEqual(self.file(rig), "# mine, without an end\n" + BACKUP)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)

    def test_what_check_warns_of_is_refused_unless_forced(self):
        rig = self.plugged("all: ask block type disk to vault\n")
        for arguments, message in (
                (("x", "sys-usb:3-1", "--to", "work", "--match", "interface",
                  "--allow"), "takes keyboards and mice"),
                (("x", "sys-usb:sda", "--to", "work"), "rule all ("),
                (("x", "sys-usb:sda", "--to", "wrok"), "there is no qube 'wrok'"),
                (("x", "sys-usb:sda1", "--to", "work", "--allow", "--match", "fs-type"),
                 "written on the disk")):
            result = run("add", *arguments, "--socket", rig.daemon.control_socket)
            self.assertEqual(result.returncode, 3, result.stderr)
            self.assertIn(message, result.stderr)
            self.assertIn("nothing is written; --force writes it all the same\n",
                          result.stderr)
            self.assertEqual(os.listdir(rig.daemon.rules_dir), ["50-test.rules"])
        result = run(*("add", "x", "sys-usb:sda", "--to", "work", "--force", "--json"),
                     "--socket", rig.daemon.control_socket)
        self.assertEqual(result.returncode, 0, result.stderr)
        answer = json.loads(result.stdout)
        self.assertEqual((answer["written"], answer["loaded"]), (True, True))
        self.assertEqual(self.names(rig)[-1], "x")

    def test_what_has_no_id_is_not_taken_for_any_disk(self):
        rig = self.plugged()
        connection = self.by_hand(rig)
        connection.answer(connection.add("block", "loop0", devtype="disk", fs_uuid="X1"))
        add = ("add", "x", "sys-usb:loop0", "--to", "work", "--allow")
        for force in ((), ("--force",)):
            self.assertIn("it can be matched by name, type, fs-uuid",
                          self.refused(rig, *add, *force, status=64))
        # all that is asked for would not tell it from others
        result = run(*add, "--match", "type", "--socket", rig.daemon.control_socket)
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn("tells devices apart", result.stderr)
        self.assertEqual(os.listdir(rig.daemon.rules_dir), ["50-test.rules"])
        self.command(rig, *add, "--match", "name", "-q")
        self.assertIn('x: allow block name "loop0" from sys-usb to work',
                      self.file(rig, "50-x.rules"))

    def test_warnings_that_were_there_before_are_not_its_own(self):
        rig = self.plugged(NO_HID + "again: deny usb interface 0301*\n")
        self.command(rig, "add", "backup", "sys-usb:sda", "--to", "work")

    def test_rules_with_errors_are_put_right_first(self):
        rig = self.plugged(NO_HID)
        rig.daemon.rules("bad\n", "60-bad.rules")
        text = self.refused(rig, "add", "backup", "sys-usb:sda", "--to", "work",
                            status=3)
        self.assertIn("60-bad.rules:1:1: ", text)
        self.assertIn("qvm-autoattach check", text)
        self.assertFalse((rig.daemon.rules_dir / "50-backup.rules").exists())

    def test_json_also_tells_what_was_refused(self):
        rig = self.plugged(NO_HID + "backup: deny usb serial 1\n")
        add = ("add", "backup", "sys-usb:sda", "--to", "work")
        told = {"name": "backup", "rule": BACKUP.strip(), "written": False,
                "file": os.fspath(rig.daemon.rules_dir / "50-backup.rules"),
                "warnings": [], "command": None, "loaded": False, "verdict": None}
        answer, err = self.refused_json(rig, *add)
        self.assertEqual(answer, told)
        self.assertIn("there is a rule backup already", err)
        answer, err = self.refused_json(rig, "add", "free", *add[2:], "-i")
        self.assertEqual(answer, json.loads(json.dumps(told).replace("backup", "free")))
        # what it is asked about
        self.assertIn(f"  {BACKUP.replace('backup', 'free')}Write this rule? [y/N] ", err)
        rig.daemon.rules("bad\n", "60-bad.rules")
        answer, _ = self.refused_json(rig, *add)
        warnings = answer.pop("warnings")
        self.assertEqual({**answer, "warnings": []}, told)
        self.assertEqual([(item["level"], item["line"]) for item in warnings],
                         [("error", 1)])
        TYPES.check(TYPES.types["Diagnostic"], warnings[0], "error")

    def test_quiet_shows_what_it_asks_about(self):
        rig = self.plugged()
        result = run("add", "backup", "sys-usb:sda", "--to", "work", "-q", "-i",
                     "--socket", rig.daemon.control_socket)
        self.assertEqual((result.returncode, result.stdout), (3, ""))
        self.assertIn(f"50-backup.rules:\n  {BACKUP}Write this rule?", result.stderr)

    def test_a_bad_name_is_refused_and_writes_nowhere(self):
        rig = self.plugged()
        for name in ("../x", "a.b", "1x", "x" * 32, "", "a b", "a/../../b", "#",
                     "x: deny usb #", "x:allow any to vault#", "x:deny usb\nb"):
            result = run("add", name, "sys-usb:sda", "--to", "work", "--force",
                         "--socket", rig.daemon.control_socket)
            self.assertEqual(result.returncode, 64, (name, result.stderr))
            self.assertEqual(os.listdir(rig.daemon.rules_dir), ["50-test.rules"])

    def test_wrong_usage(self):
        rig = self.plugged()
        for arguments, message in (
                (("x", "sys-usb:sda"), "--to QUBE is missing"),
                (("x",), "DEVICE"),
                (("x", "sda", "--to", "work"), "sys-usb:sda"),
                (("x", "sys-usb:sda", "--to", "sys-usb"), "is the source"),
                (("x", "sys-usb:sda", "--to", "work", "--match", "serail"),
                 "can be matched by id, serial"),
                (("x", "sys-usb:sda", "--to", "work", "--match", "fs-uuid"),
                 "does not have"),
                (("x", "sys-usb:sda", "--to", "work", "--match", "min-size"),
                 "can be matched by")):
            self.assertIn(message, self.refused(rig, "add", *arguments, status=64))
        self.refused(rig, "add", "x", "sys-usb:sdx", "--to", "work", status=4)

    def test_another_folder_is_not_the_daemon_s(self):
        rig = self.plugged()
        other = self.enterContext(temporary_directory())
        result = run("add", "backup", "sys-usb:sda", "--to", "work", "--rules-dir",
                     other, "--socket", rig.daemon.control_socket)
        self.assertEqual(result.returncode, 5)
        self.assertIn("reads its rules from another folder", result.stderr)
        self.assertEqual((other / "50-backup.rules").read_text(), BACKUP)

    def ask(self, rig, answer: bytes, *arguments) -> tuple[int, str]:
        """Run with -i, at a terminal that answers."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        with subprocess.Popen(
                [COMMAND, *arguments, "-i", "--socket", rig.daemon.control_socket],
                stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            os.close(slave)
            os.write(master, answer)
            out, err = process.communicate(timeout=DEADLINE)
        return process.returncode, (out + err).decode()

    def test_on_a_terminal_the_rule_can_be_pasted(self):
        rig = self.plugged()
        for words in (("add", "backup", "sys-usb:sda", "--to", "work"),
                      ("remove", "backup")):
            text = self.screen(rig, *words, columns=40)
            shown = text[text.index("  backup:"):text.index("the rule is")]
            self.assertGreater(shown.count("\n"), 1)
            self.assertLessEqual(max(map(len, shown.splitlines())), 40)
            result = self.check_rules(shown)
            self.assertNotEqual(result.returncode, 2, shown)
            self.assertEqual(json.loads(result.stdout)["rules"], 1)

    def test_interactive_asks_first(self):
        rig = self.plugged()
        add = ("add", "backup", "sys-usb:sda", "--to", "work")
        for answer in (b"\n", b"n\n", b"yn\n", b"\x04"):
            status, text = self.ask(rig, answer, *add)
            self.assertEqual(status, 3, text)
            self.assertIn("Write this rule? [y/N]", text)
            self.assertIn(BACKUP.strip(), text)
            self.assertEqual(self.names(rig), ["no-hid"])
        self.assertEqual(self.ask(rig, b"y\n", *add)[0], 0)
        self.assertEqual(self.names(rig), ["backup", "no-hid"])
        self.assertEqual(self.ask(rig, b"n\n", "remove", "backup")[0], 3)
        self.assertEqual(self.ask(rig, b"yes\n", "remove", "backup")[0], 0)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root")
    def test_without_the_right_to_write_the_command_is_told(self):
        rig = self.plugged()
        self.command(rig, "add", "old", "sys-usb:sdb", "--to", "vault")
        copy = rig.daemon.dir / "qvm-autoattach"
        shutil.copy(COMMAND, copy)
        rig.daemon.dir.chmod(0o755)
        rig.daemon.control_socket.chmod(0o666)

        def as_nobody(*arguments) -> subprocess.CompletedProcess:
            return subprocess.run(
                ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy,
                 *arguments, "--socket", rig.daemon.control_socket],
                capture_output=True, check=False, timeout=DEADLINE, encoding="utf-8",
                stdin=subprocess.DEVNULL)

        result = as_nobody("add", "backup", "sys-usb:sda", "--to", "work", "-i")
        self.assertEqual(result.returncode, 3)  # nobody said yes
        result = as_nobody("add", "backup", "sys-usb:sda", "--to", "work")
        self.assertEqual(result.returncode, 5)
        self.assertIn(BACKUP, result.stdout)
        # what gcov may say behind it is none of the command's
        command = next(line.strip() for line in result.stderr.splitlines()
                       if line.lstrip().startswith("sudo "))
        self.assertEqual(shlex.split(command),
                         ["sudo", "qvm-autoattach", "add", "backup", "sys-usb:sda",
                          "--socket", os.fspath(rig.daemon.control_socket),
                          "--to", "work"])
        result = as_nobody("add", "backup", "sys-usb:sda", "--to", "work", "--json")
        answer = json.loads(result.stdout)
        self.assertEqual((answer["written"], answer["command"]), (False, command))
        result = as_nobody("remove", "old")
        self.assertEqual(result.returncode, 5)
        self.assertIn("sudo qvm-autoattach remove old", result.stderr)
        self.assertEqual(self.names(rig), ["old", "no-hid"])
        # no command that is another one when it is pasted
        for name in ("a\nb", "./" * 1200):
            folder = f"{rig.daemon.dir}/{name}"
            os.makedirs(folder, mode=0o755, exist_ok=True)
            add = ("add", "backup", "sys-usb:sda", "--to", "work", "--rules-dir", folder)
            result = as_nobody(*add)
            self.assertEqual(result.returncode, 5)
            self.assertIn("run the same with sudo\n", result.stderr)
            self.assertIsNone(json.loads(as_nobody(*add, "--json").stdout)["command"])
        # the command does it
        self.assertEqual(run(*shlex.split(command)[2:]).returncode, 0)
        self.assertEqual(self.file(rig), BACKUP)

    def test_hostile_words_get_nowhere(self):
        rig = self.plugged(serial="x\" to vault", model="\u202eevil")
        text = self.command(rig, "add", "backup", "sys-usb:sda", "--to", "work")
        self.assertIsNone(DANGEROUS.search(text))
        rule = rig.daemon.call("ListRules")["rules"][0]
        self.assertTrue(rule["text"].endswith("from sys-usb to work when-running"))
        self.assertIn('serial "x\\" to vault"', rule["text"])


class RemoveTest(RuleCase):
    """remove"""

    def test_its_file_goes_with_the_last_rule(self):
        rig = self.plugged()
        self.command(rig, "add", "backup", "sys-usb:sda", "--to", "work", "-q")
        path = rig.daemon.rules_dir / "50-backup.rules"
        text = self.command(rig, "remove", "backup")
        self.assertEqual(text, f"{path}:1, to be removed with its file:\n  {BACKUP}"
                         "the rule is no longer in force; what is attached stays "
                         "attached\n")
        self.assertFalse(path.exists())
        self.assertEqual(self.names(rig), ["no-hid"])

    def test_comments_and_other_rules_stay(self):
        rules = ("# head\n\nno-hid: deny usb interface 03* # no\nmore: deny \\\n"
                 "  usb \\\n  serial 1\n# tail\nlast: deny usb serial 2\n")
        rig = self.plugged(rules)
        answer = self.json(rig, "remove", "more")
        self.assertEqual(answer, {
            "name": "more", "rule": 'more: deny usb serial "1"', "removed": True,
            "file": os.fspath(rig.daemon.rules_dir / "50-test.rules"),
            "file_deleted": False, "warnings": [], "command": None, "loaded": True})
        self.assertEqual(self.file(rig, "50-test.rules"),
                         "# head\n\nno-hid: deny usb interface 03* # no\n# tail\n"
                         "last: deny usb serial 2\n")
        self.command(rig, "remove", "no-hid")
        self.command(rig, "remove", "last", "-q")
        self.assertEqual(self.file(rig, "50-test.rules"), "# head\n\n# tail\n")
        self.assertEqual(self.names(rig), [])

    def test_warnings_that_only_moved_are_not_its_own(self):
        rig = self.plugged("first: deny usb serial 1\nall: deny usb\n"
                           "never: deny usb serial 2\n")
        rig.daemon.rules("never-2: deny usb serial 3\n", "60-test.rules")
        rig.daemon.reload()
        self.assertEqual(self.json(rig, "remove", "first")["warnings"], [])
        self.assertEqual(run("check", rig.daemon.rules_dir).returncode, 1)

    def test_what_is_attached_stays(self):
        rig = self.start("stick: allow block id 0781:5581 to work\n")
        self.attach_stick(rig)
        self.command(rig, "remove", "stick")
        self.assertEqual(rig.daemon.status()["n_attached"], 1)

    def test_json_also_tells_what_was_refused(self):
        rig = self.plugged()
        answer, err = self.refused_json(rig, "remove", "no-hid", "-i")
        path = rig.daemon.rules_dir / "50-test.rules"
        told = {"name": "no-hid", "rule": NO_HID.strip(), "file": os.fspath(path),
                "removed": False, "file_deleted": False, "warnings": [],
                "command": None, "loaded": False}
        self.assertEqual(answer, told)
        self.assertIn(f"{path}:1, to be removed with its file:\n  {NO_HID}"
                      "Remove this rule? [y/N] ", err)
        rig.daemon.rules("bad\n", "60-bad.rules")
        answer, _ = self.refused_json(rig, "remove", "no-hid")
        self.assertEqual([item["level"] for item in answer.pop("warnings")], ["error"])
        self.assertEqual({**answer, "warnings": []}, {**told, "rule": None, "file": None})

    def test_what_is_not_there_is_told(self):
        rig = self.plugged()
        self.assertIn("did you mean no-hid?",
                      self.refused(rig, "remove", "no-hdi", status=4))
        self.assertIn("no rule \"xyzzy\"",
                      self.refused(rig, "remove", "xyzzy", status=4))

    def test_a_folder_whose_name_is_no_utf8_is_told_in_json(self):
        folder = os.fsencode(self.enterContext(temporary_directory())) + b"/\xff"
        os.mkdir(folder, 0o755)
        with open(folder + b"/50-b.rules", "w", encoding="utf-8") as file:
            file.write("b: deny any\n")
        os.chmod(folder + b"/50-b.rules", 0o644)
        result = run("remove", "b", "--rules-dir", folder, "--socket", "/nonexistent",
                     "--json")
        self.assertEqual(result.returncode, 5)
        answer = json.loads(result.stdout)
        self.assertEqual((answer["removed"], answer["loaded"]), (True, False))
        self.assertTrue(answer["file"].endswith("/\\xff/50-b.rules"), answer)

    def test_what_an_editor_saved_meanwhile_is_not_lost(self):
        folder = self.enterContext(temporary_directory())
        path = folder / "50-test.rules"
        for saved in (NO_HID + "b: deny any\nc: deny usb\n", None):
            path.write_text(NO_HID + "b: deny any\n")
            path.chmod(0o644)
            with subprocess.Popen(
                    [COMMAND, "remove", "b", "-i", "--rules-dir", folder, "--socket",
                     folder / "none"], text=True, stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
                asked = ""
                while not asked.endswith("[y/N] "):
                    letter = process.stderr.read(1)
                    self.assertTrue(letter, asked)
                    asked += letter
                if saved is None:
                    path.unlink()
                else:
                    path.write_text(saved)
                err = process.communicate("y\n", timeout=DEADLINE)[1]
            self.assertEqual(process.returncode, 5, err)
            self.assertIn("was changed meanwhile, nothing is written", err)
            self.assertEqual(path.read_text() if path.exists() else None, saved)

    def test_without_a_daemon_the_file_is_changed_and_that_is_told(self):
        folder = self.enterContext(temporary_directory())
        path = folder / "50-test.rules"
        path.write_text(NO_HID + "b: deny any\n")
        path.chmod(0o644)
        result = run("remove", "b", "--rules-dir", folder, "--socket", folder / "none")
        self.assertEqual(result.returncode, 5)
        self.assertIn("changed on the disk, but the daemon is not running",
                      result.stderr)
        self.assertEqual(path.read_text(), NO_HID)


if __name__ == "__main__":
    unittest.main()
