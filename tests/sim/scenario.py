# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading scenario files, and the objects that control commands carry."""

import dataclasses
import json
import pathlib

from .world import Device, Qube

DIALECTS = ("4.2", "4.3", "4.4")
KEYS = ("agent", "assignments", "behaviour", "devices", "dialect", "faults",
        "policy", "qubes", "seed")


def load(path: pathlib.Path) -> dict:
    """A scenario; ValueError for a key that does not exist."""
    scenario = json.loads(path.read_text(encoding="utf-8"))
    unknown = set(scenario) - set(KEYS)
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
    return scenario


def make_qube(name: str, spec: dict) -> Qube:
    """A qube from {class, state, label, properties, ...}."""
    spec = dict(spec)
    klass = spec.pop("class", spec.pop("klass", "AppVM"))
    _check_fields(Qube, spec)
    return Qube(name, klass=klass, **spec)


def make_device(spec: dict) -> Device:
    """A device from {backend, port, class, ...}."""
    spec = dict(spec)
    devclass = spec.pop("class")
    _check_fields(Device, spec)
    return Device(devclass=devclass, **spec)


def _check_fields(kind: type, spec: dict) -> None:
    unknown = set(spec) - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
