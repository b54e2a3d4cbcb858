"""Law: every feature verb equals a naive recomputation from all events, at any instant (design.md §6.3, §6.5).

The recomputation is `oracles.naive_features`, over Decimal and datetime. Events arrive in any order that the
allowed lateness permits, with ticks between; what is measured at an instant is what the events up to it say.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from unittest.mock import patch

from builders import activation, app, at, money, tick
from driver import Run, run
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracles import naive_features as naive

from schemas.journal import JournalRecord
from tagger.settings import CoreSettings

WINDOWS = ("1d", "3d", "62d", "2mo", "14mo", "month", "quarter", "year", "ever", "45m", "2h", "30h")
CLOSINGS = ("1d", "3d", "62d", "month", "quarter", "year")
PERIODS = ("month", "quarter", "year")
MEASURES = ("assets", "current", "wealth", "loan")


def _pack() -> str:
    lines = ["pack: p", "features:"]
    for over in WINDOWS:
        lines.append(
            f"  sum_{over}: {{sum: amount, of: transactions, where: 'direction == \"debit\"', over: {over}}}"
        )
        lines.append(f"  count_{over}: {{count: app_events, where: 'action == \"view\"', over: {over}}}")
    for over in PERIODS:
        for verb, where in (
            ("sum: amount, of: transactions", 'direction == "debit"'),
            ("count: app_events", 'action == "view"'),
        ):
            name = f"{verb[: verb.index(':')]}_{over}_before"
            lines.append(f"  {name}: {{{verb}, where: '{where}', over: {over}, previous: true}}")
    for measure in MEASURES:
        lines += [f"  average_{measure}_{over}: {{average_balance: {measure}, over: {over}}}" for over in CLOSINGS]
        for over in PERIODS:
            closed = f"average_balance: {measure}, over: {over}, previous: true"
            lines.append(f"  average_{measure}_{over}_before: {{{closed}}}")
        for over in ("1d", "3d", "62d"):
            lines.append(f"  low_{measure}_{over}: {{low: {measure}, over: {over}}}")
            lines.append(f"  high_{measure}_{over}: {{high: {measure}, over: {over}}}")
    lines += [
        "  top_3d: {top: product_id, of: app_events, where: 'action == \"view\"', over: 3d}",
        "  top_62d: {top: product_id, of: app_events, over: 62d}",
        "  since: {days_since: app_events, where: 'action == \"view\"'}",
        "  ratio: {expr: sum_3d / sum_62d}",
        "  step: {level: steps}",
        "rules:",
        # Reads them all, so that deadlines of every feature are looked for.
        "  steps: {by: assets, levels: {low: -5000, mid: 500, high: 5000}}",
        "  all: {when: ratio >= 0 and since >= 1 and top_3d.count >= 2 and count_45m >= 2 and sum_2mo > 300}",
    ]
    return "\n".join(lines) + "\n"


PACK = _pack()


def naive_values(records: list[JournalRecord], now: datetime, zone: str) -> dict[str, Any]:
    """What all features are, from all events."""
    with patch.object(naive, "bank_day", partial(naive.bank_day, zone=zone)):
        return _naive_values(records, now)


def _naive_values(records: list[JournalRecord], now: datetime) -> dict[str, Any]:
    transactions, apps = _events(records)
    transactions = [event for event in transactions if event[0] <= now]
    values: dict[str, Any] = {}

    def is_debit(fields: dict[str, Any]) -> bool:
        return bool(fields["direction"] == "debit")

    def is_view(fields: dict[str, Any]) -> bool:
        return bool(fields["action"] == "view")

    for over in WINDOWS:
        values[f"sum_{over}"] = naive.total(transactions, "amount", over, now, is_debit)
        values[f"count_{over}"] = naive.count(apps, over, now, is_view)
    for over in PERIODS:
        values[f"sum_{over}_before"] = naive.total(transactions, "amount", over, now, is_debit, previous=True)
        values[f"count_{over}_before"] = naive.count(apps, over, now, is_view, previous=True)
    for measure in MEASURES:
        opening, movements = _money(transactions, measure)
        values[measure] = opening + sum((amount for _, amount in movements), Decimal(0))
        for over in CLOSINGS:
            values[f"average_{measure}_{over}"] = naive.average(opening, movements, over, now)
        for over in PERIODS:
            values[f"average_{measure}_{over}_before"] = naive.average(
                opening, movements, over, now, previous=True
            )
        for over in ("1d", "3d", "62d"):
            values[f"low_{measure}_{over}"] = naive.low(opening, movements, over, now)
            values[f"high_{measure}_{over}"] = naive.high(opening, movements, over, now)
    for name, over, where in (("top_3d", "3d", is_view), ("top_62d", "62d", lambda fields: True)):
        top = naive.top(apps, "product_id", over, now, where)
        values[f"{name}.value"], values[f"{name}.count"] = top or (None, None)
    values["since"] = naive.days_since(apps, now, is_view)
    whole = values["sum_62d"]
    values["ratio"] = None if not whole else values["sum_3d"] / whole
    assets = values["assets"]
    rank = sum(assets >= cut for cut in (-5000, 500, 5000)) - 1
    values["steps"] = values["step.name"] = None if rank < 0 else ("low", "mid", "high")[rank]
    values["step.rank"] = None if rank < 0 else rank
    values["step.next"] = None if rank < 0 else (Decimal(500), Decimal(5000), None)[rank]
    return values


def _events(records: list[JournalRecord]) -> tuple[list[naive.Event], list[naive.Event]]:
    transactions: list[naive.Event] = []
    apps: list[naive.Event] = []
    for record in records:
        values: Any = record
        when = datetime.fromtimestamp(values.occurred_ms // 1000, UTC) + timedelta(
            milliseconds=values.occurred_ms % 1000
        )
        if hasattr(record, "amount_fen"):
            after = values.balance_after_fen
            fields = {
                "event_id": values.event_id,
                "account_id": f"{values.account_type}:{values.account_id}",
                "account_type": values.account_type,
                "direction": values.direction,
                "amount": Decimal(values.amount_fen) / 100,
                "own_transfer": values.own_transfer,
                "balance_after": None if after is None else Decimal(after) / 100,
            }
            transactions.append((when, fields))
        else:
            fields = {"event_id": values.event_id, "action": values.action, "product_id": values.product_id}
            apps.append((when, fields))
    # Within one instant by id: the tie that `top` and the opening balance break.
    return (
        sorted(transactions, key=lambda event: (event[0], event[1]["event_id"])),
        sorted(apps, key=lambda event: (event[0], event[1]["event_id"])),
    )


def _money(transactions: list[naive.Event], measure: str) -> tuple[Decimal, list[naive.Movement]]:
    if measure == "assets":
        return naive.assets_money(transactions)
    opening, movements = Decimal(0), []
    mine = [event for event in transactions if event[1]["account_type"] == measure]
    for account in sorted({fields["account_id"] for _, fields in mine}):
        stood, moved = naive.account_money([event for event in mine if event[1]["account_id"] == account])
        opening += stood
        movements += moved
    return opening, movements


def compare(got: dict[str, str | None], expected: dict[str, Any]) -> None:
    columns = {name.removeprefix("p."): value for name, value in got.items()}
    for name, value in expected.items():
        printed = columns[name]
        if value is None:
            assert printed is None, name
        elif name == "ratio":
            assert Decimal(printed or "") == value.quantize(Decimal("0.001"), "ROUND_HALF_UP"), name
        elif isinstance(value, str):
            assert printed == value, name
        else:
            assert printed is not None, name
            assert Decimal(printed) == value, name
    assert set(columns) - set(expected) <= {"term"}


# Around the turns of a leap February, a quarter and a year, and within days of each other.
MINUTE = 60_000
DAY = 1440
ORIGINS = ("2023-12-30 12:00", "2024-02-28 00:00", "2025-02-27 12:00", "2026-03-30 00:00", "2026-09-29 12:00")
offset = st.integers(0, 5 * DAY) | st.sampled_from([DAY, 2 * DAY, 3 * DAY, DAY // 2, 3 * DAY // 2, 45, 46, 120])
far = offset | st.integers(0, 70 * DAY) | st.integers(0, 500 * DAY)
money_plan = st.tuples(
    st.just("money"),
    far,
    st.sampled_from([1, 33, 100, 1000, 7777]) | st.sampled_from([-1, -33, -100, -1000, -7777]),
    st.sampled_from([("current", "A"), ("current", "B"), ("wealth", "A"), ("loan", "L"), ("term", "T")]),
    st.sampled_from([None, None, 0, 250, -40]),
    st.booleans(),
)
app_plan = st.tuples(
    st.just("app"), far, st.sampled_from(["view", "view", "click"]), st.sampled_from(["P", "Q", "R", None])
)
plans = st.lists(money_plan | app_plan, min_size=1, max_size=14)


def _record(number: int, plan: Any, start: int) -> JournalRecord:
    when = start + plan[1] * MINUTE
    # Ids that do not sort as they were made.
    event_id = f"e{number * 7 % 10}{number}"
    if plan[0] == "app":
        return app(when, event_id, action=plan[2], product=plan[3])
    _, _, yuan, (account_type, account), after, own = plan
    return money(when, yuan, event_id, account=account, account_type=account_type, after=after, own=own)


def _both(when: int) -> list[JournalRecord]:
    return [tick(when), tick(when, "bank.app-events")]


def _fold(records: list[JournalRecord], zone: str, cuts: Any = ()) -> Run:
    return run([activation("r1"), *records], {"r1": PACK}, core=CoreSettings(zone=zone), cuts=cuts)


@settings(max_examples=60)
@given(plans, st.sampled_from(ORIGINS), far, st.sampled_from(["Asia/Shanghai", "Europe/Berlin"]), st.booleans())
@example([("money", 0, 100, ("current", "A"), None, False)], ORIGINS[0], DAY // 2, "Asia/Shanghai", True)
@example([("app", 0, "view", "P")], ORIGINS[3], 45, "Europe/Berlin", False)
def test_features_equal_a_recomputation_at_any_instant(
    plan: list[Any], origin: str, later: int, zone: str, with_ticks: bool
) -> None:
    start = at(origin, zone)
    plan = sorted(plan, key=lambda one: one[1])
    records = [_record(number, one, start) for number, one in enumerate(plan)]
    journal: list[JournalRecord] = []
    for record in records:
        journal += [*_both(record.occurred_ms), record] if with_ticks else [record]  # type: ignore[union-attr]
    now_ms = start + (plan[-1][1] + later) * MINUTE
    journal += _both(now_ms)
    result = _fold(journal, zone)
    now = datetime.fromtimestamp(now_ms // 1000, UTC)
    compare(result.measure(now_ms), naive_values(records, now, zone))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(money_plan | app_plan, st.integers(0, 2 * DAY - 60)), min_size=2, max_size=14),
    st.sampled_from(ORIGINS),
    offset,
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin"]),
    st.data(),
)
def test_order_within_the_allowed_lateness_does_not_matter(
    plan: list[tuple[Any, int]], origin: str, later: int, zone: str, data: Any
) -> None:
    start = at(origin, zone)
    records = [_record(number, one, start) for number, (one, _) in enumerate(plan)]
    # Each arrives within 47 hours: never beyond the lateness, not even over a day of 23 hours.
    arrivals = sorted(
        (record.occurred_ms + delay * MINUTE, number)  # type: ignore[union-attr]
        for number, (record, (_, delay)) in enumerate(zip(records, plan, strict=True))
    )
    journal: list[JournalRecord] = []
    for arrived, number in arrivals:
        if data.draw(st.booleans()):
            journal += _both(arrived)
        journal.append(records[number])
    now_ms = arrivals[-1][0] + later * MINUTE
    journal += _both(now_ms)
    result = _fold(journal, zone)
    fates = result.clock.fates
    assert sum(fate.applied for fate in fates.values()) == len(records)
    expected = naive_values(records, datetime.fromtimestamp(now_ms // 1000, UTC), zone)
    compare(result.measure(now_ms), expected)
