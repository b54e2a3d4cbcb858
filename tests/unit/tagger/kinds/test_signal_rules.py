"""Signals: when they open, how they close, when they come again; watches measured on their own."""

import pytest
from builders import app, feedback, money, profile, tick, ticks
from driver import run

from tagger.episodes import tag_id

PLAIN = "pack: p\nfeatures: {n: {count: app_events, over: ever}}\nrules: {sig: {when: assets >= 10, REST}}\n"
WATCH = """
pack: p
rules:
  sig:
    after: {event: transactions, where: 'direction == "credit" and amount >= 100'}
    within: 2d
    when: retained < 0.5
    REST
"""


def plain(rest: str) -> str:
    return PLAIN.replace("REST", rest)


def watch(*rest: str) -> str:
    return WATCH.replace("REST", "\n    ".join(rest))


def up(when: str, event_id: str, yuan: int = 10, **fields: object) -> object:
    return money(when, yuan, event_id, **fields)  # type: ignore[arg-type]


UP = money("2026-03-02 09:00", 10, "t1")


# A plain condition


def test_membership_is_the_episode() -> None:
    result = run([UP, money("2026-03-02 10:00", -1, "t2"), money("2026-03-02 11:00", 1, "t3")], plain("title: t"))
    assert [row[:2] for row in result.brief()] == [
        ("2026-03-02 09:00:00", "opened"),
        ("2026-03-02 10:00:00", "revoked"),
        ("2026-03-02 11:00:00", "opened"),
    ]
    assert [tag["revision"] for tag in result.told()] == [1, 2, 1]
    assert [tag["tag_id"] for tag in result.told()] == [tag_id("sig", "C1", n) for n in (1, 1, 2)]
    assert [tag["state"] for tag in result.told()] == ["open", "closed", "open"]
    assert result.told()[1]["reason"] == "ended"


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        (ticks("2026-03-02 09:30"), []),
        (ticks("2026-03-02 09:30:00.001"), ["2026-03-02 09:30:00"]),
        ([app("2026-03-02 09:30", "a1"), *ticks("2026-03-02 09:30")], []),
        ([money("2026-03-02 09:30", -10, "t2"), *ticks("2026-03-02 12:00")], []),
        ([money("2026-03-02 09:30:00.001", -10, "t2")], ["2026-03-02 09:30:00", "2026-03-02 09:30:00"]),
        (
            [
                money("2026-03-02 09:10", -10, "t2"),
                money("2026-03-02 09:20", 10, "t3"),
                *ticks("2026-03-02 09:50"),
            ],
            [],
        ),
    ],
)
def test_a_condition_opens_after_it_has_held_both_ends_included(then: list[object], expected: list[str]) -> None:
    result = run([UP, *then], plain("for: 30m"))  # type: ignore[list-item]
    assert [row[0] for row in result.brief()][: len(expected)] == expected
    assert len(result.brief()) == len(expected)


def test_it_comes_again_only_after_the_condition_stopped_and_the_cooldown_is_over() -> None:
    records = [
        UP,
        *ticks("2026-03-02 11:00"),
        money("2026-03-02 12:00", -10, "t2"),
        money("2026-03-02 13:00", 10, "t3"),
    ]
    rest = "expires: 1h, cooldown: 6h"
    opened = [
        row[0]
        for row in run([*records, *ticks("2026-03-02 15:00:00.001")], plain(rest)).brief()
        if row[1] == "opened"
    ]
    assert opened == ["2026-03-02 09:00:00", "2026-03-02 15:00:00"]
    # The last instant belongs to the cooldown.
    assert [row[1] for row in run([*records, *ticks("2026-03-02 15:00")], plain(rest)).brief()] == [
        "opened",
        "expired",
    ]
    # Never false since the expiry: never again.
    still = run([UP, *ticks("2026-03-09 11:00"), money("2026-03-09 12:00", 10, "t2")], plain(rest))
    assert [row[1] for row in still.brief()] == ["opened", "expired"]


@pytest.mark.parametrize(
    ("when", "closed"),
    [("2026-03-02 10:00", "converted"), ("2026-03-02 10:00:00.001", "expired")],
)
def test_at_the_last_instant_a_conversion_still_counts(when: str, closed: str) -> None:
    rest = "expires: 1h, converts: {event: app_events, where: 'action == \"purchase\"'}"
    result = run([UP, app(when, "a1", action="purchase")], plain(rest))
    assert [row[1] for row in result.brief()] == ["opened", closed]
    assert result.brief()[1][0] == "2026-03-02 10:00:00"


def test_of_two_closings_the_first_named_wins() -> None:
    rest = "converts: {event: transactions, where: 'direction == \"debit\"'}"
    both = run([UP, money("2026-03-02 10:00", -5, "t2")], plain(rest)).told()
    assert [(tag["change"], tag["reason"]) for tag in both] == [("opened", None), ("converted", None)]
    # A deadline that ends and expires at once revokes.
    ends = "pack: p\nfeatures: {n: {count: app_events, over: 1h}}\nrules: {sig: {when: n >= 1, expires: 1h}}\n"
    result = run([app("2026-03-02 09:00", "a1"), *ticks("2026-03-02 12:00")], ends)
    assert result.brief() == [("2026-03-02 09:00:00", "opened", "sig"), ("2026-03-02 10:00:00", "revoked", "sig")]


def test_a_record_never_converts_what_it_opens() -> None:
    result = run([UP], plain("converts: {event: transactions}"))
    assert [row[1] for row in result.brief()] == ["opened"]
    assert [
        row[1]
        for row in run([UP, money("2026-03-02 10:00", 1, "t2")], plain("converts: {event: transactions}")).brief()
    ] == ["opened", "converted"]


def test_a_late_record_converts_nothing() -> None:
    records = [
        UP,
        *ticks("2026-03-09 00:00"),
        money("2026-03-06 23:00", 1, "t2"),
        money("2026-03-07 00:00", 1, "t3"),
    ]
    result = run(records, plain("converts: {event: transactions}"))
    assert [(tag["change"], tag["cause"].get("event_id")) for tag in result.told()] == [
        ("opened", "t1"),
        ("converted", "t3"),
    ]


def test_until_keeps_it_open_and_alone_ends_it() -> None:
    records = [
        UP,
        money("2026-03-02 10:00", -5, "t2"),
        app("2026-03-02 11:00", "a1"),
        money("2026-03-02 12:00", 9, "t3"),
    ]
    result = run(records, plain("until: n >= 1"))
    assert [(tag["change"], tag["reason"]) for tag in result.told()] == [("opened", None), ("revoked", "until")]
    assert run([app("2026-03-02 08:00", "a1"), UP], plain("until: n >= 1")).tags == []


def test_feedback_converts_only_its_own_episode() -> None:
    records = [UP, feedback("2026-03-02 10:00", "f1", tag_id("sig", "C1", 1), "dismissed"),
               feedback("2026-03-02 10:00", "f2", tag_id("sig", "C2", 1)),
               feedback("2026-03-02 11:00", "f3", tag_id("sig", "C1", 1))]  # fmt: skip
    result = run(records, plain("title: t"))
    assert result.brief()[1:] == [("2026-03-02 11:00:00", "converted", "sig")]
    assert result.told()[1]["cause"] == {"topic": "push.feedback", "event_id": "f3"}


def test_refresh_revises_while_it_is_open() -> None:
    result = run([UP, app("2026-03-02 10:00", "a1"), profile("2026-03-02 11:00", "p1")], plain("refresh: n"))
    assert [(tag["change"], tag["revision"], tag["value"]["n"]) for tag in result.told()] == [
        ("opened", 1, 0),
        ("refreshed", 2, 1),
    ]


@pytest.mark.parametrize(
    ("first", "opens"),
    [
        ("2026-03-02 09:00", True),
        ("2026-03-02 08:59:59.999", False),
        ("2026-03-02 10:00", True),
        ("2026-03-02 10:00:00.001", False),
    ],
)
def test_validity_includes_both_its_ends(first: str, opens: bool) -> None:
    pack = plain("valid: {from: 2026-03-02 09:00, to: 2026-03-02 10:00}")
    assert bool(run([money(first, 10, "t1")], pack).tags) is opens


def test_validity_opens_and_ends_by_itself() -> None:
    pack = plain("valid: {from: 2026-03-03, to: 2026-03-04}")
    assert run([UP, *ticks("2026-03-06 00:00")], pack).brief() == [
        ("2026-03-03 00:00:00", "opened", "sig"),
        ("2026-03-04 23:59:59.999"[:19], "revoked", "sig"),
    ]


def test_a_shadow_is_never_pushed_and_a_live_tag_only_while_open() -> None:
    live = [UP, money("2026-03-02 10:00", -10, "t2")]
    told = run([tick("2026-03-02 08:00"), *live], plain("title: t")).told()
    assert [tag["delivery"] for tag in told] == [
        {"push": True, "reason": None, "not_before": None, "control": False},
        {"push": False, "reason": None, "not_before": None, "control": False},
    ]
    shadow = run([tick("2026-03-02 08:00"), *live], plain("mode: shadow")).told()
    assert {tag["delivery"]["reason"] for tag in shadow} == {"shadow"}
    replay = run([tick("2026-03-02 08:00", recorded=True), *live], plain("title: t")).told()
    assert {(tag["delivery"]["push"], tag["delivery"]["reason"]) for tag in replay} == {(False, "replay")}


def test_unknown_is_not_true_and_ends_what_was() -> None:
    pack = "pack: p\nrules: {sig: {when: 'occupation == \"x\"'}}\n"
    result = run([UP, profile("2026-03-02 10:00", "p1", occupation="x"), profile("2026-03-02 11:00", "p2")], pack)
    assert [(tag["change"], tag["reason"]) for tag in result.told()] == [("opened", None), ("revoked", "ended")]


# Watches


IN = money("2026-03-02 09:00", 100, "t1")


@pytest.mark.parametrize(("when", "trips"), [("2026-03-04 09:00", True), ("2026-03-04 09:00:00.001", False)])
def test_a_watch_trips_until_the_last_instant_of_within(when: str, trips: bool) -> None:
    assert bool(run([IN, money(when, -60, "t2")], watch()).tags) is trips


def test_each_watch_measures_its_own_inflow() -> None:
    records = [IN, money("2026-03-02 10:00", 300, "t2"), money("2026-03-02 11:00", -200, "t3")]
    result = run(records, watch())
    # 100 of 300 are left above the level before the second, all of the first's.
    assert [(tag["value"], tag["evidence"][0]["events"]) for tag in result.told()] == [
        ({"retained": "0.333", "amount": "300.00"}, ["t2", "t3"])
    ]
    assert result.told()[0]["evidence"][0]["window"] == ["2026-03-02T10:00:00+08:00", "2026-03-04T10:00:00+08:00"]
    assert [one.event_id for one in result.state().rules["sig"].watches] == ["t1"]


def test_a_tripped_watch_is_measured_until_its_episode_closes() -> None:
    records = [
        IN,
        money("2026-03-02 10:00", -60, "t2"),
        money("2026-03-06 10:00", 9, "t3"),
        money("2026-03-06 11:00", 1, "t4"),
    ]
    result = run(records, watch())
    assert result.brief() == [("2026-03-02 10:00:00", "opened", "sig"), ("2026-03-06 11:00:00", "revoked", "sig")]
    assert result.told()[1]["value"] == {"retained": "0.500", "amount": "100.00"}


def test_a_watch_that_trips_while_one_is_open_is_used_up() -> None:
    records = [IN, money("2026-03-02 10:00", -60, "t2"), money("2026-03-02 11:00", 100, "t3"),
               money("2026-03-02 12:00", -90, "t4")]  # fmt: skip
    result = run(records, watch())
    # The second inflow lifts the first above the line again: revoked; the second opens its own.
    assert [row[1] for row in result.brief()] == ["opened", "revoked", "opened"]
    deep = run([IN, money("2026-03-02 09:30", 100, "t0"), money("2026-03-02 10:00", -190, "t2")], watch())
    assert ([row[1] for row in deep.brief()], deep.state().rules["sig"].used_up) == (["opened"], 1)
    assert deep.told()[0]["evidence"][0]["events"] == ["t1", "t2"]


@pytest.mark.parametrize(
    ("when", "used_up", "opened"), [("2026-03-03 10:00", 1, 1), ("2026-03-03 10:00:00.001", 0, 2)]
)
def test_a_trip_in_the_cooldown_is_used_up_its_last_instant_included(when: str, used_up: int, opened: int) -> None:
    records = [
        IN,
        money("2026-03-02 10:00", -100, "t2"),
        *ticks("2026-03-02 12:00"),
        money("2026-03-03 09:00", 100, "t3"),
        money(when, -100, "t4"),
    ]
    result = run(records, watch("expires: 1h", "cooldown: 1d"))
    assert result.state().rules["sig"].used_up == used_up
    assert [row[1] for row in result.brief()].count("opened") == opened


def test_a_trip_by_a_deadline_in_the_last_instant_of_the_cooldown_is_used_up() -> None:
    records = [
        IN,
        money("2026-03-02 10:00", -100, "t2"),
        *ticks("2026-03-02 14:00"),
        money("2026-03-03 09:00", 100, "t3"),
        money("2026-03-03 10:00", -100, "t4"),
        *ticks("2026-03-05 10:00"),
    ]
    # Opened at 11:00 by `for`, cooling until 11:00 the next day, when the second has held for its hour too.
    result = run(records, watch("for: 1h", "expires: 1h", "cooldown: 1d"))
    assert [row[:2] for row in result.brief()] == [
        ("2026-03-02 11:00:00", "opened"),
        ("2026-03-02 12:00:00", "expired"),
    ]
    assert result.state().rules["sig"].used_up == 1


def test_a_ninth_watch_is_counted_and_not_watched() -> None:
    inflows = [money(f"2026-03-02 09:0{n}", 100, f"t{n}") for n in range(9)]
    rule = run(inflows, watch()).state().rules["sig"]
    assert ([one.event_id for one in rule.watches], rule.unwatched) == ([f"t{n}" for n in range(8)], 1)
    later = run([*inflows, *ticks("2026-03-04 09:07:00.001"), money("2026-03-04 09:10", 100, "t9")], watch())
    assert [one.event_id for one in later.state().rules["sig"].watches] == ["t9"]


def test_a_watch_opened_out_of_order_counts_what_followed_it() -> None:
    records = [money("2026-03-02 10:00", -60, "t2", after=1040), IN]
    result = run(records, watch())
    assert result.brief() == [("2026-03-02 10:00:00", "opened", "sig")]
    assert result.told()[0]["value"]["retained"] == "0.400"
    # One whose time is over opens none.
    assert run([app("2026-03-04 09:00:00.001", "a1"), IN], watch()).state().rules == {}


def test_a_watch_must_hold_for_its_time_within_within() -> None:
    records = [IN, money("2026-03-02 10:00", -60, "t2"), *ticks("2026-03-02 12:00:00.001")]
    assert run(records, watch("for: 2h")).brief() == [("2026-03-02 12:00:00", "opened", "sig")]
    end = [IN, money("2026-03-04 07:00", -60, "t2"), *ticks("2026-03-05 12:00")]
    assert run(end, watch("for: 2h")).brief() == [("2026-03-04 09:00:00", "opened", "sig")]
    over = [IN, money("2026-03-04 07:00:00.001", -60, "t2"), *ticks("2026-03-05 12:00")]
    assert run(over, watch("for: 2h")).tags == []


def test_money_moved_into_an_own_product_is_retained_in_either_order() -> None:
    legs = [
        money("2026-03-02 10:00", -90, "t2", own=True),
        money("2026-03-02 10:00", 90, "t3", account="W", account_type="wealth", own=True),
    ]
    for order in (legs, legs[::-1]):
        assert run([IN, *order], watch()).tags == []
    repaid = [
        money("2026-03-02 10:00", -90, "t2", own=True),
        money("2026-03-02 10:00", 90, "t3", account="L", account_type="loan", own=True),
    ]
    for order in (repaid, repaid[::-1]):
        assert run([IN, *order], watch()).told()[0]["value"]["retained"] == "0.100"
