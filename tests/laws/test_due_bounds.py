"""Law: after every event `due_ms` is no later than the first instant at which time may change something.

It may be earlier: then somebody is looked at for nothing. Later, and a deadline is lost until a batch ends.
Packs here count over windows of any length and hold nothing else that would wake anybody earlier.
"""

import json
from collections.abc import Iterator

import pytest
from builders import activation, app, at, money, ticks
from reference.compare import Scenario, core_of, differences
from reference.made_up import RandomChoice, is_valid

from schemas.journal import CustomerEvent, JournalRecord
from tagger.folding.fold import Fate, Fold
from tagger.state.customer import CustomerState

DAY = 86_400_000
END_MS = at("2029-01-01 00:00")
WINDOWS = (3, 13, 14, 15, 30, 40, 62)
VERBS = (
    {"count": "transactions"}, {"count": "app_events"}, {"sum": "amount", "of": "transactions"},
    {"count": "transactions", "where": 'direction == "credit"'}, {"sum": "dwell_ms", "of": "app_events"},
)  # fmt: skip
NUMBERS = ("0", "1", "2", "2", "3", "3", "4.5", "200")
SHAPES = (
    "{f} >= {n}", "{f} >= {n}", "{f} < {n}", "{f} == {n}", "{f} != {n}", "not {f} <= {n}", "{n} < {f} <= {m}",
    "{f} in [{n}, {m}]", "{f} * 2 > {n}",
)  # fmt: skip
HOURS = (0, 0, 9, 12, 23)


def scenario_of(seed: int) -> Scenario:
    choose = RandomChoice(seed)
    one = choose.one
    window = one(WINDOWS)
    features = {name: one(VERBS) | {"over": f"{window}d"} for name in "ab"}

    def condition() -> str:
        low, high = sorted((one(NUMBERS), one(NUMBERS)), key=float)
        return str(one(SHAPES)).format(f=one("ab"), n=low, m=high)

    rules = {"first": {"when": condition()}, "then": {"when": one(["led", f"not led and {condition()}"])}}
    pack = {"pack": "p", "features": features | {"led": {"active": "first"}}, "rules": rules}
    assert is_valid(pack), pack
    journal = list(journal_of(choose, window))
    # What is committed has its next deadline exactly; from there on each event brings it down.
    cuts = tuple(sorted({one(range(1, len(journal))) for _ in range(one([0, 1, 3]))}))
    return Scenario({"r": json.dumps(pack)}, journal, END_MS, cuts)


def journal_of(choose: RandomChoice, window: int) -> Iterator[JournalRecord]:
    one = choose.one
    yield activation("r")
    now_ms = at("2026-03-01 00:00")
    for number in range(one(range(3, 16))):
        now_ms += one([0, 1, 5, window // 2, window - 2, window]) * DAY
        when = now_ms + one(HOURS) * DAY // 24 - one([0, 0, 0, 1, 2]) * DAY
        if one([True, True, False]):
            yield money(when, one([100, -100, 50, 200]), f"t{number}")
        else:
            yield app(when, f"a{number}", dwell_ms=one([50, 100, 500]))
        if one([False, False, False, True]):
            yield from ticks(now_ms)
    yield from ticks(END_MS)


def test_no_event_leaves_a_later_deadline_than_the_state_has(monkeypatch: pytest.MonkeyPatch) -> None:
    fold_event = Fold.fold_event
    late: list[str] = []

    def checked(fold: Fold, state: CustomerState, event: CustomerEvent, is_new: bool) -> Fate:
        fate = fold_event(fold, state, event, is_new)
        if fate == "applied":
            exact_ms = fold._timetable.next_due_ms(state, fold.context.warming)
            if state.due_ms > exact_ms:
                late.append(f"{state.due_ms} after {exact_ms}, by {event.event_id}")
        return fate

    monkeypatch.setattr(Fold, "fold_event", checked)
    for seed in range(1, 301):
        scenario = scenario_of(seed)
        core_of(scenario)
        assert late == [], (seed, scenario.packs)


def test_what_waits_for_a_number_says_what_the_reference_says() -> None:
    for seed in range(1, 101):
        scenario = scenario_of(seed)
        assert differences(scenario) == [], (seed, scenario.packs)
