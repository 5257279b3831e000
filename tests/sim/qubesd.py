# SPDX-License-Identifier: GPL-2.0-or-later
"""The Admin API daemon's socket (WIRE 1)."""

import asyncio
import contextlib
import fcntl
import pathlib
import random
import termios
import typing

from . import wire
from .attaching import Attaching
from .behaviour import Behaviour
from .calllog import Call, CallLog
from .errors import TOLD_SINCE_4_4, ApiError, Never, Silent
from .faults import AFTER, BEFORE, Fault, Faults, Holds, Latency
from .methods import Methods
from .service import Service

EVENTS = "admin.Events"
EVENTS_FLUSH_S = 1.0
TRACEBACK = "Traceback (most recent call last):\n  (simulated)\n"


class Subscriber:
    """A connection with admin.Events: frames wait here, never in the sim."""

    def __init__(self, dest: str):
        self.dest = dest
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        # some are being written
        self.is_busy = False

    def offer(self, subject: str, frame: bytes) -> None:
        """Take a frame, if it is for this one: DEST dom0 gets all."""
        if self.dest in ("dom0", subject):
            self.frames.put_nowait(frame)


class Qubesd(Service):
    """One connection, one call, answered after the end of input."""

    name = "qubesd"

    def __init__(self, path: pathlib.Path, rng: random.Random, log: CallLog,
                 methods: Methods, attaching: Attaching, behaviour: Behaviour,
                 faults: Faults, holds: Holds, latency: Latency):
        super().__init__(path, rng, log)
        self.methods = methods
        self.attaching = attaching
        self.behaviour = behaviour
        self.faults = faults
        self.holds = holds
        self.latency = latency
        self.subscribers: dict[asyncio.Task, Subscriber] = {}

    # -- events

    def emit(self, subject: str, event: str, pairs: tuple = ()) -> None:
        """Tell every subscriber."""
        self.log.note("event", subject=subject, event=event,
                      pairs={key: str(value) for key, value in pairs})
        self.emit_raw(subject, wire.event_frame(subject, event, pairs))

    def emit_raw(self, subject: str, frame: bytes) -> None:
        """Tell any bytes."""
        for subscriber in self.subscribers.values():
            subscriber.offer(subject, frame)

    def is_all_read(self) -> bool:
        """Whether every subscriber has read all that it was told."""
        for task, subscriber in self.subscribers.items():
            transport = self._connections[task].transport
            connection = transport.get_extra_info("socket")
            unread = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
            if subscriber.is_busy or not subscriber.frames.empty() or \
                    transport.get_write_buffer_size() or any(unread):
                return False
        return True

    async def _stream(self, dest: str, writer: asyncio.StreamWriter) -> typing.NoReturn:
        """admin.Events: stays open until the client goes."""
        task = asyncio.current_task()
        subscriber = self.subscribers[task] = Subscriber(dest)
        subscriber.offer(dest, wire.event_frame("", "connection-established"))
        self.log.changes.notify()
        try:
            while True:
                data, n_frames = await self._next_frames(subscriber.frames)
                subscriber.is_busy = True
                await self.send(writer, data)
                subscriber.is_busy = False
                for _ in range(n_frames):
                    subscriber.frames.task_done()
        finally:
            del self.subscribers[task]
            self.log.changes.notify()

    async def _next_frames(self, frames: asyncio.Queue) -> tuple[bytes, int]:
        """The next frame, and at random some that wait behind it, or all; and
        how many these are."""
        data, n_frames = await frames.get(), 1
        pieces = self.behaviour.pieces
        while not frames.empty() and (pieces == "joined" or (
                pieces is True and self.rng.random() < 0.5)):
            data += frames.get_nowait()
            n_frames += 1
        return data, n_frames

    async def _flush_events(self) -> None:
        """qubesd writes an event when it happens, so before the answer to the
        call that made it happen. Who does not read holds up nobody for long."""
        for subscriber in list(self.subscribers.values()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVENTS_FLUSH_S):
                    await subscriber.frames.join()

    # -- calls

    async def serve(self, reader: asyncio.StreamReader,
                    writer: asyncio.StreamWriter) -> None:
        """Nothing happens before the end of input."""
        self.pieces = self.behaviour.pieces
        raw = await self.read_request(reader, wire.REQUEST_MAX)
        try:
            request = wire.parse_request(raw) if raw is not None else None
        except wire.FramingError:
            request = None
        if request is None:
            call = self.begin_call(method="", arg="", src="", dest="", payload="",
                                   request=raw or b"")
            self.log.end(call, "framing-error")
            writer.transport.abort()
            return
        call = self.begin_call(
            method=request.method, arg=request.arg, src=request.src,
            dest=request.dest, payload=request.payload.decode("latin-1"),
            request=request.raw, stream=request.method == EVENTS)
        await self._respond(call, request, writer)

    def on_hangup(self, task: asyncio.Task) -> None:
        """Only admin.Events stops with its connection."""
        super().on_hangup(task)
        if task in self.subscribers:
            task.cancel()

    async def _respond(self, call: Call, request: wire.Request,
                       writer: asyncio.StreamWriter) -> None:
        where = (request.method, request.dest, request.arg)
        async with self.attaching.hypervisor:
            pass
        await self.holds.wait("begin", *where)
        await self.latency.wait(*where)
        fault = self.faults.take(*where)
        call.fault = fault.do if fault else None
        try:
            if request.method == EVENTS and (fault is None or fault.do not in BEFORE):
                await self._stream(request.dest, writer)
            answer = await self._answer(request, fault)
        except Never:
            self.log.end(call, "silent")
            await asyncio.Event().wait()
            return
        await self.holds.wait("answer", *where)
        cut = None
        if fault and fault.do == "half":
            cut = fault.params.get("bytes", max(1, len(answer) // 2))
        await self._flush_events()
        self.log.end(call, "answered", answer[:cut])
        await self.send(writer, answer[:cut])

    async def _answer(self, request: wire.Request, fault: Fault | None) -> bytes:
        """The answer's bytes, spoilt if a fault wants it."""
        if fault and fault.do in BEFORE:
            return _instead(fault)
        try:
            answer = wire.answer_ok(await self.methods.run(request, fault))
        except ApiError as error:
            answer = self._exception(error)
        except Silent:
            answer = b""
        finally:
            self.log.changes.notify()
        if fault and fault.do in AFTER:
            answer = await _spoil(fault, answer)
        return answer

    def _exception(self, error: ApiError) -> bytes:
        """4.2 and 4.3 say nothing where 4.4 has an exception."""
        if error.kind in TOLD_SINCE_4_4 and self.methods.world.dialect != "4.4":
            return b""
        return wire.answer_exception(error.kind, error.message,
                                     TRACEBACK if self.behaviour.debug else "")


def _instead(fault: Fault) -> bytes:
    """What comes instead of an answer; nothing is done."""
    params = fault.params
    match fault.do:
        case "silence":
            raise Never()
        case "exception":
            return wire.answer_exception(params.get("type", "QubesException"),
                                         params.get("message", "simulated"),
                                         params.get("traceback", ""))
        case "ok":
            return wire.answer_ok(params.get("data", ""))
        case "huge":
            return b"0\0".ljust(params.get("bytes", 10 * 1024 * 1024), b"x")
        case "garbage":
            return params.get("data", "\x07garbage\xff").encode("latin-1")
        case "answer":
            return bytes.fromhex(params["hex"]) if "hex" in params else \
                params["data"].encode("latin-1")
    return b""


async def _spoil(fault: Fault, answer: bytes) -> bytes:
    """What becomes of the answer to a call that did run."""
    match fault.do:
        case "delay":
            await asyncio.sleep(fault.params["seconds"])
        case "silence-after":
            raise Never()
        case "empty-after":
            return b""
    return answer
