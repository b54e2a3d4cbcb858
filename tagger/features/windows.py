"""Windows made of bank days: which days a feature covers as of a day, and when that turns.

`Nd` is today and the N − 1 days before it; `Nmo` this month and the N − 1 before it; a period runs from its
first day to today, or, with `previous`, over the whole of the one that closed last (docs/rulebook.md, "What can be
measured").
"""

from typing import Literal

from schemas.bankday import add_months, next_period_start, period_start, previous_period

_FIRST_DAY = 1
_LAST_DAY = 3_652_059  # 9999-12-31


class DayWindow:
    """A window over bank days, and the buckets an aggregate over it is kept in.

    Args:
        kind: `days`, `months`, a period, or `ever`.
        count: N of `days` and `months`.
        previous: the period that closed last instead of the running one.
    """

    def __init__(
        self, kind: Literal["days", "months", "month", "quarter", "year", "ever"], count: int, previous: bool
    ) -> None:
        self.kind, self.count, self.previous = kind, count, previous
        self._today = 0
        self._span = (0, 0)
        self._bucket_day = 0
        self._bucket = 0

    def span(self, today: int) -> tuple[int, int]:
        """First day covered as of `today`, and the first day after the last one covered."""
        if today != self._today:
            self._today, self._span = today, self._compute_span(today)
        return self._span

    def _compute_span(self, today: int) -> tuple[int, int]:
        if self.kind == "days":
            return today - self.count + 1, today + 1
        if self.kind == "months":
            return add_months(period_start("month", today), 1 - self.count), today + 1
        if self.kind == "ever":
            return _FIRST_DAY, _LAST_DAY
        if self.previous:
            return previous_period(self.kind, today)
        return period_start(self.kind, today), today + 1

    def bucket(self, day: int) -> int:
        """The first day of the bucket that `day` is kept in; buckets never straddle a window's edge."""
        if day != self._bucket_day:
            self._bucket_day, self._bucket = day, self._compute_bucket(day)
        return self._bucket

    def _compute_bucket(self, day: int) -> int:
        if self.kind == "days":
            return day
        if self.kind == "ever":
            return _FIRST_DAY
        return period_start("month" if self.kind == "months" else self.kind, day)

    def kept_from(self, today: int) -> int:
        """The first bucket still needed as of `today`; out-of-order arrivals may go to any from here."""
        if self.kind == "days" or self.kind == "months" or self.kind == "ever":  # noqa: PLR1714 (narrows for mypy)
            return self.span(today)[0]
        return previous_period(self.kind, today)[0]

    def leaves_on(self, bucket: int) -> int | None:
        """The day on which what is in a bucket enters or leaves the window, None for never.

        With `previous` a bucket counts from its own end to the end of the period after it; the later of the
        two days is `leaves_on` of the next bucket.
        """
        if self.kind == "days":
            return bucket + self.count
        if self.kind == "months":
            return add_months(bucket, self.count)
        if self.kind == "ever":
            return None
        return next_period_start(self.kind, bucket)

    def next_turn(self, day: int) -> int | None:
        """The first day after `day` on which the window covers other days, its running end apart."""
        if self.kind == "days":
            return day + 1
        if self.kind == "ever":
            return None
        return next_period_start("month" if self.kind == "months" else self.kind, day)

    def full_on(self, first_day: int) -> int | None:
        """The day from which a feature that began on `first_day` has seen its whole window; None: at once.

        `ever` and `previous` count from the beginning, marked partial (docs/rulebook.md, "Expressions", Warming).
        """
        if self.kind == "ever" or self.previous:
            return None
        if self.kind == "days":
            return first_day + self.count
        if self.kind == "months":
            return add_months(period_start("month", first_day), self.count)
        return next_period_start(self.kind, first_day)

    def describe(self) -> str:
        """The canonical text of the window, part of a feature's identity."""
        unit = {"days": "d", "months": "mo"}.get(self.kind)
        text = f"{self.count}{unit}" if unit else self.kind
        return f"previous {text}" if self.previous else text
