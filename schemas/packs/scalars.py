"""The scalars of a rule pack: every one arrives as text and is read here.

Errors are `pydantic_core.PydanticCustomError` with `expected` and `got` in their context, so that a reader of
packs can say where it happened and what would have been right.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from keyword import iskeyword
from typing import Annotated, Any, Literal, NoReturn, get_args

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from schemas.bankday import Period

MAX_DAYS = 62
MAX_MONTHS = 36
_MAX_SLIDING_MS = MAX_DAYS * 86_400_000
_MAX_DURATION_MS = 3660 * 86_400_000
_MAX_DIGITS = 18

_NUMBER = re.compile(r"(-?)([0-9]{1,18}(?:_[0-9]{3})*)(\.[0-9]{1,9})?(万)?", re.ASCII)
_SPAN = re.compile(r"([1-9][0-9]{0,6})(mo|[smhd])", re.ASCII)
_DAYS = re.compile(r"([0-9]{1,4})d", re.ASCII)
_SETTING = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}(?:\.[A-Za-z0-9_.-]{1,64})?", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_SLUG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class Window:
    """What a feature looks back on.

    Attributes:
        unit: `days` and `months` are bank days and calendar months, today's included; `ms` slides, (now − N, now];
            `month`, `quarter`, `year` are the calendar period of today; `ever` is everything.
        count: how many days, months or milliseconds; 1 for a calendar period, 0 for `ever`.
        text: as the pack says it.
    """

    unit: Literal["days", "months", "ms", "month", "quarter", "year", "ever"]
    count: int
    text: str

    @property
    def is_calendar(self) -> bool:
        """A period of the calendar, so that `previous` has a meaning."""
        return self.unit in get_args(Period)

    @property
    def shortest_ms(self) -> int | None:
        """Length in milliseconds, of months and periods the shortest; None for `ever`."""
        day = _UNIT_MS["d"]
        lengths = {
            "days": day,
            "months": 28 * day,
            "ms": 1,
            "month": 28 * day,
            "quarter": 90 * day,
            "year": 365 * day,
        }
        return lengths[self.unit] * self.count if self.unit in lengths else None


def refuse(
    expected: str, got: object, nearest: str | None = None, *, at: tuple[str | int, ...] = (), in_key: bool = False
) -> NoReturn:
    """Say what a scalar should have been.

    Args:
        at: where in the value that is read the mistake stands; `in_key`: in the name there, not in what it holds.
    """
    shown = str(got) if len(str(got)) <= 64 else f"{str(got)[:61]}..."
    raise PydanticCustomError(
        "pack_value",
        "expected {expected}, got '{got}'",
        {"expected": expected, "got": shown, "nearest": nearest, "at": at, "in_key": in_key},
    )


def _text(value: object, expected: str) -> str:
    if not isinstance(value, str):
        refuse(expected, "a list" if isinstance(value, list | tuple) else "a mapping")
    return value


def parse_number(value: object) -> Decimal:
    """Read a decimal number; `5万` is 50000 and `50_000` is 50000."""
    if isinstance(value, Decimal):
        return value
    expected = "a number such as 0.2, 50000 or 5万"
    match = _NUMBER.fullmatch(_text(value, expected))
    if match is None:
        refuse(expected, value)
    sign, whole, fraction, wan = match.groups()
    digits = whole.replace("_", "")
    if len(digits) > _MAX_DIGITS:
        refuse(f"a number of at most {_MAX_DIGITS} digits", value)
    number = Decimal(f"{sign}{digits}{fraction or ''}")
    return number * 10_000 if wan else number


def parse_number_or_name(value: object) -> Decimal | str:
    """Read a number, or the name of a setting (`large`, `cuts.gold`) that stands for one."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str) and _SETTING.fullmatch(value):
        return value
    try:
        return parse_number(value)
    except PydanticCustomError:
        refuse("a number such as 0.2, 50000 or 5万, or the name of a setting", value)


def parse_share(value: object) -> Decimal:
    """Read a percentage (`95%`) or a decimal share, above 0 and at most 1."""
    if isinstance(value, Decimal):
        return value
    expected = "a share above 0% and at most 100%, such as 95%"
    text = _text(value, expected)
    share = parse_number(text[:-1]) / 100 if text.endswith("%") else parse_number(text)
    if not 0 < share <= 1:
        refuse(expected, value)
    return share


def parse_duration(value: object) -> int:
    """Read elapsed time (`30m`, `2h`, `7d` = 168 hours) as milliseconds."""
    if isinstance(value, int):
        return value
    expected = "a duration such as 30m, 2h or 7d"
    match = _SPAN.fullmatch(_text(value, expected))
    if match is None or match[2] == "mo":
        refuse(expected, value)
    duration_ms = int(match[1]) * _UNIT_MS[match[2]]
    if duration_ms > _MAX_DURATION_MS:
        refuse("a duration of at most 3660d", value)
    return duration_ms


def parse_days(value: object) -> int:
    """Read a whole number of days (`3d`, `0d`)."""
    if isinstance(value, int):
        return value
    expected = "a number of days such as 3d"
    match = _DAYS.fullmatch(_text(value, expected))
    if match is None:
        refuse(expected, value)
    return int(match[1])


def parse_window(value: object) -> Window:
    """Read a window: `Nd`, `Nmo`, `Nm`, `Nh`, `month`, `quarter`, `year` or `ever`."""
    if isinstance(value, Window):
        return value
    expected = "a window such as 7d, 12mo, 30m, 6h, month, quarter, year or ever"
    text = _text(value, expected)
    if text == "ever":
        return Window("ever", 0, text)
    if text in get_args(Period):
        return Window(text, 1, text)  # type: ignore[arg-type]
    match = _SPAN.fullmatch(text)
    if match is None or match[2] == "s":
        refuse(expected, value)
    count = int(match[1])
    if match[2] == "d":
        return _bounded(
            Window("days", count, text), MAX_DAYS, f"at most {MAX_DAYS}d; use months (12mo) above that"
        )
    if match[2] == "mo":
        return _bounded(Window("months", count, text), MAX_MONTHS, f"at most {MAX_MONTHS}mo; use ever above that")
    return _bounded(Window("ms", count * _UNIT_MS[match[2]], text), _MAX_SLIDING_MS, "at most 62 days in m or h")


def _bounded(window: Window, most: int, expected: str) -> Window:
    if window.count > most:
        refuse(f"a window of {expected}", window.text)
    return window


_MEANT_BOOLEANS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}


def parse_boolean(value: object) -> bool:
    """Read `true` or `false`."""
    if isinstance(value, bool):
        return value
    text = _text(value, "true or false")
    if text not in {"true", "false"}:
        refuse("true or false", text, nearest=_MEANT_BOOLEANS.get(text.lower()))
    return text == "true"


def parse_date(value: object) -> date:
    """Read an ISO date."""
    if isinstance(value, date):
        return value
    expected = "a date such as 2026-03-02"
    try:
        return date.fromisoformat(_text(value, expected))
    except ValueError:
        refuse(expected, value)


def parse_moment(value: object) -> datetime:
    """Read a time: `2026-03-02 09:00` (naive: bank time, seconds optional) or RFC 3339 with an offset (aware)."""
    if isinstance(value, datetime):
        return value
    expected = "a time such as 2026-03-02 09:00 (bank time) or 2026-03-02T09:00:00+08:00"
    text = _text(value, expected)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        refuse(expected, value)
    if len(text) < len("2026-03-02 09:00"):
        refuse(expected, value)
    return moment


def parse_first_moment(value: object) -> datetime:
    """Read a time, or a date as its first instant (bank time)."""
    if isinstance(value, str) and len(value) <= len("2026-03-02"):
        return datetime.combine(parse_date(value), time.min)
    return parse_moment(value)


def parse_last_moment(value: object) -> datetime:
    """Read a time, or a date as its last millisecond (bank time)."""
    if isinstance(value, str) and len(value) <= len("2026-03-02"):
        return datetime.combine(parse_date(value), time.max).replace(microsecond=999_000)
    return parse_moment(value)


def parse_identifier(value: object) -> str:
    """Read a name that expressions can use."""
    expected = "a name of letters, digits and _ that starts with a letter and is no word of Python"
    text = _text(value, expected)
    if not _IDENTIFIER.fullmatch(text) or iskeyword(text):
        refuse(expected, text)
    return text


def parse_slug(value: object) -> str:
    """Read the name of a rule, pack, level, need or offer family."""
    expected = "a lower-case word such as inflow-not-retained"
    text = _text(value, expected)
    if not _SLUG.fullmatch(text):
        refuse(expected, text)
    return text


def parse_text(value: object) -> str:
    """Read any text but the empty one."""
    text = _text(value, "text").strip()
    if not text:
        refuse("text", "nothing")
    return text


def parse_integer(value: object) -> int:
    """Read a whole number."""
    if isinstance(value, int):
        return value
    number = parse_number(value)
    if number != number.to_integral_value():
        refuse("a whole number", value)
    return int(number)


def parse_sequence(value: Any) -> Any:
    """Refuse a scalar or mapping where a list is meant; an empty value is an empty list."""
    if value == "":
        return []
    if isinstance(value, str | dict):
        refuse("a list", value if isinstance(value, str) else "a mapping")
    return value


def parse_mapping(value: Any) -> Any:
    """Refuse a scalar or list where a mapping is meant; an empty value is an empty mapping."""
    if value == "":
        return {}
    if isinstance(value, str | list):
        refuse("a mapping (name: value)", value if isinstance(value, str) else "a list")
    return value


# Beside each reader: what an editor, which reads YAML's own numbers and booleans, is told of it. A pattern holds
# for texts alone.
_NUMBER_PATTERN = "-?[0-9]{1,18}(_[0-9]{3})*([.][0-9]{1,9})?万?"
_DATE_PATTERN = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME_PATTERN = "[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
_SHARE_PATTERN = "((100([.]0+)?|[0-9]{1,2}([.][0-9]+)?)%|0?[.][0-9]+|1([.]0+)?)"
_WINDOW_PATTERN = (
    "(([1-9]|[1-5][0-9]|6[0-2])d|([1-9]|[12][0-9]|3[0-6])mo|[1-9][0-9]{0,4}m|[1-9][0-9]{0,3}h"
    "|month|quarter|year|ever)"
)
_WORDS = ["string", "number", "boolean"]


def _spelled(pattern: str, *examples: str, kinds: Sequence[str] = ("string",), **keywords: Any) -> WithJsonSchema:
    kind = kinds[0] if len(kinds) == 1 else list(kinds)
    return WithJsonSchema({"type": kind, "pattern": f"^{pattern}$", "examples": list(examples), **keywords})


NUMBER_SCHEMA = _spelled(_NUMBER_PATTERN, "50000", "5万", kinds=("number", "string"))
INTEGER_SCHEMA = _spelled(_NUMBER_PATTERN, "50", kinds=("integer", "string"))
BOOLEAN_SCHEMA = _spelled("(true|false)", "true", kinds=("boolean", "string"))
DATE_SCHEMA = _spelled(_DATE_PATTERN, "2026-03-02")
_MOMENT = _spelled(_DATE_PATTERN + _TIME_PATTERN, "2026-03-02 09:00")
_END = _spelled(f"{_DATE_PATTERN}({_TIME_PATTERN})?", "2026-03-02", "2026-03-02 09:00")

NumberOrName = Annotated[
    Decimal | str, BeforeValidator(parse_number_or_name), WithJsonSchema({"type": ["number", "string"]})
]
Days = Annotated[int, BeforeValidator(parse_days), _spelled("[0-9]+d", "3d")]
Share = Annotated[
    Decimal,
    BeforeValidator(parse_share),
    _spelled(_SHARE_PATTERN, "95%", kinds=("number", "string"), exclusiveMinimum=0, maximum=1),
]
DurationMs = Annotated[int, BeforeValidator(parse_duration), _spelled("[1-9][0-9]*[smhd]", "30m", "2h", "7d")]
WindowText = Annotated[
    Window,
    BeforeValidator(parse_window),
    PlainSerializer(lambda window: window.text),
    _spelled(_WINDOW_PATTERN, "7d", "12mo", "month", "ever"),
]
Boolean = Annotated[bool, BeforeValidator(parse_boolean)]
Integer = Annotated[int, BeforeValidator(parse_integer), INTEGER_SCHEMA]
Moment = Annotated[datetime, BeforeValidator(parse_moment), _MOMENT]
FirstMoment = Annotated[datetime, BeforeValidator(parse_first_moment), _END]
LastMoment = Annotated[datetime, BeforeValidator(parse_last_moment), _END]
Identifier = Annotated[str, BeforeValidator(parse_identifier)]
Slug = Annotated[str, BeforeValidator(parse_slug), WithJsonSchema({"type": ["string", "number"]})]
Text = Annotated[str, BeforeValidator(parse_text), Field(max_length=4000), WithJsonSchema({"type": _WORDS})]
