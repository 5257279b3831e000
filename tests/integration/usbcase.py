# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of USB devices, replugs and restarts have in common.

    sys-usb:2-1 > sda > sda1, sda2     sys-usb:2-2 > sdb ...     work, vault, backups
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import harness  # noqa: E402
from daemoncase import (PART, STICK, DaemonCase, request, stick,  # noqa: E402
                        stick_n, sticks, told, world)

KEY = "key: allow usb id 0781:5581 to work\n"
ANY = "all: allow any id 0781:5581 to work\n"
DISK = "disk: allow block id 0781:5581 to work\n"

# what the forwarder tells of the stick as a whole
USB = {"vendor_id": "0781", "product_id": "5581", "serial": "4C530001",
       "vendor": "SanDisk", "model": "Ultra", "devtype": "usb_device",
       "path": STICK["path"], "interfaces": ["080650"]}

USB_AVAILABLE = "admin.vm.device.usb.Available"
USB_ATTACHED = "admin.vm.device.usb.Attached"
USB_ATTACH = "admin.vm.device.usb.Attach"
USB_DETACH = "admin.vm.device.usb.Detach"
ATTACHES = "admin.vm.device.*.Attach"

USB_IDENTITY = "0781+5581+4C530001+u080650"
USB_PINNED = request(USB_ATTACH, f"sys-usb+2-1+{USB_IDENTITY}", "work")
USB_TAKE_OFF = request(USB_DETACH, "sys-usb+2-1", "work")


def usb_n(n: int, **more) -> dict:
    """The properties of the n-th of sticks() as a whole, from 0."""
    return {**USB, "serial": f"4C53000{n + 1}",
            "path": f"pci-0000:00:14.0-usb-0:{n + 1}", **more}


def partitions(disk: str, count: int) -> list[dict]:
    """sda1, sda2, ... for the simulator."""
    return [{"backend": "sys-usb", "port": f"{disk}{n}", "class": "block",
             "parent": disk} for n in range(1, count + 1)]


def part_n(n: int, **more) -> dict:
    """The properties of the n-th partition, from 1."""
    return {**PART, "partition": n, **more}


class UsbCase(DaemonCase):
    """A test of the daemon with USB devices.

    A USB device is free as soon as it is detached, unless the test says that
    it counts as attached for a while, as it really does (`lag`).
    """

    def start(self, rules: str = KEY, scenario: dict | None = None, *,
              lag: float = 0, **options) -> harness.Rig:
        """A rig whose daemon has got to know qubesd."""
        scenario = world() if scenario is None else scenario
        behaviour = {"usb_detach_lag": lag, **scenario.get("behaviour", {})}
        return super().start(rules, {**scenario, "behaviour": behaviour}, **options)

    def attach_usb(self, rig: harness.Rig,
                   connection: harness.EventConn | None = None,
                   ) -> harness.EventConn:
        """The whole stick is attached to work by us; the mark is behind it."""
        connection = connection or self.forwarder(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        rig.sim.wait_attached(backend="sys-usb", port="2-1", target="work")
        rig.daemon.wait_no_jobs()
        rig.mark()
        return connection

    def assert_attached(self, rig: harness.Rig, port: str, target: str | None,
                        backend: str = "sys-usb") -> None:
        """Who has a device, by the simulator."""
        self.assertEqual(rig.sim.device(port, backend)["attachment"], target)

    def assert_once(self, rig: harness.Rig) -> None:
        """No Attach of a device began while it was attached or in work."""
        counts: dict[tuple, int] = {}
        for call in rig.sim.calls(service="qubesd", method=ATTACHES):
            if call["answer_text"] == "0\0":
                key = (call["dest"], call["arg"])
                counts[key] = counts.get(key, 0) + 1
        self.assertEqual([key for key, count in counts.items() if count > 1], [])

    def wait_forgotten(self, rig: harness.Rig, source: str = "sys-usb") -> None:
        """Until the daemon has heard that a source has halted."""
        rig.daemon.wait_status(
            lambda status: not any(item["n_devices"] for item in status["sources"]
                                   if item["name"] == source), "nothing of it")

    def reboot(self, rig: harness.Rig, source: str = "sys-usb") -> str:
        """A source halts and starts; its new boot_id."""
        rig.sim.qube_stop(name=source)
        self.wait_forgotten(rig, source)
        rig.sim.qube_start(name=source)
        return rig.sim.state()["qubes"][source]["boot_id"]

    def told_codes(self, rig: harness.Rig) -> dict[str, int]:
        """The newest outcome of each device by the journal, which keeps all."""
        rig.daemon.wait_no_jobs()
        return {device: int(code) for device, code in re.findall(
            r" AUTOATTACH_DEVICE=(\S+) .* AUTOATTACH_CODE=(\d+) ",
            rig.daemon.process.stderr())}

    def codes(self, rig: harness.Rig, device: str) -> list[int]:
        """All outcomes of a device, oldest first."""
        return [outcome["code"] for outcome in rig.daemon.outcomes(device)]

    def picture(self, rig: harness.Rig, source: str = "sys-usb",
                devices: tuple = (), boot_id: str = harness.BOOT_ID,
                ) -> harness.EventConn:
        """A forwarder that has connected anew: (class, name, words), synced."""
        connection = self.enterContext(rig.daemon.connect(source))
        connection.hello(boot_id)
        for devclass, name, words in devices:
            connection.present(devclass, name, **words)
        connection.synced()
        return connection


__all__ = ["ANY", "ATTACHES", "DISK", "KEY", "PART", "STICK", "USB", "USB_ATTACH",
           "USB_ATTACHED", "USB_AVAILABLE", "USB_DETACH", "USB_IDENTITY",
           "USB_PINNED", "USB_TAKE_OFF", "UsbCase", "harness", "part_n",
           "partitions", "request", "stick", "stick_n", "sticks", "told", "usb_n",
           "world"]
