"""On a real bank's year, every account's features equal a naive recomputation from the raw file, to the fen.

The data is public but not ours to ship: it is looked for in `../shared/data`, or where TAGGER_DATA says.
"""

import csv
import os
from calendar import monthrange
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from oracles import naive_berka as naive
from pipeline import data

from streams.cli.features import features
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
BERKA = Path(os.environ.get("TAGGER_DATA", ROOT.parent / "shared" / "data")) / "berka"
PACK = """\
pack: berka
title: What stood on an account
features:
  balance: {expr: assets}
  thirty_days: {average_balance: assets, over: 30d}
  month: {average_balance: assets, over: month}
  last_month: {average_balance: assets, over: month, previous: true}
"""
Rows = dict[str, list[tuple[date, Decimal, Decimal]]]
FIRST_DAY, LAST_DAY = date(1993, 1, 1), date(1994, 3, 31)
"""Of the file."""
CHOSEN = (
    date(1993, 1, 31),  # the first month's end
    date(1993, 8, 17),  # a day in the middle
    date(1994, 1, 1),  # a year's first day: `month` is that day alone, `last_month` lies in another year
    LAST_DAY,  # a quarter's end too
    date(1996, 2, 29),  # long after the last row, which moves nothing any more; the end of a leap year's February
)


def drawn(random: Random) -> list[date]:
    """A day of each half of the file, and a month's end somewhere in it, other than those chosen."""
    days = [FIRST_DAY + timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1)]
    days = [day for day in days if day not in CHOSEN]
    middle = len(days) // 2
    ends = [day for day in days if day.day == monthrange(day.year, day.month)[1]]
    return [random.choice(days[:middle]), random.choice(days[middle:]), random.choice(ends)]


DAYS = [*CHOSEN, *drawn(Random("berka"))]


@pytest.fixture(scope="module")
def raw() -> Rows:
    return naive.read_rows(data("berka") / "trans.asc")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "berka.yaml").write_text(PACK)
    return folder


def test_every_account_begins_at_nothing(raw: Rows) -> None:
    """What the oracle stands on: some row of the first day states the balance that it alone makes."""
    for account, rows in raw.items():
        assert any(balance == amount for when, amount, balance in rows if when == rows[0][0]), account


def test_the_days_lie_in_the_file_and_one_long_after_it(raw: Rows) -> None:
    days = [when for rows in raw.values() for when, _, _ in rows]
    assert (min(days), max(days)) == (FIRST_DAY, LAST_DAY)
    assert len(set(DAYS)) == len(DAYS)


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_features_equal_a_recomputation_from_the_raw_file(
    raw: Rows, rules: Path, tmp_path: Path, day: date
) -> None:
    out = tmp_path / "features.csv"
    arguments = [str(BERKA), "--format", "berka", "--rules", str(rules), "--at", str(day), "--out", str(out)]
    result = CliRunner().invoke(features, arguments, obj=Settings())
    assert result.exit_code == 0, result.output

    first_of_month = day.replace(day=1)
    last_of_month_before = first_of_month - timedelta(days=1)
    expected = {}
    for account, rows in raw.items():
        if rows[0][0] <= day:
            past = [row for row in rows if row[0] <= day]
            expected[account] = {
                "customer_id": account,
                "berka.balance": str(naive.closing(past, day)),
                "berka.thirty_days": str(naive.average(past, day - timedelta(days=29), day)),
                "berka.month": str(naive.average(past, first_of_month, day)),
                "berka.last_month": str(
                    naive.average(past, last_of_month_before.replace(day=1), last_of_month_before)
                ),
            }
    with out.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [line["customer_id"] for line in found] == sorted(expected)
    assert [line for line in found if line != expected[line["customer_id"]]] == []
