"""Levels, steps and rules that nobody can reach: by where they begin, by their conditions, by when they hold."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from schemas.packs.pack import Pack
from schemas.packs.rules import (
    GradedRule,
    LadderRule,
    LeveledRule,
    MatrixRule,
    RuleModel,
    ScorecardRule,
    SignalRule,
    Validity,
)
from tagger.expr.compile import compile_expression
from tagger.expr.nodes import Node
from tagger.expr.scope import exact
from tagger.lint.ranges import range_of
from tagger.lint.trials import Demand, Trials
from tagger.packs.errors import PackError
from tagger.packs.rulebook import Rulebook
from tagger.packs.yaml_tree import Path

Findings = Iterator[PackError]


def unreachable_levels(rulebook: Rulebook) -> Findings:
    """Levels that a higher one always takes, or no measure or total reaches, and rules that never make a tag."""
    for name, (pack, rule) in rulebook.rules.items():
        if isinstance(rule, GradedRule) and set(rule.silent) >= set(rule.level_names):
            yield rulebook.error_at(
                pack.pack, ("rules", name, "silent"), "every level is silent", "one that is not"
            )
        if isinstance(rule, LadderRule) and rule.by is None:
            yield from _conditions_beyond_reach(rulebook, pack, name, rule)
        for path, by, starts in _graded_numbers(rule):
            yield from _numbers_beyond_reach(rulebook, pack, ("rules", name, *path), by, starts)
        if not isinstance(rule, LeveledRule):
            continue
        cuts = [(level, cut) for level, cut in rule.levels.items() if isinstance(cut, Decimal)]
        for (level, cut), (above, next_cut) in pairwise(cuts):
            if next_cut <= cut:
                message = f"`{level}` from {cut} is never reached: `{above}` begins at {next_cut}"
                yield rulebook.error_at(pack.pack, ("rules", name, "levels", level), message, "levels that ascend")
        if rule.leave_below is not None:
            yield from _overlaps(rulebook, pack, name, rule.leave_below, cuts)
        if isinstance(rule, ScorecardRule):
            yield from _beyond_points(rulebook, pack, name, rule, cuts)


def _conditions_beyond_reach(rulebook: Rulebook, pack: Pack, ladder: str, rule: LadderRule) -> Findings:
    """The last level that is met wins: one that is never met without a later one is never stood on.

    Beside one that waits for approval the last met below it stands, so that those from there up take nothing away.
    """
    trials = Trials(pack, None)
    names = rule.level_names
    free = len(names) if rule.approval is None else names.index(rule.approval.from_)
    trees = {
        level: None if level == rule.otherwise else _tree(rulebook, pack, str(text))
        for level, text in rule.levels.items()
    }
    for index, (level, tree) in enumerate(trees.items()):
        own: list[Demand] = [] if tree is None else [(tree, True)]
        above = names[index + 1 : free if index < free else None]
        later = {name: held for name in above if (held := trees[name]) is not None}
        if (own and trials.impossible(own)) or not later:
            continue
        one = next((name for name, held in later.items() if trials.impossible([*own, (held, False)])), None)
        if one is not None:
            message = f"`{level}` is never reached: wherever it is met, `{one}` is too, and the last one wins"
        elif trials.impossible([*own, *((held, False) for held in later.values())]):
            message = f"`{level}` is never reached: wherever it is met, a later one is too, and the last one wins"
        else:
            continue
        yield rulebook.error_at(
            pack.pack, ("rules", ladder, "levels", level), message, "levels from the lowest up, the narrowest last"
        )


def _graded_numbers(rule: RuleModel) -> Iterator[tuple[Path, str, Mapping[Any, Decimal | str]]]:
    """What a rule measures and where its steps begin, by the key of each, with the path that holds them."""
    match rule:
        case LadderRule(by=str(by), levels=levels):
            yield ("levels",), by, dict(levels)
        case ScorecardRule(points=points):
            for name, part in points.items():
                yield ("points", name, "bins"), part.by, {str(start): start for start in part.bins}
        case MatrixRule(rows=rows, columns=columns):
            yield ("rows", "cuts"), rows.by, dict(enumerate(rows.cuts))
            yield ("columns", "cuts"), columns.by, dict(enumerate(columns.cuts))


def _numbers_beyond_reach(
    rulebook: Rulebook, pack: Pack, path: Path, by: str, cuts: Mapping[Any, Decimal | str]
) -> Findings:
    """Steps that what is measured is always above or always below. Below a matrix's first cut is a step, too."""
    tree = _tree(rulebook, pack, by)
    span = range_of(tree, pack, None)
    starts = [(key, exact(cut, tree.type), cut) for key, cut in cuts.items() if isinstance(cut, Decimal)]
    for key, start, cut in starts:
        if span.high is not None and start > span.high:
            message = f"nothing reaches {cut:f}: `{by}` is {span.high} at most"
            yield rulebook.error_at(pack.pack, (*path, key), message, f"{span.high} or less")
    ends = starts if path[-1] == "cuts" else starts[1:]
    for key, start, cut in ends:
        if span.low is not None and start <= span.low:
            message = f"nothing lies below {cut:f}: `{by}` is never below {span.low}"
            yield rulebook.error_at(pack.pack, (*path, key), message, f"a number above {span.low}")


def _tree(rulebook: Rulebook, pack: Pack, text: str) -> Node:
    return compile_expression(text, rulebook.table.scope(pack, retained=True), None).tree


def _beyond_points(
    rulebook: Rulebook, pack: Pack, name: str, rule: ScorecardRule, cuts: list[tuple[str, Decimal]]
) -> Findings:
    most = Decimal(0)
    for part in rule.points.values():
        weighed = [Decimal(part.weight) * Decimal(points) for points in part.bins.values()]
        most += max(Decimal(0), *weighed)
    for level, cut in cuts:
        if cut > most:
            message = f"`{level}` from {cut:f} is never reached: the points come to {most.normalize():f} at most"
            yield rulebook.error_at(pack.pack, ("rules", name, "levels", level), message, "a lower start")


def _overlaps(
    rulebook: Rulebook, pack: Pack, rule: str, leave_below: Decimal, cuts: list[tuple[str, Decimal]]
) -> Findings:
    for (below, cut), (level, next_cut) in pairwise(cuts):
        line = next_cut * leave_below
        if cut < next_cut and 0 < line <= cut:
            message = f"`{level}` is left below {line.normalize():f}, where `{below}` has already been left"
            yield rulebook.error_at(pack.pack, ("rules", rule, "levels", level), message, "levels further apart")


def unreachable_rules(rulebook: Rulebook) -> Findings:
    """Rules that can never fire: their end is met whenever they are, or their time ends before it begins."""
    for name, (pack, rule) in rulebook.rules.items():
        if _ends_before_it_begins(rule.valid):
            message = "`valid` ends before it begins: it never fires"
            yield rulebook.error_at(pack.pack, ("rules", name, "valid"), message, "`from` before `to`")
        if not isinstance(rule, SignalRule) or rule.until is None:
            continue
        when, until = _tree(rulebook, pack, rule.when), _tree(rulebook, pack, rule.until)
        trials = Trials(pack, None)
        if trials.impossible([(when, True), (until, False)]) and not trials.impossible([(when, True)]):
            message = "`until` is true whenever `when` is: it never fires"
            yield rulebook.error_at(
                pack.pack, ("rules", name, "until"), message, "an end other than the beginning"
            )


def _ends_before_it_begins(valid: Validity | None) -> bool:
    if valid is None or valid.from_ is None or valid.to is None:
        return False
    return bool(valid.to.replace(tzinfo=None) < valid.from_.replace(tzinfo=None))
