"""What opens over what is held, as labels say it; every figure is worked by hand."""

from collections.abc import Sequence

import pytest

from schemas.bankday import BankCalendar
from streams.sources.customer import DAY_MS, HOUR_MS
from streams.sources.holdings import Booking
from streams.sources.signals import SIGNALS, Opening, Walk

CALENDAR = BankCalendar("Asia/Shanghai")
FIRST = 738_000  # 29 July 2021
START_MS = CALENDAR.start_ms(FIRST)
RULES = {signal.rule: signal for signal in SIGNALS}

Steps = list[tuple[int, int]]
"""At noon of each day, counted from the first: what is held on the current account, in yuan."""


def bookings(opening: int, steps: Steps) -> list[Booking]:
    made, held = [], opening
    for day, yuan in steps:
        moved = (yuan - held) * 100
        made.append(Booking(START_MS + day * DAY_MS + 12 * HOUR_MS, FIRST + day, moved, assets_fen=moved))
        held = yuan
    return made


def openings(rule: str, opening: int, booked: Sequence[Booking], days: int) -> list[Opening]:
    walk = Walk(opening * 100, FIRST, CALENDAR, [RULES[rule]])
    for day in range(days + 1):
        walk.live_day([each for each in booked if CALENDAR.day_of(each.at_ms) == FIRST + day])
    return walk.openings(START_MS + days * DAY_MS)


def opened(rule: str, opening: int, booked: Sequence[Booking], days: int = 200) -> list[float]:
    """Days since the first midnight at which a rule opens: half a one is noon."""
    return [(found.at_ms - START_MS) / DAY_MS for found in openings(rule, opening, booked, days)]


@pytest.mark.parametrize(
    ("opening", "steps", "days"),
    [
        (600_000, [(0, 600_000), (29, 420_000)], [29.5]),
        (600_000, [(0, 600_000), (29, 420_001)], []),
        (600_000, [(0, 500_000), (40, 350_000)], [40.5]),
        (600_000, [(0, 499_999), (40, 300_000)], []),
        # The last closing of 600,000 is that of day 0, which a window of thirty days ends with on day 29.
        (600_000, [(0, 600_000), (1, 500_000), (30, 400_000)], []),
        (600_000, [(0, 600_000), (1, 500_000), (29, 400_000)], [29.5]),
        # Fallen all along is fallen once.
        (900_000, [(0, 900_000), (5, 500_000), (20, 300_000), (40, 200_000)], [5.5]),
        # Two falls more than thirty days apart.
        (2_000_000, [(0, 2_000_000), (1, 1_400_000), (32, 900_000)], [1.5, 32.5]),
        # A second one within the cooldown waits for its end.
        (2_000_000, [(0, 2_000_000), (1, 1_400_000), (2, 1_900_000), (20, 900_000)], [1.5, 31.5]),
    ],
)
def test_a_vip_has_left_when_three_tenths_of_thirty_days_height_are_gone(
    opening: int, steps: Steps, days: list[float]
) -> None:
    assert opened("vip-outflow", opening, bookings(opening, steps)) == days


@pytest.mark.parametrize(
    ("opening", "steps", "days"),
    [
        (100_000, [(0, 100_000), (3, 97_000), (18, 94_000)], [18.5]),
        (100_000, [(0, 100_000), (3, 95_000)], []),
        (100_000, [(1, 97_000), (31, 94_000)], []),
        # Above 95% it goes on, and is not told again; back at the line it ends.
        (100_000, [(0, 94_000), (1, 96_000), (2, 94_000)], [0.5]),
        (100_000, [(0, 94_000), (1, 100_000), (2, 94_000)], [0.5, 2.5]),
        # After fourteen days it ends; what has held all along does not come again, what did not hold then does.
        (100_000, [(0, 94_000), (20, 90_000)], [0.5]),
        (100_000, [(0, 94_000), (10, 96_000), (20, 94_000)], [0.5, 20.5]),
    ],
)
def test_the_line_was_left_below_95_percent_within_thirty_days(
    opening: int, steps: Steps, days: list[float]
) -> None:
    assert opened("threshold-crossed-down", opening, bookings(opening, steps)) == days


@pytest.mark.parametrize(
    ("opening", "steps", "days"),
    [
        (50_000, [(0, 99_999), (1, 100_000)], [1.5]),
        (150_000, [(0, 140_000), (9, 150_000)], []),
        (50_000, [(0, 100_000), (1, 95_000), (2, 100_000)], [0.5]),
        (50_000, [(0, 100_000), (1, 94_999), (2, 100_000)], [0.5, 2.5]),
    ],
)
def test_the_line_was_passed_and_is_passed_again_from_below_95_percent(
    opening: int, steps: Steps, days: list[float]
) -> None:
    assert opened("threshold-crossed-up", opening, bookings(opening, steps)) == days


@pytest.mark.parametrize(
    ("opening", "steps", "days"),
    [
        (50_000, [(0, 50_000)], [0.5]),
        # The lowest of thirty closings is the new one when 29 midnights have passed.
        (1_000, [(0, 50_000)], [29]),
        (1_000, [(0, 50_000), (10, 49_999), (11, 60_000)], [40]),
        (60_000, [(0, 60_000), (1, 0), (2, 60_000)], [0.5, 90.5]),
    ],
)
def test_money_is_idle_when_it_was_not_needed_on_any_of_thirty_days(
    opening: int, steps: Steps, days: list[float]
) -> None:
    assert opened("idle-funds", opening, bookings(opening, steps)) == days


@pytest.mark.parametrize(
    ("rule", "steps", "days"),
    [
        ("joint-stock-near-upgrade", [(0, 9_000)], [0.5]),
        ("joint-stock-near-upgrade", [(0, 8_999), (1, 10_000), (2, 44_999), (3, 45_000)], [3.5]),
        # Within the hysteresis of the layer above, what is near is the layer above that.
        ("joint-stock-near-upgrade", [(0, 50_000), (1, 48_000), (2, 47_000)], [2.5]),
        ("joint-stock-near-upgrade", [(0, 45_000), (1, 1_000), (2, 45_000)], [0.5, 30.5]),
        ("reach-50000-campaign", [(0, 10_000), (1, 9_500), (2, 9_499)], [0.5]),
        ("reach-50000-campaign", [(0, 10_000), (1, 50_000), (2, 30_000)], [0.5, 90.5]),
        ("joint-stock-mid-outflow", [(0, 50_000), (1, 30_001), (2, 30_000)], [2.5]),
        ("joint-stock-mid-outflow", [(0, 500_000), (1, 300_000)], []),
        ("churn-worth-keeping", [(0, 800_000), (1, 560_000)], [1.5]),
        ("churn-worth-keeping", [(0, 600_000), (1, 400_000)], []),
    ],
)
def test_a_layer_decides_what_is_near_and_what_is_worked_at(rule: str, steps: Steps, days: list[float]) -> None:
    assert opened(rule, 1_000, bookings(1_000, steps)) == days


def test_the_fifth_transfer_speaks_and_a_wealth_product_is_an_answer() -> None:
    sent = [booking._replace(sends=True) for booking in bookings(30_000, [(day, 20_000) for day in range(5)])]
    assert opened("transfers-without-wealth", 30_000, sent) == [4.5]
    assert opened("transfers-without-wealth", 30_000, sent[:4]) == []
    assert opened("transfers-without-wealth", 30_000, [sent[0]._replace(wealth_fen=100), *sent[1:]]) == []


def test_a_transfer_counts_for_twelve_months() -> None:
    """One of July still counts on 30 June, and no longer on 1 July."""
    days = [0, 330, 331, 332]
    early = [booking._replace(sends=True) for booking in bookings(30_000, [(day, 20_000) for day in days])]
    on_time, too_late = ((FIRST + day, START_MS + day * DAY_MS) for day in (336, 337))
    for (day, at_ms), found in ((on_time, [336]), (too_late, [])):
        fifth = Booking(at_ms, day, sends=True)
        assert opened("transfers-without-wealth", 30_000, [*early, fifth], days=400) == found


def test_money_that_is_told_late_stands_on_its_own_day_and_is_looked_at_within_a_time() -> None:
    """120,000 came on day 1 and left on day 3; that it came is told on day 11."""
    came, left = bookings(0, [(1, 120_000)])[0], bookings(120_000, [(3, 1_000)])[0]
    told = came._replace(at_ms=came.at_ms + 10 * DAY_MS, by_ms=came.at_ms + 11 * DAY_MS)
    (down,) = openings("threshold-crossed-down", 0, [left, told], days=20)
    assert (down.at_ms, down.by_ms) == (left.at_ms, told.by_ms)


def test_nothing_opens_before_the_first_booking_nor_where_the_clock_does_not_come() -> None:
    assert opened("idle-funds", 60_000, []) == []
    assert opened("idle-funds", 1_000, bookings(1_000, [(0, 50_000)]), days=29) == []


def test_own_money_that_moves_is_still_held() -> None:
    moved = Booking(START_MS, FIRST, -60_000_00, 60_000_00)
    assert opened("threshold-crossed-down", 120_000, [moved]) == []
    assert opened("idle-funds", 100_000, [moved]) == []
