"""The whole pipeline, real decisions included, under what goes wrong: workers that come and go, a fault in the
code, transactions upstream that are aborted or stay open. Each ends with the same account: every offset has one
fate, and tags and changelog equal a plain fold of the journal.
"""

import asyncio
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from counting_run import until
from kafka_broker import KafkaBroker
from pipeline import READS, Pipeline, Worker, data
from seen import Seen, check_equals_a_plain_fold, check_every_offset_has_one_fate, look

from schemas.journal import Source, Tick, Transaction, decode_record, encode_record, hash_event
from schemas.topics import JOURNAL, TRANSACTIONS
from streams.clients import open_producer, read_topic
from streams.lanes.unit_of_work import transactional_id
from streams.publish import publish
from streams.sources.berka import read_berka
from streams.sources.record import SourceRecord

pytestmark = pytest.mark.kafka

JOINS = 10
RATE = 400


@pytest.fixture
def pipeline(kafka: KafkaBroker, redis_url: str, topic_prefix: str, tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline.create(
        kafka.bootstrap, topic_prefix, tmp_path, redis_url=redis_url, tick_seconds=0.2, partitions=2
    )
    with made.running():
        yield made


def berka(pipeline: Pipeline) -> Iterator[SourceRecord]:
    return read_berka(data("berka"), pipeline.settings.zone)


async def rest(pipeline: Pipeline) -> Seen:
    """Let everything be read, stop the workers, and check what is left behind."""
    await pipeline.settle()
    await pipeline.leave()
    seen = await look(pipeline)
    check_every_offset_has_one_fate(seen)
    check_equals_a_plain_fold(seen, 100)
    return seen


def count_of(seen: Seen) -> int:
    fates = seen.fates().values()
    assert sum(each.duplicate + each.late for each in fates) == 0
    return sum(each.applied for each in fates)


async def both_work(pipeline: Pipeline, first: Worker, second: Worker) -> bool:
    """Whether in each stage the second worker owns half of the partitions and has taken them over."""
    await asyncio.sleep(0)
    half = pipeline.settings.partitions // 2
    decide = [
        [event for event in worker.events("assigned") if event["stage"] == "decide"][-1:]
        for worker in (first, second)
    ]
    owned = [len([*event["kept"], *event["new"]]) for events in decide for event in events]
    return owned == [half, half] and all(second.has_taken_over(stage, half) for stage in READS)


async def test_a_second_worker_joins_and_leaves_ten_times_under_load(pipeline: Pipeline) -> None:
    """All three stages change hands, while Berka comes in at a steady rate."""
    first, done = pipeline.start_worker(), asyncio.Event()
    await until(lambda: first.has_taken_over("decide", 2), "the first worker to take over")
    records = takewhile(lambda _: not done.is_set(), berka(pipeline))
    sending = asyncio.create_task(publish(pipeline.settings, records, topics=frozenset({TRANSACTIONS}), rate=RATE))
    for _ in range(JOINS):
        second = pipeline.start_worker()
        await until(lambda second=second: both_work(pipeline, first, second), "both workers to share")
        assert not sending.done(), "the load ended before the joins"
        assert await second.leave() == 0
    done.set()
    sent = await sending
    seen = await rest(pipeline)
    assert count_of(seen) == sent[TRANSACTIONS]


@pytest.mark.parametrize("stage", ["ingest", "fold", "project"])
async def test_a_fault_in_the_code_ends_the_worker_and_nothing_is_skipped(
    pipeline: Pipeline, tmp_path: Path, stage: str
) -> None:
    """Twice at the same record, whatever is restarted; once it is mended, all is as if nothing had been."""
    broken = tmp_path / "broken"
    broken.touch()
    records = [record for record, _ in zip(berka(pipeline), range(1000), strict=False)]
    target = msgspec.json.decode(records[700].value or b"")
    await publish(pipeline.settings, records, topics=frozenset({TRANSACTIONS}))
    fail_on = target["customer_id" if stage == "project" else "event_id"]
    for _ in range(2):
        worker = pipeline.start_worker(FAIL_IN=stage, FAIL_ON=fail_on, FAIL_WHILE=str(broken))
        assert await worker.ended() == 1
        assert worker.events("cannot go on")[0]["error"] == "PlantedError"
        pipeline.workers.remove(worker)
    broken.unlink()
    pipeline.start_worker()
    seen = await rest(pipeline)
    assert count_of(seen) == len(records)


def salary(customer: str, number: int, at: str = "1993-02-01T09:00:00+08:00") -> bytes:
    """Enough for the layer `mid`, so that it is tagged at once."""
    return msgspec.json.encode(
        {
            "event_id": f"{customer}-{number}",
            "customer_id": customer,
            "occurred_at": at,
            "account_id": "A",
            "direction": "credit",
            "amount": "60000.00",
        }
    )


def journal_salary(customer: str, offset: int) -> bytes:
    return encode_record(
        Transaction(
            customer_id=customer,
            source=Source(TRANSACTIONS, 0, offset),
            event_id=f"{customer}-x",
            event_hash=hash_event(TRANSACTIONS, f"{customer}-x"),
            occurred_ms=728_529_000_000,
            account_id="A",
            direction="credit",
            amount_fen=6_000_000,
        )
    )


async def write(producer: AIOKafkaProducer, topic: str, partitions: int, values: dict[str, bytes]) -> None:
    """Each customer's value into every partition."""
    for partition in range(partitions):
        for customer, value in values.items():
            await producer.send_and_wait(topic, value, customer.encode(), partition)


async def tagged(pipeline: Pipeline) -> set[str]:
    topic = pipeline.settings.topic("tagging.tags")
    return {record.key.decode() async for record in read_topic(pipeline.settings, topic)}


async def test_aborted_and_open_transactions_are_never_seen(pipeline: Pipeline) -> None:
    """In the input and in the journal: before, between and after good records, each in every partition."""
    settings, good = pipeline.settings, [f"G{number}" for number in range(12)]
    inputs, journal = settings.topic(TRANSACTIONS), settings.topic(JOURNAL)
    pipeline.start_worker()

    async def send(customers: list[str], number: int) -> None:
        records = [SourceRecord(TRANSACTIONS, one.encode(), salary(one, number)) for one in customers]
        await publish(settings, records, topics=frozenset({TRANSACTIONS}))

    async with (
        open_producer(settings, f"{settings.app}-upstream") as upstream,
        open_producer(settings, transactional_id(settings.app, "intruder", "journal", 0)) as intruder,
    ):
        writers = [
            (upstream, inputs, salary("aborted-in-the-input", 0)),
            (intruder, journal, journal_salary("aborted-in-the-journal", 900)),
        ]
        await send(good[:6], 0)
        for producer, topic, value in writers:
            await producer.begin_transaction()
            await write(producer, topic, settings.partitions, {"ghost": value})
            await producer.abort_transaction()
        await send(good[6:], 0)
        await until(lambda: _equal(tagged(pipeline), set(good)), "all good customers to be tagged")

        for producer, topic, _ in writers:
            value = salary("open", 0) if topic == inputs else journal_salary("open-in-the-journal", 901)
            await producer.begin_transaction()
            await write(producer, topic, settings.partitions, {"ghost": value})
        await send(["behind"], 0)
        await asyncio.sleep(3 * settings.tick_seconds)  # time in which it could be seen
        assert await tagged(pipeline) == set(good)
        await intruder.abort_transaction()
        assert await tagged(pipeline) == set(good)
        await upstream.commit_transaction()
        await until(lambda: _equal(tagged(pipeline), {*good, "open", "behind"}), "what was committed to be tagged")

    seen = await rest(pipeline)
    assert set(seen.customers()) == {*good, "open", "behind"}
    # the copies of one event that the transaction wrote are one event
    assert sum(fates.duplicate for fates in seen.fates().values()) == settings.partitions - 1
    assert any(isinstance(decode_record(value), Tick) for log in seen.journal.values() for _, value in log)


async def _equal(found: "asyncio.Future[set[str]] | object", expected: set[str]) -> bool:
    return await found == expected  # type: ignore[misc]
