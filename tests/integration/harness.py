# SPDX-License-Identifier: GPL-2.0-or-later
"""What integration tests are made of: the simulated dom0, the daemon, clients.

Nothing here sleeps: every wait is on a socket or a process, with a deadline.
A wait that fails tells what the daemon wrote and which calls were made.
"""

import contextlib
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

# Sim and the exceptions are part of what a test takes from here
# pylint: disable=wrong-import-position,unused-import
from sim.client import (DEADLINE, Clock, HarnessError, Process,  # noqa: E402,F401
                        Sim, SimError, Stream, fail, temporary_directory,
                        witnesses)

BUILD = pathlib.Path(os.environ.get("AUTOATTACH_BUILD", HERE.parent.parent / "build"))
QREXEC_CLIENT = HERE.parent / "sim" / "qrexec-client-vm"
INTERFACE = "org.qubes-contrib.autoattach"
SLOW = bool(os.environ.get("AUTOATTACH_SLOW"))
UNDER_VALGRIND = bool(os.environ.get("AUTOATTACH_VALGRIND"))
BOOT_ID = "0123456789abcdef0123456789abcdef"
SANITIZERS = re.compile(r"(Address|Leak|Memory|Thread)Sanitizer|runtime error: |"
                        r"UndefinedBehaviorSanitizer")


def takes_a_minute(test):
    """For a test that mostly waits: minute.py runs these side by side."""
    test = unittest.skipUnless(SLOW, "integration/minute runs it")(test)
    test.takes_a_minute = True
    return test


def is_sanitized() -> bool:
    """Whether the daemon was built with a sanitizer, or is run by valgrind: its
    memory tells nothing."""
    if UNDER_VALGRIND:
        return True
    with (BUILD / "dom0" / "qubes-autoattachd").open("rb") as program:
        data = program.read()
    return b"__asan_init" in data or b"__msan_init" in data


class Notify:
    """The service manager's end of sd_notify()."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.lines: list[str] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.fspath(path))

    def wait(self, wanted: str, process: Process) -> None:
        """Until a line came; lines before it are kept in `lines`."""
        clock = Clock()
        pidfd = os.pidfd_open(process.pid)
        try:
            while True:
                while self.lines:
                    if self.lines.pop(0) == wanted:
                        return
                self._receive(clock, pidfd, wanted)
        finally:
            os.close(pidfd)

    def _receive(self, clock: Clock, pidfd: int, wanted: str) -> None:
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        ready = [fd for fd, _ in poll.poll(clock.left() * 1000)]
        if self.socket.fileno() not in ready:
            fail(f"the daemon {'ended' if ready else 'is late'} before {wanted}")
        self.lines += self.socket.recv(65536).decode("utf-8").splitlines()

    def close(self) -> None:
        """No more."""
        self.socket.close()


class Daemon:
    """qubes-autoattachd against a simulated dom0, without systemd."""

    def __init__(self, sim: Sim, rules: str = "", *, unlimited: bool = False,
                 arguments: tuple = (), env: dict | None = None,
                 tool: tuple = ()):
        self.sim = sim
        self.first_rules = rules
        self.arguments = [*(["--unlimited"] if unlimited else []), *arguments]
        self.env = env or {}
        self.tool = tool  # before the program, as valgrind with its options
        self.process: Process | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Daemon":
        with contextlib.ExitStack() as stack:
            self.dir = stack.enter_context(temporary_directory())
            self.event_socket = self.dir / "event.sock"
            self.control_socket = self.dir / "control.sock"
            self.rules_dir = self.dir / "rules"
            self.state_dir = self.dir / "state"
            self.rules_dir.mkdir(mode=0o755)
            self.state_dir.mkdir(mode=0o700)
            self.notify = Notify(self.dir / "notify.sock")
            stack.callback(self.notify.close)
            if self.first_rules:
                self.rules(self.first_rules)
            witnesses.insert(0, self)
            stack.callback(witnesses.remove, self)
            stack.callback(self._bury)
            self.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind, *_) -> None:
        with self._stack:
            if kind is None and self.process is not None:
                self.stop()

    def _bury(self) -> None:
        if self.process is not None:
            self.process.end(signal.SIGKILL)
            self.process = None

    def start(self) -> None:
        """Start and wait for READY=1."""
        env = {**os.environ, "NOTIFY_SOCKET": os.fspath(self.notify.path),
               "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1",
               "UBSAN_OPTIONS": "print_stacktrace=1", **self.env}
        self.process = Process(
            [*self.tool, BUILD / "dom0" / "qubes-autoattachd",
             "--qubesd-socket", self.sim.qubesd_socket,
             "--policy-socket", self.sim.policy_socket,
             "--agent-socket", self.sim.agent_socket,
             "--event-socket", self.event_socket,
             "--control-socket", self.control_socket,
             "--rules-dir", self.rules_dir, "--state-dir", self.state_dir,
             *self.arguments],
            self.dir, "qubes-autoattachd", env=env, stdin=subprocess.DEVNULL)
        self.notify.wait("READY=1", self.process)

    def stop(self) -> None:
        """SIGTERM; it must end well and no sanitizer may have spoken."""
        process, self.process = self.process, None
        status = process.end()
        if status != 0 or SANITIZERS.search(process.stderr()):
            fail(f"{process.testimony()}\nthe daemon ended with {status}")

    def kill(self) -> None:
        """SIGKILL: a crash."""
        self._bury()

    def restart(self) -> None:
        """Stop in good order and start again, with the same state folder."""
        self.stop()
        self.start()

    def rules(self, text: str, name: str = "50-test.rules") -> None:
        """Write a rule file atomically; the daemon may see it by itself."""
        temporary = self.rules_dir / f".{name}.new"
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(0o644)
        temporary.rename(self.rules_dir / name)

    def reload(self) -> None:
        """SIGHUP, and until the reload is over."""
        self.notify.lines.clear()
        self.process.send_signal(signal.SIGHUP)
        self.notify.wait("RELOADING=1", self.process)
        self.notify.wait("READY=1", self.process)

    def connect(self, source: str = "sys-usb", **options) -> "EventConn":
        """A qrexec call of the event service."""
        return EventConn(self.event_socket, source, **options)

    def forwarder(self, source: str = "sys-usb", **options) -> "EventConn":
        """A call that has said hello and synced."""
        connection = self.connect(source, **options)
        connection.hello()
        connection.synced()
        return connection

    def call(self, method: str, **parameters) -> dict:
        """One call on the control socket."""
        with contextlib.closing(Control(self.control_socket)) as control:
            return control.call(method, parameters)

    def status(self) -> dict:
        """What GetStatus answers."""
        return self.call("GetStatus")

    def memory(self) -> int:
        """The bytes that it has for itself, page by page: the quicker figures of
        the kernel may be some hundred KiB behind."""
        text = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text(
            encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in text.splitlines()
                    if line.startswith("Anonymous:"))

    def wait_status(self, fits, what: str) -> dict:
        """Ask until the status fits; each try is a turn of the daemon's loop."""
        clock = Clock()
        with contextlib.closing(Control(self.control_socket)) as control:
            while not fits(status := control.call("GetStatus")):
                if clock.left() <= 0.001:
                    fail(f"the status never showed {what}: {status}")
        return status

    def outcomes(self, device: str | None = None) -> list[dict]:
        """The last outcomes of a device, or of all, oldest first."""
        return [outcome for outcome in self.status()["outcomes"]
                if device in (None, outcome["device"])]

    def wait_outcome(self, device: str, code: int, count: int = 1) -> dict:
        """Until a device has `count` outcomes of that code; the newest."""
        def found(status: dict) -> list[dict]:
            return [outcome for outcome in status["outcomes"]
                    if (outcome["device"], outcome["code"]) == (device, code)]
        status = self.wait_status(lambda status: len(found(status)) >= count,
                                  f"{count} times {code} for {device}")
        return found(status)[-1]

    def wait_job(self, state: str, device: str = "sda") -> dict:
        """Until a device's job is in a state."""
        def found(status: dict) -> list[dict]:
            return [job for job in status["jobs"]
                    if (job["device"], job["state"]) == (device, state)]
        return found(self.wait_status(found, f"{device} {state}"))[0]

    def wait_no_jobs(self) -> dict:
        """Until nothing is in work."""
        return self.wait_status(lambda status: status["n_jobs"] == 0, "no jobs")

    def testimony(self) -> str:
        """For a failed wait: what the daemon wrote."""
        return self.process.testimony() if self.process else "--- no daemon"


class EventConn:
    """One call of autoattach.Event, from the caller's side."""

    def __init__(self, path: pathlib.Path, source: str = "sys-usb", *,
                 kind: str = "name", descriptor: bytes | None = None):
        self.stream = Stream(path, f"event connection of {source}")
        self.seq = 0
        self._answers: dict[int | None, list[dict]] = {}
        if descriptor is None:
            target = {"name": "name dom0", "keyword": "keyword adminvm"}[kind]
            descriptor = f"autoattach.Event+ {source} {target}\0".encode("ascii")
        if descriptor:
            self.stream.send(descriptor)

    def __enter__(self) -> "EventConn":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def send(self, message: dict) -> None:
        """One line."""
        self.send_raw(json.dumps(message, ensure_ascii=False).encode("utf-8") + b"\n")

    def send_raw(self, data: bytes) -> None:
        """Any bytes."""
        self.stream.send(data)

    def hello(self, boot_id: str = BOOT_ID, version: int = 1,
              agent: str = "qubes-autoattach/test") -> None:
        """The first line."""
        self.send({"type": "hello", "version": version, "boot_id": boot_id,
                   "agent": agent})

    def synced(self) -> None:
        """The picture is whole."""
        self.send({"type": "synced"})

    def event(self, action: str, devclass: str, device: str, *,
              parent: str | None = None, seq: int | None = None,
              **properties) -> int:
        """An event line; its seq comes back."""
        self.seq = seq if seq is not None else self.seq + 1
        message = {"type": "event", "seq": self.seq, "action": action,
                   "class": devclass, "device": device}
        if parent is not None:
            message["parent"] = parent
        message["properties"] = properties
        self.send(message)
        return self.seq

    def add(self, devclass: str, device: str, **words) -> int:
        """A device that was plugged in."""
        return self.event("add", devclass, device, **words)

    def change(self, devclass: str, device: str, **words) -> int:
        """A device that is there, told anew."""
        return self.event("change", devclass, device, **words)

    def remove(self, devclass: str, device: str, **words) -> int:
        """A device that was unplugged."""
        return self.event("remove", devclass, device, **words)

    def present(self, devclass: str, device: str, **words) -> int:
        """A device that is there."""
        return self.event("present", devclass, device, **words)

    def read(self, timeout: float | None = None) -> dict | None:
        """The next answer line; None when the daemon has closed."""
        line = self.stream.read_until(b"\n", timeout)
        return json.loads(line) if line else None

    def answer(self, seq: int | None, timeout: float | None = None) -> dict:
        """The answer to one event; those to others are kept for later."""
        clock = Clock(timeout)
        while not self._answers.get(seq):
            message = self.read(clock.left())
            if message is None:
                fail(f"closed without an answer to {seq}")
            self._answers.setdefault(message["seq"], []).append(message)
        return self._answers[seq].pop(0)

    def eof(self) -> None:
        """End of the caller's input."""
        self.stream.shut()

    def wait_closed(self, timeout: float | None = None) -> list[dict]:
        """Until the daemon closes; all answers that were left."""
        left = [message for kept in self._answers.values() for message in kept]
        clock = Clock(timeout)
        while (message := self.read(clock.left())) is not None:
            left.append(message)
        return left

    def close(self) -> None:
        """The caller is gone."""
        self.stream.close()


class VarlinkError(Exception):
    """An error answer of the control socket."""

    def __init__(self, name: str, parameters: dict):
        super().__init__(f"{name} {parameters}")
        self.name = name
        self.parameters = parameters


class Control:
    """A Varlink client: JSON objects ended by NUL."""

    def __init__(self, path: pathlib.Path):
        self.stream = Stream(path, "control connection")

    def send(self, method: str, parameters: dict | None = None, **flags) -> None:
        """A call; a name without dots is one of the daemon's interface."""
        name = method if "." in method else f"{INTERFACE}.{method}"
        self.stream.send(json.dumps(
            {"method": name, "parameters": parameters or {}, **flags}).encode() + b"\0")

    def receive(self, timeout: float | None = None) -> dict:
        """A whole answer object; VarlinkError if it is an error."""
        data = self.stream.read_until(b"\0", timeout)
        if not data:
            fail("the control connection was closed")
        answer = json.loads(data)
        if "error" in answer:
            raise VarlinkError(answer["error"], answer.get("parameters", {}))
        return answer

    def call(self, method: str, parameters: dict | None = None,
             timeout: float | None = None) -> dict:
        """The parameters of the answer."""
        self.send(method, parameters)
        return self.receive(timeout).get("parameters", {})

    def more(self, method: str, parameters: dict | None = None):
        """The parameters of each answer of a call with `more`."""
        self.send(method, parameters, more=True)
        while True:
            answer = self.receive()
            yield answer.get("parameters", {})
            if not answer.get("continues"):
                return

    def close(self) -> None:
        """No more calls."""
        self.stream.close()


class Rig:
    """A simulated dom0 with a daemon in it: what most tests need."""

    def __init__(self, scenario: dict | None = None, rules: str = "", *,
                 dialect: str | None = None, seed: int | None = None,
                 **daemon_options):
        self.sim = Sim(scenario, dialect=dialect, seed=seed)
        self.daemon = Daemon(self.sim, rules, **daemon_options)
        self.since = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Rig":
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.sim)
            stack.enter_context(self.daemon)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception) -> None:
        self._stack.__exit__(*exception)

    def settle(self) -> None:
        """Until the calls that a start or a reconnect makes are over."""
        self.sim.wait_subscribers()
        self.daemon.wait_status(
            lambda status: status["qubesd"]["state"] != "gone", "qubesd")
        self.sim.wait_call(method="admin.vm.device.block.*", arg="", dest="dom0",
                           since=self.since, done=True)
        self.mark()

    def mark(self) -> None:
        """From here on requests() counts."""
        self.since = max((call["n"] for call in self.sim.calls()), default=0)

    def calls(self, **pattern) -> list[dict]:
        """The calls to qubesd since the mark."""
        return self.sim.calls(service="qubesd", since=self.since, **pattern)

    def requests(self) -> list[bytes]:
        """The exact bytes of all calls to qubesd since the mark."""
        return [bytes.fromhex(call["request"]) for call in self.calls()]

    def count(self, method: str, **pattern) -> int:
        """How many calls of a method, as "Attach", since the mark."""
        return len(self.calls(method=f"*.{method}", **pattern))
