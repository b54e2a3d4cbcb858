"""The joint_stock ladder as domain.md section 1 states it, for labels: which level opens when.

It shares nothing with the core, so that a run can be scored by it.
"""

from collections.abc import Iterable, Iterator

from schemas.money import FEN_PER_YUAN

JOINT_STOCK_RULE = "joint-stock-layer"

# (level, from, in yuan), the lowest first.
JOINT_STOCK = (("potential", 0), ("effective", 10_000), ("mid", 50_000), ("high", 500_000), ("private", 6_000_000))
# Levels that make no tag, and the share of a level's start below which it is left.
SILENT: frozenset[str] = frozenset()
LEAVE_BELOW_PERCENT = 100


def joint_stock_levels(points: Iterable[tuple[int, int]]) -> Iterator[tuple[int, str]]:
    """When each level opens.

    Args:
        points: (when, assets in fen) after every transaction, in order.

    Yields:
        (when, level) of every level that opens and makes a tag.
    """
    rank = -1
    for at_ms, assets in points:
        met = max((i for i, (_, start) in enumerate(JOINT_STOCK) if assets >= start * FEN_PER_YUAN), default=-1)
        if rank > met and rank > 0 and assets * 100 >= JOINT_STOCK[rank][1] * FEN_PER_YUAN * LEAVE_BELOW_PERCENT:
            met = rank
        if met != rank:
            rank = met
            if rank >= 0 and JOINT_STOCK[rank][0] not in SILENT:
                yield at_ms, JOINT_STOCK[rank][0]
