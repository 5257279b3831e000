# SPDX-License-Identifier: GPL-2.0-or-later
"""Every rule that the documents show is checked, and the reference is whole.

An example is a block of lines with rules in it, in a man page, in README.md or in
the rule file that is installed. check must have nothing to say of it.
"""

import json
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from commandcase import run  # noqa: E402
from harness import HERE, temporary_directory  # noqa: E402

SOURCE = HERE.parent.parent
MAN = SOURCE / "packaging" / "man"
CORE = SOURCE / "dom0" / "core"
# where a rule begins, be it in quotes of a shell
RULE = re.compile(r"(?:^|(?<=[\s'\"]))[A-Za-z][\w-]*:\s+(?:allow|ask|deny)\s+"
                  r"(?:block|usb|any)\b.*")
# what the reference of rules has to have examples of
WANTED = {
    "a security key": r"usb id 1050:\S+ serial .* to vault",
    "a backup disk, read-only": r"block .*fs-uuid .*to backups read-only",
    "a partition": r"block .*partition \d",
    "printers": r"usb interface (\{ )?0701\*",
    "only while calls runs": r"to calls if-running",
    "any stick to a disposable": r"block type disk .*to @dispvm.* close",
    "another USB qube": r"from sys-usb-front",
    "one qube out": r"deny any from \S+$",
    "a dock": r"path \"\S+\.\*\"",
    "an encrypted disk": r"fs-type \"?crypto_LUKS",
    "a phone": r"usb id 18d1:\*.*06\*",
    "no keyboards": r"deny usb interface (\{ )?03\*",
}


def unquoted(line: str) -> str:
    """The rule of a line; one in quotes of a shell ends with them."""
    match = RULE.search(line)
    before = line[:match.start()]
    quote = before[-1:]
    text = match.group()
    return text.partition(quote)[0] if quote in ("'", '"') else text


def examples(lines: list[str]) -> list[str]:
    """The rule files that a block shows: all its rules, joined lines and all."""
    rules, joined = [], False
    for line in lines:
        if joined:
            rules[-1] += "\n" + line
        elif RULE.search(line):
            rules.append(unquoted(line))
        else:
            continue
        joined = line.endswith("\\")
    return ["\n".join(rules) + "\n"] if rules else []


def of_man_page(name: str) -> list[str]:
    """The displays of a man page, and the lines that are shown alone."""
    text = (MAN / name).read_text(encoding="utf-8")
    text = text.replace(r"\e", "\\").replace(r"\&", "")
    blocks = [block.splitlines() for block in
              re.findall(r"^\.Bd [^\n]*\n(.*?)^\.Ed", text, re.M | re.S)]
    blocks += [[line] for line in re.findall(r"^\.Dl (.*)", text, re.M)]
    return [file for block in blocks for file in examples(block)]


def of_readme() -> list[str]:
    """The indented blocks of README.md."""
    text = (SOURCE / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^ {4}[^\n]*\n(?:\n(?= {4}))?)+", text, re.M)
    return [file for block in blocks
            for file in examples([line[4:] for line in block.splitlines()])]


def of_rule_file() -> list[str]:
    """The rule file of the package, its comments taken away."""
    lines = (SOURCE / "packaging" / "rules" / "50-example.rules").read_text(
        encoding="utf-8").splitlines()
    return examples([line.removeprefix("# ") for line in lines])


class ExamplesTest(unittest.TestCase):
    """check has nothing to say."""

    def check(self, rules: str) -> tuple[int, dict]:
        """Exit status and answer."""
        with temporary_directory() as folder:
            path = folder / "example.rules"
            path.write_text(rules, encoding="utf-8")
            path.chmod(0o644)
            result = run("check", path, "--json", "--socket", folder / "none")
        return result.returncode, json.loads(result.stdout)

    def assert_clean(self, files: list[str], at_least: int) -> None:
        """Each of them, and that there are as many as one knows of."""
        self.assertGreaterEqual(len(files), at_least)
        for rules in files:
            with self.subTest(rules):
                status, answer = self.check(rules)
                self.assertEqual((status, answer["errors"]), (0, []))
                self.assertGreater(answer["rules"], 0)

    def test_those_of_the_rules_page(self):
        self.assert_clean(of_man_page("qubes-autoattach.rules.5"), 16)

    def test_those_of_the_other_pages(self):
        names = sorted(path.name for path in MAN.glob("*.[1-8]"))
        self.assertIn("qvm-autoattach.1", names)
        for name in names:
            self.assert_clean(of_man_page(name), 0)

    def test_those_of_the_rule_file_take_no_name_of_the_readme_s(self):
        """Who has written that one may then take a "# " away."""
        readme = (SOURCE / "README.md").read_text(encoding="utf-8")
        names = [name for rules in of_rule_file()
                 for name in re.findall(r"^([\w-]+):", rules, re.M)]
        self.assertGreater(len(names), 3)
        for name in names:
            self.assertIsNone(re.search(rf"\b{name}: ", readme), name)

    def test_those_of_the_rules_page_fit_a_terminal(self):
        # of its 80 columns man indents the text by 5, and these by 6 more
        for rules in of_man_page("qubes-autoattach.rules.5"):
            for line in rules.splitlines():
                self.assertLessEqual(len(line), 80 - 5 - 6, line)

    def test_those_of_the_readme(self):
        self.assert_clean(of_readme(), 3)

    def test_those_of_the_file_in_the_package(self):
        self.assert_clean(of_rule_file(), 1)
        self.assertEqual(self.check(of_rule_file()[0])[1]["rules"], 4)

    def test_a_bad_example_would_be_seen(self):
        for line, expected in (("x: allow block to work", 1),
                               ("  echo 'x: allw block to work'", None),
                               ("echo 'x: allow block too work' |", 2),
                               ("x: deny usb serial", 2)):
            files = examples([line])
            self.assertEqual([self.check(file)[0] for file in files],
                             [] if expected is None else [expected], line)


class ReferenceTest(unittest.TestCase):
    """qubes-autoattach.rules(5) leaves nothing out."""

    text = (MAN / "qubes-autoattach.rules.5").read_text(encoding="utf-8")

    def items(self, name: str) -> set[str]:
        """What is explained in a section."""
        body = re.search(rf"^\.S[sh] {name}\n(.*?)(?=^\.S[sh] )", self.text,
                         re.M | re.S).group(1)
        return {word for item in re.findall(r"^\.It Cm (.*)", body, re.M)
                for word in re.findall(r"[a-z-]+", item.partition(" Ar ")[0])}

    def test_all_conditions_are_told(self):
        source = (CORE / "rule-condition.c").read_text(encoding="utf-8")
        code = set(re.findall(r"\[CONDITION_\w+\] = \{\s*\"([a-z-]+)\"", source))
        self.assertGreater(len(code), 15)
        self.assertEqual(self.items("Conditions"), code)

    def test_all_options_are_told(self):
        source = (CORE / "rule-words.c").read_text(encoding="utf-8")
        code = set(re.findall(r"\"([a-z-]+)\", RULE_WORD_OPTION", source))
        self.assertGreater(len(code), 6)
        self.assertEqual(self.items("Options"), code)

    def test_its_limits_are_those_of_the_code(self):
        limits = {}
        for path in sorted(CORE.glob("*.h")):
            limits |= dict(re.findall(r"#define (\w+_MAX) +(\d+)U",
                                      path.read_text(encoding="utf-8")))
        for name, words in (("RULESET_RULES_MAX", "{} rules in all"),
                            ("RULE_NAME_MAX", "1 to {} letters"),
                            ("GLOB_MAX", "at most {} bytes"),
                            ("CONDITION_VALUES_MAX", "at most {} values"),
                            ("RULE_CONDITIONS_MAX", "at most {}\nconditions")):
            self.assertIn(words.format(limits[name]), self.text)

    def test_there_is_an_example_of_each_kind(self):
        rules = " ".join(of_man_page("qubes-autoattach.rules.5")).splitlines()
        rules = "\n".join(rules).replace("\\\n", "")
        lines = [re.sub(r"\s+", " ", line).strip() for line in rules.splitlines()]
        self.assertGreaterEqual(len(lines), 12)
        for what, pattern in WANTED.items():
            self.assertTrue(any(re.search(pattern, line) for line in lines), what)

    def test_each_example_is_worked(self):
        examples_part = self.text.partition(".Sh EXAMPLES")[2]
        self.assertGreaterEqual(len(re.findall(r"^\.Ss ", examples_part, re.M)), 12)


if __name__ == "__main__":
    unittest.main()
