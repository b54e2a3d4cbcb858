"""What a rulebook costs: by kind of event estimated from what it may touch, or measured over a made-up bank.

The estimate is a line through measurements of the packs in `rules/`, alone and together, over the made-up bank on
a busy 2-core machine with Python 3.11: it tells a dear rulebook from a cheap one, not microseconds on another
machine. Measuring folds the made-up bank of `tagger simulate` in memory, without a broker, and counts CPU time.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schemas.bankday import BankCalendar
from schemas.journal import Activation, CustomerEvent, JournalRecord, Tick
from schemas.topics import APP_EVENTS, PROFILES, TRANSACTIONS
from streams.history import Refused, read_journal
from streams.settings import Settings
from streams.sources.formats import OpenSource
from streams.sources.simulate import DEFAULT_START, Plan, simulate
from tagger.compiler.program import Program
from tagger.compiler.reach import ALL_SOURCES
from tagger.folding.partition import Partition
from tagger.packs.rulebook import Rulebook

BASE_US, UPDATE_US, RULE_US = 8.0, 1.2, 4.0
"""CPU of an event that no rule reads, of a feature that it updates, and of a rule it may concern, tags included.

Measured for a transaction: no rule 11, signals 17, ccb 23, rfm 21, all packs 190; for an app event, none 7,
signals 11, all packs 44."""
_BANK = Plan(customers=200, days=30)
_BATCH_RECORDS = 5000


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an event of a kind may touch, and about how many microseconds of CPU that is."""

    kind: str
    features: int
    rules: int
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What a made-up bank came to.

    Attributes:
        events: by kind.
        cpu_us: microseconds an event of a kind.
        commit_us: microseconds an event for writing states, by the batch.
        day_us: microseconds a customer and bank day that passes, for what falls due by itself.
        state_bytes: of a customer, the mean and the largest.
    """

    events: dict[str, int]
    cpu_us: dict[str, float]
    commit_us: float
    day_us: float
    state_bytes: tuple[int, int]


def estimate(program: Program) -> list[Estimate]:
    """The cost of an event of each kind that touches all it can."""
    estimates = []
    for kind in ALL_SOURCES:
        reach = program.reach[kind]
        features = len({feature.key for feature in program.features.values() if feature.source == kind})
        rules = len(reach.touched(reach.changeable))
        estimates.append(Estimate(kind, features, rules, BASE_US + UPDATE_US * features + RULE_US * rules))
    return estimates


def measure(rulebook: Rulebook, settings: Settings) -> Measured:
    """Fold the made-up bank under a rulebook, on the CPU's clock."""
    program = Program(rulebook, BankCalendar(settings.zone))
    records = list(_with_midnights(_journal(settings), settings))
    # Once before it counts: functions are generated at first use, and belong to the program.
    _fold(program, rulebook, settings, records)
    return _fold(program, rulebook, settings, records)


def _fold(program: Program, rulebook: Rulebook, settings: Settings, records: list[JournalRecord]) -> Measured:
    files = {rulebook.digest: dict(rulebook.files)}
    partition = Partition(settings.core(), files.__getitem__, programs={program.digest: program})
    batch = partition.batch()
    batch.fold(0, Activation(digest=program.digest))
    spent: Counter[str] = Counter()
    events: Counter[str] = Counter()
    for offset, record in enumerate(records, start=1):
        kind = record.source_kind if isinstance(record, CustomerEvent) else "ticks"
        began = time.process_time_ns()
        batch.fold(offset, record)
        spent[kind] += time.process_time_ns() - began
        events[kind] += 1
        if offset % _BATCH_RECORDS == 0 or offset == len(records):
            began = time.process_time_ns()
            partition.merge(batch.finish())
            spent["commits"] += time.process_time_ns() - began
            batch = partition.batch()
    del events["ticks"]
    sizes = [len(state) for state in partition.customers.values()]
    total = events.total()
    assert total, "the made-up bank has events"
    return Measured(
        events=dict(events),
        cpu_us={kind: spent[kind] / count / 1000 for kind, count in events.items()},
        commit_us=spent["commits"] / total / 1000,
        day_us=spent["ticks"] / (_BANK.customers * _BANK.days) / 1000,
        state_bytes=(sum(sizes) // len(sizes), max(sizes)),
    )


def _with_midnights(records: Iterable[JournalRecord], settings: Settings) -> Iterator[JournalRecord]:
    """Before the first event of a bank day, its midnight passes for everybody, so that no event pays for it."""
    calendar, latest = BankCalendar(settings.zone), 0
    for record in records:
        if isinstance(record, CustomerEvent) and (day := calendar.day_of(record.occurred_ms)) > latest:
            latest = day
            for topic in settings.clock_topics:
                yield Tick(topic=topic, partition=0, of=1, time_ms=calendar.start_ms(day) + 1, recorded=True)
        yield record


def _journal(settings: Settings) -> Iterator[JournalRecord]:
    bank = simulate(Plan(_BANK.customers, _BANK.days, start=DEFAULT_START, zone=settings.zone))
    source = OpenSource(bank.records(), frozenset({TRANSACTIONS, APP_EVENTS, PROFILES}), Counter())
    # Recorded long ago, so that no event lies in the future, whatever the time of day.
    return read_journal(
        source, settings, BankCalendar(settings.zone).start_ms(DEFAULT_START.toordinal() + 366), Refused(Counter())
    )
