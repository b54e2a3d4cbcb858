"""The packs, run over the made-up bank, tag what its stories say and nothing else; every record has one fate."""

import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli.backtest import backtest
from streams.cli.simulate import simulate
from streams.settings import Settings
from streams.sources.labels import Label, read_tags, score
from streams.sources.signals import SIGNALS
from streams.sources.simulate import Plan
from streams.sources.simulate import simulate as make_up

RULES = Path(__file__).resolve().parents[2] / "rules"
PLAN = Plan(customers=150, days=14, seed=7)
# What a story is told for and what takes months to come about: more than that nothing wrong is tagged.
TAGGED_IN_A_QUARTER = {
    ("salary-and-spend", "payday"),
    ("merchant-settlement", "joint-stock-layer"),
    ("vip-leaves", "vip-outflow"),
    ("vip-leaves", "threshold-crossed-down"),
    ("dormant", "dormant"),
    # What nobody tells the story for, and happens on the way.
    ("salary-and-spend", "reach-50000-campaign"),
    ("inflow-leaves", "joint-stock-mid-outflow"),
    ("inflow-stays", "idle-funds"),
    ("merchant-settlement", "transfers-without-wealth"),
    ("vip-leaves", "churn-worth-keeping"),
    ("idle-money", "threshold-crossed-down"),
    ("out-of-order", "reach-50000-campaign"),
    ("late", "threshold-crossed-down"),
}


def run_backtest(folder: Path, plan: Plan, *options: str) -> Result:
    bank = folder / "bank.jsonl"
    arguments = ["--customers", str(plan.customers), "--days", str(plan.days), "--seed", str(plan.seed)]
    made = CliRunner().invoke(
        simulate, [*arguments, "--start", str(plan.start), "--out", str(bank)], obj=Settings()
    )
    assert made.exit_code == 0, made.output
    source = [str(bank), "--format", "jsonl", "--rules", str(RULES)]
    result = CliRunner().invoke(backtest, [*source, *options], obj=Settings())
    assert result.exit_code == 0, result.output
    return result


def labels_of(plan: Plan) -> list[Label]:
    bank = make_up(plan)
    for _ in bank.records():
        pass
    return bank.labels


@pytest.mark.parametrize(
    "plan", [PLAN, Plan(customers=40, days=100, seed=2)], ids=["two weeks", "a quarter's turn"]
)
def test_every_story_is_tagged_as_labelled_and_nothing_else(tmp_path: Path, plan: Plan) -> None:
    tags = tmp_path / "tags.jsonl"
    run_backtest(tmp_path, plan, "--tags", str(tags))
    scores = score(labels_of(plan), read_tags(tags.read_bytes().splitlines()))
    assert [line for line in scores if line.missing or line.extra] == []
    assert sum(line.hits for line in scores) > plan.customers / 3
    if plan.days > 91:
        assert {(line.story, line.rule) for line in scores if line.hits} >= TAGGED_IN_A_QUARTER


def test_every_record_has_the_fate_it_was_made_for(tmp_path: Path) -> None:
    result = run_backtest(tmp_path, PLAN, "--json")
    bank = make_up(PLAN)
    sent = sum(1 for _ in bank.records())
    fates = json.loads(result.stdout)["fates"]
    assert fates["duplicate"] == bank.notes["repeated"] > 0
    assert fates["late"] == bank.notes["late"] > 0
    assert fates["dead-letter"] == bank.notes["broken"] > 0
    assert sum(fates.values()) == sent


def test_a_backtest_gives_the_same_bytes_again_and_leaves_offsets_out(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    for file in (first, second):
        run_backtest(tmp_path, PLAN, "--tags", str(file))
    assert first.read_bytes() == second.read_bytes()
    causes = [json.loads(line)["cause"] for line in first.read_bytes().splitlines()]
    kinds = Counter(tuple(sorted(cause)) for cause in causes)
    assert set(kinds) == {("event_id", "topic"), ("deadline",)}


def test_scoring_a_run_with_a_wrong_tag_exits_1_and_names_the_customer(tmp_path: Path) -> None:
    tags = tmp_path / "tags.jsonl"
    run_backtest(tmp_path, PLAN, "--tags", str(tags))
    lines = [line for line in tags.read_bytes().splitlines() if b'"rule":"inflow-not-retained"' in line]
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_bytes(b"\n".join(line for line in tags.read_bytes().splitlines() if line != lines[0]))
    arguments = ["--customers", "150", "--days", "14", "--seed", "7", "--score"]
    assert CliRunner().invoke(simulate, [*arguments, str(tags)], obj=Settings()).exit_code == 0
    result = CliRunner().invoke(simulate, [*arguments, str(wrong)], obj=Settings())
    assert result.exit_code == 1
    assert json.loads(lines[0])["customer_id"] in result.output


def test_a_signal_that_nobody_spoke_of_makes_the_score_wrong(tmp_path: Path) -> None:
    tags = tmp_path / "tags.jsonl"
    run_backtest(tmp_path, PLAN, "--tags", str(tags))
    for line in tags.read_bytes().splitlines():
        one = json.loads(line)
        if one["change"] == "opened" and one["level"] is None:
            break
    surplus = tmp_path / "surplus.jsonl"
    surplus.write_bytes(tags.read_bytes() + line.replace(one["rule"].encode(), b"never-heard-of") + b"\n")
    arguments = ["--customers", "150", "--days", "14", "--seed", "7", "--score", str(surplus)]
    result = CliRunner().invoke(simulate, arguments, obj=Settings())
    assert result.exit_code == 1
    assert f"never-heard-of (0 missing, 1 extra: {one['customer_id']})" in result.output


def test_no_rule_over_what_is_held_can_be_left_out_of_the_labels(tmp_path: Path) -> None:
    """Without the labels of any one of them tags are extra: each speaks, and what it says is counted."""
    plan = Plan(customers=40, days=100, seed=2)
    tags = tmp_path / "tags.jsonl"
    run_backtest(tmp_path, plan, "--tags", str(tags))
    seen = list(read_tags(tags.read_bytes().splitlines()))
    labels = labels_of(plan)
    for rule in [signal.rule for signal in SIGNALS]:
        scores = score([label for label in labels if label.rule != rule], seen)
        assert {line.rule for line in scores if line.extra} == {rule}
