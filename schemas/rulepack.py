"""A rule pack as an analyst writes it (rulebook.md §1-3): settings, features, rules and cases.

Every scalar arrives as text. The union of features, of rules and of a case's inputs is chosen by one telling
key, so that an error names what was meant and not every model that did not fit. Python names carry the unit
(`within_ms`), the YAML names are the aliases (`within`).
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from schemas.packscalars import (
    Boolean,
    DurationMs,
    FirstMoment,
    Identifier,
    Integer,
    LastMoment,
    Moment,
    Share,
    Slug,
    Text,
    Window,
    WindowText,
    parse_date,
    parse_mapping,
    parse_number,
    parse_sequence,
    refuse,
)

SourceName = Literal["transactions", "app_events"]
AnyMapping = BeforeValidator(parse_mapping)
AnySequence = BeforeValidator(parse_sequence)

MONEY_NAMES = ("assets", "current", "term", "wealth", "loan")
OTHERWISE = "otherwise"

# What the language knows and this version does not run yet; the one list of it.
UNSUPPORTED: Mapping[str, Mapping[str, str]] = {
    "verb": {
        "distinct": "the feature verb `distinct`",
        "next": "the feature verb `next`",
        "recurring": "the feature verb `recurring`",
        "summary": "the feature verb `summary`",
    },
    "source": {"cards": "the source `cards`", "holdings": "the source `holdings`"},
    "rule": {"points": "a scorecard", "rows": "a matrix", "columns": "a matrix", "cells": "a matrix"},
    "field": {"approval": "approval of a level"},
}


def unsupported(what: str) -> PydanticCustomError:
    """An error for a part of the language that this version cannot run."""
    return PydanticCustomError("unsupported", "{what} is not supported yet", {"what": what})


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name most like `name`, if any is like it at all."""
    return next(iter(get_close_matches(name, list(names), n=1, cutoff=0.6)), None)


class PackModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=False)

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        return parse_mapping(value)

    @classmethod
    def yaml_names(cls) -> list[str]:
        """The keys a pack may use here."""
        return [field.alias or name for name, field in cls.model_fields.items()]


def _one_of(*words: str) -> BeforeValidator:
    def check(value: object) -> object:
        if value not in words:
            refuse(" or ".join(words), value, nearest(str(value), words))
        return value

    return BeforeValidator(check)


def _source(value: object) -> object:
    if isinstance(value, str) and value in UNSUPPORTED["source"]:
        raise unsupported(UNSUPPORTED["source"][value])
    if value not in ("transactions", "app_events"):
        refuse("transactions or app_events", value, nearest(str(value), ("transactions", "app_events")))
    return value


Source = Annotated[SourceName, BeforeValidator(_source)]
MoneyName = Annotated[Literal["assets", "current", "term", "wealth", "loan"], _one_of(*MONEY_NAMES)]


# Features


class FeatureModel(PackModel):
    verb: ClassVar[str]


def _window_units(value: Window, units: tuple[str, ...], expected: str) -> Window:
    if value.unit not in units:
        refuse(expected, value.text)
    return value


class _Windowed(FeatureModel):
    units: ClassVar[tuple[str, ...]]
    windows: ClassVar[str]
    over: WindowText

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _window_units(self.over, self.units, f"{self.verb} over {self.windows}")
        if getattr(self, "previous", False) and not self.over.is_calendar:
            refuse("previous: true only with over: month, quarter or year", f"over: {self.over.text}")
        return self


class AverageBalance(_Windowed):
    """Mean of daily closings in fen, rounded half away from zero."""

    verb = "average_balance"
    units = ("days", "month", "quarter", "year")
    windows = "Nd, month, quarter or year"
    balance: MoneyName = Field(alias="average_balance")
    previous: Boolean = False


class Low(_Windowed):
    """Lowest daily closing, today's being the balance now."""

    verb = "low"
    units = ("days",)
    windows = "Nd"
    balance: MoneyName = Field(alias="low")


class High(_Windowed):
    """Highest daily closing, today's being the balance now."""

    verb = "high"
    units = ("days",)
    windows = "Nd"
    balance: MoneyName = Field(alias="high")


class Sum(_Windowed):
    """Sum of a record field; of nothing, 0."""

    verb = "sum"
    units = ("days", "months", "ms", "month", "quarter", "year", "ever")
    windows = "Nd, Nmo, month, quarter, year, ever, Nm or Nh"
    field: Identifier = Field(alias="sum")
    source: Source = Field(alias="of")
    where: Text | None = None
    previous: Boolean = False


class Count(_Windowed):
    """Number of records; of nothing, 0."""

    verb = "count"
    units = Sum.units
    windows = Sum.windows
    source: Source = Field(alias="count")
    where: Text | None = None
    previous: Boolean = False


class Top(_Windowed):
    """The most frequent value of a field: `.value` and `.count`, unknown of nothing."""

    verb = "top"
    units = ("days",)
    windows = "Nd"
    field: Identifier = Field(alias="top")
    source: Source = Field(alias="of")
    where: Text | None = None
    at_most: Integer = Field(32, ge=1, le=32)


class DaysSince(FeatureModel):
    """Bank days since the last matching record; unknown when there is none."""

    verb = "days_since"
    source: Source = Field(alias="days_since")
    where: Text | None = None


class LevelOf(FeatureModel):
    """A ladder's `.name`, `.rank` and `.next`; all unknown without a level."""

    verb = "level"
    rule: Slug = Field(alias="level")


class ActiveRule(FeatureModel):
    """Whether an episode of a rule is open."""

    verb = "active"
    rule: Slug = Field(alias="active")


class Derived(FeatureModel):
    """An expression over other features."""

    verb = "expr"
    text: Text = Field(alias="expr")


FEATURE_MODELS: Mapping[str, type[FeatureModel]] = {
    model.verb: model
    for model in (AverageBalance, Low, High, Sum, Count, Top, DaysSince, LevelOf, ActiveRule, Derived)
}


def _feature_verb(value: Any) -> str:
    if isinstance(value, FeatureModel):
        return f"<{value.verb}>"
    return f"<{next(key for key in value if key in FEATURE_MODELS)}>"


def _check_verb(value: Any) -> Any:
    if isinstance(value, FeatureModel):
        return value
    if not isinstance(value, dict):
        refuse("a feature such as {count: transactions, over: 7d}", value)
    for key in value:
        if key in UNSUPPORTED["verb"]:
            raise unsupported(UNSUPPORTED["verb"][key])
    if not any(key in FEATURE_MODELS for key in value):
        first = next(iter(value), "nothing")
        refuse(f"one of the verbs {', '.join(FEATURE_MODELS)}", first, nearest(first, FEATURE_MODELS))
    return value


Feature = Annotated[
    Annotated[AverageBalance, Tag("<average_balance>")]
    | Annotated[Low, Tag("<low>")]
    | Annotated[High, Tag("<high>")]
    | Annotated[Sum, Tag("<sum>")]
    | Annotated[Count, Tag("<count>")]
    | Annotated[Top, Tag("<top>")]
    | Annotated[DaysSince, Tag("<days_since>")]
    | Annotated[LevelOf, Tag("<level>")]
    | Annotated[ActiveRule, Tag("<active>")]
    | Annotated[Derived, Tag("<expr>")],
    Discriminator(_feature_verb),
    BeforeValidator(_check_verb),
]


# Rules


class RecordFilter(PackModel):
    """Records of one source, all of them or those of which `where` is true."""

    event: Source
    where: Text | None = None


class Conversion(PackModel):
    """What counts as success: a record (`event`, `where`) or a condition (`when`)."""

    event: Source | None = None
    where: Text | None = None
    when: Text | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.event is None) == (self.when is None) or (self.when is not None and self.where is not None):
            refuse("either {event, where} or {when}", ", ".join(sorted(self.model_fields_set)) or "nothing")
        return self


class Validity(PackModel):
    """Closed interval outside which a condition is not true; naive times are bank time."""

    from_: FirstMoment | None = Field(None, alias="from")
    to: LastMoment | None = None


class Offer(PackModel):
    family: Slug
    also: Annotated[tuple[Slug, ...], AnySequence] = ()
    channel: Annotated[Literal["push", "call", "branch"], _one_of("push", "call", "branch")] = "push"
    priority: Integer = 0
    policy: Slug | None = None


class RuleModel(PackModel):
    """What every kind of rule may say. Durations are elapsed milliseconds, both ends included."""

    kind: ClassVar[str]
    title: Text | None = None
    mode: Annotated[Literal["live", "shadow"], _one_of("live", "shadow")] = "live"
    valid: Validity | None = None
    for_ms: DurationMs | None = Field(None, alias="for")
    expires_ms: DurationMs | None = Field(None, alias="expires")
    cooldown_ms: DurationMs | None = Field(None, alias="cooldown")
    refresh: Text | None = None
    converts: Conversion | None = None
    need: Slug | None = None
    needs: Annotated[tuple[Slug, ...], AnySequence] = ()


class SignalRule(RuleModel):
    """Opens when its condition becomes true; with `after`, once for each watch that trips."""

    kind = "signal"
    when: Text
    after: RecordFilter | None = None
    within_ms: DurationMs | None = Field(None, alias="within")
    until: Text | None = None
    offer: Offer | None = None

    @model_validator(mode="after")
    def _watch_is_whole(self) -> Self:
        if (self.after is None) != (self.within_ms is None):
            have, lack = ("after", "within") if self.within_ms is None else ("within", "after")
            refuse("`after` and `within` together", f"{have} without {lack}")
        return self


def _cut_or_expression(value: object) -> Decimal | str:
    if isinstance(value, Decimal):
        return value
    try:
        return parse_number(value)
    except PydanticCustomError:
        if not isinstance(value, str):
            raise
    return value.strip()


class LadderRule(RuleModel):
    """Grades in order; the last level that is met wins.

    Attributes:
        by: what is measured; None when each level is an expression of its own.
        levels: from the lowest up. With `by`, where the level starts (yuan when `by` is money): a number, or
            the name of a setting, which `tagger.rulebook` puts in its place. Without, an expression. The first
            may be `otherwise`.
        leave_below: hysteresis; a level is left when `by` falls below this share of its start.
        silent: levels that make no tag.
    """

    kind = "ladder"
    by: Text | None = None
    levels: Annotated[dict[Slug, Annotated[Decimal | str, BeforeValidator(_cut_or_expression)]], AnyMapping]
    leave_below: Share | None = None
    silent: Annotated[tuple[Slug, ...], AnySequence] = ()
    offer: Offer | None = None
    offers: Annotated[dict[Slug, Offer], AnyMapping] = Field(default_factory=dict)

    @property
    def otherwise(self) -> str | None:
        """The level that takes everyone else, if there is one."""
        first = next(iter(self.levels))
        return first if self.levels[first] == OTHERWISE else None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.levels:
            refuse("at least one level", "none")
        if OTHERWISE in list(self.levels.values())[1:]:
            refuse("`otherwise` only as the first level", "it further up")
        if self.leave_below is not None and self.by is None:
            refuse("`leave_below` only with `by`", "levels that are expressions")
        if self.offer is not None and self.offers:
            refuse("either `offer` or `offers`", "both")
        for name in (*self.silent, *self.offers):
            if name not in self.levels:
                refuse(f"a level of this ladder ({', '.join(self.levels)})", name, nearest(name, self.levels))
        if self.by is None:
            for name, value in self.levels.items():
                if isinstance(value, Decimal):
                    refuse("`by` with levels that are numbers", f"{name}: {value} without `by`")
        return self


RULE_MODELS: Mapping[str, type[RuleModel]] = {"signal": SignalRule, "ladder": LadderRule}


def _rule_kind(value: Any) -> str:
    if isinstance(value, RuleModel):
        return f"<{value.kind}>"
    return "<ladder>" if "levels" in value or "by" in value else "<signal>"


def _check_kind(value: Any) -> Any:
    if isinstance(value, RuleModel):
        return value
    if not isinstance(value, dict):
        refuse("a rule such as {when: assets >= 50000}", value)
    for kind in ("rule", "field"):
        for key in value:
            if key in UNSUPPORTED[kind]:
                raise unsupported(UNSUPPORTED[kind][key])
    return value


Rule = Annotated[
    Annotated[SignalRule, Tag("<signal>")] | Annotated[LadderRule, Tag("<ladder>")],
    Discriminator(_rule_kind),
    BeforeValidator(_check_kind),
]


# Cases


def _parse_fen(value: object) -> int:
    if isinstance(value, int):
        return value
    fen = parse_number(value) * 100
    if fen != fen.to_integral_value():
        refuse("an amount with at most two decimals", value)
    return int(fen)


def _parse_day(value: object) -> date:
    return parse_date(value)


AmountFen = Annotated[int, BeforeValidator(_parse_fen)]
Day = Annotated[date, BeforeValidator(_parse_day)]
AccountType = Annotated[Literal["current", "term", "wealth", "loan"], _one_of("current", "term", "wealth", "loan")]
_ACTIONS = ("view", "favourite", "cart", "purchase", "search", "click", "login")
Action = Annotated[
    Literal["view", "favourite", "cart", "purchase", "search", "click", "login"], _one_of(*_ACTIONS)
]
_OUTCOMES = ("delivered", "opened", "clicked", "converted", "dismissed", "unsubscribed")
Outcome = Annotated[
    Literal["delivered", "opened", "clicked", "converted", "dismissed", "unsubscribed"], _one_of(*_OUTCOMES)
]
Decision = Annotated[Literal["approve", "reject"], _one_of("approve", "reject")]


class GivenModel(PackModel):
    """One input of a case; a naive `at` is bank time."""

    telling: ClassVar[tuple[str, ...]]
    at: Moment


class GivenTransaction(GivenModel):
    """A transaction; without `account` the customer has one account per account type."""

    telling = ("credit", "debit")
    credit_fen: AmountFen | None = Field(None, alias="credit", gt=0)
    debit_fen: AmountFen | None = Field(None, alias="debit", gt=0)
    account: Text | None = None
    account_type: AccountType = "current"
    balance_after_fen: AmountFen | None = Field(None, alias="balance_after")
    currency: Text = "CNY"
    kind: Text = "other"
    channel: Text | None = None
    product_id: Text | None = None
    product_family: Text | None = None
    matures_on: Day | None = None
    own_transfer: Boolean = False
    event_id: Text | None = None

    @property
    def direction(self) -> Literal["credit", "debit"]:
        return "credit" if self.credit_fen is not None else "debit"

    @property
    def amount_fen(self) -> int:
        amount = self.credit_fen if self.credit_fen is not None else self.debit_fen
        assert amount is not None
        return amount

    @model_validator(mode="after")
    def _has_one_side(self) -> Self:
        if (self.credit_fen is None) == (self.debit_fen is None):
            refuse("either credit or debit", "both")
        return self


class GivenAppEvent(GivenModel):
    telling = ("action",)
    action: Action
    category: Text | None = None
    product_id: Text | None = None
    channel: Text = "app"
    dwell_ms: Integer | None = Field(None, ge=0)
    event_id: Text | None = None


class GivenProfile(GivenModel):
    """A profile snapshot; values are texts, lists and mappings, for the model of profiles to read."""

    telling = ("profile",)
    profile: Annotated[dict[str, Any], AnyMapping]
    event_id: Text | None = None


class ApprovalText(PackModel):
    subject: Slug
    grade: Slug
    maker: Text
    checker: Text
    decision: Decision


class GivenApproval(GivenModel):
    telling = ("approval",)
    approval: ApprovalText
    event_id: Text | None = None


class FeedbackText(PackModel):
    """What came of the latest episode of a rule."""

    rule: Slug
    outcome: Outcome


class GivenFeedback(GivenModel):
    telling = ("feedback",)
    feedback: FeedbackText
    event_id: Text | None = None


class GivenTick(GivenModel):
    """Time passes."""

    telling = ()


GIVEN_MODELS: tuple[type[GivenModel], ...] = (
    GivenTransaction, GivenAppEvent, GivenProfile, GivenApproval, GivenFeedback, GivenTick,
)  # fmt: skip


def _given_kind(value: Any) -> str:
    if isinstance(value, GivenModel):
        return f"<{type(value).__name__}>"
    for model in GIVEN_MODELS:
        if any(key in value for key in model.telling):
            return f"<{model.__name__}>"
    return "<GivenTick>"


Given = Annotated[
    Annotated[GivenTransaction, Tag("<GivenTransaction>")]
    | Annotated[GivenAppEvent, Tag("<GivenAppEvent>")]
    | Annotated[GivenProfile, Tag("<GivenProfile>")]
    | Annotated[GivenApproval, Tag("<GivenApproval>")]
    | Annotated[GivenFeedback, Tag("<GivenFeedback>")]
    | Annotated[GivenTick, Tag("<GivenTick>")],
    Discriminator(_given_kind),
    BeforeValidator(parse_mapping),
]

ChangeName = Literal["opened", "refreshed", "converted", "expired", "revoked", "released"]
CHANGES: tuple[ChangeName, ...] = ("opened", "refreshed", "converted", "expired", "revoked", "released")


class Expected(PackModel):
    """One tag a case expects; what is None is not compared."""

    at: Moment
    opened: Slug | None = None
    refreshed: Slug | None = None
    converted: Slug | None = None
    expired: Slug | None = None
    revoked: Slug | None = None
    released: Slug | None = None
    level: Slug | None = None
    value: dict[str, Text] | None = None
    reason: Text | None = None

    @property
    def change(self) -> ChangeName:
        return next(change for change in CHANGES if getattr(self, change) is not None)

    @property
    def rule(self) -> str:
        return str(getattr(self, self.change))

    @model_validator(mode="after")
    def _is_one_change(self) -> Self:
        given = [change for change in CHANGES if getattr(self, change) is not None]
        if len(given) != 1:
            refuse(f"exactly one of {', '.join(CHANGES)}", " and ".join(given) or "none")
        return self


class Case(PackModel):
    """Events in, tags out.

    Attributes:
        given: inputs in journal order.
        expect: *all* tags of the rules looked at.
        rules: the rules looked at; None means all of the pack.
        features: what features, or dotted parts of them, are at the end, as text; `unknown` is a value.
    """

    it: Text
    given: Annotated[tuple[Given, ...], AnySequence]
    expect: Annotated[tuple[Expected, ...], AnySequence]
    features: Annotated[dict[str, Text], AnyMapping] = Field(default_factory=dict)
    rules: Annotated[tuple[Slug, ...] | None, AnySequence] = None


SettingValue = Decimal | dict[str, Decimal]


def _setting(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): item if isinstance(item, Decimal) else parse_number(item) for key, item in value.items()}
    return parse_number(value)


class Pack(PackModel):
    """One YAML file under `rules/`: a scheme of domain.md with its cases."""

    pack: Slug
    title: Text | None = None
    source: Text | None = None
    settings: Annotated[dict[Identifier, Annotated[SettingValue, BeforeValidator(_setting)]], AnyMapping] = Field(
        default_factory=dict
    )
    features: Annotated[dict[Identifier, Feature], AnyMapping] = Field(default_factory=dict)
    rules: Annotated[dict[Slug, Rule], AnyMapping] = Field(default_factory=dict)
    cases: Annotated[tuple[Case, ...], AnySequence] = ()


# Where in a pack which model stands, by the last telling step of a path: for naming the nearest key.
MODELS_BY_STEP: Mapping[str, type[PackModel]] = {
    **{f"<{verb}>": model for verb, model in FEATURE_MODELS.items()},
    **{f"<{kind}>": model for kind, model in RULE_MODELS.items()},
    **{f"<{model.__name__}>": model for model in GIVEN_MODELS},
    "after": RecordFilter,
    "converts": Conversion,
    "valid": Validity,
    "offer": Offer,
    "offers": Offer,
    "approval": ApprovalText,
    "feedback": FeedbackText,
    "expect": Expected,
    "cases": Case,
}
