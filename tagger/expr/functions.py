"""The functions of the language: one table of specs, whose examples are run by the tests.

Every function is pure and strict: an unknown argument makes the result unknown, except in `coalesce`. Dates
are bank days; `today` is handed in where a spec says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from tagger.expr.scope import Type
from tagger.values.clv import PARAMETERS, clv, refuses


@dataclass(frozen=True)
class Example:
    """An expression, what its names stand for (dates as ISO text), and what it gives."""

    expression: str
    result: Any
    values: Mapping[str, Any] | None = None
    today: str = "2026-03-02"
    settings: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)


@dataclass(frozen=True)
class FunctionSpec:
    """One function.

    Attributes:
        arguments: types in order; `alike`: two or more of one type, which is the result's too; `model`: a
            summary, a group of settings and a number of days, of which the implementation is handed the
            summary's `parts`, the group's `settings` and the days, in this order.
        result: type of the result; None when it is that of the arguments.
        needs_today: the implementation's first argument is the bank day of now.
        strict: an unknown argument makes the result unknown.
        refuses: what is wrong with a group of settings; None when nothing is.
    """

    name: str
    usage: str
    summary: str
    arguments: tuple[Type, ...] | Literal["alike", "model"]
    result: Type | None
    implementation: Callable[..., Any]
    examples: tuple[Example, ...]
    needs_today: bool = False
    strict: bool = True
    types: tuple[Type, ...] = (Type.MONEY, Type.NUMBER, Type.DATE)
    parts: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    refuses: Callable[[Mapping[str, float]], str | None] | None = None


def least(*values: Any) -> Any:
    return None if None in values else min(values)


def greatest(*values: Any) -> Any:
    return None if None in values else max(values)


def first_known(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def anniversary(day: int, year: int) -> int:
    """The day of `year` on which a date returns; 29 February is kept on the 28th in other years."""
    when = date.fromordinal(day)
    if (when.month, when.day) == (2, 29):
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return date(year, 2, 29 if leap else 28).toordinal()
    return when.replace(year=year).toordinal()


def age(today: int | None, day: int | None) -> int | None:
    """Whole years from a date to today; negative before the date."""
    if today is None or day is None:
        return None
    year = date.fromordinal(today).year
    return year - date.fromordinal(day).year - (today < anniversary(day, year))


def any_age(today: int | None, days: tuple[int, ...] | None, youngest: Any, oldest: Any) -> bool | None:
    if today is None or days is None or youngest is None or oldest is None:
        return None
    return any(youngest <= years <= oldest for day in days if (years := age(today, day)) is not None)


def days_to(today: int | None, day: int | None) -> int | None:
    return None if today is None or day is None else day - today


def birthday_in(today: int | None, day: int | None, days: Any) -> bool | None:
    if today is None or day is None or days is None:
        return None
    year = date.fromordinal(today).year
    following = anniversary(day, year)
    if following < today:
        following = anniversary(day, year + 1)
    return bool(following - today <= days)


_BOUGHT = {"bought.x": 2, "bought.t_x": 213, "bought.T": 272, "bought.m": 3000}
_MODEL = {name: Decimal(number) for name, number in {
    "r": "0.2426", "alpha": "30.92", "a": "0.7928", "b": "2.4259", "p": "6.25", "q": "3.74", "v": "15.44",
    "discount": "0.1",
}.items()}  # fmt: skip

FUNCTIONS: Mapping[str, FunctionSpec] = {
    spec.name: spec
    for spec in (
        FunctionSpec(
            "min", "min(a, b, …)", "The least; unknown if one is.", "alike", None, least,
            (Example("min(3, 2.5, 4)", "2.5"), Example("min(a, 2)", None, {"a": None}),
             Example("min(assets, 1000)", "100000", {"assets": 500000})),
        ),
        FunctionSpec(
            "max", "max(a, b, …)", "The greatest; unknown if one is.", "alike", None, greatest,
            (Example("max(3, 2.5, 4)", "4"), Example("max(a, 2)", None, {"a": None})),
        ),
        FunctionSpec(
            "coalesce", "coalesce(a, b, …)", "The first that is known.", "alike", None, first_known,
            (Example("coalesce(a, 2)", "2", {"a": None}), Example("coalesce(a, 2)", "0", {"a": 0}),
             Example("coalesce(a, b)", None, {"a": None, "b": None})),
            strict=False, types=(Type.MONEY, Type.NUMBER, Type.DATE, Type.TEXT, Type.BOOLEAN),
        ),
        FunctionSpec(
            "age", "age(date)", "Whole years from a date to today; 29 February is kept on the 28th in others.",
            (Type.DATE,), Type.NUMBER, age,
            (Example("age(birth_date)", "25", {"birth_date": "2000-03-03"}),
             Example("age(birth_date)", "26", {"birth_date": "2000-03-02"}),
             Example("age(birth_date)", "26", {"birth_date": "2000-02-29"}, today="2026-02-28"),
             Example("age(birth_date)", "27", {"birth_date": "2000-02-29"}, today="2028-02-28"),
             Example("age(birth_date)", None, {"birth_date": None})),
            needs_today=True,
        ),
        FunctionSpec(
            "any_age", "any_age(dates, from, to)", "Whether one of the ages lies from … to, both included.",
            (Type.LIST, Type.NUMBER, Type.NUMBER), Type.BOOLEAN, any_age,
            (Example("any_age(children_birth_dates, 0, 17)", True, {"children_birth_dates": ("2008-03-03",)}),
             Example("any_age(children_birth_dates, 0, 17)", False, {"children_birth_dates": ("2008-03-02",)}),
             Example("any_age(children_birth_dates, 18, 25)", True, {"children_birth_dates": ("2000-03-03",)}),
             Example("any_age(children_birth_dates, 0, 17)", False, {"children_birth_dates": ()})),
            needs_today=True,
        ),
        FunctionSpec(
            "days_to", "days_to(date)", "Bank days from today to a date; negative once it has passed.",
            (Type.DATE,), Type.NUMBER, days_to,
            (Example("days_to(birth_date)", "3", {"birth_date": "2026-03-05"}),
             Example("days_to(birth_date)", "-1", {"birth_date": "2026-03-01"}),
             Example("days_to(birth_date)", None, {"birth_date": None})),
            needs_today=True,
        ),
        FunctionSpec(
            "birthday_in", "birthday_in(date, days)", "Whether the next birthday is at most that many days away.",
            (Type.DATE, Type.NUMBER), Type.BOOLEAN, birthday_in,
            (Example("birthday_in(birth_date, 7)", True, {"birth_date": "1990-03-09"}),
             Example("birthday_in(birth_date, 7)", False, {"birth_date": "1990-03-10"}),
             Example("birthday_in(birth_date, 7)", True, {"birth_date": "1990-01-02"}, today="2025-12-30"),
             Example("birthday_in(birth_date, 0)", True, {"birth_date": "2000-02-29"}, today="2026-02-28"),
             Example("birthday_in(birth_date, 3)", None, {"birth_date": None})),
            needs_today=True,
        ),
        FunctionSpec(
            "clv", "clv(summary, model, days)",
            "What a customer's transactions are worth over the coming days, discounted; `model` is a group of "
            "settings: r, alpha, a, b (BG/NBD), p, q, v (Gamma-Gamma) and discount (a year).",
            "model", Type.MONEY, clv,
            (Example("clv(bought, model, 365)", "4608", _BOUGHT, settings={"model": _MODEL}),
             Example("clv(bought, model, 365)", None, dict.fromkeys(_BOUGHT), settings={"model": _MODEL})),
            strict=False, parts=("x", "t_x", "T", "m"), settings=PARAMETERS, refuses=refuses,
        ),
    )
}  # fmt: skip
