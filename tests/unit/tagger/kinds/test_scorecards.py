"""Scorecards and matrices: points, totals, cells, edges, unknown, evidence; settings in place of numbers."""

import pytest
from builders import money, profile
from casepacks import cases_hold
from driver import run

from tagger.compiler import reach

STARS = """
pack: p
settings: {weights: {size: 2, mix: 0.5}, big: 5万, lots: 3}
features:
  kinds: {distinct: kind, of: transactions, over: 30d}
  star: {level: stars}
rules:
  stars:
    points:
      size: {by: assets, weight: weights.size, bins: {100: 1, big: lots}}
      mix: {by: kinds, weight: weights.mix, bins: {2: 1, 3: 4}}
      record: {by: credit_score, bins: {600: 1}}
    levels: {one: otherwise, two: 2, three: 7.5}
    leave_below: 50%
    silent: [one]
"""


def test_a_total_is_the_weighted_sum_of_bins() -> None:
    cases_hold(
        STARS
        + """
cases:
  - it: is unknown while a part is, and then on the first level
    given: [{at: 2026-03-02 09:00, credit: 60000}]
    expect: []
    features: {star.name: one, star.rank: 0, star.next: 2}
  - it: counts a number equal to a bin as in it, and one below the first as none
    given:
      - {at: 2026-03-02 09:00, profile: {credit_score: 599}}
      - {at: 2026-03-02 10:00, credit: 50000, kind: a}
      - {at: 2026-03-02 11:00, credit: 1, kind: b}
      - {at: 2026-03-02 12:00, profile: {credit_score: 600}}
    expect:
      - {at: 2026-03-02 10:00, opened: stars, level: two, value: {assets: 50000, total: 6, size: 6, mix: 0}}
      - {at: 2026-03-02 12:00, revoked: stars, level: two, reason: level}
      - {at: 2026-03-02 12:00, opened: stars, level: three, value: {total: 7.5, mix: 0.5, record: 1, rank: 2}}
    features: {star.next: unknown}
  - it: leaves a level below half its start
    given:
      - {at: 2026-03-02 09:00, profile: {credit_score: 600}}
      - {at: 2026-03-02 10:00, credit: 100}
      - {at: 2026-03-02 11:00, debit: 1}
      - {at: 2026-03-02 12:00, profile: {}}
    expect:
      - {at: 2026-03-02 10:00, opened: stars, level: two, value: {total: 3}}
      - {at: 2026-03-02 12:00, revoked: stars, level: two, reason: level, value: {total: unknown, record: unknown}}
"""
    )


def test_a_scorecard_says_why() -> None:
    result = run(
        [profile("2026-03-02 09:00", "p1", credit_score=700), money("2026-03-02 10:00", 60000, "t1")], STARS
    )
    evidence = result.told()[0]["evidence"]
    assert [(one["condition"], one["measured"], one["threshold"], one["holds"]) for one in evidence] == [
        ("total >= 2", {"total": 7}, "2", True),
        ("assets >= 50000.00", {"assets": "60000.00"}, "50000.00", True),
        ("kinds < 2", {"kinds": 1}, "2", True),
        ("credit_score >= 600", {"credit_score": 700}, "600", True),
    ]


def test_a_part_named_like_what_it_measures_leaves_the_name_its_value() -> None:
    pack = "pack: p\nrules: {r: {points: {assets: {by: assets, bins: {10: 5}}}, levels: {some: 1}}}"
    value = run([money("2026-03-02 09:00", 20, "t1")], pack).told()[0]["value"]
    assert value == {"assets": "20.00", "total": 5, "rank": 0, "previous_rank": None}


def test_points_below_zero_count_too() -> None:
    pack = """
pack: p
rules:
  r: {points: {a: {by: assets, weight: -2, bins: {-10: 3, 0: 1}}}, levels: {bad: -6, fair: -2}}
"""
    result = run([money("2026-03-02 09:00", -5, "t1"), money("2026-03-02 10:00", 5, "t2")], pack)
    assert [(tag["level"], tag["value"]["total"]) for tag in result.told()] == [
        ("bad", -6),
        ("bad", -2),
        ("fair", -2),
    ]


MATRIX = """
pack: p
settings: {risky: 1000}
features:
  cell: {level: grid}
rules:
  grid:
    rows: {by: expected_profit, cuts: [0, 5000]}
    columns: {by: expected_risk, cuts: [risky]}
    cells: [[watch, leave], [keep, watch], [aaa, keep]]
    offers: {aaa: {family: priority-service}}
  best: {when: 'cell.name == "aaa"'}
"""


def test_a_cell_is_where_two_measures_meet() -> None:
    cases_hold(
        MATRIX
        + """
cases:
  - it: puts a number equal to a cut above it, and stays in cells of one name
    rules: [grid]
    given:
      - {at: 2026-03-02 09:00, profile: {expected_profit: "4999.99", expected_risk: "999.99"}}
      - {at: 2026-03-02 10:00, profile: {expected_profit: "5000", expected_risk: "1000"}}
      - {at: 2026-03-02 11:00, profile: {expected_profit: "5000", expected_risk: "999"}}
      - {at: 2026-03-02 12:00, profile: {expected_profit: "-0.01", expected_risk: "1000"}}
      - {at: 2026-03-02 13:00, profile: {expected_profit: "1"}}
    expect:
      - {at: 2026-03-02 09:00, opened: grid, level: keep}
      - {at: 2026-03-02 11:00, revoked: grid, level: keep, reason: level}
      - {at: 2026-03-02 11:00, opened: grid, level: aaa}
      - {at: 2026-03-02 12:00, revoked: grid, level: aaa, reason: level}
      - {at: 2026-03-02 12:00, opened: grid, level: leave}
      - {at: 2026-03-02 13:00, revoked: grid, level: leave, reason: ended}
    features: {cell.name: unknown}
  - it: can be read by name
    rules: [best]
    given: [{at: 2026-03-02 09:00, profile: {expected_profit: "5000", expected_risk: "0"}}]
    expect: [{at: 2026-03-02 09:00, opened: best}]
"""
    )


def test_a_matrix_has_no_rank_and_says_between_which_cuts() -> None:
    result = run(
        [profile("2026-03-02 09:00", "p1", expected_profit_fen=100_000, expected_risk_fen=200_000)], MATRIX
    )
    tag = result.told()[0]
    assert (tag["level"], tag["value"]) == ("watch", {"expected_profit": "1000.00", "expected_risk": "2000.00"})
    assert [one["condition"] for one in tag["evidence"]] == [
        "expected_profit >= 0.00", "expected_profit < 5000.00", "expected_risk >= 1000.00",
    ]  # fmt: skip
    assert all(one["holds"] for one in tag["evidence"])


def test_a_level_reached_in_the_cooldown_opens_when_it_is_over() -> None:
    cases_hold("""
pack: p
features: {step: {level: steps}}
rules:
  steps: {by: assets, levels: {low: 10, mid: 20, high: 30}, cooldown: 1d}
cases:
  - it: is stood on at once, and told after all that occurs at the end of the cooldown
    given:
      - {at: 2026-03-02 09:00, credit: 10}
      - {at: 2026-03-02 10:00, credit: 10}
      - {at: 2026-03-02 11:00, credit: 10}
      - {at: 2026-03-03 12:00}
    expect:
      - {at: 2026-03-02 09:00, opened: steps, level: low}
      - {at: 2026-03-02 10:00, revoked: steps, level: low, reason: level}
      - {at: 2026-03-03 09:00, opened: steps, level: high, value: {previous_rank: 1}}
    features: {step.name: high}
  - it: is not told when it was left again by then
    given:
      - {at: 2026-03-02 09:00, credit: 10}
      - {at: 2026-03-02 10:00, credit: 10}
      - {at: 2026-03-03 09:00, debit: 20}
      - {at: 2026-03-03 12:00}
    expect:
      - {at: 2026-03-02 09:00, opened: steps, level: low}
      - {at: 2026-03-02 10:00, revoked: steps, level: low, reason: level}
""")


def test_points_with_fractions_are_told_apart_behind_a_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "COMPILE_AFTER", 0)
    pack = """
    pack: p
    rules:
      card:
        points:
          held: {by: assets, weight: 0.5, bins: {0: 15, 1000: 40}}
          old: {by: age(birth_date), bins: {0: 0}}
        levels: {low: 0, mid: 15, high: 30}
    """
    result = run(
        [
            profile("2026-03-02 08:00", "p1", birth_date=726_000),
            money("2026-03-02 09:00", 2000, "t1"),
            money("2026-03-02 10:00", -1500, "t2"),
            profile("2026-03-02 11:00", "p2"),
        ],
        pack,
    )
    assert [(change, level) for _, change, level in result.brief()] == [
        ("opened", "card.low"),
        ("revoked", "card.low"),
        ("opened", "card.mid"),
        ("revoked", "card.mid"),
        ("opened", "card.low"),
        ("revoked", "card.low"),
    ]
