"""The journal: one ordered log a customer, from which all state and all tags follow.

A value is one JSON object whose `record` field names its kind. Everything here was checked at ingest, so
readers decode straight into these structs and trust them. Money is fen in CNY, times are epoch milliseconds,
dates are bank days (proleptic ordinals, see `schemas.bankday`).

Events carry the customer's id as the message key too. `Tick`, `Activation` and `Pause` are written to every
journal partition without a key.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import ClassVar, Literal

import msgspec

AccountType = Literal["current", "term", "wealth", "loan"]
Direction = Literal["credit", "debit"]
Action = Literal["view", "favourite", "cart", "purchase", "search", "click", "login"]
CardKind = Literal["debit", "credit"]
Decision = Literal["approve", "reject"]
Outcome = Literal["delivered", "opened", "clicked", "converted", "dismissed", "unsubscribed"]


class Source(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where an event came from. `offset` is -1 when it was read from a file."""

    topic: str
    partition: int
    offset: int


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="record", gc=False):
    """What every event has. `event_hash` is `hash_event` of its topic and id."""

    source_kind: ClassVar[str]
    customer_id: str
    source: Source
    event_id: str
    event_hash: int
    occurred_ms: int


class Transaction(Event, frozen=True, kw_only=True, omit_defaults=True, tag="transaction", gc=False):
    """A booked transaction. Amounts of another currency stand beside their CNY value as they came."""

    source_kind = "transactions"
    account_id: str
    account_type: AccountType = "current"
    direction: Direction
    amount_fen: int
    currency: str = "CNY"
    original_amount: str | None = None
    balance_after_fen: int | None = None
    original_balance_after: str | None = None
    kind: str = "other"
    channel: str | None = None
    product_id: str | None = None
    product_family: str | None = None
    matures_day: int | None = None
    own_transfer: bool = False


class AppEvent(Event, frozen=True, kw_only=True, omit_defaults=True, tag="app_event", gc=False):
    """Something a customer did in an app."""

    source_kind = "app_events"
    action: Action
    category: str | None = None
    product_id: str | None = None
    channel: str = "app"
    dwell_ms: int | None = None


class Card(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    card_id: str
    kind: CardKind
    grade: str | None = None
    opened_day: int | None = None
    expires_day: int | None = None


class Holding(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    product_id: str
    family: str | None = None
    amount_fen: int | None = None
    matures_day: int | None = None


class Consent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    push: bool = False
    call: bool = False
    branch: bool = False


class Attributes(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A profile snapshot's attributes; one that is missing is unknown, a missing list is empty."""

    opened_on: int | None = None
    birth_date: int | None = None
    gender: str | None = None
    marital_status: str | None = None
    children_birth_dates: tuple[int, ...] = ()
    occupation: str | None = None
    industry: str | None = None
    employment: str | None = None
    trade: str | None = None
    region: str | None = None
    household_income_fen: int | None = None
    credit_score: int | None = None
    default_history: bool | None = None
    collateral_fen: int | None = None
    cards: tuple[Card, ...] = ()
    holdings: tuple[Holding, ...] = ()
    labels: tuple[str, ...] = ()
    owner_id: str | None = None
    consent: Consent = Consent()
    expected_profit_fen: int | None = None
    expected_risk_fen: int | None = None


class Profile(Event, frozen=True, kw_only=True, omit_defaults=True, tag="profile", gc=False):
    """A whole profile; the latest `occurred_ms` wins."""

    source_kind = "profiles"
    attributes: Attributes


class Approval(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval", gc=False):
    """A checker's decision on a proposed grade."""

    source_kind = "approvals"
    subject: str
    grade: str
    maker: str
    checker: str
    decision: Decision


class Feedback(Event, frozen=True, kw_only=True, omit_defaults=True, tag="feedback", gc=False):
    """What came of a push."""

    source_kind = "feedback"
    tag_id: str
    outcome: Outcome


class Tick(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="record", tag="tick", gc=False
):
    """One input partition's time, told to every journal partition (docs/journal.md, "tick").

    Attributes:
        topic, partition: the source whose time this is.
        of: how many partitions the source's topic has.
        time_ms: the source's W; None while it has begun and accepted nothing yet.
        closed: the source has ended and holds the clock no longer.
        recorded: time follows recorded or made-up events, so that no tag may be pushed.
    """

    topic: str
    partition: int
    of: int
    time_ms: int | None
    closed: bool = False
    recorded: bool = False


class Activation(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="record", tag="rulebook", gc=False
):
    """Puts a published rulebook in force once the clock reaches `from_ms` (None: at once)."""

    digest: str
    from_ms: int | None = None


class Pause(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="record", tag="pause", gc=False
):
    """From here on nothing of a rule is pushed (`over_budget`), until another record has `resumed` it."""

    rule: str
    resumed: bool = False


CustomerEvent = Transaction | AppEvent | Profile | Approval | Feedback
ControlRecord = Tick | Activation | Pause
JournalRecord = CustomerEvent | ControlRecord

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[JournalRecord] = msgspec.json.Decoder(JournalRecord)


def encode_record(record: JournalRecord) -> bytes:
    """Write a record as a journal value; equal records give equal bytes."""
    return _ENCODER.encode(record)


decode_record: Callable[[bytes], JournalRecord] = _DECODER.decode
"""Read a journal value.

Raises:
    msgspec.DecodeError: the journal holds something ingest did not write; never caught below a worker.
"""


def hash_event(topic: str, event_id: str) -> int:
    """63 bits that stand for an event in its topic; stable over processes and versions."""
    digest = blake2b(f"{topic}\0{event_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
