"""The journal's records as pydantic models, for JSON Schema; `schemas.journal` has the structures that run.

A test holds both to the same fields and defaults. Fields at their default are not written.
"""

from typing import Annotated, Literal

from pydantic import Field, RootModel

from schemas.journal import AccountType, Action, CardKind, Decision, Direction, Outcome
from schemas.outputs import Output

Fen = Annotated[int, Field(description="hundredths of a yuan")]
Milliseconds = Annotated[int, Field(description="epoch milliseconds")]
BankDay = Annotated[int, Field(description="proleptic ordinal of a date; 1 is 0001-01-01")]


class Event(Output):
    """What every event has. `source` is topic, partition, offset (-1 for a file)."""

    customer_id: str
    source: tuple[str, int, int]
    event_id: str
    event_hash: Annotated[int, Field(ge=0, lt=2**63)]
    occurred_ms: Milliseconds


class Transaction(Event):
    """A booked transaction, in CNY; what came in another currency stands beside it."""

    record: Literal["transaction"]
    account_id: str
    account_type: AccountType = "current"
    direction: Direction
    amount_fen: Annotated[Fen, Field(gt=0)]
    currency: str = "CNY"
    original_amount: str | None = None
    balance_after_fen: Fen | None = None
    original_balance_after: str | None = None
    kind: str = "other"
    channel: str | None = None
    product_id: str | None = None
    product_family: str | None = None
    matures_day: BankDay | None = None
    own_transfer: bool = False


class AppEvent(Event):
    """Something a customer did in an app."""

    record: Literal["app_event"]
    action: Action
    category: str | None = None
    product_id: str | None = None
    channel: str = "app"
    dwell_ms: int | None = None


class Card(Output):
    card_id: str
    kind: CardKind
    grade: str | None = None
    opened_day: BankDay | None = None
    expires_day: BankDay | None = None


class Holding(Output):
    product_id: str
    family: str | None = None
    amount_fen: Fen | None = None
    matures_day: BankDay | None = None


class Consent(Output):
    push: bool = False
    call: bool = False
    branch: bool = False


class Attributes(Output):
    """A profile's attributes; one that is missing is unknown, a missing list is empty."""

    opened_on: BankDay | None = None
    birth_date: BankDay | None = None
    gender: Annotated[str | None, Field(description="f, m or x")] = None
    marital_status: str | None = None
    children_birth_dates: tuple[BankDay, ...] = ()
    occupation: str | None = None
    industry: str | None = None
    employment: str | None = None
    trade: str | None = None
    region: str | None = None
    household_income_fen: Fen | None = None
    credit_score: int | None = None
    default_history: bool | None = None
    collateral_fen: Fen | None = None
    cards: tuple[Card, ...] = ()
    holdings: tuple[Holding, ...] = ()
    labels: tuple[str, ...] = ()
    owner_id: str | None = None
    consent: Consent = Consent()
    expected_profit_fen: Fen | None = None
    expected_risk_fen: Fen | None = None


class Profile(Event):
    """A whole profile; the latest `occurred_ms` wins."""

    record: Literal["profile"]
    attributes: Attributes


class Approval(Event):
    """A checker's decision on a proposed grade."""

    record: Literal["approval"]
    subject: str
    grade: str
    maker: str
    checker: str
    decision: Decision


class Feedback(Event):
    """What came of a push."""

    record: Literal["feedback"]
    tag_id: str
    outcome: Outcome


class Tick(Output):
    """One input partition's time; no key, in every journal partition."""

    record: Literal["tick"]
    topic: str
    partition: int
    of: int
    time_ms: Milliseconds | None
    closed: bool = False
    recorded: bool = False


class Activation(Output):
    """Puts a published rulebook in force once the clock reaches `from_ms`; no key, in every journal partition."""

    record: Literal["rulebook"]
    digest: str
    from_ms: Milliseconds | None = None


class Pause(Output):
    """Nothing of a rule is pushed from here on, until it is resumed; no key, in every journal partition."""

    record: Literal["pause"]
    rule: str
    resumed: bool = False


class JournalRecord(
    RootModel[
        Annotated[
            Transaction | AppEvent | Profile | Approval | Feedback | Tick | Activation | Pause,
            Field(discriminator="record"),
        ]
    ]
):
    """A `tagging.journal` value."""
