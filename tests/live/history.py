# SPDX-License-Identifier: GPL-2.0-or-later
"""Random histories: rounds of acts, and quiet after each."""

import dataclasses
import random

from book import RuleSet, draw_set

# how often each kind of act is drawn
KINDS = {
    "plug": 28, "unplug": 10, "replug": 8, "replug another": 6,
    "user detach": 10, "user attach": 7,
    "target start": 8, "target stop": 7, "target pause": 3,
    "target restart": 4, "unplug in start": 4,
    "source stop": 3, "source start": 12, "source restart unheard": 3,
    "qubesd crash": 4, "daemon kill": 5, "forwarder kill": 5, "reload": 6,
}
# not drawn: how a person answers a prompt
HABITS = {"prompt yes": 60, "prompt no": 22, "prompt never": 18}
ROUNDS = (3, 6)
ACTS = ((1, 40), (2, 30), (3, 20), (5, 10))
# how long until the next act
GAPS_S = ((0.0, 30), (0.003, 15), (0.02, 25), (0.1, 20), (0.4, 10))


@dataclasses.dataclass(frozen=True)
class Act:
    """What is done; `a` and `b` choose among what is there at that time."""

    kind: str
    a: int
    b: int
    gap_s: float
    # how long what was ended stays away
    away_s: float


@dataclasses.dataclass(frozen=True)
class History:
    """All that chance decides."""

    seed: int
    behaviour: dict
    running: dict
    sets: tuple[RuleSet, ...]
    rounds: tuple[tuple[Act, ...], ...]


def _one_of(chance: random.Random, table):
    values, weights = zip(*table)
    return chance.choices(values, weights)[0]


def _draw_act(chance: random.Random) -> Act:
    gap_s = _one_of(chance, GAPS_S)
    return Act(_one_of(chance, KINDS.items()), chance.randrange(1 << 30),
               chance.randrange(1 << 30), gap_s * (0.5 + chance.random()),
               chance.choice((0.0, 0.02, 0.3)))


def draw(seed: int) -> History:
    """The history of a seed."""
    chance = random.Random(seed)
    rounds = tuple(
        tuple(_draw_act(chance) for _ in range(_one_of(chance, ACTS)))
        for _ in range(chance.randint(*ROUNDS)))
    return History(
        seed=seed,
        behaviour={
            "usb_detach_lag": chance.choice((0.0, 0.1, 1.0)),
            "reprobe": chance.choice(("none", "block", "usb")),
            "attach_delay": chance.choice((0.0, 0.01, 0.06)),
            "start_delay": chance.choice((0.0, 0.05, 0.3)),
            "pieces": chance.choice((True, False, "joined")),
        },
        running={"work": chance.random() < 0.8, "vault": chance.random() < 0.3,
                 "calls": chance.random() < 0.6},
        sets=tuple(draw_set(chance, n)
                   for n in range(1 + sum(act.kind == "reload"
                                          for acts in rounds for act in acts))),
        rounds=rounds)
