"""On a real bank's accounts, core and reference grade alike: the same levels at the same times.

`python -m tests.reference.berka` does this for every account; `docs/berka-tiers.md` holds what it printed.
"""

from collections import Counter

import pytest
from pipeline import data
from reference.berka import (
    LADDERS,
    ROOT,
    SCALE,
    Account,
    accounts,
    by_core,
    compared,
    moves,
    pack_text,
    table,
)


@pytest.fixture(scope="module")
def all_accounts() -> list[Account]:
    return accounts(data("berka"))


def test_core_and_reference_grade_a_real_banks_accounts_alike(all_accounts: list[Account]) -> None:
    sample = [account for account in all_accounts if int(account.number) % 100 == 0]
    up_and_down = Counter[str]()
    for account in sample:
        _, found, differs = compared(account, SCALE)
        assert not differs, f"account {account.number}: {differs}"
        for (_, _, way), count in found.items():
            up_and_down[way] += count
    assert up_and_down["up"] > len(sample)
    assert up_and_down["down"] > 0


def test_the_page_holds_what_the_core_says(all_accounts: list[Account]) -> None:
    """If not: `python -m tests.reference.berka` prints the table for it."""
    texts = {f"{pack}.yaml": pack_text(pack, SCALE) for pack in LADDERS}
    found = Counter[tuple[str, str, str]]()
    for account in all_accounts:
        found += moves(by_core(account, texts))
    assert table(found) in (ROOT / "docs" / "berka-tiers.md").read_text(encoding="utf-8")


def test_moves_are_counted_by_the_month_of_the_change() -> None:
    def opened(at: str, rank: int, before: int | None) -> dict[str, object]:
        value = {"rank": rank, "previous_rank": before}
        return {"rule": "r", "at": at, "change": "opened", "value": value}

    tags = [
        opened("1993-01-31T23:59:59+08:00", 1, None),
        opened("1993-02-01T00:00:00+08:00", 2, 1),
        opened("1993-02-28T23:00:00+08:00", 0, 2),
        {**opened("1993-02-28T23:00:00+08:00", 0, 2), "change": "revoked"},
    ]
    assert moves(tags) == {("r", "1993-02", "up"): 1, ("r", "1993-02", "down"): 1}
