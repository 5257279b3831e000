# SPDX-License-Identifier: GPL-2.0-or-later
"""Times of events: against the floor, by the number of rules, many at once."""

import contextlib
import os
import pathlib
import struct
import subprocess
import sys

import rig
from rig import Daemon, Plan, Recording, Samples, Sim, StandIn
from table import Row, against

STAMP = struct.Struct("<qiic15s")
STAMPS_HEADER = 32
STAMPS_BYTES = 8 << 20
RECORD_HEAD = b'{"type":"event"'
ANSWER_HEAD = b'{"seq":'
COUNTED = {"admin.vm.device.block.Attach": "Attach",
           "admin.vm.device.block.Available": "Available",
           "policy": "policy", "policy.Notify": "Notify"}


class Bench:
    """What all measurements share."""

    def __init__(self, scale):
        self.scale = scale
        self.recording = Recording()
        self.table = self.recording.table()


def calls_of(counts: dict[str, int], events: int) -> str:
    """How many calls one event cost."""
    parts = [f"{counts.get(method, 0) / events:g} {name}"
             for method, name in COUNTED.items() if counts.get(method)]
    return "calls an event: " + ", ".join(parts)


def latency(bench: Bench) -> list[Row]:
    """Record written to answer read, and the floor: a bare client that makes
    the same calls. Both have a stand-in of their own."""
    record, rows = bench.recording, []
    disk, rounds = rig.FIRST.disk, bench.scale.rounds
    rules = rig.rules_text(len(rig.BASE_RULES) + 1)
    section = "latency, record to answer, against a bare client"
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        directory = enter(rig.temporary_directory())
        standins = [enter(StandIn(bench.table)) for _ in range(4)]
        told, untold = (enter(Daemon(standins[n], rules, unlimited=True))
                        for n in range(2))
        plan = Plan(directory)
        plan.daemon("told", told, [rig.FIRST],
                    before=rig.replug(standins[0], rig.FIRST))
        plan.floor("told-floor", standins[2], record.announced[disk],
                   record.detach[disk])
        plan.daemon("untold", untold, [rig.FIRST])
        plan.floor("untold-floor", standins[3], record.unannounced[disk],
                   record.detach[disk])
        plan.trivial("trivial", standins[2], rig.FIRST, record.announced[disk],
                     record.detach[disk], stack)
        for standin in standins:
            standin.counts()
        cpu = rig.cpu_ns(told.process.pid)
        samples = plan.run(rounds)
        cpu = rig.cpu_ns(told.process.pid) - cpu
        rows.append(against(section, "device told by qubesd's events before",
                            samples["told"], samples["told-floor"],
                            "ratio 1.5, p99 3"))
        rows[-1].note = calls_of(standins[0].counts(), rounds + 1)
        rows.append(against(section, "a daemon that only makes the same calls",
                            samples["trivial"], samples["told-floor"]))
        rows.append(against(section, "not told before", samples["untold"],
                            samples["untold-floor"], "ratio 1.5, p99 3"))
        rows[-1].note = calls_of(standins[1].counts(), rounds + 1)
        rows.append(Row(section, "CPU of a plug and unplug", "us",
                        cpu / (rounds + 1) / 1000))
    rows.append(_latency_simulated(bench, section, rules))
    return rows


def _latency_simulated(bench: Bench, section: str, rules: str) -> Row:
    """The same against the simulator itself, which takes its time as qubesd
    does: both are Python."""
    disk = rig.FIRST.disk
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        sims = [enter(Sim(rig.world([rig.FIRST]))) for _ in range(2)]
        daemon = enter(Daemon(sims[0], rules, unlimited=True))
        plan = Plan(enter(rig.temporary_directory()))
        plan.daemon("ours", daemon, [rig.FIRST])
        plan.floor("floor", sims[1], bench.recording.unannounced[disk],
                   bench.recording.detach[disk])
        samples = plan.run(bench.scale.rounds_simulated)
    return against(section, "not told before, dom0 simulated in Python",
                   samples["ours"], samples["floor"], "ratio 1.5, p99 3")


def added(bench: Bench) -> list[Row]:
    """Between what the daemon receives and what it sends: its own time, against
    that of a daemon that only makes the same calls."""
    disk = rig.FIRST.disk
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        directory = enter(rig.temporary_directory())
        files = [directory / name for name in ("stamps", "stamps-trivial")]
        for path in files:
            with path.open("wb") as file:
                file.truncate(STAMPS_BYTES)
        preload = [{"LD_PRELOAD": os.fspath(rig.PROGRAMS / "libbench-stamp.so"),
                    "BENCH_STAMPS": os.fspath(path)} for path in files]
        standins = [enter(StandIn(bench.table)) for _ in range(2)]
        daemon = enter(Daemon(
            standins[0], rig.rules_text(len(rig.BASE_RULES) + 1),
            unlimited=True, env=preload[0]))
        plan = Plan(directory)
        plan.daemon("ours", daemon, [rig.FIRST],
                    before=rig.replug(standins[0], rig.FIRST))
        plan.trivial("trivial", standins[1], rig.FIRST,
                     bench.recording.announced[disk],
                     bench.recording.detach[disk], stack, preload[1])
        plan.run(bench.scale.rounds)
        ours, floor = (own_times(path.read_bytes()) for path in files)
    section = "added by the daemon, device told before; " \
        "floor only makes the same calls"
    names = ("record received to first call sent",
             "policy's answer to Attach sent", "Attach's answer to ours sent")
    return [against(section, "all together", Samples(map(sum, ours)),
                    Samples(map(sum, floor)), "below 50")] + \
        [against(section, name, Samples(part), Samples(least))
         for name, part, least in zip(names, zip(*ours), zip(*floor))]


def own_times(data: bytes) -> list[tuple[int, ...]]:
    """Of each record that was attached: how long the daemon took to send what
    comes next, each time."""
    count = min(int.from_bytes(data[:8], "little"),
                (len(data) - STAMPS_HEADER) // STAMP.size)
    stamps = list(STAMP.iter_unpack(
        data[STAMPS_HEADER:STAMPS_HEADER + count * STAMP.size]))
    times: list[tuple[int, ...]] = []
    home, last, own = None, 0, []
    for ns, fd, length, what, head in stamps:
        if what == b"r" and head.startswith(RECORD_HEAD):
            home, last, own = fd, ns, []
        elif home is None:
            continue
        elif what == b"r" and length >= 0:
            last = ns
        elif what == b"s" and fd == home and head.startswith(ANSWER_HEAD):
            own.append(ns - last)
            # policy and Attach; others are detached, or barriers
            if len(own) == 3:
                times.append(tuple(own))
            home = None
        elif what == b"s" and fd != home:
            own.append(ns - last)
    return times


def rules(bench: Bench) -> list[Row]:
    """One event against more and more rules."""
    section = "rules: record to answer, floor is 10 rules"
    shapes = [(count, "ids") for count in bench.scale.rules] + \
        [(bench.scale.rules[-1], shape)
         for shape in ("serials", "globs", "alike")]
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        plan = Plan(enter(rig.temporary_directory()))
        daemons = []
        for count, shape in shapes:
            standin = enter(StandIn(bench.table))
            daemon = enter(Daemon(standin, rig.rules_text(count, shape),
                                  unlimited=True))
            daemons.append(daemon)
            plan.daemon(f"{count}-{shape}-last", daemon, [rig.FIRST],
                        before=rig.replug(standin, rig.FIRST))
            plan.daemon(f"{count}-{shape}-none", daemon, [rig.NO_RULE], code=300,
                        source="sys-net")
        samples = plan.run(bench.scale.rounds // 4)
        rows = _rule_rows(section, shapes, samples)
        rows += _load_rows(bench, shapes, daemons)
    return rows


def _rule_rows(section: str, shapes: list, samples: dict) -> list[Row]:
    rows = []
    for which, words in (("last", "last matches"), ("none", "none matches")):
        floor = samples[f"{shapes[0][0]}-ids-{which}"]
        for count, shape in shapes:
            rows.append(against(
                section, f"{count:6} rules ({shape}), {words}",
                samples[f"{count}-{shape}-{which}"], floor,
                "ratio 5" if count == shapes[-1][0] else ""))
    return rows


def _load_rows(bench: Bench, shapes: list, daemons: list[Daemon]) -> list[Row]:
    taken: dict[int, Samples] = {n: Samples() for n in range(len(shapes))}
    for _ in range(bench.scale.reloads):
        for n, daemon in enumerate(daemons):
            pid = daemon.process.pid
            with contextlib.closing(
                    rig.harness.Control(daemon.control_socket)) as control:
                used, begin = rig.cpu_ns(pid), rig.time.monotonic_ns()
                control.call("Reload")
                taken[n].append(rig.time.monotonic_ns() - begin)
                taken[n].cpu.append(rig.cpu_ns(pid) - used)
    return [Row("rules: a reload", f"{count:6} rules ({shape})", "ms",
                taken[n].median() / 1000, taken[n].p99() / 1000,
                aim="below 100" if count == shapes[-1][0] else "",
                note=f"CPU {rig.statistics.median(taken[n].cpu) / 1e6:.2f} ms")
            for n, (count, shape) in enumerate(shapes)]


def burst(bench: Bench) -> list[Row]:
    """Many devices at once; the floor makes the same calls one by one."""
    rows = []
    for sticks, words in ((rig.ONE_TARGET, "into one target"),
                          (rig.MANY, f"into {rig.N_TARGETS} targets")):
        with contextlib.ExitStack() as stack:
            enter = stack.enter_context
            ours, other = (enter(StandIn(bench.table)) for _ in range(2))
            daemon = enter(Daemon(ours, rig.rules_text(len(rig.BASE_RULES)),
                                  unlimited=True))
            plan = Plan(enter(rig.temporary_directory()))
            plan.daemon("ours", daemon, sticks)
            record = bench.recording
            plan.floor("floor", other,
                       [call for stick in sticks
                        for call in record.unannounced[stick.disk]],
                       [call for stick in sticks
                        for call in record.detach[stick.disk]])
            ours.counts()
            rounds = max(1, bench.scale.rounds * 2 // len(sticks))
            samples = plan.run(rounds)
            rows.append(against("burst, all at once until all are attached",
                                f"{len(sticks)} devices {words}",
                                samples["ours"], samples["floor"]))
            rows[-1].note = calls_of(ours.counts(), (rounds + 1) * len(sticks))
    return rows


def chain(bench: Bench) -> list[Row]:
    """The real forwarder in front of it, and what both do when idle."""
    script = pathlib.Path(__file__).with_name("chain.py")
    with rig.temporary_directory() as directory:
        (directory / "table").write_text(bench.table, encoding="ascii")
        scale = bench.scale
        done = subprocess.run(
            [sys.executable, script, directory / "table",
             str(scale.rounds_chain), str(scale.records_chain),
             str(scale.idle_seconds)],
            check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        rig.fail("chain.py failed")
    told = rig.json.loads(done.stdout)
    bench.chain = told
    samples = {name: Samples(ns) for name, ns in told["samples"].items()}
    section = "whole chain, from the udev event on; floor is a bare monitor"
    return [against(section, "until the record is at qrexec",
                    samples["record"], samples["udev"]),
            against(section, "until the answer is back", samples["answer"],
                    samples["udev"])]


def idle(bench: Bench) -> list[Row]:
    """Measured along with the chain."""
    if not hasattr(bench, "chain"):
        chain(bench)
    return [Row(f"idle for {bench.scale.idle_seconds:g} s, all connected",
                f"{name}: times that it ran", "", bench.chain["idle"][name],
                aim="0") for name in ("daemon", "forwarder")]
