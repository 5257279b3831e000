# SPDX-License-Identifier: GPL-2.0-or-later
"""What is used up: CPU, memory, system calls, instructions; and programs."""

import collections
import contextlib
import pathlib
import re
import shutil
import signal

import rig
from events import Bench, chain
from rig import Daemon, Plan, Samples, StandIn
from table import Row, against

KNOWN = 100
SYSCALL = re.compile(r"^(?:\d+ +)?(\w+)\(")
INSTRUCTIONS = pathlib.Path(__file__).with_name("instructions.txt")


def _lines(directory: pathlib.Path) -> pathlib.Path:
    """Records of sticks that no rule matches."""
    path = directory / "lines"
    sticks = [rig.Stick(len(rig.STICKS) + n, "ffff", "work")
              for n in range(KNOWN)]
    path.write_text("\n".join(s.line("change") for s in sticks) + "\n",
                    encoding="ascii")
    return path


def flood(daemon: Daemon, lines: pathlib.Path, count: int) -> tuple[int, int]:
    """Wall time and CPU of the daemon for so many records."""
    wall, cpu = rig.load(["flood", daemon.event_socket, rig.preamble(), lines,
                          str(count), str(daemon.process.pid)]).split()
    return int(wall), int(cpu)


def throughput(bench: Bench) -> list[Row]:
    """Records that match nothing, against jansson with the same lines."""
    each = bench.scale.records // 20
    ours, floor, rates = Samples(), Samples(), []
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        lines = _lines(enter(rig.temporary_directory()))
        standin = enter(StandIn(bench.table))
        daemon = enter(Daemon(standin, rig.rules_text(len(rig.BASE_RULES) + 1),
                              unlimited=True))
        for _ in range(bench.scale.floods):
            wall, cpu = flood(daemon, lines, each)
            ours.append(cpu / each)
            rates.append(each / wall * 1e9)
            taken, count = rig.load(["parse", lines, str(each)]).split()
            floor.append(int(taken) / int(count))
    section = "throughput of records that match nothing"
    return [against(section, "CPU a record, floor is json_loadb() alone", ours,
                    floor),
            Row(section, "records a second and core", "1/s",
                1e6 / ours.median() if ours.median() else None),
            Row(section, "records a second, one connection", "1/s",
                rig.statistics.median(rates))]


def memory(bench: Bench) -> list[Row]:
    """KiB; the floor is a process with these libraries that does nothing."""
    rows = []
    if not hasattr(bench, "chain"):
        chain(bench)
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        directory = enter(rig.temporary_directory())
        lines = _lines(directory)
        empty = {side: rig.memory(rig.start(
            [rig.PROGRAMS / f"bench-empty-{side}"], directory, side, stack,
            stdin=rig.subprocess.PIPE).pid) for side in ("dom0", "sysusb")}
        standin = enter(StandIn(bench.table))
        daemon = enter(Daemon(standin, rig.rules_text(len(rig.BASE_RULES)),
                              unlimited=True))
        with daemon.forwarder():
            states = [("daemon, idle", "dom0", rig.memory(daemon.process.pid))]
            daemon.rules(rig.rules_text(bench.scale.rules[-2]))
            daemon.reload()
            states.append((f"daemon, {bench.scale.rules[-2]} rules", "dom0",
                           rig.memory(daemon.process.pid)))
            flood(daemon, lines, bench.scale.records)
            states.append((f"daemon, and {bench.scale.records} records",
                           "dom0", rig.memory(daemon.process.pid)))
        states += [("forwarder, idle", "sysusb", bench.chain["memory"]),
                   (f"forwarder, {bench.scale.records_chain} events", "sysusb",
                    bench.chain["memory_later"])]
        for what, side, kib in states:
            aim = {"daemon, idle": "below 2560",
                   "forwarder, idle": "below 2048"}.get(what, "")
            rows.append(Row("memory, PSS; floor is an empty process with the "
                            "libraries", what, "KiB", kib["pss"],
                            floor=empty[side]["pss"], aim=aim,
                            note=f"private {kib['private']}, RSS {kib['rss']}"))
    return rows


def commands(bench: Bench) -> list[Row]:
    """Wall time of programs, against one that only tells its version."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        directory = enter(rig.temporary_directory())
        standin = enter(StandIn(bench.table))
        many = bench.scale.rules[-1]
        daemon = enter(Daemon(standin, rig.rules_text(many), unlimited=True))
        forwarder = enter(daemon.forwarder())
        seq = forwarder.add("block", rig.NO_RULE.disk, parent=rig.NO_RULE.port,
                            **rig.NO_RULE.properties())
        forwarder.answer(seq)
        at = f"--socket {daemon.control_socket}"
        small = directory / "10-few.rules"
        small.write_text(rig.rules_text(10), encoding="ascii")
        plan = directory / "plan"
        plan.write_text("\n".join([
            f"version exit 0 {rig.CTL} --version",
            f"status exit 0 {rig.CTL} status {at}",
            f"check-few exit 0 {rig.CTL} check {small}",
            f"check exit 0 {rig.CTL} check {daemon.rules_dir}",
            f"explain exit {rig.EXPLAINED_NO_RULE} {rig.CTL} explain "
            f"sys-usb:{rig.NO_RULE.disk} {at}",
        ]) + "\n", encoding="ascii")
        samples = rig.take_samples(
            ["spawn", str(bench.scale.programs), plan])
    section = "commands, wall time; floor is qvm-autoattach --version"
    words = {"status": "status", "check-few": "check, 10 rules",
             "check": f"check, {many} rules",
             "explain": f"explain, {many} rules, none matches"}
    return [Row(section, text, "ms", samples[name].median() / 1000,
                samples[name].p99() / 1000, samples["version"].median() / 1000,
                samples["version"].p99() / 1000,
                "below 5" if name == "status" else "",
                note=f"CPU {rig.statistics.median(samples[name].cpu) / 1e6:.2f} "
                     "ms")
            for name, text in words.items()]


def start(bench: Bench) -> list[Row]:
    """exec to READY=1."""
    rows = []
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        directory = enter(rig.temporary_directory())
        standin = enter(StandIn(bench.table))
        lines = []
        for count in bench.scale.rules[:1] + bench.scale.rules[-2:]:
            rules = directory / f"rules-{count}"
            rules.mkdir(mode=0o755)
            (rules / "50.rules").write_text(rig.rules_text(count),
                                            encoding="ascii")
            lines.append(" ".join(map(str, [
                f"{count} ready 0", rig.BUILD / "dom0" / "qubes-autoattachd",
                "--qubesd-socket", standin.qubesd_socket,
                "--policy-socket", standin.policy_socket,
                "--agent-socket", standin.agent_socket,
                "--event-socket", directory / "event.sock",
                "--control-socket", directory / "control.sock",
                "--rules-dir", rules, "--state-dir", directory])))
        lines.append(f"version exit 0 {rig.BUILD}/dom0/qubes-autoattachd "
                     "--version")
        (directory / "plan").write_text("\n".join(lines) + "\n",
                                        encoding="ascii")
        samples = rig.take_samples(["spawn", str(bench.scale.programs),
                                    directory / "plan"])
    for name in list(samples)[:]:
        if name != "version":
            rows.append(Row("start, exec to READY=1; floor is --version",
                            f"with {name:>5} rules", "ms",
                            samples[name].median() / 1000,
                            samples[name].p99() / 1000,
                            samples["version"].median() / 1000,
                            samples["version"].p99() / 1000))
    return sorted(rows, key=lambda row: row.what)


def syscalls(bench: Bench) -> list[Row]:
    """What the daemon asks of the kernel for one event."""
    if not shutil.which("strace"):
        return []
    rounds = bench.scale.traced
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        directory = enter(rig.temporary_directory())
        standin = enter(StandIn(bench.table))
        trace = directory / "trace"
        daemon = enter(Daemon(
            standin, rig.rules_text(len(rig.BASE_RULES)), unlimited=True,
            tool=("strace", "-D", "-qq", "-s", "128", "-o", trace)))
        plan = Plan(directory)
        plan.daemon("ours", daemon, [rig.FIRST],
                    before=rig.replug(standin, rig.FIRST))
        plan.run(rounds)
        daemon.stop()
        text = trace.read_text(encoding="utf-8", errors="replace")
    section = "system calls of the daemon, by strace"
    return [Row(section, what, "", sum(counts.values()) / n,
                note=", ".join(f"{count / n:.3g} {name}" for name, count
                               in counts.most_common()))
            for what, (counts, n) in split_trace(text).items()]


def split_trace(text: str) -> dict:
    """Calls from the record of an event on to the next record: counts, events."""
    kinds = {'\\"action\\":\\"add\\"': "an attach, with its notification",
             "zz-barrier": None, '\\"action\\":\\"remove\\"': "a detach"}
    found: dict = {}
    now: collections.Counter | None = None
    for line in text.splitlines():
        match = SYSCALL.match(line)
        if not match:
            continue
        if match.group(1).startswith("recv") and '"{\\"type' in line:
            kind = next((name for mark, name in kinds.items() if mark in line),
                        None)
            now = None
            if kind:
                counts, n = found.get(kind, (collections.Counter(), 0))
                found[kind] = (counts, n + 1)
                now = counts
        if now is not None:
            now[match.group(1)] += 1
    return found


def _run_instructions(bench: Bench, rules: str, rounds: int,
                      stick: rig.Stick, code: int) -> int:
    """All instructions of a daemon that starts, has so many events, ends."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        standin = enter(StandIn(bench.table))
        daemon = enter(Daemon(
            standin, rules, unlimited=True,
            tool=("valgrind", "--tool=callgrind", "-q",
                  "--callgrind-out-file=/dev/null", "-v")))
        if rounds > 0:
            plan = Plan(enter(rig.temporary_directory()))
            plan.daemon("ours", daemon, [stick], code=code)
            plan.run(rounds - 1)
        process = daemon.process
        daemon.process = None
        process.end(signal.SIGTERM)
        told = re.search(r"Collected : (\d+)", process.stderr())
    if not told:
        rig.fail(f"callgrind told nothing: {process.stderr()}")
    return int(told.group(1))


def count_instructions(bench: Bench) -> dict[str, int]:
    """Differences of runs that are alike but for the number of events."""
    few, many = bench.scale.rules[0], bench.scale.rules[-1]
    n = bench.scale.traced
    found = {}
    base = {count: _run_instructions(bench, rig.rules_text(count), 1,
                                     rig.FIRST, 200) for count in (few, many)}
    for count in (few, many):
        all_ = _run_instructions(bench, rig.rules_text(count), n + 1,
                                 rig.FIRST, 200)
        found[f"plug and unplug, {count} rules"] = (all_ - base[count]) // n
    one = _run_instructions(bench, rig.rules_text(few), 1, rig.NO_RULE, 300)
    more = _run_instructions(bench, rig.rules_text(few), n + 1, rig.NO_RULE, 300)
    found[f"no rule matches, {few} rules"] = (more - one) // n
    found["to load a rule"] = (base[many] - base[few]) // (many - few)
    return found


def instructions(bench: Bench) -> list[Row]:
    """Against the table that is kept in the tree."""
    if not shutil.which("valgrind"):
        return []
    kept = {}
    for line in INSTRUCTIONS.read_text(encoding="ascii").splitlines():
        if line and not line.startswith("#"):
            number, _, what = line.partition(" ")
            kept[what] = int(number)
    return [Row("instructions, by callgrind; floor is instructions.txt", what,
                "", count, floor=kept.get(what))
            for what, count in count_instructions(bench).items()]
