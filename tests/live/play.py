# SPDX-License-Identifier: GPL-2.0-or-later
"""One history, from its first act to its last quiet."""

import asyncio
import collections
import contextlib
import dataclasses
import random
import re
import time

import machine as machines
from book import TARGETS
from history import HABITS, Act, History
from judge import Finding, Judge
from machine import Gone, Kernel, Machine, Mock
from sim.errors import ApiError, Silent
from things import PORTS, SOURCE, THINGS, Plug

QUIET_S = 120.0
# between two questions to the daemon
PACE_S = 0.03
# so long a start is waited for
START_S = 3.0
# how long qubesd is away: the source is up before
REBOOT_S = 0.8
MEMORY_GROWTH_MAX = 1 << 20
OTHERS_GROWTH_MAX = 2
CODE = re.compile(r"daemon: \S+ .*?: (\d{3}) [a-z-]+")


class Play:
    """Carries a history out."""

    def __init__(self, history: History, mock: Mock):
        self.history = history
        self.begun = time.monotonic()
        self.log: list[tuple[float, str]] = []
        self.counts: collections.Counter = collections.Counter()
        scenario = {
            "qubes": {SOURCE: {"state": "Running"}, **{
                name: {"state": "Running" if history.running[name]
                       else "Halted"} for name in TARGETS}},
            "behaviour": history.behaviour, "agent": {"default": "hang"}}
        self.machine = Machine(mock, scenario, history.seed & 0xffff, self.note)
        self.world = self.machine.sim.world
        self.agent = self.machine.sim.agent
        self.kernel = Kernel(self.machine, self._stirred)
        self.judge = Judge(self.machine, self.kernel, history.sets, self.note)
        self.chance = random.Random(f"{history.seed} person")
        self.later: set[asyncio.Task] = set()
        # what the person is attaching at this moment
        self.in_hand: list[tuple] = []
        # none is started in a qube that stops meanwhile
        self.forwarder_lock = asyncio.Lock()
        # what was pulled out last, by port
        self.gone: dict[str, Plug] = {}
        self.n_plugs = 0
        # windows that nobody answers before all else has come to rest
        self.never: set[int] = set()
        self.first_memory: dict[int, int] = {}
        self.first_others: dict[int, int] = {}

    def note(self, text: str) -> None:
        """For those who read what happened."""
        self.log.append((time.monotonic() - self.begun, text))
        match = CODE.match(text)
        if match:
            self.counts[f"outcome {match[1]}"] += 1

    def _stirred(self, plug: Plug) -> None:
        self.note(f"kernel: {plug.thing.name} at {plug.port}")
        self.judge.stirred(plug)

    async def run(self) -> None:
        """Finding, if something is not as it must be."""
        person = None
        try:
            await self.machine.start()
            self.machine.write_rules(self.history.sets[0].text)
            self.kernel.start()
            person = asyncio.create_task(self._answer_prompts())
            await self._start_daemon()
            await self.machine.start_forwarder()
            for number, acts in enumerate(self.history.rounds):
                self.note(f"round {number}")
                self.judge.begin_round(number)
                for act in acts:
                    await self._act(act)
                    await asyncio.sleep(act.gap_s)
                await self._until_quiet()
            await self._end_well()
        finally:
            if person is not None:
                person.cancel()
            for task in self.later:
                task.cancel()
            await self.machine.end()
            await self.kernel.end()

    async def _end_well(self) -> None:
        """They end when they are asked to, and no sanitizer has spoken."""
        daemon, self.machine.daemon = self.machine.daemon, None
        status = await daemon.end()
        if status != 0:
            raise Finding(f"the daemon ended with {status}")

    # -- acts

    async def _act(self, act: Act) -> None:
        kind = act.kind
        done = await getattr(self, "_do_" + kind.replace(" ", "_"))(act)
        if done:
            self.counts[kind] += 1
            self.note(f"ACT {kind}: {done}")
        if self.judge.findings:
            raise Finding(self.judge.findings[0])

    def _soon(self, coroutine) -> None:
        """Goes on while further acts are done."""
        task = asyncio.create_task(coroutine)
        self.later.add(task)

    @staticmethod
    def _choose(draw: int, things):
        things = list(things)
        return things[draw % len(things)] if things else None

    def _new_plug(self, thing, port: str) -> Plug:
        used = self.kernel.disks_besides(port)
        disk = None
        if thing.n_parts is not None:
            disk = next(name for name in ("sda", "sdb", "sdc", "sdd")
                        if name not in used)
        self.n_plugs += 1
        prior = self.gone.get(port)
        return Plug(
            self.n_plugs, thing, port, disk, self.judge.round, time.monotonic(),
            prior if prior and prior.thing.is_like(thing) else None)

    async def _plug_in(self, plug: Plug, udev_first: bool) -> None:
        """Qubes' scripts and the forwarder hear of it in any order."""
        if udev_first:
            self.kernel.plugs[plug.port] = plug
            self.judge.born(plug)
            self.machine.sim.changes.notify()
            await asyncio.sleep(0.01)
        for spec in plug.listed():
            await self.machine.commands.run("plug", spec)
        if not udev_first:
            self.kernel.plugs[plug.port] = plug
            self.judge.born(plug)
            self.machine.sim.changes.notify()

    async def _pull_out(self, plug: Plug, udev_first: bool) -> None:
        self.gone[plug.port] = plug
        if udev_first:
            del self.kernel.plugs[plug.port]
            self.machine.sim.changes.notify()
            await asyncio.sleep(0.01)
        self.judge.pulled(plug)
        await self.machine.commands.run("unplug", {
            "backend": SOURCE, "port": plug.port, "class": "usb"})
        if not udev_first:
            del self.kernel.plugs[plug.port]
            self.machine.sim.changes.notify()

    async def _do_plug(self, act: Act) -> str | None:
        port = self._choose(act.a, [port for port in PORTS
                                    if port not in self.kernel.plugs])
        if port is None:
            return None
        plug = self._new_plug(self._choose(act.b, THINGS), port)
        await self._plug_in(plug, bool(act.a & 0x10000))
        return f"{plug.thing.name} at {port}, {plug.disk}"

    async def _do_unplug(self, act: Act) -> str | None:
        plug = self._choose(act.a, self.kernel.plugs.values())
        if plug is None:
            return None
        await self._pull_out(plug, bool(act.b & 1))
        return f"{plug.thing.name} at {plug.port}"

    async def _do_replug(self, act: Act, thing=None) -> str | None:
        plug = self._choose(act.a, self.kernel.plugs.values())
        if plug is None:
            return None
        await self._pull_out(plug, bool(act.b & 1))
        await asyncio.sleep(act.away_s)
        again = self._new_plug(thing or plug.thing, plug.port)
        await self._plug_in(again, bool(act.b & 2))
        return f"{again.thing.name} for {plug.thing.name} at {plug.port}"

    async def _do_replug_another(self, act: Act) -> str | None:
        """Another device, which gets the names of the one before."""
        plug = self._choose(act.a, self.kernel.plugs.values())
        if plug is None:
            return None
        return await self._do_replug(act, self._choose(act.b >> 2, [
            thing for thing in THINGS if thing is not plug.thing]))

    async def _do_user_detach(self, act: Act) -> str | None:
        key = self._choose(act.a, self.world.attachments)
        if key is None:
            return None
        attachment = self.world.attachments[key]
        plug = self.judge.plug_of(*key[1:])
        if plug is not None:
            self.judge.take(plug, key, attachment)
        self._soon(self._by_hand("detach", key, attachment.frontend))
        return f"{key[2]} from {attachment.frontend}"

    async def _do_user_attach(self, act: Act) -> str | None:
        key = self._choose(act.a, [
            key for key, device in self.world.devices.items()
            if key not in self.world.attachments and
            self.world.is_listed(device) and not self._is_in_hand(key)])
        target = self._choose(act.b, [
            name for name in TARGETS
            if self.world.qubes[name].state == "Running"])
        if key is None or target is None:
            return None
        plug = self.judge.plug_of(*key[1:])
        if plug is not None:
            self.judge.give(plug, key)
        self._soon(self._by_hand("attach", key, target))
        return f"{key[2]} to {target}"

    def _is_in_hand(self, key: tuple) -> bool:
        """A person attaches one part of a device at a time; qubesd would let
        a disk and its partition be attached at once, and then list neither."""
        plug = self.judge.plug_of(*key[1:])
        return any(plug is self.judge.plug_of(*other[1:])
                   for other in self.in_hand)

    async def _by_hand(self, what: str, key: tuple, target: str) -> None:
        """The person's own tools make the same calls."""
        attaching = self.machine.sim.attaching
        words = (key[1], self.world.qubes[target], f"{key[0]}+{key[2]}")
        before = self.world.attachments.get(key)
        if what == "attach":
            self.in_hand.append(key)
        try:
            if what == "attach":
                await attaching.attach(*words, b"")
            else:
                await attaching.detach(*words)
        except (ApiError, Silent) as error:
            self.note(f"by hand: {what} {key[2]} fails: {error}")
            return
        finally:
            if what == "attach":
                self.in_hand.remove(key)
        found = self.world.attachments.get(key)
        self.note(f"by hand: {what} {key[2]} {target} done")
        # of two at once it may be the daemon's that counts
        if what == "attach" and found is not None and found is not before and \
                found.frontend == target:
            self.judge.by_hand.append((found, self.judge.round))

    async def _do_target_start(self, act: Act) -> str | None:
        name = self._choose(act.a, [
            name for name in TARGETS
            if self.world.qubes[name].state == "Halted"])
        if name is None:
            return None
        self.judge.may_decide(self.kernel.plugs.values())
        self._soon(self.machine.sim.power.start(self.world.qubes[name]))
        return name

    async def _do_target_stop(self, act: Act) -> str | None:
        name = self._choose(act.a, [
            name for name in TARGETS
            if self.world.qubes[name].state == "Running"])
        if name is None:
            return None
        self.judge.stops(name)
        await self.machine.commands.run("qube-stop", {"name": name})
        return name

    async def _do_target_pause(self, act: Act) -> str | None:
        name = self._choose(act.a, [
            name for name in TARGETS
            if self.world.qubes[name].state == "Running"])
        if name is None:
            return None
        self.judge.idle[name] = self.judge.paused[name] = self.judge.round
        await self.machine.commands.run("qube-pause", {"name": name})
        self._soon(self._unpause(name, act.away_s))
        return name

    async def _unpause(self, name: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if self.world.qubes[name].state == "Paused":
            await self.machine.commands.run("qube-unpause", {"name": name})

    async def _do_target_restart(self, act: Act) -> str | None:
        """And before the backend has noticed, its list changes."""
        name = self._choose(act.a, dict.fromkeys(
            attachment.frontend for key, attachment
            in self.world.attachments.items() if key[1] == "usb"))
        if name is None:
            return None
        self.judge.stops(name)
        await self.machine.commands.run("qube-stop", {"name": name})
        other = await self._do_plug(act)
        await asyncio.sleep(act.away_s)
        self.judge.may_decide(self.kernel.plugs.values())
        self._soon(self.machine.sim.power.start(self.world.qubes[name]))
        return f"{name}, and plug {other}"

    async def _do_unplug_in_start(self, act: Act) -> str | None:
        """Something is plugged in, a target starts for it, it is pulled out."""
        rules = self.judge.sets[self.judge.set_now]
        thing = self._choose(act.b, [
            thing for thing in THINGS
            if any(rule.id == thing.id and rule.action == "allow" and
                   not rule.option and not any(
                       self.world.qubes[name].state == "Running"
                       for name in rule.targets) for rule in rules.rules)])
        port = self._choose(act.a, [port for port in PORTS
                                    if port not in self.kernel.plugs])
        if thing is None or port is None or \
                self.machine.source.state != "Running":
            return None
        plug = self._new_plug(thing, port)
        await self._plug_in(plug, bool(act.a & 0x10000))
        log = self.machine.sim.log

        def is_starting() -> bool:
            return any(call.method == "admin.vm.Start" and
                       call.state == "running" for call in log.calls)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(
                self.machine.sim.changes.until(is_starting), START_S)
        if self.kernel.plugs.get(port) is not plug or not is_starting():
            return None
        await self._pull_out(plug, bool(act.b & 1))
        return f"{thing.name} at {port}"

    async def _do_source_restart_unheard(self, act: Act) -> str | None:
        """It is shut down and up again while qubesd is away."""
        if self.machine.source.state != "Running" or \
                not self.machine.sim.qubesd.is_up:
            return None
        crash = await self._do_qubesd_crash(
            dataclasses.replace(act, away_s=REBOOT_S))
        stop = await self._do_source_stop(act)
        start = await self._do_source_start(act)
        return f"{stop}, {start}, qubesd is away {crash}"

    async def _do_source_stop(self, _act: Act) -> str | None:
        if self.machine.source.state != "Running":
            return None
        async with self.forwarder_lock:
            await self._end_forwarder()
            await self.machine.commands.run("qube-stop", {"name": SOURCE})
        return SOURCE

    async def _do_source_start(self, _act: Act) -> str | None:
        if self.machine.source.state != "Halted":
            return None
        # a new boot: of what was plugged in nothing is remembered
        for port, plug in list(self.kernel.plugs.items()):
            self.n_plugs += 1
            self.kernel.plugs[port] = again = Plug(
                self.n_plugs, plug.thing, port, plug.disk, self.judge.round,
                time.monotonic())
            self.judge.born(again)
            self.judge.keep(again, plug)
        self._soon(self._start_source())
        return SOURCE

    async def _start_source(self) -> None:
        await self.machine.sim.power.start(self.machine.source)
        self.machine.mock.set_boot_id(self.machine.source.boot_id)
        await self._restart_forwarder(0.0)

    async def _do_qubesd_crash(self, act: Act) -> str | None:
        if not self.machine.sim.qubesd.is_up:
            return None
        await self.machine.commands.run("crash", {"service": "qubesd"})
        self.judge.lost_events()
        self.judge.may_decide(self.kernel.plugs.values())
        self._soon(self._restart_qubesd(act.away_s))
        return f"for {act.away_s} s"

    async def _restart_qubesd(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self.machine.commands.run("restart", {"service": "qubesd"})

    async def _do_daemon_kill(self, act: Act) -> str | None:
        if self.machine.daemon is None:
            return None
        await self.machine.kill("daemon")
        # whoever clicks on what it showed tells nobody
        self.judge.lost_daemon([window.call.n for window
                                in self.agent.open_windows])
        self.judge.decide_all()
        self._soon(self._start_daemon(act.away_s))
        return f"for {act.away_s} s"

    async def _start_daemon(self, after_s: float = 0.0) -> None:
        await asyncio.sleep(after_s)
        self.machine.daemon_begun = time.monotonic()
        await self.machine.start_daemon()

    async def _end_forwarder(self) -> None:
        await self.machine.kill("forwarder")
        self.judge.killed["forwarder"] = self.judge.round

    async def _do_forwarder_kill(self, act: Act) -> str | None:
        if self.machine.forwarder is None:
            return None
        await self._end_forwarder()
        self.judge.decide_all()
        self._soon(self._restart_forwarder(act.away_s))
        return f"for {act.away_s} s"

    async def _restart_forwarder(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        async with self.forwarder_lock:
            if self.machine.source.state == "Running" and \
                    self.machine.forwarder is None:
                await self.machine.start_forwarder()

    async def _do_reload(self, act: Act) -> str | None:
        """Other rules, or the same once more."""
        number = self.judge.set_now
        if act.a % 4 and number + 1 < len(self.history.sets):
            number += 1
        self.judge.reloaded(number)
        self.machine.write_rules(self.history.sets[number].text)
        return f"set {number}"

    # -- the person at the screen

    async def _answer_prompts(self) -> None:
        seen: set[int] = set()
        while True:
            window = await self.machine.sim.changes.until(lambda: next(
                (window for window in self.agent.open_windows
                 if window.id not in seen), None))
            seen.add(window.id)
            habit = self.chance.choices(list(HABITS), HABITS.values())[0]
            self.counts[habit] += 1
            self.note(f"{habit}: {window.params.get('argument')} "
                      f"{window.offered}")
            if habit == "prompt never":
                self.never.add(window.id)
                self.judge.unanswered(window.call.n)
                continue
            await asyncio.sleep(self.chance.choice((0.0, 0.01, 0.1)))
            self._click(window, habit == "prompt yes")

    def _click(self, window, yes: bool) -> None:
        """If it is still there."""
        if window.answer.done():
            return
        target = self.chance.choice(window.offered) if yes else None
        self.judge.clicked(window.call.n)
        if not window.call.abandoned:
            self.judge.answered(window.call.n, target)
        self.agent.click(f"allow:{target}" if target else "deny", window.id)

    # -- quiet

    async def _until_quiet(self) -> None:
        until = time.monotonic() + QUIET_S
        if self.later:
            done, self.later = await asyncio.wait(self.later, timeout=QUIET_S)
            for task in done:
                with contextlib.suppress(ApiError, Silent):
                    task.result()
        barrier, at_stir = "", -1
        quiet_at = None
        why = "nothing was asked"
        while quiet_at is None or quiet_at != self.machine.sim.log.n:
            if self.judge.findings:
                raise Finding(self.judge.findings[0])
            if self.kernel.failure():
                raise self.kernel.failure()
            if time.monotonic() > until:
                raise Finding(f"never comes to rest: {why}")
            quiet_at = None
            if self.machine.source.state == "Running" and \
                    self.kernel.is_even() and at_stir != self.kernel.n_stirs:
                at_stir = self.kernel.n_stirs
                barrier = await self.kernel.put_barrier()
            # what was told before the daemon was asked is in its answer
            unrest, n_told = self._unrest_of_dom0(), self.judge.n_told
            try:
                look = await self._look()
            except Gone as error:
                why = f"the daemon does not answer: {error}"
                continue
            if n_told != self.judge.n_told:
                unrest = unrest or "events were told meanwhile"
            before, why = why, unrest or self._unrest(look, barrier)
            if why and why != before:
                self.note(f"not yet: {why}")
            if why is None:
                quiet_at = self.machine.sim.log.n
            else:
                self._answer_late(look)
                await asyncio.sleep(PACE_S)
        self.note("quiet")
        self.counts["quiet"] += 1
        self.judge.on_quiet(look)
        self._check_leaks(look)
        if self.judge.findings:
            raise Finding(self.judge.findings[0])

    async def _look(self) -> dict:
        return await self.machine.look()

    def _answer_late(self, look: dict) -> None:
        """Prompts that have been given up are still on the screen."""
        if any(job["state"] == "asking" for job in look["status"]["jobs"]):
            return
        for window in self.agent.open_windows:
            if window.id in self.never or window.call.abandoned:
                self.counts["late answer"] += 1
                self.note("the person answers late")
                self._click(window, self.chance.random() < 0.5)

    def _unrest(self, look: dict, barrier: str) -> str | None:
        """What is still going on; None if nothing is."""
        return self._unrest_of_dom0() or self._unrest_of_daemon(look) or \
            self._unrest_of_source(look, barrier)

    def _unrest_of_dom0(self) -> str | None:
        sim = self.machine.sim
        if self.later:
            return "acts go on"
        for call in sim.log.calls:
            if call.state == "running" and not call.stream:
                return f"{call.method}+{call.arg} of {call.dest} is in work"
        if self.agent.open_windows:
            return "a prompt is open"
        if self.world.lingering or sim.attaching.n_tasks:
            return "a USB device still counts as attached"
        if len(sim.qubesd.subscribers) != 1 or not sim.qubesd.is_all_read():
            return "events were not read"
        if not self.kernel.is_even():
            return "the kernel has more to tell"
        return None

    def _unrest_of_daemon(self, look: dict) -> str | None:
        status = look["status"]
        # a window that a killed daemon had opened blocks prompts, minutes long
        lost = status["prompts"]["n_lost"]
        for job in status["jobs"]:
            if not lost or job["state"] != "awaiting-prompt":
                return f"the job of {job['device']} is {job['state']}"
        if status["qubesd"]["state"] != "connected":
            return "the daemon is not connected to qubesd"
        if status["prompts"]["n_open"]:
            return "the daemon waits for a prompt"
        names = [rule["name"] for rule in look["rules"]]
        if f"set-{self.judge.set_now}" not in names:
            return f"the rules are not read: {names}"
        n_connections = sum(source["n_connections"]
                            for source in status["sources"])
        # its two sockets, events, this call
        expected = 4 + n_connections
        if look["n_sockets"] != expected:
            return f"{look['n_sockets']} sockets, not {expected}"
        return None

    def _unrest_of_source(self, look: dict, barrier: str) -> str | None:
        status = look["status"]
        known = {(device["class"], device["device"]): device
                 for device in look["devices"]}
        wanted: set = set()
        if self.machine.source.state == "Running":
            forwarders = [source["forwarder"] for source in status["sources"]]
            if forwarders != [True] or status["sources"][0]["n_connections"] != 1:
                return f"the forwarder is not there: {status['sources']}"
            found = known.pop(("usb", "2-9"), None)
            if found is None or found["properties"].get("serial") != barrier:
                return f"the forwarder has more to tell: {barrier}, {known}"
            wanted = self.kernel.visible()
        if set(known) != wanted:
            return f"known is {sorted(known)}, there is {sorted(wanted)}"
        for plug in self.kernel.plugs.values():
            told = known.get(("usb", plug.port))
            if told and told["properties"].get("product_id") != \
                    plug.thing.product_id:
                return f"{plug.port} is known as another device"
        return None

    def _check_leaks(self, look: dict) -> None:
        """Compared with the first quiet of the same process."""
        pid = self.machine.daemon.pid
        n_others = self.first_others.setdefault(pid, look["n_others"])
        if look["n_others"] > n_others + OTHERS_GROWTH_MAX:
            self.judge.find(f"{look['n_others']} descriptors that are no "
                            f"sockets, {n_others} at first")
        for program in (self.machine.daemon, self.machine.forwarder):
            if program is None or machines.is_sanitized():
                continue
            memory = machines.memory_of(program.pid)
            first = self.first_memory.setdefault(program.pid, memory)
            if memory > first + MEMORY_GROWTH_MAX:
                self.judge.find(f"memory grew from {first} to {memory}")
