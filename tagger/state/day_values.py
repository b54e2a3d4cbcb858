"""Values by bank day, packed: what daily flows and windowed sums are kept in.

The last day, which nearly every event falls on, stands in plain fields; the days before it are one byte string, so
that a customer's history costs nothing to read and write back while nobody looks into it. An entry is the day
(4 bytes) and the value (`width` bytes, big-endian, signed); the width grows, and never shrinks, when a value asks
for more, so that sums of any size stay exact.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from struct import Struct
from struct import error as struct_error

import msgspec

_DAY_BYTES = 4
_SHORT, _INT, _LONG, _WIDE = 2, 4, 8, 24
_FORMS = {
    _SHORT: Struct(">Ih"),
    _INT: Struct(">Ii"),
    _LONG: Struct(">Iq"),
    _WIDE: Struct(f">I{_WIDE}s"),
}


def _pack_wide(day: int, value: int) -> bytes:
    return _FORMS[_WIDE].pack(day, value.to_bytes(_WIDE, "big", signed=True))


_PACKERS: dict[int, Callable[[int, int], bytes]] = {
    width: _pack_wide if width == _WIDE else form.pack for width, form in _FORMS.items()
}
"""Pack one entry, by width; struct.error or OverflowError where the value asks for a wider one."""

Entry = tuple[int, int]
"""A bank day and its value."""


class DayValues(msgspec.Struct, array_like=True, gc=False):
    """Values of days in ascending order; `last` is 0 while there is none.

    Attributes:
        first, last: the earliest and the latest day kept.
        value: the last day's.
        width: bytes of a value in `older`.
        older: the packed days before the last.
    """

    first: int = 0
    last: int = 0
    value: int = 0
    width: int = _SHORT
    older: bytes = b""


def begin_day(values: DayValues, day: int, value: int) -> None:
    """Append a day after the last one."""
    if values.last:
        try:
            values.older += _PACKERS[values.width](values.last, values.value)
        except struct_error:
            _repack(values, entries(values))
    else:
        values.first = day
    values.last, values.value = day, value


def add_before(values: DayValues, day: int, value: int) -> None:
    """Add to a day before the last one, which may have no value yet."""
    older = entries_before_last(values)
    place = next((place for place, entry in enumerate(older) if entry[0] >= day), len(older))
    if place < len(older) and older[place][0] == day:
        older[place] = (day, older[place][1] + value)
    else:
        older.insert(place, (day, value))
    values.first = older[0][0]
    _repack(values, older)


def drop_before(values: DayValues, day: int) -> int:
    """Drop the days before one, the last day never; return the sum of what they held."""
    dropped = 0
    while values.first < day and values.older:
        size = _DAY_BYTES + values.width
        dropped += _unpack(values, values.older[:size])[0][1]
        values.older = values.older[size:]
        values.first = int.from_bytes(values.older[:_DAY_BYTES], "big") if values.older else values.last
    return dropped


def entries(values: DayValues) -> list[Entry]:
    """All days, ascending."""
    return [*entries_before_last(values), (values.last, values.value)] if values.last else []


def entries_before_last(values: DayValues) -> list[Entry]:
    """All days but the last, ascending."""
    return _unpack(values, values.older)


def entries_since(values: DayValues, day: int) -> list[Entry]:
    """The days from one on, ascending."""
    if values.last < day or not values.last:
        return []
    # A day has one entry at most, so that no more than these can lie at or after it.
    size = (values.last - day) * (_DAY_BYTES + values.width)
    found = _unpack(values, values.older[-size:]) if size else []
    if found and found[0][0] < day:
        del found[: bisect_left(found, (day,))]
    found.append((values.last, values.value))
    return found


def first_since(values: DayValues, day: int) -> int | None:
    """The earliest day from one on."""
    if values.first >= day or values.last < day:
        return values.first if values.first >= day and values.last else None
    older, size = values.older, _DAY_BYTES + values.width

    def day_of(place: int) -> int:
        return int.from_bytes(older[place * size : place * size + _DAY_BYTES], "big")

    count = len(older) // size
    place = bisect_left(range(count), day, lo=max(0, count - (values.last - day)), key=day_of)
    return day_of(place) if place < count else values.last


def entries_ascending(values: DayValues) -> Iterator[Entry]:
    """All days, read no further than they are asked for."""
    size = _DAY_BYTES + values.width
    for start in range(0, len(values.older), size):
        yield _unpack(values, values.older[start : start + size])[0]
    if values.last:
        yield values.last, values.value


def entries_descending(values: DayValues) -> Iterator[Entry]:
    """All days from the latest back, read no further than they are asked for."""
    if values.last:
        yield values.last, values.value
    older, width = values.older, values.width
    size, unpack_from = _DAY_BYTES + width, _FORMS[width].unpack_from
    for start in range(len(older) - size, -1, -size):
        day, value = unpack_from(older, start)
        yield day, int.from_bytes(value, "big", signed=True) if width == _WIDE else value


def _unpack(values: DayValues, packed: bytes) -> list[Entry]:
    found = list(_FORMS[values.width].iter_unpack(packed))
    if values.width == _WIDE:
        return [(day, int.from_bytes(value, "big", signed=True)) for day, value in found]
    return found


def _repack(values: DayValues, older: list[Entry]) -> None:
    """Keep these days before the last, in the narrowest width, not below the present one, that holds them all."""
    for width in _FORMS:
        if width >= values.width:
            try:
                packed = b"".join([_PACKERS[width](day, value) for day, value in older])
            except struct_error:
                continue
            values.width, values.older = width, packed
            return
    raise OverflowError(f"expected sums of a day within {8 * _WIDE} bits")
