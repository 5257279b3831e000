# SPDX-License-Identifier: GPL-2.0-or-later
"""Units, as systemd-analyze(1) sees them."""

import json
import unittest

import products
from root import Root, run

# of 10: what systemd-analyze may say at most
EXPOSURE = {
    "qubes-autoattachd.service": 1.0,
    "qubes-autoattachd-agent.service": 1.0,
    "qubes-autoattach-forwarder.service": 2.0,
}
OTHERS = ("qubes-autoattachd-event.socket", "qubes-autoattachd-control.socket",
          "qubes-autoattachd-agent.path")


class UnitsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = Root()
        for package in (products.packages().dom0, products.packages().vm_rpm):
            cls.root.run("rpm", "-i", "--nodeps", "--noscripts",
                         cls.root.bring(package))

    @classmethod
    def tearDownClass(cls):
        cls.root.remove()

    def test_all_units_verify(self):
        said = run("systemd-analyze", "verify", "--man=no",
                   f"--root={self.root.path}", *EXPOSURE, *OTHERS)
        self.assertEqual([line for line in said.splitlines()
                          if "autoattach" in line], [], said)

    def test_services_are_locked_down(self):
        for unit, most in EXPOSURE.items():
            run("systemd-analyze", "security", "--offline=true",
                f"--root={self.root.path}", "--no-pager",
                f"--threshold={int(most * 10)}", unit)

    def test_the_daemon_has_no_capability_and_no_network(self):
        found = {check["json_field"]: check["set"] for check in json.loads(run(
            "systemd-analyze", "security", "--offline=true", "--json=short",
            f"--root={self.root.path}", "qubes-autoattachd.service"))}
        # what is left open on purpose, all of it
        self.assertEqual({name for name, good in found.items() if good is False},
                         {"RootDirectoryOrRootImage", "SupplementaryGroups",
                          "RestrictAddressFamilies_AF_UNIX", "PrivateUsers",
                          "DeviceAllow"})
