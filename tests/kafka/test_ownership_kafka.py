"""Partitions changing hands under load on a real broker: nothing doubled, missing, or restored twice."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from counting import expected_tags
from counting_run import Deployment, WorkerProcess, numbered, until
from kafka_broker import KafkaBroker

from streams.clients import open_producer
from streams.lanes.intake import Fetch
from streams.worker import Worker

pytestmark = pytest.mark.kafka

JOINS = 10


@asynccontextmanager
async def load(deployment: Deployment, rate: int = 4000) -> AsyncIterator[None]:
    """Events at `rate` a second while the block runs."""

    async def feed() -> None:
        async with open_producer(deployment.settings) as producer:
            while not done.is_set():
                await deployment.write(numbered(rate // 20, 200, start=len(deployment.events)), producer)
                await asyncio.sleep(0.05)

    done = asyncio.Event()
    feeding = asyncio.create_task(feed())
    try:
        yield
    finally:
        done.set()
        await feeding


def assignments(worker: WorkerProcess) -> list[dict[str, object]]:
    return worker.events("assigned")


async def has_shared(worker: WorkerProcess, other: WorkerProcess) -> bool:
    """Whether both workers own two of the four partitions, taken over."""
    await asyncio.sleep(0)
    last = [assignments(each)[-1:] for each in (worker, other)]
    owned = [[*one["kept"], *one["new"]] for each in last for one in each]  # type: ignore[misc]
    return [len(each) for each in owned] == [2, 2] and bool(other.events("taken over"))


async def test_a_second_worker_joins_and_leaves_under_load(
    kafka: KafkaBroker, topic_prefix: str, tmp_path: Path
) -> None:
    deployment = await Deployment.create(kafka.bootstrap, topic_prefix, tmp_path, tick_seconds=0.2)
    with deployment.running():
        first = deployment.start_worker()
        async with load(deployment):
            await until(lambda: len(first.events("taken over")) == 4, "the first worker to take over")
            for _ in range(JOINS):
                joined_at = len(assignments(first))
                second = deployment.start_worker()
                await until(lambda second=second: has_shared(first, second), "both workers to share")
                assert await second.leave() == 0
                await until(
                    lambda at=joined_at: (
                        len(assignments(first)) >= at + 2 and len(assignments(first)[-1]["kept"]) == 2
                    ),  # type: ignore[arg-type]
                    "the first worker to have everything back",
                )
        await deployment.settle()
        assert await first.leave() == 0
    # what was kept was never restored again: four at the start, two more each time the second left
    assert len(first.events("taken over")) == 4 + 2 * JOINS


def owned(worker: WorkerProcess) -> int:
    """How many partitions the group gave a worker last."""
    return sum(len(one["kept"]) + len(one["new"]) for one in assignments(worker)[-1:])  # type: ignore[arg-type]


async def test_a_restore_longer_than_the_session_costs_no_membership(
    kafka: KafkaBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Heartbeats go on meanwhile; without them both workers would take all partitions from each other for ever."""
    deployment = await Deployment.create(kafka.bootstrap, topic_prefix, tmp_path, session_timeout_ms=6000)
    with deployment.running():
        await deployment.write(numbered(1000))
        slow = {"TAGGER_FAILPOINTS": "restore.before-reading=stall:14@*"}
        workers = [deployment.start_worker(**slow) for _ in range(2)]
        await until(lambda: [owned(worker) for worker in workers] == [2, 2], "both workers to share")
        given = [len(assignments(worker)) for worker in workers]
        await deployment.settle()
        assert [len(worker.events("taken over")) for worker in workers] == [2, 2]
        assert [len(assignments(worker)) for worker in workers] == given, "nobody was assigned anything anew"
        assert [await worker.leave() for worker in workers] == [0, 0]


async def test_killed_workers_leave_nothing_doubled_or_missing(
    kafka: KafkaBroker, topic_prefix: str, tmp_path: Path
) -> None:
    deployment = await Deployment.create(kafka.bootstrap, topic_prefix, tmp_path, session_timeout_ms=3000)
    with deployment.running():
        async with load(deployment):
            survivor = deployment.start_worker()
            for _ in range(3):
                victim = deployment.start_worker()
                await until(lambda victim=victim: bool(victim.events("taken over")), "the victim to take over")
                victim.signal(signal.SIGKILL)
                assert await victim.ended() == -signal.SIGKILL
        await deployment.settle()
        assert await survivor.leave() == 0


async def test_a_frozen_worker_cannot_commit_when_it_wakes(
    kafka: KafkaBroker, topic_prefix: str, tmp_path: Path
) -> None:
    deployment = await Deployment.create(kafka.bootstrap, topic_prefix, tmp_path, session_timeout_ms=3000)
    with deployment.running():
        sleeper = deployment.start_worker()
        async with load(deployment):
            await until(lambda: len(sleeper.events("taken over")) == 4, "the first worker to take over")
            sleeper.signal(signal.SIGSTOP)
            heir = deployment.start_worker()
            await until(lambda: len(heir.events("taken over")) >= 4, "the other worker to take over everything")
            sleeper.signal(signal.SIGCONT)
            await until(lambda: len(assignments(sleeper)) >= 2, "the sleeper to be assigned anew")
        await deployment.settle()
        assert [await sleeper.leave(), await heir.leave()] == [0, 0]


async def test_a_broker_that_restarts_is_waited_for(topic_prefix: str, tmp_path: Path) -> None:
    with KafkaBroker() as kafka:
        deployment = await Deployment.create(kafka.bootstrap, topic_prefix, tmp_path)
        with deployment.running():
            worker = deployment.start_worker()
            for number in range(2):
                await deployment.write(numbered(400, start=2000 * number))
                await until(deployment.has_decided_all, "everything to be decided")
                await deployment.write(numbered(1600, start=2000 * number + 400))
                await asyncio.to_thread(kafka.kill)
                await asyncio.to_thread(kafka.restart)
            await until(deployment.has_decided_all, "everything to be decided after the restarts")
            assert await deployment.tags() == expected_tags(deployment.events)
            assert worker.is_running()
            assert await worker.leave() == 0


class Watcher:
    """A stage, and its tasks, that only note what they are told."""

    name = "decide"
    has_more = False

    def __init__(self, topic: str) -> None:
        self.topics = (topic,)
        self.fetches: list[Fetch] = []
        self.idles: list[tuple[int, bool]] = []

    def make_task(self, tp: TopicPartition) -> "Watcher":
        return self

    async def take_over(self) -> int:
        return 0

    async def process(self, records: Fetch) -> None:
        self.fetches.append(records)

    async def idle(self, caught_up: bool) -> None:
        self.idles.append((sum(len(fetch) for fetch in self.fetches), caught_up))

    async def release(self) -> None:
        """Nothing to let go."""


async def test_fetches_join_and_a_quiet_task_hears_whether_it_has_caught_up(
    kafka: KafkaBroker, topic_prefix: str, tmp_path: Path
) -> None:
    deployment = await Deployment.create(
        kafka.bootstrap, topic_prefix, tmp_path, partitions=1, tick_seconds=0.2, fetch_bytes=2000
    )
    stage = Watcher(deployment.journal)
    worker = Worker(deployment.settings, [stage])  # type: ignore[list-item]
    async with open_producer(deployment.settings, "upstream") as upstream:
        await deployment.write(numbered(40))
        await upstream.begin_transaction()
        await deployment.send(numbered(10, start=900), upstream)
        await upstream.abort_transaction()
        await deployment.write(numbered(40, start=40))
        await upstream.begin_transaction()
        await deployment.send(numbered(10, start=80), upstream)
        running = asyncio.create_task(worker.run())
        await until(lambda: (80, True) in stage.idles, "the task to have caught up with what is readable")
        await upstream.commit_transaction()
        await until(lambda: (90, True) in stage.idles, "the task to have caught up with the rest")
    worker.stop()
    assert await running == 0
    assert {count for count, caught_up in stage.idles if caught_up} <= {80, 90}
    edges = [(fetch.start, fetch.end) for fetch in stage.fetches]
    assert [start for start, _ in edges] == [0, *(end for _, end in edges[:-1])]
    assert all(fetch.start <= fetch[0].offset <= fetch[-1].offset < fetch.end for fetch in stage.fetches)
    # 90 records, 10 aborted, the marker of the abort; the commit's comes after the last record
    assert edges[-1][1] in (101, 102)


@pytest.mark.parametrize("place", ["before-revoke", "after-revoke", "before-assign", "after-assign"])
async def test_a_fault_within_a_rebalance_ends_the_worker(
    kafka: KafkaBroker, topic_prefix: str, tmp_path: Path, place: str
) -> None:
    """aiokafka would log it, and the group would wait for a member that stands still, until a watchdog ends it."""
    deployment = await Deployment.create(kafka.bootstrap, topic_prefix, tmp_path, session_timeout_ms=3000)
    with deployment.running():
        worker = deployment.start_worker(TAGGER_FAILPOINTS=f"ownership.{place}=raise")
        await deployment.write(numbered(100))
        assert await worker.ended() == 1
        (line,) = worker.events("cannot go on")
        assert line["error"] == "FailPointError"
        again = deployment.start_worker()
        await deployment.settle()
        assert await again.leave() == 0
