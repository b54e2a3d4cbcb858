"""Balances, from all transactions of a customer; late ones too, for late money is still money.

Amounts are yuan. A transaction's place in time is (`occurred_ms`, `event_id`).
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from fractions import Fraction

from schemas.journal import Transaction

ASSETS = ("current", "term", "wealth")
MEASURES = ("assets", *ASSETS, "loan")
DayOf = Callable[[int], date]


def place(event: Transaction) -> tuple[int, str]:
    return event.occurred_ms, event.event_id


def moves_account(event: Transaction) -> Fraction:
    """By how much a record moves its own account; a debit raises what is owed on a loan."""
    is_up = (event.direction == "credit") != (event.account_type == "loan")
    return Fraction(event.amount_fen, 100) * (1 if is_up else -1)


def moves_assets(event: Transaction) -> Fraction:
    """An own transfer moves `assets` on loan accounts alone, and there as it moves what is owed."""
    if event.account_type == "loan":
        return moves_account(event) if event.own_transfer else Fraction(0)
    return Fraction(0) if event.own_transfer else moves_account(event)


def opening(account: Iterable[Transaction]) -> Fraction:
    """What the earliest statement says, less all amounts up to and including its own; 0 when none is stated."""
    so_far = Fraction(0)
    for event in sorted(account, key=place):
        so_far += moves_account(event)
        if event.balance_after_fen is not None:
            return Fraction(event.balance_after_fen, 100) - so_far
    return Fraction(0)


def openings(events: Sequence[Transaction], types: Sequence[str]) -> Fraction:
    accounts: dict[tuple[str, str], list[Transaction]] = {}
    for event in events:
        if event.account_type in types:
            accounts.setdefault((event.account_type, event.account_id), []).append(event)
    return sum((opening(account) for account in accounts.values()), Fraction(0))


def series(events: Sequence[Transaction], measure: str) -> tuple[Fraction, list[tuple[Transaction, Fraction]]]:
    """What stood before everything, and each record with what it moves the measure by."""
    if measure == "assets":
        return openings(events, ASSETS), [(event, moves_assets(event)) for event in events]
    mine = [event for event in events if event.account_type == measure]
    return openings(mine, (measure,)), [(event, moves_account(event)) for event in mine]


def balance(events: Sequence[Transaction], measure: str) -> Fraction:
    """What stands now."""
    before, moves = series(events, measure)
    return before + sum((amount for _, amount in moves), Fraction(0))


def closings(
    events: Sequence[Transaction], measure: str, first: date, last: date, day_of: DayOf
) -> list[Fraction]:
    """What stood at the end of each day, both days included."""
    before, moves = series(events, measure)
    dated = [(day_of(event.occurred_ms), amount) for event, amount in moves]
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [before + sum((amount for day, amount in dated if day <= closing), Fraction(0)) for closing in days]


def above(events: Sequence[Transaction], opened: tuple[int, str]) -> Fraction:
    """By how much `assets` stand above the level just before an event, in event time."""
    return sum((moves_assets(event) for event in events if place(event) >= opened), Fraction(0))


def to_fen(value: Fraction) -> Fraction:
    """Rounded to the fen, halves away from zero."""
    fen = (abs(value) * 100 + Fraction(1, 2)).__floor__()
    return Fraction(fen, 100) * (1 if value > 0 else -1)
