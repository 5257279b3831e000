#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The shipped policy file, read by the documented rules of the language.

Written after the manual of the policy language, qrexec(5)-style: five columns,
`service argument source target action`, then parameters of the action; the
first line that fits decides; files are read in the order of their names.
"""

import dataclasses
import pathlib
import re
import sys
import unittest

sys.dont_write_bytecode = True
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "policy"
NAME = "80-qubes-autoattach.policy"
USER = "30-user.policy"

# one file with another name makes the policy daemon deny every call
FILE_NAME = re.compile(r"[a-z0-9_-][a-z0-9._-]*\.policy")
SERVICE = re.compile(r"\*|[A-Za-z0-9._-]+")
ARGUMENT = re.compile(r"\*|\+[A-Za-z0-9+._-]*")
QUBE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
SOURCES = re.compile(r"\*|@adminvm|@anyvm|@type:\w+|@tag:[\w-]+|@dispvm:[\w@:.-]+")
TARGETS = re.compile(SOURCES.pattern + r"|@dispvm|@default")
PARAMETERS = {"allow": {"target", "user", "notify", "autostart"},
              "ask": {"target", "default_target", "user", "notify", "autostart"},
              "deny": {"notify"}}
SWITCHES = {"notify", "autostart"}
ADMIN = ("dom0", "@adminvm")


class PolicySyntaxError(Exception):
    """A line that the policy daemon would refuse."""


def require(holds: object, message: str) -> None:
    """Else it is a syntax error."""
    if not holds:
        raise PolicySyntaxError(message)


@dataclasses.dataclass
class Line:
    """One line of a policy file."""

    service: str
    argument: str
    source: str
    target: str
    action: str
    parameters: dict

    def fits(self, service: str, argument: str, source: str, target: str) -> bool:
        """Whether the line is about this call."""
        return (self.service in ("*", service)
                and self.argument in ("*", argument)
                and token_fits(self.source, source)
                and token_fits(self.target, target))


def token_fits(token: str, name: str) -> bool:
    """@anyvm is all but dom0; dom0 and @adminvm are the same."""
    if token == "*":
        return True
    if token == "@anyvm":
        return name not in ADMIN
    return token == name or (token in ADMIN and name in ADMIN)


def parse_line(text: str) -> Line:
    """Five columns and parameters."""
    words = text.split()
    require(len(words) >= 5, f"not five columns: {text!r}")
    service, argument, source, target, action, *rest = words
    require(SERVICE.fullmatch(service), f"service: {text!r}")
    require(ARGUMENT.fullmatch(argument), f"argument: {text!r}")
    require(service != "*" or argument == "*", f"argument of *: {text!r}")
    for token, special in ((source, SOURCES), (target, TARGETS)):
        require((special if token[0] in "@*" else QUBE).fullmatch(token),
                f"qube {token}: {text!r}")
    require(action in PARAMETERS, f"action: {text!r}")
    parameters = {}
    for word in rest:
        key, equals, value = word.partition("=")
        require(equals and value, f"parameter: {text!r}")
        require(key in PARAMETERS[action], f"parameter of {action}: {text!r}")
        require(key not in parameters, f"twice: {text!r}")
        require(key not in SWITCHES or value in ("yes", "no"), f"yes, no: {text!r}")
        parameters[key] = value
    require(target != "@default" or action != "allow" or "target" in parameters,
            f"allow of @default: {text!r}")
    return Line(service, argument, source, target, action, parameters)


def parse(text: str) -> list[Line]:
    """All lines but comments and empty ones."""
    stripped = map(str.strip, text.splitlines())
    return [parse_line(line) for line in stripped
            if line and not line.startswith("#")]


def decide(lines: list[Line], *call: str) -> str:
    """The first line that fits; without one it is denied."""
    return next((line.action for line in lines if line.fits(*call)), "deny")


def attach(lines: list[Line], target: str, source: str = "sys-usb") -> str:
    """What the daemon asks."""
    return decide(lines, "autoattach.Attach", "+" + source, "dom0", target)


class ShippedPolicy(unittest.TestCase):
    """policy/80-qubes-autoattach.policy."""

    def setUp(self):
        self.text = (FOLDER / NAME).read_text(encoding="ascii")
        self.lines = parse(self.text)

    def example(self, *indexes: int) -> list[Line]:
        """The shipped lines behind a person's: examples from the comments."""
        return [self.examples()[index] for index in indexes] + self.lines

    def examples(self) -> list[Line]:
        """The lines that a comment shows, indented."""
        found = re.findall(r"^## {5,}(autoattach\..*)$", self.text, re.MULTILINE)
        return [parse_line(line) for line in found]

    def test_the_folder_holds_no_policy_file_with_an_odd_name(self):
        names = [path.name for path in FOLDER.glob("*.policy")]
        self.assertEqual(names, [NAME])
        for name in [*names, USER]:
            self.assertRegex(name, FILE_NAME)

    def test_the_person_s_file_comes_first(self):
        self.assertIn(f"/etc/qubes/policy.d/{USER}", self.text)
        self.assertLess(USER, NAME)

    def test_it_is_ascii_with_short_lines_and_ends_in_a_newline(self):
        self.assertTrue(self.text.endswith("\n"))
        self.assertFalse([line for line in self.text.splitlines()
                          if len(line) > 80 or line != line.rstrip()])
        self.assertNotIn("\t", self.text)

    def test_its_lines_are_those_of_the_design(self):
        self.assertEqual([" ".join(line.split()) for line in self.text.splitlines()
                          if line and not line.startswith("#")], [
            "autoattach.Event * sys-usb @adminvm allow",
            "autoattach.Event * @anyvm @adminvm deny notify=no",
            "autoattach.Event * @anyvm @anyvm deny notify=no",
            "autoattach.Attach * @adminvm @anyvm allow",
            "autoattach.Attach * @anyvm @adminvm deny notify=no",
            "autoattach.Attach * @anyvm @anyvm deny notify=no"])

    def test_only_sys_usb_may_report(self):
        for source, action in (("sys-usb", "allow"), ("sys-net", "deny"),
                               ("work", "deny"), ("disp1", "deny")):
            self.assertEqual(decide(self.lines, "autoattach.Event", "+", source,
                                    "dom0"), action, source)

    def test_nobody_may_report_to_another_qube(self):
        for source in ("sys-usb", "work"):
            for target in ("vault", "@dispvm", "@default"):
                self.assertEqual(decide(self.lines, "autoattach.Event", "+",
                                        source, target), "deny")

    def test_no_qube_can_call_attach(self):
        for source in ("sys-usb", "work"):
            for target in ("dom0", "@adminvm", "work", "vault", "@dispvm",
                           "@dispvm:media-dvm", "@default"):
                self.assertEqual(decide(self.lines, "autoattach.Attach",
                                        "+sys-usb", source, target), "deny")

    def test_rules_may_have_every_target_but_dom0(self):
        for target in ("work", "vault", "@dispvm", "@dispvm:media-dvm"):
            self.assertEqual(attach(self.lines, target), "allow", target)
        for target in ADMIN:
            self.assertEqual(attach(self.lines, target), "deny")

    def test_each_example_does_what_its_comment_says(self):
        self.assertEqual(len(self.examples()), 8)
        self.assertEqual(decide(self.example(0), "autoattach.Event", "+",
                                "sys-usb2", "dom0"), "allow")
        self.assertEqual(attach(self.example(1), "vault"), "deny")
        self.assertEqual(attach(self.example(1), "work"), "allow")
        self.assertEqual(attach(self.example(2), "vault"), "deny")
        self.assertEqual(attach(self.example(2), "vault", "sys-usb2"), "allow")
        self.assertEqual(attach(self.example(3, 4), "vault"), "deny")
        self.assertEqual(attach(self.example(3, 4), "vault", "sys-usb2"), "allow")
        self.assertEqual(attach(self.example(5), "work"), "ask")
        self.assertEqual(attach(self.example(5), "vault"), "allow")
        self.assertEqual(attach(self.example(6), "vault"), "ask")
        self.assertEqual(attach(self.example(6), "vault", "sys-usb2"), "allow")
        self.assertEqual(attach(self.example(7), "@dispvm:media-dvm"), "deny")
        self.assertEqual(attach(self.example(7), "@dispvm:other"), "allow")

    def test_an_example_opens_nothing_to_a_qube_s_own_call(self):
        for example in self.examples():
            for target in ("dom0", "vault", "@dispvm"):
                self.assertEqual(decide([example, *self.lines],
                                        "autoattach.Attach", "+sys-usb",
                                        "sys-usb", target), "deny")


class Documents(unittest.TestCase):
    """What README.md and the man pages show is pasted into policy.d."""

    def shown(self, path: pathlib.Path) -> list[str]:
        """The lines of policy in its examples, whole."""
        text = path.read_text(encoding="utf-8")
        return [line.strip() for line in text.splitlines()
                if re.match(r" *autoattach\.(Attach|Event)\s+[*+]", line)]

    def test_a_line_of_policy_has_no_comment_behind_it(self):
        root = FOLDER.parent
        readme = self.shown(root / "README.md")
        self.assertGreaterEqual(len(readme), 2)
        lines = [line for page in sorted((root / "packaging/man").glob("*.[1-8]"))
                 for line in self.shown(page)]
        self.assertGreaterEqual(len(lines), 1)
        for line in readme + lines:
            with self.subTest(line=line):
                parse_line(line)


class Language(unittest.TestCase):
    """The parser of this test refuses what the policy daemon refuses."""

    def test_a_bad_line_is_refused(self):
        for line in ("autoattach.Attach * @adminvm allow",
                     "autoattach.Attach sys-usb @adminvm work allow",
                     "autoattach+Attach * @adminvm work allow",
                     "* +sys-usb @adminvm work allow",
                     "autoattach.Attach * @admin work allow",
                     "autoattach.Attach * @dispvm work allow",
                     "autoattach.Attach * @adminvm @anyone allow",
                     "autoattach.Attach * @adminvm work permit",
                     "autoattach.Attach * @adminvm work deny target=vault",
                     "autoattach.Attach * @adminvm work deny notify",
                     "autoattach.Attach * @adminvm work deny notify=maybe",
                     "autoattach.Attach * @adminvm work deny # a comment",
                     "autoattach.Attach * @adminvm work allow user=a user=b",
                     "autoattach.Attach * @adminvm @default allow"):
            with self.subTest(line=line), self.assertRaises(PolicySyntaxError):
                parse_line(line)

    def test_an_odd_file_name_is_told(self):
        for name in ("80-Autoattach.policy", ".hidden.policy", "80 x.policy",
                     "80-qubes-autoattach.policy.rpmnew", "80-ä.policy"):
            self.assertIsNone(FILE_NAME.fullmatch(name), name)


if __name__ == "__main__":
    unittest.main()
