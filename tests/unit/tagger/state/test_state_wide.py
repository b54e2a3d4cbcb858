"""No valid record can wedge a partition: sums beyond 64 bits, the ends of time, the longest ids."""

from typing import Any

import pytest
from builders import activation, app, at, feedback, money, profile, ticks
from driver import CORE, run

from schemas.bankday import BankCalendar
from schemas.events import MAX_INTEGER
from schemas.scalars import MAX_AMOUNT_FEN, MAX_INSTANT_MS, MAX_MONEY_FEN, MIN_INSTANT_MS
from tagger.settings import CoreSettings
from tagger.state.customer import NEVER, CustomerState, Series, decode_due, decode_state, encode_state
from tagger.state.day_values import begin_day
from tagger.view import project_customer

PACK = """
pack: p
features:
  spent: {sum: amount, of: transactions, over: ever}
  dwelt: {sum: dwell_ms, of: app_events, over: ever}
  avg: {average_balance: assets, over: 3d}
  quiet: {days_since: transactions}
rules:
  rich: {when: assets > 0, refresh: spent}
  steps: {by: avg, levels: {low: 1, high: 1000000}}
  quiet: {when: quiet >= 2}
"""


def test_a_state_beyond_64_bits_is_written_and_read() -> None:
    series = Series(2, 2, 2**69, total_fen=2**70)
    begin_day(series, 3, -(2**80))
    begin_day(series, 4, 1)
    state = CustomerState(due_ms=5, series={"current": series}, features={7: [[1], [-(2**80)]]})
    encoded = encode_state(state)
    assert decode_state(encoded) == state
    assert (decode_due(encoded), encode_state(decode_state(encoded))) == (5, encoded)


def test_a_state_within_64_bits_is_compact() -> None:
    state = CustomerState(series={"current": Series(total_fen=2**62)})
    assert encode_state(state)[:1] != b"["
    assert decode_due(encode_state(state)) == NEVER


def test_sums_of_the_largest_amounts_are_exact() -> None:
    largest: Any = {"yuan": 0, "fen": MAX_AMOUNT_FEN, "after": MAX_MONEY_FEN // 100}
    balances = [
        money(f"2026-03-02 09:{n % 60:02d}", event_id=f"t{n}", account=f"A{n}", **largest) for n in range(200)
    ]
    apps = [app("2026-03-02 10:00", f"a{n}", dwell_ms=MAX_INTEGER) for n in range(1200)]
    result = run([*ticks("2026-03-02 08:00"), *balances, *apps, *ticks("2026-03-05 00:00:01")], PACK, restart=True)
    again = run([*ticks("2026-03-02 08:00"), *balances, *apps, *ticks("2026-03-05 00:00:01")], PACK,
                cuts=range(0, 1400, 97), restart=True)  # fmt: skip
    assert (again.customers, again.tags) == (result.customers, result.tags)
    values = result.measure(at("2026-03-05 00:00:01"))
    assert values["assets"] == f"{200 * MAX_MONEY_FEN // 100}.00"
    assert values["p.spent"] == f"{200 * MAX_AMOUNT_FEN // 100}.00"
    assert values["p.dwelt"] == str(1200 * MAX_INTEGER)
    assert (
        project_customer("C1", result.customers["C1"], BankCalendar(CORE.zone)).profile["assets"]
        == values["assets"]
    )
    assert ("2026-03-04 00:00:00", "opened", "quiet") in result.brief()


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "Europe/Amsterdam", "Africa/Monrovia", "UTC"])
@pytest.mark.parametrize("first", ["1900-01-02 03:04", "1930-05-31 23:59:59", "1971-12-31 23:50"])
def test_local_mean_time_turns_its_days(zone: str, first: str) -> None:
    core = CoreSettings(zone=zone)
    start = at(first, zone)
    records = [money(start, 10, "t1"), app(start + 5 * 86_400_000, "a1")]
    result = run(records, PACK, core=core, cuts=None, restart=True)
    calendar = BankCalendar(zone)
    opened = next(tag for tag in result.told() if tag["rule"] == "quiet")
    assert opened["at"] == calendar.format(calendar.start_ms(calendar.day_of(start) + 2))


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Africa/Monrovia", "Europe/Berlin", "America/Havana"])
def test_a_day_holds_its_first_instant_and_not_the_one_before(zone: str) -> None:
    calendar = BankCalendar(zone)
    for day in range(calendar.day_of(MIN_INSTANT_MS) + 1, calendar.day_of(MAX_INSTANT_MS), 61):
        start = calendar.start_ms(day)
        assert (calendar.day_of(start - 1), calendar.day_of(start)) == (day - 1, day)


def test_the_last_instants_are_folded() -> None:
    last = MAX_INSTANT_MS - 1
    records = [money(last, 5, "t1"), app(last, "a1"), profile(last, "p1"), feedback(last, "f1", "x")]
    result = run([*records, *ticks(last), *ticks(last)], PACK, cuts=None, restart=True)
    assert result.measure(last)["assets"] == "5.00"


def test_the_longest_ids_and_any_text_are_folded() -> None:
    odd = "名\u0000\U0001f600'\"\\" * 9
    records = [
        money("2026-03-02 09:00", 5, odd[:64], customer="C" * 64, account=odd, channel=odd, product_id=odd),
        app("2026-03-02 09:00", odd[:64], customer="C" * 64, product=odd, category=odd),
        profile("2026-03-02 09:00", odd[:64], customer="C" * 64, occupation=odd, labels=(odd,), owner_id=odd),
        feedback("2026-03-02 09:00", odd[:64], odd, customer="C" * 64),
    ]
    pack = PACK.replace(
        "rules:",
        "  seen: {top: product_id, of: app_events, over: 2d}\n"
        "rules:\n  seen: {when: seen.count >= 1, refresh: seen.value}",
    )
    result = run([activation("r1"), *records], {"r1": pack}, cuts=None, restart=True)
    assert result.measure(at("2026-03-02 09:00"), "C" * 64)["p.seen.value"] == odd
    assert next(tag for tag in result.told("C" * 64) if tag["rule"] == "seen")["value"]["seen.value"] == odd
