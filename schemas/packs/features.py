"""The features of a rule pack: one model a verb, and one more where a verb reads a list of the profile."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from schemas.bankday import Period
from schemas.packs.model import (
    LIST_SOURCES,
    ListSource,
    MoneyName,
    PackModel,
    Source,
    SourceOrList,
    Transactions,
    nearest,
    one_of,
)
from schemas.packs.scalars import Boolean, Days, Identifier, Integer, Slug, Text, WindowText, refuse


class FeatureModel(PackModel):
    verb: ClassVar[str]


class _Windowed(FeatureModel):
    units: ClassVar[tuple[str, ...]]
    windows: ClassVar[str]
    over: WindowText

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.over.unit not in self.units:
            refuse(f"{self.verb} over {self.windows}", self.over.text, at=("over",))
        if getattr(self, "previous", False) and not self.over.is_calendar:
            expected = "previous: true only with over: month, quarter or year"
            refuse(expected, f"over: {self.over.text}", at=("over",))
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
    source: SourceOrList = Field(alias="of")
    where: Text | None = None
    previous: Boolean = False


class Count(_Windowed):
    """Number of records; of nothing, 0."""

    verb = "count"
    units = Sum.units
    windows = Sum.windows
    source: SourceOrList = Field(alias="count")
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


class Distinct(_Windowed):
    """How many values of a field there were; exact for the `at_most` values seen last."""

    verb = "distinct"
    units = ("days",)
    windows = "Nd"
    field: Identifier = Field(alias="distinct")
    source: SourceOrList = Field(alias="of")
    where: Text | None = None
    at_most: Integer = Field(32, ge=1, le=32)


class DaysSince(FeatureModel):
    """Bank days since the last matching record; unknown when there is none."""

    verb = "days_since"
    source: Source = Field(alias="days_since")
    where: Text | None = None


class Next(FeatureModel):
    """The earliest date of a transaction's field from today on; unknown when there is none."""

    verb = "next"
    field: Identifier = Field(alias="next")
    source: Annotated[Literal["transactions"], one_of("transactions", *LIST_SOURCES)] = Field(alias="of")
    where: Text | None = None


class Recurring(FeatureModel):
    """A transaction that comes every period at about the same day: `.recurs`, `.day`, `.next`, `.amount`.

    Attributes:
        slack_days: how far the day of a period's match may lie from the median.
        times: how many periods in a row must have a match.
    """

    verb = "recurring"
    source: Transactions = Field(alias="recurring")
    where: Text | None = None
    every: Annotated[Period, one_of(*get_args(Period))] = "month"
    slack_days: Days = Field(3, alias="slack", ge=0, le=15)
    times: Integer = Field(3, ge=2, le=36)


class Summary(FeatureModel):
    """What a customer's transactions come to since the beginning: the summary that CLV models are fed with."""

    verb = "summary"
    source: Transactions = Field(alias="summary")
    where: Text | None = None


class LevelOf(FeatureModel):
    """The `.name`, `.rank` and `.next` of a rule with levels; all unknown without a level."""

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


class ListFeature(FeatureModel):
    """A feature over a list of the latest profile, which takes no window."""

    source: ListSource
    where: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_no_window(cls, value: Any) -> Any:
        if isinstance(value, dict) and "over" in value:
            refuse("no `over`: a list is what the latest profile says", f"over: {value['over']}", at=("over",))
        return value


class ListCount(ListFeature):
    """Number of items of a list; of nothing, 0."""

    verb = "count"
    source: ListSource = Field(alias="count")


class ListSum(ListFeature):
    """Sum of an item's field; of nothing, 0."""

    verb = "sum"
    field: Identifier = Field(alias="sum")
    source: ListSource = Field(alias="of")


class ListDistinct(ListFeature):
    """How many values of a field the items have."""

    verb = "distinct"
    field: Identifier = Field(alias="distinct")
    source: ListSource = Field(alias="of")


class ListNext(ListFeature):
    """The earliest date of an item's field from today on; unknown when there is none."""

    verb = "next"
    field: Identifier = Field(alias="next")
    source: ListSource = Field(alias="of")


FEATURE_MODELS: Mapping[str, type[FeatureModel]] = {
    model.verb: model
    for model in (
        AverageBalance, Low, High, Sum, Count, Top, Distinct, DaysSince, Next, Recurring, Summary, LevelOf,
        ActiveRule, Derived,
    )
}  # fmt: skip
LIST_MODELS: Mapping[str, type[ListFeature]] = {
    model.verb: model for model in (ListCount, ListSum, ListDistinct, ListNext)
}


def feature_tag(model: type[FeatureModel]) -> str:
    """What the path of an error calls a model."""
    return f"<{model.verb} of a list>" if issubclass(model, ListFeature) else f"<{model.verb}>"


def _feature_model(value: Any) -> str:
    if isinstance(value, FeatureModel):
        return feature_tag(type(value))
    verb = next(key for key in value if key in FEATURE_MODELS)
    is_list = verb in LIST_MODELS and value.get("of", value[verb]) in LIST_SOURCES
    return feature_tag(LIST_MODELS[verb] if is_list else FEATURE_MODELS[verb])


def _check_verb(value: Any) -> Any:
    if isinstance(value, FeatureModel):
        return value
    if not isinstance(value, dict):
        refuse("a feature such as {count: transactions, over: 7d}", value)
    if not any(key in FEATURE_MODELS for key in value):
        first = next(iter(value), "nothing")
        refuse(
            f"one of the verbs {', '.join(FEATURE_MODELS)}",
            first,
            nearest(first, FEATURE_MODELS),
            at=(first,),
            in_key=True,
        )
    return value


Feature = Annotated[
    Annotated[AverageBalance, Tag("<average_balance>")]
    | Annotated[Low, Tag("<low>")]
    | Annotated[High, Tag("<high>")]
    | Annotated[Sum, Tag("<sum>")]
    | Annotated[Count, Tag("<count>")]
    | Annotated[Top, Tag("<top>")]
    | Annotated[Distinct, Tag("<distinct>")]
    | Annotated[DaysSince, Tag("<days_since>")]
    | Annotated[Next, Tag("<next>")]
    | Annotated[Recurring, Tag("<recurring>")]
    | Annotated[Summary, Tag("<summary>")]
    | Annotated[LevelOf, Tag("<level>")]
    | Annotated[ActiveRule, Tag("<active>")]
    | Annotated[Derived, Tag("<expr>")]
    | Annotated[ListCount, Tag("<count of a list>")]
    | Annotated[ListSum, Tag("<sum of a list>")]
    | Annotated[ListDistinct, Tag("<distinct of a list>")]
    | Annotated[ListNext, Tag("<next of a list>")],
    Discriminator(_feature_model),
    BeforeValidator(_check_verb),
]
