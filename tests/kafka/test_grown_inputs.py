"""Partitions that an input was given while ingest runs: the worker ends, and the next one reads them."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from aiokafka.admin import NewPartitions
from counting_run import until
from kafka_broker import KafkaBroker
from pipeline import COMMAND, Pipeline, Worker

from schemas.journal import Transaction, decode_record
from schemas.topics import JOURNAL, TRANSACTIONS
from streams.clients import open_admin, open_producer, read_topic

pytestmark = pytest.mark.kafka

BEFORE, AFTER = 2, 4


def transaction(event_id: str) -> bytes:
    return msgspec.json.encode(
        {
            "event_id": event_id,
            "customer_id": f"C-{event_id}",
            "account_id": "A1",
            "direction": "credit",
            "amount": "12.00",
            "occurred_at": "2026-03-02T09:00:00+08:00",
        }
    )


def has_journalled(pipeline: Pipeline, *event_ids: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        found = []
        async for record in read_topic(pipeline.settings, pipeline.settings.topic(JOURNAL)):
            event = decode_record(record.value)
            if isinstance(event, Transaction):
                found.append(event.event_id)
        return sorted(found) == sorted(event_ids)

    return look


async def test_partitions_that_an_input_was_given_are_read_after_the_restart_they_bring_about(
    kafka: KafkaBroker, topic_prefix: str, tmp_path: Path
) -> None:
    pipeline = Pipeline.create(kafka.bootstrap, topic_prefix, tmp_path, partitions=BEFORE)
    settings, topic = pipeline.settings, pipeline.settings.topic(TRANSACTIONS)

    def start(name: str) -> Worker:
        worker = Worker([*COMMAND, "worker", "--only", "ingest"], tmp_path / name, pipeline.environment)
        pipeline.workers.append(worker)
        return worker

    with pipeline.running():
        first = start("first.log")
        async with open_producer(settings) as producer:
            await producer.send_and_wait(topic, transaction("e1"), partition=0)
        await until(has_journalled(pipeline, "e1"), "the first event in the journal")
        async with open_admin(settings) as admin:
            await admin.create_partitions({topic: NewPartitions(AFTER, [[1]] * (AFTER - BEFORE))})
        async with open_producer(settings) as producer:
            await producer.send_and_wait(topic, transaction("e2"), partition=AFTER - 1)
        assert await first.ended() == 1
        (line,) = first.events("cannot go on")
        assert f"expected as at the start {topic} {BEFORE} partitions, found {AFTER}" in line["error"]
        second = start("second.log")
        await until(lambda: bool(second.events("assigned")), "the second worker's assignment")
        assert f"{topic}-{AFTER - 1}" in second.events("assigned")[0]["new"]
        await until(lambda: bool(second.events("ready")), "the second worker to be ready")
        await until(has_journalled(pipeline, "e1", "e2"), "the event of the new partition in the journal")
        assert await second.leave() == 0
