#!/usr/bin/python3 -IS
# SPDX-License-Identifier: GPL-2.0-or-later
"""ask.py SOCKET TEXT [hold]: write TEXT to a socket, print what comes.

Without "hold" the end of input is told after TEXT, and all is printed that
comes until the other side closes. With it the connection is kept until then,
and each line is printed as it comes. In TEXT "\\0" stands for a NUL byte.
"""

import socket
import sys

peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
peer.sendall(sys.argv[2].replace("\\0", "\0").encode())
if sys.argv[3:] != ["hold"]:
    peer.shutdown(socket.SHUT_WR)
while data := peer.recv(65536):
    sys.stdout.write(data.decode("utf-8", "replace"))
    sys.stdout.flush()
