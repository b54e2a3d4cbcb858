"""The journal around a midnight, as ingest would write it: events at a steady rate, and ticks."""

import asyncio
import math
import time
from collections import deque
from dataclasses import dataclass, field

from bench.clients import producing, send
from bench.job import Record
from schemas.journal import Source, Tick, Transaction, encode_record, hash_event
from schemas.topics import JOURNAL, TRANSACTIONS
from streams.partitioner import partition_of
from streams.settings import Settings

RATE = 500
"""Events a second, all partitions together."""
OTHERS = 2_000
"""Customers who have them, one after the other."""
_BALANCE_FEN = 5_000_00
_PACE_SECONDS = 0.01


def other(number: int) -> bytes:
    """The id of one of the customers with events."""
    return f"L{number:08}".encode()


@dataclass(slots=True)
class Waiting:
    """Events appended to the journal and not seen in a committed state yet.

    Attributes:
        events: by customer id, oldest first: the event's hash, and when (monotonic) it was given to the producer.
    """

    events: dict[bytes, deque[tuple[int, float]]] = field(default_factory=dict)
    count: int = 0

    def since(self) -> float:
        """When the oldest was appended; infinity when there is none."""
        return min((events[0][1] for events in self.events.values() if events), default=math.inf)


class Feed:
    """Writes until told to stop; bank time goes as fast as real time, from `begin_ms` on.

    Attributes:
        sent: events so far.
        ticks: every tick so far, in order.
        midnight_at: when (monotonic) the ticks were appended that carry the clock over midnight; None before.
    """

    def __init__(self, settings: Settings, begin_ms: int, midnight_ms: int) -> None:
        self._settings, self._begin_ms, self._midnight_ms = settings, begin_ms, midnight_ms
        self._journal = settings.topic(JOURNAL)
        self._stopping = False
        self.waiting = Waiting()
        self.sent = 0
        self.ticks: list[Tick] = []
        self.midnight_at: float | None = None

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._stopping = True

    async def run(self) -> None:
        """Append events and ticks, each after the one before is acknowledged."""
        began, ticked_at = time.monotonic(), -self._settings.tick_seconds
        async with producing(self._settings.bootstrap) as producer:
            while not self._stopping:
                elapsed = time.monotonic() - began
                records = [self._event() for _ in range(int(elapsed * RATE) - self.sent)]
                if elapsed - ticked_at >= self._settings.tick_seconds:
                    ticked_at = elapsed
                    records += self._tick(self._begin_ms + int(elapsed * 1000))
                await send(producer, self._journal, records)
                await asyncio.sleep(_PACE_SECONDS)

    def _event(self) -> Record:
        turn, number = divmod(self.sent, OTHERS)
        key = other(number)
        event_id = f"m{self.sent:010d}"
        event_hash = hash_event(TRANSACTIONS, event_id)
        amount_fen, is_credit = 10_00 + number * 10, turn % 2 == 1  # what one event takes the next brings back
        value = encode_record(
            Transaction(
                customer_id=key.decode(),
                source=Source(TRANSACTIONS, 0, self.sent),
                event_id=event_id,
                event_hash=event_hash,
                occurred_ms=self._begin_ms + self.sent * 1000 // RATE,
                account_id=f"B{number:08d}",
                direction="credit" if is_credit else "debit",
                amount_fen=amount_fen,
                balance_after_fen=_BALANCE_FEN - (0 if is_credit else amount_fen),
                kind="card",
                channel="pos",
            )
        )
        self.waiting.events.setdefault(key, deque()).append((event_hash, time.monotonic()))
        self.waiting.count += 1
        self.sent += 1
        return Record(partition_of(key, self._settings.partitions), key, value)

    def _tick(self, now_ms: int) -> list[Record]:
        ticks = [Tick(topic=topic, partition=0, of=1, time_ms=now_ms) for topic in self._settings.clock_topics]
        self.ticks += ticks
        if self.midnight_at is None and now_ms > self._midnight_ms:
            self.midnight_at = time.monotonic()
        values = [encode_record(tick) for tick in ticks]
        return [Record(number, None, value) for value in values for number in range(self._settings.partitions)]
