"""What a case expects against what came: tags and features, each difference said in words."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from schemas.bankday import BankCalendar
from schemas.packs.cases import Expected
from schemas.packs.model import MONEY_NAMES


def tag_differences(expect: Sequence[Expected], tags: list[dict[str, Any]], calendar: BankCalendar) -> str:
    """What differs between a case's tags and the ones that came, "" for nothing; order in one instant is free."""
    missing, extra = list(expect), list(tags)
    problems: list[str] = []
    for expected in expect:
        found = next((tag for tag in extra if _is_same(expected, tag, calendar)), None)
        if found is None:
            continue
        missing.remove(expected)
        extra.remove(found)
        problems += _differences(expected, found)
    problems += [f"expected {_describe_expected(one, calendar)}, which did not come" for one in missing]
    problems += [f"{_describe_tag(tag)} came, which was not expected" for tag in extra]
    return "; ".join(problems)


def _is_same(expected: Expected, tag: dict[str, Any], calendar: BankCalendar) -> bool:
    at = calendar.format(calendar.instant_ms(expected.at))
    same = (expected.change, expected.rule, at) == (tag["change"], tag["rule"], tag["at"])
    return same and (expected.level is None or expected.level == tag["level"])


def _differences(expected: Expected, tag: dict[str, Any]) -> Iterator[str]:
    if expected.reason is not None and expected.reason != tag["reason"]:
        yield f"{_describe_tag(tag)}: expected reason {expected.reason}, got {tag['reason']}"
    for name, text in (expected.value or {}).items():
        if name not in tag["value"]:
            carried = ", ".join(tag["value"]) or "none"
            yield f"{_describe_tag(tag)}: expected value {name}: {text}, got only {carried}"
        elif not _is_same_value(text, tag["value"][name]):
            yield f"{_describe_tag(tag)}: expected value {name}: {text}, got {tag['value'][name]}"


def feature_differences(pack: str, expect: Mapping[str, str], values: Mapping[str, str | None]) -> str:
    """What differs between a case's features and a customer's measured values, by column; "" for nothing."""
    problems: list[str] = []
    for name, text in expect.items():
        column = name if name in MONEY_NAMES else f"{pack}.{name}"
        if column not in values:
            problems.append(f"expected feature {name}: {text}, but the pack has no such feature")
        elif not _is_same_value(text, values[column]):
            problems.append(f"expected feature {name}: {text}, got {values[column]}")
    return "; ".join(problems)


def _is_same_value(text: str, printed: Any) -> bool:
    """Whether a case's text means a printed value: numbers as numbers, `unknown` as null."""
    if printed is None or text == "unknown":
        return printed is None and text == "unknown"
    if isinstance(printed, bool):
        return text == ("true" if printed else "false")
    try:
        return Decimal(text) == Decimal(str(printed))
    except InvalidOperation:
        return text == str(printed)


def _describe_expected(expected: Expected, calendar: BankCalendar) -> str:
    at = calendar.format(calendar.instant_ms(expected.at))
    level = "" if expected.level is None else f" level {expected.level}"
    return f"{at} {expected.change} {expected.rule}{level}"


def _describe_tag(tag: dict[str, Any]) -> str:
    level = "" if tag["level"] is None else f" level {tag['level']}"
    return f"{tag['at']} {tag['change']} {tag['rule']}{level} {tag['value']}"
