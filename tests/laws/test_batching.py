"""Law: batch size, a bound on customers and restarts between batches change no byte."""

from typing import Any

from builders import activation, app, at, feedback, money, profile, tick, ticks
from driver import run
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rulebooks import CHANGED, RICH, WITHOUT

from schemas.journal import JournalRecord
from tagger.episodes import tag_id

START = at("2026-03-29 20:00")
MINUTE = 60_000
RULES = ("browsing", "busy-app", "big-in", "rich", "dormant", "mondays")

minutes = st.integers(0, 6 * 24 * 60) | st.sampled_from([240, 240 + 1440, 240 + 2 * 1440, 270, 300, 330])
customers = st.sampled_from(["C1", "C2", "c-3"])
money_step = st.tuples(
    st.just("money"),
    customers,
    minutes,
    st.sampled_from([-6000, -1000, -100, 100, 1000, 2500, 6000]),
    st.sampled_from(["current", "current", "wealth", "loan"]),
    st.sampled_from([None, None, 0, 500, 8000]),
    st.booleans(),
)
app_step = st.tuples(st.just("app"), customers, minutes, st.sampled_from(["P1", "P2", None]))
other_step = st.tuples(st.sampled_from(["profile", "feedback", "repeat"]), customers, minutes, st.integers(0, 5))
tick_step = st.tuples(st.just("tick"), st.sampled_from(["bank.transactions", "bank.app-events"]), minutes)
both_step = st.tuples(st.just("both"), minutes)
rulebook_step = st.tuples(st.just("rulebook"), st.sampled_from(["r1", "r2", "r3"]), st.none() | minutes)
steps = st.lists(
    st.one_of(money_step, app_step, app_step, other_step, tick_step, both_step, both_step, rulebook_step),
    min_size=2,
    max_size=30,
)


def journal(plan: list[Any], in_order: bool) -> list[JournalRecord]:
    """Records of a plan; in order of time where asked."""
    if in_order:
        plan = sorted(plan, key=lambda step: next((x for x in step[1:] if isinstance(x, int)), 0))
    records: list[JournalRecord] = [activation("r1")]
    for number, step in enumerate(plan):
        records += _records(number, step, records)
    return records


def _records(number: int, step: Any, before: list[JournalRecord]) -> list[JournalRecord]:
    match step:
        case ("money", customer, minute, yuan, account_type, after, own):
            when = START + minute * MINUTE
            return [
                money(when, yuan, f"t{number}", customer=customer, account_type=account_type, after=after, own=own,
                      account=account_type, offset=number)
            ]  # fmt: skip
        case ("app", customer, minute, product):
            return [app(START + minute * MINUTE, f"a{number}", customer=customer, product=product, offset=number)]
        case ("profile", customer, minute, n):
            return [profile(START + minute * MINUTE, f"p{number}", customer=customer, occupation=f"o{n}")]
        case ("feedback", customer, minute, n):
            wanted = tag_id(RULES[n], customer, 1 + number % 2)
            return [feedback(START + minute * MINUTE, f"f{number}", wanted, customer=customer)]
        case ("repeat", _, _, n):
            events = [record for record in before if hasattr(record, "event_id")]
            return events[n : n + 1]
        case ("tick", topic, minute):
            return [tick(START + minute * MINUTE, topic)]
        case ("both", minute):
            return [tick(START + minute * MINUTE), tick(START + minute * MINUTE, "bank.app-events")]
        case ("rulebook", digest, minute):
            return [activation(digest, None if minute is None else START + minute * MINUTE)]
    raise AssertionError(step)


PACKS = {"r1": RICH, "r2": CHANGED, "r3": WITHOUT}


@settings(max_examples=60)
@given(steps, st.booleans(), st.sets(st.integers(1, 40)), st.integers(1, 3))
@example(
    # A rulebook brings a `for` in the middle of a batch: its deadline falls before the batch's next event.
    [("app", "C1", 0, "P1"), ("both", 2), ("rulebook", "r2", None), ("app", "C1", 99, "P2")],
    False,
    set(),
    1,
)
def test_batching_bounds_and_restarts_change_no_byte(
    plan: list[Any], in_order: bool, cuts: set[int], max_customers: int
) -> None:
    records = journal(plan, in_order)
    whole = run(records, PACKS)
    for other in (
        run(records, PACKS, cuts=None, restart=True),
        run(records, PACKS, cuts=cuts, max_customers=max_customers),
        run(records, PACKS, cuts=cuts, max_customers=max_customers, restart=True),
    ):
        assert other.by_customer() == whole.by_customer()
        assert other.tags == whole.tags
        assert other.customers == whole.customers
        assert other.meta == whole.meta


def test_a_leap_of_the_clock_is_cut_by_deadlines() -> None:
    plan = [("money", customer, 60, 2500, "current", 8000, False) for customer in ("C1", "C2", "c-3")]
    records = [*journal(plan, True), *ticks(START + 40 * 24 * 60 * MINUTE)]
    whole = run(records, PACKS)
    cut = run(records, PACKS, max_deadlines=1)
    assert (cut.tags, cut.customers) == (whole.tags, whole.customers)
    assert cut.batches > whole.batches
