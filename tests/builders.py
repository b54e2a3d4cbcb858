"""Small journal records with defaults, and rulebooks from one pack's text."""

from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from schemas.bankday import BankCalendar
from schemas.journal import (
    Activation,
    AppEvent,
    Attributes,
    Feedback,
    Pause,
    Profile,
    Source,
    Tick,
    Transaction,
    hash_event,
)
from tagger.compiler.program import Program
from tagger.packs.rulebook import read_rulebook

ZONE = "Asia/Shanghai"
MONEY_TOPIC = "bank.transactions"
APP_TOPIC = "bank.app-events"
PROFILE_TOPIC = "bank.profiles"
FEEDBACK_TOPIC = "push.feedback"


def at(text: str, zone: str = ZONE) -> int:
    """`2026-03-02 09:00[:00[.000]]` in bank time as epoch milliseconds."""
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return round(moment.timestamp() * 1000)


def _when(when: str | int, zone: str) -> int:
    return at(when, zone) if isinstance(when, str) else when


def _common(
    topic: str, when: str | int, event_id: str, customer: str, offset: int, partition: int, zone: str
) -> Any:
    return {
        "customer_id": customer,
        "source": Source(topic, partition, offset),
        "event_id": event_id,
        "event_hash": hash_event(topic, event_id),
        "occurred_ms": _when(when, zone),
    }


def money(
    when: str | int,
    yuan: int | float | str,
    event_id: str,
    *,
    customer: str = "C1",
    account: str = "A1",
    account_type: Any = "current",
    after: int | None = None,
    own: bool = False,
    kind: str = "other",
    offset: int = -1,
    partition: int = 0,
    zone: str = ZONE,
    fen: int | None = None,
    **fields: Any,
) -> Transaction:
    """A transaction: a credit where `yuan` is positive, a debit where it is negative; `after` in yuan."""
    amount_fen = round(float(yuan) * 100) if fen is None else fen
    return Transaction(
        **_common(MONEY_TOPIC, when, event_id, customer, offset, partition, zone),
        account_id=account,
        account_type=account_type,
        direction="credit" if amount_fen > 0 else "debit",
        amount_fen=abs(amount_fen),
        balance_after_fen=None if after is None else after * 100,
        own_transfer=own,
        kind=kind,
        **fields,
    )


def app(
    when: str | int,
    event_id: str,
    *,
    action: Any = "view",
    product: str | None = None,
    category: str | None = "wealth",
    customer: str = "C1",
    offset: int = -1,
    partition: int = 0,
    zone: str = ZONE,
    dwell_ms: int | None = None,
) -> AppEvent:
    """Something done in the app; a view of a wealth product unless said otherwise."""
    return AppEvent(
        **_common(APP_TOPIC, when, event_id, customer, offset, partition, zone),
        action=action,
        category=category,
        product_id=product,
        dwell_ms=dwell_ms,
    )


def profile(
    when: str | int, event_id: str, *, customer: str = "C1", offset: int = -1, zone: str = ZONE, **attributes: Any
) -> Profile:
    """A profile snapshot."""
    return Profile(
        **_common(PROFILE_TOPIC, when, event_id, customer, offset, 0, zone), attributes=Attributes(**attributes)
    )


def feedback(
    when: str | int, event_id: str, tag_id: str, outcome: Any = "converted", *, customer: str = "C1"
) -> Feedback:
    """What came of a push."""
    return Feedback(
        **_common(FEEDBACK_TOPIC, when, event_id, customer, -1, 0, ZONE), tag_id=tag_id, outcome=outcome
    )


def tick(
    when: str | int | None,
    topic: str = MONEY_TOPIC,
    *,
    partition: int = 0,
    of: int = 1,
    closed: bool = False,
    recorded: bool = False,
    zone: str = ZONE,
) -> Tick:
    """A source's time."""
    time_ms = None if when is None else _when(when, zone)
    return Tick(topic=topic, partition=partition, of=of, time_ms=time_ms, closed=closed, recorded=recorded)


def ticks(when: str | int, zone: str = ZONE) -> list[Tick]:
    """The time of both clock topics, of one partition each."""
    return [tick(when, MONEY_TOPIC, zone=zone), tick(when, APP_TOPIC, zone=zone)]


def pause(rule: str, *, resumed: bool = False) -> Pause:
    """Holds a rule's pushes back, or lets them go."""
    return Pause(rule=rule, resumed=resumed)


def activation(digest: str, from_ms: int | None = None) -> Activation:
    """Puts a rulebook of the driver's in force."""
    return Activation(digest=digest, from_ms=from_ms)


@lru_cache(maxsize=512)
def program_of(text: str, zone: str = ZONE) -> Program:
    """One pack's text, compiled; after a line `---`, a contact policy's."""
    pack, _, policy = text.partition("\n---\n")
    files = {"pack.yaml": pack} | ({"policy.yaml": policy} if policy else {})
    return Program(read_rulebook(files), BankCalendar(zone))
