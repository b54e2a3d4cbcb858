"""`tagger rules check`: what an event may touch and about costs; with --measure, what a made-up bank took."""

import json
from pathlib import Path

from click.testing import CliRunner

from schemas.bankday import BankCalendar
from streams.cli.rules import rules
from streams.rulebooks.cost import BASE_US, RULE_US, UPDATE_US, Estimate, estimate, measure
from streams.settings import Settings
from tagger.compiler.program import Program
from tagger.packs.rulebook import read_rulebook

PACK = """\
pack: p
features:
  n: {count: transactions, over: 3d}
  same: {count: transactions, over: 3d}
  views: {count: app_events, over: 3d}
rules:
  rich: {when: assets >= 100}
  busy: {when: n >= 3 and same >= 3 and views < 9}
  young: {when: age(birth_date) < 30}
"""


def test_an_event_is_charged_for_what_it_may_touch() -> None:
    found = {
        one.kind: one for one in estimate(Program(read_rulebook({"p.yaml": PACK}), BankCalendar("Asia/Shanghai")))
    }
    # Equal definitions share their state, and are updated once.
    assert found["transactions"] == Estimate("transactions", 1, 2, BASE_US + UPDATE_US + 2 * RULE_US)
    assert (found["app_events"].features, found["app_events"].rules) == (1, 1)
    assert (found["profiles"].features, found["profiles"].rules) == (0, 1)


def test_a_made_up_bank_is_measured() -> None:
    found = measure(read_rulebook({"p.yaml": PACK}), Settings())
    assert set(found.events) == set(found.cpu_us) == {"transactions", "app_events", "profiles"}
    assert found.events["profiles"] == 200
    assert all(cost > 0 for cost in (*found.cpu_us.values(), found.commit_us, found.day_us))
    assert 100 < found.state_bytes[0] < found.state_bytes[1]


def test_check_tells_both(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(PACK, encoding="utf-8")
    result = CliRunner().invoke(rules, ["check", str(tmp_path), "--json", "--measure"])
    told = json.loads(result.stdout)
    assert [one["kind"] for one in told["cost"]][:2] == ["transactions", "app_events"]
    assert told["measured"]["events"]["profiles"] == 200
    plain = CliRunner().invoke(rules, ["check", str(tmp_path), "--measure"]).stdout
    assert "measured CPU µs" in plain
    assert "µs a customer and day that passes" in plain
