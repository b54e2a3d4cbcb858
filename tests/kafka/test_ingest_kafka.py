"""Ingest on a real broker: what a reader of the journal and of the dead letters sees, and where ingest goes on."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import OffsetAndMetadata
from kafka_broker import KafkaBroker
from task_driver import TaskDriver

from schemas.deadletters import DeadLetter, decode_dead_letter
from schemas.journal import JournalRecord, Tick, Transaction, decode_record
from streams.clients import committed_offsets, open_producer, read_topic
from streams.lanes.stage import PositionError
from streams.lanes.unit_of_work import FencedError, OutcomeUnknownError
from streams.partitioner import name_of, partition_of
from streams.settings import Settings
from streams.stages.ingest import MAX_PAUSE_SECONDS, Ingest, IngestTask
from streams.topics import create
from tagger.ingest.committed import IngestState

pytestmark = pytest.mark.kafka

TOPIC = "bank.transactions"
JOURNAL_PARTITIONS = 3
NOW = 1_772_600_000.0  # 2026-03-04T04:53:20Z


@pytest.fixture
async def settings(kafka: KafkaBroker, topic_prefix: str) -> Settings:
    settings = Settings(
        bootstrap=kafka.bootstrap,
        topic_prefix=topic_prefix,
        app=topic_prefix.strip("."),
        partitions=JOURNAL_PARTITIONS,
        clock="events",
        tick_seconds=3600,
    )
    await create(settings)
    return settings


@pytest.fixture
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, max_request_size=16_000_000)
    await producer.start()
    yield producer
    await producer.stop()


def transaction(number: int, at: str = "2026-03-02T09:00:00+08:00", **fields: Any) -> bytes:
    record = {
        "event_id": f"t-{number}",
        "customer_id": f"C{number % 7}",
        "occurred_at": at,
        "account_id": "A",
        "direction": "credit",
        "amount": "1.00",
    }
    return msgspec.json.encode(record | fields)


class Driver(TaskDriver):
    """Drives one input partition."""

    def __init__(self, settings: Settings, partition: int = 0) -> None:
        tp = TopicPartition(settings.topic(TOPIC), partition)
        super().__init__(settings, Ingest(settings, now=lambda: NOW), tp)

    async def state(self) -> tuple[int, IngestState]:
        committed = await committed_offsets(self.settings, f"{self.settings.app}-ingest", [self.tp])
        return committed[self.tp].offset, IngestState.from_metadata(committed[self.tp].metadata)


async def journal(settings: Settings) -> dict[int, list[JournalRecord]]:
    found: dict[int, list[JournalRecord]] = {number: [] for number in range(JOURNAL_PARTITIONS)}
    async for record in read_topic(settings, settings.topic("tagging.journal")):
        found[record.partition].append(decode_record(record.value))
    return found


async def dead_letters(settings: Settings) -> list[DeadLetter]:
    topic = settings.topic("tagging.dead-letters")
    return [decode_dead_letter(record.value) async for record in read_topic(settings, topic)]


def event_ids(partitions: dict[int, list[JournalRecord]]) -> list[str]:
    return sorted(
        (
            record.event_id
            for records in partitions.values()
            for record in records
            if isinstance(record, Transaction)
        ),
        key=lambda event_id: int(event_id.split("-")[1]),
    )


async def send(
    producer: AIOKafkaProducer, settings: Settings, values: Sequence[bytes | None], **options: Any
) -> None:
    for value in values:
        await producer.send_and_wait(settings.topic(TOPIC), value, b"anything", partition=0, **options)


async def test_events_go_to_their_customers_partition_in_order(
    settings: Settings, producer: AIOKafkaProducer
) -> None:
    await send(producer, settings, [transaction(number) for number in range(40)])
    await Driver(settings).run(max_records=9)
    found = await journal(settings)
    assert event_ids(found) == [f"t-{number}" for number in range(40)]
    for partition, records in found.items():
        events = [record for record in records if isinstance(record, Transaction)]
        assert {partition_of(event.customer_id.encode(), JOURNAL_PARTITIONS) for event in events} <= {partition}
        assert [event.source.offset for event in events] == sorted(event.source.offset for event in events)
        assert {(event.source.topic, event.source.partition) for event in events} == {(TOPIC, 0)}


async def test_first_transaction_ticks_in_every_partition_and_later_ones_only_when_due(
    settings: Settings, producer: AIOKafkaProducer
) -> None:
    driver = Driver(settings)
    await driver.task.take_over()
    for start, at in enumerate(["09:00:00", "09:59:59", "10:00:00"]):
        await send(producer, settings, [transaction(start, at=f"2026-03-02T{at}+08:00")])
        async for fetch in driver.fetches(start):
            await driver.task.process(fetch)
    await driver.task.release()
    for records in (await journal(settings)).values():
        ticks = [record for record in records if isinstance(record, Tick)]
        assert [(tick.topic, tick.partition, tick.of, tick.time_ms) for tick in ticks] == [
            (TOPIC, 0, JOURNAL_PARTITIONS, 1_772_413_200_000),
            (TOPIC, 0, JOURNAL_PARTITIONS, 1_772_416_800_000),
        ]
        assert all(tick.recorded and not tick.closed for tick in ticks)


async def test_begin_and_end_open_and_close_the_source_in_an_empty_partition(
    settings: Settings, producer: AIOKafkaProducer
) -> None:
    driver = Driver(settings)
    for command in (b"begin", b"end"):
        await send(producer, settings, [None], headers=[("tagger-control", command)])
        await driver.run()
    for records in (await journal(settings)).values():
        assert records == [
            Tick(topic=TOPIC, partition=0, of=JOURNAL_PARTITIONS, time_ms=None, recorded=True),
            Tick(topic=TOPIC, partition=0, of=JOURNAL_PARTITIONS, time_ms=None, closed=True, recorded=True),
        ]
    assert (await driver.state())[1].control == 2


async def test_wall_clock_ticks_now_while_idle_and_the_brokers_time_while_behind(
    settings: Settings, producer: AIOKafkaProducer
) -> None:
    driver = Driver(settings.model_copy(update={"clock": "wall", "tick_seconds": 1.0}))
    await send(producer, settings, [transaction(1)], timestamp_ms=int(NOW * 1000) - 60_000)
    await driver.run()
    for records in (await journal(settings)).values():
        times = [(record.time_ms, record.recorded) for record in records if isinstance(record, Tick)]
        assert times == [(int(NOW * 1000) - 60_000, False), (int(NOW * 1000), False)]


async def test_idle_says_nothing_twice(settings: Settings, producer: AIOKafkaProducer) -> None:
    await send(producer, settings, [transaction(1)])
    driver = Driver(settings)
    await driver.task.take_over()
    async for fetch in driver.fetches(0):
        await driver.task.process(fetch)
    before = await journal(settings)
    for _ in range(3):
        await driver.task.idle(True)
    await driver.task.release()
    assert await journal(settings) == before


BAD = {
    "no_value": None,
    "not_utf8": b"\xff\xfe",
    "not_json": b"{",
    "not_an_object": b"[1]",
    "missing_field": b"{}",
    "wrong_type": transaction(1, amount=5),
    "bad_value": transaction(1, amount="0.00"),
    "no_rate": transaction(1, currency="USD"),
    "far_future": transaction(1, at="2026-12-31T00:00:00+08:00"),
    "too_large": transaction(1, kind="x" * 10_000_000),
}


async def test_every_offset_has_one_fate_and_the_fates_add_up(
    settings: Settings, producer: AIOKafkaProducer
) -> None:
    """Good, bad, control, aborted and marker offsets, in fetches of every size."""
    await send(producer, settings, [None], headers=[("tagger-control", b"begin")])
    for number, bad in enumerate(BAD.values()):
        await send(producer, settings, [transaction(number), bad])
    async with open_producer(settings, f"{settings.app}-upstream") as upstream:
        for number, end in [(100, upstream.commit_transaction), (101, upstream.abort_transaction)]:
            await upstream.begin_transaction()
            await upstream.send_and_wait(settings.topic(TOPIC), transaction(number), partition=0)
            await end()
    await send(producer, settings, [transaction(200)])
    driver = Driver(settings)
    end = await driver.run(max_records=5)

    offset, state = await driver.state()
    assert offset == end == 1 + 2 * len(BAD) + 4 + 1
    assert (state.passed_on, state.dead_letters, state.control) == (len(BAD) + 2, len(BAD), 4)
    assert state.passed_on + state.dead_letters + state.control == offset
    assert event_ids(await journal(settings)) == [*(f"t-{number}" for number in range(len(BAD))), "t-100", "t-200"]
    letters = await dead_letters(settings)
    assert [letter.reason for letter in sorted(letters, key=lambda letter: letter.source.offset)] == list(BAD)
    assert {letter.message_key for letter in letters} == {f"{TOPIC}-0"}


async def test_markers_and_aborted_records_at_the_end_of_a_fetch_are_control_too(
    settings: Settings, producer: AIOKafkaProducer
) -> None:
    await send(producer, settings, [transaction(1)])
    async with open_producer(settings, f"{settings.app}-upstream") as upstream:
        await upstream.begin_transaction()
        await upstream.send_and_wait(settings.topic(TOPIC), transaction(2), partition=0)
        await upstream.abort_transaction()
    driver = Driver(settings)
    assert await driver.run() == 3
    offset, state = await driver.state()
    assert (offset, state.passed_on, state.control) == (3, 1, 2)


async def test_oversized_value_is_buried_cut_with_its_size(settings: Settings, producer: AIOKafkaProducer) -> None:
    value = transaction(1, kind="x" * 10_000_000)
    await send(producer, settings, [value])
    await Driver(settings).run()
    (letter,) = await dead_letters(settings)
    assert letter.reason == "too_large"
    assert letter.payload_size == len(value)
    assert letter.payload is not None
    assert len(letter.payload) == 262_144


async def test_open_transaction_upstream_is_not_seen_until_it_ends(
    settings: Settings, producer: AIOKafkaProducer
) -> None:
    driver = Driver(settings)
    await send(producer, settings, [transaction(1)])
    async with open_producer(settings, f"{settings.app}-upstream") as upstream:
        await upstream.begin_transaction()
        await upstream.send_and_wait(settings.topic(TOPIC), transaction(2), partition=0)
        await send(producer, settings, [transaction(3)])
        assert await driver.run() == 1
        assert event_ids(await journal(settings)) == ["t-1"]
        await upstream.commit_transaction()
    await driver.run()
    assert event_ids(await journal(settings)) == ["t-1", "t-2", "t-3"]


class Crash(Exception):  # noqa: N818
    """Where the process ends in a test."""


@pytest.mark.parametrize("dies", ["before commit", "after commit"])
async def test_nothing_is_doubled_or_missing_when_a_task_dies_around_its_commit(
    settings: Settings, producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    """Everything was produced; whether it was committed is what the successor must find out."""
    await send(producer, settings, [*(transaction(number) for number in range(10)), b"{"])
    first = Driver(settings).task
    await first.take_over()
    assert isinstance(first, IngestTask)
    inner = first._unit._producer
    assert inner is not None
    commit = inner.commit_transaction

    async def crash() -> None:
        if dies == "after commit":
            await commit()
        raise Crash

    async def nothing() -> None:
        """A process that ended aborts nothing."""

    monkeypatch.setattr(inner, "commit_transaction", crash)
    monkeypatch.setattr(inner, "abort_transaction", nothing)
    driver = Driver(settings)
    (fetch,) = [fetch async for fetch in driver.fetches(0)]
    with pytest.raises(OutcomeUnknownError, match="Crash"):
        await first.process(fetch)
    await driver.run()
    await first.release()

    assert event_ids(await journal(settings)) == [f"t-{number}" for number in range(10)]
    assert len(await dead_letters(settings)) == 1
    offset, state = await driver.state()
    assert (offset, state.passed_on, state.dead_letters) == (11, 10, 1)


async def test_task_that_was_overtaken_can_commit_nothing(settings: Settings, producer: AIOKafkaProducer) -> None:
    await send(producer, settings, [transaction(1)])
    driver = Driver(settings)
    old = driver.make_task()
    await old.take_over()
    await driver.run()
    async for fetch in driver.fetches(0):
        with pytest.raises((FencedError, OutcomeUnknownError)):
            await old.process(fetch)
    await old.release()
    assert event_ids(await journal(settings)) == ["t-1"]


async def test_clock_and_counts_survive_a_restart(settings: Settings, producer: AIOKafkaProducer) -> None:
    driver = Driver(settings)
    await send(producer, settings, [transaction(1, at="2026-03-02T09:00:00+08:00")])
    await driver.run()
    late_jump = [transaction(2, at="2026-01-01T09:00:00+08:00"), transaction(3, at="2026-04-30T09:00:00+08:00")]
    await send(producer, settings, late_jump)
    await driver.run()
    _, state = await driver.state()
    assert state.time_ms == 1_772_413_200_000
    assert [letter.reason for letter in await dead_letters(settings)] == ["far_future"]
    assert (state.passed_on, state.dead_letters) == (2, 1)


async def test_offset_moved_by_an_operator_is_where_reading_goes_on(
    settings: Settings, producer: AIOKafkaProducer
) -> None:
    await send(producer, settings, [transaction(number) for number in range(5)])
    driver = Driver(settings)
    await commit_plainly(driver, OffsetAndMetadata(3, ""))
    await driver.run()
    assert event_ids(await journal(settings)) == ["t-3", "t-4"]
    _, state = await driver.state()
    assert (state.first_offset, state.passed_on) == (3, 2)


@pytest.mark.parametrize("offset", [9, 2])
async def test_input_that_no_longer_holds_the_position_is_refused(
    settings: Settings, producer: AIOKafkaProducer, offset: int
) -> None:
    await send(producer, settings, [transaction(number) for number in range(5)])
    driver = Driver(settings)
    await commit_plainly(driver, OffsetAndMetadata(offset, ""))
    if offset < 5:
        await delete_before(settings, driver.tp, 4)
    with pytest.raises(PositionError, match=f"expected to go on at offset {offset} of"):
        await driver.task.take_over()
    await driver.task.release()


async def test_source_far_ahead_waits_for_the_slowest_but_not_for_ever(
    settings: Settings, producer: AIOKafkaProducer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="streams.stages.ingest")

    def waits() -> list[tuple[str, str, float]]:
        return [
            (record.partition, record.slowest, record.seconds)  # type: ignore[attr-defined]
            for record in caplog.records
            if record.message == "waited for slower sources"
        ]

    throttled = settings.model_copy(update={"max_skew_seconds": 60})
    slow, fast = Driver(throttled, partition=1), Driver(throttled)
    await producer.send_and_wait(settings.topic(TOPIC), transaction(1), partition=1)
    await slow.run()
    await send(producer, settings, [transaction(2, at="2026-03-02T09:30:00+08:00")])
    await fast.run()
    assert waits() == [], "a task without a time of its own has nothing to compare"
    await send(producer, settings, [transaction(3, at="2026-03-02T09:31:00+08:00")])
    await fast.run()
    assert waits() == [(name_of(fast.tp), name_of(slow.tp), MAX_PAUSE_SECONDS)]
    assert event_ids(await journal(settings)) == ["t-1", "t-2", "t-3"]


async def commit_plainly(driver: Driver, position: OffsetAndMetadata) -> None:
    """As Kafka's own tools do, on a group without members."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=driver.settings.bootstrap,
        group_id=f"{driver.settings.app}-ingest",
        enable_auto_commit=False,
    )
    await consumer.start()
    consumer.assign([driver.tp])
    await consumer.commit({driver.tp: position})
    await consumer.stop()


async def delete_before(settings: Settings, tp: TopicPartition, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    await admin.delete_records({tp: RecordsToDelete(before_offset=offset)})
    await admin.close()
