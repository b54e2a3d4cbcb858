"""A journal partition read from its beginning to where decide stands: counts by source, and the sample folded.

The changelog is compared at `next_offset` of its own meta record, which stands for the same transaction, so that
a worker may go on meanwhile. Deadlines that ticks have made due and decide has not come to yet are evaluated here
before the comparison. In the middle of a record that takes more than one transaction, such as an activation, the
position stays while states change already; then the sample is left out, and the report says so.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import msgspec
from aiokafka import TopicPartition

from schemas.journal import CustomerEvent, decode_record
from schemas.topics import CUSTOMERS, JOURNAL
from streams.doctor.reading import Changelog, Range, read_range
from streams.doctor.refolding import Refolding, differing_fields, is_readable, sweep
from streams.doctor.report import Report
from streams.partitioner import name_of
from streams.settings import Settings
from tagger.folding.meta import Meta, encode_meta, source_key
from tagger.folding.partition import Partition
from tagger.packs.errors import RulebookError
from tagger.state.customer import VersionError

# Customers that the changelog lacks are folded beside the sample, up to so many a partition.
_MAX_UNKNOWN = 1000
# What a journal's ticks, activations and pauses alone determine.
_OF_TIME = (
    "clock_ms",
    "sources",
    "recorded",
    "rulebook",
    "activations",
    "waiting",
    "features",
    "paused",
    "control",
)


MakePartition = Callable[[dict[str, bytes] | None, bytes | None], Partition]
"""Gives a partition of some states and a meta record, or one that has decided nothing; it finds the published
rulebooks."""


@dataclass(slots=True)
class SourceCount:
    """An input partition's records in a journal partition.

    Attributes:
        firsts: those that came for the first time; `since`: of these, from ingest's `first_offset` on.
        repeated: appended again, at or below one that had come.
    """

    firsts: int = 0
    since: int = 0
    repeated: int = 0
    high: int = -1

    def take(self, offset: int, first_offset: int) -> bool:
        """Count a record; whether it is new."""
        if offset <= self.high:
            self.repeated += 1
            return False
        self.high = offset
        self.firsts += 1
        self.since += offset >= first_offset
        return True


@dataclass(slots=True)
class Scan:
    """What a journal partition holds up to an offset.

    Attributes:
        sources: by `topic-partition`.
        tags: expected of each customer of the sample up to where the changelog stands, in order; None when the
            sample was not folded.
    """

    sources: dict[str, SourceCount] = field(default_factory=dict)
    tags: dict[str, list[bytes]] | None = None

    def count_of(self, source: str) -> SourceCount:
        return self.sources.setdefault(source, SourceCount())


async def scan(
    settings: Settings,
    changelog: Changelog,
    within: Range,
    sample: set[str],
    first_offsets: dict[str, int],
    make_partition: MakePartition,
    report: Report,
) -> Scan | None:
    """Read a journal partition, compare the sample's states, and count.

    Args:
        within: from the journal's first offset to decide's `next_offset`.
        sample: customers of the changelog to fold again.
        first_offsets: where ingest began to count, by `topic-partition`.

    Returns:
        None when the partition cannot be read as a journal.
    """
    found, refolding = Scan(), Refolding(make_partition(None, None))
    tp = TopicPartition(settings.topic(JOURNAL), changelog.number)
    unknown: set[str] = set()
    unseen = set(changelog.customers)
    try:
        async for records in read_range(settings, tp, within):
            for message in records:
                record = decode_record(message.value or b"")
                if not isinstance(record, CustomerEvent):
                    refolding.take(record, message.offset)
                    continue
                customer, source = record.customer_id, source_key(record.source)
                is_new = found.count_of(source).take(record.source.offset, first_offsets.get(source, 0))
                unseen.discard(customer)
                if customer not in changelog.customers and len(unknown) < _MAX_UNKNOWN:
                    unknown.add(customer)
                if is_new and (customer in sample or customer in unknown):
                    refolding.take(record, message.offset)
    except msgspec.MsgspecError as error:
        report.wrong("fates", name_of(tp), "journal records only", f"one that is none ({type(error).__name__})")
        return None
    except (LookupError, RulebookError) as error:
        report.skip(f"{name_of(tp)}: a rulebook cannot be used: {error}")
        return None
    report.checked["journal records"] += sum(each.firsts + each.repeated for each in found.sources.values())
    for customer in sorted(unseen):
        _wrong(report, changelog, settings, customer, "no state without an event in the journal", "one")
    if _is_same_time(settings, changelog, refolding.finish(), report):
        swept, given_off = _swept(changelog, sample, make_partition)
        found.tags = {
            customer: tags[: len(tags) - given_off.get(customer, 0)] for customer, tags in refolding.tags.items()
        }
        _compare(settings, swept, refolding.customers, sample | unknown, report)
    return found


def _swept(
    changelog: Changelog, sample: set[str], make_partition: MakePartition
) -> tuple[Changelog, dict[str, int]]:
    """The changelog with the sample's due deadlines evaluated, and how many tags that gave each customer."""
    meta, customers = changelog.meta, changelog.customers
    assert meta is not None
    if not meta.unswept:
        return changelog, {}
    behind = {one: customers[one][1] for one in sample & customers.keys() if is_readable(customers[one][1])}
    partition = make_partition(behind, encode_meta(meta))
    given_off = sweep(partition)
    states = {one: (customers[one][0], state) for one, state in partition.customers.items()}
    return replace(changelog, customers={**customers, **states}), given_off


def _is_same_time(settings: Settings, changelog: Changelog, again: Meta, report: Report) -> bool:
    """Whether the refold stands where the meta record does; what these determine alone is compared."""
    meta = changelog.meta
    assert meta is not None
    where = f"{settings.topic(CUSTOMERS)}-{changelog.number}"
    is_amid = meta.upgrading_from is not None or meta.resuming is not None
    if is_amid or (meta.clock_ms or 0) > (again.clock_ms or 0):
        report.skip(f"{where}: stands in the middle of journal offset {meta.next_offset}; look again in a moment")
        return False
    differing = [name for name in _OF_TIME if getattr(meta, name) != getattr(again, name)]
    if differing:
        report.wrong(
            "changelog",
            f"{where} #meta",
            "what the journal's ticks, activations and pauses give",
            ", ".join(differing),
        )
    return not differing


def _compare(
    settings: Settings, changelog: Changelog, again: dict[str, bytes], customers: Iterable[str], report: Report
) -> None:
    for customer in sorted(customers):
        expected, (_, found) = again.get(customer), changelog.customers.get(customer, (0, None))
        if expected is None and found is None:
            continue  # all its events were late, and none of them money
        report.checked["customers folded again"] += 1
        if found is None:
            _wrong(report, changelog, settings, customer, "a state", "none")
        elif expected is None:
            _wrong(report, changelog, settings, customer, "no state", "one")
        else:
            try:
                differing = differing_fields(expected, found)
            except (msgspec.MsgspecError, VersionError) as error:
                _wrong(report, changelog, settings, customer, "a state of this release", type(error).__name__)
                continue
            if differing:
                told = f"one that differs in {', '.join(differing)}"
                _wrong(report, changelog, settings, customer, "the state that the journal gives", told)


def _wrong(
    report: Report, changelog: Changelog, settings: Settings, customer: str, expected: str, found: str
) -> None:
    partition = f"{settings.topic(CUSTOMERS)}-{changelog.number}"
    report.wrong("changelog", f"{partition} customer {customer}", expected, found, of=partition)
