"""Every input offset has exactly one fate, from input to changelog, and the sums agree with the offsets."""

import random
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from kafka_broker import KafkaBroker
from task_driver import TaskDriver

from streams.clients import committed_offsets, offset_ranges, open_producer, read_topic
from streams.lanes.stage import Stage
from streams.rulebooks.activation import bootstrap
from streams.settings import Settings
from streams.stages.decide import Decide
from streams.stages.ingest import Ingest
from streams.topics import create
from tagger.folding.meta import META_KEY, decode_meta
from tagger.ingest.committed import IngestState

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).resolve().parents[2]
TOPICS = ("bank.transactions", "bank.app-events")
PARTITIONS = 2
RECORDS = 80
NOW = 1_772_600_000.0  # 2026-03-04T04:53:20Z


@pytest.fixture
async def settings(kafka: KafkaBroker, topic_prefix: str) -> Settings:
    settings = Settings(
        bootstrap=kafka.bootstrap,
        topic_prefix=topic_prefix,
        app=topic_prefix.strip("."),
        partitions=PARTITIONS,
        rules=ROOT / "rules",
        clock="events",
        clock_topics=("bank.transactions",),
        tick_seconds=60,
        batch_records=7,
    )
    await create(settings)
    await bootstrap(settings)
    return settings


def transaction(number: int, day: int) -> bytes:
    return msgspec.json.encode(
        {
            "event_id": f"t-{number}",
            "customer_id": f"C{number % 5}",
            "occurred_at": f"2026-02-{day:02d}T09:00:00+08:00",
            "account_id": f"A{number % 5}",
            "direction": "credit",
            "amount": "10.00",
        }
    )


async def fill(settings: Settings, chance: random.Random) -> None:
    """Honest, repeated, late and broken records; committed, aborted and plain; begun and ended everywhere."""
    async with open_producer(settings) as plain, open_producer(settings, f"{settings.app}-upstream") as upstream:
        await control(plain, settings, b"begin")
        for number in range(RECORDS):
            day = 1 + number * 27 // RECORDS
            value = transaction(number, day)
            late = transaction(RECORDS + number, 1)
            values = chance.choice([[value], [value, value], [value, b"{"], [value, late]])
            topic, partition = settings.topic("bank.transactions"), number % PARTITIONS
            if chance.random() < 0.2:
                await upstream.begin_transaction()
                for item in values:
                    await upstream.send_and_wait(topic, item, partition=partition)
                await (upstream.abort_transaction() if chance.random() < 0.5 else upstream.commit_transaction())
            else:
                for item in values:
                    await plain.send_and_wait(topic, item, partition=partition)
        await control(plain, settings, b"end")


async def control(producer: AIOKafkaProducer, settings: Settings, command: bytes) -> None:
    for topic in TOPICS:
        for partition in range(PARTITIONS):
            headers = [("tagger-control", command)]
            await producer.send_and_wait(settings.topic(topic), None, b"", partition, headers=headers)


async def run_with_crashes(driver: TaskDriver, chance: random.Random) -> None:
    """To the end, in small fetches, dropping the task at random: before a commit, or right after one."""
    for _ in range(100):
        position = await driver.task.take_over()
        crashed = False
        async for fetch in driver.fetches(position, max_records=chance.randint(1, 30)):
            crashed = chance.random() < 0.1
            if crashed:
                break
            await driver.task.process(fetch)
        await driver.task.release()
        driver.task = driver.make_task()
        if not crashed:
            return
    pytest.fail("did not come to the end in 100 runs")


@pytest.mark.parametrize("seed", [1, 2])
async def test_fates_add_up_to_the_offsets_through_crashes(settings: Settings, seed: int) -> None:
    chance = random.Random(seed)
    await fill(settings, chance)
    ingest, decide = Ingest(settings, now=lambda: NOW), Decide(settings)
    inputs = [TopicPartition(settings.topic(topic), number) for topic in TOPICS for number in range(PARTITIONS)]
    journals = [TopicPartition(settings.topic("tagging.journal"), number) for number in range(PARTITIONS)]
    stages: list[tuple[Stage, TopicPartition]] = [(ingest, tp) for tp in inputs] + [
        (decide, tp) for tp in journals
    ]
    for stage, tp in stages:
        await run_with_crashes(TaskDriver(settings, stage, tp), chance)

    folded = await fates_after_the_journal(settings)
    buried = Counter(
        [record.key.decode() async for record in read_topic(settings, settings.topic("tagging.dead-letters"))]
    )
    committed = await committed_offsets(settings, f"{settings.app}-ingest", inputs)
    ends = await offset_ranges(settings, inputs)
    for tp in inputs:
        source = f"{tp.topic.removeprefix(settings.topic_prefix)}-{tp.partition}"
        state = IngestState.from_metadata(committed[tp].metadata)
        assert committed[tp].offset == state.next_offset == ends[tp][1]
        assert state.passed_on + state.dead_letters + state.control == state.next_offset
        assert state.dead_letters == buried[source]
        assert state.passed_on == sum(folded[source].values())
        assert state.closed
    totals = Counter(
        {fate: sum(counts[fate] for counts in folded.values()) for fate in ("applied", "duplicate", "late")}
    )
    assert all(totals[fate] > 0 for fate in totals), f"each fate must occur for this to say anything: {totals}"


async def fates_after_the_journal(settings: Settings) -> dict[str, Counter[str]]:
    """By input partition, summed over the journal's partitions."""
    metas = {}
    async for record in read_topic(settings, settings.topic("tagging.customers")):
        if record.key == META_KEY.encode():
            metas[record.partition] = decode_meta(record.value)
    found: dict[str, Counter[str]] = {
        f"{topic}-{partition}": Counter() for topic in TOPICS for partition in range(PARTITIONS)
    }
    for meta in metas.values():
        for source, fates in meta.fates.items():
            assert fates.reappended == 0, "nothing was passed on twice"
            found[source].update(applied=fates.applied, duplicate=fates.duplicate, late=fates.late)
    return found
