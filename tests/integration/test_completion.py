# SPDX-License-Identifier: GPL-2.0-or-later
"""The bash completion of qvm-autoattach, by bash and the real daemon."""

import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from commandcase import DEADLINE, CommandCase, run  # noqa: E402
from daemoncase import STICK, TO_WORK  # noqa: E402
from harness import BUILD, HERE, temporary_directory  # noqa: E402

COMPLETION = HERE.parent.parent / "packaging" / "completion" / "qvm-autoattach"
# as bash calls the function for a line that ends at the cursor
CALL = r"""
set -u
. "$1"
[[ "$(complete -p qvm-autoattach)" == *"-F _qvm_autoattach "* ]] || exit 9
COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDBREAKS=$3
_qvm_autoattach
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
"""
BREAKS = " \t\n\"'><=;|&(:"


class CompletionTest(CommandCase):
    """What TAB offers."""

    def setUp(self):
        self.bin = self.enterContext(temporary_directory())
        (self.bin / "qvm-autoattach").symlink_to(BUILD / "dom0" / "qvm-autoattach")
        self.program("qvm-ls", "[ \"$*\" = --raw-list ] && "
                     "printf '%s\\n' dom0 sys-usb vault work")
        # a person waits 2 s; who has to wait for a CPU waits longer
        self.program("timeout", "[ \"$1\" = 2 ] && shift && exec \"$@\"")

    def program(self, name: str, script: str) -> None:
        """Something that the completion calls."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        path.chmod(0o755)

    def complete(self, line: str, breaks: str = BREAKS) -> list[str]:
        """What is offered behind a line."""
        result = subprocess.run(
            ["bash", "--norc", "-c", CALL, "bash", COMPLETION, line, breaks],
            capture_output=True, check=False, timeout=DEADLINE, encoding="utf-8",
            env={**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"})
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout.splitlines()

    def plugged(self) -> str:
        """A stick and its rule; the words that lead to the daemon."""
        rig = self.start("backup: allow block to gone\n" + TO_WORK)
        connection = self.forwarder(rig)
        connection.answer(connection.add("block", "sda", **STICK))
        connection.answer(connection.add("block", "sdb", **STICK))
        return f"--socket {rig.daemon.control_socket}"

    def test_every_command_is_offered(self):
        text = run("--help").stdout
        commands = re.findall(r"^  ([a-z]+) +\S", text.partition("Commands:")[2]
                              .partition("\n\n")[0], re.M)
        self.assertGreater(len(commands), 10)
        self.assertEqual(self.complete("qvm-autoattach "), commands)
        self.assertEqual(self.complete("qvm-autoattach -q "), commands)
        self.assertEqual(self.complete("qvm-autoattach re"),
                         [name for name in commands if name.startswith("re")])
        self.assertEqual(self.complete("qvm-autoattach xyz"), [])
        self.assertEqual(self.complete("qvm-autoattach"), [])

    def test_the_options_are_those_of_the_command(self):
        for command, there, missing in (
                ("history", "--follow", "--timeout"), ("wait", "--timeout", "--follow"),
                ("check", "--socket", "--source"), ("", "--version", "--socket")):
            offered = self.complete(f"qvm-autoattach {command} --")
            for option in (there, "--help", "--quiet"):
                self.assertIn(option, offered, command)
            self.assertNotIn(missing, offered)
            self.assertEqual(len(offered), len(set(offered)))
        self.assertEqual(self.complete("qvm-autoattach history --fo"), ["--follow"])

    def test_every_offered_option_is_taken(self):
        for command in self.complete("qvm-autoattach "):
            for option in self.complete(f"qvm-autoattach {command} --"):
                result = run(command, option, "--help")
                self.assertNotIn("takes no", result.stderr, (command, option))
                self.assertNotIn("unknown", result.stderr, (command, option))

    def test_devices_and_rules_are_those_of_the_daemon(self):
        socket = self.plugged()
        devices = ["sys-usb:sda", "sys-usb:sdb"]
        for command in ("retry", "detach"):
            self.assertEqual(self.complete(f"qvm-autoattach {command} {socket} "), devices)
            self.assertEqual(self.complete(f"qvm-autoattach {socket} {command} sys"),
                             devices)
            self.assertEqual(
                self.complete(f"qvm-autoattach {command} {socket} sys-usb:sda "), [])
        self.assertEqual(self.complete(f"qvm-autoattach wait {socket} "),
                         devices + ["backup", "stick"])
        self.assertEqual(self.complete(f"qvm-autoattach wait {socket} b"), ["backup"])
        equals = socket.replace(" ", "=")
        self.assertEqual(self.complete(f"qvm-autoattach wait {equals} b"), ["backup"])

    def test_a_colon_may_break_words_or_not(self):
        socket = self.plugged()
        line = f"qvm-autoattach retry {socket} sys-usb:sd"
        self.assertEqual(self.complete(line), ["sda", "sdb"])
        self.assertEqual(self.complete(line, BREAKS.replace(":", "")),
                         ["sys-usb:sda", "sys-usb:sdb"])

    def test_qubes_and_times_are_offered_as_values(self):
        self.assertEqual(self.complete("qvm-autoattach add x y --to "),
                         ["sys-usb", "vault", "work", "@dispvm"])
        self.assertEqual(self.complete("qvm-autoattach add x y --to=v"), ["vault"])
        self.assertEqual(self.complete("qvm-autoattach add x y --to work,v"),
                         ["work,vault"])
        self.assertEqual(self.complete("qvm-autoattach wait --timeout "),
                         ["30s", "5m", "2h"])
        self.assertEqual(self.complete("qvm-autoattach history -n "), [])

    def test_what_a_device_is_matched_by_is_offered(self):
        code = (HERE.parent.parent / "dom0/core/rule-condition.c").read_text(
            encoding="utf-8")
        keys = re.findall(r"\[CONDITION_\w+\] = \{\s*\"([a-z-]+)\"", code)
        self.assertGreater(len(keys), 15)
        self.assertEqual(sorted(self.complete("qvm-autoattach add x y --match ")),
                         sorted(key for key in keys if not key.endswith("-size")))
        self.assertEqual(self.complete("qvm-autoattach add x y --match id,se"),
                         ["id,serial"])

    def test_without_a_daemon_nothing_is_said(self):
        self.assertEqual(
            self.complete("qvm-autoattach retry --socket /nonexistent "), [])

    def test_what_is_typed_is_no_pattern_and_runs_nothing(self):
        socket = self.plugged()
        for word in ("*", "[a-z]*", "$(touch${IFS}evil)", "`touch`", "\\", "'", "s*"):
            self.assertEqual(self.complete(f"qvm-autoattach wait {socket} {word}"), [])
        self.assertFalse(pathlib.Path("evil").exists())


if __name__ == "__main__":
    unittest.main()
