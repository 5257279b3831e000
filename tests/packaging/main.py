# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the tests of a folder; the last line says how many passed and failed."""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

import notes

HERE = pathlib.Path(__file__).resolve().parent


class Result(unittest.TextTestResult):
    """One line a test, as it ends."""

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()

    def tell(self, word, test):
        name = test.id().replace("test_", "", 1)
        # an error in a module or a class is none of a test that began
        seconds = time.monotonic() - getattr(self, "begun", time.monotonic())
        self.stream.writeln(f"{word:6} {name} ({seconds:.1f} s)")
        self.stream.flush()

    def addSuccess(self, test):
        unittest.TestResult.addSuccess(self, test)
        self.tell("ok", test)

    def tell_failure(self, test, err):
        """At once: others may take long yet."""
        self.tell("FAILED", test)
        self.stream.writeln(self._exc_info_to_string(err, test))
        self.stream.flush()

    def addFailure(self, test, err):
        unittest.TestResult.addFailure(self, test, err)
        self.tell_failure(test, err)

    def addError(self, test, err):
        unittest.TestResult.addError(self, test, err)
        self.tell_failure(test, err)

    def addSkip(self, test, reason):
        unittest.TestResult.addSkip(self, test, reason)
        self.tell("not", test)
        self.stream.writeln(f"       {reason}")

    def addSubTest(self, test, subtest, err):
        unittest.TestResult.addSubTest(self, test, subtest, err)
        if err is not None:
            self.tell_failure(test, err)

    def printErrors(self):
        """They have been told."""


def discover(folder: pathlib.Path, patterns: list | None,
             wanted) -> unittest.TestSuite:
    """The tests of the modules for which wanted(name)."""
    loader = unittest.TestLoader()
    if patterns:
        loader.testNamePatterns = [f"*{pattern}*" for pattern in patterns]
    return unittest.TestSuite(
        loader.discover(str(folder), pattern=path.name)
        for path in sorted(folder.glob("test_*.py")) if wanted(path.stem))


def start_apart(arguments) -> subprocess.Popen:
    """This program, with the tests of one module."""
    command = [sys.executable, "-B", __file__, "--folder", arguments.folder,
               "--only", arguments.apart]
    for pattern in arguments.k or ():
        command += ["-k", pattern]
    return subprocess.Popen(command, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def end_apart(process: subprocess.Popen) -> tuple[int, int]:
    """Tell what it told, but for its last line: that is what is answered."""
    told, _ = process.communicate()
    told, _, last = told.rstrip("\n").rpartition("\n")
    counts = re.fullmatch("([0-9]+) passed, ([0-9]+) failed", last)
    print(f"\n{told}" if counts else f"\n{told}\n{last}")
    return (int(counts[1]), int(counts[2])) if counts else (0, 1)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", metavar="PATTERN", action="append")
    parser.add_argument("--folder", type=pathlib.Path, default=HERE)
    parser.add_argument("--apart", metavar="MODULE",
                        help="run its tests at the same time")
    parser.add_argument("--only", metavar="MODULE", help="run no others")
    arguments = parser.parse_args()
    arguments.folder = folder = arguments.folder.resolve()
    sys.path[:0] = [str(folder), str(HERE)]

    begun = time.monotonic()
    apart = start_apart(arguments) if arguments.apart else None
    suite = discover(folder, arguments.k, lambda name: name == arguments.only
                     if arguments.only else name != arguments.apart)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=0,
                                     resultclass=Result)
    result = runner.run(suite)
    n_failed = len(result.failures) + len(result.errors)
    n_passed = max(result.testsRun - n_failed - len(result.skipped), 0)
    if apart:
        passed, failed = end_apart(apart)
        n_passed, n_failed = n_passed + passed, n_failed + failed
    if n_passed + n_failed + len(result.skipped) == 0 and not arguments.only:
        print(f"{folder}: no test has such a name")
        n_failed = 1
    if not arguments.only:
        notes.add(f"the tests took {time.monotonic() - begun:.0f} s, the load "
                  f"average is {os.getloadavg()[0]:.1f}")
    notes.tell()
    print(f"\n{n_passed} passed, {n_failed} failed")
    return n_failed > 0


if __name__ == "__main__":
    sys.exit(main())
