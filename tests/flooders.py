# SPDX-License-Identifier: GPL-2.0-or-later
"""The callers of a hostile sys-usb; see flood.py."""

import json
import random
import selectors
import socket
import time

from tests.integration.harness import BOOT_ID

N_CALLERS = 256
N_NAMES = 100_000
# plugged in, before they are pulled out again: more than may be known, or in work
NAMES_AT_ONCE = 600
OFFERED_A_SECOND = 10_000
# made and not yet taken; then no more are made
PENDING_MAX = 1 << 16
# those that qubesd lists, and one more for who pulls it out before it is answered
DISKS = ("sda", "sdb", "sdc", "sdd")
FAST_DISK = "sde"
# without an answer for so long, a disk waits for its turn
PATIENCE_S = 1.0
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
                self.on_sent(self.out[:n])
                self.out = self.out[n:]
            while data := self.socket.recv(65536):
                self.on_answers(data)
            self.connect()
        except BlockingIOError:
            pass
        except OSError:
            self.connect()

    def on_sent(self, data: bytes) -> None:
        """The socket has taken it."""

    def on_answers(self, data: bytes) -> None:
        """dom0 has said it."""


class Speaker(Caller):
    """Says hello and then nothing but valid records, whose answers count."""

    def connect(self) -> None:
        super().connect()
        self.out = DESCRIPTOR + HELLO

    def record(self, action: str, device: str) -> None:
        """One more."""
        self.seq += 1
        self.out += event(self.seq, action, device)
        self.counts["made"] += 1

    def on_sent(self, data: bytes) -> None:
        self.counts["written"] += data.count(b'"event"')

    def on_answers(self, data: bytes) -> None:
        self.counts["answered"] += data.count(b"\n")
        self.counts["too many"] += data.count(b'"code":429')


class Flooder(Speaker):
    """Of ever other devices, each plugged in and pulled out, on and on through the
    names whatever becomes of a call; or of one that qubesd lists."""

    def __init__(self, *words, names: int, at_once: int):
        super().__init__(*words)
        self.names, self.at_once = names, at_once
        self.number = 0

    def offer(self, count: int) -> None:
        """So many more, of which none are made before enough of them were taken."""
        self.counts["offered"] += count
        if self.socket is None or len(self.out) > PENDING_MAX:
            return
        for _ in range(count):
            turn, place = divmod(self.number, 2 * self.at_once)
            action = "add" if place < self.at_once else "remove"
            name = (turn * self.at_once + place % self.at_once) % self.names
            self.record(action, f"sd{name}" if self.names > 1 else FAST_DISK)
            self.number += 1
        self.counts["names"] = max(self.counts["names"], self.number // 2)


class Plugger(Speaker):
    """Plugs a disk in and pulls it out as soon as that is answered, again and again;
    another once it has to wait for its turn."""

    def __init__(self, *words):
        super().__init__(*words)
        self.turn = 0
        self.answers = b""
        self.is_in = False
        self.since: float | None = None  # when what is not answered was made

    def connect(self) -> None:
        super().connect()
        self.answers, self.is_in, self.since = b"", False, None

    def step(self, now: float) -> None:
        """The next record, if it is time for one."""
        if self.socket is not None:
            if self.since is None:
                self.is_in = not self.is_in
                self.record("add" if self.is_in else "remove", self.disk)
                self.since = now
            elif now - self.since > PATIENCE_S:
                self.record("remove", self.disk)
                self.is_in, self.since = False, None
                self.turn += 1
        self.send()

    @property
    def disk(self) -> str:
        """The one in work."""
        return DISKS[self.turn % len(DISKS)]

    def on_answers(self, data: bytes) -> None:
        super().on_answers(data)
        *lines, self.answers = (self.answers + data).split(b"\n")
        if any(json.loads(line)["seq"] == self.seq for line in lines):
            self.since = None


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
    """All of it, until it is over. The flood begins when each disk had its turn:
    behind it, they would wait for qubesd and not for their limits."""
    chance = random.Random(1)
    counts = dict.fromkeys(("offered", "made", "written", "answered", "too many",
                            "names", "connected"), 0)
    words = (path, counts, chance)
    plugger = Plugger(*words)
    flooders = [Flooder(*words, names=N_NAMES, at_once=NAMES_AT_ONCE),
                Flooder(*words, names=1, at_once=1)]
    garbage = [Garbage(*words) for _ in range(4)]
    callers = [Loris(*words) for _ in range(N_CALLERS)]
    # the others come too late for three of the four calls that a source may have
    for speaker in (plugger, *flooders):
        speaker.connect()
        speaker.send()
    turn = 0
    waiter = selectors.DefaultSelector()  # for its clock alone
    flood_begun = None
    while (now := time.monotonic()) < until:
        plugger.step(now)
        if flood_begun is None and plugger.turn >= len(DISKS):
            flood_begun = now
        due = 0 if flood_begun is None else \
            int((now - flood_begun) * OFFERED_A_SECOND) - counts["offered"]
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
