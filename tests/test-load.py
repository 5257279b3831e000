#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What flood.py and soak.py make of what they have seen."""

import collections
import contextlib
import io
import json
import pathlib
import random
import socket
import sys
import types
import unittest
import unittest.mock

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


class Peer:
    """What a caller is connected to, with room for so many bytes, of
    which it takes so many at once."""

    def __init__(self, room: int = 1 << 20, at_once: int = 1 << 20):
        self.room, self.at_once, self.data = room, at_once, b""

    def send(self, data: bytes) -> int:
        """As much as there is room for."""
        n = min(self.room, self.at_once, len(data))
        if not n:
            raise BlockingIOError
        self.room -= n
        self.data += data[:n]
        return n

    def recv(self, _) -> bytes:
        """Nothing yet."""
        raise BlockingIOError

    def close(self) -> None:
        """Nobody reads it any more."""

    def records(self) -> list[tuple[str, str]]:
        """Action and device of each whole line."""
        lines = map(json.loads, self.data.splitlines(keepends=True))
        return [(line["action"], line["device"]) for line in lines]


def caller(kind, peer: Peer, **words):
    """One that is connected to it, and has said hello if it does."""
    made = kind("/nowhere", collections.Counter(), random.Random(1), **words)
    made.connect()
    made.socket, made.out = peer, b""
    return made


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

    def test_each_record_is_made_and_the_socket_asked_to_take_it(self):
        peer = Peer(room=1000)
        flooder = caller(flooders.Namer, peer, names=1000, at_once=600)
        with unittest.mock.patch.object(peer, "send", wraps=peer.send) as send:
            flooder.offer(500)
        self.assertEqual(send.call_count, 500)
        self.assertEqual(len(peer.data), 1000)
        self.assertEqual(flooder.counts["offered"], 500)
        self.assertEqual(flooder.counts["names"], 500)
        self.assertEqual(flooder.counts["taken"], 1 + peer.data.count(b"\n"))
        self.assertEqual(flooder.counts["names taken"], flooder.counts["taken"])

    def test_nothing_is_offered_to_nobody(self):
        flooder = caller(flooders.Namer, None, names=1000, at_once=600)
        flooder.offer(500)
        self.assertEqual(flooder.counts["offered"], 0)

    def test_what_was_taken_in_part_goes_on_before_another_record(self):
        peer = Peer(at_once=50)
        flooder = caller(flooders.Swapper, peer)
        flooder.offer(20)
        self.assertEqual(flooder.counts["offered"], 20)
        self.assertLess(flooder.counts["taken"], 20)
        peer.at_once = 1 << 20
        flooder.send()
        self.assertEqual(peer.records(), [
            (("add", "remove")[number % 2], "sde")
            for number in range(flooder.counts["taken"])])

    def test_names_are_plugged_in_before_they_are_pulled_out_and_go_on(self):
        peer = Peer()
        flooder = caller(flooders.Namer, peer, names=1000, at_once=2)
        flooder.offer(5)
        self.assertEqual(peer.records(), [
            ("add", "sd1"), ("add", "sd2"), ("remove", "sd1"), ("remove", "sd2"),
            ("add", "sd3")])

    def test_a_name_is_known_if_it_was_not_answered_429(self):
        flooder = caller(flooders.Namer, Peer(), names=1000, at_once=600)
        flooder.offer(2)
        for seq, code in ((1, 429), (2, 300)):
            flooder.on_answer({"seq": seq, "code": code})
        self.assertEqual(flooder.counts["names taken"], 2)
        self.assertEqual(flooder.counts["names known"], 1)

    def test_a_slow_caller_says_a_whole_descriptor_then_byte_by_byte(self):
        for is_stranger, first in ((False, len(flooders.DESCRIPTOR)), (True, 0)):
            peer = Peer()
            loris = caller(flooders.Loris, peer, is_stranger=is_stranger)
            loris.out = flooders.DESCRIPTOR[:first]
            n_slow = len(loris.slow)
            lengths = []
            for _ in range(n_slow):
                loris.step()
                lengths.append(len(peer.data))
            self.assertEqual(lengths, list(range(first + 1, first + 1 + n_slow)))
            whole = flooders.DESCRIPTOR + flooders.HELLO + flooders.HALF_LINE
            self.assertTrue(whole.startswith(peer.data))

    def test_a_slow_caller_begins_anew_where_it_is_connected_anew(self):
        loris = caller(flooders.Loris, Peer(), is_stranger=False)
        for _ in range(5):
            loris.step()
        with unittest.mock.patch("socket.socket"):
            loris.connect()
        self.assertEqual(loris.out, flooders.DESCRIPTOR)
        self.assertTrue((flooders.HELLO + flooders.HALF_LINE).startswith(loris.slow))

    def test_a_refusal_is_read_also_where_nothing_more_can_be_said(self):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        loris = caller(flooders.Loris, ours, is_stranger=False)
        theirs.sendall(b'{"seq":null,"code":429,"status":"too-many"}\n')
        theirs.close()
        loris.step()
        self.assertEqual(loris.counts["callers told 429"], 1)

    def test_less_than_what_is_to_be_offered_is_told(self):
        for offered, wrong in ((599_000, 0), (500_000, 1)):
            counts = collections.Counter({"offered": offered, "callers told 400": 1})
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(len(flood.offers(counts, 60)), wrong)

    def test_random_bytes_that_nobody_read_are_told(self):
        counts = collections.Counter({"offered": 600_000, "callers told 429": 9})
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(len(flood.offers(counts, 60)), 1)

    def test_a_limit_must_be_reached_and_not_be_passed(self):
        for most, wrong in ((61, True), (60, False), (59, True)):
            self.assertIs(flood.Limit("x", most, 60).complaint() is not None, wrong)
        self.assertIsNone(flood.Limit("x", 30, 60, 0.5).complaint())

    def test_a_minute_begins_at_any_moment(self):
        self.assertEqual(flood.most_within([], 60), 0)
        self.assertEqual(flood.most_within([0, 50, 59, 61, 70, 130], 60), 4)


if __name__ == "__main__":
    unittest.main()
