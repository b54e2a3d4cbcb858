"""A made-up customer: what is on the accounts, and the records that a bank would send about it.

Each method books one thing and returns it as a `Happening`: when it *arrives*, and the record. A happening that is
delayed keeps its `occurred_at`. Everything random comes from the customer's own generator, so that one life does
not change another.
"""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import msgspec

from schemas.bankday import BankCalendar
from schemas.money import FEN_PER_YUAN, format_fen
from schemas.topics import APP_EVENTS, PROFILES, TRANSACTIONS
from streams.sources.holdings import Booking
from streams.sources.labels import Label
from streams.sources.signals import Opening, Walk

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
_ENCODER = msgspec.json.Encoder()


class Happening(NamedTuple):
    """A record and when it arrives; sorts by arrival, then customer, then the order it was made in."""

    arrives_ms: int
    customer_id: str
    sequence: int
    topic: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Period:
    """The time that is made up: `days` bank days from `first_day` (a proleptic ordinal)."""

    calendar: BankCalendar
    first_day: int
    days: int

    def start_ms(self, day: int) -> int:
        """The first instant of day number `day`, counted from 0."""
        return self.calendar.start_ms(self.first_day + day)


class Customer:
    """One customer's accounts, as the bank's records tell of them.

    Attributes:
        balance_fen: of the current account; set it before the first record for an opening balance.
        wealth_fen: of the wealth account.
        labelled: rules of which something has been said.
        active_days: day with a transaction or an app event (from 0) → assets at its end, in fen.
        uses_app: some app event came, by a topic of its own.
    """

    __slots__ = (
        "_bookings",
        "_walk",
        "active_days",
        "balance_fen",
        "customer_id",
        "labelled",
        "labels",
        "notes",
        "period",
        "random",
        "sequence",
        "story",
        "uses_app",
        "wealth_fen",
    )

    def __init__(
        self,
        *,
        customer_id: str,
        story: str,
        period: Period,
        random: Random,
        labels: list[Label],
        notes: Counter[str],
    ) -> None:
        self.customer_id = customer_id
        self.story = story
        self.period = period
        self.random = random
        self.labels = labels
        self.notes = notes
        self.balance_fen = 0
        self.wealth_fen = 0
        self.sequence = 0
        self._bookings: dict[int, Booking] = {}  # by the sequence of their records, until these arrive
        self._walk: Walk | None = None
        self.labelled: set[str] = set()
        self.active_days: dict[int, int] = {}
        self.uses_app = False

    @property
    def assets_fen(self) -> int:
        """What stands on current and wealth accounts now."""
        return self.balance_fen + self.wealth_fen

    def close_day(self, day: int) -> None:
        """Look at what the bank has heard by the end of day number `day`; once for every day, in order."""
        if self._walk is None:
            opening_fen = self.assets_fen - sum(booking.assets_fen for booking in self._bookings.values())
            self._walk = Walk(opening_fen, self.period.first_day + day, self.period.calendar)
        end_ms = self.period.start_ms(day + 1)
        arrived = {sequence: booking for sequence, booking in self._bookings.items() if booking.at_ms < end_ms}
        for sequence in arrived:
            del self._bookings[sequence]
        self._walk.live_day(sorted(arrived.values(), key=lambda booking: booking.at_ms))

    def openings(self, reached_ms: int) -> list[Opening]:
        """The signals that what is held gives, where others bring the clock up to a time."""
        return [] if self._walk is None else self._walk.openings(reached_ms)

    def time(self, day: int, from_hour: int, to_hour: int) -> int:
        """A moment between two hours of a day, to the second."""
        second = self.random.randrange(from_hour * 3600, to_hour * 3600)
        return self.period.start_ms(day) + second * 1000

    def yuan(self, low: int, high: int) -> int:
        """An amount in fen between two amounts in yuan, cents included."""
        return self.random.randrange(low * FEN_PER_YUAN, high * FEN_PER_YUAN + 1)

    def credit(self, at_ms: int, fen: int, kind: str) -> Happening:
        """Money comes in on the current account."""
        self.balance_fen += fen
        return self._transaction(at_ms, "credit", fen, kind)

    def debit(self, at_ms: int, fen: int, kind: str) -> Happening:
        """Money leaves the current account."""
        self.balance_fen -= fen
        return self._transaction(at_ms, "debit", fen, kind)

    def buy_wealth(self, at_ms: int, fen: int, product_id: str) -> list[Happening]:
        """Money moves from the current account into a wealth product of this bank: both sides."""
        self.balance_fen -= fen
        out = self._transaction(at_ms, "debit", fen, "purchase", own_transfer=True)
        self.wealth_fen += fen
        into = self._transaction(
            at_ms, "credit", fen, "purchase", product_id=product_id, account_type="wealth", own_transfer=True
        )
        return [out, into]

    def _transaction(
        self,
        at_ms: int,
        direction: str,
        fen: int,
        kind: str,
        *,
        product_id: str | None = None,
        account_type: str = "current",
        own_transfer: bool = False,
    ) -> Happening:
        value = {
            "account_id": f"{self.customer_id}-{account_type}",
            "account_type": account_type,
            "direction": direction,
            "amount": format_fen(fen),
            "balance_after": format_fen(self.balance_fen if account_type == "current" else self.wealth_fen),
            "kind": kind,
        }
        if product_id is not None:
            value["product_id"] = product_id
        made = self._record(at_ms, TRANSACTIONS, value | ({"own_transfer": True} if own_transfer else {}))
        moved = fen if direction == "credit" else -fen
        self._bookings[made.sequence] = Booking(
            at_ms=at_ms,
            day=self.period.calendar.day_of(at_ms),
            current_fen=moved if account_type == "current" else 0,
            wealth_fen=moved if account_type == "wealth" else 0,
            assets_fen=0 if own_transfer else moved,
            sends=kind == "transfer" and direction == "debit",
        )
        return made

    def act(
        self, at_ms: int, action: str, category: str | None = None, product_id: str | None = None
    ) -> Happening:
        """Something in the app."""
        self.uses_app = True
        value: dict[str, object] = {"action": action}
        if category is not None:
            value["category"] = category
        if product_id is not None:
            value["product_id"] = product_id
        return self._record(at_ms, APP_EVENTS, value)

    def agree(self, at_ms: int, **consent: bool) -> Happening:
        """A profile that says by which channels the customer may be contacted, and nothing else."""
        return self._record(at_ms, PROFILES, {"consent": consent})

    def _record(self, at_ms: int, topic: str, value: dict[str, object]) -> Happening:
        self.sequence += 1
        if topic != PROFILES:
            self.active_days[self.period.calendar.day_of(at_ms) - self.period.first_day] = self.assets_fen
        head = {
            "event_id": f"{self.customer_id}-{self.sequence}",
            "customer_id": self.customer_id,
            "occurred_at": self.period.calendar.format(at_ms),
        }
        return Happening(at_ms, self.customer_id, self.sequence, topic, _ENCODER.encode(head | value))

    def delay(self, happening: Happening, by_ms: int, note: str) -> Happening:
        """The same record, arriving later than it occurred."""
        self.notes[note] += 1
        arrives_ms = happening.arrives_ms + by_ms
        if happening.sequence in self._bookings:
            booking = self._bookings[happening.sequence]
            # A day's grace, since it is looked at as the clock stands, and that hangs on others' records.
            self._bookings[happening.sequence] = booking._replace(at_ms=arrives_ms, by_ms=arrives_ms + DAY_MS)
        return happening._replace(arrives_ms=arrives_ms)

    def repeat(self, happening: Happening, after_ms: int) -> Happening:
        """The same record once more."""
        self.notes["repeated"] += 1
        self.sequence += 1
        return happening._replace(arrives_ms=happening.arrives_ms + after_ms, sequence=self.sequence)

    def spoil(self, happening: Happening, value: bytes) -> Happening:
        """Another value in the place of a record's, which the bank cannot read: it books nothing."""
        self.notes["broken"] += 1
        self._bookings.pop(happening.sequence, None)
        return happening._replace(value=value)

    def expect(
        self, rule: str, at_ms: int, *, change: str = "opened", by_ms: int | None = None, level: str | None = None
    ) -> None:
        """Say that a tag should come."""
        when = self.period.calendar.format
        by = None if by_ms is None else when(by_ms)
        label = Label(
            customer_id=self.customer_id,
            story=self.story,
            rule=rule,
            change=change,
            level=level,
            at=when(at_ms),
            by=by,
        )
        self.labels.append(label)
        self.labelled.add(rule)

    def expect_nothing(self, *rules: str) -> None:
        """Say that no tag of these rules should come."""
        self.labels += [Label(customer_id=self.customer_id, story=self.story, rule=rule) for rule in rules]
        self.labelled.update(rules)
