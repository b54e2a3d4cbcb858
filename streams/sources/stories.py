"""What the customers of the made-up bank live out, day by day, and what should be tagged for it.

A story is a generator over one `Customer`: each step gives the happenings that *occur* on one day (they may arrive
later), and what it expects is said where it is decided. Stories are written against the packs as they stand under
`rules/`; the numbers they lean on are named below. A day is laid out so that stories do not disturb themselves:
money comes in from 9 to 11, the app is used from 12 to 13, money leaves from 14 to 16, small payments are
made from 17 to 21; what is booked later in a day is made later.
"""

from collections.abc import Callable, Iterator
from datetime import date

from schemas.money import FEN_PER_YUAN
from streams.sources.customer import DAY_MS, HOUR_MS, MINUTE_MS, Customer, Happening
from streams.sources.expected import DORMANT, expect_dormant, expect_falls, expect_layers, expect_levels
from streams.sources.falls import (
    CROSSED_DOWN_RULE,
    CROSSED_UP_RULE,
    LINE_FEN,
    OUTFLOW_COOLDOWN_DAYS,
    OUTFLOW_RULE,
    line_was_left,
    vip_has_left,
)
from streams.sources.ladders import CAMPAIGN_RULE, NEAR_UPGRADE_RULE

INFLOW = "inflow-not-retained"
BROWSING = "wealth-browsing-no-purchase"
CHANNEL = "wealth-channel-no-purchase"
IDLE = "idle-funds"
PAYDAY = "payday"

# Rules inflow-not-retained: an inflow of 50,000 or more, of which less than a fifth still stands within 7 days.
LARGE_YUAN = 50_000
# Rule wealth-browsing-no-purchase: one wealth product seen three times, nothing bought for half an hour.
VIEWS = 3
BROWSING_FOR_MS = 30 * MINUTE_MS
# Rule wealth-channel-no-purchase: as many looks, whatever the product.
CHANNEL_LOOKS = 8
# Rule payday: three months in a row, each within this many days of the middle one. A second one in a month,
# the first having come on its first days, is too near to the next.
PAYDAY_SLACK = 3
# The shortest run in which every story comes to its end.
MIN_DAYS = 14
# Beyond the allowed lateness of two bank days, and beyond the week of the watch: where topics run apart and the
# clock lags, a record that is not late after all still finds its week over.
_LATE_DAYS = 10

Story = Callable[[Customer], Iterator[list[Happening]]]


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
        yield today + _small_payments(c, day)
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
    comes, goes = _inflow_days(c)
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
        yield today + _small_payments(c, day)
    c.expect_nothing(BROWSING, IDLE)


def inflow_stays(c: Customer) -> Iterator[list[Happening]]:
    """A large inflow that stays, on the account or in one of the bank's own wealth products."""
    c.balance_fen = c.yuan(1_000, 4_000)
    comes, moves = _inflow_days(c)
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
        yield today + _small_payments(c, day)
    c.expect_nothing(INFLOW, BROWSING)


def browses_only(c: Customer) -> Iterator[list[Happening]]:
    """Looks at one wealth product again and again, and buys nothing; pays nothing afterwards either.

    Payments run through another topic: one that ran ahead of the looks would move the customer's clock past them.
    """
    c.balance_fen = c.yuan(3_000, 30_000)
    looks = c.random.randrange(1, c.period.days - 3)
    for day in range(c.period.days):
        if day == looks:
            views = _views(c, day, VIEWS + c.random.randrange(3))
            third_ms = views[VIEWS - 1].arrives_ms
            c.expect(BROWSING, third_ms + BROWSING_FOR_MS)
            yield views
        else:
            yield _small_payments(c, day) if day < looks else []
    c.expect_nothing(INFLOW, CHANNEL, IDLE)
    expect_dormant(c, last_active=looks)


def browses_the_channel(c: Customer) -> Iterator[list[Happening]]:
    """Looks at one wealth product after another and buys none; pays nothing afterwards, as above."""
    c.balance_fen = c.yuan(3_000, 30_000)
    looks = c.random.randrange(1, c.period.days - 3)
    for day in range(c.period.days):
        if day == looks:
            first_ms = c.time(day, 12, 13)
            times = [first_ms + 5 * look * MINUTE_MS for look in range(CHANNEL_LOOKS)]
            c.expect(CHANNEL, times[-1] + BROWSING_FOR_MS)
            yield [c.act(at_ms, "view", "wealth", f"W-{look}") for look, at_ms in enumerate(times)]
        else:
            yield _small_payments(c, day) if day < looks else []
    c.expect_nothing(INFLOW, BROWSING)
    expect_dormant(c, last_active=looks)


def browses_and_buys(c: Customer) -> Iterator[list[Happening]]:
    """Looks at one wealth product again and again, and buys it within minutes."""
    c.balance_fen = c.yuan(12_000, 30_000)
    looks = c.random.randrange(1, c.period.days - 3)
    for day in range(c.period.days):
        if day == looks:
            views = _views(c, day, VIEWS)
            bought_ms = views[-1].arrives_ms + c.random.randrange(1, 20) * MINUTE_MS
            yield [
                *views,
                c.act(bought_ms, "purchase", "wealth", "W-1"),
                *c.buy_wealth(bought_ms, 1_000_000, "W-1"),
            ]
        else:
            yield _small_payments(c, day)
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
        today = [_payment(c, day)] if day == 0 else []
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
        today = [_payment(c, day)] if day == 0 else []
        if day in steps:
            today.append(c.debit(c.time(day, 14, 16), c.balance_fen - c.yuan(*steps[day]), "transfer"))
        points += [(happening.arrives_ms, c.assets_fen) for happening in today]
        yield today
    c.expect_nothing(NEAR_UPGRADE_RULE)
    c.expect(CAMPAIGN_RULE, points[-1][0])
    expect_falls(c, opening, points, OUTFLOW_RULE, vip_has_left, OUTFLOW_COOLDOWN_DAYS)
    expect_falls(c, opening, points, CROSSED_DOWN_RULE, line_was_left)
    c.expect_nothing(INFLOW, BROWSING)
    expect_levels(c, opening, points)


def idle_money(c: Customer) -> Iterator[list[Happening]]:
    """A large balance that nobody touches but for small payments, and that leaves in the end."""
    c.balance_fen = c.yuan(60_000, 200_000)
    for day in range(c.period.days):
        today: list[Happening] = []
        if day == c.period.days - 2:
            today.append(c.debit(c.time(day, 14, 16), c.balance_fen * 9 // 10, "transfer"))
        today += _small_payments(c, day)
        if day == 0:
            # What stood there before the first record counts as always there.
            c.expect(IDLE, today[0].arrives_ms)
        yield today
    c.expect_nothing(INFLOW, BROWSING)


def dormant(c: Customer) -> Iterator[list[Happening]]:
    """One payment on the first day, and then nothing."""
    c.balance_fen = c.yuan(200, 80_000)
    yield [_payment(c, 0)]
    for _ in range(1, c.period.days):
        yield []
    c.expect_nothing(INFLOW, BROWSING)
    expect_dormant(c, last_active=0)


def out_of_order(c: Customer) -> Iterator[list[Happening]]:
    """A large inflow that leaves the same day, told the wrong way round: the outflow arrives first."""
    c.balance_fen = c.yuan(1_000, 4_000)
    comes, _ = _inflow_days(c)
    inflow = c.yuan(LARGE_YUAN, 4 * LARGE_YUAN)
    for day in range(c.period.days):
        today = [_payment(c, day)] if day == 0 else []
        if day == comes:
            credit = c.delay(c.credit(c.time(day, 9, 11), inflow, "transfer"), 12 * HOUR_MS, "out of order")
            debit = c.debit(c.time(day, 14, 16), inflow * 9 // 10, "transfer")
            today += [credit, debit]
            c.expect(INFLOW, debit.arrives_ms, by_ms=credit.arrives_ms + DAY_MS)
        yield today
    c.expect_nothing(BROWSING)


def late(c: Customer) -> Iterator[list[Happening]]:
    """The inflow of money that has left again is reported ten days later: no watch may open."""
    c.balance_fen = c.yuan(2_000, 4_000)
    comes = c.random.randrange(1, c.period.days - _LATE_DAYS - 2)
    goes = comes + c.random.randrange(4)
    inflow = c.yuan(LARGE_YUAN, 4 * LARGE_YUAN)
    for day in range(c.period.days):
        today = []
        if day == comes:
            credit = c.credit(c.time(day, 9, 11), inflow, "transfer")
            today.append(c.delay(credit, _LATE_DAYS * DAY_MS, "late"))
        if day == goes:
            today.append(c.debit(c.time(day, 14, 16), inflow * 9 // 10, "transfer"))
        yield [*today, _payment(c, day)]
    c.expect_nothing(INFLOW, BROWSING)


def repeated(c: Customer) -> Iterator[list[Happening]]:
    """Two views of a product and one of them sent twice more; payments sent twice."""
    c.balance_fen = c.yuan(3_000, 30_000)
    looks = c.random.randrange(1, c.period.days - 3)
    for day in range(c.period.days):
        if day == looks:
            views = _views(c, day, VIEWS - 1)
            yield [*views, c.repeat(views[-1], MINUTE_MS), c.repeat(views[-1], HOUR_MS)]
        else:
            payments = _small_payments(c, day)
            yield [*payments, *(c.repeat(payment, MINUTE_MS) for payment in payments if c.random.random() < 0.3)]
    c.expect_nothing(INFLOW, BROWSING)


def broken(c: Customer) -> Iterator[list[Happening]]:
    """Three views of a product, one of them unreadable; and an inflow of impossible amounts."""
    c.balance_fen = c.yuan(1_000, 4_000)
    looks = c.random.randrange(1, c.period.days - 3)
    for day in range(c.period.days):
        if day != looks:
            yield _small_payments(c, day)
            continue
        inflow = c.credit(c.time(day, 9, 11), LARGE_YUAN * FEN_PER_YUAN, "transfer")
        c.balance_fen -= LARGE_YUAN * FEN_PER_YUAN  # the bank never booked it
        views = _views(c, day, VIEWS)
        views[1] = c.spoil(views[1], views[1].value[: len(views[1].value) // 2])
        yield [c.spoil(inflow, c.random.choice(_SPOILS)(inflow.value)), *views]
    c.expect_nothing(INFLOW, BROWSING)


_AMOUNT = b'"amount":"50000.00"'
_SPOILS: tuple[Callable[[bytes], bytes], ...] = (
    lambda value: value.replace(_AMOUNT, b'"amount":"-50000.00"'),
    lambda value: value.replace(_AMOUNT, b'"amount":50000.001'),
    lambda value: value.replace(_AMOUNT, b'"amount":NaN'),
    lambda value: value.replace(b'"direction":"credit"', b'"direction":"in"'),
    lambda value: value.replace(b'"occurred_at"', b'"occurred"'),
    lambda value: b"\xff\xfe" + value,
    lambda value: b"",
)

# Shares of the customers, in hundredths; the first customers live out one of each.
STORIES: dict[str, tuple[Story, int]] = {
    "salary-and-spend": (salary_and_spend, 28),
    "inflow-leaves": (inflow_leaves, 8),
    "inflow-stays": (inflow_stays, 8),
    "browses-only": (browses_only, 8),
    "browses-and-buys": (browses_and_buys, 6),
    "browses-the-channel": (browses_the_channel, 3),
    "merchant-settlement": (merchant_settlement, 8),
    "climbs-a-tier": (climbs_a_tier, 6),
    "vip-leaves": (vip_leaves, 4),
    "dormant": (dormant, 5),
    "idle-money": (idle_money, 4),
    "out-of-order": (out_of_order, 3),
    "late": (late, 3),
    "repeated": (repeated, 3),
    "broken": (broken, 3),
}


def _inflow_days(c: Customer) -> tuple[int, int]:
    """A day for money to come, and one of the next four for it to go."""
    comes = c.random.randrange(1, c.period.days - 7)
    return comes, comes + c.random.randrange(4)


def _payment(c: Customer, day: int) -> Happening:
    return c.debit(c.time(day, 17, 21), c.yuan(10, 60), "card")


def _small_payments(c: Customer, day: int) -> list[Happening]:
    """A payment on the first day, so that the opening balance is known, and on about half of the others."""
    if day == 0 or (c.random.random() < 0.5 and c.balance_fen > 100 * FEN_PER_YUAN):
        return [_payment(c, day)]
    return []


def _views(c: Customer, day: int, count: int) -> list[Happening]:
    """Views of one wealth product, minutes apart."""
    first_ms = c.time(day, 12, 13)
    return [c.act(first_ms + 5 * i * MINUTE_MS, "view", "wealth", "W-1") for i in range(count)]
