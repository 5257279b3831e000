# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon as a service: sockets handed over, readiness, journal, options."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import unittest

import harness
from daemoncase import (STICK, DaemonCase, TO_WORK, stick_n, sticks, told,
                        world)

PROGRAM = harness.BUILD / "dom0" / "qubes-autoattachd"
FIRST_FD = 3


class Activated(harness.Daemon):
    """A daemon whose sockets are held by the test, as by systemd."""

    def __enter__(self) -> "Activated":
        self.sockets: dict[str, socket.socket] = {}
        super().__enter__()
        for listener in self.sockets.values():
            self._stack.callback(listener.close)
        return self

    def _listen(self) -> None:
        for name, path in (("control", self.control_socket),
                           ("event", self.event_socket)):
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(os.fspath(path))
            listener.listen(64)
            self.sockets[name] = listener

    def start(self) -> None:
        """As systemd does: descriptors from 3 on, with their names."""
        if not self.sockets:
            self._listen()
        listeners = list(self.sockets.values())
        moves = "".join(f"{FIRST_FD + n}<&{listener.fileno()} "
                        for n, listener in enumerate(listeners))
        command = ("LISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=%s exec \"$@\" %s"
                   % (len(listeners), ":".join(self.sockets), moves))
        env = {**os.environ, "NOTIFY_SOCKET": os.fspath(self.notify.path), **self.env}
        # a path where it could not listen itself
        self.process = harness.Process(
            ["/bin/bash", "-c", command, "activate", PROGRAM,
             "--qubesd-socket", self.sim.qubesd_socket,
             "--policy-socket", self.sim.policy_socket,
             "--agent-socket", self.sim.agent_socket,
             "--event-socket", "/nonexistent/event.sock",
             "--control-socket", "/nonexistent/control.sock",
             "--rules-dir", self.rules_dir, "--state-dir", self.state_dir],
            self.dir, "qubes-autoattachd", env=env, stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno() for listener in listeners])
        self.notify.wait("READY=1", self.process)


class Sockets(DaemonCase):
    """Handed over by name, or of its own."""

    def setUp(self):
        self.sim = self.enterContext(harness.Sim(world()))

    def test_sockets_are_taken_by_name_not_by_order(self):
        daemon = self.enterContext(Activated(self.sim, TO_WORK))
        connection = self.enterContext(daemon.connect())
        connection.hello()
        self.assert_told(connection, connection.add("block", "sda", **STICK), 200)
        self.assertEqual(daemon.outcomes("sda")[-1]["code"], 200)

    def test_calls_wait_in_the_socket_while_the_daemon_is_away(self):
        daemon = self.enterContext(Activated(self.sim, TO_WORK))
        for _ in range(2):
            daemon.kill()
            connection = self.enterContext(daemon.connect())
            connection.hello()
            connection.present("block", "sda", **STICK)
            connection.synced()
            daemon.start()
            self.assertIn(connection.answer(1)["code"], (200, 201))
            self.sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_sockets_handed_over_are_left_in_place_at_the_end(self):
        daemon = self.enterContext(Activated(self.sim, TO_WORK))
        daemon.stop()
        self.assertTrue(daemon.event_socket.is_socket())
        self.assertTrue(daemon.control_socket.is_socket())
        daemon.start()

    def test_sockets_of_its_own_are_0660_and_gone_at_the_end(self):
        daemon = self.enterContext(harness.Daemon(self.sim, TO_WORK))
        for path in (daemon.event_socket, daemon.control_socket):
            self.assertEqual(path.stat().st_mode & 0o777, 0o660)
        daemon.stop()
        self.assertFalse(daemon.event_socket.exists())
        self.assertFalse(daemon.control_socket.exists())

    def test_a_socket_that_cannot_be_made_ends_it_with_an_error(self):
        result = subprocess.run(
            [PROGRAM, "--event-socket", "/nonexistent/x", "--rules-dir",
             "/nonexistent"], capture_output=True, text=True, check=False,
            timeout=harness.DEADLINE)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("/nonexistent/x", result.stderr)


class Signals(DaemonCase):
    """Readiness, watchdog, end."""

    def test_sigterm_and_sigint_end_it_well(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            rig = self.start()
            self.attach_stick(rig)
            process, rig.daemon.process = rig.daemon.process, None
            self.assertEqual(process.end(number), 0, process.stderr())

    def test_nothing_is_begun_at_the_end(self):
        """What cannot be begun any more has not failed."""
        rig = self.start(scenario=world(devices=sticks(2)))
        connection = self.forwarder(rig)
        self.barrier(connection)
        process, rig.daemon.process = rig.daemon.process, None
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.popen.pid, os.WSTOPPED)
        # both jobs and the signal are there when it looks
        connection.add("block", "sda", **stick_n(0))
        connection.add("block", "sdb", **stick_n(1))
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        self.assertEqual(process.wait(), 0)
        self.assertEqual(connection.wait_closed(), [])
        self.assertNotIn("qubesd-refused", process.stderr())

    def test_the_watchdog_is_pinged(self):
        rig = self.start(env={"WATCHDOG_USEC": "400000"})
        for _ in range(2):
            rig.daemon.notify.wait("WATCHDOG=1", rig.daemon.process)

    def test_qubesd_need_not_be_there_to_be_ready(self):
        with harness.Sim(world()) as sim:
            sim.crash(service="qubesd")
            sim.crash(service="policy")
            with harness.Daemon(sim, TO_WORK) as daemon:
                self.assertEqual(daemon.status()["qubesd"]["state"], "gone")


class Journal(DaemonCase):
    """One line an outcome, here on standard error."""

    FIELDS = ("SOURCE", "DEVICE", "CLASS", "RULE", "TARGET", "CODE", "STATUS",
              "DURATION_USEC")

    def lines(self, rig) -> list[str]:
        """The lines of outcomes; an answer may be out before its line."""
        rig.daemon.status()
        return [line for line in rig.daemon.process.stderr().splitlines()
                if "AUTOATTACH_CODE=" in line]

    def test_an_outcome_is_one_line_with_all_fields(self):
        rig = self.start()
        self.attach_stick(rig)
        line, = self.lines(rig)
        for field in self.FIELDS:
            self.assertIn(f"AUTOATTACH_{field}=", line)
        for word in ("SOURCE=sys-usb", "DEVICE=sda", "CLASS=block", "RULE=stick",
                     "TARGET=work", "CODE=200", "STATUS=attached"):
            self.assertIn(f"AUTOATTACH_{word}", line)

    def test_a_devices_words_cannot_make_a_line(self):
        rig = self.start()
        connection = self.by_hand(rig)
        self.assert_told(connection, connection.add("block", "sda", **{
            **STICK, "model": "x\u2028AUTOATTACH_CODE=200\u202e\\n", "vendor":
            "AUTOATTACH_RULE=x"}), 200)
        line, = self.lines(rig)
        self.assertTrue(line.isprintable(), line)
        self.assertNotIn("\u202e", line)

    def test_a_refused_connection_is_told(self):
        rig = self.start()
        connection = self.by_hand(rig)
        connection.send_raw(b"bad\n")
        self.assertEqual(connection.wait_closed(), [told(None, 400)])
        rig.daemon.status()
        self.assertRegex(rig.daemon.process.stderr(), "sys-usb: .*400 malformed")

    def test_after_200_lines_the_rest_is_counted(self):
        rig = self.start("")
        connection = self.by_hand(rig)
        begun = time.monotonic()
        for n in range(400):
            connection.add("block", f"sd{n % 50}")
        for seq in range(1, 401):
            self.assert_told(connection, seq, 300)
        pattern = re.compile(r"(\d+) more outcomes were left out")

        def left() -> int:
            return sum(map(int, pattern.findall(rig.daemon.process.stderr())))
        # there is such a line each second, until all are told of
        rig.daemon.wait_status(lambda _: len(self.lines(rig)) + left() == 400,
                               "a line with the number")
        logged = len(self.lines(rig))
        self.assertGreaterEqual(logged, 200)
        self.assertLessEqual(logged, 200 + 10 * (time.monotonic() - begun))


class CommandLine(unittest.TestCase):
    """Options."""

    OPTIONS = ("--qubesd-socket", "--policy-socket", "--agent-socket",
               "--event-socket", "--control-socket", "--rules-dir", "--state-dir",
               "--unlimited", "--help", "--version")

    def run_with(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run to the end."""
        return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True,
                              check=False, timeout=harness.DEADLINE)

    def test_help_tells_all_options_and_their_defaults(self):
        result = self.run_with("--help")
        self.assertEqual(result.returncode, 0)
        for option in self.OPTIONS:
            self.assertIn(option, result.stdout)
        for default in ("/etc/qubes/autoattach.d", "/run/qubes-autoattach/event.sock",
                        "/run/qubes-autoattach/control.sock",
                        "/run/qubes-autoattachd", "qubesd.sock"):
            self.assertIn(default, result.stdout)

    def test_version_is_the_one_of_the_tree(self):
        version = (pathlib.Path(__file__).resolve().parents[2] / "version").read_text()
        self.assertIn(version.strip(), self.run_with("--version").stdout)

    def test_wrong_usage_exits_64(self):
        for arguments in (["--nosuch"], ["word"], ["--rules-dir"],
                          ["--rules-dir", ""], ["--unlimited=1"]):
            with self.subTest(arguments):
                result = self.run_with(*arguments)
                self.assertEqual((result.returncode, result.stdout), (64, ""))
                self.assertTrue(result.stderr)


if __name__ == "__main__":
    unittest.main()
