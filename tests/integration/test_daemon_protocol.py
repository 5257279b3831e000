# SPDX-License-Identifier: GPL-2.0-or-later
"""The event service, byte by byte: descriptor, hello, lines, ends."""

import json
import unittest

import harness
from daemoncase import (ATTACH, AVAILABLE, LOOK, PINNED, STICK, DaemonCase, sticks,
                        told, world)

GOOD = b"autoattach.Event+ sys-usb name dom0\0"
HELLO = {"type": "hello", "version": 1, "boot_id": harness.BOOT_ID,
         "agent": "qubes-autoattach/test"}
SYNCED = {"type": "synced"}


def line(message: dict) -> bytes:
    """As the forwarder writes it."""
    return json.dumps(message).encode() + b"\n"


def event(seq: object = 1, device: str = "sda", action: str = "add",
          devclass: str = "block", **more) -> dict:
    """An event line."""
    return {"type": "event", "seq": seq, "action": action, "class": devclass,
            "device": device, "properties": dict(STICK), **more}


def of_length(length: int) -> bytes:
    """A good event line of so many bytes, without its newline."""
    text = json.dumps(event())
    return (text + " " * (length - len(text))).encode()


class ProtocolCase(DaemonCase):
    """One daemon for many connections."""

    RULES = "r: allow block type disk to work\n"

    def setUp(self):
        self.rig = self.start(self.RULES)

    def raw(self, data: bytes = b"", descriptor: bytes = GOOD) -> harness.EventConn:
        """A connection that has sent these bytes."""
        connection = self.enterContext(
            self.rig.daemon.connect(descriptor=descriptor))
        if data:
            connection.send_raw(data)
        return connection

    def assert_closed_without_a_word(self, connection) -> None:
        """Nothing was answered."""
        self.assertEqual(connection.wait_closed(), [])

    def assert_refused(self, connection, code: int, seq: int | None = None) -> None:
        """This answer, then closed; the daemon lives and has made no call."""
        self.assertEqual(connection.wait_closed(), [told(seq, code)])
        self.assertEqual(self.rig.requests(), [])

    def assert_alive(self) -> None:
        """The daemon still serves."""
        connection = self.by_hand(self.rig)
        self.barrier(connection)
        connection.close()


class Descriptor(ProtocolCase):
    """What qrexec writes before all else."""

    def test_both_forms_are_good(self):
        for kind in ("name", "keyword"):
            with self.subTest(kind=kind):
                self.barrier(self.by_hand(self.rig, kind=kind))

    def test_joined_with_the_first_lines(self):
        connection = self.raw(descriptor=GOOD + line(HELLO) + line(event()))
        self.assert_told(connection, 1, 200)

    def test_byte_by_byte_with_all_lines(self):
        connection = self.raw(descriptor=b"")
        for byte in GOOD + line(HELLO) + line(event()):
            connection.send_raw(bytes([byte]))
        self.assert_told(connection, 1, 200)
        self.assertEqual(self.rig.requests(), [LOOK, PINNED])

    def test_a_bad_one_is_closed_without_a_word(self):
        bad = {
            "another service": b"qubes.Filecopy+ sys-usb name dom0\0",
            "a longer service": b"autoattach.Events+ sys-usb name dom0\0",
            "an argument": b"autoattach.Event+x sys-usb name dom0\0",
            "no plus": b"autoattach.Event sys-usb name dom0\0",
            "another target": b"autoattach.Event+ sys-usb name work\0",
            "another keyword": b"autoattach.Event+ sys-usb keyword dom0\0",
            "another kind": b"autoattach.Event+ sys-usb uuid dom0\0",
            "more words": b"autoattach.Event+ sys-usb name dom0 x\0",
            "fewer words": b"autoattach.Event+ sys-usb\0",
            "two spaces": b"autoattach.Event+  sys-usb name dom0\0",
            "a space behind": b"autoattach.Event+ sys-usb name dom0 \0",
            "no source": b"autoattach.Event+  name dom0\0",
            "dom0 as source": b"autoattach.Event+ dom0 name dom0\0",
            "a bad name": b"autoattach.Event+ sys/usb name dom0\0",
            "a long name": b"autoattach.Event+ " + b"a" * 32 + b" name dom0\0",
            "a digit first": b"autoattach.Event+ 1sys name dom0\0",
            "a newline": b"autoattach.Event+ sys-usb name dom0\n",
            "empty": b"\0",
            "a line": line(HELLO),
            "over-long": b"autoattach.Event+ " + b"a" * 5000,
            "over-long, ended": b"autoattach.Event+ " + b"a" * 5000 + b"\0",
            "binary": bytes(range(255, -1, -1)),
        }
        for what, descriptor in bad.items():
            with self.subTest(what):
                connection = self.raw(descriptor=descriptor)
                if what in ("a newline", "a line"):
                    connection.eof()
                else:
                    # a good line behind it changes nothing
                    try:
                        connection.send_raw(line(HELLO) + line(event()))
                    except BrokenPipeError:
                        pass
                self.assert_closed_without_a_word(connection)
        self.assertEqual(self.rig.requests(), [])
        self.assertEqual(self.rig.daemon.status()["sources"], [])
        self.assert_alive()

    def test_a_longest_source_name_is_good(self):
        name = "a" * 31
        connection = self.by_hand(self.rig, name)
        self.barrier(connection)
        self.assertEqual(self.rig.daemon.status()["sources"][0]["name"], name)

    def test_end_of_input_within_it_is_closed_without_a_word(self):
        for cut in range(len(GOOD)):
            connection = self.raw(descriptor=GOOD[:cut])
            connection.eof()
            self.assert_closed_without_a_word(connection)

    def test_one_that_never_comes_is_closed_in_time_and_blocks_nobody(self):
        silent = [self.raw(descriptor=b"") for _ in range(30)]
        begun = self.raw(descriptor=b"autoattach.Event+ sys")
        self.assert_alive()
        for connection in [*silent, begun]:
            self.assert_closed_without_a_word(connection)

    def test_a_source_name_in_the_data_counts_nothing(self):
        connection = self.raw(line({**HELLO, "source": "vault"}))
        self.assert_refused(connection, 400)


class Hello(ProtocolCase):
    """The first line."""

    def test_a_line_before_hello_is_malformed(self):
        self.assert_refused(self.raw(line(event(seq=7))), 400, 7)
        self.assert_refused(self.raw(line(SYNCED)), 400)

    def test_a_second_hello_is_malformed(self):
        self.assert_refused(self.raw(line(HELLO) * 2), 400)
        self.assert_refused(self.raw(line(HELLO) + line({**HELLO, "version": 2})),
                            400)

    def test_each_key_is_needed(self):
        for key in HELLO:
            with self.subTest(key):
                message = {k: v for k, v in HELLO.items() if k != key}
                self.assert_refused(self.raw(line(message)), 400)

    def test_another_version_is_unsupported(self):
        for version in (0, 2, -1, 2**31, 2**62):
            with self.subTest(version):
                self.assert_refused(
                    self.raw(line({**HELLO, "version": version, "more": 1})), 401)

    def test_a_version_that_is_no_number_is_malformed(self):
        for version in ("1", 1.0, True, None, [1]):
            with self.subTest(version):
                self.assert_refused(self.raw(line({**HELLO, "version": version})),
                                    400)

    def test_wrong_values_are_malformed(self):
        wrong = {"boot_id": ("", "0" * 31, "0" * 33, "g" * 32, 0, None),
                 "agent": ("", "a" * 65, "a\nb", "a\u0085b", "\ud800", 1, None)}
        for key, values in wrong.items():
            for value in values:
                with self.subTest(key=key, value=value):
                    self.assert_refused(self.raw(line({**HELLO, key: value})), 400)

    def test_an_agent_of_64_bytes_is_good(self):
        self.barrier_raw(line({**HELLO, "agent": "ä" * 32}))

    def barrier_raw(self, data: bytes) -> None:
        """These bytes were taken."""
        self.barrier(self.raw(data))

    def test_one_that_never_comes_is_closed_and_an_idle_connection_lives_on(self):
        idle = self.by_hand(self.rig)
        silent, begun = self.raw(), self.raw(b'{"type":"hel')
        self.assertEqual(silent.wait_closed(), [])
        self.assertEqual(begun.wait_closed(), [])
        self.barrier(idle)


class Lines(ProtocolCase):
    """NDJSON, at most 8192 bytes a line."""

    def test_8192_bytes_are_good(self):
        connection = self.raw(line(HELLO) + of_length(8192) + b"\n")
        self.assert_told(connection, 1, 200)

    def test_8193_bytes_are_too_large(self):
        self.assert_refused(self.raw(line(HELLO) + of_length(8193) + b"\n"), 413)

    def test_8193_bytes_are_too_large_also_byte_by_byte(self):
        connection = self.raw(line(HELLO))
        for byte in of_length(8192):
            connection.send_raw(bytes([byte]))
        connection.send_raw(b" ")
        self.assert_refused(connection, 413)

    def test_a_line_never_ended_is_too_large_before_it_ends(self):
        connection = self.raw(line(HELLO))
        connection.send_raw(b" " * 8193)
        self.assert_refused(connection, 413)

    def test_a_megabyte_without_a_newline_costs_no_memory(self):
        connection = self.raw(line(HELLO))
        try:
            connection.send_raw(b"{" * 1048576)
        except BrokenPipeError:
            pass
        self.assertIn(connection.wait_closed(), ([], [told(None, 413)]))
        self.assert_alive()

    def test_a_line_never_ended_before_the_end_of_input_is_malformed(self):
        connection = self.raw(line(HELLO) + line(event())[:-1])
        connection.eof()
        self.assert_refused(connection, 400)

    def test_good_lines_before_a_bad_one_are_answered_first(self):
        connection = self.raw(line(HELLO) + line(event(1, "sdx", "remove"))
                              + line(event(2, "sdy", "remove")) + b"bad\n"
                              + line(event(3, "sdz", "remove")))
        self.assertEqual(connection.wait_closed(),
                         [told(1, 203), told(2, 203), told(None, 400)])

    def test_deep_nesting_is_malformed(self):
        for data in (b"[" * 8000, b'{"a":' * 1300, b"[" * 4000 + b"]" * 4000,
                     b'{"type":"event","properties":' + b"[" * 2000 + b"]" * 2000
                     + b"}"):
            with self.subTest(data[:30]):
                self.assert_refused(self.raw(line(HELLO) + data + b"\n"), 400)
        self.assert_alive()

    def test_what_is_no_object_is_malformed(self):
        for data in (b"", b" ", b"1", b"null", b'"x"', b"[]", b"{}", b"{", b"}",
                     b'{"type":"event"', b"\0", b"\xff\xfe", b"{}{}", b"{} x",
                     b"{'type':'synced'}", b'{"type":"synced"}x', b"# x",
                     b'{"type":"synced","type":"synced"}', b'{"type":"syn\0ced"}',
                     b'{"type":"hello2"}', b'{"type":1}', b'{"type":null}'):
            with self.subTest(data):
                self.assert_refused(self.raw(line(HELLO) + data + b"\n"), 400)

    def test_a_carriage_return_is_a_blank(self):
        connection = self.raw(line(HELLO)[:-1] + b"\r\n" + line(event())[:-1]
                              + b"\r\n")
        self.assert_told(connection, 1, 200)

    def test_unknown_keys_are_malformed(self):
        for message in (event(extra=1), {**SYNCED, "x": 1},
                        event(properties={**STICK, "colour": "red"}),
                        event(properties={**STICK, "Vendor": "x"}),
                        event(target="vault"), event(rule="x")):
            with self.subTest(message):
                self.assert_refused(self.raw(line(HELLO) + line(message)), 400,
                                    message.get("seq"))

    def test_duplicate_keys_are_malformed(self):
        text = line(event()).replace(b'"seq": 1', b'"seq": 1, "seq": 2')
        self.assert_refused(self.raw(line(HELLO) + text), 400)

    def test_hostile_device_names_are_malformed(self):
        names = ("", " ", "sda 1", "sda/1", "..", "../sda", "a" * 200, "a" * 13,
                 "SDA", "sda+x", "sda:x", "sda\n", "sdä", "sd_a", "sda.1",
                 "%s%n", "sda' x='", "\u202esda")
        for name in names:
            with self.subTest(name):
                self.assert_refused(
                    self.raw(line(HELLO) + line(event(5, name))), 400, 5)
        for name in ("2-1_4", "2", "2-", "-1", "2-1.", "2-1..4", "2-1.4.x", "a-1",
                     "2-1 4", "sda", "2-1/4", "9" * 60 + "-1"):
            with self.subTest(name):
                self.assert_refused(self.raw(line(HELLO) + line(
                    event(5, name, devclass="usb"))), 400, 5)

    def test_a_nul_in_a_text_is_malformed_whole(self):
        for message in (event(5, "sda\0"), event(properties={"serial": "a\0b"})):
            self.assert_refused(self.raw(line(HELLO) + line(message)), 400)

    def test_longest_and_oddest_good_names_are_good(self):
        connection = self.by_hand(self.rig)
        for devclass, name in (("block", "nvme0n1p128"), ("block", "a" * 12),
                               ("block", "dm-0"), ("block", "0"),
                               ("usb", "2-1.4.4.3.1")):
            self.assert_told(connection, connection.remove(devclass, name), 203)

    def test_wrong_types_are_malformed(self):
        wrong = [event(device=1), event(device=None), event(action="attach"),
                 event(action=1), {**event(), "class": "disk"},
                 {**event(), "class": None}, event(properties=[]),
                 event(properties="x"), event(properties=None), event(parent=1),
                 event(parent="a b"), event(parent=None)]
        for message in wrong:
            with self.subTest(message):
                self.assert_refused(self.raw(line(HELLO) + line(message)), 400, 1)

    def test_wrong_properties_are_malformed(self):
        wrong = {"vendor_id": ("078", "07811", "078G", "07AB", 1921, ""),
                 "serial": ("", "x" * 127, "a\u001fb", "a\u007fb", "a\u009fb", 5),
                 "devtype": ("x", "", 1), "partition": (0, 256, -1, 1.0, "1"),
                 "size": (-1, "1", 1.5, True), "removable": (1, "yes", None),
                 "interfaces": ("080650", ["08065"], ["08065g"], [1],
                                ["080650"] * 33), "diskseq": (-1, "x", 0.5)}
        for key, values in wrong.items():
            for value in values:
                with self.subTest(key=key, value=value):
                    self.assert_refused(self.raw(line(HELLO) + line(event(
                        properties={**STICK, key: value}))), 400, 1)

    def test_bad_utf_8_is_malformed(self):
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80",
                    b"\xe4"):
            with self.subTest(bad):
                text = line(event()).replace(b"Ultra", b"Ultra" + bad)
                self.assert_refused(self.raw(line(HELLO) + text), 400)

    def test_good_utf_8_is_good(self):
        text = json.dumps(event(properties={**STICK, "model": "Größe 大"}),
                          ensure_ascii=False).encode() + b"\n"
        connection = self.raw(line(HELLO) + text)
        self.assert_told(connection, 1, 200)
        self.assertIn("Größe", self.rig.daemon.outcomes("sda")[-1]["label"])


class Seq(ProtocolCase):
    """seq grows strictly."""

    def test_gaps_and_large_numbers_are_good(self):
        connection = self.by_hand(self.rig)
        for seq in (1, 2, 10, 2**31, 2**53 - 1):
            self.assert_told(connection, connection.remove(
                "block", "sdx", seq=seq), 203)

    def test_the_same_or_a_smaller_one_is_malformed(self):
        for seq in (5, 4, 1):
            with self.subTest(seq):
                connection = self.by_hand(self.rig)
                self.assert_told(connection, connection.remove(
                    "block", "sdx", seq=5), 203)
                connection.remove("block", "sdx", seq=seq)
                self.assert_refused(connection, 400, seq)

    def test_what_is_no_number_from_1_is_malformed_with_null(self):
        for seq in (0, -1, 1.5, "1", None, True, [1]):
            with self.subTest(seq):
                self.assert_refused(self.raw(line(HELLO) + line(event(seq))), 400)

    def test_a_number_beyond_64_bits_is_malformed(self):
        for seq in (2**63, 2**64, 10**30):
            with self.subTest(seq):
                self.assert_refused(self.raw(line(HELLO) + line(event(seq))), 400)

    def test_each_connection_counts_for_itself(self):
        for _ in range(3):
            connection = self.by_hand(self.rig)
            self.assert_told(connection, connection.remove("block", "sdx"), 203)
            connection.close()

    def test_seq_of_a_malformed_event_is_carried(self):
        self.assert_refused(
            self.raw(line(HELLO) + line(event(77, action="eject"))), 400, 77)


class Synced(ProtocolCase):
    """The picture."""

    def test_present_after_synced_is_malformed(self):
        connection = self.forwarder(self.rig)
        connection.present("block", "sda", **STICK)
        self.assert_refused(connection, 400, 1)

    def test_a_second_synced_is_malformed(self):
        connection = self.forwarder(self.rig)
        connection.synced()
        self.assert_refused(connection, 400)

    def test_add_change_and_remove_before_synced_are_good(self):
        connection = self.by_hand(self.rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assert_told(connection, connection.change("block", "sda", **STICK), 201)
        self.assert_told(connection, connection.remove("block", "sda"), 203)
        connection.synced()
        self.barrier(connection)


class Ends(ProtocolCase):
    """End of input ends nothing."""

    def test_without_anything_due_it_is_closed_at_once(self):
        connection = self.by_hand(self.rig)
        connection.eof()
        self.assertEqual(connection.wait_closed(), [])

    def test_before_hello_it_is_closed_without_a_word(self):
        connection = self.raw()
        connection.eof()
        self.assertEqual(connection.wait_closed(), [])

    def test_answers_that_are_due_are_written_then_it_is_closed(self):
        connection = self.by_hand(self.rig)
        with self.rig.sim.held(method=ATTACH) as hold:
            connection.add("block", "sda", **STICK)
            connection.remove("block", "sdx")
            connection.eof()
            self.rig.sim.wait_held(id=hold)
            self.assertEqual(connection.read(), told(2, 203))
        self.assertEqual(connection.wait_closed(), [told(1, 200)])

    def test_a_refusal_while_an_answer_is_due_closes_and_the_job_goes_on(self):
        connection = self.by_hand(self.rig)
        with self.rig.sim.held(method=ATTACH) as hold:
            connection.add("block", "sda", **STICK)
            self.rig.sim.wait_held(id=hold)
            connection.send_raw(b"bad\n")
            self.assertEqual(connection.wait_closed(), [told(None, 400)])
        self.rig.daemon.wait_outcome("sda", 200)

    def test_a_caller_that_is_killed_costs_nothing(self):
        for data in (b"", GOOD[:5], GOOD, GOOD + line(HELLO),
                     GOOD + line(HELLO) + line(event())[:-5]):
            with self.subTest(data[-10:]):
                self.raw(descriptor=data).close()
        self.assert_alive()
        self.rig.daemon.wait_status(
            lambda status: sum(source["n_connections"]
                               for source in status["sources"]) == 0,
            "no connections")


class Order(ProtocolCase):
    """One answer per event, in the order of outcomes."""

    RULES = "r: allow block type disk to work\n"

    def setUp(self):
        self.rig = self.start(self.RULES, world(devices=sticks(3)))

    def test_a_later_record_may_be_answered_first(self):
        connection = self.by_hand(self.rig)
        with self.rig.sim.held(method=AVAILABLE, arg="sda") as hold:
            connection.add("block", "sda", **STICK)
            self.rig.sim.wait_held(id=hold)
            connection.add("block", "sdb", **STICK)
            self.assertEqual(connection.read(), told(2, 200))
        self.assertEqual(connection.read(), told(1, 200))

    def test_the_same_record_joins_the_running_job(self):
        connection = self.by_hand(self.rig)
        other = self.by_hand(self.rig)
        with self.rig.sim.held(method=ATTACH) as hold:
            connection.add("block", "sda", **STICK)
            self.rig.sim.wait_held(id=hold)
            connection.add("block", "sda", **STICK)
            connection.change("block", "sda", **STICK)
            other.present("block", "sda", **STICK)
            self.barrier(connection)
            self.barrier(other)
        for seq in (1, 2, 3):
            self.assert_told(connection, seq, 200)
        self.assert_told(other, 1, 200)
        self.assertEqual(self.rig.requests(), [LOOK, PINNED])
        self.assertEqual(len(self.rig.daemon.outcomes("sda")), 1)

    def test_all_records_of_a_job_get_its_failure(self):
        self.rig.sim.fault(method=AVAILABLE, do="garbage")
        connection = self.by_hand(self.rig)
        with self.rig.sim.held(method=AVAILABLE) as hold:
            connection.add("block", "sda", **STICK)
            self.rig.sim.wait_held(id=hold)
            connection.add("block", "sda", **STICK)
            self.barrier(connection)
        self.assert_told(connection, 1, 300)
        self.assert_told(connection, 2, 300)
        self.assert_last(self.rig, "sda", 502)

    def test_a_record_under_another_rule_does_not_join(self):
        connection = self.by_hand(self.rig)
        with self.rig.sim.held(method=AVAILABLE) as hold:
            connection.add("block", "sda", **STICK)
            self.rig.sim.wait_held(id=hold)
            self.rig.daemon.rules("other: allow block type disk to vault\n")
            self.rig.daemon.reload()
            connection.change("block", "sda", **STICK)
            self.assert_told(connection, 1, 300)
        self.assert_told(connection, 2, 200)
        self.assertEqual([(o["code"], o["rule"])
                          for o in self.rig.daemon.outcomes("sda")],
                         [(311, "r"), (200, "other")])
        self.assertEqual(self.rig.sim.wait_attached(
            backend="sys-usb", port="sda"), {"target": "vault"})

    def test_a_record_that_is_denied_ends_the_job(self):
        connection = self.by_hand(self.rig)
        with self.rig.sim.held(method=AVAILABLE) as hold:
            connection.add("block", "sda", **STICK)
            self.rig.sim.wait_held(id=hold)
            self.rig.daemon.rules("no: deny any\n")
            self.rig.daemon.reload()
            connection.change("block", "sda", **STICK)
            self.assert_told(connection, 1, 300)
            self.assert_told(connection, 2, 300)
        self.rig.daemon.wait_no_jobs()
        self.assertEqual(self.rig.requests(), [LOOK])

    def test_answers_go_to_the_connection_that_asked(self):
        first, second = self.by_hand(self.rig), self.by_hand(self.rig)
        self.assert_told(first, first.add("block", "sda", seq=10, **STICK), 200)
        self.assert_told(second, second.add("block", "sdb", seq=20, **STICK), 200)
        first.eof()
        second.eof()
        self.assertEqual(first.wait_closed() + second.wait_closed(), [])


if __name__ == "__main__":
    unittest.main()
