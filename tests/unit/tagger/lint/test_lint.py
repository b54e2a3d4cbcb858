"""What the linter finds, one small rulebook a finding, and what it leaves alone."""

import pytest

from schemas.packs.features import FEATURE_MODELS, LIST_MODELS
from tagger.lint.checks import lint
from tagger.lint.state_bounds import FEATURE_BYTES, state_bounds
from tagger.packs.rulebook import read_rulebook

COVERED = """
cases:
  - it: opens
    given: [{at: 2026-03-02 09:00, credit: 1}]
    expect: [{at: 2026-03-02 09:00, opened: r}]
  - it: stays silent
    given:
      - {at: 2026-03-02 09:00, credit: 1}
      - {at: 2026-03-02 09:00, profile: {gender: f}}
      - {at: 2026-03-02 09:00, action: view}
    expect: []
"""


DAYS = "features: {f: {count: transactions, over: 7d}}\n"
HOURS = "features: {f: {count: transactions, over: 2h}}\n"
HALF = "features: {f: {count: transactions, over: 7d}, g: {expr: f / 2}}\n"
MATRIX = "rules: {r: {rows: {by: f, cuts: CUTS}, columns: {by: loan, cuts: [1]}, cells: [[a, b], [c, d], [e, f]]}}"
WATCH = "rules: {r: {after: {event: transactions, where: WHERE}, within: 1d, when: retained < 0.5}}"
MANY = " and ".join(f"{name} > 1 and {name} < 9" for name in ("loan", "current", "term", "wealth", "credit_score"))


def opens_on(*levels: str) -> str:
    """COVERED, the rule opening on each of these levels, if it has any."""
    tags = ", ".join(f"{{at: 2026-03-02 09:00, opened: r, level: {level}}}" for level in levels)
    return COVERED.replace("{at: 2026-03-02 09:00, opened: r}", tags) if levels else COVERED


def findings(text: str, *, covered: bool = True) -> list[str]:
    rulebook = read_rulebook({"p.yaml": "pack: p\n" + text})
    if covered:
        levels = getattr(rulebook.rules["r"][1], "level_names", ())
        rulebook = read_rulebook({"p.yaml": "pack: p\n" + text + opens_on(*levels)})
    return [str(finding) for finding in lint(rulebook)]


@pytest.mark.parametrize(
    "text",
    [
        "rules: {r: {when: assets > 1}}",
        "settings: {a: 1, c: {x: 2}}\nrules: {r: {by: assets * a, levels: {low: otherwise, high: c.x}}}",
        "features: {f: {count: transactions, over: 7d}}\nrules: {r: {when: f > 64 and f < 70, for: 7d}}",
        "features: {f: {count: transactions, over: 6h}}\nrules: {r: {when: f >= 64, for: 30m}}",
        "features: {f: {count: transactions, over: 7d}}\nrules: {r: {when: assets > 1, refresh: f}}",
        "rules: {r: {after: {event: transactions}, within: 7d, when: retained < 1 and retained > 0, for: 7d}}",
        "rules: {r: {by: assets, levels: {a: 0, b: 10, c: 20}, leave_below: 60%}}",
        "rules: {r: {when: assets > 1 and assets <= 2 or assets == 5 and loan > 1}}",
        "rules: {r: {levels: {a: assets >= 1000, b: assets >= 5000, c: assets >= 5000 and loan > 0}}}",
        "rules: {r: {levels: {a: otherwise, b: age(birth_date) >= 60, c: 'gender == \"f\"'}}}",
        # Unknown is neither: whoever has no income on record stands on `a`.
        "rules: {r: {levels: {a: otherwise, b: household_income < 5, c: household_income >= 5}}}",
        # While `c` waits for a checker, whoever meets it stands on `b`.
        "rules: {r: {levels: {a: assets > 1, b: assets > 5, c: assets > 3}, approval: {from: c}}}",
        DAYS + MATRIX.replace("CUTS", "[1, 99]"),
        HALF + MATRIX.replace("CUTS", "[-9, 99]").replace("by: f", "by: f - g"),
        "features: {f: {count: transactions, over: 6h}}\n"
        "rules: {r: {points: {x: {by: f, bins: {0: 1, 64: 2}}}, levels: {a: 1}}}",
        "rules: {r: {when: assets > 3, until: assets > 4}}",
        'rules: {r: {when: \'gender == "f" or gender == "m"\', until: assets > 2 and loan > 3}}',
        "rules: {r: {when: household_income > 5 or household_income <= 5}}",
        "rules: {r: {when: assets > loan and assets < loan + 1}}",
        "rules: {r: {when: 3 < assets < 5, valid: {from: 2026-03-02, to: 2026-03-02}}}",
        HALF + "rules: {r: {when: 2 < g < 3}}",
        f"rules: {{r: {{when: {MANY} and assets > 5 and assets < 6}}}}",
    ],
)
def test_nothing_to_find(text: str) -> None:
    assert findings(text) == []


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            "features: {f: {count: transactions, over: 7d}}\nrules: {r: {when: assets > 1}}",
            "2:12",
            "nothing reads `f`",
        ),
        ("settings: {a: 1, b: 2}\nrules: {r: {when: assets > a}}", "2:18", "nothing reads `b`"),
        (
            "rules: {r: {by: assets, levels: {a: 0, b: 20, c: 20}}}",
            "2:40",
            "`b` from 20 is never reached: `c` begins",
        ),
        (
            "rules: {r: {by: assets, levels: {a: 0, b: 30, c: 20}}}",
            "2:40",
            "`b` from 30 is never reached: `c` begins",
        ),
        (
            "rules: {r: {by: assets, levels: {a: 0, b: 19, c: 20}, leave_below: 95%}}",
            "2:47",
            "`c` is left below 19, where `b` has already been left",
        ),
        ("rules: {r: {by: assets, levels: {a: 0}, silent: [a]}}", "2:41", "every level is silent"),
        ("rules: {r: {levels: {a: otherwise, b: 1 > 2}}}", "2:36", "`1 > 2` is always false"),
        ("rules: {r: {when: 1 < 2}}", "2:13", "`1 < 2` is always true"),
        ("rules: {r: {when: True}}", "2:13", "`True` is always true"),
        ("rules: {r: {when: assets > 5 and assets < 5}}", "2:13", "`assets > 5 and assets < 5` is always false"),
        ("rules: {r: {when: assets >= 6 and loan > 1 and 5 >= assets}}", "2:13", "is always false"),
        ("rules: {r: {when: assets == 5 and assets == 6}}", "2:13", "is always false"),
        (
            "rules: {r: {when: assets > 1, until: 'today.day in [1] and 2 in [2]'}}",
            "2:31",
            "`2 in [2]` is always true",
        ),
        (
            "rules: {r: {after: {event: transactions, where: amount > 0}, within: 1d, when: retained < 0.5}}",
            "2:42",
            "`amount > 0` is always true",
        ),
        ("rules: {r: {after: {event: transactions}, within: 1d, when: retained <= 1}}", "2:55", "always true"),
        ("rules: {r: {after: {event: transactions}, within: 1d, when: retained < 0}}", "2:55", "always false"),
        (
            "rules: {r: {after: {event: transactions, where: hour > 23}, within: 1d, when: retained < 0.5}}",
            "2:42",
            "`hour > 23` is always false",
        ),
        ('rules: {r: {when: \'gender == "f" and gender == "m"\'}}', "2:13", "is always false"),
        (WATCH.replace("WHERE", '\'direction == "credit" and direction == "debit"\''), "2:42", "is always false"),
        ("rules: {r: {when: today.month > 12}}", "2:13", "`today.month > 12` is always false"),
        ("rules: {r: {when: loan > 1 and today.weekday < 8}}", "2:13", "`today.weekday < 8` is always true"),
        ("rules: {r: {when: 5 < assets < 3}}", "2:13", "`5 < assets < 3` is always false"),
        ("rules: {r: {when: loan > 1 and (assets > 5 or assets <= 5)}}", "2:13", "assets <= 5` is always true"),
        ("rules: {r: {when: assets > 3 and not assets > 2}}", "2:13", "and not assets > 2` is always false"),
        ("rules: {r: {when: days_to(birth_date) < 3 and days_to(birth_date) > 5}}", "2:13", "always false"),
        (DAYS + "rules: {r: {when: 2 < f < 3}}", "3:13", "`2 < f < 3` is always false"),
        (HALF + "rules: {r: {when: g > 2 and g < 2}}", "3:13", "is always false"),
        (f"rules: {{r: {{when: {MANY} and assets > 5 and assets < 5}}}}", "2:13", "is always false"),
        ("rules: {r: {levels: {gold: assets > 50, silver: assets > 10}}}", "2:22", "`gold` is never reached:"),
        (
            "rules: {r: {levels: {a: otherwise, b: assets > 5, c: assets <= 5}}}",
            "2:22",
            "`a` is never reached: wherever it is met, a later one is too",
        ),
        (
            DAYS + MATRIX.replace("CUTS", "[-5, 3]"),
            "3:34",
            "nothing lies below -5: `f` is never below 0; expected a number above 0",
        ),
        (HOURS + MATRIX.replace("CUTS", "[1, 65]"), "3:37", "nothing reaches 65: `f` is 64 at most"),
        (HOURS + "rules: {r: {by: f, levels: {a: 1, b: 70}}}", "3:35", "nothing reaches 70: `f` is 64 at most"),
        (
            HOURS + "rules: {r: {points: {x: {by: f, bins: {1: 1, 99: 2}}}, levels: {a: 1}}}",
            "3:46",
            "nothing reaches 99: `f` is 64 at most",
        ),
        (
            HOURS + "rules: {r: {by: f, levels: {a: -3, b: 0}}}",
            "3:36",
            "nothing lies below 0: `f` is never below 0",
        ),
        (
            "rules: {r: {when: assets > 1, valid: {from: 2026-03-02, to: 2026-03-01}}}",
            "2:31",
            "`valid` ends before it begins: it never fires",
        ),
        (
            "rules: {r: {when: assets > 1, for: 1d, valid: {from: 2026-03-02, to: 2026-03-01}}}",
            "2:40",
            "`valid` ends before it begins: it never fires",
        ),
        (
            "rules: {r: {when: assets > 3 and loan > 1, until: assets > 2}}",
            "2:44",
            "`until` is true whenever `when` is: it never fires",
        ),
        (
            "features: {f: {count: transactions, over: 7d}}\nrules: {r: {when: f >= 0}}",
            "3:13",
            "`f >= 0` is always",
        ),
        ("features: {f: {count: transactions, over: 7d}}\nrules: {r: {when: 0 > f}}", "3:13", "`0 > f` is always"),
        (
            "features: {f: {count: transactions, over: 2h}}\nrules: {r: {when: f >= 65}}",
            "3:13",
            "`f >= 65` is always false",
        ),
        ("features: {f: {count: transactions, over: 2h}}\nrules: {r: {when: f > 64}}", "3:13", "always false"),
        (
            "features: {f: {count: transactions, over: 2h}}\nrules: {r: {when: f > 1, for: 3h}}",
            "3:26",
            "`for` is longer than the window of `f`",
        ),
        (
            "rules: {r: {after: {event: transactions}, within: 1d, when: retained < 0.5, for: 25h}}",
            "2:77",
            "`for` is longer than `within`",
        ),
        (
            "rules: {r: {when: assets > 1, for: 3d, valid: {from: 2026-03-01, to: 2026-03-02}}}",
            "2:31",
            "`for` is longer than `valid`",
        ),
    ],
)
def test_finding(text: str, place: str, message: str) -> None:
    told = findings(text)
    assert len(told) == 1, told
    assert told[0].startswith(f"p.yaml:{place}: ")
    assert message in told[0]


def test_what_is_true_of_an_empty_window_may_be_waited_for_beyond_it() -> None:
    quiet = "features: {f: {count: transactions, over: 1d}}\nrules: {r: {when: f COMPARED, for: 90d}}"
    assert findings(quiet.replace("COMPARED", "== 0")) == []
    assert findings(quiet.replace("COMPARED", "< 2")) == []
    assert len(findings(quiet.replace("COMPARED", "== 1"))) == 1


def test_a_rule_needs_a_case_that_opens_and_one_that_stays_silent() -> None:
    assert findings("rules: {r: {when: assets > 1}}", covered=False) == [
        "p.yaml:2:9: no case in which `r` opens",
        "p.yaml:2:9: no case in which `r` stays silent although its inputs come",
    ]


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ("{by: assets, levels: {low: 0, mid: 10, high: 20}", "2:51"),
        ("{points: {a: {by: assets, weight: 1, bins: {0: 20}}}, levels: {low: 0, mid: 10, high: 20}", "2:92"),
        (
            "{rows: {by: assets, cuts: [10]}, columns: {by: loan, cuts: [5]}, cells: [[low, mid], [high, low]]",
            "2:77",
        ),
    ],
    ids=["ladder", "scorecard", "matrix"],
)
def test_each_level_that_makes_a_tag_needs_a_case_that_opens_on_it(rule: str, place: str) -> None:
    text = f"rules: {{r: {rule}, silent: [low]}}}}"
    told = [f"p.yaml:{place}: no case in which `r` opens on `high`"]
    assert findings(text + opens_on("mid", "high"), covered=False) == []
    assert findings(text + opens_on("mid"), covered=False) == told


def test_a_silent_case_must_bring_what_the_rule_looks_at() -> None:
    looks = "features: {f: {count: app_events, over: 7d}, g: {expr: f + 1}}\nrules: {r: {when: g > 1}}"
    assert findings(looks) == []
    no_view = COVERED.replace("      - {at: 2026-03-02 09:00, action: view}\n", "")
    assert findings(looks + no_view, covered=False) == [
        "p.yaml:3:9: no case in which `r` stays silent although its inputs come"
    ]


def test_a_case_of_other_rules_covers_nothing() -> None:
    text = "rules: {r: {when: assets > 1}, s: {when: loan > 1}}" + COVERED.replace(
        "- it: stays", "- rules: [r]\n    it: stays"
    )
    assert [line.split(": ")[1] for line in findings(text, covered=False)] == [
        "no case in which `s` opens",
    ]


def test_every_verb_has_a_bound() -> None:
    assert set(FEATURE_BYTES) == {*FEATURE_MODELS.values(), *LIST_MODELS.values()}


def test_bounds_grow_with_the_window() -> None:
    text = """
features:
  week: {count: transactions, over: 7d}
  year: {count: transactions, over: 12mo}
  ever: {count: transactions, over: ever}
  hour: {sum: amount, of: transactions, over: 1h}
  low: {low: assets, over: 7d}
rules:
  r: {when: week + year + ever > 1 and hour + low > 1}
"""
    bounds = {bound.name: bound.bytes for bound in state_bounds(read_rulebook({"p.yaml": "pack: p" + text}))}
    # 16 bytes of framing, 14 a day or month, 18 for each of 64 events.
    assert bounds["p.week"] == 16 + 7 * 14
    assert bounds["p.year"] == 16 + 12 * 14
    assert bounds["p.ever"] == 16 + 14
    assert bounds["p.hour"] == 16 + 64 * 18
    assert bounds["p.low"] == 0
    assert bounds["r"] > 0
