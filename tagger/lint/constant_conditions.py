"""Conditions that are always true or always false: by their literals, by what a name can be, or by each other."""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.packs.features import Derived
from schemas.packs.pack import Pack
from schemas.packs.rules import RuleModel, SignalRule
from tagger.expr.compile import Expression, compile_expression
from tagger.expr.fields import record_scope
from tagger.expr.nodes import Compare, Const, Logic, Node, Not, children
from tagger.expr.scope import Scope, Type
from tagger.lint.trials import Trials
from tagger.packs.rulebook import Rulebook
from tagger.packs.yaml_tree import Path


@dataclass(frozen=True)
class PlacedExpression:
    """An expression of a pack, and where it stands.

    Attributes:
        source: whose records a `where` is about; None for an expression over features.
    """

    pack: Pack
    path: Path
    expression: Expression
    source: str | None


def placed_expressions(rulebook: Rulebook, pack: Pack) -> Iterator[PlacedExpression]:
    """Every expression of a pack, compiled, with its place."""
    for name, model in pack.features.items():
        where, source = getattr(model, "where", None), getattr(model, "source", None)
        if where is not None and source is not None:
            yield _place(pack, ("features", name, "where"), where, record_scope(source, pack.settings), source)
        if isinstance(model, Derived):
            yield _place(pack, ("features", name, "expr"), model.text, rulebook.table.scope(pack), None)
    for name, rule in pack.rules.items():
        is_watch = isinstance(rule, SignalRule) and rule.after is not None
        scope = rulebook.table.scope(pack, retained=is_watch)
        for path, text, source in _rule_texts(rule):
            chosen = scope if source is None else record_scope(source, pack.settings)
            yield _place(pack, ("rules", name, *path), text, chosen, source)


def _rule_texts(rule: RuleModel) -> Iterator[tuple[Path, str, str | None]]:
    yield from ((path, text, None) for path, text in rule.expressions())
    if isinstance(rule, SignalRule) and rule.after is not None and rule.after.where is not None:
        yield ("after", "where"), rule.after.where, rule.after.event
    if rule.converts is not None and rule.converts.event is not None and rule.converts.where is not None:
        yield ("converts", "where"), rule.converts.where, rule.converts.event


def _place(pack: Pack, path: Path, text: str, scope: Scope, source: str | None) -> PlacedExpression:
    return PlacedExpression(pack, path, compile_expression(text, scope, None), source)


def constant_parts(place: PlacedExpression) -> Iterator[tuple[str, bool]]:
    """The parts of an expression that are always the same: text, and whether always true; the smallest only."""
    trials = Trials(place.pack, place.source)
    tree = place.expression.tree
    if isinstance(tree, Const) and tree.type is Type.BOOLEAN:
        yield tree.text, tree.value
    yield from _constant_parts(tree, trials)


def _constant_parts(node: Node, trials: Trials) -> list[tuple[str, bool]]:
    found = [part for child in children(node) for part in _constant_parts(child, trials)]
    if found or not isinstance(node, Compare | Logic | Not):
        return found
    if trials.impossible([(node, True)]):
        return [(node.text, False)]
    # That something unknown keeps a comparison of numbers from being true is no reason to make one.
    known = isinstance(node, Compare) and not {"in", "not in", "==", "!="} & set(node.operators)
    return [(node.text, True)] if trials.impossible([(node, False)], known=known) else []
