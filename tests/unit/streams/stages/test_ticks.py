"""When a source's time is told."""

import pytest

from schemas.journal import Tick
from streams.stages.ticks import Ticks


class Wall:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def ticks(wall: Wall) -> Ticks:
    return Ticks(2.0, "journal", 3, monotonic=wall)


def tick(time_ms: int | None, closed: bool = False) -> Tick:
    return Tick(topic="t", partition=0, of=1, time_ms=time_ms, closed=closed)


def test_nothing_to_tell_is_never_due(ticks: Ticks) -> None:
    assert not ticks.is_due(None)


def test_first_tick_is_due_at_once_even_without_a_time(ticks: Ticks) -> None:
    assert ticks.is_due(tick(None))
    assert ticks.is_due(tick(1000))


@pytest.mark.parametrize(("moved_ms", "due"), [(0, False), (1, False), (1999, False), (2000, True)])
def test_time_that_moved_is_told_once_it_moved_far_enough(ticks: Ticks, moved_ms: int, due: bool) -> None:
    ticks.told(tick(1000))
    assert ticks.is_due(tick(1000 + moved_ms)) is due


@pytest.mark.parametrize(("waited", "due"), [(1.9, False), (2.0, True)])
def test_time_that_moved_a_little_is_told_after_as_long_on_the_wall(
    ticks: Ticks, wall: Wall, waited: float, due: bool
) -> None:
    ticks.told(tick(1000))
    wall.seconds += waited
    assert ticks.is_due(tick(1001)) is due


def test_time_that_did_not_move_is_never_told_again(ticks: Ticks, wall: Wall) -> None:
    ticks.told(tick(1000))
    wall.seconds += 3600
    assert not ticks.is_due(tick(1000))


def test_end_begin_and_first_time_are_told_at_once(ticks: Ticks) -> None:
    ticks.told(tick(None))
    assert ticks.is_due(tick(1))
    ticks.told(tick(1))
    assert ticks.is_due(tick(1, closed=True))
    ticks.told(tick(1, closed=True))
    assert ticks.is_due(tick(1))
