"""One run: start everything, let the storm strike, let it come to rest, judge."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka.errors import KafkaError
from pipeline import Pipeline
from redis_server import RedisServer

from streams.clients import UnreachableError
from streams.settings import Settings
from streams.topics import create

from . import machine
from .bank import PACKS, stream
from .feed import Feed
from .fleet import Fleet
from .operator import Operator
from .plan import Plan
from .servers import Cluster
from .storm import Storm, Struck, recoveries
from .tag_watch import TagWatch
from .verdict import hidden, look_at, problems
from .view import read_redis

RECOVERY_GRACE_SECONDS = 5.0
"""Beyond the session timeout, within which 95 of 100 partitions of a killed worker have their next tag."""
MOST_TAKEN_BY_OTHERS = 0.25
"""Share of the machine's CPU that other processes may take, beyond which how long a recovery took says more about
them, and is told and not judged."""
LEAST_RECOVERIES = 20
"""Of fewer, the p95 would be the slowest."""
_START_SECONDS = 180.0
_SETTLE_SECONDS = 400.0
_LISTENER_SECONDS = 20.0
_TRANSACTION_TIMEOUT_MS = 8000


@dataclass
class Result:
    """What came of a run.

    Attributes:
        problems: what is not as it must be; empty when all is well.
        alone, overlapped: seconds from a kill to the first tag of each partition, see `storm.recoveries`.
        hits: how often each fail-point was reached; `acted`: how often one did something.
    """

    plan: Plan
    folder: Path
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    struck: list[Struck] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    overlapped: list[float] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    armed: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    figures: dict[str, object] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    taken_by_others: float = 0.0

    @property
    def is_recovery_judged(self) -> bool:
        return self.taken_by_others <= MOST_TAKEN_BY_OTHERS and len(self.alone) >= LEAST_RECOVERIES

    @property
    def most_seconds(self) -> float:
        """The limit of a recovery's p95."""
        return self.plan.session_seconds + RECOVERY_GRACE_SECONDS


async def run(plan: Plan, planted: str = "") -> Result:
    """Run a plan.

    Args:
        planted: a bug of `mutants.planted` that every worker runs with.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"tagger-faults-{plan.seed}-"))
    result = Result(plan, folder)
    began, busy, ours = time.monotonic(), machine.busy_seconds(), machine.our_seconds()
    with _timed(result, "servers"):
        servers = Cluster(plan.nodes)
    with servers as cluster, RedisServer() as redis:
        settings = _settings(plan, cluster.bootstrap, redis.url, folder)
        await create(settings)
        fleet = Fleet(settings, folder, planted)
        try:
            await _run(plan, settings, cluster, redis, fleet, result)
        finally:
            fleet.close()
            cluster.keep_logs(folder)
    elapsed = (time.monotonic() - began) * machine.cores()
    result.taken_by_others = (machine.busy_seconds() - busy - (machine.our_seconds() - ours)) / elapsed
    if result.is_recovery_judged and (found := percentile(result.alone, 95)) > result.most_seconds:
        limit = f"{result.most_seconds:.1f} s"
        result.problems.append(f"kill to first tag: expected a p95 of at most {limit}, found {found:.1f} s")
    return result


def _settings(plan: Plan, bootstrap: str, redis_url: str, folder: Path) -> Settings:
    rules = folder / "rules"
    rules.mkdir()
    for name, text in PACKS[0].items():
        (rules / name).write_text(text, encoding="utf-8")
    return Settings(
        bootstrap=bootstrap,
        redis_url=redis_url,
        topic_prefix="faults.",
        app="faults",
        rules=rules,
        clock="events",
        partitions=plan.partitions,
        replication=plan.nodes,
        tick_seconds=1.0,
        session_timeout_ms=int(plan.session_seconds * 1000),
        transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
        batch_records=500,
        fetch_bytes=200_000,
        # a partition that was held up for a minute lies days behind in this bank, and no repeat may be forgotten
        dedupe_days=60,
        dedupe_count=128,
    )


async def _run(
    plan: Plan, settings: Settings, cluster: Cluster, redis: RedisServer, fleet: Fleet, result: Result
) -> None:
    pipeline = Pipeline(settings, result.folder)
    feed = Feed(settings, stream(plan.seed, plan.events, plan.partitions), plan.events)
    watch = TagWatch(settings)
    storm = Storm(plan, settings, cluster, redis, fleet, feed, watch)
    result.struck, result.notes = storm.struck, storm.notes
    for _ in range(plan.workers):
        fleet.start()
    operator = Operator(cluster, storm)
    works = (watch.run(), fleet.supervise(), operator.run(), feed.run())
    tasks = [asyncio.create_task(work) for work in works]
    watching, supervising, operating, feeding = tasks
    try:
        with _timed(result, "first take-over"):
            await _first(asyncio.create_task(_until_settled(fleet)), watching, supervising, operating)
        with _timed(result, "storm"):
            await _first(asyncio.create_task(storm.run()), watching, supervising, operating)
        with _timed(result, "drain"):
            await feeding
            await _settle(pipeline)
            supervising.cancel()
            operating.cancel()
            await asyncio.gather(*(fleet.leave(worker) for worker in list(fleet.workers)))
        with _timed(result, "verdict"):
            await _judge(plan, pipeline, redis, watch, result)
    except UnrestError as error:
        result.problems.append(str(error))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    result.figures["brokers restarted for a group coordinator out of step"] = operator.restarts
    _count(result, fleet, storm)


class UnrestError(Exception):
    """It did not come to rest."""


async def _first(work: "asyncio.Task[None]", *others: "asyncio.Task[None]") -> None:
    """Wait for some work, or for what must not end before it."""
    await asyncio.wait((work, *others), return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        if other.done() and not work.done():
            work.cancel()
            other.result()
            raise RuntimeError(f"ended too early: {other}")
    await work


async def _until_settled(fleet: Fleet) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not fleet.is_settled():
        if time.monotonic() > deadline:
            raise UnrestError(f"the workers had not taken over everything within {_START_SECONDS:.0f} s")
        await asyncio.sleep(0.2)


async def _settle(pipeline: Pipeline) -> None:
    deadline, told = time.monotonic() + _SETTLE_SECONDS, ""
    while time.monotonic() < deadline:
        try:
            await pipeline.settle()
        except (UnreachableError, KafkaError, TimeoutError, AssertionError) as error:
            told = f"{error}"
        else:
            return
    raise UnrestError(f"expected everything to come to rest within {_SETTLE_SECONDS:.0f} s: {told}")


async def _judge(plan: Plan, pipeline: Pipeline, redis: RedisServer, watch: TagWatch, result: Result) -> None:
    deadline = time.monotonic() + 3 * _TRANSACTION_TIMEOUT_MS / 1000
    while open_ones := await hidden(pipeline):
        if time.monotonic() > deadline:
            result.problems.append(f"transactions that never end hide the ends of {open_ones}")
            break
        await asyncio.sleep(0.5)
    left = await look_at(pipeline, read_redis(redis.url), watch.heard)
    await watch.hear_until([one.next_offset for one in left.tags], _LISTENER_SECONDS)
    result.problems += problems(left, stream(plan.seed, plan.events, plan.partitions))
    for fates in left.seen.fates().values():
        result.fates.update(applied=fates.applied, duplicate=fates.duplicate, late=fates.late)
    result.fates["dead letters"] = len(left.seen.dead_letters)
    result.fates["control"] = sum(one.ingested.control for one in left.seen.inputs.values())
    result.figures |= {
        "input offsets": sum(one.end for one in left.seen.inputs.values()),
        "journal records": sum(len(log) for log in left.seen.journal.values()),
        "committed tags": sum(one.count for one in left.tags),
        "customers": len(left.seen.customers()),
        "Redis keys": len(left.keys),
    }


def _count(result: Result, fleet: Fleet, storm: Storm) -> None:
    result.alone, result.overlapped = recoveries(storm.struck, result.plan.session_seconds)
    result.hits = fleet.hit_counts()
    result.figures["largest resident size of a worker that left, MB"] = max((0, *fleet.peaks_mb))
    for ending in fleet.endings:
        result.endings[f"{ending.code} {ending.error}".strip()] += 1
        if ending.armed:
            result.armed[ending.armed.partition("@")[0]] += 1
    for ending in fleet.unexplained([(one.kind, one.at) for one in storm.struck]):
        result.problems.append(
            f"worker {ending.worker} ended by itself: exit code {ending.code}, {ending.error or 'no last words'}; "
            f"see worker-{ending.worker:03d}.log"
        )


def percentile(values: list[float], share: int) -> float:
    """The smallest value that at least `share` in a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


@contextmanager
def _timed(result: Result, what: str) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    finally:
        result.seconds[what] = time.monotonic() - began
