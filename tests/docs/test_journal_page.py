"""`docs/journal.md` shows each kind of journal record as it is written, byte for byte."""

import re
from pathlib import Path

import pytest

from schemas.examples import journal_examples
from schemas.journal import decode_record, encode_record

PAGE = (Path(__file__).parents[2] / "docs" / "journal.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n.*?```json\n(.*?)\n```", PAGE, flags=re.MULTILINE | re.DOTALL))


def test_the_page_has_a_section_for_each_kind_and_no_other() -> None:
    assert sorted(SECTIONS) == sorted(journal_examples())


@pytest.mark.parametrize("kind", sorted(journal_examples()))
def test_each_example_decodes_and_is_what_ingest_writes(kind: str) -> None:
    record = journal_examples()[kind]
    assert decode_record(SECTIONS[kind].encode()) == record
    assert SECTIONS[kind] == encode_record(record).decode()
