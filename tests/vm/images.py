# SPDX-License-Identifier: GPL-2.0-or-later
"""What is on the sticks."""

import atexit
import functools
import pathlib
import shutil
import struct
import tempfile

from root import run

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="autoattach-sticks-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
MIB = 1024 * 1024
SIZE = 16 * MIB
FAT_UUID, FAT_LABEL = "3F2A-91C0", "BACKUP"
LUKS_UUID = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0ff"
PART_UUIDS = ("6f2c1f0e-3b1d-4a57-9d0e-0a1b2c3d4e5f",
              "7f2c1f0e-3b1d-4a57-9d0e-0a1b2c3d4e5f")
PART_LABELS = ("first", 'zw\u00f6lf "Teile"')
LABEL_UUID = "26946e89-0391-4947-8095-8bc63b79ca56"
DATA_UUID = "11111111-2222-4333-8444-555555555555"


def blank(name: str) -> pathlib.Path:
    path = FOLDER / name
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


@functools.cache
def empty() -> pathlib.Path:
    return blank("empty")


@functools.cache
def fat() -> pathlib.Path:
    path = blank("fat")
    run("mkfs.vfat", "-n", FAT_LABEL, "-i", FAT_UUID.replace("-", ""), path)
    return path


@functools.cache
def labelled(label: bytes) -> pathlib.Path:
    """An ext4 whose label is any 16 bytes."""
    path = blank(f"label-{label.hex()}")
    run("mke2fs", "-q", "-t", "ext4", "-O", "^metadata_csum", "-U",
        LABEL_UUID, path)
    with path.open("r+b") as file:
        # superblock at 1024, its s_volume_name at 120
        file.seek(1024 + 120)
        file.write(label.ljust(16, b"\0"))
    return path


@functools.cache
def gpt() -> pathlib.Path:
    """Two partitions; the second has a file system."""
    path, part = blank("gpt"), FOLDER / "part"
    run("sfdisk", "-q", path, input="label: gpt\n" + "".join(
        f'start={start}MiB, size=6MiB, uuid={uuid}, name="{label}"\n'
        for start, uuid, label in ((1, PART_UUIDS[0], PART_LABELS[0]),
                                   (8, PART_UUIDS[1], "second"))))
    run("sfdisk", "-q", "--part-label", path, "2", PART_LABELS[1])
    with part.open("wb") as file:
        file.truncate(6 * MIB)
    run("mke2fs", "-q", "-t", "ext4", "-L", "data", "-U", DATA_UUID, part)
    with path.open("r+b") as file:
        file.seek(8 * MIB)
        file.write(part.read_bytes())
    return path


@functools.cache
def luks() -> pathlib.Path:
    """A LUKS1 header without a key slot in use: what udev knows it by."""
    path = blank("luks")
    header = struct.pack(">6sH32s32s32sII20s32sI40s", b"LUKS\xba\xbe", 1, b"aes",
                         b"xts-plain64", b"sha256", 4096, 64, bytes(20),
                         bytes(32), 1000, LUKS_UUID.encode())
    with path.open("r+b") as file:
        file.write(header)
    return path
