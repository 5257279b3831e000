# SPDX-License-Identifier: GPL-2.0-or-later
"""The simulator's knobs. Each has the value of an ordinary fast system."""

import dataclasses

REPROBES = ("none", "block", "usb")
PIECES = (False, True, "bytes", "joined")


@dataclasses.dataclass
class Behaviour:
    """What a scenario or the control command `behaviour` may change."""

    # answers and events in random pieces (true), each at once (false), byte
    # by byte (bytes), or all events that are there in one write (joined)
    pieces: bool | str = True
    # also the events that qubesd sends and nobody here needs
    extra_events: bool = True
    # a traceback in exceptions, as qubesd with debugging has it
    debug: bool = False
    # seconds that a USB device still counts as attached after its detach;
    # below 0: until the control command `settle`
    usb_detach_lag: float = 1.0
    # what a USB detach makes come and go once more: none, block, usb
    reprobe: str = "none"
    # seconds that each of these takes
    start_delay: float = 0.0
    stop_delay: float = 0.0
    attach_delay: float = 0.0
    # CreateDisposable gives a qube that runs
    preload: bool = False
    # further states in which an Attach says QubesVMNotRunningError
    not_running_states: list = dataclasses.field(default_factory=list)
    # how the policy daemon ends a prompt of its own (no just_evaluate)
    plain_ask: str = "deny"

    def update(self, changes: dict) -> None:
        """Set several; ValueError for one that does not exist."""
        names = {field.name for field in dataclasses.fields(self)}
        for name, value in changes.items():
            if name not in names:
                raise ValueError(f"no such behaviour: {name}")
            if name == "reprobe" and value not in REPROBES:
                raise ValueError(f"reprobe is one of {', '.join(REPROBES)}")
            if name == "pieces" and value not in PIECES:
                raise ValueError("pieces is false, true, bytes or joined")
            setattr(self, name, value)
