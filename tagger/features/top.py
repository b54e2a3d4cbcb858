"""`top: FIELD`: the most frequent value over `Nd`, ties to the one last in event time.

State: one `[value, last time, last event id, [day, …], [count, …]]` a value, in order of first arrival;
exact for the `at_most` values seen last.
"""

from bisect import bisect_left
from typing import Any

from schemas.journal import CustomerEvent
from tagger.features.contract import Moment
from tagger.features.stored import Stored, WindowedFeature
from tagger.features.windows import DayWindow
from tagger.state.customer import CustomerState


class Top(WindowedFeature):
    """`.value` and `.count` of the most frequent value; both unknown when there is none."""

    parts = ("value", "count")

    def __init__(self, stored: Stored, *, field: str, window: DayWindow, at_most: int) -> None:
        super().__init__(stored, window)
        self._field, self._at_most = field, at_most

    def update(self, state: CustomerState, event: CustomerEvent, day: int, moment: Moment) -> bool:
        seen = getattr(event, self._field)
        first = self.window.span(moment.today)[0]
        if seen is None or day < first:
            return False
        slot = state.features.setdefault(self.key, [])
        _forget_before(slot, first)
        entry = next((entry for entry in slot if entry[0] == seen), None)
        if entry is None:
            entry = [seen, event.occurred_ms, event.event_id, [], []]
            slot.append(entry)
        elif (event.occurred_ms, event.event_id) > (entry[1], entry[2]):
            entry[1], entry[2] = event.occurred_ms, event.event_id
        _count(entry[3], entry[4], day)
        if len(slot) > self._at_most:
            slot.remove(min(slot, key=_last_seen))
        return True

    def value(self, state: CustomerState, moment: Moment) -> Any:
        first, end = self.window.span(moment.today)
        best: tuple[int, int, str] | None = None
        value = None
        for entry in state.features.get(self.key, ()):
            count = sum(n for day, n in zip(entry[3], entry[4], strict=True) if first <= day < end)
            rank = (count, entry[1], entry[2])
            if count and (best is None or rank > best):
                best, value = rank, entry[0]
        return (None, None) if best is None else (value, best[0])

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        leaves = [day + self.window.count for entry in state.features.get(self.key, ()) for day in entry[3]]
        day = min((day for day in leaves if day > evaluated_day), default=None)
        return None if day is None else self._calendar.start_ms(day)


def _last_seen(entry: list[Any]) -> tuple[int, str]:
    return entry[1], entry[2]


def _count(days: list[int], counts: list[int], day: int) -> None:
    index = bisect_left(days, day)
    if index < len(days) and days[index] == day:
        counts[index] += 1
    else:
        days.insert(index, day)
        counts.insert(index, 1)


def _forget_before(slot: list[list[Any]], first: int) -> None:
    for entry in slot:
        gone = bisect_left(entry[3], first)
        del entry[3][:gone], entry[4][:gone]
    slot[:] = [entry for entry in slot if entry[3]]
