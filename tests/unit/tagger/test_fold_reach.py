"""Which rules an event reaches, and which deadlines lie between two events of one batch."""

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
