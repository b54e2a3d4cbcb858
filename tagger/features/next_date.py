"""`next: FIELD` of transactions: the earliest such date from today on.

State: the dates to come, ascending, each once; the nearest 32 are kept.
"""

from bisect import bisect_left
from typing import Any

from schemas.journal import CustomerEvent
from tagger.features.contract import Moment
from tagger.features.stored import Stored, StoredFeature
from tagger.state.customer import CustomerState

MAX_KEPT_DATES = 32


class NextDate(StoredFeature):
    """A bank day, unknown when there is none to come. Like `ever`, it counts from the beginning: no warming."""

    def __init__(self, stored: Stored, *, field: str) -> None:
        super().__init__(stored)
        self._field = field

    def update(self, state: CustomerState, event: CustomerEvent, day: int, moment: Moment) -> bool:
        date = getattr(event, self._field)
        if date is None or date < moment.today:
            return False
        slot = state.features.setdefault(self.key, [])
        del slot[: bisect_left(slot, moment.today)]
        index = bisect_left(slot, date)
        if index == len(slot) or slot[index] != date:
            slot.insert(index, date)
            del slot[MAX_KEPT_DATES:]
        return True

    def value(self, state: CustomerState, moment: Moment) -> Any:
        return next((day for day in state.features.get(self.key, ()) if day >= moment.today), None)

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        # A date counts to the end of its day.
        passed = next((day + 1 for day in state.features.get(self.key, ()) if day + 1 > evaluated_day), None)
        return None if passed is None else self._calendar.start_ms(passed)
