"""Laws of the contact policy: it is what a naive recomputation says, and hangs on no tick, batch or restart."""

import json
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from builders import activation, app, at, feedback, pause, profile, tick
from driver import Run, run
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.naive_policy import BEIJING, Naive

from schemas.journal import Consent, JournalRecord, Pause

PACK = """
pack: p
features:
  a: {count: app_events, where: 'product_id == "A"', over: 2d}
  b: {count: app_events, where: 'product_id == "B"', over: 2d}
  c: {count: app_events, where: 'product_id == "C"', over: 6h}
  d: {count: app_events, where: 'product_id == "D"', over: 1d}
rules:
  low: {when: a > 0, need: save, offer: {family: coupon, priority: 10}, refresh: a}
  high: {when: b > 0, need: save, offer: {family: bundle, priority: 50}, converts: {when: b > 2}}
  coupon: {when: c > 0, need: borrow, offer: {family: coupon, priority: 30}}
  call: {when: d > 0, need: borrow, offer: {family: credit, channel: call, priority: 30}, refresh: d}
  both: {when: a > 0 and d > 0, need: save}
---
"""
RULES = ["low", "high", "coupon", "call", "both"]
START = at("2026-03-06 18:00")  # a Friday
MINUTE = 60_000
STEPS = 5 * 48

# Events lie on half hours, so that they meet the ends of hours, days and windows; what changes consent or a budget
# lies seven minutes beside them.
half_hours = st.integers(0, STEPS - 1)
views = st.tuples(st.just("view"), half_hours, st.sampled_from(["A", "A", "B", "B", "C", "D"]))
words = st.tuples(
    st.sampled_from(["agree", "agree", "refuse", "pause", "resume"]), half_hours, st.sampled_from(["low", "high"])
)
plans = st.lists(views | views | words, min_size=1, max_size=30)
limits = st.none() | st.tuples(st.integers(1, 2), st.integers(2, 4))
policies = st.fixed_dictionaries(
    {
        "consent": st.booleans(),
        "quiet": st.none() | st.sampled_from([(21, 9), (12, 14), (0, 6), (22, 23)]),
        "push": limits,
        "family": limits,
        "within": st.none() | st.sampled_from([30, 60, 1440]),
    }
)


def policy_text(policy: dict[str, Any]) -> str:
    said: dict[str, Any] = {"consent": json.dumps(policy["consent"])}
    if policy["quiet"]:
        said["quiet_hours"] = {"from": f"{policy['quiet'][0]:02}:00", "to": f"{policy['quiet'][1]:02}:00"}
    caps = {name: policy[name] for name in ("push", "family") if policy[name]}
    if caps:
        said["caps"] = {name: {"per_day": str(day), "per_week": str(week)} for name, (day, week) in caps.items()}
    if policy["within"]:
        said["arbitrate"] = {"within": f"{policy['within']}m"}
    return json.dumps(said)


def records_of(plan: list[Any]) -> list[JournalRecord]:
    """In order of time; a pause lies between ticks of its own time, which it happens at."""
    records: list[JournalRecord] = [profile(START - MINUTE, "p", consent=Consent(push=True, call=True))]
    timed = sorted(enumerate(plan), key=lambda one: (one[1][1], one[1][0] != "view", one[0]))
    for number, (kind, step, word) in timed:
        when = START + step * 30 * MINUTE + (0 if kind == "view" else 7 * MINUTE)
        if kind == "view":
            records.append(app(when, f"e{number}", product=word))
        elif kind == "agree":
            records.append(profile(when, f"e{number}", consent=Consent(push=word == "low", call=True)))
        elif kind == "refuse":
            records.append(feedback(when, f"e{number}", "low.00", "unsubscribed"))
        else:
            records += [*both(when), pause(word, resumed=kind == "resume")]
    return [*records, *both(START + (STEPS + 96) * 30 * MINUTE)]


def both(when: int) -> list[JournalRecord]:
    return [tick(when), tick(when, "bank.app-events")]


def decide(records: list[JournalRecord], text: str, **how: Any) -> Run:
    return run([activation("r"), *both(START - 2 * MINUTE), *records], {"r": text}, **how)


def naive(records: list[JournalRecord], policy: dict[str, Any]) -> Naive:
    base = decide([one for one in records if not isinstance(one, Pause)], PACK.removesuffix("---\n"))
    within = policy["within"] and timedelta(minutes=policy["within"])
    caps = {"push": policy["push"]} if policy["push"] else {}
    oracle = Naive(RULES, policy["consent"], policy["quiet"], caps, policy["family"], within)
    given_off = {
        cause: list(tags)
        for cause, tags in groupby(base.told(), key=lambda tag: tag["cause"].get("event_id") or tag["at"])
    }
    instants: dict[int, list[JournalRecord]] = {START + n * MINUTE * 30 + 7 * m * MINUTE: []
                                                for n in range(STEPS + 96) for m in (0, 1)}  # fmt: skip
    now_ms = START
    for record in records[:-2]:
        now_ms = getattr(record, "occurred_ms", now_ms)
        now_ms = getattr(record, "time_ms", now_ms)
        instants.setdefault(now_ms, []).append(record)
    for when, happening in sorted(instants.items()):
        now = datetime.fromtimestamp(when / 1000, BEIJING)
        for record in happening:
            take(oracle, record, now, given_off)
        oracle.tags(now, given_off.get(now.isoformat(), []), False, None)
    return oracle


def take(oracle: Naive, record: Any, now: datetime, given_off: dict[str, list[dict[str, Any]]]) -> None:
    recheck = "none"
    if isinstance(record, Pause):
        (oracle.paused.discard if record.resumed else oracle.paused.add)(record.rule)
        if record.resumed:
            oracle.tags(now, [], False, "over_budget")
        return
    if record.source_kind if hasattr(record, "source_kind") else False:
        if record.source_kind == "profiles":
            consent = record.attributes.consent
            oracle.agreed, oracle.agreed_at = {"push": consent.push, "call": consent.call}, now
            recheck = "no_consent"
        elif record.source_kind == "feedback":
            oracle.refused_at = now
        oracle.tags(now, given_off.get(record.event_id, []), True, recheck)


def told(result: Run) -> list[tuple[str, str, str, str | None]]:
    return [
        (
            tag["at"],
            tag["rule"],
            tag["change"],
            None if tag["state"] == "closed" else "push" if tag["delivery"]["push"] else tag["delivery"]["reason"],
        )
        for tag in result.told()
    ]


@given(plan=plans, policy=policies)
@settings(max_examples=150, deadline=None)
def test_the_gate_equals_a_naive_recomputation(plan: list[Any], policy: dict[str, Any]) -> None:
    records = records_of(plan)
    result = decide(records, PACK + policy_text(policy))
    expected = naive(records, policy)
    assert sorted(told(result), key=str) == sorted(expected.told, key=str)
    for tag in result.told():
        not_before = tag["delivery"]["not_before"]
        assert (not_before is not None) == (tag["delivery"]["reason"] in ("quiet_hours", "cap", "outranked"))
        assert not_before is None or not_before >= tag["at"]


@given(
    plan=plans,
    policy=policies,
    spacing=st.lists(st.integers(0, (STEPS + 96) * 30), max_size=12),
    cuts=st.sets(st.integers(0, 60)),
    control=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_no_byte_hangs_on_ticks_batches_or_restarts(
    plan: list[Any], policy: dict[str, Any], spacing: list[int], cuts: set[int], control: bool
) -> None:
    records = records_of(plan)
    text = PACK + policy_text(policy)
    if control:
        text = text.removesuffix("}") + ', "control": {"share": "50%", "salt": "2026"}}'
    whole = decide(records, text)
    pending = sorted(START + minute * MINUTE for minute in spacing)
    ticked: list[JournalRecord] = []
    for record in records[:-2]:
        time_ms = getattr(record, "occurred_ms", None) or getattr(record, "time_ms", 0) or 0
        while pending and pending[0] <= time_ms:
            ticked += both(pending.pop(0))
        ticked.append(record)
    ticked += [one for when in pending for one in both(when)] + records[-2:]
    for other in (
        decide(records, text, cuts=cuts, restart=True),
        decide(ticked, text),
        decide(ticked, text, cuts=None, restart=True, max_customers=1),
    ):
        assert other.tags == whole.tags
        assert [one.contacts for one in (other.state(), whole.state())] == [whole.state().contacts] * 2
