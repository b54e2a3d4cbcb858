"""INGEST: one input partition into the journal, one transaction a fetch.

What becomes of a record is `tagger.ingest.partition`; this joins it to Kafka. A transaction holds the journal
events, each in the partition of its customer, the dead letters, ticks when one is due, and the input offset. There
is no changelog: the source's time, whether it is open, and how many records had which fate ride in the offset's
metadata string, so that offset and counts cannot disagree. Both are read after the fence.

An operator may move the group's offset with Kafka's own tools, which leaves the metadata empty: reading goes on
there, and counting begins anew.

**Throttle.** With `max_skew_seconds`, a task whose source is further than that ahead of the slowest open one
waits before each fetch, but never longer than `MAX_PAUSE_SECONDS`: it need not be exact, and a rebalance must not
wait for it. The others' times are read from their committed offsets.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from aiokafka import ConsumerRecord, TopicPartition

from schemas.deadletters import encode_dead_letter
from schemas.decode import Decoder
from schemas.journal import encode_record
from schemas.topics import DEAD_LETTERS, INPUTS, JOURNAL
from streams import failpoints
from streams.clients import committed_offsets, offset_ranges, partition_counts
from streams.lanes.intake import Fetch
from streams.lanes.stage import PositionError, StageName, group_of
from streams.lanes.unit_of_work import Transaction, UnitOfWork, transactional_id
from streams.partitioner import name_of, partition_of
from streams.settings import Settings
from streams.stages.ticks import Ticks
from tagger.ingest.committed import IngestState
from tagger.ingest.partition import Ingested, InputPartition

log = logging.getLogger(__name__)

MAX_PAUSE_SECONDS = 2.0
_PAUSE_STEP_SECONDS = 0.25

WallClock = Callable[[], float]


class Ingest:
    """The stage `ingest`; a `streams.lanes.stage.Stage`.

    Args:
        now: the time of day, seconds since 1970.
    """

    name: StageName = "ingest"

    def __init__(self, settings: Settings, now: WallClock = time.time) -> None:
        self.topics: Sequence[str] = [settings.topic(name) for name in INPUTS]
        self._settings = settings
        self._decoder = Decoder(settings.rates)
        self._now = now

    def make_task(self, tp: TopicPartition) -> "IngestTask":
        return IngestTask(self._settings, tp, self._decoder, self._now)


class IngestTask:
    """Ingests one input partition; a `streams.lanes.stage.Task`."""

    has_more = False

    def __init__(self, settings: Settings, tp: TopicPartition, decoder: Decoder, now: WallClock) -> None:
        self._settings = settings
        self._tp = tp
        self._decoder = decoder
        self._now = now
        self._group = group_of(settings, "ingest")
        self._journal = settings.topic(JOURNAL)
        self._dead_letters = settings.topic(DEAD_LETTERS)
        self._unit = UnitOfWork(settings, transactional_id(settings.app, "ingest", tp.topic, tp.partition))
        self._counts: dict[str, int] = {}
        self._input: InputPartition | None = None
        self._ticks: Ticks | None = None
        self._state = IngestState()

    async def take_over(self) -> int:
        """Fence, then read where to go on.

        Raises:
            PositionError: the input no longer holds what was not read yet.
        """
        await self._unit.fence()
        if failpoints.armed:
            await failpoints.reach("ingest.before-position")
        settings, tp = self._settings, self._tp
        self._counts = await partition_counts(settings, [tp.topic, self._journal, self._dead_letters])
        clock = asyncio.get_running_loop().time
        self._ticks = Ticks(settings.tick_seconds, self._journal, self._counts[self._journal], clock)
        partition = self._input = InputPartition(
            tp.topic.removeprefix(settings.topic_prefix),
            tp.partition,
            self._counts[tp.topic],
            self._decoder,
            settings.ingest(),
        )
        committed = (await committed_offsets(settings, self._group, [tp])).get(tp)
        start, end = (await offset_ranges(settings, [tp]))[tp]
        if committed is None:
            self._state = partition.start_at(IngestState(), start)
        else:
            if not start <= committed.offset <= end:
                raise PositionError(
                    f"expected to go on at offset {committed.offset} of {name_of(tp)}, found {start} to {end} "
                    f"there: what lies between was deleted unread. Move the offset of group {self._group} to go on"
                )
            self._state = partition.start_at(IngestState.from_metadata(committed.metadata), committed.offset)
            if self._state.next_offset != committed.offset:
                raise PositionError(
                    f"expected the metadata of {name_of(tp)} to state its offset {committed.offset}, found "
                    f"{self._state.next_offset}"
                )
        position = self._state.next_offset
        assert position is not None
        return position

    async def process(self, records: Sequence[ConsumerRecord]) -> None:
        """Ingest one fetch."""
        assert isinstance(records, Fetch)
        partition = self._ready()
        await self._let_others_catch_up()
        if failpoints.armed:
            await failpoints.reach("ingest.before-decode")
        state, ingested = partition.read(self._state, records, self._now_ms())
        if failpoints.armed:
            await failpoints.reach("ingest.after-decode")
        await self._commit(partition.skip_to(state, records.end), ingested)

    async def idle(self, caught_up: bool) -> None:
        """Tell the time when it moved."""
        partition = self._ready()
        state = partition.catch_up(self._state, self._now_ms()) if caught_up else self._state
        assert self._ticks is not None
        if self._ticks.is_due(partition.make_tick(state)):
            if failpoints.armed:
                await failpoints.reach("ingest.before-tick")
            await self._commit(state, Ingested([], [], False))

    async def release(self) -> None:
        await self._unit.close()

    async def _commit(self, state: IngestState, ingested: Ingested) -> None:
        partition, ticks, offset = self._ready(), self._ticks, state.next_offset
        assert ticks is not None
        assert offset is not None
        tick = partition.make_tick(state)
        is_due = ticks.is_due(tick)
        async with self._unit.begin() as transaction:
            self._append(transaction, ingested)
            if tick is not None and is_due:
                ticks.append(transaction, tick)
            transaction.offsets(self._group, {self._tp: (offset, state.to_metadata())})
            await transaction.commit()
        if failpoints.armed:
            await failpoints.reach("ingest.before-merge")
        if tick is not None and is_due:
            ticks.told(tick)
        if ingested.dead_letters:
            self._log(logging.WARNING, "dead letters", count=len(ingested.dead_letters))
        self._state = state

    def _append(self, transaction: Transaction, ingested: Ingested) -> None:
        append, journal, partitions = transaction.append, self._journal, self._counts[self._journal]
        for event in ingested.events:
            key = event.customer_id.encode()
            append(journal, partition_of(key, partitions), key, encode_record(event))
        for letter in ingested.dead_letters:
            key = letter.message_key.encode()
            partition = partition_of(key, self._counts[self._dead_letters])
            append(self._dead_letters, partition, key, encode_dead_letter(letter))

    async def _let_others_catch_up(self) -> None:
        limit_ms = self._settings.max_skew_seconds * 1000
        waited, held_by = 0.0, ""
        while limit_ms and waited < MAX_PAUSE_SECONDS:
            ahead_ms, slowest = await self._ahead_of_the_slowest()
            if ahead_ms <= limit_ms:
                break
            await asyncio.sleep(_PAUSE_STEP_SECONDS)
            waited, held_by = waited + _PAUSE_STEP_SECONDS, slowest
        if waited:
            self._log(logging.INFO, "waited for slower sources", seconds=waited, slowest=held_by)

    async def _ahead_of_the_slowest(self) -> tuple[int, str]:
        """By how much, in ms, and which source that is; 0 when nothing is known to compare."""
        mine = self._state.time_ms
        if mine is None:
            return 0, ""
        settings = self._settings
        counts = await partition_counts(settings, [settings.topic(name) for name in settings.clock_topics])
        sources = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        committed = await committed_offsets(settings, self._group, sources)
        states = {tp: IngestState.from_metadata(position.metadata) for tp, position in committed.items()}
        times = {
            tp: state.time_ms for tp, state in states.items() if state.time_ms is not None and not state.closed
        }
        if not times:
            return 0, ""
        slowest = min(times, key=lambda tp: (times[tp], tp))
        return mine - times[slowest], name_of(slowest)

    def _ready(self) -> InputPartition:
        assert self._input is not None, "take_over() comes first"
        return self._input

    def _now_ms(self) -> int:
        return int(self._now() * 1000)

    def _log(self, level: int, event: str, **facts: object) -> None:
        log.log(level, event, extra={"stage": "ingest", "partition": name_of(self._tp), **facts})
