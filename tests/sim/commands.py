# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of the control socket; README.md is their manual."""

import inspect

from . import scenario as scenarios
from . import wire
from .simulation import Simulation
from .world import Device

TIMEOUT = 20.0
# commands that change nothing
LOOKS = ("calls", "journal", "state")


class Commands:
    """A command `plug-in` is the method `cmd_plug_in`; its keys are arguments."""

    def __init__(self, sim: Simulation):
        self.sim = sim

    async def run(self, name: str, words: dict) -> dict | None:
        """Run a command by name."""
        method = getattr(self, "cmd_" + name.replace("-", "_"), None)
        if method is None:
            raise ValueError(f"no such command: {name}")
        if not name.startswith("wait-") and name not in LOOKS:
            self.sim.log.note("command", name=name, words=words)
        result = method(**{("devclass" if key == "class" else key): value
                           for key, value in words.items()})
        result = await result if inspect.isawaitable(result) else result
        self.sim.changes.notify()
        return result

    def _device(self, backend: str, port: str, devclass: str | None) -> Device:
        found = [device for device in self.sim.world.devices.values()
                 if (device.backend, device.port) == (backend, port)
                 and devclass in (None, device.devclass)]
        if len(found) != 1:
            raise ValueError(f"no such device: {backend}:{port}")
        return found[0]

    # -- devices

    def cmd_plug(self, devices: list | None = None, at_once: bool = False,
                 **device) -> None:
        """Plug one device, or `devices` one after the other or all at once."""
        made = [self._make(spec)
                for spec in (devices if devices is not None else [device])]
        if at_once:
            self.sim.hotplug.plug_all(made)
            return
        for one in made:
            self.sim.hotplug.plug(one)

    def _make(self, spec: dict) -> Device:
        made = scenarios.make_device({
            ("class" if key == "devclass" else key): value
            for key, value in spec.items()})
        if made.key in self.sim.world.devices:
            raise ValueError(f"{made.where} is plugged in already")
        return made

    def cmd_unplug(self, backend: str, port: str,
                   devclass: str | None = None) -> None:
        """Unplug a device and what hangs on it."""
        self.sim.hotplug.unplug(self._device(backend, port, devclass))

    def cmd_set_identity(self, backend: str, port: str, identity: str,
                         devclass: str | None = None) -> None:
        """Another identity, without any event."""
        self._device(backend, port, devclass).identity = identity

    def cmd_set_device(self, backend: str, port: str, changes: dict,
                       devclass: str | None = None) -> None:
        """Change fields of a device, then publish (in_use, claims, ...)."""
        device = self._device(backend, port, devclass)
        for key, value in changes.items():
            if not hasattr(device, key):
                raise ValueError(f"Device has no {key}")
            setattr(device, key, value)
        self.sim.hotplug.publish(backend, device.devclass, force=True)

    def cmd_touch(self, backend: str, devclass: str) -> None:
        """A list change without a change, as any write to QubesDB makes."""
        self.sim.hotplug.publish(backend, devclass, force=True)

    def cmd_attach(self, backend: str, port: str, target: str,
                   devclass: str | None = None, options: dict | None = None) -> None:
        """The person attaches a device."""
        device = self._device(backend, port, devclass)
        self.sim.attaching.attach_now(device, target, options or {})

    def cmd_detach(self, backend: str, port: str,
                   devclass: str | None = None) -> None:
        """The person detaches a device."""
        self.sim.attaching.detach_now(self._device(backend, port, devclass))

    def cmd_settle_usb(self) -> None:
        """No USB device counts as attached any more after its detach."""
        for key in list(self.sim.world.lingering):
            self.sim.attaching.end_lag(key)

    def cmd_reprobe(self, backend: str, port: str, what: str = "block") -> None:
        """The USB device's disks (block), or it as well (usb), come and go."""
        self.sim.hotplug.replug(self._device(backend, port, "usb"),
                                keep_root=what == "block")

    def cmd_assign(self, **assignment) -> None:
        """A native assignment: {backend, port, class, identity, target, ...}."""
        assignment["class"] = assignment.pop("devclass", "block")
        self.sim.native.assign(assignment)

    def cmd_unassign(self) -> None:
        """There are no native assignments any more."""
        self.sim.world.assignments.clear()

    # -- qubes

    def cmd_qube_add(self, name: str, **spec) -> None:
        """A new qube."""
        spec = {("class" if key == "devclass" else key): value
                for key, value in spec.items()}
        self.sim.power.add(scenarios.make_qube(name, spec))

    def cmd_qube_remove(self, name: str) -> None:
        """A qube is deleted."""
        self.sim.power.remove(self.sim.world.qube(name))

    async def cmd_qube_start(self, name: str) -> None:
        """The person starts a qube."""
        await self.sim.power.start(self.sim.world.qube(name))

    def cmd_qube_stop(self, name: str) -> None:
        """A qube shuts down."""
        self.sim.power.stop(self.sim.world.qube(name))

    def cmd_qube_pause(self, name: str) -> None:
        """A qube is paused."""
        self.sim.power.set_state(self.sim.world.qube(name), "Paused")

    def cmd_qube_unpause(self, name: str) -> None:
        """A paused qube goes on."""
        self.sim.power.set_state(self.sim.world.qube(name), "Running")

    def cmd_qube_state(self, name: str, state: str) -> None:
        """Any power state; Suspended to Running tells domain-resumed."""
        self.sim.power.set_state(self.sim.world.qube(name), state)

    def cmd_suspend(self) -> None:
        """The system goes to sleep."""
        self.sim.power.suspend()

    def cmd_resume(self) -> None:
        """The system wakes up."""
        self.sim.power.resume()

    def cmd_qube_set(self, name: str, **changes) -> None:
        """Change fields (denied, usb_proxy, ...); properties are merged."""
        qube = self.sim.world.qube(name)
        qube.properties.update(changes.pop("properties", {}))
        for key, value in changes.items():
            if not hasattr(qube, key):
                raise ValueError(f"Qube has no {key}")
            setattr(qube, key, value)

    # -- what goes wrong, and when

    def cmd_behaviour(self, **changes) -> None:
        """Set knobs."""
        self.sim.behaviour.update(changes)

    def cmd_fault(self, **spec) -> dict:
        """Queue a fault; its id comes back."""
        return {"id": self.sim.faults.add(spec)}

    def cmd_fault_clear(self, id: int | None = None) -> None:
        """Forget a fault, or all."""
        self.sim.faults.clear(id)

    def cmd_hold(self, **spec) -> dict:
        """Hold calls; the hold's id comes back."""
        return {"id": self.sim.holds.add(spec)}

    def cmd_release(self, id: int | None = None, count: int | None = None) -> None:
        """Let held calls go on."""
        self.sim.holds.release(id, count)

    async def cmd_wait_held(self, id: int, count: int = 1,
                            timeout: float = TIMEOUT) -> None:
        """Until `count` calls stand at a hold."""
        await self.sim.changes.until(
            lambda: self.sim.holds.n_waiting(id) >= count, timeout)

    def cmd_latency(self, **spec) -> None:
        """Calls take a while."""
        self.sim.latency.set(spec)

    # -- services

    async def cmd_crash(self, service: str = "qubesd") -> None:
        """A service dies: no socket, no connection."""
        await self.sim.service(service).crash()

    async def cmd_restart(self, service: str = "qubesd") -> None:
        """A service comes back; the state of the world was kept."""
        if service == "qubesd":
            self.sim.hotplug.rebuild()
        await self.sim.service(service).listen()

    def cmd_drop_events(self) -> None:
        """Cut off every connection with admin.Events, and nothing else."""
        self.sim.qubesd.drop(set(self.sim.qubesd.subscribers))

    def cmd_emit(self, subject: str = "", event: str | None = None,
                 pairs: list | None = None, hex: str | None = None) -> None:
        """An event frame, well formed or raw."""
        frame = bytes.fromhex(hex) if hex is not None else wire.event_frame(
            subject, event, tuple(map(tuple, pairs or [])))
        self.sim.qubesd.emit_raw(subject, frame)

    def cmd_policy(self, **spec) -> None:
        """Replace the policy's rules or default."""
        self.sim.policy.load(spec)

    # -- the desktop session

    async def cmd_agent_up(self, mode: int = 0o660, listen: bool = True) -> None:
        """Somebody logs in; listen=false: the socket is there, nobody listens."""
        self.sim.agent.bind(mode)
        if listen:
            await self.sim.agent.listen(mode)

    async def cmd_agent_down(self) -> None:
        """The session ends."""
        await self.sim.agent.crash()

    def cmd_agent_script(self, default: object = None,
                         script: list | None = None) -> None:
        """What the person will answer: add steps, change the default."""
        if default is not None:
            self.sim.agent.default = default
        self.sim.agent.script += script or []

    def cmd_click(self, answer: object, window: int | None = None) -> dict:
        """The person clicks a window, the oldest open one by default."""
        return {"window": self.sim.agent.click(answer, window)}

    async def cmd_wait_window(self, count: int = 1,
                              timeout: float = TIMEOUT) -> dict:
        """Until `count` windows are open."""
        windows = await self.sim.changes.until(
            lambda: len(self.sim.agent.open_windows) >= count
            and self.sim.agent.open_windows, timeout)
        return {"windows": [window.as_json() for window in windows]}

    # -- looking

    def cmd_state(self) -> dict:
        """The whole state."""
        return {"state": self.sim.state()}

    def cmd_calls(self, clear: bool = False, since: int = 0, **pattern) -> dict:
        """The calls that fit a pattern."""
        calls = [call.as_json() for call in self.sim.log.find(pattern, since)]
        if clear:
            self.sim.log.clear()
        return {"calls": calls}

    def cmd_journal(self, since: int = 0, what: str | None = None) -> dict:
        """What happened, in order, after entry number `since`."""
        return {"journal": [entry for entry in self.sim.log.journal
                            if entry["at"] > since
                            and what in (None, entry["what"])]}

    async def cmd_wait_call(self, count: int = 1, since: int = 0,
                            done: bool = False, timeout: float = TIMEOUT,
                            **pattern) -> dict:
        """Until `count` calls that fit were seen (done: are over)."""
        def seen() -> list | None:
            calls = [call for call in self.sim.log.find(pattern, since)
                     if not done or call.state != "running"]
            return calls if len(calls) >= count else None
        calls = await self.sim.changes.until(seen, timeout)
        return {"calls": [call.as_json() for call in calls]}

    async def cmd_wait_attached(self, backend: str, port: str,
                                target: str | None = None,
                                devclass: str | None = None,
                                timeout: float = TIMEOUT) -> dict:
        """Until a device is attached to `target` (any, if none is named)."""
        def owner() -> str | None:
            for device in self.sim.world.devices.values():
                if (device.backend, device.port) == (backend, port) and \
                        devclass in (None, device.devclass):
                    has = self.sim.world.attachment(device)
                    if has and target in (None, has):
                        return has
            return None
        return {"target": await self.sim.changes.until(owner, timeout)}

    async def cmd_wait_detached(self, backend: str, port: str,
                                devclass: str | None = None,
                                timeout: float = TIMEOUT) -> None:
        """Until nobody has the device, or it is gone."""
        def free() -> bool:
            return not any(self.sim.world.attachment(device)
                           for device in self.sim.world.devices.values()
                           if (device.backend, device.port) == (backend, port)
                           and devclass in (None, device.devclass))
        await self.sim.changes.until(free, timeout)

    async def cmd_wait_qube(self, name: str, state: str | None = None,
                            timeout: float = TIMEOUT) -> None:
        """Until a qube has a state; without state: until it is gone."""
        def arrived() -> bool:
            qube = self.sim.world.qubes.get(name)
            return qube.state == state if qube else state is None
        await self.sim.changes.until(arrived, timeout)

    async def cmd_wait_subscribers(self, count: int = 1,
                                   timeout: float = TIMEOUT) -> None:
        """Until exactly `count` connections listen to admin.Events."""
        await self.sim.changes.until(
            lambda: len(self.sim.qubesd.subscribers) == count, timeout)
