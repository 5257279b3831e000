# SPDX-License-Identifier: GPL-2.0-or-later
"""qubesd that errs, is silent, lies, goes and comes back."""

import unittest

import harness
from daemoncase import (ATTACH, ATTACHED, AVAILABLE, BOOT, DETACH, LOOK, PINNED,
                        SHOW, START, STATE, STICK, TAKE_OFF, DaemonCase, request,
                        stick, world)

UNPINNED = request(ATTACH, "sys-usb+sda", "work")


class Answers(DaemonCase):
    """Each bad answer to each method."""

    def check(self, code: int, fault: dict, calls: list[bytes] | None = None, *,
              scenario: dict | None = None, rules: str = "",
              detail: str | None = None, dialect: str | None = None):
        """A record under this fault ends with this code."""
        rig = self.start(rules or "r: allow block type disk to work\n", scenario,
                         dialect=dialect)
        rig.sim.fault(**fault)
        connection = self.by_hand(rig)
        seq = connection.add("block", "sda", **STICK)
        self.assert_told(connection, seq, code if code < 300 else 300)
        self.assert_last(rig, "sda", code, detail)
        if calls is not None:
            self.assertEqual(rig.requests(), calls)
        rig.daemon.wait_no_jobs()
        return rig, connection

    # -- Available

    def test_garbage_to_available_is_502_and_not_retried(self):
        self.check(502, {"method": AVAILABLE, "do": "garbage"}, [LOOK])

    def test_half_an_answer_to_available_is_502(self):
        self.check(502, {"method": AVAILABLE, "do": "half", "bytes": 30}, [LOOK])

    def test_one_byte_is_502(self):
        self.check(502, {"method": AVAILABLE, "do": "half", "bytes": 1}, [LOOK])

    def test_10_mb_are_502(self):
        self.check(502, {"method": AVAILABLE, "do": "huge"}, [LOOK],
                   detail="too long")

    def test_just_over_1_mib_is_502_and_1_mib_is_read(self):
        self.check(502, {"method": AVAILABLE, "do": "huge",
                         "bytes": 1048577}, [LOOK], detail="too long")
        self.check(502, {"method": AVAILABLE, "do": "huge",
                         "bytes": 1048576}, [LOOK], detail="no sense")

    def test_an_exception_is_502_and_carries_qubesds_words(self):
        self.check(502, {"method": AVAILABLE, "do": "exception",
                         "type": "QubesException", "message": "no such luck"},
                   [LOOK], detail="QubesException: no such luck")

    def test_an_unfinished_exception_is_502(self):
        self.check(502, {"method": AVAILABLE, "do": "answer",
                         "data": "2\0QubesException\0\0half"}, [LOOK])

    def test_an_empty_answer_to_available_is_retried(self):
        self.check(200, {"method": AVAILABLE, "do": "empty"}, [LOOK, LOOK, PINNED])

    def test_a_source_that_qubesd_does_not_know_is_502(self):
        rig = self.start("r: allow block type disk to work\n")
        connection = self.by_hand(rig, "nosuch")
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 502, "No such domain")

    def test_hostile_words_in_an_exception_are_escaped(self):
        rig, _ = self.check(502, {
            "method": AVAILABLE, "do": "exception", "type": "A\x1b[31m",
            "message": "a\nb\x07\u202ec" + "x" * 5000}, [LOOK])
        detail = rig.daemon.outcomes("sda")[-1]["detail"]
        self.assertTrue(detail.isprintable(), detail)
        self.assertLessEqual(len(detail), 512)

    LINES = {
        "another port": "sdb:x device_id='x' port_id='sdb'\n",
        "no newline": "sda:x device_id='x' port_id='sda'",
        "blanks": "   \n",
        "a NUL": "sda:x device_id='x\0'\n",
        "no identity": "sda\n",
        "an empty identity": "sda: device_id='' port_id='sda'\n",
        "no words": "sda:0781:5581:x\n",
        "two lines": "sda:a device_id='a'\nsda:b device_id='b'\n",
        "an open quote": "sda:x device_id='x\n",
        "another attachment": "sda:x device_id='x' attachment='a b'\n",
    }

    def test_odd_lines_never_pin_what_they_say_badly(self):
        for what, data in self.LINES.items():
            with self.subTest(what):
                rig = self.start("r: allow block type disk to work\n")
                rig.sim.fault(method=AVAILABLE, do="ok", data=data, count=-1)
                connection = self.by_hand(rig)
                connection.add("block", "sda", **STICK)
                self.barrier(connection)
                rig.sim.wait_call(method=AVAILABLE, since=rig.since, done=True)
                rig.daemon.wait_status(
                    lambda status: status["n_jobs"] == 0 or status["jobs"][0][
                        "state"] in ("awaiting-device", "pausing"), "an end")
                for call in rig.calls(method=ATTACH):
                    self.assertIn(call["arg"], (
                        "sys-usb+sda", "sys-usb+sda+x", "sys-usb+sda+0781+5581+x",
                        "sys-usb+sda+a"))

    # -- Attach

    def test_an_empty_answer_that_did_attach_is_200(self):
        self.check(200, {"method": ATTACH, "do": "empty-after"},
                   [LOOK, PINNED, SHOW])

    def test_garbage_that_did_attach_is_200(self):
        self.check(200, {"method": ATTACH, "do": "half", "bytes": 1},
                   [LOOK, PINNED, SHOW])

    def test_an_empty_answer_that_did_not_attach_is_retried(self):
        for dialect in ("4.3", "4.4"):
            with self.subTest(dialect):
                self.check(200, {"method": ATTACH, "do": "fail"},
                           [LOOK, PINNED, SHOW, LOOK, PINNED], dialect=dialect)

    def test_an_attach_that_always_fails_is_521_after_all_tries(self):
        self.check(521, {"method": ATTACH, "do": "fail", "count": -1},
                   [LOOK, PINNED, SHOW] * 4)

    def test_garbage_to_attach_is_502_and_not_retried(self):
        self.check(502, {"method": ATTACH, "do": "garbage"}, [LOOK, PINNED, SHOW])

    def test_10_mb_to_attach_are_502(self):
        self.check(502, {"method": ATTACH, "do": "huge"}, [LOOK, PINNED, SHOW])

    def test_a_refused_option_is_502(self):
        self.check(502, {"method": ATTACH, "do": "exception",
                         "type": "QubesValueError",
                         "message": "This device can be attached only read-only"},
                   [LOOK, PINNED], detail="only read-only")

    def test_a_frontend_in_use_is_tried_again(self):
        rig = self.start("r: allow block type disk to work frontend xvdi\n",
                         world(devices=stick() + stick("sdb", "2-2", "4C530002")))
        rig.sim.attach(backend="sys-usb", port="sdb", target="work",
                       options={"frontend-dev": "xvdi"})
        connection = self.by_hand(rig)
        seq = connection.add("block", "sda", **STICK)
        rig.daemon.wait_job("pausing")
        rig.sim.detach(backend="sys-usb", port="sdb")
        self.assert_told(connection, seq, 200)

    def test_a_denied_device_is_refused(self):
        for dialect, code in (("4.4", 502), ("4.3", 521)):
            with self.subTest(dialect):
                rig = self.start(dialect=dialect, scenario=world(qubes={
                    "work": {"state": "Running", "denied": ["b******"]}}))
                connection = self.by_hand(rig)
                self.assert_told(connection,
                                 connection.add("block", "sda", **STICK), 300)
                self.assert_last(rig, "sda", code)

    def test_an_exception_of_a_kind_unknown_is_looked_into(self):
        self.check(502, {"method": ATTACH, "do": "exception", "type": "KeyError",
                         "message": "x"}, [LOOK, PINNED, SHOW],
                   detail="KeyError: x")

    def test_a_target_that_qubesd_does_not_know_is_502(self):
        self.check(502, {"method": ATTACH, "do": "exception",
                         "type": "QubesVMNotFoundError",
                         "message": "No such domain: 'work'"}, [LOOK, PINNED],
                   detail="No such domain")

    def test_a_success_answer_to_an_unpinned_attach_is_no_proof(self):
        rig = self.start(scenario=world(devices=stick(serial="a b")))
        rig.sim.fault(method=ATTACH, do="ok")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assertEqual(rig.requests(),
                         [LOOK, UNPINNED, SHOW, LOOK, UNPINNED, SHOW])

    # -- Attached

    def test_garbage_to_the_look_afterwards_is_502(self):
        rig = self.start()
        rig.sim.fault(method=ATTACH, do="empty-after")
        rig.sim.fault(method=ATTACHED, do="garbage")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        rig.daemon.wait_outcome("sda", 502)
        # qubesd's event tells that it is attached after all
        rig.daemon.wait_outcome("sda", 200)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        rig.sim.wait_detached(backend="sys-usb", port="sda")

    def test_an_empty_answer_to_the_look_is_looked_again(self):
        rig = self.start()
        rig.sim.fault(method=ATTACH, do="empty-after")
        rig.sim.fault(method=ATTACHED, do="empty")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assertEqual(rig.requests(), [LOOK, PINNED, SHOW, SHOW])

    # -- Start, CurrentState

    def test_10_mb_to_start_are_502(self):
        self.check(502, {"method": START, "do": "huge"}, [LOOK, PINNED, BOOT],
                   scenario=world("Halted"))

    def test_half_an_answer_to_start_is_502(self):
        self.check(502, {"method": START, "do": "half", "bytes": 1},
                   [LOOK, PINNED, BOOT], scenario=world("Halted"))

    def test_garbage_to_current_state_is_502(self):
        self.check(502, {"method": STATE, "do": "garbage"},
                   rules="r: allow block type disk to { vault work }\n",
                   scenario=world(qubes={"vault": {"state": "Running"}}))

    def test_garbage_to_the_state_after_a_start_is_520(self):
        self.check(520, {"method": STATE, "do": "garbage"}, scenario=world(
            "Paused", behaviour={"not_running_states": ["Paused"]}))

    # -- not listed

    def test_a_device_that_qubesd_never_lists_is_404_after_one_look(self):
        rig = self.start(scenario=world(devices=[]))
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 404)
        self.assertEqual(rig.requests(), [LOOK])

    def test_a_device_in_use_in_its_qube_is_not_listed(self):
        rig = self.start(scenario=world(devices=stick(in_use=True)))
        connection = self.by_hand(rig)
        connection.add("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-device")
        rig.sim.set_device(backend="sys-usb", port="sda", changes={"in_use": False})
        self.assert_told(connection, 1, 200)
        self.assertEqual(rig.count("Available"), 1)


class Silence(DaemonCase):
    """A call without an answer has a deadline: 504."""

    def test_available_in_10_seconds(self):
        rig = self.start()
        rig.sim.fault(method=AVAILABLE, do="silence")
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 504)
        self.assertEqual(rig.requests(), [LOOK])
        # the source may go on
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)

    @harness.takes_a_minute
    def test_attach_in_60_seconds_and_its_effect_is_undone_with_the_plug(self):
        rig = self.start()
        rig.sim.fault(method=ATTACH, do="silence-after")
        connection = self.by_hand(rig)
        seq = connection.add("block", "sda", **STICK)
        self.assertEqual(connection.answer(seq, 80)["code"], 300)
        rig.daemon.wait_outcome("sda", 504)
        # qubesd's event tells that it is attached after all
        rig.daemon.wait_outcome("sda", 200)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assertEqual(rig.requests(), [LOOK, PINNED, SHOW, TAKE_OFF])


class Away(DaemonCase):
    """qubesd goes in the middle of each call and comes back."""

    def crash_in(self, method: str, phase: str = "begin", *, rules: str = "",
                 scenario: dict | None = None, faults: tuple = ()) -> tuple:
        """Crash while the call stands, restart; the job ends with 200."""
        rig = self.start(rules or "r: allow block type disk to work\n", scenario)
        for fault in faults:
            rig.sim.fault(**fault)
        connection = self.by_hand(rig)
        with rig.sim.held(method=method, phase=phase) as hold:
            connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.crash(service="qubesd")
            rig.daemon.wait_status(
                lambda status: status["qubesd"]["state"] == "gone", "gone")
        rig.sim.restart(service="qubesd")
        self.assert_told(connection, 1, 200)
        rig.sim.wait_attached(backend="sys-usb", port="sda")
        self.assertEqual(rig.count("Detach"), 0)
        rig.daemon.wait_no_jobs()
        return rig, connection

    def test_while_checking(self):
        self.crash_in(AVAILABLE)

    def test_while_selecting(self):
        self.crash_in(STATE, rules="r: allow block type disk to { vault work }\n")

    def test_before_attaching(self):
        self.crash_in(ATTACH)

    def test_after_attaching(self):
        self.crash_in(ATTACH, "answer")

    def test_before_starting(self):
        self.crash_in(START, scenario=world("Halted"))

    def test_while_starting(self):
        self.crash_in(START, "work", scenario=world("Halted"))

    def test_while_verifying(self):
        self.crash_in(ATTACHED, faults=({"method": ATTACH, "do": "empty-after"},))

    def test_while_detaching(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        with rig.sim.held(method=DETACH) as hold:
            seq = connection.remove("block", "sda")
            rig.sim.wait_held(id=hold)
            rig.sim.crash(service="qubesd")
            rig.daemon.wait_status(
                lambda status: status["qubesd"]["state"] == "gone", "gone")
        rig.sim.restart(service="qubesd")
        self.assert_told(connection, seq, 203)
        rig.sim.wait_detached(backend="sys-usb", port="sda")

    def test_absent_at_start_is_503_and_attaches_by_itself_later(self):
        with harness.Sim(world()) as sim:
            sim.crash(service="qubesd")
            with harness.Daemon(sim, "r: allow block type disk to work\n") as daemon:
                status = daemon.status()
                self.assertEqual(status["qubesd"]["state"], "gone")
                self.assertTrue(status["qubesd"]["detail"])
                connection = daemon.connect()
                connection.hello()
                self.assert_told(connection, connection.add(
                    "block", "sda", **STICK), 300)
                self.assertEqual(daemon.outcomes("sda")[-1]["code"], 503)
                sim.restart(service="qubesd")
                sim.wait_attached(backend="sys-usb", port="sda", target="work")
                daemon.wait_outcome("sda", 200)
                # the later outcome has no line
                self.barrier(connection)
                connection.eof()
                self.assertEqual(connection.wait_closed(), [])

    def test_an_unplug_while_it_is_absent_ends_the_wait(self):
        with harness.Sim(world()) as sim:
            sim.crash(service="qubesd")
            with harness.Daemon(sim, "r: allow block type disk to work\n") as daemon:
                connection = daemon.connect()
                connection.hello()
                self.assert_told(connection, connection.add(
                    "block", "sda", **STICK), 300)
                self.assert_told(connection, connection.remove("block", "sda"), 203)
                sim.restart(service="qubesd")
                sim.wait_subscribers()
                daemon.wait_status(
                    lambda status: status["qubesd"]["state"] == "connected", "it")
                self.barrier(connection)
                self.assertEqual(sim.calls(method=AVAILABLE), [])

    def test_a_remove_while_it_is_away_is_answered_once_it_is_back(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        rig.sim.crash(service="qubesd")
        rig.daemon.wait_status(
            lambda status: status["qubesd"]["state"] == "gone", "gone")
        seq = connection.remove("block", "sda")
        rig.daemon.wait_job("awaiting-qubesd")
        rig.sim.restart(service="qubesd")
        self.assert_told(connection, seq, 203)
        rig.sim.wait_detached(backend="sys-usb", port="sda")

    def test_two_crashes_in_one_job(self):
        rig = self.start()
        connection = self.by_hand(rig)
        held = rig.sim.hold(method=AVAILABLE)["id"]
        connection.add("block", "sda", **STICK)
        for _ in range(2):
            rig.sim.wait_held(id=held)
            following = rig.sim.hold(method=ATTACH)["id"]
            rig.sim.crash(service="qubesd")
            rig.daemon.wait_status(
                lambda status: status["qubesd"]["state"] == "gone", "gone")
            rig.sim.release(id=held)
            rig.sim.restart(service="qubesd")
            held = following
        rig.sim.release(id=held)
        self.assert_told(connection, 1, 200)
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_a_target_that_started_meanwhile_is_noticed_after_a_reconnect(self):
        rig = self.start("r: allow block type disk to work when-running\n",
                         world("Halted"))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 307)
        hold = rig.sim.hold(method="admin.Events")["id"]
        rig.sim.drop_events()
        rig.sim.wait_held(id=hold)
        rig.sim.qube_start(name="work")
        rig.sim.release(id=hold)
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        rig.daemon.wait_outcome("sda", 200)

    def test_a_device_that_appeared_meanwhile_is_looked_up_after_a_reconnect(self):
        rig = self.start(scenario=world(devices=[]))
        connection = self.by_hand(rig)
        connection.add("block", "sda", **STICK)
        rig.daemon.wait_job("awaiting-device")
        hold = rig.sim.hold(method="admin.Events")["id"]
        rig.sim.drop_events()
        rig.sim.wait_held(id=hold)
        rig.sim.plug(devices=stick())
        rig.sim.release(id=hold)
        self.assert_told(connection, 1, 200)


class EventStream(DaemonCase):
    """admin.Events in pieces, in heaps, and senseless."""

    def test_frames_of_others_and_unknown_ones_are_passed_over(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        for subject, event, pairs in (
                ("work", "device-detach:usb", [["port", "sys-usb:sda"]]),
                ("vault", "device-detach:block", [["port", "sys-usb:sda"]]),
                ("work", "device-detach:block", [["port", "sys-usb:sdb"]]),
                ("work", "device-detach:block", [["port", "nonsense"]]),
                ("work", "device-detach:block", []),
                ("work", "device-detach:webcam", [["port", "sys-usb:sda"]]),
                ("work", "no-such-event", [["a", "b"]]),
                ("", "domain-add", [["vm", "x"]]),
                ("sys-usb", "device-removed:block", [["port", "sys-usb:../x"]])):
            rig.sim.emit(subject=subject, event=event, pairs=pairs)
        # everything before this frame was read when the look is asked
        rig.sim.emit(subject="work", event="device-detach:block",
                     pairs=[["port", "sys-usb:sda"]])
        rig.sim.wait_call(method=ATTACHED, since=rig.since, done=True)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.requests(), [SHOW])
        self.assert_told(connection, connection.change("block", "sda", **STICK), 201)

    def test_a_stream_that_makes_no_sense_is_opened_anew(self):
        for data in (b"garbage without end\0" * 10, b"9\0x\0\0",
                     b"\0\0\0\0"):
            with self.subTest(data[:10]):
                rig = self.start()
                connection = self.attach_stick(rig)
                rig.sim.emit(hex=data.hex())
                rig.sim.wait_call(method="admin.Events", since=rig.since)
                rig.settle()
                self.assert_told(connection, connection.remove("block", "sda"), 203)

    def test_an_event_of_any_length_is_passed_over(self):
        # as any qube can cause one: qubes.FeaturesRequest
        rig = self.start()
        connection = self.attach_stick(rig)
        frame = b"1\0work\0features-request\0untrusted_features\0" + \
            b"x" * 200000 + b"\0\0"
        rig.sim.emit(hex=frame.hex())
        rig.sim.emit(subject="work", event="device-detach:block",
                     pairs=[["port", "sys-usb:sda"]])
        rig.sim.wait_call(method=ATTACHED, since=rig.since, done=True)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.sim.calls(method="admin.Events", since=rig.since),
                         [])
        self.assert_told(connection, connection.remove("block", "sda"), 203)

    def test_a_stream_that_is_cut_off_is_opened_anew_and_costs_no_job(self):
        rig = self.start()
        connection = self.by_hand(rig)
        with rig.sim.held(method=ATTACH) as hold:
            connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.sim.drop_events()
            rig.sim.wait_call(method="admin.Events", since=rig.since)
        self.assert_told(connection, 1, 200)
        self.assertEqual(rig.count("Attach"), 1)

    def test_a_refused_stream_is_tried_again_and_then_works(self):
        rig = self.start()
        rig.sim.fault(method="admin.Events", do="empty")
        rig.sim.fault(method="admin.Events", do="garbage")
        rig.sim.drop_events()
        rig.sim.wait_call(method="admin.Events", count=3, since=rig.since)
        rig.sim.wait_subscribers()
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)


if __name__ == "__main__":
    unittest.main()
