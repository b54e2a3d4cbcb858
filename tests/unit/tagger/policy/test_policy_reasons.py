"""The contact policy: each reason holds a tag, says why and until when, and lets it go when it ends."""

from typing import Any

import pytest
from builders import activation, app, at, feedback, money, pause, profile, tick, ticks
from driver import Run, run

from schemas.bankday import BankCalendar
from schemas.journal import Consent, JournalRecord
from tagger.episodes import tag_id
from tagger.view import project_customer

# `open-n` is open while a view of product n is among today's and yesterday's.
RULES = """
pack: p
features:
  a: {count: app_events, where: 'product_id == "A"', over: 2d}
  b: {count: app_events, where: 'product_id == "B"', over: 2d}
  c: {count: app_events, where: 'product_id == "C"', over: 2d}
rules:
  low: {when: a > 0, need: save, offer: {family: coupon, priority: 10}, refresh: a}
  high: {when: b > 0, need: save, offer: {family: bundle, priority: 50}, converts: {when: b > 1}}
  other: {when: c > 0, need: borrow, offer: {family: credit, channel: call, priority: 30}}
  tiers: {by: assets, levels: {small: 100, large: 1000}}
---
"""
AGREED = Consent(push=True, call=True)


def consent(when: str = "2026-03-01 00:00", event_id: str = "p1", given: Consent = AGREED) -> JournalRecord:
    return profile(when, event_id, consent=given)


def decide(policy: str, *records: Any, start: str = "2026-03-02 08:00", **how: Any) -> Run:
    """Records under a policy, of a customer who agreed to everything before."""
    journal: list[JournalRecord] = [activation("r1"), *ticks(start), consent()]
    for record in records:
        journal += record if isinstance(record, list) else [record]
    return run(journal, {"r1": RULES + policy}, **how)


def outcome(result: Run) -> list[tuple[str, str, str, str | None]]:
    """Each tag as (bank time, change, rule, reason or push)."""
    return [
        (
            tag["at"][5:16].replace("T", " "),
            tag["change"],
            tag["rule"],
            "push" if tag["delivery"]["push"] else tag["delivery"]["reason"],
        )
        for tag in result.told()
    ]


def held(result: Run) -> dict[str, int]:
    contacts = result.state().contacts
    return {} if contacts is None else contacts.held


def test_without_consent_nothing_is_pushed_until_a_profile_agrees() -> None:
    result = decide(
        "consent: true",
        consent("2026-03-02 08:30", "p2", Consent(call=True)),
        app("2026-03-02 09:00", "e1", product="A"),
        app("2026-03-02 09:00", "e2", product="C"),
        consent("2026-03-02 10:00", "p3"),
    )
    assert outcome(result) == [
        ("03-02 09:00", "opened", "low", "no_consent"),
        ("03-02 09:00", "opened", "other", "push"),
        ("03-02 10:00", "released", "low", "push"),
    ]
    opened, _, released = result.told()
    assert opened["delivery"] == {
        "push": False, "reason": "no_consent", "not_before": None, "control": False, "detail": "push"
    }  # fmt: skip
    assert (released["tag_id"], released["revision"], released["state"]) == (opened["tag_id"], 2, "open")
    assert released["value"] == {"a": 1}
    assert released["cause"] == {"topic": "bank.profiles", "event_id": "p3"}


def test_a_customer_without_a_profile_has_not_agreed() -> None:
    records = [activation("r1"), *ticks("2026-03-02 08:00"), app("2026-03-02 09:00", "e1", product="A")]
    assert outcome(run(records, {"r1": RULES + "stale: 1h"})) == [("03-02 09:00", "opened", "low", "no_consent")]
    assert outcome(run(records, {"r1": RULES + "consent: false"})) == [("03-02 09:00", "opened", "low", "push")]


def test_who_unsubscribes_is_left_alone_until_a_later_profile_agrees() -> None:
    refused = feedback("2026-03-02 09:30", "f1", tag_id("low", "C1", 1), "unsubscribed")
    result = decide(
        "consent: true",
        app("2026-03-02 09:00", "e1", product="A"),
        refused,
        consent("2026-03-02 09:20", "p2"),
        app("2026-03-02 10:00", "e2", product="B"),
        app("2026-03-02 10:00", "e3", product="C"),
        consent("2026-03-02 11:00", "p3"),
    )
    assert outcome(result) == [
        ("03-02 09:00", "opened", "low", "push"),
        ("03-02 10:00", "opened", "high", "no_consent"),
        ("03-02 10:00", "opened", "other", "push"),
        ("03-02 11:00", "released", "high", "push"),
    ]


NIGHT = "quiet_hours: {from: 21:00, to: 09:00}"


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ("2026-03-02 20:59:59.999", "push"),
        ("2026-03-02 21:00", "quiet_hours"),
        ("2026-03-03 00:00", "quiet_hours"),
        ("2026-03-03 08:59:59.999", "quiet_hours"),
        ("2026-03-03 09:00", "push"),
    ],
)
def test_quiet_hours_begin_with_their_first_instant_and_end_before_their_last(when: str, reason: str) -> None:
    assert outcome(decide(NIGHT, app(when, "e1", product="A")))[0][3] == reason


def test_what_is_held_at_night_goes_out_in_the_morning() -> None:
    evening = [app("2026-03-02 22:00", "e1", product="A")]
    waiting = decide(NIGHT, evening, ticks("2026-03-03 09:00"))
    assert waiting.told()[0]["delivery"] == {
        "push": False,
        "reason": "quiet_hours",
        "not_before": "2026-03-03T09:00:00+08:00",
        "control": False,
        "detail": "21:00 to 09:00",
    }
    assert len(waiting.tags) == 1
    assert waiting.state().due_ms == at("2026-03-03 09:00")
    result = decide(NIGHT, evening, ticks("2026-03-03 09:00:00.001"))
    assert outcome(result)[1:] == [("03-03 09:00", "released", "low", "push")]
    assert result.told()[1]["cause"] == {"deadline": "2026-03-03T09:00:00+08:00"}
    assert result.state().contacts is None
    # A record that comes first finds the deadline passed before it.
    assert decide(NIGHT, evening, app("2026-03-03 12:00", "e2", product="X")).told()[1] == result.told()[1]


def test_hours_within_a_day_are_quiet_too() -> None:
    result = decide(
        "quiet_hours: {from: 12:00, to: 14:00}",
        app("2026-03-02 13:00", "e1", product="A"),
        ticks("2026-03-02 20:00"),
    )
    assert outcome(result)[1:] == [("03-02 14:00", "released", "low", "push")]


def test_what_has_closed_by_the_morning_is_not_let_go() -> None:
    result = decide(
        NIGHT,
        app("2026-03-02 22:00", "e1", product="B"),
        app("2026-03-02 22:30", "e2", product="B"),
        ticks("2026-03-03 12:00"),
    )
    assert [row[:3] for row in outcome(result)] == [
        ("03-02 22:00", "opened", "high"),
        ("03-02 22:30", "converted", "high"),
    ]
    assert result.state().contacts is None


def test_a_refreshed_tag_is_held_anew_and_let_go_once_with_its_latest_value() -> None:
    result = decide(
        NIGHT,
        app("2026-03-02 22:00", "e1", product="A"),
        app("2026-03-02 23:00", "e2", product="A"),
        ticks("2026-03-03 12:00"),
    )
    assert outcome(result) == [
        ("03-02 22:00", "opened", "low", "quiet_hours"),
        ("03-02 23:00", "refreshed", "low", "quiet_hours"),
        ("03-03 09:00", "released", "low", "push"),
    ]
    assert result.told()[-1]["value"] == {"a": 2}


def test_a_cap_a_day_holds_until_the_next_day() -> None:
    result = decide(
        "caps: {push: {per_day: 1}}",
        app("2026-03-02 09:00", "e1", product="A"),
        app("2026-03-02 10:00", "e2", product="B"),
        app("2026-03-02 11:00", "e3", product="C"),
        ticks("2026-03-03 00:00:01"),
    )
    assert outcome(result) == [
        ("03-02 09:00", "opened", "low", "push"),
        ("03-02 10:00", "opened", "high", "cap"),
        ("03-02 11:00", "opened", "other", "push"),  # by call, which has no cap
        ("03-03 00:00", "released", "high", "push"),
    ]
    assert result.told()[1]["delivery"]["detail"] == "push: 1 a day"
    assert result.told()[1]["delivery"]["not_before"] == "2026-03-03T00:00:00+08:00"


def test_a_cap_a_week_holds_until_monday() -> None:
    result = decide(
        "caps: {push: {per_week: 1}}",
        app("2026-03-07 09:00", "e1", product="A"),  # Saturday
        app("2026-03-08 10:00", "e2", product="B"),
        ticks("2026-03-09 00:00:01"),
        start="2026-03-06 08:00",
    )
    assert outcome(result)[1:] == [
        ("03-08 10:00", "opened", "high", "cap"),
        ("03-09 00:00", "revoked", "low", None),
        ("03-09 00:00", "released", "high", "push"),
    ]
    assert result.told()[1]["delivery"]["not_before"] == "2026-03-09T00:00:00+08:00"


def test_of_a_cap_and_the_night_the_later_end_counts() -> None:
    result = decide(
        NIGHT + "\ncaps: {push: {per_day: 1}}",
        app("2026-03-02 09:00", "e1", product="A"),
        app("2026-03-02 10:00", "e2", product="B"),
        ticks("2026-03-03 12:00"),
    )
    assert result.told()[1]["delivery"]["reason"] == "cap"
    assert result.told()[1]["delivery"]["not_before"] == "2026-03-03T09:00:00+08:00"
    assert outcome(result)[2:] == [("03-03 09:00", "released", "high", "push")]


@pytest.mark.parametrize(
    ("caps", "reasons"),
    [
        ("family: {per_day: 1}", ["push", "cap", "push"]),
        ("family: {coupon: {per_day: 1}}", ["push", "cap", "push"]),
        ("family: {bundle: {per_day: 1}}", ["push", "push", "push"]),
    ],
)
def test_families_have_caps_of_their_own(caps: str, reasons: list[str]) -> None:
    result = decide(
        f"caps: {{{caps}}}",
        app("2026-03-02 09:00", "e1", product="A"),
        app("2026-03-02 10:00", "e2", product="A"),
        app("2026-03-02 11:00", "e3", product="B"),
    )
    assert [row[3] for row in outcome(result)] == reasons


ONE_NEED = "arbitrate: {within: 10m, one_per: need, rank: priority}"


def test_of_one_need_the_first_pushed_outranks_what_follows_within_the_time() -> None:
    result = decide(
        ONE_NEED,
        app("2026-03-02 09:00", "e1", product="A"),
        app("2026-03-02 09:10", "e2", product="B"),  # the last instant of the ten minutes
        app("2026-03-02 09:10", "e3", product="C"),  # another need
        ticks("2026-03-02 09:10:00.001"),
    )
    assert outcome(result) == [
        ("03-02 09:00", "opened", "low", "push"),
        ("03-02 09:10", "opened", "high", "outranked"),
        ("03-02 09:10", "opened", "other", "push"),
        ("03-02 09:10", "released", "high", "push"),
    ]
    assert result.told()[1]["delivery"]["detail"] == "low"
    later = decide(
        ONE_NEED,
        app("2026-03-02 09:00", "e1", product="A"),
        app("2026-03-02 09:10:00.001", "e2", product="B"),
    )
    assert [row[3] for row in outcome(later)] == ["push", "push"]


ONE = app("2026-03-02 09:00", "e1", product="A")
TOGETHER = RULES.replace('product_id == "B"', 'product_id == "A"')


def test_of_those_opened_by_one_record_the_first_in_rank_wins() -> None:
    records = [activation("r1"), *ticks("2026-03-02 08:00"), consent(), ONE, *ticks("2026-03-02 10:00")]
    assert outcome(run(records, {"r1": TOGETHER + ONE_NEED})) == [
        ("03-02 09:00", "opened", "low", "outranked"),
        ("03-02 09:00", "opened", "high", "push"),
        ("03-02 09:10", "released", "low", "push"),
    ]
    assert [row[3] for row in outcome(run(records[:-2], {"r1": TOGETHER + "caps: {push: {per_day: 1}}"}))] == [
        "cap",
        "push",
    ]


def test_a_refreshed_tag_does_not_outrank_itself() -> None:
    result = decide(
        ONE_NEED, app("2026-03-02 09:00", "e1", product="A"), app("2026-03-02 09:01", "e2", product="A")
    )
    assert [row[3] for row in outcome(result)] == ["push", "push"]


def test_the_control_group_is_tagged_and_never_contacted() -> None:
    share = "control: {share: 20%, salt: '2026'}\n"
    people = [f"P{n}" for n in range(200)]
    records: list[JournalRecord] = [activation("r1"), *ticks("2026-03-02 08:00")]
    for person in people:
        records.append(profile("2026-03-01 00:00", f"p{person}", customer=person, consent=AGREED))
        records.append(app("2026-03-02 22:00", f"e{person}", product="A", customer=person))
    result = run([*records, *ticks("2026-03-03 12:00")], {"r1": RULES + share + NIGHT})
    control = [person for person in people if result.told(person)[0]["delivery"]["control"]]
    assert 20 <= len(control) <= 60
    for person in people:
        deliveries = [tag["delivery"] for tag in result.told(person)]
        assert [one["reason"] for one in deliveries] == ["quiet_hours", "control" if person in control else None]
        assert [one["push"] for one in deliveries] == [False, person not in control]
    other = run([*records, *ticks("2026-03-03 12:00")], {"r1": RULES + share.replace("2026", "2027") + NIGHT})
    assert [person for person in people if other.told(person)[0]["delivery"]["control"]] != control


def test_the_view_says_of_the_control_group_what_the_last_revision_said() -> None:
    """Whatever else holds the tag, a proposed level too; a policy without such a group says so at the next one."""
    everybody, nobody = "control: {share: 100%, salt: '2026'}\n", "consent: true\n"
    graded = RULES.replace("large: 1000}}", "large: 1000}, approval: {from: large}}")
    records: list[JournalRecord] = [
        activation("r1"), *ticks("2026-03-02 08:00"), app("2026-03-02 09:00", "a1", product="A"),
        money("2026-03-02 10:00", 2000, "t1"),
    ]  # fmt: skip
    packs = {"r1": graded + everybody, "r2": graded + nobody}
    result = run(records, packs)
    assert controls(result) == {("low", 1): True, ("tiers", 1): True, ("tiers", 2): True}
    assert shown(result) == controls(result)
    changed = run([*records, activation("r2"), app("2026-03-02 11:00", "a2", product="A")], packs)
    assert controls(changed)["low", 1] is False
    assert shown(changed) == controls(changed)


def controls(result: Run) -> dict[tuple[str, int], bool]:
    """What the last revision of each tag said, by rule and the how-manieth episode."""
    last = {tag["tag_id"]: tag for tag in result.told()}
    numbers = {tag_id(rule, "C1", number): (rule, number) for rule in ("low", "tiers") for number in (1, 2)}
    return {numbers[one]: tag["delivery"]["control"] for one, tag in last.items()}


def shown(result: Run) -> dict[tuple[str, int], bool]:
    """The same of the view."""
    tags = project_customer("C1", result.customers["C1"], BankCalendar("Asia/Shanghai")).tags
    numbers = {tag_id(rule, "C1", number): (rule, number) for rule in ("low", "tiers") for number in (1, 2)}
    return {numbers[one]: tag.delivery.control for one, tag in tags.items()}


def test_a_tag_decided_long_after_its_time_is_stale() -> None:
    late = "stale: 1h\nconsent: false"
    rule = RULES.replace("when: a > 0,", "when: a > 0, for: 30m,")
    for until, reason in (("2026-03-02 10:30", "push"), ("2026-03-02 10:30:00.001", "stale")):
        records = [activation("r1"), *ticks("2026-03-02 08:00"), app("2026-03-02 09:00", "e1", product="A")]
        result = run([*records, *ticks(until)], {"r1": rule + late})
        assert outcome(result) == [("03-02 09:30", "opened", "low", reason)]
        assert result.state().contacts is None


def test_a_release_that_comes_too_late_is_looked_at_again_at_the_time_known_then() -> None:
    policy = f"stale: 1h\n{NIGHT}"
    evening = [app("2026-03-02 22:00", "e1", product="A")]
    day = decide(policy, evening, ticks("2026-03-03 14:00"), ticks("2026-03-03 14:00:10"))
    assert outcome(day)[1:] == [("03-03 14:00", "released", "low", "push")]
    night = decide(policy, evening, ticks("2026-03-03 22:00"), ticks("2026-03-03 22:00:10"))
    assert outcome(night)[1:] == []
    assert held(night) == {"low": at("2026-03-04 09:00")}


def test_time_that_follows_recorded_events_makes_nothing_stale() -> None:
    rule = RULES.replace("when: a > 0,", "when: a > 0, for: 30m,")
    jump = [tick("2026-03-02 20:00", topic, recorded=True) for topic in ("bank.transactions", "bank.app-events")]
    result = run(
        [activation("r1"), app("2026-03-02 09:00", "e1", product="A"), *jump],
        {"r1": rule + "stale: 1h\nconsent: false"},
    )
    assert outcome(result) == [("03-02 09:30", "opened", "low", "replay")]


def test_a_replay_goes_through_the_policy_and_pushes_nothing() -> None:
    clock = [tick("2026-03-02 08:00", topic, recorded=True) for topic in ("bank.transactions", "bank.app-events")]
    end = [tick("2026-03-03 12:00", topic, recorded=True) for topic in ("bank.transactions", "bank.app-events")]
    records = [activation("r1"), *clock, consent(), app("2026-03-02 22:00", "e1", product="A"), *end]
    assert outcome(run(records, {"r1": RULES + NIGHT})) == [
        ("03-02 22:00", "opened", "low", "quiet_hours"),
        ("03-03 09:00", "released", "low", "replay"),
    ]


def test_a_paused_rule_is_over_budget_until_it_is_resumed() -> None:
    result = decide(
        "consent: true",
        pause("low"),
        app("2026-03-02 09:00", "e1", product="A"),
        app("2026-03-02 09:00", "e2", product="B"),
        pause("low"),
        *ticks("2026-03-02 10:00"),
        pause("low", resumed=True),
        pause("low", resumed=True),
    )
    assert outcome(result) == [
        ("03-02 09:00", "opened", "low", "over_budget"),
        ("03-02 09:00", "opened", "high", "push"),
        ("03-02 10:00", "released", "low", "push"),
    ]
    assert result.clock.paused == []
    assert result.clock.control == 2 + 2 + 1 + 4


def test_a_pause_needs_no_policy() -> None:
    records = [
        activation("r1"),
        *ticks("2026-03-02 08:00"),
        pause("low"),
        app("2026-03-02 09:00", "e1", product="A"),
    ]
    alone = RULES.removesuffix("---\n")
    assert outcome(run(records, {"r1": alone})) == [("03-02 09:00", "opened", "low", "over_budget")]
    resumed = run([*records, pause("low", resumed=True)], {"r1": alone})
    assert outcome(resumed)[1:] == [("03-02 09:00", "released", "low", "push")]
    assert resumed.state().contacts is None


def test_resumed_at_night_it_waits_for_the_morning() -> None:
    result = decide(
        NIGHT,
        pause("low"),
        app("2026-03-02 20:00", "e1", product="A"),
        *ticks("2026-03-02 22:00"),
        pause("low", resumed=True),
        *ticks("2026-03-03 10:00"),
    )
    assert outcome(result) == [
        ("03-02 20:00", "opened", "low", "over_budget"),
        ("03-03 09:00", "released", "low", "push"),
    ]


def test_resuming_is_bounded_per_batch_and_survives_restarts() -> None:
    people = [app("2026-03-02 09:00", f"e{n}", product="A", customer=f"P{n}") for n in range(7)]
    records = [
        activation("r1"), *ticks("2026-03-02 08:00"), pause("low"), *people, pause("low", resumed=True)
    ]  # fmt: skip
    packs = {"r1": RULES + "consent: false"}
    whole = run(records, packs)
    parts = run(records, packs, cuts=None, max_customers=2, restart=True)
    assert len(whole.tags) == 14
    assert (parts.tags, parts.customers, parts.meta) == (whole.tags, whole.customers, whole.meta)
    assert parts.batches == len(records) + 3 + 1


def test_another_policy_lets_go_what_it_does_not_hold() -> None:
    journal = [
        activation("r1"), *ticks("2026-03-02 08:00"), consent(), app("2026-03-02 22:00", "e1", product="A"),
        *ticks("2026-03-02 23:00"), activation("r2"),
    ]  # fmt: skip
    for policy in ("", "caps: {push: {per_day: 1}}"):
        other = (RULES + policy).removesuffix("---\n")
        result = run(journal, {"r1": RULES + NIGHT, "r2": other}, cuts=None, restart=True)
        assert outcome(result)[1:] == [("03-02 23:00", "released", "low", "push")]
    shadow = RULES.replace("low: {", "low: {mode: shadow, ") + "consent: true"
    result = run([*journal, *ticks("2026-03-03 12:00")], {"r1": RULES + NIGHT, "r2": shadow})
    assert len(outcome(result)) == 1
    assert result.state().contacts is None


def test_a_grade_is_held_and_let_go_with_its_level() -> None:
    result = decide(NIGHT, money("2026-03-02 22:00", 500, "t1"), ticks("2026-03-03 12:00"))
    assert outcome(result) == [
        ("03-02 22:00", "opened", "tiers", "quiet_hours"),
        ("03-03 09:00", "released", "tiers", "push"),
    ]
    opened, released = result.told()
    assert (released["level"], released["value"]) == ("small", opened["value"])
    assert [(one["condition"], one["holds"]) for one in released["evidence"]] == [
        (one["condition"], one["holds"]) for one in opened["evidence"]
    ]


def test_a_customer_never_held_back_keeps_nothing() -> None:
    assert decide(NIGHT, app("2026-03-02 12:00", "e1", product="A")).state().contacts is None


def test_a_shadow_is_no_push_in_a_replay_either() -> None:
    clock = [tick("2026-03-02 08:00", topic, recorded=True) for topic in ("bank.transactions", "bank.app-events")]
    records = [activation("r1"), *clock, consent(), app("2026-03-02 09:00", "e1", product="A")]
    shadow = RULES.replace("low: {", "low: {mode: shadow, ") + "caps: {push: {per_day: 1}}"
    result = run(records, {"r1": shadow})
    assert outcome(result) == [("03-02 09:00", "opened", "low", "shadow")]
    assert result.state().contacts is None


def test_a_tag_carries_the_needs_of_its_rule() -> None:
    words = RULES.replace(
        "need: save, offer: {family: coupon", "need: save, needs: [car, card], offer: {family: coupon"
    )
    records = [
        *ticks("2026-03-02 08:00"),
        app("2026-03-02 09:00", "e1", product="A"),
        app("2026-03-02 09:00", "e2", product="B"),
    ]
    low, high = run([activation("r1"), *records], {"r1": words.removesuffix("---\n")}).told()
    assert low["needs"] == ["car", "card"]
    assert "needs" not in high


def test_a_reason_may_give_way_to_another_which_its_own_end_ends() -> None:
    night = [app("2026-03-02 22:00", "e1", product="A"), consent("2026-03-03 08:00", "p2", Consent())]
    waiting = decide(f"consent: true\n{NIGHT}", *night, ticks("2026-03-03 10:00"))
    assert [row[3] for row in outcome(waiting)] == ["quiet_hours"]
    assert waiting.state().rules["low"].open.held == "no_consent"  # type: ignore[union-attr]
    assert waiting.state().contacts is None
    agreed = decide(f"consent: true\n{NIGHT}", *night, consent("2026-03-03 12:00", "p3"))
    assert outcome(agreed)[1:] == [("03-03 12:00", "released", "low", "push")]
    paused = [app("2026-03-02 22:00", "e1", product="A"), pause("low"), ticks("2026-03-03 10:00")]
    assert [row[3] for row in outcome(decide(NIGHT, *paused))] == ["quiet_hours"]
    resumed = decide(NIGHT, *paused, pause("low", resumed=True))
    assert outcome(resumed)[1:] == [("03-03 10:00", "released", "low", "push")]


def test_of_a_profile_and_a_refusal_of_one_instant_the_refusal_counts() -> None:
    refused = feedback("2026-03-02 09:00", "f1", tag_id("low", "C1", 1), "unsubscribed")
    together = decide(
        "consent: true", consent("2026-03-02 09:00", "p2"), refused, app("2026-03-02 10:00", "e1", product="A")
    )
    assert [row[3] for row in outcome(together)] == ["no_consent"]
    # One told after a later profile is old news.
    behind = decide(
        "consent: true", consent("2026-03-02 09:30", "p2"), refused, app("2026-03-02 10:00", "e1", product="A")
    )
    assert [row[3] for row in outcome(behind)] == ["push"]
