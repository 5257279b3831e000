# SPDX-License-Identifier: GPL-2.0-or-later
"""qvm-autoattach as a test runs it: in pipes, on a terminal, for a while."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from daemoncase import DaemonCase  # noqa: E402
from harness import BUILD, DEADLINE, Clock, Rig, fail  # noqa: E402

COMMAND = BUILD / "dom0" / "qvm-autoattach"
# what a terminal acts upon, and what changes or hides other text
DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e"
                       "\u2066-\u2069\ufeff]")


def run(*arguments, env: dict | None = None, **options) -> subprocess.CompletedProcess:
    """The command with its standard streams in pipes."""
    return subprocess.run(
        [COMMAND, *arguments], capture_output=True, check=False, timeout=DEADLINE,
        stdin=subprocess.DEVNULL, encoding="utf-8",
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}, **options)


def run_on_terminal(*arguments, rows: int = 24, columns: int = 80,
                    env: dict | None = None) -> str:
    """What the command writes on a terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen([COMMAND, *arguments], stdin=slave, stdout=slave,
                          stderr=slave, env={**environment, **(env or {})}):
        os.close(slave)
        output = b""
        # a terminal whose other end is closed answers EIO
        with contextlib.suppress(OSError):
            while data := os.read(master, 65536):
                output += data
    os.close(master)
    return output.decode("utf-8").replace("\r\n", "\n")


class Running:
    """The command in pipes, while it goes on."""

    def __init__(self, *arguments):
        # it ends in close()
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [COMMAND, *arguments], stdin=subprocess.DEVNULL, bufsize=0,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C.UTF-8"})
        self.streams = {"out": self.process.stdout, "err": self.process.stderr}
        self.left = {"out": b"", "err": b""}

    def _ready(self, name: str, timeout: float) -> bool:
        return bool(select.select([self.streams[name]], [], [], timeout)[0])

    def _line(self, name: str) -> str:
        clock = Clock(DEADLINE)
        while b"\n" not in self.left[name]:
            if not self._ready(name, clock.left()):
                fail(f"no line on {name}; so far {self.left}")
            data = self.streams[name].read(65536)
            if not data:
                fail(f"it ended; so far {self.left}")
            self.left[name] += data
        line, _, self.left[name] = self.left[name].partition(b"\n")
        return line.decode("utf-8") + "\n"

    def line(self) -> str:
        """The next line that it prints."""
        return self._line("out")

    def complaint(self) -> str:
        """The next line on its standard error."""
        return self._line("err")

    def complaint_after(self, cause) -> str:
        """The next line on its standard error, which `cause` makes it print once
        it is where it can be told."""
        clock = Clock(DEADLINE)
        while not self.left["err"] and not self._ready("err", 0):
            if clock.left() <= 0.001:
                fail("it does not hear")
            cause()
        return self.complaint()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str, str]:
        """Until it ends: exit status, and what it had still to say."""
        out, err = self.process.communicate(timeout=DEADLINE)
        return (self.process.returncode, (self.left["out"] + out).decode("utf-8"),
                (self.left["err"] + err).decode("utf-8"))

    def close(self) -> None:
        """End it in any case."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class CommandCase(DaemonCase):
    """A rig, and the command at its control socket."""

    def command(self, rig: Rig, *arguments, status: int = 0) -> str:
        """What the command prints in a pipe; it must say nothing else."""
        result = run(*arguments, "--socket", rig.daemon.control_socket)
        self.assertEqual((result.returncode, result.stderr), (status, ""),
                         result.stdout)
        return result.stdout

    def json(self, rig: Rig, *arguments, status: int = 0) -> dict:
        """The one object that it prints with --json."""
        text = self.command(rig, *arguments, "--json", status=status)
        self.assertTrue(text.isascii())
        self.assertEqual(text.count("\n"), 1)
        return json.loads(text)

    def refused(self, rig: Rig, *arguments, status: int) -> str:
        """What it says on standard error, and nothing else."""
        result = run(*arguments, "--socket", rig.daemon.control_socket)
        self.assertEqual((result.returncode, result.stdout), (status, ""),
                         result.stderr)
        return result.stderr

    def running(self, rig: Rig, *arguments) -> Running:
        """The command, while it goes on."""
        return self.enterContext(contextlib.closing(
            Running(*arguments, "--socket", rig.daemon.control_socket)))

    def screen(self, rig: Rig, *arguments, **options) -> str:
        """What it writes on a terminal, without colours."""
        text = run_on_terminal(*arguments, "--socket", rig.daemon.control_socket,
                               **options)
        return re.sub("\033\\[[0-9;]*m", "", text)
