# SPDX-License-Identifier: GPL-2.0-or-later
"""All parts of the simulated dom0, put together."""

import dataclasses
import pathlib
import random

from . import keeping
from . import scenario as scenarios
from .agent import Agent
from .attaching import Attaching
from .behaviour import Behaviour
from .calllog import CallLog
from .faults import Faults, Holds, Latency
from .hotplug import Hotplug
from .methods import Methods
from .native import Native
from .policy import Policy
from .power import Power
from .qubesd import Qubesd
from .service import Service
from .waiting import Changes
from .world import World


class Simulation:
    """The owner of everything; control commands work on it."""

    def __init__(self, directory: pathlib.Path, scenario: dict, *,
                 seed: int | None = None, dialect: str | None = None,
                 log_calls: bool = False, state: pathlib.Path | None = None):
        dialect = dialect or scenario.get("dialect", "4.4")
        if dialect not in scenarios.DIALECTS:
            raise ValueError(f"dialect is one of {', '.join(scenarios.DIALECTS)}")
        self.seed = seed if seed is not None else scenario.get("seed", 1)
        self.changes = Changes()
        self.log = CallLog(self.changes,
                           directory / "calls.log" if log_calls else None)
        self.behaviour = Behaviour()
        self.faults = Faults()
        self.holds = Holds(self.changes)
        self.latency = Latency(random.Random(self.seed + 2))
        self.world = World(dialect, random.Random(self.seed))
        self.hotplug = Hotplug(self.world, self.emit)
        self.power = Power(self.world, self.hotplug, self.behaviour, self.emit)
        self.attaching = Attaching(self.world, self.hotplug, self.behaviour,
                                   self.holds, self.changes)
        self.native = Native(self.world, self.attaching)
        self._make_services(directory)
        self._load(scenario)
        self._connect()
        if state is not None:
            self._keep_state(keeping.StateFile(state))

    def _keep_state(self, file: keeping.StateFile) -> None:
        """What was kept counts more than the scenario; keep all changes."""
        kept = file.load()
        if kept is not None:
            keeping.restore(self.world, kept["world"])
            self.behaviour.update(kept["behaviour"])
            self.power.asleep = kept["asleep"]
            self.policy.load(kept["policy"])
            self.agent.script.clear()
            self.agent.load(kept["agent"])
            self.agent_present = kept["agent"]["present"]
            self.log.n = kept["n"]
            self.hotplug.rebuild()
        self.changes.on_change = lambda: file.save({
            "world": keeping.dump(self.world),
            "behaviour": dataclasses.asdict(self.behaviour),
            "asleep": self.power.asleep, "policy": self.policy.as_spec(),
            "agent": self.agent.as_spec(), "n": self.log.n})

    def _connect(self) -> None:
        """Who is to be told of what."""
        self.hotplug.on_added = self.native.added
        self.hotplug.on_released = self.attaching.released
        self.power.on_started = self.native.started
        self.power.on_starting = self.attaching.end_lags_of
        self.attaching.on_call = self.native.called

    def _make_services(self, directory: pathlib.Path) -> None:
        pieces = random.Random(self.seed + 1)
        methods = Methods(self.world, self.power, self.attaching)
        self.qubesd = Qubesd(directory / "qubesd.sock", pieces, self.log, methods,
                             self.attaching, self.behaviour, self.faults,
                             self.holds, self.latency)
        self.policy = Policy(directory / "policy.sock", pieces, self.log,
                             self.world, self.behaviour, self.holds)
        self.agent = Agent(directory / "agent.sock", pieces, self.log,
                           self.behaviour, self.holds)

    def _load(self, scenario: dict) -> None:
        self.behaviour.update(scenario.get("behaviour", {}))
        for name, spec in scenario.get("qubes", {}).items():
            self.world.add_qube(scenarios.make_qube(name, spec))
        for spec in scenario.get("devices", []):
            self._load_device(dict(spec))
        for spec in scenario.get("assignments", []):
            self.native.assign(spec)
        for spec in scenario.get("faults", []):
            self.faults.add(spec)
        self.policy.load(scenario.get("policy", {}))
        self.agent.load(scenario.get("agent", {}))
        self.agent_present = scenario.get("agent", {}).get("present", True)
        self.hotplug.rebuild()

    def _load_device(self, spec: dict) -> None:
        frontend = spec.pop("attachment", None)
        options = spec.pop("options", {})
        device = scenarios.make_device(spec)
        self.world.devices[device.key] = device
        if frontend:
            self.hotplug.attach(device, frontend, {
                "read-only": "no",
                "frontend-dev": self.hotplug.free_frontend(frontend, options),
                **options} if device.devclass == "block" else {})

    def emit(self, subject: str, event: str, pairs: tuple = ()) -> None:
        """An event happened in qubesd, if there is one."""
        self.qubesd.emit(subject, event, pairs)
        self.changes.notify()

    def service(self, name: str) -> Service:
        """qubesd, policy or agent."""
        services = {"qubesd": self.qubesd, "policy": self.policy,
                    "agent": self.agent}
        if name not in services:
            raise ValueError(f"no such service: {name}")
        return services[name]

    async def start(self) -> None:
        """Listen on all sockets; on the agent's only if somebody is logged in."""
        self.attaching.resume_lags()
        await self.qubesd.listen()
        await self.policy.listen()
        if self.agent_present:
            await self.agent.listen()
        self.changes.notify()

    async def stop(self) -> None:
        """Close everything; what is kept is what was before."""
        self.changes.on_change = lambda: None
        for service in (self.qubesd, self.policy, self.agent):
            await service.crash()

    def state(self) -> dict:
        """The whole state, for a test to look at."""
        world = self.world
        return {
            "dialect": world.dialect,
            "qubes": {q.name: {"class": q.klass, "state": q.state,
                               "boot_id": q.boot_id}
                      for q in world.qubes.values()},
            "devices": [{
                "backend": d.backend, "class": d.devclass, "port": d.port,
                "identity": world.identity(d), "listed": world.is_listed(d),
                "attachment": world.attachment(d),
                "options": (world.attachments[d.key].options
                            if d.key in world.attachments else None),
            } for d in world.devices.values()],
            "subscribers": len(self.qubesd.subscribers),
            "windows": [w.as_json() for w in self.agent.windows.values()],
            "open_windows": len(self.agent.open_windows),
            "max_open_windows": self.agent.max_open,
            "up": {s.name: s.is_up
                   for s in (self.qubesd, self.policy, self.agent)},
        }
