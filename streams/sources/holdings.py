"""What a customer holds, booking by booking, for labels.

It shares nothing with the core, so that a run can be scored by it: thirty closings are kept as thirty numbers.
"""

from datetime import date
from typing import NamedTuple

from streams.sources.ladders import JOINT_STOCK, next_rank

_WINDOW_DAYS = 30
_MONTHS = 12


class Booking(NamedTuple):
    """What one transaction moves.

    Attributes:
        at_ms: when its record arrives.
        day: the bank day of whose closing it is a part.
        assets_fen: nothing where both accounts are the customer's own.
        sends: it is a transfer to somebody else.
        by_ms: of a record told too late, which the clock has left behind: up to when it may be looked at.
    """

    at_ms: int
    day: int
    current_fen: int = 0
    wealth_fen: int = 0
    assets_fen: int = 0
    sends: bool = False
    by_ms: int | None = None


class Holdings:
    """What is held on a day, and was on the days before.

    Attributes:
        held: assets now, in fen.
        peak: the highest closing of assets in thirty days, today's being what is held now.
        trough: the lowest one.
        current: on the current account now, in fen.
        current_peak: the highest closing of it in thirty days.
        untouched: the lowest one, which nobody needed.
        rank: of the layer of joint_stock stood on.
    """

    __slots__ = (
        "_assets",
        "_current",
        "_sent_in",
        "current",
        "current_peak",
        "day",
        "held",
        "peak",
        "rank",
        "trough",
        "untouched",
        "wealth_fen",
    )

    def __init__(self, opening_fen: int, day: int) -> None:
        self._assets = [opening_fen] * _WINDOW_DAYS
        self._current = [opening_fen] * _WINDOW_DAYS
        self._measure()
        self.day = day
        self.rank = 0
        self.wealth_fen = 0
        self._sent_in: list[int] = []

    @property
    def sent(self) -> int:
        """Transfers to others in this month and the eleven before."""
        this = _month(self.day)
        return sum(this - month < _MONTHS for month in self._sent_in)

    def turn(self) -> None:
        """The next day begins as this one ends."""
        self.day += 1
        self._assets = [*self._assets[1:], self._assets[-1]]
        self._current = [*self._current[1:], self._current[-1]]
        self._measure()

    def book(self, booking: Booking) -> None:
        """Move money on its own day and every day since."""
        for back in range(min(self.day - booking.day + 1, _WINDOW_DAYS)):
            self._assets[-1 - back] += booking.assets_fen
            self._current[-1 - back] += booking.current_fen
        self._measure()
        self.wealth_fen += booking.wealth_fen
        self.rank = next_rank(JOINT_STOCK, self.rank, self.held)
        if booking.sends:
            self._sent_in.append(_month(booking.day))

    def _measure(self) -> None:
        self.held, self.peak, self.trough = self._assets[-1], max(self._assets), min(self._assets)
        self.current, self.current_peak = self._current[-1], max(self._current)
        self.untouched = min(self._current)


def _month(day: int) -> int:
    its = date.fromordinal(day)
    return its.year * 12 + its.month
