"""Every case of every pack in rules/, and the runner held to failing when it should."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.bankday import BankCalendar
from schemas.packs.rules import GradedRule, ScorecardRule
from tagger.cases.run import CaseResult, run_case, run_cases
from tagger.compiler.program import Program
from tagger.lint.checks import lint
from tagger.packs.errors import RulebookError
from tagger.packs.rulebook import Rulebook, read_rulebook
from tagger.settings import CoreSettings
from tagger.view import SEGMENT_RULE

RULES = Path(__file__).parents[2] / "rules"
FILES = {f"rules/{path.name}": path.read_text(encoding="utf-8") for path in sorted(RULES.glob("*.yaml"))}

# The packs whose rules another one reads.
READ_BY = {
    "clv": ("ccb",),
    "combinations": ("balances", "joint_stock", "risk_class", "value_risk"),
    "lifecycle": ("ccb", "joint_stock"),
}


def run(files: dict[str, str]) -> list[CaseResult]:
    return run_cases(read_rulebook(files), CoreSettings())


def fails(pack_name: str, changes: dict[str, str]) -> bool:
    """Whether a case of a pack fails under changed or added files."""
    needed = {
        f"rules/{name}.yaml": FILES[f"rules/{name}.yaml"] for name in (pack_name, *READ_BY.get(pack_name, ()))
    }
    rulebook = read_rulebook(needed | changes)
    core = CoreSettings()
    program = Program(rulebook, BankCalendar(core.zone))
    pack = next(pack for pack in rulebook.packs if pack.pack == pack_name)
    return any(not run_case(program, core, pack, case).passed for case in pack.cases)


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return read_rulebook(FILES)


@pytest.mark.parametrize("result", run(FILES), ids=lambda result: f"{result.pack}: {result.it}")
def test_case(result: CaseResult) -> None:
    assert result.passed, result.message


def test_nothing_in_the_packs_is_doubtful(rulebook: Rulebook) -> None:
    assert [str(finding) for finding in lint(rulebook)] == []


def test_the_rule_that_readers_of_the_view_know_as_the_segment_is_there(rulebook: Rulebook) -> None:
    _, rule = rulebook.rules[SEGMENT_RULE]
    assert isinstance(rule, GradedRule)


def test_every_pack_names_its_source(rulebook: Rulebook) -> None:
    assert all(pack.source and pack.title for pack in rulebook.packs)
    assert all(rule.title for _, rule in rulebook.rules.values())


@pytest.mark.parametrize("rule", ["joint-stock-layer", "lifecycle-segment", "service-class"])
def test_each_level_that_makes_a_tag_names_a_policy_of_its_own(rulebook: Rulebook, rule: str) -> None:
    _, graded = rulebook.rules[rule]
    assert isinstance(graded, GradedRule)
    spoken = [level for level in graded.level_names if level not in graded.silent]
    policies = [graded.offers[level].policy for level in spoken]
    assert None not in policies
    assert len(set(policies)) == len(spoken)


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        # what is expected is changed
        ("signals", "value: {retained: 0.083}", "value: {retained: 0.084}"),
        ("signals", "{at: 2026-03-18 10:00, expired: inflow", "{at: 2026-03-18 10:01, expired: inflow"),
        ("signals", "revoked: inflow-not-retained, reason: ended", "revoked: inflow-not-retained, reason: until"),
        ("joint_stock", "level: mid, value: {assets: 60000}", "level: high, value: {assets: 60000}"),
        ("ccb", "features: {average: 4999.99}", "features: {average: 4999.98}"),
        # what decides is changed
        ("signals", "amount >= large", "amount > large * 2"),
        ("signals", "retained < kept", "retained <= kept"),
        ("signals", "within: 7d", "within: 6d"),
        ("signals", "expires: 3d", "expires: 73h"),
        ("signals", "cooldown: 30d", "cooldown: 40d"),
        ("signals", "for: 30m", "for: 29m"),
        ("signals", "over: 7d}\n  bought", "over: 8d}\n  bought"),
        ("signals", " and not own_transfer'}\n    within", "'}\n    within"),
        ("ccb", "gold: 5万,", "gold: 50001,"),
        ("ccb", "previous: true", "previous: false"),
        ("joint_stock", "leave_below: 95%", "leave_below: 94%"),
        ("joint_stock", "near: 0.9 ", "near: 0.91 "),
        ("joint_stock", "cooldown: 90d", "cooldown: 89d"),
        ("psbc", "or platinum_cards >= 1", "or platinum_cards >= 2"),
        ("ccb_star", "expr: assets + loan", "expr: assets"),
        ("ccb_star", "mix: 0.15", "mix: 0.14"),
        ("icbc", "over: quarter, previous: true", "over: quarter"),
        ("service", "age(opened_on)", "age(opened_on) - 1"),
        ("value_risk", "[develop, let-go]", "[let-go, develop]"),
        ("risk_class", "approval: {from: high}", "approval: {from: elevated}"),
        ("risk_class", "default_history else 0", "default_history else 1"),
        ("rfm", "high_potential and recency <= 2 and", "high_potential and recency <= 1 and"),
        ("clv", "potential and worth", "(potential or not potential) and worth"),
        ("clv", "alpha: 25", "alpha: 26"),
        ("balances", "until: assets < line * back", "until: assets < line"),
        ("balances", "trough < line and ", "trough > -1 and "),
        ("balances", "until: current < balance_line * back", "until: current < balance_line"),
        ("balances", "balance_trough < balance_line and ", "balance_trough > -1 and "),
        ("balances", "{high: current, over: 30d}", "{high: current, over: 60d}"),
        ("balances", "{low: current, over: 30d}", "{low: current, over: 29d}"),
        ("best_time", "when: pay.recurs", "when: not pay.recurs"),
        ("best_time", "slack: 3d", "slack: 1d"),
        ("best_time", "    until: not pay.recurs\n", ""),
        ("best_time", "month in [3, 6, 9, 12] and ", ""),
        ("best_time", "month == 12 and ", ""),
        ("dates", "{next: expires_on, of: cards}", "{next: opened_on, of: cards}"),
        ("lifecycle", "for: 88d", "for: 89d"),
        ("lifecycle", "over: 3d}\n  seen", "over: 2d}\n  seen"),
        ("lifecycle", "      lapsed: is_lapsed", "      lapsed: is_new"),
        ("groups", '["enterprise_manager", "self_employed"]', '["self_employed"]'),
        ("merchants", "usual * season_low", "usual * season_high"),
        ("growers", "for: 14d", "for: 13d"),
        ("combinations", "18, 25", "18, 26"),
        ("combinations", "19 <= hour < 23", "19 <= hour <= 23"),
    ],
)  # fmt: skip
def test_a_planted_mistake_fails_a_case(file: str, right: str, wrong: str) -> None:
    text = FILES[f"rules/{file}.yaml"]
    assert right in text
    assert fails(file, {f"rules/{file}.yaml": text.replace(right, wrong)})


# What no case holds from both sides: weights and fitted parameters, of which every score is made; how many
# transactions it takes, beyond what a case can list, and the one grade whose cut only those decide.
UNHELD = {
    "ccb_star": {"weights", "times"},
    "icbc": {"weights", "active", "grades.wealth"},
    "service": {"weights", "often"},
    "risk_class": {"weights"},
    "clv": {"model"},
    "rfm": {"often.five"},
}
# How far a threshold is moved: a cut of money by a fiftieth, a count or number of days by one.
_SMALL = 100


def thresholds() -> Iterator[tuple[str, str, str | None, Decimal]]:
    for pack in read_rulebook(FILES).packs:
        free = UNHELD.get(pack.pack, set())
        for name, value in pack.settings.items():
            parts = value.items() if isinstance(value, Mapping) else [(None, value)]
            for part, number in parts:
                if not {name, f"{name}.{part}"} & free:
                    yield pack.pack, name, part, number


@pytest.mark.parametrize("direction", [1, -1], ids=["higher", "lower"])
@pytest.mark.parametrize(("pack", "setting", "part", "number"), list(thresholds()))
def test_a_case_holds_each_threshold_from_both_sides(
    pack: str, setting: str, part: str | None, number: Decimal, direction: int
) -> None:
    is_count = number == number.to_integral_value() and number < _SMALL
    moved = number + direction if is_count else number * (1 + Decimal("0.02") * direction)
    value = f"{moved:f}" if part is None else f"{{{part}: {moved:f}}}"
    if setting == "grades" and no_total_between(pack, number, moved):
        return
    try:
        noticed = fails(pack, {"rules/rulebook.yaml": f"version: 1\nsettings: {{{pack}: {{{setting}: {value}}}}}"})
    except RulebookError as refused:  # a cut on its neighbour's place: the reader holds it
        noticed = "two bins begin alike" in str(refused) or "follows" in str(refused)
    assert noticed


def no_total_between(pack: str, number: Decimal, moved: Decimal) -> bool:
    """Whether a scorecard gives no total from the lower of two cuts up to the higher: both say the same."""
    (rule,) = next(each for each in read_rulebook(FILES).packs if each.pack == pack).rules.values()
    assert isinstance(rule, ScorecardRule)
    totals = {Decimal(0)}
    for part in rule.points.values():
        weighed = {Decimal(part.weight) * Decimal(points) for points in (0, *part.bins.values())}
        totals = {total + more for total in totals for more in weighed}
    low, high = sorted((number, moved))
    return not any(low <= total < high for total in totals)
