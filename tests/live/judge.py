# SPDX-License-Identifier: GPL-2.0-or-later
"""The judge: what must be so, by the rules and by the acts alone.

Calls are judged as they begin: whether there is leave for them, and whether
they were made before. The rest is judged when all is quiet. What two things
that crossed may lead to is let pass: an excuse is a sentence about acts.
"""

import asyncio
import re
import time

from book import RuleSet
from machine import Kernel, Machine
from things import SOURCE, Plug

NOES_MAX = 3
# a bit more than the 3 s within which what comes back was never away
REPROBE_S = 4.0
METHOD = re.compile(r"admin\.vm\.device\.(usb|block)\.(Attach|Detach)")


class Finding(Exception):
    """Something is not as it must be."""


class Judge:
    """Remembers what was done, and says what follows from it."""

    def __init__(self, machine: Machine, kernel: Kernel,
                 sets: tuple[RuleSet, ...], note):
        self.machine = machine
        self.world = machine.sim.world
        self.kernel = kernel
        self.sets = sets
        self.note = note
        self.findings: list[str] = []
        self.round = 0
        self.set_now = 0
        self.sets_of_round = {0}
        # the round in which each was so last
        self.idle: dict[str, int] = {}
        self.stopped: dict[str, int] = {}
        self.came_up: dict[str, int] = {}
        self.paused: dict[str, int] = {}
        self.killed = {"daemon": -1, "forwarder": -1}
        self.deaf = -1
        self.n_noes = 0
        self.n_lost_windows = 0
        self.n_told = 0  # events
        # Attach calls in work, and what they gave: by key of the device
        self._running: dict[int, tuple] = {}
        self._given: dict[tuple, tuple] = {}
        # what the person attached, and in which round
        self.by_hand: list[tuple] = []
        self._usb_detached: dict[str, float] = {}
        self._at_rest: dict[tuple, object] = {}
        self._round_at = time.monotonic()
        self._shown: dict[int, tuple] = {}
        self._last: dict[tuple, Plug] = {}  # to have had this name
        self._clicked: list[int] = []  # since the last quiet
        self._watch()

    def find(self, text: str) -> None:
        """Something is wrong; the history ends at its next step."""
        self.note(f"WRONG: {text}")
        self.findings.append(text)

    # -- being told

    def _watch(self) -> None:
        log, hotplug = self.machine.sim.log, self.machine.sim.hotplug
        qubesd = self.machine.sim.qubesd
        begin, end, detach = log.begin, log.end, hotplug.detach
        emit = qubesd.emit
        set_running = self.machine.sim.power.set_running

        def on_begin(service, **words):
            call = begin(service, **words)
            if not call.stream:
                self.note(f"{service} <- {call.n} {call.method}+{call.arg} "
                          f"{call.dest}")
            self._begun(call)
            return call

        def on_end(call, state, answer=b""):
            end(call, state, answer)
            self.note(f"{call.service} -> {call.n} {state} {answer[:80]!r}")
            self._ended(call, answer)

        def on_emit(subject, event, pairs=()):
            self.n_told += 1
            if event == "device-detach:usb":
                # also one that never was, after an attach that failed
                port = pairs[0][1].split(":")[1]
                self._usb_detached[port] = time.monotonic()
            if event.startswith("d") and "list-change" not in event and \
                    "qdb" not in event:
                what = "" if not pairs else f" {pairs[0][1]}"
                self.note(f"event: {subject} {event}{what}")
            emit(subject, event, pairs)

        def on_detach(device):
            self._usb_detached[device.port] = time.monotonic()
            detach(device)

        def on_running(qube):
            # what waits for it is decided now, by the rules of this round
            self.may_decide(self.kernel.plugs.values())
            self.came_up[qube.name] = self.round
            return set_running(qube)
        log.begin, log.end, hotplug.detach = on_begin, on_end, on_detach
        qubesd.emit = on_emit
        self.machine.sim.power.set_running = on_running

    def begin_round(self, number: int) -> None:
        """What was so at the last quiet holds for sure."""
        self.round = number
        self.sets_of_round = {self.set_now}
        for name, qube in self.world.qubes.items():
            if qube.state != "Running":
                self.idle[name] = number
        self._at_rest = dict(self.world.attachments)
        self._round_at = time.monotonic()
        self._clicked = []

    def born(self, plug: Plug) -> None:
        """It was put in."""
        self._last.update(dict.fromkeys(plug.devices, plug))
        self.decide(plug)

    def keep(self, plug: Plug, before: Plug) -> None:
        """What qubesd does not list outlives a stop of its source: a disk and
        its partition, both attached."""
        if any(self._owner(*key) for key in plug.devices):
            plug.by_hand = before.by_hand

    def pulled(self, plug: Plug) -> None:
        """With what is pulled out while it is attached a detach is told of."""
        if (SOURCE, "usb", plug.port) in self.world.attachments:
            self._usb_detached[plug.port] = time.monotonic()

    def _may_be_same(self, plug: Plug) -> bool:
        """Nobody saw that it was away, or it passes for a new probe."""
        detached = self._usb_detached.get(plug.port, 0.0)
        return plug.prior is not None and (
            plug.unseen or
            plug.born in (self.killed["daemon"], self.killed["forwarder"]) or
            abs(plug.born_at - detached) < REPROBE_S)

    def decide(self, plug: Plug) -> None:
        """It is told of, so decided, by the rules of this round."""
        if plug.decided != self.round:
            plug.sets = set()
        plug.decided = self.round
        plug.sets |= self.sets_of_round

    def decide_all(self) -> None:
        """A whole picture."""
        for plug in self.kernel.plugs.values():
            self.decide(plug)

    def may_decide(self, plugs) -> None:
        """Something that may have them decided anew."""
        for plug in plugs:
            plug.may_decide = self.round
            plug.sets |= self.sets_of_round

    def stops(self, name: str) -> None:
        """The person is about to stop a target."""
        self.stopped[name] = self.idle[name] = self.round
        for plug in self.kernel.plugs.values():
            plug.holder_stopped |= name in plug.had

    def stirred(self, plug: Plug) -> None:
        """The kernel told of it."""
        plug.stirred = self.round
        self.may_decide([plug])

    def reloaded(self, number: int) -> None:
        """These rules are in force before long."""
        self.set_now = number
        self.sets_of_round.add(number)
        if self.n_lost_windows:
            # what waits for its prompt is decided anew
            self.may_decide(self.kernel.plugs.values())
        for plug in self.kernel.plugs.values():
            if self.round in (plug.decided, plug.may_decide):
                plug.sets |= self.sets_of_round

    def clicked(self, call: int) -> None:
        """Whether who had asked is still there to read it or not."""
        self._clicked.append(call)

    def answered(self, call: int, target: str | None) -> None:
        """The person said yes, for a target, or no."""
        plug, devclass, device = self._shown[call]
        if plug is None:
            return
        if target:
            self.n_noes = 0
            plug.approved.add((devclass, device, target))
        else:
            self.n_noes += 1
            plug.refused[devclass, device] = self.round

    def unanswered(self, call: int) -> None:
        """The prompt came to nothing."""
        plug = self._shown[call][0]
        if plug is not None:
            plug.unanswered = self.round

    def lost_events(self) -> None:
        """The daemon, or qubesd, was away."""
        self.deaf = self.round
        for plug in self.kernel.plugs.values():
            plug.taken_unheard |= plug.taken == self.round

    def lost_daemon(self, open_calls: list[int]) -> None:
        """It was killed; whoever clicks now tells nobody."""
        self.killed["daemon"] = self.round
        self.lost_events()
        # what was clicked just before it may not have read either
        for call in (*open_calls, *self._clicked):
            self.n_lost_windows += 1
            self.unanswered(call)
        self._clicked = []

    def plug_of(self, devclass: str, device: str) -> Plug | None:
        """Which has this device."""
        return next((plug for plug in self.kernel.plugs.values()
                     if (devclass, device) in plug.devices), None)

    # -- calls

    def _caller(self, service: str = "qubesd") -> int:
        """The process that made the call in hand."""
        return getattr(self.machine.sim, service).caller_pid(
            asyncio.current_task())

    def _begun(self, call) -> None:
        match = METHOD.fullmatch(call.method)
        if match:
            backend, device = call.arg.split("+")[:2]
            getattr(self, f"_begun_{match[2].lower()}")(
                call, (backend, match[1], device))
        elif call.method == "policy.Ask":
            self._begun_ask(call)

    def _begun_attach(self, call, key: tuple) -> None:
        pid = self._caller()
        what = f"Attach of {key[2]} to {call.dest}"
        for other_key, other_pid in self._running.values():
            if (key, pid) == (other_key, other_pid):
                self.find(f"{what}: one is in work already")
        self._check_parts(key, pid, what)
        self._running[call.n] = (key, pid)
        attachment, by, ended = self._given.get(key, (None, 0, 0.0))
        if attachment is not None and \
                self.world.attachments.get(key) is attachment and (
                    by == pid or ended < self.machine.daemon_begun):
            self.find(f"{what}: it is attached already, by an earlier one")
        plug = self.plug_of(*key[1:])
        pinned = call.arg.split("+", 2)[2:]
        device = self.world.devices.get(key)
        if not device or pinned and \
                pinned[0] != self.world.identity(device).replace(":", "+"):
            return  # meant for what was there before: qubesd refuses that
        if plug is not None:
            plug.crossed |= plug.by_hand == self.round
            self._check_leave(plug, key, call.dest, what)

    def _check_parts(self, key: tuple, pid: int, what: str) -> None:
        """A USB device, its disk and the partitions of that are one plug."""
        plug = self.plug_of(*key[1:])
        if plug is None:
            return
        for part in plug.devices:
            other = (SOURCE, *part)
            if other == key or not {part, key[1:]} & set(plug.devices[:2]):
                continue
            if (other, pid) in self._running.values():
                self.find(f"{what}: {part[1]} is in work")
            found = self.world.attachments.get(other)
            if found is not None and found is self._at_rest.get(other):
                self.find(f"{what}: {part[1]} is attached")

    def _check_leave(self, plug: Plug, key: tuple, dest: str,
                     what: str) -> None:
        if plug.left_alone:
            self.find(f"{what}: the person took it away")
        if key[1:] in plug.refused_for_sure:
            self.find(f"{what}: the person said no")
        plugs = self._passes_for(plug)
        for number in plug.sets | self.sets_of_round:
            rule = self.sets[number].leave(plug, *key[1:])
            if rule is None or dest not in rule.targets:
                continue
            # its job may hear of the target's stop before that it has done, and
            # tries again
            crossed = self.stopped.get(dest) == self.round and any(
                each.spent.get((*key[1:], dest)) == self.round
                for each in plugs)
            if rule.action == "allow" or crossed or any(
                    (*key[1:], dest) in each.approved for each in plugs):
                return
        self.find(f"{what}: no rule gives leave, or nobody said yes")

    def _passes_for(self, plug: Plug) -> list[Plug]:
        """Itself, and what it may be taken for: of one of those was asked."""
        found = [plug]
        # of the last step the daemon may not have been told yet
        while found[-1].prior and (
                len(found) == 1 or self._may_be_same(found[-1])):
            found.append(found[-1].prior)
        return found

    def _begun_detach(self, call, key: tuple) -> None:
        attachment = self.world.attachments.get(key)
        plug = self.plug_of(*key[1:])
        if attachment is None or attachment.frontend != call.dest:
            return
        hand = next((number for each, number in self.by_hand
                     if each is attachment), None)
        if hand is not None:
            # it is to take from there what was plugged in when it died; or
            # the person has detached ours, put it back, and it was probed
            # anew; or has put this one where the one before it had just been
            if not plug or not (plug.born == hand == self.killed["daemon"] or
                                plug.taken == hand or
                                self._follows(key, plug, hand, call.dest)):
                self.find(f"Detach of {key[2]}: the person attached it")
        elif plug and plug.born < self.round and plug.stirred < self.round:
            self.find(f"Detach of {key[2]}: it is still plugged in")

    def _follows(self, key: tuple, plug: Plug, hand: int, dest: str) -> bool:
        """In this very round the daemon's went from there, and this one came."""
        before, _, ended = self._given.get(key, (None, 0, 0.0))
        return plug.born == hand == self.round and before is not None and \
            before.frontend == dest and (
                before is self._at_rest.get(key) or ended > self._round_at)

    def _begun_ask(self, call) -> None:
        device = call.arg.split("+")[2]
        devclass = "usb" if "-" in device else "block"
        plug = self.plug_of(devclass, device)
        # it is out at this moment; a yes counts if what comes passes for it
        before = self._last.get((devclass, device))
        if plug is not None and (devclass, device) in plug.refused_for_sure:
            self.find(f"prompt for {device}: the person said no")
        if plug is not None and plug.left_alone:
            self.find(f"prompt for {device}: the person took it away")
        for window in self.machine.sim.agent.open_windows:
            if not window.call.abandoned:
                self.find(f"prompt for {device}: another is open")
        self._shown[call.n] = (plug or before, devclass, device)
        # asked for in the last moment before a kill
        daemon = self.machine.daemon
        if daemon is None or daemon.pid != self._caller("agent"):
            self.n_lost_windows += 1
            self.unanswered(call.n)

    def _ended(self, call, answer: bytes) -> None:
        key, pid = self._running.pop(call.n, (None, 0))
        if key is None or answer != b"0\0":
            return
        attachment = self.world.attachments.get(key)
        plug = self.plug_of(*key[1:])
        # also if the target has been stopped since
        if plug is not None:
            plug.had.add(call.dest)
            plug.holder_stopped = attachment is None
        if attachment is not None and attachment.frontend == call.dest:
            self._given[key] = (attachment, pid, time.monotonic())
            if plug is not None:
                # leave is for once: an ask rule asks again
                plug.approved.discard((*key[1:], call.dest))
                plug.spent[(*key[1:], call.dest)] = self.round

    # -- quiet

    def on_quiet(self, look: dict) -> None:
        """All acts of the round have had their effect."""
        told = {(device["class"], device["device"]): device
                for device in look["devices"]}
        running = self.world.is_running(SOURCE)
        for plug in self.kernel.plugs.values():
            plug.unseen |= self._may_be_same(plug)
            # stopped in or right after its start: no record starts it again
            if self.round in (plug.decided, plug.may_decide):
                stopped = {name for name in self._wanted_by(plug)
                           if self.round == self.stopped.get(name) ==
                           self.came_up.get(name)}
                plug.had |= stopped
                plug.holder_stopped |= bool(stopped)
            # found where it runs, it was taken away as far as can be known
            plug.restarted_unheard |= self.deaf == self.round and any(
                self.stopped.get(name, -1) == self.round for name in plug.had)
            if running:
                self._check_told(plug, told)
                self._check_attached(plug, told)
            self._be_sure(plug)
        if look["status"]["prompts"]["n_lost"] == 0:
            self.n_lost_windows = 0

    def _wanted_by(self, plug: Plug) -> set[str]:
        """Targets of each rule by which it may have been decided."""
        rules = [self.sets[number].rule_for(plug) for number in plug.sets]
        return {name for rule in rules if rule for name in rule.targets}

    def _owner(self, devclass: str, device: str) -> str | None:
        found = self.world.attachments.get((SOURCE, devclass, device))
        return found.frontend if found else None

    def _is_by_hand(self, key: tuple[str, str]) -> bool:
        found = self.world.attachments.get((SOURCE, *key))
        return any(each is found for each, _ in self.by_hand)

    def _check_told(self, plug: Plug, told: dict) -> None:
        """The daemon knows who has what, and no two parts have two owners."""
        # a disk and its partition, attached both at once: neither is listed
        # then, and qubesd tells of detaches that were none
        if plug.by_hand is not None and \
                sum(self._owner(*key) is not None for key in plug.devices) > 1:
            return
        for key in plug.devices:
            known, owner = told.get(key), self._owner(*key)
            # what no rule wants it may not have asked for yet since it began; a
            # USB device that went unheard it looks at once more, 3 s later
            if known and known["attached_to"] != owner and (
                    known["attached_to"] or not self._is_by_hand(key)) and \
                    not (key[0] == "usb" and
                         (plug.taken_unheard or plug.restarted_unheard or
                          plug.crossed)):
                self.find(f"{key[1]} is attached to {owner}, the daemon says "
                          f"{known['attached_to']}")
        owned = [key[1] for key in plug.devices[:2] if self._owner(*key)]
        parts = [key[1] for key in plug.devices[2:] if self._owner(*key)]
        if plug.by_hand is None and (len(owned) > 1 or owned and parts):
            self.find(f"attached at the same time: {owned + parts}")

    def _check_attached(self, plug: Plug, told: dict) -> None:
        excuse = self.excuse(plug)
        if excuse:
            self.note(f"{plug.thing.name} at {plug.port}: {excuse}")
            return
        rule = self.sets[next(iter(plug.sets))].rule_for(plug)
        for group in rule.wanted(plug):
            # the disk of what is, or was, attached as a whole is not there
            seen = [key for key in group if key in self.kernel.visible()]
            if seen and not any(self._owner(*key) for key in group) and \
                    not self._is_excluded(plug, group):
                last = [told[key]["last"] for key in group if key in told]
                self.find(f"{group[0][1]} is not attached, rule {rule.text!r} "
                          f"wants it; the daemon says {last}")

    def _is_excluded(self, plug: Plug, group: list) -> bool:
        """Another part of the plug is attached, as by earlier rules."""
        others = plug.devices if group[0] in plug.devices[:2] \
            else plug.devices[:2]
        return any(self._owner(*key) for key in others)

    def excuse(self, plug: Plug) -> str | None:
        """Why it need not be attached, by what was done."""
        if len(plug.sets) != 1:
            return "the rules changed while it was decided"
        rule = self.sets[next(iter(plug.sets))].rule_for(plug)
        if rule is None or rule.action == "deny":
            return "no rule wants it"
        if self._may_be_same(plug):
            return "it may pass for what was there before"
        for what in ("unanswered", "taken", "by_hand"):
            if getattr(plug, what) is not None:
                return what
        if plug.refused:
            return "refused"
        if plug.restarted_unheard:
            return "what had it was restarted while nobody heard"
        if rule.action == "ask" and self.n_noes >= NOES_MAX:
            return "the source is silenced"
        if rule.action == "ask" and self.n_lost_windows:
            return "a prompt of a killed daemon may still be on the screen"
        return self._target_excuse(plug, rule)

    def _target_excuse(self, plug: Plug, rule) -> str | None:
        # 310 as long as that had it; no record has come since
        for name in sorted(plug.had.difference(rule.targets)):
            if self.stopped.get(name, -1) >= plug.decided:
                return f"{name}, which had it by another rule, was stopped"
        for name in rule.targets:
            runs = self.world.qubes[name].state == "Running"
            if self.paused.get(name, -1) >= plug.decided:
                return f"{name} was paused"
            if rule.option == "if-running" and \
                    self.idle.get(name, -1) >= plug.decided:
                return f"{name} did not run"
            if rule.option == "when-running" and not runs:
                return f"{name} does not run"
            # what the person stopped is not started by a record, nor is
            # another in its place
            if not runs and (name in plug.had or plug.holder_stopped or
                             self.stopped.get(name, -1) >= plug.decided):
                return f"{name} was stopped, or what had it"
        return None

    def _be_sure(self, plug: Plug) -> None:
        """What was done in this round is known to the daemon, unless it died.

        It knew of what was attached when the round began. Of what it was told
        just before a kill it may know nothing.
        """
        killed = self.killed["daemon"] == self.round
        if not killed:
            plug.refused_for_sure |= {key for key, when in plug.refused.items()
                                      if when == self.round}
        # nobody can know why a device went and came while nobody could hear
        unheard = plug.taken_unheard and \
            self.machine.sim.behaviour.reprobe == "usb"
        # what others have attached is not remembered across a kill
        if plug.taken == self.round and plug.taken_from is not None and \
                self.idle.get(plug.taken_from, -1) < self.round and \
                not unheard and not (killed and plug.taken_others):
            plug.left_alone = True

    def give(self, plug: Plug, key: tuple) -> None:
        """The person attaches it. Of two USB attaches at once both go well."""
        plug.crossed |= plug.by_hand == self.round or any(
            key == other for other, _ in self._running.values())
        plug.by_hand = self.round

    def take(self, plug: Plug, key: tuple, attachment) -> None:
        """The person detached it.

        If nobody heard of that, qubesd's list is all there is, and that has a
        USB device for another second; the daemon does not look once more.
        """
        plug.taken = self.round
        plug.taken_unheard = self.deaf == self.round
        if self._at_rest.get(key) is attachment:
            plug.taken_from = attachment.frontend
        plug.taken_others = any(each is attachment for each, _ in self.by_hand)
