"""What comes in: the pydantic models, which define the five inputs (`tagger contracts export`) and decide in
doubt.

Strict JSON: nothing is coerced, a number is never taken for a decimal string nor 1 for true. Unknown fields
are ignored here and counted by `schemas.decode`. `null` stands for a missing value where a field is optional
and has no default; elsewhere it is refused. Texts stay as they came; `schemas.scalars` says what they mean.

Bounds chosen here, where the contract names none: identifiers and names 1–64 characters, attributes such as
an occupation 1–200, a tag's id 1–256; at most 50 children, 100 cards, 500 holdings, 200 labels; a record of
at most `MAX_VALUE_BYTES`; integers within ±(2^53 − 1); dates from 1800 to 2999, times from 1900 to 2199, sums
within ±10^15.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from schemas import scalars, topics
from schemas.deadletters import MAX_PAYLOAD_BYTES
from schemas.journal import AccountType, Action, CardKind, Decision, Direction, Outcome

# The largest record that is looked into; above it, a dead letter's payload is cut.
MAX_VALUE_BYTES = MAX_PAYLOAD_BYTES
MAX_INTEGER = 2**53 - 1  # JSON integers that every language reads exactly


def _checked(parse: Callable[[str], object]) -> AfterValidator:
    """A validator that keeps the text if `parse` accepts it, and says what `parse` expected if not."""

    def validate(text: str) -> str:
        try:
            parse(text)
        except ValueError as error:
            raise PydanticCustomError("bad_value", "{expected}", {"expected": str(error)}) from None
        return text

    return AfterValidator(validate)


def _schema(**keywords: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **keywords})


Instant = Annotated[
    str,
    _checked(scalars.parse_instant),
    _schema(format="date-time", pattern=scalars.INSTANT_PATTERN, description="RFC 3339 with an offset, 1900-2199"),
]
Day = Annotated[
    str,
    _checked(scalars.parse_day),
    _schema(format="date", pattern=scalars.DAY_PATTERN, description="1800-01-01 to 2999-12-31"),
]
Amount = Annotated[
    str,
    _checked(scalars.parse_amount),
    _schema(pattern=scalars.AMOUNT_PATTERN, description="decimal string, > 0, at most 10^11"),
]
Money = Annotated[
    str,
    _checked(scalars.parse_money),
    _schema(pattern=scalars.MONEY_PATTERN, description="decimal string within ±10^15"),
]
CustomerId = Annotated[str, _checked(scalars.check_customer_id), _schema(pattern=scalars.CUSTOMER_ID_PATTERN)]
Word = Annotated[str, _checked(scalars.check_word), _schema(pattern=scalars.WORD_PATTERN)]
Currency = Annotated[str, _checked(scalars.check_currency), _schema(pattern=scalars.CURRENCY_PATTERN)]
Name = Annotated[str, Field(min_length=1, max_length=scalars.MAX_NAME_CHARS)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
TagId = Annotated[str, Field(min_length=1, max_length=256)]
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class InputEvent(_Strict):
    """What every input has. `event_id` is unique in its topic."""

    event_id: Name
    customer_id: CustomerId
    occurred_at: Instant
    schema_version: Annotated[int, Field(ge=1, le=MAX_INTEGER)] = 1


class Transaction(InputEvent):
    """A booked transaction (`bank.transactions`).

    On a loan account a debit raises what is owed, and `balance_after` is the amount owed, positive.
    `own_transfer` is true on both records when both sides belong to the customer in this bank.
    """

    account_id: Name
    account_type: AccountType = "current"
    direction: Direction
    amount: Amount
    currency: Currency = "CNY"
    balance_after: Money | None = None
    kind: Word = "other"
    channel: Name | None = None
    product_id: Name | None = None
    product_family: Name | None = None
    matures_on: Day | None = None
    own_transfer: bool = False


class AppEvent(InputEvent):
    """Something a customer did in an app (`bank.app-events`)."""

    action: Action
    category: Name | None = None
    product_id: Name | None = None
    channel: Name = "app"
    dwell_ms: Count | None = None


class Card(_Strict):
    """A card the customer holds."""

    card_id: Name
    kind: CardKind
    grade: Name | None = None
    opened_on: Day | None = None
    expires_on: Day | None = None


class Holding(_Strict):
    """A product the customer holds."""

    product_id: Name
    family: Name | None = None
    amount: Money | None = None
    matures_on: Day | None = None


class Consent(_Strict):
    """Ways in which the customer agreed to be contacted."""

    push: bool = False
    call: bool = False
    branch: bool = False


Gender = Literal["f", "m", "x"]
Employment = Literal[
    "public_sector", "enterprise_manager", "self_employed", "merchant", "farmer", "employee", "retired", "other"
]


class Profile(InputEvent):
    """A whole snapshot of what the bank knows of a customer (`bank.profiles`); the latest one wins."""

    opened_on: Day | None = None
    birth_date: Day | None = None
    gender: Gender | None = None
    marital_status: Text | None = None
    children_birth_dates: Annotated[list[Day], Field(max_length=50)] = []
    occupation: Text | None = None
    industry: Text | None = None
    employment: Employment | None = None
    trade: Text | None = None
    region: Text | None = None
    household_income: Money | None = None
    credit_score: Count | None = None
    default_history: bool | None = None
    collateral: Money | None = None
    cards: Annotated[list[Card], Field(max_length=100)] = []
    holdings: Annotated[list[Holding], Field(max_length=500)] = []
    labels: Annotated[list[Name], Field(max_length=200)] = []
    owner_id: Name | None = None
    consent: Consent = Consent()
    expected_profit: Money | None = None
    expected_risk: Money | None = None


class Approval(InputEvent):
    """A checker's decision on a grade that a rule proposed (`bank.approvals`)."""

    subject: Name
    grade: Name
    maker: Name
    checker: Name
    decision: Decision

    @model_validator(mode="after")
    def _checker_is_another(self) -> "Approval":
        if self.checker == self.maker:
            raise PydanticCustomError("maker_is_checker", "a checker other than the maker")
        return self


class Feedback(InputEvent):
    """What came of a push (`push.feedback`)."""

    tag_id: TagId
    outcome: Outcome


INPUTS: dict[str, type[InputEvent]] = {
    topics.TRANSACTIONS: Transaction,
    topics.APP_EVENTS: AppEvent,
    topics.PROFILES: Profile,
    topics.APPROVALS: Approval,
    topics.FEEDBACK: Feedback,
}
"""Input topic → its model."""

PERSONAL_TOPIC = topics.PROFILES
"""The topic whose fields, other than the common ones, are attributes of a person: named, never quoted."""
