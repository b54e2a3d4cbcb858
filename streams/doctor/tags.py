"""Tags: every revision once and in order, and those of the sample as the journal gives them.

A worker may publish while we read. What lay in the topic before the changelog was read (`before`) was decided by
then; what the refold gives was decided by then too, and lies there once the topic is asked again. So, for each
customer of the sample: the tags before are a beginning of the expected ones, and these of all that lie there.
"""

import msgspec
from aiokafka import TopicPartition

from streams.doctor.reading import Range, key_of, read_range
from streams.doctor.report import Report
from streams.partitioner import name_of
from streams.settings import Settings


class _Tag(msgspec.Struct):
    tag_id: str
    revision: int


_DECODER = msgspec.json.Decoder(_Tag)


async def check_tags(
    settings: Settings,
    tp: TopicPartition,
    within: Range,
    before: int,
    expected: dict[str, list[bytes]] | None,
    sample: set[str],
    report: Report,
) -> None:
    """Check a partition of tags.

    Args:
        before: the stable end as it was before the changelog was read.
        expected: the sample's tags; None to check revisions only.
    """
    revisions: dict[str, int] = {}
    published: dict[str, list[bytes]] = {}
    counts: dict[str, int] = {}
    is_whole = within.start == 0
    async for records in read_range(settings, tp, within):
        report.checked["tags"] += len(records)
        for record in records:
            place, customer = f"{name_of(tp)}@{record.offset}", key_of(record)
            try:
                tag = _DECODER.decode(record.value or b"")
            except msgspec.MsgspecError as error:
                report.wrong("tags", place, "a tag event", f"none ({type(error).__name__})", of=name_of(tp))
                continue
            _check_revision(revisions, tag, place, is_whole, report, name_of(tp))
            if customer in sample:
                published.setdefault(customer, []).append(record.value)
                counts[customer] = counts.get(customer, 0) + (record.offset < before)
    if expected is None:
        return
    if not is_whole:
        report.skip(f"{name_of(tp)}: begins at offset {within.start}; older tags of the sample are not there")
        return
    for customer in sorted(sample):
        _compare(
            expected.get(customer, []), published.get(customer, []), counts.get(customer, 0), customer, tp, report
        )


def _check_revision(
    revisions: dict[str, int], tag: _Tag, place: str, is_whole: bool, report: Report, of: str
) -> None:
    last = revisions.get(tag.tag_id)
    revisions[tag.tag_id] = tag.revision
    if last is None and not is_whole:
        return
    if tag.revision != (last or 0) + 1:
        expected = f"revision {(last or 0) + 1} of {tag.tag_id}"
        report.wrong("tags", place, expected, f"revision {tag.revision}", of=of)


def _compare(
    expected: list[bytes], published: list[bytes], before: int, customer: str, tp: TopicPartition, report: Report
) -> None:
    where = f"{name_of(tp)} customer {customer}"
    for number, (left, right) in enumerate(zip(expected, published, strict=False), start=1):
        if left != right:
            wanted, got = _DECODER.decode(left), _DECODER.decode(right)
            told = f"{got.tag_id} revision {got.revision}"
            if (wanted.tag_id, wanted.revision) == (got.tag_id, got.revision):
                told = "the same revision with other content"
            report.wrong(
                "tags", where, f"as tag {number} {wanted.tag_id} revision {wanted.revision}", told, of=name_of(tp)
            )
            return
    if not before <= len(expected) <= len(published):
        report.wrong("tags", where, f"{len(expected)} tags, as the journal gives", f"{before} to {len(published)}")
