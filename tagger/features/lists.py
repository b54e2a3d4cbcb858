"""Features over the latest profile's lists `cards` and `holdings`: worked out when read, nothing is kept.

Before the first profile, and in a profile without the list, it is empty.
"""

from collections.abc import Callable, Iterator
from typing import Any

from schemas.bankday import BankCalendar
from tagger.features.computed import Computed
from tagger.features.contract import Moment
from tagger.state.customer import CustomerState

# An item and today's bank day → whether the item counts.
ItemTest = Callable[[Any, int], Any]


class ListFeature(Computed):
    """What the matching items of a list come to.

    Args:
        where: the test an item must pass; None for all.
        field: of the item's struct.
        uses_today: `where` depends on the day.
    """

    def __init__(
        self,
        *,
        name: str,
        definition: str,
        items: str,
        where: ItemTest | None,
        field: str | None,
        uses_today: bool,
        calendar: BankCalendar,
    ) -> None:
        self.name, self.definition = name, definition
        self.meaning = definition
        self._items, self._where, self._field = items, where, field
        self._uses_today, self._calendar = uses_today, calendar

    def value(self, state: CustomerState, moment: Moment) -> Any:
        raise NotImplementedError

    def _matching(self, state: CustomerState, today: int) -> Iterator[Any]:
        for item in () if state.attributes is None else getattr(state.attributes, self._items):
            if self._where is None or self._where(item, today) is True:
                yield item

    def _gathered(self, state: CustomerState, today: int) -> Iterator[Any]:
        """The known values of the field among the matching items."""
        assert self._field is not None
        for item in self._matching(state, today):
            value = getattr(item, self._field)
            if value is not None:
                yield value

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        if not self._uses_today or state.attributes is None or not getattr(state.attributes, self._items):
            return None
        return self._calendar.start_ms(evaluated_day + 1)


class ListCount(ListFeature):
    """How many items match."""

    def value(self, state: CustomerState, moment: Moment) -> Any:
        return sum(1 for _ in self._matching(state, moment.today))


class ListSum(ListFeature):
    """The sum of a field; what is missing adds nothing."""

    def value(self, state: CustomerState, moment: Moment) -> Any:
        return sum(self._gathered(state, moment.today))


class ListDistinct(ListFeature):
    """How many values of a field there are."""

    def value(self, state: CustomerState, moment: Moment) -> Any:
        return len(set(self._gathered(state, moment.today)))


class ListNext(ListFeature):
    """The earliest date of a field from today on, unknown when there is none."""

    def value(self, state: CustomerState, moment: Moment) -> Any:
        return min((day for day in self._gathered(state, moment.today) if day >= moment.today), default=None)

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        if self._uses_today:
            return super().next_change(state, evaluated_day, horizon_ms)
        # A date counts to the end of its day.
        passed = [day + 1 for day in self._gathered(state, evaluated_day) if day + 1 > evaluated_day]
        return self._calendar.start_ms(min(passed)) if passed else None
