# SPDX-License-Identifier: GPL-2.0-or-later
"""What the ordinary tests plug in is what a real kernel and udev say.

tests/integration/devices has recordings of emulated devices, and what the
forwarder told of them here. With --record they are made anew.
"""

import json
import os
import pathlib
import re

import images
from machine import Plug, Reader, Stick, UasDisk
from rig import SOURCE, UsbQubeCase

DEVICES = pathlib.Path(__file__).resolve().parent.parent / "integration/devices"
TOLD = DEVICES / "emulated.json"
RECORD = bool(os.environ.get("AUTOATTACH_VM_RECORD"))
LABEL = 'a"b\'\\x0a\u00e9\u20ac'
# counts, and what nobody but a driver asks for
LEFT_OUT = re.compile(r"E: (CURRENT_TAGS|TAGS|DEVLINKS|USEC_INITIALIZED|SEQNUM)="
                      r"|[SLH]: |A: [^=]*/|A: (stat|inflight|urbnum|uevent)=|$")
# by chance: the order in which the kernel found them
VARY = ("diskseq",)


def kinds() -> dict[str, Plug]:
    """By the name of the recording."""
    return {
        "qemu-stick-fat": Stick(images.fat(), port="1", serial="REC00001"),
        "qemu-stick-gpt": Stick(images.gpt(), port="2", serial="REC00002"),
        "qemu-stick-luks": Stick(images.luks(), port="3", serial="REC00003"),
        "qemu-stick-label": Stick(images.labelled(LABEL.encode()), port="4",
                                  serial="REC00004"),
        "qemu-reader": Reader(None, images.fat(), images.empty(), port="5",
                              serial="REC00005"),
        "qemu-uas": UasDisk(images.gpt(), port="6", serial="REC00006"),
        "qemu-mouse": Plug("usb-mouse", port="7", serial="REC00007"),
        "qemu-smartcard": Plug("usb-ccid", port="8", serial="REC00008")}


class RecordingsTest(UsbQubeCase):
    def setUp(self):
        super().setUp()
        self.kinds = kinds()
        self.machine.plug(*self.kinds.values())
        disks = [plug.serial for plug in self.kinds.values()
                 if isinstance(plug, (Stick, Reader))]
        self.told = self.rig.expect_truth(*disks)

    def told_of(self, plug: Plug) -> list[dict]:
        """The last record of each device of one plug."""
        serial = plug.words["serial"]
        last = {(line["class"], line["device"]): line
                for line in self.rig.lines[self.since:]
                if line["from"] == SOURCE and line["type"] == "event" and
                line["properties"].get("serial") == serial}
        self.assertTrue(last, serial)
        return [{key: line[key] for key in ("class", "device", "parent",
                                            "properties") if key in line}
                for _, line in sorted(last.items())]

    def test_a_recorded_device_is_told_of_as_it_was(self):
        told = {name: self.told_of(plug) for name, plug in self.kinds.items()}
        if RECORD:
            self.record(told)
        self.assertEqual(
            {name: plain(devices) for name, devices in told.items()},
            {name: plain(devices) for name, devices in
             json.loads(TOLD.read_text()).items()})

    def record(self, told: dict[str, list]) -> None:
        for name, devices in told.items():
            usb = next(device["device"] for device in devices
                       if device["class"] == "usb")
            said = self.machine.run(f"""
                for d in $(find $(readlink -f /sys/bus/usb/devices/{usb}) \\
                           -name uevent); do
                    case $d in */power/*|*/bdi/*|*/ep_*) ;;
                    *) umockdev-record ${{d%/uevent}} || exit; esac
                done""", timeout=300)
            (DEVICES / f"{name}.umockdev").write_text(
                tidied(said, usb), encoding="utf-8")
        TOLD.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n",
                        encoding="utf-8")


def plain(devices: list[dict]) -> list:
    """Without what the kernel gives out by chance."""
    return sorted(json.dumps(
        [device["class"], {key: value
                           for key, value in device["properties"].items()
                           if key not in VARY}], sort_keys=True)
        for device in devices)


def tidied(said: str, usb: str) -> str:
    """Each device at and below the USB device once, parents first, without
    what is left out."""
    found = {}
    for paragraph in said.split("\n\n"):
        lines = paragraph.strip().splitlines()
        if lines and re.search(rf"/{re.escape(usb)}(/|$)", lines[0]):
            found[lines[0]] = "\n".join(
                re.sub("^(N: [^=]*)=.*", r"\1", line) for line in lines
                if not LEFT_OUT.match(line))
    return "\n\n".join(found[name] for name in sorted(found)) + "\n"
