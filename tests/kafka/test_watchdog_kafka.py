"""A worker that no longer does its work ends and says why, health is told over HTTP."""

import asyncio
import re
import signal
from pathlib import Path

import aiohttp
import pytest
from aiokafka.admin import NewPartitions
from counting import counting_stage
from counting_run import Deployment, WorkerProcess, numbered, until
from kafka_broker import KafkaBroker

from streams.child import free_port
from streams.clients import open_admin, open_producer
from streams.watch.conditions import Condition, Conditions, Seen, read_ends
from streams.watch.watchdog import StuckError
from streams.worker import Worker

pytestmark = pytest.mark.kafka

LIMITS = ("LOOP", "PROGRESS", "TRANSACTION", "STABLE", "TASK", "STOP")
SHORT = {f"TAGGER_WATCHDOG_{name}_SECONDS": "3" for name in LIMITS}


def only(kind: str) -> dict[str, str]:
    """One limit short, the others off."""
    return {name: value if f"_{kind}_" in name else "0" for name, value in SHORT.items()}


@pytest.fixture
async def deployment(kafka: KafkaBroker, topic_prefix: str, tmp_path: Path) -> Deployment:
    return await Deployment.create(
        kafka.bootstrap, topic_prefix, tmp_path, partitions=1, tick_seconds=0.2, transaction_timeout_ms=60_000
    )


async def ends_with(worker: WorkerProcess, told: str) -> dict[str, object]:
    """Its exit code is 1, and it said so, once; gives the line."""
    assert await worker.ended() == 1
    (line,) = worker.events("cannot go on")
    assert re.fullmatch(f"StuckError: {told}", str(line["error"])), line["error"]
    return line


async def test_a_loop_that_hangs(deployment: Deployment) -> None:
    with deployment.running():
        worker = deployment.start_worker(**only("LOOP"), TAGGER_FAILPOINTS="decide.after-fold=hang:600")
        await deployment.write(numbered(100))
        line = await ends_with(worker, r"the event loop runs nothing for \d+ s \(watchdog_loop_seconds\)\.")
        assert re.search(r"failpoints.py:\d+ _act$", str(line["trace"][-1])), "where it hangs"  # type: ignore[index]
        again = deployment.start_worker()
        await deployment.settle()
        assert await again.leave() == 0


@pytest.mark.parametrize("place", ["decide.after-fold", "restore.before-reading"])
async def test_lag_without_progress(deployment: Deployment, place: str) -> None:
    with deployment.running():
        worker = deployment.start_worker(**only("PROGRESS"), TAGGER_FAILPOINTS=f"{place}=stall:600")
        await deployment.write(numbered(100))
        line = await ends_with(
            worker, r"decide: .*: no progress beyond offset (0|-1) with (lag|work in hand) for .*"
        )
        assert f"{deployment.journal}-0" in str(line["error"])
        again = deployment.start_worker()
        await deployment.settle()
        assert await again.leave() == 0


async def test_attempts_that_fail_again_and_again_are_no_progress(deployment: Deployment) -> None:
    with deployment.running():
        worker = deployment.start_worker(
            **only("PROGRESS"), TAGGER_FAILPOINTS="unit.after-produce=raise@*", TAGGER_BATCH_RECORDS="10"
        )
        await deployment.write(numbered(100))
        await until(lambda: len(worker.events("outcome unknown, state dropped")) > 1, "a second attempt")
        await ends_with(worker, r"decide: .* no progress beyond offset 0 with .*")


async def test_a_transaction_of_ours_that_stays_open(deployment: Deployment) -> None:
    with deployment.running():
        worker = deployment.start_worker(**only("TRANSACTION"), TAGGER_FAILPOINTS="unit.after-offsets=stall:600")
        await deployment.write(numbered(100))
        await ends_with(worker, r"decide: .*: a transaction has been open for \d+ s \(watchdog_transaction.*")
        again = deployment.start_worker()
        await deployment.settle()
        assert await again.leave() == 0


async def test_a_stable_offset_that_somebody_holds(deployment: Deployment) -> None:
    with deployment.running():
        worker = deployment.start_worker(**only("STABLE"))
        await deployment.write(numbered(100))
        await deployment.settle()
        async with open_producer(deployment.settings, "upstream") as upstream:
            await upstream.begin_transaction()
            await deployment.send(numbered(10, start=900), upstream)
            await deployment.write(numbered(100, start=100))
            told = r"decide: .*: an open transaction has held the stable offset at 100, below 210, for \d+ s .*"
            line = await ends_with(worker, told)
            assert "kafka-transactions.sh find-hanging" in str(line["error"])
            await upstream.abort_transaction()
        again = deployment.start_worker()
        await deployment.settle()
        assert await again.leave() == 0


@pytest.mark.parametrize("part", ["coordination task", "fetch task", "lane"])
async def test_a_part_that_is_lost(deployment: Deployment, part: str) -> None:
    limits = {name.lower().removeprefix("tagger_"): float(value) for name, value in only("TASK").items()}
    worker = Worker(deployment.settings.model_copy(update=limits), [counting_stage(deployment.settings)])
    running = asyncio.create_task(worker.run())
    await until(worker.is_ready, "the worker to be ready")
    consumer = worker.apps[0].consumer._thread._consumer
    match part:
        case "coordination task":
            lost = consumer._coordinator._coordination_task
        case "fetch task":
            lost = consumer._fetcher._fetch_task
        case _:
            lost = worker.apps[0].ownership.lanes[0]._runner
    lost.get_loop().call_soon_threadsafe(lost.cancel)
    assert await asyncio.wait_for(running, 60) == 1
    told = "what processes it has ended" if part == "lane" else f"the consumer's {part} has ended"
    assert isinstance(worker._failure, StuckError)
    assert told in str(worker._failure)


async def test_a_stop_that_does_not_come_to_its_end(deployment: Deployment) -> None:
    with deployment.running():
        worker = deployment.start_worker(**only("STOP"), TAGGER_FAILPOINTS="ownership.after-revoke=stall:600@*")
        await until(lambda: bool(worker.events("starting")), "the worker to start")
        worker.signal(signal.SIGTERM)
        await ends_with(worker, r"the worker does not come to its end for \d+ s \(watchdog_stop_seconds\)\.")


async def test_an_input_that_was_given_more_partitions(deployment: Deployment) -> None:
    with deployment.running():
        worker = deployment.start_worker(**only("LOOP"))
        await deployment.write(numbered(100))
        await deployment.settle()
        async with open_admin(deployment.settings) as admin:
            await admin.create_partitions({deployment.journal: NewPartitions(3, [[1], [1]])})
        assert await worker.ended() == 1
        (line,) = worker.events("cannot go on")
        assert f"{deployment.journal} 1 partitions, found 3" in str(line["error"])


async def test_a_worker_at_rest_shows_nothing_that_may_not_last(deployment: Deployment) -> None:
    """Markers and aborted records at the end are no lag."""
    worker = Worker(deployment.settings, [counting_stage(deployment.settings)])
    running = asyncio.create_task(worker.run())
    await deployment.write(numbered(100))
    async with open_producer(deployment.settings, "upstream") as upstream:
        await upstream.begin_transaction()
        await deployment.send(numbered(10, start=900), upstream)
        await upstream.abort_transaction()
    await deployment.settle()
    owners = [app.ownership for app in worker.apps]
    conditions = Conditions(owners)

    async def look() -> list[Condition]:
        return list(conditions.find(Seen(True, await read_ends(deployment.settings, sorted(owners[0].owned)))))

    async def is_at_rest() -> bool:
        return await look() == []

    await until(is_at_rest, "the worker to have read the markers")
    assert [await look() for _ in range(3)] == [[], [], []]
    async with open_producer(deployment.settings, "upstream") as upstream:
        await upstream.begin_transaction()
        await deployment.send(numbered(10, start=900), upstream)
        assert [condition.kind for condition in await look()] == ["stable"]
        await upstream.abort_transaction()
    worker.stop()
    assert await running == 0


async def test_health_over_http(deployment: Deployment) -> None:
    port = free_port()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def status(path: str) -> int:
            try:
                async with session.get(path) as response:
                    return response.status
            except aiohttp.ClientError:
                return 0

        async def is_alive() -> bool:
            return await status("/health/live") == 200

        async def is_ready() -> bool:
            return await status("/health/ready") == 200

        with deployment.running():
            worker = deployment.start_worker(
                TAGGER_HEALTH_PORT=str(port), TAGGER_FAILPOINTS="restore.before-reading=stall:5"
            )
            await until(is_alive, "an answer")
            async with session.get("/health/ready") as response:
                assert response.status == 503
                assert await response.json() == {
                    "ready": False,
                    "stages": {"decide": {"assigned": 0, "taken_over": 0}},
                }
            await until(lambda: bool(worker.events("assigned")), "an assignment")
            assert not await is_ready(), "assigned and not restored"
            await until(is_ready, "the worker to be ready")
            assert worker.events("taken over")
            other = deployment.start_worker(TAGGER_HEALTH_PORT=str(port))
            assert await other.ended() == 1  # 2 as `tagger worker`
            assert "TAGGER_HEALTH_PORT" in other.log.read_text()
            assert await worker.leave() == 0
