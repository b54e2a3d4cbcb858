"""Walk a typed tree node by node: the slow reading of an expression that also says why.

`walk` shares the tree and the functions with the compiled form, and no code that combines values; the tests
hold the two to the same results.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from operator import add, eq, ge, gt, le, lt, mul, ne, sub
from typing import Any

from tagger.expr import nodes
from tagger.expr.functions import FUNCTIONS
from tagger.expr.nodes import Const, Node

Lookup = Callable[[str], Any]

_OPERATIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge, "+": add, "-": sub, "*": mul,
    "/": lambda a, b: None if b == 0 else Fraction(a) / Fraction(b),
    "in": lambda item, group: item in group,
    "not in": lambda item, group: item not in group,
}  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """What a part of an expression came to, and the parts it was made of."""

    text: str
    value: Any
    parts: tuple["Explanation", ...]


def explain(tree: Node, lookup: Lookup, today: int | None = None) -> Explanation:
    """Every part of an expression with its value.

    Args:
        tree: `Expression.tree`.
        lookup: gives the value of a dotted name, None when it is unknown.
        today: bank day of now, for expressions that need it.
    """
    parts = tuple(explain(child, lookup, today) for child in nodes.children(tree))
    return Explanation(tree.text, walk(tree, lookup, today), parts)


def walk(tree: Node, lookup: Lookup, today: int | None = None) -> Any:
    """The value of an expression; arguments as in `explain`."""
    match tree:
        case Const(value=value):
            return value
        case nodes.ListOf(values=values):
            return values
        case nodes.Read(name=name):
            return lookup(name)
        case nodes.Today(part=part):
            return _today(today, part)
        case nodes.Compare(operands=operands, operators=operators):
            sides = [walk(operand, lookup, today) for operand in operands]
            links = zip(operators, sides, sides[1:], strict=False)
            return _all([_known(_OPERATIONS[operator], left, right) for operator, left, right in links])
        case nodes.Logic(operator=operator, items=items):
            truths = [walk(item, lookup, today) for item in items]
            return _all(truths) if operator == "and" else _not(_all([_not(truth) for truth in truths]))
        case nodes.Not(item=item):
            return _not(walk(item, lookup, today))
        case nodes.Negate(item=item):
            value = walk(item, lookup, today)
            return None if value is None else -value
        case nodes.Arith(operator=operator, left=left, right=right):
            return _known(_OPERATIONS[operator], walk(left, lookup, today), walk(right, lookup, today))
        case nodes.Choose(test=test, yes=yes, no=no):
            chosen = walk(test, lookup, today)
            return None if chosen is None else walk(yes if chosen else no, lookup, today)
        case nodes.Call(function=function, arguments=arguments):
            spec = FUNCTIONS[function]
            given = [walk(argument, lookup, today) for argument in arguments]
            return spec.implementation(*([today, *given] if spec.needs_today else given))
        case _:
            raise AssertionError(type(tree))


def _today(today: int | None, part: str) -> int | None:
    if today is None or part == "":
        return today
    when = date.fromordinal(today)
    return {"day": when.day, "month": when.month, "weekday": when.isoweekday()}[part]


def _known(operation: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    return None if left is None or right is None else operation(left, right)


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _all(values: list[bool | None]) -> bool | None:
    if any(value is False for value in values):
        return False
    return None if any(value is None for value in values) else True
