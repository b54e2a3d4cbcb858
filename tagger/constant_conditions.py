"""Conditions that are always true or always false: by their literals, by what a name can be, or by each other.

The ranges are those of the language itself (a count is never negative, a sliding count never above the events
that are kept), not those of any data.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from schemas.rulepack import (
    Count,
    DaysSince,
    Derived,
    Distinct,
    ListCount,
    ListDistinct,
    Pack,
    RuleModel,
    SignalRule,
    Summary,
    Top,
)
from tagger.expr.compile import Expression, compile_expression
from tagger.expr.explain import walk
from tagger.expr.fields import record_scope
from tagger.expr.nodes import Compare, Const, ListOf, Logic, Node, Read, children
from tagger.expr.scope import Scope
from tagger.features.sliding import MAX_KEPT_EVENTS
from tagger.packcheck import Path
from tagger.packnames import RETAINED
from tagger.rulebook import Rulebook


@dataclass(frozen=True)
class PlacedExpression:
    """An expression of a pack, and where it stands.

    Attributes:
        source: whose records a `where` is about; None for an expression over features.
    """

    pack: Pack
    path: Path
    expression: Expression
    source: str | None


def placed_expressions(rulebook: Rulebook, pack: Pack) -> Iterator[PlacedExpression]:
    """Every expression of a pack, compiled, with its place."""
    for name, model in pack.features.items():
        where, source = getattr(model, "where", None), getattr(model, "source", None)
        if where is not None and source is not None:
            yield _place(pack, ("features", name, "where"), where, record_scope(source, pack.settings), source)
        if isinstance(model, Derived):
            yield _place(pack, ("features", name, "expr"), model.text, rulebook.table.scope(pack), None)
    for name, rule in pack.rules.items():
        is_watch = isinstance(rule, SignalRule) and rule.after is not None
        scope = rulebook.table.scope(pack, retained=is_watch)
        for path, text, source in _rule_texts(rule):
            chosen = scope if source is None else record_scope(source, pack.settings)
            yield _place(pack, ("rules", name, *path), text, chosen, source)


def _rule_texts(rule: RuleModel) -> Iterator[tuple[Path, str, str | None]]:
    yield from ((path, text, None) for path, text in rule.expressions())
    if isinstance(rule, SignalRule) and rule.after is not None and rule.after.where is not None:
        yield ("after", "where"), rule.after.where, rule.after.event
    if rule.converts is not None and rule.converts.event is not None and rule.converts.where is not None:
        yield ("converts", "where"), rule.converts.where, rule.converts.event


def _place(pack: Pack, path: Path, text: str, scope: Scope, source: str | None) -> PlacedExpression:
    return PlacedExpression(pack, path, compile_expression(text, scope, None), source)


def constant_parts(place: PlacedExpression) -> Iterator[tuple[str, bool]]:
    """The parts of an expression that are always the same: text, and whether always true."""
    tree = place.expression.tree
    stack = [tree]
    while stack:
        node = stack.pop()
        stack.extend(children(node))
        if isinstance(node, Compare):
            always = _always(place, node)
            if always is not None:
                yield node.text, always
        if isinstance(node, Const) and isinstance(node.value, bool) and node is tree:
            yield node.text, node.value
        if isinstance(node, Logic) and node.operator == "and" and _contradicts(place, node.items):
            yield node.text, False


def _always(place: PlacedExpression, node: Compare) -> bool | None:
    if all(isinstance(operand, Const | ListOf) for operand in node.operands):
        return bool(walk(node, lambda _: None))
    bound = _bound_of(node)
    if bound is None:
        return None
    read, operator, value = bound
    low, high = _range_of(place, read)
    if operator in {"<", "<="}:
        always = high is not None and _compare(high, operator, value)
        never = low is not None and not _compare(low, operator, value)
    elif operator in {">", ">="}:
        always = low is not None and _compare(low, operator, value)
        never = high is not None and not _compare(high, operator, value)
    else:
        outside = (low is not None and value < low) or (high is not None and value > high)
        always, never = outside and operator == "!=", outside and operator == "=="
    return True if always else False if never else None


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _bound_of(node: Compare) -> tuple[str, str, Fraction] | None:
    """`name operator number` of a single comparison, the number being fen for money."""
    if len(node.operators) != 1 or node.operators[0] not in _MIRRORED:
        return None
    left, right = node.operands
    operator: str = node.operators[0]
    if isinstance(left, Const):
        left, right, operator = right, left, _MIRRORED[operator]
    if isinstance(left, Read) and isinstance(right, Const) and isinstance(right.value, int | Fraction):
        return left.name, operator, Fraction(right.value)
    return None


def _compare(left: Fraction, operator: str, right: Fraction) -> bool:
    return {
        "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right,
        "==": left == right, "!=": left != right,
    }[operator]  # fmt: skip


_RANGES: Mapping[str, tuple[int | None, int | None]] = {
    "hour": (0, 23), "weekday": (1, 7), "day": (1, 31), "month": (1, 12), "dwell_ms": (0, None),
    "amount": (1, None),
}  # fmt: skip


def _range_of(place: PlacedExpression, name: str) -> tuple[Fraction | None, Fraction | None]:
    """The least and the greatest value a name can have, None where there is no end."""
    feature, _, part = name.partition(".")
    model = place.pack.features.get(feature)
    low: int | None = None
    high: int | None = None
    if place.source is not None:
        low, high = _RANGES.get(name, (None, None))
    elif name == RETAINED:
        low, high = 0, 1
    elif isinstance(model, Count):
        low, high = 0, MAX_KEPT_EVENTS if model.over.unit == "ms" else None
    elif isinstance(model, Distinct):
        low, high = 0, model.at_most
    elif isinstance(model, DaysSince | ListCount | ListDistinct | Summary) or part in {"rank", "next"}:
        low = 0
    elif isinstance(model, Top) or part == "day":
        low = 1
    return (None if low is None else Fraction(low)), (None if high is None else Fraction(high))


def _contradicts(place: PlacedExpression, items: tuple[Node, ...]) -> bool:
    """Whether the bounds that `and` puts on one name leave nothing between them."""
    bounds: dict[str, tuple[tuple[Fraction, bool] | None, tuple[Fraction, bool] | None]] = {}
    for item in items:
        bound = _bound_of(item) if isinstance(item, Compare) else None
        if bound is None:
            continue
        name, operator, value = bound
        low, high = bounds.get(name, (None, None))
        if operator in {">", ">=", "=="}:
            candidate = (value, operator == ">")
            low = candidate if low is None else max(low, candidate)
        if operator in {"<", "<=", "=="}:
            # The stricter upper bound is the smaller number, and of equal ones the open one.
            candidate = (value, operator != "<")
            high = candidate if high is None else min(high, candidate)
        bounds[name] = (low, high)
    return any(
        low is not None
        and high is not None
        and (low[0] > high[0] or (low[0] == high[0] and (low[1] or not high[1])))
        for low, high in bounds.values()
    )
