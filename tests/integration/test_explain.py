# SPDX-License-Identifier: GPL-2.0-or-later
"""explain, of devices and of files, and what it needs to know."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from approvalcase import policy, qubes  # noqa: E402
from commandcase import COMMAND, DANGEROUS, DEADLINE, CommandCase, run  # noqa: E402
from daemoncase import PART, STICK, TO_WORK, gui_domain, world  # noqa: E402
from harness import BOOT_ID, INTERFACE, Control, VarlinkError  # noqa: E402
from harness import temporary_directory  # noqa: E402
from test_commands import TYPES  # noqa: E402
from test_interface import HID, SDA  # noqa: E402

SERVICE = "org.varlink.service"
STEP = TYPES.methods["Explain"][1][1]["steps"][1]
# each stands in the way for another reason
RULES = """no-hid:  deny  usb   interface { 03* }
other:   ask   block serial "4C*" from sys-net to vault
parts:   deny  block partition 1
label:   allow block id 0781:5581 fs-label BACKUP to backups
old:     ask   block not serial "4C*" to vault
stick:   ask   block id 0781:* to { work vault @dispvm sys-gone } when-running
rest:    deny  any
"""


def place(rule: str, column: int = 1, rules: str = RULES) -> str:
    """How explain tells where a rule, or something in it, is."""
    line = [text.split(":")[0] for text in rules.splitlines()].index(rule) + 1
    return f"{rule} (50-test.rules:{line}:{column})"


class ExplainCase(CommandCase):
    """A rig with qubes in several states."""

    def plugged(self, rules: str = RULES, scenario: dict | None = None, **more):
        """The stick's disk and a keyboard were plugged in, and decided."""
        scenario = scenario or world(
            "Halted", qubes=qubes(), policy=policy(("vault", "ask"),
                                                   ("sys-gone", "deny")))
        rig = self.start(rules, scenario)
        connection = self.forwarder(rig)
        connection.add("block", "sda", parent="2-1", **{**STICK, **more})
        connection.answer(connection.add("usb", "3-1", **HID))
        return rig, connection

    def verdict(self, rig, status: int, device: str = "sys-usb:sda") -> dict:
        """The verdict on a device, which is the exit status, too."""
        return self.json(rig, "explain", device, status=status)["verdict"]


class DeviceTest(ExplainCase):
    """explain DEVICE"""

    def test_each_rule_is_told_in_turn_with_what_failed(self):
        rig, _ = self.plugged()
        rig.daemon.wait_job("asking")
        text = self.command(rig, "explain", "sys-usb:sda")
        for line in (
                'sys-usb:sda "SanDisk Ultra" (block, 14.3 GiB)',
                f"  {place('no-hid')}: of another class; this is block",
                f"  {place('other')}: for other sources; this is from sys-usb",
                f"  {place('parts', 22)}: asks for partition 1; this has none",
                f"  {place('label', 35)}: asks for fs-label \"BACKUP\"; this has none",
                f"  {place('old', 26)}: asks for not serial \"4C*\"; this has "
                '"4C530001"',
                f"  {place('stick')}: takes it",
                "    stick: ask block id 0781:* to { work vault @dispvm sys-gone } "
                "when-running",
                "  1 further rule not reached",
                "TARGET\tPOLICY\tQUBE",
                "work\tallow\thalted",
                "vault\task\thalted",
                "@dispvm\tallow\tdisposable",
                "sys-gone\tdeny\tmissing"):
            self.assertIn(line + "\n", text)
        self.assertTrue(text.endswith("200 attached: you are asked; with a yes it is "
                                      "attached to @dispvm\n"), text)

    def test_nothing_is_done_by_it(self):
        rig, _ = self.plugged("stick: allow block id 0781:* to work when-running\n")
        rig.daemon.wait_outcome("sda", 307)
        rig.mark()
        before = rig.daemon.status()["n_outcomes"]
        self.command(rig, "explain", "sys-usb:sda", status=3)
        self.assertEqual({call["method"] for call in rig.calls()},
                         {"admin.vm.List", "admin.vm.device.block.Available"})
        for call in rig.sim.calls(service="policy"):
            self.assertIn(b"\njust_evaluate=yes\n", bytes.fromhex(call["request"]))
        self.assertEqual(rig.daemon.status()["n_outcomes"], before)
        self.assertEqual(rig.sim.state()["max_open_windows"], 0)

    def test_json_has_the_form_of_the_interface(self):
        rig, _ = self.plugged()
        for device, status in (("sda", 0), ("3-1", 3)):
            answer = self.json(rig, "explain", f"sys-usb:{device}", status=status)
            steps = answer.pop("steps")
            TYPES.check(TYPES.types["Explanation"], answer, device)
            for step in steps:
                TYPES.check(STEP, step, device)
        self.assertEqual([(step["name"], step["reason"], step["found"])
                          for step in steps], [("no-hid", "matches", None)])

    def test_the_verdict_is_the_exit_status(self):
        rig, connection = self.plugged(TO_WORK, world("Running"))
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        self.assertEqual(self.verdict(rig, 0)["code"], 201)
        self.assertEqual(self.verdict(rig, 3, "sys-usb:3-1")["code"], 301)
        self.assertEqual(self.command(rig, "explain", "-q", "sys-usb:3-1", status=3),
                         "sys-usb:3-1: 301 no-rule: no rule matches\n")
        connection.answer(connection.remove("block", "sda"))
        self.assertIn("no device sys-usb:sda is reported",
                      self.refused(rig, "explain", "sys-usb:sda", status=4))

    def test_what_stands_in_the_way_of_a_rule_that_matches(self):
        rig, connection = self.plugged(TO_WORK, world("Running"))
        connection.answer(1)
        self.command(rig, "pause")
        self.assertEqual(self.verdict(rig, 3)["code"], 309)
        self.command(rig, "resume")
        rig.daemon.wait_no_jobs()
        # by hand, elsewhere
        rig.sim.detach(backend="sys-usb", port="sda")
        rig.daemon.wait_outcome("sda", 308)
        self.assertEqual(self.verdict(rig, 3)["code"], 308)
        rig.sim.policy(rules=[{"target": "work", "verdict": "deny"}])
        self.command(rig, "retry", "sys-usb:sda", status=3)
        self.assertEqual(self.verdict(rig, 3)["code"], 303)
        rig.sim.policy(rules=[])
        rig.sim.qube_start(name="backups")
        rig.sim.attach(backend="sys-usb", port="sda", target="backups")
        self.assertEqual(self.verdict(rig, 3)["code"], 310)

    def test_a_no_of_the_person_is_told(self):
        rig, connection = self.plugged("stick: ask block id 0781:* to work\n",
                                       world(agent={"default": "deny"}))
        connection.answer(1)
        self.assertEqual(self.verdict(rig, 3)["code"], 304)

    def test_a_part_of_a_plug_that_is_attached_is_told(self):
        rig, connection = self.plugged(
            "part: allow block type partition to work\n" + TO_WORK, world("Running"))
        connection.answer(1)
        connection.answer(connection.add("block", "sda1", parent="sda", **PART))
        verdict = self.verdict(rig, 3, "sys-usb:sda1")
        self.assertEqual(verdict["code"], 310)

    def test_without_the_policy_daemon_the_guard_says_no(self):
        rig, connection = self.plugged("stick: allow block id 0781:* to { work vault }\n",
                                       world("Running"))
        connection.answer(1)
        rig.sim.crash(service="policy")
        answer = self.json(rig, "explain", "sys-usb:sda", status=5)
        self.assertEqual([target["guard"] for target in answer["targets"]],
                         ["unreachable"] * 2)
        self.assertEqual(answer["verdict"]["code"], 503)

    def test_where_nobody_can_be_asked_it_says_what_the_job_said(self):
        rig, connection = self.plugged("stick: ask block id 0781:* to work\n",
                                       world("Running", qubes=gui_domain("sys-gui")))
        connection.answer(1)
        outcome = rig.daemon.outcomes("sda")[-1]
        verdict = self.verdict(rig, 5)
        self.assertEqual(verdict["code"], 503)
        self.assertRegex(verdict["detail"], "GUI domain of sys-usb is sys-gui")
        for key in ("code", "detail"):
            self.assertEqual(verdict[key], outcome[key])

    def test_without_qubesd_the_qubes_are_not_known(self):
        rig, connection = self.plugged(TO_WORK, world("Running"))
        connection.answer(1)
        rig.sim.crash(service="qubesd")
        answer = self.json(rig, "explain", "sys-usb:sda", status=5)
        self.assertEqual(answer["targets"],
                         [{"target": "work", "guard": "allow", "state": None}])
        self.assertEqual(answer["verdict"]["code"], 503)
        with self.assertRaises(VarlinkError) as caught:
            rig.daemon.call("ListQubes")
        self.assertEqual(caught.exception.name, f"{INTERFACE}.NoQubesd")

    def test_more_rules_than_fit_into_one_reply(self):
        rules = "".join(f"r{n}: deny usb serial \"{n}\"\n" for n in range(200))
        rig, _ = self.plugged(rules + TO_WORK)
        answer = self.json(rig, "explain", "sys-usb:sda")
        self.assertEqual([step["name"] for step in answer["steps"]],
                         [f"r{n}" for n in range(200)] + ["stick"])
        with self.assertRaises(VarlinkError) as caught:
            rig.daemon.call("Explain", **SDA)
        self.assertEqual(caught.exception.name, f"{SERVICE}.ExpectedMore")

    def test_a_client_that_goes_meanwhile_does_no_harm(self):
        rig, _ = self.plugged()
        with rig.sim.held(method="admin.vm.List") as hold:
            control = Control(rig.daemon.control_socket)
            control.send("Explain", SDA)
            rig.sim.wait_held(id=hold)
            control.close()
            second = Control(rig.daemon.control_socket)
            second.send("ListQubes", {})
            rig.sim.wait_held(id=hold, count=2)
            # what it is about goes, too
            rig.daemon.rules("")
            rig.daemon.reload()
        second.close()
        self.verdict(rig, 3)

    def test_hostile_words_are_harmless(self):
        hostile = {"serial": "\u202e\u2066x\u200b\"", "model": "a\u0301\u2028\ufeff"}
        rig, _ = self.plugged('a: ask block not serial "*x*" to work\nb: deny block\n',
                              **hostile)
        rig.daemon.wait_outcome("sda", 302)
        for arguments in (("-v",), ("--json",), ()):
            text = self.command(rig, "explain", "sys-usb:sda", *arguments, status=3)
            self.assertIsNone(DANGEROUS.search(text), text)
        self.assertIn("this has \"\\u{202e}\\u{2066}x\\u{200b}\\\"\"\n", text)


class FileTest(unittest.TestCase):
    """explain FILE, without a daemon"""

    maxDiff = None

    def setUp(self):
        self.dir = self.enterContext(temporary_directory())
        self.rules = self.dir / "50-test.rules"
        self.rules.write_text(RULES, encoding="utf-8")
        self.rules.chmod(0o644)

    def explain(self, lines, *arguments) -> subprocess.CompletedProcess:
        """Of these lines, objects or text."""
        path = self.dir / "history"
        path.write_text("".join(
            (line if isinstance(line, str) else json.dumps(line)) + "\n"
            for line in lines), encoding="utf-8")
        return run("explain", path, "--rules-dir", self.dir,
                   "--socket", self.dir / "none", *arguments)

    @staticmethod
    def event(seq: int, action: str, devclass: str, device: str, **properties) -> dict:
        """An event line."""
        return {"type": "event", "seq": seq, "action": action, "class": devclass,
                "device": device, "properties": properties}

    def history(self) -> list:
        """A stick that comes and goes, and a keyboard."""
        return [{"type": "hello", "version": 1, "boot_id": BOOT_ID, "agent": "x"},
                self.event(1, "present", "usb", "3-1", **HID), {"type": "synced"},
                self.event(2, "add", "block", "sda", **STICK),
                self.event(3, "remove", "block", "sda")]

    def test_a_history_is_replayed(self):
        result = self.explain(self.history(), "--json")
        self.assertEqual((result.returncode, result.stderr), (3, ""))
        self.assertTrue(result.stdout.isascii())
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(
            [(answer["line"], answer["action"], answer["device"]["device"],
              answer["verdict"]["code"]) for answer in answers],
            [(2, "present", "3-1", 302), (4, "add", "sda", 200),
             (5, "remove", "sda", 203)])
        for answer in answers:
            for step in answer.pop("steps"):
                TYPES.check(STEP, step, "step")
            del answer["line"], answer["action"]
            TYPES.check(TYPES.types["Explanation"], answer, "explanation")
        self.assertEqual(answers[1]["device"]["rule"]["name"], "stick")
        self.assertEqual(answers[1]["verdict"]["asks"], True)

    def test_it_is_told_to_people(self):
        result = self.explain(self.history())
        self.assertEqual((result.returncode, result.stderr), (3, ""))
        path = self.dir / "history"
        self.assertIn(f"{path}:4 add: sys-usb:sda \"SanDisk Ultra\" (block, 14.3 GiB)\n",
                      result.stdout)
        self.assertIn(f"  label ({self.rules}:4:35): asks for fs-label \"BACKUP\"; "
                      "this has none\n", result.stdout)
        self.assertIn("200 attached: you are asked; with a yes it is attached to the "
                      "target you choose, if the Qubes policy and the target's state "
                      "allow\n", result.stdout)

    def test_the_source_can_be_another(self):
        lines = [self.event(1, "add", "block", "sda", **STICK)]
        for arguments, rule in (((), "stick"), (("--source", "sys-net"), "other")):
            result = self.explain(lines, "--json", *arguments)
            answer = json.loads(result.stdout)
            self.assertEqual(answer["device"]["rule"]["name"], rule)
        result = self.explain(lines, "--source", "sys net")
        self.assertEqual(result.returncode, 64)

    def test_standard_input_and_a_last_line_without_end(self):
        line = json.dumps(self.event(1, "add", "usb", "3-1", **HID))
        result = subprocess.run(
            [COMMAND, "explain", "-", "-q", "--rules-dir", self.dir, "--socket",
             self.dir / "none"], input=line, capture_output=True, check=False,
            timeout=DEADLINE, encoding="utf-8")
        self.assertEqual((result.returncode, result.stdout),
                         (3, "-:1 add: sys-usb:3-1: 302 denied-by-rule: "
                             "a rule denies it\n"))

    def test_standard_input_that_is_closed_is_told_as_that(self):
        result = subprocess.run(
            ["sh", "-c", 'exec "$@" <&-', "sh", COMMAND, "explain", "-", "--rules-dir",
             self.dir, "--socket", "/nonexistent"], capture_output=True, text=True,
            timeout=DEADLINE, check=False)
        self.assertEqual(result.returncode, 5, result.stderr)
        self.assertIn("cannot explain -: Bad file descriptor", result.stderr)

    def test_bad_lines_are_told_and_passed_over(self):
        lines = ["nonsense", "", {"type": "event"},
                 self.event(1, "add", "usb", "3-1", **HID)]
        result = self.explain(lines, "-q")
        self.assertEqual(result.returncode, 4)
        path = self.dir / "history"
        self.assertEqual([line.split(": ")[1:3] for line in
                          result.stderr.splitlines()],
                         [[f"{path}:1", "400 malformed"], [f"{path}:3", "400 malformed"]])
        self.assertIn("3-1: 302", result.stdout)
        result = self.explain(lines, "--json")
        self.assertEqual((result.returncode, result.stderr), (4, ""))
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([answer["verdict"]["code"] for answer in answers],
                         [400, 400, 302])
        for answer in answers[:2]:
            TYPES.check(TYPES.types["Verdict"], answer.pop("verdict"), "verdict")
        self.assertEqual(answers[0], {"line": 1, "action": None, "device": None,
                                      "steps": [], "rule_text": None, "n_rules": 0,
                                      "targets": []})
        self.assertEqual({*answers[1], "verdict"}, set(answers[2]))

    def test_a_line_that_is_too_long_ends_it(self):
        result = self.explain(["x" * 9000, self.event(1, "add", "usb", "3-1", **HID)])
        self.assertEqual((result.returncode, result.stdout), (4, ""))
        self.assertIn(":1: 413 too-large: ", result.stderr)

    def test_rules_with_errors_explain_nothing(self):
        self.rules.write_text("a: allow\n", encoding="utf-8")
        result = self.explain(self.history())
        self.assertEqual((result.returncode, result.stdout), (5, ""))
        self.assertIn(f"{self.rules}:1:", result.stderr)
        self.assertIn("qvm-autoattach check", result.stderr)

    def test_one_file_of_rules_will_do(self):
        result = self.explain(self.history(), "--rules-dir", self.rules, "-q")
        self.assertEqual((result.returncode, result.stderr), (3, ""))

    def test_what_is_no_file_is_told(self):
        for name in ("sda", "sys-usb:", "no such"):
            result = run("explain", name, cwd=self.dir)
            self.assertEqual((result.returncode, result.stdout), (4, ""))
            self.assertIn("a device is written with its qube, as sys-usb:sda",
                          result.stderr)
        result = run("explain", self.dir)
        self.assertEqual((result.returncode, result.stdout), (5, ""))
        (self.dir / "sys-usb:sda").write_text(
            json.dumps(self.event(1, "add", "usb", "3-1", **HID)) + "\n")
        result = run("explain", "./sys-usb:sda", "-q", "--rules-dir", self.dir,
                     cwd=self.dir)
        self.assertEqual(result.returncode, 3, result.stderr)


class FolderTest(ExplainCase):
    """explain FILE, with a daemon that has rules of its own"""

    def test_the_daemon_s_folder_is_the_usual_one(self):
        rig = self.start(TO_WORK)
        path = rig.daemon.dir / "one"
        path.write_text(json.dumps(FileTest.event(1, "add", "block", "sda", **STICK))
                        + "\n")
        answer = self.json(rig, "explain", path)
        self.assertEqual(answer["device"]["rule"]["file"],
                         os.fspath(rig.daemon.rules_dir / "50-test.rules"))


class CheckTest(ExplainCase):
    """check, with a daemon"""

    def check(self, rig, user: int, *paths) -> str:
        """What it says to a user, as whom it runs."""
        result = subprocess.run(
            ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
             rig.daemon.dir / "qvm-autoattach", "check", *paths, "--socket",
             rig.daemon.control_socket], capture_output=True, check=False,
            timeout=DEADLINE, encoding="utf-8", stdin=subprocess.DEVNULL)
        return f"{result.returncode} {result.stdout}"

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root")
    def test_files_of_whoever_runs_it_are_refused_as_the_daemon_does(self):
        rig = self.start(TO_WORK)
        shutil.copy(COMMAND, rig.daemon.dir)
        rig.daemon.dir.chmod(0o755)
        rig.daemon.control_socket.chmod(0o666)
        path = rig.daemon.rules_dir / "50-test.rules"
        draft = rig.daemon.dir / "draft.rules"
        shutil.copy(path, draft)
        for file in (path, draft):
            os.chown(file, 65534, 65534)
        rig.daemon.reload()
        self.assertTrue(rig.daemon.status()["rules"]["failed"])
        refused = f"{path}: the file belongs to user 65534"
        for paths in ((), (rig.daemon.rules_dir,), (f"{rig.daemon.rules_dir}/",),
                      (path,), (draft, path)):
            for user in (0, 65534):
                said = self.check(rig, user, *paths)
                self.assertTrue(said.startswith("2 ") and refused in said, said)
        self.assertEqual(self.check(rig, 65534, draft)[0], "0")

    def test_files_that_others_may_write_are_refused_as_the_daemon_does(self):
        rig = self.start(TO_WORK)
        path = rig.daemon.rules_dir / "50-test.rules"
        path.chmod(0o664)
        for paths in ((), (path,)):
            self.assertIn("writable for its group",
                          self.command(rig, "check", *paths, status=2))

    def test_targets_that_do_not_exist_are_told(self):
        rig = self.start("a: ask usb id 1050:* to { work wrok @dispvm:no }\n",
                         world(qubes=qubes()))
        path = rig.daemon.rules_dir / "50-test.rules"
        text = self.command(rig, "check", rig.daemon.rules_dir, status=1)
        self.assertIn(f"{path}:1:32: warning: there is no qube 'wrok'", text)
        self.assertIn(f"{path}:1:37: warning: there is no disposable template 'no'",
                      text)
        self.assertTrue(text.endswith("no errors, 2 warnings\n"))
        answer = self.json(rig, "check", rig.daemon.rules_dir, status=1)
        self.assertTrue(answer["targets_checked"])
        rig.sim.crash(service="qubesd")
        answer = self.json(rig, "check", rig.daemon.rules_dir)
        self.assertFalse(answer["targets_checked"])


if __name__ == "__main__":
    unittest.main()
