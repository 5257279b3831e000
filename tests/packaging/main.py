# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the tests of a folder; the last line says how many passed and failed."""

import argparse
import os
import pathlib
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


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", metavar="PATTERN", action="append")
    parser.add_argument("--folder", type=pathlib.Path, default=HERE)
    arguments = parser.parse_args()
    begun = time.monotonic()
    loader = unittest.TestLoader()
    if arguments.k:
        loader.testNamePatterns = [f"*{pattern}*" for pattern in arguments.k]
    folder = str(arguments.folder.resolve())
    sys.path[:0] = [folder, str(HERE)]
    suite = loader.discover(folder)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=0,
                                     resultclass=Result)
    result = runner.run(suite)
    n_failed = len(result.failures) + len(result.errors)
    n_passed = max(result.testsRun - n_failed - len(result.skipped), 0)
    if result.testsRun == 0 and n_failed == 0:
        print(f"{folder}: no test has such a name")
        n_failed = 1
    notes.add(f"{time.monotonic() - begun:.0f} s in all, load average now "
              f"{os.getloadavg()[0]:.1f}")
    notes.tell()
    print(f"\n{n_passed} passed, {n_failed} failed")
    return n_failed > 0


if __name__ == "__main__":
    sys.exit(main())
