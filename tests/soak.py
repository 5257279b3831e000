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

from tests.demo import LISTED, PLUG, QUBES, STICK, Show  # noqa: E402
from tests.integration.harness import BUILD, Daemon, Sim  # noqa: E402
from tests.sim.client import (DEADLINE, Process, SimError,  # noqa: E402
                              temporary_directory)

RULES = "backup: allow block id 0781:5581 type disk to work\n"
# one cycle in so many has a kill
KILLS = 10
KILL_WITHIN_S = 0.2
GROWTH_MAX = 2 << 20


class Lost(Exception):
    """A plug that was not attached, or an unplug that was not detached."""


def memory_of(pid: int) -> int:
    """What is resident, in bytes."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.split("VmRSS:")[1].split()[0]) * 1024


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
        self.n_doubled = 0
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

    def good_attaches(self) -> int:
        """Of those that were asked for, how many qubesd has done."""
        return sum(call["answer_text"] == "0\0"
                   for call in self.sim.calls(method="*.Attach"))

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
            if wanted and self.good_attaches() > 1:
                self.n_doubled += 1
        self.sim.calls(clear=True)


def main() -> int:
    """See the head of this file."""
    n_cycles = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    chance = random.Random(seed)
    print(f"seed {seed}", flush=True)
    memory: list[int] = []
    descriptors: list[int] = []
    n_lost = 0
    begun = time.monotonic()
    scenario = {"qubes": {**QUBES}, "behaviour": {"attach_delay": 0.005}}
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Sim(scenario))
        daemon = stack.enter_context(Daemon(sim, RULES, unlimited=True))
        soak = Soak(sim, daemon, stack.enter_context(temporary_directory()))
        stack.callback(soak.end)
        soak.start_forwarder()
        soak.wait_idle()
        for i in range(1, n_cycles + 1):
            victim = chance.choice(list(soak.n_kills)) \
                if chance.randrange(KILLS) == 0 else None
            try:
                soak.cycle(victim, chance.random() * KILL_WITHIN_S,
                           chance.random() < 0.5)
            except (Lost, SimError) as error:
                n_lost += 1
                print(f"cycle {i}, {victim} was killed: {error}", flush=True)
                break
            if i > n_cycles // 10:
                memory.append(memory_of(daemon.process.pid))
                descriptors.append(len(os.listdir(f"/proc/{daemon.process.pid}/fd")))
            if i % 100 == 0:
                print(f"{i} cycles, {time.monotonic() - begun:.0f} s", flush=True)
    seconds = time.monotonic() - begun
    print(f"{n_cycles} cycles in {seconds:.0f} s, kills {soak.n_kills}, "
          f"{n_lost} lost, {soak.n_doubled} doubled")
    print(f"memory      {min(memory) // 1024} to {max(memory) // 1024} KiB")
    print(f"descriptors {min(descriptors)} to {max(descriptors)}")
    grown = max(memory) - min(memory) > GROWTH_MAX or \
        max(descriptors) - min(descriptors) > 8
    failed = n_lost + soak.n_doubled + grown
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
