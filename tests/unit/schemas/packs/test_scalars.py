"""The scalars of a pack, one line a case: text in, value out, or what was expected."""

from datetime import datetime
from decimal import Decimal

import pytest
from pydantic_core import PydanticCustomError

from schemas.packs.scalars import (
    parse_boolean,
    parse_duration,
    parse_first_moment,
    parse_identifier,
    parse_integer,
    parse_last_moment,
    parse_moment,
    parse_number,
    parse_share,
    parse_slug,
    parse_window,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.2", Decimal("0.2")),
        ("-5", Decimal(-5)),
        ("5万", Decimal(50_000)),
        ("0.5万", Decimal(5_000)),
        ("600万", Decimal(6_000_000)),
        ("50_000", Decimal(50_000)),
    ],
)
def test_number(text: str, expected: Decimal) -> None:
    assert parse_number(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5 万", "万", "1e5", "0x10", "NaN", "inf", "1.", ".5", "５", "1,000", "9" * 19]
)
def test_no_number(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="expected a number"):
        parse_number(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("30m", 1_800_000), ("2h", 7_200_000), ("7d", 7 * 24 * 3_600_000), ("45s", 45_000)]
)
def test_duration(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["7", "0d", "7 d", "-7d", "1.5h", "12mo", "month", "9999999d", "7D"])
def test_no_duration(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "unit", "count"),
    [
        ("62d", "days", 62),
        ("12mo", "months", 12),
        ("30m", "ms", 1_800_000),
        ("6h", "ms", 21_600_000),
        ("month", "month", 1),
        ("quarter", "quarter", 1),
        ("year", "year", 1),
        ("ever", "ever", 0),
    ],
)
def test_window(text: str, unit: str, count: int) -> None:
    window = parse_window(text)
    assert (window.unit, window.count, window.text) == (unit, count, text)
    assert window.is_calendar == (unit in {"month", "quarter", "year"})


@pytest.mark.parametrize("text", ["63d", "0d", "37mo", "30s", "week", "1489h", "", "7"])
def test_no_window(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="expected a window"):
        parse_window(text)


def test_share() -> None:
    assert parse_share("95%") == parse_share("0.95") == Decimal("0.95")
    assert parse_share("100%") == 1
    for text in ("0%", "101%", "1.5", "-5%", "x%"):
        with pytest.raises(PydanticCustomError):
            parse_share(text)


def test_times() -> None:
    assert parse_moment("2026-03-02 09:00") == datetime(2026, 3, 2, 9)
    assert parse_moment("2026-03-02 09:00:01") == datetime(2026, 3, 2, 9, 0, 1)
    aware = parse_moment("2026-03-02T09:00:00+08:00")
    assert aware.isoformat() == "2026-03-02T09:00:00+08:00"
    assert parse_first_moment("2026-03-02") == datetime(2026, 3, 2)
    assert parse_last_moment("2026-03-02") == datetime(2026, 3, 2, 23, 59, 59, 999_000)
    for text in ("2026-03-02", "2026-02-30 09:00", "09:00", "", "2026-03-02 25:00", "20260302T0900"):
        with pytest.raises(PydanticCustomError, match="expected a time"):
            parse_moment(text)


def test_words() -> None:
    assert parse_identifier("views_7d") == "views_7d"
    assert parse_slug("inflow-not-retained") == "inflow-not-retained"
    for text in ("for", "7d", "a-b", "ａ", "", "_a", "a" * 65):
        with pytest.raises(PydanticCustomError):
            parse_identifier(text)
    for text in ("A", "a b", "", "-a", "ä"):
        with pytest.raises(PydanticCustomError):
            parse_slug(text)


def test_booleans_and_whole_numbers() -> None:
    assert parse_boolean("true")
    assert not parse_boolean("false")
    assert parse_integer("32") == 32
    for text in ("yes", "True", "1", ""):
        with pytest.raises(PydanticCustomError, match="expected true or false"):
            parse_boolean(text)
    with pytest.raises(PydanticCustomError, match="a whole number"):
        parse_integer("1.5")


@pytest.mark.parametrize(
    "parse", [parse_number, parse_duration, parse_window, parse_moment, parse_slug, parse_share]
)
@pytest.mark.parametrize("value", [[], {}, ["1"]])
def test_a_list_or_mapping_is_told_as_such(parse: object, value: object) -> None:
    assert callable(parse)
    with pytest.raises(PydanticCustomError, match=r"got 'a (list|mapping)'"):
        parse(value)
