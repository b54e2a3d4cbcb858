"""PROJECT: the changelog, partition by partition, into the view in Redis.

Redis is no part of any decision and of no transaction. A fetch is decoded, reduced to the last record of each
customer, written behind its epoch and version (`streams.stages.redis_view`), and only then committed as the
group's offset; reading a fetch twice is harmless. After a write that failed nobody knows what arrived, so the
partition is taken over anew; while Redis is down that waits and tries again, the lag grows, and nothing else
notices.

The view is complete up to the offset in `tagger:meta`. Where that says less than the group's offset, or nothing,
or more than the changelog holds, Redis was wiped or set back, or the changelog was made anew: everything of the
partition is deleted and written again from the changelog's beginning.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from aiokafka import ConsumerRecord, TopicPartition
from redis import exceptions as redis_errors
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from schemas.bankday import BankCalendar
from schemas.topics import CUSTOMERS
from streams import failpoints
from streams.clients import committed_offsets, offset_ranges, partition_counts
from streams.lanes import vitals
from streams.lanes.intake import Fetch
from streams.lanes.stage import StageName, group_of
from streams.lanes.unit_of_work import OutcomeUnknownError, UnitOfWork, transactional_id
from streams.partitioner import name_of
from streams.settings import Settings
from streams.stages.redis_view import RedisView, Row, ViewLostError
from tagger.view import project_customer

log = logging.getLogger(__name__)

RETRY_SECONDS = (0.1, 5.0)
"""Least and most between two tries while Redis does not answer; doubled each time."""
_REDIS_TIMEOUT_SECONDS = 5.0
# Redis is down, loading, moving or full: it will be back. Any other reply is a fault of ours and ends the worker.
_PASSING = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.ReadOnlyError,
    redis_errors.OutOfMemoryError,
    redis_errors.NoScriptError,
    redis_errors.ClusterError,
    OSError,
)
# Keys beginning so are the changelog's own; no customer id holds a `#`.
RESERVED = b"#"


class Project:
    """The stage `project`; a `streams.lanes.stage.Stage`."""

    name: StageName = "project"

    def __init__(self, settings: Settings) -> None:
        self.topics: Sequence[str] = (settings.topic(CUSTOMERS),)
        self._settings = settings

    def make_task(self, tp: TopicPartition) -> "ProjectTask":
        return ProjectTask(self._settings, tp)


class ProjectTask:
    """Projects one changelog partition; a `streams.lanes.stage.Task`."""

    has_more = False

    def __init__(self, settings: Settings, tp: TopicPartition) -> None:
        self._settings = settings
        self._tp = tp
        self._calendar = BankCalendar(settings.zone)
        self._group = group_of(settings, "project")
        self._unit = UnitOfWork(settings, transactional_id(settings.app, "project", tp.topic, tp.partition))
        self._redis: Redis | None = None
        self._view: RedisView | None = None
        self._position = 0
        self._told: int | None = None

    async def take_over(self) -> int:
        """Fence, compare what Redis says with what Kafka says, and clear the partition's view if they differ."""
        await self._unit.fence()
        if failpoints.armed:
            await failpoints.reach("project.before-position")
        counts = await partition_counts(self._settings, [self._tp.topic])
        self._redis = Redis.from_url(
            self._settings.redis_url,
            socket_timeout=_REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),  # what failed may still arrive: again only under another epoch
        )
        self._view = view = RedisView(self._redis, self._settings.app, self._tp.partition, counts[self._tp.topic])
        committed = await committed_offsets(self._settings, self._group, [self._tp])
        group_offset = committed[self._tp].offset if self._tp in committed else None
        with vitals.current().waiting("Redis"):
            await self._once_redis_answers(lambda: self._take(view, group_offset))
        return self._position

    async def _take(self, view: RedisView, group_offset: int | None) -> None:
        # In this order none lies beyond the next, though an owner newer than us may go on meanwhile.
        applied = await view.take()
        start, end = (await offset_ranges(self._settings, [self._tp]))[self._tp]
        if applied is None or group_offset is None or not max(start, group_offset) <= applied <= end:
            self._log(logging.WARNING, "view rebuilt", applied=applied, committed=group_offset, end=end)
            await view.clear()
            if failpoints.armed:
                await failpoints.reach("project.after-clear")
            await view.begin(start)
            applied = start
        self._position, self._told = applied, group_offset

    async def process(self, records: Sequence[ConsumerRecord]) -> None:
        """Write one fetch, then commit its end."""
        assert isinstance(records, Fetch)
        view, end = self._view, records.end
        assert view is not None, "take_over() comes before process()"
        last = {record.key: record for record in records if not (record.key or RESERVED).startswith(RESERVED)}

        if failpoints.armed:
            await failpoints.reach("project.before-write")
        # Decoded as they are written: a whole fetch at once would hold up the loop, and decide beside us.
        rows = (self._row(record) for record in last.values())
        await self._once(view.write(rows, self._position, end))
        if failpoints.armed:
            await failpoints.reach("project.after-write")
        self._position = end
        await self._tell_group()

    async def _tell_group(self) -> None:
        async with self._unit.begin() as transaction:
            transaction.offsets(self._group, {self._tp: (self._position, "")})
            await transaction.commit()
        self._told = self._position

    def _row(self, record: ConsumerRecord) -> Row:
        customer_id = record.key.decode()
        view = None if record.value is None else project_customer(customer_id, record.value, self._calendar)
        return Row(customer_id, record.offset, view)

    async def idle(self, caught_up: bool) -> None:
        """Notice a Redis that was wiped while nothing was being written, and tell the group what it missed."""
        view = self._view
        assert view is not None, "take_over() comes before idle()"
        await self._once(view.write([], self._position, self._position))
        if self._told != self._position:  # a commit failed after its write: lag would be seen where none is
            await self._tell_group()

    async def release(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()
        await self._unit.close()

    async def _once(self, writing: Awaitable[None]) -> None:
        """Write under the epoch at hand, which one failure ends."""
        try:
            await writing
        except ViewLostError as error:
            raise OutcomeUnknownError(str(error)) from error
        except _PASSING as error:
            raise OutcomeUnknownError(f"Redis did not answer: {type(error).__name__}") from error

    async def _once_redis_answers(self, take: Callable[[], Awaitable[None]]) -> None:
        """Take the view over, under a new epoch at each try."""
        delay, most = RETRY_SECONDS
        while True:
            try:
                return await take()
            except ViewLostError as error:
                raise OutcomeUnknownError(str(error)) from error
            except _PASSING as error:
                self._log(logging.WARNING, "redis does not answer", error=type(error).__name__, retry_s=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, most)

    def _log(self, level: int, event: str, **facts: object) -> None:
        log.log(level, event, extra={"stage": "project", "partition": name_of(self._tp), **facts})
