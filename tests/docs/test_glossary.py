"""docs/glossary.md: its words in order, each once, and each thing where the page says."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ")
][1:]


def test_words_stand_in_order_and_once() -> None:
    words = [row[0] for row in ROWS]
    assert words == sorted(set(words))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_word_is_used_where_it_is_said_to_live(row: list[str]) -> None:
    module = (ROOT / row[2].strip("`")).read_text(encoding="utf-8").lower()
    names = [name.strip().removesuffix("s") for name in row[0].split(",")]
    said = [name for name in names if any(name.replace(" ", joint) in module for joint in (" ", "_", ""))]
    assert said, f"none of {names} in {row[2]}"
