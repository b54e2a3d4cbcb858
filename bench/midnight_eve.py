"""The states with which a midnight begins: copies of a made-up bank's customers who have a deadline at it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

import msgspec

from bench.midnight_feed import OTHERS, other
from schemas.journal import Tick
from streams.settings import Settings
from tagger.folding.partition import Partition
from tagger.folding.plain_fold import Folding
from tagger.state.customer import decode_due


@dataclass(frozen=True, slots=True)
class Eve:
    """The made-up bank shortly before a midnight, and those of its customers who have a deadline at it."""

    bank: Partition
    models: list[str]
    begin_ms: int
    midnight_ms: int

    def copies(self, customers: int) -> Iterator[tuple[bytes, bytes]]:
        """Idle customers, and those who will have events."""
        states = cycle([self.bank.customers[model] for model in self.models])
        for number in range(customers):
            yield f"R{number:08}".encode(), next(states)
        for number in range(OTHERS):
            yield other(number), next(states)

    def tags(self, ticks: list[Tick], customers: int) -> int:
        """How many tags the ticks bring about for idle customers; the bank moves on with them."""
        whose: list[str] = []
        folding = Folding(self.bank, lambda tag: whose.append(msgspec.json.decode(tag)["customer_id"]))
        for tick in ticks:
            folding.take(tick)
        folding.finish()
        of_model = Counter(whose)
        return sum(of_model[model] for _, model in zip(range(customers), cycle(self.models), strict=False))


def eve_of(bank: Partition, settings: Settings, seconds: float) -> Eve:
    """Let time pass to `seconds` before a midnight, and see who has a deadline at it."""
    assert bank.meta.clock_ms is not None
    calendar = bank.calendar
    # a whole day without events, so that nothing is left over from the bank's last one
    midnight_ms = calendar.start_ms(calendar.day_of(bank.meta.clock_ms) + 2)
    begin_ms = midnight_ms - int(seconds * 1000)
    folding = Folding(bank)
    for topic in settings.clock_topics:
        folding.take(Tick(topic=topic, partition=0, of=1, time_ms=begin_ms))
    folding.finish()
    models = [name for name, state in bank.customers.items() if decode_due(state) == midnight_ms]
    return Eve(bank, models, begin_ms, midnight_ms)
