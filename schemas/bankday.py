"""Epoch milliseconds ⇄ bank days, and the calendar periods made of bank days.

A bank day is a calendar day in the bank's zone, written as its proleptic ordinal (`date.toordinal()`), so
that days subtract. Periods and days are half-open in milliseconds: a day runs from its `start_ms` up to, and
not including, the next day's.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

Period = Literal["month", "quarter", "year"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_QUARTER_HOUR_MS = 15 * 60 * 1000
# Before 1973 (the last was Liberia) zones kept local mean time, whose midnights fall on odd seconds; since then
# offsets are whole quarter hours.
_WHOLE_QUARTERS_SINCE_MS = 3 * 365 * 86_400_000
# One entry a quarter hour seen.
_MAX_CACHED_QUARTER_HOURS = 65_536


class BankCalendar:
    """The bank's days in one time zone.

    Args:
        zone: an IANA name such as `Asia/Shanghai`.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: there is no such zone.
    """

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self._day_of_quarter_hour: dict[int, int] = {}
        self._start_of_day: dict[int, int] = {}

    def day_of(self, ms: int) -> int:
        """The bank day that holds an instant."""
        if ms < _WHOLE_QUARTERS_SINCE_MS:
            return self.local(ms).toordinal()
        quarter_hour = ms // _QUARTER_HOUR_MS
        day = self._day_of_quarter_hour.get(quarter_hour)
        if day is None:
            if len(self._day_of_quarter_hour) >= _MAX_CACHED_QUARTER_HOURS:
                self._day_of_quarter_hour.clear()
            day = self.local(quarter_hour * _QUARTER_HOUR_MS).toordinal()
            self._day_of_quarter_hour[quarter_hour] = day
        return day

    def start_ms(self, day: int) -> int:
        """The first instant of a bank day."""
        start = self._start_of_day.get(day)
        if start is None:
            if len(self._start_of_day) >= _MAX_CACHED_QUARTER_HOURS:
                self._start_of_day.clear()
            midnight = datetime.combine(date.fromordinal(day), datetime.min.time(), self.zone)
            start = self._start_of_day[day] = epoch_ms(midnight)
        return start

    def instant_ms(self, moment: datetime) -> int:
        """Epoch milliseconds of a time; one without an offset is bank time."""
        return epoch_ms(moment if moment.tzinfo is not None else moment.replace(tzinfo=self.zone))

    def local(self, ms: int) -> datetime:
        """An instant as an aware time with the bank's offset."""
        return (_EPOCH + timedelta(milliseconds=ms)).astimezone(self.zone)

    def format(self, ms: int) -> str:
        """An instant as RFC 3339 with the bank's offset; milliseconds only where there are any."""
        return self.local(ms).isoformat(timespec="milliseconds" if ms % 1000 else "seconds")


def epoch_ms(aware: datetime) -> int:
    """Milliseconds since 1970, cut (not rounded) below a millisecond."""
    return (aware - _EPOCH) // _MS


# Asked for a few days at a time, over and over.
@lru_cache(maxsize=4096)
def weekday_of(day: int) -> int:
    """1 Monday to 7 Sunday."""
    return (day - 1) % 7 + 1


def period_start(period: Period, day: int) -> int:
    """First day of the calendar period that holds `day`."""
    when = date.fromordinal(day)
    if period == "month":
        return when.replace(day=1).toordinal()
    if period == "quarter":
        return date(when.year, (when.month - 1) // 3 * 3 + 1, 1).toordinal()
    return date(when.year, 1, 1).toordinal()


@lru_cache(maxsize=4096)
def next_period_start(period: Period, day: int) -> int:
    """First day of the period after the one that holds `day`."""
    months = {"month": 1, "quarter": 3, "year": 12}[period]
    return add_months(period_start(period, day), months)


@lru_cache(maxsize=4096)
def previous_period(period: Period, day: int) -> tuple[int, int]:
    """The last closed period as of `day`: its first day, and the first day after it."""
    end = period_start(period, day)
    return period_start(period, end - 1), end


@lru_cache(maxsize=4096)
def add_months(first_of_month: int, months: int) -> int:
    """The first day of the month `months` after (before, when negative) that of a first day."""
    when = date.fromordinal(first_of_month)
    index = when.year * 12 + when.month - 1 + months
    return date(index // 12, index % 12 + 1, 1).toordinal()
