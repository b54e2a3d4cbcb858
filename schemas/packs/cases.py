"""The cases of a rule pack: inputs in journal order, and all the tags they lead to (docs/rulebook.md)."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from schemas import journal, scalars
from schemas.events import MAX_INTEGER
from schemas.packs.model import AnyMapping, AnySequence, PackModel, one_of
from schemas.packs.profile import ProfileText
from schemas.packs.scalars import (
    DATE_SCHEMA,
    NUMBER_SCHEMA,
    Boolean,
    Integer,
    Moment,
    Slug,
    Text,
    parse_date,
    parse_mapping,
    parse_number,
    refuse,
)
from schemas.tags import Change, RevokeReason


def _parse_fen(value: object) -> int:
    if isinstance(value, int):
        return value
    fen = parse_number(value) * 100
    if fen != fen.to_integral_value():
        refuse("an amount with at most two decimals", value)
    return int(fen)


def _check_amount(fen: int) -> int:
    if not 0 < fen <= scalars.MAX_AMOUNT_FEN:
        refuse("an amount above 0, at most 10^11", f"{Decimal(fen) / 100:f}")
    return fen


def _check_balance(fen: int) -> int:
    if not -scalars.MAX_MONEY_FEN <= fen <= scalars.MAX_MONEY_FEN:
        refuse("a balance within ±10^15", f"{Decimal(fen) / 100:f}")
    return fen


def _parse_day(value: object) -> date:
    return parse_date(value)


def _of_input(check: Callable[[str], str]) -> AfterValidator:
    """Refuse a text that no input could hold; `check` says in its error what one holds."""

    def validate(text: str) -> str:
        try:
            return check(text)
        except ValueError as error:
            refuse(str(error), text)

    return AfterValidator(validate)


def _check_name(text: str) -> str:
    if not 1 <= len(text) <= scalars.MAX_NAME_CHARS:
        refuse(f"1 to {scalars.MAX_NAME_CHARS} characters", text)
    return text


def _check_time(moment: datetime) -> datetime:
    # As in events: the days and periods around it are dates, too.
    if not scalars.FIRST_YEAR <= moment.year <= scalars.LAST_YEAR:
        refuse(f"a time from {scalars.FIRST_YEAR} to {scalars.LAST_YEAR}", moment.isoformat(" ", "minutes"))
    return moment


Time = Annotated[Moment, AfterValidator(_check_time)]
AmountFen = Annotated[int, BeforeValidator(_parse_fen), AfterValidator(_check_amount), NUMBER_SCHEMA]
BalanceFen = Annotated[int, BeforeValidator(_parse_fen), AfterValidator(_check_balance), NUMBER_SCHEMA]
Name = Annotated[Text, AfterValidator(_check_name)]
Word = Annotated[Text, _of_input(scalars.check_word)]
Currency = Annotated[Text, _of_input(scalars.check_currency)]
Day = Annotated[date, BeforeValidator(_parse_day), DATE_SCHEMA]
AccountType = Annotated[journal.AccountType, one_of(*get_args(journal.AccountType))]
Action = Annotated[journal.Action, one_of(*get_args(journal.Action))]
Outcome = Annotated[journal.Outcome, one_of(*get_args(journal.Outcome))]
Decision = Annotated[journal.Decision, one_of(*get_args(journal.Decision))]


class GivenModel(PackModel):
    """One input of a case; a naive `at` is bank time."""

    telling: ClassVar[tuple[str, ...]]
    at: Time


class GivenTransaction(GivenModel):
    """A transaction; without `account` the customer has one account per account type."""

    telling = ("credit", "debit")
    credit_fen: AmountFen | None = Field(None, alias="credit")
    debit_fen: AmountFen | None = Field(None, alias="debit")
    account: Name | None = None
    account_type: AccountType = "current"
    balance_after_fen: BalanceFen | None = Field(None, alias="balance_after")
    currency: Currency = "CNY"
    kind: Word = "other"
    channel: Name | None = None
    product_id: Name | None = None
    product_family: Name | None = None
    matures_on: Day | None = None
    own_transfer: Boolean = False
    event_id: Name | None = None

    @property
    def direction(self) -> journal.Direction:
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
    category: Name | None = None
    product_id: Name | None = None
    channel: Name = "app"
    dwell_ms: Integer | None = Field(None, ge=0, le=MAX_INTEGER)
    event_id: Name | None = None


class GivenProfile(GivenModel):
    """A profile snapshot."""

    telling = ("profile",)
    profile: ProfileText
    event_id: Name | None = None


class ApprovalText(PackModel):
    subject: Slug
    grade: Slug
    maker: Name
    checker: Name
    decision: Decision

    @model_validator(mode="after")
    def _checker_is_another(self) -> Self:
        if self.checker == self.maker:
            refuse("a checker other than the maker", self.checker, at=("checker",))
        return self


class GivenApproval(GivenModel):
    telling = ("approval",)
    approval: ApprovalText
    event_id: Name | None = None


class FeedbackText(PackModel):
    """What came of the latest episode of a rule."""

    rule: Slug
    outcome: Outcome


class GivenFeedback(GivenModel):
    telling = ("feedback",)
    feedback: FeedbackText
    event_id: Name | None = None


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

Reason = Annotated[RevokeReason, one_of(*get_args(RevokeReason))]
CHANGES: tuple[Change, ...] = get_args(Change)


class Expected(PackModel):
    """One tag a case expects; what is None is not compared."""

    at: Time
    opened: Slug | None = None
    refreshed: Slug | None = None
    converted: Slug | None = None
    expired: Slug | None = None
    revoked: Slug | None = None
    released: Slug | None = None
    level: Slug | None = None
    value: Annotated[dict[str, Text] | None, AnyMapping] = None
    reason: Reason | None = None

    @property
    def change(self) -> Change:
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
