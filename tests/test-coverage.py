#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What coverage.py takes for lines that no test can run."""

import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tests import coverage  # noqa: E402

VALUES = coverage.enumerators(["""
typedef enum Kind {
    KIND_INVALID = 0, /* not one, nor OTHER */
    KIND_ONE,
    KIND_TWO
} Kind;
enum { SINGLE = 1 };
static enum Kind kind(int a) { return KIND_ONE; }
"""])


def unreachable(text: str) -> list[str]:
    """Those lines of a function's body."""
    lines = ["{", *text.strip("\n").split("\n"), "}"]
    return [lines[number - 1].strip()
            for number in sorted(coverage.unreachable_lines(lines, VALUES))]


class UnreachableTest(unittest.TestCase):
    """Lines that need not be run."""

    def test_enumerators_are_known_by_name(self):
        self.assertEqual(VALUES, {"KIND_INVALID", "KIND_ONE", "KIND_TWO", "SINGLE"})

    def test_an_assert_false_and_what_the_compiler_wants_behind_it(self):
        self.assertEqual(unreachable("""
    do_this();
    assert(false);
    return NULL;
"""), ["assert(false);", "return NULL;"])

    def test_the_last_break_before_it_and_its_cases(self):
        self.assertEqual(unreachable("""
    switch (kind) {
    case KIND_ONE:
        if (a)
            break;
        return 1;
    case KIND_TWO:
    case KIND_INVALID:
        break;
    }
    assert(false);
    return 0;
"""), ["case KIND_TWO:", "case KIND_INVALID:", "break;", "assert(false);", "return 0;"])

    def test_not_a_break_of_what_goes_on_elsewhere(self):
        self.assertEqual(unreachable("""
    switch (kind) {
    case KIND_ONE:
        break;
    }
    return 0;
"""), [])

    def test_a_return_behind_a_switch_that_names_all_of_an_enum(self):
        self.assertEqual(unreachable("""
    switch (kind) {
    case KIND_ONE:
    case KIND_TWO:
        return f(kind,
                 1);
    case KIND_INVALID:
        return is_it &&
               is_that;
    }
    return false;
"""), ["return false;"])

    def test_not_if_a_case_gets_there(self):
        for last in ("break;", "do_this();", "if (a)\n            return 1;\n"
                     "        do_this();"):
            self.assertEqual(unreachable(f"""
    switch (kind) {{
    case KIND_ONE:
        return 1;
    case KIND_TWO:
        {last}
    }}
    return 0;
"""), [])

    def test_not_behind_a_switch_over_characters_or_with_a_default(self):
        for label in ("case 'x':", "case S_IFDIR:", "default:"):
            self.assertEqual(unreachable(f"""
    switch (c) {{
    case KIND_ONE:
        return 1;
    {label}
        return 2;
    }}
    return 0;
"""), [])

    def test_not_behind_another_block(self):
        self.assertEqual(unreachable("""
    switch (kind) {
    case KIND_ONE:
        return 1;
    }
    if (a) {
        return 2;
    }
    return 0;
"""), [])


if __name__ == "__main__":
    unittest.main()
