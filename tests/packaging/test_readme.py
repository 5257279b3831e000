# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that README.md gives for dom0, word by word, in a dom0."""

import os
import pathlib
import re
import tempfile
import unittest

import products
from root import Root, run

README = (products.TREE / "README.md").read_text(encoding="utf-8")

# What a dom0 has: it provides all that the package may ask for.
DOM0_SPEC = """\
Name: a-dom0
Version: 4.3.0
Release: 1
Summary: What dom0 has
License: GPL-2.0-or-later
AutoReqProv: no
BuildArch: x86_64
{provides}
%description
For tests.
%files
"""
SHIMS = {
    "sudo": '#!/bin/sh\nexec "$@"\n',
    # a command in the qube build, where the packages and the key are
    "qvm-run": '#!/bin/sh\nif [ "$1 $2 $3" = "-u root sys-usb" ]; then\n'
               'shift 3; echo "$*" >>/root/in-sys-usb; exit\nfi\n'
               '[ "$1 $2" = "--pass-io build" ] || exit 1\n'
               'cd /home/build && exec sh -c "$3"\n',
    "gpg": '#!/bin/sh\n[ "$*" = "--export --armor build" ] && cat key.asc\n',
    "qubes-dom0-update": '#!/bin/sh\n[ "$*" = jansson ]\n',
    "qvm-service": '#!/bin/sh\necho "$*" >>/root/services\n',
}


def block(name: str) -> str:
    """The commands after the mark @name."""
    match = re.search(rf"<!-- tests/packaging runs the next block: {name} -->"
                      r"\n\n((?:    .*\n)+)", README)
    return "".join(line[4:] + "\n" for line in match.group(1).splitlines())


class ReadmeTest(unittest.TestCase):
    def setUp(self):
        self.root = Root()
        self.addCleanup(self.root.remove)
        out = self.root.path / "home/build/qubes-autoattach/packaging/out"
        out.mkdir(parents=True)
        self.package = out / products.packages().dom0.name
        self.package.write_bytes(products.packages().dom0.read_bytes())
        self.install_dom0()
        for name, text in SHIMS.items():
            self.root.write(f"usr/local/bin/{name}", text, 0o755)
        # since QSB-067
        self.root.write("etc/rpm/macros.qubes", "%_pkgverify_level all\n")

    def install_dom0(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=products.WORK))
        spec = folder / "a-dom0.spec"
        spec.write_text(DOM0_SPEC.format(provides="\n".join(
            f"Provides: {wanted.replace('>=', '=')}"
            for wanted in products.requirements(self.package)
            if products.dom0_has(wanted))))
        run("rpmbuild", "-bb", "--define", f"_topdir {folder}", spec)
        package, = folder.rglob("a-dom0-*.rpm")
        self.root.run("rpm", "-i", "--nodeps", self.root.bring(package))

    def sign(self):
        """Step 1 in the qube build."""
        home = pathlib.Path(tempfile.mkdtemp(dir=products.WORK))
        home.chmod(0o700)
        environment = {**os.environ, "GNUPGHOME": str(home)}
        run("gpg", "--batch", "--passphrase", "", "--quick-generate-key",
            "build", "default", "default", "never", env=environment)
        run("rpmsign", "--define", "__gpg /usr/bin/gpg", "--define",
            "_gpg_name build", "--addsign", self.package, env=environment)
        key = run("gpg", "--export", "--armor", "build", env=environment)
        self.root.write("home/build/key.asc", key)
        run("gpgconf", "--kill", "all", env=environment)

    def do(self, name, status=0):
        """As a person who says yes to what dnf asks."""
        return self.root.run("bash", "-ec", f"cd /root\n{block(name)}",
                             input="y\n" * 9, status=status)

    def test_the_commands_of_readme_install_and_uninstall_it(self):
        self.sign()
        self.root.boot()
        said = self.do("dom0")
        self.assertIn("digests signatures OK", said)
        self.assertIn(run("sha256sum", self.package).split()[0], said)
        self.assertIn(f"qubes-autoattachd {products.VERSION}", said)
        # dom0 does not go on taking what build signs
        self.assertEqual(self.root.run("rpm", "-q", "gpg-pubkey", status=1),
                         "package gpg-pubkey is not installed\n")

        self.do("rule")
        self.assertIn("backup: ask block", self.root.read(
            "etc/qubes/autoattach.d/30-user.rules"))

        self.do("uninstall")
        # else it is refused from now on, each time with a notification
        self.assertEqual(self.root.read("root/in-sys-usb"),
                         "systemctl stop qubes-autoattach-forwarder\n")
        self.assertEqual(self.root.read("root/services"),
                         "--unset sys-usb autoattach\n")
        self.assertEqual({name for name in self.root.found()
                          if "var/" not in name},
                         {"etc/qubes/autoattach.d"})

    def test_what_nobody_signed_is_not_installed(self):
        self.root.write("home/build/key.asc", "")
        self.root.boot()
        said = self.root.run("bash", "-c", f"cd /root\n{block('dom0')}",
                             input="y\n" * 9, status=127)
        self.assertIn("digests SIGNATURES NOT OK", said)
        self.assertEqual(self.root.run("rpm", "-q", "qubes-autoattach-dom0",
                                       status=1),
                         "package qubes-autoattach-dom0 is not installed\n")

    def test_readme_tells_of_files_that_are_there(self):
        for name in re.findall(r"`(packaging/[^` ]+)`|^    (packaging/\S+)",
                               README, re.M):
            self.assertTrue((products.TREE / "".join(name)).exists(), name)
