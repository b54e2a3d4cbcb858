"""Limits, each with its end: Redis down for long, one customer with very many events, a tick that brings about
very many tags, a state above the brokers' limit. The first two print what memory they took.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from counting_run import until
from kafka_broker import KafkaBroker
from pipeline import Pipeline, Worker
from redis_server import RedisServer
from task_deployment import TaskDeployment

from schemas.topics import CUSTOMERS, TAGS, TRANSACTIONS
from streams.clients import read_topic
from streams.doctor.examine import examine
from streams.lanes.unit_of_work import Transaction
from streams.publish import publish
from streams.settings import Settings
from streams.sources.record import SourceRecord
from tagger.folding.meta import META_KEY

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

MEGABYTE = 1_000_000
REDIS_AWAY_SECONDS = float(os.environ.get("REDIS_AWAY_SECONDS", "24"))
"""For so long Redis is down: twice as long as a worker may go without progress, which a wait for Redis is not."""
MONDAYS = "pack: p\nrules: {mondays: {when: today.weekday == 1}, week: {when: today.weekday <= 4}}\n"


def deposits(count: int, customers: int, first: int = 0, accounts: int = 1) -> Iterator[SourceRecord]:
    """One every ten seconds from a Friday on, customers in turn."""
    for number in range(first, first + count):
        customer = f"C{number % customers}"
        minute, second = divmod(number * 10, 60)
        hour, minute = divmod(minute, 60)
        day, hour = divmod(hour, 24)
        value = {
            "event_id": f"t{number}",
            "customer_id": customer,
            "occurred_at": f"2026-02-{1 + day:02}T{hour:02}:{minute:02}:{second:02}+08:00",
            "account_id": f"A{number % accounts}",
            "direction": "debit" if number % 3 else "credit",
            "amount": "7.25",
        }
        yield SourceRecord(TRANSACTIONS, customer.encode(), msgspec.json.encode(value))


def resident_bytes(worker: Worker, what: str = "VmRSS") -> int:
    """What a process holds in memory now; `VmHWM`: at its peak."""
    lines = Path(f"/proc/{worker.child.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


@asynccontextmanager
async def watching(worker: Worker) -> AsyncIterator[Callable[[], int]]:
    """The largest resident memory seen so far, looked at 20 times a second."""
    largest = resident_bytes(worker)

    async def watch() -> None:
        nonlocal largest
        while True:
            largest = max(largest, resident_bytes(worker))
            await asyncio.sleep(0.05)

    watcher = asyncio.create_task(watch())
    try:
        yield lambda: largest
    finally:
        watcher.cancel()


async def changelog_bytes(settings: Settings) -> int:
    return sum(
        [len(record.value) async for record in read_topic(settings, settings.topic(CUSTOMERS)) if record.value]
    )


def pipeline_of(bootstrap: str, prefix: str, folder: Path, redis_url: str, **options: Any) -> Pipeline:
    """With one small pack in force, so that time goes into what is measured."""
    rules = folder / "rules"
    rules.mkdir()
    (rules / "pack.yaml").write_text(MONDAYS)
    values = {"clock": "events", "partitions": 2, "tick_seconds": 0.5, "redis_url": redis_url, "rules": rules}
    settings = Settings(bootstrap=bootstrap, topic_prefix=prefix, app=prefix.rstrip("."), **values | options)
    pipeline = Pipeline(settings, folder)
    pipeline.tagger("topics", "create")
    return pipeline


async def send(pipeline: Pipeline, records: Iterator[SourceRecord]) -> int:
    return (await publish(pipeline.settings, records, topics=frozenset({TRANSACTIONS})))[TRANSACTIONS]


async def is_sound(pipeline: Pipeline, *customers: str) -> bool:
    report = await examine(pipeline.settings, 20, customers)
    assert (report.findings, report.unreachable) == ([], None)
    return True


async def test_redis_down_for_long_delays_no_decision_and_fills_no_memory(
    kafka: KafkaBroker,
    own_redis: Callable[[], RedisServer],
    topic_prefix: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Project waits longer than a worker may go without progress, and has far more to write than it may hold."""
    with own_redis() as redis:
        pipeline = pipeline_of(
            kafka.bootstrap,
            topic_prefix,
            tmp_path,
            redis.url,
            batch_records=100,
            fetch_bytes=100_000,
            watchdog_progress_seconds=REDIS_AWAY_SECONDS / 2,
        )
        with pipeline.running():
            worker = pipeline.start_worker()
            await send(pipeline, deposits(20_000, 500, accounts=37))
            await pipeline.settle()
            before = await changelog_bytes(pipeline.settings)
            async with watching(worker) as largest:
                warm = largest()
                redis.kill()
                killed_at = time.monotonic()
                await send(pipeline, deposits(30_000, 500, first=20_000, accounts=37))
                await pipeline.settle("ingest", "decide")
                await asyncio.sleep(killed_at + REDIS_AWAY_SECONDS - time.monotonic())
                assert not await pipeline.has_read_all("project")
                assert worker.events("redis does not answer")
                backlog, grown = await changelog_bytes(pipeline.settings) - before, largest() - warm
            with capsys.disabled():
                sys.stdout.write(
                    f"\nRedis down: {backlog / MEGABYTE:.0f} MB of changelog waited, the worker grew by "
                    f"{grown / MEGABYTE:.0f} MB to {(warm + grown) / MEGABYTE:.0f} MB\n"
                )
            assert backlog > 60 * MEGABYTE, "too little to tell"
            assert grown < backlog / 4
            redis.start()
            await pipeline.settle()
            assert await is_sound(pipeline)
            await pipeline.leave()


@pytest.mark.parametrize(
    ("options", "transactions"),
    [({}, None), ({"batch_records": 1_000_000, "batch_bytes": 10**9, "fetch_bytes": 50 * MEGABYTE}, 10)],
    ids=["default batches", "as much as a second folds"],
)
async def test_one_customer_with_100_000_events_at_once(
    kafka: KafkaBroker,
    redis_url: str,
    topic_prefix: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: dict[str, int],
    transactions: int | None,
) -> None:
    """The state is bounded by its definition, and what a batch holds by the fetch, whoever it belongs to."""
    pipeline = pipeline_of(kafka.bootstrap, topic_prefix, tmp_path, redis_url, partitions=1, **options)
    await send(pipeline, deposits(100_000, 1))
    with pipeline.running():
        worker = pipeline.start_worker()
        await until(lambda: worker.has_taken_over("decide", 1), "the worker to take over")
        idle = resident_bytes(worker)
        await pipeline.settle()
        peak = resident_bytes(worker, "VmHWM")
        await pipeline.leave()
    records = [record async for record in read_topic(pipeline.settings, pipeline.settings.topic(CUSTOMERS))]
    states = [len(record.value) for record in records if record.key == b"C0"]
    with capsys.disabled():
        sys.stdout.write(
            f"\n100,000 events of one customer in {len(states)} transactions: state {max(states)} bytes, "
            f"worker {idle / MEGABYTE:.0f} MB at the take-over, {peak / MEGABYTE:.0f} MB at its peak\n"
        )
    assert max(states) < 16_000
    assert transactions is None or len(states) <= transactions
    assert peak - idle < 12 * max(pipeline.settings.fetch_bytes, 10 * MEGABYTE)
    assert await is_sound(pipeline, "C0")


async def test_a_tick_with_very_many_tags_is_many_small_transactions(
    kafka: KafkaBroker, redis_url: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody's rule opens at one midnight: more tags than five hundred transactions may hold."""
    sizes: list[int] = []
    commit = Transaction.commit

    async def weighed(transaction: Transaction) -> None:
        if any(topic.endswith(TAGS) for topic, _ in transaction._batches):
            sizes.append(transaction.size_bytes)
        await commit(transaction)

    (tmp_path / "pack.yaml").write_text(MONDAYS)
    customers, limit = 10_000, 20_000
    async with TaskDeployment.open(
        kafka.bootstrap,
        topic_prefix,
        redis_url,
        partitions=1,
        rules=tmp_path,
        batch_bytes=limit,
        fetch_bytes=limit,
    ) as made:
        monkeypatch.setattr(Transaction, "commit", weighed)
        friday = list(deposits(customers, customers, first=43_200))
        monday = SourceRecord(TRANSACTIONS, b"X", deposit_on_monday())
        await made.run([*friday, monday])
        monkeypatch.undo()
        tags = [len(record.value) async for record in read_topic(made.settings, made.settings.topic(TAGS))]
        assert len(tags) >= 2 * customers
        assert sum(tags) > 500 * limit
        assert len(sizes) > 500
        assert max(sizes) < limit + 6_000, "the meta record, what states grew by, and one customer more"
        report = await examine(made.settings, 50)
        assert report.findings == []


def deposit_on_monday() -> bytes:
    (record,) = deposits(1, 1, first=8 * 8_640 + 60)
    return record.value or b""


async def test_a_state_above_the_limit_ends_the_worker_before_anything_is_sent(
    kafka: KafkaBroker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The last line names the customer and the setting; with a higher limit the deployment goes on."""
    pipeline = pipeline_of(
        kafka.bootstrap, topic_prefix, tmp_path, redis_url, partitions=1, max_record_bytes=8192, batch_records=50
    )
    with pipeline.running():
        worker = pipeline.start_worker()
        await send(pipeline, deposits(40, 4))
        await pipeline.settle()
        topics = [pipeline.settings.topic(name) for name in (CUSTOMERS, TAGS)]
        before = [[(one.key, one.value) async for one in read_topic(pipeline.settings, topic)] for topic in topics]
        await send(pipeline, deposits(300, 1, first=40, accounts=300))
        assert await worker.ended() == 1
        told = worker.events("cannot go on")[-1]["error"]
        assert "RecordTooLargeError" in told
        assert "key C0" in told
        assert "max_record_bytes" in told
        after = [[(one.key, one.value) async for one in read_topic(pipeline.settings, topic)] for topic in topics]
        small = [value for key, value in after[0] if key == b"C0"]
        assert all(len(value) <= 8192 for value in small)
        assert after[1] == before[1]
        assert [key for key, _ in after[0][len(before[0]) :] if key not in (b"C0", META_KEY.encode())] == []
        pipeline.workers.remove(worker)
        pipeline.settings = pipeline.settings.model_copy(update={"max_record_bytes": 50_000})
        pipeline.start_worker()
        await pipeline.settle()
        await pipeline.leave()
    assert await is_sound(pipeline, "C0")
