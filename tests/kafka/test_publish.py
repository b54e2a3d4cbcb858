"""What a reader of the topics sees after `replay` and `simulate`, on a real broker."""

import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from aiokafka.partitioner import murmur2
from click.testing import CliRunner
from kafka_broker import KafkaBroker

from schemas.topics import APP_EVENTS, JOURNAL, PROFILES, TRANSACTIONS
from streams.child import free_port
from streams.cli.replay import replay
from streams.cli.simulate import simulate
from streams.clients import MissingTopicError, read_topic
from streams.publish import publish
from streams.settings import Settings
from streams.sources.record import SourceError, SourceRecord
from streams.sources.simulate import Plan
from streams.sources.simulate import simulate as make_up
from streams.topics import create

pytestmark = pytest.mark.kafka
PARTITIONS = 3
PLAN = Plan(customers=40, days=14)


@pytest.fixture
async def settings(kafka: KafkaBroker, topic_prefix: str) -> Settings:
    settings = Settings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix, partitions=PARTITIONS)
    await create(settings)
    return settings


async def read(settings: Settings, topic: str) -> dict[int, list[ConsumerRecord]]:
    partitions = defaultdict(list)
    async for record in read_topic(settings, settings.topic(topic)):
        partitions[record.partition].append(record)
    return partitions


def control(record: ConsumerRecord) -> bytes | None:
    return dict(record.headers).get("tagger-control") if record.value is None else None


async def test_every_record_arrives_once_in_order_at_its_keys_partition(settings: Settings) -> None:
    records = list(make_up(PLAN).records())
    sent = await publish(settings, records, topics=frozenset({TRANSACTIONS, APP_EVENTS}))
    assert sent == Counter(record.topic for record in records)
    for topic in (TRANSACTIONS, APP_EVENTS):
        found = await read(settings, topic)
        assert set(found) == set(range(PARTITIONS))
        for partition, log in found.items():
            expected = [
                (record.key, record.value)
                for record in records
                if record.topic == topic and (murmur2(record.key or b"") & 0x7FFFFFFF) % PARTITIONS == partition
            ]
            assert [(record.key, record.value) for record in log[1:-1]] == expected
            assert [control(log[0]), control(log[-1])] == [b"begin", b"end"]


async def test_every_partition_begins_and_ends_also_of_a_clock_topic_that_gets_nothing(settings: Settings) -> None:
    await publish(settings, [SourceRecord(TRANSACTIONS, b"C1", b"{}")], topics=frozenset({TRANSACTIONS}))
    for log in (await read(settings, APP_EVENTS)).values():
        assert [control(record) for record in log] == [b"begin", b"end"]
    logs = (await read(settings, TRANSACTIONS)).values()
    assert sorted(len(log) for log in logs) == [2, 2, 3]
    assert all([control(log[0]), control(log[-1])] == [b"begin", b"end"] for log in logs)
    assert await read(settings, PROFILES) == {}


async def test_a_run_that_breaks_off_sends_no_end(settings: Settings) -> None:
    def broken() -> object:
        yield SourceRecord(TRANSACTIONS, b"C1", b"{}")
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await publish(settings, broken(), topics=frozenset({TRANSACTIONS}))  # type: ignore[arg-type]
    for log in (await read(settings, TRANSACTIONS)).values():
        assert [control(record) for record in log if control(record)] == [b"begin"]


async def test_headers_null_values_and_large_values_arrive_as_they_are(settings: Settings) -> None:
    large = b"x" * 5_000_000
    records = [
        SourceRecord(PROFILES, b"C1", None, (("a", b"1"), ("a", b"2")), 1_700_000_000_000),
        SourceRecord(PROFILES, b"C1", large),
    ]
    await publish(settings, records, topics=frozenset({PROFILES}))
    (log,) = (await read(settings, PROFILES)).values()
    assert (log[0].value, list(log[0].headers), log[0].timestamp) == (
        None,
        [("a", b"1"), ("a", b"2")],
        1_700_000_000_000,
    )
    assert log[1].value == large
    assert abs(log[1].timestamp / 1000 - time.time()) < 600


async def test_a_rate_is_kept(settings: Settings) -> None:
    records = [SourceRecord(TRANSACTIONS, b"C1", b"{}")] * 100
    began = time.monotonic()
    await publish(settings, records, topics=frozenset({TRANSACTIONS}), rate=100)
    assert time.monotonic() - began > 0.9


async def test_a_topic_that_does_not_exist_is_named(kafka: KafkaBroker, topic_prefix: str) -> None:
    nothing = Settings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix)
    with pytest.raises(MissingTopicError, match=r"bank\.transactions"):
        await publish(nothing, [SourceRecord(TRANSACTIONS, None, b"{}")], topics=None)


@pytest.mark.parametrize("topics", [None, frozenset({JOURNAL})])
async def test_nothing_but_input_topics_is_written_to(settings: Settings, topics: frozenset[str] | None) -> None:
    with pytest.raises(
        SourceError, match=r"expected one of the input topics bank\.transactions, .*, got 'tagging"
    ):
        await publish(settings, [SourceRecord(JOURNAL, b"C1", b"{}")], topics=topics)
    assert await read(settings, JOURNAL) == {}


def test_a_replay_to_a_topic_of_the_pipeline_is_wrong_usage(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"topic":"tagging.customers","key":"C1","value":{}}\n')
    for more in ((), ("--to-topic", JOURNAL)):
        result = CliRunner().invoke(replay, [str(file), "--format", "jsonl", *more], obj=settings)
        assert result.exit_code == 2
        assert "expected one of the input topics" in result.output


def test_replay_and_simulate_tell_what_they_sent(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"topic":"bank.transactions","value":{"customer_id":"C1"}}\n{"value":"{"}\n')
    arguments = [str(file), "--format", "jsonl", "--to-topic", PROFILES, "--limit", "5"]
    result = CliRunner().invoke(replay, arguments, obj=settings)
    assert result.exit_code == 0, result.output
    assert "2 to bank.profiles" in result.output
    result = CliRunner().invoke(simulate, ["--customers", "20", "--days", "14"], obj=settings)
    assert result.exit_code == 0, result.output
    assert "to bank.app-events" in result.output
    assert "broken" in result.output


def test_no_broker_exits_3_and_a_wrong_file_2_before_looking_for_one(tmp_path: Path) -> None:
    nowhere = Settings(bootstrap=f"127.0.0.1:{free_port()}")
    file = tmp_path / "events.jsonl"
    file.write_text('{"topic":"bank.transactions","value":{}}\n')
    result = CliRunner().invoke(replay, [str(file), "--format", "jsonl"], obj=nowhere)
    assert result.exit_code == 3
    assert nowhere.bootstrap in result.output
    file.write_text("hello\n")
    result = CliRunner().invoke(replay, [str(file), "--format", "jsonl"], obj=nowhere)
    assert result.exit_code == 2
    assert "line 1" in result.output
