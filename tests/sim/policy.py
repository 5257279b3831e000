# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy daemon's socket (WIRE 3)."""

import asyncio
import dataclasses
import fnmatch
import pathlib
import random

from .behaviour import Behaviour
from .calllog import Call, CallLog
from .faults import Holds
from .service import Service
from .world import World

REQUEST_MAX = 4096
REQUIRED = ("source", "intended_target", "service_and_arg")
SWITCHES = ("just_evaluate", "assume_yes_for_ask")
VERDICTS = ("allow", "ask", "deny", "empty", "silence", "garbage", "death")
DENY = b"result=deny"
ALLOW = b"result=allow"


@dataclasses.dataclass
class Rule:
    """One line of the simulated policy: globs, first match wins."""

    verdict: str
    source: str = "*"
    target: str = "*"
    service: str = "*"
    argument: str = "*"

    def __post_init__(self):
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict is one of {', '.join(VERDICTS)}")

    def matches(self, question: dict) -> bool:
        """Whether the rule is about this question."""
        service, _, argument = question["service_and_arg"].partition("+")
        return all(fnmatch.fnmatchcase(value, pattern) for value, pattern in (
            (question["source"], self.source), (service, self.service),
            (question["intended_target"], self.target),
            (argument, self.argument)))


class Policy(Service):
    """Answers each question with the first rule that matches, else `default`."""

    name = "policy"

    def __init__(self, path: pathlib.Path, rng: random.Random, log: CallLog,
                 world: World, behaviour: Behaviour, holds: Holds):
        super().__init__(path, rng, log)
        self.world = world
        self.behaviour = behaviour
        self.holds = holds
        self.rules: list[Rule] = []
        self.default = "allow"

    def load(self, spec: dict) -> None:
        """Take {default, rules: [{source, target, argument, verdict}]}."""
        self.default = spec.get("default", self.default)
        if "rules" in spec:
            self.rules = [Rule(**rule) for rule in spec["rules"]]

    def as_spec(self) -> dict:
        """What load() takes."""
        return {"default": self.default,
                "rules": [dataclasses.asdict(rule) for rule in self.rules]}

    async def serve(self, reader: asyncio.StreamReader,
                    writer: asyncio.StreamWriter) -> None:
        """One question a connection: lines, ended by an empty one."""
        self.pieces = self.behaviour.pieces
        raw = await self._read_question(reader)
        question = parse_question(raw) if raw is not None else None
        words = question or {}
        target = words.get("intended_target", "")
        argument = words.get("service_and_arg", "").partition("+")[2]
        call = self.begin_call(
            method="policy", arg=argument, src=words.get("source", ""),
            dest=target, payload="", request=raw or b"", detail=words)
        await self.holds.wait("begin", "policy", target, argument)
        await self._answer(call, question, writer)

    @staticmethod
    async def _read_question(reader: asyncio.StreamReader) -> bytes | None:
        raw = b""
        while not raw.endswith(b"\n\n"):
            line = await reader.readline()
            raw += line
            if not line.endswith(b"\n") or len(raw) > REQUEST_MAX:
                return raw
            if raw == b"\n":
                return raw
        return raw

    async def _answer(self, call: Call, question: dict | None,
                      writer: asyncio.StreamWriter) -> None:
        verdict = self.verdict(question) if question else "empty"
        call.fault = verdict if verdict not in ("allow", "ask", "deny") else None
        if verdict == "silence":
            self.log.end(call, "silent")
            await asyncio.Event().wait()
        if verdict == "death":
            self.log.end(call, "cut-off")
            await self.send(writer, DENY[:4])
            self.die()
            return
        answer = self._form(verdict, question)
        self.log.end(call, "answered", answer)
        await self.send(writer, answer)

    def die(self) -> None:
        """Crash without waiting for the own connection."""
        self._grave = asyncio.get_running_loop().create_task(self.crash())

    def verdict(self, question: dict) -> str:
        """allow, ask, deny or a fault; unknown source: empty, target: deny."""
        if question["source"] not in self.world.qubes:
            return "empty"
        if not self._knows_target(question["intended_target"]):
            return "deny"
        for rule in self.rules:
            if rule.matches(question):
                return rule.verdict
        return self.default

    def _knows_target(self, target: str) -> bool:
        if target in ("@adminvm", "@dispvm", "@default"):
            return True
        return target.removeprefix("@dispvm:") in self.world.qubes

    def _form(self, verdict: str, question: dict | None) -> bytes:
        """The bytes of an answer: no trailing newline."""
        if verdict == "empty" or question is None:
            return b""
        if verdict == "garbage":
            return b"result=\xffyes\x00"
        evaluate = question.get("just_evaluate") == "yes"
        assume = question.get("assume_yes_for_ask") == "yes"
        if verdict == "ask":
            if evaluate:
                return ALLOW if assume else DENY
            verdict = "allow" if assume else self.behaviour.plain_ask
        if verdict == "deny":
            return DENY
        return ALLOW if evaluate else self._plain_allow(question)

    def _plain_allow(self, question: dict) -> bytes:
        target = question["intended_target"]
        qube = self.world.qubes.get(target)
        return (f"user=DEFAULT\nresult=allow\ntarget={target}\n"
                f"target_uuid={'uuid:' + qube.uuid if qube else ''}\n"
                f"autostart=True\nrequested_target={target}").encode("ascii")


def parse_question(raw: bytes) -> dict | None:
    """KEY=VALUE lines; None for what the real one refuses with silence."""
    words: dict[str, str] = {}
    if not raw.endswith(b"\n\n") or not raw.isascii():
        return None
    for line in raw.decode("ascii")[:-2].split("\n"):
        key, equals, value = line.partition("=")
        if not equals or key in words or key not in REQUIRED + SWITCHES:
            return None
        if key in SWITCHES and value not in ("yes", "no"):
            return None
        words[key] = value
    return words if all(key in words for key in REQUIRED) else None
