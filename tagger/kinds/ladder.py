"""Ladders: levels by where a number stands among cuts, or each by a condition of its own; the last met wins."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from schemas.tags import Printed
from tagger.expr.compile import Condition, Expression
from tagger.features.contract import Environment
from tagger.printing import Print


@dataclass(frozen=True, slots=True)
class ByNumber:
    """Levels that start at numbers; a number equal to a cut belongs above it.

    Attributes:
        measure: what is graded; None is unknown.
        by: the expression behind it; None where it is something else, such as a total of points.
        text, reads: what it is called and reads, for evidence.
        cuts: where each level starts (fen when it is money); that of `otherwise` lies below everything.
        ascends: each level starts at or above the one before it. Where one does not, the one before it is never
            reached, of which `rules check` tells.
        otherwise: the first level takes all who meet none.
        leave_below: share of its start below which the level stood on is left.
    """

    measure: Callable[[Environment], Any]
    text: str
    reads: tuple[str, ...]
    cuts: Sequence[int | Fraction]
    ascends: bool
    otherwise: bool
    leave_below: Fraction | None
    print_cut: Print
    by: Expression | None = None

    @property
    def is_ranked(self) -> bool:
        return True

    def reached(self, environment: Environment, stood_on: int, end: int) -> tuple[int, bool]:
        lowest = 0 if self.otherwise and end else -1
        measure = self.measure(environment)
        if measure is None:
            return lowest, True
        if self.ascends:
            met = bisect_right(self.cuts, measure, 0, end) - 1
        else:
            met = next((level for level in range(end - 1, -1, -1) if self.cuts[level] <= measure), -1)
        reached = max(met, lowest)
        if reached < stood_on < end and self.leave_below is not None:
            cut = self.cut(stood_on)
            if cut is not None and measure >= self.leave_below * cut:
                return stood_on, False
        return reached, False

    def cut(self, level: int) -> int | Fraction | None:
        """Where a level starts; None for the one that takes everyone else."""
        return self.cuts[level] if level > 0 or (level == 0 and not self.otherwise) else None

    def conditions(self, level: int, environment: Environment) -> tuple[Condition, ...]:
        cut = self.cut(level)
        return () if cut is None else (starts_at(self.measure, self.text, self.reads, cut, self.print_cut),)

    def extra(self, environment: Environment) -> dict[str, Printed]:
        return {}


def starts_at(
    measure: Callable[[Environment], Any],
    text: str,
    reads: tuple[str, ...],
    cut: int | Fraction,
    print_cut: Print,
    *,
    below: bool = False,
) -> Condition:
    """The condition that a measure stands at a cut or above it; `below` it instead where so said."""
    printed = str(print_cut(cut))

    def holds(environment: Any) -> bool | None:
        value = measure(environment)
        return None if value is None else bool(value < cut if below else value >= cut)

    return Condition(f"{text} {'<' if below else '>='} {printed}", reads, printed, holds)


@dataclass(frozen=True, slots=True)
class ByConditions:
    """Levels that are expressions; None is `otherwise`, which everyone meets."""

    levels: tuple[Expression | None, ...]

    @property
    def is_ranked(self) -> bool:
        return True

    def reached(self, environment: Environment, stood_on: int, end: int) -> tuple[int, bool]:
        unknown = False
        for level in range(end - 1, -1, -1):
            condition = self.levels[level]
            holds = True if condition is None else condition.evaluate(environment)
            if holds is True:
                return level, unknown
            unknown = unknown or holds is None
        return -1, unknown

    def conditions(self, level: int, environment: Environment) -> tuple[Condition, ...]:
        condition = self.levels[level]
        return () if condition is None else condition.conditions

    def extra(self, environment: Environment) -> dict[str, Printed]:
        return {}
