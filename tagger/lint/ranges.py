"""What a name of a pack can be: between which numbers, whole or not.

The ranges are those of the language itself (a count is never negative, a sliding count never above the events
that are kept), not those of any data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from schemas.packs.features import (
    AverageBalance,
    Count,
    DaysSince,
    Distinct,
    High,
    ListCount,
    ListDistinct,
    Low,
    Sum,
    Summary,
    Top,
)
from schemas.packs.model import MONEY_NAMES
from schemas.packs.pack import Pack
from tagger.expr.nodes import Node, Read, Today
from tagger.expr.scope import Type
from tagger.features.sliding import MAX_KEPT_EVENTS
from tagger.packs.names import RETAINED


@dataclass(frozen=True)
class Range:
    """From the least to the greatest value, None where there is no end; `whole`: nothing between two integers."""

    low: Fraction | None = None
    high: Fraction | None = None
    whole: bool = False

    @classmethod
    def of(cls, low: int | None, high: int | None, *, whole: bool = True) -> "Range":
        return cls(None if low is None else Fraction(low), None if high is None else Fraction(high), whole)

    def holds(self, value: Fraction) -> bool:
        """Whether something can be this value."""
        if self.whole and value.denominator != 1:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


_RECORDS: Mapping[str, tuple[int | None, int | None]] = {
    "hour": (0, 23), "weekday": (1, 7), "day": (1, 31), "month": (1, 12), "dwell_ms": (0, None),
    "amount": (1, None),
}  # fmt: skip
# Counts, sums and closings of whole fen; a mean or a derived feature may lie in between.
_WHOLE = (Sum, AverageBalance, Low, High)
_COUNTS = (Count, Distinct, DaysSince, ListCount, ListDistinct, Top)


def range_of(node: Node, pack: Pack, source: str | None) -> Range:
    """The range of what a node reads.

    Args:
        source: whose records the expression is about; None for an expression over features.
    """
    if isinstance(node, Today):
        return Range.of(*_RECORDS.get(node.part, (None, None)))
    if not isinstance(node, Read):
        return Range(whole=node.type is Type.DATE)
    if source is not None:
        return Range.of(*_RECORDS.get(node.name, (None, None)))
    if node.name == RETAINED:
        return Range.of(0, 1, whole=False)
    feature, _, part = node.name.partition(".")
    model = pack.features.get(feature)
    whole = isinstance(model, _COUNTS + _WHOLE) or node.type is Type.DATE or feature in MONEY_NAMES
    low: int | None = None
    high: int | None = None
    if isinstance(model, Count):
        low, high = 0, MAX_KEPT_EVENTS if model.over.unit == "ms" else None
    elif isinstance(model, Distinct):
        low, high = 0, model.at_most
    elif isinstance(model, DaysSince | ListCount | ListDistinct | Summary) or part in {"rank", "next"}:
        low = None if node.type is Type.DATE else 0
    elif isinstance(model, Top) or part == "day":
        low = 1
    return Range.of(low, high, whole=whole or part in {"rank", "day"})
