#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What flood.py and soak.py make of what they have seen."""

import pathlib
import sys
import types
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tests import flood, flooders, soak  # noqa: E402

QUIET = 200
KIB = 1 << 10


def calls(*words: str) -> list[dict]:
    """Calls of qubesd: "Attach" is done, "Attach!" is not."""
    return [{"method": f"admin.vm.device.block.{word.rstrip('!')}",
             "answer_text": "" if word.endswith("!") else "0\0"} for word in words]


def life(memory: list[int], descriptors: list[int] | None = None) -> soak.Life:
    """A process that had so much, cycle by cycle."""
    made = soak.Life("daemon", 0)
    made.memory = memory
    made.descriptors = descriptors or [10] * len(memory)
    return made


class Unheard:
    """Where a flooder is connected, and nobody reads."""

    def send(self, _) -> int:
        """Not one byte is taken."""
        raise BlockingIOError


class SoakTest(unittest.TestCase):
    """Attaches, and what grows."""

    def test_one_attach_is_right(self):
        for killed in (False, True):
            self.assertFalse(soak.is_doubled(
                calls("Available", "Attach", "Detach"), killed))

    def test_a_second_attach_is_one_too_many_however_it_ends(self):
        for second in ("Attach", "Attach!"):
            for look in ((), ("Attached",)):
                self.assertTrue(soak.is_doubled(
                    calls("Attach", *look, second), False))

    def test_after_a_kill_one_that_failed_may_come_again_behind_a_look(self):
        self.assertFalse(soak.is_doubled(
            calls("Attach!", "Attached", "Attach"), True))
        self.assertTrue(soak.is_doubled(calls("Attach!", "Attach"), True))
        self.assertTrue(soak.is_doubled(
            calls("Attach", "Attached", "Attach!"), True))

    def test_a_kilobyte_a_cycle_is_told_where_nothing_is_killed(self):
        leak = [1000 * KIB + n * KIB for n in range(QUIET + 20)]
        self.assertEqual(life(leak).complaints(0), [])
        self.assertEqual(len(life(leak).complaints(QUIET)), 1)
        self.assertEqual(life([1000 * KIB] * QUIET).complaints(QUIET), [])

    def test_what_is_full_after_a_while_is_no_leak(self):
        ring = [1000 * KIB + min(n, 99) * 4 * KIB for n in range(QUIET)]
        self.assertEqual(life(ring).complaints(QUIET), [])

    def test_a_process_is_compared_with_itself(self):
        self.assertEqual(life([5000 * KIB] * 20).complaints(0), [])
        self.assertEqual(len(life([500 * KIB] * 19 + [5000 * KIB]).complaints(0)), 1)

    def test_a_loss_in_the_first_cycle_is_reported(self):
        lost = types.SimpleNamespace(lives={}, n_doubled=0)
        self.assertEqual(soak.Soak.report(lost, 0), [])

    def test_a_descriptor_in_fifty_cycles_is_told(self):
        lost = [10 + n // 50 for n in range(QUIET)]
        self.assertEqual(len(life([KIB] * QUIET, lost).complaints(QUIET)), 1)
        passing = [10 + n % 3 for n in range(QUIET)]
        self.assertEqual(life([KIB] * QUIET, passing).complaints(QUIET), [])


class FloodTest(unittest.TestCase):
    """What was offered, and limits."""

    def test_what_is_offered_is_not_yet_made_nor_taken(self):
        counts = dict.fromkeys(("offered", "made", "written", "names"), 0)
        flooder = flooders.Flooder("", counts, None, names=1000, at_once=10)
        flooder.socket = Unheard()
        for _ in range(100):
            flooder.offer(500)
            flooder.send()
        self.assertEqual(counts["offered"], 50000)
        self.assertLess(counts["made"], 2000)
        self.assertEqual(counts["written"], 0)

    def test_names_are_plugged_in_before_they_are_pulled_out_and_go_on(self):
        counts = dict.fromkeys(("offered", "made", "names"), 0)
        flooder = flooders.Flooder("", counts, None, names=1000, at_once=2)
        flooder.socket = Unheard()
        flooder.offer(3)
        flooder.out, flooder.seq = b"", 0  # another connection
        flooder.offer(3)
        words = [(line.split(b'"action": "')[1].split(b'"')[0],
                  line.split(b'"device": "')[1].split(b'"')[0])
                 for line in flooder.out.splitlines()]
        self.assertEqual(words, [(b"remove", b"sd1"), (b"add", b"sd2"),
                                 (b"add", b"sd3")])

    def test_a_limit_must_be_reached_and_not_be_passed(self):
        for most, wrong in ((61, True), (60, False), (59, True)):
            self.assertIs(flood.Limit("x", most, 60).complaint() is not None, wrong)
        self.assertIsNone(flood.Limit("x", 30, 60, 0.5).complaint())

    def test_a_minute_begins_at_any_moment(self):
        self.assertEqual(flood.most_within([], 60), 0)
        self.assertEqual(flood.most_within([0, 50, 59, 61, 70, 130], 60), 4)


if __name__ == "__main__":
    unittest.main()
