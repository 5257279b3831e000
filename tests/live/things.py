# SPDX-License-Identifier: GPL-2.0-or-later
"""What is plugged in: for the simulated dom0, and for the mock udev."""

import dataclasses

SOURCE = "sys-usb"
PORTS = ("2-1", "2-2", "2-3", "2-4")
CONTROLLER = "/devices/pci0000:00/0000:00:06.0/usb2"


@dataclasses.dataclass(frozen=True)
class Thing:
    """A stick, a key: its identity and how many partitions its disk has."""

    name: str
    vendor_id: str
    product_id: str
    serial: str
    interface: str
    n_parts: int | None = None  # None: no disk

    def is_like(self, other: "Thing") -> bool:
        """Nothing tells them apart."""
        return (self.id, self.serial) == (other.id, other.serial)

    @property
    def id(self) -> str:
        """As rules write it."""
        return f"{self.vendor_id}:{self.product_id}"


# nothing tells the first two apart
THINGS = (Thing("stick", "0781", "5581", "4C530001", "080650", 1),
          Thing("twin", "0781", "5581", "4C530001", "080650", 1),
          Thing("disk", "0930", "6545", "D0001", "080650", 2),
          Thing("key", "1050", "0407", "", "030101"),
          Thing("headset", "046d", "0a8f", "H1", "010100"))
IDS = tuple(dict.fromkeys(thing.id for thing in THINGS))


@dataclasses.dataclass(eq=False)
class Plug:
    """A thing from the moment it was put in, and what has come of it.

    Numbers of rounds say when something was so last; None is never.
    """

    number: int
    thing: Thing
    port: str
    disk: str | None
    born: int
    born_at: float
    # the same thing, or its twin, that was pulled out there just before: it may
    # be that nobody saw the difference
    prior: "Plug | None" = None
    decided: int = 0
    may_decide: int = 0  # something else may have had it decided anew
    # numbers of the rule sets by which it may have been decided
    sets: set = dataclasses.field(default_factory=set)
    refused: dict = dataclasses.field(default_factory=dict)  # said no, of each
    unanswered: int | None = None  # a prompt came to nothing
    taken: int | None = None       # the person detached it, or a part of it
    by_hand: int | None = None     # the person attached it, or a part of it
    stirred: int = -1              # the kernel told of it
    # the daemon knows for sure
    refused_for_sure: set = dataclasses.field(default_factory=set)
    taken_from: str | None = None  # it had been there for long
    taken_others: bool = False     # and somebody else had attached it
    left_alone: bool = False
    taken_unheard: bool = False
    unseen: bool = False  # that it is another one
    restarted_unheard: bool = False
    crossed: bool = False  # two attached it at once
    approved: set = dataclasses.field(default_factory=set)
    spent: dict = dataclasses.field(default_factory=dict)  # when, of each
    had: set = dataclasses.field(default_factory=set)
    holder_stopped: bool = False  # by the person, and not attached since

    @property
    def devices(self) -> list[tuple[str, str]]:
        """(class, name), the whole first."""
        found = [("usb", self.port)]
        if self.disk:
            found.append(("block", self.disk))
            found += [("block", f"{self.disk}{n + 1}")
                      for n in range(self.thing.n_parts)]
        return found

    def listed(self) -> list[dict]:
        """What Qubes' own scripts in the source tell qubesd."""
        thing = self.thing
        found = [{"backend": SOURCE, "port": self.port, "class": "usb",
                  "identity": f"{thing.id}:{thing.serial}:u{thing.interface}"}]
        if self.disk:
            found.append({"backend": SOURCE, "port": self.disk, "class": "block",
                          "parent": self.port, "interface": "1.0"})
            found += [{"backend": SOURCE, "port": name, "class": "block",
                       "parent": self.disk} for _, name in self.devices[2:]]
        return found

    # -- mock udev

    @property
    def _path(self) -> str:
        return f"{CONTROLLER}/{self.port}"

    @property
    def _number(self) -> int:
        return int(self.port.rpartition("-")[2])

    def usb_text(self) -> str:
        """The USB device."""
        n, thing = self._number, self.thing
        serial = f"E: ID_SERIAL_SHORT={thing.serial}\n" if thing.serial else ""
        return (f"P: {self._path}\nN: bus/usb/002/{n:03}\n"
                f"E: BUSNUM=002\nE: DEVNAME=/dev/bus/usb/002/{n:03}\n"
                f"E: DEVNUM={n:03}\nE: DEVTYPE=usb_device\nE: DRIVER=usb\n"
                f"E: ID_BUS=usb\nE: ID_MODEL_ID={thing.product_id}\n"
                f"E: ID_MODEL={thing.name}\nE: ID_MODEL_ENC={thing.name}\n"
                f"E: ID_PATH=pci-0000:00:06.0-usb-0:{n}\n{serial}"
                f"E: ID_USB_INTERFACES=:{thing.interface}:\n"
                f"E: ID_VENDOR_ID={thing.vendor_id}\n"
                f"E: MAJOR=189\nE: MINOR={127 + n}\nE: SUBSYSTEM=usb\n"
                f"A: bDeviceClass=00\\n\nA: busnum=2\\n\nA: devnum={n}\\n\n"
                f"A: idVendor={thing.vendor_id}\\n\n"
                f"A: dev=189:{127 + n}\\n\n")

    def block_text(self, diskseq: int) -> str:
        """Its disk and partitions, as the kernel finds them."""
        n = self._number
        interface = f"{self._path}/{self.port}:1.0"
        target = f"{interface}/host{n}/target{n}:0:0"
        disk = f"{target}/{n}:0:0:0/block/{self.disk}"
        minor = 16 * (ord(self.disk[2]) - ord("a"))
        common = (f"E: DISKSEQ={diskseq}\nE: ID_BUS=usb\n"
                  f"E: ID_PATH=pci-0000:00:06.0-usb-0:{n}:1.0-scsi-0:0:0:0\n"
                  "E: MAJOR=8\nE: SUBSYSTEM=block\nA: ro=0\\n\n")
        text = [f"P: {interface}\nE: DEVTYPE=usb_interface\n"
                "E: DRIVER=usb-storage\nE: SUBSYSTEM=usb\n",
                f"P: {interface}/host{n}\nE: DEVTYPE=scsi_host\n"
                "E: SUBSYSTEM=scsi\n",
                f"P: {target}\nE: DEVTYPE=scsi_target\nE: SUBSYSTEM=scsi\n",
                f"P: {target}/{n}:0:0:0\nE: DEVTYPE=scsi_device\nE: DRIVER=sd\n"
                "E: SUBSYSTEM=scsi\n",
                f"P: {disk}\nN: {self.disk}\nE: DEVNAME=/dev/{self.disk}\n"
                f"E: DEVTYPE=disk\nE: MINOR={minor}\n{common}"
                f"A: dev=8:{minor}\\n\nA: diskseq={diskseq}\\n\n"
                "A: removable=1\\n\nA: size=60062500\\n\n"]
        for part in range(1, self.thing.n_parts + 1):
            name = f"{self.disk}{part}"
            text.append(
                f"P: {disk}/{name}\nN: {name}\nE: DEVNAME=/dev/{name}\n"
                f"E: DEVTYPE=partition\nE: MINOR={minor + part}\n{common}"
                f"E: PARTN={part}\nE: ID_FS_TYPE=vfat\n"
                f"A: dev=8:{minor + part}\\n\nA: partition={part}\\n\n"
                "A: size=60062468\\n\n")
        return "\n".join(text)
