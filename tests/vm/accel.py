# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs the machine's instructions: KVM where it is asked for and works.

There are machines whose /dev/kvm is there and hangs whoever uses it. So another
process tries it, and is given up after a while, even if it cannot be killed.
"""

import contextlib
import functools
import os
import pathlib
import subprocess
import tempfile
import time

TCG = "tcg,thread=multi"
PROBE_DEADLINE = 20
# the kernel's first words
WORDS = b"Linux version"


def probe(kernel: pathlib.Path, deadline: float) -> bool:
    """Whether a kernel says something under KVM before the deadline."""
    with tempfile.TemporaryDirectory(prefix="autoattach-kvm-") as folder:
        console = pathlib.Path(folder, "console")
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "qemu-system-x86_64",
             "-accel", "kvm", "-M", "q35", "-m", "256", "-nodefaults",
             "-display", "none", "-nic", "none", "-no-reboot", "-kernel",
             os.fspath(kernel), "-append", "console=ttyS0 panic=-1",
             "-serial", f"file:{console}"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + deadline
        while True:
            over = process.poll() is not None or time.monotonic() > end
            found = console.exists() and WORDS in console.read_bytes()
            if found or over:
                break
            time.sleep(0.05)
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
        return found


@functools.cache
def choose(kernel: pathlib.Path) -> str:
    """What QEMU's -accel takes."""
    if os.environ.get("AUTOATTACH_VM_ACCEL", "tcg") != "kvm":
        return TCG
    if not probe(kernel, PROBE_DEADLINE):
        print(f"   KVM does not work within {PROBE_DEADLINE} s, so without it",
              flush=True)
        return TCG
    return "kvm"
