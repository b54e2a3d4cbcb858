"""Faust transport that hands over one message per partition and fetch, read committed, bounded by bytes.

Faust moves one message at a time through four asyncio tasks (58 µs a message). Here a message's value is the whole
list a fetch brought, so that cost falls on thousands of records at once. Three further things differ:

- The consumer is read committed. Faust picks that only under its own `exactly_once`, which loses outputs; without
  it agents are handed aborted and open records.
- What is fetched, and from where, is decided by `Ownership`: only partitions whose lane has room are drained,
  and after a rebalance each goes on at its task's position, never at the group's committed offset. A partition
  that is not drained holds one `fetch_bytes`, raw; that is the back-pressure.
- aiokafka's position is exact: it never jumps to an end of the log by itself. An offset that is gone ends the
  worker, because records nobody has processed were deleted.

Checked against Faust 0.15.3 and aiokafka 0.14.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import aiokafka
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.lanes.intake import Fetch
from streams.lanes.ownership import Claim, Ownership
from streams.partitioner import name_of

log = logging.getLogger(__name__)

FETCH_WAIT_MS = 100
"""How long a broker holds a fetch that finds nothing. One fetch a broker is under way at a time, so this is what a
partition that becomes ready waits while its neighbours are quiet; Faust's 1,500 ms would show in every tail."""
GATHER_BYTES = 1_000_000
"""So much new input ends ingest's wait for more. The brokers gather, so that neither a fetch nor a transaction is
spent on the few records since the last; what ingest commits at once, decide reads at once."""
_RETRY_SECONDS = 0.5


class InputLostError(Exception):
    """Records that were not processed yet are gone from the input."""


class _Wanting:
    """A live set for aiokafka's fetcher, which looks at it again each time it is woken."""

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership

    def __contains__(self, tp: TopicPartition) -> bool:
        return self._ownership.wants_more(tp)


class BatchConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread that owns the aiokafka consumer; everything below with `_in_thread` runs in it."""

    logger = logging.getLogger("faust")  # or Faust logs under our name
    ownership: Ownership

    def _create_worker_consumer(self, transport: "BatchTransport") -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._auto_offset_reset = "none"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        if transport.ownership.stage.name == "ingest" and transport.gather_ms:
            consumer._fetch_min_bytes, consumer._fetch_max_wait_ms = GATHER_BYTES, transport.gather_ms
        # Sticky keeps what can be kept at a rebalance. aiokafka's keeps its memory on the class, so that each
        # consumer of a process needs its own. (Without tables Faust silently takes round robin.)
        self._assignor = type("StickyAssignor", (StickyPartitionAssignor,), {})
        consumer._partition_assignment_strategy = [self._assignor]
        self._handed_over: dict[TopicPartition, tuple[int, int]] = {}
        return consumer

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: object,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[TopicPartition, list[Fetch]]:
        if not self.consumer.flow_active:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        consumer._coordinator.check_errors()  # Faust never asks, and the coordinator stalls until somebody does
        with consumer._subscription.fetch_context():
            fetched = await fetcher.fetched_records(
                _Wanting(self.ownership), timeout=timeout, max_records=max_records
            )
        assignment = consumer._subscription.subscription.assignment
        return {
            tp: [self._as_fetch(tp, records, assignment.state_value(tp).position)]
            for tp, records in fetched.items()
            if assignment.state_value(tp) is not None
        }

    def _as_fetch(self, tp: TopicPartition, records: list[ConsumerRecord], end: int) -> Fetch:
        epoch, start = self._handed_over.get(tp, (0, records[0].offset))
        self._handed_over[tp] = epoch, end
        return Fetch(records, start, end, epoch)

    async def _seek_in_thread(self, tp: TopicPartition, offset: int, epoch: int) -> None:
        try:
            self._ensure_consumer().seek(tp, offset)
        except IllegalStateError:
            log.debug("seek of a partition that is gone", extra={"partition": name_of(tp)})
            return
        self._handed_over[tp] = epoch, offset

    async def _is_member_in_thread(self) -> bool:
        coordinator = self._ensure_consumer()._coordinator
        claimed = self.ownership.claim
        if claimed is None or coordinator.coordinator_id is None:
            return False
        try:
            known = await coordinator._do_heartbeat()
        except KafkaError:
            return False
        current = Claim(coordinator.member_id, coordinator.generation) == claimed
        return bool(known and current and not coordinator._rejoin_needed_fut.done())

    async def _rejoin_in_thread(self) -> None:
        self._ensure_consumer()._coordinator.request_rejoin()

    def wake_in_thread(self) -> None:
        fetcher = self._ensure_consumer()._fetcher
        for waiter in list(fetcher._fetch_waiters):
            fetcher._notify(waiter)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust's watch for slow streams knows nothing of lanes."""


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer, steered by `Ownership`; implements `streams.lanes.intake.Intake`."""

    logger = logging.getLogger("faust")  # or Faust logs under our name
    _thread: BatchConsumerThread

    def _new_consumer_thread(self) -> BatchConsumerThread:
        self.ownership: Ownership = self.transport.ownership
        self.ownership.attach(self)
        thread = BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)
        thread.ownership = self.ownership
        return thread

    # -- what Faust calls

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        with self._ending_the_worker():
            await self.ownership.revoke()
            await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        member = self._thread._ensure_consumer()._coordinator.member_id
        with self._ending_the_worker():
            await self.ownership.assign(
                {TopicPartition(tp.topic, tp.partition) for tp in assigned}, Claim(member, generation_id)
            )
            await super().on_partitions_assigned(assigned, generation_id)

    @contextmanager
    def _ending_the_worker(self) -> Iterator[None]:
        """aiokafka logs what a rebalance's callback raises and goes on, without half of what the callback does."""
        try:
            yield
        except Exception as error:
            self.ownership.fail(error)
            raise

    async def perform_seek(self) -> None:
        """Go on where each lane is; Faust's own would go back to the group's committed offsets."""
        await self.ownership.resume()

    async def _wait_next_records(
        self,
        timeout: float,  # noqa: ASYNC109
    ) -> tuple[Mapping[TP, Any] | None, None]:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        return await self._getmany(None, timeout), None

    async def _getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109
    ) -> Mapping[TP, Any]:
        try:
            fetched: Mapping[TP, Any] = await self._thread.getmany(active_partitions, timeout)
        except ConsumerStoppedError:
            raise
        except OffsetOutOfRangeError as error:
            lost = ", ".join(f"{name_of(tp)} at {offset}" for tp, offset in dict(error.args[0]).items())
            self.ownership.fail(
                InputLostError(
                    f"expected to go on with {lost}, but the broker no longer has that offset: records were "
                    "deleted before they were processed"
                )
            )
            return await self._nothing()
        except KafkaError as error:
            log.warning("fetch failed", extra={"stage": self.ownership.stage.name, "error": repr(error)})
            return await self._nothing()
        return fetched

    async def _nothing(self) -> Mapping[TP, Any]:
        await asyncio.sleep(_RETRY_SECONDS)
        return {}

    def _to_message(self, tp: TP, record: Fetch) -> ConsumerMessage:
        last = record[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            (),
            None,
            record,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def highwater(self, tp: TP) -> int:
        try:
            return super().highwater(tp) or 0
        except IllegalStateError:  # revoked since it was fetched
            return 0

    # -- what lanes call

    def seek(self, tp: TopicPartition, offset: int, epoch: int = 0) -> Awaitable[None]:
        self._read_offset[tp] = None  # or Faust drops what it has read before
        done: Awaitable[None] = self._thread.call_thread(self._thread._seek_in_thread, tp, offset, epoch)
        return done

    def wake(self) -> None:
        with suppress(RuntimeError):  # the thread has ended
            self._thread.thread_loop.call_soon_threadsafe(self._thread.wake_in_thread)

    def is_caught_up(self, tp: TopicPartition, position: int, epoch: int) -> bool:
        if self._thread._handed_over.get(tp) != (epoch, position):
            return False  # a fetch is on its way to the lane
        state = self._state_of(tp)
        if state is None or state.lso is None or not state.has_valid_position:
            return False
        return bool(state.position >= state.lso)

    def read_up_to(self, tp: TopicPartition) -> int | None:
        state = self._state_of(tp)
        position: int | None = None if state is None else state._position
        return position

    def lost_parts(self) -> list[str]:
        thread, consumer = self._thread, self._thread._consumer
        if consumer is None or consumer._coordinator is None or consumer._closed:
            return []  # not started yet, or stopping
        if thread._thread is None or not thread._thread.is_alive():
            return ["thread"]
        tasks = {"coordination": consumer._coordinator._coordination_task, "fetch": consumer._fetcher._fetch_task}
        return [f"{name} task" for name, task in tasks.items() if task.done()]

    def _state_of(self, tp: TopicPartition) -> Any:
        consumer = self._thread._consumer
        subscription = consumer._subscription.subscription if consumer is not None else None
        assignment = subscription.assignment if subscription is not None else None
        return assignment.state_value(tp) if assignment is not None else None

    async def is_member(self) -> bool:
        return bool(await self._thread.call_thread(self._thread._is_member_in_thread))

    async def rejoin(self) -> None:
        await self._thread.call_thread(self._thread._rejoin_in_thread)


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Give it to a Faust app: `app.transport = BatchTransport(urls, app, ownership, settings.gather_ms)`."""

    Consumer = BatchConsumer

    def __init__(self, urls: list[Any], app: Any, ownership: Ownership, gather_ms: int) -> None:
        self.ownership = ownership
        self.gather_ms = gather_ms
        super().__init__(urls, app)
