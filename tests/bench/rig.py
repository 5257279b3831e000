# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured in: a stand-in for dom0 with the simulator's own bytes.

The simulated dom0 is Python and costs more than what is measured. So the
daemon is run once against it, every call and event is written down, and
bench-standin answers the same bytes in no time worth telling (standin-main.c).
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import select
import statistics
import string
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "integration"))

# pylint: disable=wrong-import-position
from tests.integration import harness  # noqa: E402
from tests.integration.harness import BUILD, Daemon, Sim  # noqa: E402
from tests.sim import wire  # noqa: E402
from tests.sim.client import (DEADLINE, Process, Stream,  # noqa: E402
                              fail, temporary_directory)

PROGRAMS = BUILD / "tests" / "bench"
CTL = BUILD / "dom0" / "qvm-autoattach"
LOAD = PROGRAMS / "bench-load"
SUBSCRIBE = b"admin.Events+ dom0 name dom0\0"
EMPTY = "-"
REPLUGS = 5
# of the kernel's numbers of a process' clock
CPUCLOCK_SCHED = 2

N_ONE_TARGET = 20
N_TARGETS = 8
N_MANY = 256
# as many devices as one source may have in work
PER_TARGET = N_MANY // N_TARGETS


@dataclasses.dataclass(frozen=True)
class Stick:
    """A USB stick with its disk."""

    number: int
    product: str
    target: str

    @property
    def disk(self) -> str:
        """sda, sdb, ..., sdz, sdaa, ..."""
        letters = string.ascii_lowercase
        high, low = divmod(self.number, len(letters))
        return "sd" + (letters[high - 1] if high else "") + letters[low]

    @property
    def port(self) -> str:
        """Its place."""
        return f"2-{self.number + 1}"

    @property
    def serial(self) -> str:
        """The first is the one of tests/integration/devices/sandisk-ultra."""
        return f"4C530001230822{115281 + self.number}"

    def devices(self) -> list[dict]:
        """For the simulator."""
        return [{"backend": "sys-usb", "port": self.port, "class": "usb",
                 "identity": f"0781:{self.product}:{self.serial}:u080650"},
                {"backend": "sys-usb", "port": self.disk, "class": "block",
                 "parent": self.port, "interface": "1.0"}]

    def properties(self) -> dict:
        """As the forwarder tells them."""
        return {"vendor_id": "0781", "product_id": self.product,
                "revision": "0100", "serial": self.serial,
                "vendor": "SanDisk", "model": "Ultra",
                "interfaces": ["080650"],
                "path": f"pci-0000:00:06.0-usb-0:{self.number + 1}",
                "devtype": "disk", "part_table": "dos", "size": 15376000000,
                "removable": True, "read_only": False,
                "diskseq": 24 + self.number}

    def line(self, action: str) -> str:
        """An event line for bench-load."""
        return json.dumps(
            {"type": "event", "seq": 0, "action": action, "class": "block",
             "device": self.disk, "parent": self.port,
             "properties": self.properties() if action != "remove" else {}},
            separators=(",", ":")).replace('"seq":0', '"seq":@SEQ@')


ONE_TARGET = [Stick(n, "5581", "work") for n in range(N_ONE_TARGET)]
MANY = [Stick(N_ONE_TARGET + n, f"560{n % N_TARGETS}", f"t{n % N_TARGETS}")
        for n in range(N_MANY)]
STICKS = ONE_TARGET + MANY
FIRST = STICKS[0]
NO_RULE = Stick(len(STICKS), "ffff", "work")
# 301 no-rule
EXPLAINED_NO_RULE = 3

BASE_RULES = [f"to-t{k}: allow block id 0781:560{k} to t{k}"
              for k in range(N_TARGETS)] + \
             ["stick: allow block id 0781:5581 to work"]


def rules_text(count: int, shape: str = "ids") -> str:
    """So many rules, those that match behind all others."""
    fill = {
        # each is for another stick
        "ids": 'f{n}: allow block id {a:04x}:{b:04x} serial "SN{n:06}" '
               'from sys-usb to work',
        # sticks of the same make, told apart by their serial numbers
        "serials": 'f{n}: allow block id 0781:5581 serial "SN{n:06}" '
                   'from sys-usb to work',
        # nothing but patterns
        "globs": 'f{n}: allow block id 07?1:* model "*Ul?ra*{n:06}" '
                 'from sys-usb to work',
        # patterns that the stick matches, all of them, in every rule
        "alike": 'f{n}: allow block id 07?1:* model "*Ul?ra*" max-size {k}K '
                 'from sys-usb to work',
    }[shape]
    lines = [fill.format(n=n, a=0x1000 + n // 256, b=n % 256, k=n + 1)
             for n in range(count - len(BASE_RULES))]
    return "\n".join(lines + BASE_RULES) + "\n"


def world(sticks: list[Stick]) -> dict:
    """A scenario in which all targets run."""
    targets = ["work", *(f"t{k}" for k in range(N_TARGETS))]
    return {"qubes": {"sys-usb": {"state": "Running"},
                      **{name: {"state": "Running"} for name in targets}},
            "devices": [device for stick in sticks
                        for device in stick.devices()],
            "behaviour": {"pieces": False}}


Call = tuple[str, bytes]


class Recording:
    """What the daemon asked of the simulator, and what that said and told.

    One stick for each target is recorded. What is said of the others is the
    same but for their names.
    """

    def __init__(self):
        sticks = ONE_TARGET[:1] + MANY[:N_TARGETS]
        self.answers: dict[Call, tuple[bytes, bytes]] = {}
        self.frames: dict[str, bytes] = {}
        # calls up to the answer of an event, by disk: to attach it when
        # qubesd's events have not told of it, when they have; to detach it
        self.unannounced: dict[str, list[Call]] = {}
        self.announced: dict[str, list[Call]] = {}
        self.detach: dict[str, list[Call]] = {}
        self._notify: dict[str, Call] = {}
        self._n = self._at = 0
        with Sim(world([*sticks, NO_RULE])) as sim, \
                Daemon(sim, "\n".join(BASE_RULES) + "\n",
                       unlimited=True) as daemon:
            sim.wait_subscribers()
            sim.wait_call(method="*.Attached", dest="dom0", done=True)
            self._take(sim, [])
            self.answers["qubesd", SUBSCRIBE] = (
                b"", wire.event_frame("", "connection-established"))
            with daemon.forwarder() as forwarder:
                self._cycle(sim, forwarder, sticks, self.unannounced)
                self._announce(sim, forwarder, sticks[0])
                self._explain(sim, daemon, forwarder)
            # it is not there any more; one device that it told of still is
            sim.wait_call(method="admin.vm.CurrentState", since=self._n,
                          done=True)
            self._take(sim, [])
        recorded = {stick.target: stick for stick in sticks}
        for stick in STICKS:
            if stick not in sticks:
                self._derive(stick, recorded[stick.target])

    def _derive(self, stick: Stick, like: Stick) -> None:
        """As if it had been recorded."""
        def renamed(data: bytes) -> bytes:
            for old, new in ((like.disk, stick.disk), (like.port, stick.port),
                             (like.serial, stick.serial)):
                data = re.sub(rb"(?<![0-9A-Za-z])" + old.encode("ascii")
                              + rb"(?![0-9A-Za-z])", new.encode("ascii"), data)
            return data

        def copied(call: Call) -> Call:
            answer, frames = self.answers[call]
            copy = call[0], renamed(call[1])
            if b".Attached+" in call[1]:  # the target has it as well
                name = b"+" + like.disk.encode("ascii") + b":"
                line, = (each for each in answer[2:].splitlines(True)
                         if name in each)
                self.answers[call] = answer + renamed(line), frames
                return call
            self.answers[copy] = renamed(answer), renamed(frames)
            return copy

        copied(self._notify[like.disk])
        for calls in self.unannounced, self.detach:
            calls[stick.disk] = [copied(call) for call in calls[like.disk]]

    def _cycle(self, sim: Sim, forwarder, sticks: list[Stick],
               calls: dict) -> None:
        """Attach all, detach all."""
        for action, code, into in (("add", 200, calls),
                                   ("remove", 203, self.detach)):
            seqs = [forwarder.event(
                action, "block", stick.disk, parent=stick.port,
                **(stick.properties() if action == "add" else {}))
                for stick in sticks]
            for seq in seqs:
                if (answer := forwarder.answer(seq))["code"] != code:
                    fail(f"{code} was awaited, not {answer}")
            if action == "add":
                sim.wait_call(method="policy.Notify", since=self._n, done=True,
                              count=len(sticks))
            into.update(self._take(sim, sticks))

    def _explain(self, sim: Sim, daemon: Daemon, forwarder) -> None:
        """What is asked for `qvm-autoattach explain` of a stick of no rule, and
        for `qvm-autoattach status`."""
        seq = forwarder.add("block", NO_RULE.disk, parent=NO_RULE.port,
                            **NO_RULE.properties())
        forwarder.answer(seq)
        done = subprocess.run(
            [CTL, "explain", f"sys-usb:{NO_RULE.disk}", "--socket",
             daemon.control_socket], check=False, stdout=subprocess.DEVNULL)
        if done.returncode != EXPLAINED_NO_RULE:
            fail(f"explain ended with {done.returncode}")
        done = subprocess.run(
            [CTL, "status", "--socket", daemon.control_socket], check=False,
            stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            fail(f"status ended with {done.returncode}")
        self._take(sim, [NO_RULE])

    def _announce(self, sim: Sim, forwarder, stick: Stick) -> None:
        """Attach it when qubesd's events have told of it. They may overtake
        nothing; so it may take some goes."""
        for _ in range(REPLUGS):
            self._replug(sim, stick)
            for _ in range(REPLUGS):
                forwarder.answer(forwarder.remove("block", "zz-barrier"))
            self._cycle(sim, forwarder, [stick], self.announced)
            if not any(b"Available" in request for _, request
                       in self.announced[stick.disk]):
                return

    def _replug(self, sim: Sim, stick: Stick) -> None:
        sim.unplug(backend="sys-usb", port=stick.port)
        sim.plug(devices=stick.devices())
        self.frames[f"replug:{stick.disk}"] = b"".join(
            self._frame(entry) for entry in self._journal(sim))

    def _journal(self, sim: Sim) -> list[dict]:
        entries = sim.journal(since=self._at)
        self._at = max((entry["at"] for entry in entries), default=self._at)
        return [entry for entry in entries if entry["what"] == "event"]

    @staticmethod
    def _frame(entry: dict) -> bytes:
        return wire.event_frame(entry["subject"], entry["event"],
                                tuple(entry["pairs"].items()))

    def _take(self, sim: Sim, sticks: list[Stick]) -> dict[str, list[Call]]:
        """The calls since the last time, up to the answer of the event, by the
        disk that they are for."""
        events: dict[tuple[str, str], bytes] = {}
        for entry in self._journal(sim):
            # device-pre-attach:block, device-detach:block of sys-usb:sda[:...]
            told = entry["pairs"].get("device", entry["pairs"].get("port", ""))
            key = entry["event"].partition(":")[0].rpartition("-")[2], \
                told.split(":")[1] if told else ""
            events[key] = events.get(key, b"") + self._frame(entry)

        calls: dict[str, list[Call]] = {stick.disk: [] for stick in sticks}
        at = {stick.target: stick.disk for stick in sticks}
        policy: dict[str, Call] = {}
        for call in sim.calls(since=self._n):
            self._n = max(self._n, call["n"])
            if call["stream"]:
                continue
            if call["state"] == "running":
                call, = sim.wait_call(n=call["n"], done=True)
            key = call["service"], bytes.fromhex(call["request"])
            verb = call["method"].rpartition(".")[2]
            disk = next((word for word in call["arg"].split("+")
                         if word in calls), "")
            if verb == "Attached":
                disk = at.get(call["dest"], "")
            frames = events.get((verb.lower(), disk), b"")
            self._keep(key, bytes.fromhex(call["answer"]), frames)
            if call["service"] == "policy":
                policy[call["dest"]] = key
            elif call["service"] == "qubesd" and disk:
                calls[disk].append(key)
            elif call["service"] == "agent":
                self._notify[disk] = key
        for stick in sticks if policy else ():
            calls[stick.disk].insert(0, policy[stick.target])
        return calls

    def _keep(self, key: Call, answer: bytes, frames: bytes) -> None:
        known = self.answers.setdefault(key, (answer, frames))[0]
        # the order of words changes from call to call (WIRE 1)
        if sorted(known) != sorted(answer):
            fail(f"two answers to {key}: {known!r}, {answer!r}")

    def table(self) -> str:
        """For bench-standin."""
        lines = [" ".join(["call", service, request.hex(),
                           answer.hex() or EMPTY, frames.hex() or EMPTY])
                 for (service, request), (answer, frames)
                 in self.answers.items()]
        lines += [f"frames {name} {frames.hex() or EMPTY}"
                  for name, frames in self.frames.items()]
        return "\n".join(lines) + "\n"


class StandIn:
    """bench-standin in a folder of its own; what a Daemon takes for a Sim."""

    def __init__(self, table: str):
        self._table = table
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "StandIn":
        with contextlib.ExitStack() as stack:
            self.dir = stack.enter_context(temporary_directory())
            (self.dir / "table").write_text(self._table, encoding="ascii")
            self.process = start(
                [PROGRAMS / "bench-standin", self.dir, self.dir / "table"],
                self.dir, "bench-standin", stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind, *_) -> None:
        said = self.process.stderr()
        self._stack.__exit__(None, None, None)
        if kind is None and said:
            fail(f"the stand-in said: {said}")

    @property
    def qubesd_socket(self) -> pathlib.Path:
        """As of a Sim."""
        return self.dir / "qubesd.sock"

    @property
    def policy_socket(self) -> pathlib.Path:
        """As of a Sim."""
        return self.dir / "policy.sock"

    @property
    def agent_socket(self) -> pathlib.Path:
        """As of a Sim."""
        return self.dir / "agent.sock"

    @property
    def bench_socket(self) -> pathlib.Path:
        """For commands."""
        return self.dir / "bench.sock"

    def counts(self) -> dict[str, int]:
        """Calls of each method since the last time."""
        with contextlib.closing(Stream(self.bench_socket, "counts")) as stream:
            stream.send(b"counts\n")
            return json.loads(stream.read_until(b"\n"))["counts"]


def start(command: list, directory: pathlib.Path, name: str,
          stack: contextlib.ExitStack, **options) -> Process:
    """A program that prints "ready" and lasts as long as the stack."""
    process = Process(command, directory, name, stdout=subprocess.PIPE,
                      **options)
    stack.callback(process.end)
    stdout = process.popen.stdout
    readable, _, _ = select.select([stdout], [], [], DEADLINE)
    if not readable or stdout.readline() != b"ready\n":
        fail(f"{name} does not get ready: {process.stderr()}")
    return process


def socket_of(standin: StandIn | Sim, service: str) -> pathlib.Path:
    """Where a service listens."""
    return {"qubesd": standin.qubesd_socket, "policy": standin.policy_socket,
            "agent": standin.agent_socket}[service]


def preamble(source: str = "sys-usb") -> str:
    """What a forwarder without devices says first, in hex."""
    hello = {"type": "hello", "version": 1, "boot_id": harness.BOOT_ID,
             "agent": "qubes-autoattach/bench"}
    return (f"autoattach.Event+ {source} name dom0\0".encode("ascii")
            + json.dumps(hello).encode("ascii") + b"\n"
            + b'{"type":"synced"}\n').hex()


class Plan:
    """The lanes of `bench-load latency`, and what they told."""

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        self.lines: list[str] = []
        self._n_files = 0

    def _file(self, lines: list[str]) -> pathlib.Path:
        self._n_files += 1
        path = self.directory / f"events-{self._n_files}"
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
        return path

    def daemon(self, name: str, daemon: Daemon, sticks: list[Stick],
               code: int = 200, before: list[str] | None = None,
               source: str = "sys-usb") -> None:
        """Sticks are plugged in until the daemon has answered them all."""
        self.lines += [f"lane {name}",
                       f"connect {daemon.event_socket} {preamble(source)}",
                       f"add {self._file([s.line('add') for s in sticks])} "
                       f"{code}",
                       "remove "
                       f"{self._file([s.line('remove') for s in sticks])} 203"]
        if before:
            self.lines.append("before " + " ".join(before))

    def trivial(self, name: str, standin: StandIn, stick: Stick,
                calls: list[Call], undo: list[Call],
                stack: contextlib.ExitStack,
                env: dict[str, str] | None = None) -> None:
        """The least that a daemon can do."""
        directory = stack.enter_context(temporary_directory())
        (directory / "calls").write_text("".join(
            f"{verb} {socket_of(standin, service)} {request.hex()}\n"
            for verb, some in (("add", calls), ("remove", undo))
            for service, request in some), encoding="ascii")
        start([PROGRAMS / "bench-trivial", directory, directory / "calls"],
              directory, "bench-trivial", stack,
              env={**os.environ, **(env or {})})
        self.lines += [f"lane {name}",
                       f"connect {directory / 'event.sock'} {preamble()}",
                       f"add {self._file([stick.line('add')])} 200",
                       f"remove {self._file([stick.line('remove')])} 203"]

    def floor(self, name: str, standin: StandIn | Sim, calls: list[Call],
              undo: list[Call]) -> None:
        """A bare client makes the same calls, one after another."""
        self.lines.append(f"lane {name}")
        self.lines.append(
            f"stream {standin.qubesd_socket} {SUBSCRIBE.hex()}")
        for verb, some in (("call", calls), ("undo", undo)):
            self.lines += [f"{verb} {socket_of(standin, service)} "
                           f"{request.hex()}" for service, request in some]

    def run(self, rounds: int) -> dict[str, "Samples"]:
        """The samples of each lane."""
        path = self.directory / "plan"
        path.write_text("\n".join(self.lines) + "\n", encoding="ascii")
        return take_samples(["latency", str(rounds), path])


class Samples(list):
    """Nanoseconds; of programs also their CPU time."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.cpu: list[int] = []

    def median(self) -> float:
        """In microseconds."""
        return statistics.median(self) / 1000

    def p99(self) -> float:
        """In microseconds."""
        return sorted(self)[min(len(self) - 1, len(self) * 99 // 100)] / 1000


def load(arguments: list) -> str:
    """What bench-load prints."""
    done = subprocess.run([LOAD, *arguments], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        fail(done.stderr)
    return done.stdout


def take_samples(arguments: list) -> dict[str, Samples]:
    """Lines of name, CPU time and time, by name."""
    samples: dict[str, Samples] = {}
    for line in load(arguments).splitlines():
        name, used, taken = line.split()
        samples.setdefault(name, Samples()).append(int(taken))
        samples[name].cpu.append(int(used))
    return samples


def replug(standin: StandIn, stick: Stick) -> list[str]:
    """The command that has qubesd's events tell of the stick anew."""
    return [os.fspath(standin.bench_socket),
            f"replug:{stick.disk}\n".encode("ascii").hex()]


def memory(pid: int) -> dict[str, int]:
    """KiB of a process: PSS, RSS, and what is its alone."""
    words: dict[str, int] = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(
            encoding="ascii").splitlines()[1:]:
        name, value, *_ = line.split()
        words[name.rstrip(":")] = int(value)
    return {"pss": words["Pss"], "rss": words["Rss"],
            "private": words["Private_Clean"] + words["Private_Dirty"]}


def runs_of(pid: int) -> int:
    """How often a process has been given the CPU: without that it makes no
    system call."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text(
        encoding="ascii").split()[2])


def state_of(pid: int) -> str:
    """R, S and so on, see proc(5)."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text(
        encoding="ascii").rpartition(") ")[2][0]


def cpu_ns(pid: int) -> int:
    """CPU time it has had until it last went to sleep, which is waited for:
    the kernel adds it up at ticks and when the process leaves the CPU, and
    calls it asleep a moment before that."""
    clock = (~pid << 3) | CPUCLOCK_SCHED
    deadline = time.monotonic() + DEADLINE
    while True:
        if state_of(pid) == "S":
            used = time.clock_gettime_ns(clock)
            if state_of(pid) == "S" and time.clock_gettime_ns(clock) == used:
                return used
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not come to rest")
        os.sched_yield()
