# SPDX-License-Identifier: GPL-2.0-or-later
"""A test's end of the simulated dom0: starting it, telling it, asking it.

Nothing here sleeps: every wait is on a socket or a process, with a deadline.
A wait that fails tells what was written and which calls were made.
"""

import atexit
import contextlib
import fnmatch
import functools
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
# of what is waited for: what takes long on purpose takes 10 s, and what is done in
# no time may have to wait for a CPU
DEADLINE = float(os.environ.get("AUTOATTACH_DEADLINE", "60"))
CALLS_SHOWN = 60

# compiled modules, so that starting is fast without writing to the source tree
_compiled = tempfile.mkdtemp(prefix="aa-")
atexit.register(shutil.rmtree, _compiled, ignore_errors=True)
# everything alive that has something to tell when a wait fails
witnesses: list = []


class HarnessError(AssertionError):
    """A wait ran over its deadline, or somebody ended who should not have."""


def fail(message: str):
    """Raise with the words of all witnesses."""
    parts = [message]
    for witness in list(witnesses):
        with contextlib.suppress(OSError, ValueError, HarnessError):
            parts.append(witness.testimony())
    raise HarnessError("\n".join(parts))


class Clock:
    """What is left of a deadline."""

    def __init__(self, seconds: float | None = None):
        self.end = time.monotonic() + (DEADLINE if seconds is None else seconds)

    def left(self) -> float:
        """Seconds, never less than a moment."""
        return max(self.end - time.monotonic(), 0.001)


class Stream:
    """A Unix stream socket read up to a delimiter, with deadlines."""

    def __init__(self, path: pathlib.Path, what: str):
        self.what = what
        self.buffer = b""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(DEADLINE)
        try:
            self.socket.connect(os.fspath(path))
        except OSError:
            self.socket.close()
            raise

    def send(self, data: bytes) -> None:
        """Write everything; BrokenPipeError if the peer has closed."""
        self.socket.settimeout(DEADLINE)
        try:
            self.socket.sendall(data)
        except TimeoutError:
            fail(f"{self.what}: the peer does not read")
        except ConnectionResetError as error:
            # it has closed at this very moment, and something was unread
            raise BrokenPipeError(*error.args) from error

    def _fill(self, clock: Clock) -> bool:
        self.socket.settimeout(clock.left())
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            fail(f"{self.what}: nothing more came after {self.buffer!r}")
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return bool(data)

    def read_until(self, delimiter: bytes, timeout: float | None = None) -> bytes:
        """Up to the delimiter, without it; b"" at the end of input."""
        clock = Clock(timeout)
        while delimiter not in self.buffer:
            if not self._fill(clock):
                if self.buffer:
                    fail(f"{self.what}: ended in the middle: {self.buffer!r}")
                return b""
        found, _, self.buffer = self.buffer.partition(delimiter)
        return found

    def read_all(self, timeout: float | None = None) -> bytes:
        """Everything up to the end of input."""
        clock = Clock(timeout)
        while self._fill(clock):
            pass
        found, self.buffer = self.buffer, b""
        return found

    def shut(self) -> None:
        """End of input for the peer."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Both directions."""
        self.socket.close()


class Process:
    """A child whose stderr goes to a file and whose end can be waited for."""

    def __init__(self, command: list, directory: pathlib.Path, name: str, **options):
        self.name = name
        self.stderr_path = directory / f"{name}.stderr"
        with self.stderr_path.open("ab") as stderr:
            self.popen = subprocess.Popen(  # pylint: disable=consider-using-with
                list(map(os.fspath, command)), stderr=stderr, **options)
        self.pid = self.popen.pid
        self._pidfd = os.pidfd_open(self.pid)

    def stderr(self) -> str:
        """All it has written so far."""
        return self.stderr_path.read_text(encoding="utf-8", errors="replace")

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.popen.poll() is None

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        self.popen.send_signal(number)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, negative for a signal."""
        if self.popen.returncode is None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            if not poll.poll(Clock(timeout).left() * 1000):
                fail(f"{self.name} (pid {self.pid}) does not end")
        return self.popen.wait()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signal, wait, clean up; the exit status."""
        if self.is_alive():
            self.send_signal(number)
        status = self.wait()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        if self.popen.stdout:
            self.popen.stdout.close()
        return status

    def testimony(self) -> str:
        """For a failed wait."""
        return f"--- {self.name} (exit {self.popen.poll()}):\n{self.stderr()}"


@contextlib.contextmanager
def temporary_directory():
    """A short path: a socket's name has 107 bytes."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="aa-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class SimError(Exception):
    """The simulator refused a command."""


class Sim:
    """The simulated dom0 in a folder of its own.

    Every control command is also a method: sim.qube_stop(name="work") is
    sim.cmd("qube-stop", name="work").
    """

    def __init__(self, scenario: dict | None = None, *, dialect: str | None = None,
                 seed: int | None = None, keeps_state: bool = False):
        self.scenario = scenario or {}
        self.options = []
        if dialect:
            self.options += ["--dialect", dialect]
        if seed is not None:
            self.options += ["--seed", str(seed)]
        self.keeps_state = keeps_state
        self.process: Process | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Sim":
        with contextlib.ExitStack() as stack:
            self.dir = stack.enter_context(temporary_directory())
            (self.dir / "scenario.json").write_text(json.dumps(self.scenario),
                                                    encoding="utf-8")
            if self.keeps_state:
                self.options += ["--state", os.fspath(self.dir / "state.json")]
            stack.callback(self.kill)
            self.start()
            witnesses.append(self)
            stack.callback(witnesses.remove, self)
            self._stack = stack.pop_all()
        return self

    def start(self) -> None:
        """Start, also once more after a kill."""
        env = {**os.environ, "PYTHONPYCACHEPREFIX": _compiled}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        self.process = Process(
            ["/usr/bin/python3", "-S", HERE / "simdom0", "--dir", self.dir,
             "--scenario", self.dir / "scenario.json", *self.options],
            self.dir, "simdom0", env=env, stdout=subprocess.PIPE)
        self._await_ready()

    def kill(self) -> None:
        """SIGKILL: with keeps_state the world is what it was at start()."""
        if self.process is not None:
            self.process.end(signal.SIGKILL)

    def _await_ready(self) -> None:
        stdout = self.process.popen.stdout
        readable, _, _ = select.select([stdout], [], [], DEADLINE)
        if not readable or stdout.readline() != b"ready\n":
            fail("simdom0 does not get ready")

    def __exit__(self, kind, *_) -> None:
        with self._stack:
            status = self.process.end()
            if kind is None and (status or self.process.stderr()):
                fail(f"simdom0 ended with {status}")

    @property
    def qubesd_socket(self) -> pathlib.Path:
        """Where the Admin API listens."""
        return self.dir / "qubesd.sock"

    @property
    def policy_socket(self) -> pathlib.Path:
        """Where the policy daemon listens."""
        return self.dir / "policy.sock"

    @property
    def agent_socket(self) -> pathlib.Path:
        """Where the policy agent listens, while somebody is logged in."""
        return self.dir / "agent.sock"

    def cmd(self, command: str, /, **words) -> dict:
        """Run a control command; its answer without `ok`."""
        stream = Stream(self.dir / "sim.sock", f"sim {command}")
        try:
            request = {"cmd": command, **{key.rstrip("_"): value
                                       for key, value in words.items()}}
            if command.startswith("wait-"):
                request.setdefault("timeout", DEADLINE)
            stream.send(json.dumps(request).encode("ascii") + b"\n")
            answer = json.loads(stream.read_until(
                b"\n", request.get("timeout", 0) + DEADLINE))
        finally:
            stream.close()
        if not answer.pop("ok"):
            if answer["error"] == "timeout":
                fail(f"sim {command} {words}: did not happen")
            raise SimError(f"{command}: {answer['error']}")
        return answer

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        return functools.partial(self.cmd, name.replace("_", "-"))

    def state(self) -> dict:
        """The whole state."""
        return self.cmd("state")["state"]

    def device(self, port: str, backend: str = "sys-usb") -> dict:
        """One device of the state."""
        return next(device for device in self.state()["devices"]
                    if (device["backend"], device["port"]) == (backend, port))

    def calls(self, **pattern) -> list[dict]:
        """The calls that fit: method="*.Attach", dest=..., service=..."""
        return self.cmd("calls", **pattern)["calls"]

    def wait_call(self, **pattern) -> list[dict]:
        """The calls that fit, once there are `count` (1) of them."""
        return self.cmd("wait-call", **pattern)["calls"]

    def wait_window(self, **words) -> list[dict]:
        """The open prompts, once there are `count` (1) of them."""
        return self.cmd("wait-window", **words)["windows"]

    def journal(self, since: int = 0, what: str | None = None) -> list[dict]:
        """Calls that began and ended, events and commands, in order."""
        return self.cmd("journal", since=since, what=what)["journal"]

    def most_at_once(self, method: str, **words) -> int:
        """How many calls of a method were in work at the same time."""
        most = now = 0
        for entry in self.journal():
            if entry["what"] in ("begin", "end") and \
                    fnmatch.fnmatchcase(entry["method"], method) and \
                    all(entry[key] == value for key, value in words.items()):
                now += 1 if entry["what"] == "begin" else -1
                most = max(most, now)
        return most

    @contextlib.contextmanager
    def held(self, **pattern):
        """Hold calls inside a with block; its value is the hold's id."""
        hold = self.cmd("hold", **pattern)["id"]
        try:
            yield hold
        finally:
            with contextlib.suppress(SimError):
                self.cmd("release", id=hold)

    def raw(self, request: bytes, timeout: float | None = None) -> bytes:
        """A request to qubesd as bytes, its answer as bytes."""
        stream = Stream(self.qubesd_socket, repr(request[:80]))
        try:
            stream.send(request)
            stream.shut()
            return stream.read_all(timeout)
        finally:
            stream.close()

    def admin(self, call: str, dest: str = "dom0", payload: bytes = b"") -> bytes:
        """METHOD+ARG from dom0 to a qube; the answer as bytes."""
        return self.raw(f"{call} dom0 name {dest}".encode("ascii") + b"\0" + payload)

    def testimony(self) -> str:
        """For a failed wait: the last calls."""
        lines = [self.process.testimony()]
        if self.process.is_alive():
            for call in self.calls()[-CALLS_SHOWN:]:
                lines.append(
                    f"  {call['n']:4} {call['service']} {call['method']}"
                    f"+{call['arg']} -> {call['dest']} {call['payload']!r}"
                    f" {call['state']} {call['answer_text'][:160]!r}"
                    f"{' fault ' + call['fault'] if call['fault'] else ''}")
        return "\n".join(lines)
