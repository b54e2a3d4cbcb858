"""When assets have fallen, as labels say it."""

import pytest

from schemas.bankday import BankCalendar
from streams.sources.customer import DAY_MS, HOUR_MS
from streams.sources.falls import falls, line_was_left, vip_has_left

CALENDAR = BankCalendar("Asia/Shanghai")
FIRST = 738_000


def points(*steps: tuple[int, int]) -> list[tuple[int, int]]:
    """At noon of each day, counted from the first: what is held, in yuan."""
    return [(CALENDAR.start_ms(FIRST + day) + 12 * HOUR_MS, yuan * 100) for day, yuan in steps]


def opened_on(steps: list[tuple[int, int]], fallen: str, *, opening: int, cooldown_days: int = 0) -> list[int]:
    """Days of the openings, counted from the first."""
    rules = {"vip": vip_has_left, "line": line_was_left}
    found = falls(opening * 100, points(*steps), CALENDAR, FIRST + 200, rules[fallen], cooldown_days=cooldown_days)
    return [(at_ms - CALENDAR.start_ms(FIRST)) // DAY_MS for at_ms in found]


@pytest.mark.parametrize(
    ("steps", "opened"),
    [
        ([(0, 600_000), (29, 420_000)], [29]),
        ([(0, 600_000), (29, 420_001)], []),
        ([(0, 500_000), (40, 350_000)], [40]),
        ([(0, 499_999), (40, 300_000)], []),
        # The last closing of 600,000 is that of day 0, which a window of thirty days ends with on day 29.
        ([(0, 600_000), (1, 500_000), (30, 400_000)], []),
        ([(0, 600_000), (1, 500_000), (29, 400_000)], [29]),
        # Fallen all along is fallen once.
        ([(0, 900_000), (5, 500_000), (20, 300_000), (40, 200_000)], [5]),
    ],
)
def test_a_vip_has_left_when_three_tenths_of_thirty_days_height_are_gone(
    steps: list[tuple[int, int]], opened: list[int]
) -> None:
    assert opened_on(steps, "vip", opening=600_000) == opened


def test_a_second_fall_waits_for_the_cooldown() -> None:
    steps = [(0, 2_000_000), (1, 1_400_000), (32, 900_000)]
    assert opened_on(steps, "vip", opening=2_000_000, cooldown_days=30) == [1, 32]
    # Fallen by then, it opens as the cooldown ends.
    assert opened_on(steps, "vip", opening=2_000_000, cooldown_days=40) == [1, 41]


@pytest.mark.parametrize(
    ("steps", "opened"),
    [
        ([(0, 100_000), (3, 97_000), (18, 94_000)], [18]),
        ([(0, 100_000), (3, 95_000)], []),
        ([(1, 97_000), (31, 94_000)], []),
    ],
)
def test_the_line_was_left_below_95_percent_within_thirty_days(
    steps: list[tuple[int, int]], opened: list[int]
) -> None:
    assert opened_on(steps, "line", opening=100_000) == opened
