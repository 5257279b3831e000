# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits of a source, and what --unlimited lifts; memory; idle."""

import os
import pathlib
import select
import threading
import time
import unittest

import harness
from daemoncase import (AVAILABLE, STICK, DaemonCase, stick_n, sticks, told, world)

ANY = "r: allow block type disk to work\n"
NONE = "r: deny block id ffff:ffff\n"


class Lines(DaemonCase):
    """64 lines a second after a burst of 512."""

    def send(self, connection, count: int) -> None:
        """So many records that no rule matches, in one go."""
        text = "".join(
            '{"type":"event","seq":%d,"action":"add","class":"block",'
            '"device":"sd%d","properties":{}}\n' % (seq, seq % 100)
            for seq in range(1, count + 1))
        connection.send_raw(text.encode())

    def test_600_records_are_slowed_down_and_none_is_lost(self):
        rig = self.start(NONE)
        connection = self.by_hand(rig)
        self.send(connection, 600)
        for seq in range(1, 601):
            self.assertEqual(connection.read(), told(seq, 300))
        self.assertEqual(rig.daemon.status()["n_outcomes"], 600)

    def test_also_when_the_input_ends_behind_them(self):
        rig = self.start(NONE)
        connection = self.by_hand(rig)
        self.send(connection, 560)
        connection.eof()
        self.assertEqual(connection.wait_closed(),
                         [told(seq, 300) for seq in range(1, 561)])

    def test_a_second_connection_gets_no_burst_of_its_own(self):
        rig = self.start(NONE)
        first, second = self.by_hand(rig), self.by_hand(rig)
        self.barrier(second)
        self.send(first, 540)
        # behind the burst the source has 64 lines a second for all of them
        for seq in range(1, 509):
            self.assertEqual(first.read(), told(seq, 300))
        seq = second.remove("block", "sdx")
        self.assert_told(second, seq, 203)
        for seq in range(509, 541):
            self.assertEqual(first.read(), told(seq, 300))

    def test_another_source_is_not_slowed_down(self):
        rig = self.start(NONE)
        first, other = self.by_hand(rig), self.by_hand(rig, "sys-usb2")
        begun = time.monotonic()
        self.send(first, 700)
        # so many turns would be enough for all the lines, were they not held up
        for _ in range(30):
            self.barrier(other)
        count = rig.daemon.status()["n_outcomes"]
        self.assertGreater(count, 400)
        self.assertLessEqual(count - 30, 512 + 64 * (time.monotonic() - begun))
        for seq in range(1, 701):
            self.assertEqual(first.read(), told(seq, 300))

    def test_a_caller_that_goes_behind_its_lines_loses_none_of_them(self):
        rig = self.start(NONE)
        with rig.daemon.connect() as connection:
            connection.hello()
            self.send(connection, 530)
        rig.daemon.wait_status(lambda status: status["n_outcomes"] == 530, "all")


class Unread(DaemonCase):
    """Answers that the peer does not read: dom0 stops reading."""

    def test_nothing_is_lost_and_memory_does_not_grow(self):
        count = 20000
        rig = self.start(NONE, unlimited=True)
        connection = self.by_hand(rig)
        before = rig.daemon.memory()
        text = "".join(
            '{"type":"event","seq":%d,"action":"remove","class":"block",'
            '"device":"sdx"}\n' % seq for seq in range(1, count + 1)).encode()
        connection.stream.socket.settimeout(None)
        writer = threading.Thread(target=connection.stream.socket.sendall,
                                  args=(text,))
        writer.start()
        # others are served meanwhile, also of the same source
        other, same = self.by_hand(rig, "sys-usb2"), self.by_hand(rig)
        for _ in range(100):
            self.barrier(other)
            self.barrier(same)
        self.assertTrue(writer.is_alive(), "the daemon reads on without bound")
        during = rig.daemon.memory()
        if not harness.is_sanitized():
            self.assertLess(during - before, 1 << 20)
        connection.stream.socket.setblocking(True)
        for seq in range(1, count + 1):
            self.assertEqual(connection.read(60), told(seq, 203))
        writer.join(harness.DEADLINE)
        self.assertFalse(writer.is_alive())

    def test_a_peer_that_never_reads_does_not_hold_up_the_end(self):
        rig = self.start(NONE, unlimited=True)
        connection = self.by_hand(rig)
        connection.stream.socket.settimeout(0.0)
        line = b'{"type":"event","seq":%d,"action":"remove","class":"block",' \
               b'"device":"sdx"}\n'
        try:
            for seq in range(1, 100000):
                connection.stream.socket.sendall(line % seq)
        except BlockingIOError:
            pass
        rig.daemon.restart()


class Attaches(DaemonCase):
    """20 a minute for a path, 60 for a source."""

    def setUp(self):
        self.begun = time.monotonic()

    def wait_turn(self, rig, name: str = "sda") -> dict:
        """Until a device waits for its turn."""
        self.within_the_minute(self.begun)
        return rig.daemon.wait_job("awaiting-turn", name)

    def cycle(self, connection, name: str, properties: dict, count: int) -> None:
        """Plug and unplug so many times."""
        for _ in range(count):
            self.assert_told(connection, connection.add(
                "block", name, **properties), 200)
            self.assert_told(connection, connection.remove("block", name), 203)

    def test_the_21st_of_a_path_waits_for_its_turn(self):
        rig = self.start(ANY, world(devices=sticks(2)))
        connection = self.by_hand(rig)
        self.cycle(connection, "sda", stick_n(0), 20)
        seq = connection.add("block", "sda", **stick_n(0))
        self.wait_turn(rig)
        self.assertEqual(rig.count("Attach"), 20)
        # another path is not concerned
        self.assert_told(connection, connection.add(
            "block", "sdb", **stick_n(1)), 200)
        self.assertEqual(self.wait_turn(rig)["device"], "sda")
        remove = connection.remove("block", "sda")
        self.assert_told(connection, seq, 300)
        self.assert_told(connection, remove, 203)
        self.assert_last(rig, "sda", 311)
        self.assertEqual(rig.count("Attach"), 21)

    def test_another_name_at_the_same_path_waits_too(self):
        rig = self.start(ANY, world(devices=sticks(2)))
        connection = self.by_hand(rig)
        self.cycle(connection, "sda", stick_n(0), 20)
        connection.add("block", "sdb", **stick_n(0))
        self.wait_turn(rig, "sdb")

    def test_the_61st_of_a_source_waits_whatever_its_path(self):
        rig = self.start(ANY, world(
            devices=sticks(4) + sticks(1, "sys-usb2"),
            qubes={"sys-usb2": {"state": "Running"}}))
        connection = self.by_hand(rig)
        for n, name in enumerate(("sda", "sdb", "sdc")):
            self.cycle(connection, name, stick_n(n), 20)
        connection.add("block", "sdd", **stick_n(3))
        self.wait_turn(rig, "sdd")
        self.assertEqual(rig.count("Attach"), 60)
        other = self.by_hand(rig, "sys-usb2")
        self.cycle(other, "sda", stick_n(0), 1)

    def test_reconnects_do_not_lift_it(self):
        rig = self.start(ANY)
        for _ in range(20):
            with rig.daemon.connect() as connection:
                connection.hello()
                self.cycle(connection, "sda", stick_n(0), 1)
                connection.eof()
                self.assertEqual(connection.wait_closed(), [])
        connection = self.by_hand(rig)
        connection.add("block", "sda", **stick_n(0))
        self.wait_turn(rig)

    def test_unlimited_lifts_it_and_says_so_loudly(self):
        rig = self.start(ANY, unlimited=True)
        self.assertIs(rig.daemon.status()["daemon"]["unlimited"], True)
        self.assertRegex(rig.daemon.process.stderr(), "(?i)unlimited")
        self.cycle(self.by_hand(rig), "sda", stick_n(0), 70)

    @harness.takes_a_minute
    def test_the_turn_comes_within_the_minute(self):
        rig = self.start(ANY)
        connection = self.by_hand(rig)
        self.cycle(connection, "sda", stick_n(0), 20)
        seq = connection.add("block", "sda", **stick_n(0))
        self.wait_turn(rig)
        self.assertEqual(connection.answer(seq, 70), told(seq, 200))


class Starts(DaemonCase):
    """3 starts of one target in 10 minutes."""

    def restart(self, rig, connection, name: str = "sda") -> None:
        """Start the target by a plug, unplug, stop it."""
        self.assert_told(connection, connection.add("block", name, **STICK), 200)
        self.assert_told(connection, connection.remove("block", name), 203)
        rig.sim.qube_stop(name="work")

    def test_the_fourth_is_520_and_makes_no_call(self):
        rig = self.start("r: allow block name sda to work\n"
                         "s: allow block name sdb to vault\n",
                         world("Halted", sticks(2)))
        connection = self.by_hand(rig)
        for _ in range(3):
            self.restart(rig, connection)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 520, "3 times")
        self.assertEqual(rig.count("Start"), 3)
        # another target is not concerned
        self.assert_told(connection, connection.add("block", "sdb", **STICK), 200)
        # and once a person has started it, it is attached: the start alone may
        # have done that when the record comes
        rig.sim.qube_start(name="work")
        told_again = connection.change("block", "sda", **STICK)
        self.assertIn(connection.answer(told_again)["code"], (200, 201))
        self.assertEqual(rig.sim.device("sda")["attachment"], "work")

    def test_unlimited_lifts_it(self):
        rig = self.start(ANY, world("Halted"), unlimited=True)
        connection = self.by_hand(rig)
        for _ in range(5):
            self.restart(rig, connection)
        self.assertEqual(rig.count("Start"), 5)


class Devices(DaemonCase):
    """512 devices, 256 jobs."""

    def test_the_513th_device_is_429_and_the_others_stay(self):
        rig = self.start(NONE, unlimited=True)
        connection = self.by_hand(rig)
        for n in range(512):
            connection.present("block", f"sd{n}")
        for seq in range(1, 513):
            self.assert_told(connection, seq, 300)
        self.assert_told(connection, connection.present("block", "sdx"), 429)
        self.assertEqual(rig.daemon.status()["sources"][0]["n_devices"], 512)
        # a known one is still served, and a place that is free is given again
        self.assert_told(connection, connection.change("block", "sd5"), 300)
        self.assert_told(connection, connection.remove("block", "sd5"), 203)
        self.assert_told(connection, connection.present("block", "sdx"), 300)

    def test_the_257th_job_is_429_and_the_others_go_on(self):
        rig = self.start(ANY, unlimited=True)
        connection = self.by_hand(rig)
        other = self.by_hand(rig, "sys-usb2")
        with rig.sim.held(method=AVAILABLE):
            for n in range(256):
                connection.add("block", f"sd{n}", **STICK)
            seq = connection.add("block", "sdx", **STICK)
            self.assert_told(connection, seq, 429)
            self.assertEqual(rig.daemon.status()["n_jobs"], 256)
            self.barrier(other)
            for n in range(256):
                connection.remove("block", f"sd{n}")
            for seq in range(1, 257):
                self.assert_told(connection, seq, 300)
        for seq in range(258, 258 + 256):
            self.assert_told(connection, seq, 203)
        rig.daemon.wait_no_jobs()
        self.barrier(connection)

    def test_calls_to_qubesd_are_bounded_and_all_are_made(self):
        rig = self.start(ANY, world(devices=[]), unlimited=True)
        connection = self.by_hand(rig)
        with rig.sim.held(method=AVAILABLE) as hold:
            for n in range(100):
                connection.add("block", f"sd{n}", **STICK)
            self.barrier(connection)
            rig.sim.wait_held(id=hold, count=32)
            self.assertEqual(rig.count("Available"), 32)
        rig.sim.wait_call(method=AVAILABLE, count=100, since=rig.since)


class Resources(DaemonCase):
    """What it costs."""

    def proc(self, rig, name: str) -> str:
        """A file of the daemon's /proc folder."""
        return pathlib.Path(f"/proc/{rig.daemon.process.pid}/{name}").read_text()

    def descriptors(self, rig) -> int:
        """How many are open."""
        return len(os.listdir(f"/proc/{rig.daemon.process.pid}/fd"))

    def assert_no_more(self, rig, early: int) -> None:
        """No more descriptors (a control connection may just be closing)."""
        self.assertLessEqual(self.descriptors(rig), early + 1)

    def stream(self, connection, first: int, count: int) -> None:
        """Records that match nothing, answers read as they come."""
        batch = 1000
        for start in range(first, first + count, batch):
            text = "".join(
                '{"type":"event","seq":%d,"action":"change","class":"block",'
                '"device":"sd%d","properties":{"serial":"S%d","vendor":"V"}}\n'
                % (seq, seq % 300, seq) for seq in range(start, start + batch))
            # smaller than the socket's buffers together with the answers
            connection.send_raw(text.encode())
            for seq in range(start, start + batch):
                self.assertEqual(connection.read()["seq"], seq)

    def test_100000_records_take_the_memory_of_1000(self):
        rig = self.start(NONE, unlimited=True)
        connection = self.by_hand(rig)
        self.stream(connection, 1, 1000)
        early, open_early = rig.daemon.memory(), self.descriptors(rig)
        self.stream(connection, 1001, 99000)
        self.assertEqual(rig.daemon.status()["n_outcomes"], 100000)
        grown = rig.daemon.memory() - early
        if not harness.is_sanitized():
            self.assertLess(grown, 256 * 1024)
        self.assert_no_more(rig, open_early)

    def test_1000_attaches_and_detaches_take_the_memory_of_100(self):
        rig = self.start(ANY, unlimited=True)
        connection = self.by_hand(rig)

        def cycle(count: int) -> int:
            for _ in range(count):
                self.assert_told(connection, connection.add(
                    "block", "sda", **STICK), 200)
                self.assert_told(connection, connection.remove("block", "sda"), 203)
            rig.daemon.wait_no_jobs()
            return rig.daemon.memory()
        early, open_early = cycle(100), self.descriptors(rig)
        grown = cycle(900) - early
        if not harness.is_sanitized():
            self.assertLess(grown, 256 * 1024)
        self.assert_no_more(rig, open_early)

    def test_2000_connections_leave_neither_memory_nor_descriptors(self):
        rig = self.start(NONE, unlimited=True)
        lines = b"".join(
            b'{"type":"event","seq":%d,"action":"remove","class":"block",'
            b'"device":"sdx"}\n' % seq for seq in range(1, 21))

        def cycle(count: int) -> int:
            for _ in range(count):
                with rig.daemon.connect() as connection:
                    connection.hello()
                    connection.send_raw(lines)
                    connection.eof()
                    self.assertEqual(len(connection.wait_closed()), 20)
            return rig.daemon.memory()
        early, open_early = cycle(200), self.descriptors(rig)
        grown = cycle(1800) - early
        if not harness.is_sanitized():
            self.assertLess(grown, 256 * 1024)
        self.assert_no_more(rig, open_early)

    def test_the_status_tells_the_memory_that_proc_tells(self):
        rig = self.start(NONE)
        told_bytes = rig.daemon.status()["daemon"]["memory_bytes"]
        resident = next(int(line.split()[1]) * 1024
                        for line in self.proc(rig, "status").splitlines()
                        if line.startswith("VmRSS:"))
        self.assertLess(abs(told_bytes - resident), 512 * 1024)

    def test_idle_it_never_wakes_up(self):
        rig = self.start("r: allow block type disk to work when-running\n",
                         world("Halted", sticks(2)))
        connection = self.forwarder(rig)
        for name in ("sda", "sdb"):
            self.assert_told(connection, connection.add("block", name, **STICK), 300)
        idle = self.by_hand(rig)
        self.barrier(idle)
        rig.daemon.wait_no_jobs()

        def switches() -> list[str]:
            return [line for line in self.proc(rig, "status").splitlines()
                    if "ctxt_switches" in line] + [self.proc(rig, "schedstat")]
        quiet = select.poll()
        quiet.register(connection.stream.socket, select.POLLIN)
        # what was asked last may not be over, where the CPUs are busy
        clock, before = harness.Clock(), None
        while switches() != before:
            self.assertGreater(clock.left(), 2, "it wakes up again and again")
            before = switches()
            self.assertEqual(quiet.poll(2000), [])


if __name__ == "__main__":
    unittest.main()
