"""What goes out, pinned to the byte: the push service and stored journals of tags rely on it."""

import pytest
from builders import app, money, profile, tick, ticks
from driver import Run, run

from schemas.bankday import BankCalendar
from tagger.episodes import LIFE, tag_id
from tagger.view import SEGMENT_RULE, project_customer

PACK = """
pack: p
features: {views: {top: product_id, of: app_events, over: 2d}, calls: {count: app_events, over: 30m}}
rules:
  sig:
    when: assets >= 10 and views.count >= 1 and calls < 5
    expires: 1d
    need: money
    offer: {family: coupon, also: [call], channel: push, priority: 5, policy: p1}
"""


def opened(offset: int = -1) -> Run:
    records = [
        profile("2026-03-02 08:00", "p1", owner_id="RM1"),
        *ticks("2026-03-02 08:00"),
        money("2026-03-02 09:00", 12, "t1"),
        app("2026-03-02 09:30:00.250", "a1", product="P", offset=offset, partition=3),
    ]
    return run(records, PACK)


def test_a_tag_is_these_bytes() -> None:
    # Windows: two bank days; half an hour up to and including the instant, told half-open.
    assert opened().tags[0][1].decode() == (
        '{"schema_version":1,"tag_id":"sig.f405f61cb66a9bc54dfe","revision":1,"customer_id":"C1","rule":"sig",'
        '"pack":"p","change":"opened","state":"open","at":"2026-03-02T09:30:00.250+08:00","rulebook":"0:bfccc7a9",'
        '"value":{"assets":"12.00","views.count":1,"calls":1},"level":null,"previous_level":null,"reason":null,'
        '"evidence":[{"condition":"assets >= 10","measured":{"assets":"12.00"},"threshold":"10","holds":true,'
        '"window":null,"events":["a1"]},'
        '{"condition":"views.count >= 1","measured":{"views.count":1},"threshold":"1","holds":true,'
        '"window":["2026-03-01T00:00:00+08:00","2026-03-03T00:00:00+08:00"],"events":["a1"]},'
        '{"condition":"calls < 5","measured":{"calls":1},"threshold":"5","holds":true,'
        '"window":["2026-03-02T09:00:00.251+08:00","2026-03-02T09:30:00.251+08:00"],"events":["a1"]}],'
        '"offer":{"family":"coupon","also":["call"],"channel":"push","priority":5,"policy":"p1","owner_id":"RM1"},'
        '"need":"money","delivery":{"push":true,"reason":null,"not_before":null,"control":false},'
        '"expires_at":"2026-03-03T09:30:00.250+08:00","cause":{"topic":"bank.app-events","event_id":"a1"}}'
    )


def test_the_cause_of_a_consumed_record_has_its_place() -> None:
    assert opened(offset=17).told()[0]["cause"] == {
        "topic": "bank.app-events",
        "partition": 3,
        "offset": 17,
        "event_id": "a1",
    }


@pytest.mark.parametrize(
    ("rule", "customer", "number", "expected"),
    [
        ("sig", "C1", 1, "sig.f405f61cb66a9bc54dfe"),
        ("sig", "C1", 2, "sig.d0bb71010dffea8f183e"),
    ],
)
def test_a_tag_id_never_changes(rule: str, customer: str, number: int, expected: str) -> None:
    assert tag_id(rule, customer, number) == expected


def test_rule_customer_and_number_are_told_apart() -> None:
    ids = {tag_id(rule, customer, n) for rule in ("a", "a1") for customer in ("1C", "C") for n in (1, 11)}
    assert len(ids) == 8


def test_nothing_follows_a_closed_episode() -> None:
    assert LIFE["closed"] == {}
    assert {change for change, after in LIFE["open"].items() if after == "closed"} == {
        "converted",
        "revoked",
        "expired",
    }


def test_the_view_shows_balances_levels_and_open_tags() -> None:
    pack = PACK + "  steps: {by: assets, levels: {low: 1, high: 20}}\n"
    pack += f"  {SEGMENT_RULE}: {{levels: {{regular: otherwise, new: assets < 0}}, silent: [regular]}}\n"
    records = [
        tick("2026-03-02 08:00"),
        money("2026-03-02 09:00", 12, "t1", after=100),
        money("2026-03-02 09:10", -3, "t2", account="L", account_type="loan"),
        money("2026-03-02 09:20", 5, "t3", account="W", account_type="wealth", own=True),
        money("2026-03-02 09:25", 1, "t4", after=105),
        app("2026-03-02 09:30", "a1", product="P"),
    ]
    result = run(records, pack)
    view = project_customer("C1", result.customers["C1"], BankCalendar("Asia/Shanghai"))
    assert view.profile == {
        "assets": "101.00",
        "current": "101.00",
        "wealth": "5.00",
        "loan": "3.00",
        "level.lifecycle-segment": "regular",
        "level.steps": "high",
        "segment": "regular",
        "updated_at": "2026-03-02T09:30:00+08:00",
    }
    assert view.accounts == {"current:A1": "101.00", "loan:L": "3.00", "wealth:W": "5.00"}
    assert view.drift == {"current:A1": "4.00"}
    assert [
        (one.rule, one.level, one.opened_at, one.expires_at, one.delivery.push) for one in view.tags.values()
    ] == [
        ("steps", "high", "2026-03-02T09:00:00+08:00", None, True),
        ("sig", None, "2026-03-02T09:30:00+08:00", "2026-03-03T09:30:00+08:00", True),
    ]
    assert list(view.tags)[1] == "sig.f405f61cb66a9bc54dfe"


def test_columns_stand_in_the_packs_order_whatever_reads_what() -> None:
    features = (
        "features: {twice: {expr: calls * 2}, calls: {count: app_events, over: 2d}, rich: {expr: assets > 9}}"
    )
    result = run([money("2026-03-02 09:00", 12, "t1")], f"pack: p\n{features}\nrules: {{}}\n")
    assert result.partition.feature_columns() == ["p.twice", "p.calls", "p.rich"]


def test_columns_stand_in_the_packs_order() -> None:
    result = run(
        [money("2026-03-02 09:00", 12, "t1")], PACK + "  steps: {by: assets, levels: {low: 1, high: 20}}\n"
    )
    assert result.partition.feature_columns() == ["p.views.value", "p.views.count", "p.calls", "p.steps"]
    values = result.measure(1772413200000)
    assert [values[name] for name in result.partition.feature_columns()] == [None, None, "0", "low"]
