"""What each feature verb gives, from all the records it looks at (rulebook.md section 2).

`VERBS` tells what a feature is worth at an instant, `enters` whether a record is among what it looks at then, so
that the record touches the rules that read it.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from reference import money
from reference.sight import Known, Sight
from schemas.journal import Transaction
from schemas.packs import features as pack

KEPT = 64
DAYS_TOLD_APART = 32
MONTHS = {"month": 1, "quarter": 3, "year": 12}


# Windows


def month_start(day: date, back: int = 0) -> date:
    """The first day of the month so many months before a day's."""
    index = day.year * 12 + day.month - 1 - back
    return date(index // 12, index % 12 + 1, 1)


def period_start(unit: str, day: date, back: int = 0) -> date:
    """The first day of the period so many periods before a day's."""
    months = MONTHS[unit]
    first = date(day.year, (day.month - 1) // months * months + 1, 1)
    return month_start(first, back * months)


def window_days(window: Any, today: date, previous: bool = False) -> tuple[date, date]:
    """First and last day that a window of days covers."""
    match window.unit:
        case "days":
            return today - timedelta(days=window.count - 1), today
        case "months":
            return month_start(today, window.count - 1), today
        case "ever":
            return date.min, date.max
    if previous:
        return period_start(window.unit, today, 1), period_start(window.unit, today) - timedelta(days=1)
    return period_start(window.unit, today), today


def is_inside(model: Any, sight: Sight, known: Known) -> bool:
    """Whether a record lies in the window of a feature, as of now."""
    window = model.over
    if window.unit == "ms":
        return sight.now_ms - window.count < known.record.occurred_ms <= sight.now_ms
    first, last = window_days(window, sight.today, getattr(model, "previous", False))
    return first <= known.day <= last


# Records


def matching(model: Any, sight: Sight) -> list[Known]:
    """The records of a feature's source that its filter lets through, in order of time."""
    found = [known for known in sight.folded_for(model) if matches(model, sight, known)]
    return sorted(found, key=lambda known: (known.record.occurred_ms, known.record.event_id))


def matches(model: Any, sight: Sight, known: Known) -> bool:
    if known.late or known.record.source_kind != model.source:
        return False
    return model.where is None or sight.record_test(model.where, known.record)


def fields(model: Any, sight: Sight) -> list[Any]:
    """The known values of a feature's field in its window, in order of time."""
    inside = [known for known in matching(model, sight) if is_inside(model, sight, known)]
    values = [sight.field(known.record, model.field) for known in inside]
    return [value for value in values if value is not None]


def _counted(model: Any, sight: Sight) -> Any:
    inside = [known for known in matching(model, sight) if is_inside(model, sight, known)]
    return len(inside[-KEPT:] if model.over.unit == "ms" else inside)


def _summed(model: Any, sight: Sight) -> Any:
    values = fields(model, sight)
    return sum(values[-KEPT:] if model.over.unit == "ms" else values)


def _distinct(model: Any, sight: Sight) -> Any:
    return min(len(set(fields(model, sight))), model.at_most)


def _top(model: Any, sight: Sight) -> Any:
    values = fields(model, sight)
    if not values:
        return None, None
    most = max(values.count(value) for value in values)
    return next(value for value in reversed(values) if values.count(value) == most), most


def _days_since(model: Any, sight: Sight) -> Any:
    days = [known.day for known in matching(model, sight)]
    return (sight.today - max(days)).days if days else None


def _next(model: Any, sight: Sight) -> Any:
    dates = [sight.field(known.record, model.field) for known in matching(model, sight)]
    return min((day for day in dates if day is not None and day >= sight.today), default=None)


def _summary(model: Any, sight: Sight) -> Any:
    found = [known for known in sight.folded_for(model) if matches(model, sight, known)]
    if not found:
        return 0, 0, None, None, None, None, None
    first, last = min(known.day for known in found), max(known.day for known in found)
    x = _days_counted(found) - 1
    m = sum(_amount(known) for known in found if known.day != first) / x if x else None
    mean = sum(_amount(known) for known in found) / len(found)
    return len(found), x + 1, mean, x, (last - first).days, (sight.today - first).days, m


def _days_counted(found: list[Known]) -> int:
    """How many days have a match, in the order of arrival. One further back than those remembered, other than the
    first of all, counts each time anew (docs/decisions.md, 15)."""
    first, counted, remembered = found[0].day, 1, {found[0].day}
    for known in found[1:]:
        if known.day == first:
            continue
        counted += known.day not in remembered
        first = min(first, known.day)
        oldest = known.today - timedelta(days=DAYS_TOLD_APART - 1)
        remembered = {day for day in {*remembered, known.day} if day >= oldest}
    return counted


def _amount(known: Known) -> Fraction:
    assert isinstance(known.record, Transaction)
    return Fraction(known.record.amount_fen, 100)


def largest_by_period(model: Any, sight: Sight) -> dict[date, Known]:
    """A period's match is its largest; of equal ones the first."""
    best: dict[date, Known] = {}
    for known in matching(model, sight):
        start = period_start(model.every, known.day)
        if start not in best or _amount(known) > _amount(best[start]):
            best[start] = known
    return best


def _recurring(model: Any, sight: Sight) -> Any:
    unit, best = model.every, largest_by_period(model, sight)
    current = period_start(unit, sight.today)
    first_without = period_start(unit, current, -1) if current in best else current
    wanted = [period_start(unit, first_without, back) for back in range(1, model.times + 1)]
    if any(start not in best for start in wanted):
        return False, None, None, None
    numbers = [_number(unit, start, best[start].day) for start in wanted]
    usual = lower_middle(numbers)
    if any(abs(number - usual) > model.slack_days for number in numbers):
        return False, None, None, None
    last = period_start(unit, first_without, -1) - timedelta(days=1)
    usual = min(usual, (last - first_without).days + 1)
    ahead = timedelta(days=usual - 1)
    coming = first_without + ahead if unit == "month" else last - ahead
    return True, usual, coming, lower_middle([_amount(best[start]) for start in wanted])


def _number(unit: str, start: date, day: date) -> int:
    """A day's number from 1: from the start of a month, from the end of a quarter or year."""
    if unit == "month":
        return (day - start).days + 1
    return (period_start(unit, start, -1) - day).days


def lower_middle(values: list[Any]) -> Any:
    return sorted(values)[(len(values) - 1) // 2]


# Balances


def _average(model: Any, sight: Sight) -> Any:
    found = _closings(model, sight)
    return money.to_fen(Fraction(sum(found), 100 * len(found)))


def _closings(model: Any, sight: Sight) -> list[int]:
    first, last = window_days(model.over, sight.today, getattr(model, "previous", False))
    return money.closings(sight.transactions, model.balance, first, last, sight.day_of)


# The profile's lists


def _items(model: Any, sight: Sight) -> Iterator[Any]:
    for item in () if sight.profile is None else getattr(sight.profile.attributes, model.source):
        if model.where is None or sight.item_test(model.where, item):
            yield item


def _item_values(model: Any, sight: Sight) -> list[Any]:
    values = [sight.item_field(item, model.field) for item in _items(model, sight)]
    return [value for value in values if value is not None]


def _list_next(model: Any, sight: Sight) -> Any:
    return min((day for day in _item_values(model, sight) if day >= sight.today), default=None)


Value = Callable[[Any, Sight], Any]
VERBS: dict[type, Value] = {
    pack.AverageBalance: _average,
    pack.Low: lambda model, sight: Fraction(min(_closings(model, sight)), 100),
    pack.High: lambda model, sight: Fraction(max(_closings(model, sight)), 100),
    pack.Sum: _summed,
    pack.Count: _counted,
    pack.Distinct: _distinct,
    pack.Top: _top,
    pack.DaysSince: _days_since,
    pack.Next: _next,
    pack.Recurring: _recurring,
    pack.Summary: _summary,
    pack.ListCount: lambda model, sight: len(list(_items(model, sight))),
    pack.ListSum: lambda model, sight: sum(_item_values(model, sight)),
    pack.ListDistinct: lambda model, sight: len(set(_item_values(model, sight))),
    pack.ListNext: _list_next,
}

PARTS: dict[str, tuple[str, ...]] = {
    "top": ("value", "count"),
    "recurring": ("recurs", "day", "next", "amount"),
    "summary": ("count", "days", "mean", "x", "t_x", "T", "m"),
    "level": ("name", "rank", "next"),
}
BALANCES = (pack.AverageBalance, pack.Low, pack.High)


# What a record touches


def enters(model: Any, sight: Sight, known: Known) -> bool:
    """Whether a record just folded is among what a feature looks at."""
    if isinstance(model, BALANCES):
        return isinstance(known.record, Transaction)
    if isinstance(model, pack.ListFeature):
        return sight.profile is known.record
    if not matches(model, sight, known):
        return False
    if getattr(model, "field", None) is not None and sight.field(known.record, model.field) is None:
        return False
    match model:
        case pack.Next():
            return bool(sight.field(known.record, model.field) >= sight.today)
        case pack.Recurring():
            return largest_by_period(model, sight)[period_start(model.every, known.day)] is known
        case pack.DaysSince() | pack.Summary():
            return True
    return is_inside(model, sight, known) or getattr(model, "previous", False)


# Warming


def full_on(model: Any, began: date) -> date | None:
    """The day from which a feature that began on a day has seen its whole window; None: it does not warm."""
    if isinstance(model, pack.Recurring):
        return period_start(model.every, began, -(model.times + 1))
    window = getattr(model, "over", None)
    if window is None or window.unit == "ever" or getattr(model, "previous", False) or isinstance(model, BALANCES):
        return None
    if window.unit == "ms":
        # The first day on which nothing of the window lies before the day after.
        return began + timedelta(days=1 + -(-window.count // 86_400_000))
    if window.unit == "days":
        return began + timedelta(days=window.count)
    if window.unit == "months":
        return month_start(began, -window.count)
    return period_start(window.unit, began, -1)
