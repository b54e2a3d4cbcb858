"""Berka's balances and averages from the raw file, in the fewest lines.

Shares nothing with the reader or the core: Decimal instead of integers, lists instead of windows, all days of an
account walked one by one. Every account in the file begins at nothing (`tests/laws/test_berka_features.py` checks
it on the raw rows), so a closing balance is the sum of all signed amounts up to and including the day.
"""

from collections import defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

FEN = Decimal("0.01")
CREDIT = "PRIJEM"


def read_rows(path: Path) -> dict[str, list[tuple[date, Decimal, Decimal]]]:
    """Account → (date, signed amount, stated balance) of every whole row, in file order."""
    accounts = defaultdict(list)
    for line in path.read_text("ascii").split("\n")[1:]:
        fields = line.strip().replace('"', "").split(";")
        if len(fields) == 10:
            when = date(1900 + int(fields[2][0:2]), int(fields[2][2:4]), int(fields[2][4:6]))
            amount = Decimal(fields[5]) if fields[3] == CREDIT else -Decimal(fields[5])
            accounts[fields[1]].append((when, amount, Decimal(fields[6])))
    return dict(accounts)


def closing(rows: list[tuple[date, Decimal, Decimal]], day: date) -> Decimal:
    """What stands on the account when the day ends."""
    return sum((amount for when, amount, _ in rows if when <= day), Decimal(0)).quantize(FEN)


def average(rows: list[tuple[date, Decimal, Decimal]], first: date, last: date) -> Decimal:
    """Mean of the daily closings from `first` to `last`, both included, to the cent, halves away from zero."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return (sum((closing(rows, day) for day in days), Decimal(0)) / len(days)).quantize(FEN, ROUND_HALF_UP)
