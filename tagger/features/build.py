"""Pack features → compiled features: one table from verb to what measures it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

from schemas.bankday import BankCalendar
from schemas.packs import features as models
from schemas.packs.model import MONEY_NAMES
from tagger.expr.compile import Expression, compile_expression
from tagger.expr.fields import FIELDS, LIST_FIELDS, PROFILE_FIELDS, record_scope
from tagger.expr.parse import referenced_names
from tagger.expr.scope import Name, Scope, Type
from tagger.features.aggregates import DayAggregate, DaysSince
from tagger.features.closings import AverageBalance, Balance, ExtremeBalance
from tagger.features.contract import FIRST_NAME, TODAY, Feature
from tagger.features.definition import canonical, definition_key
from tagger.features.distinct import Distinct
from tagger.features.filters import compile_filter
from tagger.features.lists import ItemTest, ListCount, ListDistinct, ListFeature, ListNext, ListSum
from tagger.features.lookups import ActiveRule, Attribute, Derived, LevelOf
from tagger.features.next_date import NextDate
from tagger.features.recurring import Recurring
from tagger.features.sliding import SlidingAggregate
from tagger.features.stored import Stored
from tagger.features.summary import Summary
from tagger.features.top import Top
from tagger.features.windows import DayWindow

Settings = Mapping[str, Decimal | Mapping[str, Decimal]]
_ANY_DAY = 1


@dataclass(frozen=True)
class RuleLevels:
    """What `level:` must know of a rule: its levels, where each starts, in what unit, and whether in order."""

    levels: tuple[str, ...]
    cuts: tuple[int | Fraction, ...]
    type: Type
    is_ranked: bool = True


@dataclass
class Measured:
    """A name an expression can read: the feature behind it, which part of it, and its type."""

    feature: Feature
    part: int | None
    type: Type
    optional: bool
    item: Type | None = None
    words: tuple[str, ...] = ()


@dataclass
class PackScope:
    """What the expressions of one pack's rules and derived features see, filled feature by feature.

    Attributes:
        levels: of the rules compiled so far, in all packs, by rule.
    """

    pack: str
    settings: Settings
    calendar: BankCalendar
    levels: Mapping[str, RuleLevels]
    names: dict[str, Measured] = field(default_factory=dict)
    features: dict[str, Feature] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for measure in MONEY_NAMES:
            self.names[measure] = Measured(Balance(measure), None, Type.MONEY, False)
        for name, known in PROFILE_FIELDS.items():
            attribute = Attribute(name, known.read.removeprefix("env."))
            self.names[name] = Measured(attribute, None, known.type, True, known.item, known.words)

    def reading(self, *texts: str | None) -> tuple[tuple[Feature, ...], Scope]:
        """The features that expressions read, and the scope in which to compile them all."""
        read: dict[str, Feature] = {}
        for text in texts:
            for name in referenced_names(text) if text is not None else ():
                # A function may be handed a feature with its parts by its plain name.
                feature = self.names[name].feature if name in self.names else self.features.get(name)
                if feature is not None:
                    read.setdefault(feature.name, feature)
        places = {name: FIRST_NAME + index for index, name in enumerate(read)}
        names = {name: self._name(known, places) for name, known in self.names.items()}
        return tuple(read.values()), Scope(names, self.settings, today=f"env[{TODAY}]")

    def _name(self, known: Measured, places: Mapping[str, int]) -> Name:
        read = f"env[{places.get(known.feature.name, 0)}]"
        if known.part is not None:
            read += f"[{known.part}]"
        return Name(known.type, known.optional, read, item=known.item, words=known.words)

    def add(self, name: str, feature: Feature, types: tuple[Type, ...], optional: bool) -> None:
        """Make a feature known under its name, or under `name.part` for each of its parts."""
        self.features[name] = feature
        # One that can warm is unknown meanwhile, whatever its verb says.
        optional = optional or feature.warm_from(_ANY_DAY) is not None
        if not feature.parts:
            self.names[name] = Measured(feature, None, types[0], optional)
        for index, part in enumerate(feature.parts):
            self.names[f"{name}.{part}"] = Measured(feature, index, types[index], optional)


def compile_item_test(items: str, text: str | None, settings: Settings) -> tuple[ItemTest | None, str, bool]:
    """Compile a filter over the items of a list: the test, its canonical text, and whether it uses today."""
    if text is None:
        return None, "", False
    expression = compile_expression(text, record_scope(items, settings), Type.BOOLEAN)
    return expression.evaluate, canonical(expression.tree), expression.uses_today


Built = tuple[Feature, tuple[Type, ...], bool]


def build_feature(scope: PackScope, name: str, model: Any) -> None:
    """Compile one feature of a pack and make it known to the pack's scope.

    Args:
        model: one of `schemas.packs.features.FEATURE_MODELS`.
    """
    feature, types, optional = _BUILDERS[type(model)](scope, f"{scope.pack}.{name}", model)
    scope.add(name, feature, types, optional)


def _stored(scope: PackScope, name: str, model: Any, what: str, over: str = "") -> Stored:
    """Address a state by what it means: `what` it keeps of its source, which records, and `over` which window.

    Raises:
        ExpressionError: `where` is no condition over the source's fields.
    """
    where = compile_filter(model.source, model.where, scope.settings, scope.calendar)
    definition = f"{what} where {'' if where is None else where.meaning}{over}"
    return Stored(name, definition, definition_key(definition), model.source, where, scope.calendar)


def _field(model: Any) -> tuple[str, Type]:
    """The attribute of the event's struct that holds a feature's field, and its type."""
    known = FIELDS[model.source][model.field]
    return known.read.removeprefix("env."), known.type


def _window(window: Any, previous: bool = False) -> DayWindow:
    return DayWindow(window.unit, window.count, previous)


def _average(scope: PackScope, name: str, model: Any) -> Built:
    window = _window(model.over, model.previous)
    definition = f"average_balance {model.balance} over {window.describe()}"
    feature = AverageBalance(
        name=name, definition=definition, measure=model.balance, window=window, calendar=scope.calendar
    )
    return feature, (Type.MONEY,), False


def _extreme(scope: PackScope, name: str, model: Any) -> Built:
    window = _window(model.over)
    feature = ExtremeBalance(
        name=name,
        definition=f"{model.verb} {model.balance} over {window.describe()}",
        measure=model.balance,
        window=window,
        calendar=scope.calendar,
        highest=model.verb == "high",
    )
    return feature, (Type.MONEY,), False


def _aggregate(scope: PackScope, name: str, model: Any) -> Built:
    what, field, value_type = f"count {model.source}", None, Type.NUMBER
    if model.verb == "sum":
        field, value_type = _field(model)
        what = f"sum {model.field} of {model.source}"
    if model.over.unit == "ms":
        stored = _stored(scope, name, model, what, f" over {model.over.count}ms")
        return SlidingAggregate(stored, field=field, length_ms=model.over.count), (value_type,), False
    window = _window(model.over, model.previous)
    # A period and the one before it are kept together, so that `previous` shares the running period's state.
    stored = _stored(scope, name, model, what, f" over {window.describe().removeprefix('previous ')}")
    may_lack = field is not None and FIELDS[model.source][model.field].optional
    return DayAggregate(stored, field=field, may_lack=may_lack, window=window), (value_type,), False


def _top(scope: PackScope, name: str, model: Any) -> Built:
    window = _window(model.over)
    field, value_type = _field(model)
    over = f" over {window.describe()} at most {model.at_most}"
    stored = _stored(scope, name, model, f"top {model.field} of {model.source}", over)
    feature = Top(stored, field=field, window=window, at_most=model.at_most)
    return feature, (value_type, Type.NUMBER), True


def _distinct(scope: PackScope, name: str, model: Any) -> Built:
    window = _window(model.over)
    over = f" over {window.describe()} at most {model.at_most}"
    stored = _stored(scope, name, model, f"distinct {model.field} of {model.source}", over)
    feature = Distinct(stored, field=_field(model)[0], window=window, at_most=model.at_most)
    return feature, (Type.NUMBER,), False


def _next(scope: PackScope, name: str, model: Any) -> Built:
    stored = _stored(scope, name, model, f"next {model.field} of {model.source}")
    return NextDate(stored, field=_field(model)[0]), (Type.DATE,), True


def _recurring(scope: PackScope, name: str, model: Any) -> Built:
    over = f" every {model.every} slack {model.slack_days}d times {model.times}"
    stored = _stored(scope, name, model, f"recurring {model.source}", over)
    feature = Recurring(stored, every=model.every, slack_days=model.slack_days, times=model.times)
    return feature, (Type.BOOLEAN, Type.NUMBER, Type.DATE, Type.MONEY), True


def _summary(scope: PackScope, name: str, model: Any) -> Built:
    number, money = Type.NUMBER, Type.MONEY
    feature = Summary(_stored(scope, name, model, f"summary {model.source}"))
    return feature, (number, number, money, number, number, number, money), True


def _list_feature(scope: PackScope, name: str, model: Any) -> Built:
    test, meaning, uses_today = compile_item_test(model.source, model.where, scope.settings)
    field_name = getattr(model, "field", None)
    known = None if field_name is None else LIST_FIELDS[model.source][field_name]
    make, kind = _LIST_FEATURES[model.verb]
    feature = make(
        name=name,
        definition=f"{model.verb} {field_name or 'items'} of {model.source} where {meaning}",
        items=model.source,
        where=test,
        field=None if known is None else known.read.removeprefix("env."),
        uses_today=uses_today,
        calendar=scope.calendar,
    )
    value_type = known.type if kind is None and known is not None else kind or Type.NUMBER
    return feature, (value_type,), model.verb == "next"


# The verb's feature, and the type of what it gives; None for that of the field.
_LIST_FEATURES: Mapping[str, tuple[type[ListFeature], Type | None]] = {
    "count": (ListCount, Type.NUMBER),
    "sum": (ListSum, None),
    "distinct": (ListDistinct, Type.NUMBER),
    "next": (ListNext, Type.DATE),
}


def _days_since(scope: PackScope, name: str, model: Any) -> Built:
    return DaysSince(_stored(scope, name, model, f"days_since {model.source}")), (Type.NUMBER,), True


def _level(scope: PackScope, name: str, model: Any) -> Built:
    known = scope.levels[model.rule]
    feature = LevelOf(name, f"level {model.rule}", model.rule, known.levels, known.cuts, known.is_ranked)
    return feature, (Type.TEXT, Type.NUMBER, known.type), True


def _active(scope: PackScope, name: str, model: Any) -> Built:
    return ActiveRule(name, f"active {model.rule}", model.rule), (Type.BOOLEAN,), False


def _derived(scope: PackScope, name: str, model: Any) -> Built:
    features, reading = scope.reading(model.text)
    expression: Expression = compile_expression(model.text, reading, None)
    feature = Derived(name, f"expr {canonical(expression.tree)}", expression, features, scope.calendar)
    return feature, (expression.type,), expression.optional


_BUILDERS = cast(
    "dict[type[Any], Callable[[PackScope, str, Any], Built]]",
    {
        models.AverageBalance: _average,
        models.Low: _extreme,
        models.High: _extreme,
        models.Sum: _aggregate,
        models.Count: _aggregate,
        models.Top: _top,
        models.Distinct: _distinct,
        models.DaysSince: _days_since,
        models.Next: _next,
        models.Recurring: _recurring,
        models.Summary: _summary,
        models.ListCount: _list_feature,
        models.ListSum: _list_feature,
        models.ListDistinct: _list_feature,
        models.ListNext: _list_feature,
        models.LevelOf: _level,
        models.ActiveRule: _active,
        models.Derived: _derived,
    },
)
