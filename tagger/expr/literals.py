"""Literals and settings of an expression as they meet a type: yuan as fen, text as a bank day, two as one."""

from dataclasses import replace
from datetime import date
from fractions import Fraction

from tagger.expr import nodes
from tagger.expr.errors import ExpressionError
from tagger.expr.nodes import Const, Node
from tagger.expr.scope import Type


def is_untyped(node: Node) -> bool:
    """Made of literals and settings alone, so that it may yet become money."""
    if isinstance(node, nodes.Choose):
        return is_untyped(node.yes) and is_untyped(node.no)
    return isinstance(node, Const) and node.untyped


def as_money(node: Node) -> Node:
    """Yuan as fen where a node is still untyped; any other node as it is."""
    if not is_untyped(node):
        return node
    if isinstance(node, nodes.Choose):
        return replace(node, type=Type.MONEY, yes=as_money(node.yes), no=as_money(node.no))
    assert isinstance(node, Const)
    return replace(node, type=Type.MONEY, value=_plain(node.number * 100), untyped=False)


def _plain(value: Fraction) -> int | Fraction:
    return value.numerator if value.denominator == 1 else value


def as_date(node: Node) -> Node:
    """A literal text as a bank day; any other node as it is."""
    if not (isinstance(node, Const) and node.type is Type.TEXT):
        return node
    try:
        day = date.fromisoformat(node.value).toordinal()
    except ValueError:
        raise ExpressionError(f"{node.text} is no date", node.column, 'an ISO date such as "2026-03-02"') from None
    return replace(node, type=Type.DATE, value=day)


def constants_of(group: Node) -> list[Const]:
    """The items of a literal list as constants."""
    if not isinstance(group, nodes.ListOf):
        return []
    return [Const(group.item, False, repr(value), group.column, value, group.untyped) for value in group.values]


def meet_list(item: Node, group: nodes.ListOf) -> nodes.ListOf:
    """Turn a list's literals into what is looked for among them: fen for money, bank days for dates."""
    convert = {Type.MONEY: as_money, Type.DATE: as_date}.get(item.type)
    if convert is None:
        return group
    met = [convert(const) for const in constants_of(group)]
    values = tuple(const.value for const in met if isinstance(const, Const))
    return replace(group, item=met[0].type, values=values, untyped=False)


def calculate(operator: nodes.Arithmetic, left: Const, right: Const) -> int | Fraction:
    """What two untyped numbers come to, exactly."""
    if operator == "/" and right.value == 0:
        raise ExpressionError("division by zero", right.column)
    a, b = left.number, right.number
    return _plain({"+": a + b, "-": a - b, "*": a * b}[operator] if operator != "/" else a / b)
