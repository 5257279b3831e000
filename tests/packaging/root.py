# SPDX-License-Identifier: GPL-2.0-or-later
"""A small system in a folder, made of packages that this machine has.

Nothing is downloaded: the files of the installed packages are copied. It can be
entered with chroot(8), or booted, with systemd as the first process of
namespaces of its own.
"""

import functools
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

WORK = pathlib.Path(os.environ["AUTOATTACH_PACKAGING_WORK"])
DEADLINE = 120
# enough to boot, to be a dom0 with dnf, or a Debian template with dpkg
PACKAGES = ("bash", "coreutils", "cpio", "dash", "diffutils", "dnf", "dpkg",
            "findutils", "grep", "init-system-helpers", "libc-bin",
            "libjansson4", "libudev1", "mount", "perl-base", "procps", "rpm",
            "sed", "systemd", "tar", "util-linux")
LEFT_OUT = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/",
            "/usr/share/info/")
MERGED = ("bin", "sbin", "lib", "lib64")
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "HOME": "/root", "LC_ALL": "C.UTF-8", "TERM": "dumb"}

# What Fedora's systemd has for its macros, as the specs use them.
UPDATE_HELPER = """\
#!/bin/sh
set -eu
command=$1
shift
case $command in
install-system-units) systemctl --no-reload preset "$@" ;;
remove-system-units)
    now=
    [ ! -d /run/systemd/system ] || now=--now
    systemctl --no-reload disable $now "$@"
    ;;
mark-restart-system-units)
    [ -d /run/systemd/system ] || exit 0
    for unit; do systemctl set-property "$unit" Markers=+needs-restart || :; done
    ;;
system-reload-restart)
    [ -d /run/systemd/system ] || exit 0
    systemctl daemon-reload
    systemctl reload-or-restart --marked
    ;;
esac
"""

BOOT = """
set -e
r=$1
mount --make-rprivate /
mount --bind "$r" "$r"
mount -t tmpfs -o mode=755 dev "$r/dev"
for node in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "$r/dev/${node%:*}" c 1 "${node#*:}"
done
mkdir "$r/dev/shm" "$r/dev/pts"
ln -s /proc/self/fd "$r/dev/fd"
mount -t tmpfs shm "$r/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$r/dev/pts"
ln -s pts/ptmx "$r/dev/ptmx"
mount -t proc proc "$r/proc"
mount -t sysfs sysfs "$r/sys"
mount -t cgroup2 cgroup2 "$r/sys/fs/cgroup"
mount -t tmpfs -o mode=755 run "$r/run"
mount -t tmpfs tmp "$r/tmp"
mkdir -p "$r/host"
cd "$r"
pivot_root . host
umount -l /host
mount --make-rshared /
exec env -i container=other NOTIFY_SOCKET=/boot.sock \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --log-target=console --show-status=false \
    </dev/null >/console.log 2>&1
"""


# rpm wants / to be a mount point
ENTER = """
mount --bind "$0" "$0" && mount --rbind /dev "$0/dev" &&
    mount -t proc proc "$0/proc" && exec chroot "$0" "$@"
"""


def run(*command, **options) -> str:
    """What @command prints; an AssertionError with all of it if it fails."""
    status = options.pop("status", 0)
    options.setdefault("input", "")
    options.setdefault("timeout", 600)
    done = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != status:
        raise AssertionError(f"{' '.join(map(str, command))}: status "
                             f"{done.returncode}, not {status}\n{done.stdout}")
    return done.stdout


def wait_for(what, why: str):
    """Until @what() is true, with a deadline."""
    end = time.monotonic() + DEADLINE
    while not (result := what()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE} s: {why}")
        time.sleep(0.05)
    return result


def first_name(text: str) -> str:
    return re.split(r"[ (:\[]", text.strip())[0]


def closure(names) -> list[str]:
    """@names and all that they depend on, of what is installed here."""
    listing = run("dpkg-query", "-W", "-f",
                  "${Package}\t${db:Status-Status}\t${Pre-Depends}, ${Depends}"
                  "\t${Provides}\n")
    depends: dict[str, list[list[str]]] = {}
    providers: dict[str, str] = {}
    for line in listing.splitlines():
        name, status, wanted, provided = line.split("\t")
        if status != "installed":
            continue
        depends[name] = [[first_name(one) for one in group.split("|")]
                         for group in wanted.split(",") if group.strip()]
        providers[name] = name
        for one in provided.split(","):
            providers.setdefault(first_name(one), name)
    todo, done = list(names), set()
    for name in todo:
        if name not in providers:
            raise AssertionError(f"package {name} is not installed here")
    while todo:
        name = providers[todo.pop()]
        if name not in done:
            done.add(name)
            for group in depends[name]:
                todo += [one for one in group if one in providers][:1]
    return sorted(done)


@functools.cache
def pristine() -> pathlib.Path:
    """The files of PACKAGES and what they need, copied once."""
    path = pathlib.Path(tempfile.mkdtemp(dir=WORK))
    for folder in ("dev", "proc", "sys", "run", "tmp", "root", "etc",
                   "var/log", "var/lib/dpkg/info", "var/lib/dpkg/updates",
                   "usr/lib/systemd/system-preset"):
        (path / folder).mkdir(parents=True)
    (path / "tmp").chmod(0o1777)
    for folder in MERGED:
        (path / "usr" / folder).mkdir(exist_ok=True)
        (path / folder).symlink_to(f"usr/{folder}")
    listing = run("dpkg-query", "-L", *closure(PACKAGES))
    kept = {line for line in listing.splitlines()
            if line.startswith("/") and not line.startswith(LEFT_OUT)
            and line not in {f"/{folder}" for folder in MERGED}
            and os.path.lexists(line)}
    names = b"\0".join(line[1:].encode() for line in sorted(kept) if line[1:])
    pack = subprocess.Popen(
        ["tar", "-C", "/", "--no-recursion", "-c", "--null", "-T", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    unpack = subprocess.Popen(
        ["tar", "-C", path, "-x", "--keep-directory-symlink"],
        stdin=pack.stdout)
    pack.stdin.write(names)
    pack.stdin.close()
    if unpack.wait(DEADLINE) or pack.wait(DEADLINE):
        raise AssertionError("the files of packages could not be copied")
    run("ldconfig", "-r", path)
    return path


class Root:
    """The folder; the group qubes is in it, and nobody is a member.

    Its files are links to those of pristine(): nothing may write into one.
    """

    QUBES_GID = 98

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(dir=WORK))
        self.booted = None
        run("cp", "-a", "--link", f"{pristine()}/.", self.path)
        self.path.chmod(0o755)
        self.configure()

    def configure(self):
        self.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"
                                 "nobody:x:65534:65534:nobody:/:/bin/false\n")
        self.write("etc/group", "root:x:0:\nnogroup:x:65534:\n"
                                f"qubes:x:{self.QUBES_GID}:\n")
        self.write("etc/machine-id", "")
        self.write("etc/os-release", 'NAME="Qubes"\nVERSION_ID=4.3\nID=qubes\n')
        self.write("var/lib/dpkg/status", "")
        self.write("usr/lib/systemd/systemd-update-helper", UPDATE_HELPER, 0o755)
        # dom0 disables what nothing enables
        self.write("usr/lib/systemd/system-preset/99-qubes-default-disable.preset",
                   "disable *\n")
        # no seats and terminals here
        for unit in ("getty.target", "systemd-logind.service"):
            link = self.path / "etc/systemd/system" / unit
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to("/dev/null")

    def write(self, name: str, text: str, mode: int = 0o644):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def read(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")

    def found(self) -> set[str]:
        """All that has our name, below the folders that outlive a boot."""
        return {str(path.relative_to(self.path))
                for folder in ("etc", "usr", "srv", "var", "rw")
                for path in (self.path / folder).rglob("*")
                if "autoattach" in path.name and
                self.path / "var/tmp" not in path.parents}

    def bring(self, path: pathlib.Path) -> str:
        """Copy a file in; its name inside."""
        shutil.copy(path, self.path / "root")
        return f"/root/{path.name}"

    def run(self, *command, **options) -> str:
        """Run inside: entered by chroot, or in the booted system."""
        if self.booted is None:
            enter = ["unshare", "--mount", "sh", "-c", ENTER, self.path]
        else:
            pid = str(self.booted)
            enter = ["nsenter", "-t", pid, "-m", "-p", "-u", "-i", "-C", "-n",
                     f"--root=/proc/{pid}/root", f"--wd=/proc/{pid}/root"]
        options.setdefault("timeout", DEADLINE)
        return run(*enter, *command, env=ENVIRONMENT, **options)

    def inside(self, name: str) -> str:
        """How a file of the booted system is reached from outside."""
        return f"/proc/{self.booted}/root/{name.lstrip('/')}"

    def boot(self):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(self.path / "boot.sock"))
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc",
             "--uts", "--cgroup", "--net", "bash", "-c", BOOT, "boot",
             self.path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        end = time.monotonic() + DEADLINE
        with notify:
            while True:
                ready, _, _ = select.select([notify], [], [], 1)
                if ready and b"READY=1" in notify.recv(65536):
                    break
                if self.process.poll() is not None or time.monotonic() > end:
                    self.process.kill()
                    said = self.process.stdout.read().decode(errors="replace")
                    log = self.path / "console.log"
                    if log.exists():
                        said += log.read_text(errors="replace")
                    raise AssertionError(f"systemd does not boot here:\n{said}")
        children = pathlib.Path(f"/proc/{self.process.pid}/task/"
                                f"{self.process.pid}/children").read_text()
        self.booted = int(children.split()[0])

    def stop(self):
        """As if its power were cut: /run is gone, the rest stays."""
        os.kill(self.booted, signal.SIGKILL)
        self.process.wait(DEADLINE)
        self.process.stdout.close()
        self.booted = None
        (self.path / "boot.sock").unlink()

    def remove(self):
        if self.booted is not None:
            self.stop()
        shutil.rmtree(self.path)
