"""Ladders: hysteresis, `for`, `otherwise`, levels that are expressions, unknown, closings."""

from builders import at, feedback, money, profile, ticks
from driver import run

from tagger.episodes import tag_id

STEPS = "pack: p\nrules: {steps: {by: assets, levels: {low: 10, mid: 20, high: 30}, REST}}\n"


def ladder(rest: str = "leave_below: 90%") -> str:
    return STEPS.replace("REST", rest)


def test_a_number_equal_to_a_cut_belongs_above_it() -> None:
    result = run(
        [money("2026-03-02 09:00", 0, "t1", fen=1999), money("2026-03-02 10:00", 0, "t2", fen=1)], ladder()
    )
    assert result.brief() == [
        ("2026-03-02 09:00:00", "opened", "steps.low"),
        ("2026-03-02 10:00:00", "revoked", "steps.low"),
        ("2026-03-02 10:00:00", "opened", "steps.mid"),
    ]
    revoked, opened = result.told()[1:]
    assert (revoked["reason"], opened["previous_level"]) == ("level", "low")
    assert opened["value"] == {"assets": "20.00", "rank": 1, "previous_rank": 0}
    assert opened["evidence"][0] | {"events": 0} == {
        "condition": "assets >= 20.00", "measured": {"assets": "20.00"}, "threshold": "20.00", "holds": True,
        "window": None, "events": 0,
    }  # fmt: skip


def test_the_last_level_met_wins_where_levels_do_not_ascend() -> None:
    # `mid` is never reached, as `rules check` says; it may be published all the same.
    pack = "pack: p\nrules: {steps: {by: assets, levels: {low: 500, mid: 2500, high: 2000}}}\n"
    for amount, level in (
        (400, []),
        (500, ["low"]),
        (1999, ["low"]),
        (2000, ["high"]),
        (2400, ["high"]),
        (2500, ["high"]),
    ):
        told = run([money("2026-03-02 09:00", amount, "t1")], pack).brief()
        assert [rule for _, _, rule in told] == [f"steps.{name}" for name in level], amount


def test_a_level_is_left_below_its_own_hysteresis_only() -> None:
    records = [money("2026-03-02 09:00", 30, "t1"), money("2026-03-02 10:00", -3, "t2")]
    assert len(run(records, ladder()).tags) == 1
    fallen = run([*records, money("2026-03-02 11:00", 0, "t3", fen=-1)], ladder())
    assert fallen.brief()[1:] == [
        ("2026-03-02 11:00:00", "revoked", "steps.high"),
        ("2026-03-02 11:00:00", "opened", "steps.mid"),
    ]
    # Down two levels at once: the levels passed by have no hysteresis.
    assert run([*records, money("2026-03-02 11:00", -8, "t3")], ladder()).brief()[-1][2] == "steps.low"


def test_below_all_levels_there_is_none() -> None:
    result = run([money("2026-03-02 09:00", 30, "t1"), money("2026-03-02 10:00", -25, "t2")], ladder())
    assert result.brief()[1:] == [("2026-03-02 10:00:00", "revoked", "steps.high")]
    assert (result.told()[1]["reason"], result.state().rules["steps"].level) == ("ended", None)


def test_a_silent_level_is_stood_on_without_a_tag() -> None:
    result = run(
        [
            money("2026-03-02 09:00", 10, "t1"),
            money("2026-03-02 10:00", 10, "t2"),
            money("2026-03-02 11:00", -10, "t3"),
        ],
        ladder("silent: [low]"),
    )
    assert result.brief() == [
        ("2026-03-02 10:00:00", "opened", "steps.mid"),
        ("2026-03-02 11:00:00", "revoked", "steps.mid"),
    ]
    assert (result.told()[0]["previous_level"], result.told()[1]["reason"]) == ("low", "level")


def test_a_level_must_hold_for_its_time_and_opens_at_its_end() -> None:
    held = run([money("2026-03-02 09:00", 10, "t1"), *ticks("2026-03-02 11:00:00.001")], ladder("for: 2h"))
    assert held.brief() == [("2026-03-02 11:00:00", "opened", "steps.low")]
    assert run([money("2026-03-02 09:00", 10, "t1"), *ticks("2026-03-02 11:00")], ladder("for: 2h")).tags == []
    # Another level begins to wait anew, also one on the way down.
    moved = [money("2026-03-02 09:00", 10, "t1"), money("2026-03-02 10:00", 10, "t2"), *ticks("2026-03-02 13:00")]
    assert run(moved, ladder("for: 2h")).brief() == [("2026-03-02 12:00:00", "opened", "steps.mid")]
    left = [
        *moved,
        money("2026-03-02 14:00", -20, "t3"),
        money("2026-03-02 15:59", 20, "t4"),
        *ticks("2026-03-03 00:00"),
    ]
    assert len(run(left, ladder("for: 2h")).tags) == 1


def test_a_level_that_comes_back_within_its_time_never_left() -> None:
    records = [
        money("2026-03-02 09:00", 10, "t1"),
        *ticks("2026-03-02 12:00"),
        money("2026-03-02 12:00", -1, "t2"),
        money("2026-03-02 14:00", 1, "t3"),
        *ticks("2026-03-03 12:00"),
    ]
    assert run(records, ladder("for: 2h")).brief() == [("2026-03-02 11:00:00", "opened", "steps.low")]
    assert len(run([*records[:-3], *ticks("2026-03-02 14:00:01"), *records[-3:]], ladder("for: 2h")).tags) == 3


def test_otherwise_takes_everyone_else_and_the_unknown() -> None:
    pack = """
    pack: p
    features: {score: {expr: credit_score}}
    rules: {grades: {by: score, levels: {none: otherwise, good: 600}}}
    """
    result = run([money("2026-03-02 09:00", 10, "t1"), profile("2026-03-02 10:00", "p1", credit_score=600)], pack)
    assert [row[2] for row in result.brief()] == ["grades.none", "grades.none", "grades.good"]
    assert result.told()[0]["value"]["score"] is None
    assert result.told()[0]["evidence"] == []


def test_the_last_expression_that_is_true_wins_and_unknown_is_not_met() -> None:
    pack = """
    pack: p
    rules:
      who:
        levels: {any: assets >= 0, worker: 'occupation == "worker"', rich: assets >= 100}
    """
    records = [money("2026-03-02 09:00", 10, "t1"), profile("2026-03-02 10:00", "p1", occupation="worker"),
               money("2026-03-02 11:00", 90, "t2"), profile("2026-03-02 12:00", "p2")]  # fmt: skip
    opened = [row for row in run(records, pack).brief() if row[1] == "opened"]
    assert [row[2] for row in opened] == ["who.any", "who.worker", "who.rich"]


def test_a_level_expires_once_and_comes_again_only_after_another() -> None:
    records = [money("2026-03-02 09:00", 10, "t1"), *ticks("2026-03-04 00:00"), money("2026-03-04 09:00", 1, "t2"),
               money("2026-03-04 10:00", -5, "t3"), money("2026-03-04 11:00", 5, "t4")]  # fmt: skip
    assert run(records, ladder("expires: 1d")).brief() == [
        ("2026-03-02 09:00:00", "opened", "steps.low"),
        ("2026-03-03 09:00:00", "expired", "steps.low"),
        ("2026-03-04 11:00:00", "opened", "steps.low"),
    ]


def test_a_record_that_converts_and_lifts_converts_first() -> None:
    rest = "converts: {event: transactions, where: 'kind == \"salary\"'}"
    result = run(
        [money("2026-03-02 09:00", 10, "t1"), money("2026-03-02 10:00", 10, "t2", kind="salary")], ladder(rest)
    )
    assert result.brief()[1:] == [
        ("2026-03-02 10:00:00", "converted", "steps.low"),
        ("2026-03-02 10:00:00", "opened", "steps.mid"),
    ]
    assert result.told()[1]["reason"] is None


def test_feedback_converts_the_episode_it_names() -> None:
    records = [money("2026-03-02 09:00", 10, "t1"), feedback("2026-03-02 10:00", "f1", tag_id("steps", "C1", 2)),
               feedback("2026-03-02 11:00", "f2", tag_id("steps", "C1", 1), "clicked"),
               feedback("2026-03-02 12:00", "f3", tag_id("steps", "C1", 1))]  # fmt: skip
    assert run(records, ladder()).brief()[1:] == [("2026-03-02 12:00:00", "converted", "steps.low")]


def test_a_level_brought_about_by_an_earlier_day_says_late() -> None:
    records = [
        money("2026-03-02 09:00", 10, "t1"),
        *ticks("2026-03-03 00:00"),
        money("2026-03-02 23:00", 10, "t2"),
    ]
    assert run(records, ladder()).told()[1]["reason"] == "late"


def test_refresh_tells_a_changed_value_once() -> None:
    records = [money("2026-03-02 09:00", 10, "t1"), money("2026-03-02 10:00", 1, "t2"),
               money("2026-03-02 11:00", 5, "t3", own=True), money("2026-03-02 12:00", -1, "t4")]  # fmt: skip
    result = run(records, ladder("refresh: assets"))
    assert [(tag["change"], tag["value"]["assets"], tag["revision"]) for tag in result.told()] == [
        ("opened", "10.00", 1),
        ("refreshed", "11.00", 2),
        ("refreshed", "10.00", 3),
    ]


def test_next_and_name_are_unknown_without_a_level() -> None:
    pack = STEPS.replace("REST", "leave_below: 90%").replace("rules:", "features: {step: {level: steps}}\nrules:")
    none = run([money("2026-03-02 09:00", 5, "t1")], pack).measure(at("2026-03-02 09:00"))
    assert (none["p.step.name"], none["p.step.rank"], none["p.step.next"]) == (None, None, None)
    mid = run([money("2026-03-02 09:00", 20, "t1")], pack).measure(at("2026-03-02 09:00"))
    assert (mid["p.step.name"], mid["p.step.rank"], mid["p.step.next"], mid["p.steps"]) == (
        "mid",
        "1",
        "30.00",
        "mid",
    )
    top = run([money("2026-03-02 09:00", 30, "t1")], pack).measure(at("2026-03-02 09:00"))
    assert top["p.step.next"] is None
