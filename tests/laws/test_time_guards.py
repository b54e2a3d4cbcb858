"""Law: a time guard spares looks and changes no tag, and so does a wait for a cut. Rules of one shape, a condition
in parts, against the reference.
"""

import json

import pytest
from builders import at, program_of
from reference.compare import Scenario, core_of, differences
from reference.histories import made_up_journal
from reference.made_up import STARTS, RandomChoice, is_valid

from tagger.codegen import turning

FEATURES = {
    "high": {"high": "assets", "over": "3d"},
    "low": {"low": "current", "over": "2d"},
    "mean": {"average_balance": "assets", "over": "3d"},
    "n": {"count": "transactions", "over": "2d"},
    "many": {"count": "transactions", "over": "9d"},
    "seen": {"count": "app_events", "over": "1d"},
    "spent": {"sum": "amount", "of": "transactions", "over": "2d"},
    "top": {"top": "product_id", "of": "app_events", "over": "2d"},
    "since": {"days_since": "transactions"},
    "sums": {"summary": "transactions"},
    "soon": {"next": "matures_on", "of": "transactions"},
    "other": {"active": "plain"},
    "step": {"level": "steps"},
    "half": {"expr": "high / 2"},
}
STILL = (
    "assets < 2000", "assets >= 500", "current > 0", "household_income > 1000", 'gender == "f"', "other",
    "not other", 'step.name == "high"', "step.rank >= 1", "loan == 0 or assets > 100", "0 <= assets < 3000",
)  # fmt: skip
MOVING = (
    "high >= 1000", "high < 3000", "low >= 500", "low <= 2000", "1000 <= high < 5000", "assets <= high * 0.5",
    "low * 2 > assets", "n == 0", "n >= 2", "n <= 1", "3 > n", "n == 2", "n != 1.5", "not n > 1", "n * 2 > 3",
    "n == 1 or n >= 4", "seen == 0", "seen > 1", "1 <= n < 3", "spent >= 1000", "spent < 1000",
    "500 <= spent < 2000", "spent == 0", "spent > assets", "many >= 3", "many < 5", "1 < many <= 6",
    "top.count >= 2", "top.count < 2", 'top.value == "P1"', "since >= 2", "since < 2",
    "sums.T >= 3", "sums.T < 2", "mean >= 1000", "half > 500", "days_to(soon) <= 3", "today.weekday == 2",
    "age(birth_date) >= 30", "birthday_in(birth_date, 1)", "low > high", "high > low", "low < high * 0.5",
)  # fmt: skip
FIELDS = {"for": ["30m", "1d"], "expires": ["1d"], "cooldown": ["36h"],
          "until": ["n == 0", "many < 2", "assets < 100"], "refresh": ["n", "many", "high"],
          "converts": [{"when": "seen == 0"}, {"when": "high < 2000"}, {"when": "many <= 3"}]}  # fmt: skip


def scenario_of(seed: int) -> Scenario:
    choose = RandomChoice(seed)
    one = choose.one
    rules = {
        "plain": {"when": one(MOVING)},
        "stages": {"levels": {"low": "otherwise", "high": one(MOVING)}},
        "steps": {"by": "assets", "levels": {"low": "otherwise", "mid": "500", "high": "2000"}},
        "card": {
            "points": {
                "old": {"by": one(["age(birth_date)", "household_income"]), "bins": {"0": "10", "40": "20"}},
                "some": {"by": one(["n", "seen", "since"]), "bins": {"0": "1", "2": "15"}},
            },
            "levels": {"low": "0", "mid": "15", "high": "25"},
        },
    }
    for number in range(3):
        parts = [one(STILL), one(MOVING), *one([(), (), (one(MOVING),), (one(STILL),)])]
        rule = rules[f"r{number}"] = {"when": " and ".join(sorted(parts, key=lambda part: one([0, 1])))}
        for field, options in FIELDS.items():
            if one([False, False, False, True]):
                rule[field] = one(options)
    rules["watch"] = {"after": {"event": "transactions"}, "within": one(["90m", "2d"]), "when": one(MOVING)}
    pack = {"pack": "p", "features": FEATURES, "rules": rules}
    assert is_valid(pack), pack
    journal, end_ms = made_up_journal(choose, ["r"], at(one(STARTS)), one(["mixed", "long"]))
    return Scenario({"r": json.dumps(pack)}, journal, end_ms)


def test_rules_behind_time_guards_say_what_the_reference_says() -> None:
    for seed in range(1, 101):
        scenario = scenario_of(seed)
        assert differences(scenario) == [], (seed, scenario.packs)


def test_time_guards_hold_back_and_cuts_are_not_crossed_often(monkeypatch: pytest.MonkeyPatch) -> None:
    scenarios = [scenario_of(seed) for seed in range(1, 21)]

    def outcome() -> tuple[list[dict[str, list[bytes]]], int]:
        """Each customer's tags, because who is woken decides whose come first; and the looks they took."""
        program_of.cache_clear()
        runs = [core_of(scenario) for scenario in scenarios]
        program_of.cache_clear()
        return [run.by_customer() for run in runs], sum(
            run.state(one).revision for run in runs for one in run.customers
        )

    told, looks = outcome()
    monkeypatch.setattr(turning, "cuts_of", lambda rule, feature: None)
    told_each_day, looks_each_day = outcome()
    monkeypatch.setattr(turning, "time_guard", lambda writer, rule: None)
    told_unguarded, looks_unguarded = outcome()
    assert told == told_each_day == told_unguarded
    assert looks < looks_each_day < looks_unguarded
