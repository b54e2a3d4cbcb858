"""The contract's topics: what each must be, what is missing, what differs (docs/operations.md, "Names").

`create` only ever adds; it changes nothing that exists, because a partition count changed under a living
deployment moves customers away from their state, and a shortened retention deletes. `check` compares, and a
worker runs it at start.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from schemas.topics import (
    CUSTOMERS,
    DEAD_LETTERS,
    INPUTS,
    JOURNAL,
    RULEBOOKS,
    TAGS,
)
from streams.clients import open_admin
from streams.settings import Settings

CO_PARTITIONED = (JOURNAL, CUSTOMERS, TAGS)

# Inputs take what upstream should not have sent, so that it becomes a dead letter with a reason here instead
# of an error that a producer swallows.
INPUT_MESSAGE_BYTES = 16 * 1024 * 1024
# Above a record's own limit: the framing of a batch, and the key.
_FRAMING_BYTES = 48_576
_DAY_MS = 86_400_000
_PROPAGATION_SECONDS = 5.0
# A state that was deleted must stay readable as deleted for a view that is behind.
_TOMBSTONE_MS = 7 * _DAY_MS


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What one topic must be.

    Attributes:
        name: the broker's name, prefix included.
        config: topic settings that matter, as the broker writes them.
    """

    name: str
    partitions: int
    replication: int
    config: dict[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it must be; `found` is "missing" when there is no such topic."""

    topic: str
    setting: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.topic}: expected {self.setting} {self.expected}, found {self.found}"

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def _delete(days: int, message_bytes: int) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(days * _DAY_MS),
        "max.message.bytes": str(message_bytes),
    }


def _compact(message_bytes: int) -> dict[str, str]:
    return {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(_TOMBSTONE_MS),
        "max.message.bytes": str(message_bytes),
    }


def _config(settings: Settings) -> dict[str, dict[str, str]]:
    ours = settings.max_record_bytes + _FRAMING_BYTES
    inputs = {name: _delete(settings.input_retention_days, INPUT_MESSAGE_BYTES) for name in INPUTS}
    return inputs | {
        RULEBOOKS: _compact(ours),
        JOURNAL: _delete(settings.journal_retention_days, ours),
        CUSTOMERS: _compact(ours),
        TAGS: _delete(settings.tags_retention_days, ours),
        DEAD_LETTERS: _delete(settings.tags_retention_days, ours),
    }


def topic_specs(settings: Settings) -> tuple[TopicSpec, ...]:
    """Every topic of the contract as these settings want it."""
    return tuple(
        TopicSpec(settings.topic(name), settings.partitions, settings.replication, config)
        for name, config in _config(settings).items()
    )


async def create(settings: Settings) -> list[str]:
    """Create the topics that are missing; returns their names, [] when all existed.

    Raises:
        UnreachableError: no broker answers.
        aiokafka.errors.KafkaError: the broker refused one, such as more replicas than brokers.
    """
    specs = topic_specs(settings)
    async with open_admin(settings, "create topics") as admin:
        # The controller knows what exists; a broker's metadata may be a moment behind.
        response = await admin.create_topics(
            [NewTopic(spec.name, spec.partitions, spec.replication, topic_configs=spec.config) for spec in specs]
        )
        created = []
        for name, code, message in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"topic {name}: {message or error.description}")
            if not code:
                created.append(name)
        await _until_known(admin, [spec for spec in specs if spec.name in created])
    return created


async def _until_known(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> None:
    """Wait until a broker's metadata shows the topics, so that what comes next finds them."""
    wanted = {spec.name: spec.partitions for spec in specs}
    with suppress(TimeoutError):
        async with asyncio.timeout(_PROPAGATION_SECONDS):
            while wanted != await _partition_counts(admin, wanted):  # noqa: ASYNC110 - must ask
                await asyncio.sleep(0.05)


async def _partition_counts(admin: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, int]:
    return {name: len(found["partitions"]) for name, found in (await _described(admin, names)).items()}


async def check(settings: Settings) -> list[Difference]:
    """Compare partitions, replication and settings of every topic; [] when nothing differs.

    Raises:
        UnreachableError: no broker answers.
    """
    specs = topic_specs(settings)
    async with open_admin(settings, "describe topics") as admin:
        described = await _described(admin, [spec.name for spec in specs])
        configs = await _configs(admin, [spec.name for spec in specs if spec.name in described])
    return [
        difference
        for spec in specs
        for difference in _compare(spec, described.get(spec.name), configs.get(spec.name))
    ]


async def _described(admin: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, Any]:
    # Asking for topics by name would create them where the broker allows it; asking for all does not.
    return {item["topic"]: item for item in await admin.describe_topics() if item["topic"] in set(names)}


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    found = {}
    for answer in answers:
        for code, message, _kind, name, entries in answer.resources:
            if for_code(code) is UnknownTopicOrPartitionError:
                continue  # deleted since it was described
            if code:
                raise for_code(code)(f"settings of topic {name}: {message}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def _compare(spec: TopicSpec, found: Any, config: dict[str, str] | None) -> list[Difference]:
    if found is None or config is None:
        return [Difference(spec.name, "topic", f"{spec.partitions} partitions", "missing")]
    partitions = found["partitions"]
    replicas = {len(partition["replicas"]) for partition in partitions}
    pairs = [
        ("partitions", str(spec.partitions), str(len(partitions))),
        ("replication", str(spec.replication), ",".join(str(count) for count in sorted(replicas))),
        *((setting, expected, config.get(setting, "unset")) for setting, expected in spec.config.items()),
    ]
    return [
        Difference(spec.name, setting, expected, seen)
        for setting, expected, seen in pairs
        if not _SAME.get(setting, _equal)(expected, seen)
    ]


def _equal(expected: str, found: str) -> bool:
    return expected == found


def _at_least(expected: str, found: str) -> bool:
    return found.lstrip("-").isdigit() and (int(found) < 0 or int(found) >= int(expected))


# A topic that takes larger records, or shows longer what was deleted, than it must is no fault.
_SAME: dict[str, Callable[[str, str], bool]] = {
    "max.message.bytes": _at_least,
    "delete.retention.ms": _at_least,
}
