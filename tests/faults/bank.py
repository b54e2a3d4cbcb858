"""The made-up bank of a fault run: its rule packs, and a seeded stream of records with what is known of each.

Every record carries its number in a header, so that what lies in an input partition can be told from what should:
a broker restart that lost or doubled a record of ours would be the harness's fault and not the pipeline's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import msgspec
from builders import at
from rulebooks import CHANGED, RICH

from schemas.bankday import BankCalendar
from schemas.topics import APP_EVENTS, PROFILES, TRANSACTIONS

NUMBER_HEADER = "number"
FED_TOPICS = (TRANSACTIONS, APP_EVENTS, PROFILES)
_START_MS = at("2026-03-20 08:00")
_DAY_MS = 86_400_000
_BUSY_MS, _QUIET_MS = 20 * _DAY_MS, 6 * _DAY_MS
QUIET_SHARE = 0.05
"""Of the records, how many come last, slowly and from few customers: time passes, and whom a worker took over with
a deadline ahead is tagged by that alone or not at all."""
_EVENTS_A_CUSTOMER = 60
_SPEAKING_SHARE = 0.1
_PRESENT_SHARE = 0.25
_VISIT_SHARE = 0.02
_REPEAT_WITHIN = 40
_CALENDAR = BankCalendar("Asia/Shanghai")
_BROKEN: tuple[bytes | None, ...] = (b"\xff\xfe", b"{", b"[1]", b'{"event_id": "x"}', None, b"NaN", b"")

GRADES = """
pack: grades
features:
  paid: {sum: amount, of: transactions, where: 'direction == "debit"', over: 5d}
  seen: {count: app_events, over: 5d}
rules:
  score:
    points:
      money: {by: assets, bins: {0: 0, 1000: 2, 5000: 5}}
      app: {by: seen, weight: 2, bins: {0: 0, 3: 1, 8: 2}}
    levels: {low: otherwise, good: 4, best: 8}
  grid:
    rows: {by: assets, cuts: [2000]}
    columns: {by: paid, cuts: [1000]}
    cells: [[quiet, spending], [saving, active]]
"""

PACKS = ({"pack.yaml": RICH, "grades.yaml": GRADES}, {"pack.yaml": CHANGED, "grades.yaml": GRADES})
"""Files of the rulebooks that take turns: the first is in force at the start."""

Fate = Literal["good", "repeat", "late", "broken"]


@dataclass(frozen=True, slots=True)
class Sent:
    """One record of the stream.

    Attributes:
        number: its place in the stream.
        partition: of the topic.
        fate: `repeat` has the id of an event sent shortly before; `late` lies days back, which is late once there
            is a clock; `broken` must become a dead letter.
    """

    number: int
    topic: str
    partition: int
    key: bytes
    value: bytes | None
    fate: Fate

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        return [(NUMBER_HEADER, b"%d" % self.number)]


def stream(seed: int, events: int, partitions: int) -> Iterator[Sent]:
    """The records of a run, in the order of sending."""
    random = Random(f"bank {seed}")
    recent: list[Sent] = []
    for number in range(events):
        if len(recent) == _REPEAT_WITHIN and random.random() < 0.03:
            again = random.choice(recent)
            partition = random.randrange(partitions)
            yield Sent(number, again.topic, partition, again.key, again.value, "repeat")
            recent.remove(again)  # a third one would be one too many for nobody, but is harder to count
            continue
        sent = _record(random, number, events, partitions)
        if sent.fate == "good":
            recent = [*recent[1 - _REPEAT_WITHIN :], sent]
        yield sent


def _record(random: Random, number: int, events: int, partitions: int) -> Sent:
    topic = random.choices(FED_TOPICS, (6, 5, 1))[0]
    partition, key = random.randrange(partitions), b"%d" % random.randrange(1000)
    if random.random() < 0.01:
        return Sent(number, topic, partition, key, random.choice(_BROKEN), "broken")
    when, fate = _when(number / events), "good"
    when -= random.choice((0, 0, 60_000, 3_600_000)) * random.randrange(12)
    if topic != PROFILES and random.random() < 0.01:
        when, fate = when - random.randrange(4, 9) * _DAY_MS, "late"
    elif random.random() < 0.005:
        when, fate = when + 3650 * _DAY_MS, "broken"
    fields: dict[str, Any] = {
        "event_id": f"e{number}",
        "customer_id": _customer(random, number / events, events),
        "occurred_at": _CALENDAR.format(when),
        **_FIELDS[topic](random),
    }
    return Sent(number, topic, partition, key, msgspec.json.encode(fields), fate)  # type: ignore[arg-type]


def _when(share: float) -> int:
    """When so much of the records has come."""
    if share < 1 - QUIET_SHARE:
        return _START_MS + int(_BUSY_MS * share / (1 - QUIET_SHARE))
    return _START_MS + _BUSY_MS + int(_QUIET_MS * (share - 1 + QUIET_SHARE) / QUIET_SHARE)


def _customer(random: Random, share: float, events: int) -> str:
    """Customers come and go: most records are of those present now, a few of anybody, and at last a few customers
    speak alone. Whoever has gone is tagged by the passing of time alone, so a deadline that was lost is not mended
    by a next record."""
    customers = max(20, events // _EVENTS_A_CUSTOMER)
    if share >= 1 - QUIET_SHARE:
        return f"C{random.randrange(int(customers * _SPEAKING_SHARE))}"
    if random.random() < _VISIT_SHARE:
        return f"C{random.randrange(customers)}"
    return f"C{int(customers * (share + _PRESENT_SHARE * random.random())) % customers}"


def ghost(number: int) -> bytes:
    """A good transaction that no reader must ever see, being part of an aborted one."""
    fields = {
        "event_id": f"ghost{number}",
        "customer_id": f"GHOST{number % 7}",
        "occurred_at": _CALENDAR.format(_START_MS),
        **_transaction(Random(number)),
    }
    return msgspec.json.encode(fields)


def _transaction(random: Random) -> dict[str, Any]:
    kind = random.choice(("current", "current", "wealth", "loan"))
    return {
        "account_id": f"A-{kind}",
        "account_type": kind,
        "direction": random.choice(("credit", "credit", "debit", "debit")),
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


_FIELDS = {TRANSACTIONS: _transaction, APP_EVENTS: _app_event, PROFILES: _profile}
