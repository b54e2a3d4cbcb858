"""When a source's time is told to the journal (docs/operations.md, "Time").

`tagger.ingest.partition` knows what time a source has; this says when that becomes records: in every journal
partition, inside the ingest task's own transaction, after the events of that transaction. The first thing a task
commits holds one, so that a clock is known as soon as every source was taken over once.
"""

import time
from collections.abc import Callable

from schemas.journal import Tick, encode_record
from streams.lanes.unit_of_work import Transaction


class Ticks:
    """The ticks of one task.

    Args:
        every_seconds: between two ticks that only move time.
        journal, partitions: where they go: the topic's name on the broker, and each of its partitions.
        monotonic: seconds; moved by hand in tests.
    """

    def __init__(
        self,
        every_seconds: float,
        journal: str,
        partitions: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_seconds = every_seconds
        self._journal = journal
        self._partitions = partitions
        self._monotonic = monotonic
        self._told: Tick | None = None
        self._told_at = 0.0

    def is_due(self, tick: Tick | None) -> bool:
        """Whether this says something new that cannot wait.

        A first tick and one that opens or closes the source cannot; one that moves time can until it moved
        `every_seconds`, or as long as that has passed on the wall.
        """
        told = self._told
        if tick is None or tick == told:
            return False
        if told is None or told.closed != tick.closed or told.time_ms is None or tick.time_ms is None:
            return True
        moved_seconds = (tick.time_ms - told.time_ms) / 1000
        return moved_seconds >= self._every_seconds or self._monotonic() - self._told_at >= self._every_seconds

    def append(self, transaction: Transaction, tick: Tick) -> None:
        """Add a tick to a transaction, for every journal partition."""
        value = encode_record(tick)
        for partition in range(self._partitions):
            transaction.append(self._journal, partition, None, value)

    def told(self, tick: Tick) -> None:
        """Say that a transaction with this tick was committed."""
        self._told = tick
        self._told_at = self._monotonic()
