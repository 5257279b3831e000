# SPDX-License-Identifier: GPL-2.0-or-later
"""The warnings of qvm-autoattach check, as a person and a program get them."""

import json
import os
import subprocess
import unittest

from harness import BUILD, DEADLINE, temporary_directory

COMMAND = BUILD / "dom0" / "qvm-autoattach"

# each kind of warning: the rules, and what is said of them
WARNINGS = {
    "covered": ("a: deny usb id 1050:*\nb: ask usb id 1050:0407 to work\n",
                "2:1: warning: 'b' can never match: 'a' (line 1) comes first and "
                "takes all that it would"),
    "excluding": ("a: deny block min-size 2G max-size 1G\n",
                  "1:27: warning: 'a' can never match: no device meets all that it "
                  "asks of its size"),
    "content": ("a: allow block fs-uuid 3F2A-91C0 to work\n",
                "1:16: warning: 'a' allows by what is written on the disk"),
    "input": ("a: allow usb interface { 0e* 03* } to work\n",
              "1:14: warning: 'a' takes keyboards and mice away"),
    "no condition": ("a: ask any to work\n",
                     "1:1: warning: 'a' has no condition: it takes any disk and "
                     "any USB device"),
    "any disk": ("a: allow block type disk to work\n",
                 "1:1: warning: 'a' has no condition that tells devices apart: it "
                 "takes any disk"),
    "plug": ("a: ask usb id 0781:5581 to work\nb: ask block id 0781:* to vault\n",
             "2:1: warning: 'b' and 'a' (line 1) would take the same plug"),
}


def check(*arguments) -> subprocess.CompletedProcess:
    """Run it."""
    return subprocess.run([COMMAND, "check", *arguments], capture_output=True,
                          check=False, timeout=DEADLINE, encoding="utf-8",
                          stdin=subprocess.DEVNULL)


class Warnings(unittest.TestCase):
    """Right by the language, and yet hardly meant."""

    def setUp(self):
        self.dir = self.enterContext(temporary_directory())

    def write(self, text: str, name: str = "10-a.rules") -> os.PathLike:
        """A rule file that check accepts."""
        path = self.dir / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return path

    def test_each_is_told_with_place_line_and_caret(self):
        for kind, (rules, said) in WARNINGS.items():
            with self.subTest(kind):
                path = self.write(rules)
                result = check(path)
                self.assertEqual((result.returncode, result.stderr), (1, ""))
                self.assertIn(f"{path}:{said}", result.stdout)
                line, column = (int(number) for number in said.split(":")[:2])
                self.assertIn(f"\n    {rules.splitlines()[line - 1]}\n"
                              f"    {' ' * (column - 1)}^\n", result.stdout)
                self.assertTrue(result.stdout.endswith(" no errors, 1 warning\n"))

    def test_each_is_told_to_programs(self):
        for kind, (rules, said) in WARNINGS.items():
            with self.subTest(kind):
                path = self.write(rules)
                result = check("--json", path)
                self.assertEqual((result.returncode, result.stderr), (1, ""))
                answer = json.loads(result.stdout)
                self.assertEqual((answer["n_errors"], answer["n_warnings"]), (0, 1))
                warning = answer["errors"][0]
                self.assertEqual(warning["level"], "warning")
                self.assertEqual(warning["file"], os.fspath(path))
                place, message = said.split(": warning: ")
                self.assertEqual(f"{warning['line']}:{warning['column']}", place)
                self.assertTrue(warning["message"].startswith(message))

    def test_the_earlier_rule_of_another_file_is_named_with_it(self):
        first = self.write("a: deny any\n")
        second = self.write("b: deny usb\n", "20-b.rules")
        result = check(self.dir)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"{second}:1:1: warning: 'b' can never match: "
                      f"'a' ({first}:1) comes first", result.stdout)

    def test_a_draft_may_be_written_by_whoever(self):
        path = self.write("a: ask block serial x to work\n")
        path.chmod(0o666)
        self.dir.chmod(0o777)
        for given in (path, self.dir):
            result = check(given)
            self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)

    def test_standard_input_is_a_draft(self):
        for name in ("-", "/dev/stdin"):
            with self.subTest(name):
                result = subprocess.run(
                    [COMMAND, "check", name], capture_output=True, check=False,
                    timeout=DEADLINE, encoding="utf-8",
                    input="a: deny usb id 1050:0407\nb: alow any to work\n")
                self.assertEqual((result.returncode, result.stderr), (2, ""))
                self.assertTrue(result.stdout.startswith(f"{name}:2:4: "),
                                result.stdout)
                self.assertTrue(result.stdout.endswith("1 file, 1 rule, 1 error\n"))

    def test_errors_come_first_and_decide_the_exit_status(self):
        path = self.write("a: ask block to work\nb: ask blokc to work\n")
        result = check(path)
        self.assertEqual(result.returncode, 2)
        self.assertLess(result.stdout.index(f"{path}:2:"),
                        result.stdout.index(f"{path}:1:"))
        self.assertTrue(result.stdout.endswith("1 error, 1 warning\n"))


if __name__ == "__main__":
    unittest.main()
