"""One input partition's ingest: records in, journal events, dead letters and the source's time out.

Pure, and shared by the worker, which commits what comes out in one transaction, and by whoever reads a file.
An `InputPartition` holds what never changes; an `IngestState` holds what a transaction commits, small enough for
the metadata string of a committed offset. `InputPartition.read` takes a state and gives the next, so a batch that
fails is dropped with nothing to undo.

The source's time W (docs/operations.md, "Time") never falls:

- `clock: events`: the largest accepted event time. A record beyond W + `max_jump_ms` is a dead letter and
  moves nothing. Before the first accepted record there is no W to compare with, so that record is held against
  the time of day instead: beyond now + `max_future_ms` it is a dead letter. One absurd record can so never make
  every honest one late, and recorded runs begin wherever they like in the past. A made-up run that
  deliberately lies in the future needs a larger `max_future_ms`.
- `clock: wall`: now when caught up, otherwise the broker's timestamp of the last record read (as it never falls:
  the largest), at most now. A record beyond now + `max_future_ms` is a dead letter.

Topics outside the clock have no W; their events are held against now + `max_future_ms` in both modes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from schemas.bankday import BankCalendar
from schemas.deadletters import BadRecord, DeadLetter, DeadLetterSource, bury
from schemas.decode import Decoder
from schemas.journal import CustomerEvent, Tick
from schemas.topics import CONTROL_HEADER
from tagger.ingest.committed import IngestState
from tagger.settings import DEFAULT_CLOCK_TOPICS, DEFAULT_ZONE


class InputRecord(Protocol):
    """A record as read. aiokafka's `ConsumerRecord` is one; `RawRecord` is for files and tests.

    `timestamp` is the broker's in epoch milliseconds, -1 or None when there is none.
    """

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int | None: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class RawRecord(msgspec.Struct, frozen=True, gc=False):
    """A record of a file or a test; `offset` -1 where there is none."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int | None = None
    offset: int = -1


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """What ingest must be told.

    Attributes:
        clock: what moves time (docs/operations.md, "Time").
        clock_topics: the topics whose partitions have a W.
        max_future_ms: how far beyond now an event may lie; with `clock: events`, the first of a source with a W.
        max_jump_ms: `clock: events`: how far beyond W an event may lie.
        push_recorded: let tags of recorded or made-up events be pushed.
        zone: IANA name of the bank's zone, for the `at` of dead letters.
    """

    clock: Literal["wall", "events"] = "wall"
    clock_topics: tuple[str, ...] = DEFAULT_CLOCK_TOPICS
    max_future_ms: int = 300_000
    max_jump_ms: int = 31 * 86_400_000
    push_recorded: bool = False
    zone: str = DEFAULT_ZONE


@dataclass(frozen=True, slots=True)
class Ingested:
    """What came of some records, in their order.

    Attributes:
        events: journal events to pass on.
        dead_letters: what was refused.
        has_control: whether a control record was read, after which a tick is due at once.
    """

    events: list[CustomerEvent]
    dead_letters: list[DeadLetter]
    has_control: bool


class _Run:
    """The changing side of one `InputPartition.read`: working copy of the state, and what came so far."""

    __slots__ = (
        "began",
        "closed",
        "control",
        "dead_letters",
        "events",
        "has_control",
        "time_ms",
        "unknown_fields",
    )

    def __init__(self, state: IngestState) -> None:
        self.time_ms = state.time_ms
        self.began = state.began
        self.closed = state.closed
        self.control = state.control
        self.unknown_fields = state.unknown_fields
        self.events: list[CustomerEvent] = []
        self.dead_letters: list[DeadLetter] = []
        self.has_control = False


class InputPartition:
    """One input partition: a source of the clock, where its topic is among the clock's.

    Args:
        topic: the input topic, without a deployment's prefix.
        partition: the partition.
        of: how many partitions the topic has.
        decoder: decodes values.
        settings: see `IngestSettings`.
    """

    def __init__(self, topic: str, partition: int, of: int, decoder: Decoder, settings: IngestSettings) -> None:
        self.topic = topic
        self.partition = partition
        self.of = of
        self.moves_clock = topic in settings.clock_topics
        self._decoder = decoder
        self._settings = settings
        self._follows_events = self.moves_clock and settings.clock == "events"
        self._calendar = BankCalendar(settings.zone)

    def read(
        self, state: IngestState, records: Iterable[InputRecord], now_ms: int
    ) -> tuple[IngestState, Ingested]:
        """Take records in.

        Records below the state's `next_offset` are dropped without a trace; offsets skipped by the reader
        count as `control`.

        Args:
            state: as of the records before; not changed.
            records: in offset order.
            now_ms: the time of day, for the bound on future events and for dead letters.

        Returns:
            The state to commit with what came of the records, and that.
        """
        run = _Run(state)
        first, expected = state.first_offset, state.next_offset
        latest_ms = -1  # of the broker's timestamps; -1 is Kafka's word for none
        for record in records:
            offset = record.offset
            if offset >= 0:
                if expected is None:
                    expected = first = offset
                elif offset < expected:
                    continue
                run.control += offset - expected
                expected = offset + 1
            latest_ms = max(latest_ms, record.timestamp or -1)
            self._take(run, record, now_ms)
        if self.moves_clock and not self._follows_events and latest_ms >= 0:
            run.time_ms = _later(run.time_ms, min(latest_ms, now_ms))
        next_state = IngestState(
            first_offset=first,
            next_offset=expected,
            time_ms=run.time_ms,
            began=run.began,
            closed=run.closed,
            passed_on=state.passed_on + len(run.events),
            dead_letters=state.dead_letters + len(run.dead_letters),
            control=run.control,
            unknown_fields=run.unknown_fields,
        )
        return next_state, Ingested(run.events, run.dead_letters, run.has_control)

    def start_at(self, state: IngestState, offset: int) -> IngestState:
        """Say where reading begins on a partition without a committed state; else the state as it is."""
        if state.next_offset is not None:
            return state
        return msgspec.structs.replace(state, first_offset=offset, next_offset=offset)

    def skip_to(self, state: IngestState, offset: int) -> IngestState:
        """Count the offsets before `offset` that hold no record for a reader (markers, aborted ones)."""
        if state.next_offset is None or offset <= state.next_offset:
            return state
        return msgspec.structs.replace(
            state, control=state.control + offset - state.next_offset, next_offset=offset
        )

    def catch_up(self, state: IngestState, now_ms: int) -> IngestState:
        """Say that all that lies in the partition was read: with `clock: wall`, W becomes now."""
        if self._follows_events or not self.moves_clock:
            return state
        return msgspec.structs.replace(state, time_ms=_later(state.time_ms, now_ms))

    def make_tick(self, state: IngestState) -> Tick | None:
        """The tick that tells the source's time; None off the clock, and before there is anything to tell."""
        if not self.moves_clock or (state.time_ms is None and not state.began and not state.closed):
            return None
        return Tick(
            topic=self.topic,
            partition=self.partition,
            of=self.of,
            time_ms=state.time_ms,
            # The time of day goes on after a recorded run: closed, a slow source would hold the clock no more.
            closed=state.closed and self._follows_events,
            recorded=self._settings.clock == "events" and not self._settings.push_recorded,
        )

    def _take(self, run: _Run, record: InputRecord, now_ms: int) -> None:
        value = record.value
        if value is None:
            command = _command(record.headers)
            if command is not None:
                run.began = True
                run.closed = command == "end"
                run.control += 1
                run.has_control = True
                return
        try:
            decoded = self._decoder.decode(self.topic, self.partition, record.offset, value)
            self._accept_time(run, decoded.event.occurred_ms, now_ms)
        except BadRecord as error:
            run.dead_letters.append(self._bury(error, record, now_ms))
            return
        run.events.append(decoded.event)
        run.unknown_fields += decoded.unknown_fields

    def _accept_time(self, run: _Run, occurred_ms: int, now_ms: int) -> None:
        """Refuse an event from the far future; otherwise let it move W where events do."""
        time_ms = run.time_ms
        if not self._follows_events:
            self._refuse_beyond(now_ms + self._settings.max_future_ms, occurred_ms, "now")
        elif time_ms is None:
            self._refuse_beyond(now_ms + self._settings.max_future_ms, occurred_ms, "now, being the first")
            run.time_ms = occurred_ms
        elif occurred_ms > time_ms:
            self._refuse_beyond(time_ms + self._settings.max_jump_ms, occurred_ms, "the source's time")
            run.time_ms = occurred_ms

    def _refuse_beyond(self, latest_ms: int, occurred_ms: int, base: str) -> None:
        if occurred_ms > latest_ms:
            allowed_ms = (
                self._settings.max_jump_ms if base == "the source's time" else self._settings.max_future_ms
            )
            latest = self._calendar.format(latest_ms)
            raise BadRecord(
                "far_future",
                "occurred_at",
                f"at most {allowed_ms // 1000} seconds beyond {base}: {latest}",
                self._calendar.format(occurred_ms),
            )

    def _bury(self, error: BadRecord, record: InputRecord, now_ms: int) -> DeadLetter:
        has_timestamp = record.timestamp is not None and record.timestamp >= 0
        source = DeadLetterSource(
            topic=self.topic,
            partition=self.partition,
            offset=record.offset,
            timestamp=record.timestamp if has_timestamp else None,
        )
        return bury(error, source, record.key, record.value, self._calendar.format(now_ms))


def _command(headers: Sequence[tuple[str, bytes]]) -> Literal["begin", "end"] | None:
    """What a control header says; the last one counts, as everywhere in Kafka."""
    for name, value in reversed(headers):
        if name == CONTROL_HEADER:
            return _COMMANDS.get(value)
    return None


_COMMANDS: dict[bytes, Literal["begin", "end"]] = {b"begin": "begin", b"end": "end"}


def _later(time_ms: int | None, other_ms: int) -> int:
    return other_ms if time_ms is None else max(time_ms, other_ms)
