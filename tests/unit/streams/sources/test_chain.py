"""Booking order found from balances, against trying every permutation."""

from itertools import permutations

from hypothesis import example, given
from hypothesis import strategies as st

from streams.sources.chain import Step, chain_order

TOLERANCE = 2


def chains(order: tuple[int, ...], steps: list[Step], start: int | None) -> bool:
    balance = start
    for i in order:
        if balance is not None and abs(steps[i][0] - balance) > TOLERANCE:
            return False
        balance = steps[i][1]
    return True


# Few balances, so that many steps begin at the same one and dead ends are common.
small_steps = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=6)


@given(steps=small_steps, start=st.none() | st.integers(0, 12))
@example(steps=[(0, 5), (5, 0), (0, 5), (5, 9)], start=0)
def test_an_order_is_found_exactly_when_there_is_one(steps: list[Step], start: int | None) -> None:
    found = chain_order(steps, start, TOLERANCE)
    exists = any(chains(order, steps, start) for order in permutations(range(len(steps))))
    assert (found is not None) == exists
    if found is not None:
        assert sorted(found) == list(range(len(steps)))
        assert chains(tuple(found), steps, start)


def test_shuffled_rows_come_back_in_booking_order() -> None:
    assert chain_order([(700, 200), (0, 1000), (1000, 700)], 0, 10) == [1, 2, 0]


def test_the_first_day_begins_with_the_row_that_begins_at_nothing() -> None:
    assert chain_order([(100, 300), (0, 100)], None, 10) == [1, 0]


def test_a_missing_row_breaks_the_chain() -> None:
    assert chain_order([(0, 100), (150, 300)], 0, 10) is None


def test_a_long_day_of_equal_rows_takes_no_time_and_a_hopeless_one_gives_up() -> None:
    there_and_back = [(0, 100), (100, 0)] * 100
    found = chain_order(there_and_back, 0, 10)
    assert found is not None
    assert chains(tuple(found), there_and_back, 0)
    # 100 distinct loops through one balance and a step that nothing reaches: more orders than anyone can try
    hopeless = [(0, 100 * n) for n in range(1, 100)] + [(100 * n, 0) for n in range(1, 100)] + [(-50, -60)]
    assert chain_order(hopeless, 0, 10, max_visits=5000) is None
