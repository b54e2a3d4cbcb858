"""Folding the deployment's own journal again, on a real broker."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from kafka_broker import KafkaBroker

from schemas.journal import ControlRecord, JournalRecord, encode_record
from schemas.topics import APP_EVENTS, JOURNAL, TRANSACTIONS
from streams.cli.backtest import backtest
from streams.clients import open_producer
from streams.history import Refused, read_journal
from streams.partitioner import partition_of
from streams.refold import refold
from streams.rulebooks.activation import activate
from streams.rulebooks.activation import publish as publish_rulebook
from streams.rulebooks.folder import read_folder
from streams.settings import Settings
from streams.sources.formats import OpenSource
from streams.sources.simulate import Plan
from streams.sources.simulate import simulate as make_up
from streams.topics import create
from tagger.folding.partition import Partition
from tagger.folding.plain_fold import fold
from tagger.packs.rulebook import read_rulebook

pytestmark = pytest.mark.kafka
PARTITIONS = 2
RULES = Path(__file__).resolve().parents[2] / "rules"


@pytest.fixture
async def settings(kafka: KafkaBroker, topic_prefix: str) -> Settings:
    settings = Settings(
        bootstrap=kafka.bootstrap, topic_prefix=topic_prefix, partitions=PARTITIONS, app=topic_prefix
    )
    await create(settings)
    return settings


def partitions_of(record: JournalRecord) -> list[int]:
    if isinstance(record, ControlRecord):
        return list(range(PARTITIONS))
    return [partition_of(record.customer_id.encode(), PARTITIONS)]


async def write_journal(settings: Settings) -> list[JournalRecord]:
    """A small bank's journal, as ingest would have written it."""
    topics = frozenset({TRANSACTIONS, APP_EVENTS})
    source = OpenSource(make_up(Plan(customers=26, days=14)).records(), topics, Counter())
    records = list(read_journal(source, settings, 1_800_000_000_000, Refused(Counter())))
    async with open_producer(settings) as producer:
        for record in records:
            for partition in partitions_of(record):
                await producer.send(settings.topic(JOURNAL), encode_record(record), partition=partition)
    return records


async def test_the_partitions_share_what_was_compiled(settings: Settings) -> None:
    files = read_folder(RULES)
    digest = await publish_rulebook(settings, files)
    await activate(settings, digest)
    for rulebook in (None, read_rulebook(files)):
        partitions = await refold(settings, rulebook)
        assert len({id(partition.program(digest)) for partition in partitions}) == 1


async def test_the_journal_folded_again_gives_the_tags_of_a_plain_fold(settings: Settings) -> None:
    files = read_folder(RULES)
    digest = await publish_rulebook(settings, files)
    await activate(settings, digest)
    records = await write_journal(settings)
    expected: list[bytes] = []
    for number in range(PARTITIONS):
        log = [record for record in records if number in partitions_of(record)]
        fold(Partition(settings.core(), {digest: files}.__getitem__), digest, log, expected.append)
    again: list[bytes] = []
    partitions = await refold(settings, emit=again.append)
    assert again == expected
    assert len(again) > 26
    assert {partition.meta.rulebook for partition in partitions} == {digest}


async def test_another_rulebook_decides_in_the_place_of_the_recorded_one(
    settings: Settings, tmp_path: Path
) -> None:
    await activate(settings, await publish_rulebook(settings, read_folder(RULES)))
    await write_journal(settings)
    other = tmp_path / "rules"
    other.mkdir()
    signals = (RULES / "signals.yaml").read_text()
    (other / "signals.yaml").write_text(signals)
    tags: list[bytes] = []
    await publish_rulebook(settings, read_folder(other))
    await refold(settings, read_rulebook(read_folder(other)), tags.append)
    assert {json.loads(tag)["pack"] for tag in tags} == {"signals"}


async def make_journal(settings: Settings) -> None:
    await activate(settings, await publish_rulebook(settings, read_folder(RULES)))
    await write_journal(settings)


def test_backtest_reads_the_journal_from_the_broker(settings: Settings, tmp_path: Path) -> None:
    """Not a coroutine: the command runs a loop of its own."""
    asyncio.run(make_journal(settings))
    tags = tmp_path / "tags.jsonl"
    arguments = [JOURNAL, "--format", "journal", "--tags", str(tags), "--json"]
    result = CliRunner().invoke(backtest, arguments, obj=settings)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["customers"] == 26
    assert sum(line["count"] for line in summary["tags"]) == len(tags.read_bytes().splitlines()) > 26
