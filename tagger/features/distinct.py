"""`distinct: FIELD`: how many values a field had over `Nd`.

State: one `[value, last day, last time, last event id]` a value; exact for the `at_most` values seen last.
"""

from typing import Any

from schemas.journal import CustomerEvent
from tagger.features.contract import Moment
from tagger.features.stored import Stored, WindowedFeature
from tagger.features.windows import DayWindow
from tagger.state.customer import CustomerState


class Distinct(WindowedFeature):
    """How many values were seen; of nothing, 0. A missing value is none."""

    def __init__(self, stored: Stored, *, field: str, window: DayWindow, at_most: int) -> None:
        super().__init__(stored, window)
        self._field, self._at_most = field, at_most

    def update(self, state: CustomerState, event: CustomerEvent, day: int, moment: Moment) -> bool:
        seen = getattr(event, self._field)
        first = self.window.span(moment.today)[0]
        if seen is None or day < first:
            return False
        slot = state.features.setdefault(self.key, [])
        slot[:] = [entry for entry in slot if entry[1] >= first]
        entry = next((entry for entry in slot if entry[0] == seen), None)
        if entry is None:
            slot.append([seen, day, event.occurred_ms, event.event_id])
        elif (event.occurred_ms, event.event_id) > (entry[2], entry[3]):
            entry[1:] = [day, event.occurred_ms, event.event_id]
        if len(slot) > self._at_most:
            slot.remove(min(slot, key=_last_seen))
        return True

    def value(self, state: CustomerState, moment: Moment) -> Any:
        first = self.window.span(moment.today)[0]
        return sum(entry[1] >= first for entry in state.features.get(self.key, ()))

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        leaves = [entry[1] + self.window.count for entry in state.features.get(self.key, ())]
        day = min((day for day in leaves if day > evaluated_day), default=None)
        return None if day is None else self._calendar.start_ms(day)


def _last_seen(entry: list[Any]) -> tuple[int, str]:
    return entry[2], entry[3]
