#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A hostile sys-usb against the real daemon, with its limits on.

Usage: tests/flood.py [SECONDS]           (default 60; build/ has to be there)

At the same time, all from sys-usb: 10,000 records a second offered; 256 callers
that say a byte now and then; half lines and random bytes; records for 100,000
device names; add and remove of one device as fast as it goes. Meanwhile sys-usb2
plugs a stick and pulls it out, once a second.

Fails if the daemon ends, grows, opens more and more descriptors, asks qubesd
more often than its limits allow, or if sys-usb2's stick is not attached.
AUTOATTACH_BUILD names another build folder.
"""

import contextlib
import json
import multiprocessing
import os
import pathlib
import random
import selectors
import socket
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.integration.harness import BOOT_ID, Daemon, Sim  # noqa: E402

RULES = "".join(f"{name}: allow block type disk from {source} to {target}\n"
                for name, source, target in (("bad", "sys-usb", "work"),
                                             ("good", "sys-usb2", "vault")))
N_CALLERS = 256
N_NAMES = 100_000
OFFERED_A_SECOND = 10_000
# DESIGN 3: lines, and attempts to attach, of a source
LINES_BURST, LINES_A_SECOND = 512, 64
ATTACHES_A_MINUTE = 60
# for each record: identity, attach, verify, detach, and once more each
CALLS_A_LINE = 8
GROWTH_MAX = 4 << 20
# 64 callers that have not said who they are, 4 of each source, calls in work
DESCRIPTORS_MAX = 160
DELAY_MAX_S = 5.0
GOOD_DISKS = ("sda", "sdb", "sdc", "sdd")
DESCRIPTOR = b"autoattach.Event+ sys-usb name dom0\0"
HELLO = (b'{"type":"hello","version":1,"boot_id":"%s","agent":"flood"}\n'
         % BOOT_ID.encode())
DISK = {"devtype": "disk"}


def event(seq: int, action: str, device: str) -> bytes:
    """One line."""
    properties = DISK if action != "remove" else {}
    return json.dumps({"type": "event", "seq": seq, "action": action,
                       "class": "block", "device": device,
                       "properties": properties}).encode() + b"\n"


class Caller:
    """One call of the hostile qube; made anew whenever it ends."""

    def __init__(self, path: str, counts: dict, chance: random.Random):
        self.path, self.counts, self.chance = path, counts, chance
        self.socket: socket.socket | None = None
        self.out = b""
        self.seq = 0

    def connect(self) -> None:
        """Again; what was not sent is forgotten."""
        self.close()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.setblocking(False)
        self.out, self.seq = b"", 0
        try:
            self.socket.connect(self.path)
            self.counts["connected"] += 1
        except OSError:  # its queue is full
            self.close()

    def close(self) -> None:
        """Rudely."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def send(self) -> None:
        """As much as is taken, and read what is answered."""
        if self.socket is None:
            self.connect()
            return
        try:
            if self.out:
                n = self.socket.send(self.out)
                self.counts["bytes"] += n
                self.out = self.out[n:]
            while data := self.socket.recv(65536):
                self.counts["answers"] += data.count(b"\n")
            self.connect()
        except BlockingIOError:
            pass
        except OSError:
            self.connect()


class Flooder(Caller):
    """Valid records: of one device (@names is 1), or of ever others."""

    def __init__(self, *words, names: int):
        super().__init__(*words)
        self.names = names

    def offer(self, count: int) -> None:
        """So many more, if those before were taken."""
        self.counts["offered"] += count
        if len(self.out) > 1 << 16:
            return
        if self.seq == 0:
            self.out += DESCRIPTOR + HELLO
        for _ in range(count):
            self.seq += 1
            number = self.seq // 2 % self.names
            name = f"sd{number}" if self.names > 1 else "sda"
            self.out += event(self.seq, ("remove", "add")[self.seq % 2], name)

    def connect(self) -> None:
        super().connect()
        self.seq = 0


class Loris(Caller):
    """One byte now and then, of a descriptor, hello or line that never ends."""

    TEXT = DESCRIPTOR + HELLO + b'{"type":"event","seq":1,"action":"'

    def __init__(self, *words):
        super().__init__(*words)
        self.at = 0

    def step(self) -> None:
        """The next byte."""
        if self.socket is None:
            self.at = 0
        self.out += self.TEXT[self.at:self.at + 1]
        self.at += 1
        self.send()


class Garbage(Caller):
    """Random bytes, behind a good beginning or none."""

    def step(self) -> None:
        """A handful."""
        if self.chance.random() < 0.05:
            self.connect()
        begin = self.chance.choice([b"", DESCRIPTOR, DESCRIPTOR + HELLO])
        self.out = begin + self.chance.randbytes(self.chance.randrange(1, 9000))
        self.send()


def attack(path: str, until: float, told) -> None:
    """All of it, until it is over."""
    chance = random.Random(1)
    counts = {"offered": 0, "connected": 0, "bytes": 0, "answers": 0}
    words = (path, counts, chance)
    flooders = [Flooder(*words, names=N_NAMES), Flooder(*words, names=1)]
    garbage = [Garbage(*words) for _ in range(4)]
    callers = [Loris(*words) for _ in range(N_CALLERS)]
    turn = 0
    waiter = selectors.DefaultSelector()  # for its clock alone
    begun = time.monotonic()
    while (now := time.monotonic()) < until:
        due = int((now - begun) * OFFERED_A_SECOND) - counts["offered"]
        for flooder in flooders:
            flooder.offer(min(max(due // len(flooders), 0), 500))
            flooder.send()
        for caller in garbage:
            caller.step()
        # a quarter of the slow ones each turn
        for caller in callers[turn % 4::4]:
            caller.step()
        turn += 1
        waiter.select(0.01)
    told.send(counts)


def memory_of(pid: int) -> int:
    """What is resident, in bytes."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.split("VmRSS:")[1].split()[0]) * 1024


def cpu_of(pid: int) -> float:
    """What it has used, in seconds."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    words = text.rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Watch:
    """What is seen of the daemon."""

    def __init__(self, daemon: Daemon):
        self.pid = daemon.process.pid
        self.memory: list[int] = []
        self.descriptors: list[int] = []

    def look(self) -> None:
        """Now."""
        self.memory.append(memory_of(self.pid))
        self.descriptors.append(len(os.listdir(f"/proc/{self.pid}/fd")))


def good_cycle(connection, disk: str) -> tuple[float, tuple]:
    """Plug and pull; how long the attach took, and what was told."""
    begun = time.monotonic()
    added = connection.answer(connection.add("block", disk, **DISK), 60)
    took = time.monotonic() - begun
    removed = connection.answer(connection.remove("block", disk), 60)
    return took, (added["code"], removed["code"])


def watch(daemon: Daemon, until: float) -> tuple[Watch, list[float], list[tuple]]:
    """Be sys-usb2 until it is over."""
    seen = Watch(daemon)
    delays: list[float] = []
    wrong: list[tuple] = []
    waiter = selectors.DefaultSelector()
    with daemon.forwarder("sys-usb2") as connection:
        turn = 0
        while (begun := time.monotonic()) < until:
            took, codes = good_cycle(connection, GOOD_DISKS[turn % 4])
            delays.append(took)
            if codes != (200, 203):
                wrong.append(codes)
            seen.look()
            turn += 1
            # 60 attaches a minute are allowed, 20 of one device
            waiter.select(max(begun + 1.1 - time.monotonic(), 0))
    return seen, delays, wrong


def report(sim: Sim, daemon: Daemon, counts: dict, seconds: float,
           seen: Watch, delays: list[float], cpu: float) -> list[str]:
    """Print the figures; what is wrong with them."""
    calls = sim.calls()
    hostile = [call for call in calls
               if call["dest"] == "sys-usb" or call["arg"].startswith("sys-usb+")]
    attaches = [call for call in hostile if call["method"].endswith(".Attach")]
    attaches_max = ATTACHES_A_MINUTE * (int(seconds / 60) + 1)
    calls_max = CALLS_A_LINE * (LINES_BURST + LINES_A_SECOND * seconds)
    # the first fifth is for getting warm
    warm = seen.memory[len(seen.memory) // 5:]
    growth = max(warm) - warm[0]
    print(f"offered       {counts['offered']} records, "
          f"{counts['offered'] / seconds:.0f} a second; taken "
          f"{counts['bytes']} bytes; {counts['connected']} connections")
    print(f"outcomes      {daemon.status()['n_outcomes']}")
    print(f"CPU           {cpu:.1f} s in {seconds:.0f} s")
    print(f"memory        {warm[0] / 1024:.0f} KiB warm, at most "
          f"{max(warm) / 1024:.0f} KiB, {seen.memory[-1] / 1024:.0f} KiB in the end")
    print(f"descriptors   at most {max(seen.descriptors)}")
    print(f"other source  {len(delays)} times attached, after "
          f"{statistics.median(delays) * 1000:.0f} ms in the middle, "
          f"{max(delays) * 1000:.0f} ms at most")
    print(f"qubesd        {len(hostile)} calls for sys-usb, {len(attaches)} of "
          f"them Attach; {len(calls)} in all")
    wrong = []
    if growth > GROWTH_MAX:
        wrong.append(f"it grew by {growth} bytes")
    if max(seen.descriptors) > DESCRIPTORS_MAX:
        wrong.append("it has too many descriptors")
    if len(attaches) > attaches_max:
        wrong.append(f"more than {attaches_max} attaches")
    if len(hostile) > calls_max:
        wrong.append(f"more than {calls_max:.0f} calls")
    if statistics.median(delays) > DELAY_MAX_S:
        wrong.append("the other source waits too long")
    return wrong


def main() -> int:
    """See the head of this file."""
    if len(sys.argv) > 2 or not "".join(sys.argv[1:]).isdigit() and sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 64
    seconds = float(sys.argv[1]) if sys.argv[1:] else 60.0
    scenario = {
        "qubes": {name: {"state": "Running"}
                  for name in ("sys-usb", "sys-usb2", "work", "vault")},
        "devices": [{"backend": "sys-usb", "port": "sda", "class": "block"}] +
                   [{"backend": "sys-usb2", "port": disk, "class": "block"}
                    for disk in GOOD_DISKS]}
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Sim(scenario))
        daemon = stack.enter_context(Daemon(sim, RULES))
        receiver, sender = multiprocessing.Pipe(duplex=False)
        begun = time.monotonic()
        attacker = multiprocessing.Process(
            target=attack,
            args=(os.fspath(daemon.event_socket), begun + seconds, sender))
        attacker.start()
        stack.callback(attacker.join)
        before = cpu_of(daemon.process.pid)
        seen, delays, codes = watch(daemon, begun + seconds)
        cpu = cpu_of(daemon.process.pid) - before
        counts = receiver.recv()
        wrong = report(sim, daemon, counts, time.monotonic() - begun, seen,
                       delays, cpu)
        if codes:
            wrong.append(f"the other source was told {sorted(set(codes))}")
        if not daemon.process.is_alive():
            wrong.append("the daemon has ended")
    for complaint in wrong:
        print(f"wrong: {complaint}")
    print("0 failed" if not wrong else f"{len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
