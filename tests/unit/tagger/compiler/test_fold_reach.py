"""Which rules an event reaches, and which deadlines lie between two events of one batch."""

import pytest
from builders import app, at, money, ticks
from driver import run


def test_what_is_derived_from_minutes_changes_between_midnights() -> None:
    pack = """
    pack: p
    features: {calls: {count: app_events, over: 30m}, half: {expr: calls / 2}, deep: {expr: half * 2}}
    rules: {busy: {when: deep >= 2}}
    """
    result = run([app(f"2026-03-02 {time}", f"a{time}") for time in ("09:00", "09:10", "11:00")], pack)
    assert result.brief() == [
        ("2026-03-02 09:10:00", "opened", "busy"),
        ("2026-03-02 09:30:00", "revoked", "busy"),
    ]


def test_a_customer_first_seen_meets_rules_that_read_no_event() -> None:
    pack = """
    pack: p
    rules:
      mondays: {when: today.weekday == 1}
      evening: {when: 1 == 1, valid: {from: 2026-03-02 20:00, to: 2026-03-02 21:00}}
    """
    result = run([app("2026-03-02 09:00", "a1"), app("2026-03-02 20:30", "a2"), *ticks("2026-03-03 01:00")], pack)
    assert result.brief() == [
        ("2026-03-02 09:00:00", "opened", "mondays"),
        ("2026-03-02 20:00:00", "opened", "evening"),
        ("2026-03-02 21:00:00", "revoked", "evening"),
        ("2026-03-03 00:00:00", "revoked", "mondays"),
    ]


def test_a_late_app_event_makes_no_customer() -> None:
    pack = "pack: p\nrules: {any: {when: assets >= 0}}"
    result = run([*ticks("2026-03-09 00:00"), app("2026-03-06 23:59", "a1")], pack)
    assert (result.customers, result.clock.fates["bank.app-events-0"].late) == ({}, 1)


def test_late_money_moves_the_balance_from_its_own_day_and_no_other_window() -> None:
    pack = """
    pack: p
    features:
      n: {count: transactions, over: 10d}
      last: {days_since: transactions}
      avg: {average_balance: assets, over: 4d}
    rules: {any: {when: n >= 2}}
    """
    records = [
        money("2026-03-05 12:00", 100, "t1"),
        *ticks("2026-03-09 00:00"),
        money("2026-03-06 23:59", 40, "t2"),
    ]
    result = run(records, pack)
    values = result.measure(at("2026-03-09 00:00"))
    # Closings of 6, 7, 8 and 9 March, all after both.
    assert values == {"assets": "140.00", "current": "140.00", "term": "0.00", "wealth": "0.00", "loan": "0.00",
                      "p.n": "1", "p.last": "4", "p.avg": "140.00"}  # fmt: skip
    assert (result.clock.fates["bank.transactions-0"].late, result.tags) == (1, [])


def test_each_window_turns_on_its_own_day_without_another_event() -> None:
    pack = """
    pack: p
    features:
      lowest: {low: assets, over: 3d}
      highest: {high: assets, over: 3d}
      mean: {average_balance: assets, over: 3d}
      mean_before: {average_balance: assets, over: month, previous: true}
      before: {sum: amount, of: transactions, over: month, previous: true}
      running: {sum: amount, of: transactions, over: month}
      two: {count: transactions, over: 2mo}
      days: {count: transactions, over: 2d}
      seen: {top: product_id, of: app_events, over: 2d}
      since: {days_since: transactions}
      hours: {count: app_events, over: 30h}
    rules:
      lowest: {when: lowest < 10}
      highest: {when: highest > 20}
      mean: {when: mean >= 20}
      mean-before: {when: mean_before > 18}
      before: {when: before > 0}
      running: {when: running > 0}
      two: {when: two > 0}
      days: {when: days > 0}
      seen: {when: seen.count >= 1}
      since: {when: since >= 3}
      hours: {when: hours >= 1}
    """
    records = [
        money("2026-03-02 09:00", 30, "t1", after=30),
        money("2026-03-02 10:00", -10, "t2"),
        app("2026-03-02 11:00", "a1", product="P"),
    ]
    features, _, rules = pack.partition("    rules:\n")
    by_rule: dict[str, list[tuple[str, str]]] = {}
    for line in rules.splitlines()[:-1]:
        # One rule at a time: another's deadlines would have it evaluated too.
        alone = f"{features}    rules:\n{line}\n"
        for when, change, rule in run([*records, *ticks("2026-07-01 00:00")], alone).brief():
            by_rule.setdefault(rule, []).append((change, when))
    assert by_rule == {
        # Nothing, nothing and 20 in the three days up to 2 March; the 30 stood at no day's end.
        "lowest": [("opened", "2026-03-02 09:00:00"), ("revoked", "2026-03-04 00:00:00")],
        "highest": [("opened", "2026-03-02 09:00:00"), ("revoked", "2026-03-02 10:00:00")],
        "mean": [("opened", "2026-03-04 00:00:00")],
        # 30 of March's 31 days ended with 20.
        "mean-before": [("opened", "2026-04-01 00:00:00")],
        "before": [("opened", "2026-04-01 00:00:00"), ("revoked", "2026-05-01 00:00:00")],
        "running": [("opened", "2026-03-02 09:00:00"), ("revoked", "2026-04-01 00:00:00")],
        "two": [("opened", "2026-03-02 09:00:00"), ("revoked", "2026-05-01 00:00:00")],
        "days": [("opened", "2026-03-02 09:00:00"), ("revoked", "2026-03-04 00:00:00")],
        "seen": [("opened", "2026-03-02 11:00:00"), ("revoked", "2026-03-04 00:00:00")],
        "since": [("opened", "2026-03-05 00:00:00")],
        "hours": [("opened", "2026-03-02 11:00:00"), ("revoked", "2026-03-03 17:00:00")],
    }


@pytest.mark.parametrize("turned", [False, True])
def test_windows_of_several_periods_keep_their_own_buckets(turned: bool) -> None:
    windows = {"m": "month", "two": "2mo", "q": "quarter", "y": "year", "all": "ever", "d": "3d"}
    names = sorted(windows, reverse=turned)
    features = "\n".join(f"  {name}: {{count: transactions, over: {windows[name]}}}" for name in names)
    days = ("2026-01-05", "2026-03-30", "2026-04-01")
    records = [money(f"{day} 12:00", 10, f"t{number}") for number, day in enumerate(days)]
    pack = f"pack: p\nfeatures:\n{features}\nrules: {{any: {{when: {' + '.join(names)} > 99}}}}"
    values = run(records, pack).measure(at("2026-04-01 13:00"))
    assert [values[f"p.{name}"] for name in ("m", "two", "q", "y", "all", "d")] == ["1", "2", "1", "3", "3", "2"]
