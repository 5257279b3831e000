# SPDX-License-Identifier: GPL-2.0-or-later
"""Installed, upgraded and removed in a system that does not run."""

import os
import pathlib
import stat
import unittest

import products
from root import Root

POLICY = "etc/qubes/policy.d/80-qubes-autoattach.policy"
EXAMPLE = "etc/qubes/autoattach.d/50-example.rules"
MINE = "etc/qubes/autoattach.d/30-user.rules"
WANTS = "etc/systemd/system"
DOM0_LINKS = {
    f"{WANTS}/multi-user.target.wants/qubes-autoattachd.service",
    f"{WANTS}/multi-user.target.wants/qubes-autoattachd-agent.path",
    f"{WANTS}/sockets.target.wants/qubes-autoattachd-event.socket",
    f"{WANTS}/sockets.target.wants/qubes-autoattachd-control.socket",
}
VM_LINK = f"{WANTS}/multi-user.target.wants/qubes-autoattach-forwarder.service"
# where "qubesctl top.enable" makes a link, and to what
TOPS = {"srv/salt/_tops/base": "/srv/salt/qubes-autoattach/init.top",
        "srv/pillar/_tops/base": "/srv/pillar/base/qubes-autoattach/init.top"}
PROGRAMS = {"dom0": ("/usr/libexec/qubes/qubes-autoattachd",
                     "/usr/bin/qvm-autoattach"),
            "vm": ("/usr/libexec/qubes/qubes-autoattach-forwarder",
                   "/usr/bin/qubes-autoattach-send")}


class InstallTest(unittest.TestCase):
    def setUp(self):
        self.root = Root()
        self.addCleanup(self.root.remove)
        self.before = self.root.found()

    def installed(self):
        return self.root.found() - self.before

    def links(self):
        return {name for name in self.installed() if name.startswith(WANTS)}

    def rpm(self, option, *packages):
        return self.root.run("rpm", option, "--nodeps",
                             *(self.root.bring(package) if
                               isinstance(package, pathlib.Path) else package
                               for package in packages))

    def dpkg(self, option, package):
        if isinstance(package, pathlib.Path):
            package = self.root.bring(package)
        return self.root.run("dpkg", "--force-depends", "--force-confold",
                             option, package)

    def expect_programs(self, kind):
        for program in PROGRAMS[kind]:
            self.assertEqual(self.root.run(program, "--version"),
                             f"{pathlib.Path(program).name} {products.VERSION}\n")

    def expect_nobody_in_qubes(self):
        line, = [line for line in self.root.read("etc/group").splitlines()
                 if line.startswith("qubes:")]
        self.assertEqual(line, f"qubes:x:{Root.QUBES_GID}:")

    # dom0

    def test_dom0_has_the_right_owners_and_modes(self):
        self.rpm("-i", products.packages().dom0)
        self.assertEqual(self.root.run("rpm", "-V", "--nodeps",
                                       "qubes-autoattach-dom0"), "")
        policy = (self.root.path / POLICY).stat()
        self.assertEqual((stat.S_IMODE(policy.st_mode), policy.st_uid,
                          policy.st_gid), (0o664, 0, Root.QUBES_GID))
        for name in (EXAMPLE, "etc/qubes/autoattach.d"):
            status = (self.root.path / name).stat()
            self.assertEqual((status.st_uid, status.st_gid,
                              status.st_mode & 0o022), (0, 0, 0))
        self.assertEqual(os.readlink(
            self.root.path / "etc/qubes-rpc/autoattach.Event"),
            "/run/qubes-autoattach/event.sock")
        self.expect_programs("dom0")
        self.expect_nobody_in_qubes()

    def test_dom0_enables_its_units_though_dom0_disables_all(self):
        self.rpm("-i", products.packages().dom0)
        self.assertEqual(self.links(), DOM0_LINKS)

    def test_the_example_in_dom0_does_nothing(self):
        self.rpm("-i", products.packages().dom0)
        self.assertEqual(self.root.run("qvm-autoattach", "check"),
                         "1 file, no rules, no errors\n")

    def test_an_upgrade_in_dom0_keeps_what_a_person_changed(self):
        self.rpm("-i", products.packages().dom0)
        self.root.write(POLICY, "# mine\n", 0o664)
        self.root.write(MINE, "mine: deny usb\n")
        self.root.run("systemctl", "disable", "qubes-autoattachd-agent.path")
        self.rpm("-U", products.upgrade().dom0)
        self.assertEqual(self.root.read(POLICY), "# mine\n")
        self.assertIn("# newer", self.root.read(f"{POLICY}.rpmnew"))
        self.assertEqual(self.root.read(MINE), "mine: deny usb\n")
        self.assertIn("# newer", self.root.read(EXAMPLE))
        self.assertEqual(self.links(), {name for name in DOM0_LINKS
                                        if "agent" not in name})

    def test_removal_leaves_in_dom0_what_a_person_wrote_and_no_more(self):
        self.rpm("-i", products.packages().dom0)
        self.root.write(POLICY, "# mine\n", 0o664)
        self.root.write(MINE, "mine: deny usb\n")
        self.rpm("-e", "qubes-autoattach-dom0")
        self.assertEqual(self.installed(),
                         {"etc/qubes/autoattach.d", f"{POLICY}.rpmsave"})
        self.assertEqual(self.root.read(MINE), "mine: deny usb\n")

    def test_removal_without_changes_leaves_nothing_in_dom0(self):
        self.rpm("-i", products.packages().dom0)
        self.rpm("-e", "qubes-autoattach-dom0")
        self.assertEqual(self.installed(), set())

    def test_removal_leaves_no_link_of_salt_that_leads_nowhere(self):
        """With one "qubesctl --targets" can copy /srv to no qube."""
        self.rpm("-i", products.packages().dom0)
        for tops, top in TOPS.items():
            (self.root.path / tops).mkdir(parents=True)
            (self.root.path / tops / "qubes-autoattach.top").symlink_to(top)
        self.rpm("-e", "qubes-autoattach-dom0")
        self.assertEqual(self.installed(), set())

    # Fedora templates

    def test_a_fedora_template_gets_all_of_it(self):
        self.rpm("-i", products.packages().vm_rpm)
        self.assertEqual(self.root.run("rpm", "-V", "--nodeps",
                                       "qubes-autoattach-vm"), "")
        self.assertEqual(self.links(), {VM_LINK})
        self.expect_programs("vm")
        self.expect_announcement()
        self.rpm("-U", products.upgrade().vm_rpm)
        self.assertEqual(self.links(), {VM_LINK})
        self.rpm("-e", "qubes-autoattach-vm")
        self.assertEqual(self.installed(), set())

    # Debian templates

    def test_a_debian_template_gets_all_of_it(self):
        self.dpkg("-i", products.packages().vm_deb)
        self.assertEqual(self.root.run("dpkg", "-V", "qubes-autoattach-vm"), "")
        self.assertIn(VM_LINK, self.links())
        self.expect_programs("vm")
        self.expect_announcement()
        self.expect_nobody_in_qubes()

    def test_an_upgrade_in_debian_keeps_what_a_person_changed(self):
        announcement = "etc/qubes/post-install.d/30-qubes-autoattach.sh"
        self.dpkg("-i", products.packages().vm_deb)
        self.root.write(announcement, "# mine\n", 0o755)
        self.root.run("systemctl", "disable", "qubes-autoattach-forwarder")
        self.dpkg("-i", products.upgrade().vm_deb)
        self.assertEqual(self.root.read(announcement), "# mine\n")
        self.assertNotIn(VM_LINK, self.links())

    def test_a_purge_leaves_nothing_in_debian(self):
        self.dpkg("-i", products.packages().vm_deb)
        self.dpkg("--remove", "qubes-autoattach-vm")
        self.assertFalse((self.root.path / PROGRAMS["vm"][0][1:]).exists())
        self.dpkg("--purge", "qubes-autoattach-vm")
        self.assertEqual(self.installed(), set())

    def expect_announcement(self):
        """What qubes.PostInstall runs tells dom0 of the service."""
        self.root.write("usr/bin/qvm-features-request",
                        '#!/bin/sh\necho "request $*"\n', 0o755)
        self.assertEqual(
            self.root.run("/etc/qubes/post-install.d/30-qubes-autoattach.sh"),
            "request supported-service.autoattach=1\n")
        (self.root.path / "usr/bin/qvm-features-request").unlink()

    # what the packages ask for

    def test_dom0_has_what_the_package_asks_for(self):
        self.assertEqual([wanted for wanted in
                          products.requirements(products.packages().dom0)
                          if not products.dom0_has(wanted)], [])

    def test_what_dom0_lacks_would_be_noticed(self):
        for wanted in ("libc.so.6(GLIBC_2.41)(64bit)", "libudev.so.1()(64bit)",
                       "libsystemd.so.0(LIBSYSTEMD_257)(64bit)",
                       "libjansson.so.4(libjansson.so.4)(64bit)", "perl"):
            self.assertFalse(products.dom0_has(wanted))
