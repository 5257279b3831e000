#!/usr/bin/python3 -IS
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a unit's sandbox lets through: run in its place, tells as JSON."""

import ctypes
import json
import os
import socket
import sys

FOLDERS = ("/", "/etc", "/etc/qubes/autoattach.d", "/etc/qubes/policy.d", "/usr",
           "/usr/bin", "/var", "/var/lib", "/var/log", "/root", "/home",
           "/opt", "/srv", "/boot", "/run", "/run/qubes", "/run/systemd",
           "/run/qubes-autoattach", "/run/qubes-autoattachd", "/run/lock",
           "/dev", "/dev/shm", "/proc/sys/kernel", "/sys", "/sys/fs/cgroup",
           "/tmp", "/var/tmp")
FAMILIES = ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET",
            "AF_VSOCK", "AF_BLUETOOTH", "AF_ALG")
FILES = ("/etc/shadow", "/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda",
         "/proc/kcore", "/proc/1/environ", "/proc/swaps",
         "/proc/sys/kernel/random/boot_id")
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
libc = ctypes.CDLL(None, use_errno=True)


def can_write(folder):
    path = os.path.join(folder, "probe")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError:
        return False
    os.unlink(path)
    return True


def can_open(family):
    try:
        kind = socket.SOCK_RAW if family == "AF_NETLINK" else socket.SOCK_DGRAM
        if family == "AF_ALG":
            kind = socket.SOCK_SEQPACKET
        socket.socket(getattr(socket, family), kind).close()
    except OSError:
        return False
    return True


def can_read(path):
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError:
        return False
    return True


def can_connect(path):
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
    except OSError:
        return False
    return True


print(json.dumps({
    "writes": [folder for folder in FOLDERS if can_write(folder)],
    "families": [family for family in FAMILIES if can_open(family)],
    "reads": [path for path in FILES if can_read(path)],
    "connects": [path for path in sys.argv[1:] if can_connect(path)],
    "namespaces": [name for name, flag in (("user", CLONE_NEWUSER),
                                           ("mount", CLONE_NEWNS))
                   if libc.unshare(flag) == 0],
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "uid": os.getuid(),
    "groups": os.getgroups(),
}))
