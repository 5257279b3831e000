#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs all tests that take a minute and mostly wait, side by side."""

import os
import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def minute_tests(suite) -> list[unittest.TestCase]:
    """Those of a suite that harness.takes_a_minute() has marked."""
    if isinstance(suite, unittest.TestCase):
        method = getattr(suite, suite.id().rpartition(".")[2], None)
        return [suite] if hasattr(method, "takes_a_minute") else []
    return [test for part in suite for test in minute_tests(part)]


def main() -> int:
    """Whether each has passed."""
    tests = minute_tests(unittest.defaultTestLoader.discover(HERE, "test_*.py"))
    running = []
    for test in tests:
        module, name = test.id().split(".", 1)
        running.append(subprocess.Popen(
            [sys.executable, HERE / f"{module}.py", "-v", name],
            env={**os.environ, "AUTOATTACH_SLOW": "1"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    n_failed = 0
    for process in running:
        print(process.communicate()[0], flush=True)
        n_failed += process.returncode != 0
    print(f"{len(tests)} tests, {n_failed} failed")
    return 0 if tests and n_failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
