"""One batch, one Kafka transaction: changelog, outputs and offsets together, or none of them.

    unit = UnitOfWork(settings, transactional_id(settings.app, "decide", topic, partition))
    await unit.fence()                       # every older producer of this id is shut out from here on
    async with unit.begin() as transaction:
        transaction.append(topic, partition, key, value)
        transaction.offsets(group, {tp: (offset, "")})
        await transaction.commit()           # leaving the block without it aborts

Records are only collected by `append`; a record that no broker would take is refused there, before anything is
sent. `commit` sends whole record batches, awaits every one, and only then ends the transaction: a send nobody
awaits hides a rejected batch. Whatever goes wrong past `begin` is `OutcomeUnknownError`, because a commit that
fails, or is cancelled, may have happened. The caller throws its state away, it never retries the batch.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import aiokafka.producer.sender
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InvalidProducerEpoch,
    InvalidTransactionTimeout,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import OffsetAndMetadata

from streams import failpoints
from streams.lanes import vitals
from streams.settings import Settings

# aiokafka waits this long when a transaction follows another closely and the broker still writes the markers
# of the last one. At its 20 ms a small transaction takes 25-42 ms at the median, at 2 ms it takes 6.5.
aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.002

RECORDS_A_BATCH = 10_000
"""Records in one record batch at most, far below the 2^31 sequence numbers a producer may use at once."""
_RECORD_FRAMING_BYTES = 70  # a record batch's header (61) and what a record adds to its key and value
_CLOSE_SECONDS = 2.0

_REFUSALS = (
    GroupAuthorizationFailedError,
    InvalidTransactionTimeout,  # the broker's transaction.max.timeout.ms is below ours
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

Header = tuple[str, bytes]


class RecordTooLargeError(Exception):
    """A record above `max_record_bytes`; nothing was sent."""


class RefusedError(Exception):
    """The broker refused for a reason that trying again does not mend; nothing was committed."""


class OutcomeUnknownError(Exception):
    """The transaction failed, and may or may not have been committed."""


class FencedError(Exception):
    """A newer producer with the same transactional id exists; this one can never commit again."""


def transactional_id(app: str, stage: str, topic: str, partition: int) -> str:
    """The name that fences: one task of a stage per input partition holds it at a time."""
    return f"{app}-{stage}-{topic}-{partition}"


class Transaction:
    """What one transaction will hold. Made by `UnitOfWork.begin`."""

    def __init__(self, producer: AIOKafkaProducer, max_record_bytes: int) -> None:
        self._producer = producer
        self._max_record_bytes = max_record_bytes
        self._batches: dict[tuple[str, int], list[BatchBuilder]] = {}
        self._offsets: list[tuple[str, dict[TopicPartition, OffsetAndMetadata]]] = []
        self._now_ms = int(time.time() * 1000)
        self.size_bytes = 0
        self.committed = False

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: Sequence[Header] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        """Add a record. `timestamp_ms` None means now.

        Raises:
            RecordTooLargeError: it is above the settings' `max_record_bytes`; names topic, partition and key
                (keys are ids), never the value.
        """
        size = (len(key) if key else 0) + (len(value) if value else 0)
        if headers:
            size += sum(len(name.encode()) + len(content) for name, content in headers)
        if size > self._max_record_bytes:
            raise RecordTooLargeError(
                f"expected at most {self._max_record_bytes} bytes (max_record_bytes) for a record to "
                f"{topic}[{partition}] of key {_key_text(key)}, got {size}"
            )
        self.size_bytes += size
        builders = self._batches.get((topic, partition))
        if builders is None:
            builders = self._batches[topic, partition] = [self._producer.create_batch()]
        builder = builders[-1]
        timestamp = self._now_ms if timestamp_ms is None else timestamp_ms
        pairs = list(headers)  # aiokafka's builder in C takes nothing but a list
        if builder.record_count() >= RECORDS_A_BATCH or (
            builder.append(key=key, value=value, timestamp=timestamp, headers=pairs) is None
        ):
            builder.close()
            builder = self._producer.create_batch()
            builders.append(builder)
            builder.append(key=key, value=value, timestamp=timestamp, headers=pairs)

    def append_all(self, topic: str, partition: int, records: Iterable[tuple[str, bytes]]) -> None:
        """Add records, each a text for a key and a value, as `append` does one, in half the time.

        Raises:
            RecordTooLargeError: as `append`.
        """
        builder, room = None, 0
        for key_text, value in records:
            key = key_text.encode()
            size = len(key) + len(value)
            if (
                builder is not None
                and room > 0
                and size <= self._max_record_bytes
                and builder.append(key=key, value=value, timestamp=self._now_ms, headers=[]) is not None
            ):
                room -= 1
                self.size_bytes += size
                continue
            self.append(topic, partition, key, value)  # refuses it, or begins another batch
            builder = self._batches[topic, partition][-1]
            room = RECORDS_A_BATCH - builder.record_count()

    def offsets(self, group: str, positions: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Commit these offsets (next offset to read, metadata) of a consumer group with the records."""
        self._offsets.append(
            (group, {tp: OffsetAndMetadata(offset, metadata) for tp, (offset, metadata) in positions.items()})
        )

    async def commit(self) -> None:
        """Send everything, await every send, end the transaction.

        Raises:
            FencedError: a newer owner exists; nothing of this was committed.
            RefusedError: such as a topic's max.message.bytes below `max_record_bytes`, or a missing right.
            OutcomeUnknownError: anything else; it may have been committed.
        """
        try:
            if failpoints.armed:
                await failpoints.reach("unit.before-produce")
            sends = self._batches.items()
            await _all([self._send(topic, partition, builders) for (topic, partition), builders in sends])
            if failpoints.armed:
                await failpoints.reach("unit.after-produce")
            # Never beside the sends: while the coordinator takes in the group, brokers cannot verify that a
            # produce belongs to a transaction, refuse it (as NotEnoughReplicas), and aiokafka waits 100 ms.
            for group, of in self._offsets:
                await self._producer.send_offsets_to_transaction(of, group)
            if failpoints.armed:
                await failpoints.reach("unit.after-offsets")
            await self._producer.commit_transaction()
            if failpoints.armed:
                await failpoints.reach("unit.after-commit")
        except Exception as error:
            raise _outcome(error) from error
        self.committed = True

    async def _send(self, topic: str, partition: int, builders: list[BatchBuilder]) -> None:
        # one partition's batches go out in order; aiokafka queues a second one only when the first is drained
        await _all([await self._producer.send_batch(batch, topic, partition=partition) for batch in builders])


class UnitOfWork:
    """The transactional producer of one task."""

    def __init__(self, settings: Settings, transactional_id: str) -> None:
        self.transactional_id = transactional_id
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def fence(self) -> None:
        """Shut out every older producer of this id and abort what it left open; connects on the way.

        Raises:
            FencedError: a newer producer came in between.
            OutcomeUnknownError: the broker could not be asked.
        """
        if failpoints.armed:
            await failpoints.reach("unit.before-fence")
        settings = self._settings
        producer = self._producer = AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap,
            client_id=self.transactional_id,
            transactional_id=self.transactional_id,
            transaction_timeout_ms=settings.transaction_timeout_ms,
            request_timeout_ms=settings.transaction_timeout_ms,
            max_batch_size=settings.max_record_bytes + _RECORD_FRAMING_BYTES,
        )
        try:
            await producer.start()
        except Exception as error:
            raise _outcome(error) from error
        if failpoints.armed:
            await failpoints.reach("unit.after-fence")

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Begin a transaction; it is aborted unless `commit` was called and succeeded.

        Raises:
            FencedError, OutcomeUnknownError: as `Transaction.commit`.
        """
        producer = self._producer
        assert producer is not None, "fence() comes before begin()"
        seen = vitals.current()
        with seen.in_transaction():
            try:
                await producer.begin_transaction()
            except Exception as error:
                raise _outcome(error) from error
            transaction = Transaction(producer, self._settings.max_record_bytes)
            try:
                yield transaction
            finally:
                if not transaction.committed:
                    await self._abort(producer)
        seen.steps += 1

    async def close(self) -> None:
        """Let go of the producer within seconds, whatever state it or the broker is in.

        What a transaction left open is aborted by the next owner's fence, or by the broker's timeout.
        """
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with suppress(Exception):
            await asyncio.wait_for(producer.stop(), _CLOSE_SECONDS)
            return
        for part in (producer._sender.close(), producer.client.close()):
            with suppress(Exception):
                await asyncio.wait_for(part, _CLOSE_SECONDS)

    async def _abort(self, producer: AIOKafkaProducer) -> None:
        # An abort that fails changes nothing: the next owner's fence aborts.
        with suppress(Exception, AssertionError):
            if failpoints.armed:
                await failpoints.reach("unit.before-abort")
            await asyncio.wait_for(producer.abort_transaction(), _CLOSE_SECONDS)


async def _all(parts: Sequence[object]) -> None:
    """Await everything even when one fails, then raise the first failure: no future is left unawaited."""
    results = await asyncio.gather(*parts, return_exceptions=True)  # type: ignore[call-overload]
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _outcome(error: Exception) -> Exception:
    fenced: BaseException | None = error
    while fenced is not None:
        if isinstance(fenced, ProducerFenced | InvalidProducerEpoch):
            return FencedError("a newer producer of the same transactional id took over")
        fenced = fenced.__cause__
    kind = type(error).__name__
    told = f"{kind}: {error}" if isinstance(error, KafkaError) else kind
    if isinstance(error, _REFUSALS):
        return RefusedError(f"expected the broker to take the transaction, it refused with {told}")
    return OutcomeUnknownError(told)


def _key_text(key: bytes | None) -> str:
    return "none" if key is None else key.decode(errors="backslashreplace")
