"""Rules that passing time cannot move are not asked for, and those that it can are."""

from builders import app, money, profile, program_of, ticks
from driver import run

from tagger.state.customer import NEVER


def test_after_an_event_what_was_turning_before_is_let_through() -> None:
    pack = """
    pack: p
    features: {seen: {count: app_events, over: 7d}}
    rules: {poor: {when: assets < 100 and seen == 0}}
    """
    records = [
        money("2026-03-02 09:00", 500, "t1"),
        app("2026-03-02 10:00", "a1"),
        money("2026-03-04 09:00", -450, "t2"),
    ]
    assert run(records[:2], pack).state().due_ms == NEVER
    assert run([*records, *ticks("2026-03-12 00:01")], pack).brief() == [("2026-03-09 00:00:00", "opened", "poor")]


def test_what_is_open_is_not_held_back() -> None:
    pack = """
    pack: p
    features: {n: {count: transactions, over: 2d}}
    rules: {rich: {when: assets >= 1000 and n >= 1, until: n == 0}}
    """
    records = [
        money("2026-03-02 09:00", 2000, "t1"),
        money("2026-03-02 10:00", -1500, "t2"),
        *ticks("2026-03-05 00:00"),
    ]
    assert run(records, pack).brief() == [
        ("2026-03-02 09:00:00", "opened", "rich"),
        ("2026-03-04 00:00:00", "revoked", "rich"),
    ]


def test_a_time_guard_counts_what_came_at_the_very_midnight() -> None:
    pack = """
    pack: p
    features: {n: {count: transactions, over: 5d}, seen: {count: app_events, over: 1d}}
    rules: {quiet: {when: n >= 1 and seen == 0}}
    """
    records = [app("2026-03-03 00:00", "a1"), money("2026-03-03 00:00", 10, "t1"), *ticks("2026-03-05 00:00")]
    assert run(records, pack).brief() == [("2026-03-04 00:00:00", "opened", "quiet")]


def test_a_highest_balance_only_falls_and_a_lowest_only_rises() -> None:
    pack = """
    pack: p
    features: {high: {high: assets, over: 2d}, low: {low: assets, over: 2d}}
    rules:
      fell: {when: high < 1000}
      rose: {when: low >= 1000}
      never: {when: high >= 9000 and low <= 100}
    """
    first = [money("2026-03-02 09:00", 2000, "t1"), money("2026-03-03 09:00", -1500, "t2")]
    last = [*ticks("2026-03-04 12:00"), money("2026-03-05 09:00", 600, "t3"), *ticks("2026-03-08 00:00")]
    assert run([*first, *last], pack).brief() == [
        ("2026-03-03 00:00:00", "opened", "rose"),
        ("2026-03-03 09:00:00", "revoked", "rose"),
        ("2026-03-04 00:00:00", "opened", "fell"),
        ("2026-03-05 09:00:00", "revoked", "fell"),
        ("2026-03-06 00:00:00", "opened", "rose"),
    ]


def test_an_extreme_balance_is_looked_at_when_its_last_day_leaves() -> None:
    records = [
        money("2026-03-02 09:00", 1000, "t1"),
        money("2026-03-03 09:00", -500, "t2"),
        money("2026-03-04 09:00", -100, "t3"),
        money("2026-03-05 09:00", 50, "t4"),
        money("2026-03-05 10:00", 50, "t5", account_type="term"),
    ]
    for verb, days in (("high", ["07"]), ("low", ["06", "09"])):
        pack = f"""
        pack: p
        features: {{extreme: {{{verb}: assets, over: 5d}}}}
        rules: {{r: {{when: assets > 0, refresh: extreme}}}}
        """
        found = run([*records, *ticks("2026-03-20 00:00")], pack)
        told = [one for one in found.brief() if one[0] > "2026-03-06"]
        assert told == [(f"2026-03-{day} 00:00:00", "refreshed", "r") for day in days]
        assert (found.state().revision, found.state().due_ms) == (len(records) + len(days), NEVER)


def test_what_moves_a_balance_at_the_very_midnight_is_followed_too() -> None:
    pack = """
    pack: p
    features: {high: {high: assets, over: 2d}}
    rules: {r: {when: assets > 0, refresh: high}}
    """
    records = [money("2026-03-02 09:00", 1000, "t1"), money("2026-03-03 00:00", -500, "t2")]
    assert run([*records, *ticks("2026-03-20 00:00")], pack).brief() == [
        ("2026-03-02 09:00:00", "opened", "r"),
        ("2026-03-04 00:00:00", "refreshed", "r"),
    ]


def test_a_customer_at_rest_is_not_woken_by_what_its_rules_do_not_wait_for() -> None:
    pack = """
    pack: p
    features: {sums: {summary: transactions}, high: {high: assets, over: 2d}, looks: {count: app_events, over: 3d}}
    rules:
      regular: {when: 'gender == "f" and sums.T >= 3'}
      fallen: {when: high >= 9000 and assets < high * 0.5}
      browsing: {when: looks >= 3 and high >= 0}
      graded:
        points: {age: {by: age(birth_date), bins: {0: 10}}, high: {by: high, bins: {0: 1}}}
        levels: {any: 0}
      followed: {after: {event: app_events, where: 'action == "cart"'}, within: 1h, when: sums.T >= 1}
    """
    records = [
        money("2026-03-02 09:00", 2000, "t1"),
        money("2026-03-03 09:00", 1, "t2"),
        app("2026-03-03 09:00", "a1"),
    ]
    idle = run([*records, *ticks("2026-04-02 00:00")], pack)
    assert (idle.state().revision, idle.state().due_ms) == (len(records), NEVER)
    # Who is waited for is woken.
    woman = run([*records, profile("2026-03-03 10:00", "p1", gender="f"), *ticks("2026-04-02 00:00")], pack)
    assert woman.brief() == [("2026-03-05 00:00:00", "opened", "regular")]


def test_expressions_nested_as_deeply_as_they_may_be_stand_in_time_guards() -> None:
    for deep in ("assets + (" * 36 + "1" + ")" * 36, "-(" * 36 + "household_income" + ")" * 36):
        rule = f"{{when: {deep} < 0 and n == 0}}"
        assert program_of(
            f"pack: p\nfeatures: {{n: {{count: transactions, over: 2d}}}}\nrules: {{r: {rule}}}"
        ).timetable.turns
