"""What must hold when everything came to rest, whatever was killed on the way.

Each check is a function that yields problems, over what readers of the topics and of Redis see. The oracles are
the stages' pure parts, driven in one thread: `tagger.ingest.partition` over each input partition, and a plain fold
over each journal partition.
"""

import copy
import multiprocessing
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from pipeline import Pipeline
from seen import (
    Seen,
    SourcePartition,
    check_equals_a_plain_fold,
    check_every_offset_has_one_fate,
    look,
)

from schemas.bankday import BankCalendar
from schemas.decode import Decoder
from schemas.journal import decode_record, encode_record
from schemas.topics import CUSTOMERS, DEAD_LETTERS, INPUTS, JOURNAL, TAGS
from streams.clients import offset_ranges, open_reader, read_topic
from streams.partitioner import partition_of
from tagger.folding.meta import META_KEY
from tagger.ingest.committed import IngestState
from tagger.ingest.partition import InputPartition, RawRecord

from .bank import NUMBER_HEADER, Sent
from .tag_watch import Heard
from .view import Keys, expected_view, view_problems

FOLD_BATCH_RECORDS = 1000
MOST_TOLD = 5


@dataclass
class Left:
    """Everything a run left behind.

    Attributes:
        seen: what the topics hold.
        inputs: the input partitions' records in order.
        versions: changelog offset of each customer's last record.
        keys: what Redis holds.
        tags: what a reader who begins now hears of each tags partition.
        heard: what one who listened all the time heard.
    """

    seen: Seen
    inputs: dict[SourcePartition, list[RawRecord]]
    versions: dict[str, int]
    keys: Keys
    tags: list[Heard]
    heard: list[Heard]


async def look_at(pipeline: Pipeline, keys: Keys, heard: list[Heard]) -> Left:
    """Read all topics; the workers have stopped, and no transaction is open."""
    settings = pipeline.settings
    inputs: dict[SourcePartition, list[RawRecord]] = defaultdict(list)
    for topic in INPUTS:
        async for record in read_topic(settings, settings.topic(topic)):
            raw = RawRecord(record.value, record.key, tuple(record.headers), record.timestamp, record.offset)
            inputs[topic, record.partition].append(raw)
    versions = {}
    async for record in read_topic(settings, settings.topic(CUSTOMERS)):
        if record.key != META_KEY.encode():
            versions[record.key.decode()] = record.offset
    tags = [Heard() for _ in range(settings.partitions)]
    async for record in read_topic(settings, settings.topic(TAGS)):
        tags[record.partition].take(record.offset, record.value)
    return Left(await look(pipeline), dict(inputs), versions, keys, tags, heard)


async def hidden(pipeline: Pipeline) -> list[str]:
    """Partitions whose end a transaction hides that is still open."""
    tps = pipeline.partitions(*INPUTS, JOURNAL, CUSTOMERS, TAGS, DEAD_LETTERS)
    async with open_reader(pipeline.settings) as reader:
        stable = await reader.end_offsets(tps)
    ends = await offset_ranges(pipeline.settings, tps)
    return [f"{tp.topic}-{tp.partition}" for tp in tps if stable[tp] < ends[tp][1]]


def problems(left: Left, stream: Iterable[Sent]) -> Iterator[str]:
    """Everything that is not as it must be; nothing when all is well.

    Args:
        stream: what was sent.
    """
    yield from fate_problems(left.seen)
    yield from fold_problems(left.seen)
    yield from plan_problems(left, stream)
    yield from ingest_problems(left)
    yield from listener_problems(left)
    calendar = BankCalendar(left.seen.settings.zone)
    yield from view_problems(left.keys, expected_view(left.seen.customers(), left.versions, calendar))
    yield from applied_problems(left)


def fate_problems(seen: Seen) -> Iterator[str]:
    """Every input offset has one fate, and the stages' own counts say the same."""
    try:
        check_every_offset_has_one_fate(seen)
    except AssertionError as error:
        yield _line(error)


def fold_problems(seen: Seen) -> Iterator[str]:
    """Tags, states and meta of each partition equal a plain fold of its journal: one process a partition, each
    with one thread that knows of no transaction, restore or rebalance."""
    context = multiprocessing.get_context("fork")  # millions of records are shared and not sent
    with ProcessPoolExecutor(initializer=_shared.append, initargs=(seen,), mp_context=context) as pool:
        yield from filter(None, pool.map(_fold_problem, sorted(seen.live)))


_shared: list[Seen] = []


def _fold_problem(partition: int) -> str:
    seen = copy.copy(_shared[-1])
    seen.live = {partition: seen.live[partition]}
    try:
        check_equals_a_plain_fold(seen, FOLD_BATCH_RECORDS)
    except AssertionError as error:
        return _line(error)
    return ""


def _line(error: AssertionError) -> str:
    return f"{error}"[:2000] or repr(error)


def plan_problems(left: Left, stream: Iterable[Sent]) -> Iterator[str]:
    """Each record that was sent lies in the input once, and had the fate it was sent for."""
    numbers = Counter(
        int(dict(raw.headers)[NUMBER_HEADER])
        for records in left.inputs.values()
        for raw in records
        if NUMBER_HEADER in dict(raw.headers)
    )
    strange = [raw for records in left.inputs.values() for raw in records if _is_stray(raw)]
    if strange:
        yield f"{len(strange)} input records that nobody committed, such as offset {strange[0].offset}"
    letters = {(one.source.topic, one.source.partition, one.source.offset) for one in left.seen.dead_letters}
    places = {
        int(dict(raw.headers)[NUMBER_HEADER]): (topic, partition, raw.offset)
        for (topic, partition), records in left.inputs.items()
        for raw in records
        if NUMBER_HEADER in dict(raw.headers)
    }
    wanted: Counter[str] = Counter()
    told = 0
    for sent in stream:
        wanted[sent.fate] += 1
        if numbers[sent.number] != 1:
            fault = f"record {sent.number} lies in the input {numbers[sent.number]} times: the harness's own fault"
        elif (places[sent.number] in letters) != (sent.fate == "broken"):
            fault = f"record {sent.number} at {places[sent.number]} was sent as {sent.fate}, a dead letter or not"
        else:
            continue
        told += 1
        if told <= MOST_TOLD:
            yield fault
    fates = left.seen.fates().values()
    counted = {
        "duplicate": sum(one.duplicate for one in fates),
        "applied or late": sum(one.applied + one.late for one in fates),
        "dead letters": len(left.seen.dead_letters),
    }
    expected = {
        "duplicate": wanted["repeat"],
        "applied or late": wanted["good"] + wanted["late"],
        "dead letters": wanted["broken"],
    }
    if counted != expected:
        yield f"fates of what was sent: expected {expected}, counted {counted}"


def _is_stray(raw: RawRecord) -> bool:
    return raw.value is not None and NUMBER_HEADER not in dict(raw.headers)


def ingest_problems(left: Left) -> Iterator[str]:
    """The journal holds what a plain ingest of each input partition gives, byte for byte and in its order."""
    settings = left.seen.settings
    found: dict[tuple[str, int, int], list[bytes]] = defaultdict(list)
    for number, log in left.seen.journal.items():
        for _, value in log:
            record = decode_record(value)
            if hasattr(record, "source"):
                found[record.source.topic, record.source.partition, number].append(value)
    now_ms = int(time.time() * 1000)
    for (topic, partition), records in sorted(left.inputs.items()):
        source = InputPartition(topic, partition, settings.partitions, Decoder({}), settings.ingest())
        _, ingested = source.read(source.start_at(IngestState(), 0), records, now_ms)
        expected: dict[int, list[bytes]] = defaultdict(list)
        for event in ingested.events:
            home = partition_of(event.customer_id.encode(), settings.partitions)
            expected[home].append(encode_record(event))
        for number in left.seen.journal:
            got = found.pop((topic, partition, number), [])
            if got != expected[number]:
                yield (
                    f"journal {number}, from {topic}-{partition}: expected {len(expected[number])} events, found "
                    f"{len(got)}; {_first_difference(expected[number], got)}"
                )
    for (topic, partition, number), values in found.items():
        yield f"journal {number}: {len(values)} events of {topic}-{partition}, which holds none"


def _first_difference(expected: list[bytes], got: list[bytes]) -> str:
    for number, (one, other) in enumerate(zip(expected, got, strict=False)):
        if one != other:
            return f"they differ from the {number + 1}. on"
    return "one begins as the other"


def listener_problems(left: Left) -> Iterator[str]:
    """Who listened all the time heard what stands there now: nothing that was shown was taken back."""
    for number, (now, live) in enumerate(zip(left.tags, left.heard, strict=True)):
        if (now.count, now.digest.digest()) != (live.count, live.digest.digest()):
            yield f"tags {number}: {now.count} stand there, a live listener heard {live.count}, or others"


def applied_problems(left: Left) -> Iterator[str]:
    """Redis says that the whole changelog is in it."""
    applied = left.keys.get("tagger:meta", {})
    last: dict[int, int] = defaultdict(int)
    for customer, version in left.versions.items():
        number = partition_of(customer.encode(), left.seen.settings.partitions)
        last[number] = max(last[number], version)
    for number, version in sorted(last.items()):
        if int(applied.get(str(number), "-1")) <= version:
            yield f"Redis: changelog {number} goes to {version}, tagger:meta says {applied.get(str(number))}"
