"""Python that reads a feature's value in place, where a call would take longer than what it does."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from tagger.features.aggregates import DayAggregate
from tagger.features.balances import PARTS
from tagger.features.closings import Balance, FurthestBalance
from tagger.features.contract import Feature
from tagger.features.lists import ListFeature, ListNext
from tagger.features.lookups import ActiveRule, Attribute, LevelOf
from tagger.features.next_date import NextDate

LOCALS = """    features, aggregates, series = state.features, state.aggregates, state.series
    rules, attributes = state.rules, state.attributes
"""
"""What the Python given here names beside `state`, `occasion` and `today`."""

Bind = Callable[[Any], str]


class Worth(Enum):
    """What to do about a value that several expressions read."""

    NOTHING = auto()  # reading it again costs what remembering it would
    READING_FIRST = auto()  # read once, whether asked for or not
    REMEMBERING = auto()  # measured when first asked for


def inlined(feature: Feature, part: str, bind: Bind) -> tuple[str, Worth]:
    """Python for a value, and what it is worth.

    Args:
        part: which part of a value of several (`[0]`); only the Python of what is worth nothing takes it itself.
        bind: names a constant.
    """
    match feature:
        case Attribute(field=field):
            return f"(None if attributes is None else attributes.{field})", Worth.NOTHING
        case ActiveRule(rule=rule):
            is_open = "_x.open is not None or _x.proposed is not None"
            return f"((_x := rules.get({rule!r})) is not None and ({is_open}))", Worth.NOTHING
        case LevelOf(rule=rule):
            level = f"(None if (_x := rules.get({rule!r})) is None else _x.level)"
            return (level if part == "[0]" else f"{bind(feature.of_level)}({level}){part}"), Worth.NOTHING
        case FurthestBalance():
            field = "highest_fen" if feature.highest else "lowest_fen"
            return _over_series(feature.measure, field), Worth.READING_FIRST
        case Balance():
            return _over_series(feature.measure, "total_fen"), Worth.READING_FIRST
    return _measured(feature, f"{bind(feature.value)}(state, occasion)", bind), Worth.REMEMBERING


def _measured(feature: Feature, called: str, bind: Bind) -> str:
    """A value that is called for only where there is something to measure."""
    match feature:
        case ListFeature():
            return f"({None if isinstance(feature, ListNext) else 0} if attributes is None else {called})"
        case NextDate():
            return f"({called} if {feature.key} in features else None)"
        case DayAggregate():
            return _aggregate(feature, called, bind)
    return called


def _over_series(measure: str, field: str) -> str:
    parts = (f"(0 if (_x := series.get({part!r})) is None else _x.{field})" for part in PARTS[measure])
    return f"({' + '.join(parts)})"


def _aggregate(feature: DayAggregate, called: str, bind: Bind) -> str:
    """What the buckets at hand tell; only a look into older ones is a call."""
    window = feature.window
    held = f"(_x := aggregates.get({feature.key}))"
    if window.previous:
        span = f"(_y := {bind(window.span)}(today))"
        closed = "not _x.older and _x.last >= _y[1]"
        return f"(0 if {held} is None or _x.last < {span}[0] or ({closed}) else {called})"
    if window.kind == "days":
        return (
            f"(0 if {held} is None or _x.last <= today - {window.count} else "
            f"_x.total if _x.first > today - {window.count} and _x.last <= today else {called})"
        )
    first = f"(_y := {bind(window.span)}(today)[0])"
    at_hand = "_x.value if _x.last == _y else _x.total if _x.first >= _y and _x.last <= today"
    return f"(0 if {held} is None or _x.last < {first} else {at_hand} else {called})"
