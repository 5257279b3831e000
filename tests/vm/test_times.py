# SPDX-License-Identifier: GPL-2.0-or-later
"""How long it takes from the plug to the target, as a table."""

import statistics

import images
import notes
from rig import UsbQubeCase

TIMES = 10
STEPS = ("kernel tells of the USB device", "kernel tells of the disk",
         "udev is done with the disk", "record is in dom0",
         "attached, and dom0 has said so")


class TimesTest(UsbQubeCase):
    def test_from_device_add_to_attached(self):
        offset = self.machine.clock_offset()
        runs = [self.time_one(f"TIME{n:04}", offset) for n in range(TIMES)]
        notes.add(f"ms after device_add, of {TIMES}      median   least   "
                  "worst   step")
        before = 0.0
        for name, *values in zip(STEPS, *runs):
            median = statistics.median(values)
            notes.add(f"{name:32} {median:6.0f}  {min(values):6.0f}  "
                      f"{max(values):6.0f} {median - before:6.0f}")
            before = median
        for found in runs:
            # others are seen by different threads, or on two clocks
            self.assertLess(found[0], found[1])
            self.assertLess(found[3], found[4])

    def time_one(self, serial: str, offset: float) -> list[float]:
        """Milliseconds from device_add to each step."""
        first = len(self.rig.uevents)
        stick, record = self.plug_stick(images.fat(), serial)
        answer = self.rig.wait_answer(record)

        def seen(origin: str, name: str) -> float:
            return self.rig.wait_uevent(
                lambda uevent: uevent["origin"] == origin
                and uevent["properties"].get("ACTION") == "add"
                and uevent["properties"]["DEVPATH"].endswith(f"/{name}"),
                f"{origin} of {name}", first)["seen"] + offset
        found = [seen("kernel", record["parent"]),
                 seen("kernel", record["device"]),
                 seen("udev", record["device"]), record["at"], answer["at"]]
        found = [(at - stick.time) * 1000 for at in found]
        self.machine.unplug(stick)
        self.rig.expect_truth()
        return found
