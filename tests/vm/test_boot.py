# SPDX-License-Identifier: GPL-2.0-or-later
"""What is plugged in when the machine is switched on."""

import unittest

import images
from rig import FORWARDER, SOURCE, usb_qube


class BootTest(unittest.TestCase):
    def test_what_was_there_at_boot_is_told_of_and_attached(self):
        rig = usb_qube()
        rig.wait_line(lambda line: line.get("type") == "synced", "synced")
        self.assertEqual(rig.lines[0]["type"], "hello")
        self.assertRegex(rig.lines[0]["boot_id"], "^[0-9a-f]{32}$")
        for serial, path in (("BOOT0001", "usb-0:1"), ("BOOT0002", "usb-0:2.3")):
            record = rig.wait_line(
                lambda line: line["from"] == SOURCE and
                line.get("class") == "block" and
                line["properties"].get("serial") == serial, serial)
            self.assertTrue(record["properties"]["path"].endswith(path))
            self.assertEqual(rig.wait_answer(record)["code"], 200)
            if serial == "BOOT0001":
                self.assertEqual(record["properties"]["fs_uuid"],
                                 images.FAT_UUID)

    def test_the_package_enables_the_forwarder(self):
        machine = usb_qube().machine
        self.assertEqual(machine.run(f"systemctl is-enabled {FORWARDER}"),
                         "enabled\n")
        machine.wait(f"systemctl is-active {FORWARDER}", "active")
        self.assertEqual(machine.show(FORWARDER, "NRestarts"), "0")
        self.assertNotIn("autoattach", machine.run("systemctl --failed --plain"))
