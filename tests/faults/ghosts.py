"""Transactions upstream that come to nothing: aborted ones, and one that is left open until its time is over."""

import asyncio
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer

from schemas.journal import Source, Transaction, encode_record, hash_event
from schemas.topics import APP_EVENTS, JOURNAL, TRANSACTIONS
from streams.settings import Settings

from .bank import ghost

TOPICS = (TRANSACTIONS, APP_EVENTS, JOURNAL)
OPEN_SECONDS = 5.0
"""After which the broker aborts what was left open."""
FEWEST_ABORTED, MOST_ABORTED = 100, 300
"""Transactions that are aborted, one after the other."""
RECORDS_AN_ABORTED = 8
_PADDING_BYTES = 4000
"""Of an aborted record. Seven transactions fill a fetch of a fault run's workers, sooner than the bank's next
records come, so that there are fetches that hold nothing else."""
ABORTED_SECONDS = 10.0
"""After which no further one is begun, on a machine that is busy."""
AWAY_SECONDS = 30.0
"""After which a broker that does not answer is left alone; it aborts what it has."""
_VANISH_SECONDS = 5.0
_BATCH_BYTES = 16_384  # the client's own choice; the records of an aborted transaction are to go in one request
_FAR_OFFSET = 10**9  # whoever takes a ghost for committed drops everything of its source that follows


async def haunt(settings: Settings, place: int, *, leave_open: bool) -> None:
    """Write into one partition what nobody may ever see: many transactions that are aborted, or one left open."""
    topic = TOPICS[place % len(TOPICS)]
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        transactional_id=f"{settings.app}-ghost-{uuid.uuid4().hex}",
        transaction_timeout_ms=int(OPEN_SECONDS * 1000),
        request_timeout_ms=20_000,
        max_batch_size=_BATCH_BYTES if leave_open else 2 * RECORDS_AN_ABORTED * _PADDING_BYTES,
    )
    haunted = _Haunted(producer, settings.topic(topic), place // 7 % settings.partitions, topic == JOURNAL)
    await producer.start()
    try:
        if leave_open:
            await producer.begin_transaction()
            await haunted.write(200 + place % 800)
        else:
            await _abort_many(haunted, FEWEST_ABORTED + place % (MOST_ABORTED - FEWEST_ABORTED + 1))
    finally:
        await _vanish(producer)


async def _vanish(producer: AIOKafkaProducer) -> None:
    """Go without `stop`, which would tidy up."""
    producer._closed = True
    with suppress(TimeoutError):  # requests on their way wait for a broker that is away
        await asyncio.wait_for(producer._sender.close(), _VANISH_SECONDS)
    await producer.client.close()


@dataclass
class _Haunted:
    """A partition, and who writes ghosts into it."""

    producer: AIOKafkaProducer
    topic: str
    partition: int
    is_journal: bool
    written: int = 0

    async def write(self, count: int, padding: bytes = b"") -> None:
        """Write so many ghosts, each different from all before."""
        sends = []
        for number in range(self.written, self.written + count):
            value = _journal_ghost(number) if self.is_journal else ghost(number)
            key, headers = b"GHOST%d" % (number % 7), [("padding", padding)] if padding else None
            sends.append(await self.producer.send(self.topic, value, key, self.partition, headers=headers))
        await asyncio.gather(*sends)
        self.written += count


async def _abort_many(haunted: _Haunted, count: int) -> None:
    began = time.monotonic()
    async with asyncio.timeout(AWAY_SECONDS):
        for _ in range(count):
            await haunted.producer.begin_transaction()
            await haunted.write(RECORDS_AN_ABORTED, b"-" * _PADDING_BYTES)
            await haunted.producer.abort_transaction()
            if time.monotonic() - began > ABORTED_SECONDS:
                return


def _journal_ghost(number: int) -> bytes:
    return encode_record(
        Transaction(
            customer_id=f"GHOST{number % 7}",
            source=Source(TRANSACTIONS, 0, _FAR_OFFSET + number),
            event_id=f"ghost{number}",
            event_hash=hash_event(TRANSACTIONS, f"ghost{number}"),
            occurred_ms=1_774_000_000_000,
            account_id="A",
            direction="credit",
            amount_fen=100_000,
        )
    )
