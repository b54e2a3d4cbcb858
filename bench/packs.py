"""The job with every shipped pack in force, and where decide's CPU goes then.

How many tags that makes is not known from the generator. One partition of the journal is folded here again, cut
into batches where the worker cut its transactions, and each customer's tags must be those that the worker
committed, byte for byte. Only the order between customers is the worker's own. The same fold is sampled for where
its time goes; what the worker took beyond it, an event, went to Kafka.
"""

from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiokafka import ConsumerRecord

from bench.clients import count_committed
from bench.measure import Speed
from bench.sampling import Sampler
from bench.stand import Stand
from bench.workers import ROOT, BenchError
from schemas.journal import CustomerEvent, JournalRecord, decode_record
from schemas.tags import encode_tag
from schemas.topics import CUSTOMERS, JOURNAL, TAGS
from streams.clients import read_topic
from streams.rulebooks.activation import published
from streams.rulebooks.folder import read_folder
from streams.settings import Settings
from streams.stages.restore import META_KEY
from tagger.folding.batch import Batch
from tagger.folding.fold import Fold
from tagger.folding.meta import decode_meta, encode_meta
from tagger.folding.partition import Partition
from tagger.packs.rulebook import read_rulebook
from tagger.policy.gate import Gate
from tagger.state.customer import decode_state, encode_state


def _decode(value: bytes) -> JournalRecord:
    return decode_record(value)


PARTS = {
    "journal records decoded": (_decode,),
    "states decoded": (decode_state,),
    "duplicates, balances booked, features updated": (Fold.fold_event,),
    "rules an event touches": (Fold._evaluate_touched,),
    "deadlines: finding and evaluating them": (Fold.pass_time, Fold.settle),
    "contact policy": (Gate.apply,),
    "states and tags encoded": (encode_state, encode_tag, encode_meta, decode_meta),
}
RULES = ROOT / "rules"
REST = "the rest of the fold: fates, batches"
KAFKA = "beyond the fold: Kafka's client and transactions (by difference)"
_FOLDED = 0

Tags = dict[str, list[bytes]]
"""By customer, in order."""


@dataclass(frozen=True, slots=True)
class AllPacks:
    """What the shipped packs cost.

    Attributes:
        tags: committed in all partitions.
        folded: events of the one that was folded again.
        parts_us: CPU µs an event by part; they add up to what the worker took.
    """

    tags: int
    folded: int
    parts_us: dict[str, float]

    def rows(self) -> list[str]:
        """A table of the parts, the dearest first."""
        total = sum(self.parts_us.values())
        parts = sorted(self.parts_us.items(), key=lambda part: -part[1])
        return [
            f"| decide with all packs: where the time goes ({self.tags:,} tags) | CPU µs an event | share |",
            "|---|---:|---:|",
            *[f"| {part} | {cost:.1f} | {cost / total:.0%} |" for part, cost in parts],
            f"| **together** | {total:.1f} | |",
            "",
            f"Sampled in a plain fold of the {self.folded:,} events of one partition, which made the very tags "
            "that the worker committed there, customer by customer.",
        ]


async def run_all_packs(stand: Stand, settings: Settings, events: int) -> tuple[Speed, AllPacks]:
    """Do the job of a deployment of the shipped packs, whose input is there.

    Raises:
        BenchError: decide made no tags, or others than the fold.
    """
    stand.say("ingest again, for all packs")
    await stand.run_stage(settings, "ingest", events)
    stand.say("decide with all packs")
    measured = await stand.run_stage(settings, "decide", events)
    stand.say("where its time goes")
    sampler = Sampler(PARTS, REST)
    folded = await _fold_again(settings, sampler)
    fold_us = sampler.cpu_seconds / folded * 1e6
    parts = {part: share * fold_us for part, share in sampler.shares().items()}
    parts[KAFKA] = measured.cpu_us_an_event - fold_us
    tags = await count_committed(stand.bootstrap, settings.topic(TAGS))
    return measured, AllPacks(tags, folded, parts)


async def _fold_again(settings: Settings, sampler: Sampler) -> int:
    """Fold one partition of the journal as the worker did; returns how many events it holds."""
    packs = read_folder(RULES)
    digest = read_rulebook(packs).digest
    if set((await published(settings)).rulebooks) != {digest}:
        raise BenchError(f"expected the packs of {RULES.name}/ alone to be in force, {digest}, found others")
    partition = Partition(settings.core(), {digest: packs}.__getitem__)
    partition.program(digest)  # compiled before the sampling begins, as before a worker's first commit
    journal = [(record.offset, record.value) async for record in _committed(settings, JOURNAL)]
    cuts = {
        decode_meta(record.value).next_offset
        async for record in _committed(settings, CUSTOMERS)
        if record.key == META_KEY
    }
    with sampler.running():
        events, tags = _fold(partition, journal, cuts)
    committed: Tags = defaultdict(list)
    async for record in _committed(settings, TAGS):
        committed[record.key.decode()].append(record.value)
    if not tags or tags != committed:
        raise BenchError(
            f"expected at least one tag of decide with all packs, and the {_count(tags)} of a plain fold of "
            f"partition {_FOLDED}; found {_count(committed)} there, and not the same"
        )
    return events


def _committed(settings: Settings, topic: str) -> AsyncIterator[ConsumerRecord]:
    return read_topic(settings, settings.topic(topic), [_FOLDED], whole=True)


def _count(tags: Tags) -> int:
    return sum(map(len, tags.values()))


def _fold(partition: Partition, journal: list[tuple[int, bytes]], cuts: set[int]) -> tuple[int, Tags]:
    """Fold a journal, offset and value, and commit in memory before each of the offsets in `cuts`.

    Returns:
        How many events it holds, and the tags.
    """
    events = 0
    tags: Tags = defaultdict(list)
    batch = partition.batch()
    for offset, value in journal:
        record = _decode(value)
        while not batch.fold(offset, record):
            batch = _commit(partition, batch, tags)
        events += isinstance(record, CustomerEvent)
        if offset + 1 in cuts:
            batch = _commit(partition, batch, tags)
    _commit(partition, batch, tags)
    return events, tags


def _commit(partition: Partition, batch: Batch, tags: Tags) -> Batch:
    changes = batch.finish()
    partition.merge(changes)
    for customer_id, tag in changes.tags:
        tags[customer_id].append(tag)
    return partition.batch()
