"""Law: events of one customer that arrive in another order, within the allowed lateness, end in the same balances
and windows."""

from collections.abc import Sequence
from typing import Any

from builders import app, at, money, tick
from driver import run
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.journal import CustomerEvent, JournalRecord

START = at("2026-02-24 00:00")  # a month turns while it lasts
MINUTE = 60_000
DAY = 1440
MOST_DELAY = 2 * DAY
"""In minutes: whatever the time of day, two bank days and no more."""
END = START + (11 * DAY + 1) * MINUTE
PACK = """\
pack: p
features:
  held: {expr: assets}
  in_current: {expr: current}
  owed: {expr: loan}
  mean: {average_balance: assets, over: 5d}
  month_mean: {average_balance: assets, over: month}
  month_before_mean: {average_balance: current, over: month, previous: true}
  least: {low: assets, over: 10d}
  most: {high: current, over: 10d}
  week: {sum: amount, of: transactions, where: 'direction == "credit"', over: 7d}
  month_before: {sum: amount, of: transactions, over: month, previous: true}
  months: {count: transactions, over: 3mo}
  ever: {count: app_events, over: ever}
  hours: {count: app_events, over: 90h}
  kinds: {distinct: product_id, of: app_events, over: 4d}
  favourite: {top: product_id, of: app_events, over: 5d}
  quiet: {days_since: transactions, where: 'amount >= 100'}
  salary: {recurring: transactions, where: 'direction == "credit"', every: month, slack: 9d, times: 2}
  moved: {summary: transactions, where: 'direction == "debit"'}
rules:
  rich: {when: held >= 100 and week > 0}
  keen: {when: favourite.count >= 2 and hours > 1}
"""
movement = st.tuples(
    st.just("money"),
    st.sampled_from([100, 150, 1000, -40, -70, -900, 10]),
    st.sampled_from(["current", "current", "wealth", "loan"]),
    st.booleans(),
    st.sampled_from([None, None, 0, 500]),
)
look = st.tuples(st.just("app"), st.sampled_from(["P1", "P2", "P3", None]))
delay = st.sampled_from([0, 0, 1, 300, DAY, MOST_DELAY])
event = st.tuples(st.integers(0, 9 * DAY), delay, movement | look)


def record(number: int, minute: int, what: Any) -> CustomerEvent:
    when, event_id = START + minute * MINUTE, f"e{number * 7 % 10}{number}"
    if what[0] == "app":
        return app(when, event_id, product=what[1])
    _, yuan, kind, own, after = what
    return money(when, yuan, event_id, account_type=kind, account=kind, own=own, after=after)


def told_as(order: Sequence[tuple[int, CustomerEvent]], ticks_too: bool) -> list[JournalRecord]:
    """Events as they come, each with the minute of its arrival, and the clock that stands there then."""
    journal: list[JournalRecord] = []
    for minute, one in order:
        if ticks_too:
            journal += both(START + minute * MINUTE)
        journal.append(one)
    return [*journal, *both(END)]


def both(when_ms: int) -> list[JournalRecord]:
    return [tick(when_ms), tick(when_ms, "bank.app-events")]


@settings(max_examples=200)
@given(st.lists(event, min_size=2, max_size=14, unique_by=lambda one: one[0]), st.booleans())
@example(
    # The earlier of two looks comes last: it is neither the last one of its product, nor the day that counts.
    [
        *(
            (8 * DAY + after, delay, ("app", one))
            for after, delay, one in ((30, 0, "P1"), (0, 300, "P1"), (10, 0, "P2"))
        ),
        *((8 * DAY + after, delay, ("app", one)) for after, delay, one in ((20, 0, "P2"), (60, 0, "P3"))),
        (7 * DAY, MOST_DELAY, ("app", "P3")),
    ],
    False,
)
def test_balances_and_windows_do_not_depend_on_the_order_of_arrival(plan: list[Any], ticks_too: bool) -> None:
    events = [(minute, delay, record(number, minute, what)) for number, (minute, delay, what) in enumerate(plan)]
    in_order = [(minute, one) for minute, _, one in sorted(events, key=lambda each: each[0])]
    by_arrival = sorted(events, key=lambda each: (each[0] + each[1], each[0]))
    as_they_came = [(minute + delay, one) for minute, delay, one in by_arrival]

    right, shuffled = run(told_as(in_order, ticks_too), PACK), run(told_as(as_they_came, ticks_too), PACK)
    for found in (right, shuffled):
        assert sum(fates.late + fates.duplicate for fates in found.clock.fates.values()) == 0
    assert shuffled.measure(END) == right.measure(END)
