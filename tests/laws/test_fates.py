"""Law: every record has one fate, and one that counts for nothing changes nothing."""

from dataclasses import replace
from typing import Any

import msgspec
from builders import app, at, money, tick, ticks
from driver import CORE, run
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import both, events, steps
from rulebooks import RICH

from schemas.journal import JournalRecord, Source, hash_event
from tagger.features.balances import balance
from tagger.folding.meta import Meta

DAY_MS = 86_400_000


def without_fates(meta: Meta) -> Any:
    return msgspec.structs.replace(meta, fates={}, next_offset=0)


@settings(max_examples=40)
@given(steps, st.lists(st.tuples(st.integers(0, 19), st.integers(1, 30)), max_size=10), st.booleans())
def test_a_repeated_record_changes_nothing_but_the_count(
    plan: list[Any], repeats: list[tuple[int, int]], far_apart: bool
) -> None:
    records = events(plan)
    journal = list(records)
    added = 0
    for which, after in repeats:
        if which < len(records):
            # Anywhere behind itself.
            journal.insert(journal.index(records[which]) + min(after, len(journal)), records[which])
            added += 1
    tail = both(records[-1].occurred_ms + 3 * DAY_MS) if far_apart else []  # type: ignore[union-attr]
    once, often = run([*records, *tail], RICH), run([*journal, *tail], RICH, cuts=None, restart=True)
    assert often.customers == once.customers
    assert often.by_customer() == once.by_customer()
    assert without_fates(often.clock) == without_fates(once.clock)
    assert sum(fate.duplicate for fate in often.clock.fates.values()) == added
    assert sum(fate.applied for fate in often.clock.fates.values()) == len(records)


@settings(max_examples=40)
@given(steps, st.lists(st.integers(0, 30), max_size=6), st.lists(st.integers(0, 8), max_size=4))
def test_fates_add_up_to_the_records_of_each_source(plan: list[Any], again: list[int], clocks: list[int]) -> None:
    records = [
        msgspec.structs.replace(record, source=Source(record.source.topic, number % 2, number))  # type: ignore[union-attr]
        for number, record in enumerate(events(plan))
    ]
    journal: list[Any] = list(records)
    for place in clocks:
        journal[place * 3 : place * 3] = both(at("2026-03-29 20:00") + place * DAY_MS)
    for place in again:
        # A re-append (the same source offset) and a repeat (a later offset of the same id).
        events_so_far = [one for one in journal[:place] if hasattr(one, "event_id")]
        if events_so_far:
            journal.insert(place, events_so_far[-1])
    journal += [
        msgspec.structs.replace(record, source=replace_offset(record.source, 1000 + number))
        for number, record in enumerate(records[:3])
    ]
    fates = run(journal, RICH, cuts=None, restart=True).clock.fates
    sent: dict[str, int] = {}
    for record in journal:
        if hasattr(record, "event_id"):
            name = f"{record.source.topic}-{record.source.partition}"
            sent[name] = sent.get(name, 0) + 1
    assert {n: f.applied + f.duplicate + f.late + f.reappended for n, f in fates.items()} == sent


def replace_offset(source: Source, offset: int) -> Source:
    return Source(source.topic, source.partition, offset)


def test_what_was_appended_again_is_dropped_by_its_offset() -> None:
    first = money("2026-03-02 09:00", 10, "t1", offset=7)
    again = msgspec.structs.replace(first, event_id="other", event_hash=hash_event("bank.transactions", "other"))
    fates = run([first, again, first, money("2026-03-02 09:00", 1, "t2", offset=8)], RICH).clock.fates
    assert msgspec.to_builtins(fates["bank.transactions-0"]) == [2, 0, 0, 2, 8]


def test_an_id_counts_within_its_topic_only() -> None:
    result = run([money("2026-03-02 09:00", 10, "x"), app("2026-03-02 09:00", "x", product="P")], RICH)
    assert (balance(result.state(), "assets"), result.measure(at("2026-03-02 09:00"))["p.busy"]) == (1000, "1")


def test_an_id_is_forgotten_after_its_days_or_when_too_many_followed() -> None:
    core = replace(CORE, dedupe_days=2, dedupe_count=3)
    first = money("2026-03-02 09:00", 10, "t1")
    within = [first, app("2026-03-04 23:59", "a1"), first]
    assert run(within, RICH, core=core).clock.fates["bank.transactions-0"].duplicate == 1
    beyond = [first, app("2026-03-05 00:00", "a1"), first]
    assert run(beyond, RICH, core=core).clock.fates["bank.transactions-0"].applied == 2
    crowd = [first, *(app("2026-03-02 10:00", f"a{n}") for n in range(3)), first]
    result = run(crowd, RICH, core=core)
    assert (result.clock.fates["bank.transactions-0"].applied, result.state().forgotten) == (2, 2)


@settings(max_examples=25)
@given(steps, st.integers(1, 30), st.sampled_from(["view", "purchase"]))
def test_a_late_app_event_changes_nothing_at_all(plan: list[Any], days: int, action: str) -> None:
    records = events(plan)
    clock = records[-1].occurred_ms + DAY_MS  # type: ignore[union-attr]
    journal: list[JournalRecord] = [*records, *both(clock)]
    late = app(clock - (2 + days) * DAY_MS, "late", product="P1", action=action)
    fates = run([*journal, late], RICH).clock.fates["bank.app-events-0"]
    with_late, without = (
        run([*journal, late, *both(clock + 5 * DAY_MS)], RICH),
        run([*journal, *both(clock + 5 * DAY_MS)], RICH),
    )
    assert fates.late == 1
    assert (with_late.customers, with_late.tags) == (without.customers, without.tags)


@settings(max_examples=25)
@given(steps, st.integers(1, 300), st.sampled_from([-500, 500]))
def test_a_late_transaction_moves_balances_from_its_own_day_and_no_other_window(
    plan: list[Any], days: int, yuan: int
) -> None:
    records = events(plan)
    clock = records[-1].occurred_ms + DAY_MS  # type: ignore[union-attr]
    occurred = clock - (2 + days) * DAY_MS
    late = money(occurred, yuan, "late")
    journal: list[JournalRecord] = [money(occurred, 1, "first", customer="C1"), *records, *both(clock)]
    before, after = run(journal, RICH), run([*journal, late], RICH)
    assert after.clock.fates["bank.transactions-0"].late == 1
    was, now = before.state(), after.state()
    assert now.features == was.features
    assert balance(now, "assets") - balance(was, "assets") == yuan * 100
    assert {name: rule.watches for name, rule in now.rules.items() if rule.watches} == {
        name: [
            msgspec.structs.replace(one, above_fen=one.above_fen + (yuan * 100 if one.opened_ms < occurred else 0))
            for one in rule.watches
        ]
        for name, rule in was.rules.items()
        if rule.watches
    }
    # As if it had come in its order: the closings of its own day on are moved.
    in_order = run([journal[0], *sorted([*records, late], key=lambda one: one.occurred_ms), *both(clock)], RICH)  # type: ignore[union-attr]
    for name in ("p.avg", "p.avg_quarter", "p.avg_closed", "p.lowest", "assets"):
        assert after.measure(clock)[name] == in_order.measure(clock)[name], name


def test_ticks_of_a_topic_outside_the_clock_tell_only_whether_time_is_recorded() -> None:
    result = run([*ticks("2026-03-02 09:00"), tick("2026-03-09 09:00", "bank.profiles", recorded=True)], RICH)
    assert (result.clock.clock_ms, result.clock.recorded) == (at("2026-03-02 09:00"), True)
    assert result.clock.control == 4
