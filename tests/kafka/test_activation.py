"""Rulebooks on a real broker: published by digest, put in force once, in every journal partition."""

import asyncio
from pathlib import Path

import pytest
from kafka_broker import KafkaBroker

from schemas.journal import Activation, JournalRecord, Pause, decode_record
from streams.clients import MissingTopicError, open_producer, read_topic
from streams.lanes.unit_of_work import RefusedError
from streams.rulebooks.activation import RulesError, activate, activation_id, bootstrap, pause, publish, published
from streams.settings import Settings
from streams.topics import create
from tagger.packs.errors import RulebookError
from tagger.packs.rulebook import read_rulebook

pytestmark = pytest.mark.kafka

PARTITIONS = 3
PACK = """
pack: levels
title: Levels by assets
source: made up for a test
rules:
  size:
    title: Size
    by: assets
    levels: {small: 0, large: %d}
cases:
  - it: is large from the cut on
    given: [{at: 2026-03-02 09:00, credit: 1, balance_after: %d}]
    expect: [{at: 2026-03-02 09:00, opened: size, level: large}]
  - it: is small below it
    given: [{at: 2026-03-02 09:00, credit: 1, balance_after: 1}]
    expect: [{at: 2026-03-02 09:00, opened: size, level: small}]
"""


def packs(cut: int = 1000) -> dict[str, str]:
    return {"levels.yaml": PACK % (cut, cut)}


@pytest.fixture
async def settings(kafka: KafkaBroker, topic_prefix: str, tmp_path: Path) -> Settings:
    (tmp_path / "levels.yaml").write_text(packs()["levels.yaml"])
    settings = Settings(
        bootstrap=kafka.bootstrap,
        topic_prefix=topic_prefix,
        app=topic_prefix.strip("."),
        partitions=PARTITIONS,
        rules=tmp_path,
    )
    await create(settings)
    return settings


async def activations(settings: Settings) -> list[list[Activation]]:
    found: list[list[Activation]] = [[] for _ in range(PARTITIONS)]
    async for record in read_topic(settings, settings.topic("tagging.journal")):
        decoded = decode_record(record.value)
        assert isinstance(decoded, Activation)
        found[record.partition].append(decoded)
    return found


async def test_bootstrap_publishes_and_activates_in_every_partition(settings: Settings) -> None:
    digest = await bootstrap(settings)
    assert digest == read_rulebook(packs()).digest
    assert await activations(settings) == [[Activation(digest=digest)]] * PARTITIONS
    found = await published(settings)
    assert found.activated == Activation(digest=digest)
    assert {name: rulebook.files for name, rulebook in found.rulebooks.items()} == {digest: packs()}


async def test_bootstrap_leaves_a_deployment_alone_that_has_a_rulebook(settings: Settings) -> None:
    await bootstrap(settings)
    (settings.rules / "levels.yaml").write_text(packs(5000)["levels.yaml"])
    assert await bootstrap(settings) is None
    assert [len(found) for found in await activations(settings)] == [1] * PARTITIONS


async def test_workers_that_start_together_activate_once(settings: Settings) -> None:
    results = await asyncio.gather(*(bootstrap(settings) for _ in range(4)))
    assert [len(found) for found in await activations(settings)] == [1] * PARTITIONS
    # one that was overtaken right at its commit may find that it was itself first
    assert sum(result is not None for result in results) <= 1
    assert (await published(settings)).activated is not None


async def test_bootstrap_undoes_what_one_that_died_left_open(settings: Settings) -> None:
    topic = settings.topic("tagging.journal")
    async with open_producer(settings, activation_id(settings)) as died:
        await died.begin_transaction()
        await died.send_and_wait(topic, b"never committed", partition=0)
        digest = await bootstrap(settings)
        assert digest is not None
    assert await activations(settings) == [[Activation(digest=digest)]] * PARTITIONS


async def test_published_rulebook_is_activated_from_its_time_on(settings: Settings) -> None:
    digest = await publish(settings, packs(2000))
    assert await publish(settings, packs(2000)) == digest
    await activate(settings, digest, from_ms=1_772_600_000_000)
    expected = Activation(digest=digest, from_ms=1_772_600_000_000)
    assert await activations(settings) == [[expected]] * PARTITIONS
    assert (await published(settings)).activated == expected
    assert await bootstrap(settings) is None


async def test_going_back_is_activating_the_earlier_digest(settings: Settings) -> None:
    first = await bootstrap(settings)
    assert first is not None
    second = await publish(settings, packs(2000))
    await activate(settings, second)
    await activate(settings, first)
    for found in await activations(settings):
        assert [activation.digest for activation in found] == [first, second, first]
    assert set((await published(settings)).rulebooks) == {first, second}


async def test_unknown_digest_is_refused_and_named(settings: Settings) -> None:
    with pytest.raises(LookupError, match="expected a published rulebook ab12, found none"):
        await activate(settings, "ab12")
    assert await activations(settings) == [[]] * PARTITIONS


async def test_a_transaction_timeout_that_the_broker_forbids_is_told_and_not_tried_again(
    settings: Settings,
) -> None:
    digest = await publish(settings, packs())
    allowed_by_another_broker = settings.model_copy(update={"transaction_timeout_ms": 2_000_000})
    with pytest.raises(RefusedError, match="InvalidTransactionTimeout"):
        await activate(allowed_by_another_broker, digest)
    assert await activations(settings) == [[]] * PARTITIONS


async def test_invalid_packs_are_neither_published_nor_activated(settings: Settings) -> None:
    broken = {"levels.yaml": packs()["levels.yaml"].replace("by: assets", "by: asets")}
    with pytest.raises(RulebookError, match="asets"):
        await publish(settings, broken)
    (settings.rules / "levels.yaml").write_text(broken["levels.yaml"])
    with pytest.raises(RulesError, match=r"levels.yaml:\d+:\d+: .*asets"):
        await bootstrap(settings)
    assert (await published(settings)).rulebooks == {}


async def test_empty_rules_folder_is_refused(settings: Settings, tmp_path: Path) -> None:
    empty = settings.model_copy(update={"rules": tmp_path / "none"})
    with pytest.raises(RulesError, match="expected rule packs"):
        await bootstrap(empty)


async def test_missing_topics_are_named(kafka: KafkaBroker, topic_prefix: str) -> None:
    with pytest.raises(MissingTopicError, match="tagger topics create"):
        await bootstrap(Settings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix))


async def test_a_pause_stands_in_every_partition_and_leaves_the_rulebook_in_force(settings: Settings) -> None:
    digest = await bootstrap(settings)
    await pause(settings, "size")
    await pause(settings, "size", resumed=True)
    found: list[list[JournalRecord]] = [[] for _ in range(PARTITIONS)]
    async for record in read_topic(settings, settings.topic("tagging.journal")):
        found[record.partition].append(decode_record(record.value))
    expected = [Activation(digest=digest or ""), Pause(rule="size"), Pause(rule="size", resumed=True)]
    assert found == [expected] * PARTITIONS
    assert (await published(settings)).activated == Activation(digest=digest or "")


async def test_only_a_rule_in_force_is_paused(settings: Settings) -> None:
    with pytest.raises(LookupError, match="none was ever activated"):
        await pause(settings, "size")
    await bootstrap(settings)
    with pytest.raises(LookupError, match=r"got sise; did you mean size\?"):
        await pause(settings, "sise")
    await pause(settings, "of-an-earlier-rulebook", resumed=True)


async def test_a_folder_that_is_not_in_force_is_told_once_at_start(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    digest = await bootstrap(settings)
    await bootstrap(settings)
    assert [record for record in caplog.records if record.name == "streams.rulebooks.activation"] == []
    (settings.rules / "levels.yaml").write_text(packs(5000)["levels.yaml"])
    await bootstrap(settings)
    (line,) = [record for record in caplog.records if record.name == "streams.rulebooks.activation"]
    assert line.message == "rules folder is not in force"
    assert (vars(line)["in_force"], vars(line)["found"]) == (digest, read_rulebook(packs(5000)).digest)
