#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A hostile sys-usb against the real daemon, with its limits on.

Usage: tests/flood.py [SECONDS | --names]     (default 60; build/ has to be there)

What is offered, at the same time and all from sys-usb: disks that qubesd lists, each
plugged in and pulled out as soon as that is answered; 256 callers with hello and half
a line, a byte now and then, behind which most go on with random bytes. Once each disk
has to wait for its turn, for so many SECONDS also 10,000 records a second: of ever
others of 100,000 names, and add and remove of one device. Each of these records is made
and the socket asked to take it, whether there is room or not. Meanwhile sys-usb2
connects, plugs a stick, pulls it out and hangs up, once a second.

What of it can pass: 512 lines and 64 a second, so that dom0 reads at most 39,000 of
6,000,000 records in ten minutes, and comes to know at most as many of the 100,000 names;
of the others most find no room in the socket. Four connections at once, of which the
records take three: the other callers have one place between them, and who finds it taken
is told 429 and closed. As with qrexec, a caller's descriptor is there at once; but 32 of
the 256 write their own, byte by byte, which sys-usb cannot.

Fails if the daemon ends, grows or opens more and more descriptors; if sys-usb2's
stick is not attached, or once only after long; or if a limit of a source is
passed: attaches of a device and of the source in a minute, lines a second,
connections, devices, jobs, calls at once and for each line. Fails as well if a limit
was not reached, if less was offered, or no random byte read, for then nothing was seen
of it.

With --names instead: all 100,000 names, plugged in and pulled out 128 at a time, with
the limits of rates off. Fails if one of them was not taken into work, or memory grows.

AUTOATTACH_BUILD names another build folder.
"""

import collections
import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import selectors
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# pylint: disable=wrong-import-position
from tests.flooders import (DISK, DISKS, FAST_DISK, N_NAMES,  # noqa: E402
                            OFFERED_A_SECOND, attack)
from tests.integration.harness import Daemon, Sim  # noqa: E402

RULES = "".join(f"{name}: allow block type disk from {source} to {target}\n"
                for name, source, target in (("bad", "sys-usb", "work"),
                                             ("good", "sys-usb2", "vault")))
# DESIGN 3: of a source
LINES_BURST, LINES_A_SECOND = 512, 64
ATTACHES_A_MINUTE, DISK_ATTACHES_A_MINUTE = 60, 20
CONNECTIONS_MAX, DEVICES_MAX, JOBS_MAX = 4, 512, 256
CALLS_AT_ONCE = 32
# identity and attach of one record, detach of the other
CALLS_A_LINE = 2
# the simulator reads a call a moment after the daemon has counted it
MINUTE_S = 55.0
# a disk that is not there is looked for this long: so calls have to wait
LATENCY_S = 1.0
# of its memory at any time, and to the end from when it knows most devices
PEAK_MAX = 4 << 20
GROWTH_MAX = 512 << 10
# 64 callers that have not said who they are, 4 of each source, calls in work
DESCRIPTORS_MAX = 160
# in the middle, and of the one that waits longest
DELAY_S = 5.0
DELAY_MAX_S = 10.0
# of the jobs that there may be: one that ends may still wait for a call
NAMES_AT_ONCE = JOBS_MAX // 2
# of what is to be offered
OFFERED_SHARE = 0.9
GOOD_DISKS = ("sda", "sdb", "sdc", "sdd")


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
    """What is seen of the daemon, and of what it has of sys-usb."""

    def __init__(self, daemon: Daemon):
        self.daemon = daemon
        self.pid = daemon.process.pid
        self.memory: list[int] = []
        self.descriptors: list[int] = []
        self.n_devices: list[int] = []
        self.n_jobs: list[int] = []
        self.n_connections: list[int] = []

    def look(self) -> None:
        """Now."""
        self.memory.append(memory_of(self.pid))
        self.descriptors.append(len(os.listdir(f"/proc/{self.pid}/fd")))
        sources = {source["name"]: source
                   for source in self.daemon.status()["sources"]}
        hostile = collections.Counter(sources.get("sys-usb"))
        self.n_devices.append(hostile["n_devices"])
        self.n_jobs.append(hostile["n_jobs"])
        self.n_connections.append(hostile["n_connections"])


def good_cycle(daemon: Daemon, disk: str) -> tuple[float, tuple]:
    """Connect, plug and pull; how long it took until attached, and what was told."""
    begun = time.monotonic()
    with daemon.forwarder("sys-usb2") as connection:
        added = connection.answer(connection.add("block", disk, **DISK), 60)
        took = time.monotonic() - begun
        removed = connection.answer(connection.remove("block", disk), 60)
    return took, (added["code"], removed["code"])


def watch(daemon: Daemon, is_over) -> tuple[Watch, list[float], list[tuple]]:
    """Be sys-usb2 until it is over."""
    seen = Watch(daemon)
    delays: list[float] = []
    wrong: list[tuple] = []
    waiter = selectors.DefaultSelector()
    turn = 0
    while not is_over():
        begun = time.monotonic()
        took, codes = good_cycle(daemon, GOOD_DISKS[turn % 4])
        delays.append(took)
        if codes != (200, 203):
            wrong.append(codes)
        seen.look()
        turn += 1
        # 60 attaches a minute are allowed, 20 of one device
        waiter.select(max(begun + 1.1 - time.monotonic(), 0))
    return seen, delays, wrong


@dataclasses.dataclass
class Limit:
    """What was seen of a limit: it must be reached, and not be passed."""

    what: str
    most: float
    allowed: float
    # a share of what is allowed, which counts as reached
    share: float = 1.0

    def complaint(self) -> str | None:
        """What is wrong."""
        if self.most > self.allowed:
            return f"{self.what}: {self.most:.0f}, allowed are {self.allowed:.0f}"
        if self.most < self.share * self.allowed:
            return f"{self.what}: only {self.most:.0f}, so that the limit of " \
                   f"{self.allowed:.0f} was not tried"
        return None


def most_within(times: list[float], seconds: float) -> int:
    """How many came at most within such a time."""
    most = first = 0
    for last, moment in enumerate(times):
        while times[first] <= moment - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def is_for_hostile(call: dict) -> bool:
    """Whether qubesd was called on behalf of sys-usb."""
    return call.get("service") == "qubesd" and (
        call["dest"] == "sys-usb" or call["arg"].startswith("sys-usb+"))


def limits_of(sim: Sim, counts: collections.Counter, seconds: float,
              seen: Watch) -> list[Limit]:
    """What was reached of each."""
    attaches = [call for call in sim.calls(method="*.Attach") if is_for_hostile(call)]
    of_disk = {disk: [call["time"] for call in attaches
                      if call["arg"].split("+")[1].split(":")[0] == disk]
               for disk in (*DISKS, FAST_DISK)}
    n_calls = at_once = most_at_once = 0
    for entry in filter(is_for_hostile, sim.journal()):
        n_calls += entry["what"] == "begin"
        at_once += {"begin": 1, "end": -1}[entry["what"]]
        most_at_once = max(most_at_once, at_once)
    answered = counts["answered"]
    return [
        Limit("attaches of a disk in a minute",
              max(most_within(times, MINUTE_S) for times in of_disk.values()),
              DISK_ATTACHES_A_MINUTE),
        Limit("attaches of the source in a minute",
              most_within([call["time"] for call in attaches], MINUTE_S),
              ATTACHES_A_MINUTE),
        Limit("lines answered", answered, LINES_BURST + LINES_A_SECOND * seconds, 0.3),
        Limit("connections", max(seen.n_connections), CONNECTIONS_MAX),
        Limit("devices known", max(seen.n_devices), DEVICES_MAX, 0.4),
        Limit("jobs", max(seen.n_jobs), JOBS_MAX, 0.5),
        Limit("calls at once", most_at_once, CALLS_AT_ONCE),
        Limit("calls", n_calls, CALLS_A_LINE * answered, 0)]


def offers(counts: collections.Counter, seconds: float) -> list[str]:
    """Print what was offered and what became of it; what is wrong with that."""
    rate = counts["offered"] / seconds
    told = {code: counts[f"callers told {code}"] for code in (400, 413, 429)}
    print(f"offered       {counts['offered']} records in {seconds:.0f} s, {rate:.0f} a "
          f"second, of {counts['names']} names; {counts['connected']} connections")
    print(f"taken         {counts['taken']} records, of {counts['names taken']} names; "
          f"for the others was no room, as dom0 did not read")
    print(f"answered      {counts['answered']}, {counts['too many']} of them with 429; "
          f"{counts['names known']} names without")
    print("slow callers  " + ", ".join(f"{n} told {code}" for code, n in told.items()))
    wrong = []
    if rate < OFFERED_SHARE * OFFERED_A_SECOND:
        wrong.append(f"only {rate:.0f} records a second were offered")
    if not told[400] + told[413]:
        wrong.append("no random bytes were read")
    return wrong


def report(daemon: Daemon, seconds: float, seen: Watch, delays: list[float],
           cpu: float) -> list[str]:
    """Print the figures; what is wrong with them."""
    # the first fifth is for getting warm, and it takes what as many devices as it
    # knows at most take
    warm = seen.memory[len(seen.memory) // 5:]
    full = seen.memory[seen.n_devices.index(max(seen.n_devices))]
    growth = seen.memory[-1] - max(full, warm[0])
    print(f"outcomes      {daemon.status()['n_outcomes']}")
    print(f"CPU           {cpu:.1f} s in {seconds:.0f} s")
    print(f"memory        {warm[0] / 1024:.0f} KiB warm, {full / 1024:.0f} KiB with "
          f"{max(seen.n_devices)} devices, at most {max(warm) / 1024:.0f} KiB, "
          f"{seen.memory[-1] / 1024:.0f} KiB in the end")
    print(f"descriptors   at most {max(seen.descriptors)}")
    print(f"other source  {len(delays)} times connected and attached, after "
          f"{statistics.median(delays) * 1000:.0f} ms in the middle, "
          f"{max(delays) * 1000:.0f} ms at most")
    wrong = []
    if max(warm) - warm[0] > PEAK_MAX:
        wrong.append(f"it took up to {max(warm) - warm[0]} bytes more")
    if growth > GROWTH_MAX:
        wrong.append(f"it grew by {growth} bytes")
    if max(seen.descriptors) > DESCRIPTORS_MAX:
        wrong.append("it has too many descriptors")
    if statistics.median(delays) > DELAY_S or max(delays) > DELAY_MAX_S:
        wrong.append("the other source waits too long")
    return wrong


def flood(seconds: float) -> list[str]:
    """With limits; what is wrong."""
    scenario = {
        "qubes": {name: {"state": "Running"}
                  for name in ("sys-usb", "sys-usb2", "work", "vault")},
        "devices": [{"backend": "sys-usb", "port": disk, "class": "block"}
                    for disk in (*DISKS, FAST_DISK)] +
                   [{"backend": "sys-usb2", "port": disk, "class": "block"}
                    for disk in GOOD_DISKS]}
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Sim(scenario))
        sim.latency(method="*.Available", dest="sys-usb", arg="sd[0-9]*",
                    seconds=LATENCY_S)
        daemon = stack.enter_context(Daemon(sim, RULES))
        receiver, sender = multiprocessing.Pipe(duplex=False)
        begun = time.monotonic()
        attacker = multiprocessing.Process(
            target=attack, args=(os.fspath(daemon.event_socket), seconds, sender))
        attacker.start()
        sender.close()
        stack.callback(attacker.join)
        stack.callback(attacker.terminate)
        before = cpu_of(daemon.process.pid)
        seen, delays, codes = watch(daemon, receiver.poll)
        cpu = cpu_of(daemon.process.pid) - before
        counts = receiver.recv()
        wrong = offers(counts, seconds)
        seconds = time.monotonic() - begun
        wrong += report(daemon, seconds, seen, delays, cpu)
        for limit in limits_of(sim, counts, seconds, seen):
            print(f"limit         {limit.what}: {limit.most:.0f} of "
                  f"{limit.allowed:.0f}")
            if complaint := limit.complaint():
                wrong.append(complaint)
        if codes:
            wrong.append(f"the other source was told {sorted(set(codes))}")
        if not daemon.process.is_alive():
            wrong.append("the daemon has ended")
    return wrong


def all_names() -> list[str]:
    """Without limits of rates, so that each name gets into work; what is wrong."""
    memory: list[int] = []
    told: collections.Counter = collections.Counter()
    with Sim({"qubes": {name: {"state": "Running"} for name in ("sys-usb", "work")}}) as \
            sim, Daemon(sim, RULES, unlimited=True) as daemon, \
            daemon.forwarder() as connection:
        begun = time.monotonic()
        for first in range(0, N_NAMES, NAMES_AT_ONCE):
            names = [f"sd{number}" for number in
                     range(first, min(first + NAMES_AT_ONCE, N_NAMES))]
            added = [connection.add("block", name, **DISK) for name in names]
            removed = [connection.remove("block", name) for name in names]
            told.update((connection.answer(plug)["code"], connection.answer(pull)["code"])
                        for plug, pull in zip(added, removed))
            memory.append(daemon.memory())
        seconds = time.monotonic() - begun
        cpu = cpu_of(daemon.process.pid)
        n_calls = len(sim.calls(service="qubesd"))
    print(f"names         {told.total()} in {seconds:.0f} s; told (plugged, pulled): " +
          ", ".join(f"{codes} {n} times" for codes, n in told.items()))
    print(f"qubesd        called {n_calls} times: most were pulled out before")
    print(f"CPU           {cpu:.1f} s")
    print(f"memory        {memory[0] / 1024:.0f} KiB with the first {NAMES_AT_ONCE}, "
          f"at most {max(memory) / 1024:.0f} KiB, {memory[-1] / 1024:.0f} KiB in the end")
    wrong = []
    if told != {(300, 203): N_NAMES}:
        wrong.append("not each name was plugged in and pulled out")
    if max(memory) - memory[0] > GROWTH_MAX:
        wrong.append(f"it grew by {max(memory) - memory[0]} bytes")
    return wrong


def main() -> int:
    """See the head of this file."""
    words = sys.argv[1:] or ["60"]
    if len(words) > 1 or not (words[0] == "--names" or words[0].isdigit()):
        print(__doc__, file=sys.stderr)
        return 64
    wrong = all_names() if words[0] == "--names" else flood(float(words[0]))
    for complaint in wrong:
        print(f"wrong: {complaint}")
    print("0 failed" if not wrong else f"{len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
