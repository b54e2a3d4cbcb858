"""Python for what rules read, for functions generated when a rulebook is compiled: guards, and when rules may move
by passing time.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tagger.expr import nodes
from tagger.expr.compile import Emitter, Expression
from tagger.expr.nodes import Const, Node, Read
from tagger.expr.scope import Name
from tagger.features.closings import AverageBalance, Balance, ExtremeBalance
from tagger.features.contract import FIRST_NAME, Feature
from tagger.features.lookups import ActiveRule, Attribute, Derived, LevelOf

_PLACE = re.compile(r"env\[(\d+)\](.*)")

RESTS = "(_s.armed and _s.open is None and _s.since_ms is None)"
"""Of a signal's state `_s`: nothing waits for its condition to become true, and it may open when it does."""


class Writer:
    """Names what generated code needs: constants, and the values that several expressions read.

    Args:
        shared: names of these values, by meaning.

    Attributes:
        reads: how often each value is read, by meaning.
    """

    def __init__(self, source: str | None, shared: Mapping[str, str]) -> None:
        self.source = source
        self.reads: dict[str, int] = {}
        self._shared = shared
        self._bound: dict[Any, str] = {}
        self._emitter = Emitter("today", lambda name: name.read)
        self.constants = self._emitter.constants
        self.constants["_unset"] = object()

    def bind(self, value: Any) -> str:
        """A name for a constant."""
        key = value if callable(value) else id(value)
        name = self._bound.get(key)
        if name is None:
            name = self._bound[key] = f"_k{len(self.constants)}"
            self.constants[name] = value
        return name

    def shared(self) -> dict[str, str]:
        """Names for the values that were read more than once: others are measured where they are read."""
        return {meaning: f"_v{index}" for index, meaning in enumerate(self.reads) if self.reads[meaning] > 1}

    def unset(self) -> str:
        """The statement that no shared value has been measured yet."""
        return f"    {' = '.join(self._shared.values())} = _unset\n" if self._shared else ""

    def prelude(self) -> list[str]:
        """The statements that what was written since the last call asks to stand before it."""
        lines = [f"{line}\n" for line in self._emitter.prelude]
        self._emitter.prelude.clear()
        return lines

    def expression(self, expression: Expression, features: Sequence[Feature]) -> str:
        """Python for an expression whose environment holds these features."""
        return self.tree(expression.tree, features)

    def tree(self, tree: Node, features: Sequence[Feature]) -> str:
        """Python for a part of such an expression."""

        def read(name: Name) -> str:
            place = _PLACE.fullmatch(name.read)
            assert place is not None, name.read
            return self.read(features[int(place[1]) - FIRST_NAME]) + place[2]

        outer, self._emitter.read_name = self._emitter.read_name, read
        written = self._emitter.emit(cheapest_first(tree, features))
        self._emitter.read_name = outer
        return written

    def read(self, feature: Feature) -> str:
        """Python for a feature's value, measured where it was not yet."""
        if not _is_volatile(feature):
            self.reads[feature.meaning] = self.reads.get(feature.meaning, 0) + 1
        if isinstance(feature, Derived):
            measured = f"({self.expression(feature.expression, feature.features)})"
        else:
            measured = f"{self.bind(feature.value)}(state, occasion)"
        name = None if _is_volatile(feature) else self._shared.get(feature.meaning)
        if name is None:
            return measured
        return f"({name} if {name} is not _unset else ({name} := {measured}))"


def read_feature(node: Read, features: Sequence[Feature]) -> tuple[Feature | None, str]:
    """Which of the features in an expression's environment a name reads, and which part, as Python writes it."""
    place = _PLACE.fullmatch(node.source.read)
    if place is None or int(place[1]) < FIRST_NAME:
        return None, ""
    return features[int(place[1]) - FIRST_NAME], place[2]


def cheapest_first(node: Node, features: Sequence[Feature]) -> Node:
    """An expression of the same value, whose `and` and `or` look first at what takes least to measure."""
    if isinstance(node, nodes.Logic):
        items = [cheapest_first(item, features) for item in node.items]
        return replace(node, items=tuple(sorted(items, key=lambda item: cost(item, features))))
    if isinstance(node, nodes.Not):
        return replace(node, item=cheapest_first(node.item, features))
    return _in_whole_numbers(node) if isinstance(node, nodes.Compare) and len(node.operators) == 1 else node


def _in_whole_numbers(node: nodes.Compare) -> nodes.Compare:
    """`a >= b * 0.9` as `a * 10 >= b * 9`: the same, and no fractions."""
    left, right = node.operands
    product = right if isinstance(right, nodes.Arith) else None
    share = None if product is None or product.operator != "*" else product.right
    if product is None or not isinstance(share, Const) or share.number.denominator == 1:
        return node
    times = replace(share, value=share.number.denominator)
    scaled = nodes.Arith(left.type, left.optional, left.text, left.column, "*", left, times)
    whole = replace(product, right=replace(share, value=share.number.numerator))
    return replace(node, operands=(scaled, whole))


def cost(node: Node, features: Sequence[Feature]) -> int:
    """What measuring an expression takes: 0 nothing to speak of, 1 a call or more, 2 a look at many days."""
    if isinstance(node, Read):
        return _cost_of(read_feature(node, features)[0])
    return max((cost(child, features) for child in nodes.children(node)), default=0)


def _cost_of(feature: Feature | None) -> int:
    if isinstance(feature, Derived):
        return max((1, *(_cost_of(part) for part in feature.features)))
    if isinstance(feature, Attribute | Balance | LevelOf | ActiveRule):
        return 0
    return 2 if isinstance(feature, AverageBalance | ExtremeBalance) else 1


def _is_volatile(feature: Feature) -> bool:
    """Whether the rules looked at before may change the value on the same occasion."""
    if isinstance(feature, Derived):
        return any(_is_volatile(part) for part in feature.features)
    return isinstance(feature, LevelOf | ActiveRule)
