"""The records of a made-up bank, good and bad, for one run."""

from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
from builders import at

from schemas.bankday import BankCalendar
from schemas.topics import APP_EVENTS, PROFILES, TRANSACTIONS

from .plan import Plan

START_MS = at("2026-03-29 20:00")
SPAN_MS = 6 * 86_400_000
DAY_MS = 86_400_000
COUNTS = {TRANSACTIONS: 2, APP_EVENTS: 1, PROFILES: 1}
"""Input topics of a run, and their partitions."""
_CALENDAR = BankCalendar("Asia/Shanghai")
_BROKEN: tuple[bytes | None, ...] = (b"\xff\xfe", b"{", b"[1]", b'{"event_id": "x"}', None, b"NaN", b"")

Sent = tuple[str, int, bytes, bytes | None]
"""Topic, partition, key, value."""


def records(plan: Plan, now_ms: Any) -> Iterator[Sent]:
    """One record after the other; `now_ms()` is the time of day when it is asked for."""
    random = Random(f"bank {plan.seed}")
    sent: list[Sent] = []
    for number in range(plan.events):
        if sent and random.random() < 0.08:
            again = random.choice(sent)
            record = (again[0], random.randrange(COUNTS[again[0]]), again[2], again[3])
        else:
            record = _record(plan, random, number, now_ms())
        sent.append(record)
        yield record


def _record(plan: Plan, random: Random, number: int, now_ms: int) -> Sent:
    topic = random.choices((TRANSACTIONS, APP_EVENTS, PROFILES), (5, 4, 1))[0]
    partition, key = random.randrange(COUNTS[topic]), b"%d" % random.randrange(100)
    if random.random() < 0.06:
        return topic, partition, key, random.choice(_BROKEN)
    when = now_ms if plan.clock == "wall" else START_MS + SPAN_MS * number // plan.events
    when -= random.choice((0, 0, 60_000, 3_600_000)) * random.randrange(20)
    if random.random() < 0.08:
        when -= random.randrange(1, 5) * DAY_MS
    elif random.random() < 0.03:
        when += 3650 * DAY_MS
    # an id is unique in its topic only: the same one in two topics is two events
    fields = {
        "event_id": f"e{random.choice((number, number, number // 2))}",
        "customer_id": f"C{random.randrange(plan.customers)}",
        "occurred_at": _CALENDAR.format(when),
        **_MAKERS[topic](random),
    }
    return topic, partition, key, msgspec.json.encode(fields)


def _transaction(random: Random) -> dict[str, Any]:
    kind = random.choice(("current", "current", "wealth", "loan"))
    return {
        "account_id": f"A-{kind}",
        "account_type": kind,
        "direction": random.choice(("credit", "credit", "debit")),
        "amount": random.choice(("10.00", "500.00", "1000.00", "2500.00", "6000.00")),
    }


def _app_event(random: Random) -> dict[str, Any]:
    return {
        "action": random.choice(("view", "view", "login", "cart")),
        "category": "wealth",
        "product_id": random.choice(("P1", "P2")),
    }


def _profile(random: Random) -> dict[str, Any]:
    return {"occupation": random.choice(("o1", "o2")), "consent": {"push": random.random() < 0.5}}


_MAKERS = {TRANSACTIONS: _transaction, APP_EVENTS: _app_event, PROFILES: _profile}
