"""Windows and averages recomputed from all events, in the fewest lines; the oracle of the property tests.

Shares nothing with the code under test. An event is (when it occurred, its fields); a movement of money is (when,
signed amount). Times are aware datetimes, days are `date`s in the bank's zone, money is `Decimal` yuan. `now` is
the clock: what occurred after it does not exist yet. Semantics: rulebook.md section 2.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

Fields = dict[str, Any]
Event = tuple[datetime, Fields]
Movement = tuple[datetime, Decimal]
Where = Callable[[Fields], bool]

ZONE = "Asia/Shanghai"
FEN = Decimal("0.01")


def bank_day(moment: datetime, zone: str = ZONE) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def window(over: str, today: date, *, previous: bool = False) -> tuple[date, date]:
    """First and last day of `7d`, `12mo`, `month`, `quarter` or `year`; the last is today, unless closed."""
    if over in {"month", "quarter", "year"}:
        return _period(over, today, previous)
    if over.endswith("mo"):
        first = today.replace(day=1)
        for _ in range(int(over[:-2]) - 1):
            first = (first - timedelta(days=1)).replace(day=1)
        return first, today
    return today - timedelta(days=int(over[:-1]) - 1), today


def _period(over: str, today: date, previous: bool) -> tuple[date, date]:
    months = {"month": 1, "quarter": 3, "year": 12}[over]
    first = date(today.year, (today.month - 1) // months * months + 1, 1)
    if not previous:
        return first, today
    last = first - timedelta(days=1)
    return date(last.year, (last.month - 1) // months * months + 1, 1), last


def matching(
    events: Sequence[Event], over: str, now: datetime, where: Where, *, previous: bool = False
) -> list[Event]:
    """Events of a window that match, in order of time. `30m` and `2h` are elapsed time: (now − N, now]."""
    past = sorted((event for event in events if event[0] <= now and where(event[1])), key=lambda event: event[0])
    if over == "ever":
        return past
    if over[-1] in "mh" and over[:-1].isdigit():
        length = timedelta(minutes=int(over[:-1])) if over[-1] == "m" else timedelta(hours=int(over[:-1]))
        return [event for event in past if event[0] > now - length]
    first, last = window(over, bank_day(now), previous=previous)
    return [event for event in past if first <= bank_day(event[0]) <= last]


def count(events: Sequence[Event], over: str, now: datetime, where: Where, *, previous: bool = False) -> int:
    return len(matching(events, over, now, where, previous=previous))


def total(
    events: Sequence[Event], field: str, over: str, now: datetime, where: Where, *, previous: bool = False
) -> Decimal:
    """`sum`; of nothing, 0."""
    return sum((fields[field] for _, fields in matching(events, over, now, where, previous=previous)), Decimal(0))


def top(events: Sequence[Event], field: str, over: str, now: datetime, where: Where) -> tuple[str, int] | None:
    """The most frequent value and its count, ties to the one last in event time; None of nothing."""
    values = [fields[field] for _, fields in matching(events, over, now, where) if fields.get(field) is not None]
    if not values:
        return None
    most = max(values.count(value) for value in values)
    return next(value for value in reversed(values) if values.count(value) == most), most


def distinct(events: Sequence[Event], field: str, over: str, now: datetime, where: Where) -> int:
    values = {fields.get(field) for _, fields in matching(events, over, now, where)}
    return len(values - {None})


def days_since(events: Sequence[Event], now: datetime, where: Where) -> int | None:
    """Bank days since the last match; None when there is none."""
    days = [bank_day(when) for when, _ in matching(events, "ever", now, where)]
    return (bank_day(now) - max(days)).days if days else None


def closing(opening: Decimal, movements: Sequence[Movement], day: date, now: datetime) -> Decimal:
    """What stands when a day ends; for the day of `now`, what stands now."""
    return opening + sum((m for when, m in movements if when <= now and bank_day(when) <= day), Decimal(0))


def closings(
    opening: Decimal, movements: Sequence[Movement], over: str, now: datetime, *, previous: bool = False
) -> list[Decimal]:
    first, last = window(over, bank_day(now), previous=previous)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [closing(opening, movements, day, now) for day in days]


def average(
    opening: Decimal, movements: Sequence[Movement], over: str, now: datetime, *, previous: bool = False
) -> Decimal:
    """Mean of the daily closings, to the fen, halves away from zero (Decimal's ROUND_HALF_UP does that)."""
    found = closings(opening, movements, over, now, previous=previous)
    with localcontext(prec=60):
        return (sum(found, Decimal(0)) / len(found)).quantize(FEN, ROUND_HALF_UP)


def low(opening: Decimal, movements: Sequence[Movement], over: str, now: datetime) -> Decimal:
    return min(closings(opening, movements, over, now))


def high(opening: Decimal, movements: Sequence[Movement], over: str, now: datetime) -> Decimal:
    return max(closings(opening, movements, over, now))


def account_opening(transactions: Sequence[Event]) -> Decimal:
    """One account's opening balance: the earliest statement by (time, event id), less all amounts up to it."""
    ordered = sorted(transactions, key=lambda event: (event[0], event[1]["event_id"]))
    so_far = Decimal(0)
    for _, fields in ordered:
        so_far += _signed(fields)
        if fields.get("balance_after") is not None:
            stated: Decimal = fields["balance_after"]
            return stated - so_far
    return Decimal(0)


def account_money(transactions: Sequence[Event]) -> tuple[Decimal, list[Movement]]:
    """One account's opening balance and movements; on a loan account the amount owed."""
    return account_opening(transactions), [(when, _signed(fields)) for when, fields in transactions]


def assets_money(transactions: Sequence[Event]) -> tuple[Decimal, list[Movement]]:
    """Opening and movements of `assets`: current, term and wealth accounts, own transfers left out.

    A transaction's fields: `event_id`, `account_id`, `account_type`, `direction`, `amount`, `own_transfer`,
    `balance_after` or None.
    """
    opening = Decimal(0)
    for account in sorted(
        {fields["account_id"] for _, fields in transactions if fields["account_type"] != "loan"}
    ):
        opening += account_opening([event for event in transactions if event[1]["account_id"] == account])
    movements = []
    for when, fields in transactions:
        is_loan, is_own = fields["account_type"] == "loan", fields.get("own_transfer", False)
        if is_loan and is_own:
            movements.append((when, _signed(fields)))  # a repayment lowers what is owed, and assets with it
        elif not is_loan and not is_own:
            movements.append((when, _signed(fields)))
    return opening, movements


def _signed(fields: Fields) -> Decimal:
    """How a record moves its own account; on a loan account a debit raises what is owed."""
    amount: Decimal = fields["amount"]
    if fields["account_type"] == "loan":
        return amount if fields["direction"] == "debit" else -amount
    return amount if fields["direction"] == "credit" else -amount
