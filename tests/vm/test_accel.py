# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether KVM is used, without using it: something else plays QEMU."""

import os
import pathlib
import tempfile
import unittest
import unittest.mock

import accel

SAYS = """\
for word; do
    case $word in file:*) echo "$1: Linux version 6" >"${word#file:}";; esac
done
"""
HANGS = "exec sleep 600\n"
KERNEL = pathlib.Path("/nonexistent")


class AccelTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="autoattach-accel-")
        self.addCleanup(folder.cleanup)
        self.qemu = pathlib.Path(folder.name, "qemu-system-x86_64")
        environment = unittest.mock.patch.dict(os.environ, {
            "PATH": f"{folder.name}:{os.environ['PATH']}",
            "AUTOATTACH_VM_ACCEL": "kvm"})
        environment.start()
        self.addCleanup(environment.stop)
        accel.choose.cache_clear()
        self.addCleanup(accel.choose.cache_clear)

    def play(self, script: str):
        self.qemu.write_text(f"#!/bin/sh\n{script}", encoding="ascii")
        self.qemu.chmod(0o755)

    def test_a_kernel_that_speaks_is_kvm_that_works(self):
        for script in (SAYS, SAYS + HANGS):
            self.play(script)
            self.assertTrue(accel.probe(KERNEL, 60))
        self.assertEqual(accel.choose(KERNEL), "kvm")

    def test_kvm_that_hangs_is_given_up(self):
        self.play(HANGS)
        with unittest.mock.patch("accel.PROBE_DEADLINE", 0.5):
            self.assertEqual(accel.choose(KERNEL), accel.TCG)

    def test_kvm_that_fails_is_not_used(self):
        self.play("exit 1\n")
        self.assertEqual(accel.choose(KERNEL), accel.TCG)

    def test_kvm_is_not_even_tried_unless_asked_for(self):
        self.play(SAYS)
        del os.environ["AUTOATTACH_VM_ACCEL"]
        self.assertEqual(accel.choose(KERNEL), accel.TCG)
        self.assertEqual(list(self.qemu.parent.iterdir()), [self.qemu])
