"""Counts and sums over days that a rule only compares with numbers, and the midnight at which that says something
else: `n >= 3` does not care whether five days ago counted six or four.

Nothing is owed to a rule while no comparison of it has another answer, because all else that it reads has turns
of its own. A rule whose tag is refreshed with the value, or that calculates with it, is told of every day that
leaves.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from schemas.bankday import BankCalendar
from tagger.codegen.cheapest import read_feature
from tagger.expr import nodes
from tagger.expr.nodes import Compare, Const, Node, Read
from tagger.features.aggregates import DayAggregate
from tagger.features.contract import Feature
from tagger.features.lookups import Derived
from tagger.kinds.contract import Rule
from tagger.kinds.grades import GradedRule
from tagger.kinds.ladder import ByConditions
from tagger.kinds.signal import SignalRule
from tagger.state.customer import CustomerState
from tagger.state.day_values import entries_descending, entries_since

_NEVER_NEGATIVE = (None, "amount_fen", "dwell_ms")
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True)
class Crossing:
    """The whole numbers on whose sides rules ask a count or sum of days to lie, ascending."""

    feature: DayAggregate
    cuts: tuple[int, ...]

    @property
    def only_adds(self) -> bool:
        """No event takes anything away."""
        return self.feature.field in _NEVER_NEGATIVE


def cuts_of(rule: Rule, feature: DayAggregate) -> frozenset[int] | None:
    """The whole numbers from which on a rule's comparisons with a feature answer differently.

    Returns:
        None for a rule that does more with it than comparing it with numbers.
    """
    terms = rule.terms
    trees = _conditions(rule)
    if trees is None or any(_derives(one, feature) for one in terms.features):
        return None
    if terms.refresh is not None and terms.measures[terms.refresh].feature.meaning == feature.meaning:
        return None
    cuts: set[int] = set()
    for tree in trees:
        for cut in _cuts_in(tree, terms.features, feature):
            if cut is None:
                return None
            cuts.add(cut)
    # What is never negative has no side below 0.
    return frozenset(cut for cut in cuts if cut > 0 or feature.field not in _NEVER_NEGATIVE)


def _conditions(rule: Rule) -> list[Node] | None:
    """All expressions of a rule that is made of conditions alone."""
    if isinstance(rule, SignalRule):
        expressions = [rule.when, rule.until]
    elif isinstance(rule, GradedRule) and isinstance(rule.grading, ByConditions):
        expressions = list(rule.grading.levels)
    else:
        return None
    return [one.tree for one in (*expressions, rule.terms.converts_when) if one is not None]


def _derives(found: Feature, feature: Feature) -> bool:
    return isinstance(found, Derived) and any(
        part.meaning == feature.meaning or _derives(part, feature) for part in found.features
    )


def _cuts_in(node: Node, features: Sequence[Feature], feature: Feature) -> Iterator[int | None]:
    """The cuts of one tree; None where it reads the feature otherwise."""

    def is_read(part: Node) -> bool:
        found = read_feature(part, features)[0] if isinstance(part, Read) else None
        return found is not None and found.meaning == feature.meaning

    if is_read(node):
        yield None
    elif isinstance(node, Compare):
        for operator, (left, right) in zip(node.operators, pairwise(node.operands), strict=True):
            if is_read(left):
                yield from _cuts_at(operator, right)
            elif is_read(right):
                yield from _cuts_at(_MIRRORED.get(operator, operator), left)
    for child in nodes.children(node):
        if not (isinstance(node, Compare) and is_read(child)):
            yield from _cuts_in(child, features, feature)


def _cuts_at(operator: str, other: Node) -> tuple[int | None, ...]:
    """The whole numbers from which on a comparison with another part answers differently."""
    if not isinstance(other, Const) or operator not in _MIRRORED:
        return (None,)
    at, above = math.ceil(other.number), math.floor(other.number) + 1
    if operator in {">=", "<"}:
        return (at,)
    return (above,) if operator in {">", "<="} else (at, above)


def next_crossing(
    feature: DayAggregate, cuts: Iterable[int], calendar: BankCalendar
) -> Callable[[CustomerState, int, int], int | None]:
    """`Feature.next_change`, of nothing but the sides of cuts on which the feature lies."""
    ordered, days = sorted(cuts), feature.leaves_after
    bounds = [float("-inf"), *ordered, float("inf")]

    def next_fall(state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        # Of what is never negative, days that leave only take away: it falls below the cut under it with the day
        # down to which the latest days come to that cut, which are few.
        held = state.aggregates.get(feature.key)
        if held is None:
            return None
        if held.first <= evaluated_day - days:
            return next_change(state, evaluated_day, horizon_ms)
        place = bisect_right(ordered, held.total)
        if not place:
            return None
        cut, total = ordered[place - 1], 0
        for day, value in entries_descending(held):
            total += value
            if total >= cut:
                return calendar.start_ms(day + days)
        return None

    def next_change(state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        held = state.aggregates.get(feature.key)
        if held is None:
            return None
        # What came at the very midnight after the day is counted with what leaves then: at worst a look too many,
        # because the rules have been evaluated with it, and without what leaves.
        left = entries_since(held, evaluated_day - days + 1)
        total = sum(value for _, value in left)
        place = bisect_right(ordered, total)
        lowest, highest = bounds[place], bounds[place + 1]
        for day, value in left:
            total -= value
            if not lowest <= total < highest:
                return calendar.start_ms(day + days)
        return None

    return next_fall if feature.field in _NEVER_NEGATIVE else next_change
