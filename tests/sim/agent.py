# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy agent of a desktop session (WIRE 4): prompts and notifications.

A prompt is a window. It stays open until it is clicked, also when the one who
asked has closed the connection long ago.
"""

import asyncio
import dataclasses
import json
import pathlib
import random

from .behaviour import Behaviour
from .calllog import Call, CallLog
from .faults import Holds
from .service import Service

REQUEST_MAX = 1024 * 1024
ASK = "policy.Ask"
NOTIFY = "policy.Notify"


@dataclasses.dataclass
class Window:
    """A prompt on the screen."""

    id: int
    params: dict
    offered: list
    call: Call
    answer: asyncio.Future

    def as_json(self) -> dict:
        """What a test may see of it."""
        return {"id": self.id, "params": self.params, "offered": self.offered,
                "open": not self.answer.done(), "call": self.call.n,
                "caller_gone": self.call.abandoned}


class Agent(Service):
    """Answers prompts from a script; without one they wait to be clicked."""

    name = "agent"

    def __init__(self, path: pathlib.Path, rng: random.Random, log: CallLog,
                 behaviour: Behaviour, holds: Holds):
        super().__init__(path, rng, log)
        self.behaviour = behaviour
        self.holds = holds
        self.script: list = []
        self.default: object = "hang"
        self.windows: dict[int, Window] = {}
        self.max_open = 0
        self._n = 0

    def load(self, spec: dict) -> None:
        """Take {default, script}."""
        self.default = spec.get("default", self.default)
        self.script += spec.get("script", [])

    def as_spec(self) -> dict:
        """What load() takes, and whether somebody is logged in."""
        return {"default": self.default, "script": self.script,
                "present": self.is_up}

    @property
    def open_windows(self) -> list[Window]:
        """The windows that nobody has clicked."""
        return [w for w in self.windows.values() if not w.answer.done()]

    def click(self, answer: object, window_id: int | None = None) -> int:
        """The person answers a window, the oldest open one by default."""
        windows = [w for w in self.open_windows if window_id in (None, w.id)]
        if not windows:
            raise ValueError("no such open window")
        windows[0].answer.set_result(answer)
        self.log.changes.notify()
        return windows[0].id

    async def serve(self, reader: asyncio.StreamReader,
                    writer: asyncio.StreamWriter) -> None:
        """Header NUL JSON, to the end of input; plain text comes back."""
        self.pieces = self.behaviour.pieces
        raw = await self.read_request(reader, REQUEST_MAX)
        header, params = parse_prompt(raw or b"")
        call = self.begin_call(
            method=header[0], arg=str(params.get("argument", "")),
            src=str(params.get("source", "")), dest=str(params.get("target", "")),
            payload="", request=raw or b"", detail=params)
        await self.holds.wait("begin", call.method, call.dest, call.arg)
        if call.method == ASK and params:
            await self._prompt(call, params, writer)
        else:
            self.log.end(call, "answered")

    async def _prompt(self, call: Call, params: dict,
                      writer: asyncio.StreamWriter) -> None:
        """`icons` must hold the source; a target without icon is not offered."""
        icons = params.get("icons", {})
        if params.get("source") not in icons:
            self.log.end(call, "answered")
            return
        offered = [name for name in params.get("targets", []) if name in icons]
        window = self._open(call, params, offered)
        step = self.script.pop(0) if self.script else self.default
        if step != "hang":
            await self._play(window, step)
        answer = await window.answer
        await self._tell(window, answer, writer)

    def _open(self, call: Call, params: dict, offered: list) -> Window:
        self._n += 1
        future = asyncio.get_running_loop().create_future()
        window = Window(self._n, params, offered, call, future)
        self.windows[window.id] = window
        self.max_open = max(self.max_open, len(self.open_windows))
        self.log.changes.notify()
        return window

    @staticmethod
    async def _play(window: Window, step: object) -> None:
        """A scripted answer, at once or {"delay": seconds, "answer": ...}."""
        if isinstance(step, dict) and "delay" in step:
            await asyncio.sleep(step["delay"])
            step = step.get("answer", step)
        if not window.answer.done():
            window.answer.set_result(step)

    async def _tell(self, window: Window, answer: object,
                    writer: asyncio.StreamWriter) -> None:
        """allow[:TARGET], deny, empty, garbage, die, or {data|die: text}."""
        dies = answer == "die" or isinstance(answer, dict) and "die" in answer
        if isinstance(answer, dict):
            text = str(answer.get("data", answer.get("die", "")))
        else:
            text = str(answer)
        if text == "allow":
            first = next(iter(window.offered), "")
            text = f"allow:{window.params.get('default_target') or first}"
        data = {"empty": b"", "garbage": b"\xffal\x00low:\n", "die": b"allow:"}.get(
            text, text.encode("utf-8"))
        self.log.end(window.call, "cut-off" if dies else "answered", data)
        await self.send(writer, data)
        if dies:
            self._grave = asyncio.get_running_loop().create_task(self.crash())

    async def crash(self) -> None:
        """With the agent its windows are gone."""
        for window in self.open_windows:
            window.answer.cancel()
        await super().crash()


def parse_prompt(raw: bytes) -> tuple[list[str], dict]:
    """The header's words and the JSON object; an empty one if it is none."""
    header, _, body = raw.partition(b"\0")
    words = header.decode("latin-1").split(" ")
    try:
        params = json.loads(body)
    except ValueError:
        return words, {}
    return words, params if isinstance(params, dict) else {}
