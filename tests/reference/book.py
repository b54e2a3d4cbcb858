"""Packs of one rulebook: what stands in them, in the order in which rules read each other."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from ruamel.yaml import YAML

from reference.language import dotted, kind_of, names_in, parse, setting
from reference.money import MEASURES
from reference.sight import PROFILE_NAMES
from reference.verbs import PARTS
from schemas.packs import features
from schemas.packs.pack import Pack
from schemas.packs.rules import LadderRule, MatrixRule, RuleModel

_STATELESS = (
    features.AverageBalance, features.Low, features.High, features.ListFeature, features.LevelOf,
    features.ActiveRule, features.Derived,
)  # fmt: skip
RETAINED = "retained"
PROFILE_MONEY = ("household_income", "collateral", "expected_profit", "expected_risk")
PROFILE_KINDS = {
    **dict.fromkeys(PROFILE_MONEY, "money"), "opened_on": "date", "birth_date": "date", "credit_score": "number",
    "default_history": "boolean", "children_birth_dates": "list", "labels": "list",
}  # fmt: skip
FIELD_KINDS = {"amount": "money", "balance_after": "money", "matures_on": "date", "dwell_ms": "number",
               "own_transfer": "boolean", "hour": "number", "weekday": "number", "day": "number",
               "month": "number", "opened_on": "date", "expires_on": "date"}  # fmt: skip


def read_pack(text: str) -> Pack:
    """A pack's text; every scalar is text."""
    return Pack.model_validate(YAML(typ="base").load(text))


@dataclass
class Book:
    """One rulebook."""

    name: str
    packs: Mapping[str, Pack]
    order: list[tuple[str, str]] = field(init=False)
    """(pack, rule), a rule after those whose level or episode it reads."""

    def __post_init__(self) -> None:
        self.order = []
        waiting = [(pack.pack, rule) for pack in self.packs.values() for rule in pack.rules]
        while waiting:
            done = {rule for _, rule in self.order}
            ready = [item for item in waiting if set(self.rules_read(*item)) <= done]
            assert ready, f"rules that read each other in a circle: {waiting}"
            self.order += ready
            waiting = [item for item in waiting if item not in ready]

    def rule(self, name: str) -> RuleModel:
        return next(pack.rules[name] for pack in self.packs.values() if name in pack.rules)

    @cached_property
    def rule_names(self) -> set[str]:
        return {rule for pack in self.packs.values() for rule in pack.rules}

    @cached_property
    def reads_retained(self) -> bool:
        """Whether any rule does."""
        models = [model for pack in self.packs.values() for model in pack.rules.values()]
        return any(RETAINED in names_in(text) for model in models for _, text in model.expressions())

    # What a rule reads

    def reads(self, pack: str, rule: str) -> list[str]:
        """The names of features, money, attributes and parts that a rule's expressions read, for its tags."""
        model = self.packs[pack].rules[rule]
        texts = [text for _, text in model.expressions()]
        found = [name for text in texts for name in names_in(text) if self.is_measured(pack, name)]
        if model.refresh is not None:
            found.append(model.refresh)
        return list(dict.fromkeys(found))

    def is_measured(self, pack: str, name: str) -> bool:
        first = name.split(".", maxsplit=1)[0]
        is_setting = setting(self.packs[pack].settings, name) is not None
        return not is_setting and (first in self.packs[pack].features or name in (*MEASURES, *PROFILE_NAMES))

    def features_read(self, pack: str, rule: str) -> Iterator[Any]:
        """The models of the features a rule reads, those behind derived ones among them."""
        for name in self.reads(pack, rule):
            yield from self.features_behind(pack, name)

    def features_behind(self, pack: str, name: str) -> Iterator[Any]:
        model = self.packs[pack].features.get(name.split(".", maxsplit=1)[0])
        if model is None:
            return
        yield model
        if isinstance(model, features.Derived):
            for inner in names_in(model.text):
                if self.is_measured(pack, inner):
                    yield from self.features_behind(pack, inner)

    def rules_read(self, pack: str, rule: str) -> list[str]:
        read = self.features_read(pack, rule)
        return [model.rule for model in read if isinstance(model, features.LevelOf | features.ActiveRule)]

    def names_read(self, pack: str, rule: str) -> set[str]:
        """The money and attribute names a rule reads, behind derived features too."""
        found = set(self.reads(pack, rule))
        for model in self.features_read(pack, rule):
            if isinstance(model, features.Derived):
                found |= {name for name in names_in(model.text) if self.is_measured(pack, name)}
        return found

    @cached_property
    def turns_daily(self) -> bool:
        """Whether some rule reads what may change at any midnight; otherwise only the first of a month matters."""
        return any(self._turns_daily(pack, rule) for pack, rule in self.order)

    def _turns_daily(self, pack: str, rule: str) -> bool:
        models = list(self.features_read(pack, rule))
        texts = [text for _, text in self.packs[pack].rules[rule].expressions()]
        texts += [model.text for model in models if isinstance(model, features.Derived)]
        if any(name.split(".")[0] == "today" for text in texts for name in names_in(text)) or any(
            function in text for text in texts for function in ("age(", "days_to(", "birthday_in(", "clv(")
        ):
            return True
        for model in models:
            is_closed = getattr(model, "previous", False) or isinstance(
                model, features.LevelOf | features.ActiveRule | features.Derived
            )
            if isinstance(model, features.ListFeature) and not isinstance(model, features.ListNext):
                is_closed = not any(word in (model.where or "") for word in ("age(", "days_to("))
            by_month = isinstance(model, features.Sum | features.Count) and model.over.unit not in ("days", "ms")
            if not is_closed and not by_month:
                return True
        return False

    # Kinds of values, for printing

    def kind(self, pack: str, name: str) -> str:
        """`money`, `number`, `date`, `text` or `boolean`."""
        first, _, part = name.partition(".")
        model = self.packs[pack].features.get(first)
        if model is None:
            return "money" if name in MEASURES else PROFILE_KINDS.get(name, "text")
        match model:
            case features.AverageBalance() | features.Low() | features.High():
                return "money"
            case features.Sum() | features.ListSum():
                return FIELD_KINDS.get(model.field, "text")
            case features.Top():
                return "number" if part == "count" else FIELD_KINDS.get(model.field, "text")
            case features.Next() | features.ListNext():
                return "date"
            case features.Recurring():
                return {"recurs": "boolean", "day": "number", "next": "date", "amount": "money"}[part]
            case features.Summary():
                return "money" if part in ("mean", "m") else "number"
            case features.LevelOf():
                return {"name": "text", "rank": "number"}.get(part) or self.level_kind(model.rule)
            case features.ActiveRule():
                return "boolean"
            case features.Derived():
                return kind_of(model.text, lambda inner: self.kind(pack, inner), self.packs[pack].settings)
        return "number"

    def level_kind(self, rule: str) -> str:
        """In what a rule's levels start."""
        pack = next(pack for pack in self.packs.values() if rule in pack.rules)
        model = pack.rules[rule]
        if isinstance(model, LadderRule) and model.by is not None:
            return kind_of(model.by, lambda name: self.kind(pack.pack, name), pack.settings)
        return "number"

    def parts(self, model: Any) -> tuple[str, ...]:
        if isinstance(model, features.LevelOf) and isinstance(self.rule(model.rule), MatrixRule):
            return ("name",)
        return PARTS.get(model.verb, ())

    # Meaning

    def identity(self, pack: str, name: str) -> str | None:
        """What a feature that keeps something means, whatever it is called; None for the others."""
        model = self.packs[pack].features[name]
        if isinstance(model, _STATELESS):
            return None
        said = model.model_dump(exclude={"where", "previous", "over"})
        window = getattr(model, "over", None)
        over = None if window is None else (window.unit, window.count)
        return repr((model.verb, sorted(said.items()), over, meaning(model.where, self.packs[pack].settings)))

    def number(self, pack: str, cut: Any) -> Fraction:
        """A number that grades, or the setting in its place."""
        found = setting(self.packs[pack].settings, cut) if isinstance(cut, str) else cut
        return Fraction(found)


def meaning(where: str | None, settings: Mapping[str, Any]) -> str:
    """A filter's text with settings by value: a changed threshold in it is another meaning."""
    return "" if where is None else _meaning(parse(where), settings)


def _meaning(node: ast.AST, settings: Mapping[str, Any]) -> str:
    name = dotted(node)
    if name is not None:
        value = setting(settings, name)
        return name if value is None else repr(value)
    if isinstance(node, ast.Constant):
        return repr(node.value)
    inner = [_meaning(child, settings) for child in ast.iter_child_nodes(node) if not isinstance(child, ast.Load)]
    return f"{type(node).__name__}({', '.join(sorted(inner) if isinstance(node, ast.List) else inner)})"
