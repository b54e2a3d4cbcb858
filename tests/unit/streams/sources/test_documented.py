"""docs/sources.md names every mapping and every story."""

from pathlib import Path

import pytest

from streams.sources.berka import DIRECTIONS, KIND_OF_OPERATION, KIND_OF_SYMBOL
from streams.sources.formats import FORMATS
from streams.sources.signals import SIGNALS
from streams.sources.simulate import Plan, simulate
from streams.sources.stories import STORIES
from streams.sources.taobao import ACTIONS, INVENTED_CATEGORIES, INVENTED_CHANNEL

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "sources.md").read_text()
PAIRS = [*KIND_OF_SYMBOL.items(), *KIND_OF_OPERATION.items(), *ACTIONS.items()]


@pytest.mark.parametrize(("there", "here"), PAIRS)
def test_a_mapping_is_in_a_table(there: str, here: str) -> None:
    assert f"| `{there}` | `{here}` |" in PAGE


@pytest.mark.parametrize("name", [*DIRECTIONS, *FORMATS, INVENTED_CHANNEL])
def test_a_name_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_invented_categories_stand_in_their_order() -> None:
    assert ", ".join(f"{n} `{name}`" for n, name in enumerate(INVENTED_CATEGORIES)) in PAGE


@pytest.mark.parametrize("story", STORIES)
def test_a_story_has_a_row(story: str) -> None:
    assert f"\n| `{story}` |" in PAGE


def test_a_story_s_row_names_every_rule_that_is_labelled_to_open() -> None:
    """And says that nothing comes on the way where nothing does."""
    bank = simulate(Plan(customers=300, days=130))
    for _ in bank.records():
        pass
    opened = {(label.story, label.rule) for label in bank.labels if label.change is not None}
    rows = {
        story: next(line for line in PAGE.splitlines() if line.startswith(f"| `{story}` |")) for story in STORIES
    }
    assert [(story, rule) for story, rule in sorted(opened) if f"`{rule}`" not in rows[story]] == []
    held = {story for story, rule in opened if rule in {signal.rule for signal in SIGNALS}}
    assert {story for story in STORIES if rows[story].endswith("| nothing |")} == {*STORIES} - held
