# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of the world in a file, so that a killed simulator comes back.

Written before anybody is told of what it holds, and by a rename: whatever a
client has seen is in it. Calls in work are lost, as with any crash.
"""

import dataclasses
import json
import pathlib

from .world import Attachment, Device, Qube, World


def dump(world: World) -> dict:
    """All that World holds, but for its random numbers."""
    return {
        "dialect": world.dialect,
        "qubes": [dataclasses.asdict(qube) for qube in world.qubes.values()],
        "devices": [dataclasses.asdict(d) for d in world.devices.values()],
        "attachments": [[*key, dataclasses.asdict(attachment)]
                        for key, attachment in world.attachments.items()],
        "lingering": [[*key, name] for key, name in world.lingering.items()],
        "held": [list(key) for key in sorted(world.held)],
        "assignments": world.assignments,
    }


def restore(world: World, kept: dict) -> None:
    """Put it back; a start that was in work has not come about."""
    world.dialect = kept["dialect"]
    world.qubes = {spec["name"]: Qube(**spec) for spec in kept["qubes"]}
    for qube in world.qubes.values():
        if qube.state == "Transient":
            qube.state = "Halted"
    devices = [Device(**spec) for spec in kept["devices"]]
    world.devices = {device.key: device for device in devices}
    world.attachments = {tuple(key): Attachment(**spec)
                         for *key, spec in kept["attachments"]}
    world.lingering = {tuple(key): name for *key, name in kept["lingering"]}
    world.held = {tuple(key) for key in kept["held"]}
    world.assignments = kept["assignments"]


class StateFile:
    """A JSON object in a file, written when it has changed."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self._written = ""

    def load(self) -> dict | None:
        """What was kept; None the first time."""
        try:
            return json.loads(self.path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def save(self, kept: dict) -> None:
        """Keep it, if it differs from what was kept last."""
        text = json.dumps(kept)
        if text == self._written:
            return
        temporary = self.path.with_suffix(".new")
        temporary.write_text(text, encoding="ascii")
        temporary.rename(self.path)
        self._written = text
