"""Partitions changing hands under load on a real broker: nothing doubled, missing, or restored twice."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from counting import expected_tags
from counting_run import Deployment, WorkerProcess, numbered, until
from kafka_broker import KafkaBroker

from streams.clients import open_producer

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
