"""Ladders, scorecards and matrices of a pack → what grades, compiled."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from schemas.packs.rules import GradedRule, LadderRule, LeveledRule, MatrixRule, ScorecardRule
from tagger.expr.compile import Expression, compile_expression
from tagger.expr.scope import Scope, Type, exact
from tagger.features.build import RuleLevels
from tagger.kinds.grades import Grading
from tagger.kinds.ladder import ByConditions, ByNumber
from tagger.kinds.matrix import Axis, Matrix
from tagger.kinds.scorecard import TOTAL, Part, Scorecard, total_of
from tagger.printing import printer
from tagger.state.customer import NEVER

Graded = tuple[Grading, list[Expression], RuleLevels]


def compile_grading(model: GradedRule, reading: Scope) -> Graded:
    """What tells a rule's levels apart, the expressions it reads, and what `level:` must know of it."""
    match model:
        case LadderRule(by=None):
            return _by_conditions(model, reading)
        case LadderRule(by=str()):
            return _by_number(model, reading)
        case ScorecardRule():
            return _scorecard(model, reading)
        case MatrixRule():
            return _matrix(model, reading)
    raise AssertionError(f"a graded rule of an unknown kind: {model.kind}")


def _by_conditions(model: LadderRule, reading: Scope) -> Graded:
    levels = tuple(
        None if name == model.otherwise else compile_expression(str(text), reading, Type.BOOLEAN)
        for name, text in model.levels.items()
    )
    told = RuleLevels(model.level_names, (), Type.NUMBER)
    return ByConditions(levels), [level for level in levels if level is not None], told


def _by_number(model: LadderRule, reading: Scope) -> Graded:
    assert model.by is not None
    by = compile_expression(model.by, reading, None)
    grades = replace(_grades(model, by.evaluate, by.text, by.reads, by.type), by=by)
    return grades, [by], RuleLevels(model.level_names, tuple(grades.cuts), by.type)


def _grades(model: LeveledRule, measure: Any, text: str, reads: tuple[str, ...], kind: Type) -> ByNumber:
    cuts = tuple(
        -NEVER if name == model.otherwise else exact(Decimal(cut), kind) for name, cut in model.levels.items()
    )
    return ByNumber(
        measure=measure,
        text=text,
        reads=reads,
        cuts=cuts,
        ascends=list(cuts) == sorted(cuts),
        otherwise=model.otherwise is not None,
        leave_below=None if model.leave_below is None else Fraction(model.leave_below),
        print_cut=printer(kind),
    )


def _scorecard(model: ScorecardRule, reading: Scope) -> Graded:
    parts = []
    for name, part in model.points.items():
        by = compile_expression(part.by, reading, None)
        points = [exact(Decimal(part.weight) * Decimal(points)) for points in part.bins.values()]
        parts.append(Part(name, by, _exact_cuts(part.bins, by.type), points, printer(by.type)))
    grades = _grades(model, partial(total_of, parts), TOTAL, (TOTAL,), Type.NUMBER)
    told = RuleLevels(model.level_names, tuple(grades.cuts), Type.NUMBER)
    return Scorecard(tuple(parts), grades), [part.by for part in parts], told


def _matrix(model: MatrixRule, reading: Scope) -> Graded:
    rows, columns = (
        Axis(by, _exact_cuts(axis.cuts, by.type), printer(by.type))
        for axis in (model.rows, model.columns)
        for by in [compile_expression(axis.by, reading, None)]
    )
    levels = model.level_names
    cells = tuple(tuple(levels.index(name) for name in row) for row in model.cells)
    return Matrix(rows, columns, cells), [rows.by, columns.by], RuleLevels(levels, (), Type.NUMBER, False)


def _exact_cuts(cuts: Iterable[Decimal | str], kind: Type) -> tuple[int | Fraction, ...]:
    return tuple(exact(Decimal(cut), kind) for cut in cuts)
