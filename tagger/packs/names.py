"""What the expressions of a pack may name: money, profile attributes and the pack's own features, with types.

Types are worked out when they are asked for, because a derived feature has the type of its expression and a
level's `.next` that of its ladder's `by`, which may stand in another pack.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from schemas.packs.features import (
    ActiveRule,
    AverageBalance,
    Count,
    DaysSince,
    Derived,
    Distinct,
    FeatureModel,
    High,
    LevelOf,
    ListCount,
    ListDistinct,
    ListNext,
    ListSum,
    Low,
    Next,
    Recurring,
    Sum,
    Summary,
    Top,
)
from schemas.packs.model import MONEY_NAMES, nearest
from schemas.packs.pack import Pack
from schemas.packs.rules import VALUE_NAMES, GradedRule, LadderRule, MatrixRule, RuleModel
from tagger.expr.compile import compile_expression
from tagger.expr.errors import ExpressionError, UnresolvedNameError
from tagger.expr.fields import FIELDS, LIST_FIELDS, PROFILE_FIELDS
from tagger.expr.functions import FUNCTIONS
from tagger.expr.scope import Name, Scope, Type

RETAINED = "retained"
# No setting or feature may take these names: they mean something already.
RESERVED = frozenset(
    {*MONEY_NAMES, *PROFILE_FIELDS, *FUNCTIONS, *LIST_FIELDS, RETAINED, *VALUE_NAMES, "today", "consent"}
)  # fmt: skip


class NameTable:
    """Names and types over all packs.

    Args:
        packs: by pack name.
        broken: features (`pack.feature`) and rules that are known to exist but could not be read.
    """

    def __init__(self, packs: Mapping[str, Pack], broken: frozenset[str] = frozenset()) -> None:
        self.packs = packs
        self.broken = broken
        self.rules: dict[str, tuple[Pack, RuleModel]] = {
            name: (pack, rule) for pack in packs.values() for name, rule in pack.rules.items()
        }
        self._parts: dict[tuple[str, str], dict[str, Name]] = {}
        self._under_way: set[tuple[str, str]] = set()

    def names(self, pack: Pack, *, retained: bool = False) -> "PackNames":
        """The names of a pack's expressions; `retained` too where the rule has `after`."""
        return PackNames(self, pack, retained)

    def scope(self, pack: Pack, *, retained: bool = False) -> Scope:
        """A scope whose names are read from a mapping, `env["name"]`, today being `env["today"]`."""
        return Scope(self.names(pack, retained=retained), pack.settings, today='env["today"]')

    def parts(self, pack: Pack, feature: str) -> dict[str, Name]:
        """A feature's parts by name; "" where it is a single value.

        Raises:
            UnresolvedNameError: its definition is wrong, or depends on itself.
        """
        key = (pack.pack, feature)
        if key in self._parts:
            return self._parts[key]
        if f"{pack.pack}.{feature}" in self.broken or key in self._under_way:
            raise UnresolvedNameError(f"`{feature}` cannot be read")
        self._under_way.add(key)
        try:
            model = pack.features[feature]
            typed = _PARTS[type(model)](self, pack, model)
        except UnresolvedNameError:
            raise
        except ExpressionError as error:
            raise UnresolvedNameError(error.message) from error
        finally:
            self._under_way.discard(key)
        dotted = {part: f"{feature}.{part}" if part else feature for part in typed}
        self._parts[key] = {
            part: Name(name.type, name.optional, f'env["{dotted[part]}"]', name.item, name.words)
            for part, name in typed.items()
        }
        return self._parts[key]

    def rule(self, name: str) -> tuple[Pack, RuleModel]:
        """A rule and its pack.

        Raises:
            ExpressionError: there is no such rule in any pack.
        """
        if name in self.broken:
            raise UnresolvedNameError(f"`{name}` cannot be read")
        if name not in self.rules:
            raise ExpressionError(f"unknown rule `{name}`", 0, "a rule of any pack", nearest(name, self.rules))
        return self.rules[name]

    def graded(self, name: str) -> tuple[Pack, GradedRule]:
        """A rule with levels and its pack; raises as `rule`, and when the rule is of another kind."""
        pack, rule = self.rule(name)
        if not isinstance(rule, GradedRule):
            raise ExpressionError(f"`{name}` has no levels", 0, "the name of a ladder, scorecard or matrix")
        return pack, rule


class PackNames(Mapping[str, Name]):
    """The dotted names of one pack, their types found on demand."""

    def __init__(self, table: NameTable, pack: Pack, retained: bool) -> None:
        self._table = table
        self._pack = pack
        self._fixed = {name: Name(Type.MONEY, False, f'env["{name}"]') for name in MONEY_NAMES}
        for name, field in PROFILE_FIELDS.items():
            self._fixed[name] = Name(field.type, field.optional, f'env["{name}"]', field.item, field.words)
        if retained:
            self._fixed[RETAINED] = Name(Type.NUMBER, False, f'env["{RETAINED}"]')

    def __getitem__(self, name: str) -> Name:
        if name in self._fixed:
            return self._fixed[name]
        feature, _, part = name.partition(".")
        if feature not in self._pack.features and f"{self._pack.pack}.{feature}" not in self._table.broken:
            raise KeyError(name)
        return self._table.parts(self._pack, feature)[part]

    def __iter__(self) -> Iterator[str]:
        # The pack's own first: a message shows only the first few.
        for feature in self._pack.features:
            try:
                parts = self._table.parts(self._pack, feature)
            except UnresolvedNameError:
                continue
            yield from (f"{feature}.{part}" if part else feature for part in parts)
        yield from self._fixed

    def __len__(self) -> int:
        return sum(1 for _ in self)


def record_field(source: str, field: str, types: tuple[Type, ...] | None = None) -> Name:
    """A field of a source's records, or of a list's items.

    Raises:
        ExpressionError: the source has no such field, or it is of another type than one of `types`, or it is
            worked out and no field to be gathered.
    """
    every = FIELDS[source] if source in FIELDS else LIST_FIELDS[source]
    stored = {name: found for name, found in every.items() if found.read.startswith("env.")}
    fields = {name: found for name, found in stored.items() if types is None or found.type in types}
    if field not in fields:
        raise ExpressionError(
            f"unknown field `{field}` of {source}", 0, " or ".join(fields), nearest(field, fields)
        )
    return fields[field]


def _single(kind: Type, optional: bool = False) -> dict[str, Name]:
    return {"": Name(kind, optional, "")}


def _level_parts(table: NameTable, _: Pack, model: LevelOf) -> dict[str, Name]:
    pack, rule = table.graded(model.rule)
    parts = {"name": Name(Type.TEXT, True, "", words=rule.level_names)}
    if isinstance(rule, MatrixRule):
        return parts
    parts["rank"] = Name(Type.NUMBER, True, "")
    if not isinstance(rule, LadderRule):
        parts["next"] = Name(Type.NUMBER, True, "")
    elif rule.by is not None:
        parts["next"] = Name(compile_expression(rule.by, table.scope(pack), None).type, True, "")
    return parts


def _active_parts(table: NameTable, _: Pack, model: ActiveRule) -> dict[str, Name]:
    table.rule(model.rule)
    return _single(Type.BOOLEAN)


def _top_parts(_: NameTable, __: Pack, model: Top) -> dict[str, Name]:
    field = record_field(model.source, model.field, (Type.TEXT,))
    return {"value": Name(Type.TEXT, True, "", words=field.words), "count": Name(Type.NUMBER, True, "")}


def _recurring_parts(*_: Any) -> dict[str, Name]:
    return {
        "recurs": Name(Type.BOOLEAN, False, ""),
        "day": Name(Type.NUMBER, True, ""),
        "next": Name(Type.DATE, True, ""),
        "amount": Name(Type.MONEY, True, ""),
    }


def _summary_parts(*_: Any) -> dict[str, Name]:
    numbers = {name: Name(Type.NUMBER, True, "") for name in ("x", "t_x", "T")}
    return {
        "count": Name(Type.NUMBER, False, ""),
        "days": Name(Type.NUMBER, False, ""),
        "mean": Name(Type.MONEY, True, ""),
        **numbers,
        "m": Name(Type.MONEY, True, ""),
    }


def _sum_parts(_: NameTable, __: Pack, model: Sum | ListSum) -> dict[str, Name]:
    return _single(record_field(model.source, model.field, (Type.MONEY, Type.NUMBER)).type)


def _derived_parts(table: NameTable, pack: Pack, model: Derived) -> dict[str, Name]:
    expression = compile_expression(model.text, table.scope(pack), None)
    return _single(expression.type, expression.optional)


def _money(*_: Any) -> dict[str, Name]:
    return _single(Type.MONEY)


_PARTS: Mapping[type[FeatureModel], Callable[[NameTable, Pack, Any], dict[str, Name]]] = {
    AverageBalance: _money,
    Low: _money,
    High: _money,
    Sum: _sum_parts,
    Count: lambda *_: _single(Type.NUMBER),
    Top: _top_parts,
    Distinct: lambda *_: _single(Type.NUMBER),
    DaysSince: lambda *_: _single(Type.NUMBER, optional=True),
    Next: lambda *_: _single(Type.DATE, optional=True),
    Recurring: _recurring_parts,
    Summary: _summary_parts,
    ListCount: lambda *_: _single(Type.NUMBER),
    ListSum: _sum_parts,
    ListDistinct: lambda *_: _single(Type.NUMBER),
    ListNext: lambda *_: _single(Type.DATE, optional=True),
    LevelOf: _level_parts,
    ActiveRule: _active_parts,
    Derived: _derived_parts,
}
