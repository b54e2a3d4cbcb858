"""Law: the compiled core says what the reference interpreter says, over made-up packs and histories.

`python -m tests.reference --seeds 1-10000` goes through many more.
"""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference.compare import differences
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
