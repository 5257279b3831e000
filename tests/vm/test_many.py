# SPDX-License-Identifier: GPL-2.0-or-later
"""Many at once, hubs, and as fast as QEMU goes."""

import images
from machine import Plug
from rig import UsbQubeCase

EIGHT = [f"MANY000{n}" for n in range(1, 9)]
TIMES = 100


class ManyTest(UsbQubeCase):
    def plug_hub(self) -> list:
        """A hub on port 2 and, all at once, eight sticks on it."""
        hub = Plug("usb-hub", port="2")
        sticks = [self.stick(images.fat(), serial, f"2.{n}")
                  for n, serial in enumerate(EIGHT, 1)]
        self.machine.plug(hub, *sticks)
        return [hub, *sticks]

    def expect_eight(self):
        for serial in EIGHT:
            record = self.rig.wait_record(self.since, serial=serial,
                                          devtype="disk")
            port = int(serial[-1])
            self.assertTrue(record["properties"]["path"].endswith(
                f"usb-0:2.{port}"), record)
            self.assertRegex(record["parent"], rf"-2\.{port}$")
        self.assertEqual(len(self.rig.expect_truth(*EIGHT)), 16)

    def unplug_hub(self, hub: list):
        """Pulling it pulls what hangs on it."""
        self.machine.unplug_tree(*hub)
        self.assertEqual(self.rig.expect_truth(), {})

    def test_eight_at_once_through_a_hub_which_then_is_pulled(self):
        hub = self.plug_hub()
        self.expect_eight()
        self.unplug_hub(hub)

    def test_eight_at_once_with_two_workers_of_udevd(self):
        self.machine.run("udevadm control --children-max=2")
        self.addCleanup(self.machine.run, "udevadm control --children-max=8")
        hub = self.plug_hub()
        self.expect_eight()
        self.unplug_hub(hub)

    def test_a_hundred_times_in_and_out(self):
        stick = self.stick(images.gpt(), "FAST0001", "1")
        for _ in range(TIMES):
            self.machine.plug(stick)
            self.machine.unplug(stick)
        self.rig.expect_truth()
        since = self.rig.mark()
        self.machine.plug(stick)
        self.rig.wait_record(since, serial="FAST0001", partition=2)
        told = self.rig.expect_truth("FAST0001")
        self.assertEqual(len(told), 4, told)
        self.machine.unplug(stick)
        self.assertEqual(self.rig.expect_truth(), {})

    def test_a_hundred_times_in_and_out_while_others_stay(self):
        self.plug_stick(images.fat(), "STAYS001", port="3")
        stick = self.stick(images.fat(), "FAST0002", "1")
        self.since = self.rig.mark()
        for _ in range(TIMES):
            self.machine.plug(stick)
            self.machine.unplug(stick)
        self.rig.expect_truth("STAYS001")
        self.assertEqual([line for line in self.rig.lines[self.since:]
                          if line.get("properties", {}).get("serial") ==
                          "STAYS001"], [])

    def test_two_that_swap_their_ports_tell_the_truth(self):
        ports = {"SWAP0001": "1", "SWAP0002": "3"}
        sticks = [self.stick(images.fat(), serial, port)
                  for serial, port in ports.items()]
        self.machine.plug(*sticks)
        for _ in range(2):
            told = self.rig.expect_truth(*ports)
            disks = [device["properties"] for key, device in told.items()
                     if key[0] == "block"]
            self.assertEqual({(disk["serial"], disk["path"][-1])
                              for disk in disks}, set(ports.items()))
            self.machine.unplug(*sticks)
            ports = dict(zip(ports, reversed(ports.values())))
            sticks = [self.stick(images.fat(), serial, port)
                      for serial, port in ports.items()]
            self.machine.plug(*sticks)
