# SPDX-License-Identifier: GPL-2.0-or-later
"""A computer of our own: QEMU, what is plugged into it, and its rig.

Devices are told to QEMU over QMP while the machine runs. Nothing here goes to a
network.
"""

import collections
import contextlib
import itertools
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time

import accel
import image

sys.path.insert(0, str(image.HERE.parent / "integration"))
IMAGE, PACKAGES = image.ensure()
# where the daemon is that the harness runs: in the package
os.environ["AUTOATTACH_BUILD"] = str(PACKAGES / "programs")
os.environ.setdefault("AUTOATTACH_DEADLINE", "240")

# the rig takes from here what is the harness's
# pylint: disable=wrong-import-position,unused-import
from harness import (DEADLINE, Clock, Daemon, HarnessError, Sim,  # noqa: E402,F401
                     fail, witnesses)

BOOT_DEADLINE = 600
HEADER = struct.Struct("!cII")
CONSOLE_SHOWN = 60


class Qmp:
    """QEMU's control socket."""

    def __init__(self, path: pathlib.Path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(os.fspath(path))
        self.lines = self.socket.makefile("rb")
        self.events: collections.deque = collections.deque(maxlen=10000)
        json.loads(self.lines.readline())
        self.call("qmp_capabilities")

    def _read(self) -> dict:
        line = self.lines.readline()
        if not line:
            fail("QEMU has ended")
        return json.loads(line)

    def call(self, command: str, **arguments):
        """The answer; AssertionError if it is an error."""
        request = {"execute": command, "arguments": arguments}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while "event" in (answer := self._read()):
            self.events.append(answer)
        if "error" in answer:
            fail(f"QEMU: {command} {arguments}: {answer['error']['desc']}")
        return answer["return"]

    def wait_deleted(self, device: str) -> None:
        """Until QEMU has let go of a device."""
        while True:
            for event in self.events:
                if event["event"] == "DEVICE_DELETED" and \
                        event["data"].get("device") == device:
                    self.events.remove(event)
                    return
            answer = self._read()
            if "event" in answer:
                self.events.append(answer)

    def close(self):
        self.lines.close()
        self.socket.close()


class Machine:
    """A running machine. Frames of its agent go to `listener.on_frame()`."""

    def __init__(self, image: pathlib.Path, folder: pathlib.Path, listener, *,
                 append: str = "", plugged: list | None = None):
        self.folder = folder
        self.listener = listener
        self.numbers = itertools.count(1)
        self.results: dict[int, bytes] = {}
        self.condition = threading.Condition()
        self.is_up = False
        self.over = False
        self.plugged: dict[str, "Plug"] = {}
        self.stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            stack.callback(self._end)
            self._start(image, append, plugged or [])
            self._connect(stack)
            witnesses.append(self)
            stack.callback(witnesses.remove, self)
            self._wait_up()
            self.stack = stack.pop_all()

    def _start(self, image, append: str, plugged: list) -> None:
        self.accel = accel.choose(image / "kernel")
        command = [
            # never outlives the test
            "setpriv", "--pdeathsig", "KILL", "--",
            "qemu-system-x86_64", "-accel", self.accel, "-M", "q35",
            "-smp", "2", "-m", "768", "-nodefaults", "-no-reboot",
            "-display", "none", "-nic", "none",
            "-kernel", image / "kernel", "-initrd", image / "initrd",
            "-append", f"root=/dev/vda console=ttyS0 loglevel=8 {append}",
            "-serial", f"file:{self.folder}/console",
            "-drive", f"file={image}/disk,if=none,id=disk,format=raw,"
                      "snapshot=on",
            "-device", "virtio-blk-pci,drive=disk,addr=03",
            "-device", "virtio-serial-pci,addr=04",
            "-chardev", f"socket,id=rig,path={self.folder}/rig.sock,server=on,"
                        "wait=off",
            "-device", "virtserialport,chardev=rig,name=rig",
            "-qmp", f"unix:{self.folder}/qmp.sock,server=on,wait=off",
            "-device", "qemu-xhci,id=first,p2=8,p3=8,addr=05",
            "-device", "qemu-xhci,id=second,p2=4,p3=4,addr=06"]
        for plug in plugged:
            for kind, words in plug.commands():
                command += [{"blockdev-add": "-blockdev",
                             "device_add": "-device",
                             "chardev-add": "-chardev"}[kind],
                            json.dumps(words)]
            self.plugged[plug.name] = plug
        self.log = (self.folder / "qemu.log").open("wb")
        self.process = subprocess.Popen(
            list(map(os.fspath, command)), stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log)
        self.began = time.monotonic()

    def _connect(self, stack) -> None:
        clock = Clock(DEADLINE)
        for name in ("rig.sock", "qmp.sock"):
            while not (self.folder / name).exists():
                if self.process.poll() is not None or clock.left() <= 0.001:
                    fail(f"QEMU does not start:\n{self.testimony()}")
                time.sleep(0.05)
        self.rig = socket.socket(socket.AF_UNIX)
        self.rig.connect(os.fspath(self.folder / "rig.sock"))
        stack.callback(self.rig.close)
        self.qmp = Qmp(self.folder / "qmp.sock")
        stack.callback(self.qmp.close)
        self.sending = threading.Lock()
        threading.Thread(target=self._read_frames, daemon=True).start()

    def _wait_up(self) -> None:
        clock = Clock(BOOT_DEADLINE)
        with self.condition:
            while not self.is_up:
                if self.over or not self.condition.wait(min(1, clock.left())) \
                        and (self.process.poll() is not None
                             or clock.left() <= 0.001):
                    fail("the machine does not boot")
        self.boot_seconds = time.monotonic() - self.began

    # frames

    def _read_frames(self) -> None:
        with contextlib.suppress(OSError), \
                self.rig.makefile("rb") as stream:
            while len(header := stream.read(HEADER.size)) == HEADER.size:
                kind, number, n = HEADER.unpack(header)
                self._on_frame(kind, number, stream.read(n))
        with self.condition:
            self.over = True
            self.condition.notify_all()

    def _on_frame(self, kind: bytes, number: int, data: bytes) -> None:
        if kind in b"hrt":
            with self.condition:
                self.is_up = self.is_up or kind == b"h"
                self.results[number] = data
                self.condition.notify_all()
        else:
            self.listener.on_frame(self, kind, number, data)

    def send(self, kind: bytes, number: int, data: bytes = b"") -> None:
        with self.sending, contextlib.suppress(OSError):
            self.rig.sendall(HEADER.pack(kind, number, len(data)) + data)

    def _ask(self, kind: bytes, data: bytes, timeout: float) -> bytes:
        number = next(self.numbers)
        clock = Clock(timeout)
        self.send(kind, number, data)
        with self.condition:
            while number not in self.results:
                if self.over or not self.condition.wait(clock.left()) and \
                        clock.left() <= 0.001:
                    fail(f"the machine does not answer: {data.decode()}")
            return self.results.pop(number)

    def start(self, command: str) -> None:
        """A command whose end nobody waits for."""
        self.send(b"x", next(self.numbers), command.encode())

    def run(self, command: str, *, status: int | None = 0,
            timeout: float = DEADLINE) -> str:
        """What a shell command in the machine prints."""
        answer = self._ask(b"x", command.encode(), timeout)
        found = struct.unpack("!i", answer[:4])[0]
        said = answer[4:].decode("utf-8", "replace")
        if status is not None and found != status:
            fail(f"{command}: status {found}, not {status}\n{said}")
        return said

    def describe(self) -> str:
        """What it is, and how long it took to boot."""
        said = self.run(". /etc/os-release; echo $PRETTY_NAME, Linux $(uname -r),"
                        "$(systemctl --version | head -n 1 | cut -d ' ' -f 1,2)")
        return f"{said.strip()}, by {self.accel}, up in {self.boot_seconds:.0f} s"

    def clock_offset(self) -> float:
        """What to add to a time of the machine, to make it one of ours."""
        found = []
        for _ in range(20):
            before = time.monotonic()
            there = struct.unpack("!d", self._ask(b"t", b"", DEADLINE))[0]
            after = time.monotonic()
            found.append((after - before, (before + after) / 2 - there))
        return min(found)[1]

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run(f"systemctl show -P {name} {unit}").strip()

    def wait(self, command: str, wanted: str, timeout: float = DEADLINE) -> None:
        """Until a command prints just that."""
        clock = Clock(timeout)
        while (said := self.run(command, status=None).strip()) != wanted:
            if clock.left() <= 0.001:
                fail(f"{command}: still {said}, not {wanted}")

    # devices

    def plug(self, *plugs: "Plug") -> None:
        """Plug them in, one right after the other."""
        for plug in plugs:
            for kind, words in plug.commands():
                plug.time = time.monotonic()
                self.qmp.call(kind, **words)
            self.plugged[plug.name] = plug

    def unplug(self, *plugs: "Plug") -> None:
        """Pull them, one right after the other."""
        for plug in plugs:
            plug.time = time.monotonic()
            self.qmp.call("device_del", id=plug.name)
        for plug in plugs:
            self.qmp.wait_deleted(plug.name)
            for kind, words in plug.end_commands():
                self.qmp.call(kind, **words)
            del self.plugged[plug.name]

    def tell(self, commands: list[tuple[str, dict]]) -> None:
        """What is done to something that is plugged in."""
        for kind, words in commands:
            self.qmp.call(kind, **words)

    def unplug_tree(self, root: "Plug", *leaves: "Plug") -> None:
        """Pull one, and with it what hangs on it."""
        root.time = time.monotonic()
        self.qmp.call("device_del", id=root.name)
        for plug in (*leaves, root):
            self.qmp.wait_deleted(plug.name)
            for kind, words in plug.end_commands():
                self.qmp.call(kind, **words)
            del self.plugged[plug.name]

    def wait_console(self, wanted: str, timeout: float = DEADLINE) -> None:
        """Until the kernel has said something, perhaps a while ago."""
        clock = Clock(timeout)
        while wanted not in (self.folder / "console").read_text(errors="replace"):
            if clock.left() <= 0.001:
                fail(f"the console never said {wanted}")
            time.sleep(0.05)

    # end

    def _end(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)
        self.log.close()

    def close(self) -> None:
        """As if the power were cut."""
        self.stack.close()

    def testimony(self) -> str:
        """For a failed wait."""
        parts = [f"--- QEMU (exit {self.process.poll()}):"]
        for name in ("qemu.log", "console"):
            path = self.folder / name
            if path.exists():
                lines = path.read_text(errors="replace").splitlines()
                parts += lines[-CONSOLE_SHOWN:]
        return "\n".join(parts)


class Plug:
    """Something with a USB plug; one of it is in the machine at a time."""

    names = itertools.count(1)

    def __init__(self, driver: str, *, port: str, bus: str = "first", **words):
        self.name = f"plug{next(self.names)}"
        self.driver = driver
        self.port = port
        self.bus = bus
        self.words = words
        self.time = 0.0

    def commands(self) -> list[tuple[str, dict]]:
        """What plugs it in."""
        return [("device_add", {"driver": self.driver, "id": self.name,
                                "bus": f"{self.bus}.0", "port": self.port,
                                **self.words})]

    def end_commands(self) -> list[tuple[str, dict]]:
        """What is left to do once it is pulled."""
        return []


class Stick(Plug):
    """A mass storage device with the file @image on it."""

    def __init__(self, image: pathlib.Path, *, port: str, serial: str,
                 read_only: bool = False, **words):
        super().__init__("usb-storage", port=port, serial=serial, **words)
        self.image = image
        self.serial = serial
        self.read_only = read_only
        self.node = f"{self.name}-disk"
        self.words["drive"] = self.node

    def commands(self) -> list[tuple[str, dict]]:
        return [("blockdev-add", {"driver": "raw", "node-name": self.node,
                                  "read-only": self.read_only,
                                  "file": {"driver": "file",
                                           "filename": os.fspath(self.image),
                                           "read-only": self.read_only,
                                           "locking": "off"}}),
                *super().commands()]

    def end_commands(self) -> list[tuple[str, dict]]:
        return [("blockdev-del", {"node-name": self.node})]


class Slot:
    """Of a reader: where a card can be."""

    numbers = itertools.count(1)

    def __init__(self, reader: Plug, lun: int, card: pathlib.Path | None,
                 removable: bool):
        self.name = f"{reader.name}-slot{lun}"
        self.words = {"driver": "scsi-hd", "id": self.name,
                      "bus": f"{reader.name}.0", "lun": lun,
                      "removable": removable}
        self.card = card
        self.node = ""

    def _card(self, **file) -> tuple[str, dict]:
        self.node = f"card{next(self.numbers)}"
        return ("blockdev-add", {"node-name": self.node, **file})

    def _open(self, image: pathlib.Path) -> tuple[str, dict]:
        return self._card(driver="file", filename=os.fspath(image),
                          locking="off")

    def commands(self) -> list[tuple[str, dict]]:
        """What makes it. QEMU wants a card to begin with."""
        card = self._open(self.card) if self.card else \
            self._card(driver="null-co")
        made = [card, ("device_add", {**self.words, "drive": self.node})]
        return made if self.card else [*made, *self.take_out()]

    def take_out(self) -> list[tuple[str, dict]]:
        """What takes the card out."""
        node, self.node = self.node, ""
        return [("blockdev-open-tray", {"id": self.name, "force": True}),
                ("blockdev-remove-medium", {"id": self.name}),
                ("blockdev-del", {"node-name": node})]

    def put_in(self, image: pathlib.Path) -> list[tuple[str, dict]]:
        """What puts a card in where there is none."""
        return [self._open(image),
                ("blockdev-insert-medium", {"id": self.name,
                                            "node-name": self.node}),
                ("blockdev-close-tray", {"id": self.name})]


class Reader(Plug):
    """A card reader: a slot for each of @cards, files or None."""

    def __init__(self, *cards: pathlib.Path | None, port: str, serial: str,
                 driver: str = "usb-bot", removable: bool = True, **words):
        super().__init__(driver, port=port, serial=serial, **words)
        self.serial = serial
        self.slots = [Slot(self, lun, card, removable)
                      for lun, card in enumerate(cards)]

    def commands(self) -> list[tuple[str, dict]]:
        return [*super().commands(),
                *(one for slot in self.slots for one in slot.commands()),
                # only now is its plug in
                ("qom-set", {"path": f"/machine/peripheral/{self.name}",
                             "property": "attached", "value": True})]

    def end_commands(self) -> list[tuple[str, dict]]:
        return [("blockdev-del", {"node-name": slot.node})
                for slot in self.slots if slot.node]


class UasDisk(Reader):
    """A disk that speaks UAS, as fast enclosures do."""

    def __init__(self, image: pathlib.Path, *, port: str, serial: str, **words):
        super().__init__(image, port=port, serial=serial, driver="usb-uas",
                         removable=False, **words)


class Serial(Plug):
    """A serial adapter, with nothing at its other end."""

    def __init__(self, *, port: str, **words):
        super().__init__("usb-serial", port=port, **words)
        self.words |= {"chardev": f"{self.name}-line", "always-plugged": True}

    def commands(self) -> list[tuple[str, dict]]:
        return [("chardev-add", {"id": self.words["chardev"],
                                 "backend": {"type": "null", "data": {}}}),
                *super().commands()]

    def end_commands(self) -> list[tuple[str, dict]]:
        return [("chardev-remove", {"id": self.words["chardev"]})]
