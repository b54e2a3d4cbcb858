"""Whether conditions can hold together, found by trying every kind of value that what they read can have.

A truth changes only where a value passes a number it is compared with, so that one value at each of these and
one between any two stand for all. What is compared with no literal (another name, a sum of two) may turn out
either way, so that what is found here to be impossible is; not all that is impossible is found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise, product
from math import ceil, floor, prod
from typing import Any

from schemas.packs.pack import Pack
from tagger.expr.explain import walk
from tagger.expr.nodes import Choose, Compare, Const, ListOf, Logic, Node, Not, Read
from tagger.expr.scope import Name, Type
from tagger.lint.ranges import Range, range_of

MAX_TRIALS = 2000
_OTHER = "\x00any other text"
# A condition, and whether it shall be true or shall not be (false or unknown).
Demand = tuple[Node, bool]


@dataclass
class _Variable:
    node: Node
    met: set[Any] = field(default_factory=set)


class Trials:
    """Conditions over the names of one pack.

    Args:
        source: whose records they are about; None for expressions over features.
    """

    def __init__(self, pack: Pack, source: str | None) -> None:
        self._pack, self._source = pack, source

    def impossible(self, demands: Sequence[Demand], *, known: bool = False) -> bool:
        """Whether the demands can never be met at once.

        Args:
            known: only where everything that is read is known.
        """
        demands = [part for demand in demands for part in _parts(demand)]
        variables: dict[str, _Variable] = {}
        trees = [(_reduce(node, variables), wanted) for node, wanted in demands]
        values = {name: list(self._values(variable, known)) for name, variable in variables.items()}
        if prod(len(held) for held in values.values()) > MAX_TRIALS:
            return len(demands) > 1 and self._impossible_by_name(demands, known)
        for chosen in product(*values.values()):
            lookup = dict(zip(values, chosen, strict=True)).get
            if all((walk(tree, lookup) is True) == wanted for tree, wanted in trees):
                return False
        return True

    def _impossible_by_name(self, demands: Sequence[Demand], known: bool) -> bool:
        """Whether those demands that read one name alone rule each other out."""
        by_name: dict[str, list[Demand]] = {}
        for node, wanted in demands:
            variables: dict[str, _Variable] = {}
            _reduce(node, variables)
            if len(variables) == 1:
                by_name.setdefault(next(iter(variables)), []).append((node, wanted))
        return any(self.impossible(group, known=known) for group in by_name.values() if len(group) < len(demands))

    def _values(self, variable: _Variable, known: bool) -> Iterator[Any]:
        node = variable.node
        if node.optional and not known:
            yield None
        if node.type is Type.BOOLEAN:
            yield from (True, False)
        elif node.type is Type.TEXT:
            words = node.source.words if isinstance(node, Read) else ()
            yield from words or (*variable.met, _OTHER)
        else:
            yield from _numbers(variable.met, range_of(node, self._pack, self._source))


def _numbers(met: set[Any], span: Range) -> Iterator[Fraction]:
    marks = sorted(
        {Fraction(number) for number in met} | {end for end in (span.low, span.high) if end is not None}
    )
    if not marks:
        marks = [Fraction(0)]
    tried = {marks[0] - 1, *marks, marks[-1] + 1}
    tried |= {(low + high) / 2 for low, high in pairwise(marks)}
    if span.whole:
        tried |= {Fraction(floor(mark) + step) for mark in marks for step in (-1, 0, 1)}
        tried |= {Fraction(ceil(mark) + step) for mark in marks for step in (0, 1)}
    yield from sorted(value for value in tried if span.holds(value))


def _parts(demand: Demand) -> Iterator[Demand]:
    """The demands that one comes to: `a and b` true is both true, `a or b` not true is neither."""
    node, wanted = demand
    if isinstance(node, Logic) and (node.operator == "and") == wanted:
        for item in node.items:
            yield from _parts((item, wanted))
    else:
        yield demand


def _reduce(node: Node, variables: dict[str, _Variable]) -> Node:
    """A condition whose every measured part is a name to be looked up; the names are gathered."""
    match node:
        case Const():
            return node
        case Logic(items=items):
            return replace(node, items=tuple(_reduce(item, variables) for item in items))
        case Not(item=item):
            return replace(node, item=_reduce(item, variables))
        case Choose(test=test, yes=yes, no=no):
            return replace(
                node, test=_reduce(test, variables), yes=_reduce(yes, variables), no=_reduce(no, variables)
            )
        case Compare(operands=operands):
            measured = {_name(operand): operand for operand in operands if not isinstance(operand, Const | ListOf)}
            if len(measured) > 1 or any(operand.type is Type.LIST for operand in measured.values()):
                return _variable(node, variables, node)
            return replace(node, operands=tuple(_variable(operand, variables, node) for operand in operands))
        case _:
            return _variable(node, variables, node)


def _variable(node: Node, variables: dict[str, _Variable], compared: Node) -> Node:
    if isinstance(node, Const | ListOf):
        return node
    name = _name(node)
    variable = variables.setdefault(name, _Variable(node))
    if isinstance(compared, Compare) and compared is not node:
        for operand in compared.operands:
            variable.met |= {operand.value} if isinstance(operand, Const) else set()
            variable.met |= set(operand.values) if isinstance(operand, ListOf) else set()
    return Read(node.type, node.optional, node.text, node.column, name, Name(node.type, node.optional, ""))


def _name(node: Node) -> str:
    return node.name if isinstance(node, Read) else node.text
