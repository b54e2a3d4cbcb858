"""Generated pages are what the code would generate now."""

import json
from fnmatch import fnmatch

import pytest

from schemas.packs.json_schema import MANIFEST_SCHEMA_FILE, PACK_SCHEMA_FILE, POLICY_SCHEMA_FILE
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


def test_an_editor_finds_one_schema_for_every_file_of_the_rules() -> None:
    root = DOCS.parent
    schemas = json.loads((root / ".vscode/settings.json").read_text(encoding="utf-8"))["yaml.schemas"]
    expected = {"rulebook.yaml": MANIFEST_SCHEMA_FILE, "policy.yaml": POLICY_SCHEMA_FILE}
    for path in (root / "rules").glob("*.yaml"):
        name = path.relative_to(root).as_posix()
        chosen = [schema for schema, globs in schemas.items() if _is_chosen(name, globs)]
        assert chosen == [f"docs/{expected.get(path.name, PACK_SCHEMA_FILE)}"], name
    assert {schema.removeprefix("docs/") for schema in schemas} <= PAGES.keys()


def _is_chosen(name: str, globs: str | list[str]) -> bool:
    patterns = [globs] if isinstance(globs, str) else globs
    refused = any(fnmatch(name, pattern[1:]) for pattern in patterns if pattern.startswith("!"))
    return not refused and any(fnmatch(name, pattern) for pattern in patterns)
