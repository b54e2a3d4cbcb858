"""Law: what an inflow has retained does not depend on the order of arrival within the allowed lateness."""

from typing import Any

from builders import at, money, tick, ticks
from driver import run
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.journal import JournalRecord

START = at("2026-03-02 00:00")
MINUTE = 60_000
DAY = 1440
# Never trips, so that every watch can be looked at in the end.
PACK = """
pack: p
rules:
  in:
    after: {event: transactions, where: 'direction == "credit" and amount >= 100'}
    within: 60d
    when: retained < 0
"""
movement = st.tuples(
    st.integers(0, 12 * DAY),
    st.sampled_from([100, 150, -40, -70, 10, 1, -1]),
    st.sampled_from(["current", "wealth", "loan"]),
    st.booleans(),
    st.integers(0, 2 * DAY),
    st.booleans(),
)


@settings(max_examples=100)
@given(st.lists(movement, min_size=2, max_size=10), st.integers(0, 12))
def test_watches_do_not_depend_on_the_order_of_arrival(plan: list[Any], clock_behind_days: int) -> None:
    records = [
        money(START + minute * MINUTE, yuan, f"t{number * 7 % 10}", account_type=kind, account=kind, own=own)
        for number, (minute, yuan, kind, own, _, _) in enumerate(plan)
    ]
    arrivals = sorted(range(len(plan)), key=lambda n: (plan[n][0] + plan[n][4], n))
    journal: list[JournalRecord] = []
    for number in arrivals:
        if plan[number][5]:
            # A clock that another source may hold far behind this customer's own events.
            now = START + (plan[number][0] + plan[number][4] - clock_behind_days * DAY) * MINUTE
            journal += [tick(now), tick(now, "bank.app-events")]
        journal.append(records[number])
    shuffled, in_order = (
        run(journal, PACK),
        run(sorted(records, key=lambda one: (one.occurred_ms, one.event_id)), PACK),
    )
    assert watches(shuffled) == watches(in_order)


def watches(result: Any) -> dict[str, tuple[int, int]]:
    rule = result.state().rules.get("in")
    return {one.event_id: (one.opened_ms, one.above_fen) for one in rule.watches} if rule else {}


def test_an_inflow_told_after_later_money_far_ahead_of_the_clock() -> None:
    pack = PACK.replace("retained < 0", "retained < 0.5")
    records = [
        *ticks("2026-03-02 00:00"),
        money("2026-03-03 10:00", -60, "t2"),
        money("2026-03-08 09:00", 1, "t3"),
        money("2026-03-03 09:00", 100, "t1"),
    ]
    result = run(records, pack)
    assert result.brief() == [("2026-03-08 09:00:00", "opened", "in")]
    assert result.told()[0]["value"]["retained"] == "0.410"
