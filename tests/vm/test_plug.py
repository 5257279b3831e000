# SPDX-License-Identifier: GPL-2.0-or-later
"""Sticks and other things are plugged in and pulled out, one at a time."""

import images
from machine import Plug, Reader, Serial, UasDisk
from rig import UsbQubeCase

QEMU_STICK = {"vendor_id": "46f4", "product_id": "0001", "vendor": "QEMU",
              "model": "QEMU USB HARDDRIVE", "interfaces": ["080650"]}


class PlugTest(UsbQubeCase):
    def expect_properties(self, record: dict, **wanted):
        """These and no others; diskseq and revision are what they are."""
        found = dict(record["properties"])
        if record["class"] == "block":
            self.assertGreater(found.pop("diskseq"), 0)
        self.assertRegex(found.pop("revision"), "^[0-9a-f]{4}$")
        self.assertEqual(found, {**QEMU_STICK, **wanted})

    def test_a_stick_is_told_of_attached_and_gone(self):
        stick, record = self.plug_stick(images.fat(), "FAT0001", port="3")
        path = "pci-0000:00:05.0-usb-0:3"
        self.expect_properties(
            record, serial="FAT0001", path=path, devtype="disk",
            fs_type="vfat", fs_uuid=images.FAT_UUID, fs_label=images.FAT_LABEL,
            size=images.SIZE, removable=False, read_only=False)
        usb = self.rig.wait_record(self.since, devclass="usb", serial="FAT0001")
        self.expect_properties(usb, serial="FAT0001", path=path,
                               devtype="usb_device")
        self.assertEqual(record["parent"], usb["device"])
        self.assertRegex(usb["device"], "^[0-9]+-3$")
        # no rule is for the USB device as a whole
        self.assertEqual(self.rig.wait_answer(usb)["code"], 300)
        self.rig.wait_attached(record["device"])

        since = self.rig.mark()
        self.machine.unplug(stick)
        for devclass, device in (("block", record["device"]),
                                 ("usb", usb["device"])):
            gone = self.rig.wait_record(since, action="remove",
                                        devclass=devclass, device=device)
            self.assertEqual(self.rig.wait_answer(gone)["code"], 203)
        self.rig.wait_attached()
        self.assertEqual(self.rig.told(), {})

    def test_each_partition_is_told_of_with_its_disk(self):
        _, disk = self.plug_stick(images.gpt(), "GPT0001")
        self.assertEqual(disk["properties"]["part_table"], "gpt")
        self.assertNotIn("fs_type", disk["properties"])
        for number in (1, 2):
            part = self.rig.wait_record(self.since, partition=number,
                                        serial="GPT0001")
            found = part["properties"]
            self.assertEqual(part["parent"], disk["device"])
            self.assertEqual(part["device"], f"{disk['device']}{number}")
            self.assertEqual(found["devtype"], "partition")
            self.assertEqual(found["part_uuid"], images.PART_UUIDS[number - 1])
            self.assertEqual(found["size"], 6 * images.MIB)
            self.assertEqual(found["path"], disk["properties"]["path"])
            self.assertEqual(found["diskseq"], disk["properties"]["diskseq"])
            self.assertEqual(found["part_label"],
                             images.PART_LABELS[number - 1])
            # the disk has it
            self.assertEqual(self.rig.wait_answer(part)["code"], 300)
        self.assertEqual((found["fs_type"], found["fs_uuid"],
                          found["fs_label"]), ("ext4", images.DATA_UUID, "data"))
        self.rig.expect_truth("GPT0001")

    def test_luks_is_seen_by_its_uuid(self):
        _, record = self.plug_stick(images.luks(), "LUKS0001")
        self.assertEqual((record["properties"]["fs_type"],
                          record["properties"]["fs_uuid"]),
                         ("crypto_LUKS", images.LUKS_UUID))
        self.assertNotIn("fs_label", record["properties"])

    def test_an_empty_stick_has_no_content_to_tell_of(self):
        _, record = self.plug_stick(images.empty(), "NONE0001")
        self.assertFalse([key for key in record["properties"]
                          if key.startswith(("fs_", "part"))])

    def test_a_label_with_quotes_escapes_and_utf8_is_told_as_it_is(self):
        label = 'a"b\'\\x0a\u00e9\u20ac'
        _, record = self.plug_stick(images.labelled(label.encode()), "LABEL001")
        self.assertEqual(record["properties"]["fs_label"], label)

    def test_a_label_with_a_newline_is_left_out(self):
        _, record = self.plug_stick(images.labelled(b"a\nb\"c"), "LABEL002")
        self.assertEqual(record["properties"]["fs_type"], "ext4")
        self.assertNotIn("fs_label", record["properties"])

    def test_a_label_that_is_no_utf8_is_left_out(self):
        _, record = self.plug_stick(images.labelled(b"a\xff\xfeb"), "LABEL003")
        self.assertEqual(record["properties"]["fs_type"], "ext4")
        self.assertNotIn("fs_label", record["properties"])

    def test_a_serial_with_blanks_and_quotes_is_told(self):
        stick, port = 'S "1" \\x41', "1"
        plug = self.stick(images.empty(), stick, port)
        self.machine.plug(plug)
        record = self.rig.wait_record(self.since, devtype="disk")
        told = self.machine.run(
            "udevadm info -q property --property=ID_SERIAL_SHORT --value "
            f"/sys/bus/usb/devices/{record['parent']}").rstrip("\n")
        self.assertEqual(record["properties"]["serial"], told)
        self.assertEqual(self.rig.wait_answer(record)["code"], 200)

    def test_a_read_only_stick_says_so(self):
        stick = self.stick(images.fat(), "RO000001", "1", read_only=True)
        self.machine.plug(stick)
        record = self.rig.wait_record(self.since, serial="RO000001",
                                      devtype="disk")
        self.assertTrue(record["properties"]["read_only"])

    def test_a_card_that_is_changed_is_another_one(self):
        reader = Reader(images.fat(), port="1", serial="CARD0001")
        self.machine.plug(reader)
        first = self.rig.wait_record(self.since, serial="CARD0001",
                                     devtype="disk")
        self.assertTrue(first["properties"]["removable"])
        self.assertEqual(first["properties"]["fs_uuid"], images.FAT_UUID)
        self.assertEqual(self.rig.wait_answer(first)["code"], 200)

        self.machine.tell(reader.slots[0].take_out())
        gone = self.rig.wait_record(self.since, action="remove",
                                    device=first["device"])
        self.assertEqual(self.rig.wait_answer(gone)["code"], 203)
        # the reader is still there
        self.assertEqual([devclass for devclass, _ in self.rig.expect_truth()],
                         ["usb"])

        since = self.rig.mark()
        self.machine.tell(reader.slots[0].put_in(images.gpt()))
        second = self.rig.wait_record(since, serial="CARD0001", devtype="disk",
                                      part_table="gpt")
        self.assertEqual(self.rig.wait_answer(second)["code"], 200)
        self.assertNotEqual(second["properties"]["diskseq"],
                            first["properties"]["diskseq"])
        self.assertEqual(len(self.rig.expect_truth("CARD0001")), 4)

    def test_each_slot_of_a_reader_has_cards_of_its_own(self):
        # of the others QEMU does not tell that a card was changed
        reader = Reader(None, images.fat(), images.luks(), port="1",
                        serial="SLOTS001")
        slot = reader.slots[0]
        self.machine.plug(reader)
        fat, luks = (self.rig.wait_record(self.since, serial="SLOTS001",
                                          fs_type=fs_type)
                     for fs_type in ("vfat", "crypto_LUKS"))
        self.assertEqual(fat["parent"], luks["parent"])
        self.assertNotEqual(fat["device"], luks["device"])
        # the reader and two disks: an empty slot is none
        self.assertEqual(len(self.rig.expect_truth("SLOTS001")), 3)

        since = self.rig.mark()
        self.machine.tell(slot.put_in(images.empty()))
        card = self.rig.wait_record(since, serial="SLOTS001", devtype="disk")
        self.assertEqual(self.rig.wait_answer(card)["code"], 200)
        self.machine.tell(slot.take_out())
        gone = self.rig.wait_record(since, action="remove",
                                    device=card["device"])
        self.assertEqual(self.rig.wait_answer(gone)["code"], 203)
        self.assertEqual(
            {device for devclass, device in self.rig.expect_truth("SLOTS001")
             if devclass == "block"}, {fat["device"], luks["device"]})

    def test_a_disk_that_speaks_uas_is_told_of_and_attached(self):
        disk = UasDisk(images.gpt(), port="2", serial="UAS00001")
        self.machine.plug(disk)
        record = self.rig.wait_record(self.since, serial="UAS00001",
                                      devtype="disk")
        self.assertEqual(self.rig.wait_answer(record)["code"], 200)
        found = record["properties"]
        self.assertIn("080662", found["interfaces"])
        self.assertEqual(found["part_table"], "gpt")
        self.assertEqual(found["path"], "pci-0000:00:05.0-usb-0:2")
        self.assertEqual(len(self.rig.expect_truth("UAS00001")), 4)
        since = self.rig.mark()
        self.machine.unplug(disk)
        gone = self.rig.wait_record(since, action="remove",
                                    device=record["device"])
        self.assertEqual(self.rig.wait_answer(gone)["code"], 203)
        self.assertEqual(self.rig.expect_truth(), {})

    def test_things_that_are_no_disks_are_told_of(self):
        for plug, number, interfaces in (
                (Plug("usb-mouse", port="4"), "0627:0001", ["030102"]),
                (Plug("usb-kbd", port="4"), "0627:0001", ["030101"]),
                (Plug("usb-ccid", port="4"), "08e6:4433", ["0b0000"]),
                (Serial(port="4"), "0403:6001", ["ffffff"])):
            with self.subTest(plug.driver):
                self.expect_told(plug, number, interfaces)

    def expect_told(self, plug: Plug, number: str, interfaces: list):
        since = self.rig.mark()
        self.machine.plug(plug)
        record = self.rig.wait_record(since, devclass="usb")
        found = record["properties"]
        self.assertEqual(f"{found['vendor_id']}:{found['product_id']}", number)
        self.assertEqual(found["interfaces"], interfaces)
        self.assertEqual(found["path"], "pci-0000:00:05.0-usb-0:4")
        self.assertEqual(self.rig.wait_answer(record)["code"], 300)
        since = self.rig.mark()
        self.machine.unplug(plug)
        self.rig.wait_record(since, action="remove", devclass="usb",
                             device=record["device"])

    def test_a_whole_usb_device_is_attached_by_a_rule_for_it(self):
        self.rig.daemon.rules("mouse: allow usb interface { 03* } to work\n")
        self.rig.daemon.reload()
        mouse = Plug("usb-mouse", port="4")
        self.machine.plug(mouse)
        record = self.rig.wait_record(self.since, devclass="usb")
        self.assertEqual(self.rig.wait_answer(record)["code"], 200)
        self.machine.unplug(mouse)
        gone = self.rig.wait_record(self.since, action="remove", devclass="usb",
                                    device=record["device"])
        self.assertEqual(self.rig.wait_answer(gone)["code"], 203)

    def test_on_the_second_controller_it_has_another_path(self):
        paths = []
        for bus in ("first", "second"):
            stick, record = self.plug_stick(images.fat(), "SAME0001", bus=bus,
                                            port="2")
            paths.append(record["properties"]["path"])
            self.machine.unplug(stick)
            self.rig.expect_truth()
        self.assertEqual(paths, ["pci-0000:00:05.0-usb-0:2",
                                 "pci-0000:00:06.0-usb-0:2"])
