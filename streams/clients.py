"""Short-lived Kafka clients for everything that is not the hot path: looking, checking, publishing.

A broker that does not answer is one error, `UnreachableError`, that names the address and what was tried, so that
every command ends with exit code 3 in the same way. Readers read committed and end at the end that stood when
they began.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaConnectionError,
    KafkaTimeoutError,
    NodeNotReadyError,
    NotCoordinatorForGroupError,
)
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata

from streams.settings import Settings

CONNECT_SECONDS = 10.0
# The first group of a new cluster has the broker create a topic; a restarted one loads it.
_COORDINATOR_SECONDS = 30.0
_COORDINATOR_RETRY_SECONDS = 0.2
POLL_MS = 200
"""How long a reader waits for records before it looks at where it stands."""
BROKER_GRACE_SECONDS = 10.0
"""A broker looks for transactions past their timeout once in this long (its default)."""
# A command holds a partition's fetch in memory, and the largest input record is 16 MiB.
_READ_BYTES = 4 * 1024 * 1024
# aiokafka's own
_BATCH_BYTES = 16_384

_DOWN = (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError, ConnectionError, TimeoutError)


class UnreachableError(OSError):
    """A part of the deployment does not answer; the message says which, where, and what was tried."""


class MissingTopicError(Exception):
    """A topic that the deployment needs does not exist."""


def transaction_patience(settings: Settings) -> float:
    """Seconds after which a transaction that still holds the stable offset is not going to end by itself."""
    return settings.transaction_timeout_ms / 1000 + BROKER_GRACE_SECONDS


@asynccontextmanager
async def _reaching(settings: Settings, what: str) -> AsyncIterator[None]:
    try:
        yield
    except _DOWN as error:
        timed_out = isinstance(error, KafkaTimeoutError | TimeoutError)
        found = f"no answer within {CONNECT_SECONDS:g} s" if timed_out else "none to connect to"
        raise UnreachableError(
            f"expected a Kafka broker at {settings.bootstrap} to {what}, found {found}: start it, or name another "
            "by TAGGER_BOOTSTRAP"
        ) from error


@asynccontextmanager
async def open_admin(settings: Settings, what: str = "answer") -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client, closed at the end.

    Args:
        what: what it is for, as the error says it: "expected a broker at … to {what}".

    Raises:
        UnreachableError: no broker answers.
    """
    async with _reaching(settings, what):
        admin = AIOKafkaAdminClient(
            bootstrap_servers=settings.bootstrap,
            client_id=f"{settings.app}-admin",
            request_timeout_ms=int(CONNECT_SECONDS * 1000),
        )
        try:
            await asyncio.wait_for(admin.start(), CONNECT_SECONDS)
            yield admin
        finally:
            await admin.close()


@asynccontextmanager
async def open_reader(
    settings: Settings, what: str = "be read", fetch_bytes: int = _READ_BYTES
) -> AsyncIterator[AIOKafkaConsumer]:
    """A read-committed consumer of no group; assign it what to read.

    Raises:
        UnreachableError: no broker answers.
    """
    async with _reaching(settings, what):
        consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap,
            client_id=f"{settings.app}-reader",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=fetch_bytes,
            request_timeout_ms=int(CONNECT_SECONDS * 1000),
        )
        try:
            await asyncio.wait_for(consumer.start(), CONNECT_SECONDS)
            yield consumer
        finally:
            await consumer.stop()


@asynccontextmanager
async def open_producer(
    settings: Settings,
    transactional_id: str | None = None,
    what: str = "be written to",
    batch_bytes: int = _BATCH_BYTES,
) -> AsyncIterator[AIOKafkaProducer]:
    """An idempotent producer. With a transactional id, it has fenced whoever had that id once this returns,
    and what they committed is stable.

    Args:
        batch_bytes: how large `create_batch` lets a batch grow.

    Raises:
        UnreachableError: no broker answers.
    """
    async with _reaching(settings, what):
        producer = AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap,
            client_id=transactional_id or f"{settings.app}-writer",
            enable_idempotence=True,
            transactional_id=transactional_id,
            transaction_timeout_ms=settings.transaction_timeout_ms,
            max_batch_size=batch_bytes,
            max_request_size=settings.max_record_bytes + 48_000,
            request_timeout_ms=int(CONNECT_SECONDS * 1000),
        )
        try:
            await asyncio.wait_for(producer.start(), CONNECT_SECONDS)
            yield producer
        finally:
            await producer.stop()


async def partition_counts(settings: Settings, topics: Sequence[str]) -> dict[str, int]:
    """How many partitions each of the broker's topics has.

    Raises:
        MissingTopicError: one of them does not exist.
        UnreachableError: no broker answers.
    """
    async with open_admin(settings, "describe topics") as admin:
        # Asking by name would create a missing topic where the broker allows it; asking for all does not.
        described = {item["topic"]: item for item in await admin.describe_topics()}
    missing = [topic for topic in topics if topic not in described]
    if missing:
        raise MissingTopicError(
            f"expected the topics {', '.join(missing)} at {settings.bootstrap}, found none of that name: "
            "run `tagger topics create`"
        )
    return {topic: len(described[topic]["partitions"]) for topic in topics}


async def committed_offsets(
    settings: Settings, group: str, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """A group's committed offsets with their metadata strings; partitions without one are left out.

    An offset that a transaction under way is about to commit is not seen: fence its producer first.

    Raises:
        UnreachableError: no broker answers, or the group's coordinator is not ready within its time.
    """
    wanted = list(partitions)
    if not wanted:
        return {}
    async with open_admin(settings, f"tell the offsets of group {group}") as admin:
        async with asyncio.timeout(_COORDINATOR_SECONDS):
            while (found := await _ask_offsets(admin, group, wanted)) is None:  # noqa: ASYNC110 - must ask
                await asyncio.sleep(_COORDINATOR_RETRY_SECONDS)
    return {tp: position for tp, position in found.items() if position.offset >= 0}


async def _ask_offsets(
    admin: AIOKafkaAdminClient, group: str, wanted: Sequence[TopicPartition]
) -> dict[TopicPartition, OffsetAndMetadata] | None:
    """None while the coordinator is not there or still loading.

    aiokafka 0.14 does not look at the error of the whole answer, in which the list of partitions is empty: taken
    at its word, a coordinator that is loading says that nothing was ever committed. A partition without an offset
    is listed with -1, so one that is not listed at all was not answered.
    """
    try:
        found: dict[TopicPartition, OffsetAndMetadata] = await admin.list_consumer_group_offsets(
            group, partitions=list(wanted)
        )
    except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
        return None
    return found if all(tp in found for tp in wanted) else None


async def offset_ranges(
    settings: Settings, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, tuple[int, int]]:
    """First offset and high watermark of partitions, open transactions included (a read-committed consumer's
    end leaves them out).

    Raises:
        UnreachableError: no broker answers.
    """
    async with _reaching(settings, "tell the ends of partitions"):
        consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap,
            group_id=None,
            enable_auto_commit=False,
            request_timeout_ms=int(CONNECT_SECONDS * 1000),
        )
        try:
            await asyncio.wait_for(consumer.start(), CONNECT_SECONDS)
            starts = await consumer.beginning_offsets(list(partitions))
            ends = await consumer.end_offsets(list(partitions))
        finally:
            await consumer.stop()
    return {tp: (starts[tp], ends[tp]) for tp in partitions}


async def read_topic(
    settings: Settings, topic: str, partitions: Iterable[int] | None = None, whole: bool = False
) -> AsyncGenerator[ConsumerRecord, None]:
    """Every committed record of a topic from its beginning to its end as of now, ordered within a partition.

    Args:
        topic: the broker's name.
        partitions: which; all when None.
        whole: wait for transactions that are open now, instead of ending before them.

    Raises:
        MissingTopicError: there is no such topic.
        UnreachableError: no broker answers, or with `whole` a transaction hangs beyond its timeout.
    """
    count = (await partition_counts(settings, [topic]))[topic]
    tps = [TopicPartition(topic, partition) for partition in (range(count) if partitions is None else partitions)]
    async with open_reader(settings, f"read {topic}") as consumer:
        consumer.assign(tps)
        ranges = await offset_ranges(settings, tps)
        ends = {tp: end for tp, (_, end) in ranges.items()} if whole else await consumer.end_offsets(tps)
        for tp, (start, _) in ranges.items():
            consumer.seek(tp, start)
        async for record in _read_until(consumer, ends, settings):
            yield record


async def _read_until(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], settings: Settings
) -> AsyncIterator[ConsumerRecord]:
    patience = transaction_patience(settings)
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    positions = {tp: await consumer.position(tp) for tp in ends}
    while behind := [tp for tp, end in ends.items() if positions[tp] < end]:
        asked_at = clock()
        for records in (await consumer.getmany(*behind, timeout_ms=POLL_MS)).values():
            for record in records:
                if record.offset < ends[TopicPartition(record.topic, record.partition)]:
                    yield record
        now = {tp: await consumer.position(tp) for tp in ends}
        if now != positions:
            deadline = clock() + patience
        elif asked_at > deadline:  # a process that was stopped must ask again first
            stuck = ", ".join(f"{tp.topic}-{tp.partition} at {now[tp]} of {ends[tp]}" for tp in behind)
            raise UnreachableError(
                f"expected to read to the end within {patience:g} s, stand at {stuck}: "
                "a transaction that is still open holds the stable offset, or a broker is gone"
            )
        positions = now
