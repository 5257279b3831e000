# SPDX-License-Identifier: GPL-2.0-or-later
"""The callers of a hostile sys-usb; see flood.py."""

import collections
import contextlib
import json
import random
import selectors
import socket
import time

from tests.integration.harness import BOOT_ID

N_CALLERS = 256
# of these, so many write their own descriptor, byte by byte: half of the places that
# there are for callers whose source is not known yet. More than sys-usb can do, for
# which qrexec writes it in dom0, at once
N_STRANGERS = 32
N_NAMES = 100_000
# plugged in, before they are pulled out again: more than may be known, or in work
NAMES_AT_ONCE = 600
OFFERED_A_SECOND = 10_000
# at most so many records of each flooder before others have their turn
OFFERED_A_TURN = 500
# so long at most before they begin
PRELUDE_S = 60.0
# those that qubesd lists, and one more for who pulls it out before it is answered
DISKS = ("sda", "sdb", "sdc", "sdd")
FAST_DISK = "sde"
# without an answer for so long, a disk waits for its turn
PATIENCE_S = 1.0
DESCRIPTOR = b"autoattach.Event+ sys-usb name dom0\0"
HELLO = (b'{"type":"hello","version":1,"boot_id":"%s","agent":"flood"}\n'
         % BOOT_ID.encode())
HALF_LINE = b'{"type":"event","seq":1,"action":"'
GARBAGE_MAX = 9000  # more than a line may have
DISK = {"devtype": "disk"}


def event(seq: int, action: str, device: str) -> bytes:
    """One line."""
    properties = DISK if action != "remove" else {}
    return json.dumps({"type": "event", "seq": seq, "action": action,
                       "class": "block", "device": device,
                       "properties": properties}).encode() + b"\n"


class Caller:
    """One call of the hostile qube; made anew whenever it ends."""

    def __init__(self, path: str, counts: collections.Counter, chance: random.Random):
        self.path, self.counts, self.chance = path, counts, chance
        self.socket: socket.socket | None = None
        self.out = b""
        self.answers = b""

    def connect(self) -> None:
        """Again; what was not sent is forgotten."""
        self.close()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.setblocking(False)
        self.out = self.answers = b""
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
        with contextlib.suppress(OSError):  # no room, or closed: that is read below
            if self.out:
                self.out = self.out[self.socket.send(self.out):]
        try:
            while data := self.socket.recv(65536):
                *lines, self.answers = (self.answers + data).split(b"\n")
                for line in lines:
                    self.on_answer(json.loads(line))
            self.connect()
        except BlockingIOError:
            pass
        except OSError:
            self.connect()

    def on_answer(self, answer: dict) -> None:
        """dom0 has said it."""


class Speaker(Caller):
    """Says hello and then nothing but valid records, whose answers count."""

    def __init__(self, *words):
        super().__init__(*words)
        self.seq = 0

    def connect(self) -> None:
        super().connect()
        self.out, self.seq = DESCRIPTOR + HELLO, 0

    def on_answer(self, answer: dict) -> None:
        self.counts["answered"] += 1
        self.counts["too many"] += answer["code"] == 429


class Flooder(Speaker):
    """Says its records whether dom0 reads them or not: each is made, and the socket
    asked to take it. What finds no room there is lost; the next one is another."""

    def offer(self, count: int) -> None:
        """So many more."""
        for _ in range(count):
            if self.socket is None:
                return
            self.seq += 1
            action, device = self.next()
            self.counts["offered"] += 1
            if self.is_taken(event(self.seq, action, device)):
                self.counts["taken"] += 1
                self.on_taken(action, device)

    def is_taken(self, line: bytes) -> bool:
        """Ask the socket; once it has a part of the line, the rest will follow."""
        try:
            if self.out:
                self.out = self.out[self.socket.send(self.out):]
            if self.out:
                return False
            self.out = line[self.socket.send(line):]
        except OSError:  # also: no room
            return False
        return True

    def next(self) -> tuple[str, str]:
        """Action and device of the next record."""
        raise NotImplementedError

    def on_taken(self, action: str, device: str) -> None:
        """dom0 will read it."""


class Swapper(Flooder):
    """Adds and removes one device that qubesd lists."""

    def __init__(self, *words):
        super().__init__(*words)
        self.is_in = False

    def next(self) -> tuple[str, str]:
        return ("remove" if self.is_in else "add"), FAST_DISK

    def on_taken(self, action: str, device: str) -> None:
        self.is_in = action == "add"


class Namer(Flooder):
    """Plugs in ever other devices, until enough of them were taken, then pulls these
    out, and goes on through the names; whatever becomes of a call."""

    def __init__(self, *words, names: int, at_once: int):
        super().__init__(*words)
        self.names, self.at_once = names, at_once
        self.number = 0
        self.plugged: list[str] = []
        self.is_pulling = False
        self.waiting: dict[int, str] = {}  # by seq: plugged in and not answered
        self.taken: set[str] = set()
        self.known: set[str] = set()

    def connect(self) -> None:
        super().connect()
        self.waiting = {}

    def next(self) -> tuple[str, str]:
        if self.is_pulling:
            return "remove", self.plugged[0]
        self.number += 1
        self.counts["names"] = min(self.number, self.names)
        return "add", f"sd{self.number % self.names}"

    def on_taken(self, action: str, device: str) -> None:
        if action == "add":
            self.plugged.append(device)
            self.waiting[self.seq] = device
            self.taken.add(device)
            self.counts["names taken"] = len(self.taken)
            self.is_pulling = len(self.plugged) == self.at_once
        else:
            self.plugged.pop(0)
            self.is_pulling = bool(self.plugged)

    def on_answer(self, answer: dict) -> None:
        super().on_answer(answer)
        device = self.waiting.pop(answer["seq"], None)
        if device is not None and answer["code"] != 429:
            self.known.add(device)
            self.counts["names known"] = len(self.known)


class Plugger(Speaker):
    """Plugs a disk in and pulls it out as soon as that is answered, again and again;
    another once it has to wait for its turn."""

    def __init__(self, *words):
        super().__init__(*words)
        self.turn = 0
        self.is_in = False
        self.since: float | None = None  # when what is not answered was made

    def connect(self) -> None:
        super().connect()
        self.is_in, self.since = False, None

    def record(self, action: str) -> None:
        """One more."""
        self.seq += 1
        self.out += event(self.seq, action, DISKS[self.turn % len(DISKS)])

    def step(self, now: float) -> None:
        """The next record, if it is time for one."""
        if self.socket is not None:
            if self.since is None:
                self.is_in = not self.is_in
                self.record("add" if self.is_in else "remove")
                self.since = now
            elif now - self.since > PATIENCE_S:
                self.record("remove")
                self.is_in, self.since = False, None
                self.turn += 1
        self.send()

    def on_answer(self, answer: dict) -> None:
        super().on_answer(answer)
        if answer["seq"] == self.seq:
            self.since = None


class Loris(Caller):
    """Says hello and half a line, a byte now and then. Somewhere within, it goes on
    with random bytes, or sometimes with nothing."""

    def __init__(self, *words, is_stranger: bool):
        super().__init__(*words)
        self.is_stranger = is_stranger
        self.slow = self.rest = b""

    def connect(self) -> None:
        super().connect()
        text = HELLO + HALF_LINE
        if self.is_stranger:
            text = DESCRIPTOR + text
        else:
            self.out = DESCRIPTOR
        self.slow = text[:self.chance.randrange(len(text) + 1)]
        self.rest = b"" if self.chance.random() < 0.125 else \
            self.chance.randbytes(self.chance.randrange(1, GARBAGE_MAX))

    def step(self) -> None:
        """The next byte."""
        if self.socket is not None:
            self.out += self.slow[:1] or self.rest
            if not self.slow:
                self.rest = b""
            self.slow = self.slow[1:]
        self.send()

    def on_answer(self, answer: dict) -> None:
        self.counts[f"callers told {answer['code']}"] += 1


def attack(path: str, seconds: float, told) -> None:
    """All of it. The records flood for so long, from when each disk had its turn:
    behind them, the disks would wait for qubesd and not for their limits."""
    chance = random.Random(1)
    counts = collections.Counter()
    words = (path, counts, chance)
    plugger = Plugger(*words)
    flooders = [Namer(*words, names=N_NAMES, at_once=NAMES_AT_ONCE), Swapper(*words)]
    callers = [Loris(*words, is_stranger=number < N_STRANGERS)
               for number in range(N_CALLERS)]
    # the others come too late for three of the four calls that a source may have
    for speaker in (plugger, *flooders):
        speaker.connect()
        speaker.send()
    turn = 0
    waiter = selectors.DefaultSelector()  # for its clock alone
    begun = time.monotonic()
    flood_begun = None
    while flood_begun is None or time.monotonic() - flood_begun < seconds:
        now = time.monotonic()
        plugger.step(now)
        if flood_begun is None and (plugger.turn >= len(DISKS) or
                                    now - begun > PRELUDE_S):
            flood_begun = now
        due = 0 if flood_begun is None else \
            int((now - flood_begun) * OFFERED_A_SECOND) - counts["offered"]
        for flooder in flooders:
            flooder.offer(min(max(due // len(flooders), 0), OFFERED_A_TURN))
            flooder.send()
        # a quarter of the slow ones each turn
        for caller in callers[turn % 4::4]:
            caller.step()
        turn += 1
        waiter.select(0.01)
    told.send(counts)
