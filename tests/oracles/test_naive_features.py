"""The oracle's own values, worked by hand: two implementations can be wrong alike."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from oracles import naive_features as naive

BANK = timezone(timedelta(hours=8))


def at(day: int, hour: int = 12, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=BANK)


@pytest.mark.parametrize(
    ("over", "previous", "first", "last"),
    [
        ("1d", False, date(2026, 3, 4), date(2026, 3, 4)),
        ("7d", False, date(2026, 2, 26), date(2026, 3, 4)),
        ("month", False, date(2026, 3, 1), date(2026, 3, 4)),
        ("month", True, date(2026, 2, 1), date(2026, 2, 28)),
        ("quarter", False, date(2026, 1, 1), date(2026, 3, 4)),
        ("quarter", True, date(2025, 10, 1), date(2025, 12, 31)),
        ("year", True, date(2025, 1, 1), date(2025, 12, 31)),
        ("12mo", False, date(2025, 4, 1), date(2026, 3, 4)),
    ],
)
def test_a_window_is_bank_days_from_first_to_last(over: str, previous: bool, first: date, last: date) -> None:
    assert naive.window(over, date(2026, 3, 4), previous=previous) == (first, last)


def test_an_average_counts_each_day_by_its_closing() -> None:
    movements = [(at(2), Decimal(60000)), (at(4), Decimal(-55000))]
    # closings from 1 March: 1000, 61000, 61000, 6000
    assert naive.average(Decimal(1000), movements, "month", at(4)) == Decimal("32250.00")
    assert naive.low(Decimal(1000), movements, "2d", at(4)) == 6000
    assert naive.high(Decimal(1000), movements, "3d", at(4)) == 61000


def test_an_average_of_half_a_fen_is_rounded_away_from_zero() -> None:
    assert naive.average(Decimal(0), [(at(4), Decimal("0.01"))], "2d", at(4)) == Decimal("0.01")
    assert naive.average(Decimal(0), [(at(4), Decimal("-0.01"))], "2d", at(4)) == Decimal("-0.01")


def test_hours_are_elapsed_time_open_at_their_start() -> None:
    events = [(at(4, 9), {}), (at(4, 10), {}), (at(4, 11), {})]
    assert naive.count(events, "2h", at(4, 11), lambda fields: True) == 2


def test_ties_at_the_top_go_to_the_one_seen_last() -> None:
    events = [(at(1), {"p": "b"}), (at(2), {"p": "a"}), (at(3), {"p": "a"}), (at(4), {"p": "b"})]
    assert naive.top(events, "p", "7d", at(4), lambda fields: True) == ("b", 2)
    assert naive.top([], "p", "7d", at(4), lambda fields: True) is None


def test_days_since_are_bank_days() -> None:
    assert naive.days_since([(at(2, 23), {})], at(4, 1), lambda fields: True) == 2
    assert naive.days_since([], at(4), lambda fields: True) is None


def test_a_purchase_of_a_wealth_product_moves_no_assets() -> None:
    common = {"direction": "credit", "own_transfer": True, "amount": Decimal(500), "balance_after": None}
    salary = {"event_id": "1", "account_id": "c", "account_type": "current", "own_transfer": False}
    leaves = {"event_id": "2", "account_id": "c", "account_type": "current", "direction": "debit"}
    arrives = {"event_id": "3", "account_id": "w", "account_type": "wealth"}
    bought = [
        (at(1), common | salary | {"balance_after": Decimal(800)}),
        (at(2), common | leaves),
        (at(2), common | arrives),
    ]
    opening, movements = naive.assets_money(bought)
    assert opening == 300
    assert naive.closing(opening, movements, date(2026, 3, 2), at(2)) == 800
