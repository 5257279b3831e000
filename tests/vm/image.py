# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's kernel, its disk and what starts it, made of Debian packages.

Three layers, each kept in a folder named for what it is made of:

    base      Debian with a kernel, as mmdebstrap installs it
    packages  our own packages, and the dom0 package once more, newer
    image     base, with our packages installed: disk and initial RAM disk
"""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "packaging"))
from root import UPDATE_HELPER, run  # noqa: E402

CACHE = pathlib.Path(os.environ.get("AUTOATTACH_VM_CACHE", TREE / "build-vm"))
# the first that can be installed: Debian 13, else 12
SUITES = tuple(os.environ.get("AUTOATTACH_VM_SUITES",
                              "trixie bookworm").split())
MIRROR = os.environ.get("AUTOATTACH_VM_MIRROR")
INCLUDE = ("linux-image-amd64", "systemd-sysv", "udev", "dbus", "kmod",
           "python3", "busybox-static", "libjansson4", "libudev1", "rpm",
           "fdisk", "dosfstools",
           *(["umockdev"] if os.environ.get("AUTOATTACH_VM_RECORD") else []))
# what no scenario here meets, and what no screen shows
MODULES_LEFT_OUT = ("drivers/ata", "drivers/comedi", "drivers/cpufreq",
                    "drivers/crypto", "drivers/gpu", "drivers/hwmon",
                    "drivers/i2c", "drivers/iio", "drivers/infiniband",
                    "drivers/input/misc", "drivers/input/mouse",
                    "drivers/isdn", "drivers/media", "drivers/mfd",
                    "drivers/mtd", "drivers/net", "drivers/platform",
                    "drivers/staging", "drivers/watchdog", "arch/x86/kvm",
                    "fs/bcachefs", "fs/btrfs", "fs/ceph", "fs/gfs2", "fs/nfs",
                    "fs/ocfs2", "fs/smb", "fs/xfs", "net/bluetooth",
                    "net/mac80211", "net/netfilter", "net/openvswitch",
                    "net/sctp", "net/tipc", "net/wireless", "sound")
# takes time, and is no part of what is asked here
UNITS_LEFT_OUT = ("getty.target", "systemd-logind.service", "apt-daily.timer",
                  "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
                  "fstrim.timer", "e2scrub_all.timer",
                  "systemd-timesyncd.service", "modprobe@configfs.service",
                  "modprobe@efi_pstore.service", "modprobe@fuse.service",
                  "ldconfig.service", "systemd-random-seed.service",
                  "systemd-binfmt.service", "systemd-user-sessions.service",
                  "proc-sys-fs-binfmt_misc.automount",
                  "sys-kernel-config.mount", "sys-fs-fuse-connections.mount",
                  "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
                  "dev-hugepages.mount", "dev-mqueue.mount",
                  "systemd-journal-catalog-update.service",
                  "systemd-hwdb-update.service", "systemd-update-done.service",
                  "systemd-journal-flush.service")
# the last, so that the rig's port is there early
BOOT_MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic",
                "virtio_console")
# on a busy machine the kernel takes longer than systemd's 90 s to find it
PORT_UNIT = "dev-virtio\\x2dports-rig.device"
QUBES_GID = 98
DISK_SIZE = "1200M"
# of a mirror that does not answer
INSTALL_DEADLINE = 1800
NEWER = "1.0.0.1"

CONTROL = """\
Package: rig
Version: 1
Architecture: all
Maintainer: nobody <nobody@localhost>
Provides: qubes-core-agent, qubes-core-qrexec
Description: Stand-ins for the packages of Qubes
"""

# $4: what package managers expect of a system; in a container that may not
# mount they do without
INSTALL = """
[ "$4" = no ] || mount -t proc proc "$0/proc"
chroot "$0" dpkg -i "$1" "$2"
chroot "$0" systemctl enable qubes-qrexec-agent.service qubes-sysinit.service
chroot "$0" rpm -i --nodeps --noplugins "$3"
"""


def tell(what: str):
    print(f"   {what}", flush=True)


def digest(*parts) -> str:
    """Of texts, and of files with their modes."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, pathlib.Path):
            total.update(f"{part.name} {part.stat().st_mode}\0".encode())
            total.update(part.read_bytes())
        else:
            total.update(repr(part).encode())
    return total.hexdigest()[:16]


def kept(name: str, key: str, make) -> pathlib.Path:
    """The folder of @key, made by make(folder) if it is not there whole."""
    folder = CACHE / f"{name}-{key}"
    if folder.exists():
        os.utime(folder)
        return folder
    for old in CACHE.glob(f"{name}-*"):
        shutil.rmtree(old)
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = CACHE / f"{name}-{key}.new"
    unfinished.mkdir(mode=0o755)
    begun = time.monotonic()
    make(unfinished)
    unfinished.rename(folder)
    tell(f"{name} made in {time.monotonic() - begun:.0f} s")
    return folder


# base

def debootstrap(folder: pathlib.Path):
    said = ""
    for suite in SUITES:
        done = subprocess.run(
            ["mmdebstrap", "--variant=minbase", "--mode=root",
             f"--include={','.join(INCLUDE)}",
             "--aptopt=Apt::Install-Recommends \"false\"",
             "--aptopt=Acquire::Retries \"3\"",
             # what dpkg syncs is thrown away if the power fails
             "--dpkgopt=force-unsafe-io",
             "--dpkgopt=path-exclude=/usr/share/doc/*",
             "--dpkgopt=path-exclude=/usr/share/man/*",
             "--dpkgopt=path-exclude=/usr/share/locale/*",
             suite, str(folder / "root"), *([MIRROR] if MIRROR else [])],
            # the kernel's own initial RAM disk is large and slow
            env={**os.environ, "INITRD": "No", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
            timeout=INSTALL_DEADLINE)
        if done.returncode == 0:
            break
        tell(f"no {suite} can be installed")
        said += done.stdout
        shutil.rmtree(folder / "root", ignore_errors=True)
    else:
        raise AssertionError(f"no Debian can be installed:\n{said}")
    prune(folder / "root")


def prune(root: pathlib.Path):
    release = kernel_release(root)
    modules = root / "usr/lib/modules" / release / "kernel"
    for name in MODULES_LEFT_OUT:
        shutil.rmtree(modules / name, ignore_errors=True)
    run("chroot", root, "depmod", release)
    for path in (root / "boot").glob("initrd*"):
        path.unlink()


def kernel_release(root: pathlib.Path) -> str:
    return next((root / "usr/lib/modules").iterdir()).name


# packages

def sources() -> list[pathlib.Path]:
    """All that gets into a package."""
    names = run("git", "-c", f"safe.directory={TREE}", "-C", TREE, "ls-files",
                "-z", "--cached", "--others", "--exclude-standard").split("\0") \
        if (TREE / ".git").exists() else \
        [str(path.relative_to(TREE)) for path in TREE.rglob("*")]
    return [TREE / name for name in sorted(names)
            if name and not name.startswith(("tests/", "build", ".", "CONTRI"))
            and not name.startswith("packaging/out")
            and (TREE / name).is_file()]


def make_packages(tree: pathlib.Path, what: str, which: str,
                  out: pathlib.Path):
    run(tree / "packaging/build.sh", what, "--only", which, "--out", out,
        timeout=1800,
        # most of it is compiled twice, and again for the next change
        env={**os.environ, "CMAKE_C_COMPILER_LAUNCHER": "ccache",
             "CCACHE_DIR": str(CACHE / "ccache"), "CCACHE_MAXSIZE": "100M",
             # wherever the tree is
             "CCACHE_BASEDIR": "/", "CCACHE_NOHASHDIR": "1"})


def build(folder: pathlib.Path):
    make_packages(TREE, "deb", "vm", folder / "now")
    make_packages(TREE, "rpm", "dom0", folder / "now-dom0")
    tree = folder / "tree"
    run(TREE / "packaging/build.sh", "source", "--out", folder)
    tree.mkdir()
    run("tar", "-xzf", *folder.glob("*.tar.gz"), "-C", tree,
        "--strip-components=1")
    (tree / "version").write_text(f"{NEWER}\n")
    changelog = tree / "packaging/debian/changelog"
    text = changelog.read_text()
    changelog.write_text(re.sub(r"\((.*?)\)", f"({NEWER})", text, count=1) +
                         "\n" + text)
    make_packages(tree, "rpm", "dom0", folder / "newer")
    shutil.rmtree(tree)
    (folder / "dom0").mkdir()
    run("sh", "-c", 'rpm2cpio "$0" | cpio -id --quiet',
        only(folder / "now-dom0", "*.rpm"), cwd=folder / "dom0")
    # as a build folder has it
    (folder / "programs").mkdir()
    (folder / "programs/dom0").symlink_to("../dom0/usr/libexec/qubes")


def only(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise AssertionError(f"{len(found)} of {pattern} in {folder}")
    return found[0]


# image

def guest_files() -> list[pathlib.Path]:
    return sorted((HERE / "guest").iterdir()) + \
        sorted((HERE.parent / "sim").glob("*.py")) + [HERE.parent / "sim/simdom0"]


def stand_ins(root: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """A package that is all that ours need of Qubes."""
    guest, tree = HERE / "guest", folder / "rig"
    for name, place in (("agent.py", "opt/rig"), ("ask.py", "opt/rig"),
                        ("probe.py", "opt/rig"),
                        ("qrexec-client-vm", "usr/bin"),
                        ("qubes-qrexec-agent.service", "usr/lib/systemd/system"),
                        ("qubes-sysinit.service", "usr/lib/systemd/system")):
        (tree / place).mkdir(parents=True, exist_ok=True)
        shutil.copy(guest / name, tree / place)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(CONTROL)
    package = root / "root/rig.deb"
    run("dpkg-deb", "--root-owner-group", "-b", tree, package)
    shutil.rmtree(tree)
    return package


def configure(root: pathlib.Path):
    with (root / "etc/group").open("a") as group:
        group.write(f"qubes:x:{QUBES_GID}:\n")
    (root / "etc/fstab").write_text("")
    (root / "etc/hostname").write_text("sys-usb\n")
    # without one it is a first boot, which takes its time
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    helper = root / "usr/lib/systemd/systemd-update-helper"
    helper.write_text(UPDATE_HELPER)
    helper.chmod(0o755)
    sim = root / "opt/rig/sim"
    shutil.copytree(HERE.parent / "sim", sim, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("__pycache__", "selftest"))
    patience = root / f"etc/systemd/system/{PORT_UNIT}.d"
    patience.mkdir()
    (patience / "patience.conf").write_text(
        "[Unit]\nJobRunningTimeoutSec=infinity\n")
    for unit in UNITS_LEFT_OUT:
        link = root / "etc/systemd/system" / unit
        if not link.is_symlink():
            link.symlink_to("/dev/null")


def show_emulated(root: pathlib.Path):
    """Qubes leaves devices of QEMU out; here they are all that there is."""
    unit = "qubes-autoattach-forwarder.service"
    path = next(path for path in (root / "usr/lib/systemd/system" / unit,
                                  root / "lib/systemd/system" / unit)
                if path.exists())
    start = re.search(r"^ExecStart=.*$", path.read_text(), re.M).group()
    drop_in = root / f"etc/systemd/system/{unit}.d"
    drop_in.mkdir(parents=True)
    (drop_in / "emulated.conf").write_text(
        f"[Service]\nExecStart=\n{start} --export-qemu\n")


def make_newer(deb: pathlib.Path, folder: pathlib.Path, newer: pathlib.Path):
    """The same files in a package of another version."""
    tree = folder / "newer.d"
    run("dpkg-deb", "-R", deb, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub("(?m)^Version: .*$", f"Version: {NEWER}",
                              control.read_text()))
    run("dpkg-deb", "--root-owner-group", "-b", tree, newer)
    shutil.rmtree(tree)


def assemble(folder: pathlib.Path, base: pathlib.Path, packages: pathlib.Path):
    root = folder / "root"
    run("cp", "-a", base / "root", root)
    rig = stand_ins(root, folder)
    configure(root)
    deb = only(packages / "now", "*.deb")
    rpm = only(packages / "now-dom0", "*.rpm")
    for path in (deb, rpm):
        shutil.copy(path, root / "root")
    shutil.copy(only(packages / "newer", "*.rpm"),
                root / "root/newer.rpm")
    make_newer(deb, folder, root / "root/newer.deb")
    apart = ["unshare", "--mount"]
    mounts = subprocess.run([*apart, "true"], stderr=subprocess.DEVNULL,
                            check=False).returncode == 0
    said = run(*(apart if mounts else []), "sh", "-ec", INSTALL, root,
               *(f"/root/{path.name}" for path in (rig, deb, rpm)),
               "yes" if mounts else "no",
               env={**os.environ, "SYSTEMD_OFFLINE": "1"})
    (folder / "install.log").write_text(said)
    if "warning: %" in said:
        raise AssertionError(said)
    show_emulated(root)
    make_initrd(root, folder)
    release = kernel_release(root)
    shutil.copy(root / "boot" / f"vmlinuz-{release}", folder / "kernel")
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", root,
        folder / "disk", DISK_SIZE)
    shutil.rmtree(root)


def make_initrd(root: pathlib.Path, folder: pathlib.Path):
    tree = folder / "initrd.d"
    (tree / "bin").mkdir(parents=True)
    (tree / "modules").mkdir()
    busybox = next(path for path in (root / "usr/bin/busybox",
                                     root / "bin/busybox") if path.exists())
    shutil.copy(busybox, tree / "bin")
    shutil.copy(HERE / "guest/init", tree)
    order = []
    for name in BOOT_MODULES:
        # one that is built in, or is none of this kernel, has nothing to show
        shown = subprocess.run(
            ["chroot", root, "modprobe", "-S", kernel_release(root),
             "--show-depends", name], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, check=False).stdout
        order += [root / line.split()[1].lstrip("/")
                  for line in shown.splitlines() if line.startswith("insmod ")]
    order = list(dict.fromkeys(order))
    for path in order:
        unpack = ["xz", "-dc"] if path.suffix == ".xz" else ["cat"]
        with (tree / "modules" / path.name.removesuffix(".xz")).open("wb") as file:
            subprocess.run([*unpack, path], stdout=file, check=True)
    (tree / "modules/order").write_text("".join(
        f"{path.name.removesuffix('.xz')}\n" for path in order))
    run("sh", "-c", f"find . | cpio -o -H newc --quiet >{folder}/initrd",
        cwd=tree)
    shutil.rmtree(tree)


def ensure() -> tuple[pathlib.Path, pathlib.Path]:
    """The folders of the image and of the packages."""
    # side by side: one waits for the mirror and for dpkg
    with concurrent.futures.ThreadPoolExecutor() as pool:
        base_made = pool.submit(
            kept, "base", digest(SUITES, INCLUDE, MODULES_LEFT_OUT, MIRROR),
            debootstrap)
        packages = kept("packages", digest(NEWER, *sources()), build)
        base = base_made.result()
    image = kept("image", digest(base.name, packages.name,
                                 pathlib.Path(__file__), *guest_files()),
                 lambda folder: assemble(folder, base, packages))
    return image, packages


if __name__ == "__main__":
    try:
        ensure()
    except (AssertionError, subprocess.SubprocessError) as error:
        sys.exit(f"tests/vm: {error}")
