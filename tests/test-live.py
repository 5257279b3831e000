#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What live.py makes of histories that fail, played by nobody."""

import collections
import contextlib
import io
import pathlib
import sys
import unittest
import unittest.mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "live"))

# pylint: disable=wrong-import-position
import live  # noqa: E402

# what is patched is to be there
live.multiprocessing.set_start_method("fork")


class AgainTest(unittest.TestCase):
    """--again, where the first histories of each process fail."""

    def status(self, histories: int, n_failing: int, again: bool = False) -> int:
        """The exit status, and what is said goes nowhere."""
        def work(seeds, _, results):
            for n, seed in enumerate(seeds):
                results.put({"seed": seed, "seconds": 0.0, "log": [],
                             "counts": collections.Counter(live.MUST_OCCUR),
                             "failure": "odd" if n < n_failing else None})
        with unittest.mock.patch.multiple(
                live, work=work, fails_again=lambda _: again), \
                unittest.mock.patch("os.cpu_count", lambda: 1), \
                unittest.mock.patch("sys.argv", ["live.sh", str(histories), "1",
                                                 "--again"]), \
                contextlib.redirect_stdout(io.StringIO()):
            return live.main()

    def test_one_of_200_may_fail_once(self):
        self.assertEqual(self.status(200, 0), 0)
        self.assertEqual(self.status(200, 1), 0)
        self.assertEqual(self.status(40, 1), 0)

    def test_two_of_200_that_fail_once_are_too_many(self):
        self.assertEqual(self.status(200, 2), 1)
        self.assertEqual(self.status(40, 2), 1)
        self.assertEqual(self.status(400, 2), 0)

    def test_one_that_fails_again_is_too_many(self):
        self.assertEqual(self.status(200, 1, again=True), 1)


if __name__ == "__main__":
    unittest.main()
