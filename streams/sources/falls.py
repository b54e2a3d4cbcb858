"""When assets have fallen from their height of thirty days, as the pack balances states it, for labels.

It shares nothing with the core, so that a run can be scored by it: it looks at every midnight, every transaction
and every end of a cooldown.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from schemas.bankday import BankCalendar
from schemas.money import FEN_PER_YUAN
from streams.sources.customer import DAY_MS

OUTFLOW_RULE = "vip-outflow"
CROSSED_UP_RULE = "threshold-crossed-up"
CROSSED_DOWN_RULE = "threshold-crossed-down"
# The line of both rules that say that it was crossed.
LINE_FEN = 100_000 * FEN_PER_YUAN
OUTFLOW_COOLDOWN_DAYS = 30
_VIP_FEN = 500_000 * FEN_PER_YUAN
_WINDOW_DAYS = 30

Fallen = Callable[[int, int], bool]
"""From the highest closing of thirty days, today's being now, and what is held, in fen: whether it has fallen."""


def vip_has_left(peak: int, held: int) -> bool:
    """Rule vip-outflow: three tenths of a high tier's assets are gone."""
    return peak >= _VIP_FEN and held * 10 <= peak * 7


def line_was_left(peak: int, held: int) -> bool:
    """Rule threshold-crossed-down: assets that stood at the line are below 95% of it."""
    return peak >= LINE_FEN and held * 100 < LINE_FEN * 95


def falls(
    opening: int,
    points: Sequence[tuple[int, int]],
    calendar: BankCalendar,
    last_day: int,
    fallen: Fallen,
    *,
    cooldown_days: int = 0,
) -> Iterator[int]:
    """When a tag opens for one whose assets only fall.

    Args:
        opening: what is held before the first transaction, and was held ever before.
        points: (when, assets in fen) after every transaction, in order.
        last_day: the last day that the clock reaches.

    Yields:
        The time of every opening: it has fallen, had not since the last one, and the cooldown is over.
    """
    first = calendar.day_of(points[0][0])
    closings = [opening] * (_WINDOW_DAYS - 1)
    held, armed, ready_ms, coming = opening, True, 0, deque(points)
    for day in range(first, last_day + 1):
        end_ms = calendar.start_ms(day + 1)
        looks = {calendar.start_ms(day), ready_ms} if day > first else set()
        looks |= {at_ms for at_ms, _ in coming if at_ms < end_ms}
        for at_ms in sorted(look for look in looks if calendar.start_ms(day) <= look < end_ms):
            while coming and coming[0][0] <= at_ms:
                held = coming.popleft()[1]
            if not fallen(max(*closings, held), held):
                armed = True
            elif armed and at_ms >= ready_ms:
                armed, ready_ms = False, at_ms + cooldown_days * DAY_MS
                yield at_ms
        closings = [*closings[1:], held]
