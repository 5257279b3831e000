#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole chain: udev event to answer, through the real forwarder and daemon.

    chain.py TABLE ROUNDS RECORDS IDLE_SECONDS

Run by bench.py. umockdev makes the udev events, bench-relay stands in for
qrexec, bench-standin for dom0. A bare udev monitor gets the same events: that
is the floor. Prints one JSON object.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "support"))

# pylint: disable=wrong-import-position
import plug  # noqa: E402

if __name__ == "__main__":
    plug.require_wrapper()

import rig  # noqa: E402

# what was left out of the log is told a second behind it
SETTLE_SECONDS = 3
FORWARDER = rig.BUILD / "sysusb" / "qubes-autoattach-forwarder"


class Told:
    """What relay and monitor tell."""

    def __init__(self, path: pathlib.Path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.fspath(path))
        self.socket.settimeout(rig.DEADLINE)

    def event(self, disk: str) -> dict[str, int]:
        """When the monitor had an event of the disk, when its record came by
        and when its answer did."""
        times: dict[str, int] = {}
        seqs = set()
        while len(times) < 3:
            what, ns, text = self.socket.recv(1 << 17).split(b" ", 2)
            if what == b"udev" and text.split()[1] == disk.encode():
                times["udev"] = int(ns)
            elif what == b"record":
                for line in text.splitlines():
                    if (event := json.loads(line)).get("device") == disk:
                        times["record"] = int(ns)
                        seqs.add(event["seq"])
            elif what == b"answer":
                for line in text.splitlines():
                    if json.loads(line)["seq"] in seqs:
                        times["answer"] = int(ns)
        return times

    def picture(self, disk: str) -> None:
        """Until what is there at the start has been answered."""
        seq = None
        while True:
            what, _, text = self.socket.recv(1 << 17).split(b" ", 2)
            for line in text.splitlines() if what != b"udev" else ():
                message = json.loads(line)
                if message.get("device") == disk:
                    seq = message["seq"]
                elif "code" in message and message["seq"] == seq:
                    return


@contextlib.contextmanager
def unmocked():
    """What is started here knows nothing of umockdev."""
    kept = dict(os.environ)
    for name in ("LD_PRELOAD", "UMOCKDEV_DIR"):
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.update(kept)


class Chain:
    """All that takes part."""

    def __init__(self, table: str, stack):
        self.directory = stack.enter_context(rig.temporary_directory())
        self.testbed = plug.Testbed()
        stack.callback(self.testbed.close)
        mocked = self.testbed.environment()
        with unmocked():
            self.standin = stack.enter_context(rig.StandIn(table))
            self.daemon = stack.enter_context(rig.Daemon(
                self.standin, rig.rules_text(len(rig.BASE_RULES)),
                unlimited=True))
        stick = plug.description("sandisk-ultra")
        self.disk = plug.find(stick, rig.FIRST.disk)
        self.testbed.plug(stick)

        self.told = Told(self.directory / "told")
        (self.directory / "autoattach.Event").symlink_to(
            self.daemon.event_socket)
        mocked |= {"BENCH_RELAY": os.fspath(self.directory / "told"),
                   "SIM_QREXEC_DIR": os.fspath(self.directory)}
        rig.start([rig.PROGRAMS / "bench-udev"], self.directory, "bench-udev",
                  stack, env=mocked)
        self.forwarder = rig.Process(
            [FORWARDER, "--qrexec-client", rig.PROGRAMS / "bench-relay"],
            self.directory, "forwarder", env=mocked, stdin=subprocess.DEVNULL)
        stack.callback(self.forwarder.end)
        self.told.picture(rig.FIRST.disk)

    def event(self, action: str) -> dict[str, int]:
        """An event of the disk; times since then, in nanoseconds."""
        begin = time.monotonic_ns()
        self.testbed.change(self.disk, action=action)
        return {name: ns - begin
                for name, ns in self.told.event(rig.FIRST.disk).items()}

    def rounds(self, count: int) -> dict[str, list[int]]:
        """Plugged in and pulled out so often."""
        samples: dict[str, list[int]] = {"udev": [], "record": [], "answer": []}
        for n in range(count + 1):
            self.event("remove")
            times = self.event("add")
            for name, ns in times.items() if n > 0 else ():
                samples[name].append(ns)
        return samples

    def idle(self, seconds: float) -> dict[str, int]:
        """How often each was given the CPU while nothing happened."""
        pids = {"daemon": self.daemon.process.pid,
                "forwarder": self.forwarder.pid}
        # what was done last has to be over
        time.sleep(min(seconds, SETTLE_SECONDS))
        before = {name: rig.runs_of(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        return {name: rig.runs_of(pid) - before[name]
                for name, pid in pids.items()}


def main(table: str, rounds: str, records: str, idle_seconds: str) -> None:
    """Measure, print."""
    text = pathlib.Path(table).read_text(encoding="ascii")
    with contextlib.ExitStack() as stack:
        chain = Chain(text, stack)
        first = rig.memory(chain.forwarder.pid)
        samples = chain.rounds(int(rounds))
        chain.rounds(int(records) // 2)
        with contextlib.closing(
                rig.harness.Control(chain.daemon.control_socket)) as control:
            # a client that waits for what comes
            control.send("GetHistory", {"n": 0}, more=True)
            control.receive()
            idle = chain.idle(float(idle_seconds))
        print(json.dumps({
            "samples": samples, "idle": idle, "memory": first,
            "memory_later": rig.memory(chain.forwarder.pid)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
