"""Law: guards change cost and never results, in whatever order what they stand before comes about."""

import pytest
from builders import program_of
from reference.compare import Scenario, core_of
from reference.made_up import RandomChoice, made_up

from tagger.codegen import guards
from tagger.compiler import reach


def outcome(scenario: Scenario) -> tuple[object, object]:
    program_of.cache_clear()  # programs keep what they have generated
    found = core_of(scenario)
    return found.tags, found.customers


def test_rules_behind_guards_and_looked_at_one_by_one_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = 0
    for seed in range(2001, 2121):
        scenario = made_up(RandomChoice(seed))
        if scenario is None:
            continue
        monkeypatch.setattr(reach, "COMPILE_AFTER", 0)
        behind = outcome(scenario)
        monkeypatch.setattr(reach, "COMPILE_AFTER", 1 << 30)
        assert behind == outcome(scenario), seed
        moved += bool(behind[0])
    assert moved > 60


def test_a_guard_that_lets_nothing_through_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "COMPILE_AFTER", 0)
    monkeypatch.setattr(guards, "_may_move", lambda writer, rule: "False")
    scenarios = [made_up(RandomChoice(seed)) for seed in range(2001, 2021)]
    closed = [outcome(scenario) for scenario in scenarios if scenario is not None]
    monkeypatch.undo()
    monkeypatch.setattr(reach, "COMPILE_AFTER", 1 << 30)
    assert closed != [outcome(scenario) for scenario in scenarios if scenario is not None]
