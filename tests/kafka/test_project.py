"""The changelog into a real Redis: complete, rebuilt when lost, and nobody's problem while Redis is down."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from kafka_broker import KafkaBroker
from redis.asyncio import Redis
from redis_server import RedisServer
from task_driver import TaskDriver

from schemas.money import parse_fen
from streams import failpoints
from streams.clients import committed_offsets, open_producer
from streams.lanes.unit_of_work import OutcomeUnknownError
from streams.partitioner import partition_of
from streams.settings import Settings
from streams.stages.project import Project
from streams.stages.redis_view import ForeignViewError, applied_offset
from streams.topics import create
from tagger.state.customer import CustomerState, Episode, RuleState, Series, encode_state

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

PARTITIONS = 2


@pytest.fixture
async def settings(kafka: KafkaBroker, topic_prefix: str, redis_url: str) -> Settings:
    settings = Settings(
        bootstrap=kafka.bootstrap,
        topic_prefix=topic_prefix,
        app=topic_prefix.strip("."),
        partitions=PARTITIONS,
        redis_url=redis_url,
    )
    await create(settings)
    return settings


@pytest.fixture
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    async with open_producer(settings) as producer:
        yield producer


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url, decode_responses=True)
    yield client
    await client.aclose()


def state(assets: str, *rules: str) -> bytes:
    """A state with this much on a current account and one open episode of each rule."""
    return encode_state(
        CustomerState(
            clock_ms=0,
            series={"current": Series(total_fen=parse_fen(assets))},
            rules={rule: RuleState(episodes=1, open=Episode(1, 1, 7)) for rule in rules},
        )
    )


class Driver(TaskDriver):
    def __init__(self, settings: Settings, partition: int = 0) -> None:
        tp = TopicPartition(settings.topic("tagging.customers"), partition)
        super().__init__(settings, Project(settings), tp)


async def write(producer: AIOKafkaProducer, settings: Settings, customer: str, value: bytes | None) -> None:
    key, topic = customer.encode(), settings.topic("tagging.customers")
    await producer.send_and_wait(topic, value, key, partition_of(key, PARTITIONS))


def customers_of(partition: int, count: int) -> list[str]:
    names = (f"C{number}" for number in range(1000))
    return [name for name in names if partition_of(name.encode(), PARTITIONS) == partition][:count]


async def assets(redis: Redis) -> dict[str, str]:
    keys = [key async for key in redis.scan_iter("tagger:{*}:profile")]
    return {key.split("{")[1].split("}")[0]: await redis.hget(key, "assets") for key in keys}


async def test_view_holds_the_last_state_of_each_customer(
    settings: Settings, producer: AIOKafkaProducer, redis: Redis
) -> None:
    stays, goes = customers_of(0, 2)
    for value in (state("1.00", "a"), state("2.00", "b")):
        await write(producer, settings, stays, value)
    await write(producer, settings, goes, state("9.00", "b"))
    await write(producer, settings, goes, None)
    topic = settings.topic("tagging.customers")
    await producer.send_and_wait(topic, b"not a state", b"#meta", partition=0)
    end = await Driver(settings).run(max_records=2)
    assert await assets(redis) == {stays: "2.00"}
    assert await redis.zrange("tagger:rule:{b}", 0, -1) == [stays]
    assert await redis.exists("tagger:rule:{a}") == 0
    assert await applied_offset(redis, 0) == end


async def test_restart_goes_on_where_it_was(settings: Settings, producer: AIOKafkaProducer, redis: Redis) -> None:
    first, second = customers_of(0, 2)
    await write(producer, settings, first, state("1.00"))
    driver = Driver(settings)
    await driver.run()
    await redis.delete(f"tagger:{{{first}}}:profile")
    await write(producer, settings, second, state("2.00"))
    await driver.run()
    assert await assets(redis) == {second: "2.00"}, "the first customer's record was not read again"
    group = f"{settings.app}-project"
    assert (await committed_offsets(settings, group, [driver.tp]))[driver.tp].offset == 2


@pytest.mark.parametrize("by_hand", [False, True])
async def test_wiped_redis_is_noticed_without_traffic_and_rebuilt(
    settings: Settings, producer: AIOKafkaProducer, redis: Redis, by_hand: bool
) -> None:
    """Or one partition, at an operator's request, to mend keys that were lost singly."""
    for number, customer in enumerate(customers_of(0, 5)):
        await write(producer, settings, customer, state(f"{number}.00", "a"))
    driver = Driver(settings)
    await driver.run()
    before = await assets(redis)
    position = await driver.task.take_over()
    assert position == 5
    if by_hand:
        first, second = customers_of(0, 2)
        await redis.delete(f"tagger:{{{first}}}:profile", f"tagger:{{{second}}}:rules")
        await redis.zrem("tagger:rule:{a}", first)
        await redis.hdel("tagger:meta", "0")
    else:
        await redis.flushall()
    with pytest.raises(OutcomeUnknownError, match="Redis was wiped or set back"):
        await driver.task.idle(True)
    await driver.task.release()
    driver.task = driver.make_task()
    await driver.run()
    assert await assets(redis) == before
    assert await redis.zcard("tagger:rule:{a}") == 5


async def test_rebuild_deletes_what_the_changelog_does_not_hold(
    settings: Settings, producer: AIOKafkaProducer, redis: Redis
) -> None:
    kept, gone = customers_of(0, 2)
    (other,) = customers_of(1, 1)
    for customer in (kept, gone, other):
        await write(producer, settings, customer, state("1.00", "a"))
    for partition in range(PARTITIONS):
        await Driver(settings, partition).run()
    await redis.delete("tagger:meta")
    await write(producer, settings, gone, None)
    await Driver(settings).run()
    assert await assets(redis) == {kept: "1.00", other: "1.00"}
    assert sorted(await redis.zrange("tagger:rule:{a}", 0, -1)) == sorted([kept, other])


async def test_changelog_made_anew_replaces_a_view_of_larger_versions(
    settings: Settings, producer: AIOKafkaProducer, redis: Redis
) -> None:
    first, second = customers_of(0, 2)
    for number in range(5):
        await write(producer, settings, first, state(f"{number}.00"))
    await Driver(settings).run()
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    await admin.delete_topics([settings.topic("tagging.customers")])
    await admin.close()
    await create(settings)
    async with open_producer(settings) as anew:
        await write(anew, settings, second, state("8.00"))
        await write(anew, settings, first, state("7.00"))
    await Driver(settings).run()
    assert await assets(redis) == {first: "7.00", second: "8.00"}


async def test_redis_that_is_down_delays_and_loses_nothing(settings: Settings, producer: AIOKafkaProducer) -> None:
    customer = customers_of(0, 1)[0]
    with RedisServer() as own:
        driver = Driver(settings.model_copy(update={"redis_url": own.url}))
        position = await driver.task.take_over()
        own.kill()
        await write(producer, settings, customer, state("1.00"))
        with pytest.raises(OutcomeUnknownError, match="Redis did not answer"):
            await driver.process_rest(position)
        assert await committed_offsets(settings, f"{settings.app}-project", [driver.tp]) == {}
        await driver.task.release()
        driver.task = driver.make_task()
        working = asyncio.create_task(driver.run())
        done, _ = await asyncio.wait({working}, timeout=1.0)
        assert not done, "its successor waits for Redis"
        own.start()
        await asyncio.wait_for(working, 20)
        client = Redis.from_url(own.url, decode_responses=True)
        assert await assets(client) == {customer: "1.00"}
        await client.aclose()


async def test_what_a_writer_sends_after_its_partition_was_rebuilt_is_refused(
    settings: Settings, producer: AIOKafkaProducer, redis: Redis
) -> None:
    """It was stopped within a fetch, while the view was lost and its successor made it again."""
    first, second = customers_of(0, 2)
    late, new = Driver(settings), Driver(settings)
    position = await late.task.take_over()
    await write(producer, settings, first, state("1.00", "a"))
    await write(producer, settings, second, state("2.00", "a"))
    stopped, goes_on = asyncio.Event(), asyncio.Event()

    async def stop(place: str, nth: int) -> None:
        if place == "view.after-claim" and nth == 1:
            stopped.set()
            await goes_on.wait()

    with failpoints.arming(stop):
        working = asyncio.create_task(late.process_rest(position))
        await stopped.wait()
        await redis.flushdb()
        await write(producer, settings, first, state("3.00"))
        await write(producer, settings, second, state("4.00", "b"))
        await new.run()
        goes_on.set()
        with pytest.raises(OutcomeUnknownError, match="another one took it over"):
            await working
    await late.task.release()
    assert await assets(redis) == {first: "3.00", second: "4.00"}
    assert await redis.exists("tagger:rule:{a}") == 0
    assert await redis.zrange("tagger:rule:{b}", 0, -1) == [second]


async def test_view_of_another_deployment_is_refused(settings: Settings, redis: Redis) -> None:
    await redis.hset("tagger:meta", "app", "other")
    driver = Driver(settings)
    with pytest.raises(ForeignViewError, match="'other'"):
        await driver.task.take_over()
    await driver.task.release()
