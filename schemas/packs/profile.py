"""A profile as a case writes it: texts, read like every number and date of a pack and held to the input's model.

Field names are those of `schemas.events.Profile`; a test holds the two together.
"""

from collections.abc import Callable
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, model_validator

from schemas import events, journal
from schemas.packs.model import AnySequence, PackModel, one_of
from schemas.packs.scalars import (
    BOOLEAN_SCHEMA,
    DATE_SCHEMA,
    INTEGER_SCHEMA,
    NUMBER_SCHEMA,
    Text,
    parse_boolean,
    parse_date,
    parse_integer,
    parse_number,
)


def _said(parse: Callable[[object], object]) -> BeforeValidator:
    """Refuse a text that `parse` cannot read, and keep any other as it is written."""

    def check(value: object) -> object:
        parse(value)
        return value

    return BeforeValidator(check)


MoneyText = Annotated[str, _said(parse_number), NUMBER_SCHEMA]
CountText = Annotated[str, _said(parse_integer), INTEGER_SCHEMA]
BooleanText = Annotated[str, _said(parse_boolean), BOOLEAN_SCHEMA]
DayText = Annotated[str, _said(parse_date), DATE_SCHEMA]
Gender = Annotated[events.Gender, one_of(*get_args(events.Gender))]
Employment = Annotated[events.Employment, one_of(*get_args(events.Employment))]
CardKind = Annotated[journal.CardKind, one_of(*get_args(journal.CardKind))]


class CardText(PackModel):
    card_id: Text
    kind: CardKind
    grade: Text | None = None
    opened_on: DayText | None = None
    expires_on: DayText | None = None


class HoldingText(PackModel):
    product_id: Text
    family: Text | None = None
    amount: MoneyText | None = None
    matures_on: DayText | None = None


class ConsentText(PackModel):
    push: BooleanText | None = None
    call: BooleanText | None = None
    branch: BooleanText | None = None


class ProfileText(PackModel):
    """A whole snapshot; what it does not say is not known."""

    opened_on: DayText | None = None
    birth_date: DayText | None = None
    gender: Gender | None = None
    marital_status: Text | None = None
    children_birth_dates: Annotated[tuple[DayText, ...] | None, AnySequence] = None
    occupation: Text | None = None
    industry: Text | None = None
    employment: Employment | None = None
    trade: Text | None = None
    region: Text | None = None
    household_income: MoneyText | None = None
    credit_score: CountText | None = None
    default_history: BooleanText | None = None
    collateral: MoneyText | None = None
    cards: Annotated[tuple[CardText, ...] | None, AnySequence] = None
    holdings: Annotated[tuple[HoldingText, ...] | None, AnySequence] = None
    labels: Annotated[tuple[Text, ...] | None, AnySequence] = None
    owner_id: Text | None = None
    consent: ConsentText | None = None
    expected_profit: MoneyText | None = None
    expected_risk: MoneyText | None = None

    @model_validator(mode="after")
    def _is_a_profile(self) -> "ProfileText":
        self.event()
        return self

    def event(self) -> events.Profile:
        """The input it stands for, of nobody at no time.

        Raises:
            pydantic.ValidationError: a text or sum is beyond the bounds of inputs.
        """
        common = {"event_id": "case", "customer_id": "CASE", "occurred_at": "2000-01-01T00:00:00Z"}
        return events.Profile.model_validate(common | _meant(self))


def _decimal(text: str) -> str:
    # Normalised: 0.5万 is 5000 and not 5000.0.
    return f"{parse_number(text).normalize():f}"


_MONEY = ("household_income", "collateral", "expected_profit", "expected_risk", "amount")
_MEANING: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_MONEY, _decimal),
    **dict.fromkeys(("default_history", "push", "call", "branch"), parse_boolean),
    "credit_score": parse_integer,
}


def _meant(model: PackModel) -> dict[str, Any]:
    said = {name: value for name in type(model).model_fields if (value := getattr(model, name)) is not None}
    return {name: _MEANING.get(name, _nested)(value) for name, value in said.items()}


def _nested(value: Any) -> Any:
    match value:
        case PackModel():
            return _meant(value)
        case tuple():
            return [_nested(item) for item in value]
        case _:
            return value
