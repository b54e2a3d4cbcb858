"""Python for what rules read, for functions generated when a rulebook is compiled: guards, and when rules may move
by passing time.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tagger.codegen.cheapest import cheapest_first, read_feature
from tagger.codegen.inlined import LOCALS, Worth, inlined
from tagger.expr.compile import Emitter, Expression
from tagger.expr.nodes import Node, Read
from tagger.features.contract import Feature
from tagger.features.filters import RecordFilter
from tagger.features.lookups import ActiveRule, Derived, LevelOf

RESTS = "(_s.armed and _s.open is None and _s.since_ms is None)"
"""Of a signal's state `_s`: nothing waits for its condition to become true, and it may open when it does."""


class Writer:
    """Names what generated code needs: constants, and the values that several expressions read.

    Args:
        draft: has written the same before, and knows what is read more than once; None for the draft itself.
    """

    def __init__(self, source: str | None, draft: "Writer | None") -> None:
        self.source = source
        self._reads: Counter[str] = Counter()
        self._at_hand: dict[str, str] = {}
        self._shared = {} if draft is None else draft._names_of_shared()
        self._first = {} if draft is None else draft._at_hand
        self._bound: dict[Any, str] = {}
        self._emitter = Emitter("today", lambda node: node.source.read)
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

    def _names_of_shared(self) -> dict[str, str]:
        """Names for the values that were read more than once: others are measured where they are read."""
        return {meaning: f"_v{index}" for index, meaning in enumerate(self._reads) if self._reads[meaning] > 1}

    def beginning(self) -> str:
        """The first statements: what is at hand is read, and what takes longer has not been measured yet."""
        first = [f"    {self._shared[one]} = {read}\n" for one, read in self._first.items() if one in self._shared]
        later = [name for meaning, name in self._shared.items() if meaning not in self._first]
        return "".join([LOCALS, *first, f"    {' = '.join(later)} = _unset\n" if later else ""])

    @property
    def meanings(self) -> dict[str, str]:
        """What stands under the names of shared values."""
        return {name: meaning for meaning, name in self._shared.items()}

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
        known = list(features)

        def read(node: Read) -> str:
            feature, part = read_feature(node, known)
            assert feature is not None, node.text
            return self.read(feature, part)

        outer, self._emitter.read_node = self._emitter.read_node, read
        written = self._emitter.emit(cheapest_first(tree, known))
        self._emitter.read_node = outer
        return written

    def total(self, parts: Iterable[tuple[Sequence[Any], Sequence[int]]], measures: Iterable[str]) -> str:
        """Python for the points of known measures, of each part by the bin that its measure falls into."""
        self.constants["_bin"] = bisect_right
        binned = zip(parts, measures, strict=True)
        return " + ".join(f"{self.bind(points)}[_bin({self.bind(cuts)}, {one})]" for (cuts, points), one in binned)

    def condition(self, where: RecordFilter) -> str:
        """Python for whether the occasion's event is one that a filter is about."""
        return where.written(self._emitter, "occasion.event")

    def read(self, feature: Feature, part: str = "") -> str:
        """Python for a feature's value, or a part of it (`[0]`), measured where it was not yet."""
        if isinstance(feature, Derived):
            measured, worth = f"({self.expression(feature.expression, feature.features)})", Worth.REMEMBERING
        else:
            measured, worth = inlined(feature, part, self.bind)
        if worth is Worth.NOTHING:
            return measured
        if _is_volatile(feature):
            return measured + part
        meaning = feature.meaning
        self._reads[meaning] += 1
        if worth is Worth.READING_FIRST:
            self._at_hand[meaning] = measured
        name = self._shared.get(meaning)
        if name is None:
            return measured + part
        if meaning in self._first:
            return name
        return f"({name} if {name} is not _unset else ({name} := {measured})){part}"


def _is_volatile(feature: Feature) -> bool:
    """Whether the rules looked at before may change the value on the same occasion."""
    if isinstance(feature, Derived):
        return any(_is_volatile(part) for part in feature.features)
    return isinstance(feature, LevelOf | ActiveRule)
