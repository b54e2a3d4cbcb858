"""docs/sources.md names every mapping and every story."""

from pathlib import Path

import pytest

from streams.sources.berka import DIRECTIONS, KIND_OF_OPERATION, KIND_OF_SYMBOL
from streams.sources.formats import FORMATS
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
