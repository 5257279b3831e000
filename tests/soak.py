#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Plug and unplug very often, and kill what takes part; see soak.sh.

Usage: soak.py CYCLES [SEED]
"""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The forwarder waits up to a minute after many lost calls in a row.
SETTLE_S = 120.0
os.environ.setdefault("AUTOATTACH_DEADLINE", str(SETTLE_S))
sys.path.insert(0, str(ROOT))

from tests.demo import LISTED, PLUG, QUBES, Show  # noqa: E402
from tests.integration.harness import BUILD, Daemon, HarnessError, Sim  # noqa: E402
from tests.sim.client import Process, SimError, temporary_directory  # noqa: E402

RULES = "backup: allow block id 0781:5581 type disk to work\n"
# one cycle in so many has a kill
KILLS = 10
KILL_WITHIN_S = 0.2
# then a tenth as many without a kill, and no fewer than these
QUIET_MIN = 200
# a process in its life; and from the third to the last quarter of the quiet cycles
GROWTH_MAX = 1 << 20
GROWTH_DESCRIPTORS_MAX = 8
GROWTH_QUIET_MAX = 32 << 10
LOOKS = ("Attached", "Available", "List")


class Lost(Exception):
    """A plug that was not attached, or an unplug that was not detached."""


def memory_of(pid: int) -> int:
    """The bytes that it has for itself."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(text.split("\nAnonymous:")[1].split()[0]) * 1024


class Life:
    """One process, from its start to its end, looked at once a cycle."""

    def __init__(self, name: str, pid: int):
        self.name, self.pid = name, pid
        self.memory: list[int] = []
        self.descriptors: list[int] = []

    def look(self) -> None:
        """Now."""
        self.memory.append(memory_of(self.pid))
        self.descriptors.append(len(os.listdir(f"/proc/{self.pid}/fd")))

    def complaints(self, n_quiet: int) -> list[str]:
        """What grew over its life, and over so many last cycles, in which nothing
        was killed: these have to be flat."""
        wrong = []
        for what, values, most in (
                ("bytes", self.memory, GROWTH_MAX),
                ("descriptors", self.descriptors, GROWTH_DESCRIPTORS_MAX)):
            if max(values) - values[0] > most:
                wrong.append(f"the {self.name} of {len(values)} cycles grew from "
                             f"{values[0]} to {max(values)} {what}")
        quarter = n_quiet // 4
        for what, values, most in (
                ("bytes", self.memory, GROWTH_QUIET_MAX),
                ("descriptors", self.descriptors, 0)):
            if quarter and min(values[-quarter:]) - \
                    min(values[-2 * quarter:-quarter]) > most:
                wrong.append(
                    f"the {self.name} grows while nothing is killed: from "
                    f"{min(values[-2 * quarter:-quarter])} to "
                    f"{min(values[-quarter:])} {what} in {quarter} cycles")
        return wrong


def is_doubled(calls: list[dict], killed: bool) -> bool:
    """Whether, of the calls of a plug and its unplug, an Attach is one too many. A
    kill may explain another one, if there was a look before it, and the device
    was not attached yet."""
    n_good = n_attaches = 0
    looked = True
    for call in calls:
        method = call["method"].rsplit(".", 1)[-1]
        looked = looked or method in LOOKS
        if method != "Attach":
            continue
        n_attaches += 1
        if n_good or not looked or (n_attaches > 1 and not killed):
            return True
        n_good += call["answer_text"] == "0\0"
        looked = False
    return False


class Stick(Show):
    """Plugged and unplugged while nobody begins or ceases to listen: umockdev
    ends when it sends to a monitor that comes or goes just then."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.sending = threading.Lock()

    def tell(self, word: str) -> None:
        with self.sending:
            super().tell(word)


class Soak:
    """The three that can be killed, and the stick."""

    def __init__(self, sim: Sim, daemon: Daemon, directory: pathlib.Path):
        self.sim, self.daemon, self.directory = sim, daemon, directory
        self.forwarder: Process | None = None
        self.n_kills = dict.fromkeys(("daemon", "forwarder", "qubesd"), 0)
        self.n_cycles = self.n_doubled = 0
        self.lives: dict[int, Life] = {}
        services = directory / "rpc"
        services.mkdir()
        (services / "autoattach.Event").symlink_to(daemon.event_socket)
        mock = directory / "mock.sock"
        served = subprocess.run([PLUG, "serve", mock], check=True, text=True,
                                stdout=subprocess.PIPE).stdout.strip()
        name, _, value = served.partition("=")
        self.environment = {
            **os.environ, name: value, "SYSTEMD_DEVICE_VERIFY_SYSFS": "0",
            "SIM_QREXEC_DIR": os.fspath(services)}
        self.mock_root = pathlib.Path(value)
        self.show = Stick(sim, daemon, mock)

    def start_forwarder(self) -> None:
        """Also once more after a kill; until it listens."""
        for path in self.mock_root.glob("event*"):
            path.unlink()
        self.forwarder = Process(
            ["umockdev-wrapper", BUILD / "sysusb" / "qubes-autoattach-forwarder",
             "--qrexec-client", ROOT / "tests" / "sim" / "qrexec-client-vm"],
            self.directory, "forwarder", stdin=subprocess.DEVNULL,
            env=self.environment)
        until = time.monotonic() + SETTLE_S
        while not list(self.mock_root.glob("event*")):
            if time.monotonic() > until or not self.forwarder.is_alive():
                raise Lost(self.forwarder.testimony())

    def end(self) -> None:
        """The forwarder and the mock devices."""
        if self.forwarder is not None:
            self.forwarder.end()
        subprocess.run([PLUG, "tell", self.show.mock, "quit"], check=False,
                       stdout=subprocess.DEVNULL)

    def kill(self, victim: str) -> None:
        """SIGKILL, or a crash of qubesd, and start it again."""
        self.n_kills[victim] += 1
        if victim == "daemon":
            self.daemon.kill()
            self.daemon.start()
        elif victim == "forwarder":
            with self.show.sending:
                self.forwarder.end(signal.SIGKILL)
                self.start_forwarder()
        else:
            self.sim.crash(service="qubesd")
            self.sim.restart(service="qubesd")

    def attached_to(self) -> list[str]:
        """Who has the disk, as the hypervisor sees it."""
        found = [device.get("attachment") for device in self.sim.state()["devices"]
                 if device["port"] == "sda"]
        return [qube for qube in found if qube]

    def wait_attached(self, wanted: list[str], what: str) -> None:
        """Until it is so."""
        until = time.monotonic() + SETTLE_S
        while self.attached_to() != wanted:
            if time.monotonic() > until:
                raise Lost(f"{what}: {self.attached_to()}, not {wanted}")

    def wait_idle(self) -> None:
        """Until the daemon knows of it as well, and has nothing more to do."""
        self.daemon.wait_status(
            lambda status: status["n_jobs"] == 0 and
            status["qubesd"]["state"] == "connected" and
            any(source["forwarder"] for source in status["sources"]),
            "an idle daemon with a forwarder")

    def look(self) -> None:
        """At those that live now."""
        for name, process in (("daemon", self.daemon.process),
                              ("forwarder", self.forwarder)):
            self.lives.setdefault(process.pid, Life(name, process.pid)).look()

    def cycle(self, victim: str | None, after_s: float, plug: bool) -> None:
        """Once in and out, with a kill a moment after one of the two."""
        for acts, wanted in ((self.show.plug, ["work"]), (self.show.unplug, [])):
            killer = None
            if victim and plug == bool(wanted):
                killer = threading.Timer(after_s, self.kill, (victim,))
                killer.start()
            acts()
            if killer is not None:
                killer.join()
            self.wait_attached(wanted, "a plug" if wanted else "an unplug")
            if killer is not None:
                self.wait_idle()
        # an Attach that comes later is one of the next cycle, and too many there
        self.n_doubled += is_doubled(self.sim.calls(clear=True), victim is not None)
        self.n_cycles += 1
        self.look()

    def run(self, n_cycles: int, n_quiet: int, chance: random.Random) -> None:
        """All of them."""
        begun = time.monotonic()
        for i in range(1, n_cycles + n_quiet + 1):
            victim = chance.choice(list(self.n_kills)) \
                if i <= n_cycles and chance.randrange(KILLS) == 0 else None
            try:
                self.cycle(victim, chance.random() * KILL_WITHIN_S,
                           chance.random() < 0.5)
            except (Lost, SimError, HarnessError) as error:
                raise Lost(f"cycle {i}, {victim} was killed: {error}") from error
            if i % 100 == 0:
                print(f"{i} cycles, {time.monotonic() - begun:.0f} s", flush=True)

    def report(self, n_quiet: int) -> list[str]:
        """Print what was seen; what is wrong with it."""
        wrong = [f"{self.n_doubled} doubled"] if self.n_doubled else []
        for name in ("daemon", "forwarder"):
            lives = [life for life in self.lives.values() if life.name == name]
            if not lives:
                continue
            memory = [value for life in lives for value in life.memory]
            descriptors = [value for life in lives for value in life.descriptors]
            print(f"{name:11} {len(lives)} one after the other, {min(memory) // 1024} "
                  f"to {max(memory) // 1024} KiB, {min(descriptors)} to "
                  f"{max(descriptors)} descriptors")
            for life in lives:
                wrong += life.complaints(n_quiet if life is lives[-1] else 0)
        return wrong


def main() -> int:
    """See the head of this file."""
    n_cycles = int(sys.argv[1])
    n_quiet = max(n_cycles // 10, QUIET_MIN)
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    wrong = []
    begun = time.monotonic()
    scenario = {"qubes": {**QUBES}, "behaviour": {"attach_delay": 0.005}}
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Sim(scenario))
        daemon = stack.enter_context(Daemon(sim, RULES, unlimited=True))
        soak = Soak(sim, daemon, stack.enter_context(temporary_directory()))
        stack.callback(soak.end)
        soak.start_forwarder()
        soak.wait_idle()
        try:
            soak.run(n_cycles, n_quiet, random.Random(seed))
        except Lost as error:
            wrong.append(str(error))
            n_quiet = 0
    print(f"{soak.n_cycles} cycles in {time.monotonic() - begun:.0f} s, the last "
          f"{n_quiet} without kills; kills {soak.n_kills}, {len(wrong)} lost, "
          f"{soak.n_doubled} doubled")
    wrong += soak.report(n_quiet)
    for complaint in wrong:
        print(f"wrong: {complaint}")
    print(f"{len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
