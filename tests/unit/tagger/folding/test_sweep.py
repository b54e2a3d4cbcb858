"""Deadlines that a tick leaves to later: who waits, what is kept of the tick, and what ends the waiting."""

from typing import Any

from builders import activation, app, at, pause, tick, ticks
from driver import Run, run

from schemas.journal import JournalRecord
from tagger.folding import sweep
from tagger.folding.meta import Meta, decode_meta, encode_meta
from tagger.folding.sweep import forget_times, note_time
from tagger.state.customer import NEVER

HOUR = 3_600_000
RULES = """
pack: p
features:
  a: {count: app_events, where: 'product_id == "A"', over: 2d}
rules:
  soon: {when: a > 0, for: 30m, offer: {family: coupon, priority: 10}}
---
consent: false
"""
MANY = [f"C{number}" for number in range(20)]


def views(*customers: str, when: str = "2026-03-02 09:00") -> list[JournalRecord]:
    return [app(when, f"{when}-{customer}", product="A", customer=customer) for customer in customers]


def begun(*records: Any, rules: str = RULES) -> Run:
    """A journal in which ticks leave all deadlines to later, as far as it goes without a sweep."""
    journal = [activation("r1"), *ticks("2026-03-02 08:00"), *records]
    packs = {"r1": rules, "r2": rules.replace("30m", "45m")}
    return run(journal, packs, sweeps={}, is_swept=False)


def reasons(result: Run, customer: str = "C1") -> list[str | None]:
    return [tag["delivery"]["reason"] for tag in result.told(customer)]


def test_an_event_behind_a_tick_does_not_wait_for_the_deadlines_of_others() -> None:
    night = [*views(*MANY), *ticks("2026-03-02 12:00")]
    result = begun(*night, *views("C3", "new", when="2026-03-02 12:00"))
    assert result.brief("C3") == [("2026-03-02 09:30:00", "opened", "soon")]
    assert {customer for customer, _ in result.tags} == {"C3"}
    assert "new" in result.customers
    assert result.clock.next_offset == len(night) + 5
    assert result.clock.control == 5
    assert result.partition.is_behind


def test_a_sweep_stops_where_it_is_told_and_ends_with_the_last_deadline() -> None:
    partition = begun(*views(*MANY), *ticks("2026-03-02 12:00")).partition
    batch = partition.batch(defers=True)
    assert batch.sweep(7)
    changes = batch.finish()
    assert (len(changes.customers), len(changes.tags)) == (7, 7)
    assert decode_meta(changes.meta).unswept[-1] == at("2026-03-02 12:00")
    partition.merge(changes)
    batch = partition.batch(max_customers=5, defers=True)
    assert not batch.sweep(7), "a full batch cannot go on"
    assert batch.is_behind
    partition.merge(batch.finish())
    batch = partition.batch(defers=True)
    assert not batch.sweep(1000)
    partition.merge(batch.finish())
    assert not partition.is_behind


def test_a_deadline_is_passed_as_of_the_first_tick_beyond_it() -> None:
    """The second tick comes in time, and would be late for the deadline; the third is late for none."""
    stale = f"{RULES}stale: 1h\n"
    for first, reason in (("2026-03-02 10:30", None), ("2026-03-02 10:30:00.001", "stale")):
        later = [*ticks("2026-03-02 15:00"), *ticks("2026-03-02 18:00")]
        journal = [*views("C1", "C2"), *ticks(first), *later, *views("C2", when="2026-03-02 18:00")]
        result = run([activation("r1"), *ticks("2026-03-02 08:00"), *journal], {"r1": stale}, sweeps={})
        assert (reasons(result, "C1"), reasons(result, "C2")) == ([reason], [reason])


def test_a_record_of_the_customer_comes_after_its_deadlines_even_if_it_is_late_or_repeated() -> None:
    event = views("C1")
    for last in (event, [app("2026-02-20 09:00", "old", product="A", customer="C1")]):
        result = begun(*event, *ticks("2026-03-02 12:00"), *last)
        assert result.brief() == [("2026-03-02 09:30:00", "opened", "soon")]


def test_a_rulebook_and_a_pause_take_effect_after_the_deadlines_before_them() -> None:
    due = [*views("C1"), *ticks("2026-03-02 12:00")]
    changed = begun(*due, activation("r2"))
    assert changed.brief()[0] == ("2026-03-02 09:30:00", "opened", "soon")
    assert not changed.partition.is_behind
    waiting = begun(activation("r2", at("2026-03-02 11:00")), *due)
    assert waiting.brief()[0] == ("2026-03-02 09:30:00", "opened", "soon")
    assert reasons(begun(*due, pause("soon"))) == [None]
    assert reasons(begun(pause("soon"), *due, pause("soon", resumed=True)))[0] == "over_budget"


def test_a_recorded_stretch_begins_after_the_deadlines_before_it() -> None:
    due = [*views("C1", "C2"), *ticks("2026-03-02 12:00")]
    assert reasons(begun(*due, tick("2026-03-02 13:00", recorded=True))) == [None]


def test_a_full_list_of_times_is_swept_before_time_goes_on(monkeypatch: Any) -> None:
    monkeypatch.setattr(sweep, "MAX_TIMES", 3)
    hours = [one for hour in range(10, 20) for one in ticks(f"2026-03-02 {hour}:00")]
    result = begun(*views(*MANY), *hours, rules=f"{RULES}stale: 1m\n")
    assert len(result.clock.unswept) <= 3
    assert {customer for customer, _ in result.tags} == set(MANY)


# The list of times


def noted(stale_ms: int | None, *hours: float, recorded: bool = False) -> list[float]:
    meta = Meta(recorded=recorded)
    before_ms: int | None = 0
    for hour in hours:
        meta.clock_ms = round(hour * HOUR)
        note_time(meta, before_ms, stale_ms)
        before_ms = meta.clock_ms
    return [ms / HOUR for ms in meta.unswept]


def test_ticks_between_which_nothing_can_be_stale_are_one() -> None:
    assert noted(HOUR, 0.5, 0.75, 1, 1.5, 2, 2.25) == [0, 1, 2, 2.25]
    assert noted(HOUR, 5, 5.5, 9) == [0, 5, 5.5, 9]
    assert noted(HOUR, 1, 1, 1) == [0, 1]
    assert noted(None, 5, 50, 500) == [0, 500]
    assert noted(HOUR, 5, 50, 500, recorded=True) == [0, 500]


def test_before_the_first_time_anything_may_be_due() -> None:
    meta = Meta(clock_ms=5, recorded=False)
    note_time(meta, None, HOUR)
    assert meta.unswept == [-NEVER, 5]
    assert decode_meta(encode_meta(meta)).unswept == [-NEVER, 5]


def test_times_are_forgotten_once_every_customer_has_passed_them() -> None:
    meta = Meta(unswept=[0, 10, 20, 30])
    for first_ms, left in ((5, [0, 10, 20, 30]), (10, [10, 20, 30]), (29, [20, 30]), (None, [])):
        forget_times(meta, first_ms)
        assert meta.unswept == left


def test_a_meta_record_of_an_older_release_has_nothing_unswept() -> None:
    encoded = encode_meta(Meta(clock_ms=5)).replace(b',"unswept":[]', b"")
    assert b"unswept" not in encoded
    assert decode_meta(encoded).unswept == []
