"""Packed days against a dictionary of days: any order, any size, any number dropped."""

from hypothesis import given
from hypothesis import strategies as st

from tagger.state.day_values import (
    DayValues,
    add_before,
    begin_day,
    drop_before,
    entries,
    entries_ascending,
    entries_before_last,
    entries_since,
    first_since,
)

DAYS = st.integers(700_000, 700_040)
VALUES = st.one_of(
    st.integers(-9, 9),
    st.sampled_from(
        [power * sign + more for power in (2**15, 2**31, 2**63) for sign in (1, -1) for more in (-1, 0, 1)]
    ),
    st.integers(-(2**100), 2**100),
)


def put(values: DayValues, day: int, value: int) -> None:
    """What the owners of days do with an event."""
    if day == values.last:
        values.value += value
    elif day > values.last:
        begin_day(values, day, value)
    else:
        add_before(values, day, value)


@given(st.lists(st.tuples(DAYS, VALUES), min_size=1, max_size=40), DAYS)
def test_days_hold_what_was_put_in(moves: list[tuple[int, int]], since: int) -> None:
    values, expected = DayValues(), dict[int, int]()
    for day, value in moves:
        put(values, day, value)
        expected[day] = expected.get(day, 0) + value
        kept = sorted(expected.items())
        assert entries(values) == kept == list(entries_ascending(values))
        assert entries_before_last(values) == kept[:-1]
        assert (values.first, values.last, values.value) == (kept[0][0], *kept[-1])
        assert entries_since(values, since) == [entry for entry in kept if entry[0] >= since]
        assert first_since(values, since) == next((day for day, _ in kept if day >= since), None)


@given(st.dictionaries(DAYS, VALUES, min_size=1), st.lists(DAYS, min_size=1, max_size=4))
def test_dropping_gives_back_what_was_held_and_never_takes_the_last(held: dict[int, int], cuts: list[int]) -> None:
    values, left = DayValues(), sorted(held.items())
    for day, value in left:
        put(values, day, value)
    for cut in cuts:
        gone = [entry for entry in left[:-1] if entry[0] < cut]
        assert drop_before(values, cut) == sum(value for _, value in gone)
        left = left[len(gone) :]
        assert (entries(values), values.first) == (left, left[0][0])


def test_nothing_is_empty() -> None:
    values = DayValues()
    assert (entries(values), list(entries_ascending(values)), entries_since(values, 5)) == ([], [], [])
    assert drop_before(values, 9) == 0
    assert first_since(values, 5) is None


def test_a_small_count_a_day_takes_six_bytes() -> None:
    values = DayValues()
    for day in range(700_000, 700_011):
        put(values, day, 3)
    assert len(values.older) == 10 * 6
