"""`recurring: transactions`: what comes every month, quarter or year at about the same day, such as a salary.

A period's match is its largest transaction, of equal ones the first. State: one `[first day of the period,
amount, time, event id, day]` a period with a match, ascending; at most `times` + 1 periods.
"""

from collections.abc import Iterable
from typing import Any

from schemas.bankday import BankCalendar, Period, add_months, next_period_start, period_start
from schemas.journal import CustomerEvent, Transaction
from tagger.features.contract import Moment
from tagger.features.stored import Stored, StoredFeature
from tagger.state.customer import CustomerState

MONTHS: dict[Period, int] = {"month": 1, "quarter": 3, "year": 12}
_UNKNOWN = (False, None, None, None)


class Recurring(StoredFeature):
    """`.recurs`, and while it does, `.day`, `.next` and `.amount`, which are unknown otherwise.

    Days count from 1: from a month's first day, and from a quarter's or year's last.

    Args:
        slack_days: how far the day of each of the last `times` periods may lie from their median.
    """

    parts = ("recurs", "day", "next", "amount")

    def __init__(self, stored: Stored, *, every: Period, slack_days: int, times: int) -> None:
        super().__init__(stored)
        self._every, self._slack_days, self._times = every, slack_days, times

    def update(self, state: CustomerState, event: CustomerEvent, day: int, moment: Moment) -> bool:
        start = period_start(self._every, day)
        oldest = self._before(period_start(self._every, moment.today), self._times)
        if start < oldest:
            return False
        assert isinstance(event, Transaction)
        found = [start, event.amount_fen, event.occurred_ms, event.event_id, day]
        slot = state.features.setdefault(self.key, [])
        held = next((entry for entry in slot if entry[0] == start), None)
        if held is not None and _order(held) <= _order(found):
            return False
        slot[:] = sorted([entry for entry in slot if entry is not held and entry[0] >= oldest] + [found])
        return True

    def value(self, state: CustomerState, moment: Moment) -> Any:
        matches = {entry[0]: entry for entry in state.features.get(self.key, ())}
        if len(matches) < self._times:
            return _UNKNOWN
        current = period_start(self._every, moment.today)
        # The first period without a match, seen from the last that is looked at.
        following = next_period_start(self._every, current) if current in matches else current
        wanted = [self._before(following, back) for back in range(1, self._times + 1)]
        if any(start not in matches for start in wanted):
            return _UNKNOWN
        days = [self._count(start, matches[start][4]) for start in wanted]
        median = lower_median(days)
        if any(abs(day - median) > self._slack_days for day in days):
            return _UNKNOWN
        day = min(median, self._length(following))
        return True, day, self._day_of(following, day), lower_median(matches[start][1] for start in wanted)

    def _before(self, start: int, periods: int) -> int:
        return add_months(start, -periods * MONTHS[self._every])

    def _length(self, start: int) -> int:
        return next_period_start(self._every, start) - start

    def _count(self, start: int, day: int) -> int:
        """A day's number in its period, from 1."""
        return day - start + 1 if self._every == "month" else next_period_start(self._every, start) - day

    def _day_of(self, start: int, number: int) -> int:
        """The day of a period that has a number."""
        return start + number - 1 if self._every == "month" else next_period_start(self._every, start) - number

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        slot = state.features.get(self.key)
        if not slot:
            return None
        # The period after the last match may still have one; what it says changes when that period is over.
        over = next_period_start(self._every, next_period_start(self._every, slot[-1][0]))
        return self._calendar.start_ms(over) if over > evaluated_day else None

    def window_ms(self, moment: Moment, calendar: BankCalendar) -> tuple[int, int] | None:
        first = self._before(period_start(self._every, moment.today), self._times)
        return calendar.start_ms(first), calendar.start_ms(moment.today + 1)

    def warm_from(self, began_day: int) -> int | None:
        # The running period is seen in part only: as many whole ones must follow it.
        return add_months(period_start(self._every, began_day), (self._times + 1) * MONTHS[self._every])


def _order(entry: list[Any]) -> tuple[int, int, str]:
    """The largest first, of equal ones the first in event time."""
    return -entry[1], entry[2], entry[3]


def lower_median(values: Iterable[int]) -> int:
    """The median; of an even number of values the lower middle one."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]
