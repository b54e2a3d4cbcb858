"""A made-up bank: customers who live out known stories, and labels of what should be tagged.

The same plan gives the same bytes: every customer has a generator of its own, seeded by the plan's seed and the
customer's number, and records are ordered by arrival, customer and sequence. One day of records is in memory at a
time, and about 11 KB a customer of thirty days.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from random import Random

from schemas.bankday import BankCalendar
from streams.sources.customer import Customer, Happening, Period
from streams.sources.expected import expect_signals, expect_silence
from streams.sources.labels import Label
from streams.sources.record import SourceRecord
from streams.sources.stories import MIN_DAYS, STORIES
from tagger.settings import DEFAULT_ZONE

DEFAULT_START = date(2025, 1, 1)
CONSENTS = {"push": 0.9, "call": 0.6, "branch": 0.5}
"""Which share of the customers agrees to a channel; made up."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What bank to make up.

    Attributes:
        customers: how many; from 15 on, every story has one.
        days: bank days from `start`, at least 14, so that every story comes to its end.
    """

    customers: int = 1000
    days: int = 30
    seed: int = 1
    start: date = DEFAULT_START
    zone: str = DEFAULT_ZONE

    def __post_init__(self) -> None:
        if self.customers < 1:
            raise ValueError(f"a bank of at least 1 customer, got {self.customers}")
        if self.days < MIN_DAYS:
            raise ValueError(f"at least {MIN_DAYS} days, so that every story comes to its end, got {self.days}")


@dataclass(slots=True)
class Simulation:
    """A bank being made up.

    Attributes:
        labels: complete once `records` is exhausted.
        notes: how many records came `out of order`, `late`, `repeated` or `broken`.
    """

    plan: Plan
    labels: list[Label]
    notes: Counter[str]

    def records(self) -> Iterator[SourceRecord]:
        """Records in order of arrival."""
        for happening in self._happenings():
            key = happening.customer_id.encode()
            yield SourceRecord(happening.topic, key, happening.value)

    def _happenings(self) -> Iterator[Happening]:
        calendar = BankCalendar(self.plan.zone)
        period = Period(calendar, self.plan.start.toordinal(), self.plan.days)
        customers = list(self._customers(period))
        yield from [self._agreement(customer, number) for number, customer in enumerate(customers)]
        lives = [STORIES[c.story][0](c) for c in customers]
        arriving: dict[int, list[Happening]] = defaultdict(list)
        reached_ms = 0  # the latest record: where the clock ends when the topics do
        for day in range(self.plan.days):
            today, tomorrow_ms = arriving.pop(day, []), period.start_ms(day + 1)
            for life in lives:
                for happening in next(life):
                    if happening.arrives_ms < tomorrow_ms:
                        today.append(happening)
                    else:
                        arriving[calendar.day_of(happening.arrives_ms) - period.first_day].append(happening)
            for customer in customers:
                customer.close_day(day)
            today.sort()
            reached_ms = today[-1].arrives_ms if today else reached_ms
            yield from today
        for life in lives:  # what a story expects is complete when it ends
            assert next(life, None) is None, "a story lasts the period's days"
        for customer in customers:
            expect_signals(customer, reached_ms)
            expect_silence(customer)
        for day in sorted(arriving):
            yield from sorted(arriving[day])

    def _agreement(self, customer: Customer, number: int) -> Happening:
        """What a customer has agreed to, by a generator of its own: it changes nobody's life."""
        random = Random(f"{self.plan.seed}/{number}/consent")
        agreed = {channel: random.random() < share for channel, share in CONSENTS.items()}
        return customer.agree(customer.period.start_ms(0), **agreed)

    def _customers(self, period: Period) -> Iterator[Customer]:
        names = list(STORIES)
        shares = list(accumulate(share for _, share in STORIES.values()))
        for number in range(self.plan.customers):
            random = Random(f"{self.plan.seed}/{number}")
            drawn = random.choices(names, cum_weights=shares)[0]
            story = names[number] if number < len(names) else drawn
            yield Customer(
                customer_id=f"S{number:06d}",
                story=story,
                period=period,
                random=random,
                labels=self.labels,
                notes=self.notes,
            )


def simulate(plan: Plan) -> Simulation:
    """Make up a bank; take its records, then its labels."""
    return Simulation(plan, [], Counter())
