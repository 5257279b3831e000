#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What skipped.py finds in the log of ctest."""

import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tests.skipped import skipped  # noqa: E402

UNITTEST = """
test_a (__main__.Odd.test_a) ... ok
test_b (__main__.Odd.test_b) ... skipped 'root reads everything'
test_c (__main__.Odd.test_c) ... skipped "so slow a machine's minute"
Ran 3 tests in 0.1s

OK (skipped=2)
"""
CMOCKA = """
[ RUN      ] test_d
skipped: root reads everything
[  SKIPPED ] test_d
[ RUN      ] test_e
[       OK ] test_e
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] test_d

 1 SKIPPED TEST(S)
"""


class SkippedTest(unittest.TestCase):
    """Single tests, by the reason."""

    def test_nothing_was_skipped(self):
        self.assertEqual(skipped("test_a (__main__.Odd.test_a) ... ok\n"), {})

    def test_each_is_told_once_with_its_reason(self):
        self.assertEqual(skipped(UNITTEST + CMOCKA), {
            "root reads everything": ["test_b", "test_d"],
            "so slow a machine's minute": ["test_c"]})


if __name__ == "__main__":
    unittest.main()
