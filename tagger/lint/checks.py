"""What is allowed in a rulebook and yet cannot be meant (`tagger rules check`).

Each check is a function from a rulebook to findings, in one table. A rulebook with findings still runs.
"""

from collections.abc import Callable, Iterator, Mapping

from schemas.packs.cases import Case, GivenAppEvent, GivenProfile, GivenTransaction
from schemas.packs.features import (
    ActiveRule,
    Count,
    Derived,
    Distinct,
    FeatureModel,
    LevelOf,
    ListFeature,
    Sum,
    Top,
)
from schemas.packs.model import MONEY_NAMES
from schemas.packs.pack import Pack
from schemas.packs.rules import GradedRule, LeveledRule, RuleModel, SignalRule
from tagger.expr.compile import compile_expression, reads_of
from tagger.expr.explain import walk
from tagger.expr.fields import PROFILE_FIELDS
from tagger.expr.nodes import Compare, Node, children
from tagger.expr.parse import referenced_names
from tagger.lint.constant_conditions import constant_parts, placed_expressions
from tagger.lint.unreachable import unreachable_levels, unreachable_rules
from tagger.packs.check import rule_expressions
from tagger.packs.cuts import written_numbers
from tagger.packs.errors import PackError
from tagger.packs.rulebook import Rulebook

Findings = Iterator[PackError]


def lint(rulebook: Rulebook) -> list[PackError]:
    """Everything doubtful about a rulebook, by file, line and column."""
    found = {finding for check in CHECKS for finding in check(rulebook)}
    return sorted(found, key=lambda f: (f.file, f.line, f.column, f.message))


def uncovered_rules(rulebook: Rulebook) -> Findings:
    """Each rule has a case in its pack in which it fires, on each level, and one where it could and does not."""
    for name, (pack, rule) in rulebook.rules.items():
        cases = [case for case in pack.cases if case.rules is None or name in case.rules]
        if not any(e.opened == name for case in cases for e in case.expect):
            yield rulebook.error_at(pack.pack, ("rules", name), f"no case in which `{name}` opens", None)
        elif isinstance(rule, GradedRule):
            yield from _uncovered_levels(rulebook, pack, name, rule, cases)
        inputs = _inputs_of_rule(rulebook, pack, rule, frozenset())
        silent = [case for case in cases if all(e.rule != name for e in case.expect)]
        if not any(not inputs or _inputs_of_case(case) & inputs for case in silent):
            message = f"no case in which `{name}` stays silent although its inputs come"
            yield rulebook.error_at(pack.pack, ("rules", name), message, None)


def _uncovered_levels(rulebook: Rulebook, pack: Pack, name: str, rule: GradedRule, cases: list[Case]) -> Findings:
    opened = {e.level for case in cases for e in case.expect if e.opened == name}
    for level in rule.level_names:
        if level not in opened and level not in rule.silent:
            path = ("levels", level) if isinstance(rule, LeveledRule) else ("cells",)
            message = f"no case in which `{name}` opens on `{level}`"
            yield rulebook.error_at(pack.pack, ("rules", name, *path), message, None)


def _inputs_of_case(case: Case) -> set[str]:
    kinds = {GivenTransaction: "transactions", GivenAppEvent: "app_events", GivenProfile: "profiles"}
    return {kinds[type(given)] for given in case.given if type(given) in kinds}


def _inputs_of_rule(rulebook: Rulebook, pack: Pack, rule: RuleModel, seen: frozenset[str]) -> set[str]:
    inputs: set[str] = set()
    if isinstance(rule, SignalRule) and rule.after is not None:
        return {rule.after.event}
    for text in rule_expressions(rule):
        for name in referenced_names(text):
            inputs |= _inputs_of_name(rulebook, pack, name.partition(".")[0], seen)
    return inputs


def _inputs_of_name(rulebook: Rulebook, pack: Pack, name: str, seen: frozenset[str]) -> set[str]:
    if name in PROFILE_FIELDS:
        return {"profiles"}
    model = pack.features.get(name)
    key = f"{pack.pack}.{name}"
    if model is None or key in seen:
        return {"transactions"} if name in MONEY_NAMES else set()
    if isinstance(model, ListFeature):
        return {"profiles"}
    if (source := getattr(model, "source", None)) is not None:
        return {source}
    if isinstance(model, LevelOf | ActiveRule):
        return _inputs_of_rule(rulebook, *rulebook.rules[model.rule], seen | {key})
    if isinstance(model, Derived):
        names = (other.partition(".")[0] for other in referenced_names(model.text))
        return {source for other in names for source in _inputs_of_name(rulebook, pack, other, seen | {key})}
    return {"transactions"}


def unused_definitions(rulebook: Rulebook) -> Findings:
    """Features and settings that nothing reads; a case does not count as a reader."""
    for pack in rulebook.packs:
        used = {
            name
            for place in placed_expressions(rulebook, pack)
            for name in referenced_names(place.expression.text)
        }
        used |= {rule.refresh for rule in pack.rules.values() if rule.refresh is not None}
        roots = {name.partition(".")[0] for name in used}
        for feature in pack.features:
            if feature not in roots:
                yield rulebook.error_at(pack.pack, ("features", feature), f"nothing reads `{feature}`", None)
        for name, value in pack.settings.items():
            if name not in roots and not _is_cut(rulebook, pack, name, value):
                yield rulebook.error_at(pack.pack, ("settings", name), f"nothing reads `{name}`", None)


def _is_cut(rulebook: Rulebook, pack: Pack, setting: str, value: object) -> bool:
    """Whether a rule names the setting as a number; the text tells, for the models hold numbers by now."""
    names = {setting} | ({f"{setting}.{part}" for part in value} if isinstance(value, Mapping) else set())
    for tree in rulebook.trees.values():
        raw = tree.plain()
        if raw["pack"] == pack.pack:
            return any(cut in names for rule in raw.get("rules", {}).values() for cut in written_numbers(rule))
    return False


def impossible_times(rulebook: Rulebook) -> Findings:
    """Rules that cannot fire, because what they wait for outlasts what they look at."""
    for name, (pack, rule) in rulebook.rules.items():
        if rule.for_ms is None:
            continue
        path = ("rules", name, "for")
        if isinstance(rule, SignalRule) and rule.within_ms is not None and rule.within_ms < rule.for_ms:
            yield rulebook.error_at(pack.pack, path, "`for` is longer than `within`: it never fires", None)
        if rule.valid is not None and rule.valid.from_ is not None and rule.valid.to is not None:
            length = rule.valid.to.replace(tzinfo=None) - rule.valid.from_.replace(tzinfo=None)
            if 0 <= length.total_seconds() * 1000 < rule.for_ms:
                yield rulebook.error_at(pack.pack, path, "`for` is longer than `valid`: it never fires", None)
        for text in rule_expressions(rule):
            tree = compile_expression(text, rulebook.table.scope(pack, retained=True), None).tree
            for feature in {read.partition(".")[0] for read in referenced_names(text)}:
                model = pack.features.get(feature)
                shortest = _window_ms(model)
                if shortest is not None and shortest < rule.for_ms and not _holds_of_nothing(tree, feature):
                    message = f"`for` is longer than the window of `{feature}`"
                    yield rulebook.error_at(pack.pack, path, message, "a window at least as long")


def _holds_of_nothing(tree: Node, feature: str) -> bool:
    """Whether a comparison with a feature is true of an empty window, and so for as long as nothing comes."""
    if isinstance(tree, Compare) and reads_of(tree) == (feature,):
        return walk(tree, lambda _: 0) is True
    return any(_holds_of_nothing(child, feature) for child in children(tree))


def _window_ms(model: FeatureModel | None) -> int | None:
    return model.over.shortest_ms if isinstance(model, Sum | Count | Top | Distinct) else None


def constant_conditions(rulebook: Rulebook) -> Findings:
    """Conditions, or parts of them, that are always true or always false."""
    for pack in rulebook.packs:
        for place in placed_expressions(rulebook, pack):
            for text, always in constant_parts(place):
                message = f"`{text}` is always {'true' if always else 'false'}"
                yield rulebook.error_at(pack.pack, place.path, message, None)


CHECKS: tuple[Callable[[Rulebook], Findings], ...] = (
    uncovered_rules,
    unused_definitions,
    unreachable_levels,
    unreachable_rules,
    impossible_times,
    constant_conditions,
)
