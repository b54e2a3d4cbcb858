"""The JSON Schema that editors check packs with: every pack at hand passes, what it can see is marked."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from schemas.contracts import build_contracts
from schemas.packs.json_schema import (
    MANIFEST_SCHEMA_FILE,
    PACK_SCHEMA_FILE,
    POLICY_SCHEMA_FILE,
    manifest_schema,
    pack_schema,
    policy_schema,
)

RULES = sorted(Path(__file__).parents[4].glob("rules/*.yaml"))
VALIDATOR = Draft202012Validator(pack_schema())


def read(text: str) -> Any:
    """YAML as an editor reads it: numbers and booleans have types, dates are text."""
    return json.loads(json.dumps(YAML(typ="safe").load(text), default=str))


def marks(text: str) -> list[str]:
    return [error.json_path for error in VALIDATOR.iter_errors(read(text))]


def test_it_is_a_schema_and_exported_with_the_contracts() -> None:
    Draft202012Validator.check_schema(pack_schema())
    assert json.loads(build_contracts("1")[PACK_SCHEMA_FILE]) == pack_schema()


@pytest.mark.parametrize("path", [path for path in RULES if path.stem not in {"rulebook", "policy"}], ids=str)
def test_the_packs_at_hand_pass(path: Path) -> None:
    assert marks(path.read_text(encoding="utf-8")) == []


def test_the_policy_has_a_schema_of_its_own() -> None:
    Draft202012Validator.check_schema(policy_schema())
    assert json.loads(build_contracts("1")[POLICY_SCHEMA_FILE]) == policy_schema()
    live = next(path for path in RULES if path.stem == "policy").read_text(encoding="utf-8")
    validator = Draft202012Validator(policy_schema())
    assert [error.json_path for error in validator.iter_errors(read(live))] == []
    for right, wrong, mark in (
        ("within: 10m", "within: soon", "$.arbitrate"),
        ("push: {", "pusj: {", "$.caps"),
        ("stale: 1h", "stael: 1h", "$"),
    ):
        assert mark in [error.json_path for error in validator.iter_errors(read(live.replace(right, wrong)))]


def test_the_file_of_the_version_has_a_schema_of_its_own() -> None:
    Draft202012Validator.check_schema(manifest_schema())
    assert json.loads(build_contracts("1")[MANIFEST_SCHEMA_FILE]) == manifest_schema()
    validator = Draft202012Validator(manifest_schema())
    live = next(path for path in RULES if path.stem == "rulebook").read_text(encoding="utf-8")
    whole = "version: 2026.11\nsettings: {p: {line: 5万, cuts: {gold: 1000}}}"
    for text, mark in (
        (live, None),
        (whole, None),
        (whole.replace("version", "vershun"), "$"),
        (whole.replace("line: 5万", "line: [5]"), "$.settings.p.line"),
    ):
        assert next((error.json_path for error in validator.iter_errors(read(text))), None) == mark


WHOLE = """
pack: p
settings: {a: 5, group: {b: 0.5, c: 5万}}
features:
  f: {recurring: transactions, every: quarter, slack: 3d, times: 2}
  g: {count: cards, where: days_to(expires_on) < 30}
  h: {sum: amount, of: transactions, over: 36mo}
  i: {low: assets, over: 62d}
  j: {count: app_events, over: 1488h}
rules:
  r: {when: h > 1, valid: {from: 2026-03-01, to: 2026-03-31 18:00}, offer: {family: f, priority: 0.5万}}
  l: {by: i, levels: {x: 1}, leave_below: 0.95}
  k: {by: j, levels: {x: 1}, leave_below: 97.5%}
  s: {points: {x: {by: assets, weight: 2, bins: {0: 1, a: 2}}}, levels: {l: otherwise, m: 3}, approval: {from: m}}
  m: {rows: {by: assets, cuts: [1, a]}, columns: {by: assets, cuts: [1]}, cells: [[a, b], [c, d], [e, f]]}
cases:
  - it: waits
    given: [{at: 2026-03-02 09:00}, {at: 2026-03-02 09:00, credit: 5, own_transfer: true}]
    expect: [{at: 2026-03-02 09:00, opened: s, value: {total: 2.5}}]
  - it: knows
    given:
      - at: 2026-03-02T09:00:00+08:00
        profile: {gender: f, birth_date: 1990-03-02, collateral: 5万, credit_score: 7}
    expect: [{at: 2026-03-02 09:00, revoked: s, reason: ended}]
"""


@pytest.mark.parametrize(
    ("right", "wrong", "mark"),
    [
        ("pack: p", "pack: p", None),
        ("slack: 3d", "slack: 3h", "$.features.f"),
        ("count: cards", "cuont: cards", "$.features.g"),
        ("weight: 2", "wieght: 2", "$.rules.s"),
        ("cells:", "cels:", "$.rules.m"),
        ("it: waits", "its: waits", "$.cases[0]"),
        ("credit: 5", "crdit: 5", "$.cases[0].given[1]"),
        ("credit: 5", "credit: five", "$.cases[0].given[1]"),
        ("over: 36mo", "over: 37mo", "$.features.h"),
        ("over: 62d", "over: 63d", "$.features.i"),
        ("over: 62d", "over: 70d", "$.features.i"),
        ("priority: 0.5万", "priority: high", "$.rules.r"),
        ("priority: 0.5万", "priority: 1.5", "$.rules.r"),
        ("leave_below: 0.95", "leave_below: 95", "$.rules.l"),
        ("leave_below: 0.95", "leave_below: 0", "$.rules.l"),
        ("leave_below: 97.5%", "leave_below: 195%", "$.rules.k"),
        ("from: 2026-03-01", "from: 2026-1-1x", "$.rules.r"),
        ("from: 2026-03-01", "from: '2026-13-01'", "$.rules.r"),
        ("given: [{at: 2026-03-02 09:00}", "given: [{at: yesterday}", "$.cases[0].given[0]"),
        ("given: [{at: 2026-03-02 09:00}", "given: [{at: 2026-03-02 25:00}", "$.cases[0].given[0]"),
        ("reason: ended", "reason: endd", "$.cases[1].expect[0].reason"),
        ("gender: f", "gender: female", "$.cases[1].given[0]"),
        ("gender: f", "gendr: f", "$.cases[1].given[0]"),
        ("collateral: 5万", "collateral: much", "$.cases[1].given[0]"),
        ("birth_date: 1990-03-02", "birth_date: '1990-13-02'", "$.cases[1].given[0]"),
    ],
)
def test_what_cannot_be_meant_is_marked(right: str, wrong: str, mark: str | None) -> None:
    found = marks(WHOLE.replace(right, wrong))
    assert found == [] if mark is None else mark in found
