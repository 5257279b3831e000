# SPDX-License-Identifier: GPL-2.0-or-later
"""Under systemd: started, crashed, upgraded, removed."""

import json
import os
import pathlib
import socket
import stat
import unittest

import products
from root import DEADLINE, Root, wait_for

DAEMON = "qubes-autoattachd.service"
SOCKETS = ("qubes-autoattachd-event.socket", "qubes-autoattachd-control.socket")
WATCH = "qubes-autoattachd-agent.path"
FORWARDER = "qubes-autoattach-forwarder.service"
AGENT = "run/qubes/policy-agent.sock"
REPORT = ("autoattach.Event+ sys-usb name dom0\0"
          '{"type":"hello","version":1,"boot_id":"%s","agent":"test"}\n'
          '{"type":"event","seq":1,"action":"add","class":"block",'
          '"device":"sda","properties":{"devtype":"disk"}}\n' % ("0" * 32))


class BootTest(unittest.TestCase):
    def boot(self, package):
        self.root = Root()
        self.addCleanup(self.root.remove)
        self.root.run("rpm", "-i", "--nodeps", self.root.bring(package))
        self.root.boot()

    def boot_dom0(self):
        self.boot(products.packages().dom0)

    def show(self, unit, name):
        return self.root.run("systemctl", "show", "-P", name, unit).strip()

    def state(self, unit):
        return self.show(unit, "ActiveState")

    def main_pid(self):
        return int(self.show(DAEMON, "MainPID"))

    def process_status(self, unit):
        pid = self.show(unit, "MainPID")
        text = pathlib.Path(self.root.inside(f"proc/{pid}/status")).read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines()
                    if ":\t" in line)

    def expect_locked_down(self, unit):
        status = self.process_status(unit)
        self.assertNotIn("0", status["Uid"].split())
        for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        self.assertIn(str(Root.QUBES_GID), status["Groups"].split())

    def dial(self):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(DEADLINE)
        peer.connect(self.root.inside("run/qubes-autoattach/event.sock"))
        peer.sendall(REPORT.encode())
        peer.shutdown(socket.SHUT_WR)
        return peer

    def answer(self, peer):
        with peer, peer.makefile() as lines:
            return json.loads(lines.read())

    def expect_answer(self, peer=None):
        """No rule matches; the source is not told that."""
        self.assertEqual(self.answer(peer or self.dial()),
                         {"seq": 1, "code": 300, "status": "not-attached"})

    def expect_none_failed(self):
        said = self.root.run("systemctl", "--failed", "--plain", "--no-legend",
                             "--no-pager")
        self.assertNotIn("autoattach", said)

    # dom0

    def test_dom0_runs_it_from_the_next_boot_on(self):
        self.boot_dom0()
        for unit in (DAEMON, *SOCKETS, WATCH):
            self.assertEqual(self.state(unit), "active", unit)
        self.expect_answer()
        self.expect_locked_down(DAEMON)
        self.expect_none_failed()
        # without qubesd and the policy daemon
        self.assertIn("qubesd cannot be reached",
                      self.root.run("qvm-autoattach", "status"))

    def test_sockets_are_for_group_qubes_only(self):
        self.boot_dom0()
        for name in ("event", "control"):
            path = f"run/qubes-autoattach/{name}.sock"
            found = os.stat(self.root.inside(path))
            self.assertEqual((stat.S_IMODE(found.st_mode), found.st_uid,
                              found.st_gid), (0o660, 0, Root.QUBES_GID))
        found = os.stat(self.root.inside("run/private/qubes-autoattachd"))
        self.assertEqual(stat.S_IMODE(found.st_mode), 0o700)
        self.assertEqual(found.st_uid, int(self.process_status(DAEMON)["Uid"]
                                           .split()[0]))

    def test_the_link_of_qrexec_leads_to_the_socket(self):
        self.boot_dom0()
        self.assertEqual(
            self.root.run("readlink", "-e", "/etc/qubes-rpc/autoattach.Event"),
            "/run/qubes-autoattach/event.sock\n")

    def test_a_call_to_a_daemon_that_just_crashed_is_answered(self):
        self.boot_dom0()
        self.root.run("systemctl", "kill", "-s", "KILL", DAEMON)
        self.expect_answer()
        self.expect_none_failed()

    def test_however_often_it_crashes_it_comes_back(self):
        self.boot_dom0()
        for _ in range(8):
            pid = self.main_pid()
            self.root.run("systemctl", "kill", "-s", "KILL", DAEMON)
            wait_for(lambda: self.main_pid() not in (0, pid), "a new daemon")
        self.expect_answer()
        self.expect_none_failed()

    def test_what_a_person_said_outlives_the_daemon(self):
        self.boot_dom0()
        self.root.run("qvm-autoattach", "pause")
        for how in (("kill", "-s", "KILL"), ("restart",)):
            pid = self.main_pid()
            self.root.run("systemctl", *how, DAEMON)
            wait_for(lambda: self.main_pid() not in (0, pid), "a new daemon")
            self.assertIn("attaching is paused",
                          self.root.run("qvm-autoattach", "status"))

    def test_a_daemon_that_hangs_is_replaced(self):
        self.boot_dom0()
        self.assertEqual(self.show(DAEMON, "WatchdogUSec"), "30s")
        folder = pathlib.Path(self.root.inside(
            f"run/systemd/system/{DAEMON}.d"))
        folder.mkdir(parents=True)
        (folder / "soon.conf").write_text("[Service]\nWatchdogSec=2s\n")
        self.root.run("systemctl", "daemon-reload")
        self.root.run("systemctl", "restart", DAEMON)
        pid = self.main_pid()
        self.root.run("kill", "-STOP", str(pid))
        peer = self.dial()
        wait_for(lambda: self.main_pid() not in (0, pid), "a new daemon")
        self.expect_answer(peer)

    def test_a_reload_reads_the_rules(self):
        self.boot_dom0()
        pid = self.main_pid()
        self.root.run("systemctl", "reload", DAEMON)
        self.assertEqual(self.main_pid(), pid)
        self.expect_answer()

    def test_an_upgrade_restarts_the_daemon_and_keeps_the_sockets(self):
        self.boot_dom0()
        pid = self.main_pid()
        state = os.stat(self.root.inside("run/private/qubes-autoattachd"))
        sockets = [self.show(unit, "InvocationID") for unit in SOCKETS]
        nodes = [os.stat(self.root.inside(
            f"run/qubes-autoattach/{name}.sock")).st_ino
            for name in ("event", "control")]
        self.root.run("rpm", "-U", "--nodeps",
                      self.root.bring(products.upgrade().dom0))
        # what Fedora's systemd does at the end of a transaction
        self.root.run("/usr/lib/systemd/systemd-update-helper",
                      "system-reload-restart")
        wait_for(lambda: self.main_pid() not in (0, pid), "a new daemon")
        self.assertEqual([self.show(unit, "InvocationID") for unit in SOCKETS],
                         sockets)
        self.assertEqual([os.stat(self.root.inside(
            f"run/qubes-autoattach/{name}.sock")).st_ino
            for name in ("event", "control")], nodes)
        self.assertEqual(os.stat(self.root.inside(
            "run/private/qubes-autoattachd")).st_ino, state.st_ino)
        self.assertIn(products.NEWER, self.root.run("qvm-autoattach", "status"))
        self.expect_answer()

    def test_removal_stops_it_and_leaves_nothing_in_run(self):
        self.boot_dom0()
        self.expect_answer()
        pid = self.main_pid()
        self.root.run("rpm", "-e", "--nodeps", "qubes-autoattach-dom0")
        self.assertFalse(os.path.exists(self.root.inside(f"proc/{pid}")))
        self.assertEqual(self.root.run("systemctl", "list-units", "--plain",
                                       "--no-legend", "--no-pager", "--all",
                                       "--state=active,activating,failed",
                                       "qubes-autoattach*"), "")
        self.assertEqual([name for name in
                          os.listdir(self.root.inside("run")) +
                          os.listdir(self.root.inside("run/private"))
                          if "autoattach" in name], [])

    # the policy agent of the desktop

    def bind_agent(self):
        """As the agent of a person whose umask is 022 does."""
        path = self.root.inside(AGENT)
        if os.path.lexists(path):
            os.unlink(path)
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(agent.close)
        before = os.umask(0o022)
        try:
            agent.bind(path)
        finally:
            os.umask(before)
        os.chown(path, 1000, Root.QUBES_GID)
        return path

    def make_run_qubes(self):
        folder = self.root.inside("run/qubes")
        os.mkdir(folder)
        os.chown(folder, 0, Root.QUBES_GID)
        os.chmod(folder, 0o2770)

    def test_group_qubes_gets_to_the_agent_each_time_it_comes(self):
        self.boot_dom0()
        self.make_run_qubes()
        for _ in range(3):
            path = self.bind_agent()
            wait_for(lambda: os.stat(path).st_mode & 0o020, "g+w of the agent")
            # one that comes before that is overlooked, see the next test
            wait_for(lambda: self.show(WATCH, "SubState") == "waiting",
                     "the end of the service")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o775)
        self.expect_none_failed()

    def test_an_agent_that_was_overlooked_is_reached_when_it_is_needed(self):
        self.boot_dom0()
        self.root.run("systemctl", "stop", WATCH)
        self.make_run_qubes()
        path = self.bind_agent()
        for _ in range(2):
            self.root.run("systemctl", "stop", WATCH)
            os.chmod(path, 0o755)
            self.root.run("systemctl", "start", WATCH)
            self.assertFalse(os.stat(path).st_mode & 0o020)
            # as the daemon does it, in its own folder
            pathlib.Path(self.root.inside("run/qubes-autoattachd"),
                         "agent-refused").write_bytes(b"")
            wait_for(lambda: os.stat(path).st_mode & 0o020, "g+w of the agent")
        self.expect_none_failed()

    def test_an_agent_that_came_before_the_daemon_is_reached(self):
        self.boot_dom0()
        self.root.run("systemctl", "stop", WATCH, DAEMON)
        self.make_run_qubes()
        path = self.bind_agent()
        self.assertFalse(os.stat(path).st_mode & 0o020)
        self.root.run("systemctl", "start", DAEMON)
        wait_for(lambda: os.stat(path).st_mode & 0o020, "g+w of the agent")

    def test_what_is_no_socket_there_is_left_alone(self):
        self.boot_dom0()
        self.make_run_qubes()
        victim = self.root.inside("run/qubes/victim")
        for make in (lambda path: os.symlink("victim", path),
                     lambda path: os.mkdir(path, 0o755),
                     lambda path: os.link(victim, path)):
            pathlib.Path(victim).write_text("")
            os.chmod(victim, 0o644)
            os.chown(victim, 1000, Root.QUBES_GID)
            path = self.root.inside(AGENT)
            make(path)
            self.root.run("systemctl", "start", "qubes-autoattachd-agent.service")
            self.assertFalse(os.stat(victim).st_mode & 0o020)
            self.assertFalse(os.stat(path).st_mode & 0o020)
            os.rmdir(path) if os.path.isdir(path) and not \
                os.path.islink(path) else os.unlink(path)
        self.expect_none_failed()

    # the USB qube

    def test_the_forwarder_runs_only_where_the_qube_has_the_service(self):
        self.boot(products.packages().vm_rpm)
        self.assertEqual(self.state(FORWARDER), "inactive")
        self.expect_none_failed()
        folder = self.root.inside("run/qubes-service")
        os.mkdir(folder)
        pathlib.Path(folder, "autoattach").touch()
        self.root.run("systemctl", "start", FORWARDER)
        self.assertEqual(self.state(FORWARDER), "active")
        self.expect_locked_down(FORWARDER)
        self.assertEqual(self.show(FORWARDER, "WatchdogUSec"), "30s")

    def test_the_forwarder_says_in_its_status_what_is_missing(self):
        self.boot(products.packages().vm_rpm)
        os.mkdir(self.root.inside("run/qubes-service"))
        pathlib.Path(self.root.inside("run/qubes-service/autoattach")).touch()
        self.root.run("systemctl", "start", FORWARDER)
        wait_for(lambda: "qrexec-client-vm" in
                 self.show(FORWARDER, "StatusText"), "its status")

    def test_a_running_template_upgrades_and_removes_it(self):
        self.boot(products.packages().vm_rpm)
        os.mkdir(self.root.inside("run/qubes-service"))
        pathlib.Path(self.root.inside("run/qubes-service/autoattach")).touch()
        self.root.run("systemctl", "start", FORWARDER)
        pid = self.show(FORWARDER, "MainPID")
        self.root.run("rpm", "-U", "--nodeps",
                      self.root.bring(products.upgrade().vm_rpm))
        self.root.run("/usr/lib/systemd/systemd-update-helper",
                      "system-reload-restart")
        wait_for(lambda: self.show(FORWARDER, "MainPID") not in ("0", pid),
                 "a new forwarder")
        self.root.run("rpm", "-e", "--nodeps", "qubes-autoattach-vm")
        self.assertEqual(self.state(FORWARDER), "inactive")
