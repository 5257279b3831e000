# SPDX-License-Identifier: GPL-2.0-or-later
"""Other people's eyes: lintian, rpmlint, mandoc, shellcheck."""

import pathlib
import unittest

import products
from root import run

HERE = pathlib.Path(__file__).resolve().parent
PACKAGING = products.TREE / "packaging"


class LintTest(unittest.TestCase):
    def test_lintian_has_nothing_to_say(self):
        said = run("lintian", "--allow-root", "--tag-display-limit", "0",
                   "--fail-on", "error,warning", products.packages().vm_deb)
        self.assertEqual([line for line in said.splitlines()
                          if line[:2] in ("E:", "W:")], [])

    def test_rpmlint_has_nothing_new_to_say(self):
        said = run("rpmlint", "-c", HERE / "rpmlint.toml",
                   products.packages().dom0, products.packages().vm_rpm)
        self.assertRegex(said, "2 packages and .* 0 errors, 0 warnings")

    def test_man_pages_are_well_formed(self):
        pages = sorted((PACKAGING / "man").glob("*.[1-8]"))
        self.assertTrue(pages)
        self.assertEqual(run("mandoc", "-T", "lint", "-W", "warning", *pages),
                         "")

    def test_shellcheck_has_nothing_to_say(self):
        scripts = [PACKAGING / "build.sh", PACKAGING / "usb-qube.sh",
                   HERE / "run.sh",
                   PACKAGING / "completion" / "qvm-autoattach",
                   *(PACKAGING / "post-install.d").glob("*.sh")]
        self.assertEqual(run("shellcheck", "-x", *scripts, cwd=products.TREE), "")
