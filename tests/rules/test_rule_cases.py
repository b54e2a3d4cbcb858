"""Every case of every pack in rules/, and the runner held to failing when it should."""

from pathlib import Path

import pytest

from tagger.cases import CaseResult, run_cases
from tagger.lint import lint
from tagger.rulebook import Rulebook, read_rulebook
from tagger.settings import CoreSettings

RULES = Path(__file__).parents[2] / "rules"
FILES = {f"rules/{path.name}": path.read_text(encoding="utf-8") for path in sorted(RULES.glob("*.yaml"))}


def run(files: dict[str, str]) -> list[CaseResult]:
    return run_cases(read_rulebook(files), CoreSettings())


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return read_rulebook(FILES)


@pytest.mark.parametrize("result", run(FILES), ids=lambda result: f"{result.pack}: {result.it}")
def test_case(result: CaseResult) -> None:
    assert result.passed, result.message


def test_nothing_in_the_packs_is_doubtful(rulebook: Rulebook) -> None:
    assert [str(finding) for finding in lint(rulebook)] == []


def test_every_pack_names_its_source(rulebook: Rulebook) -> None:
    assert all(pack.source and pack.title for pack in rulebook.packs)
    assert all(rule.title for _, rule in rulebook.rules.values())


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
    ],
)  # fmt: skip
def test_a_planted_mistake_fails_a_case(file: str, right: str, wrong: str) -> None:
    text = FILES[f"rules/{file}.yaml"]
    assert right in text
    results = run({**FILES, f"rules/{file}.yaml": text.replace(right, wrong)})
    assert any(not result.passed for result in results)
