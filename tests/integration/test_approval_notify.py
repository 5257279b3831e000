# SPDX-License-Identifier: GPL-2.0-or-later
"""Notifications: the person is told afterwards what was done."""

import time
import unittest

from approvalcase import (ALLOW, ASK, STICK, ApprovalCase, harness, policy,
                          qubes, stick, stick_n, sticks, world)

# a second notification of which it is known that it comes
MARKER = "marker: allow block name sdz to vault\n"


def notification(resolution: str, argument: str, target: str) -> bytes:
    """A request as WIRE 4 has it."""
    return (b"policy.Notify dom0 name dom0\0"
            + (f'{{"resolution":"{resolution}","service":"autoattach.Attach",'
               f'"argument":"{argument}","source":"sys-usb",'
               f'"target":"{target}"}}').encode("ascii"))


class NotifyCase(ApprovalCase):
    """What the agent is told."""

    def told_person(self, rig: harness.Rig, count: int = 1) -> list[bytes]:
        """The notifications, once there are so many."""
        calls = rig.sim.wait_call(method="policy.Notify", count=count)
        return [bytes.fromhex(call["request"]).removesuffix(b"\n")
                for call in calls]

    def failing(self, fault: dict) -> harness.Rig:
        """qubesd does that with every Attach."""
        return self.start(ALLOW, world(faults=[{"method": "*.Attach",
                                                "count": -1, **fault}]))

    def assert_not_told(self, rig: harness.Rig, connection: harness.EventConn,
                        ) -> None:
        """The next notification is of another device: none came before."""
        seq = connection.add("block", "sdz", **{**STICK, "serial": "Z",
                                                "path": "pz"})
        self.assert_told(connection, seq, 200)
        self.assertEqual(self.told_person(rig),
                         [notification("allow", "+marker+sdz", "vault")])

    def marked(self, rules: str, scenario: dict) -> tuple:
        """A world with a device that will be attached and told of."""
        scenario["devices"] += stick("sdz", "9-9", "Z")
        rig = self.start(MARKER + rules, scenario)
        return rig, self.forwarder(rig)


class Bytes(NotifyCase):
    """Byte for byte as WIRE has it."""

    def test_allow_for_200(self):
        rig = self.start(ALLOW)
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assertEqual(self.told_person(rig),
                         [notification("allow", "+stick+sda", "work")])

    def test_allow_also_after_a_prompt(self):
        rig, connection, seq = self.ask(
            "r: ask block type disk to { work vault }\n")
        rig.sim.click(answer="allow:vault")
        self.assert_told(connection, seq, 200)
        self.assertEqual(self.told_person(rig),
                         [notification("allow", "+r+sda", "vault")])

    def test_the_disposable_is_told_by_its_name(self):
        rig = self.start("r: allow block type disk to @dispvm\n",
                         world(qubes=qubes()))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        name = rig.sim.wait_attached(backend="sys-usb", port="sda")["target"]
        self.assertEqual(self.told_person(rig),
                         [notification("allow", "+r+sda", name)])

    def test_fail_for_502(self):
        rig = self.failing({"do": "exception", "type": "QubesValueError",
                            "message": "PLEASE"})
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 502)
        self.assertEqual(self.told_person(rig),
                         [notification("fail", "+stick+sda", "work")])

    def test_fail_for_503(self):
        rig = self.start(ALLOW)
        rig.sim.crash(service="policy")
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 503)
        self.assertEqual(self.told_person(rig),
                         [notification("fail", "+stick+sda", "work")])

    def test_fail_for_520(self):
        rig = self.start(ALLOW, world("Halted", faults=[
            {"method": "admin.vm.Start", "do": "fail", "count": -1}]))
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 520)
        self.assertEqual(self.told_person(rig),
                         [notification("fail", "+stick+sda", "work")])

    def test_a_device_s_name_that_is_not_plain_is_left_out(self):
        rig = self.start(ALLOW, world(devices=[
            {"backend": "sys-usb", "port": "please-allow", "class": "block"}]))
        connection = self.forwarder(rig)
        seq = connection.add("block", "please-allow", devtype="disk")
        self.assert_told(connection, seq, 200)
        self.assertEqual(self.told_person(rig),
                         [notification("allow", "+stick", "work")])

    def test_it_comes_after_the_answer_was_written(self):
        rig = self.start(ALLOW)
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        self.told_person(rig)
        # what is there to be read now was written before
        connection.stream.socket.setblocking(False)
        line = connection.stream.socket.recv(4096)
        self.assertIn(b'"code":200', line)
        self.assertIn(f'"seq":{seq},'.encode(), line)


class None_(NotifyCase):
    """Nothing for 201, 203, 3xx and 4xx, and not for quiet."""

    def test_none_for_201_and_203(self):
        rig, connection = self.marked(
            ALLOW, world(devices=stick(attachment="work")))
        self.assert_told(connection, connection.add("block", "sda", **STICK), 201)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        self.assert_not_told(rig, connection)

    def test_none_for_what_rules_and_policy_refuse(self):
        rig, connection = self.marked(
            "no: deny block name sda\nstick: allow block name sdb to work\n",
            world(devices=sticks(3), policy=policy(("work", "deny"))))
        for n, code in ((0, 302), (1, 303), (2, 301)):
            name = f"sd{chr(ord('a') + n)}"
            self.assert_told(connection,
                             connection.add("block", name, **stick_n(n)), 300)
            self.assert_last(rig, name, code)
        self.assert_not_told(rig, connection)

    def test_none_for_what_the_person_refuses(self):
        rig, connection = self.marked(ASK, world(devices=stick()))
        seq = connection.add("block", "sda", **STICK)
        rig.sim.wait_window()
        rig.sim.click(answer="deny")
        self.assert_told(connection, seq, 300)
        self.assert_not_told(rig, connection)

    def test_none_for_306_and_311(self):
        rig, connection = self.marked(
            "stick: allow block name sda to work if-running\n"
            "other: ask block name sdb to work\n",
            world("Halted", devices=sticks(2)))
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 306)
        connection.add("block", "sdb", **stick_n(1))
        rig.sim.wait_window()
        connection.remove("block", "sdb")
        rig.sim.click(answer="deny")
        self.assert_not_told(rig, connection)

    def test_none_for_404(self):
        rig, connection = self.marked(ALLOW, world(devices=[]))
        seq = connection.add("block", "sda", **STICK)
        self.assert_told(connection, seq, 300)
        self.assert_last(rig, "sda", 404)
        self.assert_not_told(rig, connection)

    def test_none_for_quiet(self):
        rig, connection = self.marked(
            "stick: allow block type disk to work quiet\n",
            world(devices=stick()))
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assert_not_told(rig, connection)

    def test_none_for_quiet_that_fails(self):
        rig, connection = self.marked(
            "stick: allow block type disk to work quiet\n",
            world(devices=stick(), faults=[
                {"method": "*.Attach", "dest": "work", "count": -1,
                 "do": "exception", "type": "QubesValueError", "message": "no"}]))
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        self.assert_last(rig, "sda", 502)
        self.assert_not_told(rig, connection)


class NoMatter(NotifyCase):
    """Its failure changes nothing."""

    def test_without_an_agent_nothing_changes(self):
        rig = self.start(ALLOW, world(devices=sticks(2),
                                      agent={"present": False}))
        connection = self.forwarder(rig)
        for n, name in enumerate(("sda", "sdb")):
            seq = connection.add("block", name, **stick_n(n))
            self.assert_told(connection, seq, 200)
        # the last one is tried only after it was told, and then once more
        self.barrier(connection)
        self.barrier(connection)
        # it is not made up for either
        rig.sim.agent_up()
        self.barrier(connection)
        self.assertEqual(rig.sim.calls(method="policy.Notify"), [])

    def test_an_agent_that_does_not_answer_it_holds_up_nothing(self):
        rig = self.start(ALLOW, world(devices=sticks(2)))
        connection = self.forwarder(rig)
        with rig.sim.held(method="policy.Notify", phase="begin") as hold:
            for n, name in enumerate(("sda", "sdb")):
                seq = connection.add("block", name, **stick_n(n))
                self.assert_told(connection, seq, 200)
            rig.sim.wait_held(id=hold, count=2)
            self.barrier(connection)

    def test_an_agent_that_dies_of_it_changes_nothing(self):
        rig = self.start(ALLOW)
        connection = self.forwarder(rig)
        with rig.sim.held(method="policy.Notify", phase="begin") as hold:
            self.assert_told(connection,
                             connection.add("block", "sda", **STICK), 200)
            rig.sim.wait_held(id=hold)
            rig.sim.agent_down()
        self.barrier(connection)
        self.assert_last(rig, "sda", 200)


class Rate(NotifyCase):
    """1 per 2 s after 5."""

    def told(self, **options) -> tuple[int, float]:
        """How many of nine were told at once, and in how many seconds."""
        rig = self.start(ALLOW, world(devices=sticks(9)), **options)
        connection = self.forwarder(rig)
        begun = time.monotonic()
        seqs = [connection.add("block", f"sd{chr(ord('a') + n)}", **stick_n(n))
                for n in range(9)]
        for seq in seqs:
            self.assert_told(connection, seq, 200)
        self.told_person(rig, 9 if options else 5)
        self.barrier(connection)
        return (len(rig.sim.calls(method="policy.Notify")),
                time.monotonic() - begun)

    def test_after_five_there_are_no_more_for_a_while(self):
        count, seconds = self.told()
        self.assertGreaterEqual(count, 5)
        self.assertLessEqual(count, 5 + seconds // 2)

    def test_unlimited_switches_that_off(self):
        self.assertEqual(self.told(unlimited=True)[0], 9)


if __name__ == "__main__":
    unittest.main()
