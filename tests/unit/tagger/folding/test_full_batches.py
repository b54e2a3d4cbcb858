"""A batch that is full in the middle of a tick loses no deadline of the customers it had touched before."""

from builders import money, ticks
from driver import run

PACK = "pack: p\nrules: {in: {when: assets > 0, expires: 1d}}\n"


def test_a_customer_touched_before_a_tick_that_fills_the_batch_keeps_its_deadline() -> None:
    records = [
        money("2026-03-02 09:00", 100, "t1", customer="C1"),
        money("2026-03-02 08:00", 100, "t2", customer="C2"),
        money("2026-03-02 10:00", 100, "t3", customer="C1"),
        *ticks("2026-03-05 09:00"),
    ]
    result = run(records, PACK, cuts=(2,), max_customers=2)
    assert result.brief("C1")[1:] == [("2026-03-03 09:00:00", "expired", "in")]
    assert result.brief("C2")[1:] == [("2026-03-03 08:00:00", "expired", "in")]
