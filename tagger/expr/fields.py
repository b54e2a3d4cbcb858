"""What `where` sees of a record, and which attributes a profile has.

A filter is compiled over `RECORD_PARAMETERS`: `evaluate(env, cal)`, where `env` is the struct of
`schemas.journal` and `cal` a `RecordCalendar`. A filter over a profile's list is compiled over
`ITEM_PARAMETERS`: an item and today's bank day. A filter holds only when it gives True; None (unknown) is no
match.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import get_args

from schemas.bankday import BankCalendar, weekday_of
from schemas.events import Employment, Gender
from schemas.journal import AccountType, Action, CardKind, Direction
from tagger.expr.scope import Name, Scope, Type

RECORD_PARAMETERS = ("env", "cal")
ITEM_PARAMETERS = ("env", "today")
_ITEM_FUNCTIONS = frozenset({"days_to", "age"})


class RecordCalendar:
    """Bank time of an instant, for the fields `hour`, `weekday`, `day` and `month`."""

    def __init__(self, calendar: BankCalendar) -> None:
        self._calendar = calendar

    def hour(self, ms: int) -> int:
        """0 to 23."""
        return self._calendar.local(ms).hour

    def weekday(self, ms: int) -> int:
        """1 Monday to 7 Sunday."""
        return weekday_of(self._calendar.day_of(ms))

    def day(self, ms: int) -> int:
        """Day of the month."""
        return self._calendar.local(ms).day

    def month(self, ms: int) -> int:
        """1 to 12."""
        return self._calendar.local(ms).month


def _text(field: str, *, optional: bool = False, words: tuple[str, ...] = ()) -> Name:
    return Name(Type.TEXT, optional, f"env.{field}", words=words)


_CALENDAR = {
    part: Name(Type.NUMBER, False, f"cal.{part}(env.occurred_ms)") for part in ("hour", "weekday", "day", "month")
}

FIELDS: Mapping[str, Mapping[str, Name]] = {
    "transactions": {
        "account_id": _text("account_id"),
        "account_type": _text("account_type", words=get_args(AccountType)),
        "direction": _text("direction", words=get_args(Direction)),
        "amount": Name(Type.MONEY, False, "env.amount_fen"),
        "currency": _text("currency"),
        "balance_after": Name(Type.MONEY, True, "env.balance_after_fen"),
        "kind": _text("kind"),
        "channel": _text("channel", optional=True),
        "product_id": _text("product_id", optional=True),
        "product_family": _text("product_family", optional=True),
        "matures_on": Name(Type.DATE, True, "env.matures_day"),
        "own_transfer": Name(Type.BOOLEAN, False, "env.own_transfer"),
        **_CALENDAR,
    },
    "app_events": {
        "action": _text("action", words=get_args(Action)),
        "category": _text("category", optional=True),
        "product_id": _text("product_id", optional=True),
        "channel": _text("channel"),
        "dwell_ms": Name(Type.NUMBER, True, "env.dwell_ms"),
        **_CALENDAR,
    },
}

# Read over one item of `schemas.journal.Attributes.cards` and `.holdings`.
LIST_FIELDS: Mapping[str, Mapping[str, Name]] = {
    "cards": {
        "card_id": _text("card_id"),
        "kind": _text("kind", words=get_args(CardKind)),
        "grade": _text("grade", optional=True),
        "opened_on": Name(Type.DATE, True, "env.opened_day"),
        "expires_on": Name(Type.DATE, True, "env.expires_day"),
    },
    "holdings": {
        "product_id": _text("product_id"),
        "family": _text("family", optional=True),
        "amount": Name(Type.MONEY, True, "env.amount_fen"),
        "matures_on": Name(Type.DATE, True, "env.matures_day"),
    },
}

# Read over `env` = `schemas.journal.Attributes`; a rule's scope puts its own reading in their place.
PROFILE_FIELDS: Mapping[str, Name] = {
    "opened_on": Name(Type.DATE, True, "env.opened_on"),
    "birth_date": Name(Type.DATE, True, "env.birth_date"),
    "gender": _text("gender", optional=True, words=get_args(Gender)),
    "marital_status": _text("marital_status", optional=True),
    "children_birth_dates": Name(Type.LIST, False, "env.children_birth_dates", item=Type.DATE),
    "occupation": _text("occupation", optional=True),
    "industry": _text("industry", optional=True),
    "employment": _text("employment", optional=True, words=get_args(Employment)),
    "trade": _text("trade", optional=True),
    "region": _text("region", optional=True),
    "household_income": Name(Type.MONEY, True, "env.household_income_fen"),
    "credit_score": Name(Type.NUMBER, True, "env.credit_score"),
    "default_history": Name(Type.BOOLEAN, True, "env.default_history"),
    "collateral": Name(Type.MONEY, True, "env.collateral_fen"),
    "labels": Name(Type.LIST, False, "env.labels", item=Type.TEXT),
    "owner_id": _text("owner_id", optional=True),
    "expected_profit": Name(Type.MONEY, True, "env.expected_profit_fen"),
    "expected_risk": Name(Type.MONEY, True, "env.expected_risk_fen"),
}


def record_scope(source: str, settings: Mapping[str, Decimal | Mapping[str, Decimal]]) -> Scope:
    """What a `where` over `source` sees: a record, or an item of the profile's lists."""
    if source in LIST_FIELDS:
        return Scope(LIST_FIELDS[source], settings, "today", _ITEM_FUNCTIONS, ITEM_PARAMETERS)
    return Scope(FIELDS[source], settings, today=None, parameters=RECORD_PARAMETERS)
