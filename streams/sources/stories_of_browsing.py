"""Stories of looks at wealth products in the app, with and without a purchase."""

from collections.abc import Iterator

from streams.sources.customer import MINUTE_MS, Customer, Happening
from streams.sources.story import (
    BROWSING,
    BROWSING_FOR_MS,
    CHANNEL,
    CHANNEL_LOOKS,
    IDLE,
    INFLOW,
    VIEWS,
    small_payments,
    view_product,
)


def browses_only(c: Customer) -> Iterator[list[Happening]]:
    """Looks at one wealth product again and again, and buys nothing; pays nothing afterwards either.

    Payments run through another topic: one that ran ahead of the looks would move the customer's clock past them.
    """
    c.balance_fen = c.yuan(3_000, 30_000)
    looks = c.random.randrange(1, c.period.days - 3)
    for day in range(c.period.days):
        if day == looks:
            views = view_product(c, day, VIEWS + c.random.randrange(3))
            third_ms = views[VIEWS - 1].arrives_ms
            c.expect(BROWSING, third_ms + BROWSING_FOR_MS)
            yield views
        else:
            yield small_payments(c, day) if day < looks else []
    c.expect_nothing(INFLOW, CHANNEL, IDLE)


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
            yield small_payments(c, day) if day < looks else []
    c.expect_nothing(INFLOW, BROWSING)


def browses_and_buys(c: Customer) -> Iterator[list[Happening]]:
    """Looks at one wealth product again and again, and buys it within minutes."""
    c.balance_fen = c.yuan(12_000, 30_000)
    looks = c.random.randrange(1, c.period.days - 3)
    for day in range(c.period.days):
        if day == looks:
            views = view_product(c, day, VIEWS)
            bought_ms = views[-1].arrives_ms + c.random.randrange(1, 20) * MINUTE_MS
            yield [
                *views,
                c.act(bought_ms, "purchase", "wealth", "W-1"),
                *c.buy_wealth(bought_ms, 1_000_000, "W-1"),
            ]
        else:
            yield small_payments(c, day)
    c.expect_nothing(INFLOW, BROWSING)
