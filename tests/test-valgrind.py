#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What valgrind.sh makes of planted programs, asked by bash."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPILER = shutil.which("cc")
HEAD = """
#include <stdlib.h>
int main(void) {
    volatile char *bytes = malloc(4);
"""
READ_BEHIND = "    bytes[0] = bytes[4];\n"
FOREVER = "    for (;;) bytes[0]++;\n"
END = "    free((void *)bytes);\n    return 0;\n}\n"


@unittest.skipUnless(shutil.which("valgrind"), "there is no valgrind")
@unittest.skipUnless(COMPILER, "there is no cc")
class OneTest(unittest.TestCase):
    """One program, cut off after so many seconds of CPU."""

    def one(self, body: str, seconds: int = 30) -> str:
        """The line that is printed of it, and the counts."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        subprocess.run([COMPILER, "-g", "-O0", "-x", "c", "-", "-o",
                        f"{folder}/program"], input=HEAD + body + END, check=True,
                       text=True)
        said = subprocess.run(
            ["bash", "-c", '. tests/setup.sh; . tests/valgrind.sh; logs=$1 cpu_max=$2; '
             'one plant run_valgrind "$1/program"; count; '
             'echo "$n_passed passed, $n_failed failed"', "bash", folder,
             str(seconds)],
            cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout
        return said

    def test_what_is_good_passes(self):
        said = self.one("")
        self.assertIn("1 passed, 0 failed", said)

    def test_what_takes_long_is_cut_off_and_not_counted(self):
        said = self.one(FOREVER, 1)
        self.assertIn("cut off plant", said)
        self.assertIn("0 passed, 0 failed", said)

    def test_an_error_before_the_cut_off_is_a_failure(self):
        said = self.one(READ_BEHIND + FOREVER)
        self.assertIn("0 passed, 1 failed", said)
        self.assertIn("Invalid read of size 1", said)

    def test_an_error_is_a_failure(self):
        said = self.one(READ_BEHIND)
        self.assertIn("0 passed, 1 failed", said)


if __name__ == "__main__":
    unittest.main()
