"""`sum` and `count` over days and periods, `days_since`: kept in buckets of whole days or periods.

State: `[[bucket, …], [value, …]]`, ascending; at most N buckets for `Nd` and `Nmo`, two for a period, one for
`ever`. `days_since` keeps the day of the last match.
"""

from bisect import bisect_left
from typing import Any

from schemas.bankday import BankCalendar
from schemas.journal import CustomerEvent
from tagger.features.contract import Moment
from tagger.features.stored import Stored, StoredFeature, WindowedFeature
from tagger.features.windows import DayWindow
from tagger.state import CustomerState


class DayAggregate(WindowedFeature):
    """`sum: FIELD` or `count: SOURCE` over a `DayWindow`; of nothing, 0.

    Args:
        field: the summed field of the event's struct; None to count.
    """

    def __init__(self, stored: Stored, *, field: str | None, window: DayWindow) -> None:
        super().__init__(stored, window)
        self._field = field

    def update(self, state: CustomerState, event: CustomerEvent, day: int, moment: Moment) -> bool:
        if self._where is not None and self._where(event) is not True:
            return False
        amount = 1 if self._field is None else getattr(event, self._field)
        if amount is None:
            return False
        window = self._window
        bucket = day if window.kind == "days" else window.bucket(day)
        slot = state.features.get(self.key)
        if slot is None:
            slot = state.features[self.key] = [[], []]
        buckets, values = slot
        if buckets and buckets[-1] == bucket:
            values[-1] += amount
            return True
        if window.kind != "ever":
            kept = window.kept_from(moment.today)
            if bucket < kept:
                return False
            while buckets and buckets[0] < kept:
                del buckets[0], values[0]
        if not buckets or bucket > buckets[-1]:
            buckets.append(bucket)
            values.append(amount)
            return True
        index = bisect_left(buckets, bucket)
        if index < len(buckets) and buckets[index] == bucket:
            values[index] += amount
        else:
            buckets.insert(index, bucket)
            values.insert(index, amount)
        return True

    def value(self, state: CustomerState, moment: Moment) -> Any:
        slot = state.features.get(self.key)
        if slot is None:
            return 0
        buckets, values = slot
        first, end = self._window.span(moment.today)
        if buckets and buckets[0] >= first and buckets[-1] < end:
            return sum(values)
        return sum(value for bucket, value in zip(buckets, values, strict=True) if first <= bucket < end)

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        slot = state.features.get(self.key)
        if slot is None:
            return None
        window = self._window
        for bucket in slot[0]:  # ascending, and so are their turns
            day = window.leaves_on(bucket)
            if day is not None and window.previous and day <= evaluated_day:
                day = window.leaves_on(day)
            if day is not None and day > evaluated_day:
                return self._calendar.start_ms(day)
        return None


class DaysSince(StoredFeature):
    """`days_since: SOURCE`: bank days since the last match, unknown when there was none."""

    def update(self, state: CustomerState, event: CustomerEvent, day: int, moment: Moment) -> bool:
        if self._where is not None and self._where(event) is not True:
            return False
        slot = state.features.get(self.key)
        if slot is None:
            state.features[self.key] = [day]
        elif day > slot[0]:
            slot[0] = day
        return True

    def value(self, state: CustomerState, moment: Moment) -> Any:
        slot = state.features.get(self.key)
        return None if slot is None else moment.today - slot[0]

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        if self.key not in state.features:
            return None
        return self._calendar.start_ms(evaluated_day + 1)

    def window_ms(self, moment: Moment, calendar: BankCalendar) -> tuple[int, int] | None:
        return None

    def warm_from(self, began_day: int) -> int | None:
        return None
