"""The typed tree of a checked expression: literals and settings are folded, money literals are in fen."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from tagger.expr.scope import Name, Type

Comparison = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
Arithmetic = Literal["+", "-", "*", "/"]


@dataclass(frozen=True)
class Node:
    """A part of an expression.

    Attributes:
        optional: whether its value can be unknown.
        text: as written.
        column: where it starts in the expression.
    """

    type: Type
    optional: bool
    text: str
    column: int


@dataclass(frozen=True)
class Const(Node):
    """A literal, a setting, or what they add up to; `untyped` until money is met."""

    value: Any
    untyped: bool = False

    @property
    def number(self) -> Fraction:
        return Fraction(self.value)


@dataclass(frozen=True)
class ListOf(Node):
    """A list of literals and settings of one type; `untyped` as in `Const`."""

    item: Type
    values: tuple[Any, ...]
    untyped: bool


@dataclass(frozen=True)
class Read(Node):
    """A name of the scope."""

    name: str
    source: Name


@dataclass(frozen=True)
class Today(Node):
    """`today`, or its day, month or weekday."""

    part: Literal["", "day", "month", "weekday"]


@dataclass(frozen=True)
class Compare(Node):
    """One or more comparisons in a chain."""

    operands: tuple[Node, ...]
    operators: tuple[Comparison, ...]


@dataclass(frozen=True)
class Logic(Node):
    operator: Literal["and", "or"]
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Not(Node):
    item: Node


@dataclass(frozen=True)
class Negate(Node):
    item: Node


@dataclass(frozen=True)
class Arith(Node):
    operator: Arithmetic
    left: Node
    right: Node


@dataclass(frozen=True)
class Choose(Node):
    test: Node
    yes: Node
    no: Node


@dataclass(frozen=True)
class Call(Node):
    function: str
    arguments: tuple[Node, ...]


def children(node: Node) -> tuple[Node, ...]:
    """The parts of a node, from the left."""
    match node:
        case Compare(operands=operands):
            return operands
        case Logic(items=items):
            return items
        case Not(item=item) | Negate(item=item):
            return (item,)
        case Arith(left=left, right=right):
            return (left, right)
        case Choose(test=test, yes=yes, no=no):
            # In Python's order of writing, so that names come in order of first use.
            return (yes, test, no)
        case Call(arguments=arguments):
            return arguments
        case _:
            return ()
