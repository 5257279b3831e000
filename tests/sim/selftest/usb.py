# SPDX-License-Identifier: GPL-2.0-or-later
"""What is different for USB devices (WIRE 1)."""

from .support import DEVICES, STICK, SimTestCase, parse_line

class Usb(SimTestCase):
    """What is different for USB devices."""

    ATTACH = "admin.vm.device.usb.Attach+sys-usb+2-1"

    def test_attach_rips_the_disk_away(self):
        sim = self.start()
        sim.admin("admin.vm.device.block.Attach+sys-usb+sda", "personal")
        events = self.events(sim)
        self.assertEqual(
            sim.admin(self.ATTACH + "+" + STICK.replace(":", "+"), "work"), b"0\0")
        self.assertEqual(events.frames(5), [
            ("work", "device-attach:usb", "device", f"sys-usb:2-1:{STICK}",
             "options", "{}"),
            ("sys-usb", "device-list-change:block"),
            ("sys-usb", "device-removed:block", "port", "sys-usb:sda"),
            ("sys-usb", "domain-qdb-change:/qubes-block-devices", "path",
             "/qubes-block-devices"),
            ("personal", "device-detach:block", "port", "sys-usb:sda")])

    def test_two_at_once_are_both_told_yes(self):
        sim = self.start()
        hold = sim.hold(method="*.usb.Attach", phase="work")["id"]
        streams = [self.open_request(
            sim, f"{self.ATTACH} dom0 name {name}\0".encode())
            for name in ("work", "personal")]
        sim.wait_held(id=hold, count=2)
        sim.release(id=hold)
        self.assertEqual([stream.read_all() for stream in streams], [b"0\0"] * 2)

    def test_two_at_once_into_one_qube_collide(self):
        other = {"backend": "sys-usb", "port": "2-2", "class": "usb"}
        sim = self.start(devices=[*DEVICES, other])
        hold = sim.hold(method="*.usb.Attach", phase="work")["id"]
        first = self.open_request(sim, f"{self.ATTACH} dom0 name work\0".encode())
        sim.wait_held(id=hold)
        second = self.open_request(
            sim, b"admin.vm.device.usb.Attach+sys-usb+2-2 dom0 name work\0")
        sim.wait_held(id=hold, count=2)
        sim.release(id=hold)
        self.assertEqual(first.read_all(), b"0\0")
        self.assertTrue(second.read_all().startswith(
            b"2\0QubesUSBException\0\0Device attach failed: "))

    def test_refusals(self):
        sim = self.start()
        self.assertEqual(
            sim.admin(self.ATTACH, "work", b"_read-only='yes'").split(b"\0")[1],
            b"QubesException")
        sim.qube_set(name="work", usb_proxy=False)
        self.assertEqual(
            sim.admin(self.ATTACH, "work"),
            b"2\0USBProxyNotInstalled\0\0qubes-usb-proxy not installed in the VM\0")
        sim.qube_state(name="personal", state="Transient")
        self.assertTrue(sim.admin(self.ATTACH, "personal").startswith(
            b"2\0QubesUSBException\0\0Device attach failed: "))

    def test_a_port_of_a_wrong_form_is_told_yes(self):
        sim = self.start()
        self.assertEqual(
            sim.admin("admin.vm.device.usb.Attach+sys-usb+2-1_4", "work"), b"0\0")
        self.assertIsNone(sim.device("2-1")["attachment"])

    def test_an_attach_into_a_paused_qube_does_not_return(self):
        sim = self.start()
        sim.qube_pause(name="work")
        stream = self.open_request(sim, f"{self.ATTACH} dom0 name work\0".encode())
        call, = sim.wait_call(method="*.usb.Attach")
        self.assertEqual(call["state"], "running")
        self.assertIsNone(sim.device("2-1")["attachment"])
        sim.qube_unpause(name="work")
        self.assertEqual(stream.read_all(), b"0\0")

    def test_after_a_detach_it_counts_as_attached_for_a_while(self):
        sim = self.start(behaviour={"usb_detach_lag": -1})
        sim.admin(self.ATTACH, "work")
        self.assertEqual(
            sim.admin("admin.vm.device.usb.Detach+sys-usb+2-1", "work"), b"0\0")
        self.assertTrue(sim.admin(self.ATTACH, "personal").startswith(
            b"2\0DeviceAlreadyAttached\0"))
        sim.settle_usb()
        self.assertEqual(sim.admin(self.ATTACH, "personal"), b"0\0")

    def test_the_end_of_the_lag_is_a_list_change(self):
        sim = self.start(behaviour={"usb_detach_lag": -1, "extra_events": False})
        sim.admin(self.ATTACH, "work")
        sim.admin("admin.vm.device.usb.Detach+sys-usb+2-1", "work")
        sim.touch(backend="dom0", class_="block")
        events = self.events(sim)
        sim.settle_usb()
        self.assertEqual(events.frames(2), [
            ("sys-usb", "device-list-change:usb"),
            ("sys-usb", "domain-qdb-change:/qubes-usb-devices", "path",
             "/qubes-usb-devices")])

    def test_a_list_change_within_the_lag_tells_of_an_attach_that_never_was(self):
        # the backend still names the qube, qubesd's own notes do not
        sim = self.start(behaviour={"usb_detach_lag": -1, "extra_events": False})
        sim.admin(self.ATTACH, "work")
        sim.admin("admin.vm.device.usb.Detach+sys-usb+2-1", "work")
        self.assertIn(b"sys-usb+2-1:", sim.admin(
            "admin.vm.device.usb.Attached", "work"))
        events = self.events(sim)
        sim.plug(backend="sys-usb", port="2-2", class_="usb")
        sim.settle_usb()
        told = [frame for frame in events.frames(7)
                if frame[1].endswith("tach:usb")]
        self.assertEqual(told, [
            ("work", "device-attach:usb", "device", f"sys-usb:2-1:{STICK}",
             "options", "{}"),
            ("work", "device-detach:usb", "port", "sys-usb:2-1")])

    def test_a_second_detach_within_the_lag_fails(self):
        sim = self.start(behaviour={"usb_detach_lag": -1})
        sim.admin(self.ATTACH, "work")
        detach = "admin.vm.device.usb.Detach+sys-usb+2-1"
        self.assertEqual(sim.admin(detach, "work"), b"0\0")
        self.assertTrue(sim.admin(detach, "work").startswith(
            b"2\0QubesUSBException\0\0Device detach failed: "))
        sim.settle_usb()
        self.assertTrue(sim.admin(detach, "work").startswith(
            b"2\0DeviceNotAssigned\0"))

    def test_a_qube_that_halts_leaves_its_usb_device_with_usbip(self):
        sim = self.start(behaviour={"usb_detach_lag": -1, "extra_events": False})
        sim.admin(self.ATTACH, "work")
        sim.touch(backend="dom0", class_="block")
        events = self.events(sim)
        sim.qube_stop(name="work")
        self.assertEqual(events.frames(2), [
            ("work", "domain-shutdown"),
            ("work", "device-detach:usb", "port", "sys-usb:2-1")])
        # it counts as attached for a while, and its disks do not come back
        self.assertEqual(sim.device("2-1")["attachment"], "work")
        sim.settle_usb()
        self.assertIsNone(sim.device("2-1")["attachment"])
        self.assertFalse(sim.device("sda")["listed"])
        self.assertEqual(sim.admin(self.ATTACH, "personal"), b"0\0")
        sim.admin("admin.vm.device.usb.Detach+sys-usb+2-1", "personal")
        sim.settle_usb()
        sim.touch(backend="sys-usb", class_="block")
        self.assertTrue(sim.device("sda")["listed"])

    def test_the_disks_of_an_attached_device_are_not_there(self):
        sim = self.start()
        sim.admin(self.ATTACH, "work")
        self.assertEqual(
            sim.admin("admin.vm.device.block.Available", "sys-usb"), b"0\0")
        self.assertIn(b"attachment='work'", sim.admin(
            "admin.vm.device.usb.Available", "sys-usb"))

    def test_a_failed_attach_leaves_a_spurious_detach(self):
        sim = self.start()
        sim.fault(method="*.usb.Attach", do="fail", message="no luck")
        self.assertEqual(
            sim.admin(self.ATTACH, "work"),
            b"2\0QubesUSBException\0\0Device attach failed: no luck\0")
        events = self.events(sim)
        sim.touch(backend="sys-usb", class_="usb")
        self.assertEqual(events.frames(3)[2], (
            "work", "device-detach:usb", "port", "sys-usb:2-1"))

    def test_a_target_that_halts_while_it_attaches(self):
        sim = self.start()
        with sim.held(method="*.usb.Attach", phase="work") as hold:
            stream = self.open_request(
                sim, f"{self.ATTACH} dom0 name work\0".encode())
            sim.wait_held(id=hold)
            sim.qube_stop(name="work")
        self.assertTrue(stream.read_all().startswith(b"2\0QubesUSBException\0"))
        self.assertIsNone(sim.device("2-1")["attachment"])

    def test_the_denied_list_tells_a_mouse(self):
        sim = self.start(devices=[dict(DEVICES[0], interfaces="u030102")])
        pinned = self.ATTACH + "+" + STICK.replace(":", "+")
        sim.qube_set(name="work", denied=["u03****"])
        for call in (self.ATTACH, pinned):
            self.assertTrue(sim.admin(call, "work").startswith(
                b"2\0PermissionDenied\0"))
        sim.qube_set(name="work", denied=["u08****"])
        self.assertEqual(sim.admin(pinned, "work"), b"0\0")

    def test_a_detach_probes_the_device_anew(self):
        for reprobe, removed in (("none", []), ("block", ["sda", "sda1"]),
                                 ("usb", ["2-1", "sda", "sda1"])):
            with self.subTest(reprobe=reprobe):
                sim = self.start()
                sim.behaviour(reprobe=reprobe)
                sim.admin(self.ATTACH, "work")
                events = self.events(sim)
                sim.admin("admin.vm.device.usb.Detach+sys-usb+2-1", "work")
                sim.touch(backend="dom0", class_="block")
                gone = []
                while (frame := events.frame())[0] != "dom0":
                    if frame[1].startswith("device-removed"):
                        gone.append(frame[3].partition(":")[2])
                self.assertEqual(sorted(gone), removed)

    def test_a_reset_takes_a_disk_from_its_qube(self):
        sim = self.start()
        sim.admin("admin.vm.device.block.Attach+sys-usb+sda", "work")
        sim.reprobe(backend="sys-usb", port="2-1")
        self.assertIsNone(sim.device("sda")["attachment"])
        self.assertTrue(sim.device("sda")["listed"])

    def test_the_backend_may_claim_any_attachment(self):
        sim = self.start()
        sim.set_device(backend="sys-usb", port="2-1", changes={"claims": "vault"})
        line = sim.admin("admin.vm.device.usb.Available", "sys-usb").decode()
        self.assertEqual(parse_line(line)[1]["attachment"], "vault")
