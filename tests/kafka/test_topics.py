"""`tagger topics` on a real broker."""

import asyncio
import json

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from click.testing import CliRunner
from kafka_broker import KafkaBroker

from streams.child import free_port
from streams.cli.topics import topics
from streams.settings import Settings
from streams.topics import Difference, check, create, topic_specs

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka: KafkaBroker, topic_prefix: str) -> Settings:
    return Settings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix, partitions=2)


async def test_created_topics_are_what_the_settings_say(settings: Settings) -> None:
    created = await create(settings)
    assert created == [spec.name for spec in topic_specs(settings)]
    assert len(created) == 10
    assert await check(settings) == []


async def test_create_adds_what_is_missing_and_changes_nothing(settings: Settings) -> None:
    await create(settings)
    other = settings.model_copy(update={"partitions": 3, "journal_retention_days": 1})
    async with admin_of(settings) as admin:
        await admin.delete_topics([settings.topic("tagging.tags")])
    assert await create(other) == [settings.topic("tagging.tags")]
    assert await check(settings) == [Difference(settings.topic("tagging.tags"), "partitions", "2", "3")]


async def test_check_names_every_difference_with_what_was_expected_and_found(settings: Settings) -> None:
    await create(settings)
    journal, customers = settings.topic("tagging.journal"), settings.topic("tagging.customers")
    async with admin_of(settings) as admin:
        await admin.create_partitions({journal: NewPartitions(total_count=5)})
        changed = {"cleanup.policy": "delete", "max.message.bytes": "1000"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, customers, configs=changed)])
        await admin.delete_topics([settings.topic("push.feedback")])
    feedback = Difference(settings.topic("push.feedback"), "topic", "2 partitions", "missing")
    expected = {
        Difference(journal, "partitions", "2", "5"),
        Difference(customers, "cleanup.policy", "compact", "delete"),
        Difference(customers, "max.message.bytes", "1048576", "1000"),
        feedback,
    }
    async with asyncio.timeout(20):  # a broker's metadata follows the controller's after a moment
        while {*(found := await check(settings))} - {_reset_with_the_others(customers)} != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    assert str(feedback) == f"{feedback.topic}: expected topic 2 partitions, found missing"
    assert found.index(feedback) < found.index(Difference(journal, "partitions", "2", "5")), (
        "in the contract's order"
    )


def _reset_with_the_others(topic: str) -> Difference:
    """Altering some settings of a topic, the only request aiokafka has, resets all others."""
    return Difference(topic, "delete.retention.ms", "604800000", "86400000")


def test_commands_create_then_agree(settings: Settings) -> None:
    first = CliRunner().invoke(topics, ["create"], obj=settings)
    assert first.exit_code == 0
    assert f"created {settings.topic('bank.transactions')}" in first.output
    assert json.loads(CliRunner().invoke(topics, ["create", "--json"], obj=settings).output) == {"created": []}
    checked = CliRunner().invoke(topics, ["check"], obj=settings)
    assert (checked.exit_code, checked.output.startswith("10 topics at ")) == (0, True)


def test_check_command_exits_1_on_a_difference(settings: Settings) -> None:
    result = CliRunner().invoke(topics, ["check", "--json"], obj=settings)
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert len(lines) == 10
    assert lines[0] == {
        "topic": settings.topic("bank.transactions"),
        "setting": "topic",
        "expected": "2 partitions",
        "found": "missing",
    }


@pytest.mark.parametrize("command", ["create", "check"])
def test_broker_that_does_not_answer_is_exit_code_3_and_says_what_was_tried(command: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    result = CliRunner().invoke(topics, [command], obj=Settings(bootstrap=address))
    assert result.exit_code == 3
    assert f"expected a Kafka broker at {address}" in result.output


class admin_of:  # noqa: N801 - reads as a context
    def __init__(self, settings: Settings) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)

    async def __aenter__(self) -> AIOKafkaAdminClient:
        await self._admin.start()
        return self._admin

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()
