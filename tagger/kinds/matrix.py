"""Matrices: the cell in which two measures meet is the level; there is no order among cells."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from schemas.tags import Printed
from tagger.expr.compile import Condition, Expression
from tagger.features.contract import Environment
from tagger.kinds.ladder import starts_at
from tagger.printing import Print


@dataclass(frozen=True, slots=True)
class Axis:
    """What one axis measures, and the cuts that part it; a number equal to a cut belongs above it."""

    by: Expression
    cuts: Sequence[int | Fraction]
    print_cut: Print

    def step(self, measure: Any) -> int:
        """The step that a measure falls into, from 0."""
        return bisect_right(self.cuts, measure)

    def conditions(self, measure: Any) -> Iterator[Condition]:
        """Between which cuts it lies."""
        step, by = self.step(measure), self.by
        if step > 0:
            yield starts_at(by.evaluate, by.text, by.reads, self.cuts[step - 1], self.print_cut)
        if step < len(self.cuts):
            yield starts_at(by.evaluate, by.text, by.reads, self.cuts[step], self.print_cut, below=True)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Levels by cell.

    Attributes:
        cells: the level of each cell, one row after the other from the lowest.
    """

    rows: Axis
    columns: Axis
    cells: tuple[tuple[int, ...], ...]

    @property
    def is_ranked(self) -> bool:
        return False

    def reached(self, environment: Environment, stood_on: int, end: int) -> tuple[int, bool]:
        row, column = self.rows.by.evaluate(environment), self.columns.by.evaluate(environment)
        if row is None or column is None:
            return -1, True
        return self.cells[self.rows.step(row)][self.columns.step(column)], False

    def conditions(self, level: int, environment: Environment) -> tuple[Condition, ...]:
        measures = [(axis, axis.by.evaluate(environment)) for axis in (self.rows, self.columns)]
        return tuple(
            condition
            for axis, measure in measures
            if measure is not None
            for condition in axis.conditions(measure)
        )

    def extra(self, environment: Environment) -> dict[str, Printed]:
        return {}
