# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of the simulated system: qubes, devices, attachments.

No I/O and no time. What the hypervisor and QubesDB would say is computed
here; who changes it, and which events tell of it, is in hotplug and power.
"""

import dataclasses
import random
import re
import uuid

from . import wire
from .errors import ApiError

CLASSES = ("block", "usb")
DEAD_STATES = ("Halted",)


@dataclasses.dataclass
class Qube:
    """A qube with its power state and what a call may ask about it."""

    name: str
    klass: str = "AppVM"
    state: str = "Halted"
    label: str = "red"
    uuid: str = ""
    properties: dict = dataclasses.field(default_factory=dict)
    usb_proxy: bool = True
    denied: list = dataclasses.field(default_factory=list)
    template: str = ""
    prohibit_start: str = ""
    template_for_dispvms: bool = False
    # has a controller of its own: it is suspended where others are paused
    pci: bool = False
    # the kernel's, new at each start
    boot_id: str = ""

    @property
    def is_running(self) -> bool:
        """libvirt's word: true for every state but Halted."""
        return self.state not in DEAD_STATES

    @property
    def icon(self) -> str:
        """The icon's name, as appvm-red."""
        kind = "dispvm" if self.klass == "DispVM" else "appvm"
        return f"{kind}-{self.label}"


@dataclasses.dataclass
class Device:
    """A device as its backend publishes it in QubesDB (WIRE 5)."""

    backend: str
    port: str
    devclass: str
    identity: str | None = None
    parent: str | None = None
    parent_class: str | None = None
    interface: str = ""
    interfaces: str = ""
    mode: str = "w"
    size: int = 15376000000
    name: str = ""
    serial: str = ""
    vendor: str = ""
    product: str = ""
    manufacturer: str | None = None
    in_use: bool = False
    claims: str | None = None
    extra: dict = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """Where the device is: unique among all devices."""
        return self.backend, self.devclass, self.port

    @property
    def where(self) -> str:
        """As events name it: sys-usb:sda."""
        return f"{self.backend}:{self.port}"


@dataclasses.dataclass
class Attachment:
    """A device in a qube, with the options it was attached with."""

    frontend: str
    options: dict


class World:
    """Everything there is, and what can be seen of it."""

    def __init__(self, dialect: str, rng: random.Random):
        self.dialect = dialect
        self.rng = rng
        self.qubes: dict[str, Qube] = {}
        self.devices: dict[tuple, Device] = {}
        self.attachments: dict[tuple, Attachment] = {}
        # USB devices that count as attached for a while after their detach
        self.lingering: dict[tuple, str] = {}
        # USB devices whose qube halted: usbip keeps them, without any disks
        self.held: set[tuple] = set()
        self.assignments: list[dict] = []
        self.add_qube(Qube("dom0", klass="AdminVM", state="Running",
                           label="black"))

    # -- qubes

    def add_qube(self, qube: Qube) -> Qube:
        """Take a qube in; it gets a uuid if it has none."""
        if not qube.uuid:
            qube.uuid = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        if qube.is_running and not qube.boot_id:
            self.new_boot(qube)
        self.qubes[qube.name] = qube
        return qube

    def new_boot(self, qube: Qube) -> None:
        """The kernel of a qube has started."""
        qube.boot_id = f"{self.rng.getrandbits(128):032x}"

    def qube(self, name: str) -> Qube:
        """The qube of that name, or QubesVMNotFoundError."""
        wire.check_qube_name(name)
        if name not in self.qubes:
            raise ApiError("QubesVMNotFoundError", f"No such domain: {name!r}")
        return self.qubes[name]

    def is_running(self, name: str) -> bool:
        """Whether there is such a qube and it runs."""
        return name in self.qubes and self.qubes[name].is_running

    # -- devices

    def device(self, backend: str, devclass: str, port: str) -> Device | None:
        """A device that is listed now."""
        device = self.devices.get((backend, devclass, port))
        return device if device and self.is_listed(device) else None

    def parent(self, device: Device) -> Device | None:
        """The parent, listed or not."""
        if device.parent is None:
            return None
        return self.devices.get(
            (device.backend, self.parent_class(device), device.parent))

    @staticmethod
    def parent_class(device: Device) -> str:
        """A parent of the form 2-1 is a USB device, else a disk."""
        if device.parent_class:
            return device.parent_class
        return "usb" if re.match(r"[0-9]+-[0-9]", device.parent or "") else "block"

    def children(self, device: Device) -> list[Device]:
        """The devices whose parent this is."""
        return [child for child in self.devices.values()
                if self.parent(child) is device]

    def subtree(self, device: Device) -> list[Device]:
        """The device and all that hangs on it, parents first."""
        return [device] + [below for child in self.children(device)
                           for below in self.subtree(child)]

    def is_listed(self, device: Device) -> bool:
        """What a backend leaves out of QubesDB is not there (WIRE 5).

        A disk of which a partition is attached disappears, and so does a
        partition whose disk is attached. A USB device that is attached takes
        its disks along, and so does one whose qube halted (usb-export unbinds
        no driver then).
        """
        if not self.is_running(device.backend) or device.in_use:
            return False
        if device.devclass == "usb":
            return True
        if any(child.key in self.attachments for child in self.children(device)):
            return False
        parent = self.parent(device)
        while parent is not None:
            if parent.key in self.attachments or parent.key in self.held:
                return False
            parent = self.parent(parent)
        return True

    def listed(self, backend: str, devclass: str) -> list[Device]:
        """What Available tells, in random order."""
        devices = [device for device in self.devices.values()
                   if device.backend == backend and device.devclass == devclass
                   and self.is_listed(device)]
        self.rng.shuffle(devices)
        return devices

    def identity(self, device: Device) -> str:
        """qubesd's identity of the device as it is now.

        The one of a block device is made of its parent's; a parent that is
        not listed (an attached partition's disk) counts as unknown.
        """
        parent = self.parent(device)
        if device.devclass == "block" and device.parent is not None and \
                (parent is None or not self.is_listed(parent)):
            return f"{wire.UNKNOWN_IDENTITY}:{self._block_tail(device)}"
        if device.identity is not None:
            return device.identity
        if device.devclass == "usb":
            return wire.UNKNOWN_IDENTITY
        head = self.identity(parent) if parent else ""
        return f"{head}:{self._block_tail(device)}"

    @staticmethod
    def _block_tail(device: Device) -> str:
        if device.interface:
            return device.interface
        digits = re.search(r"\d+$", device.port)
        return digits[0] if digits else "None"

    # -- attachments

    def attachment(self, device: Device) -> str | None:
        """Who has the device; for USB the backend's own claim counts."""
        if device.devclass == "usb":
            if device.claims is not None:
                return device.claims or None
            if device.key in self.lingering:
                return self.lingering[device.key]
        found = self.attachments.get(device.key)
        return found.frontend if found else None

    def attached_to(self, frontend: str, devclass: str) -> list[tuple[Device, dict]]:
        """What ...Attached tells, in random order; a disk at xvdd is hidden."""
        if not self.is_running(frontend):
            return []
        found = []
        for device in self.devices.values():
            if device.devclass != devclass or self.attachment(device) != frontend:
                continue
            if devclass == "usb" and not self.is_listed(device):
                continue
            attachment = self.attachments.get(device.key)
            options = dict(attachment.options) if attachment else {}
            if options.get("frontend-dev") != "xvdd":
                found.append((device, options))
        self.rng.shuffle(found)
        return found

    def first_attached(self, frontend: str, devclass: str,
                       port: str) -> Device | None:
        """What a Detach takes: the first of that port, whatever its backend.

        qubesd's DeviceCollection.detach() compares nothing but the port: of
        two backends with an sda in one qube it takes the one attached first.
        """
        found = [device for device, _ in self.attached_to(frontend, devclass)
                 if device.port == port]
        order = list(self.attachments)
        found.sort(key=lambda device: order.index(device.key)
                   if device.key in order else -1)
        return found[0] if found else None

    def frontends_in_use(self, frontend: str) -> set[str]:
        """The xvdX names that a qube's block devices take."""
        return {a.options.get("frontend-dev") for a in self.attachments.values()
                if a.frontend == frontend}

    # -- lines

    def properties(self, device: Device) -> dict[str, str]:
        """The key='value' words of a device's line on 4.3 and 4.4."""
        words = {"device_id": self.identity(device), "port_id": device.port,
                 "devclass": device.devclass, "backend_domain": device.backend}
        words["manufacturer"] = self._manufacturer(device)
        for key in ("vendor", "product", "name", "serial"):
            words[key] = getattr(device, key)
        words["attachment"] = self.attachment(device) or ""
        words["interfaces"] = device.interfaces or (
            "b******" if device.devclass == "block" else wire.UNKNOWN_INTERFACE)
        if device.parent is not None:
            words["parent_port_id"] = device.parent
            words["parent_devclass"] = self.parent_class(device)
        words.update(device.extra)
        return {key: value for key, value in words.items() if value}

    def _manufacturer(self, device: Device) -> str:
        if device.manufacturer is not None or device.devclass != "block":
            return device.manufacturer or ""
        if device.parent is not None:
            return f"sub-device of {device.backend}:{device.parent}"
        return f"hosted by {device.backend}"

    def available_line(self, device: Device) -> str:
        """One line of Available."""
        if self.dialect == "4.2":
            return self._available_line_4_2(device)
        return wire.property_line(f"{device.port}:{self.identity(device)}",
                                  self.properties(device), self.rng)

    @staticmethod
    def _available_line_4_2(device: Device) -> str:
        serial = device.serial.replace(" ", "_")
        description = f"description={serial} ({device.name})\n"
        if device.devclass == "usb":
            return f"{device.port} {description}"
        return (f"{device.port} device_node=/dev/{device.port} "
                f"size={device.size} mode={device.mode} {description}")

    def attached_line(self, device: Device, frontend: str, options: dict) -> str:
        """One line of Attached (List on 4.2)."""
        if self.dialect == "4.2":
            return wire.options_line_4_2(f"{device.backend}+{device.port}", options)
        identity = (self.identity(device) if self.is_listed(device)
                    else wire.UNKNOWN_IDENTITY)
        words = {"device_id": identity, "port_id": device.port,
                 "devclass": device.devclass, "backend_domain": device.backend,
                 "mode": "manual", "frontend_domain": frontend}
        words.update({f"_{key}": value for key, value in options.items()})
        return wire.property_line(
            f"{device.backend}+{device.port}:{identity}", words, self.rng)
