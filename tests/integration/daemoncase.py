# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon's tests have in common: a world with sticks, and a case.

    sys-usb:2-1 (a SanDisk stick) > sda > sda1      work, vault, backups: qubes
"""

import pathlib
import re
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import harness  # noqa: E402

TO_WORK = "stick: allow block id 0781:5581 to work\n"

# what the forwarder tells of the stick's disk
STICK = {"vendor_id": "0781", "product_id": "5581", "serial": "4C530001",
         "vendor": "SanDisk", "model": "Ultra", "devtype": "disk",
         "path": "pci-0000:00:14.0-usb-0:1", "size": 15376000000,
         "removable": True, "diskseq": 7}
PART = {**STICK, "devtype": "partition", "partition": 1, "fs_type": "vfat"}
# what qubesd knows the disk as, as an argument has it
IDENTITY = "0781+5581+4C530001+u080650+1.0"

AVAILABLE = "admin.vm.device.block.Available"
ATTACHED = "admin.vm.device.block.Attached"
ATTACH = "admin.vm.device.block.Attach"
DETACH = "admin.vm.device.block.Detach"
START = "admin.vm.Start"
STATE = "admin.vm.CurrentState"

NEARLY_A_MINUTE = 50

NAMES = {200: "attached", 201: "already-attached", 203: "detached",
         300: "not-attached", 400: "malformed", 401: "unsupported-version",
         413: "too-large", 429: "too-many"}


def request(method: str, arg: str, dest: str, payload: str = "") -> bytes:
    """A call as WIRE 1 writes it."""
    return f"{method}+{arg} dom0 name {dest}\0{payload}".encode("ascii")


LOOK = request(AVAILABLE, "sda", "sys-usb")
PINNED = request(ATTACH, f"sys-usb+sda+{IDENTITY}", "work")
SHOW = request(ATTACHED, "", "work")
TAKE_OFF = request(DETACH, "sys-usb+sda", "work")
BOOT = request(START, "", "work")


def told(seq: int | None, code: int) -> dict:
    """The answer to an event."""
    return {"seq": seq, "code": code, "status": NAMES[code]}


def stick(name: str = "sda", port: str = "2-1", serial: str = "4C530001",
          backend: str = "sys-usb", **more) -> list[dict]:
    """A USB stick and its disk, for the simulator."""
    return [{"backend": backend, "port": port, "class": "usb",
             "identity": f"0781:5581:{serial}:u080650"},
            {"backend": backend, "port": name, "class": "block",
             "parent": port, "interface": "1.0", **more}]


def sticks(count: int, backend: str = "sys-usb") -> list[dict]:
    """sda, sdb, ... each on a stick of its own."""
    return [device for n in range(count)
            for device in stick(f"sd{chr(ord('a') + n)}", f"2-{n + 1}",
                                f"4C53000{n + 1}", backend)]


def stick_n(n: int, **more) -> dict:
    """The properties of the n-th of sticks(), from 0."""
    return {**STICK, "serial": f"4C53000{n + 1}",
            "path": f"pci-0000:00:14.0-usb-0:{n + 1}", **more}


def world(target: str = "Running", devices: list | None = None, **more) -> dict:
    """A scenario; `target` is the state of work."""
    qubes = {"sys-usb": {"state": "Running"}, "work": {"state": target},
             "vault": {"state": "Halted"}, "backups": {"state": "Halted"},
             **more.pop("qubes", {})}
    return {"qubes": qubes, "devices": stick() if devices is None else devices,
            **more}


def gui_domain(name: str) -> dict:
    """Qubes of a scenario: sys-usb, whose GUI domain is not dom0."""
    return {"sys-gui": {}, "sys-usb": {
        "state": "Running", "properties": {"guivm": {"type": "vm", "value": name}}}}


class DaemonCase(unittest.TestCase):
    """A test of the daemon in its simulated dom0."""

    maxDiff = None

    def start(self, rules: str = TO_WORK, scenario: dict | None = None,
              **options) -> harness.Rig:
        """A rig whose daemon has got to know qubesd."""
        rig = self.enterContext(
            harness.Rig(world() if scenario is None else scenario, rules, **options))
        rig.settle()
        return rig

    def by_hand(self, rig: harness.Rig, source: str = "sys-usb",
                **options) -> harness.EventConn:
        """A connection that has said hello."""
        connection = self.enterContext(rig.daemon.connect(source, **options))
        connection.hello()
        return connection

    def forwarder(self, rig: harness.Rig, source: str = "sys-usb",
                  **options) -> harness.EventConn:
        """A connection whose picture, of nothing, is whole."""
        connection = self.by_hand(rig, source, **options)
        connection.synced()
        return connection

    def barrier(self, connection: harness.EventConn) -> None:
        """Until the daemon has taken all lines sent so far."""
        seq = connection.remove("block", "zz-barrier")
        self.assertEqual(connection.answer(seq), told(seq, 203))

    def within_the_minute(self, begun: float) -> None:
        """What there are so many of a minute is used up only within one."""
        if time.monotonic() - begun > NEARLY_A_MINUTE:
            self.skipTest("so slow a machine does not use up what a minute has")

    def assert_told(self, connection: harness.EventConn, seq: int | None,
                    code: int) -> None:
        """The answer to an event, exactly."""
        self.assertEqual(connection.answer(seq), told(seq, code))

    def assert_last(self, rig: harness.Rig, device: str, code: int,
                    detail: str | None = None) -> dict:
        """The newest outcome of a device, as dom0 knows it."""
        outcome = rig.daemon.outcomes(device)[-1]
        self.assertEqual(outcome["code"], code, outcome)
        if detail is not None:
            self.assertRegex(outcome["detail"] or "", re.compile(detail))
        return outcome

    def attach_stick(self, rig: harness.Rig,
                     connection: harness.EventConn | None = None,
                     ) -> harness.EventConn:
        """The stick's disk is attached to work by us; the mark is behind it."""
        connection = connection or self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        rig.daemon.status()  # what is told with 200 is kept only after that
        rig.mark()
        return connection
