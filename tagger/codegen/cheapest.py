"""Expressions rewritten for speed: of the same value, and what takes least to measure is looked at first.

`high >= line` looks through a month of closings, and few customers ever stood above the line: the furthest of all
closings, which a series keeps, settles it for the others. Only where such bounds do not is the comparison asked.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tagger.expr import nodes
from tagger.expr.nodes import Arith, Compare, Comparison, Const, Logic, Node, Read
from tagger.expr.scope import Name
from tagger.features.closings import AverageBalance, Balance, ExtremeBalance, FurthestBalance
from tagger.features.contract import FIRST_NAME, Feature
from tagger.features.lookups import ActiveRule, Attribute, Derived, LevelOf

_PLACE = re.compile(r"env\[(\d+)\](.*)")
_MIRRORED: dict[Comparison, Comparison] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_AT_HAND = (Attribute, Balance, LevelOf, ActiveRule)


def read_feature(node: Read, features: Sequence[Feature]) -> tuple[Feature | None, str]:
    """Which of the features in an expression's environment a name reads, and which part, as Python writes it."""
    place = _PLACE.fullmatch(node.source.read)
    if place is None or int(place[1]) < FIRST_NAME:
        return None, ""
    return features[int(place[1]) - FIRST_NAME], place[2]


def cheapest_first(node: Node, features: list[Feature]) -> Node:
    """An expression of the same value, whose `and` and `or` look first at what takes least to measure.

    Args:
        features: of the expression's environment; bounds are added at its end.
    """
    if isinstance(node, Logic):
        items = [part for item in node.items for part in _spread(cheapest_first(item, features), node.operator)]
        return replace(node, items=tuple(sorted(items, key=lambda item: cost(item, features))))
    if isinstance(node, nodes.Not):
        return replace(node, item=cheapest_first(node.item, features))
    if isinstance(node, Compare):
        return _bounded(node, features)
    return node


def _spread(node: Node, operator: str) -> tuple[Node, ...]:
    return node.items if isinstance(node, Logic) and node.operator == operator else (node,)


def cost(node: Node, features: Sequence[Feature]) -> int:
    """What measuring an expression takes: 0 nothing to speak of, 1 that for what may settle nothing, 2 a call or
    more, 3 a look at many days.
    """
    if isinstance(node, Read):
        return _cost_of(read_feature(node, features)[0])
    return max((cost(child, features) for child in nodes.children(node)), default=0)


def _cost_of(feature: Feature | None) -> int:
    if isinstance(feature, Derived):
        return max((2, *(_cost_of(part) for part in feature.features)))
    if isinstance(feature, _AT_HAND):
        return 1 if isinstance(feature, FurthestBalance) else 0
    return 3 if isinstance(feature, AverageBalance | ExtremeBalance) else 2


def _bounded(node: Compare, features: list[Feature]) -> Node:
    """A comparison behind what refuses it at hand; itself, where nothing does."""
    refusing = [
        replace(node, operands=(bound, right), operators=(operator,))
        for left, operator, right in _pairs(node)
        if isinstance(right, Const) and (bound := _bound(left, operator.startswith(">"), features)) is not None
    ]
    exact = _in_whole_numbers(node) if len(node.operators) == 1 else node
    if not refusing:
        return exact
    return Logic(node.type, node.optional, node.text, node.column, "and", (*refusing, exact))


def _pairs(node: Compare) -> Iterator[tuple[Node, Comparison, Node]]:
    """What is ordered against what, literals on the right."""
    for left, operator, right in zip(node.operands, node.operators, node.operands[1:], strict=False):
        if operator in _MIRRORED:
            yield (right, _MIRRORED[operator], left) if isinstance(left, Const) else (left, operator, right)


def _bound(node: Node, above: bool, features: list[Feature]) -> Read | None:
    """What a measure of closings never lies above, or never below; None for what is no such measure."""
    feature = read_feature(node, features)[0] if isinstance(node, Read) else None
    bound: Feature
    if isinstance(feature, ExtremeBalance) and feature.highest is not above:
        bound = Balance(feature.measure)  # the balance now is one of the closings
    elif isinstance(feature, AverageBalance | ExtremeBalance):
        bound = FurthestBalance(feature.measure, above)
    else:
        return None
    features.append(bound)
    place = f"env[{FIRST_NAME + len(features) - 1}]"
    return Read(node.type, False, bound.name, node.column, bound.name, Name(node.type, False, place))


def _in_whole_numbers(node: Compare) -> Compare:
    """`a >= b * 0.9` as `a * 10 >= b * 9`: the same, and no fractions."""
    left, right = node.operands
    product = right if isinstance(right, Arith) else None
    share = None if product is None or product.operator != "*" else product.right
    if product is None or not isinstance(share, Const) or share.number.denominator == 1:
        return node
    times = replace(share, value=share.number.denominator)
    scaled = Arith(left.type, left.optional, left.text, left.column, "*", left, times)
    whole = replace(product, right=replace(share, value=share.number.numerator))
    return replace(node, operands=(scaled, whole))
