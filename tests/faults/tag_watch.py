"""Reads committed tags as they come, as a push service would, and tells when a partition went on after a kill."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import TAGS
from streams.settings import Settings


@dataclass
class Moved:
    """A partition that has to go on after something.

    Attributes:
        since: when that was, epoch seconds.
        seconds: from then until the first tag was readable that was decided since; None while there is none.
    """

    partition: int
    since: float
    seconds: float | None = None


@dataclass
class Heard:
    """What came of one partition: how many tags, and a hash of offsets and values in order."""

    count: int = 0
    next_offset: int = 0
    digest: "blake2b" = field(default_factory=lambda: blake2b(digest_size=8))

    def take(self, offset: int, value: bytes) -> None:
        self.count += 1
        self.next_offset = offset + 1
        self.digest.update(b"%d " % offset)
        self.digest.update(value)


class TagWatch:
    """Reads until cancelled."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.heard = [Heard() for _ in range(settings.partitions)]
        self._awaited: list[Moved] = []

    def expect(self, partitions: Iterable[int], since: float) -> list[Moved]:
        """Ask when each partition has a tag decided after `since`, epoch seconds."""
        moved = [Moved(partition, since) for partition in sorted(partitions)]
        self._awaited.extend(moved)
        return moved

    async def hear_until(self, offsets: Sequence[int], seconds: float) -> None:
        """Wait until each partition was heard up to its offset, or no longer: a verdict tells what is missing."""
        deadline = time.monotonic() + seconds
        while any(heard.next_offset < offset for heard, offset in zip(self.heard, offsets, strict=True)):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(0.1)

    async def run(self) -> None:
        topic = self._settings.topic(TAGS)
        tps = [TopicPartition(topic, number) for number in range(self._settings.partitions)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            metadata_max_age_ms=5000,
        )
        await consumer.start()
        try:
            consumer.assign(tps)
            while True:
                try:
                    batches = await consumer.getmany(timeout_ms=200)
                except KafkaError:
                    await asyncio.sleep(0.2)
                    continue
                self._take(batches)
        finally:
            await consumer.stop()

    def _take(self, batches: dict[TopicPartition, list[object]]) -> None:
        now = time.time()
        for tp, records in batches.items():
            heard = self.heard[tp.partition]
            for record in records:
                heard.take(record.offset, record.value)  # type: ignore[attr-defined]
            newest = max((record.timestamp for record in records), default=0) / 1000  # type: ignore[attr-defined]
            for moved in self._awaited:
                # written by nobody but the next owner: one that was killed writes nothing later
                if moved.partition == tp.partition and newest > moved.since:
                    moved.seconds = now - moved.since
            self._awaited = [moved for moved in self._awaited if moved.seconds is None]
