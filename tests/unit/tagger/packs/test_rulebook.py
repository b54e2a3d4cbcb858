"""Packs → rulebook: what is read, what the digest covers, and every error with its place."""

from decimal import Decimal

import pytest

from schemas.packs.features import Top
from schemas.packs.rules import LadderRule, SignalRule
from tagger.cases.run import run_cases
from tagger.expr.scope import Type
from tagger.packs.errors import PackError, RulebookError
from tagger.packs.rulebook import read_rulebook
from tagger.settings import CoreSettings

PACK = """\
pack: signals
title: What is happening now
settings: {large: 5万, kept: 0.2, cuts: {gold: 50000}}
features:
  views: {top: product_id, of: app_events, where: 'action == "view"', over: 7d}
  paid: {sum: amount, of: transactions, where: 'direction == "debit"', over: 3mo}
  tier: {level: layer}
  calm: {expr: 'paid < large and tier.rank >= 1'}
rules:
  gone:
    after: {event: transactions, where: amount >= large}
    within: 7d
    when: retained < kept
    for: 30m
    expires: 14d
    converts: {when: paid > 0}
    offer: {family: coupon, also: [trial], channel: call, priority: 50}
    valid: {from: 2026-03-01, to: 2026-03-31}
  quiet: {when: calm and views.count >= 3, needs: [invest, save]}
  layer:
    by: assets
    levels: {low: otherwise, gold: cuts.gold, high: 60万}
    leave_below: 95%
    silent: [low]
    offers: {gold: {family: points}}
cases: []
"""


def errors_of(*texts: str, **files: str) -> list[str]:
    named = {f"rules/{index}.yaml": text for index, text in enumerate(texts)} | files
    with pytest.raises(RulebookError) as caught:
        read_rulebook(named)
    return [str(error) for error in caught.value.errors]


def test_a_pack_is_read() -> None:
    rulebook = read_rulebook({"rules/signals.yaml": PACK, "rules/rulebook.yaml": "version: 2026.11"})
    (pack,) = rulebook.packs
    assert rulebook.name == f"2026.11:{rulebook.digest[:8]}"
    assert pack.settings == {"large": Decimal(50000), "kept": Decimal("0.2"), "cuts": {"gold": Decimal(50000)}}
    views = pack.features["views"]
    assert isinstance(views, Top)
    assert (views.field, views.source, views.over.count, views.at_most) == ("product_id", "app_events", 7, 32)
    gone, layer = pack.rules["gone"], pack.rules["layer"]
    assert isinstance(gone, SignalRule)
    assert isinstance(layer, LadderRule)
    assert (gone.within_ms, gone.for_ms, gone.expires_ms) == (7 * 86_400_000, 1_800_000, 14 * 86_400_000)
    assert gone.valid is not None
    assert str(gone.valid.from_) == "2026-03-01 00:00:00"
    assert str(gone.valid.to) == "2026-03-31 23:59:59.999000"
    assert gone.offer is not None
    assert (gone.offer.family, gone.offer.also, gone.offer.channel, gone.offer.priority) == (
        "coupon", ("trial",), "call", 50,
    )  # fmt: skip
    assert layer.levels == {"low": "otherwise", "gold": Decimal(50000), "high": Decimal(600_000)}
    assert (layer.otherwise, layer.leave_below, layer.silent) == ("low", Decimal("0.95"), ("low",))
    assert list(rulebook.rules) == ["gone", "quiet", "layer"]


def test_names_have_their_types() -> None:
    rulebook = read_rulebook({"a.yaml": PACK})
    names = rulebook.table.names(rulebook.packs[0])
    kinds = {
        "views.value": (Type.TEXT, True),
        "views.count": (Type.NUMBER, True),
        "paid": (Type.MONEY, False),
        "tier.name": (Type.TEXT, True),
        "tier.rank": (Type.NUMBER, True),
        "tier.next": (Type.MONEY, True),
        "calm": (Type.BOOLEAN, True),
        "assets": (Type.MONEY, False),
    }
    assert {name: (names[name].type, names[name].optional) for name in kinds} == kinds
    assert names["tier.name"].words == ("low", "gold", "high")
    assert set(kinds) <= set(names)


def test_packs_stand_in_order_of_their_names_whatever_their_files() -> None:
    texts = {"z.yaml": "pack: a\n", "a.yaml": "pack: z\n"}
    assert [pack.pack for pack in read_rulebook(texts).packs] == ["a", "z"]


def digest(text: str, name: str = "x.yaml") -> str:
    return read_rulebook({name: text}).digest


@pytest.mark.parametrize(
    ("right", "other"),
    [
        ("title: What is happening now", "title: Signals"),
        ("cases: []", "cases:\n  - {it: x, given: [], expect: []}"),
        ("large: 5万", "large: 50_000"),
        ("leave_below: 95%", "leave_below: 0.95"),
        ("    within: 7d\n", "    within: 168h\n    title: Gone\n"),
    ],
)
def test_wording_and_cases_do_not_change_the_digest(right: str, other: str) -> None:
    assert right in PACK
    assert digest(PACK.replace(right, other)) == digest(PACK)
    assert digest(PACK, "other/name.yaml") == digest(PACK)


@pytest.mark.parametrize(
    ("right", "other"),
    [
        ("kept: 0.2", "kept: 0.21"),
        ("over: 7d", "over: 8d"),
        ("within: 7d", "within: 8d"),
        ("sum: amount", "sum: balance_after"),
        ("high: 60万", "high: 61万"),
        ("family: points", "family: point"),
        ("silent: [low]", "silent: []"),
        ("pack: signals", "pack: signal"),
        ('"debit"', '"credit"'),
    ],
)
def test_whatever_decides_changes_the_digest(right: str, other: str) -> None:
    assert right in PACK
    assert digest(PACK.replace(right, other)) != digest(PACK)


def test_verbs_over_the_same_balance_differ() -> None:
    low, high = (f"pack: p\nfeatures: {{f: {{{verb}: assets, over: 7d}}}}" for verb in ("low", "high"))
    assert digest(low) != digest(high)


def test_the_digest_is_stable_over_releases() -> None:
    # A changed value here means that every published rulebook gets another name.
    assert digest("pack: p\nsettings: {a: 1}\nrules: {r: {when: assets > a}}") == "c099218e3f79bb1c"


def with_settings(settings: str) -> dict[str, str]:
    return {"x.yaml": PACK, "rulebook.yaml": f"version: 7\nsettings: {settings}"}


def test_a_deployment_overrides_settings() -> None:
    rulebook = read_rulebook(with_settings("{signals: {large: 6万, cuts: {gold: 70000}}}"))
    assert rulebook.version == "7"
    assert rulebook.packs[0].settings == {
        "large": Decimal(60000), "kept": Decimal("0.2"), "cuts": {"gold": Decimal(70000)},
    }  # fmt: skip
    layer = rulebook.packs[0].rules["layer"]
    assert isinstance(layer, LadderRule)
    assert layer.levels["gold"] == Decimal(70000)


def test_a_deployments_settings_decide_as_the_packs_own_would() -> None:
    changed = PACK.replace("large: 5万", "large: 6万").replace("gold: 50000}", "gold: 70000}")
    assert read_rulebook(with_settings("{signals: {large: 6万, cuts: {gold: 7万}}}")).digest == digest(changed)
    assert read_rulebook(with_settings("{signals: {large: 5万}}")).digest == digest(PACK)
    assert digest(changed) != digest(PACK)


def test_a_case_runs_under_the_deployments_settings() -> None:
    pack = """\
pack: p
settings: {least: 100}
rules: {r: {when: assets >= least}}
cases:
  - it: opens at the start
    given: [{at: 2026-03-02 09:00, credit: 100}]
    expect: [{at: 2026-03-02 09:00, opened: r}]
"""
    manifest = "version: 1\nsettings: {p: {least: 101}}"
    for files, passed in (({"p.yaml": pack}, True), ({"p.yaml": pack, "rulebook.yaml": manifest}, False)):
        (result,) = run_cases(read_rulebook(files), CoreSettings())
        assert result.passed is passed


def test_an_override_of_nothing_is_an_error_with_its_place() -> None:
    settings = """
  signals:
    lagre: 1
    kept: {a: 1}
    large: x
    cuts: {gold: 1, glod: 2}
  singals: {large: 1}
"""
    told = errors_of(**with_settings(settings))
    assert told == [
        "rulebook.yaml:6:12: got 'x'; expected a number such as 0.2, 50000 or 5万",
    ]
    told = errors_of(**with_settings(settings.replace("large: x", "large: 1")))
    assert told == [
        "rulebook.yaml:4:5: pack `signals` has no setting `lagre`; expected one of large, kept, cuts; "
        "did you mean `large`?",
        "rulebook.yaml:5:5: `kept` is one number; expected `kept: 5万`",
        "rulebook.yaml:7:21: setting `cuts` of pack `signals` has no `glod`; expected one of gold; "
        "did you mean `gold`?",
        "rulebook.yaml:8:3: there is no pack `singals`; expected one of signals; did you mean `signals`?",
    ]
    assert errors_of(**with_settings("{signals: {cuts: 5}}")) == [
        "rulebook.yaml:2:22: `cuts` is a group of numbers; expected {gold: …}, or some of these"
    ]


def test_an_override_of_what_is_wrong_itself_is_not_wrong_too() -> None:
    files = with_settings("{signals: {cuts: {gold: 1}}, other: {a: 1}}")
    files["x.yaml"] = PACK.replace("cuts: {gold: 50000}", "cuts: {gold: x}")
    files["y.yaml"] = "pack: other\nsettings: [a]"
    assert [line.split(";")[0] for line in errors_of(**files)] == [
        "x.yaml:3:47: got 'x'",
        "y.yaml:2:1: got 'a list'",
    ]


def test_one_file_says_the_version() -> None:
    files = {"x.yaml": PACK, "a/rulebook.yaml": "version: 1", "b/rulebook.yaml": "version: 2"}
    assert errors_of(**files) == [
        "b/rulebook.yaml:1:1: a/rulebook.yaml holds the version too; expected one rulebook.yaml"
    ]


def test_all_errors_of_all_packs_come_at_once_each_with_its_place() -> None:
    first = """\
pack: one
settings: {large: 5x}
features:
  views: {top: product_id, of: app_events, where: 'action == "veiw"', over: 7d}
  late: {distinct: product_id, of: app_events, over: 7d, at_most: 50}
  long: {count: transactions, over: 99d}
rules:
  r:
    when: views.cuont > 1 and
      assets > large
    within: 3d
  s: {whn: assets > 1}
  t: {when: long > 1, for: 3}
"""
    second = """\
pack: two
features:
  layer: {level: ladr}
rules:
  ladder:
    by: asets
    levels: {low: 0, high: hihg}
  r: {when: assets > 1 and nothing}
cases:
  - it: x
    given: [{at: 2026-03-02, credit: 1}, {at: 2026-03-02 09:00, credt: 1}]
    expect: [{at: 2026-03-02 09:00, opened: laddr}, {at: 2026-03-02 09:00, opened: ladder, level: hgh}]
"""
    told = errors_of(one=first, two=second)
    assert [line.split("; expected")[0] for line in told] == [
        "one:2:19: got '5x'",
        'one:4:62: "veiw" is never the case',
        "one:5:67: got '50'",
        "one:6:37: got '99d'",
        "one:9:11: unknown name `views.cuont`",
        "one:11:5: got 'within without after'",
        "one:12:3: `when` is missing",
        "one:12:7: unknown key `whn`",
        "one:13:28: got '3'",
        "two:3:18: unknown rule `ladr`",
        "two:6:9: unknown name `asets`",
        "two:7:28: `hihg` is neither a number nor a setting",
        "two:8:28: unknown name `nothing`",
        "two:11:18: got '2026-03-02'",
        "two:11:65: unknown key `credt`",
        "two:12:45: unknown rule `laddr`",
        "two:12:99: `ladder` has no level `hgh`",
    ]
    assert told[0].endswith("; expected a number such as 0.2, 50000 or 5万")
    assert told[3].endswith("; expected a window of at most 62d; use months (12mo) above that")
    assert [line.split("did you mean ")[1] for line in told if "did you mean" in line] == [
        "`view`?", "`views.count`?", "`when`?", "`ladder`?", "`assets`?", "`credit`?", "`ladder`?", "`high`?",
    ]  # fmt: skip


def test_a_wrong_shape_hides_no_other_mistake() -> None:
    text = """\
pack: p
pack: q
settings: {kept: 0.2}
features:
  f: {sum: amont, of: transactions, where: hourr > kpet, over: 5x}
  g: {exprr: assets}
  h: {expr: assets, over: 7d}
rules:
  r: {when: asets > lrge, for: 5x, until: f > h, refresh: assts}
  s: {by: asets, levels: {a: 1, b: [2]}, after: {event: transactions, where: amont > 1}}
  t: {points: {a: {by: asets, bins: {}}}, levels: {low: lww}, converts: {when: lrge}}
  u: {levels: {a: asets > 1, b: 5}}
  v: {rows: {by: asets, cuts: [1]}, columns: {by: assets, cuts: []}, cells: []}
  w: {when: assets > 1}
  w: {when: asets > 1}
cases:
  - it: x
    given: [{at: 2026-03-02, credit: 1}, {at: 2026-03-02 09:00, feedback: {rule: ww, outcome: clicked}}]
    features: {asets: 1, assets: []}
    expect: [{at: 2026-03-02 09:00, opened: ww, valeu: 1}, {at: x, opened: w}, {at: 2026-03-02 09:00, opened: wx}]
  - it: y
    given: []
    expect: [{at: 2026-03-02 09:00, opened: ww}]
"""
    assert [line.split("; expected")[0].removeprefix("rules/0.yaml:") for line in errors_of(text)] == [
        "2:1: `pack` stands here twice (first in line 1)",
        "5:12: unknown field `amont` of transactions",
        "5:44: unknown name `hourr`",
        "5:52: unknown name `kpet`",
        "5:64: got '5x'",
        "6:7: got 'exprr'",
        "7:21: unknown key `over`",
        "9:13: unknown name `asets`",
        "9:21: unknown name `lrge`",
        "9:32: got '5x'",
        "9:59: unknown name `assts`",
        "10:11: unknown name `asets`",
        "10:33: got 'a list'",
        "10:42: unknown key `after`",
        "10:78: unknown name `amont`",
        "11:24: unknown name `asets`",
        "11:37: got '0'",
        "11:80: unknown name `lrge`",
        "12:19: unknown name `asets`",
        "12:33: got 'b: 5 without `by`'",
        "13:18: unknown name `asets`",
        "13:65: got '0'",
        "15:3: `w` stands here twice (first in line 14)",
        "18:18: got '2026-03-02'",
        "18:82: unknown rule `ww`",
        "19:16: unknown name `asets`",
        "19:26: got 'a list'",
        "20:45: unknown rule `ww`",
        "20:49: unknown key `valeu`",
        "20:65: got 'x'",
        "20:111: unknown rule `wx`",
        "23:45: unknown rule `ww`",
    ]


@pytest.mark.parametrize(
    "rule",
    [
        "{when: [a], after: {event: {a: b}, where: asets > 1}, until: {}, converts: {event: [x], where: y}}",
        "{by: [a], levels: [b], converts: {when: []}, points: {x: [], y: {by: {}}}, rows: [], columns: x}",
        "{levels: {a: {b: c}, d: [e], f: '', g: 5x}, after: x, converts: y}",
        "{points: [a], levels: {}}",
    ],
)
def test_whatever_stands_in_a_rule_is_answered_in_words(rule: str) -> None:
    assert (
        errors_of(f"pack: p\nrules: {{r: {rule}, s: {{when: asets > 1}}}}")[-1].split(";")[0].endswith("`asets`")
    )


def test_a_pack_without_a_name_is_read_on() -> None:
    assert [line.split(";")[0] for line in errors_of("pack: [a]\nrules: {r: {when: asets > 1}}")] == [
        "rules/0.yaml:1:1: got 'a list'",
        "rules/0.yaml:2:19: unknown name `asets`",
    ]


def test_case_errors_have_their_places() -> None:
    text = """\
pack: two
rules:
  ladder: {by: assets, levels: {low: 0, high: 10}}
cases:
  - it: x
    given: [{at: 2026-03-02 09:00, credit: 1}]
    features: {asets: 1}
    expect: [{at: 2026-03-02 09:00, opened: laddr}, {at: 2026-03-02 09:00, opened: ladder, level: hgh}]
  - it: y
    rules: []
    given: [{at: 2026-03-02 09:00, feedback: {rule: lader, outcome: clicked}}]
    expect: [{at: 2026-03-02 09:00, opened: ladder}]
"""
    told = errors_of(text)
    assert [line.split("; expected")[0] for line in told] == [
        "rules/0.yaml:7:16: unknown name `asets`",
        "rules/0.yaml:8:45: unknown rule `laddr`",
        "rules/0.yaml:8:99: `ladder` has no level `hgh`",
        "rules/0.yaml:11:53: unknown rule `lader`",
        "rules/0.yaml:12:45: `ladder` is not looked at here",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pack: p\nfeatures: {f: {cuont: transactions, over: 7d}}", "did you mean `count`?"),
        ("pack: p\nfeatures: {f: {low: assets, over: 3mo}}", "low over Nd"),
        ("pack: p\nfeatures: {f: {count: transactions, over: 7d, previous: true}}", "previous: true only with"),
        ("pack: p\nfeatures: {f: {sum: kind, of: transactions, over: 7d}}", "unknown field `kind`"),
        ("pack: p\nfeatures: {f: {top: amount, of: transactions, over: 7d}}", "unknown field `amount`"),
        ("pack: p\nfeatures: {f: {top: kind, of: transactions, over: 7d, at_most: 33}}", "at_most"),
        ("pack: p\nfeatures: {assets: {expr: '1'}}", "`assets` means something already"),
        ("pack: p\nsettings: {a: 1}\nfeatures: {a: {expr: '1'}}", "`a` is a setting of this pack too"),
        ("pack: p\nfeatures: {for: {expr: '1'}}", "no word of Python"),
        ("pack: p\nfeatures: {a: {expr: b}, b: {expr: a}}", "depends on itself: p.a → p.b → p.a"),
        ("pack: p\nfeatures: {a: {active: r}}\nrules: {r: {when: a}}", "depends on itself"),
        ("pack: p\nfeatures: {a: {level: r}}\nrules: {r: {by: a.rank, levels: {x: 1}}}", "depends on itself"),
        ("pack: p\nfeatures: {a: {level: r}}\nrules: {r: {when: assets > 1}}", "`r` has no levels"),
        ("pack: p\nrules: {r: {by: assets, levels: {a: 1, b: otherwise}}}", "`otherwise` only as the first level"),
        ("pack: p\nrules: {r: {by: assets, levels: {a: 1}, silent: [b]}}", "a level of this ladder"),
        ("pack: p\nrules: {r: {levels: {a: 1, b: 2}}}", "`by` with levels that are numbers"),
        ("pack: p\nrules: {r: {levels: {a: assets > 1}, leave_below: 90%}}", "`leave_below` only with `by`"),
        ("pack: p\nrules: {r: {by: 'assets > 1', levels: {a: 1}}}", "levels are told apart by a boolean"),
        (
            "pack: p\nrules: {r: {when: retained < 1}}",
            ":2:19: `retained` belongs to `when` and `until` of a rule with `after`",
        ),
        (
            "pack: p\nrules: {r: {when: assets > 1, converts: {event: transactions, when: assets > 1}}}",
            "either {event",
        ),
        ("pack: p\nrules: {r: {when: assets > 1, refresh: asets}}", "did you mean `assets`?"),
        ("pack: p\nrules: {r: {when: assets > 1, refresh: assets + 1}}", "is not a single feature"),
        ("pack: p\nrules: {R r: {when: assets > 1}}", "a lower-case word"),
        ("pack: p\nrules: [a]", "a mapping (name: value)"),
        ("pack: p\nrules: {r: x}", "a rule such as"),
        (
            "pack: p\nfeatures: {f: {expr: retained}}",
            "expected `after: {event: …}` and `within: …` in the rule that reads it",
        ),
        (
            "pack: p\nfeatures: {f: {recurring: transactions, slack: 16d}}",
            ":2:48: got '16d'; expected slack of at most 15d",
        ),
        (
            "pack: p\nfeatures: {f: {recurring: transactions, times: 1}}",
            ":2:48: got '1'; expected times of at least 2",
        ),
        (
            "pack: p\nfeatures: {f: {top: kind, of: transactions, over: 7d, at_most: 5万}}",
            "got '5万'; expected at_most of",
        ),
        (
            "pack: p\ncases: [{it: x, given: [{at: 2026-03-02 09:00, credit: 0}], expect: []}]",
            ":2:56: got '0'; expected an amount above 0, at most 10^11",
        ),
        (
            "pack: p\ncases: [{it: x, given: [{at: 2026-03-01 09:00, credit: 1000000000000}], expect: []}]",
            "got '1000000000000'; expected an amount above 0, at most 10^11",
        ),
        (
            "pack: p\ncases: [{it: x, "
            "given: [{at: 2026-03-01 09:00, balance_after: -10000000000000.01万, debit: 1}], expect: []}]",
            "expected a balance within ±10^15",
        ),
        (
            "pack: p\ncases: [{it: x, given: [{at: 2026-03-01 09:00, debit: 1, currency: dollars}], expect: []}]",
            "got 'dollars'; expected a currency code of three capital letters",
        ),
        (
            "pack: p\ncases: [{it: x, given: [{at: 2026-03-01 09:00, debit: 1, kind: Salary}], expect: []}]",
            "got 'Salary'; expected a lower-case word",
        ),
        (
            f"pack: p\ncases: [{{it: x, "
            f"given: [{{at: 2026-03-01 09:00, action: view, category: {'x' * 65}}}], expect: []}}]",
            "expected 1 to 64 characters",
        ),
        (
            "pack: p\ncases: [{it: x, given: [{at: 9999-12-31 23:59}], expect: []}]",
            ":2:30: got '9999-12-31 23:59'; expected a time from 1900 to 2199",
        ),
        (
            "pack: p\ncases: [{it: x, given: [], expect: [{at: 0001-01-01 00:00, opened: r}]}]",
            "got '0001-01-01 00:00'; expected a time from 1900 to 2199",
        ),
        ("pack: p\nfeatures: {f: {low: assets, over: 6h}}", ":2:35: got '6h'; expected low over Nd"),
        ("pack: p\nfeatures: {f: {count: cards, over: 7d}}", ":2:36: got 'over: 7d'; expected no `over`"),
        ("pack: p\nfeatures: {f: {\n  cuont: transactions}}", ":3:3: got 'cuont'; expected one of the verbs"),
        ("pack: p\nrules: {r: {when: assets > 1, within: 7d}}", ":2:31: got 'within without after'"),
        (
            "pack: p\nrules: {r: {by: assets, levels: {a: 1}, silent: [a, b]}}",
            ":2:53: got 'b'; expected a level of",
        ),
        (
            "pack: p\nrules: {r: {by: assets, levels: {a: 1}, offers: {b: {family: x}}}}",
            ":2:50: got 'b'; expected a",
        ),
        (
            "pack: p\nrules: {r: {by: assets, levels: {a: 1}, approval: {from: b}}}",
            ":2:58: got 'b'; expected a level",
        ),
        ("pack: p\nrules: {r: {by: assets, levels: {a: 1, b: otherwise}}}", ":2:43: got 'it further up'"),
        ("pack: p\nrules: {r: {levels: {a: assets > 1, b: 2}}}", ":2:40: got 'b: 2 without `by`'"),
        (
            "pack: p\nrules: {r: {rows: {by: assets, cuts: [1]}, columns: {by: loan, cuts: [1]}, "
            "cells: [[a, b], [c]]}}",
            ":2:92: got '[c]'; expected 2 cells a list",
        ),
        ("pack: p\nrules: {r: {by: assets, levels: {a: 1}, leave_below: 101%}}", ":2:54: got '101%'"),
        ("rules: {}", "`pack` is missing"),
        ("pack: [a]", "a lower-case word"),
        (
            f"pack: p\nrules: {{r: {{when: assets > {'1' * 4000}}}}}",
            ":2:19: got 4009 characters; expected at most 4000",
        ),
    ],
)
def test_one_mistake(text: str, message: str) -> None:
    told = errors_of(text)
    assert len(told) == 1
    assert message in told[0]


@pytest.mark.parametrize(
    ("said", "meant"), [("maybe", None), ("Yes", "true"), ("off", "false"), ("TRUE", "true"), ("1", None)]
)
def test_what_is_neither_true_nor_false_is_never_offered_itself(said: str, meant: str | None) -> None:
    (told,) = errors_of(f"pack: p\nfeatures: {{f: {{count: transactions, over: month, previous: {said}}}}}")
    near = f"; did you mean `{meant}`?" if meant else ""
    assert told == f"rules/0.yaml:2:60: got '{said}'; expected true or false{near}"


def test_names_are_unique_over_packs() -> None:
    rule = "rules: {r: {when: assets > 1}}"
    assert errors_of(f"pack: a\n{rule}", f"pack: b\n{rule}", "pack: a\n") == [
        "rules/0.yaml:2:9: rule `r` stands in pack b too; expected a name of its own",
        "rules/1.yaml:2:9: rule `r` stands in pack a too; expected a name of its own",
        "rules/2.yaml:1:7: `a` is the pack of rules/0.yaml too; expected another name",
    ]


def test_a_mistake_does_not_make_those_who_name_it_wrong() -> None:
    text = """\
pack: p
settings: {line: x}
features:
  f: {count: transactions, over: 7x}
  g: {expr: f + 1}
rules:
  r: {when: g > line, for: x}
  s: {when: h}
"""
    other = "pack: q\nfeatures: {open: {active: r}}\nrules: {t: {when: open}}"
    assert [line.split(";")[0] for line in errors_of(text, other)] == [
        "rules/0.yaml:2:18: got 'x'",
        "rules/0.yaml:4:34: got '7x'",
        "rules/0.yaml:7:28: got 'x'",
        "rules/0.yaml:8:13: unknown name `h`",
    ]


@pytest.mark.parametrize("text", ["version: 1 2", "vers: 1", "version: [1]", "", "version: 2026.11\nx: 1"])
def test_the_version_file_holds_a_version_and_nothing_else(text: str) -> None:
    assert all(line.startswith("rulebook.yaml:") for line in errors_of(PACK, **{"rulebook.yaml": text}))


def test_no_packs_are_an_error() -> None:
    assert errors_of() == ["rules:1:1: there is no pack; expected a file `<pack>.yaml`"]
    assert "there is no pack" in errors_of(**{"policy.yaml": "consent: true"})[0]


def test_an_error_reads_as_one_line() -> None:
    error = PackError("rules/a.yaml", 12, 9, "unknown name `x`", "one of y", "y")
    assert str(error) == "rules/a.yaml:12:9: unknown name `x`; expected one of y; did you mean `y`?"
