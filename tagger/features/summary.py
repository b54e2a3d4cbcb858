"""`summary: transactions`: how often, how recently and how much since the beginning (Fader, Hardie & Lee 2005).

State: `[records, total, days with a match, first day, total of the first day, last day, [recent days]]`, amounts
in fen. Whether a day had a match already is known for the last 32 days, which is how far out of order records
may come; beyond, a day counts again.
"""

from bisect import bisect_left
from fractions import Fraction
from typing import Any

from schemas.journal import CustomerEvent, Transaction
from tagger.features.contract import Moment
from tagger.features.stored import StoredFeature
from tagger.state.customer import CustomerState

MAX_RECENT_DAYS = 32
_NOTHING = (0, 0, None, None, None, None, None)


class Summary(StoredFeature):
    """`.count .days .mean`, and what CLV models are fed with: `.x .t_x .T .m`.

    `x` is the days with a match after the first, `t_x` runs from the first to the last of them, `T` from the first
    to today, in days; `mean` is that of a match, `m` that of a day's total, the first day left out.
    """

    parts = ("count", "days", "mean", "x", "t_x", "T", "m")

    def update(self, state: CustomerState, event: CustomerEvent, day: int, moment: Moment) -> bool:
        assert isinstance(event, Transaction)
        amount_fen = event.amount_fen
        slot = state.features.get(self.key)
        if slot is None:
            state.features[self.key] = [1, amount_fen, 1, day, amount_fen, day, [day]]
            return True
        slot[0] += 1
        slot[1] += amount_fen
        if day == slot[3]:
            slot[4] += amount_fen
            return True
        recent: list[int] = slot[6]
        index = bisect_left(recent, day)
        if index == len(recent) or recent[index] != day:
            recent.insert(index, day)
            slot[2] += 1
        del recent[: bisect_left(recent, moment.today - MAX_RECENT_DAYS + 1)]
        if day < slot[3]:
            slot[3], slot[4] = day, amount_fen
        slot[5] = max(slot[5], day)
        return True

    def value(self, state: CustomerState, moment: Moment) -> Any:
        slot = state.features.get(self.key)
        if slot is None:
            return _NOTHING
        count, total, days, first, first_total, last, _ = slot
        m = Fraction(total - first_total, days - 1) if days > 1 else None
        return count, days, Fraction(total, count), days - 1, last - first, moment.today - first, m

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        return self._calendar.start_ms(evaluated_day + 1) if self.key in state.features else None
