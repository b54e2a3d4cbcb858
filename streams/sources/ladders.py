"""The ladders of joint_stock and ccb as the packs under `rules/` state them, for labels.

It shares nothing with the core, so that a run can be scored by it: levels are walked transaction by transaction,
averages day by day.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from fractions import Fraction

from schemas.money import FEN_PER_YUAN

JOINT_STOCK_RULE = "joint-stock-layer"
NEAR_UPGRADE_RULE = "joint-stock-near-upgrade"
CAMPAIGN_RULE = "reach-50000-campaign"
CCB_RULE = "ccb-level"

Level = tuple[str, int]
# (level, from, in yuan), the lowest first; the first makes no tag in either pack.
JOINT_STOCK: Sequence[Level] = (
    ("potential", 0),
    ("effective", 10_000),
    ("mid", 50_000),
    ("high", 500_000),
    ("private", 6_000_000),
)
CCB: Sequence[Level] = (
    ("ordinary", 0),
    ("potential", 5_000),
    ("gold", 50_000),
    ("platinum", 200_000),
    ("private_banking", 6_000_000),
)
# A layer of joint_stock is left only below this share of where it begins.
_LEAVE_BELOW_PERCENT = 95


def levels_reached(levels: Sequence[Level], points: Iterable[tuple[int, int]]) -> Iterator[tuple[int, str]]:
    """When each level of a ladder by assets opens.

    Args:
        points: (when, assets in fen) after every transaction, in order.

    Yields:
        (when, level) of every level that opens and makes a tag.
    """
    rank = 0
    for at_ms, assets in points:
        before, rank = rank, next_rank(levels, rank, assets)
        if rank not in (before, 0):
            yield at_ms, levels[rank][0]


def next_rank(levels: Sequence[Level], rank: int, assets: int) -> int:
    """The level of a ladder by assets that is stood on next, counted from the lowest, which is 0."""
    met = _rank(levels, assets)
    is_left = assets * 100 < levels[rank][1] * FEN_PER_YUAN * _LEAVE_BELOW_PERCENT
    return met if met > rank or is_left else rank


def ccb_levels(
    opening: int, changes: Sequence[tuple[int, int]], last_day: int
) -> Iterator[tuple[int | None, str]]:
    """When each level opens: with the first record, and as quarters turn.

    Args:
        opening: assets in fen before the first record, which reach back without end.
        changes: (day, closing assets in fen) of every day with a transaction, in order.
        last_day: the last day that the clock reaches.

    Yields:
        (first day of the quarter, or None for the first record, level).
    """
    rank = _rank(CCB, opening)
    if rank > 0:
        yield None, CCB[rank][0]
    closings = dict(changes)
    held, total, days = opening, 0, 0
    first = date.fromordinal(changes[0][0])
    for day in range(date(first.year, (first.month - 1) // 3 * 3 + 1, 1).toordinal(), last_day + 1):
        today = date.fromordinal(day)
        if days and today.day == 1 and today.month % 3 == 1:
            met = _rank(CCB, Fraction(total, days))
            if met != rank:
                rank = met
                if rank > 0:
                    yield day, CCB[rank][0]
            total = days = 0
        held = closings.get(day, held)
        total, days = total + held, days + 1


def _rank(levels: Sequence[Level], fen: int | Fraction) -> int:
    return max((i for i, (_, start) in enumerate(levels) if fen >= start * FEN_PER_YUAN), default=0)
