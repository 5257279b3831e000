# SPDX-License-Identifier: GPL-2.0-or-later
"""Things that break or sleep while sticks come and go."""

import image
import images
from rig import FORWARDER, UsbQubeCase


class RoughTest(UsbQubeCase):
    def setUp(self):
        super().setUp()
        self.stays, _ = self.plug_stick(images.fat(), "STAYS002", port="3")
        self.goes, _ = self.plug_stick(images.fat(), "GOES0001", port="4")

    def swap(self):
        """One is pulled and another is put in."""
        self.machine.unplug(self.goes)
        self.machine.plug(self.stick(images.gpt(), "COMES001", "5"))

    def expect_swapped(self):
        self.rig.expect_truth("STAYS002", "COMES001")

    def pid(self) -> str:
        return self.machine.show(FORWARDER, "MainPID")

    def test_a_killed_forwarder_comes_back_with_the_whole_picture(self):
        pid = self.pid()
        since = self.rig.mark()
        self.machine.run(f"systemctl kill -s KILL {FORWARDER}")
        self.swap()
        self.rig.wait_line(lambda line: line.get("type") == "synced",
                           "a new picture", since)
        self.expect_swapped()
        self.assertNotIn(self.pid(), ("0", pid))

    def test_a_forwarder_that_hangs_is_replaced(self):
        self.assertEqual(self.machine.show(FORWARDER, "WatchdogUSec"), "30s")
        drop_in = f"/run/systemd/system/{FORWARDER}.d"
        self.addCleanup(self.machine.run, f"rm -r {drop_in};"
                        "systemctl daemon-reload &&"
                        f"systemctl restart {FORWARDER}")
        self.machine.run(f"""
            set -e
            mkdir -p {drop_in}
            printf '[Service]\nWatchdogSec=4s\n' >{drop_in}/soon.conf
            systemctl daemon-reload
            systemctl restart {FORWARDER}""")
        self.rig.expect_truth("STAYS002", "GOES0001")
        pid = self.pid()
        since = self.rig.mark()
        self.machine.run(f"kill -STOP {pid}")
        self.swap()
        self.rig.wait_line(lambda line: line.get("type") == "synced",
                           "a new picture", since)
        self.expect_swapped()
        self.assertIn("watchdog", self.machine.run(
            f"journalctl -b -u {FORWARDER} --no-pager").lower())
        self.assertNotIn(self.pid(), ("0", pid))

    def test_an_upgrade_of_its_package_loses_nothing(self):
        pid = self.pid()
        since = self.rig.mark()
        self.machine.start("dpkg -i /root/newer.deb")
        self.swap()
        self.rig.wait_line(lambda line: line.get("type") == "synced",
                           "a new picture", since)
        self.expect_swapped()
        self.machine.wait("dpkg-query -W -f '${Status} ${Version}' "
                          "qubes-autoattach-vm",
                          f"install ok installed {image.NEWER}")
        self.assertNotIn(self.pid(), ("0", pid))

    def test_a_killed_qrexec_client_is_called_again(self):
        pid = self.pid()
        since = self.rig.mark()
        self.machine.run("kill -9 $(pidof -x qrexec-client-vm)")
        self.swap()
        self.rig.wait_line(lambda line: line.get("type") == "synced",
                           "a new picture", since)
        self.expect_swapped()
        self.assertEqual(self.pid(), pid)

    def test_a_restart_of_udevd_loses_nothing(self):
        self.machine.run("systemctl restart systemd-udevd.service")
        self.swap()
        self.expect_swapped()

    def test_what_happens_while_udevd_hangs_is_told_when_it_goes_on(self):
        self.machine.run("systemctl kill -s STOP systemd-udevd.service")
        self.swap()
        self.machine.run("systemctl kill -s CONT systemd-udevd.service")
        self.expect_swapped()

    def test_a_killed_udevd_loses_nothing(self):
        self.machine.run("systemctl kill -s KILL systemd-udevd.service")
        self.swap()
        self.expect_swapped()

    def test_a_restart_of_the_daemon_loses_nothing(self):
        self.rig.daemon.restart()
        self.swap()
        self.expect_swapped()

    def test_a_killed_daemon_loses_nothing(self):
        self.rig.daemon.kill()
        self.swap()
        self.rig.daemon.start()
        self.expect_swapped()

    def test_what_happens_while_it_sleeps_is_told_when_it_wakes(self):
        self.machine.run("echo 1 >/sys/power/pm_debug_messages")
        self.machine.start("echo freeze >/sys/power/state")
        self.machine.wait_console("PM: suspend-to-idle")
        self.swap()
        # as on a laptop, the button ends the sleep; nothing else listens to it
        self.machine.qmp.call("system_powerdown")
        self.machine.wait_console("PM: suspend exit")
        self.expect_swapped()
