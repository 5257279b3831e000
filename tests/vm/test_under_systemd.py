# SPDX-License-Identifier: GPL-2.0-or-later
"""The units of the dom0 package, in a machine that plays dom0.

In it the simulator stands in for qubesd, the policy daemon and the agent. The
same machine is one whose USB qube's service is off.
"""

import contextlib
import json
import pathlib
import re
import tempfile
import unittest

import image
import notes
from machine import Machine
from rig import FORWARDER, IMAGE, the_machine

DAEMON = "qubes-autoattachd.service"
EVENT = "/run/qubes-autoattach/event.sock"
CONTROL = "/run/qubes-autoattach/control.sock"
SOCKETS = ("qubes-autoattachd-event.socket", "qubes-autoattachd-control.socket")
STICK = [{"backend": "sys-usb", "port": "2-1", "class": "usb",
          "identity": "0781:5581:4C530001:u080650"},
         {"backend": "sys-usb", "port": "sda", "class": "block",
          "parent": "2-1", "interface": "1.0"}]
WORLD = {"qubes": {"sys-usb": {"state": "Running"}, "work": {"state": "Running"},
                   "halted": {"state": "Halted"}}, "devices": STICK}
HELLO = '{"type":"hello","version":1,"boot_id":"%s","agent":"t"}' % ("0" * 32)
DISK = '{"type":"event","seq":%d,"action":"%s","class":"block",' \
       '"device":"sda","parent":"2-1","properties":{"vendor_id":"0781",' \
       '"product_id":"5581","devtype":"disk"}}'
SYNCED = '{"type":"synced"}'
DESCRIPTOR = "autoattach.Event+ sys-usb name dom0\\0"


class Nobody:
    """Who cares for what the agent tells of devices."""

    def on_frame(self, *_):
        """Not told of further."""


def boot(stack: contextlib.ExitStack) -> Machine:
    folder = stack.enter_context(
        tempfile.TemporaryDirectory(prefix="autoattach-dom0-"))
    machine = Machine(IMAGE, pathlib.Path(folder), Nobody())
    stack.callback(machine.close)
    notes.add(f"dom0 was {machine.describe()}")
    machine.run(f"""
        set -e
        install -d -m 2770 -g qubes /run/sim /run/qubes
        echo '{json.dumps(WORLD)}' >/run/sim/world.json
        systemd-run -q --unit=simdom0 -p Group=qubes -p UMask=0007 \\
            /usr/bin/python3 /opt/rig/sim/simdom0 --dir /run/sim \\
            --scenario /run/sim/world.json
        until [ -S /run/sim/sim.sock ]; do sleep 0.1; done
        ln -s /run/sim/qubesd.sock /run/qubesd.sock
        ln -s /run/sim/policy.sock /run/qubes/policy.sock
        echo 'sticks: allow block type disk to work' \\
            >/etc/qubes/autoattach.d/50-test.rules""")
    return machine


class Dom0Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.machine = the_machine(boot)

    def report(self, *lines: str) -> list[dict]:
        """One call of autoattach.Event, and what it is answered."""
        text = DESCRIPTOR + "\n".join(lines) + "\n"
        said = self.machine.run(f"/opt/rig/ask.py {EVENT} '{text}'")
        return [json.loads(line) for line in said.splitlines()]

    def expect_attached(self):
        answers = self.report(HELLO, DISK % (1, "add"))
        self.assertIn(answers[0]["code"], (200, 201), answers)
        self.assertEqual(self.sim("state")["state"]["devices"][1]["attachment"],
                         "work")

    def sim(self, command: str, **words) -> dict:
        request = json.dumps({"cmd": command, **words})
        return json.loads(self.machine.run(
            f"/opt/rig/ask.py /run/sim/sim.sock '{request}\n'"))

    def main_pid(self) -> str:
        return self.machine.show(DAEMON, "MainPID")

    def wait_qubesd(self):
        self.machine.wait(
            "qvm-autoattach status --json | grep -c '\"state\": *\"ready\"'"
            " | head -1", "1")

    def wait_new_daemon(self, pid: str):
        self.machine.wait(
            f"p=$(systemctl show -P MainPID {DAEMON});"
            f"[ $p != 0 ] && [ $p != {pid} ] && systemctl is-active {DAEMON}",
            "active")


class UnitsTest(Dom0Case):
    def test_the_units_run_from_boot_on(self):
        for unit in (DAEMON, *SOCKETS, "qubes-autoattachd-agent.path"):
            self.assertEqual(self.machine.show(unit, "ActiveState"), "active",
                             unit)
        self.assertNotIn("autoattach",
                         self.machine.run("systemctl --failed --plain"))

    def test_without_the_service_no_forwarder_runs(self):
        self.assertEqual(self.machine.show(FORWARDER, "ActiveState"), "inactive")
        self.assertEqual(self.machine.show(FORWARDER, "NRestarts"), "0")
        self.assertEqual(self.machine.run(f"systemctl is-enabled {FORWARDER}"),
                         "enabled\n")
        self.machine.run("pidof qubes-autoattach-forwarder", status=1)

    def test_it_reaches_qubesd_and_attaches(self):
        self.expect_attached()
        said = json.loads(self.machine.run("qvm-autoattach status --json"))
        self.assertEqual([device["target"] for device in said["attached"]],
                         ["work"])

    def test_what_it_did_is_in_the_journal_with_its_fields(self):
        self.expect_attached()
        self.report(HELLO, DISK % (1, "remove"))
        self.machine.run("journalctl --sync")
        lines = [json.loads(line) for line in self.machine.run(
            f"journalctl -b -u {DAEMON} -o json AUTOATTACH_CODE=203").splitlines()]
        self.assertTrue(lines)
        for name, value in (("SOURCE", "sys-usb"), ("DEVICE", "sda"),
                            ("CLASS", "block"), ("STATUS", "detached")):
            self.assertEqual(lines[-1][f"AUTOATTACH_{name}"], value)

    def test_varlinkctl_speaks_with_it(self):
        if self.machine.run("command -v varlinkctl", status=None) == "":
            self.skipTest("this Debian has no varlinkctl")
        said = self.machine.run(f"varlinkctl info {CONTROL}")
        self.assertIn("org.qubes-contrib.autoattach", said)
        self.machine.run(f"varlinkctl introspect {CONTROL} "
                         "org.qubes-contrib.autoattach")
        said = self.machine.run(f"varlinkctl call -j {CONTROL} "
                                "org.qubes-contrib.autoattach.GetStatus '{}'")
        self.assertIn("qubesd", json.loads(said))


class SandboxTest(Dom0Case):
    def probe(self, unit: str, connects: str = "") -> dict:
        """What the unit's own sandbox lets through, just before it starts."""
        self.addCleanup(
            self.machine.run, f"rm -r /run/systemd/system/{unit}.d;"
            f"systemctl daemon-reload && systemctl restart {unit}")
        self.machine.run(f"""
            set -e
            mkdir -p /run/systemd/system/{unit}.d
            rm -f /run/probe
            printf '[Service]\\n%s\\n%s\\n%s\\n' \\
                'ExecStartPre=/opt/rig/probe.py {connects}' \\
                StandardOutput=append:/run/probe StandardError=journal \\
                >/run/systemd/system/{unit}.d/probe.conf
            systemctl daemon-reload
            systemctl restart {unit}""")
        return json.loads(self.machine.run("head -n 1 /run/probe"))

    def test_the_daemon_reaches_sockets_and_its_folder_alone(self):
        found = self.probe(DAEMON, "/run/qubesd.sock /run/qubes/policy.sock")
        self.assertEqual(found["connects"], ["/run/qubesd.sock",
                                             "/run/qubes/policy.sock"])
        self.assertEqual(found["families"], ["AF_UNIX"])
        self.assertEqual(found["writes"], ["/run/qubes-autoattachd", "/tmp",
                                           "/var/tmp"])
        self.assertEqual(found["reads"], [])
        self.assertEqual(found["namespaces"], [])
        self.assertNotEqual(found["uid"], 0)
        self.assertIn(image.QUBES_GID, found["groups"])

    def test_what_opens_the_agents_socket_writes_its_folder_alone(self):
        self.machine.run("touch /run/qubes/policy-agent.sock")
        self.addCleanup(self.machine.run, "rm /run/qubes/policy-agent.sock")
        found = self.probe("qubes-autoattachd-agent.service")
        self.assertEqual(found["writes"], ["/run/qubes", "/tmp", "/var/tmp"])
        self.assertEqual(found["families"], [])
        self.assertEqual(found["namespaces"], [])

    def test_the_forwarder_reaches_udev_and_qrexec_alone(self):
        self.machine.run("mkdir /run/qubes-service;"
                         "touch /run/qubes-service/autoattach")
        self.addCleanup(self.machine.run, "rm -r /run/qubes-service;"
                        f"systemctl stop {FORWARDER}")
        found = self.probe(FORWARDER, "/run/qubes/qrexec-agent.sock "
                                      "/run/qubesd.sock")
        self.assertIn("/run/qubes/qrexec-agent.sock", found["connects"])
        self.assertEqual(found["families"], ["AF_UNIX", "AF_NETLINK"])
        self.assertEqual(found["writes"], ["/tmp", "/var/tmp"])
        self.assertEqual(found["reads"], ["/proc/swaps",
                                          "/proc/sys/kernel/random/boot_id"])
        self.assertEqual(found["namespaces"], [])
        self.assertNotEqual(found["uid"], 0)

    def test_systemd_finds_little_exposed(self):
        for unit, most in ((DAEMON, 1.0), (FORWARDER, 2.0),
                           ("qubes-autoattachd-agent.service", 2.0)):
            said = self.machine.run("systemd-analyze security --no-pager "
                                    f"{unit} | tail -n 1")
            figure = float(re.search(r"([0-9.]+) [A-Z]+", said).group(1))
            notes.add(f"{unit}: exposure {figure}")
            self.assertLess(figure, most, said)


class RoughTest(Dom0Case):
    def test_a_killed_daemon_comes_back_and_calls_wait_for_it(self):
        for _ in range(3):
            pid = self.main_pid()
            self.machine.run(f"systemctl kill -s KILL {DAEMON}")
            # taken by the socket, answered by the next daemon
            self.expect_attached()
            self.assertNotIn(self.main_pid(), ("0", pid))
        for unit in SOCKETS:
            self.assertEqual(self.machine.show(unit, "ActiveState"), "active")

    def test_a_daemon_that_hangs_is_replaced(self):
        self.assertEqual(self.machine.show(DAEMON, "WatchdogUSec"), "30s")
        self.addCleanup(self.machine.run,
                        f"rm -r /run/systemd/system/{DAEMON}.d;"
                        "systemctl daemon-reload &&"
                        f"systemctl restart {DAEMON}")
        self.machine.run(f"""
            set -e
            mkdir -p /run/systemd/system/{DAEMON}.d
            printf '[Service]\\nWatchdogSec=4s\\n' \\
                >/run/systemd/system/{DAEMON}.d/soon.conf
            systemctl daemon-reload
            systemctl restart {DAEMON}""")
        pid = self.main_pid()
        self.machine.run(f"kill -STOP {pid}")
        self.expect_attached()
        self.wait_new_daemon(pid)
        said = self.machine.run(f"journalctl -b -u {DAEMON} --no-pager")
        self.assertIn("watchdog", said.lower())

    def test_it_is_upgraded_while_a_stream_is_connected(self):
        self.expect_attached()
        pid = self.main_pid()
        picture = DESCRIPTOR + "\n".join((HELLO, DISK % (1, "present"),
                                          SYNCED)) + "\n"
        self.machine.start(f"/opt/rig/ask.py {EVENT} '{picture}' hold "
                           ">/run/held; echo closed >>/run/held")
        self.machine.wait("grep -c '\"seq\"' /run/held", "1")
        self.machine.run("rpm -U --nodeps /root/newer.rpm && "
                         "/usr/lib/systemd/systemd-update-helper "
                         "system-reload-restart")
        self.wait_new_daemon(pid)
        self.machine.wait("tail -n 1 /run/held", "closed")
        # the forwarder connects anew, nothing is attached twice
        answers = self.report(HELLO, DISK % (1, "present"), SYNCED)
        self.assertEqual(answers[0]["code"], 201)
        said = json.loads(self.machine.run("qvm-autoattach status --json"))
        self.assertEqual(said["daemon"]["version"], image.NEWER)
