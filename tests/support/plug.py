# SPDX-License-Identifier: GPL-2.0-or-later
"""Plug and unplug mock devices: umockdev, with what udevd would have done.

A description is the text of a .umockdev file: one paragraph a device, parents
first. plug() adds them one by one; each makes an "add" event that every
libudev monitor with the same $UMOCKDEV_DIR sees, under `umockdev-wrapper` and
with SYSTEMD_DEVICE_VERIFY_SYSFS=0 (see environment()).

    plug.require_wrapper()               # first thing in a program
    stick = plug.description("sandisk-ultra")
    testbed = plug.Testbed()
    subprocess.Popen(["umockdev-wrapper", FORWARDER], env=testbed.environment())
    testbed.plug(stick)                  # as if put in
    testbed.unplug(stick)                # as if pulled out
    testbed.change(plug.find(slot, "sdz"), attributes={"size": "1024"})

Files with several devices are unplugged in the reverse order. For scripts that
are no Python see umockdev-plug.
"""

import os
import pathlib
import re
import sys

DEVICES = pathlib.Path(__file__).parent.parent / "integration" / "devices"


def require_wrapper():
    """Run this program again below umockdev-wrapper, if it is not yet."""
    if "libumockdev-preload" not in os.environ.get("LD_PRELOAD", ""):
        os.execvp("umockdev-wrapper", ["umockdev-wrapper", sys.executable,
                                       *sys.argv])


def description(name: str) -> str:
    """The text of a file in tests/integration/devices."""
    return (DEVICES / f"{name}.umockdev").read_text()


def another(text: str, number: int) -> str:
    """Another stick like the one in @text (sandisk-ultra): its own port, names,
    numbers and serial. 10 <= @number <= 25 is sdk to sdz."""
    assert 10 <= number <= 99
    letters = chr(ord("a") + number) if number < 26 else \
        "a" + chr(ord("a") + (number - 26) % 26)
    disk = f"sd{letters}"
    for old, new in (
            ("/2-1/2-1:1.0", f"/2-{number}/2-{number}:1.0"),
            ("usb2/2-1\n", f"usb2/2-{number}\n"),
            ("usb-0:1\n", f"usb-0:{number}\n"),
            ("usb-0:1:", f"usb-0:{number}:"),
            ("host6", f"host{number}"),
            ("6:0:0", f"{number}:0:0"),
            ("002/003", f"002/{number:03}"),
            ("4C530001230822115281", f"4C5300012308221{number:05}"),
            ("MINOR=130\n", f"MINOR={128 + number}\n"),
            ("dev=189:130", f"dev=189:{128 + number}"),
            ("sda", disk),
            ("MAJOR=8\n", f"MAJOR={300 + number}\n"),
            ("dev=8:", f"dev={300 + number}:"),
            ("DISKSEQ=24", f"DISKSEQ={number}")):
        assert old in text, old
        text = text.replace(old, new)
    return text


def sysfs_paths(text: str) -> list:
    """The devices of a description, in its order."""
    return ["/sys" + path for path in re.findall(r"^P: (.*)$", text, re.M)]


def find(text: str, name: str) -> str:
    """The one device of a description that has this name."""
    return next(path for path in sysfs_paths(text)
                if path.rsplit("/", 1)[1] == name)


class Testbed:
    """A mock /sys; empty at first."""

    def __init__(self):
        import gi
        gi.require_version("UMockdev", "1.0")
        from gi.repository import UMockdev
        # both are read by libudev and the preload in this process, too
        os.environ["SYSTEMD_DEVICE_VERIFY_SYSFS"] = "0"
        self._testbed = UMockdev.Testbed.new()
        self.dir = pathlib.Path(self._testbed.get_root_dir())

    def close(self):
        """Remove the mock /sys from the disk."""
        self._testbed = None

    def environment(self) -> dict:
        """For a program that is to see the mock devices."""
        env = dict(os.environ)
        env["UMOCKDEV_DIR"] = str(self.dir)
        env["SYSTEMD_DEVICE_VERIFY_SYSFS"] = "0"
        return env

    def plug(self, text: str, initialized=True):
        """@initialized: udevd is done with it, as with all that it tells of."""
        for paragraph in re.split(r"\n{2,}", text.strip("\n")):
            if initialized:
                paragraph += "\nE: USEC_INITIALIZED=1"
            self._testbed.add_from_string(paragraph + "\n")

    def unplug(self, text: str):
        for path in reversed(sysfs_paths(text)):
            # older umockdev makes no event of its own; two are as good as one
            self._testbed.uevent(path, "remove")
            self._testbed.remove_device(path)
        # older umockdev leaves its links to them behind, and then cannot put
        # in another of the same name or number
        for folder in ("block", "dev/block", "dev/char"):
            for link in (self.dir / "sys" / folder).glob("*"):
                if link.is_symlink() and not link.exists():
                    link.unlink()

    def change(self, path: str, attributes=None, properties=None,
               action="change"):
        """Set texts of sysfs and udev, then make the event."""
        for name, value in (attributes or {}).items():
            self._testbed.set_attribute(path, name, value)
        for name, value in (properties or {}).items():
            self._testbed.set_property(path, name, value)
        self._testbed.uevent(path, action)

    def write_property(self, path: str, name: bytes, value: bytes):
        """Any bytes but newline and NUL; without an event."""
        uevent = self.dir / path.lstrip("/") / "uevent"
        with uevent.open("ab") as file:
            file.write(name + b"=" + value + b"\n")

    def write(self, path: str, text: str):
        """Any file, as one of /proc."""
        file = self.dir / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
