"""Balances, from all transactions of a customer; late ones too, for late money is still money.

Amounts are whole fen here, and yuan for who asks. A transaction's place in time is (`occurred_ms`, `event_id`).
All functions take transactions in the order in which they arrived: what is remembered is bounded by number
(docs/decisions.md, 10).
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from fractions import Fraction

from schemas.journal import Transaction

ASSETS = ("current", "term", "wealth")
MEASURES = ("assets", *ASSETS, "loan")
MOST_EARLY = 32
"""Transactions before an account's first stated balance whose place in time is remembered."""
MOST_FLOWS = 64
"""Movements of `assets` remembered for opening events that arrive after later ones."""
DayOf = Callable[[int], date]


def place(event: Transaction) -> tuple[int, str]:
    return event.occurred_ms, event.event_id


def moves_account(event: Transaction) -> int:
    """By how much a record moves its own account; a debit raises what is owed on a loan."""
    is_up = (event.direction == "credit") != (event.account_type == "loan")
    return event.amount_fen if is_up else -event.amount_fen


def moves_assets(event: Transaction) -> int:
    """An own transfer moves `assets` on loan accounts alone, and there as it moves what is owed."""
    if event.account_type == "loan":
        return moves_account(event) if event.own_transfer else 0
    return 0 if event.own_transfer else moves_account(event)


def opening(account: Sequence[Transaction]) -> int:
    """What the earliest statement says, less all amounts up to and including its own; 0 when none is stated."""
    first = min((event for event in account if event.balance_after_fen is not None), key=place, default=None)
    if first is None:
        return 0
    forgotten = _forgotten(account)
    before = [event for number, event in enumerate(account) if place(event) < place(first) or number in forgotten]
    assert first.balance_after_fen is not None
    return first.balance_after_fen - moves_account(first) - sum(moves_account(event) for event in before)


def _forgotten(account: Sequence[Transaction]) -> set[int]:
    """Which transactions are taken to come before any statement, whenever they were: the oldest beyond those that
    are remembered."""
    stated: tuple[int, str] | None = None
    early: list[int] = []
    forgotten: set[int] = set()
    for number, event in enumerate(account):
        if stated is not None and place(event) > stated:
            continue
        if event.balance_after_fen is not None:
            stated = place(event)
            early = [one for one in early if place(account[one]) < stated]
            continue
        early.append(number)
        if len(early) > MOST_EARLY:
            oldest = min(early, key=lambda one: place(account[one]))
            early.remove(oldest)
            forgotten.add(oldest)
    return forgotten


def openings(events: Sequence[Transaction], types: Sequence[str]) -> int:
    accounts: dict[tuple[str, str], list[Transaction]] = {}
    for event in events:
        if event.account_type in types:
            accounts.setdefault((event.account_type, event.account_id), []).append(event)
    return sum(opening(account) for account in accounts.values())


def series(events: Sequence[Transaction], measure: str) -> tuple[int, list[tuple[int, int]]]:
    """What stood before everything, and (`occurred_ms`, by how much) of each record that moves the measure."""
    if measure == "assets":
        return openings(events, ASSETS), [(event.occurred_ms, moves_assets(event)) for event in events]
    mine = [event for event in events if event.account_type == measure]
    return openings(mine, (measure,)), [(event.occurred_ms, moves_account(event)) for event in mine]


def balance(events: Sequence[Transaction], measure: str) -> Fraction:
    """What stands now, in yuan."""
    before, moves = series(events, measure)
    return Fraction(before + sum(fen for _, fen in moves), 100)


def closings(events: Sequence[Transaction], measure: str, first: date, last: date, day_of: DayOf) -> list[int]:
    """What stood at the end of each day in fen, both days included."""
    stands, moves = series(events, measure)
    by_day: dict[date, int] = {}
    for occurred_ms, fen in moves:
        day = max(day_of(occurred_ms), first)
        by_day[day] = by_day.get(day, 0) + fen
    found = []
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        stands += by_day.get(day, 0)
        found.append(stands)
    return found


def above(events: Sequence[Transaction], kept: Sequence[bool], number: int) -> Fraction:
    """By how much `assets` stand above the level just before one of the events, in event time; in yuan.

    Args:
        kept: of each event, whether what it moved is remembered for one that arrives after it.
    """
    opened, before, after = events[number], events[: number + 1], events[number + 1 :]
    moves = [event for event, is_kept in zip(before, kept, strict=False) if is_kept and moves_assets(event)]
    remembered = moves[-MOST_FLOWS:]
    later = [event for event in (*remembered, *after) if place(event) > place(opened)]
    return Fraction(moves_assets(opened) + sum(moves_assets(event) for event in later), 100)


def to_fen(value: Fraction) -> Fraction:
    """Rounded to the fen, halves away from zero."""
    fen = (abs(value) * 100 + Fraction(1, 2)).__floor__()
    return Fraction(fen, 100) * (1 if value > 0 else -1)
