"""What stories that hold money or fall silent should be tagged with: ladders, falls and dormancy."""

from streams.sources.customer import DAY_MS, Customer
from streams.sources.falls import CROSSED_UP_RULE, Fallen, falls
from streams.sources.ladders import CCB_RULE, JOINT_STOCK, JOINT_STOCK_RULE, ccb_levels, levels_reached

DORMANT = "dormant"
# Rule dormant: this long since the first day without activity began.
DORMANT_DAYS = 90


def expect_dormant(c: Customer, *, last_active: int) -> None:
    """Dormancy, where the run is long enough for it, of one who does nothing after a day (from 0)."""
    if last_active + DORMANT_DAYS + 1 < c.period.days:
        c.expect(DORMANT, c.period.start_ms(last_active + 1) + DORMANT_DAYS * DAY_MS)
    else:
        c.expect_nothing(DORMANT)


def expect_falls(
    c: Customer, opening: int, points: list[tuple[int, int]], rule: str, fallen: Fallen, cooldown_days: int = 0
) -> None:
    """A rule over how far assets have fallen, of one whose assets only fall."""
    last_day = c.period.first_day + c.period.days - 1
    openings = list(falls(opening, points, c.period.calendar, last_day, fallen, cooldown_days=cooldown_days))
    for at_ms in openings:
        c.expect(rule, at_ms)
    if not openings:
        c.expect_nothing(rule)


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
