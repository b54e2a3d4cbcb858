"""How long a lane rests, by a clock that the test moves."""

from dataclasses import dataclass

import pytest

from streams.lanes.rest import SHARES, Rest
from streams.settings import Settings


@dataclass(frozen=True)
class Record:
    value: bytes | None


SMALL = [Record(b"x"), Record(None)]


@pytest.mark.parametrize("stage", ["ingest", "decide"])
def test_what_tags_wait_for_never_rests(stage: str) -> None:
    rest = Rest(stage, Settings())
    rest.worked(SMALL, began=10.0, ended=20.0)
    assert rest.left(SMALL, now=20.0) == 0


def test_a_rest_is_a_multiple_of_the_work_before_and_ends() -> None:
    rest = Rest("project", Settings())
    assert rest.left(SMALL, now=5.0) == 0
    rest.worked(SMALL, began=10.0, ended=10.5)
    end = 10.5 + 0.5 * SHARES["project"]
    assert rest.left(SMALL, now=10.5) == end - 10.5
    assert rest.left(SMALL, now=end - 0.25) == 0.25
    assert rest.left(SMALL, now=end) == 0


def test_a_rest_is_bounded_by_the_setting() -> None:
    rest = Rest("project", Settings(view_rest_seconds=1.5))
    rest.worked(SMALL, began=0.0, ended=100.0)
    assert rest.left(SMALL, now=100.0) == 1.5
    never = Rest("project", Settings(view_rest_seconds=0))
    never.worked(SMALL, began=0.0, ended=100.0)
    assert never.left(SMALL, now=100.0) == 0


def test_enough_that_waits_ends_a_rest() -> None:
    rest = Rest("project", Settings(batch_records=100, fetch_bytes=4096))
    rest.worked(SMALL, began=0.0, ended=1.0)
    assert rest.left([Record(b"x")] * 99, now=1.0) > 0
    assert rest.left([Record(b"x")] * 100, now=1.0) == 0
    assert rest.left([Record(b"x" * 512)], now=1.0) > 0
    assert rest.left([Record(b"x" * 512), Record(b"x" * 512)], now=1.0) == 0


@pytest.mark.parametrize("done", [[Record(b"x")] * 100, [Record(b"x" * 1024)] * 3])
def test_no_rest_follows_a_fetch_that_was_cut(done: list[Record]) -> None:
    rest = Rest("project", Settings(batch_records=100, fetch_bytes=4096))
    rest.worked(done[1:], began=0.0, ended=1.0)
    assert rest.left(SMALL, now=1.0) > 0
    rest.worked(done, began=1.0, ended=2.0)
    assert rest.left(SMALL, now=2.0) == 0
