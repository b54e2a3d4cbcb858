"""Law: the compiled core says what the reference interpreter says, over made-up packs and histories.

`python -m tests.reference --seeds 1-10000` goes through many more.
"""

from typing import Any

from builders import activation, app, at, money, ticks
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference.compare import Scenario, differences
from reference.made_up import DrawnChoice, RandomChoice, made_up
from reference.shrink import story


@settings(max_examples=100)
@given(st.data())
def test_the_core_says_what_the_reference_says(data: Any) -> None:
    scenario = made_up(DrawnChoice(data.draw))
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
