#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which stages a change chooses: stages.sh, asked by bash."""

import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ("common", "dom0", "sysusb", "policy", "packaging")
# of .ci/run
MINUTES_FOR_STAGES = 30 - 12


def bash(script: str, *arguments: str) -> str:
    """What a script that has sourced stages.sh prints."""
    return subprocess.run(
        ["bash", "-c", f"set -uo pipefail; . tests/stages.sh; {script}", "bash",
         *arguments], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


def each(name: str) -> dict[str, str]:
    """One of the tables, by stage."""
    lines = bash('for stage in "${stages[@]}"; do '
                 f'echo "$stage ${{{name}[$stage]}}"; done').splitlines()
    return dict(line.split(" ", 1) for line in lines)


def touched(*paths: str) -> list[str]:
    """The stages of a change of these."""
    return bash('stages_touched "$@"', *paths).split()


def files(*folders: str) -> list[str]:
    """All below these, as git names them; what was built is elsewhere."""
    return [os.fspath(path.relative_to(ROOT)) for folder in folders
            for path in (ROOT / folder).rglob("*") if path.is_file()]


def alternatives(pattern: str) -> list[str]:
    """A regular expression without its bars, also those in parentheses."""
    found = []
    for part in re.findall(r"(?:\([^()]*\)|[^|()])+", pattern):
        before, words, behind = re.fullmatch(r"([^(]*)\(?([^)]*)\)?(.*)",
                                             part).groups()
        found += [f"{before}{word}{behind}" for word in words.split("|")]
    return found


class StagesTest(unittest.TestCase):
    """What .ci/run may run beside the suite."""

    def test_each_has_a_script_and_fits_into_a_run(self):
        for stage, command in each("stage_command").items():
            self.assertTrue(os.access(ROOT / command.split()[0], os.X_OK), command)
            self.assertLessEqual(int(each("stage_minutes")[stage]),
                                 MINUTES_FOR_STAGES, stage)

    def test_each_source_file_chooses_one(self):
        patterns = "|".join(each("stage_paths").values())
        for path in [*files(*SOURCES), "CMakeLists.txt", "version"]:
            self.assertRegex(path, patterns)

    def test_no_part_of_a_pattern_fits_nothing(self):
        paths = [*files(*SOURCES, "tests"), "CMakeLists.txt", "version",
                 ".clang-tidy"]
        for stage, pattern in each("stage_paths").items():
            for part in alternatives(pattern):
                self.assertTrue(any(re.search(part, path) for path in paths),
                                f"{stage}: {part}")

    def test_a_source_file_chooses_what_looks_after_it(self):
        for path, wanted in (
                ("dom0/core/job-step.c", {"coverage", "fuzz"}),
                ("dom0/wire/descriptor.c", {"coverage", "fuzz"}),
                ("sysusb/io/udev-source.c", {"machine", "coverage", "memory"}),
                ("common/CMakeLists.txt", {"packages"}),
                ("tests/fuzz/rules.dict", {"fuzz"})):
            self.assertLessEqual(wanted, set(touched(path)), path)

    def test_a_long_list_of_paths_loses_none(self):
        first = touched("dom0/io/admin-call.c", "version")
        many = [f"tests/rules/good/{n:050}.rules" for n in range(10000)]
        self.assertEqual(touched("dom0/io/admin-call.c", "version", *many), first)

    def test_nothing_touched_chooses_none(self):
        self.assertEqual(touched(), [])

    def test_the_help_of_run_names_them_all(self):
        told = subprocess.run([ROOT / "tests" / "run.sh", "--help"], check=True,
                              text=True, stdout=subprocess.PIPE).stdout
        for stage in each("stage_minutes"):
            self.assertRegex(told, rf"\b{stage}\b")


if __name__ == "__main__":
    unittest.main()
