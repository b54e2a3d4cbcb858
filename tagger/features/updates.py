"""What an event updates: one generated function a kind of event.

Features that count or sum the same records share their filter, and an event of the day last seen is added without
a call a feature.
"""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from schemas.journal import CustomerEvent
from tagger.expr.compile import define
from tagger.features.aggregates import DayAggregate
from tagger.features.contract import Feature, Moment
from tagger.state import CustomerState

Update = Callable[[CustomerState, CustomerEvent, int, Moment], int]
"""Folds an event of a bank day into the features; returns the bits of those whose value may have changed."""

_HEAD = """def update(state, event, day, moment):
    changed, aggregates = 0, state.aggregates
"""


def compile_updates(features: Iterable[tuple[Feature, int]]) -> tuple[str, Update]:
    """The function for features of one kind of event, each with its bit, and its source."""
    features = list(features)
    summed = [(feature, bit) for feature, bit in features if isinstance(feature, DayAggregate)]
    constants: dict[str, Any] = {}
    lines = [_HEAD]
    for unit, bucket in {feature.unit: feature.bucket for feature, _ in summed if feature.bucket}.items():
        constants[f"_{unit}_of"] = bucket
        lines.append(f"    {unit} = _{unit}_of(day)\n")
    filtered = groupby(sorted(summed, key=_filter), key=_filter)
    for number, (meaning, group) in enumerate(filtered):
        added = list(group)
        indent = "    "
        if meaning:
            constants[f"_where{number}"] = added[0][0].where
            lines.append(f"    if _where{number}(event) is True:  # {meaning!r}\n")
            indent *= 2
        for feature, bit in added:
            lines += [indent + line for line in _adding(feature, bit, constants)]
    for other, bit in features:
        if not isinstance(other, DayAggregate):
            matches = f"_update{bit}(state, event, day, moment)"
            # Asked here too, which spares a call for an event that is none of the feature's.
            where = getattr(other, "where", None)
            if where is not None:
                constants[f"_where_of{bit}"] = where
                matches = f"_where_of{bit}(event) is True and {matches}"
            constants[f"_update{bit}"] = other.update
            lines += [f"    # {other.name}\n", f"    if {matches}:\n        changed |= {bit}\n"]
    code = "".join([*lines, "    return changed\n"])
    return code, define(code, "update", constants)


def _filter(item: tuple[DayAggregate, int]) -> str:
    return item[0].where_meaning


def _adding(feature: DayAggregate, bit: int, constants: dict[str, Any]) -> list[str]:
    constants[f"_add{bit}"] = feature.add
    amount = "1" if feature.field is None else f"event.{feature.field}"
    lines = [f"# {feature.name}\n", f"held = aggregates.get({feature.key})\n"]
    test = f"held is not None and held.last == {feature.unit}"
    if feature.field is not None:
        lines += [f"amount = {amount}\n", "if amount is None:\n", "    pass\n"]
        amount = "amount"
    return [
        *lines,
        f"{'if' if feature.field is None else 'elif'} {test}:\n",
        f"    held.value += {amount}\n",
        f"    held.total += {amount}\n",
        f"    changed |= {bit}\n",
        f"elif _add{bit}(state, held, {feature.unit}, {amount}, moment.today):\n",
        f"    changed |= {bit}\n",
    ]
