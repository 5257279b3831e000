# SPDX-License-Identifier: GPL-2.0-or-later
"""qvm-autoattach and the control socket, with and without a daemon."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from commandcase import (COMMAND, DANGEROUS, DEADLINE, run,  # noqa: E402
                         run_on_terminal)
from harness import (HERE, INTERFACE, UNDER_VALGRIND, Control,  # noqa: E402
                     Rig, VarlinkError, temporary_directory)

SOURCE = HERE.parent.parent
RULES = HERE.parent / "rules"
SCENARIO = {
    "qubes": {"sys-usb": {"state": "Running"}, "work": {"state": "Running"}},
    "devices": [{"backend": "sys-usb", "port": "sda", "class": "block",
                 "name": "DATA", "serial": "SanDisk"}],
}
RULE = "stick: allow block to work\n"
CLEAN = "stick: allow block id 0781:5581 to work\n"


class Peer:
    """A daemon that answers every call with the same bytes, then closes."""

    def __init__(self, path: pathlib.Path, answer: bytes):
        self.answer = answer
        self.call = b""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(os.fspath(path))
        self.socket.listen(1)
        self.socket.settimeout(DEADLINE)
        self.thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        client, _ = self.socket.accept()
        with client:
            client.settimeout(DEADLINE)
            while b"\0" not in self.call:
                self.call += client.recv(65536)
            # the command may have heard enough
            with contextlib.suppress(OSError):
                client.sendall(self.answer)

    def __enter__(self) -> "Peer":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.thread.join(DEADLINE)
        self.socket.close()


class UsageTest(unittest.TestCase):
    """Help, version and wrong words."""

    def test_help_tells_the_commands_and_an_example(self):
        result = run("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for word in ("status", "check", "--json", "Examples:"):
            self.assertIn(word, result.stdout)

    def test_each_command_has_its_help_with_an_example(self):
        commands = re.findall(r"^  ([a-z]+) +\S", run("--help").stdout
                              .partition("Commands:")[2].partition("\n\n")[0], re.M)
        self.assertGreater(len(commands), 10)
        for command in commands:
            for arguments in ((command, "--help"), ("-h", command)):
                result = run(*arguments)
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                self.assertTrue(result.stdout.startswith(
                    f"Usage: qvm-autoattach {command}"), result.stdout)
                self.assertRegex(result.stdout, r"\nExamples?:\n")
                self.assertRegex(result.stdout, r"\nExit status: ")
                self.assertLessEqual(max(map(len, result.stdout.splitlines())), 80)

    def test_version(self):
        result = run("--version")
        version = (SOURCE / "version").read_text(encoding="ascii").strip()
        self.assertEqual((result.returncode, result.stdout),
                         (0, f"qvm-autoattach {version}\n"))

    def test_wrong_usage_is_64_and_offers_the_right_word(self):
        for arguments, message in (
                ((), "a command is missing"),
                (("stauts",), 'unknown command "stauts"; did you mean status?'),
                (("chek", "x"), 'unknown command "chek"; did you mean check?'),
                (("help",), 'unknown command "help"; did you mean --help?'),
                (("log",), 'unknown command "log"; did you mean history?'),
                (("attach",), 'unknown command "attach"'),
                (("status", "--jsn"), "did you mean --json?"),
                (("status", "x"), '"x" is one word too many'),
                (("status", "--socket"), "--socket needs a value"),
                (("check", "--follow", "x"), "check takes no --follow"),
                (("\033[1m",), 'unknown command "\\u{1b}[1m"')):
            result = run(*arguments)
            self.assertEqual((result.returncode, result.stdout), (64, ""), arguments)
            self.assertIn(message, result.stderr)
            self.assertNotIn("\033", result.stderr)

    def test_output_that_cannot_be_written_is_no_success(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([COMMAND, "--help"], stdout=full, check=False,
                                    stderr=subprocess.PIPE, timeout=DEADLINE)
        self.assertEqual(result.returncode, 5)


class NoDaemonTest(unittest.TestCase):
    """`status` where there is no daemon, or one that does not answer well."""

    def setUp(self):
        self.dir = self.enterContext(temporary_directory())
        self.path = self.dir / "control.sock"

    def assert_unreachable(self, *messages: str) -> None:
        """Exit 5, nothing on stdout, and what to do."""
        for form in ((), ("--json",), ("-q",)):
            with self.subTest(form=form):
                result = run("status", "--socket", self.path, *form)
                self.assertEqual((result.returncode, result.stdout), (5, ""))
                for message in messages:
                    self.assertIn(message, result.stderr)
                self.assertIn("systemctl status qubes-autoattachd", result.stderr)

    def test_no_socket(self):
        self.assert_unreachable("the daemon is not running", os.fspath(self.path))

    def test_nobody_listens(self):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(os.fspath(self.path))
        self.assert_unreachable("the daemon is not running", "nobody listens")

    def test_a_path_that_is_too_long(self):
        self.path = self.dir / ("x" * 200)
        self.assert_unreachable("cannot be reached")

    @unittest.skipIf(os.geteuid() != 0 or not shutil.which("setpriv"),
                     "becoming nobody takes root")
    def test_no_permission(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.fspath(self.path))
            listener.listen()
            self.path.chmod(0o600)
            self.dir.chmod(0o755)
            # the build folder may be out of nobody's reach
            copy = self.dir / "qvm-autoattach"
            shutil.copy(COMMAND, copy)
            result = subprocess.run(
                ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                 copy, "status", "--socket", self.path],
                capture_output=True, check=False, timeout=DEADLINE, encoding="utf-8")
        self.assertEqual((result.returncode, result.stdout), (5, ""))
        self.assertIn("members of group qubes", result.stderr)

    def test_bad_answers(self):
        for answer, message in (
                (b"", "closed the connection"),
                (b'{"parameters":{}}', "closed the connection"),
                (b"\0", "is not understood"),
                (b"[]\0", "is not understood"),
                (b'{"parameters":[]}\0', "is not understood"),
                (b'{"error":"x"}\0', "is not understood"),
                (b"x" * (1 << 20) + b"xx\0", "is not understood"),
                (b'{"error":"a.b.C"}\0', "refused the call: a.b.C")):
            with self.subTest(answer=answer[:30]), Peer(self.path, answer):
                result = run("status", "--socket", self.path)
                self.assertEqual((result.returncode, result.stdout), (5, ""))
                self.assertIn(message, result.stderr)
            self.path.unlink()

    def test_the_call_is_varlink(self):
        with Peer(self.path, b'{"parameters":{"daemon":{}}}\0') as peer:
            result = run("status", "--json", "--socket", self.path)
        self.assertEqual((result.returncode, result.stdout), (0, '{"daemon":{}}\n'))
        self.assertEqual(json.loads(peer.call[:-1]),
                         {"method": f"{INTERFACE}.GetStatus", "parameters": {}})

    def test_a_device_that_is_not_of_its_form_is_not_there(self):
        good = {"source": "sys-usb", "class": "block", "device": "sda", "properties": {}}
        for bad in ({"device": "../sda"}, {"properties": {"serial": "\n"}},
                    {"properties": {"serials": "1"}}, {"source": "sys usb"},
                    {"class": "disk"}, {"parent": "/"}):
            answer = {"parameters": {"devices": [{**good, **bad}]}}
            with self.subTest(bad=bad), \
                    Peer(self.path, json.dumps(answer).encode() + b"\0"):
                result = run("add", "stick", "sys-usb:sda", "--to", "work",
                             "--socket", self.path)
                self.assertEqual((result.returncode, result.stdout), (4, ""))
                self.assertIn("sys-usb:sda", result.stderr)
            self.path.unlink()

    def test_json_is_ascii_whatever_the_daemon_says(self):
        answer = json.dumps({"parameters": {"label": "\u202e\u65e5\x7f"}},
                            ensure_ascii=False).encode() + b"\0"
        with Peer(self.path, answer):
            result = run("status", "--json", "--socket", self.path)
        self.assertEqual(result.returncode, 0)
        self.assertTrue(result.stdout.isascii())
        self.assertEqual(json.loads(result.stdout)["label"], "\u202e\u65e5\x7f")


class CheckTest(unittest.TestCase):
    """`check`, which needs no daemon."""

    def setUp(self):
        # the checkout may belong to somebody who must not make rules
        self.dir = self.enterContext(temporary_directory())

    def write(self, name: str, text: str) -> pathlib.Path:
        """A rule file that may be used."""
        path = self.dir / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return path

    def corpus(self, kind: str):
        """Copies of the corpus files, one after the other."""
        files = sorted((RULES / kind).glob("*.rules"))
        self.assertGreater(len(files), 50)
        # fuzz/fuzz-rules is run with all of them there
        for file in files[::10] if UNDER_VALGRIND else files:
            copy = self.dir / file.name
            shutil.copyfile(file, copy)
            copy.chmod(0o644)
            yield copy

    def test_good_rules_are_good(self):
        for path in self.corpus("good"):
            result = run("check", path)
            # warnings are no errors
            self.assertIn(result.returncode, (0, 1), f"{path.name}: {result.stdout}")
            self.assertIn("no errors", result.stdout)
            self.assertEqual(result.stderr, "")

    def test_bad_rules_are_bad_and_the_place_is_told(self):
        for path in self.corpus("bad"):
            result = run("check", path)
            self.assertEqual(result.returncode, 2, f"{path.name}: {result.stdout}")
            self.assertIn(f"{path}:", result.stdout)
            self.assertRegex(result.stdout, r"\n1 file, .*[1-9][0-9]* errors?(, \d+ warnings?)?\n\Z")
            self.assertEqual(result.stderr, "")
            self.assertIsNone(DANGEROUS.search(result.stdout), path.name)

    def test_all_errors_of_all_files_come_at_once(self):
        one = self.write("10-a.rules", "a: allow block\nb: alow block to work\n")
        two = self.write("20-b.rules", RULE + "stick: deny usb\n")
        result = run("check", self.dir)
        self.assertEqual(result.returncode, 2)
        self.assertIn(f"{one}:1:", result.stdout)
        self.assertIn(f"{one}:2:4:", result.stdout)
        self.assertIn("\n    b: alow block to work\n       ^\n", result.stdout)
        # a name is taken also by a rule of another file, or of another PATH
        self.assertIn(f"{two}:2:1:", result.stdout)
        self.assertIn("\n2 files, ", result.stdout)
        self.assertEqual(run("check", two).returncode, 2)
        other = self.write("other", RULE)
        self.assertEqual(run("check", other, self.write("third", RULE)).returncode, 2)

    def test_json_is_one_object(self):
        path = self.write("10-a.rules", CLEAN + "b: alow block to w\u00f6rk\n")
        result = run("check", "--json", self.dir)
        self.assertEqual((result.returncode, result.stderr), (2, ""))
        self.assertTrue(result.stdout.isascii())
        self.assertEqual(result.stdout.count("\n"), 1)
        answer = json.loads(result.stdout)
        self.assertEqual((answer["files"], answer["rules"]), (1, 1))
        self.assertEqual(answer["n_errors"], len(answer["errors"]))
        first = answer["errors"][0]
        self.assertEqual((first["level"], first["file"], first["line"], first["column"]),
                         ("error", os.fspath(path), 2, 4))
        self.assertEqual(first["source_line"], "b: alow block to w\u00f6rk")

        path.write_text(CLEAN, encoding="utf-8")
        result = run("check", "--json", path)
        self.assertEqual(json.loads(result.stdout),
                         {"files": 1, "rules": 1, "targets_checked": False,
                          "n_errors": 0, "n_warnings": 0, "errors": [], "passed_over": []})

    def test_quiet_says_nothing_but_errors(self):
        path = self.write("10-a.rules", CLEAN)
        result = run("check", "-q", path)
        self.assertEqual((result.returncode, result.stdout), (0, ""))
        path.write_text(RULE, encoding="utf-8")
        result = run("check", "-q", path)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        path.write_text("a: alow\n", encoding="utf-8")
        result = run("check", "-q", path)
        self.assertEqual(result.returncode, 2)
        self.assertIn(f"{path}:1:4:", result.stdout)
        self.assertNotIn("1 file", result.stdout)

    def test_verbose_names_the_files(self):
        path = self.write("10-a.rules", CLEAN)
        self.assertEqual(run("check", "-v", self.dir).stdout,
                         f"{path}\n1 file, 1 rule, no errors\n")

    def test_a_path_that_cannot_be_used_is_an_error(self):
        fifo, link, loop = self.dir / "fifo", self.dir / "link", self.dir / "loop"
        os.mkfifo(fifo)
        link.symlink_to(self.write("x.rules", RULE))
        loop.symlink_to(loop)
        for path in (self.dir / "nothing", fifo, link, loop, "", "/dev/null",
                     self.dir / "x.rules" / "y"):
            result = run("check", path)
            self.assertEqual(result.returncode, 2, path)
            self.assertTrue(result.stdout.startswith(f"{path}: "), result.stdout)

    def test_an_empty_folder_is_good(self):
        result = run("check", self.dir)
        self.assertEqual((result.returncode, result.stdout),
                         (0, "no files, no rules, no errors\n"))

    def test_options_may_come_behind_and_dashes_end_them(self):
        path = self.write("--json", CLEAN)
        result = run("check", "--", path.name, cwd=self.dir)
        self.assertEqual((result.returncode, result.stdout),
                         (0, "1 file, 1 rule, no errors\n"))
        self.assertEqual(run("check", path, "-q").stdout, "")


class DaemonTest(unittest.TestCase):
    """`status` and the control socket of a real daemon."""

    def rig(self, rules: str = RULE, **options) -> Rig:
        """A daemon whose sys-usb holds sda, and that knows its qubesd."""
        rig = self.enterContext(Rig(SCENARIO, rules, **options))
        end = time.monotonic() + DEADLINE
        while rig.daemon.status()["qubesd"]["state"] == "gone":
            self.assertLess(time.monotonic(), end, "qubesd is not found")
        return rig

    def status(self, rig: Rig, *arguments) -> str:
        """The text of `status` in a pipe."""
        result = run("status", "--socket", rig.daemon.control_socket, *arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def attach(self, rig: Rig, **properties):
        """Have sda attached; the connection of the forwarder."""
        forwarder = self.enterContext(rig.daemon.forwarder())
        seq = forwarder.add("block", "sda", devtype="disk", **properties)
        answer = forwarder.answer(seq)
        self.assertEqual(answer["code"], 200, answer)
        return forwarder

    def test_status_tells_what_was_attached(self):
        rig = self.rig("stick: allow block name sda to work\n")
        self.attach(rig)
        text = self.status(rig)
        self.assertTrue(text.startswith("Working, with 1 rule in force\n"), text)
        self.assertIn("\nsys-usb\tconnected\t1\t0\n", text)
        self.assertRegex(text, r"sys-usb:sda.*: attached to work by rule stick\n")
        self.assertNotIn("Needs attention", text)
        self.assertEqual(self.status(rig, "-q"), "")

    def test_json_is_the_daemon_s_answer(self):
        rig = self.rig()
        self.attach(rig)
        text = self.status(rig, "--json")
        self.assertTrue(text.isascii())
        self.assertEqual(text.count("\n"), 1)
        status = json.loads(text)
        self.assertEqual(status["daemon"]["pid"], rig.daemon.process.pid)
        self.assertEqual(status["qubesd"], {"state": "connected", "detail": None})
        self.assertEqual(status["rules"]["directory"], os.fspath(rig.daemon.rules_dir))
        self.assertEqual((status["rules"]["n_rules"], status["rules"]["failed"]),
                         (1, False))
        outcome = status["outcomes"][-1]
        self.assertEqual(
            {key: outcome[key] for key in ("source", "class", "device", "rule",
                                           "target", "code", "status")},
            {"source": "sys-usb", "class": "block", "device": "sda", "rule": "stick",
             "target": "work", "code": 200, "status": "attached"})
        self.assertEqual(set(status), set(rig.daemon.call("GetStatus")))

    def test_hostile_labels_are_harmless(self):
        rig = self.rig()
        self.attach(rig, vendor="Evil\u202e", model="\u200b\"to vault",
                    fs_label="\u2066\u0301\ufeff")
        for text in (self.status(rig), self.status(rig, "-v"),
                     re.sub("\033\\[[0-9;]*m", "", run_on_terminal(
                         "status", "--socket", rig.daemon.control_socket))):
            self.assertIsNone(DANGEROUS.search(text), text)
            self.assertNotIn("\u0301", text)
        self.assertTrue(self.status(rig, "--json").isascii())

    def test_rule_errors_are_told_with_their_place(self):
        rig = self.rig()
        self.enterContext(rig.daemon.forwarder())
        rig.daemon.rules("b: alow block to work\n", "60-bad.rules")
        rig.daemon.reload()
        text = self.status(rig)
        self.assertTrue(text.startswith("Working with the old rules (1 rule)"), text)
        self.assertIn("60-bad.rules:1:4: ", text)
        self.assertIn("\n      b: alow block to work\n         ^\n", text)
        errors = json.loads(self.status(rig, "--json"))["rules"]
        self.assertTrue(errors["failed"])
        self.assertEqual((errors["errors"][0]["line"], errors["errors"][0]["column"]),
                         (1, 4))

    def test_the_caret_is_right_behind_wide_letters(self):
        rig = self.rig()
        rig.daemon.rules("b: ask block vendor \u65e5\u672c\u8a9e oops to work\n",
                         "60-bad.rules")
        rig.daemon.reload()
        line = "b: ask block vendor \u65e5\u672c\u8a9e oops to work\n"
        for text, indent in ((self.status(rig), 6),
                             (run("check", rig.daemon.rules_dir).stdout, 4)):
            self.assertIn("\n" + " " * indent + line + " " * (indent + 27) + "^\n", text)

    @unittest.skipIf(UNDER_VALGRIND, "valgrind takes the output's place")
    def test_what_is_printed_goes_into_no_socket_if_the_output_is_closed(self):
        rig = self.rig()
        self.attach(rig)
        for command in (("status",), ("history", "-f")):
            result = subprocess.run(
                ["sh", "-c", 'exec "$@" >&-', "sh", COMMAND, *command, "--socket",
                 rig.daemon.control_socket], stderr=subprocess.PIPE, text=True,
                timeout=DEADLINE, check=False)
            self.assertEqual(result.returncode, 5, (command, result))
            self.assertIn("cannot write the output", result.stderr)

    def test_unlimited_is_told_loudly(self):
        rig = self.rig(unlimited=True)
        self.assertIn("--unlimited: all rates are off", self.status(rig, "-q"))

    def test_a_terminal_gets_one_screen_with_colours(self):
        rig = self.rig()
        self.attach(rig)
        arguments = ("status", "--socket", rig.daemon.control_socket)
        text = run_on_terminal(*arguments)
        self.assertIn("\033[32mWorking, with 1 rule in force\033[0m\n", text)
        self.assertLess(text.count("\n"), 24)
        self.assertIn("  sys-usb:sda  work  stick\n", text)
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            self.assertNotIn("\033", run_on_terminal(*arguments, env=env))

    def test_a_daemon_that_does_not_answer_is_given_up(self):
        rig = self.rig()
        rig.daemon.process.send_signal(signal.SIGSTOP)
        try:
            result = run("status", "--socket", rig.daemon.control_socket)
        finally:
            rig.daemon.process.send_signal(signal.SIGCONT)
        self.assertEqual((result.returncode, result.stdout), (5, ""))
        self.assertIn("has not answered within 10 s", result.stderr)


class VarlinkTest(unittest.TestCase):
    """The control socket itself."""

    def setUp(self):
        self.rig = self.enterContext(Rig(SCENARIO, RULE))

    def control(self) -> Control:
        """A client."""
        control = Control(self.rig.daemon.control_socket)
        self.addCleanup(control.close)
        return control

    def test_the_service_describes_itself(self):
        control = self.control()
        info = control.call("org.varlink.service.GetInfo")
        self.assertEqual(info["product"], "qubes-autoattach")
        self.assertEqual(info["interfaces"], ["org.varlink.service", INTERFACE])
        for interface in info["interfaces"]:
            answer = control.call("org.varlink.service.GetInterfaceDescription",
                                  {"interface": interface})
            file = SOURCE / "dom0" / "wire" / f"{interface}.varlink"
            self.assertEqual(answer["description"], file.read_text(encoding="ascii"))

    def test_what_is_wrong_gets_its_standard_error(self):
        control = self.control()
        for method, parameters, error, wanted in (
                ("a.b.C", {}, "InterfaceNotFound", {"interface": "a.b"}),
                ("Nothing", {}, "MethodNotFound", {"method": f"{INTERFACE}.Nothing"}),
                ("GetStatus", {"x": 1}, "InvalidParameter", {"parameter": "x"}),
                ("org.varlink.service.GetInterfaceDescription", {},
                 "InvalidParameter", {"parameter": "interface"}),
                ("org.varlink.service.GetInterfaceDescription", {"interface": "a.b"},
                 "InterfaceNotFound", {"interface": "a.b"})):
            with self.assertRaises(VarlinkError) as caught:
                control.call(method, parameters)
            self.assertEqual((caught.exception.name, caught.exception.parameters),
                             (f"org.varlink.service.{error}", wanted))

    def test_garbage_ends_its_own_connection_only(self):
        good = self.control()
        for garbage in (b"x\0", b"\0", b"{}\0", b"[" * 60000 + b"\0", b"x" * 65537):
            bad = self.control()
            with contextlib.suppress(BrokenPipeError):
                bad.stream.send(garbage)
            self.assertEqual(bad.stream.read_until(b"\0"), b"")
            self.assertIn("daemon", good.call("GetStatus"))

    def test_one_client_too_many_is_turned_away(self):
        clients = [self.control() for _ in range(32)]
        for client in clients:
            client.call("GetStatus")
        extra = self.control()
        with contextlib.suppress(BrokenPipeError):
            extra.send("GetStatus")
        self.assertEqual(extra.stream.read_until(b"\0"), b"")
        result = run("status", "--socket", self.rig.daemon.control_socket)
        self.assertEqual(result.returncode, 5)
        self.assertIn("too many clients", result.stderr)
        clients[0].close()
        clients[1].call("GetStatus")
        self.assertIn("daemon", self.control().call("GetStatus"))

    def test_who_does_not_read_does_not_stop_others(self):
        deaf = self.control()
        call = json.dumps({"method": f"{INTERFACE}.GetStatus"}).encode() + b"\0"
        deaf.stream.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                deaf.stream.socket.send(call * 100)
        self.assertIn("daemon", self.control().call("GetStatus"))


if __name__ == "__main__":
    unittest.main()
