# SPDX-License-Identifier: GPL-2.0-or-later
"""The stand-in for qrexec-client-vm (WIRE 2)."""

import os
import socket
import subprocess
import tempfile
import unittest

from sim.client import HERE

QREXEC_CLIENT = HERE / "qrexec-client-vm"

class Qrexec(unittest.TestCase):
    """The stand-in for qrexec-client-vm, WIRE 2."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="aa-")
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        self.server = socket_server(os.path.join(self.dir, "autoattach.Event"))
        self.addCleanup(self.server.close)

    def call(self, service="autoattach.Event", **env):
        """A running call with pipes."""
        process = subprocess.Popen(
            [QREXEC_CLIENT, "--", "dom0", service], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"SIM_QREXEC_DIR": self.dir, **env})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def accept(self):
        """The service's end of the call."""
        peer, _ = self.server.accept()
        peer.settimeout(20)
        self.addCleanup(peer.close)
        return peer

    def read(self, peer, length):
        """Exactly so many bytes."""
        data = b""
        while len(data) < length and (chunk := peer.recv(length - len(data))):
            data += chunk
        return data

    def test_descriptors(self):
        for env, expected in (
                ({}, b"autoattach.Event+ sys-usb name dom0\0hi"),
                ({"SIM_QREXEC_DESCRIPTOR": "keyword", "SIM_QREXEC_FRAMING": "joined",
                  "SIM_QREXEC_SOURCE": "sys-x"},
                 b"autoattach.Event+ sys-x keyword adminvm\0hi"),
                ({"SIM_QREXEC_FRAMING": "bytes"},
                 b"autoattach.Event+ sys-usb name dom0\0hi")):
            with self.subTest(env=env):
                process = self.call(**env)
                process.stdin.write(b"hi")
                process.stdin.close()
                self.assertEqual(self.read(self.accept(), 1000), expected)

    def test_the_callers_end_is_passed_on_and_the_answer_comes_back(self):
        process = self.call()
        process.stdin.close()
        peer = self.accept()
        self.assertTrue(self.read(peer, 1000).endswith(b"\0"))
        peer.sendall(b"x" * 30000)
        peer.close()
        self.assertEqual(len(process.stdout.read()), 30000)
        self.assertEqual(process.wait(20), 0)

    def test_if_the_service_closes_the_call_ends_at_once(self):
        process = self.call()
        self.accept().close()
        self.assertEqual(process.wait(20), 0)
        process.stdin.close()

    def test_if_it_only_shuts_down_the_call_lasts(self):
        process = self.call()
        peer = self.accept()
        descriptor = len(b"autoattach.Event+ sys-usb name dom0\0")
        self.read(peer, descriptor)
        peer.shutdown(1)
        process.stdin.write(b"still here")
        process.stdin.flush()
        self.assertEqual(self.read(peer, 10), b"still here")
        self.assertIsNone(process.poll())
        process.stdin.close()
        self.assertEqual(self.read(peer, 1), b"")
        self.assertEqual(process.wait(20), 0)

    def test_calls_that_do_not_come_about(self):
        refuse = os.path.join(self.dir, "refuse")
        process = self.call("autoattach.Nosuch")
        self.assertEqual(process.wait(20), 127)
        process.stdin.close()
        self.server.close()
        process = self.call()
        self.assertEqual(process.wait(20), 125)
        process.stdin.close()
        with open(refuse, "w", encoding="ascii"):
            pass
        process = self.call(SIM_QREXEC_REFUSE=refuse)
        self.assertEqual(process.wait(20), 126)
        process.stdin.close()


def socket_server(path):
    """A listening Unix socket."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen()
    server.settimeout(20)
    return server
