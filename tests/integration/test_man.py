# SPDX-License-Identifier: GPL-2.0-or-later
"""The man pages say what the programs do, no less and no more."""

import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from commandcase import DEADLINE, run  # noqa: E402
from harness import BUILD, HERE  # noqa: E402

SOURCE = HERE.parent.parent
MAN = SOURCE / "packaging" / "man"
OPTION = re.compile(r"^  +(?:-[a-z], )?--([a-z-]+)", re.M)
# what only daemons and by-hand tools have
LONG = re.compile(r"Fl Fl ([a-z-]+)")


def page(name: str) -> str:
    """The source of a man page."""
    return (MAN / name).read_text(encoding="utf-8")


def section(text: str, name: str) -> str:
    """A .Sh or .Ss of it."""
    return re.search(rf"^\.S[hs] {name}\n(.*?)(?=^\.S[hs] |\Z)", text,
                     re.M | re.S).group(1)


class DaemonPageTest(unittest.TestCase):
    """qubes-autoattachd(8)"""

    text = page("qubes-autoattachd.8")

    def test_its_options_are_those_of_the_daemon(self):
        told = subprocess.run([BUILD / "dom0" / "qubes-autoattachd", "--help"],
                              capture_output=True, check=True, timeout=DEADLINE,
                              encoding="utf-8").stdout
        self.assertEqual(set(LONG.findall(section(self.text, "DESCRIPTION"))),
                         set(OPTION.findall(told)))

    def test_its_outcomes_are_those_of_the_code(self):
        header = (SOURCE / "common" / "status.h").read_text(encoding="utf-8")
        source = (SOURCE / "common" / "status.c").read_text(encoding="utf-8")
        numbers = dict(re.findall(r"(STATUS_\w+) = (\d+),", header))
        entries = re.findall(r"(ITSELF|HIDDEN)\((STATUS_\w+),\s*\"([a-z-]+)\"", source)
        code = [f"{numbers[status]}{'*' * (told == 'ITSELF')} {name}"
                for told, status, name in entries]
        self.assertGreater(len(code), 20)
        self.assertEqual(re.findall(r"^\.It (\d{3}.*)$",
                                    section(self.text, "OUTCOMES"), re.M), code)

    def test_its_message_id_is_that_of_the_code(self):
        source = (SOURCE / "dom0" / "outcome-log.c").read_text(encoding="utf-8")
        message_id = re.search(r"MESSAGE_ID_OUTCOME \"([0-9a-f]{32})\"", source).group(1)
        self.assertIn(message_id, self.text)


class CommandPageTest(unittest.TestCase):
    """qvm-autoattach(1)"""

    text = page("qvm-autoattach.1")

    def commands(self) -> list[str]:
        """Those of --help."""
        return re.findall(r"^  ([a-z]+) +\S", run("--help").stdout
                          .partition("Commands:")[2].partition("\n\n")[0], re.M)

    def test_its_commands_are_those_of_help(self):
        told = re.findall(r"^\.It Ic ([a-z]+)", self.text.partition(".Sh JSON")[0], re.M)
        self.assertEqual(sorted(told), sorted(self.commands()))

    def test_its_options_are_those_of_the_commands(self):
        known = set(OPTION.findall(run("--help").stdout))
        for command in self.commands():
            known |= set(OPTION.findall(run(command, "--help").stdout))
        self.assertEqual(set(LONG.findall(section(self.text, "DESCRIPTION"))) |
                         set(LONG.findall(section(self.text, "Look"))) |
                         set(LONG.findall(section(self.text, "Options"))), known)

    def test_the_json_of_each_command_is_told(self):
        told = re.findall(r"[a-z]+", " ".join(re.findall(r"^\.It Ic ([a-z ,]+) Ta",
                                                          section(self.text, "JSON"), re.M)))
        self.assertEqual(sorted(told), sorted(self.commands()))

    def test_its_exit_statuses_are_those_of_the_commands(self):
        told = set(re.findall(r"^\.It (\d+)$", section(self.text, "EXIT STATUS"), re.M))
        used = {"0", "64"}
        for command in self.commands():
            text = re.search(r"Exit status: (.*?)\n\n", run(command, "--help").stdout,
                             re.S).group(1)
            used |= set(re.findall(r"\b(\d+)\b(?!xx)", text))
        self.assertEqual(told, used)


if __name__ == "__main__":
    unittest.main()
