# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the tests here; the last line says how many passed and failed."""

import argparse
import pathlib
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent


class Result(unittest.TextTestResult):
    """One line a test, as it ends."""

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()

    def tell(self, word, test):
        name = test.id().replace("test_", "", 1)
        self.stream.writeln(f"{word:6} {name} "
                            f"({time.monotonic() - self.begun:.1f} s)")
        self.stream.flush()

    def addSuccess(self, test):
        unittest.TestResult.addSuccess(self, test)
        self.tell("ok", test)

    def addFailure(self, test, err):
        unittest.TestResult.addFailure(self, test, err)
        self.tell("FAILED", test)

    def addError(self, test, err):
        unittest.TestResult.addError(self, test, err)
        self.stream.writeln(f"FAILED {test.id()}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", metavar="PATTERN", action="append")
    arguments = parser.parse_args()
    loader = unittest.TestLoader()
    if arguments.k:
        loader.testNamePatterns = [f"*{pattern}*" for pattern in arguments.k]
    sys.path.insert(0, str(HERE))
    suite = loader.discover(str(HERE))
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=0,
                                     resultclass=Result)
    result = runner.run(suite)
    n_failed = len(result.failures) + len(result.errors)
    n_passed = max(result.testsRun - n_failed, 0)
    if result.testsRun == 0 and n_failed == 0:
        print("tests/packaging: no test has such a name")
        n_failed = 1
    print(f"\n{n_passed} passed, {n_failed} failed")
    return n_failed > 0


if __name__ == "__main__":
    sys.exit(main())
