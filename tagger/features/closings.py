"""`average_balance`, `low` and `high`: measured on daily closings, today's being the balance now.

They keep no state of their own: daily net flows are part of every customer's state, so balances never warm.
"""

from typing import Any

from schemas.bankday import BankCalendar
from schemas.money import divide_half_away
from tagger.features.balances import (
    PARTS,
    balance,
    closing_sum,
    closings,
    extreme_closing,
    last_movement,
    parts_of,
)
from tagger.features.computed import Computed
from tagger.features.contract import Moment
from tagger.features.windows import DayWindow
from tagger.state.customer import CustomerState
from tagger.state.day_values import first_since


class _OverClosings(Computed):
    def __init__(
        self, *, name: str, definition: str, measure: str, window: DayWindow, calendar: BankCalendar
    ) -> None:
        self.name, self.definition = name, definition
        self.meaning = definition
        self.measure, self._window, self._calendar = measure, window, calendar
        self.previous = window.previous

    def window_ms(self, moment: Moment, calendar: BankCalendar) -> tuple[int, int] | None:
        first, end = self._window.span(moment.today)
        return calendar.start_ms(first), calendar.start_ms(end)


class AverageBalance(_OverClosings):
    """Mean of daily closings over the days of the window so far, rounded to the fen, half away from zero."""

    def value(self, state: CustomerState, moment: Moment) -> Any:
        first, end = self._window.span(moment.today)
        total, series = 0, state.series
        for part in PARTS[self.measure]:
            if part in series:
                total += closing_sum(series[part], first, end)
        return divide_half_away(total, end - first)

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        moved = last_movement(parts_of(state, self.measure))
        # Level since before the window's second day: the mean is the balance and stays it.
        if moved is None or moved <= self._window.span(evaluated_day)[0]:
            return None
        turn = self._window.next_turn(evaluated_day) if self._window.previous else evaluated_day + 1
        return None if turn is None else self._calendar.start_ms(turn)


class ExtremeBalance(_OverClosings):
    """The lowest or highest daily closing; as time passes the lowest only rises, and the highest only falls."""

    def __init__(self, *, highest: bool, **definition: Any) -> None:
        super().__init__(**definition)
        self.highest = highest
        self._choose = max if highest else min

    def value(self, state: CustomerState, moment: Moment) -> Any:
        first, end = self._window.span(moment.today)
        parts = parts_of(state, self.measure)
        if len(parts) == 1 and parts[0].last < end:
            return extreme_closing(parts[0], first, self.highest)
        return self._choose(level for _, level in closings(parts, first, end))

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        """When the last of the days with the extreme closing leaves, and only worse ones are left."""
        first, end = self._window.span(evaluated_day)
        parts = parts_of(state, self.measure)
        if any(series.last >= end for series in parts):
            # At the very midnight after the day: what has come then is not told from what leaves.
            return self.first_leaves(state, evaluated_day, horizon_ms)
        levels = closings(parts, first, end)
        extreme = self._choose(level for _, level in levels)
        after = next((place for place in range(len(levels), 0, -1) if levels[place - 1][1] == extreme), 0)
        if after == len(levels):
            return None  # it is the balance now
        return self._calendar.start_ms(levels[after][0] + self._window.count - 1)

    def first_leaves(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        """When the first closing leaves that is another than the one after it: no change comes before."""
        first = evaluated_day - self._window.count + 1
        moved: int | None = None
        for part in PARTS[self.measure]:
            series = state.series.get(part)
            if series is not None and series.last > first:
                day = series.first if series.first > first else first_since(series, first + 1)
                if day is not None and (moved is None or day < moved):
                    moved = day
        # The level before a movement leaves when the window begins on the movement's day.
        return None if moved is None else self._calendar.start_ms(moved + self._window.count - 1)


class Balance(Computed):
    """A balance now: `assets`, or what stands on one type of account."""

    def __init__(self, measure: str) -> None:
        self.name = self.definition = self.meaning = self.measure = measure

    def value(self, state: CustomerState, moment: Moment) -> Any:
        return balance(state, self.measure)


class FurthestBalance(Balance):
    """A bound on closings: none was ever above it, or below it. For generated code; no pack reads it."""

    def __init__(self, measure: str, highest: bool) -> None:
        super().__init__(measure)
        self.highest = highest
        self.name = self.definition = self.meaning = f"{'highest' if highest else 'lowest'} {measure} ever"

    def value(self, state: CustomerState, moment: Moment) -> Any:
        parts = parts_of(state, self.measure)
        return sum(series.highest_fen if self.highest else series.lowest_fen for series in parts)
