# SPDX-License-Identifier: GPL-2.0-or-later
"""Disposable targets: made, started, attached; done away with when it fails."""

import time
import unittest

from approvalcase import (CREATE, KILL, REMOVE, SHUTDOWN, STICK, ApprovalCase,
                          harness, qubes, stick, world)

START = "admin.vm.Start"
DEFAULT = "r: allow block type disk to @dispvm\n"
MEDIA = "r: allow block type disk to @dispvm:media-dvm\n"
CLOSE = "r: allow block type disk to @dispvm close\n"


def fails(method: str, do: str = "exception", **more) -> dict:
    """A fault that the method meets each time."""
    if do == "exception":
        more = {"type": "QubesException", "message": "not today", **more}
    return {"method": method, "do": do, "count": -1, **more}


class DisposableCase(ApprovalCase):
    """A world with two disposable templates."""

    def plug(self, rules: str = DEFAULT, **more) -> tuple:
        """The stick was plugged in."""
        rig = self.start(rules, world(qubes=qubes(), **more))
        connection = self.forwarder(rig)
        return rig, connection, connection.add("block", "sda", **STICK)

    def disposables(self, rig: harness.Rig) -> dict:
        """Those that exist, with their states."""
        return {name: qube["state"]
                for name, qube in rig.sim.state()["qubes"].items()
                if qube["class"] == "DispVM"}

    def acts(self, rig: harness.Rig) -> list[str]:
        """What was done to qubes and devices."""
        wanted = (CREATE, START, KILL, REMOVE, SHUTDOWN)
        return [call["method"].rpartition(".")[2] for call in rig.calls()
                if call["method"] in wanted
                or call["method"].endswith((".Attach", ".Detach"))]

    def attached(self, rules: str = DEFAULT, **more) -> tuple:
        """It is in a disposable."""
        rig, connection, seq = self.plug(rules, **more)
        self.assert_told(connection, seq, 200)
        name = rig.sim.wait_attached(backend="sys-usb", port="sda")["target"]
        self.assertEqual(self.disposables(rig), {name: "Running"})
        return rig, connection, name


class Made(DisposableCase):
    """@dispvm and @dispvm:TEMPLATE are created, started, attached."""

    def test_plain_dispvm_is_of_dom0_s_default_template(self):
        rig, _, name = self.attached()
        self.assertEqual(self.acts(rig), ["CreateDisposable", "Start", "Attach"])
        self.assertEqual(rig.calls(method=CREATE)[0]["dest"], "default-dvm")
        self.assertEqual(self.assert_last(rig, "sda", 200)["target"], name)

    def test_without_a_default_template_it_cannot_be_started(self):
        for rules in (DEFAULT, "r: ask block type disk to @dispvm\n"):
            rig = self.start(rules, world())
            connection = self.forwarder(rig)
            seq = connection.add("block", "sda", **STICK)
            self.refused(rig, connection, seq, 520,
                         "dom0 has no default disposable template")
            self.assert_unasked(rig)

    def test_a_named_template_is_the_one_that_is_used(self):
        rig, _, _ = self.attached(MEDIA)
        self.assertEqual(self.acts(rig), ["CreateDisposable", "Start", "Attach"])
        self.assertEqual(rig.calls(method=CREATE)[0]["dest"], "media-dvm")
        self.assertEqual(rig.calls(method="*default_dispvm*"), [])

    def test_the_calls_are_byte_for_byte_as_wire_has_them(self):
        rig, _, name = self.attached(MEDIA)
        requests = rig.requests()
        self.assertIn(b"admin.vm.CreateDisposable+ dom0 name media-dvm\0", requests)
        self.assertIn(f"admin.vm.Start+ dom0 name {name}\0".encode(), requests)

    def test_a_preloaded_one_that_comes_running_is_as_good(self):
        rig, _, _ = self.attached(behaviour={"preload": True})
        self.assertEqual(rig.count("Attach"), 1)

    def test_it_is_started_before_the_first_attach(self):
        rig, _, _ = self.attached()
        acts = self.acts(rig)
        self.assertLess(acts.index("Start"), acts.index("Attach"))

    def test_the_device_is_looked_up_again_after_the_start(self):
        rig, _, _ = self.attached()
        methods = [call["method"].rpartition(".")[2] for call in rig.calls()]
        self.assertEqual(methods[methods.index("Start"):],
                         ["Start", "Available", "Attach"])

    def test_each_device_gets_one_of_its_own(self):
        rig = self.start(DEFAULT, world(
            qubes=qubes(), devices=stick() + stick("sdb", "2-2", "8")))
        connection = self.forwarder(rig)
        first = connection.add("block", "sda", **STICK)
        second = connection.add("block", "sdb",
                                **{**STICK, "serial": "8", "path": "p8"})
        self.assert_told(connection, first, 200)
        self.assert_told(connection, second, 200)
        self.assertEqual(len(self.disposables(rig)), 2)

    def test_a_repeated_record_is_201_and_makes_no_other(self):
        rig, connection, name = self.attached()
        seq = connection.change("block", "sda", **STICK)
        self.assert_told(connection, seq, 201)
        self.assertEqual(self.disposables(rig), {name: "Running"})
        self.assertEqual(rig.count("Attach"), 1)

    def test_the_person_s_yes_makes_one_and_only_then(self):
        rig, connection, seq = self.plug(
            "r: ask block type disk to { work @dispvm:media-dvm }\n")
        rig.sim.wait_window()
        self.assert_untouched(rig)
        rig.sim.click(answer="allow:@dispvm:media-dvm")
        self.assert_told(connection, seq, 200)
        self.assertEqual(len(self.disposables(rig)), 1)

    def test_a_yes_to_a_qube_makes_none(self):
        rig, connection, seq = self.plug(
            "r: ask block type disk to { @dispvm work }\n")
        rig.sim.wait_window()
        rig.sim.click(answer="allow:work")
        self.assert_told(connection, seq, 200)
        self.assertEqual(rig.calls(method=CREATE), [])

    def test_allow_prefers_a_qube_that_runs_to_a_disposable(self):
        rig, connection, seq = self.plug(
            "r: allow block type disk to { @dispvm work }\n")
        self.assert_told(connection, seq, 200)
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_a_device_that_is_in_a_disposable_of_the_person_s_is_310(self):
        rig = self.start(DEFAULT, world(
            qubes=qubes(disp1={"class": "DispVM", "state": "Running"}),
            devices=stick(attachment="disp1")))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 310)


class Failures(DisposableCase):
    """If the job then fails it is killed, or removed if it never ran."""

    def check(self, acts: list[str], code: int, rules: str = DEFAULT,
              **more) -> None:
        """The job ends so, and no disposable is left."""
        rig, connection, seq = self.plug(rules, **more)
        self.assert_told(connection, seq, 300)
        rig.daemon.wait_no_jobs()
        self.assert_last(rig, "sda", code)
        self.assertEqual(self.acts(rig), acts)
        self.assertEqual(self.disposables(rig), {})

    def test_when_it_cannot_be_made(self):
        self.check(["CreateDisposable"], 520, faults=[fails(CREATE)])

    def test_when_the_answer_to_create_is_empty(self):
        self.check(["CreateDisposable"], 520, faults=[fails(CREATE, "empty")])

    def test_when_the_answer_to_create_is_garbage(self):
        self.check(["CreateDisposable"], 502,
                   faults=[fails(CREATE, "garbage", data="0\0not a name!")])

    def test_when_the_template_is_none(self):
        self.check(["CreateDisposable"], 520,
                   "r: allow block type disk to @dispvm:work\n",
                   policy={"default": "allow"})

    def test_when_it_does_not_start_it_removes_itself(self):
        self.check(["CreateDisposable", "Start", "Kill"], 520,
                   faults=[fails(START, "fail")])

    def test_when_its_start_was_refused_it_is_removed(self):
        # nothing was done: it is still listed, and never ran
        self.check(["CreateDisposable", "Start", "Kill", "Remove"], 520,
                   faults=[fails(START)])

    def test_when_the_attach_is_refused_it_is_killed(self):
        self.check(["CreateDisposable", "Start", "Attach", "Kill"], 502,
                   faults=[fails("*.Attach", type="QubesValueError")])

    def test_when_the_attach_is_not_permitted_it_is_killed(self):
        self.check(["CreateDisposable", "Start", "Attach", "Kill"], 502,
                   faults=[fails("*.Attach", type="PermissionDenied")])

    def test_when_a_preloaded_one_cannot_be_attached_to_it_is_killed(self):
        self.check(["CreateDisposable", "Start", "Attach", "Kill"], 502,
                   behaviour={"preload": True},
                   faults=[fails("*.Attach", type="QubesValueError")])

    def test_when_qubesd_restarts_before_the_kill_it_is_killed_later(self):
        rig, connection, seq = self.plug(faults=[
            fails("*.Attach", type="QubesValueError")])
        with rig.sim.held(method=KILL, phase="begin") as hold:
            rig.sim.wait_held(id=hold)
            self.assert_told(connection, seq, 300)
            rig.sim.crash()
        rig.sim.restart()
        rig.daemon.wait_no_jobs()
        self.assertEqual(self.disposables(rig), {})


class Unplugged(DisposableCase):
    """Unplugged at any point: nothing is left of it."""

    def check(self, method: str, phase: str, code: int = 300) -> None:
        """The stick goes while this call stands."""
        with self.subTest(method=method, phase=phase):
            rig = self.start(DEFAULT, world(qubes=qubes()))
            connection = self.forwarder(rig)
            with rig.sim.held(method=method, phase=phase) as hold:
                seq = connection.add("block", "sda", **STICK)
                rig.sim.wait_held(id=hold)
                gone = connection.remove("block", "sda")
                self.assert_told(connection, seq, code)
                self.assertEqual(rig.daemon.outcomes("sda")[0]["code"], 311)
            self.assertIn(connection.answer(gone)["code"], (203, 300))
            rig.daemon.wait_no_jobs()
            self.assertEqual(self.disposables(rig), {})
            self.assertIsNone(rig.sim.device("sda")["attachment"])

    def test_while_it_is_being_made(self):
        self.check(CREATE, "begin")
        self.check(CREATE, "answer")

    def test_while_it_is_being_started(self):
        self.check(START, "begin")
        self.check(START, "work")
        self.check(START, "answer")

    def test_while_the_device_is_looked_up_again(self):
        rig = self.start(DEFAULT, world(qubes=qubes()))
        connection = self.forwarder(rig)
        with rig.sim.held(method=START, phase="begin") as start:
            seq = connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=start)
            look = rig.sim.hold(method="*.Available", phase="begin")["id"]
        rig.sim.wait_held(id=look)
        gone = connection.remove("block", "sda")
        self.assert_told(connection, seq, 300)
        rig.sim.release(id=look)
        self.assert_told(connection, gone, 203)
        rig.daemon.wait_no_jobs()
        self.assertEqual(self.disposables(rig), {})

    def test_while_it_is_being_attached(self):
        self.check("*.Attach", "begin")
        self.check("*.Attach", "work")
        self.check("*.Attach", "answer")

    def test_while_the_prompt_is_open_none_is_made(self):
        rig, connection, seq = self.plug("r: ask block type disk to @dispvm\n")
        rig.sim.wait_window()
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assert_told(connection, seq, 300)
        rig.sim.click(answer="allow")
        rig.daemon.wait_status(lambda status: status["prompts"]["n_open"] == 0,
                               "no open prompt")
        self.assert_untouched(rig)

    def test_once_attached_it_is_the_person_s(self):
        rig, connection, name = self.attached()
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        rig.daemon.wait_no_jobs()
        self.assertEqual(self.disposables(rig), {name: "Running"})


class Close(DisposableCase):
    """Option close: it is shut down when the device is unplugged."""

    def test_it_is_shut_down_with_the_device(self):
        rig, connection, name = self.attached(CLOSE)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        rig.sim.wait_qube(name=name)
        self.assertEqual(self.acts(rig)[-2:], ["Detach", "Shutdown"])

    def test_it_is_shut_down_when_the_source_is(self):
        rig, _, name = self.attached(CLOSE)
        rig.sim.qube_stop(name="sys-usb")
        rig.sim.wait_qube(name=name)

    def test_without_it_it_stays(self):
        rig, connection, name = self.attached(DEFAULT)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.calls(method=SHUTDOWN), [])
        self.assertIn(name, self.disposables(rig))

    def test_a_qube_is_not_shut_down(self):
        rig = self.start("r: allow block type disk to { work @dispvm } close\n",
                         world(qubes=qubes()))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.calls(method=SHUTDOWN), [])

    def test_a_repeated_record_does_not_forget_it(self):
        rig, connection, name = self.attached(CLOSE)
        seq = connection.change("block", "sda", **STICK)
        self.assert_told(connection, seq, 201)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        rig.sim.wait_qube(name=name)

    def test_it_is_closed_also_when_the_person_has_detached_the_device(self):
        rig, connection, name = self.attached(CLOSE)
        rig.sim.detach(backend="sys-usb", port="sda")
        rig.daemon.wait_outcome("sda", 308)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        rig.sim.wait_qube(name=name)


class Flood(DisposableCase):
    """Disposables are made within the limits, and at nobody's cost."""

    def test_after_many_disposables_another_source_s_target_still_starts(self):
        count = 70
        devices = [{"backend": "sys-usb", "port": f"loop{n}", "class": "block"}
                   for n in range(count)]
        rig = self.start(
            "own: allow block from usb-too to vault\n" + MEDIA,
            world(qubes=qubes(**{"usb-too": {"state": "Running"}}),
                  devices=devices + stick("sdb", "3-1", "77", "usb-too")))
        hostile, other = self.forwarder(rig), self.forwarder(rig, "usb-too")
        begun = time.monotonic()
        for n in range(count):
            hostile.add("block", f"loop{n}", devtype="disk", path=f"p{n}")
        # as many as may attach in a minute; the others wait for their turn
        rig.sim.wait_call(method=START, count=60, done=True)
        self.within_the_minute(begun)
        # the guard rail answers in any order, so it is not known which
        rig.daemon.wait_status(
            lambda status: [job["state"] for job in status["jobs"]] ==
            ["awaiting-turn"] * (count - 60), "ten that wait for their turn")
        self.assertEqual(len(rig.calls(method=CREATE)), 60)
        seq = other.add("block", "sdb", **{**STICK, "serial": "77"})
        self.assert_told(other, seq, 200)
        rig.sim.wait_attached(backend="usb-too", port="sdb", target="vault")


if __name__ == "__main__":
    unittest.main()
