# SPDX-License-Identifier: GPL-2.0-or-later
"""Native assignments: what qubesd attaches by itself, racing everybody else.

As in qubesd what appears with one list change is attached one after the other,
and the first that fails, or that two running qubes want, ends the rest. What a
qube is assigned when it starts is attached all at once.
"""

import asyncio

from .attaching import Attaching
from .errors import ApiError, Silent
from .world import Device, World

# when an assignment is acted upon: before qubesd reads another call, soon after
# the device was told of, when another's Attach of the device has just begun, or
# when one is over
BEFORE, ADDED, DURING, AFTER = RACES = ("before", "added", "during", "after")


class Native:
    """Sees to the assignments of the world."""

    def __init__(self, world: World, attaching: Attaching):
        self.world = world
        self.attaching = attaching

    def assign(self, assignment: dict) -> None:
        """A new assignment; it does nothing for what is there already."""
        if self.race(assignment) not in RACES:
            raise ValueError(f"race is one of {', '.join(RACES)}")
        self.world.assignments.append(assignment)

    @staticmethod
    def race(assignment: dict) -> str:
        """The moment at which an assignment is acted upon."""
        return assignment.get("race", ADDED)

    def _fits(self, assignment: dict, device: Device) -> bool:
        return (device.backend, device.devclass) == (
            assignment["backend"], assignment.get("class", "block")) and \
            assignment.get("port", "*") in ("*", device.port) and \
            assignment.get("identity", "*") in ("*", self.world.identity(device))

    def wanted(self, device: Device, race: str) -> list[dict]:
        """The assignments that a device has to running qubes."""
        return [item for item in self.world.assignments
                if self.race(item) == race and self._fits(item, device)
                and self.world.is_running(item["target"])]

    # -- moments

    def added(self, devices: list[Device]) -> None:
        """Devices have appeared with one list change."""
        for device in devices:
            for assignment in self.wanted(device, BEFORE):
                if self.world.attachment(device) is None:
                    self.attaching.attach_now(device, assignment["target"],
                                              assignment.get("options", {}))
        batch = [(device, self.wanted(device, ADDED)) for device in devices]
        if any(wanted for _, wanted in batch):
            self.attaching.soon(self._attach_in_turn(batch))

    def called(self, device: Device, race: str) -> None:
        """Somebody's Attach of a device begins (during) or is over (after)."""
        for assignment in self.wanted(device, race):
            self.attaching.soon(self._attach_alone(device, assignment))

    def started(self, name: str) -> list[asyncio.Task]:
        """A qube is up, or was resumed: its Start waits for these tasks."""
        return [self.attaching.soon(self._attach_alone(device, assignment))
                for device in list(self.world.devices.values())
                for assignment in self.wanted(device, ADDED)
                if assignment["target"] == name
                and self.world.is_listed(device)
                and self.world.attachment(device) is None]

    # -- the deed

    async def _attach_in_turn(self, batch: list) -> None:
        for device, wanted in batch:
            if len({assignment["target"] for assignment in wanted}) > 1:
                return
            if wanted and not await self._attach_alone(device, wanted[0]):
                return

    async def _attach_alone(self, device: Device, assignment: dict) -> bool:
        target = assignment["target"]
        await self.attaching.holds.wait("begin", "native-attach", target,
                                        device.where)
        if assignment.get("delay"):
            await asyncio.sleep(assignment["delay"])
        if target not in self.world.qubes:
            return False
        try:
            await self.attaching.attach_native(
                device, self.world.qubes[target],
                dict(assignment.get("options", {})))
        except (ApiError, Silent):
            return False
        return True
