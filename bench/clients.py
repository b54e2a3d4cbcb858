"""What the bench itself does with the broker: topics, feeding at full speed or at a rate, reading tags."""

import asyncio
import time
from array import array
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.job import PARTITIONS, Bank, Record, number_of

_BATCH_BYTES = 256 * 1024
_CHUNK = 20_000
_PACE_SECONDS = 0.01


class _Cause(msgspec.Struct):
    event_id: str | None = None  # a deadline brought the tag about


class _Tag(msgspec.Struct):
    cause: _Cause


_TAG = msgspec.json.Decoder(_Tag)


async def create_topics(bootstrap: str, names: Iterable[str]) -> None:
    """Create plain topics; those that a `tagger` worker needs are created by its own command."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    finally:
        await admin.close()


@asynccontextmanager
async def producing(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, max_batch_size=_BATCH_BYTES, acks="all", enable_idempotence=True
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def feed(bootstrap: str, bank: Bank, events: int, topics: Sequence[str]) -> None:
    """Write the bank's next events into each of the topics, as fast as it goes."""
    async with producing(bootstrap) as producer:
        left = events
        while left:
            records = list(bank.records(min(left, _CHUNK)))
            left -= len(records)
            await asyncio.gather(*[send(producer, topic, records) for topic in topics])


async def send(producer: AIOKafkaProducer, topic: str, records: Iterable[Record]) -> None:
    """Append records, as few batches a partition as hold them, and wait until all are acknowledged."""
    sends = []
    builders = [producer.create_batch() for _ in range(PARTITIONS)]
    for record in records:
        number = record.partition
        if builders[number].append(key=record.key, value=record.value, timestamp=None) is None:
            sends.append(await producer.send_batch(builders[number], topic, partition=number))
            builders[number] = producer.create_batch()
            builders[number].append(key=record.key, value=record.value, timestamp=None)
    for number, builder in enumerate(builders):
        if builder.record_count():
            sends.append(await producer.send_batch(builder, topic, partition=number))
    await asyncio.gather(*sends)


async def feed_at(
    bootstrap: str, bank: Bank, topic: str, rate: float, seconds: float, produced: "array[float]"
) -> None:
    """Write the bank's next events at `rate` a second.

    Args:
        produced: gets the time of day at which each was ready to be sent, also when the producer is behind.
    """
    bank.go_live(rate)
    waiting: list[Record] = []
    async with producing(bootstrap) as producer:
        began, made, sending = time.monotonic(), 0, None
        while waiting or made < int(rate * seconds):
            due = int(min(time.monotonic() - began, seconds) * rate) - made
            waiting += bank.records(due)
            produced.extend([time.time()] * due)
            made += due
            # One send at a time: more of them would only queue in front of each other in the client.
            if waiting and (sending is None or sending.done()):
                if sending is not None:
                    sending.result()
                sending, waiting = asyncio.create_task(send(producer, topic, waiting)), []
            await asyncio.sleep(_PACE_SECONDS)
        if sending is not None:
            await sending


class TagReader:
    """Reads committed tags as they come, and how long after their event's production that is."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._tps = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=None,
            isolation_level="read_committed",
            fetch_max_wait_ms=100,
            enable_auto_commit=False,
        )

    async def __aenter__(self) -> "TagReader":
        await self._consumer.start()
        self._consumer.assign(self._tps)
        await self._consumer.seek_to_end(*self._tps)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def read_latencies(self, first_event: int, produced: "array[float]", latencies: list[float]) -> None:
        """Append the seconds from production to this reader, tag by tag; endless.

        Args:
            first_event: number of the event whose time is `produced[0]`; tags of earlier ones are passed over.
        """
        while True:
            fetched = await self._consumer.getmany(timeout_ms=100)
            now = time.time()
            for records in fetched.values():
                for record in records:
                    event_id = _TAG.decode(record.value).cause.event_id
                    number = -1 if event_id is None else number_of(event_id) - first_event
                    if 0 <= number < len(produced):
                        latencies.append(now - produced[number])


async def count_committed(bootstrap: str, topic: str) -> int:
    """How many committed records a topic of `PARTITIONS` partitions holds."""
    tps = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, isolation_level="read_committed", enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        ends = await consumer.end_offsets(tps)
        count = 0
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            count += sum(map(len, (await consumer.getmany(timeout_ms=200)).values()))
        return count
    finally:
        await consumer.stop()
