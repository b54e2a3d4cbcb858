"""What a seed says: how large the world is, how bad, and what breaks when.

Each seed leaves out most kinds of fault and draws the others often: runs that differ in kind find more than runs
that all have a little of everything.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Literal

from streams import failpoints

from .network import Weather

Kind = Literal["crash", "pause", "cut", "restart", "upset", "wipe", "redis-down", "foreign", "activate", "compact"]
KINDS: tuple[Kind, ...] = (
    "crash",
    "pause",
    "cut",
    "restart",
    "upset",
    "wipe",
    "redis-down",
    "foreign",
    "activate",
)

STORM_SECONDS = 40.0
"""From the first record to the last fault."""
PUBLISH_SECONDS = 25.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks. `seconds`: how long, or how long until it is back."""

    at: float
    kind: Kind
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """What happens at the `nth` hit of a fail-point.

    `stall` holds up the code that came there, while its process lives on and sends heartbeats; `freeze` stops the
    whole process, as SIGSTOP does.
    """

    place: str
    nth: int
    action: Literal["crash", "stall", "freeze", "raise"]
    seconds: float = 0.0


@dataclass(slots=True)
class Plan:
    """One run. Shares are between 0 and 1, times in simulated seconds."""

    seed: int
    workers: int = 2
    journal_partitions: int = 2
    events: int = 60
    customers: int = 5
    clock: Literal["events", "wall"] = "events"
    speed: float = 1.0
    tick_seconds: float = 2.0
    batch_records: int = 10
    max_customers: int = 1000
    max_deadlines: int = 1000
    fetch_records: int = 12
    restore_records: int = 50
    transaction_timeout: float = 15.0
    session: float = 10.0
    marker_seconds: float = 0.005
    weather: Weather = field(default_factory=Weather)
    failed_send_share: float = 0.0
    loading_share: float = 0.0
    disorder_share: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    is_patient: bool = False
    reads_committed: bool = True

    def is_calm(self) -> bool:
        """Whether nothing is to go wrong, and partitions move to nobody."""
        shares = self.failed_send_share, self.loading_share, self.disorder_share
        return self.workers == 1 and not (self.faults or self.steps or any(shares)) and self.weather == Weather()

    def calm_down(self) -> None:
        """Let nothing go wrong."""
        self.workers, self.faults, self.steps, self.weather = 1, [], [], Weather()
        self.failed_send_share = self.loading_share = self.disorder_share = 0.0


def draw(seed: int, kinds: tuple[Kind, ...] | None = None) -> Plan:
    """The plan of a seed.

    Args:
        kinds: draw only these faults, all of them; the seed chooses when None.
    """
    random = Random(f"plan {seed}")
    plan = Plan(
        seed,
        workers=random.choice((1, 2, 2, 2, 3)),
        journal_partitions=random.choice((1, 2, 2, 3)),
        events=random.choice((20, 40, 60, 90)),
        customers=random.choice((2, 4, 6)),
        clock=random.choice(("events", "events", "wall")),
        speed=random.choice((1.0, 600.0, 7200.0)),
        tick_seconds=random.choice((1.0, 2.0, 4.0)),
        batch_records=random.choice((1, 3, 10, 100)),
        max_customers=random.choice((1, 2, 1000)),
        fetch_records=random.choice((1, 5, 12, 40)),
        restore_records=random.choice((1, 5, 50)),
        session=random.choice((6.0, 10.0)),
        marker_seconds=random.choice((0.002, 0.02, 0.3)),
    )
    if random.random() < 0.6:
        plan.weather = Weather(
            mean_seconds=random.choice((0.002, 0.01, 0.05)),
            slow_share=random.choice((0.0, 0.02, 0.1)),
            slow_seconds=random.choice((1.0, 5.0)),
            lost_share=random.choice((0.0, 0.0, 0.01, 0.05)),
            doubled_share=random.choice((0.0, 0.05)),
        )
    if random.random() < 0.3:
        plan.failed_send_share = random.choice((0.01, 0.1))
    if random.random() < 0.2:
        plan.loading_share = 0.3
    if random.random() < 0.4:
        plan.disorder_share = random.choice((0.01, 0.1))
    chosen = [kind for kind in KINDS if random.random() < 0.35] if kinds is None else list(kinds)
    for kind in chosen:
        for _ in range(random.choice((1, 2, 5))):
            plan.faults.append(Fault(random.uniform(0.5, STORM_SECONDS), kind, _seconds(kind, random)))
    plan.max_deadlines = Random(f"deadlines {seed}").choice((1, 1, 2, 1000))
    cleaner = Random(f"cleaner {seed}")
    if kinds is None and cleaner.random() < 0.4:
        for _ in range(cleaner.choice((1, 4, 12))):
            plan.faults.append(Fault(cleaner.uniform(0.5, STORM_SECONDS), "compact", 0.0))
    plan.faults.sort(key=lambda fault: fault.at)
    if random.random() < 0.6:
        places = sorted(failpoints.REGISTRY)
        for _ in range(random.choice((1, 2, 4))):
            action = random.choice(("crash", "crash", "stall", "raise"))
            plan.steps.append(
                Step(
                    random.choice(places), random.choice((1, 2, 3, 8, 20)), action, random.choice((0.5, 9.0, 25.0))
                )
            )
    return plan


def _seconds(kind: Kind, random: Random) -> float:
    if kind in ("pause", "cut"):
        return random.choice((0.5, 5.0, 12.0, 12.0, 20.0, 35.0)) * random.uniform(0.8, 1.2)
    return random.uniform(0.1, 12.0)
