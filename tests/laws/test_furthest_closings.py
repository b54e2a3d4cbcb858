"""Law: a series keeps bounds on every closing it ever had, whatever came late or was learned late."""

from builders import at, money
from driver import run
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.bankday import BankCalendar
from tagger.features.balances import closings

PACK = "pack: p\nfeatures: {low: {low: assets, over: 30d}}\nrules: {any: {when: assets > 0}}\n"
DAYS = 12
FIRST = BankCalendar("Asia/Shanghai").day_of(at("2026-03-01 00:00"))

# Day, yuan, account, type, whether it is between own accounts, and what it says the balance is.
MOVES = st.lists(
    st.tuples(
        st.integers(0, DAYS - 1),
        st.integers(-60, 60).filter(bool),
        st.sampled_from(["A1", "A2"]),
        st.sampled_from(["current", "wealth", "loan"]),
        st.booleans(),
        st.none() | st.integers(-50, 400),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(MOVES)
def test_every_closing_lies_within_what_its_series_keeps(
    moves: list[tuple[int, int, str, str, bool, int | None]],
) -> None:
    records = [
        money(
            f"2026-03-{day + 1:02d} 09:00",
            yuan,
            f"e{number}",
            account=account,
            account_type=kind,
            own=own,
            after=after,
        )
        for number, (day, yuan, account, kind, own, after) in enumerate(moves)
    ]
    for series in run(records, PACK).state().series.values():
        levels = [level for _, level in closings([series], FIRST - 1, FIRST + DAYS)]
        assert series.lowest_fen <= min(levels)
        assert max(levels) <= series.highest_fen
