"""State of one journal partition from its changelog: in bulk, read committed, up to where the fence stood.

The changelog partition holds the latest record of each key: a customer's id with the encoded state, and one
reserved key, `#meta`, with the partition's own record (a customer id has no `#`). A null value deletes.

Called after the fence, so that what is committed now is all that older owners will ever commit: the high
watermark taken then is where reading ends. A read-committed reader stops at the last stable offset; where an open
transaction holds that below the high watermark, what lies beyond may yet be committed, and going on without it
would decide on old state. The fence has ended every transaction of this partition's own producers, so that a
hanging one is foreign; the broker ends it at its timeout, and past ours we refuse to go on.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from streams import failpoints
from streams.clients import POLL_MS, offset_ranges, open_reader, transaction_patience
from streams.lanes import vitals
from streams.partitioner import name_of
from streams.settings import Settings
from tagger.folding import meta as meta_record

log = logging.getLogger(__name__)

META_KEY = meta_record.META_KEY.encode()

_FETCH_BYTES = 8 * 1024 * 1024
_RECORDS_A_TURN = 20_000


class HangingTransactionError(Exception):
    """An open transaction keeps the end of a partition from being read."""


@dataclass(slots=True)
class Restored:
    """What a changelog partition holds.

    Attributes:
        customers: customer id → encoded state.
        meta: the meta record's value, None when there is none.
        records: how many records were read.
    """

    customers: dict[str, bytes] = field(default_factory=dict)
    meta: bytes | None = None
    records: int = 0

    def apply(self, records: list[ConsumerRecord]) -> None:
        customers = self.customers
        for record in records:
            key, value = record.key, record.value
            if key == META_KEY:
                self.meta = value
            elif value is None:
                customers.pop(key.decode(), None)
            else:
                customers[key.decode()] = value
        self.records += len(records)


async def restore(settings: Settings, changelog: TopicPartition) -> Restored:
    """Read a changelog partition to its end as of now.

    Raises:
        HangingTransactionError: a transaction stayed open beyond the transaction timeout.
        UnreachableError: the broker is away.
    """
    began = time.monotonic()
    start, end = (await offset_ranges(settings, [changelog]))[changelog]
    if failpoints.armed:
        await failpoints.reach("restore.before-reading")
    restored = Restored()
    async with open_reader(settings, f"restore {name_of(changelog)}", fetch_bytes=_FETCH_BYTES) as consumer:
        consumer.assign([changelog])
        consumer.seek(changelog, start)
        await _read(consumer, changelog, end, settings, restored)
    log.info(
        "restored",
        extra={
            "partition": name_of(changelog),
            "records": restored.records,
            "customers": len(restored.customers),
            "seconds": round(time.monotonic() - began, 3),
        },
    )
    return restored


async def _read(
    consumer: AIOKafkaConsumer, tp: TopicPartition, end: int, settings: Settings, restored: Restored
) -> None:
    patience = transaction_patience(settings)
    position = await consumer.position(tp)
    moved_at = time.monotonic()
    while position < end:
        asked_at = time.monotonic()
        fetched = await consumer.getmany(tp, timeout_ms=POLL_MS, max_records=_RECORDS_A_TURN)
        restored.apply(fetched.get(tp, []))
        vitals.current().steps += 1
        if failpoints.armed:
            await failpoints.reach("restore.reading")
        before, position = position, await consumer.position(tp)
        if position > before:
            moved_at = time.monotonic()
        elif asked_at - moved_at > patience:  # not now: a process that was stopped must ask again first
            raise HangingTransactionError(
                f"expected to read {name_of(tp)} up to {end}, but a transaction that began at offset {position} "
                f"has been open for more than {patience:.0f} s. End it with: kafka-transactions.sh abort "
                f"--topic {tp.topic} --partition {tp.partition} --start-offset {position}"
            )
        await asyncio.sleep(0)
