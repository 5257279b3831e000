#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which stages a change chooses: stages.sh, asked by bash."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ("common", "dom0", "sysusb", "policy", "packaging")
MEMORY = {"memory", "integration-memory-1", "integration-memory-2",
          "integration-memory-3", "integration-memory-4"}
# what a change of these kinds is for, and no less; each file is of one kind
WANTED = {
    r"(common|dom0|sysusb)/(.*/)?CMakeLists\.txt": {"analysers", "coverage", *MEMORY},
    r"dom0/wire/.*\.(varlink|cmake)": {"analysers", "fuzz", "coverage", *MEMORY},
    r"common/[^/]*\.[ch]|common/wire/.*\.[ch]": {
        "analysers", "fuzz", "coverage", *MEMORY},
    r"common/sys/.*\.[ch]": {"analysers", "machine", "coverage", *MEMORY},
    r"dom0/(core|wire)/.*\.[ch]": {"analysers", "fuzz", "coverage", *MEMORY},
    r"dom0/ctl/.*\.[ch]": {"analysers", "coverage", *MEMORY},
    r"dom0/(io/)?[^/]*\.[ch]": {"analysers", "machine", "coverage", *MEMORY},
    r"sysusb/core/.*\.[ch]": {
        "analysers", "fuzz", "machine", "coverage", *MEMORY},
    r"sysusb/(io/)?[^/]*\.[ch]": {"analysers", "machine", "coverage", *MEMORY},
    r"policy/.*": {"packages"},
    r"packaging/.*": {"packages", "machine"},
    r"CMakeLists\.txt|version|README\.md": {"packages"},
    r"\.clang-tidy": {"analysers"},
    r"tests/(unit|property|fault)/.*": {"memory", "coverage"},
    r"tests/support/.*": {"fuzz", "coverage", *MEMORY},
    r"tests/(fuzz|rules)/.*": {"fuzz", "memory", "coverage"},
    r"tests/integration/.*": {"coverage", *(MEMORY - {"memory"})},
    r"tests/sim/.*": {"machine", "coverage", *(MEMORY - {"memory"})},
    r"tests/(live|bench)/.*": {"coverage"},
    r"tests/packaging/.*": {"packages", "machine"},
    r"tests/vm/.*": {"machine"},
    r"tests/valgrind\.sh": MEMORY,
    r"tests/fuzz\.sh": {"fuzz"},
    r"tests/coverage\..*": {"coverage"},
    r"tests/(analyse\.sh|cppcheck\.suppress)": {"analysers"},
    # of the suite, which is always run; by hand; or of all stages alike
    r"(\.ci|tests)/[^/]*": set(),
}


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


def chosen(number: int, *paths: str, there: str = "true") -> tuple[str, list[str]]:
    """What is said of a run and its stages, where `there` says which can be run."""
    said, stages = bash(f'stage_is_there() {{ {there}; }}; stages_choose "$@"; '
                        'echo "== ${chosen[*]}"', str(number), *paths).split("== ")
    return said, stages.split()


def files(*folders: str) -> list[str]:
    """All below these, as git names them; what Python has compiled is not it."""
    return [os.fspath(path.relative_to(ROOT)) for folder in folders
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts]


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

    def test_each_has_a_script(self):
        for command in each("stage_command").values():
            self.assertTrue(os.access(ROOT / command.split()[0], os.X_OK), command)

    def test_none_takes_more_than_8_minutes(self):
        for stage, minutes in each("stage_minutes").items():
            self.assertLessEqual(int(minutes), 8, stage)

    def test_each_file_chooses_what_reads_it(self):
        folders = {}
        for path in [*files(*SOURCES, "tests", ".ci"), "CMakeLists.txt", "version",
                     "README.md", ".clang-tidy"]:
            wanted = next((WANTED[kind] for kind in WANTED
                           if re.fullmatch(kind, path)), None)
            self.assertIsNotNone(wanted, f"{path} is of no kind")
            # one of each kind and folder is enough
            folders[os.path.dirname(path), tuple(sorted(wanted))] = path
        lines = bash('for path; do echo "$path:" $(stages_touched "$path"); done',
                     *folders.values()).splitlines()
        self.assertEqual(len(lines), len(folders))
        for (_, wanted), line in zip(folders, lines):
            self.assertLessEqual(set(wanted), set(line.split()[1:]), line)

    def test_the_parts_of_integration_memory_run_each_file_once(self):
        patterns = [command.split("'")[1]
                    for stage, command in each("stage_command").items()
                    if stage.startswith("integration-memory")]
        for path in (ROOT / "tests" / "integration").glob("test_*.py"):
            name = f"integration/{path.stem.replace('_', '-')}"
            runs = [pattern for pattern in patterns if re.search(pattern, name)]
            self.assertEqual(len(runs), 1, f"{name}: {runs}")

    def test_no_part_of_a_pattern_fits_nothing(self):
        paths = [*files(*SOURCES, "tests"), "CMakeLists.txt", "version",
                 "README.md", ".clang-tidy"]
        for stage, pattern in each("stage_paths").items():
            for part in alternatives(pattern):
                self.assertTrue(any(re.search(part, path) for path in paths),
                                f"{stage}: {part}")

    def test_a_long_list_of_paths_loses_none(self):
        first = touched("dom0/io/admin-call.c", "version")
        many = [f"nowhere/{n:050}.rules" for n in range(10000)]
        self.assertEqual(touched("dom0/io/admin-call.c", "version", *many), first)

    def test_nothing_touched_chooses_none(self):
        self.assertEqual(touched(), [])

    def test_a_run_stays_within_its_minutes(self):
        minutes = {stage: int(n) for stage, n in each("stage_minutes").items()}
        for number in range(14):
            for paths in ((), ("README.md",), ("dom0/io/a.c", "common/a.c"),
                          ("common/a.c", "sysusb/a.c", "version")):
                said, stages = chosen(number, *paths)
                self.assertLessEqual(12 + sum(minutes[one] for one in stages), 27)
                self.assertIn("of 27 min", said)

    def test_what_was_touched_comes_first_and_then_the_one_in_turn(self):
        others = set()
        for number in range(len(each("stage_minutes"))):
            stages = chosen(number, "version")[1]
            self.assertEqual(stages[0], "packages")
            self.assertEqual(len(stages), 2)
            others.add(stages[1])
        self.assertEqual(others, set(each("stage_minutes")) - {"packages"})

    def test_what_there_is_no_time_for_is_told_and_has_its_turn(self):
        paths = ("dom0/io/a.c", "common/a.c")
        ever = set()
        for number in range(727, 734):
            said, stages = chosen(number, *paths)
            self.assertLessEqual({"analysers", "fuzz"}, set(stages))
            for stage in set(touched(*paths)) - set(stages):
                self.assertRegex(said, rf"no time for: .*\b{stage}\b")
            ever.update(stages)
        self.assertLessEqual(set(touched(*paths)), ever)

    def test_what_cannot_be_run_here_gives_its_turn_to_the_next(self):
        said, stages = chosen(4, there="[[ $1 != memory && $1 != machine ]]")
        self.assertEqual(len(stages), 1, said)
        self.assertNotIn(stages[0], {"memory", "machine"})

    @unittest.skipUnless(shutil.which("git"), "there is no git")
    def test_each_commit_of_a_shallow_clone_has_another_number(self):
        with tempfile.TemporaryDirectory() as folder:
            def git(*words: str) -> None:
                subprocess.run(
                    ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
                    cwd=folder, check=True, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)

            def number(where: str) -> int:
                return int(bash(f"cd {folder}/{where} && stages_number"))
            git("init", "whole")
            numbers = []
            for n in range(3):
                git("-C", "whole", "commit", "--allow-empty", "-m", str(n))
                self.assertEqual(number("whole"), n + 1)
                git("clone", "--depth", "1", f"file://{folder}/whole", f"clone{n}")
                numbers.append(number(f"clone{n}"))
            self.assertEqual(len(set(numbers)), 3, numbers)

    @unittest.skipUnless((ROOT / ".git").exists(), "this is no clone")
    def test_another_commit_is_fuzzed_with_another_seed(self):
        seed = re.search(r"--seed (\d+) ", each("stage_command")["fuzz"])[1]
        self.assertEqual(seed, bash("stages_number").strip())

    def test_the_help_of_run_names_them_all(self):
        told = subprocess.run([ROOT / "tests" / "run.sh", "--help"], check=True,
                              text=True, stdout=subprocess.PIPE).stdout
        for stage in each("stage_minutes"):
            self.assertRegex(told, rf"\b{stage}\b")


if __name__ == "__main__":
    unittest.main()
