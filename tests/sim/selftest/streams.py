# SPDX-License-Identifier: GPL-2.0-or-later
"""admin.Events (WIRE 1), and what a test may order to go wrong."""

from sim.client import SimError

from .support import LOOSE, SimTestCase

class EventStream(SimTestCase):
    """admin.Events."""

    def test_the_order_of_an_unplug(self):
        sim = self.start(devices=[LOOSE])
        sim.admin("admin.vm.device.block.Attach+sys-usb+sdb", "work")
        events = self.events(sim)
        sim.unplug(backend="sys-usb", port="sdb")
        self.assertEqual(events.frames(4), [
            ("sys-usb", "device-list-change:block"),
            ("sys-usb", "device-removed:block", "port", "sys-usb:sdb"),
            ("sys-usb", "domain-qdb-change:/qubes-block-devices", "path",
             "/qubes-block-devices"),
            ("work", "device-detach:block", "port", "sys-usb:sdb")])

    def test_the_bytes_of_a_plug(self):
        sim = self.start(devices=[])
        stream = self.events(sim).stream
        sim.plug(**LOOSE)
        expected = (
            b"1\0sys-usb\0device-list-change:block\0\0"
            b"1\0sys-usb\0device-added:block\0device\0sys-usb:sdb::None\0\0"
            b"1\0sys-usb\0domain-qdb-change:/qubes-block-devices\0path\0"
            b"/qubes-block-devices\0\0")
        got = b""
        while len(got) < len(expected):
            got += stream.read_until(b"\0") + b"\0"
        self.assertEqual(got, expected)

    def test_a_qube_that_shuts_down(self):
        sim = self.start()
        sim.admin("admin.vm.device.block.Attach+sys-usb+sda", "work")
        events = self.events(sim)
        sim.qube_stop(name="work")
        self.assertEqual(events.frames(2), [
            ("work", "domain-shutdown"),
            ("work", "device-detach:block", "port", "sys-usb:sda")])

    def test_a_backend_that_shuts_down_takes_its_devices_along(self):
        sim = self.start(devices=[LOOSE])
        sim.admin("admin.vm.device.block.Attach+sys-usb+sdb", "work")
        events = self.events(sim)
        sim.qube_stop(name="sys-usb")
        self.assertEqual(events.frames(3), [
            ("sys-usb", "domain-shutdown"),
            ("sys-usb", "device-removed:block", "port", "sys-usb:sdb"),
            ("work", "device-detach:block", "port", "sys-usb:sdb")])
        sim.qube_start(name="sys-usb")
        self.assertEqual([frame[1] for frame in events.frames(3)], [
            "domain-start", "device-list-change:block", "device-added:block"])

    def test_a_subscriber_of_one_qube_hears_of_it_alone(self):
        sim = self.start()
        events = self.events(sim, "vault")
        sim.qube_stop(name="work")
        sim.qube_start(name="vault")
        self.assertEqual(events.frame()[:2], ("vault", "domain-start"))

    def test_a_subscriber_that_does_not_read_blocks_nobody(self):
        sim = self.start(behaviour={"pieces": False})
        self.events(sim)
        frame = b"1\0work\0noise\0" + b"x" * 65536 + b"\0y\0\0"
        for _ in range(20):
            sim.emit(subject="work", hex=frame.hex())
        self.assertTrue(sim.admin("admin.vm.List").startswith(b"0\0"))

    def test_the_stream_ends_with_its_connection(self):
        sim = self.start()
        events = self.events(sim)
        sim.wait_subscribers(count=1)
        events.stream.close()
        sim.wait_subscribers(count=0)

    def test_events_that_nobody_needs_come_as_well(self):
        sim = self.start(behaviour={})
        events = self.events(sim)
        sim.admin("admin.vm.Start", "vault")
        sim.admin("admin.vm.device.block.Attach+sys-usb+sda", "vault")
        self.assertEqual([frame[:2] for frame in events.frames(7)], [
            ("vault", "domain-pre-start"), ("vault", "domain-pre-spawn"),
            ("vault", "domain-spawn"), ("vault", "domain-unpaused"),
            ("vault", "domain-start"), ("vault", "device-pre-attach:block"),
            ("vault", "device-attach:block")])

    def test_pause_resume_add_and_remove(self):
        sim = self.start()
        events = self.events(sim)
        sim.qube_pause(name="work")
        sim.qube_unpause(name="work")
        sim.qube_state(name="work", state="Suspended")
        sim.qube_state(name="work", state="Running")
        sim.qube_add(name="fresh", label="green")
        sim.qube_remove(name="fresh")
        self.assertEqual(events.frames(5), [
            ("work", "domain-paused"), ("work", "domain-unpaused"),
            ("work", "domain-resumed"), ("", "domain-add", "vm", "fresh"),
            ("", "domain-delete", "vm", "fresh")])

    def test_the_native_assignment_is_faster(self):
        sim = self.start(devices=[], assignments=[
            {"backend": "sys-usb", "class": "block", "target": "personal"}])
        events = self.events(sim)
        sim.plug(**LOOSE)
        self.assertEqual(events.frames(4)[3][:2], ("personal", "device-attach:block"))
        self.assertTrue(
            sim.admin("admin.vm.device.block.Attach+sys-usb+sdb", "work")
            .startswith(b"2\0DeviceAlreadyAttached\0\0'Device sys-usb:sdb::None "))


class Faults(SimTestCase):
    """What a test may order to go wrong."""

    def state_with(self, **fault) -> bytes:
        """The answer to a CurrentState with a fault."""
        sim = self.start()
        sim.fault(method="admin.vm.CurrentState", **fault)
        answer = sim.admin("admin.vm.CurrentState", "work")
        self.assertTrue(sim.admin("admin.vm.CurrentState", "work").startswith(
            b"0\0mem="), "the fault is used up")
        return answer

    def test_answers_that_are_spoilt(self):
        self.assertEqual(self.state_with(do="empty"), b"")
        self.assertEqual(self.state_with(do="empty-after"), b"")
        self.assertEqual(self.state_with(do="ok"), b"0\0")
        self.assertEqual(self.state_with(do="half", bytes=1), b"0")
        self.assertEqual(self.state_with(do="answer", hex="3900ff"), b"9\0\xff")
        self.assertNotIn(self.state_with(do="garbage")[:2], (b"0\0", b"1\0", b"2\0"))
        self.assertEqual(self.state_with(do="exception", type="X", message="y"),
                         b"2\0X\0\0y\0")
        self.assertEqual(len(self.state_with(do="huge")), 10 * 1024 * 1024)

    def test_silence(self):
        sim = self.start()
        sim.fault(method="admin.vm.Start", do="silence", count=-1)
        self.open_request(sim, b"admin.vm.Start dom0 name vault\0")
        call, = sim.wait_call(method="admin.vm.Start", done=True)
        self.assertEqual((call["state"], call["fault"]), ("silent", "silence"))
        self.assertEqual(sim.state()["qubes"]["vault"]["state"], "Halted")

    def test_a_crash_and_a_restart_keep_the_world(self):
        sim = self.start()
        events = self.events(sim)
        sim.admin("admin.vm.device.block.Attach+sys-usb+sda", "work")
        hold = sim.hold(method="admin.vm.Start")["id"]
        start = self.open_request(sim, b"admin.vm.Start dom0 name vault\0")
        sim.wait_held(id=hold)
        sim.crash()
        self.assertEqual(start.read_all(), b"")
        self.assertNotIn(b"\0domain-start\0", events.stream.read_all())
        with self.assertRaises(FileNotFoundError):
            sim.admin("admin.vm.List")
        sim.restart()
        self.assertIn(b"sys-usb+sda:", sim.admin(
            "admin.vm.device.block.Attached", "work"))

    def test_a_held_answer_comes_after_the_deed(self):
        sim = self.start()
        with sim.held(method="admin.vm.Start", phase="answer") as hold:
            stream = self.open_request(sim, b"admin.vm.Start dom0 name vault\0")
            sim.wait_held(id=hold)
            self.assertEqual(sim.state()["qubes"]["vault"]["state"], "Running")
            sim.release(id=hold, count=1)
            self.assertEqual(stream.read_all(), b"0\0")

    def test_a_fault_may_wait_for_its_turn(self):
        sim = self.start()
        sim.fault(method="*.CurrentState", dest="work", do="empty", skip=1)
        lengths = [len(sim.admin("admin.vm.CurrentState", name)) > 0
                   for name in ("work", "vault", "work", "work")]
        self.assertEqual(lengths, [True, True, False, True])

    def test_a_wrong_command_is_refused(self):
        sim = self.start()
        for command, words in (("nonsense", {}), ("fault", {"do": "magic"}),
                               ("plug", LOOSE | {"colour": "red"}),
                               ("behaviour", {"speed": 1}),
                               ("click", {"answer": "deny"})):
            with self.subTest(command=command), self.assertRaises(SimError):
                sim.cmd(command, **words)

    def test_pieces_are_random_and_whole(self):
        sim = self.start()
        answers = {len(sim.admin("admin.vm.device.block.Available", "sys-usb"))
                   for _ in range(20)}
        self.assertEqual(len(answers), 1)
