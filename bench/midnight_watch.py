"""What a decide worker commits around a midnight, read off its changelog, read committed.

Nothing here knows how the worker goes about it: an idle customer is done when its committed state has a deadline
beyond the midnight, an event when a committed state remembers it, and each transaction ends with a meta record.
"""

import time
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.midnight_feed import Waiting
from schemas.topics import CUSTOMERS
from streams.settings import Settings
from tagger.folding.meta import META_KEY, decode_meta
from tagger.state.customer import decode_due, decode_state
from tagger.state.dedupe import ENTRY_BYTES, HASH_BYTES


@dataclass(slots=True)
class Transactions:
    """How many there were, and the changelog's part of the largest."""

    count: int = 0
    most_records: int = 0
    most_bytes: int = 0


class Watch:
    """Reads the changelog from its end on.

    Args:
        idle: how many idle customers have a deadline at `midnight_ms`; their ids are `R` and a number.
        waiting: events on their way; those found are taken out.

    Attributes:
        left: idle customers whose deadline has not been evaluated yet.
        finished_at: when (monotonic) the last one had been; None before.
        latencies: for each event, when it was appended and how many seconds it took.
        positions: `next_offset` by journal partition.
    """

    def __init__(self, settings: Settings, idle: int, midnight_ms: int, waiting: Waiting) -> None:
        topic = settings.topic(CUSTOMERS)
        self._tps = [TopicPartition(topic, number) for number in range(settings.partitions)]
        self._midnight_ms, self._waiting = midnight_ms, waiting
        self._is_done = bytearray(idle)
        self._open = dict.fromkeys(self._tps, (0, 0))
        self._bootstrap = settings.bootstrap
        self.left = idle
        self.finished_at: float | None = None
        self.latencies: list[tuple[float, float]] = []
        self.transactions = Transactions()
        self.positions: dict[int, int] = {}

    async def __aenter__(self) -> "Watch":
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=None,
            isolation_level="read_committed",
            fetch_max_wait_ms=50,
            enable_auto_commit=False,
        )
        await self._consumer.start()
        self._consumer.assign(self._tps)
        await self._consumer.seek_to_end(*self._tps)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def run(self) -> None:
        """Read; endless."""
        while True:
            fetched = await self._consumer.getmany(timeout_ms=50)
            now = time.monotonic()
            for tp, records in fetched.items():
                for record in records:
                    self.take(tp, record.key, record.value, now)

    def take(self, tp: TopicPartition, key: bytes, value: bytes, now: float) -> None:
        """Take in one committed record, read at `now` (monotonic)."""
        count, size = self._open[tp]
        self._open[tp] = count + 1, size + len(key) + len(value)
        if key == META_KEY.encode():
            self._end_transaction(tp)
            self.positions[tp.partition] = decode_meta(value).next_offset
        elif key.startswith(b"R"):
            number = int(key[1:])
            if not self._is_done[number] and decode_due(value) > self._midnight_ms:
                self._is_done[number] = 1
                self.left -= 1
                if not self.left:
                    self.finished_at = now
        elif key in self._waiting.events:
            self._find_events(key, value, now)

    def _end_transaction(self, tp: TopicPartition) -> None:
        records, size = self._open[tp]
        self._open[tp] = 0, 0
        found = self.transactions
        found.count += 1
        found.most_records, found.most_bytes = max(found.most_records, records), max(found.most_bytes, size)

    def _find_events(self, key: bytes, value: bytes, now: float) -> None:
        """Take a customer's events up to the last that the state remembers; they are folded in order."""
        seen = decode_state(value).seen
        latest = int.from_bytes(seen[-ENTRY_BYTES:][:HASH_BYTES], "big")
        waiting = self._waiting.events[key]
        if all(event_hash != latest for event_hash, _ in waiting):
            return  # a state that only time has changed
        event_hash = None
        while event_hash != latest:
            event_hash, appended_at = waiting.popleft()
            self._waiting.count -= 1
            self.latencies.append((appended_at, now - appended_at))
