# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine: the real daemon and forwarder, simulated dom0, mock udev.

Several live in one process; nothing here blocks.
"""

import asyncio
import contextlib
import functools
import json
import os
import pathlib
import shutil
import signal
import socket
import tempfile
import time

from sim.commands import Commands
from sim.simulation import Simulation
from things import SOURCE, Plug

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("AUTOATTACH_BUILD",
                                    HERE.parents[1] / "build"))
MOCK = HERE.parent / "support" / "umockdev-plug"
QREXEC_CLIENT = HERE.parent / "sim" / "qrexec-client-vm"
INTERFACE = "org.qubes-contrib.autoattach"
ANSWER_MAX = 1 << 24
CALL_S = 60.0
LISTEN_PACE_S = 0.002
# of what a mock has said last
WORDS_MAX = 4000


class Gone(Exception):
    """The daemon does not answer: it was killed."""


class Ended(Exception):
    """A program ended that nobody killed."""


class MockGone(Exception):
    """The mock /sys does not answer: the test's own fault."""


class Mock:
    """A mock /sys, in a process of its own; used by one history after another."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="aa-"))
        self.environment: dict = {}
        self._n = 0
        self._words = self.dir / "words"
        # umockdev ends when it sends to a monitor that is just being killed, or
        # that makes its socket anew; none begins to listen in mid-event
        self.sending = asyncio.Lock()

    async def start(self) -> None:
        """Until it can be told."""
        with self._words.open("wb") as words:
            process = await asyncio.create_subprocess_exec(
                MOCK, "serve", self.dir / "mock.sock",
                stderr=words, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        name, _, value = output.decode().strip().partition("=")
        self.environment = {name: value, "SYSTEMD_DEVICE_VERIFY_SYSFS": "0"}
        self.root = pathlib.Path(value)

    async def tell(self, word: str, text: str | None = None) -> None:
        """plug or unplug a description, or quit."""
        words = word
        path = None
        if text is not None:
            self._n += 1
            path = self.dir / f"{self._n}.umockdev"
            path.write_text(text, encoding="ascii")
            words += f"\t{path}"
        try:
            async with self.sending:
                answer = await self._ask(words)
        except OSError as error:
            answer = str(error)
        finally:
            if path is not None:
                path.unlink()
        if answer != "ok\n":
            last = self._words.read_text("utf-8", "replace")[-WORDS_MAX:]
            raise MockGone(f"umockdev-plug {word}: {answer!r}\n{text}\n{last}")

    async def _ask(self, words: str) -> str:
        reader, writer = await asyncio.open_unix_connection(
            self.dir / "mock.sock")
        try:
            writer.write(words.encode() + b"\n")
            return (await reader.readline()).decode()
        finally:
            writer.close()

    async def listened_to(self, program: "Program") -> None:
        """Until the one program that listens does so, or has ended."""
        while not list(self.root.glob("event*")) and \
                program.process.returncode is None:
            await asyncio.sleep(LISTEN_PACE_S)

    def forget_listener(self) -> None:
        """It was killed, and has left its socket."""
        for path in self.root.glob("event*"):
            path.unlink()

    def set_boot_id(self, boot_id: str) -> None:
        """What the kernel of the source says."""
        path = self.root / "proc/sys/kernel/random/boot_id"
        path.parent.mkdir(parents=True, exist_ok=True)
        groups = (boot_id[:8], boot_id[8:12], boot_id[12:16], boot_id[16:20],
                  boot_id[20:])
        path.write_text("-".join(groups) + "\n", encoding="ascii")

    async def end(self) -> None:
        """No more, if there still is one."""
        with contextlib.suppress(MockGone):
            await self.tell("quit")
        shutil.rmtree(self.dir, ignore_errors=True)


class Program:
    """A process whose words are heard line by line."""

    def __init__(self, process, hear):
        self.process = process
        self.pid = process.pid
        self.begun = time.monotonic()
        self._hearing = asyncio.create_task(self._listen(hear))

    async def _listen(self, hear) -> None:
        while line := await self.process.stderr.readline():
            hear(line.decode("utf-8", "replace").rstrip("\n"))

    async def kill(self) -> None:
        """SIGKILL. Its children may live on for a while, and have its stderr."""
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(self.pid)
            self.process.kill()
            gone = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().add_reader(
                pidfd, lambda: gone.done() or gone.set_result(None))
            try:
                await gone
            finally:
                asyncio.get_running_loop().remove_reader(pidfd)
                os.close(pidfd)

    async def end(self) -> int:
        """SIGTERM; the exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        status = await asyncio.wait_for(self.process.wait(), CALL_S)
        await self._hearing
        return status


class Machine:
    """What there is of one history."""

    def __init__(self, mock: Mock, scenario: dict, seed: int, note):
        self.mock = mock
        self.note = note
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="aa-"))
        self.sim = Simulation(self.dir, scenario, seed=seed)
        self.commands = Commands(self.sim)
        self.daemon: Program | None = None
        self.daemon_begun = 0.0
        self.forwarder: Program | None = None
        self.rules_dir = self.dir / "rules"
        self._listeners: list[socket.socket] = []
        for name in ("rules", "state", "rpc"):
            (self.dir / name).mkdir(mode=0o755 if name == "rules" else 0o700)
        (self.dir / "rpc" / "autoattach.Event").symlink_to(
            self.dir / "event.sock")

    async def start(self) -> None:
        """Simulated dom0 and sockets; no program yet."""
        self._listeners = [self._listen("control"), self._listen("event")]
        self.mock.set_boot_id(self.source.boot_id)
        await self.sim.start()

    def _listen(self, name: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(os.fspath(self.dir / f"{name}.sock"))
        listener.listen(64)
        return listener

    @property
    def source(self):
        """The qube that has the devices."""
        return self.sim.world.qubes[SOURCE]

    async def end(self) -> None:
        """Everything, however it stands."""
        for listener in self._listeners:
            listener.close()
        if self.daemon is not None:
            await self.daemon.kill()
        if self.forwarder is not None:
            async with self.mock.sending:
                await self.forwarder.kill()
        self.daemon = self.forwarder = None
        await self.sim.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    # -- programs

    async def start_daemon(self) -> None:
        """As systemd does: its sockets are kept for it, and handed over."""
        first = 3
        moves = " ".join(f"{first + n}<&{listener.fileno()}"
                         for n, listener in enumerate(self._listeners))
        command = ("LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=control:event "
                   f"exec \"$@\" {moves}")
        process = await asyncio.create_subprocess_exec(
            "/bin/bash", "-c", command, "activate",
            BUILD / "dom0" / "qubes-autoattachd", "--unlimited",
            "--qubesd-socket", self.dir / "qubesd.sock",
            "--policy-socket", self.dir / "policy.sock",
            "--agent-socket", self.dir / "agent.sock",
            "--event-socket", "/nonexistent/event.sock",
            "--control-socket", "/nonexistent/control.sock",
            "--rules-dir", self.rules_dir, "--state-dir", self.dir / "state",
            stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"},
            pass_fds=[listener.fileno() for listener in self._listeners])
        self.daemon = Program(process, lambda line: self.note(
            f"daemon: {line.partition(' AUTOATTACH_')[0]}"))

    async def start_forwarder(self) -> None:
        """In the source, which runs."""
        async with self.mock.sending:
            self.mock.forget_listener()
            process = await asyncio.create_subprocess_exec(
                "umockdev-wrapper",
                BUILD / "sysusb" / "qubes-autoattach-forwarder",
                "--qrexec-client", QREXEC_CLIENT,
                stdin=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, **self.mock.environment,
                     "SIM_QREXEC_DIR": os.fspath(self.dir / "rpc")})
            self.forwarder = Program(
                process, lambda line: self.note(f"forwarder: {line}"))
            await self.mock.listened_to(self.forwarder)

    async def kill(self, name: str) -> None:
        """SIGKILL for the daemon or the forwarder."""
        program = getattr(self, name)
        setattr(self, name, None)
        if program is not None:
            if program.process.returncode is not None:
                raise Ended(f"the {name} ended by itself with "
                            f"{program.process.returncode}")
            async with self.mock.sending:
                await program.kill()

    def write_rules(self, text: str) -> None:
        """In one step; the daemon sees it by itself."""
        temporary = self.rules_dir / ".new"
        temporary.write_text(text, encoding="ascii")
        temporary.chmod(0o644)
        temporary.rename(self.rules_dir / "50-live.rules")

    # -- asking

    async def look(self) -> dict:
        """How it stands with the daemon; Gone if it does not answer."""
        try:
            return await asyncio.wait_for(self._look(), CALL_S)
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            if self.daemon and self.daemon.process.returncode is not None:
                raise Ended("the daemon ended by itself with "
                            f"{self.daemon.process.returncode}") from error
            raise Gone(str(error) or type(error).__name__) from error

    async def _look(self) -> dict:
        reader, writer = await asyncio.open_unix_connection(
            self.dir / "control.sock", limit=ANSWER_MAX)
        try:
            answers = []
            for method in ("GetStatus", "ListDevices", "ListRules"):
                writer.write(json.dumps({
                    "method": f"{INTERFACE}.{method}",
                    "parameters": {}}).encode() + b"\0")
                answer = json.loads((await reader.readuntil(b"\0"))[:-1])
                answers.append(answer["parameters"])
            n_sockets, n_others = self._descriptors()
            return {"status": answers[0], "devices": answers[1]["devices"],
                    "rules": answers[2]["rules"], "n_sockets": n_sockets,
                    "n_others": n_others}
        finally:
            writer.close()

    def _descriptors(self) -> tuple[int, int]:
        """How many sockets the daemon has, and how many others."""
        if self.daemon is None:
            raise EOFError("it was killed")
        folder = pathlib.Path(f"/proc/{self.daemon.pid}/fd")
        found = []
        for link in list(folder.iterdir()):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(link))
        sockets = [name for name in found if name.startswith("socket:")]
        # the two that were handed over are there twice
        return len(set(sockets)), len(found) - len(sockets)


@functools.cache
def is_sanitized() -> bool:
    """Whether the programs keep what was freed: their memory tells nothing."""
    return b"__asan_init" in (BUILD / "dom0" / "qubes-autoattachd").read_bytes()


def memory_of(pid: int) -> int:
    """What a process has for itself, in bytes."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return 1024 * sum(int(line.split()[1]) for line in text.splitlines()
                      if line.startswith("Private_"))


class Kernel:
    """The source's kernel and udev: follows what is plugged in, and who has it.

    A USB device that is attached takes its disk along; after a detach the disk
    is found anew, as another one (diskseq).
    """

    def __init__(self, machine: Machine, stirred):
        self.machine = machine
        self.plugs: dict[str, Plug] = {}
        self.stirred = stirred
        self._shown: dict[str, tuple[Plug, str | None]] = {}
        self._diskseq = 0
        self._again: list[tuple[str, bool]] = []
        self._task = None
        self._busy = False
        self._is_over = False
        # grows with all that it tells
        self.n_stirs = 0
        self._barrier = 0
        self._barrier_text = ""

    def start(self) -> None:
        """Follow from now on; a new probe is heard of as well."""
        hotplug = self.machine.sim.hotplug
        replug = hotplug.replug

        def replug_and_tell(device, *, keep_root: bool) -> None:
            replug(device, keep_root=keep_root)
            self._again.append((device.port, keep_root))
        hotplug.replug = replug_and_tell
        self._task = asyncio.create_task(self._follow())

    async def end(self) -> None:
        """Everything is pulled out; what is begun is done to its end."""
        if self._task is None:
            return
        self._is_over = True
        self.machine.sim.changes.notify()
        await asyncio.gather(self._task, return_exceptions=True)
        # without its mock it is all gone already
        with contextlib.suppress(MockGone):
            for port in list(self._shown):
                await self._hide(port)
            if self._barrier_text:
                await self.machine.mock.tell("unplug", self._barrier_text)

    def failure(self) -> BaseException | None:
        """Why it follows no longer."""
        return self._task.exception() if self._task.done() else None

    def _has_disk(self, plug: Plug) -> bool:
        world = self.machine.sim.world
        key = ("sys-usb", "usb", plug.port)
        return plug.disk is not None and key in world.devices and \
            key not in world.attachments and key not in world.held

    def is_even(self) -> bool:
        """Whether all that is so has been told."""
        return not self._busy and self._is_told()

    def _is_told(self) -> bool:
        return not self._again and self._shown.keys() == self.plugs.keys() and \
            all(shown is self.plugs[port] and
                bool(text) == self._has_disk(shown)
                for port, (shown, text) in self._shown.items())

    def visible(self) -> set[tuple[str, str]]:
        """(class, name) of what udev knows."""
        found = set()
        for plug, text in self._shown.values():
            found.update(plug.devices if text else plug.devices[:1])
        return found

    def disks_besides(self, port: str) -> set:
        """The names of disks that are taken, but for what is at a port."""
        shown = [plug for plug, _ in self._shown.values()]
        return {plug.disk for plug in (*self.plugs.values(), *shown)
                if plug.port != port}

    async def _follow(self) -> None:
        while True:
            await self.machine.sim.changes.until(
                lambda: self._is_over or not self._is_told())
            if self._is_over:
                return
            self._busy = True
            again, self._again = self._again, []
            for port in list(self._shown):
                await self._follow_down(port, [
                    keep_root for name, keep_root in again if name == port])
            for port in list(self.plugs):
                await self._follow_up(port)
            self._busy = False

    def _stir(self, plug: Plug) -> None:
        self.n_stirs += 1
        self.stirred(plug)

    async def _follow_down(self, port: str, again: list[bool]) -> None:
        plug, text = self._shown[port]
        if self.plugs.get(port) is not plug or False in again:
            self._stir(plug)
            await self._hide(port)
        elif text and (again or not self._has_disk(plug)):
            self._stir(plug)
            await self.machine.mock.tell("unplug", text)
            self._shown[port] = (plug, None)

    async def _follow_up(self, port: str) -> None:
        plug = self.plugs.get(port)
        if plug is None:
            return
        if port not in self._shown:
            self._stir(plug)
            self._shown[port] = (plug, None)
            await self.machine.mock.tell("plug", plug.usb_text())
        shown, text = self._shown[port]
        if shown is plug and not text and self._has_disk(plug):
            self._stir(plug)
            self._diskseq += 1
            text = plug.block_text(self._diskseq)
            self._shown[port] = (plug, text)
            await self.machine.mock.tell("plug", text)

    async def _hide(self, port: str) -> None:
        plug, text = self._shown.pop(port)
        if text:
            await self.machine.mock.tell("unplug", text)
        await self.machine.mock.tell("unplug", plug.usb_text())

    async def put_barrier(self) -> str:
        """Something that no rule wants; when it is known, all before it is."""
        if self._barrier_text:
            await self.machine.mock.tell("unplug", self._barrier_text)
        self._barrier += 1
        serial = f"B{self._barrier}"
        self._barrier_text = (
            "P: /devices/pci0000:00/0000:00:06.0/usb2/2-9\nN: bus/usb/002/099\n"
            "E: BUSNUM=002\nE: DEVNAME=/dev/bus/usb/002/099\nE: DEVNUM=099\n"
            "E: DEVTYPE=usb_device\nE: ID_MODEL_ID=0002\nE: ID_VENDOR_ID=ffff\n"
            f"E: ID_PATH=pci-0000:00:06.0-usb-0:9\nE: ID_SERIAL_SHORT={serial}\n"
            "E: ID_USB_INTERFACES=:ff0000:\nE: MAJOR=189\nE: MINOR=226\n"
            "E: SUBSYSTEM=usb\nA: bDeviceClass=00\\n\nA: busnum=2\\n\n"
            "A: devnum=99\\n\nA: idVendor=ffff\\n\nA: dev=189:226\\n\n")
        await self.machine.mock.tell("plug", self._barrier_text)
        return serial
