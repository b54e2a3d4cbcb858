"""Bugs, one a function: each plants itself inside its block and is gone after it.

They stand for what was wrong once, here or elsewhere, in pipelines of this kind. None is in product code; each
takes the place of a function for as long as a test wants it.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from unittest import mock

from aiokafka import TopicPartition
from simulation import kafka_clients, view_store

import schemas.decode
import tagger.folding.batch
from schemas.journal import hash_event
from streams.lanes import fetch, lane, ownership
from streams.lanes import unit_of_work as unit
from streams.lanes.unit_of_work import FencedError, OutcomeUnknownError
from streams.stages import decide, ingest, project, restore
from tagger import evidence
from tagger.folding import meta
from tagger.folding.batch import Batch
from tagger.folding.deadlines import DueQueue
from tagger.folding.fold import Fold
from tagger.folding.meta import Meta
from tagger.folding.partition import Partition
from tagger.ingest.partition import InputPartition

patch = mock.patch.object


@contextmanager
def skip_the_fence() -> Iterator[None]:
    """The producer of a new owner goes on with the epoch of the old one."""
    fencing = kafka_clients.Producer.start

    async def start(self: kafka_clients.Producer) -> None:
        known = self.world.broker.producers.get(self._id or "")
        if known is None or known.epoch < 0:
            await fencing(self)
        else:
            self._epoch, self._serial = known.epoch, known.ended

    with patch(kafka_clients.Producer, "start", start):
        yield


@contextmanager
def offsets_fetched_before_the_fence() -> Iterator[None]:
    """Ingest asks where to go on, then fences."""
    early: ContextVar[Any] = ContextVar("early", default=None)
    ask, take_over = ingest.committed_offsets, ingest.IngestTask.take_over

    async def answer(*_question: Any) -> Any:
        return early.get()

    async def mutant(self: ingest.IngestTask) -> int:
        early.set(await ask(self._settings, self._group, [self._tp]))
        return await take_over(self)

    with patch(ingest, "committed_offsets", answer), patch(ingest.IngestTask, "take_over", mutant):
        yield


@contextmanager
def merge_before_commit() -> Iterator[None]:
    """The overlay becomes the state, and then the transaction is written."""

    async def commit(self: decide.DecideTask, partition: Partition, batch: Any) -> Any:
        changes = batch.finish()
        partition.merge(changes)
        await self._write(changes)
        return partition.batch(decide.MAX_CUSTOMERS)

    with patch(decide.DecideTask, "_commit", commit):
        yield


@contextmanager
def keep_the_overlay_after_a_failed_commit() -> Iterator[None]:
    """A failure of the transaction is taken for a success."""

    async def commit(self: decide.DecideTask, partition: Partition, batch: Any) -> Any:
        changes = batch.finish()
        with suppress(OutcomeUnknownError):
            await self._write(changes)
        partition.merge(changes)
        return partition.batch(decide.MAX_CUSTOMERS)

    with patch(decide.DecideTask, "_commit", commit):
        yield


@contextmanager
def treat_a_cancelled_commit_as_aborted() -> Iterator[None]:
    """A commit that takes too long is cancelled, and the batch is written again."""
    write = decide.DecideTask._write

    async def mutant(self: decide.DecideTask, changes: Any) -> None:
        try:
            await asyncio.wait_for(write(self, changes), 0.2)
        except (TimeoutError, OutcomeUnknownError):
            await self._unit.close()
            await self._unit.fence()
            await write(self, changes)

    with patch(decide.DecideTask, "_write", mutant):
        yield


@contextmanager
def leave_a_send_future_unawaited() -> Iterator[None]:
    """Batches are handed to the producer, and nobody looks what became of them."""

    async def send(self: unit.Transaction, topic: str, partition: int, builders: Any) -> None:
        for batch in builders:
            await self._producer.send_batch(batch, topic, partition=partition)

    with patch(unit.Transaction, "_send", send):
        yield


@contextmanager
def no_guard_on_next_offset() -> Iterator[None]:
    """A fetch is taken wherever it begins."""

    def offer(self: lane.Lane, fetch: lane.Fetch) -> None:
        if self._flowing and fetch.epoch == self._epoch:
            self._expected = fetch.end
            self._waiting.append(fetch)
            self._news.set()

    with patch(lane.Lane, "offer", offer):
        yield


@contextmanager
def records_below_the_position_folded_again() -> Iterator[None]:
    """Neither a task nor a batch looks whether a record was folded before."""
    fold = Batch.fold

    def mutant(self: Batch, offset: int, record: Any) -> bool:
        self._meta.next_offset = min(self._meta.next_offset, offset)
        return fold(self, offset, record)

    with patch(Partition, "next_offset", 0), patch(Batch, "fold", mutant):
        yield


@contextmanager
def revoke_without_awaiting_the_batch_in_flight() -> Iterator[None]:
    """Intake stops, and the callback returns."""

    async def suspend(self: lane.Lane) -> None:
        self._suspended, self._flowing = True, False
        self._epoch = next(lane._epochs)
        self._waiting.clear()

    with patch(lane.Lane, "suspend", suspend):
        yield


@contextmanager
def restore_to_the_stable_offset() -> Iterator[None]:
    """The end of the changelog is asked for as a read-committed consumer is told it."""

    async def stable(settings: Any, partitions: Sequence[TopicPartition]) -> Any:
        async with restore.open_reader(settings) as reader:
            ends = await reader.end_offsets(partitions)
        return {tp: (0, ends[tp]) for tp in partitions}

    with patch(restore, "offset_ranges", stable):
        yield


@contextmanager
def restore_inside_the_assignment_callback() -> Iterator[None]:
    """The assignment's callback returns when every lane is taken over."""
    assign = ownership.Ownership.assign

    async def mutant(self: ownership.Ownership, tps: Iterable[TopicPartition], claim: ownership.Claim) -> None:
        await assign(self, tps, claim)
        while not self.all_taken_over():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    with patch(ownership.Ownership, "assign", mutant):
        yield


@contextmanager
def a_fenced_task_re_fences_itself() -> Iterator[None]:
    """Being fenced is taken for an outcome that is unknown, and the member for the owner."""
    serve = lane.Lane._serve

    async def mutant(self: lane.Lane, task: Any) -> None:
        while True:
            try:
                return await serve(self, task)
            except FencedError:
                task = self._stage.make_task(self.tp)
                await asyncio.sleep(0)

    with patch(lane.Lane, "_serve", mutant):
        yield


@contextmanager
def consumer_reading_uncommitted() -> Iterator[None]:
    """The consumer is left as Faust makes it."""

    def create(self: fetch.BatchConsumerThread, transport: Any) -> Any:
        consumer = super(fetch.BatchConsumerThread, self)._create_worker_consumer(transport)
        consumer._auto_offset_reset = "none"
        return consumer

    with patch(fetch.BatchConsumerThread, "_create_worker_consumer", create):
        yield


@contextmanager
def exception_swallowed() -> Iterator[None]:
    """What goes wrong in a batch is passed over, and the next one begins behind it."""
    process = decide.DecideTask.process

    async def mutant(self: decide.DecideTask, records: Any) -> None:
        with suppress(Exception):
            await process(self, records)

    with patch(decide.DecideTask, "process", mutant):
        yield


@contextmanager
def offsets_outside_the_transaction() -> Iterator[None]:
    """The group's offsets are committed right after the records."""
    commit = unit.Transaction.commit

    async def mutant(self: unit.Transaction) -> None:
        offsets, self._offsets = self._offsets, []
        await commit(self)
        world = self._producer.world

        def store() -> None:
            for group, positions in offsets:
                for tp, at in positions.items():
                    world.broker.offsets[group, tp] = at

        self.committed = False
        try:
            await world.network.call(store)
        except Exception as error:
            raise OutcomeUnknownError from error
        self.committed = True

    with patch(unit.Transaction, "commit", mutant):
        yield


def _take_without_epoch(data: dict[str, Any], keys: list[str], argv: list[str]) -> list[bytes | None]:
    given = view_store._take(data, keys, argv)
    data[keys[0]][f"epoch:{argv[1]}"] = "1"
    return [given[0], b"1", given[2]]


@contextmanager
def redis_written_without_version() -> Iterator[None]:
    """A customer's view is written whatever stands there, by whomever."""

    def write(data: dict[str, Any], keys: list[str], argv: list[str]) -> Any:
        for key in (keys[0], keys[2]):
            for name in ("version", "#deleted"):
                data.get(key, {}).pop(name, None)
        return view_store._guarded_write(data, keys, argv)

    scripts = {"take": _take_without_epoch, "guarded_write": write}
    with mock.patch.dict(view_store._SCRIPTS, {view_store._text(name): one for name, one in scripts.items()}):
        yield


@contextmanager
def redis_written_by_whoever_once_had_it() -> Iterator[None]:
    """Each writer of a partition's view has the same epoch; versions are guarded."""
    with mock.patch.dict(view_store._SCRIPTS, {view_store._text("take"): _take_without_epoch}):
        yield


@contextmanager
def kept_through_a_generation_it_was_not_part_of() -> Iterator[None]:
    """Whatever a member once had and is given again, it keeps with its state."""
    with patch(ownership.Claim, "continues", lambda _self, before: before is not None):
        yield


@contextmanager
def restore_reading_uncommitted() -> Iterator[None]:
    """The changelog is read with the client's default."""

    begin = kafka_clients.Consumer.__init__

    def mutant(self: kafka_clients.Consumer, **options: Any) -> None:
        begin(self, **{**options, "isolation_level": "read_uncommitted"})

    with patch(kafka_clients.Consumer, "__init__", mutant):
        yield


@contextmanager
def position_from_the_groups_offset() -> Iterator[None]:
    """Decide goes on where the group's offset says, asked for before the fence."""
    take_over, ask = decide.DecideTask.take_over, decide.committed_offsets

    async def mutant(self: decide.DecideTask) -> int:
        found = await ask(self._settings, self._group, [self._journal])
        position = await take_over(self)
        known = found.get(self._journal)
        assert self._partition is not None
        self._partition.meta.next_offset = known.offset if known is not None else position
        return self._partition.meta.next_offset

    with patch(decide.DecideTask, "take_over", mutant):
        yield


@contextmanager
def position_compared_with_a_later_offset() -> Iterator[None]:
    """Decide asks for the group's offset after the restore, when a newer owner may have moved it."""

    async def mutant(self: decide.DecideTask) -> int:
        await self._unit.fence()
        restored = await decide.restore(self._settings, self._changelog)
        await self._rulebooks.refresh()
        partition = self._make_partition(
            self._settings.core(), self._rulebooks.files, customers=restored.customers, meta=restored.meta
        )
        found = await decide.committed_offsets(self._settings, self._group, [self._journal])
        committed = found[self._journal].offset if self._journal in found else None
        await self._check_position(restored, partition.next_offset, committed)
        self._partition = partition
        return partition.next_offset

    with patch(decide.DecideTask, "take_over", mutant):
        yield


@contextmanager
def a_newer_owners_tags_taken_for_a_lost_changelog() -> Iterator[None]:
    """Decide finds tags and no meta record, and does not look at the changelog again."""

    async def mutant(self: decide.DecideTask, restored: Any, begin: int, committed: int | None) -> None:
        if restored.customers or committed is not None or begin > 0 or await self._has_tags():
            raise decide.PositionError

    with patch(decide.DecideTask, "_check_not_begun", mutant):
        yield


@contextmanager
def a_group_never_told_what_failed() -> Iterator[None]:
    """Project goes on from Redis, and leaves the group's offset where a failed commit left it."""

    async def idle(self: project.ProjectTask, _caught_up: bool) -> None:
        """Nothing."""

    with patch(project.ProjectTask, "idle", idle):
        yield


@contextmanager
def deadline_lost_on_restore() -> Iterator[None]:
    """The queue of deadlines is filled by what this process decided only."""
    with patch(DueQueue, "_build", lambda self: setattr(self, "_heap", [])):
        yield


@contextmanager
def sweep_forgotten_on_restore() -> Iterator[None]:
    """Who takes over knows of no tick that has left deadlines behind."""
    init = Partition.__init__

    def mutant(self: Partition, *arguments: Any, **named: Any) -> None:
        init(self, *arguments, **named)
        self.meta.unswept = []

    with patch(Partition, "__init__", mutant):
        yield


@contextmanager
def known_time_of_the_latest_tick() -> Iterator[None]:
    """Deadlines are passed as of the latest tick, whichever made them due."""

    def mutant(fold: Fold, state: Any, known: Meta) -> None:
        if state.due_ms < known.unswept[-1]:
            fold.pass_time(state, known.unswept[-1])

    with patch(tagger.folding.batch, "pass_times", mutant):
        yield


@contextmanager
def a_record_before_its_customers_deadlines() -> Iterator[None]:
    """A record does not ask whether a tick has made a deadline of its customer due."""
    with patch(Batch, "_catch_up", lambda *_arguments: None):
        yield


@contextmanager
def ids_shared_by_two_topics() -> Iterator[None]:
    """A transactional id names the stage and the partition, not the topic."""

    def shared(app: str, stage: str, _topic: str, partition: int) -> str:
        return f"{app}-{stage}-{partition}"

    with patch(ingest, "transactional_id", shared):
        yield


@contextmanager
def late_by_the_customers_own_clock() -> Iterator[None]:
    """An event is late against the customer's latest event."""
    fold_event = Fold.fold_event

    def mutant(self: Fold, state: Any, event: Any, is_new: bool) -> Any:
        before = self._late_before_day
        if not is_new:
            self._late_before_day = self._calendar.day_of(state.clock_ms) - self._core.allowed_lateness_days
        try:
            return fold_event(self, state, event, is_new)
        finally:
            self._late_before_day = before

    with patch(Fold, "fold_event", mutant):
        yield


@contextmanager
def clock_as_maximum() -> Iterator[None]:
    """The partition's clock follows its fastest source."""

    def latest(known: Meta, _core: Any) -> int | None:
        return max((time.time_ms for time in known.sources.values() if time.time_ms is not None), default=None)

    with patch(meta, "_clock", latest):
        yield


@contextmanager
def markers_behind_the_last_record_not_counted() -> Iterator[None]:
    """Ingest counts as control what lies before a record, and commits the offset after the last one."""
    with patch(InputPartition, "skip_to", lambda _self, state, _offset: state):
        yield


@contextmanager
def dedup_key_without_the_topic() -> Iterator[None]:
    """An event is remembered by its id alone."""

    def hasher(_topic: str) -> Callable[[str], int]:
        return lambda event_id: hash_event("", event_id)

    with patch(schemas.decode, "_hasher", hasher):
        yield


@contextmanager
def a_set_iterated_into_a_tag() -> Iterator[None]:
    """The events of the evidence come out of a set."""
    events = evidence._events

    def mutant(*arguments: Any) -> tuple[str, ...]:
        return tuple(set(events(*arguments)))

    with patch(evidence, "_events", mutant):
        yield


@contextmanager
def a_lost_last_fetch_is_waited_for() -> Iterator[None]:
    """A lane that hears nothing goes on waiting."""
    with patch(lane, "REREAD_SECONDS", float("inf")):
        yield


@contextmanager
def old_fetches_taken_after_a_seek() -> Iterator[None]:
    """Fetches carry no epoch: what was read before a rebalance counts after it."""
    offer = lane.Lane.offer

    def mutant(self: lane.Lane, fetch: lane.Fetch) -> None:
        fetch.epoch, fetch.start, self._expected = self._epoch, self._expected, fetch.end
        offer(self, fetch)

    with patch(lane.Lane, "offer", mutant):
        yield


@contextmanager
def a_group_offset_without_its_metadata() -> Iterator[None]:
    """Ingest commits its offset, and forgets what rides in it."""
    offsets = unit.Transaction.offsets

    def mutant(self: unit.Transaction, group: str, positions: Any) -> None:
        offsets(self, group, {tp: (offset, "") for tp, (offset, _) in positions.items()})

    with patch(unit.Transaction, "offsets", mutant):
        yield
