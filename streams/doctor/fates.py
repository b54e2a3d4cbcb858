"""Every input offset has one fate: the counts of ingest and decide, the journal, and the dead letters agree.

Read in an order that a living deployment cannot upset: decide's meta records, then ingest's committed offsets,
then the journal beyond decide's positions and the dead letters. What decide has counted lies before the offsets
that ingest had committed by then, and what those offsets cover lies in the journal or is a dead letter.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from schemas.deadletters import decode_dead_letter
from schemas.journal import CustomerEvent, decode_record
from schemas.topics import CUSTOMERS, DEAD_LETTERS, INPUTS, JOURNAL
from streams.clients import committed_offsets, offset_ranges, partition_counts
from streams.doctor.journal import Scan
from streams.doctor.reading import Range, read_range, stable_ranges
from streams.doctor.report import Report
from streams.lanes.stage import group_of
from streams.partitioner import name_of
from streams.settings import Settings
from tagger.folding.meta import Fates, Meta, source_key
from tagger.ingest.committed import IngestState


@dataclass(frozen=True, slots=True)
class Decided:
    """A journal partition that was looked at.

    Attributes:
        committed: the group's offset, read before the meta record; None when there is none.
        journal: what the journal partition holds.
        scan: None when the journal was not read.
    """

    number: int
    meta: Meta
    committed: int | None
    journal: Range
    scan: Scan | None


def check_decided(settings: Settings, decided: Decided, report: Report) -> None:
    """A meta record against the group's offset, the journal's ends, and the journal's records."""
    meta, journal = decided.meta, decided.journal
    name = f"{settings.topic(JOURNAL)}-{decided.number}"
    report.checked["journal partitions"] += 1
    if decided.committed is not None and decided.committed > meta.next_offset:
        report.wrong(
            "fates",
            name,
            f"decide's group at {meta.next_offset} at most, which the changelog states",
            f"{decided.committed}: the end of {settings.topic(CUSTOMERS)}-{decided.number} is lost",
        )
    if not journal.start <= meta.next_offset <= journal.end:
        found = f"the journal from {journal.start} to {journal.end}"
        report.wrong("fates", name, f"a journal that holds decide's position {meta.next_offset}", found)
    counted = meta.control + sum(each.reappended + _decisions(each) for each in meta.fates.values())
    if counted > meta.next_offset:
        report.wrong("fates", name, f"at most {meta.next_offset} fates, one an offset", str(counted))
    if decided.scan is not None:
        _compare_scan(name, meta, decided.scan, report)


def _compare_scan(name: str, meta: Meta, scan: Scan, report: Report) -> None:
    for source in sorted({*meta.fates, *scan.sources}):
        fates, counted = meta.fates.get(source, Fates()), scan.count_of(source)
        pairs = {
            "applied + duplicate + late": (counted.firsts, _decisions(fates)),
            "appended again": (counted.repeated, fates.reappended),
            "the last offset": (counted.high, fates.high_water),
        }
        for what, (expected, found) in pairs.items():
            if expected != found:
                report.wrong(
                    "fates", f"{name} of {source}", f"{expected} as {what}, as the journal holds", str(found)
                )


async def read_ingested(settings: Settings) -> dict[str, OffsetAndMetadata | None]:
    """What ingest has committed, by `topic-partition` without the deployment's prefix."""
    tps = await _input_partitions(settings)
    committed = await committed_offsets(settings, group_of(settings, "ingest"), tps.values())
    return {name: committed.get(tp) for name, tp in tps.items()}


def first_offsets(ingested: Mapping[str, OffsetAndMetadata | None]) -> dict[str, int]:
    """Where ingest began to count, by input partition."""
    return {name: state.first_offset or 0 for name, at in ingested.items() if (state := _state(at)) is not None}


async def check_ingested(
    settings: Settings, decided: list[Decided], counted_from: Mapping[str, int], report: Report
) -> None:
    """Ingest's counts against its offsets, the inputs, decide's counts, the journal and the dead letters.

    Args:
        decided: every journal partition, read before.
        counted_from: `first_offsets` as they were when the journals were read.
    """
    tps = await _input_partitions(settings)
    ingested = await read_ingested(settings)
    states = {name: _state(at) for name, at in ingested.items()}
    ranges = await offset_ranges(settings, list(tps.values()))
    until = {name: 0 if at is None else at.offset for name, at in ingested.items()}
    undecided = await _undecided(settings, decided, until, report)
    buried = await _buried(settings, states, report)
    for name, state in states.items():
        start, end = ranges[tps[name]]
        report.checked["input partitions"] += 1
        if state is None:
            _check_unread(name, until[name], decided, report)
            continue
        _check_counts(name, state, until[name], end, report)
        if until[name] < start:
            report.wrong("fates", name, f"ingest's position {until[name]} within the input", f"it from {start}")
        _check_passed_on(name, state, decided, undecided.get(name, 0), counted_from, report)
        if buried is not None and buried.get(name, 0) != state.dead_letters:
            expected = f"{state.dead_letters} dead letters, as ingest counted up to {until[name]}"
            report.wrong("fates", name, expected, f"{buried.get(name, 0)} in {settings.topic(DEAD_LETTERS)}")
    if buried is None:
        report.skip(f"{settings.topic(DEAD_LETTERS)}: its oldest are gone, so that they cannot be counted")


def _state(at: OffsetAndMetadata | None) -> IngestState | None:
    """What an offset's metadata states; None without an offset, or where it cannot be read."""
    try:
        return None if at is None else IngestState.from_metadata(at.metadata)
    except ValueError:
        return None


def _check_unread(name: str, offset: int, decided: list[Decided], report: Report) -> None:
    if offset:
        report.wrong("fates", name, f"counts in the metadata of ingest's offset {offset}", "what is none")
        return
    count = sum(_decisions(each.meta.fates.get(name, Fates())) for each in decided)
    if count:
        report.wrong("fates", name, f"an offset of ingest's group, {count} records having come from there", "none")


def _check_counts(name: str, state: IngestState, offset: int, end: int, report: Report) -> None:
    if state.next_offset is None:  # an operator moved it, and nothing was read since
        report.skip(f"{name}: its offset {offset} was set by hand, counts begin anew")
        return
    if state.next_offset != offset or offset > end:
        found = f"offset {offset}, metadata {state.next_offset}, and an input that ends at {end}"
        report.wrong("fates", name, "an offset that its metadata states and the input holds", found)
    counted = state.passed_on + state.dead_letters + state.control
    expected = state.next_offset - (state.first_offset or 0)
    if counted != expected:
        told = f"{state.passed_on} passed on + {state.dead_letters} dead letters + {state.control} control"
        of = f"{expected} fates, one for each offset from {state.first_offset or 0} to {state.next_offset}"
        report.wrong("fates", name, of, f"{counted}: {told}")


def _check_passed_on(
    name: str,
    state: IngestState,
    decided: list[Decided],
    undecided: int,
    counted_from: Mapping[str, int],
    report: Report,
) -> None:
    scans = [each.scan for each in decided]
    began = state.first_offset or 0
    if any(scan is None for scan in scans) or began != counted_from.get(name, began):
        count = sum(_decisions(each.meta.fates.get(name, Fates())) for each in decided)
        if began and count + undecided != state.passed_on:
            report.skip(f"{name}: counted from {began} on; only the whole journal tells what came before")
            return
        parts = f"{count} decided + {undecided} waiting"
    else:
        count = sum(scan.count_of(name).since for scan in scans if scan is not None)
        parts = f"{count} that decide has read + {undecided} waiting"
    if count + undecided != state.passed_on:
        expected = f"{state.passed_on} in the journal, as ingest passed on"
        report.wrong("fates", name, expected, f"{count + undecided}: {parts}")


def _decisions(fates: Fates) -> int:
    return fates.applied + fates.duplicate + fates.late


async def _undecided(
    settings: Settings, decided: list[Decided], until: Mapping[str, int], report: Report
) -> dict[str, int]:
    """Records beyond decide's positions that came for the first time, below ingest's offsets, by source."""
    counts: dict[str, int] = {}
    tps = {TopicPartition(settings.topic(JOURNAL), each.number): each for each in decided}
    ranges = await stable_ranges(settings, tps)
    for tp, each in tps.items():
        high = {name: fates.high_water for name, fates in each.meta.fates.items()}
        async for records in read_range(settings, tp, Range(each.meta.next_offset, ranges[tp].end)):
            for message in records:
                try:
                    record = decode_record(message.value or b"")
                except msgspec.MsgspecError as error:
                    found = f"one that is none ({type(error).__name__})"
                    report.wrong("fates", f"{name_of(tp)}@{message.offset}", "journal records only", found)
                    continue
                if not isinstance(record, CustomerEvent):
                    continue
                name, offset = source_key(record.source), record.source.offset
                if high.get(name, -1) < offset < until.get(name, 0):
                    high[name] = offset
                    counts[name] = counts.get(name, 0) + 1
    return counts


async def _buried(
    settings: Settings, states: Mapping[str, IngestState | None], report: Report
) -> dict[str, int] | None:
    """Distinct places of dead letters among the offsets ingest counted, by source; None when some are gone."""
    places: set[tuple[str, int]] = set()
    topic = settings.topic(DEAD_LETTERS)
    count = (await partition_counts(settings, [topic]))[topic]
    ranges = await stable_ranges(settings, [TopicPartition(topic, number) for number in range(count)])
    for tp, within in ranges.items():
        if within.start:
            return None
        async for records in read_range(settings, tp, within):
            for record in records:
                try:
                    letter = decode_dead_letter(record.value or b"")
                except msgspec.MsgspecError as error:
                    found = f"none ({type(error).__name__})"
                    report.wrong("fates", f"{name_of(tp)}@{record.offset}", "a dead letter", found, of=topic)
                    continue
                state, offset = states.get(letter.message_key), letter.source.offset
                if state is not None and (state.first_offset or 0) <= offset < (state.next_offset or 0):
                    places.add((letter.message_key, offset))
    counts: dict[str, int] = {}
    for name, _ in places:
        counts[name] = counts.get(name, 0) + 1
    return counts


async def _input_partitions(settings: Settings) -> dict[str, TopicPartition]:
    counts = await partition_counts(settings, [settings.topic(topic) for topic in INPUTS])
    return {
        f"{topic}-{number}": TopicPartition(settings.topic(topic), number)
        for topic in INPUTS
        for number in range(counts[settings.topic(topic)])
    }
