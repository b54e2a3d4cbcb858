"""From an input's fields to its journal record: texts become fen, milliseconds, days and hashes.

The functions take a checked pydantic model or a hot-path structure (`schemas.wire`) alike, so that one record
has one meaning. They check again every syntax that msgspec left open, and raise `ValueError` on the first
that is broken: the hot path then asks the models, which say what is wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from msgspec import UNSET

from schemas import events, journal, wire
from schemas.deadletters import BadRecord
from schemas.journal import Source
from schemas.money import divide_half_away
from schemas.scalars import (
    MAX_MONEY_FEN,
    check_currency,
    check_customer_id,
    check_word,
    parse_amount,
    parse_day,
    parse_instant,
    parse_money,
)


@dataclass(frozen=True, slots=True)
class Rates:
    """CNY for one unit of each currency, as exact ratios (numerator, denominator)."""

    ratios: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, rates: Mapping[str, Decimal]) -> "Rates":
        """Take the rates of the settings.

        Raises:
            ValueError: a code is no currency's, or a rate is not a finite number > 0.
        """
        for currency, rate in rates.items():
            check_currency(currency)
            if not (rate.is_finite() and rate > 0):
                raise ValueError(f"rate of {currency}: expected a number > 0, got {rate}")
        return cls({currency: rate.as_integer_ratio() for currency, rate in rates.items()})

    def to_fen(self, field: str, hundredths: int, currency: str) -> int:
        """Convert hundredths of a currency to fen, half up (away from zero) to the fen.

        Raises:
            BadRecord: the currency has no rate, or the result lies beyond ±10^15 CNY.
        """
        ratio = self.ratios.get(currency)
        if ratio is None:
            known = ", ".join(sorted(self.ratios)) or "no other is set"
            raise BadRecord("no_rate", "currency", f"CNY or a currency with a rate ({known})", currency)
        fen = divide_half_away(hundredths * ratio[0], ratio[1])
        if abs(fen) > MAX_MONEY_FEN:
            raise BadRecord("bad_value", field, "at most 10^15 CNY at the set rate", f"more, in {currency}")
        return fen

    def amount_to_fen(self, hundredths: int, currency: str) -> int:
        """Convert an amount, which stays > 0.

        Raises:
            BadRecord: as `to_fen`, or it is less than half a fen.
        """
        fen = self.to_fen("amount", hundredths, currency)
        if fen == 0:
            raise BadRecord("bad_value", "amount", "at least half a fen at the set rate", f"less, in {currency}")
        return fen


Hasher = Callable[[str], int]


def transaction(
    raw: events.Transaction | wire.Transaction, source: Source, hasher: Hasher, rates: Rates
) -> journal.Transaction:
    """Write a transaction's journal record; other currencies become CNY, what came stands beside it."""
    if raw.product_id or raw.product_family or raw.matures_on or (raw.currency or "CNY") != "CNY":
        return _rare_transaction(raw, source, hasher, rates)
    # Fifteen keywords at most: CPython 3.11 takes 0.3 µs for this call, and 0.9 µs for one of nineteen.
    return journal.Transaction(
        customer_id=check_customer_id(raw.customer_id),
        source=source,
        event_id=raw.event_id,
        event_hash=hasher(raw.event_id),
        occurred_ms=parse_instant(raw.occurred_at),
        account_id=raw.account_id,
        account_type=raw.account_type or "current",  # type: ignore[unreachable]
        direction=raw.direction,
        amount_fen=parse_amount(raw.amount),
        balance_after_fen=parse_money(raw.balance_after) if raw.balance_after else None,
        kind=check_word(raw.kind) if raw.kind else "other",
        channel=raw.channel or None,
        own_transfer=raw.own_transfer or False,
    )


def _rare_transaction(
    raw: events.Transaction | wire.Transaction, source: Source, hasher: Hasher, rates: Rates
) -> journal.Transaction:
    currency = raw.currency or "CNY"
    amount_fen = parse_amount(raw.amount)
    balance_after_fen = _fen(raw.balance_after)
    original_amount = original_balance_after = None
    if currency != "CNY":
        check_currency(currency)
        amount_fen = rates.amount_to_fen(amount_fen, currency)
        original_amount = raw.amount
        if balance_after_fen is not None:
            balance_after_fen = rates.to_fen("balance_after", balance_after_fen, currency)
            original_balance_after = raw.balance_after
    return journal.Transaction(
        customer_id=check_customer_id(raw.customer_id),
        source=source,
        event_id=raw.event_id,
        event_hash=hasher(raw.event_id),
        occurred_ms=parse_instant(raw.occurred_at),
        account_id=raw.account_id,
        account_type=raw.account_type or "current",  # type: ignore[unreachable]
        direction=raw.direction,
        amount_fen=amount_fen,
        currency=currency,
        original_amount=original_amount,
        balance_after_fen=balance_after_fen,
        original_balance_after=original_balance_after,
        kind=check_word(raw.kind) if raw.kind else "other",
        channel=raw.channel or None,
        product_id=raw.product_id or None,
        product_family=raw.product_family or None,
        matures_day=_day(raw.matures_on),
        own_transfer=raw.own_transfer or False,
    )


def app_event(
    raw: events.AppEvent | wire.AppEvent, source: Source, hasher: Hasher, rates: Rates
) -> journal.AppEvent:
    """Write an app event's journal record."""
    return journal.AppEvent(
        customer_id=check_customer_id(raw.customer_id),
        source=source,
        event_id=raw.event_id,
        event_hash=hasher(raw.event_id),
        occurred_ms=parse_instant(raw.occurred_at),
        action=raw.action,
        category=raw.category or None,
        product_id=raw.product_id or None,
        channel=raw.channel or "app",
        dwell_ms=_present(raw.dwell_ms),
    )


def profile(raw: events.Profile | wire.Profile, source: Source, hasher: Hasher, rates: Rates) -> journal.Profile:
    """Write a profile's journal record."""
    return journal.Profile(
        customer_id=check_customer_id(raw.customer_id),
        source=source,
        event_id=raw.event_id,
        event_hash=hasher(raw.event_id),
        occurred_ms=parse_instant(raw.occurred_at),
        attributes=_attributes(raw),
    )


def _attributes(raw: events.Profile | wire.Profile) -> journal.Attributes:
    return journal.Attributes(
        opened_on=_day(raw.opened_on),
        birth_date=_day(raw.birth_date),
        gender=raw.gender or None,
        marital_status=raw.marital_status or None,
        children_birth_dates=tuple(map(parse_day, raw.children_birth_dates or ())),
        occupation=raw.occupation or None,
        industry=raw.industry or None,
        employment=raw.employment or None,
        trade=raw.trade or None,
        region=raw.region or None,
        household_income_fen=_fen(raw.household_income),
        credit_score=_present(raw.credit_score),
        default_history=_present(raw.default_history),
        collateral_fen=_fen(raw.collateral),
        cards=tuple(map(_card, raw.cards or ())),
        holdings=tuple(map(_holding, raw.holdings or ())),
        labels=tuple(raw.labels or ()),
        owner_id=raw.owner_id or None,
        consent=_consent(raw.consent),
        expected_profit_fen=_fen(raw.expected_profit),
        expected_risk_fen=_fen(raw.expected_risk),
    )


def _card(raw: events.Card | wire.Card) -> journal.Card:
    return journal.Card(
        card_id=raw.card_id,
        kind=raw.kind,
        grade=raw.grade or None,
        opened_day=_day(raw.opened_on),
        expires_day=_day(raw.expires_on),
    )


def _holding(raw: events.Holding | wire.Holding) -> journal.Holding:
    return journal.Holding(
        product_id=raw.product_id,
        family=raw.family or None,
        amount_fen=_fen(raw.amount),
        matures_day=_day(raw.matures_on),
    )


def _consent(raw: events.Consent | wire.Consent) -> journal.Consent:
    if _present(raw) is None:
        return journal.Consent()
    return journal.Consent(push=raw.push or False, call=raw.call or False, branch=raw.branch or False)


def approval(
    raw: events.Approval | wire.Approval, source: Source, hasher: Hasher, rates: Rates
) -> journal.Approval:
    """Write an approval's journal record."""
    if raw.maker == raw.checker:
        raise ValueError("a checker other than the maker")
    return journal.Approval(
        customer_id=check_customer_id(raw.customer_id),
        source=source,
        event_id=raw.event_id,
        event_hash=hasher(raw.event_id),
        occurred_ms=parse_instant(raw.occurred_at),
        subject=raw.subject,
        grade=raw.grade,
        maker=raw.maker,
        checker=raw.checker,
        decision=raw.decision,
    )


def feedback(
    raw: events.Feedback | wire.Feedback, source: Source, hasher: Hasher, rates: Rates
) -> journal.Feedback:
    """Write a feedback's journal record."""
    return journal.Feedback(
        customer_id=check_customer_id(raw.customer_id),
        source=source,
        event_id=raw.event_id,
        event_hash=hasher(raw.event_id),
        occurred_ms=parse_instant(raw.occurred_at),
        tag_id=raw.tag_id,
        outcome=raw.outcome,
    )


def _present(value: Any) -> Any:
    """A value for which 0 and False count, or None when it did not come."""
    return None if value is UNSET else value


def _day(text: str | None) -> int | None:
    return parse_day(text) if text else None


def _fen(text: str | None) -> int | None:
    return parse_money(text) if text else None
