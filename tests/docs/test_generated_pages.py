"""Generated pages are what the code would generate now."""

import pytest

from streams.settings import Settings
from tools.docs import DOCS, PAGES, settings_page


@pytest.mark.parametrize("name", PAGES)
def test_page_is_current(name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), f"docs/{name} is not what the code says; run: make docs"


def test_every_setting_has_a_row_with_its_variable_and_a_description() -> None:
    rows = {row.split("`")[1]: row for row in settings_page().splitlines() if row.startswith("| `")}
    assert rows.keys() == Settings.model_fields.keys()
    for name, row in rows.items():
        assert f"`TAGGER_{name.upper()}`" in row
        assert row.rstrip(" |").endswith("."), f"setting {name} has no description that ends in a full stop"


def test_known_rows_read_as_a_person_expects() -> None:
    page = settings_page()
    assert "| `clock` | `TAGGER_CLOCK` | `wall`, `events` | `wall` |" in page
    assert "| `dedupe_count` | `TAGGER_DEDUPE_COUNT` | whole number ≥ 1 ≤ 4096 | `64` |" in page
