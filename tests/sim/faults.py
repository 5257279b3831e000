# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test wants to go wrong, and calls it wants held still."""

import asyncio
import dataclasses
import fnmatch
import random

from .waiting import Changes

# instead of the call
BEFORE = ("answer", "empty", "exception", "garbage", "huge", "ok", "silence")
# the call runs, its answer is spoilt
AFTER = ("delay", "empty-after", "half", "silence-after")
# the method itself knows how it fails
INSIDE = ("fail", "wrong-device")
PHASES = ("begin", "work", "answer")


@dataclasses.dataclass
class Pattern:
    """Which calls are meant: globs."""

    method: str = "*"
    dest: str = "*"
    arg: str = "*"

    def matches(self, method: str, dest: str, arg: str) -> bool:
        """Whether a call is one of them."""
        return (fnmatch.fnmatchcase(method, self.method)
                and fnmatch.fnmatchcase(dest, self.dest)
                and fnmatch.fnmatchcase(arg, self.arg))


@dataclasses.dataclass
class Fault:
    """One thing that goes wrong for the next `count` calls that match."""

    id: int
    pattern: Pattern
    do: str
    count: int = 1
    skip: int = 0
    params: dict = dataclasses.field(default_factory=dict)


class Faults:
    """The queue of faults; the first that matches is used."""

    def __init__(self):
        self._faults: list[Fault] = []
        self._n = 0

    def add(self, spec: dict) -> int:
        """Queue {method, dest, arg, do, count, skip, ...}; count -1: always."""
        spec = dict(spec)
        pattern = Pattern(**{key: spec.pop(key) for key in ("method", "dest", "arg")
                             if key in spec})
        do = spec.pop("do")
        if do not in BEFORE + AFTER + INSIDE:
            raise ValueError(f"no such fault: {do}")
        self._n += 1
        self._faults.append(Fault(self._n, pattern, do, spec.pop("count", 1),
                                  spec.pop("skip", 0), spec))
        return self._n

    def take(self, method: str, dest: str, arg: str) -> Fault | None:
        """The fault of this call, used up by one."""
        for fault in self._faults:
            if not fault.pattern.matches(method, dest, arg):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.count > 0:
                fault.count -= 1
                if fault.count == 0:
                    self._faults.remove(fault)
            return fault
        return None

    def clear(self, fault_id: int | None = None) -> None:
        """Forget one, or all."""
        self._faults = [fault for fault in self._faults
                        if fault_id is not None and fault.id != fault_id]


@dataclasses.dataclass
class _Hold:
    id: int
    pattern: Pattern
    phase: str
    n_waiting: int = 0
    released: bool = False
    tickets: int = 0


class Holds:
    """Calls stop at a hold until it is released: order without sleeps.

    Phases: begin (nothing was done yet), work (checked, not yet done), answer
    (done, not yet told).
    """

    def __init__(self, changes: Changes):
        self._changes = changes
        self._holds: dict[int, _Hold] = {}
        self._n = 0

    def add(self, spec: dict) -> int:
        """Hold calls that match {method, dest, arg} at {phase}."""
        spec = dict(spec)
        phase = spec.pop("phase", "begin")
        if phase not in PHASES:
            raise ValueError(f"phase is one of {', '.join(PHASES)}")
        self._n += 1
        self._holds[self._n] = _Hold(self._n, Pattern(**spec), phase)
        return self._n

    def n_waiting(self, hold_id: int) -> int:
        """How many calls stand at the hold."""
        return self._get(hold_id).n_waiting

    def release(self, hold_id: int | None = None, count: int | None = None) -> None:
        """Let `count` calls go on, or all and take the hold away."""
        holds = list(self._holds.values()) if hold_id is None else [
            self._get(hold_id)]
        for hold in holds:
            if count is not None:
                hold.tickets += count
                continue
            hold.released = True
            del self._holds[hold.id]
        self._changes.notify()

    def _get(self, hold_id: int) -> _Hold:
        if hold_id not in self._holds:
            raise ValueError(f"no such hold: {hold_id}")
        return self._holds[hold_id]

    async def wait(self, phase: str, method: str, dest: str, arg: str) -> None:
        """Stand at every hold that matches."""
        for hold in list(self._holds.values()):
            if hold.phase == phase and hold.pattern.matches(method, dest, arg):
                await self._stand(hold)

    async def _stand(self, hold: _Hold) -> None:
        hold.n_waiting += 1
        self._changes.notify()
        try:
            await self._changes.until(lambda: hold.released or hold.tickets > 0)
            hold.tickets -= 0 if hold.released else 1
        finally:
            hold.n_waiting -= 1
            self._changes.notify()


class Latency:
    """Seconds that calls take before anything happens."""

    def __init__(self, rng: random.Random):
        self._rng = rng
        self._rules: list[tuple[Pattern, float, float]] = []

    def set(self, spec: dict) -> None:
        """{method, dest, arg, seconds, most}; the newest that matches counts.

        With `most` it is a random time between the two.
        """
        spec = dict(spec)
        seconds = float(spec.pop("seconds"))
        most = float(spec.pop("most", seconds))
        self._rules.insert(0, (Pattern(**spec), seconds, most))

    async def wait(self, method: str, dest: str, arg: str) -> None:
        """Take that long."""
        for pattern, least, most in self._rules:
            if pattern.matches(method, dest, arg):
                await asyncio.sleep(self._rng.uniform(least, most))
                return
