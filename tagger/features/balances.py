"""Balances that do not depend on the order of arrival, and what is measured on daily closings.

A measure (`current`, `term`, `wealth`, `loan`) is a series of daily net flows over an opening balance. `assets`
is current + term + wealth + `netting`, where `netting` takes back what own transfers moved on asset accounts
and carries what they moved against loans (docs/rulebook.md, "Money"), so that the two legs of a purchase, in any
order, never look like money leaving.

The opening balance of an account is what its earliest transaction by (`occurred_at`, `event_id`) that states
`balance_after` implies; it reaches back without end. It may be learned late, and then moves every closing.
"""

from bisect import insort
from collections.abc import Sequence
from itertools import accumulate

from schemas.journal import Transaction
from tagger.state.customer import (
    KEPT_DAYS,
    MAX_ACCOUNTS,
    MAX_EARLY,
    MAX_FLOWS,
    Account,
    CustomerState,
    Flow,
    Series,
)
from tagger.state.day_values import add_before, begin_day, drop_before, entries_since

ASSET_TYPES = ("current", "term", "wealth")
NETTING = "netting"
# The series that sum to a measure.
PARTS: dict[str, tuple[str, ...]] = {
    "assets": (*ASSET_TYPES, NETTING),
    "current": ("current",),
    "term": ("term",),
    "wealth": ("wealth",),
    "loan": ("loan",),
}
OVERFLOW_ACCOUNT = ""


def book(state: CustomerState, transaction: Transaction, day: int, flows_since_ms: int | None) -> int:
    """Book a transaction on its account, its type's series and `netting`.

    Args:
        day: bank day of the transaction.
        flows_since_ms: keep the movement for opening events not older than this; None to keep none.

    Returns:
        What it moved `assets` by, in fen.
    """
    account_type, occurred_ms = transaction.account_type, transaction.occurred_ms
    rises = (transaction.direction == "credit") is (account_type != "loan")
    moved = transaction.amount_fen if rises else -transaction.amount_fen
    series = state.series.get(account_type)
    if series is None:
        series = state.series[account_type] = Series()
    account = state.accounts.get(f"{account_type}:{transaction.account_id}")
    # The hot path is what follows an account's anchor, and a day that has a flow already: no call for either.
    if (
        account is None
        or account.anchor_ms is None
        or (occurred_ms <= account.anchor_ms and _mark(transaction) <= (account.anchor_ms, account.anchor_id))
    ):
        _move_opening(series, _settle(state, transaction, moved))
    else:
        account.moved_fen += moved
        if occurred_ms >= account.latest_ms:
            account.latest_ms = occurred_ms
            stated = transaction.balance_after_fen
            if stated is not None:
                account.drift_fen = stated - account.opening_fen - account.moved_fen
    if day == series.last:
        series.value += moved
        total_fen = series.total_fen = series.total_fen + moved
        if total_fen > series.highest_fen:
            series.highest_fen = total_fen
        elif total_fen < series.lowest_fen:
            series.lowest_fen = total_fen
    else:
        add_flow(series, day, moved)
    assets_fen = 0 if account_type == "loan" else moved
    if transaction.own_transfer:
        # On a loan what is owed and `assets` move the same way: a repayment lowers both.
        netted = moved if account_type == "loan" else -moved
        assets_fen += netted
        netting = state.series.get(NETTING)
        if netting is None:
            netting = state.series[NETTING] = Series()
        add_flow(netting, day, netted)
    if flows_since_ms is not None and assets_fen:
        _remember_flow(state, Flow(occurred_ms, transaction.event_id, assets_fen), flows_since_ms)
    return assets_fen


def _settle(state: CustomerState, transaction: Transaction, moved: int) -> int:
    """Move an account without an anchor before the transaction; return how much its opening balance changed by."""
    key = f"{transaction.account_type}:{transaction.account_id}"
    account = state.accounts.get(key)
    if account is None:
        if len(state.accounts) >= MAX_ACCOUNTS:
            state.accounts.setdefault(OVERFLOW_ACCOUNT, Account()).moved_fen += moved
            return 0
        account = state.accounts[key] = Account()
    account.moved_fen += moved
    before = account.opening_fen
    _anchor(account, transaction, moved)
    account.latest_ms = max(account.latest_ms, transaction.occurred_ms)
    return account.opening_fen - before


def _mark(transaction: Transaction) -> tuple[int, str]:
    return transaction.occurred_ms, transaction.event_id


def _anchor(account: Account, transaction: Transaction, moved: int) -> None:
    """Fix the opening balance anew: this transaction comes before all that state theirs."""
    mark, stated = _mark(transaction), transaction.balance_after_fen
    if stated is not None:
        earlier = [flow for flow in account.early if flow[:2] < mark]
        account.opening_fen = stated - account.early_fen - sum(flow[2] for flow in earlier) - moved
        account.anchor_ms, account.anchor_id = mark
        account.early = earlier
    else:
        if account.anchor_ms is not None:
            account.opening_fen -= moved
        insort(account.early, (*mark, moved))
        if len(account.early) > MAX_EARLY:
            account.early_fen += account.early.pop(0)[2]


def _move_opening(series: Series, fen: int) -> None:
    """Move every closing."""
    series.base_fen += fen
    series.total_fen += fen
    series.lowest_fen += fen
    series.highest_fen += fen


def add_flow(series: Series, day: int, fen: int) -> None:
    """Add a net flow of `day`; one older than all kept days moves every closing kept."""
    total_fen = series.total_fen = series.total_fen + fen
    if day < series.last:
        # Every closing from that day on moves, the furthest perhaps among them.
        series.highest_fen += max(fen, 0)
        series.lowest_fen += min(fen, 0)
    elif total_fen > series.highest_fen:
        series.highest_fen = total_fen
    elif total_fen < series.lowest_fen:
        series.lowest_fen = total_fen
    if day == series.last:
        series.value += fen
    elif day > series.last:
        begin_day(series, day, fen)
        if series.first < day - KEPT_DAYS:
            series.base_fen += drop_before(series, day - KEPT_DAYS)
    elif day < series.last - KEPT_DAYS:
        series.base_fen += fen
    else:
        add_before(series, day, fen)


def _remember_flow(state: CustomerState, flow: Flow, since_ms: int) -> None:
    flows = state.flows
    while flows and (len(flows) >= MAX_FLOWS or flows[0].occurred_ms < since_ms):
        del flows[0]
    flows.append(flow)


def flow_after(state: CustomerState, occurred_ms: int, event_id: str) -> int:
    """What has moved `assets` after an event in event time, of what is remembered, in fen."""
    mark = (occurred_ms, event_id)
    return sum(flow.assets_fen for flow in state.flows if (flow.occurred_ms, flow.event_id) > mark)


def parts_of(state: CustomerState, measure: str) -> list[Series]:
    """The series that sum to a measure, of those the customer has."""
    return [state.series[part] for part in PARTS[measure] if part in state.series]


def balance(state: CustomerState, measure: str) -> int:
    """A measure now, in fen; 0 without an account."""
    total_fen = 0
    series = state.series
    for part in PARTS[measure]:
        held = series.get(part)
        if held is not None:
            total_fen += held.total_fen
    return total_fen


def closing_sum(series: Series, first: int, end: int) -> int:
    """Sum of the closings of the days from `first` up to, not including, `end`."""
    if series.first >= end:
        return series.base_fen * (end - first)
    # Closing of the last day over all days, less each flow over the days before its own.
    result = series.total_fen * (end - first)
    for day, net in entries_since(series, first + 1):
        result -= net * ((day if day < end else end) - first)
    return result


def extreme_closing(series: Series, first: int, highest: bool) -> int:
    """The highest or lowest closing of a series since the day `first`; its last movement lies in the window."""
    if series.last <= first:
        return series.total_fen
    # Back from the balance now: what the days up to each one before have added.
    added = accumulate([net for _, net in reversed(entries_since(series, first + 1))])
    return series.total_fen - (min(0, *added) if highest else max(0, *added))


def closings(parts: Sequence[Series], first: int, end: int) -> list[tuple[int, int]]:
    """Closing levels of a sum of series over the days from `first` up to `end`.

    Returns:
        (day, closing in fen) ascending, one for `first` and one for each later day with a movement.
    """
    level = 0
    flows: dict[int, int] = {}
    for series in parts:
        level += series.total_fen
        for day, net in entries_since(series, first + 1):
            level -= net
            if day < end:
                flows[day] = flows.get(day, 0) + net
    levels = [(first, level)]
    for day in sorted(flows):
        level += flows[day]
        levels.append((day, level))
    return levels


def last_movement(parts: Sequence[Series]) -> int | None:
    """The latest day on which any of the series moved."""
    return max((series.last for series in parts if series.last), default=None)
