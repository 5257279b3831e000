# SPDX-License-Identifier: GPL-2.0-or-later
"""A USB qube that is a real machine, in a dom0 that is simulated.

The machine's calls of autoattach.Event come to the real daemon, which runs here
from the files of its package. qubesd and its kin are the simulator's; it is told
of devices by the udev of the machine, as Qubes' udev rules do by way of
QubesDB.
"""

import atexit
import contextlib
import json
import os
import pathlib
import re
import socket
import threading
import time
import unittest

import notes
from machine import (BOOT_DEADLINE, DEADLINE, IMAGE, Clock, Daemon,
                     HarnessError, Machine, Plug, Sim, Stick, fail, witnesses)

FORWARDER = "qubes-autoattach-forwarder.service"
SOURCE = "sys-usb"
WORLD = {"qubes": {SOURCE: {"state": "Running"}, "work": {"state": "Running"}}}
RULES = "sticks: allow block type disk to work\n"
APPEND = " ".join((
    "rig.service=autoattach",
    # how it falls asleep is told to the last
    "no_console_suspend",
    # a second of waiting that only hides races
    "usb_storage.delay_use=0",
    # dom0's part, which the same image has
    *(f"systemd.mask=qubes-autoattachd{unit}" for unit in (
        ".service", "-event.socket", "-control.socket", "-agent.path"))))
LINES_SHOWN = 30
# what qrexec's caller ends with
NO_LISTENER = b"125"
PLAIN = re.compile(r"[A-Za-z0-9._-]+")


class Call:
    """dom0's end of one call of the machine."""

    def __init__(self, rig: "Rig", machine: Machine, number: int):
        self.rig = rig
        self.machine = machine
        self.number = number
        self.peer = socket.socket(socket.AF_UNIX)
        self.peer.connect(os.fspath(rig.daemon.event_socket))
        self.peer.sendall(f"autoattach.Event+ {SOURCE} name dom0\0".encode())
        self.sent = self.answered = b""
        threading.Thread(target=self._answer, daemon=True).start()

    def take(self, data: bytes) -> None:
        """What the caller wrote."""
        self.sent = self.rig.note(self.number, SOURCE, self.sent + data)
        with contextlib.suppress(OSError):
            self.peer.sendall(data)

    def end_input(self) -> None:
        with contextlib.suppress(OSError):
            self.peer.shutdown(socket.SHUT_WR)

    def _answer(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.peer.recv(65536):
                self.answered = self.rig.note(self.number, "dom0",
                                              self.answered + data)
                self.machine.send(b"d", self.number, data)
        self.machine.send(b"q", self.number, b"0")

    def gone(self) -> None:
        """The caller was killed."""
        with contextlib.suppress(OSError):
            self.peer.shutdown(socket.SHUT_RDWR)


class Rig:
    """The machine, the daemon, the simulator, and what passed between them."""

    def __init__(self, stack: contextlib.ExitStack, *, append: str,
                 plugged: list):
        self.calls: dict[int, Call] = {}
        self.lines: list[dict] = []
        self.uevents: list[dict] = []
        self.listed: set[tuple[str, str]] = set()
        self.condition = threading.Condition()
        self.testifying = False
        self.sim = stack.enter_context(Sim(WORLD))
        self.daemon = stack.enter_context(Daemon(self.sim, RULES,
                                                 unlimited=True))
        witnesses.append(self)
        stack.callback(witnesses.remove, self)
        self.machine = Machine(IMAGE, self.daemon.dir, self, append=append,
                               plugged=plugged)
        stack.callback(self.machine.close)
        notes.add(f"the USB qube was {self.machine.describe()}")
        self.expect_truth(*(plug.serial for plug in plugged
                            if isinstance(plug, Stick)),
                          timeout=BOOT_DEADLINE)

    # what the machine says

    def on_frame(self, machine: Machine, kind: bytes, number: int,
                 data: bytes) -> None:
        if kind == b"u":
            self._on_uevent(json.loads(data))
        elif kind == b"c":
            try:
                self.calls[number] = Call(self, machine, number)
            except OSError:
                machine.send(b"q", number, NO_LISTENER)
        elif number not in self.calls:
            pass  # it did not come about
        elif kind == b"d":
            self.calls[number].take(data)
        elif kind == b"e":
            self.calls[number].end_input()
        elif kind == b"g":
            self.calls[number].gone()

    def note(self, call: int, origin: str, data: bytes) -> bytes:
        """Keep whole lines; the rest comes back."""
        *lines, rest = data.split(b"\n")
        now = time.monotonic()
        with self.condition:
            self.lines += [{"at": now, "call": call, "from": origin,
                            **json.loads(line)} for line in lines]
            self.condition.notify_all()
        return rest

    def _on_uevent(self, uevent: dict) -> None:
        with self.condition:
            self.uevents.append(uevent)
            self.condition.notify_all()
        properties = uevent["properties"]
        name = properties["DEVPATH"].rsplit("/", 1)[1]
        if uevent["origin"] == "kernel":
            return
        if properties.get("ACTION") == "remove" or \
                properties["SUBSYSTEM"] == "block" and not uevent["size"]:
            self._unlist(properties["SUBSYSTEM"], name)
        elif properties["SUBSYSTEM"] == "usb":
            # "unbind" comes when it has gone, and knows little of it
            if "ID_VENDOR_ID" in properties and \
                    not properties.get("TYPE", "").startswith("9/"):
                self._list("usb", name, identity=usb_identity(properties))
        elif "/usb" in properties["DEVPATH"]:
            self._list("block", name, parent=parent_of(properties))

    def _list(self, devclass: str, name: str, **words) -> None:
        if (devclass, name) not in self.listed:
            self.listed.add((devclass, name))
            self.sim.plug(backend=SOURCE, class_=devclass, port=name, **words)

    def _unlist(self, devclass: str, name: str) -> None:
        if (devclass, name) in self.listed:
            # with it the simulator takes away what hangs on it
            self.sim.unplug(backend=SOURCE, class_=devclass, port=name)
            left = {(device["class"], device["port"])
                    for device in self.sim.state()["devices"]}
            self.listed &= left

    # waiting

    def mark(self) -> int:
        """From here on, for wait_line()."""
        with self.condition:
            return len(self.lines)

    def _wait_among(self, told: list, fits, what: str, since: int) -> dict:
        clock = Clock(DEADLINE)
        with self.condition:
            while True:
                while since < len(told):
                    if fits(told[since]):
                        return told[since]
                    since += 1
                if not self.condition.wait(clock.left()) and \
                        clock.left() <= 0.001:
                    fail(f"it never came: {what}")

    def wait_line(self, fits, what: str, since: int = 0) -> dict:
        """The first line, or the one to come, for which fits(line)."""
        return self._wait_among(self.lines, fits, what, since)

    def wait_uevent(self, fits, what: str, since: int = 0) -> dict:
        """The same of the machine's uevents, each by its own way."""
        return self._wait_among(self.uevents, fits, what, since)

    def wait_record(self, since: int = 0, *, action: str = "add",
                    devclass: str = "block", **wanted) -> dict:
        """A record with these properties; device= and parent= may be among."""
        names = {key: wanted.pop(key) for key in ("device", "parent")
                 if key in wanted}

        def fits(line: dict) -> bool:
            return line["from"] == SOURCE and line["type"] == "event" and \
                (line["action"], line["class"]) == (action, devclass) and \
                all(line.get(key) == value for key, value in names.items()) and \
                all(line["properties"].get(key) == value
                    for key, value in wanted.items())
        return self.wait_line(fits, f"{action} {devclass} {names} {wanted}",
                              since)

    def wait_answer(self, record: dict) -> dict:
        """dom0's answer to a record."""
        return self.wait_line(
            lambda line: line["from"] == "dom0" and
            (line["call"], line.get("seq")) == (record["call"], record["seq"]),
            f"an answer to {record}")

    def told(self) -> dict[tuple[str, str], dict]:
        """The devices that dom0 knows, by class and name."""
        return {(device["class"], device["device"]): device for answer in
                [self.daemon.call("ListDevices")] for device in answer["devices"]}

    def wait_attached(self, *names: str) -> None:
        """Until just these disks are attached to work, and nothing is in work."""
        clock = Clock(DEADLINE)
        while True:
            status = self.daemon.status()
            found = sorted(device["device"] for device in status["attached"])
            real = sorted(device["port"] for device in self.sim.state()["devices"]
                          if device["attachment"] == "work")
            if found == real == sorted(names) and status["n_jobs"] == 0:
                return
            if clock.left() <= 0.001:
                fail(f"attached are {real}, dom0 knows {found}, wanted "
                     f"{sorted(names)}; {status['n_jobs']} jobs")
            time.sleep(0.02)

    def real(self) -> dict[tuple[str, str], str]:
        """What is plugged in, by the machine's kernel: name and serial."""
        said = self.machine.run("""
            udevadm settle --timeout=20 2>/dev/null ||
                { echo "udev has not settled"; exit; }
            for d in /sys/bus/usb/devices/*; do
                case ${d##*/} in *:*|usb*) continue;; esac
                [ "$(cat $d/bDeviceClass)" = 09 ] ||
                    echo "usb ${d##*/} $(cat $d/serial 2>/dev/null)"
            done
            for d in $(ls -d /sys/class/block/* | grep -v /vd); do
                # without a medium it is not there
                [ "$(cat $d/size)" = 0 ] || case $(readlink -f $d) in
                */usb*) echo "block ${d##*/}";; esac
            done""")
        found = {}
        for line in said.splitlines():
            devclass, name, *serial = line.split(" ", 2)
            found[devclass, name] = serial[0] if serial else ""
        return found

    def expect_truth(self, *serials: str, timeout: float = DEADLINE,
                     ) -> dict[tuple[str, str], dict]:
        """Until dom0 knows just what is plugged in, by the right serials, and
        has the disks of it attached. Disks are of @serials, with all these."""
        clock = Clock(timeout)
        while True:
            real, told = self.real(), self.told()
            good = real.keys() == told.keys() and all(
                told[key]["properties"].get("serial", "") == serial
                for key, serial in real.items() if key[0] == "usb")
            disks = {device["properties"].get("serial")
                     for key, device in told.items() if key[0] == "block"}
            if good and disks == set(serials):
                break
            if clock.left() <= 0.001:
                fail(f"plugged in are {real}, dom0 knows {sorted(told)}; "
                     f"wanted are disks of {serials}")
        self.wait_attached(*(name for (devclass, name), device in told.items()
                             if devclass == "block"
                             and device["properties"]["devtype"] == "disk"))
        return told

    def clear(self) -> None:
        """Nothing is plugged in, and everybody knows."""
        # hubs last
        self.machine.unplug(*reversed(self.machine.plugged.values()))
        self.expect_truth()

    def testimony(self) -> str:
        """For a failed wait."""
        parts = ["--- the last lines:", *map(str, self.lines[-LINES_SHOWN:])]
        # asking may itself fail, and then ask here
        if not self.testifying and self.machine.is_up:
            self.testifying = True
            with contextlib.suppress(HarnessError):
                parts += ["--- the forwarder's journal:", self.machine.run(
                    "journalctl -b -n 40 --no-pager -o short-monotonic "
                    f"-u {FORWARDER};"
                    "systemctl --failed --no-pager --no-legend", status=None,
                    timeout=20)]
            self.testifying = False
        return "\n".join(parts)


def usb_identity(properties: dict) -> str:
    """As qubesd makes it; a serial that it would have to encode is none."""
    serial = properties.get("ID_SERIAL_SHORT", "")
    interfaces = properties.get("ID_USB_INTERFACES", ":").strip(":")
    return ":".join((properties["ID_VENDOR_ID"], properties["ID_MODEL_ID"],
                     serial if PLAIN.fullmatch(serial) else "",
                     "".join(f"u{one}" for one in interfaces.split(":") if one)))


def parent_of(properties: dict) -> str:
    """The disk of a partition, the USB device of a disk."""
    parts = properties["DEVPATH"].split("/")
    if properties["DEVTYPE"] == "partition":
        return parts[-2]
    return [part for part in parts if re.fullmatch(r"\d+-[0-9.]+", part)][-1]


# The one machine that runs, by the function that boots it; and those functions
# that have begun, once.
_running: dict = {}
_begun: set = set()
_power = contextlib.ExitStack()
atexit.register(_power.close)


def the_machine(boot):
    """What boot(stack) made; another one is switched off first."""
    if boot not in _running:
        if boot in _begun:
            # not for each test anew
            fail("the machine has not booted, or was switched off")
        _begun.add(boot)
        _running.clear()
        _power.close()
        _running[boot] = boot(_power)
    return _running[boot]


def boot_usb_qube(stack: contextlib.ExitStack) -> Rig:
    import images  # pylint: disable=import-outside-toplevel
    plugged = [Stick(images.fat(), port="1", serial="BOOT0001"),
               Plug("usb-hub", port="2"),
               Stick(images.empty(), port="2.3", serial="BOOT0002")]
    return Rig(stack, append=APPEND, plugged=plugged)


def usb_qube() -> Rig:
    """The one machine of most tests, booted with these in it."""
    return the_machine(boot_usb_qube)


class UsbQubeCase(unittest.TestCase):
    """A test with the machine, from which all is pulled before it begins."""

    maxDiff = None
    rules = RULES

    def setUp(self):
        self.rig = usb_qube()
        self.machine = self.rig.machine
        self.rig.clear()
        self.rig.daemon.rules(self.rules)
        self.rig.daemon.reload()
        self.since = self.rig.mark()

    @staticmethod
    def stick(image_file: pathlib.Path, serial: str, port: str, *,
              read_only: bool = False, **words) -> Stick:
        """One that is not plugged in yet."""
        return Stick(image_file, serial=serial, port=port, read_only=read_only,
                     **words)

    def plug_stick(self, image_file: pathlib.Path, serial: str,
                   **words) -> tuple[Stick, dict]:
        """A stick and the record of its disk, which is attached."""
        stick = Stick(image_file, serial=serial, **{"port": "1", **words})
        since = self.rig.mark()
        self.machine.plug(stick)
        record = self.rig.wait_record(since, serial=serial, devtype="disk")
        self.assertEqual(self.rig.wait_answer(record)["code"], 200)
        return stick, record

    def tearDown(self):
        """Whatever happened, no record lacks what makes a device known."""
        for line in self.rig.lines[self.since:]:
            if line["from"] == SOURCE and line["type"] == "event" and \
                    line["action"] != "remove":
                self.assertIn("vendor_id", line["properties"], line)
                self.assertIn("path", line["properties"], line)
