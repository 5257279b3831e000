# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections and pictures of sources, their limits and their isolation."""

import unittest

from daemoncase import (ATTACH, ATTACHED, AVAILABLE, DETACH, LOOK, PINNED, SHOW, STICK, TAKE_OFF,
                        DaemonCase, stick, sticks, told, world)

OTHER_BOOT = "fedcba9876543210fedcba9876543210"


def two_sources() -> dict:
    """sys-usb and sys-usb2, each with a stick at sda."""
    return world(devices=stick() + stick(backend="sys-usb2"),
                 qubes={"sys-usb2": {"state": "Running"},
                        "vault": {"state": "Running"}})


class Pictures(DaemonCase):
    """present..., synced: what is not in it is gone."""

    def test_what_is_missing_is_removed(self):
        rig = self.start(scenario=world(devices=sticks(2)))
        first = self.by_hand(rig)
        for name in ("sda", "sdb"):
            self.assert_told(first, first.present("block", name, **STICK), 200)
        first.synced()
        rig.mark()
        second = self.by_hand(rig)
        self.assert_told(second, second.present("block", "sdb", **STICK), 201)
        second.synced()
        rig.daemon.wait_outcome("sda", 203)
        rig.sim.wait_detached(backend="sys-usb", port="sda")
        rig.sim.wait_attached(backend="sys-usb", port="sdb", target="work")
        self.assertEqual(rig.count("Detach"), 1)
        self.assertEqual(rig.daemon.wait_no_jobs()["sources"][0]["n_devices"], 1)

    def test_an_empty_picture_removes_everything(self):
        rig = self.start()
        self.attach_stick(rig)
        self.forwarder(rig)
        rig.daemon.wait_outcome("sda", 203)
        self.assertEqual(rig.requests(), [SHOW, TAKE_OFF])

    def test_without_synced_nothing_is_compared(self):
        rig = self.start()
        first = self.attach_stick(rig)
        hand = self.by_hand(rig)
        self.assert_told(hand, hand.add("block", "sdx", **{
            **STICK, "vendor_id": "ffff"}), 300)
        hand.eof()
        self.assertEqual(hand.wait_closed(), [])
        self.assert_told(first, first.change("block", "sda", **STICK), 201)
        self.assertEqual(rig.count("Detach"), 0)

    def test_what_was_sent_by_hand_is_gone_with_the_next_picture(self):
        rig = self.start()
        hand = self.by_hand(rig)
        self.attach_stick(rig, hand)
        self.forwarder(rig)
        rig.daemon.wait_outcome("sda", 203)

    def test_a_job_in_work_for_what_is_missing_ends_311(self):
        rig = self.start()
        hand = self.by_hand(rig)
        with rig.sim.held(method=AVAILABLE) as hold:
            hand.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            self.forwarder(rig)
            self.assert_told(hand, 1, 300)
            self.assert_last(rig, "sda", 311)
        rig.daemon.wait_no_jobs()
        self.assertEqual(rig.requests(), [LOOK])

    def test_a_newer_picture_closes_the_older_connection(self):
        rig = self.start()
        old = self.attach_stick(rig)
        new = self.by_hand(rig)
        self.assert_told(new, new.present("block", "sda", **STICK), 201)
        # not before it is whole
        self.assert_told(old, old.change("block", "sda", **STICK), 201)
        self.assert_told(new, new.present("block", "sda", **STICK), 201)
        new.synced()
        self.assertEqual(old.wait_closed(), [])
        self.barrier(new)
        self.assertEqual(rig.count("Detach"), 0)
        source, = rig.daemon.status()["sources"]
        self.assertLessEqual({"name": "sys-usb", "n_connections": 1,
                              "forwarder": True, "n_devices": 1,
                              "n_jobs": 0}.items(), source.items())

    def test_connections_by_hand_stay_open_when_a_picture_comes(self):
        rig = self.start()
        hand = self.by_hand(rig)
        self.forwarder(rig)
        self.barrier(hand)

    def test_the_device_told_by_another_connection_meanwhile_is_not_in_it(self):
        # only what its own connection sent counts
        rig = self.start(scenario=world(devices=sticks(2)))
        new = self.by_hand(rig)
        self.assert_told(new, new.present("block", "sda", **STICK), 200)
        hand = self.by_hand(rig)
        self.assert_told(hand, hand.add("block", "sdb", **STICK), 200)
        new.synced()
        rig.daemon.wait_outcome("sdb", 203)
        self.assert_told(new, new.change("block", "sda", **STICK), 201)

    def test_answers_due_to_the_older_connection_are_written_before_it_closes(self):
        rig = self.start()
        old = self.forwarder(rig)
        with rig.sim.held(method=ATTACH) as hold:
            old.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            new = self.by_hand(rig)
            new.present("block", "sda", **STICK)
            new.synced()
            self.barrier(new)
        self.assert_told(new, 1, 200)
        self.assertIn(old.wait_closed(), ([], [told(1, 200)]))
        self.assertEqual(rig.requests(), [LOOK, PINNED])

    def test_a_picture_of_the_same_plugs_attaches_nothing_twice(self):
        rig = self.start()
        self.attach_stick(rig)
        for _ in range(3):
            again = self.by_hand(rig)
            self.assert_told(again, again.present("block", "sda", **STICK), 201)
            again.synced()
            self.barrier(again)
        self.assertEqual(rig.requests(), [LOOK] * 3)


class BootId(DaemonCase):
    """A new boot_id forgets every plug."""

    def test_what_was_attached_is_detached_and_decided_anew(self):
        rig = self.start()
        self.attach_stick(rig)
        again = self.enterContext(rig.daemon.connect())
        with rig.sim.held(method=DETACH) as hold:
            again.hello(boot_id=OTHER_BOOT)
            rig.sim.wait_held(id=hold)
            again.present("block", "sda", **STICK)
        self.assert_told(again, 1, 200)
        self.assertEqual(rig.requests(), [SHOW, TAKE_OFF, LOOK, PINNED])

    def test_what_the_person_detached_is_forgotten(self):
        rig = self.start()
        self.attach_stick(rig)
        rig.sim.detach(backend="sys-usb", port="sda")
        rig.daemon.wait_outcome("sda", 308)
        again = self.enterContext(rig.daemon.connect())
        again.hello(boot_id=OTHER_BOOT)
        self.assert_told(again, again.present("block", "sda", **STICK), 200)

    def test_a_job_in_work_ends_311(self):
        rig = self.start()
        first = self.by_hand(rig)
        with rig.sim.held(method=AVAILABLE) as hold:
            first.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            again = self.enterContext(rig.daemon.connect())
            again.hello(boot_id=OTHER_BOOT)
            self.assert_told(first, 1, 300)
            self.assert_last(rig, "sda", 311)

    def test_the_same_boot_id_forgets_nothing(self):
        rig = self.start()
        self.attach_stick(rig)
        again = self.by_hand(rig)
        self.barrier(again)
        self.assertEqual(rig.requests(), [])


class Connections(DaemonCase):
    """Four of one source, sixteen sources."""

    def test_a_fifth_is_told_429_and_closed(self):
        rig = self.start()
        four = [self.by_hand(rig) for _ in range(4)]
        for connection in four:
            self.barrier(connection)
        fifth = self.enterContext(rig.daemon.connect())
        self.assertEqual(fifth.wait_closed(), [told(None, 429)])
        for connection in four:
            self.barrier(connection)
        self.assertEqual(rig.daemon.status()["sources"][0]["n_connections"], 4)

    def test_a_fifth_that_sends_all_at_once_is_told_429_too(self):
        rig = self.start()
        for connection in [self.by_hand(rig) for _ in range(4)]:
            self.barrier(connection)
        fifth = self.enterContext(rig.daemon.connect())
        try:
            fifth.hello()
            fifth.add("block", "sda", **STICK)
        except BrokenPipeError:
            pass
        self.assertEqual(fifth.wait_closed(), [told(None, 429)])
        self.assertEqual(rig.requests(), [])

    def test_a_place_that_is_free_again_is_given_again(self):
        rig = self.start()
        four = [self.by_hand(rig) for _ in range(4)]
        for connection in four:
            self.barrier(connection)
        four[1].eof()
        self.assertEqual(four[1].wait_closed(), [])
        self.barrier(self.by_hand(rig))

    def test_another_source_is_not_limited_by_it(self):
        rig = self.start()
        for connection in [self.by_hand(rig) for _ in range(4)]:
            self.barrier(connection)
        self.barrier(self.by_hand(rig, "sys-usb2"))

    def test_a_seventeenth_source_is_told_429(self):
        # a source that is gone is kept as long as a rate of its may be used up
        rig = self.start(unlimited=True)
        sources = [self.by_hand(rig, f"source{n}") for n in range(16)]
        for connection in sources:
            self.barrier(connection)
        more = self.enterContext(rig.daemon.connect("source16"))
        self.assertEqual(more.wait_closed(), [told(None, 429)])
        self.assertEqual(len(rig.daemon.status()["sources"]), 16)
        sources[3].eof()
        self.assertEqual(sources[3].wait_closed(), [])
        self.barrier(self.by_hand(rig, "source16"))

    def test_hundreds_one_after_the_other_leave_nothing_behind(self):
        rig = self.start(unlimited=True)
        for n in range(300):
            with rig.daemon.connect(f"s{n}") as connection:
                connection.hello()
                self.barrier(connection)
                connection.eof()
                self.assertEqual(connection.wait_closed(), [])
        self.assertEqual(rig.daemon.status()["sources"], [])


class Isolation(DaemonCase):
    """Two sources with the same device name."""

    RULES = ("one: allow block type disk from sys-usb to work\n"
             "two: allow block type disk from sys-usb2 to vault\n")

    def test_each_gets_its_own_target(self):
        rig = self.start(self.RULES, two_sources())
        one, two = self.by_hand(rig), self.by_hand(rig, "sys-usb2")
        self.assert_told(one, one.add("block", "sda", **STICK), 200)
        self.assert_told(two, two.add("block", "sda", **STICK), 200)
        self.assertEqual(
            [(call["arg"].partition("+")[0], call["dest"])
             for call in rig.calls(method=ATTACH)],
            [("sys-usb", "work"), ("sys-usb2", "vault")])

    def test_a_remove_of_one_leaves_the_other(self):
        rig = self.start(self.RULES, two_sources())
        one, two = self.by_hand(rig), self.by_hand(rig, "sys-usb2")
        self.assert_told(one, one.add("block", "sda", **STICK), 200)
        self.assert_told(two, two.add("block", "sda", **STICK), 200)
        rig.mark()
        self.assert_told(two, two.remove("block", "sda"), 203)
        self.assertEqual([call["request_text"] for call in rig.calls()],
                         [f"{ATTACHED}+ dom0 name vault\0",
                          f"{DETACH}+sys-usb2+sda dom0 name vault\0"])
        self.assert_told(one, one.change("block", "sda", **STICK), 201)

    def test_a_picture_of_one_says_nothing_of_the_other(self):
        rig = self.start(self.RULES, two_sources())
        self.attach_stick(rig)
        two = self.forwarder(rig, "sys-usb2")
        self.barrier(two)
        self.assertEqual(rig.requests(), [])

    def test_events_of_one_say_nothing_of_the_other(self):
        rig = self.start(self.RULES, two_sources())
        one = self.attach_stick(rig)
        rig.sim.attach(backend="sys-usb2", port="sda", target="work")
        rig.sim.detach(backend="sys-usb2", port="sda")
        rig.sim.unplug(backend="sys-usb2", port="2-1")
        rig.sim.qube_stop(name="sys-usb2")
        self.assert_told(one, one.change("block", "sda", **STICK), 201)
        self.assertNotIn(308, [o["code"] for o in rig.daemon.outcomes()])

    def test_a_record_cannot_reach_a_rule_of_another_source(self):
        rig = self.start(self.RULES, two_sources())
        two = self.by_hand(rig, "sys-net")
        self.assert_told(two, two.add("block", "sda", **STICK), 300)
        self.assertEqual(rig.requests(), [])

    def test_a_boot_id_of_one_does_not_touch_the_other(self):
        rig = self.start(self.RULES, two_sources())
        one = self.attach_stick(rig)
        two = self.enterContext(rig.daemon.connect("sys-usb2"))
        two.hello(boot_id=OTHER_BOOT)
        self.barrier(two)
        self.assert_told(one, one.change("block", "sda", **STICK), 201)

    def test_a_source_whose_calls_hang_does_not_block_the_other(self):
        rig = self.start(self.RULES, two_sources())
        one, two = self.by_hand(rig), self.by_hand(rig, "sys-usb2")
        with rig.sim.held(dest="sys-usb"):
            for n in range(200):
                one.add("block", f"sd{n}", **STICK)
            self.barrier(one)
            self.assert_told(two, two.add("block", "sda", **STICK), 200)
            for n in range(200):
                one.remove("block", f"sd{n}")
        self.assert_told(one, 402 - 1, 203)

    def test_the_source_itself_is_never_a_target(self):
        rig = self.start("r: allow block type disk to sys-usb\n")
        one = self.by_hand(rig)
        self.assert_told(one, one.add("block", "sda", **STICK), 300)
        self.assertEqual(rig.count("Attach"), 0)


class Restart(DaemonCase):
    """The daemon dies and comes back; the forwarder sends the whole picture."""

    def test_after_kill_9_nothing_is_attached_twice(self):
        rig = self.start()
        connection = self.attach_stick(rig)
        rig.daemon.kill()
        self.assertEqual(connection.wait_closed(), [])
        rig.daemon.start()
        rig.settle()
        again = self.by_hand(rig)
        self.assert_told(again, again.present("block", "sda", **STICK), 201)
        again.synced()
        self.barrier(again)
        self.assertEqual(rig.requests(), [SHOW, LOOK])

    def test_kill_9_during_an_attach_that_takes_effect(self):
        rig = self.start()
        connection = self.forwarder(rig)
        with rig.sim.held(method=ATTACH) as hold:
            connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.daemon.kill()
            rig.daemon.start()
        rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")
        rig.settle()
        again = self.by_hand(rig)
        self.assert_told(again, again.present("block", "sda", **STICK), 201)
        self.assertEqual(rig.count("Attach"), 0)

    def test_kill_9_before_the_attach_attaches_afterwards(self):
        rig = self.start()
        connection = self.forwarder(rig)
        with rig.sim.held(method=AVAILABLE) as hold:
            connection.add("block", "sda", **STICK)
            rig.sim.wait_held(id=hold)
            rig.daemon.kill()
        rig.daemon.start()
        rig.settle()
        again = self.by_hand(rig)
        self.assert_told(again, again.present("block", "sda", **STICK), 200)
        again.synced()
        self.barrier(again)

    def test_the_socket_of_a_killed_daemon_is_taken_over(self):
        rig = self.start()
        for _ in range(3):
            rig.daemon.kill()
            rig.daemon.start()
            rig.settle()
            self.barrier(self.by_hand(rig))

    def test_a_stop_in_good_order_ends_with_0_also_in_the_middle_of_a_job(self):
        rig = self.start(scenario=world(devices=sticks(3)))
        connection = self.forwarder(rig)
        with rig.sim.held(method=ATTACH) as hold:
            for name in ("sda", "sdb", "sdc"):
                connection.add("block", name, **STICK)
            rig.sim.wait_held(id=hold, count=3)
            connection.send_raw(b'{"type":')
            rig.daemon.restart()
        self.assertEqual(connection.wait_closed(), [])


if __name__ == "__main__":
    unittest.main()
