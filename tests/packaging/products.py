# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages under test, built once for all of them."""

import functools
import os
import pathlib
import re
import tempfile

from root import WORK, run

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
VERSION = (TREE / "version").read_text(encoding="ascii").strip()
NEWER = "1.0.0.1"


class Packages:
    """What build.sh made in @folder."""

    def __init__(self, folder: pathlib.Path):
        self.sums = (folder / "SHA256SUMS").read_text(encoding="ascii")
        self.dom0 = self.only(folder, "qubes-autoattach-dom0-*.rpm")
        self.vm_rpm = self.only(folder, "qubes-autoattach-vm-*.rpm")
        self.vm_deb = self.only(folder, "qubes-autoattach-vm_*.deb")
        self.all = (self.dom0, self.vm_rpm, self.vm_deb)

    @staticmethod
    def only(folder: pathlib.Path, pattern: str) -> pathlib.Path:
        found = list(folder.glob(pattern))
        if len(found) != 1:
            raise AssertionError(f"{len(found)} of {pattern} in {folder}")
        return found[0]


def build(tree: pathlib.Path, name: str, **environment) -> Packages:
    out = WORK / name
    log = run(tree / "packaging/build.sh", "all", "--out", out, cwd=tree,
              env={**os.environ, **environment}, timeout=1800)
    (WORK / f"{name}.log").write_text(log)
    return Packages(out)


def source(name: str) -> pathlib.Path:
    """The tree as a tarball has it, unpacked: no clone."""
    out, tree = WORK / f"{name}-tarball", WORK / name
    run(TREE / "packaging/build.sh", "source", "--out", out)
    tree.mkdir()
    run("tar", "-xzf", Packages.only(out, "*.tar.gz"), "-C", tree,
        "--strip-components=1")
    return tree


@functools.cache
def packages() -> Packages:
    return build(TREE, "first")


@functools.cache
def rebuilt() -> Packages:
    """Of the same sources, at another place and time, for someone else."""
    return build(source("elsewhere"), "second", TZ="Asia/Kathmandu",
                 LC_ALL="C", HOME=tempfile.mkdtemp(dir=WORK))


@functools.cache
def upgrade() -> Packages:
    """A newer version, in which a policy, a rule file and a unit changed."""
    tree = source("newer")
    (tree / "version").write_text(f"{NEWER}\n")
    changelog = tree / "packaging/debian/changelog"
    text = changelog.read_text()
    changelog.write_text(re.sub(r"\((.*?)\)", f"({NEWER})", text, count=1) +
                         "\n" + text)
    for name in ("policy/80-qubes-autoattach.policy",
                 "packaging/rules/50-example.rules",
                 "packaging/post-install.d/30-qubes-autoattach.sh"):
        with (tree / name).open("a") as file:
            file.write("# newer\n")
    return build(tree, "upgrade")


# dom0 of R4.3 is Fedora 41: glibc 2.40, systemd 256, jansson 2.13 without
# versions of symbols
DOM0_HAS = {
    "/bin/sh", "coreutils", "findutils", "qubes-core-dom0 >= 4.3.0",
    "qubes-core-qrexec-dom0", "systemd", "rtld(GNU_HASH)",
    "libc.so.6()(64bit)", "libjansson.so.4()(64bit)",
    "libsystemd.so.0()(64bit)",
}
DOM0_VERSIONS = ((r"libc\.so\.6\(GLIBC_2\.(\d+)(?:\.\d+)?\)\(64bit\)", 40),
                 (r"libsystemd\.so\.0\(LIBSYSTEMD_(\d+)\)\(64bit\)", 256))


def requirements(package: pathlib.Path) -> list[str]:
    """What @package needs from others."""
    return [line for line in
            run("rpm", "-qp", "--requires", package).splitlines()
            if not line.startswith(("rpmlib(", "config("))]


def dom0_has(wanted: str) -> bool:
    if wanted in DOM0_HAS:
        return True
    return any((match := re.fullmatch(pattern, wanted)) and
               int(match.group(1)) <= newest
               for pattern, newest in DOM0_VERSIONS)
