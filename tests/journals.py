"""Generated journals in order of time: two customers, money and app events, five days around a quarter's end."""

from typing import Any

from builders import app, at, money, tick
from hypothesis import strategies as st

from schemas.journal import JournalRecord

START = at("2026-03-29 20:00")
MINUTE = 60_000
DAY = 1440
minutes = st.integers(0, 5 * DAY) | st.sampled_from([240, 240 + DAY, 240 + 2 * DAY, 270, 300, 330, 270 + DAY])
money_step = st.tuples(
    st.just("money"),
    minutes,
    st.sampled_from([-6000, -1000, -100, 100, 1000, 2500, 6000]),
    st.sampled_from(["current", "current", "wealth", "loan"]),
    st.sampled_from(["C1", "C1", "C2"]),
)
app_step = st.tuples(st.just("app"), minutes, st.sampled_from(["P1", "P2"]), st.sampled_from(["C1", "C1", "C2"]))
steps = st.lists(money_step | app_step | app_step, min_size=1, max_size=20)


def events(plan: list[Any]) -> list[JournalRecord]:
    records: list[JournalRecord] = []
    for number, step in enumerate(sorted(plan, key=lambda one: one[1])):
        when = START + step[1] * MINUTE
        if step[0] == "app":
            records.append(app(when, f"a{number}", product=step[2], customer=step[3]))
        else:
            records.append(
                money(when, step[2], f"t{number}", account_type=step[3], account=step[3], customer=step[4])
            )
    return records


def with_ticks(records: list[Any], times: list[int], end: int) -> list[JournalRecord]:
    """The events in order, with ticks at these times among them, and one at the end."""
    journal: list[JournalRecord] = []
    pending = sorted(times)
    for record in records:
        while pending and pending[0] <= record.occurred_ms:
            journal += both(pending.pop(0))
        journal.append(record)
    return [*journal, *(one for when in pending for one in both(when)), *both(end)]


def both(when: int) -> list[JournalRecord]:
    return [tick(when, recorded=True), tick(when, "bank.app-events", recorded=True)]
