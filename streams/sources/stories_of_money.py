"""Stories of money that comes, stays, moves or leaves."""

from collections.abc import Iterator
from datetime import date

from schemas.money import FEN_PER_YUAN
from streams.sources.customer import MINUTE_MS, Customer, Happening
from streams.sources.expected import DORMANT, expect_dormant, expect_layers, expect_levels
from streams.sources.ladders import CAMPAIGN_RULE, NEAR_UPGRADE_RULE
from streams.sources.signals import CROSSED_UP_RULE, LINE_FEN
from streams.sources.story import (
    BROWSING,
    IDLE,
    INFLOW,
    LARGE_YUAN,
    PAYDAY,
    PAYDAY_SLACK,
    inflow_days,
    payment,
    small_payments,
)


def salary_and_spend(c: Customer) -> Iterator[list[Happening]]:
    """A salary a month, bills, small payments; looks into the app now and then."""
    c.balance_fen = c.yuan(500, 9_000)
    payday, salary = c.random.randrange(1, 28), c.yuan(5_000, 18_000)
    paid: dict[int, int] = {}
    paydays = []
    for day in range(c.period.days):
        today: list[Happening] = []
        if day % 30 == payday:
            today.append(c.credit(c.time(day, 9, 11), salary, "salary"))
            if _recurs(paid, date.fromordinal(c.period.first_day + day)):
                paydays.append(today[0].arrives_ms)
        if day % 30 == (payday + 3) % 30 and c.balance_fen > salary // 2:
            today.append(c.debit(c.time(day, 14, 16), salary // 3, "card"))
        if c.random.random() < 0.5:
            today.append(c.act(c.time(day, 12, 13), "login"))
        yield today + small_payments(c, day)
    for at_ms in paydays:
        c.expect(PAYDAY, at_ms)
    c.expect_nothing(INFLOW, BROWSING, *([] if paydays else [PAYDAY]))


def _recurs(paid: dict[int, int], today: date) -> bool:
    """Whether a salary of today is its month's first, and the third of three months in a row on about a day.

    Args:
        paid: month → day of its first salary; takes today's in.
    """
    month = today.year * 12 + today.month
    if month in paid:
        return False
    paid[month] = today.day
    days = sorted(paid[back] for back in (month - 2, month - 1, month) if back in paid)
    return len(days) == 3 and days[2] - days[1] <= PAYDAY_SLACK and days[1] - days[0] <= PAYDAY_SLACK


def inflow_leaves(c: Customer) -> Iterator[list[Happening]]:
    """A large inflow that leaves again within days, in one payment or two."""
    c.balance_fen = c.yuan(1_000, 4_000)
    comes, goes = inflow_days(c)
    inflow = c.yuan(LARGE_YUAN, 4 * LARGE_YUAN)
    halves = c.random.random() < 0.5
    for day in range(c.period.days):
        today: list[Happening] = []
        if day == comes:
            today.append(c.credit(c.time(day, 9, 11), inflow, "transfer"))
        if day == goes:
            at_ms = c.time(day, 14, 15)
            if halves:
                today.append(c.debit(at_ms - 30 * MINUTE_MS, inflow // 2, "transfer"))
            today.append(c.debit(at_ms, inflow // 2 if halves else inflow * 9 // 10, "transfer"))
            c.expect(INFLOW, at_ms)
        yield today + small_payments(c, day)
    c.expect_nothing(BROWSING, IDLE)


def inflow_stays(c: Customer) -> Iterator[list[Happening]]:
    """A large inflow that stays, on the account or in one of the bank's own wealth products."""
    c.balance_fen = c.yuan(1_000, 4_000)
    comes, moves = inflow_days(c)
    inflow = c.yuan(LARGE_YUAN, 4 * LARGE_YUAN)
    buys = c.random.random() < 0.5
    for day in range(c.period.days):
        today: list[Happening] = []
        if day == comes:
            today.append(c.credit(c.time(day, 9, 11), inflow, "transfer"))
            if c.assets_fen >= LINE_FEN:
                c.expect(CROSSED_UP_RULE, today[0].arrives_ms)
            else:
                c.expect_nothing(CROSSED_UP_RULE)
        if day == moves and buys:
            today += c.buy_wealth(c.time(day, 14, 16), inflow * 9 // 10, "W-steady")
        yield today + small_payments(c, day)
    c.expect_nothing(INFLOW, BROWSING)


def merchant_settlement(c: Customer) -> Iterator[list[Happening]]:
    """Card takings settled every day, larger at the week's end, and suppliers paid from them."""
    c.balance_fen = c.yuan(5_000, 20_000)
    points = []
    for day in range(c.period.days):
        takings = c.yuan(15_000, 40_000) if day % 7 == 6 else c.yuan(1_000, 6_000)
        today = [c.credit(c.time(day, 9, 11), takings, "settlement")]
        points.append((today[0].arrives_ms, c.assets_fen))
        if day % 7 == 1 and c.balance_fen > 10_000 * FEN_PER_YUAN:
            today.append(c.debit(c.time(day, 14, 16), c.balance_fen * 4 // 5, "transfer"))
            points.append((today[1].arrives_ms, c.assets_fen))
        yield today
    c.expect_nothing(INFLOW, BROWSING, DORMANT)
    expect_layers(c, points)


# What is held after each of six steps, in yuan, from and to. Each range lies between two cuts of joint_stock (left
# below 95%), so that the layer is certain, and one lies within a tenth of the next cut.
_CLIMB = ((6_000, 8_000), (12_000, 15_000), (22_000, 26_000), (32_000, 36_000), (46_000, 49_000), (52_000, 60_000))
_DESCENT = (
    (510_000, 560_000),
    (280_000, 320_000),
    (180_000, 220_000),
    (90_000, 120_000),
    (55_000, 70_000),
    (15_000, 30_000),
)


def climbs_a_tier(c: Customer) -> Iterator[list[Happening]]:
    """Saves up in six steps, from below 5,000 to above 50,000, the fifth close below it."""
    c.balance_fen = c.yuan(1_000, 4_000)
    opening = c.balance_fen
    steps = {1 + step * (c.period.days - 4) // 5: bounds for step, bounds in enumerate(_CLIMB)}
    points = []
    for day in range(c.period.days):
        today = [payment(c, day)] if day == 0 else []
        if day in steps:
            today.append(c.credit(c.time(day, 9, 11), c.yuan(*steps[day]) - c.balance_fen, "transfer"))
        points += [(happening.arrives_ms, c.assets_fen) for happening in today]
        yield today
    moments = [at_ms for at_ms, _ in points]
    c.expect(CAMPAIGN_RULE, moments[2])
    c.expect(NEAR_UPGRADE_RULE, moments[5])
    c.expect(CAMPAIGN_RULE, moments[6], change="converted")
    c.expect_nothing(INFLOW, BROWSING)
    expect_levels(c, opening, points)


def vip_leaves(c: Customer) -> Iterator[list[Happening]]:
    """Holds more than 600,000 and takes it elsewhere in six steps."""
    c.balance_fen = c.yuan(600_000, 900_000)
    opening = c.balance_fen
    steps = {2 + step * (c.period.days - 5) // 5: bounds for step, bounds in enumerate(_DESCENT)}
    points = []
    for day in range(c.period.days):
        today = [payment(c, day)] if day == 0 else []
        if day in steps:
            today.append(c.debit(c.time(day, 14, 16), c.balance_fen - c.yuan(*steps[day]), "transfer"))
        points += [(happening.arrives_ms, c.assets_fen) for happening in today]
        yield today
    c.expect_nothing(NEAR_UPGRADE_RULE)
    c.expect(CAMPAIGN_RULE, points[-1][0])
    c.expect_nothing(INFLOW, BROWSING)
    expect_levels(c, opening, points)


def idle_money(c: Customer) -> Iterator[list[Happening]]:
    """A large balance that nobody touches but for small payments, and that leaves in the end."""
    c.balance_fen = c.yuan(60_000, 200_000)
    for day in range(c.period.days):
        today: list[Happening] = []
        if day == c.period.days - 2:
            today.append(c.debit(c.time(day, 14, 16), c.balance_fen * 9 // 10, "transfer"))
        today += small_payments(c, day)
        if day == 0:
            # What stood there before the first record counts as always there.
            c.expect(IDLE, today[0].arrives_ms)
        yield today
    c.expect_nothing(INFLOW, BROWSING)


def dormant(c: Customer) -> Iterator[list[Happening]]:
    """One payment on the first day, and then nothing."""
    c.balance_fen = c.yuan(200, 80_000)
    yield [payment(c, 0)]
    for _ in range(1, c.period.days):
        yield []
    c.expect_nothing(INFLOW, BROWSING)
    expect_dormant(c, last_active=0)
