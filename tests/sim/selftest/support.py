# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the simulator share."""

import re
import unittest

from sim.client import Sim, Stream, fail

STICK = "0781:5581:4C530001:u080650"
SDA = STICK + ":1.0"
UNKNOWN = "0000:0000::?******"
QUBES = {
    "sys-usb": {"state": "Running"},
    "work": {"state": "Running", "label": "blue"},
    "personal": {"state": "Running"},
    "vault": {"state": "Halted"},
    "media-dvm": {"template_for_dispvms": True},
}
DEVICES = [
    {"backend": "sys-usb", "port": "2-1", "class": "usb", "identity": STICK},
    {"backend": "sys-usb", "port": "sda", "class": "block", "parent": "2-1",
     "interface": "1.0", "name": "DATA", "serial": "SanDisk Ultra"},
    {"backend": "sys-usb", "port": "sda1", "class": "block", "parent": "sda"},
]
LOOSE = {"backend": "sys-usb", "port": "sdb", "class": "block"}
DISK_KEYS = {
    "device_id": SDA, "port_id": "sda", "devclass": "block",
    "backend_domain": "sys-usb", "manufacturer": "sub-device of sys-usb:2-1",
    "name": "DATA", "serial": "SanDisk Ultra", "interfaces": "b******",
    "parent_port_id": "2-1", "parent_devclass": "usb",
}
NOT_RUNNING = (b"2\0QubesVMNotRunningError\0\0VM not running, cannot attach "
               b"device, do you mean `assign`?\0")
AMBIGUOUS = b"2\0ProtocolError\0\0Cannot attach ambiguous block device.\0"


def scenario(**changes) -> dict:
    """The system that most tests start from; behaviour without lag."""
    base = {"qubes": QUBES, "devices": DEVICES,
            "behaviour": {"extra_events": False, "usb_detach_lag": 0}}
    base.update(changes)
    return base


def parse_line(line: str) -> tuple[str, dict]:
    """Head and key='value' words of a well-behaved device's line."""
    head, _, rest = line.partition(" ")
    return head, dict(re.findall(r"(\S+)='([^']*)'", rest))


class Events:
    """A subscriber of admin.Events that reads frame by frame."""

    def __init__(self, sim: Sim, dest: str = "dom0"):
        self.stream = Stream(sim.qubesd_socket, "admin.Events")
        self.stream.send(f"admin.Events dom0 name {dest}\0".encode())
        self.stream.shut()

    def frame(self) -> tuple[str, ...]:
        """(subject, event, key, value, ...) of the next frame."""
        words = []
        if self.stream.read_until(b"\0") != b"1":
            fail("not an event frame")
        words += [self.stream.read_until(b"\0"), self.stream.read_until(b"\0")]
        while key := self.stream.read_until(b"\0"):
            words += [key, self.stream.read_until(b"\0")]
        return tuple(word.decode() for word in words)

    def frames(self, count: int) -> list[tuple[str, ...]]:
        """The next `count` frames."""
        return [self.frame() for _ in range(count)]


class SimTestCase(unittest.TestCase):
    """One simulator a test."""

    dialect = "4.4"

    def start(self, **changes) -> Sim:
        """The simulator with the base scenario, changed."""
        sim = Sim(scenario(**changes), dialect=self.dialect)
        self.addCleanup(sim.__exit__, None, None, None)
        return sim.__enter__()

    def events(self, sim: Sim, dest: str = "dom0") -> Events:
        """A subscriber whose connection is established."""
        events = Events(sim, dest)
        self.addCleanup(events.stream.close)
        self.assertEqual(events.frame(), ("", "connection-established"))
        return events

    def open_request(self, sim: Sim, request: bytes) -> Stream:
        """A request that was sent whole and is not answered yet."""
        stream = Stream(sim.qubesd_socket, repr(request))
        self.addCleanup(stream.close)
        stream.send(request)
        stream.shut()
        return stream
