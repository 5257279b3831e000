# SPDX-License-Identifier: GPL-2.0-or-later
"""What others get wrong, each by its name."""

import unittest

from usbcase import (ANY, ATTACHES, DISK, KEY, STICK, USB, USB_ATTACH,
                     USB_DETACH, UsbCase, harness, part_n, partitions, stick,
                     stick_n, usb_n, world)

START = "admin.vm.Start"
# what udev tells of one that has no serial number, and of its twin next to it
TWIN = {key: value for key, value in STICK.items() if key != "serial"}
TWO = {**TWIN, "path": "pci-0000:00:14.0-usb-0:2", "diskseq": 8}


def twins() -> list[dict]:
    """Two sticks that only their ports tell apart."""
    return [device for name, port in (("sda", "2-1"), ("sdb", "2-2"))
            for device in stick(name, port, serial="")]


class TwoIdenticalSticks(UsbCase):
    """Same ids, no serial number: the path alone tells them apart."""

    RULES = ('left: allow block path "*-usb-0:1" to work\n'
             'right: allow block path "*-usb-0:2" to vault\n')

    def both(self, rules: str = RULES) -> tuple:
        """Both are plugged in and attached."""
        rig = self.start(rules, world(devices=twins(),
                                      qubes={"vault": {"state": "Running"}}))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add(
            "block", "sda", parent="2-1", **TWIN), 200)
        self.assert_told(connection, connection.add(
            "block", "sdb", parent="2-2", **TWO), 200)
        rig.mark()
        return rig, connection

    def test_each_goes_where_its_port_says(self):
        rig, _ = self.both()
        self.assert_attached(rig, "sda", "work")
        self.assert_attached(rig, "sdb", "vault")

    def test_the_names_may_be_exchanged(self):
        rig = self.start(self.RULES, world(
            devices=twins(), qubes={"vault": {"state": "Running"}}))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add(
            "block", "sda", parent="2-2", **TWO), 200)
        self.assert_attached(rig, "sda", "vault")

    def test_one_that_is_taken_away_says_nothing_of_the_other(self):
        rig, connection = self.both(DISK)
        rig.sim.detach(backend="sys-usb", port="sda")
        rig.daemon.wait_outcome("sda", 308)
        self.assert_told(connection, connection.change(
            "block", "sdb", parent="2-2", **TWO), 201)
        self.assert_attached(rig, "sdb", "work")

    def test_one_that_is_unplugged_leaves_the_other(self):
        rig, connection = self.both(DISK)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assert_attached(rig, "sdb", "work")

    def test_a_no_to_one_is_none_to_the_other(self):
        rig = self.start("r: ask block type disk to work\n", world(
            devices=twins(), agent={"script": ["deny", "allow"]}))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add(
            "block", "sda", parent="2-1", **TWIN), 300)
        self.assert_last(rig, "sda", 304)
        self.assert_told(connection, connection.add(
            "block", "sdb", parent="2-2", **TWO), 200)

    def test_one_taken_away_and_put_where_the_other_was_is_another_plug(self):
        # and comes under the other's name, within seconds of the detach
        rig, connection = self.both(DISK)
        rig.sim.detach(backend="sys-usb", port="sda")
        rig.daemon.wait_outcome("sda", 308)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        rig.sim.unplug(backend="sys-usb", port="2-2")
        for name in ("sda", "sdb"):
            self.assert_told(connection, connection.remove("block", name), 203)
        rig.sim.plug(devices=stick("sda", "2-2", serial=""))
        self.assert_told(connection, connection.add(
            "block", "sda", parent="2-2", **{**TWO, "diskseq": 9}), 200)


class TwoUsbQubesWithTheSameName(UsbCase):
    """sda of sys-usb and sda of sys-usb2, also in one qube."""

    RULES = ("one: allow block from sys-usb to work\n"
             "two: allow block from sys-usb2 to work\n"
             "key: allow usb from sys-usb to work\n"
             "too: allow usb from sys-usb2 to work\n")

    def both(self, devclass: str = "block", device: str = "sda",
             words: dict = STICK) -> tuple:
        """Both are attached to work, that of sys-usb2 first."""
        rig = self.start(self.RULES, world(
            devices=stick() + stick(backend="sys-usb2"),
            qubes={"sys-usb2": {"state": "Running"}}))
        two = self.forwarder(rig, "sys-usb2")
        one = self.forwarder(rig)
        for connection in (two, one):
            self.assert_told(connection,
                             connection.add(devclass, device, **words), 200)
        rig.daemon.wait_no_jobs()
        rig.mark()
        return rig, one, two

    def test_both_are_attached_each_by_its_own_rule(self):
        rig, _, _ = self.both()
        for backend, rule in (("sys-usb", "one"), ("sys-usb2", "two")):
            self.assert_attached(rig, "sda", "work", backend)
            self.assertIn((backend, rule), [
                (o["source"], o["rule"]) for o in rig.daemon.outcomes("sda")])

    def test_taking_one_away_says_nothing_of_the_other(self):
        for devclass, device, words in (("block", "sda", STICK),
                                        ("usb", "2-1", USB)):
            with self.subTest(devclass=devclass):
                rig, one, two = self.both(devclass, device, words)
                rig.sim.detach(backend="sys-usb", port=device)
                rig.daemon.wait_outcome(device, 308)
                self.assert_told(two, two.change(devclass, device, **words), 201)
                self.assert_told(one, one.change(devclass, device, **words), 300)
                self.assert_attached(rig, device, "work", "sys-usb2")

    def test_the_unplug_of_one_does_not_detach_the_other(self):
        # qubesd has taken the one away when we hear of it, and looks at the
        # port's name alone: a Detach now would take the other
        rig, one, two = self.both()
        rig.sim.unplug(backend="sys-usb", port="2-1")
        self.assert_told(one, one.remove("block", "sda"), 203)
        rig.daemon.wait_no_jobs()
        self.assert_attached(rig, "sda", "work", "sys-usb2")
        self.assert_told(two, two.change("block", "sda", **STICK), 201)

    def test_also_when_the_record_is_faster_than_qubesd(self):
        rig, one, two = self.both()
        one.remove("block", "sda")
        self.barrier(two)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        rig.daemon.wait_no_jobs()
        self.assert_attached(rig, "sda", "work", "sys-usb2")
        self.assert_told(two, two.change("block", "sda", **STICK), 201)

    def test_one_that_hangs_does_not_hold_up_the_other(self):
        rig = self.start(self.RULES.replace("to work\n", "to vault\n", 1), world(
            devices=stick() + stick(backend="sys-usb2"),
            qubes={"sys-usb2": {"state": "Running"}}))
        one, two = self.forwarder(rig), self.forwarder(rig, "sys-usb2")
        with rig.sim.held(method=START) as hold:
            seq = one.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            self.assert_told(two, two.add("block", "sda", **STICK), 200)
        self.assert_told(one, seq, 200)


class PhoneThatChangesItsMode(UsbCase):
    """One plug, then another device at the same port: charging, then MTP."""

    RULES = ("mtp: allow usb id 18d1:4ee1 to work\n"
             "tether: allow usb id 18d1:4ee3 to vault\n"
             "charge: deny usb id 18d1:4ee7\n")
    PHONE = {**USB, "vendor_id": "18d1", "serial": "8A3X0WZZZ",
             "interfaces": ["060101"]}

    def phone(self, product: str) -> dict:
        """The record of a mode."""
        return {**self.PHONE, "product_id": product}

    def plug(self, rig: harness.Rig, product: str) -> None:
        """The phone is there in a mode, by qubesd's list."""
        rig.sim.plug(backend="sys-usb", port="2-1", class_="usb",
                     identity=f"18d1:{product}:8A3X0WZZZ:u060101")

    def change_mode(self, rig: harness.Rig, product: str) -> None:
        """It goes and comes as another device."""
        rig.sim.unplug(backend="sys-usb", port="2-1")
        self.plug(rig, product)

    def begin(self, product: str) -> tuple:
        """A rig with the phone in a mode."""
        rig = self.start(self.RULES, world(
            devices=[], qubes={"vault": {"state": "Running"}}))
        self.plug(rig, product)
        return rig, self.forwarder(rig)

    def test_from_charging_to_mtp(self):
        rig, connection = self.begin("4ee7")
        self.assert_told(connection, connection.add(
            "usb", "2-1", **self.phone("4ee7")), 300)
        self.assert_last(rig, "2-1", 302)
        self.change_mode(rig, "4ee1")
        self.assert_told(connection, connection.remove("usb", "2-1"), 203)
        self.assert_told(connection, connection.add(
            "usb", "2-1", **self.phone("4ee1")), 200)
        self.assert_attached(rig, "2-1", "work")

    def test_from_one_target_to_another_without_a_remove(self):
        # udev may merge it all into one change
        rig, connection = self.begin("4ee1")
        self.assert_told(connection, connection.add(
            "usb", "2-1", **self.phone("4ee1")), 200)
        self.change_mode(rig, "4ee3")
        self.assert_told(connection, connection.change(
            "usb", "2-1", **self.phone("4ee3")), 200)
        self.assert_attached(rig, "2-1", "vault")
        self.assertNotIn(308, self.codes(rig, "2-1"))

    def test_what_is_attached_in_one_mode_is_not_left_so_in_a_denied_one(self):
        rig, connection = self.begin("4ee1")
        self.assert_told(connection, connection.add(
            "usb", "2-1", **self.phone("4ee1")), 200)
        # the source says so, while the device still is attached
        self.assert_told(connection, connection.change(
            "usb", "2-1", **self.phone("4ee7")), 300)
        rig.daemon.wait_no_jobs()
        self.assert_attached(rig, "2-1", None)

    def test_while_its_attach_is_under_way(self):
        rig, connection = self.begin("4ee1")
        with rig.sim.held(method=USB_ATTACH, phase="work") as hold:
            old = connection.add("usb", "2-1", **self.phone("4ee1"))
            rig.sim.wait_held(id=hold)
            self.change_mode(rig, "4ee3")
            connection.remove("usb", "2-1")
            new = connection.add("usb", "2-1", **self.phone("4ee3"))
            self.assert_told(connection, old, 300)
        self.assert_told(connection, new, 200)
        self.assert_attached(rig, "2-1", "vault")
        self.assertIn(311, self.codes(rig, "2-1"))

    def test_a_record_of_the_old_mode_never_attaches_the_new_one(self):
        rig, connection = self.begin("4ee3")
        self.assert_told(connection, connection.add(
            "usb", "2-1", **self.phone("4ee1")), 300)
        self.assert_last(rig, "2-1", 311)
        self.assert_attached(rig, "2-1", None)

    def test_between_the_look_and_the_attach(self):
        # the pin no longer fits: read once more, and it is another device
        rig, connection = self.begin("4ee1")
        with rig.sim.held(method=USB_ATTACH) as hold:
            seq = connection.add("usb", "2-1", **self.phone("4ee1"))
            rig.sim.wait_held(id=hold)
            self.change_mode(rig, "4ee3")
        self.assert_told(connection, seq, 300)
        self.assert_last(rig, "2-1", 311)
        self.assert_attached(rig, "2-1", None)


class UnplugDuringStart(UsbCase):
    """The device is gone when its target is up."""

    def test_it_ends_311_and_attaches_nothing(self):
        for devclass, device, words in (("block", "sda", STICK), ("usb", "2-1", USB)):
            with self.subTest(devclass=devclass):
                rig = self.start(ANY, world("Halted"))
                connection = self.forwarder(rig)
                with rig.sim.held(method=START, phase="work") as hold:
                    add = connection.add(devclass, device, **words)
                    rig.sim.wait_held(id=hold)
                    rig.sim.unplug(backend="sys-usb", port="2-1")
                    remove = connection.remove(devclass, device)
                    self.assert_told(connection, add, 300)
                    self.assert_told(connection, remove, 203)
                rig.sim.wait_qube(name="work", state="Running")
                rig.daemon.wait_no_jobs()
                self.assert_last(rig, device, 311)
                self.assertEqual([call["answer_text"]
                                  for call in rig.calls(method=ATTACHES)
                                  if call["answer_text"] == "0\0"], [])

    def test_one_that_is_back_before_the_target_is_up_is_attached_once(self):
        rig = self.start(KEY, world("Halted"))
        connection = self.forwarder(rig)
        with rig.sim.held(method=START, phase="work") as hold:
            connection.add("usb", "2-1", **USB)
            rig.sim.wait_held(id=hold)
            rig.sim.unplug(backend="sys-usb", port="2-1")
            rig.sim.plug(devices=stick())
            connection.remove("usb", "2-1")
            again = connection.add("usb", "2-1", **USB)
        self.assert_told(connection, again, 200)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.count("Start"), 1)
        self.assert_once(rig)

    def test_another_in_its_place_is_judged_for_itself(self):
        rig = self.start(KEY + "other: deny usb\n", world("Halted"))
        connection = self.forwarder(rig)
        with rig.sim.held(method=START, phase="work") as hold:
            connection.add("usb", "2-1", **USB)
            rig.sim.wait_held(id=hold)
            rig.sim.unplug(backend="sys-usb", port="2-1")
            rig.sim.plug(backend="sys-usb", port="2-1", class_="usb",
                         identity="abcd:0001::u030101")
            connection.remove("usb", "2-1")
            again = connection.add("usb", "2-1", **{
                **USB, "vendor_id": "abcd", "product_id": "0001", "serial": "x"})
        self.assert_told(connection, again, 300)
        self.assert_last(rig, "2-1", 302)
        rig.daemon.wait_no_jobs()
        self.assert_attached(rig, "2-1", None)


class TwelvePartitions(UsbCase):
    """All of one disk at once; the first takes the disk off qubesd's list."""

    RULES = "parts: allow block type partition fs-type vfat to work\n"

    def plug(self, rules: str = RULES, target: str = "Running", *,
             unlimited: bool = True) -> tuple:
        """One burst: the stick, its disk, twelve partitions, synced."""
        rig = self.start(rules, world(target, stick() + partitions("sda", 12)),
                         unlimited=unlimited)
        connection = self.by_hand(rig)
        usb = connection.present("usb", "2-1", **USB)
        disk = connection.present("block", "sda", parent="2-1", **STICK)
        parts = [connection.present("block", f"sda{n}", parent="sda", **part_n(n))
                 for n in range(1, 13)]
        connection.synced()
        return rig, connection, usb, disk, parts

    def test_all_are_attached(self):
        for target in ("Running", "Halted"):
            with self.subTest(target=target):
                rig, connection, usb, disk, parts = self.plug(target=target)
                for seq in (usb, disk):
                    self.assert_told(connection, seq, 300)
                for seq in parts:
                    self.assert_told(connection, seq, 200)
                for n in range(1, 13):
                    self.assert_attached(rig, f"sda{n}", "work")
                rig.daemon.wait_no_jobs()
                self.assert_once(rig)

    def test_the_rate_of_their_one_path_is_not_used_up_by_them(self):
        # each may need a second call, for its identity or its target's start
        for target in ("Running", "Halted"):
            with self.subTest(target=target):
                _, connection, _, _, parts = self.plug(target=target,
                                                       unlimited=False)
                for seq in parts:
                    self.assert_told(connection, seq, 200)

    def test_their_identities_change_and_only_the_port_counts(self):
        # each attach that is refused for its identity reads it once more
        rig, connection, _, _, parts = self.plug()
        for seq in parts:
            self.assert_told(connection, seq, 200)
        self.assertNotIn(311, [o["code"] for o in rig.daemon.outcomes()])

    def test_one_that_fails_leaves_the_others(self):
        rig = self.start(self.RULES, world(
            devices=stick() + partitions("sda", 12)), unlimited=True)
        rig.sim.fault(method="*.Attach", arg="sys-usb+sda5*", do="exception",
                      type="QubesValueError", message="no", count=-1)
        connection = self.forwarder(rig)
        seqs = [connection.add("block", f"sda{n}", parent="sda", **part_n(n))
                for n in range(1, 13)]
        for n, seq in enumerate(seqs, 1):
            self.assert_told(connection, seq, 300 if n == 5 else 200)

    def test_the_unplug_of_the_stick_detaches_all(self):
        rig, connection, _, _, parts = self.plug()
        for seq in parts:
            self.assert_told(connection, seq, 200)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        gone = [connection.remove("block", f"sda{n}") for n in range(12, 0, -1)]
        gone += [connection.remove("block", "sda"), connection.remove("usb", "2-1")]
        for seq in gone:
            self.assert_told(connection, seq, 203)
        self.assertEqual(rig.daemon.wait_no_jobs()["sources"][0]["n_devices"], 0)
        self.assertNotIn(308, [o["code"] for o in rig.daemon.outcomes()])

    def test_one_taken_away_by_the_person_leaves_all_alone_and_attached(self):
        rig, connection, _, _, parts = self.plug()
        for seq in parts:
            self.assert_told(connection, seq, 200)
        rig.sim.detach(backend="sys-usb", port="sda7")
        rig.daemon.wait_outcome("sda7", 308)
        self.assert_told(connection, connection.change(
            "block", "sda7", parent="sda", **part_n(7)), 300)
        # nothing takes away what the person did not take away
        self.assert_attached(rig, "sda6", "work")


class UsbDeviceAndItsDisk(UsbCase):
    """A USB device and its own disk are wanted by two rules."""

    RULES = ("disk: allow block id 0781:5581 to work\n"
             "key: allow usb id 0781:5581 to vault\n")

    def plug(self, order: tuple, state: str = "Running") -> tuple:
        """Both in one burst, in this order."""
        rig = self.start(self.RULES, world(
            state, qubes={"vault": {"state": state}}))
        connection = self.forwarder(rig)
        seqs = {device: connection.add(
            *(("usb", "2-1") if device == "usb" else ("block", "sda")),
            **(USB if device == "usb" else {"parent": "2-1", **STICK}))
            for device in order}
        return rig, connection, seqs

    def test_exactly_one_is_attached_and_nothing_is_ripped_away(self):
        for state in ("Running", "Halted"):
            for order in (("usb", "disk"), ("disk", "usb")):
                with self.subTest(order=order, state=state):
                    rig, connection, seqs = self.plug(order, state)
                    codes = {device: connection.answer(seq)["code"]
                             for device, seq in seqs.items()}
                    self.assertEqual(sorted(codes.values()), [200, 300])
                    loser, = [device for device, code in codes.items() if code == 300]
                    self.assert_last(rig, "2-1" if loser == "usb" else "sda", 310)
                    rig.daemon.wait_no_jobs()
                    self.assertEqual(rig.count("Detach"), 0)
                    # and it stays so
                    attached = [device["port"] for device in rig.sim.state()["devices"]
                                if device["attachment"]]
                    self.assertEqual(len(attached), 1)
                    ended = [o for o in rig.daemon.outcomes() if o["code"] == 200]
                    self.assertEqual(len(ended), 1)

    def test_with_the_winner_unplugged_and_back_the_same_holds(self):
        rig, connection, seqs = self.plug(("usb", "disk"))
        for seq in seqs.values():
            connection.answer(seq)
        rig.sim.unplug(backend="sys-usb", port="2-1")
        for devclass, name in (("block", "sda"), ("usb", "2-1")):
            self.assert_told(connection, connection.remove(devclass, name), 203)
        rig.sim.plug(devices=stick())
        usb = connection.add("usb", "2-1", **USB)
        disk = connection.add("block", "sda", parent="2-1", **STICK)
        self.assertEqual(sorted(connection.answer(seq)["code"]
                                for seq in (usb, disk)), [200, 300])

    def test_the_next_one_s_disk_is_not_part_of_what_is_being_detached(self):
        # another device comes into the port while our Detach is on its way
        rig = self.start("key: allow usb id 0781:5581 to vault\n"
                         "next: allow block id 0930:6545 to work\n",
                         world(qubes={"vault": {"state": "Running"}}))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        with rig.sim.held(method=USB_DETACH, phase="begin") as hold:
            gone = connection.remove("usb", "2-1")
            rig.sim.wait_held(id=hold)
            rig.sim.unplug(backend="sys-usb", port="2-1")
            rig.sim.plug(devices=[
                {"backend": "sys-usb", "port": "2-1", "class": "usb",
                 "identity": "0930:6545:D1:u080650"}, stick()[1]])
            other = {"vendor_id": "0930", "product_id": "6545", "serial": "D1"}
            connection.add("usb", "2-1", **{**USB, **other})
            disk = connection.add("block", "sda", parent="2-1",
                                  **{**STICK, **other, "diskseq": 8})
            rig.daemon.wait_job("awaiting-turn")
        self.assert_told(connection, gone, 203)
        self.assert_told(connection, disk, 200)
        self.assert_attached(rig, "sda", "work")

    def test_the_disk_goes_when_the_usb_device_is_attached_and_is_203(self):
        # usb-storage lets go of it: the forwarder tells of a remove
        rig, connection, seqs = self.plug(("usb",))
        self.assert_told(connection, seqs["usb"], 200)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assert_attached(rig, "2-1", "vault")
        self.assertEqual(rig.count("Detach"), 0)


class CardReaderWithEmptySlots(UsbCase):
    """Four slots are four disks of one USB device; a card comes and goes."""

    CARD = {**STICK, "vendor_id": "05e3", "product_id": "0749",
            "serial": "000000001539", "size": 31914983424, "diskseq": 20}
    RULES = ("card: allow block id 05e3:0749 to work\n"
             "part: allow block id 05e3:0749 type partition to work\n")

    def reader(self, rules: str = "card: allow block id 05e3:0749 to work\n",
               ) -> tuple:
        """Empty slots stay in qubesd's list, with size 0; no record of them."""
        devices = [{"backend": "sys-usb", "port": "2-3", "class": "usb",
                    "identity": "05e3:0749:000000001539:u080650"}]
        devices += [{"backend": "sys-usb", "port": f"sd{letter}", "class": "block",
                     "parent": "2-3", "interface": "1.0", "size": 0}
                    for letter in "bcde"]
        rig = self.start(rules, world(devices=devices))
        connection = self.by_hand(rig)
        connection.present("usb", "2-3", vendor_id="05e3", product_id="0749",
                           serial="000000001539", devtype="usb_device")
        connection.synced()
        self.assert_told(connection, 1, 300)
        return rig, connection

    def put(self, rig: harness.Rig, connection: harness.EventConn, slot: str,
            **words) -> int:
        """A card is put into a slot: add, for the forwarder saw a change."""
        rig.sim.set_device(backend="sys-usb", port=slot,
                           changes={"size": 31914983424})
        return connection.add("block", slot, parent="2-3", **{**self.CARD, **words})

    def take(self, rig: harness.Rig, connection: harness.EventConn,
             slot: str) -> int:
        """It is taken out: the disk stays, with size 0."""
        rig.sim.set_device(backend="sys-usb", port=slot, changes={"size": 0})
        return connection.remove("block", slot)

    def test_nothing_happens_without_a_card(self):
        rig, connection = self.reader()
        self.barrier(connection)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.calls(), [])

    def test_a_card_that_comes_is_attached_and_detached_when_it_goes(self):
        rig, connection = self.reader()
        self.assert_told(connection, self.put(rig, connection, "sdc"), 200)
        self.assert_attached(rig, "sdc", "work")
        # the slot stays and with it, by qubesd, the attachment: we end it
        self.assert_told(connection, self.take(rig, connection, "sdc"), 203)
        rig.sim.wait_detached(backend="sys-usb", port="sdc")
        self.assertEqual(rig.count("Detach"), 1)

    def test_two_cards_in_two_slots(self):
        rig, connection = self.reader()
        seqs = [self.put(rig, connection, slot) for slot in ("sdb", "sdd")]
        for seq in seqs:
            self.assert_told(connection, seq, 200)
        self.assert_told(connection, self.take(rig, connection, "sdb"), 203)
        self.assert_attached(rig, "sdb", None)
        self.assert_attached(rig, "sdd", "work")

    def test_another_card_in_the_same_slot_is_another_plug(self):
        rig, connection = self.reader(
            'mine: allow block fs-uuid 3F2A-91C0 to work\nno: deny block\n')
        self.assert_told(connection, self.put(
            rig, connection, "sdc", fs_uuid="3F2A-91C0"), 200)
        # without a remove in between: the number of the medium tells
        self.assert_told(connection, connection.change(
            "block", "sdc", parent="2-3", **{**self.CARD, "diskseq": 21,
                                             "fs_uuid": "0000-0000"}), 300)
        rig.daemon.wait_no_jobs()
        self.assert_attached(rig, "sdc", None)

    def test_a_card_that_the_person_took_away_and_put_in_again_hours_later(self):
        # the reader stays; within it only the medium's number tells
        rig, connection = self.reader()
        self.assert_told(connection, self.put(rig, connection, "sdc"), 200)
        rig.sim.detach(backend="sys-usb", port="sdc")
        rig.daemon.wait_outcome("sdc", 308)
        self.assert_told(connection, connection.change(
            "block", "sdc", parent="2-3", **self.CARD), 300)
        self.assert_last(rig, "sdc", 308)
        self.assert_attached(rig, "sdc", None)


class SuspendAndResume(UsbCase):
    """All devices go and come when the machine wakes up: they are the same."""

    def plug(self, rules: str, **more) -> tuple:
        """A stick; sys-usb has the controller."""
        rig = self.start(rules, world(
            qubes={"sys-usb": {"state": "Running", "pci": True}}, **more))
        return rig, self.forwarder(rig)

    def sleep(self, rig: harness.Rig, connection: harness.EventConn,
              devices: list | None = None) -> None:
        """Suspend, resume: everything is gone and told of as removed."""
        rig.sim.suspend()
        rig.sim.unplug(backend="sys-usb", port="2-1")
        rig.sim.resume()
        rig.sim.plug(devices=stick() if devices is None else devices)
        for devclass, name in (("block", "sda"), ("usb", "2-1")):
            connection.answer(connection.remove(devclass, name))

    def wake(self, connection: harness.EventConn, **words) -> tuple[int, int]:
        """Both come back, the disk with another number."""
        return (connection.add("usb", "2-1", **{**USB, **words}),
                connection.add("block", "sda", parent="2-1", **{
                    **STICK, "diskseq": 77, **words}))

    def test_what_a_rule_had_attached_is_attached_again_once(self):
        rig, connection = self.plug(KEY)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        self.sleep(rig, connection)
        usb, disk = self.wake(connection)
        self.assert_told(connection, usb, 200)
        self.assert_told(connection, disk, 300)
        rig.daemon.wait_no_jobs()
        self.assert_attached(rig, "2-1", "work")
        self.assertNotIn(308, self.codes(rig, "2-1"))

    def test_what_the_person_took_away_stays_away(self):
        for rules, devclass, device in ((KEY, "usb", "2-1"), (DISK, "block", "sda")):
            with self.subTest(rules=rules):
                rig, connection = self.plug(rules)
                connection.add("usb", "2-1", **USB)
                connection.add("block", "sda", parent="2-1", **STICK)
                rig.sim.wait_attached(backend="sys-usb", port=device)
                rig.daemon.wait_no_jobs()
                rig.sim.detach(backend="sys-usb", port=device)
                rig.daemon.wait_outcome(device, 308)
                rig.mark()
                self.sleep(rig, connection)
                for seq in self.wake(connection):
                    self.assert_told(connection, seq, 300)
                self.assert_last(rig, device, 308)
                self.assertEqual(rig.count("Attach"), 0)

    def test_a_no_is_not_asked_again(self):
        rig, connection = self.plug("r: ask usb id 0781:5581 to work\n",
                                    agent={"script": ["deny"]})
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 300)
        self.assert_last(rig, "2-1", 304)
        self.sleep(rig, connection)
        usb, _ = self.wake(connection)
        self.assert_told(connection, usb, 300)
        self.assert_last(rig, "2-1", 304)
        self.assertEqual(len(rig.sim.calls(method="policy.Ask")), 1)

    def test_a_yes_is_asked_again(self):
        # an approval is stricter: there was a remove in between
        rig, connection = self.plug("r: ask usb id 0781:5581 to work\n",
                                    agent={"script": ["allow", "allow"]})
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        self.sleep(rig, connection)
        usb, _ = self.wake(connection)
        self.assert_told(connection, usb, 200)
        self.assertEqual(len(rig.sim.calls(method="policy.Ask")), 2)

    def test_another_device_that_was_put_in_while_it_slept_is_another_plug(self):
        rig, connection = self.plug(KEY)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        rig.daemon.wait_no_jobs()
        rig.sim.detach(backend="sys-usb", port="2-1")
        rig.daemon.wait_outcome("2-1", 308)
        self.sleep(rig, connection, stick(serial="4C530009"))
        usb, _ = self.wake(connection, serial="4C530009")
        self.assert_told(connection, usb, 200)

    def test_the_whole_picture_may_come_on_a_new_connection(self):
        rig, connection = self.plug(KEY)
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)
        rig.daemon.wait_no_jobs()
        rig.sim.detach(backend="sys-usb", port="2-1")
        rig.daemon.wait_outcome("2-1", 308)
        connection.close()
        rig.sim.suspend()
        rig.sim.resume()
        again = self.picture(rig, devices=(("usb", "2-1", USB),))
        self.assert_told(again, 1, 300)
        self.assert_last(rig, "2-1", 308)
        self.assert_attached(rig, "2-1", None)

    def test_the_target_sleeps_too_and_nothing_is_begun_meanwhile(self):
        # qubesd is told of the device while the target still is paused
        rig, connection = self.plug(KEY)
        rig.sim.suspend()
        connection.add("usb", "2-1", **USB)
        self.barrier(connection)
        self.assertEqual(rig.sim.calls(method=USB_ATTACH), [])
        rig.sim.resume()
        connection.answer(1)
        self.assert_told(connection, connection.change("usb", "2-1", **USB),
                         201 if rig.sim.device("2-1")["attachment"] else 200)
        self.assert_attached(rig, "2-1", "work")


class UsbAttachThatNeverReturns(UsbCase):
    """One call that hangs: nothing else does."""

    def hang(self, count: int = 2) -> tuple:
        """The first of so many devices hangs in its attach to work."""
        rig = self.start("one: allow usb path \"*-usb-0:1\" to work\n"
                         "two: allow usb path \"*-usb-0:2\" to vault\n"
                         "disk: allow block to work\n", world(
                             devices=stick() + stick("sdb", "2-2", "4C530002")
                             + stick("sdc", "2-3", "4C530003"),
                             qubes={"vault": {"state": "Running"}}))
        rig.sim.fault(method=USB_ATTACH, dest="work", do="silence")
        connection = self.forwarder(rig)
        seq = connection.add("usb", "2-1", **USB)
        rig.sim.wait_call(method=USB_ATTACH, done=True)
        return rig, connection, seq

    def test_other_targets_other_classes_and_other_sources_go_on(self):
        rig, connection, _ = self.hang()
        self.assert_told(connection, connection.add("usb", "2-2", **usb_n(1)), 200)
        self.assert_told(connection, connection.add(
            "block", "sdc", parent="2-3", **stick_n(2)), 200)
        self.assertEqual(rig.daemon.status()["n_jobs"], 1)

    def test_an_unplug_is_answered_and_does_not_wait_for_it(self):
        rig, connection, seq = self.hang()
        rig.sim.unplug(backend="sys-usb", port="2-1")
        connection.remove("usb", "2-1")
        self.assert_told(connection, seq, 300)
        self.assertIn(311, self.codes(rig, "2-1"))

    def test_a_stop_of_the_daemon_does_not_wait_for_it(self):
        rig, connection, _ = self.hang()
        rig.daemon.restart()
        self.assertEqual(connection.wait_closed(), [])

    def test_the_same_record_again_waits_for_the_same_call(self):
        rig, connection, _ = self.hang()
        connection.change("usb", "2-1", **USB)
        self.barrier(connection)
        self.assertEqual(len(rig.sim.calls(method=USB_ATTACH, dest="work")), 1)

    def test_qubesd_s_end_ends_it(self):
        rig, connection, seq = self.hang()
        rig.sim.crash(service="qubesd")
        rig.sim.restart(service="qubesd")
        self.assert_told(connection, seq, 200)
        self.assert_attached(rig, "2-1", "work")

    @harness.takes_a_minute
    def test_it_is_504_after_a_minute(self):
        rig, connection, seq = self.hang()
        self.assertEqual(connection.answer(seq, 90)["code"], 300)
        self.assert_last(rig, "2-1", 504)
        del rig


if __name__ == "__main__":
    unittest.main()
