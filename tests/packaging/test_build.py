# SPDX-License-Identifier: GPL-2.0-or-later
"""What build.sh makes, and what is in it."""

import pathlib
import re
import tempfile
import unittest

import yaml

import products
from root import run

LISTS = pathlib.Path(__file__).resolve().parent / "lists"
RPM_LIST = "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} " \
           "%{FILENAMES}>%{FILELINKTOS}\n]"


def rpm_contents(package: pathlib.Path) -> list[str]:
    """MODE OWNER:GROUP NAME [-> TARGET], without what differs by compiler."""
    lines = []
    for line in run("rpm", "-qp", "--qf", RPM_LIST, package).splitlines():
        line, _, target = line.partition(">")
        if "/.build-id" not in line:
            line = line.replace(f"-{products.VERSION}", "")
            lines.append(f"{line} -> {target}" if target else line)
    return sorted(lines, key=lambda line: line.split()[2])


def deb_contents(package: pathlib.Path) -> list[str]:
    lines = []
    for line in run("dpkg-deb", "-c", package).splitlines():
        mode, owner, _, _, _, name = line.split(None, 5)
        # /lib of Debian 12 is /usr/lib of later ones
        name = re.sub(r"^\./lib/", "./usr/lib/", name)
        if not mode.startswith("d"):
            lines.append(f"{mode} {owner.replace('/', ':')} {name[1:]}")
    return sorted(lines, key=lambda line: line.split()[2])


def unpacked(package: pathlib.Path) -> pathlib.Path:
    """A folder with what is in it."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=products.WORK))
    run("sh", "-c", 'dpkg-deb -x "$0" . 2>/dev/null ||'
        ' rpm2cpio "$0" | cpio -id --quiet', package, cwd=folder)
    return folder


class BuildTest(unittest.TestCase):
    maxDiff = None

    def expect(self, name: str, found: list[str]):
        wanted = [line for line in (LISTS / name).read_text().splitlines()
                  if not line.startswith("#")]
        self.assertEqual(found, wanted)

    def test_the_same_sources_give_the_same_packages(self):
        self.assertEqual(products.packages().sums.count("\n"), 3)
        self.assertEqual(products.rebuilt().sums, products.packages().sums)

    def test_other_sources_give_other_packages(self):
        self.assertFalse(set(products.upgrade().sums.split()) &
                         set(products.packages().sums.split()))

    def test_the_package_of_dom0_holds_what_it_should(self):
        self.expect("dom0.rpm", rpm_contents(products.packages().dom0))

    def test_the_rpm_of_templates_holds_what_it_should(self):
        self.expect("vm.rpm", rpm_contents(products.packages().vm_rpm))

    def test_the_deb_of_templates_holds_what_it_should(self):
        self.expect("vm.deb", deb_contents(products.packages().vm_deb))

    def test_nothing_tells_where_it_was_built(self):
        tells = [str(products.TREE).encode(), b"/tmp/tmp."]
        for package in products.packages().all:
            files = [path for path in unpacked(package).rglob("*")
                     if path.is_file()]
            self.assertGreater(len(files), 5)
            for path in files:
                for tell in tells:
                    self.assertNotIn(tell, path.read_bytes(), path)
        self.assertIn("Build Host  : localhost",
                      run("rpm", "-qip", products.packages().dom0))

    def test_dom0_s_programs_ask_for_no_version_of_jansson_s_symbols(self):
        # 2.13 has none: the dynamic linker would complain at each start
        folder = unpacked(products.packages().dom0)
        for name in ("usr/bin/qvm-autoattach",
                     "usr/libexec/qubes/qubes-autoattachd"):
            self.assertIn("[libjansson.so.4]",
                          run("readelf", "-d", folder / name))
            versions = run("readelf", "-V", folder / name)
            self.assertIn("File: libc.so.6", versions)
            self.assertNotIn("File: libjansson", versions)

    def test_the_qubes_builder_finds_what_it_is_told_of(self):
        told = yaml.safe_load((products.TREE / ".qubesbuilder").read_text())
        specs = told["host"]["rpm"]["build"] + told["vm"]["rpm"]["build"]
        self.assertEqual(len(specs), 2)
        for spec in specs:
            text = (products.TREE / f"{spec}.in").read_text()
            # what it fills in
            self.assertEqual(set(re.findall("@[A-Z]+@", text)),
                             {"@VERSION@", "@CHANGELOG@"})
            self.assertIn("Source0:        qubes-autoattach-%{version}.tar.gz",
                          text)
        deb = told["vm"]["deb"]
        self.assertEqual(deb["build"], ["packaging/debian"])
        # the way it makes a source package, and unpacks it to build
        tree = products.source("for-the-builder")
        for command in deb["source"]["commands"]:
            run("sh", "-c", command.replace("@SOURCE_DIR@", str(tree)))
        run("dpkg-source", "-b", tree, cwd=products.WORK)
        run("dpkg-source", "-x", f"qubes-autoattach_{products.VERSION}.dsc",
            "from-the-builder", cwd=products.WORK)
        self.assertTrue((products.WORK /
                         "from-the-builder/debian/rules").exists())

    def test_what_is_not_known_is_wrong_usage(self):
        for words in ([], ["tar"], ["rpm", "deb"], ["rpm", "--out"],
                      ["rpm", "--only", "all"], ["deb", "--only", "dom0"]):
            said = run(products.TREE / "packaging/build.sh", *words, status=64)
            self.assertIn("--help", said)
