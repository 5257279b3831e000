# SPDX-License-Identifier: GPL-2.0-or-later
"""The real forwarder and sender, under mock devices, with a test as dom0.

The fake qrexec-client-vm hands its standard input and output to the test and
ends with the status that the test tells it. Nothing sleeps: every wait is for
an event, with a deadline.

    AUTOATTACH_BUILD=build python3 -m unittest tests/integration/test_forwarder.py
"""

import array
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import plug  # noqa: E402

BUILD = pathlib.Path(os.environ.get("AUTOATTACH_BUILD", ROOT / "build"))
FORWARDER = str(BUILD / "sysusb" / "qubes-autoattach-forwarder")
SEND = str(BUILD / "sysusb" / "qubes-autoattach-send")
# as valgrind with its options; before the program
TOOL = os.environ.get("AUTOATTACH_TEST_TOOL", "").split()

DEADLINE_SECONDS = float(os.environ.get("AUTOATTACH_DEADLINE", "60"))

FAKE_QREXEC = """#!/usr/bin/python3 -IS
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(%r)
socket.send_fds(s, ["\\0".join(sys.argv[1:]).encode()], [0, 1])
os.close(0)
os.close(1)
fds = sorted(int(name) for name in os.listdir("/proc/self/fd"))
s.send(repr(fds).encode())
status = s.recv(4)
os._exit(int(status) if status else 1)
"""


def wait_for(fd, what: str):
    """Until there is something to read."""
    if not select.select([fd], [], [], DEADLINE_SECONDS)[0]:
        raise AssertionError(f"nothing came within the deadline: {what}")


class Call:
    """dom0's end of one qrexec call."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        arguments, fds, _, _ = socket.recv_fds(connection, 4096, 2)
        self.arguments = arguments.decode().split("\0")
        self.stdin, self.stdout = fds
        wait_for(connection, "the child's descriptors")
        # 2 and the connection, and the folder that is being listed
        self.other_fds = connection.recv(4096).decode()
        self._data = b""
        self._over = False

    def line(self):
        """The next line, as an object; None at the end of input."""
        while b"\n" not in self._data:
            wait_for(self.stdin, "a line")
            data = os.read(self.stdin, 65536)
            if not data:
                assert self._data == b"", "the last line has no end"
                return None
            self._data += data
        line, self._data = self._data.split(b"\n", 1)
        assert len(line) <= 8192
        return json.loads(line)

    def picture(self) -> list:
        """hello, all present, synced: the events between."""
        hello = self.line()
        assert hello["type"] == "hello" and hello["version"] == 1, hello
        events = []
        while (event := self.line())["type"] != "synced":
            assert event["action"] == "present", event
            events.append(event)
        return events

    def events(self, n: int) -> list:
        return [self.line() for _ in range(n)]

    def send(self, data: bytes):
        os.write(self.stdout, data)

    def answer(self, seq, code: int, status: str):
        self.send(json.dumps({"seq": seq, "code": code, "status": status})
                  .encode() + b"\n")

    def end(self, status=0):
        """The child ends."""
        if self._over:
            return
        self._over = True
        os.close(self.stdin)
        os.close(self.stdout)
        try:
            self._connection.sendall(str(status).encode())
        except BrokenPipeError:
            pass  # it was killed
        self._connection.close()


class Dom0:
    """Takes qrexec calls."""

    def __init__(self, folder: str):
        path = os.path.join(folder, "dom0.sock")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self.client = os.path.join(folder, "qrexec-client-vm")
        with open(self.client, "w", encoding="ascii") as file:
            file.write(FAKE_QREXEC % path)
        os.chmod(self.client, 0o755)

    def call(self) -> Call:
        wait_for(self._listener, "a call")
        return Call(self._listener.accept()[0])

    def close(self):
        self._listener.close()


class Forwarder:
    def __init__(self, folder: str, testbed: plug.Testbed, *arguments):
        path = os.path.join(folder, "notify.sock")
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(path)
        self._log_end, write_end = os.pipe()
        env = testbed.environment()
        env["NOTIFY_SOCKET"] = path
        self._log = b""
        self._process = subprocess.Popen(
            [*TOOL, FORWARDER, *arguments], env=env, stderr=write_end,
            stdin=subprocess.DEVNULL,
            # one that it does not know of, and must not hand on
            pass_fds=[self._notify.fileno()])
        os.close(write_end)

    def wait_for_log(self, text: str) -> str:
        """The next line of the log that has @text in it."""
        while True:
            while b"\n" in self._log:
                line, self._log = self._log.split(b"\n", 1)
                if text in line.decode(errors="replace"):
                    return line.decode(errors="replace")
            wait_for(self._log_end, f"'{text}' in the log")
            data = os.read(self._log_end, 65536)
            assert data, f"the forwarder ended without '{text}' in its log"
            self._log += data

    def wait_for_notification(self, text: str) -> str:
        while True:
            wait_for(self._notify, f"'{text}' from sd_notify")
            message = self._notify.recv(4096).decode()
            if text in message:
                return message

    def stop(self, how=signal.SIGTERM):
        if self._process.poll() is None:
            self._process.send_signal(how)

    def wait(self) -> int:
        return self._process.wait(DEADLINE_SECONDS)

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._log_end)
        self._notify.close()


# on top of what a device has
VENDOR_INTERFACES = "".join(f"ff00{number:02x}:" for number in range(32))

# what sysfs has of a device with a vendor's interface, a descriptor of two
# bytes, at which udev stops, and a mouse behind it
HIDDEN_MOUSE = bytes((18, 1, 0, 2, 0, 0, 0, 64, 0x27, 6, 1, 0, 0, 0, 1, 2, 3, 1,
                      9, 2, 36, 0, 1, 1, 0, 0xa0, 50,
                      9, 4, 0, 0, 0, 0xff, 0, 0, 0,
                      2, 0xff,
                      9, 4, 1, 0, 1, 3, 1, 2, 0,
                      7, 5, 0x81, 3, 8, 0, 10))


def with_interfaces(text: str, interfaces: str) -> str:
    """A description with another list of udev's."""
    return re.sub("^E: ID_USB_INTERFACES=.*$",
                  f"E: ID_USB_INTERFACES={interfaces}", text, flags=re.M)


def short(event: dict) -> str:
    return f"{event['action']} {event['device']}"


class TestCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.testbed = plug.Testbed()
        self.addCleanup(self.testbed.close)
        self.dom0 = Dom0(self.folder)
        self.addCleanup(self.dom0.close)

    def forwarder(self, *arguments) -> Forwarder:
        forwarder = Forwarder(self.folder, self.testbed, "--qrexec-client",
                              self.dom0.client, *arguments)
        self.addCleanup(forwarder.close)
        return forwarder

    def start(self, *descriptions, arguments=()):
        """A forwarder, its call, and the picture of what is described."""
        for description in descriptions:
            self.testbed.plug(description)
        forwarder = self.forwarder(*arguments)
        return forwarder, *self.call()

    def call(self):
        call = self.dom0.call()
        self.addCleanup(call.end)
        return call, call.picture()


class Picture(TestCase):
    def test_the_call_is_made_as_qrexec_wants_it(self):
        _, call, picture = self.start()
        self.assertEqual(call.arguments, ["dom0", "autoattach.Event"])
        self.assertEqual(picture, [])

    def test_the_child_has_nothing_but_its_three_descriptors(self):
        _, call, _ = self.start()
        # 0 and 1 are closed by the fake, which has its connection and the
        # listing of its own descriptors there
        self.assertEqual(len(json.loads(call.other_fds)), 3, call.other_fds)

    def test_hello_says_which_boot_and_program(self):
        self.forwarder()
        call = self.dom0.call()
        self.addCleanup(call.end)
        boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()
        version = (ROOT / "version").read_text().strip()
        self.assertEqual(call.line(), {
            "type": "hello", "version": 1,
            "boot_id": boot_id.strip().replace("-", ""),
            "agent": f"qubes-autoattach/{version}"})
        self.assertEqual(call.line(), {"type": "synced"})

    def test_a_real_stick_is_told_with_all_that_is_known(self):
        _, _, picture = self.start(plug.description("usb-controller"),
                                   plug.description("sandisk-ultra"))
        usb = {"vendor_id": "0781", "product_id": "5581", "revision": "0100",
               "serial": "4C530001230822115281", "vendor": "SanDisk",
               "model": "Ultra", "interfaces": ["080650"],
               "path": "pci-0000:00:06.0-usb-0:1"}
        self.assertEqual(picture, [
            {"type": "event", "seq": 1, "action": "present", "class": "usb",
             "device": "2-1", "properties": {**usb, "devtype": "usb_device"}},
            {"type": "event", "seq": 2, "action": "present", "class": "block",
             "device": "sda", "parent": "2-1",
             "properties": {**usb, "devtype": "disk", "part_table": "dos",
                            "size": 30752000000, "removable": True,
                            "read_only": False, "diskseq": 24}},
            {"type": "event", "seq": 3, "action": "present", "class": "block",
             "device": "sda1", "parent": "sda",
             "properties": {**usb, "devtype": "partition", "partition": 1,
                            "fs_type": "vfat", "fs_uuid": "3F2A-91C0",
                            "fs_label": "PHOTO STICK", "part_table": "dos",
                            "part_uuid": "7f3a92c1-01", "size": 30751983616,
                            "removable": True, "read_only": False,
                            "diskseq": 24}}])

    def test_what_qubes_leaves_out_is_left_out(self):
        _, _, picture = self.start(
            plug.description("usb-controller"), plug.description("hub"),
            plug.description("security-key"), plug.description("qemu-tablet"))
        self.assertEqual([short(event) for event in picture],
                         ["present 2-4.2"])

    def test_devices_of_qemu_come_when_asked_for(self):
        _, _, picture = self.start(plug.description("qemu-tablet"),
                                   arguments=["--export-qemu"])
        self.assertEqual([short(event) for event in picture], ["present 2-6"])

    def test_what_was_recorded_in_a_machine_is_told_as_it_was_there(self):
        told = json.loads((plug.DEVICES / "emulated.json").read_text())
        _, _, picture = self.start(*map(plug.description, told),
                                   arguments=["--export-qemu"])
        keys = ("class", "device", "parent", "properties")
        self.assertEqual(
            {event["device"]: {key: event[key] for key in keys if key in event}
             for event in picture},
            {device["device"]: device for devices in told.values()
             for device in devices})

    def test_what_udev_is_not_done_with_comes_with_its_event(self):
        stick = plug.description("sandisk-ultra")
        self.testbed.plug(stick, initialized=False)
        _, call, picture = self.start()
        self.assertEqual(picture, [])
        self.testbed.change(plug.find(stick, "2-1"), action="add",
                            properties={"USEC_INITIALIZED": "1"})
        self.assertEqual(short(call.line()), "add 2-1")

    def test_what_is_mounted_is_not_offered_and_comes_when_it_is_free(self):
        stick = plug.description("sandisk-ultra")
        self.testbed.write("/proc/self/mountinfo",
                           "36 35 8:1 / /mnt rw - vfat /dev/sda1 rw\n")
        _, call, picture = self.start(stick)
        # nor is its disk: Qubes leaves that out, too
        self.assertEqual([short(event) for event in picture], ["present 2-1"])

        self.testbed.write("/proc/self/mountinfo", "")
        self.testbed.change(plug.find(stick, "sda1"))
        self.assertEqual([short(event) for event in call.events(2)],
                         ["add sda", "add sda1"])


class Interfaces(TestCase):
    """A device whose interfaces cannot be told one and all is not reported: a
    rule that keeps mice away would not know it for one."""

    def refused(self, interfaces: str, reason: str):
        mouse = plug.description("qemu-mouse")
        forwarder, call, picture = self.start(
            with_interfaces(mouse, interfaces), arguments=["--export-qemu"])
        self.assertEqual(picture, [])
        line = forwarder.wait_for_log("not reported")
        self.assertEqual(line, f"1-7: it is not reported: {reason}")
        # as udev tells of a new one, and not logged again
        self.testbed.change(plug.find(mouse, "1-7"), action="bind")
        self.testbed.plug(plug.description("security-key"))
        self.assertEqual(short(call.line()), "add 2-4.2")
        self.assertEqual(forwarder.wait_for_log(""), "2-4.2: add")

    def test_a_mouse_with_32_more_interfaces_is_not_reported(self):
        self.refused(":030102:" + VENDOR_INTERFACES,
                     "it has more kinds of USB interfaces than can be told to "
                     "dom0")

    def test_nor_is_one_whose_list_is_malformed(self):
        self.refused(":030102", "it cannot be told for sure which USB "
                     "interfaces it has")

    def test_the_same_mouse_with_nothing_else_is(self):
        _, _, picture = self.start(
            with_interfaces(plug.description("qemu-mouse"), ":030102:"),
            arguments=["--export-qemu"])
        self.assertEqual([short(event) for event in picture], ["present 1-7"])
        self.assertEqual(picture[0]["properties"]["interfaces"], ["030102"])

    def test_a_mouse_that_udev_overlooked_is_told(self):
        stick = plug.description("sandisk-ultra")
        self.testbed.plug(with_interfaces(stick, ":ff0000:"))
        path = plug.find(stick, "2-1").lstrip("/")
        (self.testbed.dir / path / "descriptors").write_bytes(HIDDEN_MOUSE)
        _, _, picture = self.start()
        self.assertEqual([short(event) for event in picture],
                         ["present 2-1", "present sda", "present sda1"])
        for event in picture:
            self.assertEqual(event["properties"]["interfaces"],
                             ["ff0000", "030102"])

    def test_what_lies_beyond_the_end_is_not_guessed(self):
        stick = plug.description("sandisk-ultra")
        self.testbed.plug(stick)
        path = plug.find(stick, "2-1").lstrip("/")
        (self.testbed.dir / path / "descriptors").write_bytes(
            HIDDEN_MOUSE[:-1])
        _, _, picture = self.start()
        self.assertEqual(picture, [])

    def test_the_disks_in_such_a_device_are_not_reported(self):
        forwarder, _, picture = self.start(
            with_interfaces(plug.description("sandisk-ultra"),
                            ":080650:" + VENDOR_INTERFACES))
        self.assertEqual(picture, [])
        self.assertEqual({forwarder.wait_for_log("not rep").split(":")[0]
                          for _ in range(3)}, {"2-1", "sda", "sda1"})

    def test_what_was_reported_before_is_told_as_gone(self):
        stick = plug.description("sandisk-ultra")
        forwarder, call, _ = self.start(stick)
        self.testbed.change(
            plug.find(stick, "2-1"), properties={
                "ID_USB_INTERFACES": ":080650:" + VENDOR_INTERFACES})
        self.assertEqual([short(event) for event in call.events(3)],
                         ["remove sda1", "remove sda", "remove 2-1"])
        # its disks are looked at anew, after it
        self.assertEqual({forwarder.wait_for_log("not rep").split(":")[0]
                          for _ in range(3)}, {"2-1", "sda", "sda1"})
        self.testbed.change(plug.find(stick, "2-1"), properties={
            "ID_USB_INTERFACES": ":080650:"})
        self.assertEqual(short(call.line()), "add 2-1")

    def test_the_next_one_in_the_port_is_logged_again(self):
        key = with_interfaces(plug.description("security-key"),
                              ":030102:" + VENDOR_INTERFACES)
        forwarder, _, _ = self.start(key)
        forwarder.wait_for_log("2-4.2: it is not reported")
        self.testbed.unplug(key)
        self.testbed.plug(key)
        forwarder.wait_for_log("2-4.2: it is not reported")


class Changes(TestCase):
    def test_plugging_and_pulling_out_are_told_in_order(self):
        stick = plug.description("sandisk-ultra")
        _, call, _ = self.start()
        self.testbed.plug(stick)
        self.assertEqual([short(event) for event in call.events(3)],
                         ["add 2-1", "add sda", "add sda1"])
        self.testbed.unplug(stick)
        events = call.events(3)
        self.assertEqual([short(event) for event in events],
                         ["remove sda1", "remove sda", "remove 2-1"])
        self.assertEqual([event["seq"] for event in events], [4, 5, 6])

    def test_what_went_with_a_usb_device_and_is_there_is_told_anew(self):
        """dom0 takes the parts of what goes for gone. These are of the next
        stick at the port, found before the old one's end was read."""
        stick = plug.description("sandisk-ultra")
        _, call, _ = self.start(stick)
        self.testbed.change(plug.find(stick, "2-1"), action="remove")
        events = [short(event) for event in call.events(6)]
        self.assertEqual(events[:3],
                         ["remove sda1", "remove sda", "remove 2-1"])
        self.assertEqual(sorted(events[3:]),
                         ["add 2-1", "add sda", "add sda1"])

    def test_a_change_is_told_only_if_something_is_different(self):
        stick = plug.description("sandisk-ultra")
        _, call, _ = self.start(stick)
        self.testbed.change(plug.find(stick, "sda1"))
        self.testbed.change(plug.find(stick, "sda1"),
                            properties={"ID_FS_LABEL_ENC": "OTHER"})
        event = call.line()
        self.assertEqual(short(event), "change sda1")
        self.assertEqual(event["properties"]["fs_label"], "OTHER")
        self.assertEqual(event["seq"], 4)

    def test_what_was_pulled_before_udev_looked_is_never_told_of(self):
        """Of such a device udev knows neither vendor nor serial."""
        key = plug.description("security-key")
        key = "\n".join(line for line in key.splitlines()
                        if "ID_" not in line and "idVendor" not in line)
        _, call, _ = self.start()
        self.testbed.plug(key)
        self.testbed.plug(plug.description("sandisk-ultra"))
        self.assertEqual([short(event) for event in call.events(3)],
                         ["add 2-1", "add sda", "add sda1"])

    def test_unbind_of_what_was_pulled_is_no_change(self):
        key = plug.description("security-key")
        path = plug.find(key, "2-4.2")
        _, call, _ = self.start(key)
        (self.testbed.dir / path.lstrip("/") / "idVendor").unlink()
        self.testbed.change(path, action="unbind")
        self.testbed.unplug(key)
        self.testbed.plug(plug.description("sandisk-ultra"))
        self.assertEqual([short(event) for event in call.events(2)],
                         ["remove 2-4.2", "add 2-1"])

    def test_a_device_that_is_mounted_meanwhile_is_not_taken_away(self):
        stick = plug.description("sandisk-ultra")
        _, call, _ = self.start(stick)
        self.testbed.write("/proc/self/mountinfo",
                           "36 35 8:1 / /mnt rw - vfat /dev/sda1 rw\n")
        self.testbed.change(plug.find(stick, "sda1"))
        # nothing of it; then it is free again, and offered anew as it was
        self.testbed.plug(plug.description("security-key"))
        self.assertEqual(short(call.line()), "add 2-4.2")
        self.testbed.write("/proc/self/mountinfo", "")
        self.testbed.change(plug.find(stick, "sda1"))
        self.assertEqual([short(event) for event in call.events(2)],
                         ["change sda", "change sda1"])

    def test_a_medium_comes_and_goes_in_an_empty_slot(self):
        reader = plug.description("card-reader")
        _, call, picture = self.start(reader)
        self.assertEqual([short(event) for event in picture], ["present 2-3"])
        slot = plug.find(reader, "sdz")
        self.testbed.change(slot, attributes={"size": "2048"},
                            properties={"DISKSEQ": "40"})
        event = call.line()
        self.assertEqual(short(event), "add sdz")
        self.assertEqual(event["parent"], "2-3")
        self.assertEqual(event["properties"]["size"], 1048576)
        self.assertEqual(event["properties"]["diskseq"], 40)
        self.testbed.change(slot, attributes={"size": "0"})
        self.assertEqual(short(call.line()), "remove sdz")

    def test_twenty_sticks_at_once(self):
        sticks = [plug.another(plug.description("sandisk-ultra"), number)
                  for number in range(10, 30)]
        _, call, _ = self.start()
        for stick in sticks:
            self.testbed.plug(stick)
        events = call.events(60)
        self.assertEqual({event["action"] for event in events}, {"add"})
        self.assertEqual(len({event["device"] for event in events}), 60)
        self.assertEqual([event["seq"] for event in events],
                         list(range(1, 61)))

    def test_a_hostile_stick_loses_what_is_not_text_and_nothing_else(self):
        stick = plug.description("sandisk-ultra")
        part = plug.find(stick, "sda1")
        _, call, _ = self.start(stick)
        for label, expected in (
                (rb"\x1b[31mred\x07", None),
                (rb"a\x00b", None),
                (rb"line\x0abreak", None),
                (b"bad \xff\xfe", None),
                (rb"bad \xc0\x80 again", None),
                (b"x" * 300, None),
                (b"half \\x4", None),
                (rb"\x22},{\x22seq\x22:1", '"},{"seq":1'),
                (rb"\x20\x20sp ace\x20", "sp ace"),
                (rb"\x5cx41", r"\x41"),
                (rb"\xc3\xa4\xe2\x80\xae", "\u00e4\u202e")):
            self.testbed.write_property(part, b"ID_FS_LABEL_ENC", label)
            # something else has to change, too, to see that it comes
            size = 1000 + len(label)
            self.testbed.change(part, attributes={"size": str(size)})
            event = call.line()
            self.assertEqual(event["properties"].get("fs_label"), expected,
                             label)
            self.assertEqual(event["properties"]["size"], size * 512)
            self.assertEqual(event["properties"]["fs_uuid"], "3F2A-91C0")


class Connection(TestCase):
    def test_a_lost_connection_brings_the_whole_picture_again(self):
        stick = plug.description("sandisk-ultra")
        _, call, _ = self.start(plug.description("security-key"))
        call.end(1)
        self.testbed.plug(stick)
        call, picture = self.call()
        # what came meanwhile is in it, or comes behind it, but not both
        events = picture + call.events(4 - len(picture))
        self.assertEqual({event["device"] for event in events},
                         {"2-4.2", "2-1", "sda", "sda1"})
        self.assertEqual([event["seq"] for event in events], [1, 2, 3, 4])

    def test_what_went_meanwhile_is_not_in_the_next_picture(self):
        stick = plug.description("sandisk-ultra")
        forwarder, call, _ = self.start(stick)
        call.end(1)
        forwarder.wait_for_log("next try in")
        self.testbed.unplug(stick)
        call, picture = self.call()
        # what of it was still in the picture goes behind it
        there = {event["device"] for event in picture}
        for event in call.events(len(there)):
            self.assertEqual(event["action"], "remove")
            there.remove(event["device"])
        self.assertEqual(there, set())

    def test_waits_grow_after_each_loss(self):
        forwarder, call, _ = self.start()
        waits = []
        for _ in range(3):
            call.end(1)
            line = forwarder.wait_for_log("next try in")
            self.assertIn("status 1", line)
            waits.append(float(line.split()[-2]))
            call, _ = self.call()
        for wait, least in zip(waits, (0.5, 1.0, 2.0)):
            self.assertTrue(least <= wait <= least * 1.5 + 0.1, waits)

    def test_a_refusal_by_policy_is_not_asked_about_again_soon(self):
        forwarder, call, _ = self.start()
        call.end(126)
        message = forwarder.wait_for_notification("refused by the policy")
        self.assertIn("next try in 600.0 s", message)

    def leave_alone_after_429(self, seq):
        forwarder, call, _ = self.start(plug.description("security-key"))
        call.answer(seq, 429, "too-many")
        forwarder.wait_for_log("429")
        self.assertIsNone(call.line())
        call.end(0)
        self.assertIn("too many", forwarder.wait_for_log("next try in"))
        _, picture = self.call()
        self.assertEqual([short(e) for e in picture], ["present 2-4.2"])

    def test_an_event_that_is_too_many_ends_the_call(self):
        self.leave_alone_after_429(1)

    def test_a_connection_that_is_too_many_is_ended(self):
        self.leave_alone_after_429(None)

    def refuse_as_no_answer(self, line: bytes):
        forwarder, call, _ = self.start()
        call.send(line)
        self.assertIsNone(call.line())
        call.end(0)
        self.assertIn("dom0 sent", forwarder.wait_for_log("next try in"))

    def test_what_is_no_answer_ends_the_call(self):
        self.refuse_as_no_answer(b"nonsense\n")

    def test_an_answer_to_what_was_not_sent_ends_the_call(self):
        self.refuse_as_no_answer(
            b'{"seq":99,"code":200,"status":"attached"}\n')

    def test_a_line_without_end_ends_the_call(self):
        self.refuse_as_no_answer(b"x" * 9000)

    def test_a_dom0_that_does_not_read_loses_the_call_and_nothing_else(self):
        text = '"' * 255  # two bytes each on the wire
        disk = ("P: /devices/virtual/block/sdx\nN: sdx\nE: DEVTYPE=disk\n"
                "E: SUBSYSTEM=block\nE: MAJOR=8\nE: MINOR=0\n"
                "E: DEVNAME=/dev/sdx\nA: dev=8:0\\n\nA: size=8\\n\n"
                f"E: DISKSEQ=0\nE: ID_PATH={text}\nE: ID_FS_UUID={text}\n"
                f"E: ID_FS_LABEL={text}\nE: ID_PART_ENTRY_UUID={text}\n")
        forwarder, call, _ = self.start(disk)
        forwarder.wait_for_log("sdx: add")
        number, line = 0, "sdx: change"
        while line == "sdx: change":
            number += 1
            self.assertLess(number, 20000, "the queue has no end")
            self.testbed.change("/sys/devices/virtual/block/sdx",
                                properties={"DISKSEQ": str(number)})
            # in step with it: one line for each change while all is well
            line = forwarder.wait_for_log("")
        self.assertIn("does not read", line)
        call.end(1)
        call, picture = self.call()
        self.assertEqual([event["device"] for event in picture], ["sdx"])

    def test_answers_are_told_by_the_name_of_their_device(self):
        forwarder, call, _ = self.start(plug.description("security-key"))
        call.answer(1, 300, "not-attached")
        self.assertEqual(forwarder.wait_for_log("not-attached"),
                         "2-4.2: 300 not-attached")
        forwarder.wait_for_notification("STATUS=Reporting to dom0")

    def test_a_child_that_does_not_end_is_made_to(self):
        forwarder, call, _ = self.start()
        os.close(call.stdout)  # dom0's end is over, but the process is not
        call.stdout = os.open(os.devnull, os.O_WRONLY)
        forwarder.wait_for_log("killed by signal 15")

    @unittest.skipIf(os.environ.get("AUTOATTACH_VALGRIND"),
                     "under valgrind a child is not heard of that did not start")
    def test_a_client_that_is_not_there_is_tried_again(self):
        forwarder = Forwarder(self.folder, self.testbed, "--qrexec-client",
                              self.folder + "/none")
        self.addCleanup(forwarder.close)
        self.assertIn("No such file", forwarder.wait_for_log("next try in"))
        os.symlink(self.dom0.client, self.folder + "/none")
        self.call()


class Life(TestCase):
    def test_ready_is_told_before_the_call_is_answered(self):
        forwarder = self.forwarder()
        forwarder.wait_for_notification("READY=1")

    def end_cleanly(self, how):
        forwarder, call, _ = self.start()
        forwarder.stop(how)
        forwarder.wait_for_notification("STOPPING=1")
        self.assertIsNone(call.line())
        call.end(0)
        self.assertEqual(forwarder.wait(), 0)

    def test_it_ends_cleanly_on_sigterm(self):
        self.end_cleanly(signal.SIGTERM)

    def test_it_ends_cleanly_on_sigint(self):
        self.end_cleanly(signal.SIGINT)

    def test_it_ends_while_it_waits_for_the_next_call(self):
        forwarder, call, _ = self.start()
        call.end(126)
        forwarder.wait_for_log("next try in")
        forwarder.stop()
        self.assertEqual(forwarder.wait(), 0)

    def test_wrong_usage_is_64(self):
        for arguments in (["--nonsense"], ["sda"]):
            result = subprocess.run([FORWARDER, *arguments], check=False,
                                    capture_output=True)
            self.assertEqual(result.returncode, 64)
            self.assertIn(b"--help", result.stderr)

    def test_help_and_version(self):
        for program in (FORWARDER, SEND):
            for option, text in (("--help", "Usage:"), ("--version", "1.")):
                result = subprocess.run([program, option], check=True, text=True,
                                        capture_output=True)
                self.assertIn(text, result.stdout)


class Send(TestCase):
    def send(self, *arguments) -> subprocess.Popen:
        process = subprocess.Popen(
            [*TOOL, SEND, "--qrexec-client", self.dom0.client, *arguments],
            env=self.testbed.environment(), text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def result(self, process):
        output, errors = process.communicate(timeout=DEADLINE_SECONDS)
        return process.returncode, output, errors

    def accept(self) -> Call:
        call = self.dom0.call()
        self.addCleanup(call.end)
        self.assertEqual(call.line()["type"], "hello")
        return call

    def test_devices_are_sent_and_answers_told(self):
        self.testbed.plug(plug.description("sandisk-ultra"))
        process = self.send("/dev/sda", "sda1", "2-1")
        call = self.accept()
        self.assertEqual([short(event) for event in call.events(3)],
                         ["add sda", "add sda1", "add 2-1"])
        self.assertIsNone(call.line())
        call.answer(3, 300, "not-attached")
        call.answer(1, 200, "attached")
        call.answer(2, 201, "already-attached")
        call.end(0)
        self.assertEqual(self.result(process), (
            3, "2-1: 300 not-attached\nsda: 200 attached\n"
               "sda1: 201 already-attached\n", ""))

    def test_success_is_exit_status_0(self):
        self.testbed.plug(plug.description("security-key"))
        process = self.send("2-4.2")
        call = self.accept()
        call.answer(1, 200, "attached")
        call.end(0)
        self.assertEqual(self.result(process),
                         (0, "2-4.2: 200 attached\n", ""))

    def test_what_is_not_there_or_not_exported_is_refused_and_why(self):
        self.testbed.plug(plug.description("usb-controller"))
        self.testbed.plug(plug.description("hub"))
        self.testbed.plug(plug.description("card-reader"))
        for device, why in (
                ("sdq", "there is no such device"),
                ("/dev/sdq", "there is no such device"),
                ("/dev/null", "that is no block device"),
                ("a\x1bb/../c", "there is no such device"),
                ("sdz", "Qubes does not export it: no medium is in it"),
                ("2-4", "Qubes does not export it: it is a hub")):
            status, output, errors = self.result(self.send(device))
            self.assertEqual((status, output), (4, ""))
            self.assertIn(why, errors)
            self.assertNotIn("\x1b", errors)

    def test_what_is_mounted_is_refused(self):
        self.testbed.plug(plug.description("sandisk-ultra"))
        self.testbed.write("/proc/self/mountinfo",
                           "36 35 8:1 / /mnt rw - vfat /dev/sda1 rw\n")
        self.assertEqual(self.result(self.send("sda")), (
            4, "", "sda: Qubes does not export it: it, or a part of it, is "
                   "mounted here\n"))

    def test_what_has_too_many_interfaces_is_refused(self):
        self.testbed.plug(with_interfaces(
            plug.description("sandisk-ultra"),
            ":080650:" + VENDOR_INTERFACES))
        for device in ("2-1", "sda", "/dev/sda1"):
            self.assertEqual(self.result(self.send(device)), (
                4, "", f"{device}: it is not reported: it has more kinds of "
                       "USB interfaces than can be told to dom0\n"))

    def test_the_good_ones_are_sent_all_the_same(self):
        self.testbed.plug(plug.description("security-key"))
        process = self.send("sdq", "2-4.2")
        call = self.accept()
        call.answer(1, 200, "attached")
        call.end(0)
        self.assertEqual(self.result(process), (
            4, "2-4.2: 200 attached\n", "sdq: there is no such device\n"))

    def test_a_call_that_fails_is_exit_status_5(self):
        self.testbed.plug(plug.description("security-key"))
        for ending, why in ((126, "policy"), (1, "status 1"),
                            (0, "without an answer")):
            process = self.send("2-4.2")
            call = self.accept()
            call.end(ending)
            status, output, errors = self.result(process)
            self.assertEqual((status, output), (5, ""))
            self.assertIn(why, errors)

    def test_an_answer_for_the_whole_call_is_told(self):
        self.testbed.plug(plug.description("security-key"))
        process = self.send("2-4.2")
        call = self.accept()
        call.answer(None, 429, "too-many")
        call.end(0)
        status, _, errors = self.result(process)
        self.assertEqual(status, 4)
        self.assertIn("a limit is reached", errors)

    def test_a_time_limit_ends_the_wait(self):
        self.testbed.plug(plug.description("security-key"))
        # which begins with the call: dom0 may not even have taken that by then
        status, _, errors = self.result(self.send("--timeout", "1s", "2-4.2"))
        self.assertEqual(status, 5)
        self.assertIn("in time", errors)

    def test_wrong_usage_is_64(self):
        for arguments in ([], ["--timeout", "soon", "sda"], ["--nonsense"]):
            self.assertEqual(self.result(self.send(*arguments))[0], 64)


if __name__ == "__main__":
    plug.require_wrapper()
    unittest.main()
