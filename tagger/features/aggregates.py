"""`sum` and `count` over days and periods, `days_since`: kept in buckets of whole days or periods.

A bucket is named by its first day. At most N of them for `Nd` and `Nmo`, two for a period, one for `ever`.
`days_since` keeps the day of the last match.
"""

from typing import Any

from schemas.journal import CustomerEvent
from tagger.features.contract import Moment
from tagger.features.stored import Stored, StoredFeature, WindowedFeature
from tagger.features.windows import DayWindow
from tagger.state.customer import Aggregate, CustomerState
from tagger.state.day_values import add_before, begin_day, drop_before, entries_ascending, entries_since


class DayAggregate(WindowedFeature):
    """`sum: FIELD` or `count: SOURCE` over a `DayWindow`; of nothing, 0.

    Args:
        field: the summed field of the event's struct; None to count.
        may_lack: an event may be without it.

    Attributes:
        unit: what buckets are: `day`, `month`, `quarter`, `year` or `ever`.
        bucket: the bucket of a day, the same for all of a unit; None where each day is its own.
        leaves_after: bank days until an event leaves the window at the least.
    """

    def __init__(self, stored: Stored, *, field: str | None, may_lack: bool, window: DayWindow) -> None:
        super().__init__(stored, window)
        self.field, self.may_lack = field, may_lack
        self.previous = window.previous
        self._is_daily = window.kind == "days"
        self.unit = {"days": "day", "months": "month"}.get(window.kind, window.kind)
        self.bucket = None if self._is_daily else window.bucket
        self.leaves_after = window.count if self._is_daily else 1

    def add(self, state: CustomerState, held: Aggregate | None, bucket: int, amount: int, today: int) -> bool:
        """Add to a bucket of what is held, in the place of `update`; False for one that is no longer needed."""
        if held is None:
            state.aggregates[self.key] = Aggregate(bucket, bucket, amount, total=amount)
            return True
        if bucket == held.last:
            held.value += amount
            held.total += amount
            return True
        kept = self.window.kept_from(today)
        if bucket < kept:
            return False
        if bucket > held.last:
            begin_day(held, bucket, amount)
        else:
            add_before(held, bucket, amount)
        held.total += amount
        if held.first < kept:
            held.total -= drop_before(held, kept)
        return True

    def value(self, state: CustomerState, moment: Moment) -> Any:
        held = state.aggregates.get(self.key)
        if held is None:
            return 0
        first, end = self.window.span(moment.today)
        if held.last >= end:
            return sum(value for bucket, value in entries_since(held, first) if bucket < end)
        if held.last < first:
            return 0
        total = held.total
        if held.first < first:
            for bucket, value in entries_ascending(held):
                if bucket >= first:
                    break
                total -= value
        return total

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        held = state.aggregates.get(self.key)
        if held is None:
            return None
        window = self.window
        if self._is_daily and held.first + window.count > evaluated_day:
            return self._calendar.start_ms(held.first + window.count)
        for bucket, _ in entries_ascending(held):  # ascending, and so are their turns
            day = window.leaves_on(bucket)
            if day is not None and window.previous and day <= evaluated_day:
                day = window.leaves_on(day)
            if day is not None and day > evaluated_day:
                return self._calendar.start_ms(day)
        return None


class DaysSince(StoredFeature):
    """`days_since: SOURCE`: bank days since the last match, unknown when there was none."""

    def update(self, state: CustomerState, event: CustomerEvent, day: int, moment: Moment) -> bool:
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
