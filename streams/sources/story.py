"""What stories share: rules they are labelled with, numbers these lean on, and what customers do in passing.

A story is a generator over one `Customer`: each step gives the happenings that *occur* on one day (they may arrive
later), and what it expects is said where it is decided. Stories are written against the packs as they stand under
`rules/`; the numbers they lean on are named below. A day is laid out so that stories do not disturb themselves:
money comes in from 9 to 11, the app is used from 12 to 13, money leaves from 14 to 16, small payments are
made from 17 to 21; what is booked later in a day is made later.
"""

from collections.abc import Callable, Iterator

from schemas.money import FEN_PER_YUAN
from streams.sources.customer import MINUTE_MS, Customer, Happening

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

Story = Callable[[Customer], Iterator[list[Happening]]]


def inflow_days(c: Customer) -> tuple[int, int]:
    """A day for money to come, and one of the next four for it to go."""
    comes = c.random.randrange(1, c.period.days - 7)
    return comes, comes + c.random.randrange(4)


def payment(c: Customer, day: int) -> Happening:
    """A small payment by card."""
    return c.debit(c.time(day, 17, 21), c.yuan(10, 60), "card")


def small_payments(c: Customer, day: int) -> list[Happening]:
    """A payment on the first day, so that the opening balance is known, and on about half of the others."""
    if day == 0 or (c.random.random() < 0.5 and c.balance_fen > 100 * FEN_PER_YUAN):
        return [payment(c, day)]
    return []


def view_product(c: Customer, day: int, count: int) -> list[Happening]:
    """Views of one wealth product, minutes apart."""
    first_ms = c.time(day, 12, 13)
    return [c.act(first_ms + 5 * i * MINUTE_MS, "view", "wealth", "W-1") for i in range(count)]
