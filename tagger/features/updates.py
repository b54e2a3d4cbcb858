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
    constants: dict[str, Any] = {}
    lines = [_HEAD]
    summed = [(feature, bit) for feature, bit in features if isinstance(feature, DayAggregate)]
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
            constants[f"_update{bit}"] = other.update
            lines += [f"    # {other.name}\n", f"    if _update{bit}(state, event, day, moment):\n"]
            lines.append(f"        changed |= {bit}\n")
    code = "".join([*lines, "    return changed\n"])
    return code, define(code, "update", constants)


def _filter(item: tuple[DayAggregate, int]) -> str:
    return item[0].where_meaning


def _adding(feature: DayAggregate, bit: int, constants: dict[str, Any]) -> list[str]:
    constants[f"_add{bit}"] = feature.add
    bucket, amount = "day", "1" if feature.field is None else f"event.{feature.field}"
    lines = [f"# {feature.name}\n"]
    if feature.bucket is not None:
        constants[f"_bucket{bit}"] = feature.bucket
        lines.append(f"bucket = _bucket{bit}(day)\n")
        bucket = "bucket"
    return [
        *lines,
        f"held, amount = aggregates.get({feature.key}), {amount}\n",
        "if amount is None:\n",
        "    pass\n",
        f"elif held is not None and held.last == {bucket}:\n",
        "    held.value += amount\n",
        "    held.total += amount\n",
        f"    changed |= {bit}\n",
        f"elif _add{bit}(state, held, {bucket}, amount, moment.today):\n",
        f"    changed |= {bit}\n",
    ]
