"""Law: the compiled core says what the reference interpreter says, over made-up packs and histories.

`python -m tests.reference --seeds 1-10000` goes through many more.
"""

from typing import Any

from builders import activation, app, at, money, ticks
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference.compare import Scenario, differences, reference_of
from reference.made_up import SMALL_THEMES, DrawnChoice, RandomChoice, made_up
from reference.shrink import story

PLAIN = "pack: p\nrules: {r: {when: assets > 0}}"


@settings(max_examples=100)
@given(st.data())
def test_the_core_says_what_the_reference_says(data: Any) -> None:
    scenario = made_up(DrawnChoice(data.draw), SMALL_THEMES)  # the others are more than hypothesis draws
    assume(scenario is not None)
    assert scenario is not None
    assert differences(scenario) == [], story(scenario)


def test_scenarios_that_are_always_the_same() -> None:
    for seed in range(1, 151):
        scenario = made_up(RandomChoice(seed))
        assert scenario is None or differences(scenario) == [], seed


def test_money_at_the_very_midnight_touches_a_watch_that_reads_retained_and_no_other() -> None:
    records = [app("2026-03-02 09:00", "a1"), money("2026-03-04 00:00", -5, "t1"), *ticks("2026-03-06 00:00")]
    for when in ("n >= 1", "n >= 1 and retained == 0", "n >= 1 or retained < 1"):
        rule = f"r: {{after: {{event: app_events}}, within: 3d, when: {when}}}"
        pack = f"pack: p\nfeatures: {{n: {{count: app_events, over: 2d}}}}\nrules: {{{rule}}}"
        scenario = Scenario({"r1": pack}, [activation("r1"), *records], at("2026-03-06 00:00"))
        assert differences(scenario) == [], when


def test_a_share_retained_misses_what_moved_before_the_last_64_that_arrived() -> None:
    spent = [money(f"2026-03-02 10:{number % 60:02}:{number // 60:02}", -10, f"t{number}") for number in range(70)]
    inflow = money("2026-03-02 09:00", 1000, "in")
    rule = "{after: {event: transactions, where: amount >= 1000}, within: 1d, when: retained < 0.5}"
    pack = f"pack: p\nrules: {{r: {rule}}}"
    scenario = Scenario({"r1": pack}, [activation("r1"), *spent, inflow], at("2026-03-02 12:00"))
    assert differences(scenario) == []
    (tag,) = reference_of(scenario).tags
    assert tag["value"]["retained"] == "0.370"  # of 70 spent, the 63 that are remembered beside the inflow


def test_a_share_retained_misses_what_moved_while_no_rule_asked_for_it() -> None:
    rule = "{after: {event: transactions, where: amount >= 1000}, within: 1d, when: retained < 0.5}"
    asking = f"pack: p\nrules: {{r: {rule}}}"
    spent, inflow = money("2026-03-02 10:00", -900, "t1"), money("2026-03-02 09:00", 1000, "in")
    for first, tags in ((PLAIN, 0), (asking, 1)):
        records = [activation("r1"), spent, activation("r2"), inflow]
        scenario = Scenario({"r1": first, "r2": asking}, records, at("2026-03-02 12:00"))
        assert differences(scenario) == []
        assert [tag["rule"] for tag in reference_of(scenario).tags] == ["r"] * tags


def test_an_opening_balance_takes_what_is_beyond_32_unstated_ones_to_come_before_it() -> None:
    unstated = [money(f"2026-03-02 10:{number:02}", 10, f"t{number}") for number in range(40)]
    for when, stands in (("2026-03-02 09:00", 500 + 400 - 80), ("2026-03-02 10:20:30", 500 + 190)):
        stated = money(when, 1, "s", after=500)
        scenario = Scenario({"r1": PLAIN}, [activation("r1"), *unstated, stated], at("2026-03-02 12:00"))
        assert differences(scenario) == []
        assert reference_of(scenario).measure("C1", scenario.end_ms)["assets"] == f"{stands}.00"
