"""What a reader of a deployment's topics sees once its workers have come to rest, and a plain fold to compare.

`look` reads everything there is, read committed. `Seen.fates` accounts for every input offset from the records
themselves; `fold` is the loop that a worker runs, without the worker: no transactions, restores or partitions
changing hands.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka.structs import OffsetAndMetadata
from pipeline import Pipeline

from schemas.deadletters import DeadLetter, decode_dead_letter
from schemas.journal import ControlRecord, Tick, decode_record
from schemas.topics import CONTROL_HEADER, CUSTOMERS, DEAD_LETTERS, INPUTS, JOURNAL, TAGS
from streams.clients import offset_ranges, read_topic
from streams.rulebooks.activation import published
from streams.settings import Settings
from tagger.compiler.program import Program
from tagger.folding.meta import META_KEY, Fates, Meta, decode_meta
from tagger.folding.partition import Partition
from tagger.ingest.committed import IngestState

Log = list[tuple[int, bytes]]
SourcePartition = tuple[str, int]
"""Topic by its contract name, and partition."""


@dataclass
class Folded:
    """A journal partition, decided: tags a customer in order, states and the meta record."""

    tags: dict[str, list[bytes]] = field(default_factory=dict)
    customers: dict[str, bytes] = field(default_factory=dict)
    meta: bytes = b""


@dataclass
class Input:
    """An input partition as it lies there.

    Attributes:
        end: the high watermark.
        records: offsets that hold a record for a reader, control records left out.
        ingested: what ingest says in its offset's metadata; `offset` is the offset itself.
    """

    end: int = 0
    records: list[int] = field(default_factory=list)
    offset: int = 0
    ingested: IngestState = field(default_factory=IngestState)


@dataclass
class Seen:
    """Everything committed, by partition."""

    settings: Settings
    inputs: dict[SourcePartition, Input]
    journal: dict[int, Log]
    live: dict[int, Folded]
    dead_letters: list[DeadLetter]
    rulebooks: dict[str, dict[str, str]]
    programs: dict[str, Program] = field(default_factory=dict)

    def events_of(self) -> dict[SourcePartition, list[int]]:
        """Offsets of the records that the journal holds, by where they came from, in journal order."""
        found: dict[SourcePartition, list[int]] = defaultdict(list)
        for log in self.journal.values():
            for _, value in log:
                record = decode_record(value)
                if not isinstance(record, ControlRecord):
                    found[record.source.topic, record.source.partition].append(record.source.offset)
        return found

    def fates(self) -> dict[SourcePartition, Fates]:
        """What decide counted, over all journal partitions."""
        sums: dict[SourcePartition, Fates] = defaultdict(Fates)
        for live in self.live.values():
            for name, fates in decode_meta(live.meta).fates.items():
                topic, _, partition = name.rpartition("-")
                total = sums[topic, int(partition)]
                total.applied += fates.applied
                total.duplicate += fates.duplicate
                total.late += fates.late
                total.reappended += fates.reappended
        return sums

    def meta(self, partition: int) -> Meta:
        return decode_meta(self.live[partition].meta)

    def customers(self) -> dict[str, bytes]:
        return {customer: state for live in self.live.values() for customer, state in live.customers.items()}

    def tags(self) -> dict[str, list[bytes]]:
        return {customer: tags for live in self.live.values() for customer, tags in live.tags.items()}

    def decided_log(self, partition: int) -> Log:
        """What decide has read of a journal partition; a worker that is told to stop may leave ticks unread."""
        next_offset = self.meta(partition).next_offset
        unread = [value for offset, value in self.journal[partition] if offset >= next_offset]
        assert all(isinstance(decode_record(value), Tick) for value in unread), "an event was not decided"
        return self.journal[partition][: len(self.journal[partition]) - len(unread)]

    def swept(self, partition: int) -> Folded:
        """What became of a journal partition once every deadline that a tick made due is evaluated.

        A worker that is told to stop may leave some to its successor.
        """
        live = self.live[partition]
        tags = {customer: list(told) for customer, told in live.tags.items()}
        swept = Folded(tags, dict(live.customers), live.meta)
        if not live.meta or not self.meta(partition).unswept:
            return swept
        core, books = self.settings.core(), self.rulebooks.__getitem__
        deciding = Partition(core, books, swept.customers, swept.meta, programs=self.programs)
        batch = deciding.batch()
        while batch.sweep(1000):
            pass
        changes = batch.finish()
        deciding.merge(changes)
        for customer, tag in changes.tags:
            swept.tags.setdefault(customer, []).append(tag)
        swept.meta = changes.meta
        return swept

    def fold(self, partition: int, batch_records: int) -> Folded:
        """Decide a journal partition again, in batches of any size."""
        decided, log = Folded(), self.decided_log(partition)
        deciding = Partition(self.settings.core(), self.rulebooks.__getitem__, programs=self.programs)
        batch = deciding.batch()
        last = len(log) - 1
        for count, (offset, value) in enumerate(log):
            assert batch.fold(offset, decode_record(value))
            if count % batch_records == batch_records - 1 or count == last:
                changes = batch.finish()
                deciding.merge(changes)
                for customer, tag in changes.tags:
                    decided.tags.setdefault(customer, []).append(tag)
                decided.meta = changes.meta
                batch = deciding.batch()
        decided.customers = deciding.customers
        return decided


def check_every_offset_has_one_fate(seen: Seen) -> None:
    """Each input record is in the journal or a dead letter, once; the stages' own counts say the same."""
    journal, fates = seen.events_of(), seen.fates()
    buried = Counter(
        (letter.source.topic, letter.source.partition, letter.source.offset) for letter in seen.dead_letters
    )
    assert set(buried.values()) <= {1}, "a dead letter twice"
    for (topic, partition), given in seen.inputs.items():
        where = f"{topic}-{partition}"
        told, passed_on = given.ingested, journal.get((topic, partition), [])
        refused = [offset for name, number, offset in buried if (name, number) == (topic, partition)]
        assert sorted([*passed_on, *refused]) == given.records, where
        assert (told.first_offset, told.next_offset, given.offset) == (0, given.end, given.end), where
        control = given.end - len(given.records)
        assert (told.passed_on, told.dead_letters, told.control) == (len(passed_on), len(refused), control), where
        decided = fates[topic, partition]
        assert decided.applied + decided.duplicate + decided.late == len(passed_on), where
        assert decided.reappended == 0, where


def check_equals_a_plain_fold(seen: Seen, batch_records: int) -> None:
    """Tags, states and the meta record, byte for byte."""
    for partition in seen.live:
        live = seen.swept(partition)
        again = seen.fold(partition, batch_records)
        assert live.tags == again.tags, _differing(partition, live.tags, again.tags)
        assert live.customers == again.customers, _differing(partition, live.customers, again.customers)
        assert live.meta == again.meta


def _differing(partition: int, live: Mapping[str, object], again: Mapping[str, object]) -> str:
    customers = sorted(one for one in {*live, *again} if live.get(one) != again.get(one))
    return f"partition {partition}: {len(customers)} customers differ, such as {customers[:3]}"


async def look(pipeline: Pipeline) -> Seen:
    """Read all topics of a deployment whose workers have stopped."""
    settings = pipeline.settings
    live = {number: Folded() for number in range(settings.partitions)}
    async for record in read_topic(settings, settings.topic(TAGS)):
        live[record.partition].tags.setdefault(record.key.decode(), []).append(record.value)
    async for record in read_topic(settings, settings.topic(CUSTOMERS)):
        if record.key == META_KEY.encode():
            live[record.partition].meta = record.value
        else:
            live[record.partition].customers[record.key.decode()] = record.value
    journal: dict[int, Log] = {number: [] for number in live}
    async for record in read_topic(settings, settings.topic(JOURNAL)):
        journal[record.partition].append((record.offset, record.value))
    letters = [
        decode_dead_letter(record.value) async for record in read_topic(settings, settings.topic(DEAD_LETTERS))
    ]
    rulebooks = {digest: book.files for digest, book in (await published(settings)).rulebooks.items()}
    return Seen(settings, await _inputs(pipeline), journal, live, letters, rulebooks)


async def _inputs(pipeline: Pipeline) -> dict[SourcePartition, Input]:
    settings = pipeline.settings
    found: dict[SourcePartition, Input] = {}
    committed = await pipeline.committed("ingest")
    for topic in INPUTS:
        tps = pipeline.partitions(topic)
        for tp, (_, end) in (await offset_ranges(settings, tps)).items():
            at = committed.get(tp, OffsetAndMetadata(0, ""))
            told = (
                IngestState.from_metadata(at.metadata)
                if at.metadata
                else IngestState(first_offset=0, next_offset=0)
            )
            found[topic, tp.partition] = Input(end, [], at.offset, told)
        async for record in read_topic(settings, settings.topic(topic)):
            if record.value is not None or dict(record.headers).get(CONTROL_HEADER) not in {b"begin", b"end"}:
                found[topic, record.partition].records.append(record.offset)
    return found
