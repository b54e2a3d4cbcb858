"""Transactions upstream that come to nothing: aborted ones, and one that is left open until its time is over."""

import asyncio
import uuid

from aiokafka import AIOKafkaProducer

from schemas.journal import Source, Transaction, encode_record, hash_event
from schemas.topics import APP_EVENTS, JOURNAL, TRANSACTIONS
from streams.settings import Settings

from .bank import ghost

TOPICS = (TRANSACTIONS, APP_EVENTS, JOURNAL)
OPEN_SECONDS = 5.0
"""After which the broker aborts what was left open."""
_FAR_OFFSET = 10**9  # whoever takes a ghost for committed drops everything of its source that follows


async def haunt(settings: Settings, place: int, *, leave_open: bool) -> None:
    """Write a few hundred records into one partition inside a transaction that never commits."""
    topic = TOPICS[place % len(TOPICS)]
    partition = place // 7 % settings.partitions
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        transactional_id=f"{settings.app}-ghost-{uuid.uuid4().hex}",
        transaction_timeout_ms=int(OPEN_SECONDS * 1000),
        request_timeout_ms=20_000,
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        sends = []
        for number in range(200 + place % 800):
            value = _journal_ghost(number) if topic == JOURNAL else ghost(number)
            sends.append(await producer.send(settings.topic(topic), value, b"GHOST%d" % (number % 7), partition))
        await asyncio.gather(*sends)
        if not leave_open:
            await producer.abort_transaction()
    finally:
        # not `stop`, which would tidy up
        producer._closed = True
        await producer._sender.close()
        await producer.client.close()


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
