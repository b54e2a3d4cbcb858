"""The hot path's view of the inputs: msgspec structures with the fields of `schemas.events`.

They are at least as strict as the models in what msgspec can check for free (types, words, lengths, unknown
fields) and leave the syntax of texts to the conversion. A field that did not come is `UNSET`, so that writing
a structure again gives exactly the fields that came.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from schemas import events, scalars
from schemas.journal import AccountType, Action, CardKind, Decision, Direction, Outcome

# Typed as Any: `UNSET` is falsy and never leaves `schemas.decode`, so the fields keep their plain types.
_ABSENT: Any = msgspec.UNSET

# Not empty, so that an absent text is the only falsy one; its syntax is for the conversion to check.
Syntax = Annotated[str, msgspec.Meta(min_length=1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=scalars.MAX_NAME_CHARS)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
TagId = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Count = Annotated[int, msgspec.Meta(ge=0, le=events.MAX_INTEGER)]
Version = Annotated[int, msgspec.Meta(ge=1, le=events.MAX_INTEGER)]


class _Wire(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    event_id: Name
    customer_id: Syntax
    occurred_at: Syntax
    schema_version: Version = _ABSENT


class Transaction(_Wire, kw_only=True, forbid_unknown_fields=True, gc=False):
    account_id: Name
    account_type: AccountType = _ABSENT
    direction: Direction
    amount: Syntax
    currency: Syntax = _ABSENT
    balance_after: Syntax | None = _ABSENT
    kind: Syntax = _ABSENT
    channel: Name | None = _ABSENT
    product_id: Name | None = _ABSENT
    product_family: Name | None = _ABSENT
    matures_on: Syntax | None = _ABSENT
    own_transfer: bool = _ABSENT


class AppEvent(_Wire, kw_only=True, forbid_unknown_fields=True, gc=False):
    action: Action
    category: Name | None = _ABSENT
    product_id: Name | None = _ABSENT
    channel: Name = _ABSENT
    dwell_ms: Count | None = _ABSENT


class Card(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    card_id: Name
    kind: CardKind
    grade: Name | None = _ABSENT
    opened_on: Syntax | None = _ABSENT
    expires_on: Syntax | None = _ABSENT


class Holding(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    product_id: Name
    family: Name | None = _ABSENT
    amount: Syntax | None = _ABSENT
    matures_on: Syntax | None = _ABSENT


class Consent(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    push: bool = _ABSENT
    call: bool = _ABSENT
    branch: bool = _ABSENT


class Profile(_Wire, kw_only=True, forbid_unknown_fields=True):
    opened_on: Syntax | None = _ABSENT
    birth_date: Syntax | None = _ABSENT
    gender: events.Gender | None = _ABSENT
    marital_status: Text | None = _ABSENT
    children_birth_dates: Annotated[list[Syntax], msgspec.Meta(max_length=50)] = _ABSENT
    occupation: Text | None = _ABSENT
    industry: Text | None = _ABSENT
    employment: events.Employment | None = _ABSENT
    trade: Text | None = _ABSENT
    region: Text | None = _ABSENT
    household_income: Syntax | None = _ABSENT
    credit_score: Count | None = _ABSENT
    default_history: bool | None = _ABSENT
    collateral: Syntax | None = _ABSENT
    cards: Annotated[list[Card], msgspec.Meta(max_length=100)] = _ABSENT
    holdings: Annotated[list[Holding], msgspec.Meta(max_length=500)] = _ABSENT
    labels: Annotated[list[Name], msgspec.Meta(max_length=200)] = _ABSENT
    owner_id: Name | None = _ABSENT
    consent: Consent = _ABSENT
    expected_profit: Syntax | None = _ABSENT
    expected_risk: Syntax | None = _ABSENT


class Approval(_Wire, kw_only=True, forbid_unknown_fields=True, gc=False):
    subject: Name
    grade: Name
    maker: Name
    checker: Name
    decision: Decision


class Feedback(_Wire, kw_only=True, forbid_unknown_fields=True, gc=False):
    tag_id: TagId
    outcome: Outcome


# What an unknown field may hold for the hot path: values that every JSON reader takes alike, in any number.
# Floats (1e999), lists and objects (depth, fields twice) are for the models to judge.
_Plain = str | int | bool | None


def with_unknown(
    struct: type[msgspec.Struct], names: Sequence[str]
) -> tuple[type[msgspec.Struct], tuple[str, ...]]:
    """A structure that also takes fields the contract does not know.

    Returns:
        The structure, and its attributes that hold those fields, `UNSET` where one did not come.
    """
    attributes = tuple(f"unknown_{number}" for number in range(len(names)))
    wider = msgspec.defstruct(
        struct.__name__,
        [(attribute, _Plain, _ABSENT) for attribute in attributes],
        bases=(struct,),
        kw_only=True,
        forbid_unknown_fields=True,
        rename=dict(zip(attributes, names, strict=True)),
    )
    return wider, attributes
