#!/usr/bin/python3 -IS
# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's end of the rig: qrexec agent, Qubes' udev rules, a shell.

Frames go over a virtio port to the host and back. It passes calls of
qrexec-client-vm on, tells of each event of the kernel and of udev, with the
time at which it was seen here, and runs commands for the test.
"""

import array
import json
import os
import socket
import struct
import subprocess
import threading
import time

PORT = "/dev/virtio-ports/rig"
CALLS = "/run/qubes/qrexec-agent.sock"
QUBES_GID = 98
HEADER = struct.Struct("!cII")
CHUNK = 65536
NETLINK_KOBJECT_UEVENT = 15
GROUP_KERNEL, GROUP_UDEV = 1, 2
SO_RCVBUFFORCE = 33
# after "libudev": magic, size of header, offset and length of properties
UDEV_HEADER = struct.Struct("=8s4I")
# the kernel tells of eight disks faster than this reads
RECEIVE_BUFFER = 16 * 1024 * 1024


class Port:
    """Frames: a type, whom it is for, bytes."""

    def __init__(self):
        self.fd = os.open(PORT, os.O_RDWR | os.O_CLOEXEC)
        self.lock = threading.Lock()

    def send(self, kind, number, data=b""):
        frame = HEADER.pack(kind, number, len(data)) + data
        with self.lock:
            while frame:
                frame = frame[os.write(self.fd, frame):]

    def read(self, n):
        data = b""
        while len(data) < n:
            more = os.read(self.fd, n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def receive(self):
        kind, number, n = HEADER.unpack(self.read(HEADER.size))
        return kind, number, self.read(n)


def in_background(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()


class Call:
    """One qrexec-client-vm, which passed us its input and output."""

    def __init__(self, port, number, connection, calls):
        self.port = port
        self.number = number
        self.connection = connection
        self.closing = threading.Lock()
        self.open = True
        fds = array.array("i")
        service, ancillary, _, _ = connection.recvmsg(
            4096, socket.CMSG_SPACE(2 * fds.itemsize))
        if not ancillary:
            # who only looks whether it can be reached
            connection.close()
            return
        fds.frombytes(ancillary[0][2])
        self.stdin, self.stdout = fds
        # the answer may come before this goes on
        calls[number] = self
        port.send(b"c", number, service)
        in_background(self.pass_on)
        in_background(self.watch)

    def pass_on(self):
        """What the caller writes."""
        try:
            while data := os.read(self.stdin, CHUNK):
                self.port.send(b"d", self.number, data)
        except OSError:
            pass
        os.close(self.stdin)
        self.port.send(b"e", self.number)

    def watch(self):
        """A caller that is killed."""
        try:
            gone = not self.connection.recv(1)
        except OSError:
            gone = True
        if gone:
            self.port.send(b"g", self.number)

    def write(self, data):
        try:
            while data:
                data = data[os.write(self.stdout, data):]
        except OSError:
            self.port.send(b"g", self.number)

    def end(self, status):
        """The service closed: the caller ends, its end of the pipes with it."""
        with self.closing:
            if self.open:
                self.open = False
                os.close(self.stdout)
                try:
                    self.connection.sendall(status)
                    self.connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


def run(port, number, command):
    """A command of the test: its status and what it wrote."""
    done = subprocess.run(["/bin/sh", "-c", command], check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    port.send(b"r", number, struct.pack("!i", done.returncode) + done.stdout)


def uevents(group):
    """The properties of each event, as they come."""
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                         NETLINK_KOBJECT_UEVENT)
    link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    link.bind((0, group))
    while True:
        message = link.recv(CHUNK)
        seen = time.monotonic()
        if group == GROUP_UDEV:
            prefix, _, _, offset, length = UDEV_HEADER.unpack_from(message)
            if prefix != b"libudev\0":
                continue
            message = message[offset:offset + length]
        words = message.decode("utf-8", "replace").split("\0")
        yield seen, dict(word.split("=", 1) for word in words if "=" in word)


def tell_device(port, origin, seen, properties):
    if properties.get("SUBSYSTEM") == "block" or \
            properties.get("DEVTYPE") == "usb_device":
        size = None
        try:
            with open(f"/sys{properties['DEVPATH']}/size", encoding="ascii") as file:
                size = int(file.read())
        except OSError:
            pass
        port.send(b"u", 0, json.dumps({
            "origin": origin, "seen": seen, "size": size,
            "properties": properties}).encode())


def tell_events(port, group):
    for seen, properties in uevents(group):
        tell_device(port, "udev" if group == GROUP_UDEV else "kernel", seen,
                    properties)


def tell_present(port):
    """All that udev has told of before we listened."""
    listing = subprocess.run(["udevadm", "info", "--export-db"], check=True,
                             stdout=subprocess.PIPE).stdout.decode("utf-8",
                                                                   "replace")
    for paragraph in listing.split("\n\n"):
        properties = dict(line[3:].split("=", 1)
                          for line in paragraph.splitlines()
                          if line.startswith("E: "))
        if "USEC_INITIALIZED" in properties:
            tell_device(port, "present", time.monotonic(), properties)


def accept_calls(port, calls, listener):
    number = 0
    while True:
        connection, _ = listener.accept()
        number += 1
        Call(port, number, connection, calls)


def main():
    port = Port()
    calls = {}
    os.makedirs(os.path.dirname(CALLS), exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(CALLS)
    os.chown(CALLS, 0, QUBES_GID)
    os.chmod(CALLS, 0o660)
    listener.listen(64)
    in_background(tell_events, port, GROUP_KERNEL)
    in_background(tell_events, port, GROUP_UDEV)
    in_background(accept_calls, port, calls, listener)
    tell_present(port)
    port.send(b"h", 0)
    subprocess.run(["systemd-notify", "--ready"], check=True)
    while True:
        kind, number, data = port.receive()
        if kind == b"x":
            in_background(run, port, number, data.decode())
        elif kind == b"t":
            port.send(b"t", number, struct.pack("!d", time.monotonic()))
        elif kind == b"d":
            calls[number].write(data)
        elif kind == b"q":
            calls.pop(number).end(data)


main()
