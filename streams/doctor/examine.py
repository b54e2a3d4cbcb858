"""The order in which a deployment is looked at; partition by partition, so that one at a time is in memory."""

import math
import random
from collections.abc import Collection

from aiokafka import TopicPartition
from redis import exceptions as redis_errors
from redis.asyncio import Redis

from schemas.bankday import BankCalendar
from schemas.topics import CUSTOMERS, JOURNAL, TAGS
from streams.clients import committed_offsets, partition_counts
from streams.doctor.fates import Decided, check_decided, check_ingested, first_offsets, read_ingested
from streams.doctor.journal import Scan, scan
from streams.doctor.reading import Changelog, Range, read_changelog, stable_ranges
from streams.doctor.report import PartitionClock, Report
from streams.doctor.tags import check_tags
from streams.doctor.view import ViewCheck, read_owner
from streams.lanes.stage import group_of
from streams.partitioner import partition_of
from streams.rulebooks.activation import published
from streams.settings import Settings
from streams.stages.redis_view import applied_offset
from tagger.compiler.program import Program
from tagger.folding.meta import Meta, clock_holder
from tagger.folding.partition import Partition

_REDIS_SECONDS = 5.0


async def examine(settings: Settings, sample: int, customers: Collection[str] = ()) -> Report:
    """Look at a deployment.

    Args:
        sample: how many customers, chosen at random, to fold again; 0 leaves the journal unread.
        customers: to fold again too.

    Raises:
        UnreachableError, MissingTopicError: Kafka cannot be looked at. Redis is noted in the report.
    """
    async with Redis.from_url(
        settings.redis_url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS
    ) as client:
        return await _Examination(settings, sample, customers, client).run()


class _Examination:
    def __init__(self, settings: Settings, sample: int, customers: Collection[str], client: "Redis") -> None:
        self._settings = settings
        self._sample = sample
        self._customers = customers
        self._redis = client
        self._core = settings.core()
        self._calendar = BankCalendar(self._core.zone)
        self._report = Report()
        self._partitions = 0
        self._is_ours = True
        self._first_offsets: dict[str, int] = {}
        self._rulebooks: dict[str, dict[str, str]] = {}
        self._programs: dict[str, Program] = {}

    async def run(self) -> Report:
        settings, topic = self._settings, self._settings.topic(JOURNAL)
        self._partitions = (await partition_counts(settings, [topic]))[topic]
        self._first_offsets = first_offsets(await read_ingested(settings))
        await self._check_owner()
        self._rulebooks = {digest: book.files for digest, book in (await published(settings)).rulebooks.items()}
        decided = [await self._partition(number) for number in range(self._partitions)]
        await check_ingested(settings, [each for each in decided if each], self._first_offsets, self._report)
        return self._report

    async def _partition(self, number: int) -> Decided | None:
        settings, report = self._settings, self._report
        journal, tags = (TopicPartition(settings.topic(topic), number) for topic in (JOURNAL, TAGS))
        # Each of these is read before what it is compared with.
        committed = (await committed_offsets(settings, group_of(settings, "decide"), [journal])).get(journal)
        tags_before = (await stable_ranges(settings, [tags]))[tags].end
        applied = await self._applied(number)
        changelog = await read_changelog(settings, number)
        ranges = await stable_ranges(settings, [journal, tags])
        await self._check_view(changelog, applied)
        if changelog.meta is None:
            if changelog.customers or committed is not None or changelog.unreadable:
                found = f"none, and {len(changelog.customers)} customers"
                if changelog.unreadable:
                    found = f"one that cannot be read ({changelog.unreadable})"
                report.wrong("changelog", f"{settings.topic(CUSTOMERS)}-{number}", "a meta record", found)
            changelog.meta = Meta()
        report.clocks.append(self._clock(number, changelog.meta))
        sample = self._choose(changelog)
        again = await self._scan(changelog, ranges[journal], sample) if self._sample or self._customers else None
        expected = None if again is None else again.tags
        await check_tags(settings, tags, ranges[tags], tags_before, expected, sample, report)
        decided = Decided(number, changelog.meta, committed and committed.offset, ranges[journal], again)
        check_decided(settings, decided, report)
        return decided

    def _clock(self, number: int, meta: Meta) -> PartitionClock:
        at = None if meta.clock_ms is None else self._calendar.format(meta.clock_ms)
        return PartitionClock(number, at, clock_holder(meta, self._core))

    def _choose(self, changelog: Changelog) -> set[str]:
        """A share of the sample, and those asked for by name, also when the changelog lacks them."""
        share = min(math.ceil(self._sample / self._partitions), len(changelog.customers))
        named = {
            one for one in self._customers if partition_of(one.encode(), self._partitions) == changelog.number
        }
        for one in sorted(named - changelog.customers.keys()):
            self._report.skip(f"customer {one}: not in the changelog; what the journal has of it is folded again")
        return named | set(random.sample(sorted(changelog.customers), share))

    async def _scan(self, changelog: Changelog, journal: Range, sample: set[str]) -> Scan | None:
        assert changelog.meta is not None
        settings = self._settings
        if journal.start:
            name = f"{settings.topic(JOURNAL)}-{changelog.number}"
            self._report.skip(
                f"{name}: begins at offset {journal.start}; its older records are gone, nothing folded"
            )
            return None
        within = Range(0, min(changelog.meta.next_offset, journal.end))
        return await scan(
            settings,
            changelog,
            within,
            sample,
            self._first_offsets,
            lambda customers, meta: Partition(
                self._core, self._rulebooks.__getitem__, customers, meta, self._programs
            ),
            self._report,
        )

    # Redis

    async def _check_owner(self) -> None:
        """A view of another deployment is compared no further."""
        try:
            owner = await read_owner(self._redis)
        except (redis_errors.RedisError, OSError) as error:
            self._lost(error)
            return
        self._is_ours = owner in {None, self._settings.app}
        if not self._is_ours:
            self._report.wrong(
                "view",
                "tagger:meta",
                f"the view of the deployment {self._settings.app}",
                f"that of {owner}",
                remedy="give each deployment a Redis database of its own (redis_url)",
            )

    async def _applied(self, number: int) -> int | None:
        if self._report.unreachable is None:
            try:
                return await applied_offset(self._redis, number)
            except (redis_errors.RedisError, OSError) as error:
                self._lost(error)
        return None

    async def _check_view(self, changelog: Changelog, applied: int | None) -> None:
        if self._report.unreachable is not None or not self._is_ours:
            return
        report, number = self._report, changelog.number
        if applied is None:
            if changelog.customers:
                report.wrong(
                    "view",
                    f"partition {number}",
                    f"the view of {len(changelog.customers)} customers",
                    "nothing of this partition in tagger:meta",
                    remedy="project writes the whole partition by itself within seconds; if not, it does not run",
                )
            return
        if applied > changelog.end:
            found = f"{applied}, while the changelog ends at {changelog.end}: it was made anew"
            report.wrong("view", f"partition {number}", f"{changelog.end} applied at most", found)
        try:
            view = ViewCheck(self._redis, self._settings, changelog, applied, self._partitions, report)
            await view.run()
        except (redis_errors.RedisError, OSError) as error:
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        found = type(error).__name__
        if isinstance(error, redis_errors.ResponseError):  # the server's words, which repeat no password
            found = f"{found}: {error}"
        self._report.unreachable = f"expected a Redis that answers at redis_url to compare the view, found {found}"
