# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests, qubes, and the older dialects (WIRE 1)."""

import contextlib

from sim.client import Stream

from .support import LOOSE, SimTestCase

class Framing(SimTestCase):
    """Requests, and the three forms of an answer."""

    def test_nothing_happens_before_the_end_of_input(self):
        sim = self.start()
        stream = Stream(sim.qubesd_socket, "request")
        self.addCleanup(stream.close)
        stream.send(b"admin.vm.Start+ dom0 name vault\0")
        self.assertEqual(sim.state()["qubes"]["vault"]["state"], "Halted")
        self.assertEqual(sim.calls(), [])
        stream.shut()
        self.assertEqual(stream.read_all(), b"0\0")
        self.assertEqual(sim.state()["qubes"]["vault"]["state"], "Running")

    def test_a_space_in_the_argument_shifts_the_destination(self):
        sim = self.start()
        self.assertEqual(
            sim.raw(b"admin.vm.device.block.Attach+sys-usb+sda x dom0 name work\0"),
            b"")
        self.assertEqual(sim.calls()[0]["state"], "framing-error")

    def test_a_request_of_65536_bytes_is_the_longest(self):
        sim = self.start()
        head = b"admin.vm.device.block.Attach+sys-usb+sda dom0 name work\0"
        padded = head.ljust(65536, b" ")
        self.assertEqual(sim.raw(padded), b"0\0")
        with contextlib.suppress(BrokenPipeError):
            self.assertEqual(sim.raw(padded + b" "), b"")

    def test_the_keyword_adminvm_is_dom0(self):
        sim = self.start()
        self.assertTrue(sim.raw(b"admin.vm.List dom0 keyword adminvm\0")
                        .startswith(b"0\0"))

    def test_what_is_no_request_is_dropped(self):
        sim = self.start()
        for request in (b"", b"admin.vm.List dom0 name dom0", b"admin.vm.List\0",
                        b"admin.vm.List dom0 dom0\0",
                        b"admin.vm.List dom0 type work\0"):
            with self.subTest(request=request):
                self.assertEqual(sim.raw(request), b"")
        self.assertEqual({call["state"] for call in sim.calls()}, {"framing-error"})

    def test_an_unknown_qube(self):
        sim = self.start()
        self.assertEqual(
            sim.admin("admin.vm.Start", "nosuch"),
            b"2\0QubesVMNotFoundError\0\0No such domain: 'nosuch'\0")
        self.assertEqual(
            sim.admin("admin.vm.Start", "no$uch"),
            b"2\0QubesValueError\0\0VM name contains illegal characters\0")

    def test_4_4_tells_protocol_errors(self):
        sim = self.start()
        self.assertEqual(
            sim.admin("admin.vm.Nosuch", "work"),
            b"2\0ProtocolError\0\0no such method: 'admin.vm.Nosuch'\0")
        self.assertEqual(sim.admin("admin.vm.Start+x", "work"),
                         b"2\0ProtocolError\0\0unexpected argument\0")
        self.assertEqual(sim.admin("admin.vm.Start", "work", b"x"),
                         b"2\0ProtocolError\0\0unexpected payload\0")

    def test_every_request_is_logged_with_its_bytes(self):
        sim = self.start()
        request = b"admin.vm.CurrentState+ dom0 name work\0"
        answer = sim.raw(request)
        call, = sim.calls(method="*.CurrentState", dest="work")
        self.assertEqual(bytes.fromhex(call["request"]), request)
        self.assertEqual(bytes.fromhex(call["answer"]), answer)
        self.assertFalse(call["stream"])
        self.assertEqual(sim.calls(clear=True, service="qubesd"), [call])
        self.assertEqual(sim.calls(), [])


class Qubes(SimTestCase):
    """Start, Kill, Remove, lists and properties."""

    def test_current_state_and_list(self):
        sim = self.start()
        self.assertEqual(
            sim.admin("admin.vm.CurrentState", "work"),
            b"0\0mem=409600 mem_static_max=4096000 cputime=1000000000 "
            b"power_state=Running")
        lines = sim.admin("admin.vm.List").decode().removeprefix("0\0")
        self.assertEqual(len(lines.splitlines()), 6)
        self.assertRegex(lines, r"(?m)^vault class=AppVM state=Halted "
                                r"uuid=[0-9a-f-]{36}$")

    def test_start_does_nothing_in_any_state_but_halted(self):
        sim = self.start()
        for state in ("Paused", "Halting", "Dying", "Crashed", "Suspended",
                      "Transient", "Running"):
            sim.qube_state(name="work", state=state)
            self.assertEqual(sim.admin("admin.vm.Start", "work"), b"0\0")
            self.assertEqual(sim.state()["qubes"]["work"]["state"], state)

    def test_a_second_start_waits_for_the_first(self):
        sim = self.start()
        hold = sim.hold(method="admin.vm.Start", phase="work")["id"]
        first = self.open_request(sim, b"admin.vm.Start dom0 name vault\0")
        sim.wait_held(id=hold)
        second = self.open_request(sim, b"admin.vm.Start dom0 name vault\0")
        calls = sim.wait_call(method="admin.vm.Start", count=2)
        self.assertEqual([call["state"] for call in calls], ["running"] * 2)
        sim.release(id=hold)
        self.assertEqual([first.read_all(), second.read_all()], [b"0\0"] * 2)

    def test_a_start_that_fails(self):
        sim = self.start()
        events = self.events(sim)
        sim.fault(method="admin.vm.Start", do="fail",
                  message="Start failed: no luck, see log")
        self.assertEqual(sim.admin("admin.vm.Start", "vault"),
                         b"2\0QubesException\0\0Start failed: no luck, see log\0")
        self.assertEqual(events.frame(), ("vault", "domain-start-failed", "reason",
                                          "no luck, see log"))
        self.assertEqual(sim.admin("admin.vm.Start", "vault"), b"0\0")
        self.assertEqual(events.frame(),
                         ("vault", "domain-start", "start_guid", "True"))

    def test_dom0_cannot_be_started(self):
        sim = self.start()
        self.assertTrue(sim.admin("admin.vm.Start").startswith(
            b"2\0QubesVMNotHaltedError\0\0"))

    def test_kill_shutdown_and_remove(self):
        sim = self.start()
        powered_off = b"2\0QubesVMNotStartedError\0\0Domain is powered off: 'vault'\0"
        self.assertEqual(sim.admin("admin.vm.Kill", "vault"), powered_off)
        self.assertEqual(sim.admin("admin.vm.Shutdown", "vault"), powered_off)
        self.assertEqual(
            sim.admin("admin.vm.Remove", "work"),
            b"2\0QubesVMNotHaltedError\0\0Domain is not powered off: 'work'\0")
        self.assertEqual(sim.admin("admin.vm.Kill", "work"), b"0\0")
        self.assertEqual(sim.admin("admin.vm.Remove", "work"), b"0\0")
        self.assertNotIn("work", sim.state()["qubes"])

    def test_properties(self):
        sim = self.start()
        self.assertEqual(sim.admin("admin.vm.property.Get+guivm", "sys-usb"),
                         b"0\0default=True type=vm dom0")
        self.assertEqual(sim.admin("admin.vm.property.Get+guivm", "dom0"),
                         b"0\0default=True type=vm ")
        self.assertEqual(sim.admin("admin.vm.property.Get+icon", "work"),
                         b"0\0default=True type=str appvm-blue")
        self.assertEqual(
            sim.admin("admin.vm.property.Get+nosuch", "work"),
            b"2\0QubesNoSuchPropertyError\0\0Invalid property 'nosuch' of work\0")

    def test_disposables(self):
        sim = self.start()
        name = sim.admin("admin.vm.CreateDisposable", "media-dvm").decode()[2:]
        self.assertRegex(name, r"^disp[0-9]{1,4}$")
        self.assertEqual(sim.state()["qubes"][name]["state"], "Halted")
        self.assertTrue(sim.admin("admin.vm.Kill", name).startswith(
            b"2\0QubesVMNotStartedError\0"))
        self.assertIn(name, sim.state()["qubes"])
        sim.fault(method="admin.vm.Start", do="fail")
        self.assertTrue(sim.admin("admin.vm.Start", name).startswith(
            b"2\0QubesException\0\0Start failed: "))
        self.assertNotIn(name, sim.state()["qubes"])

    def test_disposables_from_dom0s_default_may_come_running(self):
        sim = self.start()
        sim.qube_set(name="dom0", properties={"default_dispvm": "media-dvm"})
        sim.behaviour(preload=True)
        name = sim.admin("admin.vm.CreateDisposable").decode()[2:]
        self.assertEqual(sim.state()["qubes"][name]["state"], "Running")
        self.assertEqual(sim.admin("admin.vm.Kill", name), b"0\0")
        self.assertNotIn(name, sim.state()["qubes"])


class Dialect43(SimTestCase):
    """4.3 sends zero bytes where 4.4 has exceptions."""

    dialect = "4.3"

    def test_zero_bytes_for_protocol_error_and_permission_denied(self):
        sim = self.start()
        self.assertEqual(sim.admin("admin.vm.Nosuch", "work"), b"")
        self.assertEqual(sim.admin(
            "admin.vm.device.block.Attach+sys-usb+sda+dead+beef", "work"), b"")
        self.assertEqual(sim.admin("admin.vm.device.block.Attach+sys-usb+sda", "work",
                                   b"read-only=yes"), b"")
        sim.qube_set(name="work", denied=["u03****"])
        self.assertEqual(
            sim.admin("admin.vm.device.block.Attach+sys-usb+sda", "work"), b"")
        self.assertEqual(sim.admin("admin.vm.device.block.List", "work"), b"")
        self.assertIsNone(sim.device("sda")["attachment"])


class Dialect42(SimTestCase):
    """What makes a 4.2 recognisable."""

    dialect = "4.2"

    def test_lists(self):
        sim = self.start()
        self.assertEqual(
            sim.admin("admin.vm.device.block.Available+sda", "sys-usb"),
            b"0\0sda device_node=/dev/sda size=15376000000 mode=w "
            b"description=SanDisk_Ultra (DATA)\n")
        self.assertEqual(
            sim.admin("admin.vm.device.block.Attach+sys-usb+sda", "work",
                      b"read-only=yes frontend-dev=xvdk"), b"0\0")
        self.assertEqual(
            sim.admin("admin.vm.device.block.List", "work"),
            b"0\0sys-usb+sda read-only=yes frontend-dev=xvdk persistent=no\n")
        self.assertEqual(sim.admin("admin.vm.device.block.Attached", "work"), b"")
        self.assertNotIn(b"uuid=", sim.admin("admin.vm.List"))

    def test_events(self):
        sim = self.start(devices=[])
        events = self.events(sim)
        sim.plug(**LOOSE)
        sim.admin("admin.vm.device.block.Attach+sys-usb+sdb", "work")
        sim.admin("admin.vm.device.block.Detach+sys-usb+sdb", "work")
        self.assertEqual([frame[1:4] for frame in events.frames(4)], [
            ("device-list-change:block",),
            ("domain-qdb-change:/qubes-block-devices", "path",
             "/qubes-block-devices"),
            ("device-attach:block", "device", "sys-usb:sdb"),
            ("device-detach:block", "device", "sys-usb:sdb")])
