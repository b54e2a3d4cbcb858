"""`sum` and `count` over the last minutes or hours: (now − N, now], at most 64 events kept.

State: `[[time, …], [amount, …]]`, ascending by time. With 65 events in a window the oldest is forgotten, so
a threshold above 64 can never be met; `rules check` refuses one.
"""

from bisect import bisect_right
from typing import Any

from schemas.bankday import BankCalendar
from schemas.journal import CustomerEvent
from tagger.features.contract import Moment
from tagger.features.stored import Stored, StoredFeature
from tagger.state.customer import CustomerState

MAX_KEPT_EVENTS = 64


class SlidingAggregate(StoredFeature):
    """`sum: FIELD` or `count: SOURCE` over elapsed time."""

    def __init__(self, stored: Stored, *, field: str | None, length_ms: int) -> None:
        super().__init__(stored)
        self._field, self._length_ms = field, length_ms

    def update(self, state: CustomerState, event: CustomerEvent, day: int, moment: Moment) -> bool:
        amount = 1 if self._field is None else getattr(event, self._field)
        if amount is None or event.occurred_ms <= moment.now_ms - self._length_ms:
            return False
        slot = state.features.get(self.key)
        if slot is None:
            slot = state.features[self.key] = [[], []]
        times, amounts = slot
        gone = bisect_right(times, moment.now_ms - self._length_ms)
        del times[:gone], amounts[:gone]
        index = bisect_right(times, event.occurred_ms)
        times.insert(index, event.occurred_ms)
        amounts.insert(index, amount)
        if len(times) > MAX_KEPT_EVENTS:
            del times[0], amounts[0]
        return True

    def value(self, state: CustomerState, moment: Moment) -> Any:
        slot = state.features.get(self.key)
        if slot is None:
            return 0
        times, amounts = slot
        return sum(amounts[bisect_right(times, moment.now_ms - self._length_ms) :])

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        slot = state.features.get(self.key)
        if slot is None:
            return None
        return next((ms + self._length_ms for ms in slot[0] if ms + self._length_ms >= horizon_ms), None)

    def window_ms(self, moment: Moment, calendar: BankCalendar) -> tuple[int, int] | None:
        # Half-open the other way round, (now − N, now]: shifted by the clock's grain of a millisecond.
        return moment.now_ms - self._length_ms + 1, moment.now_ms + 1

    def warm_from(self, began_day: int) -> int | None:
        # At most 24 hours a day of the bank: rounding up to whole days keeps "full" on the safe side.
        return began_day + 1 + -(-self._length_ms // 86_400_000)
