# SPDX-License-Identifier: GPL-2.0-or-later
"""The log of all calls, with their exact bytes."""

import dataclasses
import fnmatch
import json
import pathlib
import time

from .waiting import Changes

ANSWER_KEPT = 65536


@dataclasses.dataclass
class Call:
    """One call of one of the services, from its request on."""

    n: int
    service: str
    method: str
    arg: str
    src: str
    dest: str
    payload: str
    request: bytes
    stream: bool = False
    time: float = dataclasses.field(default_factory=time.time)
    state: str = "running"
    answer: bytes = b""
    answer_len: int = 0
    fault: str | None = None
    # the client closed before it had an answer
    abandoned: bool = False
    detail: dict = dataclasses.field(default_factory=dict)

    def as_json(self) -> dict:
        """Bytes as hex, `request_text` for those who read."""
        words = dataclasses.asdict(self)
        words["request"] = self.request.hex()
        words["request_text"] = self.request.decode("latin-1")
        words["answer"] = self.answer.hex()
        words["answer_text"] = self.answer.decode("latin-1")
        return words

    def matches(self, pattern: dict) -> bool:
        """Whether every key of the pattern fits; words are globs."""
        for key, wanted in pattern.items():
            value = getattr(self, key)
            if isinstance(wanted, str) and isinstance(value, str):
                if not fnmatch.fnmatchcase(value, wanted):
                    return False
            elif value != wanted:
                return False
        return True


class CallLog:
    """All calls since the start or the last clear."""

    def __init__(self, changes: Changes, path: pathlib.Path | None = None):
        self.calls: list[Call] = []
        # what happened, in order: calls begin and end, events, commands
        self.journal: list[dict] = []
        self.changes = changes
        self.n = 0
        self._path = path
        self._at = 0

    def note(self, what: str, **words) -> None:
        """Add to the journal."""
        self._at += 1
        self.journal.append({"at": self._at, "what": what, **words})

    def begin(self, service: str, **words) -> Call:
        """A request was read whole."""
        self.n += 1
        call = Call(n=self.n, service=service, **words)
        self.calls.append(call)
        self.note("begin", n=call.n, service=service, method=call.method,
                  arg=call.arg, dest=call.dest)
        self.changes.notify()
        return call

    def end(self, call: Call, state: str, answer: bytes = b"") -> None:
        """The call is over: answered, silent (zero bytes), or cut off."""
        call.state = state
        call.answer = answer[:ANSWER_KEPT]
        call.answer_len = len(answer)
        self.note("end", n=call.n, service=call.service, method=call.method,
                  arg=call.arg, dest=call.dest, state=state)
        if self._path is not None:
            with self._path.open("a", encoding="ascii") as file:
                file.write(json.dumps(call.as_json()) + "\n")
        self.changes.notify()

    def find(self, pattern: dict, since: int = 0) -> list[Call]:
        """The calls after number `since` that fit the pattern."""
        return [call for call in self.calls
                if call.n > since and call.matches(pattern)]

    def clear(self) -> None:
        """Forget what was logged; numbers go on."""
        self.calls.clear()
        self.journal.clear()
