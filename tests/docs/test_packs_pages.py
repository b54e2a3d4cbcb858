"""docs/coverage.md names packs, rules and cases as they are, and every rule; docs/packs.md shows what is live."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.packs.cases import Case
from schemas.packs.pack import Pack
from schemas.packs.rules import GradedRule, Offer
from schemas.packs.scalars import parse_window
from streams.rulebooks.folder import read_folder
from tagger.packs.rulebook import read_rulebook
from tools.packs_page import duration_words, number_words, packs_page, window_words

ROOT = Path(__file__).resolve().parents[2]
RULEBOOK = read_rulebook(read_folder(ROOT / "rules"))
PACKS = {pack.pack: pack for pack in RULEBOOK.packs}


def coverage_rows() -> list[tuple[str, ...]]:
    """The rows of the tables that name a pack, a rule and a case."""
    rows = []
    for line in (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8").splitlines():
        cells = tuple(cell.strip() for cell in line.strip("|").split(" | "))
        if line.startswith("| ") and len(cells) == 4 and cells[1] != "pack":
            rows.append(cells)
    return rows


def offer_rows() -> list[tuple[str, ...]]:
    """The rows of the table of offer families: the family, who offers it first, who beside another."""
    text = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
    section = text.split("\n## Offer families\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines[1:]]


def offers() -> Iterator[tuple[str, Offer]]:
    """Each offer of a live rule with who makes it: a rule, or a level of one."""
    for name, (_, rule) in RULEBOOK.rules.items():
        if rule.offer is not None:
            yield name, rule.offer
        if isinstance(rule, GradedRule):
            yield from ((f"{name} at {level}", offer) for level, offer in rule.offers.items())


def named(pack: Pack, it: str) -> Case | None:
    return next((case for case in pack.cases if case.it == it), None)


@pytest.mark.parametrize("row", coverage_rows(), ids=lambda row: row[0])
def test_a_row_names_a_pack_a_rule_of_it_and_a_case_that_looks_at_the_rule(row: tuple[str, ...]) -> None:
    _, pack_name, rule, it = row
    pack = PACKS[pack_name]
    assert rule in pack.rules
    case = named(pack, it)
    assert case is not None, f"{pack_name} has no case `{it}`"
    if rule not in {tag.rule for tag in case.expect}:
        # It shows of the rule that it stays silent, looks at it by name or in a pack of its own, and says so.
        assert not case.expect
        assert rule in (case.rules or ()) or set(pack.rules) == {rule}
        assert "silent" in it


def test_every_rule_stands_in_the_coverage() -> None:
    assert {rule for _, _, rule, _ in coverage_rows()} == set(RULEBOOK.rules)


@pytest.mark.parametrize("row", offer_rows(), ids=lambda row: row[0])
def test_a_row_of_an_offer_family_names_all_who_offer_it(row: tuple[str, ...]) -> None:
    told, first, beside = row
    family = told.rpartition("`")[0].rpartition("`")[2]
    assert first.split(", ") == ([who for who, offer in offers() if offer.family == family] or ["–"])
    assert beside.split(", ") == ([who for who, offer in offers() if family in offer.also] or ["–"])


def test_every_offer_family_of_the_packs_stands_in_the_coverage() -> None:
    families = {family for _, offer in offers() for family in (offer.family, *offer.also)} - {"none"}
    page = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
    assert [family for family in sorted(families) if f"`{family}`" not in page] == []


def test_the_page_shows_every_rule_setting_feature_and_case_once() -> None:
    page = packs_page()
    headings = re.findall(r"^### (.*)$", page, flags=re.M)
    assert headings == list(RULEBOOK.rules)
    shown = sorted(re.findall(r"^- It (.*)\.$", page, flags=re.M))
    assert shown == sorted(case.it for pack in PACKS.values() for case in pack.cases)
    for pack in PACKS.values():
        assert all(f"| `{name}` | " in page for name in (*pack.settings, *pack.features))


def test_a_reviewer_reads_thresholds_and_cases_in_words() -> None:
    page = packs_page()
    levels = "ordinary otherwise; potential from 5,000; gold from 50,000; platinum from 200,000; "
    assert f"- Levels by `average`: {levels}private_banking from 6,000,000." in page
    assert "- Watches for 7 days after transactions where `direction ==" in page
    assert (
        "  - Given: 2026-03-02 09:00 credit 60,000, balance_after 61,000; 2026-03-04 10:00 debit 55,000." in page
    )
    assert "- From high up a second person approves before it takes effect." in page
    assert "mean of the daily closings of `assets`, in the quarter that closed last" in page


def test_words_for_numbers_durations_and_windows() -> None:
    assert number_words(Decimal("6E+6")) == "6,000,000"
    assert number_words(Decimal("0.20")) == "0.2"
    assert [duration_words(ms) for ms in (1_000, 1_800_000, 86_400_000, 129_600_000)] == [
        "1 seconds",
        "30 minutes",
        "1 day",
        "36 hours",
    ]
    words = {text: window_words(parse_window(text)) for text in ("7d", "12mo", "1d", "quarter", "ever", "6h")}
    assert words == {
        "7d": "in 7 days, today's included",
        "12mo": "in 12 calendar months, today's included",
        "1d": "in the running day",
        "quarter": "in the running quarter",
        "ever": "since the beginning",
        "6h": "in the last 6 hours",
    }
    assert window_words(parse_window("month"), previous=True) == "in the month that closed last"
