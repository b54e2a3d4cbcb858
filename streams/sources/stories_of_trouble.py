"""Stories told badly: records out of order, late, repeated and broken."""

from collections.abc import Callable, Iterator

from schemas.money import FEN_PER_YUAN
from streams.sources.customer import DAY_MS, HOUR_MS, MINUTE_MS, Customer, Happening
from streams.sources.story import (
    BROWSING,
    INFLOW,
    LARGE_YUAN,
    VIEWS,
    inflow_days,
    payment,
    small_payments,
    view_product,
)

# Beyond the allowed lateness of two bank days, and beyond the week of the watch: where topics run apart and the
# clock lags, a record that is not late after all still finds its week over.
_LATE_DAYS = 10


def out_of_order(c: Customer) -> Iterator[list[Happening]]:
    """A large inflow that leaves the same day, told the wrong way round: the outflow arrives first."""
    c.balance_fen = c.yuan(1_000, 4_000)
    comes, _ = inflow_days(c)
    inflow = c.yuan(LARGE_YUAN, 4 * LARGE_YUAN)
    for day in range(c.period.days):
        today = [payment(c, day)] if day == 0 else []
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
        yield [*today, payment(c, day)]
    c.expect_nothing(INFLOW, BROWSING)


def repeated(c: Customer) -> Iterator[list[Happening]]:
    """Two views of a product and one of them sent twice more; payments sent twice."""
    c.balance_fen = c.yuan(3_000, 30_000)
    looks = c.random.randrange(1, c.period.days - 3)
    for day in range(c.period.days):
        if day == looks:
            views = view_product(c, day, VIEWS - 1)
            yield [*views, c.repeat(views[-1], MINUTE_MS), c.repeat(views[-1], HOUR_MS)]
        else:
            payments = small_payments(c, day)
            yield [*payments, *(c.repeat(payment, MINUTE_MS) for payment in payments if c.random.random() < 0.3)]
    c.expect_nothing(INFLOW, BROWSING)


def broken(c: Customer) -> Iterator[list[Happening]]:
    """Three views of a product, one of them unreadable; and an inflow of impossible amounts."""
    c.balance_fen = c.yuan(1_000, 4_000)
    looks = c.random.randrange(1, c.period.days - 3)
    for day in range(c.period.days):
        if day != looks:
            yield small_payments(c, day)
            continue
        inflow = c.credit(c.time(day, 9, 11), LARGE_YUAN * FEN_PER_YUAN, "transfer")
        c.balance_fen -= LARGE_YUAN * FEN_PER_YUAN  # the bank never booked it
        views = view_product(c, day, VIEWS)
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
