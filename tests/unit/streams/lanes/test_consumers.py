"""What the stages' consumers ask of the brokers. No broker."""

from types import SimpleNamespace
from typing import Any

import pytest

from streams.lanes.app import build_app
from streams.lanes.fetch import FETCH_WAIT_MS, GATHER_BYTES, BatchConsumerThread
from streams.lanes.stage import Stage
from streams.settings import Settings
from streams.stages.decide import Decide
from streams.stages.ingest import Ingest
from streams.stages.project import Project


def gathering(stage: Stage, settings: Settings) -> tuple[int, int]:
    """Bytes that a fetch waits for, and how long, in ms."""
    app = build_app(stage, settings, lambda _error: None)
    thread: Any = BatchConsumerThread.__new__(BatchConsumerThread)
    thread.__dict__.update(app=app, consumer=SimpleNamespace(in_transaction=False))
    consumer = thread._create_worker_consumer(app.transport)
    consumer._closed = True  # never started: nothing to close
    return consumer._fetch_min_bytes, consumer._fetch_max_wait_ms


async def test_ingest_gathers_as_long_as_the_setting_says() -> None:
    settings = Settings(gather_ms=250)
    assert gathering(Ingest(settings), settings) == (GATHER_BYTES, 250)


async def test_ingest_takes_what_is_there_when_told_so() -> None:
    settings = Settings(gather_ms=0)
    assert gathering(Ingest(settings), settings) == (1, FETCH_WAIT_MS)


@pytest.mark.parametrize("kind", [Decide, Project])
async def test_nobody_else_waits_for_more_than_a_record(kind: type[Decide] | type[Project]) -> None:
    settings = Settings(gather_ms=250)
    assert gathering(kind(settings), settings) == (1, FETCH_WAIT_MS)
