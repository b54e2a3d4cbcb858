"""What is wrong with a pack beyond its shape: names, types, references between rules, cycles.

Every check yields problems and goes on, so that an analyst mends a pack in one go.
"""

from collections.abc import Callable, Iterator
from functools import partial

from schemas.packs.cases import Case, GivenFeedback
from schemas.packs.features import (
    ActiveRule,
    Derived,
    Distinct,
    LevelOf,
    ListDistinct,
    ListNext,
    ListSum,
    Next,
    Sum,
    Top,
)
from schemas.packs.model import nearest
from schemas.packs.pack import Pack
from schemas.packs.rules import Conversion, LeveledRule, RecordFilter, RuleModel, ScorecardRule, SignalRule
from tagger.expr.compile import compile_expression
from tagger.expr.errors import ExpressionError, UnresolvedNameError
from tagger.expr.fields import record_scope
from tagger.expr.parse import referenced_names
from tagger.expr.scope import Scope, Type
from tagger.packs.errors import Problem
from tagger.packs.names import RESERVED, NameTable, record_field
from tagger.packs.yaml_tree import Path

Problems = Iterator[Problem]


def check_pack(pack: Pack, table: NameTable) -> Problems:
    """Everything wrong with a pack whose shape is right."""
    yield from _check_names(pack)
    for name, feature in pack.features.items():
        for step, action in feature_attempts(pack, feature, table):
            yield from attempt(("features", name, step), action)
    for name, rule in pack.rules.items():
        yield from _check_rule(("rules", name), pack, rule, table)
    for index, case in enumerate(pack.cases):
        yield from _check_case(("cases", index), pack, case, table)


def find_cycles(table: NameTable) -> Iterator[tuple[str, Problem]]:
    """Features and rules that depend on themselves, each cycle once, with the pack it is told of."""
    edges = _dependencies(table)
    done: set[str] = set()
    for start in edges:
        trail: list[str] = []
        stack = [(start, iter(edges[start]))] if start not in done else []
        while stack:
            node, following = stack[-1]
            if not trail or trail[-1] != node:
                trail.append(node)
            child = next((c for c in following if c in edges and c not in done), None)
            if child is None:
                done.add(node)
                trail.pop()
                stack.pop()
            elif child in trail:
                cycle = [*trail[trail.index(child) :], child]
                pack, path = _home(child, table)
                yield pack, Problem(path, ExpressionError(f"depends on itself: {' → '.join(cycle)}"))
                done.add(child)
            else:
                stack.append((child, iter(edges[child])))


def attempt(path: Path, action: Callable[[], object], in_key: bool = False) -> Problems:
    """What an action raises, as problems at a path."""
    try:
        action()
    except UnresolvedNameError:
        return
    except ExpressionError as error:
        yield from (Problem(path, one, in_key) for one in (error, *error.others))


def check_condition(path: Path, text: str, scope: Scope) -> Problems:
    """What is wrong with an expression that must be true or false."""
    return attempt(path, lambda: compile_expression(text, scope, Type.BOOLEAN))


def check_measure(path: Path, text: str, scope: Scope) -> Problems:
    """What is wrong with an expression that levels are told apart by."""
    return attempt(path, partial(_is_measure, text, scope))


def _check_names(pack: Pack) -> Problems:
    for section, names in (("settings", pack.settings), ("features", pack.features)):
        for name in names:
            if name in RESERVED:
                error = ExpressionError(f"`{name}` means something already", 0, "another name")
                yield Problem((section, name), error, in_key=True)
    for name in pack.features:
        if name in pack.settings:
            error = ExpressionError(f"`{name}` is a setting of this pack too", 0, "another name")
            yield Problem(("features", name), error, in_key=True)


def feature_attempts(pack: Pack, model: object, table: NameTable) -> Iterator[tuple[str, Callable[[], object]]]:
    """What a feature names, by its key: each raises `ExpressionError` where that is wrong."""
    match model:
        case Sum(source=source, field=field) | ListSum(source=source, field=field):
            yield "sum", lambda: record_field(source, field, (Type.MONEY, Type.NUMBER))
        case (
            Top(source=source, field=field, verb=verb)
            | Distinct(source=source, field=field, verb=verb)
            | ListDistinct(source=source, field=field, verb=verb)
        ):
            yield verb, lambda: record_field(source, field, (Type.TEXT,))
        case Next(source=source, field=field) | ListNext(source=source, field=field):
            yield "next", lambda: record_field(source, field, (Type.DATE,))
        case LevelOf(rule=rule):
            yield "level", lambda: table.graded(rule)
        case ActiveRule(rule=rule):
            yield "active", lambda: table.rule(rule)
        case Derived(text=text):
            yield "expr", lambda: compile_expression(text, table.scope(pack), None)
    where, source_name = getattr(model, "where", None), getattr(model, "source", None)
    if where is not None and source_name is not None:
        yield "where", lambda: compile_expression(where, record_scope(source_name, pack.settings), Type.BOOLEAN)


def _check_rule(path: Path, pack: Pack, rule: RuleModel, table: NameTable) -> Problems:
    is_watch = isinstance(rule, SignalRule) and rule.after is not None
    scope = table.scope(pack, retained=is_watch)
    for place, text in rule.expressions():
        if place[-1] == "by":
            yield from check_measure((*path, *place), text, scope)
        else:
            yield from check_condition((*path, *place), text, scope)
    if isinstance(rule, SignalRule) and rule.after is not None:
        yield from _check_filter((*path, "after"), pack, rule.after)
    if rule.converts is not None:
        yield from _check_filter((*path, "converts"), pack, rule.converts)
    if rule.refresh is not None:
        yield from check_read((*path, "refresh"), rule.refresh, scope)


def _check_filter(path: Path, pack: Pack, records: RecordFilter | Conversion) -> Problems:
    if records.event is not None and records.where is not None:
        yield from check_condition((*path, "where"), records.where, record_scope(records.event, pack.settings))


def _is_measure(text: str, scope: Scope) -> None:
    kind = compile_expression(text, scope, None).type
    if kind not in {Type.MONEY, Type.NUMBER}:
        raise ExpressionError(f"levels are told apart by a {kind.value}", 0, "money or a number")


def check_read(path: Path, name: str, scope: Scope, in_key: bool = False) -> Problems:
    """What is wrong with a text that must name a single feature, or a part of one."""

    def read() -> None:
        if compile_expression(name, scope, None).reads != (name,):
            raise ExpressionError(f"`{name}` is not a single feature", 0, "the name of a feature")

    return attempt(path, read, in_key)


def _check_case(path: Path, pack: Pack, case: Case, table: NameTable) -> Problems:
    for index, name in enumerate(case.rules or ()):
        yield from attempt((*path, "rules", index), partial(table.rule, name))
    for index, given in enumerate(case.given):
        if isinstance(given, GivenFeedback):
            place = (*path, "given", index, "feedback", "rule")
            yield from attempt(place, partial(table.rule, given.feedback.rule))
    looked_at = case.rules if case.rules is not None else tuple(pack.rules)
    for index, expected in enumerate(case.expect):
        place = (*path, "expect", index)
        yield from attempt((*place, expected.change), partial(table.rule, expected.rule))
        if expected.rule not in table.rules:
            continue
        if expected.level is not None:
            yield from attempt((*place, "level"), partial(_has_level, table, expected.rule, expected.level))
        if expected.rule not in looked_at:
            error = ExpressionError(
                f"`{expected.rule}` is not looked at here", 0, f"one of {', '.join(looked_at)}"
            )
            yield Problem((*place, expected.change), error)
        for name in expected.value or ():
            yield from attempt(
                (*place, "value", name), partial(_has_value, table, expected.rule, name), in_key=True
            )
    for name in case.features:
        yield from check_read((*path, "features", name), name, table.scope(pack), in_key=True)


def _has_level(table: NameTable, rule: str, level: str) -> None:
    _, graded = table.graded(rule)
    levels = graded.level_names
    if level not in levels:
        raise ExpressionError(
            f"`{rule}` has no level `{level}`", 0, f"one of {', '.join(levels)}", nearest(level, levels)
        )


def _has_value(table: NameTable, rule: str, name: str) -> None:
    pack, model = table.rule(rule)
    try:
        names = _value_names(model, table.scope(pack, retained=True))
    except ExpressionError as error:
        raise UnresolvedNameError(error.message) from error
    if name not in names:
        raise ExpressionError(
            f"a tag of `{rule}` says no `{name}`", 0, f"one of {', '.join(names)}", nearest(name, names)
        )


def _value_names(rule: RuleModel, scope: Scope) -> list[str]:
    """What a tag's `value` may say: what the rule's expressions read, and what its kind adds."""
    texts = [text for _, text in rule.expressions()] + ([] if rule.refresh is None else [rule.refresh])
    names = dict.fromkeys(name for text in texts for name in compile_expression(text, scope, None).reads)
    match rule:
        case SignalRule(after=RecordFilter(event="transactions")):
            names["amount"] = None
        case ScorecardRule(points=points):
            names |= dict.fromkeys((*points, "total", "rank", "previous_rank"))
        case LeveledRule():
            names |= dict.fromkeys(("rank", "previous_rank"))
    return list(names)


def _dependencies(table: NameTable) -> dict[str, list[str]]:
    """Edges between `pack.feature` and rules (`rule name`), as far as expressions can be read."""
    edges: dict[str, list[str]] = {}
    for pack in table.packs.values():
        for name, model in pack.features.items():
            match model:
                case LevelOf(rule=rule) | ActiveRule(rule=rule):
                    edges[f"{pack.pack}.{name}"] = [f"rule {rule}"]
                case Derived(text=text):
                    edges[f"{pack.pack}.{name}"] = _features_in(pack, [text])
        for name, rule_model in pack.rules.items():
            refreshed = [] if rule_model.refresh is None else [rule_model.refresh]
            edges[f"rule {name}"] = _features_in(pack, rule_expressions(rule_model) + refreshed)
    return edges


def rule_expressions(rule: RuleModel) -> list[str]:
    """The expressions of a rule that read features."""
    return [text for _, text in rule.expressions()]


def _features_in(pack: Pack, texts: list[str]) -> list[str]:
    found: list[str] = []
    for text in texts:
        try:
            names = referenced_names(text)
        except ExpressionError:
            continue
        found += [f"{pack.pack}.{name.partition('.')[0]}" for name in names]
    return found


def _home(node: str, table: NameTable) -> tuple[str, Path]:
    if node.startswith("rule "):
        name = node.removeprefix("rule ")
        return table.rules[name][0].pack, ("rules", name)
    pack, _, feature = node.partition(".")
    return pack, ("features", feature)
