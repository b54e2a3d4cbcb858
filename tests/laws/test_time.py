"""Law: deadlines do not depend on the spacing of ticks; the clock is the slowest source's."""

from typing import Any

from builders import app, at, money, tick
from driver import Run, run
from hypothesis import example, given, settings
from hypothesis import strategies as st
from journals import DAY, MINUTE, START, both, events, steps, with_ticks
from rulebooks import RICH

from schemas.journal import JournalRecord, Tick
from tagger.folding.meta import clock_holder
from tagger.settings import CoreSettings


@settings(max_examples=40)
@given(steps, st.lists(st.integers(0, 8 * DAY * MINUTE), max_size=12), st.sets(st.integers(1, 40)))
@example(
    [("app", 0, "P1", "C1"), ("app", 1, "P1", "C1"), ("money", 31, 100, "current", "C1")],
    [31 * MINUTE],
    set(),
)
def test_tags_do_not_depend_on_the_spacing_of_ticks(plan: list[Any], random: list[int], cuts: set[int]) -> None:
    records, end = events(plan), START + 8 * DAY * MINUTE
    daily = [START + day * DAY * MINUTE for day in range(8)]
    exact = [
        record.occurred_ms + shift for record in records for shift in (0, 30 * MINUTE, 40 * MINUTE, DAY * MINUTE)
    ]  # type: ignore[union-attr]
    runs: list[Run] = [
        run(with_ticks(records, [], end), RICH),
        run(with_ticks(records, daily, end), RICH),
        run(with_ticks(records, [START + when for when in random], end), RICH, cuts=cuts, restart=True),
        run(with_ticks(records, [when for when in exact if when <= end], end), RICH),
        run(with_ticks(records, list(range(START, end, 20 * MINUTE)), end), RICH, cuts=range(0, 2000, 13)),
    ]
    for other in runs[1:]:
        assert other.by_customer() == runs[0].by_customer()


# The clock

MONEY, APP = ("bank.transactions", 0), ("bank.app-events", 0)
sources = st.tuples(st.sampled_from(["bank.transactions", "bank.app-events", "bank.profiles"]), st.integers(0, 1))
told = st.tuples(sources, st.none() | st.integers(0, 100), st.booleans())


@given(st.lists(told, max_size=25), st.integers(1, 2), st.integers(1, 2))
@example(
    # A source that had ended begins again, far behind.
    [(MONEY, 50, False), (APP, 100, False), (MONEY, 50, True), (MONEY, 60, False)],
    1,
    1,
)
def test_the_clock_is_the_slowest_open_sources_and_never_falls(
    story: list[Any], money_of: int, app_of: int
) -> None:
    of = {"bank.transactions": money_of, "bank.app-events": app_of, "bank.profiles": 2}
    story = [one for one in story if one[0][1] < of[one[0][0]]]
    wanted = {(topic, n) for topic in ("bank.transactions", "bank.app-events") for n in range(of[topic])}
    times: dict[Any, int | None] = {}
    closed: dict[Any, bool] = {}
    clock: int | None = None
    journal: list[JournalRecord] = []
    for source, seconds, ends in story:
        time_ms = None if seconds is None else START + seconds * 1000
        journal.append(Tick(topic=source[0], partition=source[1], of=of[source[0]], time_ms=time_ms, closed=ends))
        if source in wanted:
            known = times.get(source)
            times[source] = time_ms if known is None else max(known, time_ms or known)
            closed[source] = ends
        waiting = [times[one] for one in times if not closed[one]]
        if times.keys() == wanted and None not in waiting:
            heard = [when for when in times.values() if when is not None]
            now = min(waiting, default=max(heard, default=None))  # type: ignore[type-var]
            clock = now if clock is None or now is None else max(clock, now)
        meta = run(journal, {}, restart=True, cuts=None).clock
        assert meta.clock_ms == clock
        # Who is named as holding it: one that told no time, otherwise one at the least time of the open ones.
        untold = wanted - times.keys() | {one for one, when in times.items() if when is None and not closed[one]}
        earliest = min((when for when in waiting if when is not None), default=None)
        least = {one for one, when in times.items() if not closed[one] and when == earliest}
        held_by: set[str | None] = {f"{topic}-{number}" for topic, number in untold or least} or {None}
        assert clock_holder(meta, CoreSettings()) in held_by


def test_nothing_is_late_before_each_source_has_told_its_time() -> None:
    pack = "pack: p\nrules: {any: {when: assets > 0}}\n"
    records = [app("2026-03-20 09:00", "a1"), tick("2026-03-20 09:00"), money("2026-03-01 09:00", 1, "t1")]
    assert run(records, pack).clock.fates["bank.transactions-0"].late == 0
    core = CoreSettings(allowed_lateness_days=0)
    told_all = [app("2026-03-20 09:00", "a1"), *both(at("2026-03-20 09:00")), money("2026-03-19 23:59", 1, "t1")]
    assert run(told_all, pack, core=core).clock.fates["bank.transactions-0"].late == 1
