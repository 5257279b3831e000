# SPDX-License-Identifier: GPL-2.0-or-later
"""Qubes that start, stop, pause, come and go."""

import asyncio
import collections
import collections.abc

from .behaviour import Behaviour
from .errors import ApiError, not_halted, not_started
from .hotplug import Hotplug
from .world import Qube, World

START_FAILED = ("Start failed: internal error: libxenlight failed to create new "
                "domain '{}', see /var/log/libvirt/libxl/libxl-driver.log for "
                "details")


class Power:
    """Changes of power state with the events that go with them."""

    def __init__(self, world: World, hotplug: Hotplug, behaviour: Behaviour,
                 emit: collections.abc.Callable):
        self.world = world
        self.hotplug = hotplug
        self.behaviour = behaviour
        # a qube is up or was resumed; gives tasks that its Start waits for
        self.on_started: collections.abc.Callable = lambda name: []
        # a start takes longer than anything that was so before it
        self.on_starting: collections.abc.Callable = lambda name: None
        # what the system paused or suspended when it went to sleep
        self.asleep: list[str] = []
        self._tell = emit
        self._start_locks = collections.defaultdict(asyncio.Lock)

    def _tell_extra(self, subject: str, event: str, pairs: tuple = ()) -> None:
        """Events that qubesd sends as well and nobody here needs."""
        if self.behaviour.extra_events:
            self._tell(subject, event, pairs)

    async def start(self, qube: Qube, failure: dict | None = None,
                    work: collections.abc.Callable | None = None) -> None:
        """Start, as admin.vm.Start does.

        A second start waits for the first and then has nothing to do. In any
        state but Halted nothing is done and nothing is said of it. `work` is
        awaited while the qube is Transient.
        """
        if qube.klass == "AdminVM":
            raise ApiError("QubesVMNotHaltedError", "Cannot start Dom0 fake domain!")
        async with self._start_locks[qube.name]:
            if self.world.qubes.get(qube.name) is not qube:
                raise ApiError("QubesVMNotFoundError",
                               f"No such domain: {qube.name!r}")
            if qube.state != "Halted":
                return
            if qube.prohibit_start:
                self._fail(qube, ApiError(
                    "QubesException", "Qube start is prohibited. Rationale: "
                    f"{qube.prohibit_start}"))
            self._tell_extra(qube.name, "domain-pre-start",
                             (("start_guid", True), ("mem_required", None)))
            qube.state = "Transient"
            try:
                await self._boot(qube, failure, work)
            except asyncio.CancelledError:
                qube.state = "Halted"
                raise

    async def _boot(self, qube: Qube, failure: dict | None,
                    work: collections.abc.Callable | None) -> None:
        if self.behaviour.start_delay:
            await asyncio.sleep(self.behaviour.start_delay)
        if work is not None:
            await work()
        if failure is not None:
            qube.state = "Halted"
            self._fail(qube, ApiError(
                failure.get("type", "QubesException"),
                failure.get("message", START_FAILED.format(qube.name))))
        if qube.state == "Transient":
            tasks = self.set_running(qube)
            if tasks:
                await asyncio.wait(tasks)

    def _fail(self, qube: Qube, error: ApiError) -> None:
        reason = error.message.removeprefix("Start failed: ")
        self._tell(qube.name, "domain-start-failed", (("reason", reason),))
        if qube.klass == "DispVM":
            self.forget(qube)
        raise error

    def set_running(self, qube: Qube) -> list[asyncio.Task]:
        """The qube is up; what it offers as a backend appears after that."""
        self.on_starting(qube.name)
        self._tell_extra(qube.name, "domain-pre-spawn", (("start_guid", True),))
        self._tell_extra(qube.name, "domain-spawn", (("start_guid", True),))
        self._tell_extra(qube.name, "domain-unpaused")
        qube.state = "Running"
        self.world.new_boot(qube)
        self._tell(qube.name, "domain-start", (("start_guid", True),))
        self.hotplug.settle(qube.name)
        return self.on_started(qube.name)

    def stop(self, qube: Qube) -> None:
        """The qube halted, whoever wanted it: domain-shutdown, then detaches."""
        if not qube.is_running:
            raise not_started(qube.name)
        if qube.klass == "AdminVM":
            raise ApiError("QubesVMError", "Cannot shutdown Dom0 fake domain!")
        qube.state = "Halted"
        self._tell_extra(qube.name, "domain-stopped")
        self._tell(qube.name, "domain-shutdown")
        self._tell_extra(qube.name, "device-list-change:usb")
        self.hotplug.tell_shutdown(qube.name)
        if qube.klass == "DispVM":
            self.forget(qube)

    def set_state(self, qube: Qube, state: str) -> None:
        """Any other state, with the event that goes with it."""
        old, qube.state = qube.state, state
        if state == "Paused":
            self._tell(qube.name, "domain-paused")
        elif state == "Running" and old == "Paused":
            self._tell(qube.name, "domain-unpaused")
        elif state == "Running" and old == "Suspended":
            self._tell(qube.name, "domain-resumed")
            self.on_started(qube.name)

    def suspend(self) -> None:
        """The system goes to sleep: qubes with a controller are suspended.

        Of that no event tells; the others are paused. What was so before stays.
        """
        for qube in self.world.qubes.values():
            if qube.state == "Running" and qube.klass != "AdminVM":
                self.asleep.append(qube.name)
                if not qube.pci:
                    self._tell_extra(qube.name, "domain-pre-paused")
                self.set_state(qube, "Suspended" if qube.pci else "Paused")

    def resume(self) -> None:
        """The system wakes up: domain-resumed, and domain-unpaused."""
        names, self.asleep = self.asleep, []
        for name in names:
            qube = self.world.qubes.get(name)
            if qube is None or qube.state not in ("Paused", "Suspended"):
                continue
            if qube.state == "Paused":
                self._tell_extra(name, "domain-pre-unpaused")
            self.set_state(qube, "Running")

    def add(self, qube: Qube) -> None:
        """A new qube."""
        self.world.add_qube(qube)
        self._tell("", "domain-add", (("vm", qube.name),))

    def remove(self, qube: Qube) -> None:
        """admin.vm.Remove: only of a halted qube."""
        if qube.klass == "AdminVM":
            raise ApiError("QubesVMInUseError", "'dom0' cannot be removed")
        if qube.is_running:
            raise not_halted(qube.name)
        self.forget(qube)

    def forget(self, qube: Qube) -> None:
        """The qube is gone from the list."""
        self._tell_extra("", "domain-pre-delete", (("vm", qube.name),))
        self.world.qubes.pop(qube.name, None)
        self._tell("", "domain-delete", (("vm", qube.name),))
