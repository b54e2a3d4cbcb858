"""A count over days that rules only compare with numbers wakes a customer when it crosses one, and not before."""

from builders import app, money, tick, ticks
from driver import Run, run

# Three on the 2nd, two on the 3rd, one on the 5th: over five days six, from the 7th on three, from the 8th on one,
# from the 10th on none.
SOME = [
    *[money(f"2026-03-02 0{hour}:00", 100, f"a{hour}") for hour in (1, 2, 3)],
    *[money(f"2026-03-03 0{hour}:00", 100, f"b{hour}") for hour in (1, 2)],
    money("2026-03-05 01:00", 50, "c1"),
]


def passed(rules: str, until: str = "2026-03-20 00:00", features: str = "") -> Run:
    """Time passes after these transactions."""
    counted = "n: {count: transactions, over: 5d}, spent: {sum: amount, of: transactions, over: 5d}"
    return run([*SOME, *ticks(until)], f"pack: p\nfeatures: {{{counted}{features}}}\nrules: {{{rules}}}")


def told(found: Run) -> list[tuple[str, str, str]]:
    return [one for one in found.brief() if one[0] > "2026-03-06"]


def wakes(found: Run) -> int:
    return found.state().revision - len(SOME)


def test_who_is_active_is_not_woken_by_a_rule_that_asks_for_silence() -> None:
    quiet = "quiet: {when: n == 0}"
    assert wakes(passed(quiet, "2026-03-09 23:59")) == 0
    assert told(passed(quiet)) == [("2026-03-10 00:00:00", "opened", "quiet")]
    assert wakes(passed(quiet)) == 1


def test_each_cut_is_met_on_its_day_and_no_other_day_is_looked_at() -> None:
    for condition, day, change in (
        ("n < 4", "07", "opened"),
        ("n <= 3", "07", "opened"),
        ("3 >= n", "07", "opened"),
        ("n == 3 or n == 7", "07", "opened"),
        ("n > 5.5", "07", "revoked"),
        ("not n < 3", "08", "revoked"),
        ("n < 1.5", "08", "opened"),
        ("n >= 1", "10", "revoked"),
        ("0 < n < 9", "10", "revoked"),
        ("spent < 300", "07", "opened"),
        ("spent < 100", "08", "opened"),
        ("spent >= 50", "10", "revoked"),
    ):
        found = passed(f"r: {{when: {condition}}}")
        assert told(found)[:1] == [(f"2026-03-{day} 00:00:00", change, "r")], condition
        assert wakes(found) <= 2, condition
    assert wakes(passed("r: {when: n > 9 or n < 0 or spent < 0}")) == 0


def test_levels_and_what_else_a_rule_says_are_told_of_their_cuts() -> None:
    levels = passed("steps: {levels: {none: otherwise, some: n >= 1, many: n >= 4}}")
    assert told(levels) == [
        ("2026-03-07 00:00:00", "revoked", "steps.many"),
        ("2026-03-07 00:00:00", "opened", "steps.some"),
        ("2026-03-10 00:00:00", "revoked", "steps.some"),
        ("2026-03-10 00:00:00", "opened", "steps.none"),
    ]
    ends = "rich: {when: assets > 100, until: n < 2}, won: {when: assets > 100, converts: {when: n <= 3}}"
    assert told(passed(ends)) == [
        ("2026-03-07 00:00:00", "converted", "won"),
        ("2026-03-08 00:00:00", "revoked", "rich"),
    ]


def test_what_a_rule_calculates_with_or_prints_is_told_of_each_day_that_leaves() -> None:
    days = ["2026-03-07 00:00:00", "2026-03-08 00:00:00", "2026-03-10 00:00:00"]
    refreshed = passed("r: {when: n >= 0 and assets > 0, refresh: n}")
    assert told(refreshed) == [(day, "refreshed", "r") for day in days]
    # On the 7th nothing crosses.
    first = "2026-03-07 12:00"
    for condition in ("n * 2 > 2", "spent > assets * 2", "n + 1 >= 3", "coalesce(n, 1) > 1"):
        assert wakes(passed(f"r: {{when: '{condition}'}}", first)) == 1, condition
    for rule in ("{by: n, levels: {some: 1, many: 2}}", "{when: twice > 2}"):
        assert wakes(passed(f"r: {rule}", first, ', twice: {expr: "n * 2"}')) == 1, rule
    assert wakes(passed("r: {when: n > 1}", first)) == 0


def test_what_comes_at_the_very_midnight_of_a_crossing_counts() -> None:
    pack = (
        "pack: p\nfeatures: {n: {count: transactions, over: 2d}}\nrules: {few: {when: n < 2}, r: {when: n == 0}}"
    )
    first = [money("2026-03-02 09:00", 1, "t1"), money("2026-03-02 10:00", 1, "t2")]
    at_midnight = money("2026-03-04 00:00", 1, "t3")
    records = [*first, at_midnight, app("2026-03-04 00:00", "a1"), *ticks("2026-03-10 00:00")]
    assert run(records, pack).brief()[-2:] == [
        ("2026-03-04 00:00:00", "opened", "few"),
        ("2026-03-06 00:00:00", "opened", "r"),
    ]


def test_a_tick_at_the_very_midnight_leaves_it_to_the_next() -> None:
    pack = "pack: p\nfeatures: {n: {count: transactions, over: 2d}}\nrules: {r: {when: n == 0}}"
    records = [money("2026-03-02 09:00", 1, "t1"), *ticks("2026-03-04 00:00")]
    assert run(records, pack).brief() == []
    assert run([*records, *ticks("2026-03-04 00:01")], pack).brief() == [("2026-03-04 00:00:00", "opened", "r")]


def test_a_sum_that_rises_as_days_leave_meets_its_cut() -> None:
    pack = "pack: p\nfeatures: {s: {sum: balance_after, of: transactions, over: 5d}}\nrules: {r: {when: s >= 100}}"
    records = [money("2026-03-02 09:00", -300, "t1", after=-200), money("2026-03-04 09:00", 300, "t2", after=100)]
    assert run([*records, *ticks("2026-03-20 00:00")], pack).brief() == [
        ("2026-03-07 00:00:00", "opened", "r"),
        ("2026-03-09 00:00:00", "revoked", "r"),
    ]


def test_all_that_turns_with_a_month_is_looked_at_on_its_first_day_and_the_first_month_is_waited_for() -> None:
    months = {f"n{count}": f"{{count: transactions, over: {count}mo}}" for count in range(1, 7)}
    features = ", ".join(f"{name}: {feature}" for name, feature in months.items())
    rules = ", ".join(f"r{count}: {{when: n{count} == 0}}" for count in range(1, 7))
    pack = f"pack: p\nfeatures: {{{features}}}\nrules: {{{rules}}}"
    april = tick("2026-04-01 00:00").time_ms
    assert run([*SOME, *ticks("2026-03-06 00:00")], pack).state().due_ms == april
    with_april = f"pack: p\nfeatures: {{{features}}}\nrules: {{{rules}, r: {{when: today.month == 4}}}}"
    found = run([*SOME, *ticks("2026-04-02 00:00")], with_april)
    assert sorted(found.brief()) == [("2026-04-01 00:00:00", "opened", rule) for rule in ("r", "r1")]


def test_an_event_that_crosses_a_number_brings_the_turn_of_the_days_before_it() -> None:
    # The third of thirty days comes when the first is about to leave.
    for condition in ("n >= 3", "not n < 2.5", "spent > 200"):
        counted = "n: {count: transactions, over: 30d}, spent: {sum: amount, of: transactions, over: 30d}"
        pack = f"pack: p\nfeatures: {{{counted}}}\nrules: {{r: {{when: {condition}}}}}"
        first = [money("2026-03-01 09:00", 100, "t1"), money("2026-03-02 09:00", 100, "t2")]
        later = [money("2026-03-29 09:00", 100, "t3"), *ticks("2026-03-31 12:00"), *ticks("2026-04-20 00:00")]
        # With and without a commit before the event, from which on the next deadline is known exactly.
        for cuts in ((), (3,)):
            assert run([*first, *later], pack, cuts=cuts).brief() == [
                ("2026-03-29 09:00:00", "opened", "r"),
                ("2026-03-31 00:00:00", "revoked", "r"),
            ], (condition, cuts)


def test_an_event_out_of_order_crosses_a_number_though_days_that_have_left_are_still_in_the_total() -> None:
    pack = "pack: p\nfeatures: {n: {count: transactions, over: 14d}}\nrules: {r: {when: n >= 3}}"
    records = [money(f"2026-03-{day:02} 09:00", 1, f"t{day}") for day in (1, 2, 14)]
    records += ticks("2026-03-15 12:00")  # without the first there are two
    records += [money("2026-03-14 20:00", 1, "late"), *ticks("2026-03-20 00:00")]
    for cuts in ((), *((cut,) for cut in range(1, 9))):
        assert run(records, pack, cuts=cuts).brief() == [
            ("2026-03-14 09:00:00", "opened", "r"),
            ("2026-03-15 00:00:00", "revoked", "r"),
            ("2026-03-15 12:00:00", "opened", "r"),
            ("2026-03-16 00:00:00", "revoked", "r"),
        ], cuts
