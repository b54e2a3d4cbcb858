"""aiokafka's producer, consumer and admin client, as far as `streams` uses them, over the simulated broker.

They keep aiokafka's habits that matter: a cancelled commit goes on by itself, a commit sends what was batched
whether or not a send failed, an abort while a commit is under way is an error, and offsets asked for while the
coordinator loads are an empty answer.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    ConcurrentTransactions,
    GroupLoadInProgressError,
    IllegalOperation,
    InvalidProducerEpoch,
    NotEnoughReplicasError,
    ProducerFenced,
)
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata

from .broker import Batch

if TYPE_CHECKING:
    from .world import World

_FRAMING_BYTES = 20


class BatchBuilder:
    """Records for one partition; the first is taken however large it is."""

    def __init__(self, most: int) -> None:
        self.records: list[Any] = []
        self._most = most
        self._bytes = 0
        self._closed = False

    def append(self, *, key: Any, value: Any, timestamp: int, headers: Any = ()) -> object | None:
        size = len(key or b"") + len(value or b"") + _FRAMING_BYTES
        if self._closed or (self.records and self._bytes + size > self._most):
            self._closed = True
            return None
        self._bytes += size
        self.records.append((key, value, timestamp, tuple(headers)))
        return self

    def record_count(self) -> int:
        return len(self.records)

    def close(self) -> None:
        self._closed = True


class _Part:
    async def close(self) -> None:
        """Closed."""


class Producer:
    """One process's producer."""

    world: "World"

    def __init__(
        self,
        *,
        transactional_id: str | None = None,
        transaction_timeout_ms: int = 60_000,
        max_batch_size: int = 16_384,
        **_options: Any,
    ) -> None:
        self._id = transactional_id
        self._timeout = transaction_timeout_ms / 1000
        self._most = max_batch_size
        self._epoch = -1
        self._serial = 0
        self._sequences: dict[TopicPartition, int] = {}
        self._state = "idle"
        self._sends: list[asyncio.Task[None]] = []
        self._ending: asyncio.Task[None] | None = None
        self._sender = self.client = _Part()

    async def start(self) -> None:
        if self._id is not None:
            name = self._id
            _, self._epoch = await self._when_free(lambda: self.world.broker.init_producer(name, self._timeout))

    async def stop(self) -> None:
        if self.world.chance(0.1):
            await asyncio.sleep(3)
        for task in [*self._sends, self._ending]:
            if task is not None and self.world.chance(0.5):
                task.cancel()

    async def begin_transaction(self) -> None:
        if self._state == "fenced":
            raise ProducerFenced
        if self._state != "idle":
            raise IllegalOperation(self._state)
        self._state = "open"
        self._serial += 1
        self._sends = []

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(self._most)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> "asyncio.Future[None]":
        self._must_be_open()
        tp = TopicPartition(topic, partition)
        sequence = self._sequences[tp] = self._sequences.get(tp, -1) + 1
        task = asyncio.get_running_loop().create_task(
            self._produce(Batch(tp, self._serial, sequence, tuple(batch.records)))
        )
        self._sends.append(task)
        return task

    async def _produce(self, batch: Batch) -> None:
        if self.world.chance(self.world.plan.failed_send_share):
            raise NotEnoughReplicasError
        assert self._id is not None
        name = self._id
        await self._fencing(lambda: self.world.broker.produce(name, self._epoch, batch))

    async def send_offsets_to_transaction(
        self, offsets: dict[TopicPartition, OffsetAndMetadata], group: str
    ) -> None:
        self._must_be_open()
        assert self._id is not None
        name, plain = self._id, {tp: (at.offset, at.metadata) for tp, at in offsets.items()}
        await self._fencing(lambda: self.world.broker.add_offsets(name, self._epoch, group, plain))

    async def commit_transaction(self) -> None:
        await self._end(commit=True)

    async def abort_transaction(self) -> None:
        await self._end(commit=False)

    async def _end(self, *, commit: bool) -> None:
        self._must_be_open()
        self._state = "ending"
        self._ending = asyncio.get_running_loop().create_task(self._send_end(commit=commit))
        await asyncio.shield(self._ending)

    async def _send_end(self, *, commit: bool) -> None:
        await asyncio.gather(*self._sends, return_exceptions=True)
        assert self._id is not None
        name, serial = self._id, self._serial
        await self._fencing(lambda: self.world.broker.end(name, self._epoch, serial, commit=commit))
        self._state = "idle"

    def _must_be_open(self) -> None:
        if self._state == "fenced":
            raise ProducerFenced
        if self._state != "open":
            raise IllegalOperation(self._state)

    async def _fencing(self, work: Any) -> Any:
        try:
            return await self._when_free(work)
        except (ProducerFenced, InvalidProducerEpoch):
            self._state = "fenced"
            raise

    async def _when_free(self, work: Any) -> Any:
        while True:
            with suppress(ConcurrentTransactions):
                return await self.world.network.call(work)
            await asyncio.sleep(0.02)

    async def send_and_wait(self, topic: str, value: bytes, key: bytes, partition: int) -> None:
        tp = TopicPartition(topic, partition)
        await self.world.network.call(lambda: self.world.broker.append(tp, key, value), lossy=False)


class Consumer:
    """A consumer of no group."""

    world: "World"

    def __init__(self, *, isolation_level: str = "read_uncommitted", **_options: Any) -> None:
        self._committed = isolation_level == "read_committed"
        self._positions: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Connected."""

    async def stop(self) -> None:
        """Closed."""

    def assign(self, tps: Sequence[TopicPartition]) -> None:
        self._positions = dict.fromkeys(tps, 0)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp] = offset

    async def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    async def beginning_offsets(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, 0)

    async def end_offsets(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return await self.world.network.call(lambda: self.world.broker.ends(tps, committed=self._committed))

    async def getmany(
        self, *tps: TopicPartition, timeout_ms: int = 0, max_records: int = 1 << 30
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        most = min(max_records, self.world.plan.restore_records)
        at = {tp: self._positions[tp] for tp in tps or self._positions}
        fetched = await self.world.network.call(
            lambda: self.world.broker.fetch(at, most, committed=self._committed), lossy=False
        )
        for tp, (_, position, _) in fetched.items():
            self._positions[tp] = position
        found = {tp: records for tp, (records, _, _) in fetched.items() if records}
        if not found:
            await asyncio.sleep(timeout_ms / 1000)
        return found


class Admin:
    """An admin client."""

    world: "World"

    def __init__(self, **_options: Any) -> None:
        """Not connected yet."""

    async def start(self) -> None:
        """Connected."""

    async def close(self) -> None:
        """Closed."""

    async def describe_topics(self) -> list[dict[str, Any]]:
        return await self.world.network.call(self.world.broker.describe)

    async def list_consumer_group_offsets(
        self, group: str, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        found = await self.world.network.call(lambda: self.world.broker.committed(group, partitions))
        if self.world.chance(self.world.plan.loading_share):
            if self.world.chance(0.5):
                raise GroupLoadInProgressError
            return {}
        return found
