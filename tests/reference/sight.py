"""One customer as seen at one instant: what is known, and what names stand for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cached_property
from typing import Any

from reference.language import Settings, Walker, part_of_day
from schemas.bankday import BankCalendar
from schemas.journal import Event, Profile, Transaction

# Fields of records and of list items whose name or unit differs in the journal.
_FEN = {"amount": "amount_fen", "balance_after": "balance_after_fen"}
_DAYS = {"matures_on": "matures_day", "opened_on": "opened_day", "expires_on": "expires_day"}
_PROFILE_FEN = ("household_income", "collateral", "expected_profit", "expected_risk")
_PROFILE_DAYS = ("opened_on", "birth_date")
PROFILE_NAMES = (
    *_PROFILE_DAYS, *_PROFILE_FEN, "gender", "marital_status", "children_birth_dates", "occupation", "industry",
    "employment", "trade", "region", "credit_score", "default_history", "labels", "owner_id",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Known:
    """A record that was folded.

    Attributes:
        day: its bank day.
        today: that of the clock when it was folded.
        late: it lay beyond the allowed lateness, so that only balances see it.
        activation: how many rulebooks had taken effect when it was folded.
        moves_kept: a rule in force read `retained` then, so that what it moved is remembered.
    """

    record: Event
    day: date
    today: date
    late: bool
    activation: int
    moves_kept: bool


@dataclass(eq=False)
class Sight:
    """What is known of a customer at an instant, under one pack's settings.

    Attributes:
        starts: since which activation a feature's records count, by the identity of its meaning.
    """

    calendar: BankCalendar
    now_ms: int
    history: Sequence[Known]
    settings: Settings = field(default_factory=dict)
    began: int = 0

    @cached_property
    def today(self) -> date:
        return self.day_of(self.now_ms)

    def day_of(self, ms: int) -> date:
        return self.calendar.local(ms).date()

    @cached_property
    def transactions(self) -> list[Transaction]:
        return [known.record for known in self.history if isinstance(known.record, Transaction)]

    @cached_property
    def moves_kept(self) -> list[bool]:
        """Of each transaction."""
        return [known.moves_kept for known in self.history if isinstance(known.record, Transaction)]

    @cached_property
    def profile(self) -> Profile | None:
        """The latest snapshot."""
        found = [known.record for known in self.history if isinstance(known.record, Profile)]
        return max(found, key=lambda record: (record.occurred_ms, record.event_id), default=None)

    def folded_for(self, model: Any) -> list[Known]:
        """The records since the feature began."""
        return [known for known in self.history if known.activation >= self.began]

    # Fields

    def field(self, record: Any, name: str) -> Any:
        """What `where`, `sum`, `top` … see of a record."""
        if name in ("hour", "weekday", "day", "month"):
            when = self.calendar.local(record.occurred_ms)
            return when.hour if name == "hour" else part_of_day(when.date(), name)
        return self.item_field(record, name)

    def item_field(self, item: Any, name: str) -> Any:
        """What features over `cards` and `holdings` see of an item."""
        if name in _FEN:
            fen = getattr(item, _FEN[name])
            return None if fen is None else Fraction(fen, 100)
        if name in _DAYS:
            day = getattr(item, _DAYS[name])
            return None if day is None else date.fromordinal(day)
        return getattr(item, name)

    def attribute(self, name: str) -> Any:
        """A profile's attribute; unknown without a profile."""
        if self.profile is None:
            return None
        attributes = self.profile.attributes
        if name in _PROFILE_FEN:
            fen = getattr(attributes, f"{name}_fen")
            return None if fen is None else Fraction(fen, 100)
        value = getattr(attributes, name)
        if name in _PROFILE_DAYS:
            return None if value is None else date.fromordinal(value)
        return tuple(date.fromordinal(day) for day in value) if name == "children_birth_dates" else value

    # Filters

    def record_test(self, where: str, record: Any) -> bool:
        return Walker(lambda name: self.field(record, name), self.settings, None).evaluate(where) is True

    def item_test(self, where: str, item: Any) -> bool:
        walker = Walker(lambda name: self.item_field(item, name), self.settings, self.today)
        return walker.evaluate(where) is True
