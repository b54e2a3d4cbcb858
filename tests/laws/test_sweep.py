"""Law: deadlines that a tick leaves to later give each customer the bytes that they give at once.

The policy asks how late a tag is, so that a deadline must be passed as of the first tick beyond it, however many
have come since; a rulebook, a pause and a recorded stretch stand between some of them.
"""

from typing import Any

import pytest
from builders import activation, app, at, pause, profile, tick, ticks
from driver import Run, run
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.journal import Consent, JournalRecord
from tagger.folding import sweep

START = at("2026-03-02 08:00")
MINUTE = 60_000
PACK = """
pack: p
features:
  a: {count: app_events, where: 'product_id == "A"', over: 2d}
  b: {count: app_events, where: 'product_id == "B"', over: 6h}
rules:
  soon: {when: a > 0, for: 30m, offer: {family: coupon, priority: 10}, refresh: a}
  later: {when: a > 0, for: 3h, offer: {family: bundle, priority: 20}}
  gone: {when: b == 0 and a > 0, for: 10m, offer: {family: credit, priority: 30}}
  brief: {when: b > 0, expires: 45m, offer: {family: coupon, priority: 5}}
---
"""
PACKS = {
    "r1": f"{PACK}consent: false\nstale: 20m\nquiet_hours: {{from: 21:00, to: 09:00}}\n",
    "r2": f"{PACK.replace('3h', '2h')}consent: false\nstale: 3h\ncaps: {{push: {{per_day: 2, per_week: 5}}}}\n",
    "r3": f"{PACK}consent: true\nstale: 1h\n",
}

customers = st.sampled_from(["C1", "C2", "c-3", "C4"])
gaps = st.sampled_from([0, 1, 5, 19, 20, 21, 30, 45, 120, 400, 1500])
steps = st.tuples(
    gaps,
    st.one_of(
        st.tuples(st.just("view"), customers, st.sampled_from(["A", "A", "B"])),
        st.tuples(st.just("agree"), customers, st.booleans()),
        st.tuples(st.just("tick"), st.just(""), st.sampled_from([False, False, False, True])),
        st.tuples(st.just("tick"), st.just(""), st.just(False)),
        st.tuples(st.just("late"), customers, st.integers(1, 4 * 1440)),
        st.tuples(st.just("rulebook"), st.sampled_from(["r1", "r2", "r3"]), st.none() | st.integers(0, 500)),
        st.tuples(st.just("pause"), st.sampled_from(["soon", "gone"]), st.booleans()),
    ),
)
plans = st.lists(steps, min_size=3, max_size=40)
sweeps = st.dictionaries(st.integers(1, 90), st.integers(1, 3), max_size=20)


def journal(plan: list[Any], *, in_force: str = "r1") -> list[JournalRecord]:
    """Records in the order of a clock that each step moves on by its minutes."""
    now = START
    records: list[JournalRecord] = [activation(in_force), *ticks(now)]
    for number, (gap, (kind, who, what)) in enumerate(plan):
        now += gap * MINUTE
        match kind:
            case "view":
                records.append(app(now, f"e{number}", product=what, customer=who, offset=number))
            case "late":
                records.append(app(now - what * MINUTE, f"e{number}", product="A", customer=who, offset=number))
            case "agree":
                records.append(profile(now, f"e{number}", customer=who, consent=Consent(push=what)))
            case "tick":
                records += [tick(now, topic, recorded=what) for topic in ("bank.transactions", "bank.app-events")]
            case "rulebook":
                records.append(activation(who, None if what is None else now + what * MINUTE))
            case "pause":
                records.append(pause(who, resumed=what))
    return records


def told(result: Run) -> Any:
    """All that is held to the byte; between customers, the order of tags is free."""
    return result.by_customer(), result.customers, result.meta


@settings(max_examples=150)
@given(
    plans, sweeps, st.sets(st.integers(1, 90), max_size=20), st.integers(1, 3), st.integers(1, 4), st.booleans()
)
@example(
    # A customer's record comes while the deadlines of three ticks wait, the first of them stale and the last not.
    [
        (0, ("view", "C1", "A")),
        (0, ("view", "C2", "A")),
        (60, ("tick", "", False)),
        (100, ("tick", "", False)),
        (21, ("tick", "", False)),
        (0, ("view", "C2", "B")),
    ],
    {},
    {6, 8},
    1,
    1,
    True,
)
def test_deadlines_left_to_later_change_no_byte_of_a_customer(
    plan: list[Any], few: dict[int, int], cuts: set[int], max_customers: int, max_deadlines: int, restart: bool
) -> None:
    records = journal(plan)
    at_once = told(run(records, PACKS))
    bounds: dict[str, Any] = {"max_customers": max_customers, "max_deadlines": max_deadlines}
    for left in (
        run(records, PACKS, sweeps={}),
        run(records, PACKS, sweeps={}, cuts=None, restart=True),
        run(records, PACKS, sweeps=few, cuts=cuts, restart=restart),
        run(records, PACKS, sweeps=few, cuts=cuts, restart=restart, **bounds),
    ):
        assert told(left) == at_once


@given(plans, sweeps, st.integers(2, 3))
def test_a_full_list_of_times_changes_no_byte_either(plan: list[Any], few: dict[int, int], most: int) -> None:
    records = journal(plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "MAX_TIMES", most)
        left = run(records, PACKS, sweeps=few, cuts=None, restart=True, max_deadlines=1)
    assert told(left) == told(run(records, PACKS))
