"""What a seed says: which faults strike, in which order, how close together, and what each draws.

The order and every choice follow from the seed. How long a fault takes to heal is the machine's affair, so a
replay is the same plan and not the same microsecond.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal

from streams import failpoints

Kind = Literal[
    "kill",
    "pause",
    "join",
    "broker-kill",
    "broker-restart",
    "broker-freeze",
    "redis-kill",
    "redis-flush",
    "aborted",
    "open",
    "activate",
]

OTHERS: dict[Kind, int] = {
    "pause": 4,
    "join": 2,
    "broker-kill": 2,
    "broker-restart": 1,
    "broker-freeze": 1,
    "redis-kill": 2,
    "redis-flush": 2,
    "aborted": 3,
    "open": 2,
    "activate": 2,
}
"""Faults beside twenty kills."""
SESSION_SECONDS = 6.0
MOST_TIMES_OTHERS = 1.5
"""A long run has more kills, and not as many more of what takes its time."""

ARMED_SHARE = 0.5
"""Of the workers started after a kill, how many run under a fail-point."""
HASTE_SHARES = (0.35, 0.75)
"""Of the faults, how many are followed by the next before they have healed: in a short run, in a long one."""
LONG_KILLS = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks.

    Attributes:
        seconds: how long it lasts, or until what was ended is started again.
        place: a number that chooses among what there is: a worker, a node, a partition.
        armed: what the worker started in its stead has in `TAGGER_FAILPOINTS`.
        is_hasty: the next fault does not wait for this one to heal.
        rest: seconds between this fault, healed or not, and the next.
    """

    kind: Kind
    seconds: float
    place: int
    armed: str = ""
    is_hasty: bool = False
    rest: float = 0.5

    def __str__(self) -> str:
        told = [f"{self.seconds:.1f} s"]
        if self.armed:
            told.append(self.armed)
        if self.is_hasty:
            told.append("the next at once")
        return f"{self.kind} ({', '.join(told)})"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        most_minutes: after which no further fault strikes, on a machine too busy for the whole plan.
        only_kills: nothing but SIGKILLs of workers, each healed before the next.
    """

    seed: int
    kills: int
    events: int
    nodes: int = 1
    workers: int = 3
    partitions: int = 3
    session_seconds: float = SESSION_SECONDS
    most_minutes: float = 600.0
    only_kills: bool = False
    faults: tuple[Fault, ...] = field(default_factory=tuple)

    def counts(self) -> Counter[str]:
        return Counter(fault.kind for fault in self.faults)


def draw(
    seed: int,
    kills: int,
    events: int,
    *,
    nodes: int = 1,
    workers: int = 3,
    most_minutes: float = 600.0,
    only_kills: bool = False,
) -> Plan:
    """The plan of a seed."""
    random = Random(f"faults {seed}")
    kinds: list[Kind] = ["kill"] * kills
    for kind, count in OTHERS.items():
        kinds += [kind] * max(1, round(count * min(kills / 20, MOST_TIMES_OTHERS)))
    random.shuffle(kinds)
    places = iter(_armed_steps(random, kills))
    haste = HASTE_SHARES[kills >= LONG_KILLS]
    faults = []
    for kind in kinds:
        armed = next(places) if kind == "kill" and random.random() < ARMED_SHARE else ""
        is_hasty = kind in _HASTY and random.random() < haste
        seconds = _SECONDS[kind](random, SESSION_SECONDS)
        faults.append(
            Fault(kind, seconds, random.randrange(1 << 16), armed, is_hasty, random.choice((0.1, 0.5, 1.5)))
        )
    if only_kills:
        faults = [replace(fault, armed="", is_hasty=False) for fault in faults if fault.kind == "kill"]
    return Plan(
        seed,
        kills,
        events,
        nodes=nodes,
        workers=workers,
        most_minutes=most_minutes,
        only_kills=only_kills,
        faults=tuple(faults),
    )


_HASTY: tuple[Kind, ...] = ("kill", "broker-kill", "redis-kill", "redis-flush", "aborted", "open", "join")
_SECONDS = {
    "kill": lambda random, _: random.choice((0.0, 0.0, 0.5, 2.0)),
    "pause": lambda random, session: session + random.uniform(1.0, 5.0),
    "join": lambda random, _: random.uniform(0.0, 3.0),
    "broker-kill": lambda random, _: random.choice((0.0, 1.0, 4.0)),
    "broker-restart": lambda random, _: random.choice((0.0, 2.0)),
    "broker-freeze": lambda random, session: random.choice((2.0, 5.0, session + 2.0)),
    "redis-kill": lambda random, _: random.choice((0.0, 1.0, 6.0)),
    "redis-flush": lambda _random, _: 0.0,
    "aborted": lambda _random, _: 0.0,
    "open": lambda _random, _: 0.0,
    "activate": lambda _random, _: 0.0,
}


def _armed_steps(random: Random, count: int) -> list[str]:
    """Fail-points for `count` workers, each place once before any comes again."""
    steps: list[str] = []
    while len(steps) < count:
        places = sorted(failpoints.REGISTRY)
        random.shuffle(places)
        for place in places:
            action = random.choice(("crash", "crash", "crash", "raise", "stall"))
            if action == "stall":
                action = f"stall:{random.choice((1, 4, 12))}"
            steps.append(f"{place}={action}@{random.choice((1, 1, 2, 5, 20))}")
    return steps[:count]
