# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists, Attach and Detach (WIRE 1)."""

from sim.client import Sim

from .support import (AMBIGUOUS, DISK_KEYS, LOOSE, NOT_RUNNING, SDA, STICK,
                      UNKNOWN, SimTestCase, parse_line, scenario)

class Lists(SimTestCase):
    """Available and Attached."""

    def test_available_of_one_port(self):
        sim = self.start()
        answer = sim.admin("admin.vm.device.block.Available+sda", "sys-usb").decode()
        self.assertTrue(answer.startswith("0\0") and answer.endswith("\n"))
        head, words = parse_line(answer[2:-1])
        self.assertEqual(head, f"sda:{SDA}")
        self.assertEqual(words, DISK_KEYS)
        self.assertEqual(
            sim.admin("admin.vm.device.block.Available+sdz", "sys-usb"), b"0\0")

    def test_the_order_changes_and_the_seed_decides(self):
        answers = set()
        for seed in (1, 1, 2, 3):
            with Sim(scenario(), seed=seed) as sim:
                answers.add(sim.admin("admin.vm.device.block.Available", "sys-usb"))
        self.assertEqual(len(answers), 3)
        for answer in answers:
            self.assertEqual(len(answer.splitlines()), 2)

    def test_a_disk_without_parent_is_called_none(self):
        sim = self.start(devices=[LOOSE])
        answer = sim.admin("admin.vm.device.block.Available", "sys-usb").decode()
        head, words = parse_line(answer[2:])
        self.assertEqual((head, words["device_id"]), ("sdb::None", ":None"))
        self.assertEqual(words["manufacturer"], "hosted by sys-usb")
        self.assertEqual(
            sim.admin("admin.vm.device.block.Attach+sys-usb+sdb++None", "work"),
            b"0\0")

    def test_only_the_quote_is_escaped(self):
        sim = self.start(devices=[dict(LOOSE, identity="a b' c='d\\:1")])
        answer = sim.admin("admin.vm.device.block.Available", "sys-usb").decode()
        self.assertTrue(answer.startswith("0\0sdb:a b' c='d\\:1 "))
        self.assertIn(r"device_id='a b\' c=\'d\:1'", answer)

    def test_attached_lists_options(self):
        sim = self.start()
        sim.admin("admin.vm.device.block.Attach+sys-usb+sda", "work",
                  b"_read-only='yes' _frontend-dev='xvdj'")
        answer = sim.admin("admin.vm.device.block.Attached", "work").decode()
        head, words = parse_line(answer[2:-1])
        self.assertEqual(head, f"sys-usb+sda:{SDA}")
        self.assertEqual(words, {
            "device_id": SDA, "port_id": "sda", "devclass": "block",
            "backend_domain": "sys-usb", "mode": "manual",
            "frontend_domain": "work", "_read-only": "yes",
            "_frontend-dev": "xvdj"})
        line = sim.admin("admin.vm.device.block.Available+sda", "sys-usb").decode()
        self.assertEqual(parse_line(line)[1]["attachment"], "work")
        self.assertEqual(
            sim.admin("admin.vm.device.block.Attached+sys-usb+sdz", "work"), b"0\0")
        self.assertEqual(sim.admin("admin.vm.device.block.Attached+x", "work"), b"")

    def test_list_is_not_a_method_here(self):
        sim = self.start()
        self.assertTrue(sim.admin("admin.vm.device.block.List", "work").startswith(
            b"2\0ProtocolError\0\0no such method: "))


class Attach(SimTestCase):
    """Attach and Detach of block devices."""

    def attach(self, sim, arg="sys-usb+sda", dest="work", payload=b""):
        """An Attach from dom0."""
        return sim.admin(f"admin.vm.device.block.Attach+{arg}", dest, payload)

    def test_a_pinned_attach_needs_the_identity_of_now(self):
        sim = self.start()
        pinned = "sys-usb+sda+" + SDA.replace(":", "+")
        sim.set_identity(backend="sys-usb", port="2-1", identity="dead:beef::u080650")
        self.assertEqual(self.attach(sim, pinned), AMBIGUOUS)
        sim.set_identity(backend="sys-usb", port="2-1", identity=STICK)
        self.assertEqual(self.attach(sim, pinned), b"0\0")
        self.assertEqual(sim.device("sda")["attachment"], "work")

    def test_attaching_a_partition_takes_the_disk_away(self):
        sim = self.start()
        events = self.events(sim)
        self.assertEqual(self.attach(sim, "sys-usb+sda1"), b"0\0")
        self.assertEqual(events.frames(4), [
            ("work", "device-attach:block", "device", f"sys-usb:sda1:{UNKNOWN}:1",
             "options", "{'read-only': 'no', 'frontend-dev': 'xvdi'}"),
            ("sys-usb", "device-list-change:block"),
            ("sys-usb", "device-removed:block", "port", "sys-usb:sda"),
            ("sys-usb", "domain-qdb-change:/qubes-block-devices", "path",
             "/qubes-block-devices"),
        ])
        self.assertEqual(sim.device("sda1")["identity"], UNKNOWN + ":1")
        self.assertEqual(
            sim.admin("admin.vm.device.block.Available+sda", "sys-usb"), b"0\0")
        self.assertEqual(
            sim.admin("admin.vm.device.block.Detach+sys-usb+sda1", "work"), b"0\0")
        self.assertEqual(events.frames(3)[0::2], [
            ("work", "device-detach:block", "port", "sys-usb:sda1"),
            ("sys-usb", "device-added:block", "device", f"sys-usb:sda:{SDA}")])

    def test_an_unknown_interface_is_written_with_underscores(self):
        sim = self.start(devices=[dict(LOOSE, identity=UNKNOWN + ":1")])
        self.assertEqual(
            self.attach(sim, "sys-usb+sdb+0000+0000++_______+1"), b"0\0")

    def test_a_halted_qube(self):
        sim = self.start()
        self.assertEqual(self.attach(sim, dest="vault"), NOT_RUNNING)

    def test_already_attached(self):
        sim = self.start()
        self.attach(sim)
        self.assertEqual(
            self.attach(sim), b"2\0DeviceAlreadyAttached\0\0'device sys-usb:sda:"
            + SDA.encode() + b" of class block already attached to work'\0")
        self.assertEqual(
            self.attach(sim, dest="personal"),
            b"2\0DeviceAlreadyAttached\0\0'Device sys-usb:sda:" + SDA.encode()
            + b" already attached to work'\0")

    def test_detach_of_what_is_not_attached(self):
        sim = self.start()
        self.assertEqual(
            sim.admin("admin.vm.device.block.Detach+sys-usb+sda", "work"),
            b"2\0DeviceNotAssigned\0\0'block device sda not attached to work'\0")

    def test_options(self):
        sim = self.start(devices=[dict(LOOSE, mode="r")])
        for payload, kind, message in (
                (b"_foo='x'", b"QubesValueError", b"Unsupported option foo"),
                (b"_frontend-dev='hda'", b"QubesValueError",
                 b"Invalid frontend-dev option value: hda"),
                (b"_devtype='tape'", b"QubesValueError",
                 b"devtype option can only have 'disk' or 'cdrom' value"),
                (b"_read-only='no'", b"QubesValueError",
                 b"This device can be attached only read-only"),
                (b"read-only=yes", b"ProtocolError", None),
                (b"_read-only=yes", b"ProtocolError", None),
                (b"foo='x'", b"ProtocolError", None)):
            with self.subTest(payload=payload):
                answer = self.attach(sim, "sys-usb+sdb", payload=payload)
                words = answer.split(b"\0")
                self.assertEqual(words[:3], [b"2", kind, b""])
                if message:
                    self.assertEqual(words[3:], [message, b""])
        self.assertEqual(
            self.attach(sim, "sys-usb+sdb", payload=b"_devtype='cdrom'"), b"0\0")
        self.assertEqual(sim.admin("admin.vm.device.block.Attached", "work"), b"0\0")
        self.assertEqual(sim.device("sdb")["options"]["frontend-dev"], "xvdd")

    def test_zero_bytes(self):
        sim = self.start()
        self.assertEqual(self.attach(sim, "nosuch+sda"), b"")
        self.assertEqual(self.attach(sim, "nonsense"), b"")
        sim.fault(method="*.Attach", do="fail", count=2)
        self.assertEqual([self.attach(sim) for _ in range(3)], [b"", b"", b"0\0"])

    def test_a_frontend_in_use(self):
        sim = self.start(devices=[LOOSE, dict(LOOSE, port="sdc")])
        payload = b"_frontend-dev='xvdj'"
        self.assertEqual(self.attach(sim, "sys-usb+sdb", payload=payload), b"0\0")
        self.assertEqual(self.attach(sim, "sys-usb+sdc", payload=payload), b"")

    def test_a_failed_attach_leaves_a_spurious_detach(self):
        sim = self.start()
        events = self.events(sim)
        sim.fault(method="*.Attach", do="fail")
        self.attach(sim)
        sim.plug(**LOOSE)
        self.assertEqual([frame[:2] for frame in events.frames(4)], [
            ("sys-usb", "device-list-change:block"),
            ("sys-usb", "device-added:block"),
            ("sys-usb", "domain-qdb-change:/qubes-block-devices"),
            ("work", "device-detach:block")])

    def test_of_several_at_once_one_wins(self):
        sim = self.start()
        request = "admin.vm.device.block.Attach+sys-usb+sda dom0 name {}\0"
        hold = sim.hold(method="*.Attach")["id"]
        streams = [self.open_request(sim, request.format(name).encode())
                   for name in ("work", "personal")]
        sim.wait_held(id=hold, count=2)
        sim.release(id=hold)
        answers = sorted(stream.read_all()[:24] for stream in streams)
        self.assertEqual(answers, [b"0\0", b"2\0DeviceAlreadyAttached\0"])

    def test_an_attach_in_work_blocks_all_of_qubesd(self):
        sim = self.start()
        hold = sim.hold(method="*.Attach", phase="work")["id"]
        attach = self.open_request(
            sim, b"admin.vm.device.block.Attach+sys-usb+sda dom0 name work\0")
        sim.wait_held(id=hold)
        state = self.open_request(sim, b"admin.vm.CurrentState dom0 name work\0")
        call, = sim.wait_call(method="*.CurrentState")
        self.assertEqual(call["state"], "running")
        sim.release(id=hold)
        self.assertEqual(attach.read_all(), b"0\0")
        self.assertTrue(state.read_all().startswith(b"0\0mem="))

    def test_the_denied_list_wants_an_identity(self):
        sim = self.start()
        sim.qube_set(name="work", denied=["u03****"])
        self.assertTrue(self.attach(sim).startswith(b"2\0PermissionDenied\0"))
        self.assertEqual(
            self.attach(sim, "sys-usb+sda+" + SDA.replace(":", "+")), b"0\0")
        sim.qube_set(name="personal", denied=["b******"])
        self.assertTrue(self.attach(
            sim, "sys-usb+sda+" + SDA.replace(":", "+"), "personal").startswith(
                b"2\0PermissionDenied\0"))

    def test_closing_early_does_not_cancel(self):
        sim = self.start()
        hold = sim.hold(method="*.Attach", phase="work")["id"]
        stream = self.open_request(
            sim, b"admin.vm.device.block.Attach+sys-usb+sda dom0 name work\0")
        sim.wait_held(id=hold)
        stream.close()
        sim.wait_call(method="*.Attach", abandoned=True)
        sim.release(id=hold)
        sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_the_wrong_device(self):
        sim = self.start(devices=[LOOSE, dict(LOOSE, port="sdc")])
        sim.fault(method="*.Attach", do="wrong-device", port="sdc")
        self.assertEqual(self.attach(sim, "sys-usb+sdb"), b"0\0")
        self.assertIsNone(sim.device("sdb")["attachment"])
        self.assertEqual(sim.device("sdc")["attachment"], "work")
