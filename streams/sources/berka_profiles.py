"""Berka's accounts as profiles: the owner's birth date and gender, the branch's district, the opening date."""

import csv
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from schemas.topics import PROFILES
from streams.sources.record import SourceError, SourceRecord

_WOMENS_MONTHS = 50


class OpeningProfile(NamedTuple):
    day: date
    record: SourceRecord


def read_profiles(folder: Path, zone: str, prefix: str = "") -> list[OpeningProfile]:
    """Read every account's profile as of 00:00 of the day it was opened, the latest first.

    Args:
        folder: holds `account.asc`, `disp.asc`, `client.asc` and `district.asc`.
        prefix: put before every account's number to make the customer's id.

    Raises:
        SourceError: one of them is missing or has other columns.
    """
    clients = {row["client_id"]: row["birth_number"] for row in _table(folder / "client.asc", "birth_number")}
    owner = {
        row["account_id"]: row["client_id"]
        for row in _table(folder / "disp.asc", "type")
        if row["type"] == "OWNER"
    }
    regions = {row["A1"]: row["A3"] for row in _table(folder / "district.asc", "A3")}
    profiles = []
    for account in _table(folder / "account.asc", "district_id"):
        opened = _date(account["date"])
        birth_date, gender = _birth(clients[owner[account["account_id"]]])
        customer_id = prefix + account["account_id"]
        value = {
            "event_id": f"opened-{account['account_id']}",
            "customer_id": customer_id,
            "occurred_at": datetime(opened.year, opened.month, opened.day, tzinfo=ZoneInfo(zone)).isoformat(),
            "opened_on": opened.isoformat(),
            "birth_date": birth_date.isoformat(),
            "gender": gender,
            "region": regions[account["district_id"]],
        }
        record = SourceRecord(PROFILES, customer_id.encode(), msgspec.json.encode(value))
        profiles.append(OpeningProfile(opened, record))
    return sorted(profiles, key=lambda profile: profile.day, reverse=True)


def _table(path: Path, column: str) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="ascii", newline="") as file:
            rows = csv.DictReader(file, delimiter=";")
            if column not in (rows.fieldnames or ()):
                raise SourceError(f"{path}: expected a column {column!r}, got {rows.fieldnames}")
            yield from rows
    except OSError as error:
        raise SourceError(f"{path}: cannot be read, and profiles need it: {error.strerror}") from error


def _date(text: str) -> date:
    return date(1900 + int(text[:2]), int(text[2:4]), int(text[4:6]))


def _birth(birth_number: str) -> tuple[date, str]:
    month = int(birth_number[2:4])
    gender = "f" if month > _WOMENS_MONTHS else "m"
    return date(1900 + int(birth_number[:2]), month % _WOMENS_MONTHS, int(birth_number[4:6])), gender
