# SPDX-License-Identifier: GPL-2.0-or-later
"""usb-qube.sh: the USB qube's part without a package in the template."""

import os
import pathlib
import unittest

import products
from root import Root, run

SCRIPT = products.TREE / "packaging/usb-qube.sh"
FORWARDER = "qubes-autoattach-forwarder.service"
INSTALLED = {
    "rw/config/rc.local.d/50-qubes-autoattach.rc",
    "rw/usrlocal/bin/qubes-autoattach-send",
    "rw/usrlocal/lib/systemd/system/qubes-autoattach-forwarder.service",
    "rw/usrlocal/libexec/qubes/qubes-autoattach-forwarder",
}


class UsbQubeTest(unittest.TestCase):
    def setUp(self):
        self.root = Root()
        self.addCleanup(self.root.remove)
        self.be("rw-only")
        for folder in ("rw/config", "rw/usrlocal/bin", "rw/usrlocal/lib"):
            (self.root.path / folder).mkdir(parents=True)
        # in a qube it is mounted there
        local = self.root.path / "usr/local"
        if local.exists():
            run("rm", "-r", local)
        local.symlink_to("/rw/usrlocal")
        self.script = self.root.bring(SCRIPT)

    def be(self, persistence):
        self.root.write("usr/bin/qubesdb-read",
                        f'#!/bin/sh\n[ "$1" != /qubes-vm-persistence ] ||\n'
                        f'    echo {persistence}\n', 0o755)

    def boot(self, service=True):
        self.root.boot()
        if service:
            os.mkdir(self.root.inside("run/qubes-service"))
            pathlib.Path(self.root.inside("run/qubes-service/autoattach")).touch()

    def call(self, *words, status=0):
        return self.root.run(self.script, *words, status=status)

    def show(self, name):
        return self.root.run("systemctl", "show", "-P", name, FORWARDER).strip()

    def expect_running(self):
        self.assertEqual(self.show("ActiveState"), "active")
        program = os.readlink(self.root.inside(
            f"proc/{self.show('MainPID')}/exe"))
        self.assertTrue(program.endswith(
            "/rw/usrlocal/libexec/qubes/qubes-autoattach-forwarder"), program)

    def installs_and_removes(self, package):
        before = self.root.found()
        self.boot()
        said = self.call("install", self.root.bring(package))
        self.assertIn("The forwarder is installed and runs.", said)
        self.assertEqual(self.root.found() - before, INSTALLED)
        self.expect_running()
        # again, over it
        self.assertIn("runs", self.call("install", f"/root/{package.name}"))

        # the next start of the qube, as qubes-misc-post.service does it
        self.root.stop()
        self.boot()
        self.root.run("/rw/config/rc.local.d/50-qubes-autoattach.rc")
        self.root.run("systemctl", "start", FORWARDER)
        self.expect_running()
        self.assertEqual(
            self.root.run("qubes-autoattach-send", "--version"),
            f"qubes-autoattach-send {products.VERSION}\n")

        self.assertIn("Nothing", self.call("remove"))
        self.assertEqual(self.show("ActiveState"), "inactive")
        self.assertEqual(self.root.found(), before)
        self.assertEqual(sorted(os.listdir(self.root.path / "rw/config")), [])
        self.assertEqual(sorted(os.listdir(self.root.path / "rw/usrlocal")),
                         ["bin", "lib"])
        self.assertIn("not installed", self.call("status"))

    def test_the_deb_is_installed_and_removed(self):
        self.installs_and_removes(products.packages().vm_deb)

    def test_the_rpm_is_installed_and_removed(self):
        self.installs_and_removes(products.packages().vm_rpm)

    def test_without_the_service_it_waits_for_it(self):
        self.boot(service=False)
        said = self.call("install", self.root.bring(products.packages().vm_deb))
        self.assertIn("qvm-service sys-usb autoattach on", said)
        self.assertEqual(self.show("ActiveState"), "inactive")

    def test_it_is_refused_where_it_would_be_lost_or_is_not_needed(self):
        package = self.root.bring(products.packages().vm_deb)
        for persistence, word in (("full", "package itself"),
                                  ("none", "disposable template")):
            self.be(persistence)
            self.assertIn(word, self.call("install", package, status=1))
        self.be("rw-only")
        self.root.write("run/qubes-service/custom-persist", "")
        self.assertIn("custom-persist", self.call("install", package, status=1))
        self.assertEqual(os.listdir(self.root.path / "rw/config"), [])

    def test_a_wrong_package_changes_nothing(self):
        other = self.root.bring(products.packages().dom0)
        self.assertIn("qubes-autoattach-vm",
                      self.call("install", other, status=1))
        self.assertIn("no file", self.call("install", "/x.deb", status=1))
        self.assertIn(".rpm", self.call("install", self.script, status=64))
        self.assertEqual(os.listdir(self.root.path / "rw/config"), [])

    def test_wrong_usage_is_told(self):
        for words in ([], ["install"], ["remove", "x"], ["undo"]):
            self.assertIn("--help", self.call(*words, status=64))

    def test_help_is_there_by_its_letter_too(self):
        for word in ("-h", "--help"):
            self.assertIn("Usage:", self.call(word))
