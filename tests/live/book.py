# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of a history, in words and as the judge reads them.

A set has at most one rule an id, so all devices of a plug have the same.
"""

import dataclasses
import random

from things import IDS, Plug

TARGETS = ("work", "vault", "calls")
# the prompt that nobody answers is given up after so long
TIMEOUT_S = 2
NEVER_THERE = "dead:0000"


@dataclasses.dataclass(frozen=True)
class Rule:
    """One line."""

    name: str
    action: str
    devclass: str
    id: str
    targets: tuple = ()
    partitions: bool = False
    option: str = ""

    @property
    def text(self) -> str:
        """As a file has it."""
        words = [f"{self.name}:", self.action, self.devclass, "id", self.id]
        if self.partitions:
            words += ["type", "partition"]
        if self.targets:
            words += ["to", "{", *self.targets, "}"]
        if self.action == "ask":
            words += ["timeout", f"{TIMEOUT_S}s"]
        return " ".join([*words, self.option])

    def wanted(self, plug: Plug) -> list[list[tuple[str, str]]]:
        """Of each of these lists of a plug's devices one is to be attached."""
        usb, disk, parts = (plug.devices[:1], plug.devices[1:2],
                            plug.devices[2:])
        if self.devclass == "usb":
            return [usb]
        if self.partitions:
            return [[part] for part in parts]
        if self.devclass == "any":
            # they exclude one another
            return [usb + disk]
        return [disk] if disk else []

    def takes(self, devclass: str, is_partition: bool) -> bool:
        """Whether it means such a device."""
        if devclass == "usb":
            return self.devclass != "block"
        if self.devclass == "usb":
            return False
        return self.action == "deny" or is_partition == self.partitions


@dataclasses.dataclass(frozen=True)
class RuleSet:
    """All rules in force at a time."""

    number: int
    rules: tuple

    @property
    def text(self) -> str:
        """The file; its last rule tells which set it is."""
        return "\n".join([*(rule.text for rule in self.rules),
                          f"set-{self.number}: deny usb id {NEVER_THERE}", ""])

    def rule_for(self, plug: Plug) -> Rule | None:
        """The one that has the plug's id."""
        return next((rule for rule in self.rules if rule.id == plug.thing.id),
                    None)

    def leave(self, plug: Plug, devclass: str, device: str) -> Rule | None:
        """The rule that lets a device be attached, with or without asking."""
        rule = self.rule_for(plug)
        if rule and rule.action != "deny" and rule.takes(
                devclass, (devclass, device) in plug.devices[2:]):
            return rule
        return None


def draw_set(chance: random.Random, number: int) -> RuleSet:
    """Any rules."""
    rules = []
    for n, usb_id in enumerate(IDS):
        action = chance.choices(("allow", "ask", "deny", None),
                                (50, 35, 8, 7))[0]
        if action is None:
            continue
        has_disk = n < 2
        devclass = chance.choices(("usb", "any", "block"),
                                  (30, 30, 40 if has_disk else 0))[0]
        rules.append(Rule(
            f"r{number}-{n}", action, devclass, usb_id,
            targets=() if action == "deny" else tuple(chance.sample(
                TARGETS, chance.choices((1, 2), (75, 25))[0])),
            partitions=devclass == "block" and chance.random() < 0.25,
            option="" if action == "deny" else chance.choices(
                ("", "when-running", "if-running"), (60, 25, 15))[0]))
    return RuleSet(number, tuple(rules))
