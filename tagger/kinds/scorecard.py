"""Scorecards: points for each part by the bin it falls into, weighted and summed; levels by the total."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from schemas.tags import Printed
from tagger.expr.compile import Condition, Expression
from tagger.features.contract import Environment
from tagger.kinds.ladder import ByNumber, starts_at
from tagger.printing import Print, print_number

TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a scorecard.

    Attributes:
        cuts: where each bin begins (fen when it is money), ascending.
        points: of each bin, the weight taken in; below the first bin there are none.
    """

    name: str
    by: Expression
    cuts: Sequence[int | Fraction]
    points: Sequence[int | Fraction]
    print_cut: Print

    def score(self, environment: Environment) -> int | Fraction | None:
        """Weighted points, exact; None while what is measured is unknown."""
        measure = self.by.evaluate(environment)
        if measure is None:
            return None
        bin_ = bisect_right(self.cuts, measure) - 1
        return self.points[bin_] if bin_ >= 0 else 0

    def condition(self, environment: Environment) -> Condition | None:
        """Into which bin it fell."""
        measure = self.by.evaluate(environment)
        if measure is None:
            return None
        bin_ = bisect_right(self.cuts, measure) - 1
        cut = self.cuts[max(bin_, 0)]
        return starts_at(self.by.evaluate, self.by.text, self.by.reads, cut, self.print_cut, below=bin_ < 0)


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Levels of a total of points; unknown if a part is.

    Attributes:
        grades: where the levels start.
    """

    parts: tuple[Part, ...]
    grades: ByNumber

    @property
    def is_ranked(self) -> bool:
        return True

    def reached(self, environment: Environment, stood_on: int, end: int) -> tuple[int, bool]:
        return self.grades.reached(environment, stood_on, end)

    def conditions(self, level: int, environment: Environment) -> tuple[Condition, ...]:
        binned = (part.condition(environment) for part in self.parts)
        return self.grades.conditions(level, environment) + tuple(one for one in binned if one is not None)

    def extra(self, environment: Environment) -> dict[str, Printed]:
        scores = {part.name: part.score(environment) for part in self.parts}
        printed = {name: None if score is None else print_number(score) for name, score in scores.items()}
        total = self.grades.measure(environment)
        return {**printed, TOTAL: None if total is None else print_number(total)}


def total_of(parts: Sequence[Part], environment: Environment) -> int | Fraction | None:
    """The sum of the parts' points, None if one is unknown."""
    total: int | Fraction = 0
    for part in parts:
        score = part.score(environment)
        if score is None:
            return None
        total += score
    return total


class WholePoints:
    """The parts of totals in whole numbers, which add up faster than fractions.

    Attributes:
        scale: what points are multiplied by.
        parts: of each, where its bins begin, and `scale` times the points below the first and of each bin.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.scale = lcm(*(Fraction(points).denominator for part in parts for points in part.points))
        # Below the first bin there are no points.
        self.parts = [(part.cuts, (0, *(int(points * self.scale) for points in part.points))) for part in parts]
