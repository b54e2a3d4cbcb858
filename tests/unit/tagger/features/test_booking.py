"""Booking: where an account began does not hang on the order of arrival, not even at one instant."""

from typing import Any

from builders import at, money
from hypothesis import given
from hypothesis import strategies as st

from tagger.features.balances import balance, book
from tagger.state.customer import CustomerState

START = at("2026-03-02 09:00")
ACCOUNT = "a"
# Few instants, so that several transactions share one and their ids decide.
movement = st.tuples(st.integers(0, 2), st.sampled_from([100, -40, 7, -3]), st.sampled_from([None, 0, 500, 800]))


@given(st.lists(movement, min_size=2, max_size=8).flatmap(lambda plan: st.permutations(list(enumerate(plan)))))
def test_the_earliest_statement_by_time_and_id_fixes_the_opening_balance(arrivals: list[Any]) -> None:
    state = CustomerState()
    for number, (minute, yuan, after) in arrivals:
        when = START + minute * 60_000
        transaction = money(when, yuan, f"t{number}", account=ACCOUNT, account_type="current", after=after)
        book(state, transaction, 1, None)
    in_order = sorted(
        [(minute, number, yuan, after) for number, (minute, yuan, after) in arrivals], key=lambda one: one[:2]
    )
    opening, moved = 0, 0
    for *_, yuan, after in in_order:
        moved += yuan
        if after is not None:
            opening = after - moved
            break
    assert state.accounts[f"current:{ACCOUNT}"].opening_fen == opening * 100
    assert balance(state, "current") == (opening + sum(yuan for _, _, yuan, _ in in_order)) * 100
