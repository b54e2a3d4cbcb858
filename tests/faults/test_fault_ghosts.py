"""Ghosts of a fault run: many aborted transactions fill more than a fetch, and a reader gets over them."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Literal

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from kafka_broker import KafkaBroker

from faults import ghosts
from faults.ghosts import FEWEST_ABORTED, RECORDS_AN_ABORTED, haunt
from schemas.topics import TRANSACTIONS
from streams.clients import offset_ranges
from streams.settings import Settings
from streams.topics import create

FETCH_BYTES = 200_000
"""Of a fault run's workers."""
PLACE = 0
"""Stands for partition 0 of the transactions' topic, and for as few aborted ones as there ever are."""
LAST = b"committed"


def settings_of(node: KafkaBroker) -> Settings:
    return Settings(bootstrap=node.bootstrap, topic_prefix="ghosts.", app="ghosts", partitions=1, replication=1)


async def read(
    settings: Settings, place: TopicPartition, isolation: Literal["read_committed", "read_uncommitted"]
) -> list[ConsumerRecord[Any, bytes]]:
    """Everything in a partition up to the last, fetched as a worker of a fault run does."""
    found: list[ConsumerRecord[Any, bytes]] = []
    consumer: AIOKafkaConsumer[Any, bytes] = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap, isolation_level=isolation, max_partition_fetch_bytes=FETCH_BYTES,
        auto_offset_reset="earliest", enable_auto_commit=False,
    )  # fmt: skip
    async with consumer, asyncio.timeout(30):
        consumer.assign([place])
        while not found or found[-1].value != LAST:
            found.append(await consumer.getone())
    return found


@pytest.mark.kafka
async def test_aborted_transactions_fill_more_than_a_fetch_and_are_got_over(kafka: KafkaBroker) -> None:
    settings = settings_of(kafka)
    await create(settings)
    began = time.monotonic()
    await haunt(settings, PLACE, leave_open=False)
    assert time.monotonic() - began < ghosts.AWAY_SECONDS
    place = TopicPartition(settings.topic(TRANSACTIONS), 0)
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        await producer.send_and_wait(place.topic, LAST, partition=0)
    written = await read(settings, place, "read_uncommitted")
    assert len(written) == FEWEST_ABORTED * RECORDS_AN_ABORTED + 1
    assert sum(len(header) for record in written for _, header in record.headers) > 2 * FETCH_BYTES
    assert [record.value for record in await read(settings, place, "read_committed")] == [LAST]


@pytest.mark.kafka
async def test_a_broker_killed_meanwhile_ends_it(
    own_kafka: Callable[..., KafkaBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ghosts, "FEWEST_ABORTED", ghosts.MOST_ABORTED)
    monkeypatch.setattr(ghosts, "AWAY_SECONDS", 2.0)
    with own_kafka() as node:
        settings = settings_of(node)
        await create(settings)
        haunting = asyncio.create_task(haunt(settings, PLACE, leave_open=False))
        place = TopicPartition(settings.topic(TRANSACTIONS), 0)
        async with asyncio.timeout(20):
            while (await offset_ranges(settings, [place]))[place][1] == 0:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.05)
        assert not haunting.done()
        node.kill()
        await asyncio.wait({haunting}, timeout=20)
        assert isinstance(haunting.exception(), KafkaError | OSError)
