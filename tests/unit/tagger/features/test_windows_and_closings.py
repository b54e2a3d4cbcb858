"""Windows of bank days and sums of closings, by hand; days that summer time shortens or lengthens."""

from datetime import date

import pytest
from builders import app, at, money, ticks
from driver import run

from schemas.bankday import BankCalendar
from tagger.features.balances import add_flow, closing_sum, closings
from tagger.features.windows import DayWindow
from tagger.settings import CoreSettings
from tagger.state.customer import KEPT_DAYS, Account, CustomerState, Series, decode_state, encode_state
from tagger.state.day_values import entries


def day(text: str) -> int:
    return date.fromisoformat(text).toordinal()


@pytest.mark.parametrize(
    ("kind", "count", "previous", "today", "first", "end"),
    [
        ("days", 1, False, "2026-03-02", "2026-03-02", "2026-03-03"),
        ("days", 7, False, "2024-03-02", "2024-02-25", "2024-03-03"),
        ("months", 1, False, "2026-03-31", "2026-03-01", "2026-04-01"),
        ("months", 12, False, "2026-03-31", "2025-04-01", "2026-04-01"),
        ("months", 2, False, "2026-01-01", "2025-12-01", "2026-01-02"),
        ("month", 1, True, "2024-03-01", "2024-02-01", "2024-03-01"),
        ("month", 1, True, "2026-01-31", "2025-12-01", "2026-01-01"),
        ("quarter", 1, False, "2026-06-30", "2026-04-01", "2026-07-01"),
        ("quarter", 1, True, "2026-01-01", "2025-10-01", "2026-01-01"),
        ("quarter", 1, True, "2026-12-31", "2026-07-01", "2026-10-01"),
        ("year", 1, False, "2026-01-01", "2026-01-01", "2026-01-02"),
        ("year", 1, True, "2025-12-31", "2024-01-01", "2025-01-01"),
    ],
)
def test_a_window_covers_these_days(
    kind: str, count: int, previous: bool, today: str, first: str, end: str
) -> None:
    window = DayWindow(kind, count, previous)  # type: ignore[arg-type]
    assert window.span(day(today)) == (day(first), day(end))


@pytest.mark.parametrize(
    ("kind", "count", "previous", "began", "full"),
    [
        ("days", 7, False, "2026-03-02", "2026-03-09"),
        ("months", 2, False, "2026-03-31", "2026-05-01"),
        ("quarter", 1, False, "2026-03-31", "2026-04-01"),
        ("year", 1, False, "2026-01-01", "2027-01-01"),
        ("month", 1, True, "2026-03-02", None),
        ("ever", 0, False, "2026-03-02", None),
    ],
)
def test_a_window_is_full_on(kind: str, count: int, previous: bool, began: str, full: str | None) -> None:
    window = DayWindow(kind, count, previous)  # type: ignore[arg-type]
    assert window.full_on(day(began)) == (None if full is None else day(full))


def test_closings_by_hand() -> None:
    series = Series(base_fen=100)
    series.total_fen = 100
    for when, fen in ((12, 50), (10, -30), (14, 7), (12, 1)):
        add_flow(series, when, fen)
    # 9: 100, 10 and 11: 70, 12 and 13: 121, 14: 128
    assert (entries(series), series.total_fen) == ([(10, -30), (12, 51), (14, 7)], 128)
    assert [closing_sum(series, one, one + 1) for one in range(9, 16)] == [100, 70, 70, 121, 121, 128, 128]
    assert closing_sum(series, 9, 15) == 100 + 70 + 70 + 121 + 121 + 128
    assert closing_sum(series, 11, 13) == 70 + 121
    assert closings([series], 11, 14) == [(11, 70), (12, 121)]
    assert closings([series, Series(12, 12, 5, total_fen=5)], 9, 20) == [
        (9, 100),
        (10, 70),
        (12, 126),
        (14, 133),
    ]
    assert closings([], 9, 12) == [(9, 0)]


def test_movements_beyond_the_kept_days_move_what_stood_before() -> None:
    series = Series()
    add_flow(series, 1000, 5)
    add_flow(series, 1000 + KEPT_DAYS + 1, 7)
    assert (series.base_fen, entries(series), series.total_fen) == (5, [(1000 + KEPT_DAYS + 1, 7)], 12)
    add_flow(series, 999, 1)
    assert (series.base_fen, entries(series), series.total_fen) == (6, [(1000 + KEPT_DAYS + 1, 7)], 13)


ANCHOR = "pack: p\nfeatures: {low: {low: assets, over: 9d}}\nrules: {any: {when: assets > 0}}\n"


def account(*records: object) -> Account:
    return run(list(records), ANCHOR).state().accounts["current:A1"]  # type: ignore[arg-type]


def test_the_earliest_statement_by_time_and_id_fixes_the_opening() -> None:
    later = money("2026-03-04 09:00", 10, "b", after=115)
    assert account(later).opening_fen == 10_500
    same_instant = money("2026-03-04 09:00", 1, "a", after=105)
    assert account(later, same_instant).opening_fen == account(same_instant, later).opening_fen == 10_400
    earlier_silent = money("2026-03-03 09:00", 40, "c")
    assert account(later, earlier_silent).opening_fen == account(earlier_silent, later).opening_fen == 6_500
    three = (later, same_instant, earlier_silent)
    assert {account(*order).opening_fen for order in (three, three[::-1], (three[2], three[0], three[1]))} == {
        6_400
    }


def test_a_statement_that_disagrees_is_drift_and_moves_nothing() -> None:
    kept = account(money("2026-03-04 09:00", 10, "a", after=110), money("2026-03-04 10:00", 5, "b", after=120))
    assert (kept.opening_fen, kept.moved_fen, kept.drift_fen) == (10_000, 1_500, 500)
    mended = account(
        money("2026-03-04 09:00", 10, "a", after=110),
        money("2026-03-04 11:00", 5, "b", after=120),
        money("2026-03-04 10:00", 5, "c", after=115),
    )
    assert (mended.opening_fen, mended.drift_fen) == (10_000, 500)


def test_a_day_of_23_and_one_of_25_hours_are_a_day_each() -> None:
    zone = "Europe/Berlin"
    calendar = BankCalendar(zone)
    hours = [
        (calendar.start_ms(day(one) + 1) - calendar.start_ms(day(one))) // 3_600_000
        for one in ("2026-03-28", "2026-03-29", "2026-10-25")
    ]
    assert hours == [24, 23, 25]
    pack = """
    pack: p
    features: {quiet: {days_since: app_events}, n: {count: app_events, over: 2d}}
    rules: {idle: {when: quiet >= 2}, seen: {when: n >= 1, expires: 24h}}
    """
    core = CoreSettings(zone=zone)
    records = [app("2026-03-28 23:30", "a1", zone=zone), *ticks("2026-04-01 00:00", zone)]
    told = run(records, pack, core=core).told()
    assert [(tag["at"], tag["change"], tag["rule"]) for tag in told] == [
        ("2026-03-28T23:30:00+01:00", "opened", "seen"),
        # Half an hour before its 24 hours are over, which pass over the missing hour.
        ("2026-03-30T00:00:00+02:00", "opened", "idle"),
        ("2026-03-30T00:00:00+02:00", "revoked", "seen"),
    ]
    autumn = [app("2026-10-24 23:30", "a1", zone=zone), *ticks("2026-10-27 00:00:01", zone)]
    assert [tag["at"] for tag in run(autumn, pack, core=core).told()] == [
        "2026-10-24T23:30:00+02:00",
        "2026-10-25T22:30:00+01:00",
        "2026-10-26T00:00:00+01:00",
    ]


def test_an_instant_within_the_doubled_hour_keeps_its_offset() -> None:
    first = at("2026-10-25 02:30", "Europe/Berlin")
    calendar = BankCalendar("Europe/Berlin")
    assert calendar.format(first) == "2026-10-25T02:30:00+02:00"
    assert calendar.format(first + 3_600_000) == "2026-10-25T02:30:00+01:00"


def test_a_state_read_and_written_is_the_same() -> None:
    state = CustomerState(accounts={"current:A": Account(early=[(1, "x", -5)])}, features={9: [["v", 1], []]})
    encoded = encode_state(state)
    assert encode_state(decode_state(encoded)) == encoded
