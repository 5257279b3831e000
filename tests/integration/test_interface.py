# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket is what its interface file says: every method, every reply."""

import contextlib
import pathlib
import select
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from daemoncase import STICK, TO_WORK, DaemonCase  # noqa: E402
from harness import HERE, INTERFACE, Control, VarlinkError  # noqa: E402
from support.varlink import Interface, VarlinkMismatch  # noqa: E402

WIRE = HERE.parent.parent / "dom0" / "wire"
SERVICE = "org.varlink.service"
# of a type that no method takes
WRONG = [1.5]
HID = {"vendor_id": "046d", "product_id": "c31c", "interfaces": ["030101"],
       "devtype": "usb_device"}
SDA = {"source": "sys-usb", "device": "sda"}


def read_interface(name: str) -> Interface:
    """The file of the source tree."""
    return Interface((WIRE / f"{name}.varlink").read_text(encoding="utf-8"))


class CheckedControl:
    """A client that holds every reply and error against the interface."""

    def __init__(self, rig):
        self.control = Control(rig.daemon.control_socket)
        self.interfaces = {name: read_interface(name)
                           for name in (INTERFACE, SERVICE)}
        self.called: set[str] = set()

    def _find(self, method: str) -> tuple[Interface, str]:
        name = method if "." in method else f"{INTERFACE}.{method}"
        self.called.add(name)
        interface, _, short = name.rpartition(".")
        return self.interfaces[interface], short

    def call(self, method: str, **parameters) -> dict:
        """One reply, of the method's type."""
        interface, short = self._find(method)
        interface.check(interface.methods[short][0],
                        {key: parameters.get(key)
                         for key in interface.methods[short][0][1]}, "call")
        reply = self.control.call(method, parameters)
        interface.check(interface.methods[short][1], reply, method)
        return reply

    def more(self, method: str, **parameters):
        """The same, of each reply."""
        interface, short = self._find(method)
        for reply in self.control.more(method, parameters):
            interface.check(interface.methods[short][1], reply, method)
            yield reply

    def fail(self, method: str, parameters: dict) -> tuple[str, dict]:
        """The error of a call, of the error's type."""
        try:
            self.control.call(method, parameters)
        except VarlinkError as error:
            name, _, short = error.name.rpartition(".")
            interface = self.interfaces[name]
            interface.check(interface.errors[short], error.parameters, error.name)
            return error.name, error.parameters
        raise AssertionError(f"{method} {parameters} was answered")

    def close(self) -> None:
        """No more calls."""
        self.control.close()


class ControlCase(DaemonCase):
    """A rig with clients that look closely."""

    def control(self, rig) -> CheckedControl:
        """A client of its own."""
        return self.enterContext(contextlib.closing(CheckedControl(rig)))


class InterfaceTest(ControlCase):
    """Calls of all kinds."""

    def test_the_checker_sees_what_is_wrong(self):
        interface = Interface("interface a.b\ntype T (x: ?int, y: (one, two))\n"
                              "method M() -> (t: T, l: []string)\n")
        kind = interface.methods["M"][1]
        good = {"t": {"x": None, "y": "one"}, "l": ["a"]}
        interface.check(kind, good, "M")
        for bad in ({**good, "more": 1}, {"t": good["t"]}, {**good, "l": [1]},
                    {**good, "l": None}, {**good, "t": {"x": "1", "y": "one"}},
                    {**good, "t": {"x": True, "y": "one"}},
                    {**good, "t": {"x": 1, "y": "three"}}):
            with self.assertRaises(VarlinkMismatch, msg=bad):
                interface.check(kind, bad, "M")

    def test_every_method_answers_as_the_interface_says(self):
        rig = self.start("no: deny usb interface 03*\n" + TO_WORK)
        control = self.control(rig)
        # with nothing, then with all that there can be
        for _ in range(2):
            control.call("GetStatus")
            control.call("ListDevices")
            list(control.more("ListRules"))
            control.call("GetHistory")
            connection = self.forwarder(rig)
            connection.answer(connection.add("usb", "3-1", **HID))
            connection.answer(connection.add("block", "sda", parent="2-1", **STICK))
        control.call("Wait", source="sys-usb", device="sda")
        control.call("Detach", source="sys-usb", device="sda")
        control.call("Retry", source="sys-usb", device="sda")
        control.call("Explain", source="sys-usb", device="sda")
        control.call("Explain", source="sys-usb", device="3-1")
        control.call("ListQubes")
        control.call("Pause", duration_usec=10**12)
        control.call("GetStatus")
        control.call("Pause")
        self.assertEqual(control.call("GetStatus")["pause"], {"until_usec": None})
        control.call("Resume")
        rig.daemon.rules("no: deny usb interface 03*\nbad\n")
        self.assertEqual(control.call("Reload")["rules"]["n_errors"], 1)
        control.call("GetStatus")
        control.call(f"{SERVICE}.GetInfo")
        control.call(f"{SERVICE}.GetInterfaceDescription", interface=INTERFACE)
        self.assertEqual(control.called,
                         {f"{name}.{method}"
                          for name, interface in control.interfaces.items()
                          for method in interface.methods})

    def test_what_is_no_good_parameter_is_named(self):
        control = self.control(self.start())
        for name, interface in control.interfaces.items():
            for method, ((_, fields), _) in interface.methods.items():
                wrong = {"no_such": 1}
                self.assertEqual(control.fail(f"{name}.{method}", wrong),
                                 (f"{SERVICE}.InvalidParameter",
                                  {"parameter": "no_such"}))
                for field in fields:
                    self.assertEqual(
                        control.fail(f"{name}.{method}", {field: WRONG}),
                        (f"{SERVICE}.InvalidParameter", {"parameter": field}))

    def test_what_is_out_of_range_is_named(self):
        control = self.control(self.start())
        for method, parameters, bad in (
                ("Pause", {"duration_usec": 0}, "duration_usec"),
                ("Pause", {"duration_usec": -1}, "duration_usec"),
                ("Pause", {"duration_usec": 2**63 - 1}, "duration_usec"),
                ("GetHistory", {"n": -1}, "n"),
                ("Retry", {"source": "sys-usb"}, "device"),
                ("Retry", {"source": "sys usb", "device": "sda"}, "source"),
                ("Detach", {"source": "sys-usb", "device": "../sda"}, "device"),
                ("Explain", {"source": "sys-usb", "device": "../sda"}, "device"),
                ("Wait", {}, "source"),
                ("Wait", {"source": "sys-usb"}, "device"),
                ("Wait", {"device": "sda"}, "source"),
                ("Wait", {"rule": ""}, "rule"),
                ("Wait", {**SDA, "rule": "stick"}, "rule")):
            self.assertEqual(control.fail(method, parameters),
                             (f"{SERVICE}.InvalidParameter", {"parameter": bad}))
        self.assertEqual(control.fail("Retry", SDA),
                         (f"{INTERFACE}.NoSuchDevice", SDA))
        self.assertEqual(control.fail("Detach", SDA),
                         (f"{INTERFACE}.NoSuchDevice", SDA))
        self.assertEqual(control.fail("Explain", SDA),
                         (f"{INTERFACE}.NoSuchDevice", SDA))
        self.assertEqual(control.fail("Wait", {"rule": "stock"}),
                         (f"{INTERFACE}.NoSuchRule", {"rule": "stock"}))
        self.assertEqual(control.fail("Explode", {})[0], f"{SERVICE}.MethodNotFound")
        self.assertIsNone(control.call("GetStatus")["pause"])


class ListTest(ControlCase):
    """ListDevices and ListRules."""

    def test_a_device_is_told_whole(self):
        rig = self.start()
        connection = self.forwarder(rig)
        connection.answer(connection.add("usb", "3-1", **HID))
        connection.answer(connection.add("block", "sda", parent="2-1", **STICK))
        control = self.control(rig)
        keyboard, disk = control.call("ListDevices")["devices"]
        self.assertEqual(disk["properties"], STICK)
        self.assertEqual((disk["parent"], disk["label"], disk["size"]),
                         ("2-1", "SanDisk Ultra", STICK["size"]))
        self.assertEqual((disk["attached_to"], disk["attached_by"]),
                         ("work", "stick"))
        self.assertEqual(disk["rule"], {"name": "stick", "action": "allow",
                                        "file": "50-test.rules", "line": 1})
        self.assertEqual(disk["last"]["code"], 200)
        self.assertIsNone(keyboard["rule"])
        self.assertEqual(keyboard["last"]["code"], 301)
        # attached by hand: by no rule
        rig.sim.detach(backend="sys-usb", port="sda")
        rig.daemon.wait_outcome("sda", 308)
        rig.sim.attach(backend="sys-usb", port="sda", target="work")
        rig.daemon.wait_status(lambda status: status["n_attached"] == 1, "attached")
        self.assertEqual(rig.daemon.status()["attached"][0]["rule"], None)
        disk = control.call("ListDevices")["devices"][1]
        self.assertEqual((disk["attached_to"], disk["attached_by"]), ("work", None))
        # what is gone is not told
        connection.answer(connection.remove("usb", "3-1"))
        self.assertEqual(len(control.call("ListDevices")["devices"]), 1)

    def test_another_stick_has_not_the_outcome_of_the_first(self):
        rig = self.start("")
        connection = self.forwarder(rig)
        control = self.control(rig)
        connection.answer(connection.add("block", "sda", **STICK))
        connection.answer(connection.remove("block", "sda"))
        connection.answer(connection.add("block", "sda", **{**STICK, "serial": "x"}))
        history = control.call("GetHistory")["outcomes"]
        last = control.call("ListDevices")["devices"][0]["last"]
        self.assertEqual(last["time_usec"], history[-1]["time_usec"])

    def test_more_devices_than_fit_need_more(self):
        rig = self.start("", unlimited=True)
        connection = self.forwarder(rig)
        control = self.control(rig)
        names = [f"sd{a}{b}" for a in "abcdef" for b in "abcdefgh"]
        for name in names[:32]:
            connection.answer(connection.add("block", name, **STICK))
        self.assertEqual(len(control.call("ListDevices")["devices"]), 32)
        for name in names[32:]:
            connection.answer(connection.add("block", name, **STICK))
        self.assertEqual(control.fail("ListDevices", {})[0], f"{SERVICE}.ExpectedMore")
        replies = list(control.more("ListDevices"))
        self.assertGreater(len(replies), 1)
        self.assertEqual([device["device"] for reply in replies
                          for device in reply["devices"]], names)

    def test_rules_are_told_with_their_hits(self):
        rig = self.start("no: deny usb interface 03*\n\n" + TO_WORK)
        connection = self.forwarder(rig)
        control = self.control(rig)
        for _ in range(3):
            connection.answer(connection.change("usb", "3-1", **HID))
        no, stick = control.call("ListRules")["rules"]
        self.assertEqual(no, {"name": "no", "action": "deny", "class": "usb",
                              "file": "50-test.rules", "line": 1, "n_hits": 3,
                              "text": "no: deny usb interface 03*"})
        self.assertEqual((stick["line"], stick["n_hits"]), (3, 0))
        # what is still the same keeps its number
        rig.daemon.rules("new: deny block\nno: deny usb interface 03*\n"
                         "stick: ask block id 0781:5581 to work\n")
        self.assertFalse(control.call("Reload")["rules"]["failed"])
        self.assertEqual([(rule["name"], rule["n_hits"])
                          for rule in control.call("ListRules")["rules"]],
                         [("new", 0), ("no", 3), ("stick", 0)])

    def test_more_rules_than_fit_need_more(self):
        rules = "".join(f"r{n}: deny usb serial \"{n}\"\n" for n in range(200))
        control = self.control(self.start(rules))
        self.assertEqual(control.fail("ListRules", {})[0], f"{SERVICE}.ExpectedMore")
        told = [rule["name"] for reply in control.more("ListRules")
                for rule in reply["rules"]]
        self.assertEqual(told, [f"r{n}" for n in range(200)])

    def test_a_very_long_rule_is_cut(self):
        values = " ".join(f"\"{n:03}{'ä' * 50}\"" for n in range(200))
        control = self.control(self.start(f"long: deny usb serial {{ {values} }}\n"))
        text = control.call("ListRules")["rules"][0]["text"]
        self.assertTrue(text.startswith("long: deny usb serial"))
        self.assertTrue(text.endswith("..."))
        self.assertLessEqual(len(text.encode()), 4096 + 3)


class HistoryTest(ControlCase):
    """GetHistory, once and for ever."""

    def test_the_last_ones_are_told(self):
        rig = self.start("")
        connection = self.forwarder(rig)
        control = self.control(rig)
        for name in ("sda", "sdb", "sdc"):
            connection.answer(connection.add("block", name, **STICK))
        self.assertEqual([outcome["device"] for outcome in
                          control.call("GetHistory", n=2)["outcomes"]], ["sdb", "sdc"])
        self.assertEqual(control.call("GetHistory", n=0)["outcomes"], [])
        self.assertEqual(len(control.call("GetHistory", n=1000)["outcomes"]), 3)

    def test_it_goes_on_with_what_comes(self):
        rig = self.start("")
        connection = self.forwarder(rig)
        stream = self.control(rig).more("GetHistory", n=1)
        self.assertEqual(next(stream)["outcomes"], [])
        for name in ("sda", "sdb"):
            connection.answer(connection.add("block", name, **STICK))
            reply = next(stream)
            self.assertEqual([outcome["device"] for outcome in reply["outcomes"]],
                             [name])
            self.assertEqual(reply["n_missed"], 0)

    def test_who_is_slow_misses_some_and_is_told_how_many(self):
        rig = self.start("", unlimited=True)
        connection = self.forwarder(rig)
        stream = self.control(rig).more("GetHistory")
        self.assertEqual(next(stream)["outcomes"], [])
        for _ in range(2000):
            connection.answer(connection.change("block", "sda", **STICK))
        serials, n_missed = [], 0
        while not serials or serials[-1] < 2000:
            reply = next(stream)
            n_missed += reply["n_missed"]
            serials += [outcome["serial"] for outcome in reply["outcomes"]]
        self.assertEqual(len(serials) + n_missed, 2000)
        self.assertGreater(n_missed, 0)
        self.assertEqual(serials, sorted(set(serials)))
        # the daemon is well, and so is who reads
        rig.daemon.status()


class WaitTest(ControlCase):
    """Wait."""

    def test_what_is_attached_need_not_be_waited_for(self):
        rig = self.start()
        self.attach_stick(rig)
        control = self.control(rig)
        for awaited in (SDA, {"rule": "stick"}):
            reply = control.call("Wait", **awaited)
            self.assertEqual(reply["attached"]["target"], "work")
            self.assertIsNone(reply["outcome"])

    def test_a_device_is_waited_for_before_it_is_plugged_in(self):
        rig = self.start()
        waiting = [self.control(rig) for _ in range(2)]
        waiting[0].control.send("Wait", SDA)
        waiting[1].control.send("Wait", {"rule": "stick"})
        self.attach_stick(rig)
        for control in waiting:
            reply = control.control.receive()["parameters"]
            self.assertEqual(reply["attached"]["device"], "sda")

    def wait(self, rig, more: bool = False, **awaited) -> Control:
        """A client whose Wait is under way: a later client was answered."""
        control = self.control(rig).control
        control.send("Wait", awaited, more=more)
        rig.daemon.status()
        return control

    def test_what_happens_meanwhile_is_told_with_more(self):
        rig = self.start("no: deny block serial \"4C530001\"\n" + TO_WORK)
        connection = self.forwarder(rig)
        one = self.wait(rig, more=True, **SDA)
        two = self.wait(rig, more=True, rule="stick")
        without = self.wait(rig, **SDA)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assertEqual(one.receive()["parameters"]["outcome"]["code"], 302)
        rig.daemon.rules(TO_WORK)
        rig.daemon.reload()
        self.assert_told(connection, connection.change("block", "sda", **STICK), 200)
        # the outcome of the attach is told by the last reply
        for client in (one, two, without):
            reply = client.receive()
            self.assertEqual(reply["parameters"]["attached"]["target"], "work")
            self.assertFalse(reply.get("continues", False))

    def test_an_event_of_qubesd_is_no_outcome(self):
        rig = self.start()
        hold = rig.sim.hold(method="*.Attach", phase="answer")["id"]
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        rig.sim.wait_held(id=hold, count=1)
        status = rig.daemon.wait_status(lambda status: status["n_attached"] == 1,
                                        "the event")
        self.assertEqual(status["attached"][0]["rule"], "stick")
        waiting = self.wait(rig, **SDA)
        self.assertFalse(select.select([waiting.stream.socket], [], [], 0)[0])
        rig.sim.release(id=hold)
        self.assert_told(connection, seq, 200)
        self.assertEqual(waiting.receive()["parameters"]["attached"]["rule"], "stick")

    def test_who_waited_may_go(self):
        rig = self.start()
        self.wait(rig, **SDA).close()
        self.wait(rig, rule="stick").close()
        self.attach_stick(rig)
        self.assertEqual(rig.daemon.status()["n_attached"], 1)


class ActTest(ControlCase):
    """Retry, Detach, Pause, Resume, Reload."""

    def test_what_was_detached_is_left_alone_until_it_is_retried(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        control = self.control(rig)
        reply = control.call("Detach", **SDA)
        self.assertEqual((reply["code"], reply["outcome"]["target"]), (203, "work"))
        rig.sim.wait_detached(backend="sys-usb", port="sda")
        self.assert_told(connection, connection.change("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 308)
        reply = control.call("Retry", **SDA)
        self.assertEqual((reply["code"], reply["status"]), (200, "attached"))
        self.assertEqual(reply["outcome"]["rule"], "stick")
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_what_the_person_attached_can_be_detached(self):
        rig = self.start("")
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        rig.sim.attach(backend="sys-usb", port="sda", target="work")
        rig.daemon.wait_status(lambda status: status["n_attached"] == 1, "attached")
        self.assertEqual(self.control(rig).call("Detach", **SDA)["code"], 203)
        rig.sim.wait_detached(backend="sys-usb", port="sda")

    def test_a_detach_that_fails_tells_why(self):
        rig = self.start()
        self.attach_stick(rig)
        rig.sim.fault(method="*.Detach", do="garbage", data="x")
        rig.sim.fault(method="*.Attached", do="exception", type="QubesException",
                      message="no way")
        reply = self.control(rig).call("Detach", **SDA)
        self.assertEqual((reply["code"], reply["status"]), (502, "qubesd-refused"))
        self.assertIn("no way", reply["outcome"]["detail"])

    def test_who_asked_may_go(self):
        rig = self.start()
        self.attach_stick(rig)
        hold = rig.sim.hold(method="*.Detach")["id"]
        control = self.control(rig).control
        control.send("Detach", SDA)
        rig.sim.wait_held(id=hold, count=1)
        control.close()
        rig.sim.release(id=hold)
        rig.daemon.wait_outcome("sda", 203)

    def test_a_pause_ends_by_itself(self):
        rig = self.start()
        connection = self.forwarder(rig)
        control = self.control(rig)
        before = control.call("GetStatus")["now_usec"]
        until = control.call("Pause", duration_usec=3600_000_000)["until_usec"]
        self.assertGreaterEqual(until, before + 3600_000_000)
        told = control.call("GetStatus")["pause"]["until_usec"]
        self.assertLess(abs(told - until), 1_000_000)
        connection.answer(connection.add("block", "sda", **STICK))
        self.assert_last(rig, "sda", 309)
        # another takes its place
        control.call("Pause", duration_usec=1_000_000)
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        rig.daemon.wait_outcome("sda", 200)
        self.assertIsNone(control.call("GetStatus")["pause"])

    def test_a_pause_without_time_ends_by_resume(self):
        rig = self.start()
        connection = self.forwarder(rig)
        control = self.control(rig)
        self.assertFalse(control.call("Resume")["was_paused"])
        self.assertIsNone(control.call("Pause")["until_usec"])
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assertTrue(control.call("Resume")["was_paused"])
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_what_is_wrong_with_the_rules_is_told_at_once(self):
        rig = self.start()
        control = self.control(rig)
        rig.daemon.rules("oops\n")
        rules = control.call("Reload")["rules"]
        self.assertTrue(rules["failed"])
        self.assertEqual((rules["n_rules"], rules["errors"][0]["line"]), (1, 1))
        rig.daemon.rules(TO_WORK + "other: deny usb\n")
        rules = control.call("Reload")["rules"]
        self.assertEqual((rules["failed"], rules["n_rules"]), (False, 2))


if __name__ == "__main__":
    unittest.main()
