"""Numbers that grade (a level's start, a bin, points, a weight, a cut), put where settings stand for them."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from schemas.packs.model import nearest
from schemas.packs.pack import Pack
from schemas.packs.rules import (
    LadderRule,
    LeveledRule,
    MatrixAxis,
    MatrixRule,
    RuleModel,
    ScorecardRule,
    ScorePart,
)
from tagger.expr.errors import ExpressionError
from tagger.packs.errors import Problem
from tagger.packs.yaml_tree import Path


def resolve_cuts(pack: Pack) -> tuple[Pack, list[Problem]]:
    """A pack whose rules hold numbers only, and what is wrong with the names or the order."""
    resolver = _Resolver(pack)
    rules = {name: resolver.rule(("rules", name), rule) for name, rule in pack.rules.items()}
    return pack.model_copy(update={"rules": rules}), resolver.problems


def setting_names(pack: Pack) -> list[str]:
    """Every setting that may stand for a number, dotted."""
    return [
        f"{name}.{part}" if part else name
        for name, value in pack.settings.items()
        for part in (value if isinstance(value, Mapping) else [""])
    ]


def written_numbers(rule: Mapping[str, Any]) -> Iterator[Any]:
    """Everything a rule of a pack's text holds where a number, or a setting, may stand."""
    yield from _values(rule.get("levels"))
    for part in _values(rule.get("points")):
        if isinstance(part, dict):
            yield part.get("weight")
            yield from _values(part.get("bins"))
            yield from part.get("bins") or ()
    for axis in (rule.get("rows"), rule.get("columns")):
        yield from _values(axis.get("cuts") if isinstance(axis, dict) else None)


def _values(held: Any) -> Iterable[Any]:
    if isinstance(held, dict):
        return held.values()
    return held if isinstance(held, list) else ()


class _Resolver:
    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self.problems: list[Problem] = []

    def rule(self, path: Path, rule: RuleModel) -> RuleModel:
        update: dict[str, Any] = {}
        if isinstance(rule, LeveledRule) and rule.is_measured:
            update["levels"] = {
                level: cut if level == rule.otherwise else self._number((*path, "levels", level), cut)
                for level, cut in rule.levels.items()
            }
        if isinstance(rule, ScorecardRule):
            update["points"] = {
                name: self._part((*path, "points", name), part) for name, part in rule.points.items()
            }
        if isinstance(rule, MatrixRule):
            update["rows"] = self._axis((*path, "rows"), rule.rows)
            update["columns"] = self._axis((*path, "columns"), rule.columns)
        if not update or (isinstance(rule, LadderRule) and rule.by is None):
            return rule
        return rule.model_copy(update=update)

    def _part(self, path: Path, part: ScorePart) -> ScorePart:
        bins = {
            self._number((*path, "bins", str(start)), start): self._number((*path, "bins", str(start)), points)
            for start, points in part.bins.items()
        }
        if len(bins) == len(part.bins):
            self._check_order((*path, "bins"), list(bins))
        else:
            error = ExpressionError("two bins begin alike", 0, "bins that ascend")
            self.problems.append(Problem((*path, "bins"), error))
        return part.model_copy(update={"bins": bins, "weight": self._number((*path, "weight"), part.weight)})

    def _axis(self, path: Path, axis: MatrixAxis) -> MatrixAxis:
        cuts = tuple(self._number((*path, "cuts", index), cut) for index, cut in enumerate(axis.cuts))
        self._check_order((*path, "cuts"), list(cuts))
        return axis.model_copy(update={"cuts": cuts})

    def _check_order(self, path: Path, cuts: list[Decimal]) -> None:
        for low, high in pairwise(cuts):
            if high <= low:
                error = ExpressionError(f"{high:f} follows {low:f}", 0, "numbers that ascend")
                self.problems.append(Problem(path, error))

    def _number(self, path: Path, value: Decimal | str) -> Decimal:
        if isinstance(value, Decimal):
            return value
        first, _, part = value.partition(".")
        found = self._pack.settings.get(first)
        number = found.get(part) if isinstance(found, Mapping) else found if not part else None
        if number is None:
            self.problems.append(Problem(path, self._unknown(value)))
            # Apart from every other number, so that nothing else is wrong because of it.
            return Decimal(10**18 + len(self.problems))
        return number

    def _unknown(self, value: str) -> ExpressionError:
        return ExpressionError(
            f"`{value}` is neither a number nor a setting",
            0,
            "a number or the name of a setting",
            nearest(value, setting_names(self._pack)),
        )
