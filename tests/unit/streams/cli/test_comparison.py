"""`tagger backtest --against --report`: what opens, what the policy lets go, and which customers differ."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from streams.cli.backtest import backtest
from streams.settings import Settings

PACK = """\
pack: p
rules:
  rich: {when: assets >= %d, offer: {family: bundle, priority: 5}}
  poor: {when: assets < 10, offer: {family: coupon, channel: call}}
"""
POLICY = "consent: false\nquiet_hours: {from: 21:00, to: 09:00}\ncaps: {push: {per_day: 1}}\n"


def line(topic: str, event_id: str, customer: str, at: str, **fields: Any) -> str:
    value = {"event_id": event_id, "customer_id": customer, "occurred_at": f"{at}+08:00", **fields}
    return json.dumps({"topic": topic, "value": value})


def credit(customer: str, at: str, amount: str) -> str:
    fields = {"account_id": customer, "direction": "credit", "amount": amount}
    return line("bank.transactions", f"{customer}{at}", customer, at, **fields)


RECORDS = [
    credit("C1", "2026-03-02T10:00:00", "100.00"),
    credit("C2", "2026-03-02T22:00:00", "150.00"),
    credit("C3", "2026-03-03T12:00:00", "5.00"),
    credit("C4", "2026-03-04T12:00:00", "250.00"),
]


def rules(folder: Path, cut: int, policy: str | None = POLICY) -> str:
    folder.mkdir()
    (folder / "p.yaml").write_text(PACK % cut, encoding="utf-8")
    if policy is not None:
        (folder / "policy.yaml").write_text(policy, encoding="utf-8")
    return str(folder)


def run(folder: Path, *options: str) -> Result:
    source = folder / "bank.jsonl"
    source.write_text("\n".join(RECORDS), encoding="utf-8")
    result = CliRunner().invoke(backtest, [str(source), "--format", "jsonl", *options], obj=Settings())
    assert result.exit_code == 0, result.output
    return result


def test_two_rulebooks_over_the_same_records(tmp_path: Path) -> None:
    new, old = rules(tmp_path / "new", 100), rules(tmp_path / "old", 200)
    result = run(tmp_path, "--rules", new, "--against", old, "--json")
    told = json.loads(result.stdout)["comparison"]
    assert (told["days"], told["customers_that_differ"], told["differences"]) == (3, 2, 2)
    assert told["rules"] == {
        "poor": {"old": {"opened": 1, "pushes": 1}, "new": {"opened": 1, "pushes": 1}},
        "rich": {"old": {"opened": 1, "pushes": 1}, "new": {"opened": 3, "pushes": 3}},
    }
    assert told["held"] == {"old": {}, "new": {"quiet_hours": 1}}
    assert told["pushes"] == {"old": 2, "new": 4}


def test_the_report_names_the_customers_that_differ_and_why(tmp_path: Path) -> None:
    new, old = rules(tmp_path / "new", 100), rules(tmp_path / "old", 200)
    report, tags = tmp_path / "out.html", tmp_path / "tags.jsonl"
    result = run(tmp_path, "--rules", new, "--against", old, "--report", str(report), "--tags", str(tags))
    assert "2 customers differ in 2 episodes" in result.stdout
    html = report.read_text(encoding="utf-8")
    for said in (
        "<td>C1</td><td>rich</td><td>2026-03-02T10:00:00+08:00</td><td>only new</td>"
        "<td>assets &gt;= 100 (assets 100.00)</td>",
        '<td class="n">0.33</td><td class="n">1.00</td><td class="n">0.33</td><td class="n">1.00</td>',
        '<tr><td>push, bundle</td><td class="n">3</td></tr>',
        '<tr><td>held: quiet_hours</td><td class="n">1</td></tr>',
    ):
        assert said in html
    assert "<td>C4</td>" not in html
    alone = tmp_path / "alone.jsonl"
    run(tmp_path, "--rules", new, "--tags", str(alone))
    assert tags.read_bytes() == alone.read_bytes()


def test_a_report_needs_no_other_rulebook(tmp_path: Path) -> None:
    report = tmp_path / "out.html"
    run(tmp_path, "--rules", rules(tmp_path / "new", 100, policy=None), "--report", str(report))
    html = report.read_text(encoding="utf-8")
    assert '<tr><td>rich</td><td class="n">1.00</td><td class="n">1.00</td></tr>' in html
    assert "differ" not in html


def test_equal_rulebooks_differ_in_nothing(tmp_path: Path) -> None:
    new = rules(tmp_path / "new", 100)
    told = json.loads(run(tmp_path, "--rules", new, "--against", new, "--json").stdout)["comparison"]
    assert (told["differences"], told["old"]) == (0, told["new"])
