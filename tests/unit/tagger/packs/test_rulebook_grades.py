"""What is refused of scorecards, matrices, approvals, lists and the later verbs, and how it is told."""

import pytest

from tagger.lint.checks import lint
from tagger.lint.state_bounds import state_bounds
from tagger.packs.errors import RulebookError
from tagger.packs.rulebook import read_rulebook

GRID = "rows: {by: assets, cuts: [1, 2]}, columns: {by: assets, cuts: [5]}"


def errors_of(text: str) -> list[str]:
    with pytest.raises(RulebookError) as caught:
        read_rulebook({"p.yaml": text})
    return [str(error).removeprefix("p.yaml:") for error in caught.value.errors]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("points: {}, levels: {a: 1}", "expected 1 to 32 parts"),
        ("points: {a: {by: assets, bins: {}}}, levels: {a: 1}", "expected 1 to 32 bins"),
        (
            "points: {a: {by: assets, bins: {2: 1, 1: 2}}}, levels: {a: 1}",
            "1 follows 2; expected numbers",
        ),
        ("points: {a: {by: assets, bins: {5万: 1, 50000: 2}}}, levels: {a: 1}", "bins that begin apart"),
        ("points: {a: {by: assets, bins: {lrge: 1}}}, levels: {a: 1}", "did you mean `large`?"),
        ("points: {a: {by: assets, weight: lrge, bins: {1: 1}}}, levels: {a: 1}", "did you mean `large`?"),
        ("points: {a: {by: occupation, bins: {1: 1}}}, levels: {a: 1}", "levels are told apart by a text"),
        ("points: {total: {by: assets, bins: {1: 1}}}, levels: {a: 1}", "a tag's value says this already"),
        ("points: {a: {by: asets, bins: {1: 1}}}, levels: {a: 1}", "did you mean `assets`?"),
        ("points: {a: {by: assets, bin: {1: 1}, bins: {1: 1}}}, levels: {a: 1}", "did you mean `bins`?"),
        (GRID + ", cells: [[a, b], [a, b]]", "3 lists of cells, one more than `rows` has cuts"),
        (GRID + ", cells: [[a, b], [a], [a, b]]", "2 cells a list, one more than `columns` has cuts"),
        (GRID.replace("1, 2", "2, 2") + ", cells: [[a, b], [a, c], [a, b]]", "2 follows 2"),
        (GRID + ", cells: [[a, b], [a, c], [a, b]], silent: [d]", "a level of this matrix (a, b, c)"),
        (GRID + ", cells: [[a, b], [a, c], [a, b]], leave_below: 90%", "unknown key `leave_below`"),
        ("by: assets, levels: {a: 1, b: 2}, approval: {from: c}", "a level of this ladder (a, b)"),
        ("by: assets, levels: {a: 1, b: 2}, approval: {form: b}", "did you mean `from`?"),
        ("by: assets, levels: {a: 1, b: 2}, silent: [b], approval: {from: a}", "levels that make a tag"),
    ],
)
def test_a_rule_is_refused(rule: str, told: str) -> None:
    errors = errors_of(f"pack: p\nsettings: {{large: 10}}\nrules:\n  r: {{{rule}}}\n")
    assert any(told in error for error in errors), errors


MODEL = "{r: 0.24, alpha: 30, a: 0.79, b: 2.4, p: 6.2, q: 3.7, v: 15, discount: 0.1}"


@pytest.mark.parametrize(
    ("feature", "told"),
    [
        ("{count: cards, over: ever}", "no `over`: a list is what the latest profile says"),
        ("{count: crads}", "did you mean `cards`?"),
        ("{sum: kind, of: cards}", "unknown field `kind` of cards"),
        ("{next: family, of: holdings}", "unknown field `family` of holdings; expected matures_on"),
        ("{next: matures_on, of: app_events}", "expected transactions, cards or holdings"),
        ("{distinct: amount, of: transactions, over: 7d}", "unknown field `amount`"),
        ("{distinct: kind, of: transactions, over: month}", "distinct over Nd"),
        ("{top: family, of: holdings, over: 7d}", "expected transactions or app_events"),
        ("{count: cards, where: today > expires_on}", "there is no `today` inside `where`"),
        ("{count: cards, where: 'birthday_in(opened_on, 3)'}", "`birthday_in` needs today"),
        ("{count: transactions, over: 7d, where: days_to(matures_on) > 3}", "`days_to` needs today"),
        ("{recurring: transactions, every: week}", "expected month, quarter or year"),
        ("{recurring: transactions, slack: 2h}", "a number of days such as 3d"),
        ("{recurring: transactions, times: 1}", "times of at least 2"),
        ("{recurring: app_events}", "expected transactions"),
        ("{summary: app_events}", "expected transactions"),
        ("{expr: 'clv(n, model, 365)'}", "`n` is no summary"),
        ("{expr: 'clv(bought.x, model, 365)'}", "`bought.x` is no summary"),
        ("{expr: 'clv(bought, large, 365)'}", "`large` is no group of settings"),
        ("{expr: 'clv(bought, half, 365)'}", "`half` lacks a, b, p, q, v, discount"),
        ("{expr: 'clv(bought, gap, 365)'}", "`gap` makes no model; expected `q` above 1"),
        ("{expr: 'clv(bought, model, 0)'}", "`0` is no number of days"),
        ("{expr: 'clv(bought, model, bought.x)'}", "`bought.x` is no number of days"),
        ("{expr: 'clv(bought, model)'}", "`clv` takes 3 arguments"),
        ("{expr: bought > 1}", "`bought` has parts; say which"),
    ],
)
def test_a_feature_is_refused(feature: str, told: str) -> None:
    gap = MODEL.replace("q: 3.7", "q: 1")
    text = f"""
pack: p
settings: {{large: 10, half: {{r: 1, alpha: 2}}, model: {MODEL}, gap: {gap}}}
features:
  n: {{count: transactions, over: 7d}}
  bought: {{summary: transactions}}
  f: {feature}
rules: {{r: {{when: n + bought.x > large}}}}
"""
    errors = errors_of(text)
    assert any(told in error for error in errors), errors


def test_errors_stand_where_the_number_does() -> None:
    text = """pack: p
rules:
  r:
    points:
      a: {by: assets, weight: lots, bins: {1: few}}
    levels: {a: many}
  m: {rows: {by: assets, cuts: [x]}, columns: {by: assets, cuts: [1]}, cells: [[a, b], [c, d]]}
"""
    assert [error.partition(": ")[0] for error in errors_of(text)] == ["5:31", "5:47", "6:17", "7:33"]


def test_no_feature_may_take_a_name_that_means_something() -> None:
    for name in ("total", "rank", "cards", "holdings", "clv"):
        assert "means something already" in errors_of(f"pack: p\nfeatures: {{{name}: {{expr: '1'}}}}")[0]


def test_a_level_beyond_all_points_is_found() -> None:
    text = """
pack: p
settings: {w: 2, few: 3, cut: 1}
rules:
  r: {points: {a: {by: assets, weight: w, bins: {10: few, cut: 5}}}, levels: {low: 1, high: 11}}
""".replace("{10: few, cut: 5}", "{cut: few, 10: 5}")
    found = [str(finding) for finding in lint(read_rulebook({"p.yaml": text}))]
    assert [line for line in found if "never reached" in line] == [
        "p.yaml:5:87: `high` from 11 is never reached: the points come to 10 at most; expected a lower start"
    ]
    assert not any("nothing reads" in line for line in found)


def test_bounds_are_those_of_the_definitions() -> None:
    text = """
pack: p
features:
  d: {distinct: kind, of: transactions, over: 7d, at_most: 4}
  n: {next: matures_on, of: transactions}
  r: {recurring: transactions, times: 3}
  s: {summary: transactions}
  c: {count: cards}
rules:
  plain: {by: d + days_to(n) + r.day + s.x + c, levels: {a: 1, b: 2}}
  asked: {by: d, levels: {a: 1, b: 2}, approval: {from: b}}
"""
    bounds = {bound.name: bound.bytes for bound in state_bounds(read_rulebook({"p.yaml": text}))}
    assert bounds["p.n"] == 16 + 32 * 5
    assert bounds["p.d"] == 16 + 4 * (1 + 66 + 5 + 9 + 66)
    assert bounds["p.r"] == 16 + 4 * (1 + 5 + 9 + 9 + 66 + 5)
    assert bounds["p.c"] == 0
    assert 0 < bounds["p.s"] < 300
    assert bounds["asked"] == bounds["plain"] + 320


def test_the_digest_knows_every_part() -> None:
    text = "pack: p\nrules: {r: {points: {a: {by: assets, weight: 2, bins: {1: 1, 2: 3}}}, levels: {x: 1}}}"
    digest = read_rulebook({"p.yaml": text}).digest
    changes = [("weight: 2", "weight: 3"), ("1: 1", "1: 2"), ("2: 3", "2.5: 3"), ("x: 1", "x: 2"), ("{a:", "{b:")]
    others = {read_rulebook({"p.yaml": text.replace(*change)}).digest for change in changes}
    assert len(others | {digest}) == len(changes) + 1
    assert read_rulebook({"p.yaml": text.replace("2: 3", "2.0: 3.0")}).digest == digest
