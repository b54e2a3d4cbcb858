"""Berka, a real Czech bank of 1993 to 1998, as bank transactions (PKDD'99 Discovery Challenge).

`trans.asc` has a date and no time of day, and within one account and day its rows are shuffled. Here every day is
put back into booking order by the chain of its balances (`streams.sources.chain`), account by account, and the
rows of a day get times one second apart from 08:00 in the bank's zone: times increase through the whole output.

An account is a customer, named by the account's number. Amounts are koruna, taken as they are for CNY. Rows that
cannot be read are passed on as their raw text. Memory: one day of rows, and one balance an account.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from schemas.money import parse_fen
from schemas.topics import TRANSACTIONS
from streams.sources.berka_profiles import read_profiles
from streams.sources.chain import chain_order
from streams.sources.record import SourceError, SourceRecord

# Interest rows miss the chain by rounding, by ten hellers at most.
TOLERANCE_FEN = 10
_DAY_BEGINS_HOUR = 8
_BUSINESS_HOURS = timedelta(hours=24 - _DAY_BEGINS_HOUR)
_HEADER = "trans_id;account_id;date;type;operation;amount;balance;k_symbol;bank;account"

DIRECTIONS = {"PRIJEM": "credit", "VYDAJ": "debit", "VYBER": "debit"}
# What a row is for (k_symbol) says more than how it was paid (operation), so it is looked up first.
KIND_OF_SYMBOL = {
    "UROK": "interest",
    "SANKC. UROK": "penalty",
    "DUCHOD": "pension",
    "SIPO": "household",
    "SLUZBY": "fee",
    "POJISTNE": "insurance",
    "UVER": "repayment",
}
KIND_OF_OPERATION = {
    "VKLAD": "cash",
    "VYBER": "cash",
    "VYBER KARTOU": "card",
    "PREVOD Z UCTU": "transfer",
    "PREVOD NA UCET": "transfer",
}
_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)


class Row(NamedTuple):
    """A row that could be read; amounts as text as they stand, balances in fen for the chain."""

    trans_id: str
    account_id: str
    day: date
    direction: str
    amount: str
    balance: str
    kind: str
    before_fen: int
    after_fen: int


def read_berka(
    source: Path, zone: str, *, profiles: bool = False, prefix: str = "", notes: Counter[str] | None = None
) -> Iterator[SourceRecord]:
    """Read transactions, and on request profiles, in booking order.

    Args:
        source: `trans.asc`, or the folder that holds it (and the other files, for profiles).
        zone: the bank's time zone.
        profiles: also yield each account's owner as a profile, on the day the account was opened.
        prefix: put before every account's number to make the customer's id.
        notes: is added to: `account-days`, `chained`, `unchained` (kept in file order), `broken rows`.

    Raises:
        SourceError: the file is missing, or its first line is not Berka's.
    """
    path = source / "trans.asc" if source.is_dir() else source
    notes = Counter() if notes is None else notes
    waiting = read_profiles(path.parent, zone, prefix) if profiles else []
    balances: dict[str, int] = {}
    for day, rows, broken in _days(_lines(path)):
        notes["broken rows"] += len(broken)
        if day is not None:
            while waiting and waiting[-1].day <= day:
                yield waiting.pop().record
            yield from _day_records(day, _in_booking_order(rows, balances, notes), ZoneInfo(zone), prefix)
        yield from (SourceRecord(TRANSACTIONS, None, raw) for raw in broken)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            head = file.readline().decode("utf-8", "replace").replace('"', "").strip()
            if head != _HEADER:
                raise SourceError(f"{path}: expected Berka's first line {_HEADER!r}, got {head[:80]!r}")
            yield from (line.rstrip(b"\r\n") for line in file)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read as Berka's trans.asc: {error.strerror}") from error


def _days(lines: Iterable[bytes]) -> Iterator[tuple[date | None, list[Row], list[bytes]]]:
    """Rows of one date after the other, each with the unreadable lines that stand among them."""
    day: date | None = None
    rows: list[Row] = []
    broken: list[bytes] = []
    for line in lines:
        row = parse_row(line)
        if row is None:
            broken.append(line)
            continue
        if row.day != day:
            yield day, rows, broken
            day, rows, broken = row.day, [], []
        rows.append(row)
    yield day, rows, broken


def parse_row(line: bytes) -> Row | None:
    """Read one line of `trans.asc`; None when it is cut or broken."""
    try:
        fields = next(csv.reader([line.decode("ascii")], delimiter=";", strict=True))
        trans_id, account_id, when, type_, operation, amount, balance, symbol, _, _ = fields
        if not (_DIGITS.fullmatch(trans_id) and _DIGITS.fullmatch(account_id)):
            return None
        direction = DIRECTIONS[type_]
        amount_fen, after_fen = parse_fen(amount), parse_fen(balance)
        day = berka_date(when)
    except (ValueError, KeyError, csv.Error, StopIteration):
        return None
    kind = KIND_OF_SYMBOL.get(symbol.strip()) or KIND_OF_OPERATION.get(operation, "other")
    before_fen = after_fen - amount_fen if direction == "credit" else after_fen + amount_fen
    return Row(trans_id, account_id, day, direction, amount, balance, kind, before_fen, after_fen)


def berka_date(text: str) -> date:
    """Read YYMMDD of the twentieth century.

    Raises:
        ValueError: it is no such date.
    """
    if not re.fullmatch("[0-9]{6}", text, re.ASCII):
        raise ValueError("a date as YYMMDD")
    return date(1900 + int(text[:2]), int(text[2:4]), int(text[4:]))


def _in_booking_order(rows: list[Row], balances: dict[str, int], notes: Counter[str]) -> list[Row]:
    ordered: list[Row] = []
    by_account: dict[str, list[Row]] = {}
    for row in rows:
        by_account.setdefault(row.account_id, []).append(row)
    for account_id, booked in by_account.items():
        notes["account-days"] += 1
        steps = [(row.before_fen, row.after_fen) for row in booked]
        order = chain_order(steps, balances.get(account_id), TOLERANCE_FEN)
        if order is None:
            notes["unchained"] += 1
            balances.pop(account_id, None)  # which row came last is not known
            ordered += booked
        else:
            notes["chained"] += 1
            balances[account_id] = steps[order[-1]][1]
            ordered += (booked[i] for i in order)
    return ordered


def _day_records(day: date, rows: list[Row], zone: ZoneInfo, prefix: str) -> Iterator[SourceRecord]:
    begins = datetime(day.year, day.month, day.day, _DAY_BEGINS_HOUR, tzinfo=zone)
    step = min(timedelta(seconds=1), _BUSINESS_HOURS / max(1, len(rows)))
    for place, row in enumerate(rows):
        occurred_at = begins + place * step
        customer_id = prefix + row.account_id
        value = {
            "event_id": row.trans_id,
            "customer_id": customer_id,
            "occurred_at": occurred_at.isoformat(),
            "account_id": row.account_id,
            "direction": row.direction,
            "amount": row.amount,
            "balance_after": row.balance,
            "kind": row.kind,
        }
        yield SourceRecord(TRANSACTIONS, customer_id.encode(), msgspec.json.encode(value))
