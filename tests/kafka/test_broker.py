"""The test broker itself: what the fault tests take for granted."""

from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from kafka_broker import KafkaBroker

pytestmark = pytest.mark.kafka


async def values(bootstrap: str, topic: str) -> list[bytes]:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        read: list[bytes] = []
        while len(read) < end:
            read.append((await consumer.getone()).value)
        return read


async def test_a_killed_broker_comes_back_at_the_same_address_with_its_records(
    own_kafka: Callable[[], KafkaBroker],
) -> None:
    with own_kafka() as kafka:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("t", 1, 1)])
        await admin.close()
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
            await producer.send_and_wait("t", b"before")
        kafka.kill()
        assert kafka.pid is None
        kafka.restart()
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
            await producer.send_and_wait("t", b"after")
        assert await values(kafka.bootstrap, "t") == [b"before", b"after"]


async def test_asking_for_a_topic_does_not_create_it(kafka: KafkaBroker, topic_prefix: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        found = await admin.describe_topics([topic_prefix + "missing"])
        assert [topic["error_code"] for topic in found] == [3]  # UNKNOWN_TOPIC_OR_PARTITION
        assert topic_prefix + "missing" not in await admin.list_topics()
    finally:
        await admin.close()
