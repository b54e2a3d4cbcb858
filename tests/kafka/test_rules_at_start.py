"""A worker on a deployment where nothing was ever activated needs packs that can be used."""

from pathlib import Path

import pytest
from kafka_broker import KafkaBroker

from streams.exits import BAD_CONFIGURATION
from streams.settings import Settings
from streams.topics import create
from streams.worker import run_worker

pytestmark = pytest.mark.kafka


@pytest.fixture
async def prepared(kafka: KafkaBroker, topic_prefix: str, tmp_path: Path) -> Settings:
    settings = Settings(
        bootstrap=kafka.bootstrap,
        topic_prefix=topic_prefix,
        app=topic_prefix.strip("."),
        partitions=1,
        rules=tmp_path,
    )
    await create(settings)
    return settings


def test_worker_without_packs_ends_with_2_and_says_where_it_looked(
    prepared: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    assert run_worker(prepared) == BAD_CONFIGURATION
    assert f"expected rule packs (*.yaml) in the folder {prepared.rules}" in caplog.records[-1].error


def test_worker_with_a_broken_pack_ends_with_2_and_names_the_place(
    prepared: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    (prepared.rules / "broken.yaml").write_text("pack: broken\nrulez: {}\n")
    assert run_worker(prepared) == BAD_CONFIGURATION
    assert "broken.yaml:2:1" in caplog.records[-1].error
