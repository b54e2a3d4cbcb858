"""What a run does with each contender, whoever it is: start it, watch it, and hold it to its tags."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from kafka_broker import KafkaBroker
from redis_server import RedisServer

from bench.clients import count_committed
from bench.job import DEDUPE_COUNT, PARTITIONS
from bench.measure import Lag, Progress, Speed, speed
from bench.workers import ROOT, BenchError, started, worker_of
from schemas.topics import CUSTOMERS, JOURNAL, TRANSACTIONS
from streams.child import Child
from streams.lanes.stage import group_of
from streams.settings import Settings

Say = Callable[[str], None]
INPUTS = {"ingest": TRANSACTIONS, "decide": JOURNAL, "project": CUSTOMERS}
"""Each stage and the topic that it reads, in the order in which the work flows."""


class Stand:
    """The servers of one run.

    Args:
        folder: where logs go.
    """

    def __init__(self, kafka: KafkaBroker, redis: RedisServer, folder: Path, say: Say) -> None:
        self._redis, self._folder = redis, folder
        self.bootstrap = kafka.bootstrap
        self.say = say

    def settings(self, name: str, database: int, rules: Path = ROOT / "bench" / "rules") -> Settings:
        """A deployment of its own for the job, under a prefix of topics."""
        return Settings(
            bootstrap=self.bootstrap,
            redis_url=f"{self._redis.url.rpartition('/')[0]}/{database}",
            app=f"bench-{name}",
            topic_prefix=f"{name}.",
            rules=rules,
            partitions=PARTITIONS,
            clock="events",
            clock_topics=(TRANSACTIONS,),
            dedupe_count=DEDUPE_COUNT,
        )

    async def run_stage(self, settings: Settings, stage: str, events: int) -> Speed:
        """Let a worker of one stage do all its input."""
        with self.worker(settings, stage) as child:
            return await self.watch(child, [lag_of(settings, stage)], events)

    async def watch(self, child: Child, lags: list[Lag], events: int) -> Speed:
        """Measure a contender until it has read everything."""
        async with Progress(self.bootstrap) as progress:
            measured = speed(await progress.watch(child, lags), events)
        self.say(f"  {measured.events_a_second:,.0f} a second, {measured.cpu_us_an_event:.1f} CPU µs an event")
        return measured

    async def check_tags(self, who: str, topic: str, expected: int) -> None:
        """Hold a contender to the number of its committed tags.

        Raises:
            BenchError: it made another number.
        """
        found = await count_committed(self.bootstrap, topic)
        if found != expected:
            raise BenchError(f"expected {expected} tags of {who}, found {found}: it did not do the same job")

    def worker(self, settings: Settings, only: str) -> AbstractContextManager[Child]:
        return worker_of(settings, only, self._folder)

    def program(self, name: str, topic: str, **variables: str) -> AbstractContextManager[Child]:
        """A contender that is a module of this package; `variables` are its own, without their prefix."""
        env = {"BENCH_BOOTSTRAP": self.bootstrap, "BENCH_APP": f"bench-{name}", "BENCH_INPUT": topic}
        env |= {f"BENCH_{variable}": value for variable, value in variables.items()}
        return started(name, ["-m", f"bench.{name}"], env, self._folder)


def lag_of(settings: Settings, stage: str) -> Lag:
    """What a stage of a deployment reads."""
    return Lag(group_of(settings, stage), settings.topic(INPUTS[stage]))
