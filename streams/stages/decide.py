"""DECIDE: folds one journal partition into state and tags, one transaction a batch.

The decisions themselves are `tagger.folding.batch`; this is what joins them to Kafka. A transaction holds the
changed customers and the meta record (changelog), the tags, and the group's offset. The meta record's
`next_offset` is the only truth for where to go on; the group's offset is there for lag tools, and compared at a
take-over.

**Where to begin** (`_check_position`). With a meta record: at its `next_offset`, which must lie within the
journal. Without one the journal counts as not begun, and that is believed only when nothing contradicts it: the
changelog holds no customer, the group has no offset, the journal still has its offset 0, so that nothing can have
been missed, and no tag was ever committed, because offsets of an idle group expire. Ingest may well have written
before decide first started. Everything else is a lost changelog, and refused: deciding from there would forget
balances and repeat tags.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial

from aiokafka import ConsumerRecord, TopicPartition

from schemas.journal import Activation, decode_record
from schemas.topics import CUSTOMERS, JOURNAL, TAGS
from streams import failpoints
from streams.clients import committed_offsets, offset_ranges, read_topic
from streams.lanes.stage import ForeignRecordError, PositionError, StageName, group_of
from streams.lanes.unit_of_work import UnitOfWork, transactional_id
from streams.partitioner import name_of
from streams.settings import Settings
from streams.stages.restore import META_KEY, Restored, restore
from tagger.folding.batch import Batch, Changes
from tagger.folding.partition import Partition

log = logging.getLogger(__name__)

MAX_CUSTOMERS = 20_000
"""Customers in one transaction at most: a tick at midnight may make a million deadlines due."""
MAX_DEADLINES = 10_000
"""Deadlines that a tick brings in one transaction at most: a clock that leaps over months brings each customer's
days one by one."""
BATCH_SECONDS = 1.0
"""A batch is committed after so much folding, however few its records: others wait for it, a revoke too."""
SWEEP_SECONDS = 0.05
"""Of a batch, for deadlines that ticks have made due: what comes meanwhile waits for so long and a commit."""
_SWEEP_AT_ONCE = 64
_LOOK_EVERY = 64


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _sweep(batch: Batch) -> bool:
    """Evaluate deadlines that ticks have made due, for as long as a batch may; False when there were none."""
    if not batch.is_behind:
        return False
    until = _loop_time() + SWEEP_SECONDS
    while batch.sweep(_SWEEP_AT_ONCE) and _loop_time() < until:
        pass
    return True


class Rulebooks:
    """Published rulebooks, kept in memory; what is published later is found by `refresh`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files: dict[str, dict[str, str]] = {}

    def __contains__(self, digest: str) -> bool:
        return digest in self._files

    def files(self, digest: str) -> dict[str, str]:
        """The packs' texts of a rulebook.

        Raises:
            LookupError: it was not published when last looked.
        """
        if digest not in self._files:
            raise LookupError(f"expected a published rulebook {digest}, found {len(self._files)} others")
        return self._files[digest]

    async def refresh(self) -> None:
        """Look again, read committed.

        Raises:
            MissingTopicError, UnreachableError: the topic cannot be read.
        """
        from streams.rulebooks.activation import published  # noqa: PLC0415 - checks packs, which a partition does not need

        rulebooks = (await published(self._settings)).rulebooks
        self._files = {digest: rulebook.files for digest, rulebook in rulebooks.items()}


class DecideTask:
    """Decides for one journal partition; a `streams.lanes.stage.Task`."""

    def __init__(
        self,
        settings: Settings,
        rulebooks: Rulebooks,
        journal: TopicPartition,
        make_partition: Callable[..., Partition],
    ) -> None:
        self._settings = settings
        self._rulebooks = rulebooks
        self._make_partition = make_partition
        self._journal = journal
        self._changelog = TopicPartition(settings.topic(CUSTOMERS), journal.partition)
        self._tags = settings.topic(TAGS)
        self._group = group_of(settings, "decide")
        self._unit = UnitOfWork(
            settings, transactional_id(settings.app, "decide", journal.topic, journal.partition)
        )
        self._partition: Partition | None = None

    async def take_over(self) -> int:
        """Fence, restore, position.

        Raises:
            PositionError: where to go on cannot be trusted.
            HangingTransactionError: the changelog's end cannot be read.
        """
        await self._unit.fence()
        # Before the restore: an owner newer than us may commit meanwhile, and its offset would lie beyond what we
        # restored as if the changelog's end were lost.
        found = await committed_offsets(self._settings, self._group, [self._journal])
        committed = found[self._journal].offset if self._journal in found else None
        restored = await restore(self._settings, self._changelog)
        if failpoints.armed:
            await failpoints.reach("decide.after-restore")
        await self._rulebooks.refresh()
        partition = self._make_partition(
            self._settings.core(), self._rulebooks.files, customers=restored.customers, meta=restored.meta
        )
        await self._check_position(restored, partition.next_offset, committed)
        self._partition = partition
        return partition.next_offset

    async def process(self, records: Sequence[ConsumerRecord]) -> None:
        """Fold a fetch, in as many transactions as its size asks for."""
        partition = self._partition
        assert partition is not None, "take_over() comes before process()"
        if failpoints.armed:
            await failpoints.reach("decide.before-decode")
        most, most_bytes, now = self._settings.batch_records, self._settings.batch_bytes, _loop_time()
        batch = self._batch(partition)
        folded, next_offset = 0, partition.next_offset
        for fetched in records:
            offset = fetched.offset
            if offset < next_offset:
                continue
            try:
                record = decode_record(fetched.value)
            except (TypeError, ValueError) as error:
                raise ForeignRecordError(fetched, error) from error
            if type(record) is Activation and record.digest not in self._rulebooks:
                await self._rulebooks.refresh()
            while not batch.fold(offset, record):
                batch, folded = await self._commit(partition, batch), 0
            folded += 1
            if (
                folded >= most
                or batch.size_bytes >= most_bytes
                or (folded % _LOOK_EVERY == 0 and _loop_time() - now > BATCH_SECONDS)
            ):
                batch, folded, now = await self._commit(partition, batch), 0, _loop_time()
        # In the transaction of the last records, because most ticks make few deadlines due.
        if _sweep(batch) or folded:
            await self._commit(partition, batch)

    @property
    def has_more(self) -> bool:
        """Whether ticks have made deadlines due that are not evaluated yet."""
        return self._partition is not None and self._partition.is_behind

    async def idle(self, caught_up: bool) -> None:
        """Evaluate some of the deadlines that ticks have made due; time itself comes in the journal."""
        partition = self._partition
        assert partition is not None, "take_over() comes before idle()"
        batch = self._batch(partition)
        if _sweep(batch):
            await self._commit(partition, batch)

    async def release(self) -> None:
        self._partition = None
        await self._unit.close()

    async def _commit(self, partition: Partition, batch: Batch) -> Batch:
        changes = batch.finish()
        if failpoints.armed:
            await failpoints.reach("decide.after-fold")
        await self._write(changes)
        if failpoints.armed:
            await failpoints.reach("decide.before-merge")
        partition.merge(changes)
        if failpoints.armed:
            await failpoints.reach("decide.after-merge")
        await asyncio.sleep(0)
        return self._batch(partition)

    def _batch(self, partition: Partition) -> Batch:
        return partition.batch(MAX_CUSTOMERS, self._settings.batch_bytes, MAX_DEADLINES, defers=True)

    async def _write(self, changes: Changes) -> None:
        number = self._journal.partition
        async with self._unit.begin() as transaction:
            changelog = self._changelog.topic
            transaction.append_all(changelog, number, changes.customers)
            transaction.append(changelog, number, META_KEY, changes.meta)
            transaction.append_all(self._tags, number, changes.tags)
            transaction.offsets(self._group, {self._journal: (changes.next_offset, "")})
            await transaction.commit()

    async def _check_position(self, restored: Restored, next_offset: int, committed: int | None) -> None:
        settings, journal = self._settings, self._journal
        name = name_of(journal)
        begin, end = (await offset_ranges(settings, [journal]))[journal]
        if restored.meta is None:
            await self._check_not_begun(restored, begin, committed)
        if not begin <= next_offset <= end:
            raise PositionError(
                f"expected to go on at offset {next_offset} of {name}, found the journal from {begin} to {end}"
            )
        if committed is not None and committed > next_offset:
            raise PositionError(
                f"expected the group's offset of {name} at most {next_offset}, which the changelog states, "
                f"found {committed}: the changelog's end is lost"
            )
        if committed is not None and committed < next_offset:
            log.warning(
                "group offset behind the changelog, which counts",
                extra={"partition": name, "group_offset": committed, "next_offset": next_offset},
            )

    async def _check_not_begun(self, restored: Restored, begin: int, committed: int | None) -> None:
        found = (
            f"holds {len(restored.customers)} customers, the group's offset of {name_of(self._journal)} is "
            f"{committed}, and the journal begins at {begin}"
        )
        if not restored.customers and committed is None and begin == 0:
            # Tags that a newer owner committed since our restore say nothing, and nothing that we do counts then.
            if not await self._has_tags() or (await restore(self._settings, self._changelog)).meta is not None:
                return
            found = f"is empty, and tags were written to {self._tags}-{self._journal.partition}"
        raise PositionError(
            f"expected a meta record in {name_of(self._changelog)}, found none, while it {found}: the changelog "
            "is lost. Restore it, or give the deployment a new `app`, changelog and tag topic to decide the "
            "whole journal again"
        )

    async def _has_tags(self) -> bool:
        """Whether a tag was ever committed; what an aborted transaction left is none."""
        tags = TopicPartition(self._tags, self._journal.partition)
        begin, end = (await offset_ranges(self._settings, [tags]))[tags]
        if begin > 0 or end == 0:
            return begin > 0
        async with aclosing(read_topic(self._settings, tags.topic, [tags.partition], whole=True)) as committed:
            return await anext(committed, None) is not None


class Decide:
    """The stage `decide`; a `streams.lanes.stage.Stage`.

    Args:
        make_partition: what decides, once per owned partition; tests and benchmarks of the transport give
            another one of the same shape. `Partition` with one set of compiled rulebooks for all when None.
        rulebooks: where published packs are found; the topic when None.
    """

    name: StageName = "decide"

    def __init__(
        self,
        settings: Settings,
        make_partition: Callable[..., Partition] | None = None,
        rulebooks: Rulebooks | None = None,
    ) -> None:
        self._settings = settings
        # Twenty packs take half a second to compile, in which every lane of a worker that takes over stands still.
        self._make_partition = partial(Partition, programs={}) if make_partition is None else make_partition
        self._rulebooks = Rulebooks(settings) if rulebooks is None else rulebooks
        self.topics = [settings.topic(JOURNAL)]

    def make_task(self, tp: TopicPartition) -> DecideTask:
        return DecideTask(self._settings, self._rulebooks, tp, self._make_partition)
