# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket: one JSON object a line in, one answer line out."""

import asyncio
import json
import pathlib
import random

from .commands import Commands
from .errors import ApiError
from .service import Service


class Control(Service):
    """Runs {"cmd": NAME, ...}; answers {"ok": true, ...} or with an error.

    Commands on one connection run one after the other, those of several
    connections at the same time.
    """

    name = "control"

    def __init__(self, path: pathlib.Path, rng: random.Random, commands: Commands):
        super().__init__(path, rng, commands.sim.log)
        self.commands = commands
        self.pieces = False

    async def serve(self, reader: asyncio.StreamReader,
                    writer: asyncio.StreamWriter) -> None:
        """Until the client has had enough."""
        while line := await reader.readline():
            answer = await self._run(line)
            await self.send(writer, json.dumps(answer).encode("ascii") + b"\n")

    async def _run(self, line: bytes) -> dict:
        try:
            words = json.loads(line)
            result = await self.commands.run(words.pop("cmd"), words)
        except TimeoutError:
            return {"ok": False, "error": "timeout"}
        except (ApiError, AttributeError, KeyError, TypeError, ValueError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}
        return {"ok": True, **(result or {})}
