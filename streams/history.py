"""A file as the journal that ingest would make of it; `tagger.folding.plain_fold` folds it.

Each input topic of the source is read as one partition through `tagger.ingest.partition`, in the order of the
file. Time is told as live ingest tells it under `clock: events`: a source's tick follows the event that has moved
its time by a minute, and when it begins and ends. A clock topic that the file does not feed is closed at the
start; where that cannot be known (standard input), every clock topic is open, and the clock stands still, until
the input ends or each has had an event.

Given the same source, settings and `now_ms`, the same records come out.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from schemas.bankday import BankCalendar
from schemas.deadletters import DeadLetter
from schemas.decode import Decoder
from schemas.events import INPUTS
from schemas.journal import Activation, CustomerEvent, JournalRecord, Tick, decode_record
from schemas.scalars import FIRST_YEAR, LAST_YEAR
from schemas.topics import CONTROL_HEADER
from streams.settings import Settings
from streams.sources.formats import OpenSource
from streams.sources.record import SourceError, SourceRecord
from tagger.ingest.committed import IngestState
from tagger.ingest.partition import Ingested, InputPartition, RawRecord

# How far a source's time moves before it is told again.
_TICK_MS = 60_000


@dataclass(slots=True)
class Refused:
    """What ingest refused.

    Attributes:
        reasons: how many dead letters, by reason.
        keep: is given every dead letter.
    """

    reasons: Counter[str]
    keep: Callable[[DeadLetter], object] = lambda dead_letter: None


def read_journal(source: OpenSource, settings: Settings, now_ms: int, refused: Refused) -> Iterator[JournalRecord]:
    """The journal that ingest makes of a source.

    Args:
        now_ms: the time of day, for the bound on future events and the time of dead letters.
        refused: is added to.

    Raises:
        SourceError: a record names no input topic.
    """
    reading = _Reading(settings, now_ms, refused)
    absent = [] if source.topics is None else [t for t in settings.clock_topics if t not in source.topics]
    for topic in settings.clock_topics:
        yield from reading.control(topic, b"begin")
    for topic in absent:
        yield from reading.control(topic, b"end")
    for record in source.records:
        yield from reading.take(record)
    for topic in settings.clock_topics:
        if topic not in absent:
            yield from reading.control(topic, b"end")


class _Reading:
    """Input partitions under way, one a topic."""

    def __init__(self, settings: Settings, now_ms: int, refused: Refused) -> None:
        # Time follows the events of a file, whatever moves it live.
        self._settings = replace(settings.ingest(), clock="events")
        self._decoder = Decoder(settings.rates)
        self._now_ms = now_ms
        self._refused = refused
        self._inputs: dict[str, InputPartition] = {}
        self._states: dict[str, IngestState] = {}
        self._told_ms: dict[str, int] = {}

    def control(self, topic: str, word: bytes) -> Iterator[JournalRecord]:
        return self.take(SourceRecord(topic, None, None, ((CONTROL_HEADER, word),)))

    def take(self, record: SourceRecord) -> Iterator[JournalRecord]:
        raw = RawRecord(record.value, record.key, record.headers, record.timestamp_ms)
        return self._pass_on(record.topic, self._read(record.topic, raw))

    def _read(self, topic: str, record: RawRecord) -> Ingested:
        if topic not in self._inputs:
            if topic not in INPUTS:
                raise SourceError(f"expected one of the input topics {', '.join(INPUTS)}, got {topic!r}")
            self._inputs[topic] = InputPartition(topic, 0, 1, self._decoder, self._settings)
            self._states[topic] = IngestState()
        self._states[topic], ingested = self._inputs[topic].read(self._states[topic], [record], self._now_ms)
        return ingested

    def _pass_on(self, topic: str, ingested: Ingested) -> Iterator[JournalRecord]:
        for dead_letter in ingested.dead_letters:
            self._refused.reasons[dead_letter.reason] += 1
            self._refused.keep(dead_letter)
        yield from ingested.events
        tick = self._inputs[topic].make_tick(self._states[topic])
        if tick is not None and (ingested.has_control or self._is_due(tick)):
            if tick.time_ms is not None:
                self._told_ms[topic] = tick.time_ms
            yield tick

    def _is_due(self, tick: Tick) -> bool:
        told_ms = self._told_ms.get(tick.topic)
        return tick.time_ms is not None and (told_ms is None or tick.time_ms >= told_ms + _TICK_MS)


def decode_journal(records: Iterable[SourceRecord]) -> Iterator[JournalRecord]:
    """Journal records as they stand, their activations left out: another rulebook decides now.

    Raises:
        SourceError: a value is no journal record.
    """
    for number, record in enumerate(records, start=1):
        try:
            decoded = decode_record(record.value or b"")
        except ValueError as error:
            raise SourceError(f"record {number}: expected a journal record: {error}") from error
        if type(decoded) is not Activation:
            yield decoded


def until(records: Iterable[JournalRecord], at_ms: int, settings: Settings) -> Iterator[JournalRecord]:
    """Cut a journal at a time: no event after it, and at the end the clock stands at it."""
    sources: dict[tuple[str, int], Tick] = {}
    for record in records:
        if isinstance(record, Tick):
            time_ms = None if record.time_ms is None else min(record.time_ms, at_ms)
            sources[record.topic, record.partition] = record
            yield _at(record, time_ms, record.closed and record.time_ms is None)
        elif not isinstance(record, CustomerEvent) or record.occurred_ms <= at_ms:
            yield record
    for topic in settings.clock_topics:
        for tick in [tick for (name, _), tick in sources.items() if name == topic]:
            yield _at(tick, at_ms, False)


def _at(tick: Tick, time_ms: int | None, closed: bool) -> Tick:
    return Tick(
        topic=tick.topic,
        partition=tick.partition,
        of=tick.of,
        time_ms=time_ms,
        closed=closed,
        recorded=tick.recorded,
    )


def read_moment(text: str) -> datetime:
    """Read a time as a command is given one; a date is its midnight.

    Raises:
        ValueError: the text is none, or lies outside the years that events may have.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected a date, a time like 2026-03-31 18:00, or RFC 3339, got {text!r}") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"expected a time from {FIRST_YEAR} to {LAST_YEAR}, got {text!r}")
    return moment


def parse_time(text: str, calendar: BankCalendar) -> int:
    """Read `--at`: RFC 3339, or a time of the bank, or a date, which stands for the end of that bank day.

    Returns:
        Epoch milliseconds; for a date, the day's last.

    Raises:
        ValueError: the text is none of these, or lies outside the years that events may have.
    """
    moment = read_moment(text)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return calendar.instant_ms(moment)
    return calendar.start_ms(day.toordinal() + 1) - 1
