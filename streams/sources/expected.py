"""What stories that hold money or fall silent should be tagged with: ladders, signals and dormancy."""

from itertools import pairwise

from schemas.money import FEN_PER_YUAN
from streams.sources.customer import DAY_MS, Customer
from streams.sources.ladders import CCB_RULE, JOINT_STOCK, JOINT_STOCK_RULE, ccb_levels, levels_reached
from streams.sources.signals import CROSSED_UP_RULE

DORMANT = "dormant"
LAPSED = "lapsed"
# Rule dormant: this long since the first day without activity began.
DORMANT_DAYS = 90
# Rule lapsed: this long, and less than this left.
LAPSED_DAYS = 180
LAPSED_FEN = 100 * FEN_PER_YUAN
# Live, app events may overtake payments and move the customer's clock past them: in the demo by more than a day.
AHEAD_DAYS = 2


def expect_dormant(c: Customer, *, last_active: int) -> None:
    """Dormancy, where the run is long enough for it, of one who does nothing after a day (from 0)."""
    if last_active + DORMANT_DAYS < _end(c):
        c.expect(DORMANT, _silent_ms(c, last_active, DORMANT_DAYS))
    else:
        c.expect_nothing(DORMANT)


def expect_silence(c: Customer) -> None:
    """Dormancy where the story itself says nothing of it, and the lapse of those who leave next to nothing."""
    is_untold = DORMANT not in c.labelled
    for last, after in pairwise([*c.active_days, _end(c)]):
        if is_untold and last + DORMANT_DAYS < after:
            c.expect(DORMANT, _silent_ms(c, last, DORMANT_DAYS))
        if c.active_days[last] < LAPSED_FEN and last + LAPSED_DAYS < after:
            c.expect(LAPSED, _silent_ms(c, last, LAPSED_DAYS))


def _end(c: Customer) -> int:
    """The run's last day, which begins for everybody, though not everybody does something on it."""
    return c.period.days - 1


def _silent_ms(c: Customer, last_active: int, days: int) -> int:
    return c.period.start_ms(last_active + 1) + days * DAY_MS


def expect_signals(c: Customer, reached_ms: int) -> None:
    """What the packs say of what is held: every signal over it of which the story itself says nothing.

    Args:
        reached_ms: up to where the others' records bring the clock.
    """
    told = frozenset(c.labelled)
    for opening in c.openings(reached_ms):
        if opening.rule in told:
            continue
        by_ms = opening.by_ms
        if c.uses_app and not opening.by_clock:
            by_ms = opening.at_ms + AHEAD_DAYS * DAY_MS
        c.expect(opening.rule, opening.at_ms, by_ms=by_ms)


def expect_layers(c: Customer, points: list[tuple[int, int]]) -> None:
    """The layers of joint_stock, from what was held after each transaction."""
    layers = list(levels_reached(JOINT_STOCK, points))
    for at_ms, layer in layers:
        c.expect(JOINT_STOCK_RULE, at_ms, level=layer)
    if not layers:
        c.expect_nothing(JOINT_STOCK_RULE)


def expect_levels(c: Customer, opening: int, points: list[tuple[int, int]]) -> None:
    """The ladders, from what was held after each transaction; the line of balances is passed by none."""
    c.expect_nothing(CROSSED_UP_RULE)
    expect_layers(c, points)
    calendar = c.period.calendar
    closings = [(calendar.day_of(at_ms), assets) for at_ms, assets in points]
    levels = list(ccb_levels(opening, closings, c.period.first_day + c.period.days - 1))
    for day, level in levels:
        c.expect(CCB_RULE, points[0][0] if day is None else calendar.start_ms(day), level=level)
    if not levels:
        c.expect_nothing(CCB_RULE)
