"""What an event updates: one generated function a kind of event.

Features of the same records stand behind one filter, and an event of the day or period last seen is added without
a call a feature.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import cast

from schemas.journal import CustomerEvent
from tagger.codegen.crossings import Crossing
from tagger.expr.compile import Emitter, define
from tagger.features.aggregates import DayAggregate
from tagger.features.contract import Feature, Moment
from tagger.features.stored import StoredFeature
from tagger.state.customer import CustomerState

Update = Callable[[CustomerState, CustomerEvent, int, Moment], int]
"""Folds an event of a bank day into the features; returns the bits of those whose value may have changed."""

_HEAD = """def update(state, event, day, moment):
    changed, aggregates = 0, state.aggregates
"""
Bit = tuple[StoredFeature, int]
"""A feature, and the bit set when its value may have changed."""


def compile_updates(
    features: Iterable[tuple[Feature, int]], crossings: Iterable[Crossing] = ()
) -> tuple[str, Update]:
    """The function for features of one kind of event, each with its bit, and its source.

    Args:
        crossings: numbers to watch; the moment is told of an event that takes a value across one.
    """
    cuts: dict[int, set[int]] = {}
    for crossing in crossings:
        cuts.setdefault(crossing.feature.key, set()).update(crossing.cuts)
    stored = [(cast(StoredFeature, feature), bit) for feature, bit in features]
    emitter = Emitter(None, lambda node: node.source.read)
    lines = []
    summed = [feature for feature, _ in stored if isinstance(feature, DayAggregate)]
    for unit, bucket in {one.unit: one.bucket for one in summed if one.bucket is not None}.items():
        emitter.constants[f"_{unit}_of"] = bucket
        lines.append(f"    {unit} = _{unit}_of(day)\n")
    for meaning, group in groupby(sorted(stored, key=_meaning), key=_meaning):
        lines += _group(meaning, list(group), emitter, cuts)
    code = "".join([_HEAD, *lines, "    return changed\n"])
    return code, define(code, "update", emitter.constants)


def _meaning(item: Bit) -> str:
    where = item[0].filter
    return "" if where is None else where.meaning


def _group(meaning: str, group: Sequence[Bit], emitter: Emitter, cuts: Mapping[int, Iterable[int]]) -> list[str]:
    """Statements that update features of the same records."""
    where, indent, lines = group[0][0].filter, "    ", list[str]()
    if where is not None:
        holds = where.written(emitter, "event")
        lines = [*(f"{line}\n" for line in emitter.prelude), f"    if {holds}:  # {meaning!r}\n"]
        emitter.prelude.clear()
        indent *= 2
    # Nearly all that is added changes a value: bits are taken back where it does not.
    bits = sum(bit for feature, bit in group if isinstance(feature, DayAggregate) and not feature.may_lack)
    if bits:
        lines.append(f"{indent}changed |= {bits}\n")
    for feature, bit in group:
        if isinstance(feature, DayAggregate):
            written = _adding(feature, bit, sorted(cuts.get(feature.key, ())))
        else:
            written = _updating(bit)
        emitter.constants[f"_update{bit}"] = feature.add if isinstance(feature, DayAggregate) else feature.update
        lines += [f"{indent}{line}\n" for line in (f"# {feature.name}", *written)]
    return lines


def _updating(bit: int) -> list[str]:
    return [f"if _update{bit}(state, event, day, moment):", f"    changed |= {bit}"]


def _adding(feature: DayAggregate, bit: int, cuts: Sequence[int]) -> list[str]:
    amount = "1" if feature.field is None else f"event.{feature.field}"
    held = f"(held := aggregates.get({feature.key})) is not None and held.last == {feature.unit}"
    crossed = _crossed(feature, amount, cuts)
    added = [f"    held.value += {amount}", f"    held.total += {amount}", *crossed]
    call = f"_update{bit}(state, held, {feature.unit}, {amount}, moment.today)"
    again = [f"    held = aggregates[{feature.key}]", *crossed] if crossed else []
    if not feature.may_lack:
        otherwise = ["else:", *again] if again else []
        return [f"if {held}:", *added, f"elif not {call}:", f"    changed ^= {bit}", *otherwise]
    return [
        f"if {amount} is None:", "    pass",
        f"elif {held}:", *added, f"    changed |= {bit}",
        f"elif {call}:", f"    changed |= {bit}", *again,
    ]  # fmt: skip


def _crossed(feature: DayAggregate, amount: str, cuts: Sequence[int]) -> list[str]:
    """Tells of a number crossed; also where the total still holds days that have left, and so may hide one."""
    if not cuts:
        return []
    crossed = [f"held.total - {amount} < {cut} <= held.total" for cut in cuts]
    stale = f"held.first <= moment.today - {feature.leaves_after}"
    return [f"    if {' or '.join((*crossed, stale))}:", "        moment.crosses = True"]
