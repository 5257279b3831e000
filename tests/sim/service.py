# SPDX-License-Identifier: GPL-2.0-or-later
"""A Unix socket service that can die and come back."""

import asyncio
import functools
import os
import pathlib
import random
import select
import socket
import struct

from .calllog import Call, CallLog
from .wire import cut_in_pieces

BACKLOG = 512
CHUNK = 65536
LINE_MAX = 16 * 1024 * 1024


class HangupWatch:
    """Tells when a client has closed, also after its end of input.

    asyncio stops looking at a connection whose input has ended. An epoll that
    asks for nothing still reports the hang-up.
    """

    def __init__(self, connection: socket.socket, callback):
        self._epoll = select.epoll()
        self._epoll.register(connection.fileno(), 0)
        self._callback = callback
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._hung_up)

    def _hung_up(self) -> None:
        self.close()
        self._callback()

    def close(self) -> None:
        """Look no longer."""
        if not self._epoll.closed:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()


class Service:
    """Listens at a path; each connection is a task running serve()."""

    name = "service"

    def __init__(self, path: pathlib.Path, rng: random.Random, log: CallLog):
        self.path = path
        self.rng = rng
        self.log = log
        self.pieces: bool | str = True
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._life = 0
        self._connections: dict[asyncio.Task, asyncio.StreamWriter] = {}
        self._calls: dict[asyncio.Task, Call] = {}

    async def serve(self, reader: asyncio.StreamReader,
                    writer: asyncio.StreamWriter) -> None:
        """Speak with one client; the connection is closed afterwards."""
        raise NotImplementedError

    @property
    def is_up(self) -> bool:
        """Whether somebody listens."""
        return self._server is not None

    def bind(self, mode: int = 0o660) -> None:
        """Make the socket; until listen() a connect is refused."""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            # one that was killed leaves its socket behind
            self.path.unlink(missing_ok=True)
            self._socket.bind(os.fspath(self.path))
            self.path.chmod(mode)

    async def listen(self, mode: int = 0o660) -> None:
        """Accept connections."""
        if self._server is None:
            self.bind(mode)
            self._server = await asyncio.start_unix_server(
                functools.partial(self._connected, self._life),
                sock=self._socket, backlog=BACKLOG, limit=LINE_MAX)

    async def crash(self) -> None:
        """Go away at once: no socket, no connection, no call goes on.

        An answer that was begun is there whole: the pieces are the simulator's,
        a real service has given it to the kernel in one go. What the kernel does
        not take at once, as single bytes soon fill its buffer, is sent as the
        client reads.
        """
        self._life += 1
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self.path.unlink(missing_ok=True)
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def drop(self, chosen: set) -> None:
        """Cut off some connections, given by their tasks."""
        for task in chosen:
            self._connections[task].transport.abort()
            task.cancel()

    async def _connected(self, life: int, reader: asyncio.StreamReader,
                         writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if life != self._life:
            # accepted just before the crash
            writer.transport.abort()
            return
        self._connections[task] = writer
        watch = HangupWatch(writer.get_extra_info("socket"),
                            lambda: self.on_hangup(task))
        try:
            await self.serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            watch.close()
            del self._connections[task]
            self._close_call(task)
            writer.close()

    def caller_pid(self, task: asyncio.Task) -> int:
        """The process at the other end of a connection."""
        connection = self._connections[task].get_extra_info("socket")
        return struct.unpack("3i", connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def begin_call(self, **words) -> Call:
        """Log what this connection asks for."""
        call = self.log.begin(self.name, **words)
        self._calls[asyncio.current_task()] = call
        return call

    def _close_call(self, task: asyncio.Task) -> None:
        call = self._calls.pop(task, None)
        if call is not None and call.state == "running":
            self.log.end(call, "cut-off")

    def on_hangup(self, task: asyncio.Task) -> None:
        """The client has gone; a call that runs goes on nevertheless."""
        call = self._calls.get(task)
        if call is not None and call.state in ("running", "silent"):
            call.abandoned = True
            self.log.changes.notify()

    async def send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Write, in pieces of random size unless that is switched off."""
        pieces = [data]
        if self.pieces is True:
            pieces = cut_in_pieces(data, self.rng)
        elif self.pieces == "bytes":
            pieces = [data[i:i + 1] for i in range(len(data))]
        while pieces:
            writer.write(pieces.pop(0))
            try:
                await writer.drain()
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                writer.write(b"".join(pieces))
                raise

    @staticmethod
    async def read_request(reader: asyncio.StreamReader, limit: int) -> bytes | None:
        """Everything up to the end of input; None if over the limit."""
        data = bytearray()
        while chunk := await reader.read(CHUNK):
            data += chunk
            if len(data) > limit:
                return None
        return bytes(data)
