"""Reading a living deployment: ends that transactions have made final, and what lies before them.

A partition read up to its last stable offset holds whole transactions only. What was committed before the ends
were asked for lies before them, because `stable_ranges` waits for transactions that were open then; so two
topics asked one after the other can be compared: all that the first shows, the second shows too.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from schemas.topics import CUSTOMERS
from streams.clients import POLL_MS, UnreachableError, offset_ranges, open_reader, transaction_patience
from streams.partitioner import name_of
from streams.settings import Settings
from tagger.folding.meta import META_KEY, Meta, decode_meta
from tagger.state.customer import VersionError

_ASK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Range:
    """Offsets from `start` up to, not including, `end`."""

    start: int
    end: int


@dataclass(slots=True)
class Changelog:
    """A changelog partition as of a transaction's end.

    Attributes:
        end: every record before it was read.
        customers: customer id → offset and value of the last record.
        meta: None for a partition not begun.
        unreadable: why the meta record cannot be read; None when it can.
    """

    number: int
    end: int
    customers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    meta: Meta | None = None
    unreadable: str | None = None


async def stable_ranges(settings: Settings, tps: Iterable[TopicPartition]) -> dict[TopicPartition, Range]:
    """First offsets, and ends before which no transaction is open and all is that was written before the call.

    Raises:
        UnreachableError: no broker answers, or a transaction hangs beyond its timeout.
    """
    wanted = list(tps)
    ranges = await offset_ranges(settings, wanted)
    clock = asyncio.get_running_loop().time
    deadline = clock() + transaction_patience(settings)
    async with open_reader(settings, "tell the ends of partitions") as consumer:
        consumer.assign(wanted)
        while True:
            asked_at = clock()
            ends = await consumer.end_offsets(wanted)
            open_ones = [tp for tp in wanted if ends[tp] < ranges[tp][1]]
            if not open_ones:
                return {tp: Range(ranges[tp][0], ends[tp]) for tp in wanted}
            if asked_at > deadline:
                stuck = ", ".join(f"{name_of(tp)} at {ends[tp]} of {ranges[tp][1]}" for tp in open_ones)
                raise UnreachableError(
                    f"expected the stable offsets to move, they stand at {stuck}: a transaction is left open"
                )
            await asyncio.sleep(_ASK_SECONDS)


async def read_range(settings: Settings, tp: TopicPartition, within: Range) -> AsyncIterator[list[ConsumerRecord]]:
    """Committed records of a range that `stable_ranges` gave, a fetch at a time.

    Raises:
        UnreachableError: no broker answers.
    """
    if within.start >= within.end:
        return
    clock = asyncio.get_running_loop().time
    patience = transaction_patience(settings)
    async with open_reader(settings, f"read {name_of(tp)}") as consumer:
        consumer.assign([tp])
        consumer.seek(tp, within.start)
        position, moved_at = within.start, clock()
        while position < within.end:
            asked_at = clock()
            fetched = await consumer.getmany(tp, timeout_ms=POLL_MS)
            yield [record for record in fetched.get(tp, []) if record.offset < within.end]
            before, position = position, await consumer.position(tp)
            if position > before:
                moved_at = clock()
            elif asked_at - moved_at > patience:
                raise UnreachableError(
                    f"expected to read {name_of(tp)} up to {within.end}, stand at {position} for {patience:.0f} s"
                )


async def read_changelog(settings: Settings, number: int) -> Changelog:
    """A changelog partition as of now.

    Raises:
        UnreachableError: as `stable_ranges`.
    """
    tp = TopicPartition(settings.topic(CUSTOMERS), number)
    within = (await stable_ranges(settings, [tp]))[tp]
    changelog, meta = Changelog(number, within.end), None
    async for records in read_range(settings, tp, within):
        for record in records:
            key = key_of(record)
            if key == META_KEY:
                meta = record.value
            elif record.value is None:
                changelog.customers.pop(key, None)
            else:
                changelog.customers[key] = (record.offset, record.value)
    try:
        changelog.meta = None if meta is None else decode_meta(meta)
    except (msgspec.MsgspecError, VersionError) as error:
        changelog.unreadable = type(error).__name__
    return changelog


def key_of(record: ConsumerRecord) -> str:
    """A record's key as text; none of the workers' records lacks one, and the doctor looks at others' too."""
    return (record.key or b"").decode(errors="replace")
