# SPDX-License-Identifier: GPL-2.0-or-later
"""What outlives a crash, the journal, latency, and pieces."""

from sim.client import Sim, Stream

from .support import DEVICES, LOOSE, STICK, SimTestCase, scenario

ATTACH = "admin.vm.device.block.Attach+sys-usb+sda"
USB_ATTACH = "admin.vm.device.usb.Attach+sys-usb+2-1"


class Killed(SimTestCase):
    """SIGKILL, and a start from the state file."""

    def revive(self, sim: Sim) -> None:
        """Kill it and start it again."""
        sim.kill()
        sim.start()

    def start_kept(self, **changes) -> Sim:
        """A simulator that keeps its state."""
        sim = Sim(scenario(**changes), keeps_state=True)
        self.addCleanup(sim.__exit__, None, None, None)
        return sim.__enter__()

    def test_the_world_is_what_it_was(self):
        sim = self.start_kept()
        sim.admin(ATTACH, "work", b"_read-only='yes'")
        sim.admin("admin.vm.Start", "vault")
        sim.qube_add(name="fresh", label="green", denied=["u03****"])
        sim.plug(**LOOSE)
        sim.unplug(backend="sys-usb", port="sdb")
        sim.plug(**dict(LOOSE, port="sdc"))
        sim.assign(backend="sys-usb", target="personal", port="sdd")
        sim.policy(default="deny", rules=[{"target": "work", "verdict": "ask"}])
        before = sim.state()
        self.revive(sim)
        self.assertEqual(sim.state(), before)
        sim.plug(**dict(LOOSE, port="sdd"))
        sim.wait_attached(backend="sys-usb", port="sdd", target="personal")

    def test_numbers_of_calls_go_on(self):
        sim = self.start_kept()
        sim.admin(ATTACH, "work")
        last = sim.calls()[-1]["n"]
        self.revive(sim)
        self.assertEqual(sim.calls(), [])
        sim.admin("admin.vm.List")
        self.assertEqual(sim.calls()[0]["n"], last + 1)

    def test_calls_in_work_are_lost(self):
        sim = self.start_kept()
        with sim.held(method="admin.vm.*", phase="work") as hold:
            stream = self.open_request(sim, b"admin.vm.Start dom0 name vault\0")
            sim.wait_held(id=hold)
            self.revive(sim)
        self.assertEqual(stream.read_all(), b"")
        self.assertEqual(sim.state()["qubes"]["vault"]["state"], "Halted")

    def test_what_was_done_but_not_told_is_kept(self):
        sim = self.start_kept()
        with sim.held(method="*.Attach", phase="answer") as hold:
            stream = self.open_request(sim, f"{ATTACH} dom0 name work\0".encode())
            sim.wait_held(id=hold)
            self.revive(sim)
        self.assertEqual(stream.read_all(), b"")
        self.assertEqual(sim.device("sda")["attachment"], "work")

    def test_a_lag_goes_on(self):
        sim = self.start_kept(behaviour={"usb_detach_lag": -1})
        sim.admin(USB_ATTACH, "work")
        sim.admin("admin.vm.device.usb.Detach+sys-usb+2-1", "work")
        self.revive(sim)
        self.assertEqual(sim.device("2-1")["attachment"], "work")
        sim.settle_usb()
        self.assertIsNone(sim.device("2-1")["attachment"])


class Crashed(SimTestCase):
    """The service dies in the middle."""

    def test_an_answer_that_was_begun_is_there_whole(self):
        # its pieces are the simulator's: qubesd gives it away in one go
        devices = [dict(LOOSE, port=f"sd{n}") for n in range(100)]
        sim = self.start(devices=devices, behaviour={"pieces": "bytes"})
        stream = self.open_request(
            sim, b"admin.vm.device.block.Available dom0 name sys-usb\0")
        self.assertEqual(stream.socket.recv(1), b"0")
        sim.crash()
        rest = stream.read_all()
        self.assertEqual((rest[:1], rest[-1:], rest.count(b"\n")),
                         (b"\0", b"\n", 100))


class Journal(SimTestCase):
    """What happened, in order."""

    def test_calls_events_and_commands_in_order(self):
        sim = self.start()
        sim.admin(ATTACH, "work")
        sim.unplug(backend="sys-usb", port="2-1")
        found = [(entry["what"], entry.get("method") or entry.get("event")
                  or entry.get("name")) for entry in sim.journal()]
        self.assertEqual(found[:6], [
            ("begin", "admin.vm.device.block.Attach"),
            ("event", "device-attach:block"),
            ("end", "admin.vm.device.block.Attach"),
            ("event", "device-list-change:block"),
            ("event", "device-removed:block"),
            ("event", "domain-qdb-change:/qubes-block-devices")])
        self.assertEqual(found[6], ("command", "unplug"))
        numbers = [entry["at"] for entry in sim.journal()]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(
            [entry["what"] for entry in sim.journal(since=numbers[5],
                                                    what="command")],
            ["command"])

    def test_it_tells_how_many_calls_were_in_work_at_once(self):
        sim = self.start()
        with sim.held(method="*.CurrentState") as hold:
            streams = [self.open_request(
                sim, f"admin.vm.CurrentState dom0 name {name}\0".encode())
                for name in ("work", "work", "vault")]
            sim.wait_held(id=hold, count=3)
        for stream in streams:
            stream.read_all()
        sim.admin("admin.vm.CurrentState", "work")
        self.assertEqual(sim.most_at_once("*.CurrentState"), 3)
        self.assertEqual(sim.most_at_once("*.CurrentState", dest="work"), 2)
        self.assertEqual(sim.most_at_once("*.Attach"), 0)


class Timing(SimTestCase):
    """Latency, by method."""

    def test_latency_is_for_calls_that_match_and_the_newest_counts(self):
        sim = self.start()
        sim.latency(method="admin.vm.List", seconds=3600)
        stream = self.open_request(sim, b"admin.vm.List dom0 name dom0\0")
        sim.wait_call(method="admin.vm.List")
        self.assertTrue(sim.admin("admin.vm.CurrentState", "work"))
        call, = sim.calls(method="admin.vm.List")
        self.assertEqual(call["state"], "running")
        sim.latency(method="admin.vm.List", seconds=0, most=0.01)
        self.assertTrue(sim.admin("admin.vm.List").startswith(b"0\0"))
        stream.close()


class Pieces(SimTestCase):
    """How answers and events are cut."""

    FRAMES = 12

    def reads(self, pieces) -> list[bytes]:
        """What single reads of a burst of events give."""
        sim = self.start(devices=[])
        events = self.events(sim)
        sim.behaviour(pieces=pieces)
        again = Stream(sim.qubesd_socket, "admin.Events")
        self.addCleanup(again.close)
        again.send(b"admin.Events dom0 name dom0\0")
        again.shut()
        again.read_until(b"\0connection-established\0\0")
        sim.plug(devices=[dict(LOOSE, port=f"sd{n}")
                          for n in range(self.FRAMES // 3)])
        expected = sum(len(b"1\0" + b"\0".join(
            word.encode() for word in frame) + b"\0\0")
            for frame in events.frames(self.FRAMES))
        found = []
        while sum(map(len, found)) < expected:
            found.append(again.socket.recv(65536))
        return found

    def test_all_frames_in_one_write(self):
        self.assertEqual(len(self.reads("joined")), 1)

    def test_other_sizes_hold_the_same_frames(self):
        sizes = {pieces: sum(map(len, self.reads(pieces)))
                 for pieces in (False, True, "bytes", "joined")}
        self.assertEqual(len(set(sizes.values())), 1, sizes)

    def test_answers_byte_by_byte(self):
        sim = self.start(behaviour={"pieces": "bytes"})
        self.assertTrue(sim.admin("admin.vm.CurrentState", "work").startswith(
            b"0\0mem="))

    def test_a_size_that_does_not_exist_is_refused(self):
        sim = self.start()
        with self.assertRaisesRegex(Exception, "joined"):
            sim.behaviour(pieces="large")


class Boots(SimTestCase):
    """The source's shutdown and start, and the system's sleep."""

    def boot_id(self, sim: Sim, name: str) -> str:
        """The kernel's of a qube."""
        return sim.state()["qubes"][name]["boot_id"]

    def test_a_start_is_a_new_boot(self):
        sim = self.start()
        first = self.boot_id(sim, "sys-usb")
        self.assertRegex(first, "^[0-9a-f]{32}$")
        sim.qube_stop(name="sys-usb")
        sim.qube_start(name="sys-usb")
        self.assertRegex(self.boot_id(sim, "sys-usb"), "^[0-9a-f]{32}$")
        self.assertNotEqual(self.boot_id(sim, "sys-usb"), first)
        self.assertEqual(self.boot_id(sim, "vault"), "")

    def test_a_backend_that_halts_fails_the_attaches_in_work(self):
        for call, answer in ((ATTACH, b""), (USB_ATTACH, b"2\0QubesUSBException")):
            with self.subTest(call=call):
                sim = self.start()
                with sim.held(method="*.Attach", phase="work") as hold:
                    stream = self.open_request(
                        sim, f"{call} dom0 name work\0".encode())
                    sim.wait_held(id=hold)
                    sim.qube_stop(name="sys-usb")
                self.assertEqual(stream.read_all()[:len(answer) or 1], answer)
                self.assertEqual([device["attachment"]
                                  for device in sim.state()["devices"]], [None] * 3)

    def test_sleep_and_waking(self):
        sim = self.start()
        sim.qube_set(name="sys-usb", pci=True)
        sim.qube_pause(name="personal")
        events = self.events(sim)
        sim.suspend()
        # of a qube that is suspended no event tells
        self.assertEqual(events.frame(), ("work", "domain-paused"))
        states = {name: qube["state"]
                  for name, qube in sim.state()["qubes"].items()}
        self.assertEqual(
            (states["sys-usb"], states["work"], states["vault"], states["dom0"]),
            ("Suspended", "Paused", "Halted", "Running"))
        sim.resume()
        self.assertEqual(sorted(events.frames(2)), [
            ("sys-usb", "domain-resumed"), ("work", "domain-unpaused")])
        self.assertEqual(sim.state()["qubes"]["personal"]["state"], "Paused")

    def test_what_is_suspended_still_lists_its_devices(self):
        sim = self.start()
        sim.qube_set(name="sys-usb", pci=True)
        sim.suspend()
        self.assertIn(b"2-1:" + STICK.encode(), sim.admin(
            "admin.vm.device.usb.Available", "sys-usb"))


class SameName(SimTestCase):
    """Two USB qubes with a device of the same name."""

    def test_detach_looks_at_the_port_alone(self):
        other = [dict(device, backend="sys-usb2") for device in DEVICES[:2]]
        sim = self.start(devices=DEVICES + other, qubes={
            "sys-usb": {"state": "Running"}, "sys-usb2": {"state": "Running"},
            "work": {"state": "Running"}})
        for backend in ("sys-usb2", "sys-usb"):
            sim.admin(f"admin.vm.device.block.Attach+{backend}+sda", "work")
        events = self.events(sim)
        self.assertEqual(
            sim.admin("admin.vm.device.block.Detach+sys-usb+sda", "work"), b"0\0")
        self.assertEqual(events.frame(), (
            "work", "device-detach:block", "port", "sys-usb2:sda"))
        self.assertEqual(sim.device("sda", "sys-usb")["attachment"], "work")
