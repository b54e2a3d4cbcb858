"""The signals of the packs over what is held, as the packs under `rules/` state them, for labels.

They share nothing with the core, so that a run can be scored by them: every rule is looked at with every booking,
at every midnight and at every end of a cooldown or an episode.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from schemas.bankday import BankCalendar
from schemas.money import FEN_PER_YUAN
from streams.sources.holdings import Booking, Holdings
from streams.sources.ladders import CAMPAIGN_RULE, JOINT_STOCK, NEAR_UPGRADE_RULE

OUTFLOW_RULE = "vip-outflow"
CHURN_RULE = "churn-worth-keeping"
MID_OUTFLOW_RULE = "joint-stock-mid-outflow"
CROSSED_UP_RULE = "threshold-crossed-up"
CROSSED_DOWN_RULE = "threshold-crossed-down"
BALANCE_UP_RULE = "balance-crossed-up"
BALANCE_DOWN_RULE = "balance-crossed-down"
IDLE_RULE = "idle-funds"
TRANSFERS_RULE = "transfers-without-wealth"
# The lines that assets and the balance cross, and below what they count as left.
LINE_FEN = 100_000 * FEN_PER_YUAN
_LINE_LEFT_FEN = LINE_FEN * 95 // 100
_BALANCE_LINE_FEN = 50_000 * FEN_PER_YUAN
_BALANCE_LEFT_FEN = _BALANCE_LINE_FEN * 95 // 100
_IDLE_FEN = _MID_FEN = 50_000 * FEN_PER_YUAN
_HIGH_FEN = _VIP_FEN = 500_000 * FEN_PER_YUAN
_EFFECTIVE, _MID, _HIGH = 1, 2, 3  # ranks of joint_stock
_TRANSFERS = 5
_DAY_MS = 24 * 60 * 60 * 1000

Condition = Callable[[Holdings], bool]


@dataclass(frozen=True, slots=True)
class Signal:
    """A rule over holdings, as its pack states it.

    Attributes:
        until: what ends an episode; without it, that `when` does not hold.
        expires_days: told only where it decides what opens next, which takes an `until`.
    """

    rule: str
    when: Condition
    until: Condition | None = None
    expires_days: int | None = None
    cooldown_days: int = 0


def has_idle_money(now: Holdings) -> bool:
    """Rule idle-funds: 50,000 were not needed on any of thirty days."""
    return now.untouched >= _IDLE_FEN


def is_near_upgrade(now: Holdings) -> bool:
    """Rule joint-stock-near-upgrade: nine tenths of where the next layer begins."""
    return now.rank + 1 < len(JOINT_STOCK) and now.held * 10 >= JOINT_STOCK[now.rank + 1][1] * FEN_PER_YUAN * 9


def mid_has_left(now: Holdings) -> bool:
    """Rule joint-stock-mid-outflow: two fifths of a mid customer's assets are gone."""
    return _MID_FEN <= now.peak < _HIGH_FEN and now.held * 10 <= now.peak * 6


def vip_has_left(now: Holdings) -> bool:
    """Rule vip-outflow: three tenths of a high tier's assets are gone."""
    return now.peak >= _VIP_FEN and now.held * 10 <= now.peak * 7


def line_was_passed(now: Holdings) -> bool:
    """Rule threshold-crossed-up: assets that stood below the line within thirty days have reached it."""
    return now.trough < LINE_FEN <= now.held


def line_was_left(now: Holdings) -> bool:
    """Rule threshold-crossed-down: assets that stood at the line are below 95% of it."""
    return now.peak >= LINE_FEN and now.held < _LINE_LEFT_FEN


def balance_was_passed(now: Holdings) -> bool:
    """Rule balance-crossed-up: a balance that stood below its line within thirty days has reached it."""
    return now.untouched < _BALANCE_LINE_FEN <= now.current


def balance_was_left(now: Holdings) -> bool:
    """Rule balance-crossed-down: a balance that stood at its line is below 95% of it."""
    return now.current_peak >= _BALANCE_LINE_FEN and now.current < _BALANCE_LEFT_FEN


def sends_it_elsewhere(now: Holdings) -> bool:
    """Rule transfers-without-wealth: of the effective or mid layer, five transfers, and no wealth product."""
    return now.rank in (_EFFECTIVE, _MID) and now.wealth_fen == 0 and now.sent >= _TRANSFERS


SIGNALS = (
    Signal(IDLE_RULE, has_idle_money, cooldown_days=90),
    Signal(NEAR_UPGRADE_RULE, is_near_upgrade, cooldown_days=30),
    Signal(CAMPAIGN_RULE, lambda now: now.rank == _EFFECTIVE, cooldown_days=90),
    Signal(MID_OUTFLOW_RULE, mid_has_left, cooldown_days=30),
    Signal(OUTFLOW_RULE, vip_has_left, cooldown_days=30),
    # The rule asks whether vip-outflow is open. No story's customer is warned of twice on the high layer, so that
    # what opens the one opens the other.
    Signal(CHURN_RULE, lambda now: now.rank >= _HIGH and vip_has_left(now)),
    Signal(CROSSED_UP_RULE, line_was_passed, until=lambda now: now.held < _LINE_LEFT_FEN),
    Signal(CROSSED_DOWN_RULE, line_was_left, until=lambda now: now.held >= LINE_FEN, expires_days=14),
    Signal(BALANCE_UP_RULE, balance_was_passed, until=lambda now: now.current < _BALANCE_LEFT_FEN),
    Signal(
        BALANCE_DOWN_RULE,
        balance_was_left,
        until=lambda now: now.current >= _BALANCE_LINE_FEN,
        expires_days=14,
    ),
    Signal(TRANSFERS_RULE, sends_it_elsewhere),
)
"""Every signal over what is held that speaks in the made-up bank."""


class _Episodes:
    """The lives of one signal's tags, one after the other."""

    __slots__ = ("_armed", "_is_open", "ends_ms", "ready_ms", "signal")

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.ready_ms = self.ends_ms = 0
        self._is_open, self._armed = False, True

    def opens(self, at_ms: int, now: Holdings) -> bool:
        """Look, and say whether a tag opens: it holds, did not since it closed, and may come again."""
        holds = self.signal.when(now)
        if self._is_open and self._closes(at_ms, now, holds=holds):
            self._is_open, self._armed = False, False
        if self._is_open:
            return False
        self._armed |= not holds
        if not (holds and self._armed and at_ms >= self.ready_ms):
            return False
        self._is_open = True
        self.ready_ms = at_ms + self.signal.cooldown_days * _DAY_MS
        self.ends_ms = at_ms + (self.signal.expires_days or 0) * _DAY_MS
        return True

    def _closes(self, at_ms: int, now: Holdings, *, holds: bool) -> bool:
        ended = not holds if self.signal.until is None else self.signal.until(now)
        return ended or (self.signal.expires_days is not None and at_ms >= self.ends_ms)


class Opening(NamedTuple):
    """A tag that should open.

    Attributes:
        by_ms: where a record was told too late, it opens from `at_ms` up to this.
        by_clock: no booking brings it about, only the time that passes.
    """

    rule: str
    at_ms: int
    by_ms: int | None
    by_clock: bool


class Walk:
    """One customer's days, and what opens on them."""

    __slots__ = ("_booked_ms", "_calendar", "_lives", "_now", "_openings")

    def __init__(
        self, opening_fen: int, first_day: int, calendar: BankCalendar, signals: Sequence[Signal] = SIGNALS
    ) -> None:
        """Stand before the first booking.

        Args:
            opening_fen: what is held before it, and was held ever before.
            first_day: the day of the first booking.
        """
        self._calendar = calendar
        self._now = Holdings(opening_fen, first_day - 1)
        self._lives = [_Episodes(signal) for signal in signals]
        self._openings: list[Opening] = []
        self._booked_ms: int | None = None

    def live_day(self, bookings: Sequence[Booking]) -> None:
        """Live through the next day.

        Args:
            bookings: those that arrive on it, in order.
        """
        self._now.turn()
        start_ms, end_ms = self._calendar.start_ms(self._now.day), self._calendar.start_ms(self._now.day + 1)
        waits = {wait_ms for life in self._lives for wait_ms in (life.ready_ms, life.ends_ms)}
        looks = {start_ms, *(wait_ms for wait_ms in waits if start_ms <= wait_ms < end_ms)}
        arriving = {at_ms: list(together) for at_ms, together in groupby(bookings, lambda booking: booking.at_ms)}
        for at_ms in sorted(looks | arriving.keys()):
            self._look(at_ms, arriving.get(at_ms, []))

    def openings(self, reached_ms: int) -> list[Opening]:
        """What opened, in order, where other customers' records bring the clock up to a time."""
        beyond_ms = max(reached_ms, self._booked_ms or 0)
        return [opening for opening in self._openings if not opening.by_clock or opening.at_ms < beyond_ms]

    def _look(self, at_ms: int, bookings: Sequence[Booking]) -> None:
        before_ms, by_ms = self._booked_ms, None
        for booking in bookings:
            self._now.book(booking)
            self._booked_ms, by_ms = at_ms, booking.by_ms
        if self._booked_ms is None:  # of whom nothing has been heard, nothing is said
            return
        from_ms = at_ms if by_ms is None or before_ms is None else before_ms
        self._openings += [
            Opening(life.signal.rule, from_ms, by_ms, not bookings)
            for life in self._lives
            if life.opens(at_ms, self._now)
        ]
