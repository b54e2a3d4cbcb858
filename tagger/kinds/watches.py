"""Watches: what an `after` rule opens on its event, and what of that event's amount has stayed (`retained`)."""

from fractions import Fraction
from typing import Any

from schemas.tags import Printed
from tagger.features.balances import flow_after
from tagger.features.contract import RETAINED
from tagger.kinds.contract import Evaluation, Occasion
from tagger.printing import print_money, print_number
from tagger.state.customer import MAX_WATCHES, CustomerState, RuleState, Watch


def open_watch(
    rule_state: RuleState, state: CustomerState, occasion: Occasion, within_ms: int, reads_retained: bool
) -> None:
    """Open a watch on the occasion's event, unless its time is over already or eight are waiting.

    Args:
        reads_retained: count what moved `assets` after the event in event time but was folded before it.
    """
    event = occasion.event
    assert event is not None
    if occasion.is_past(event.occurred_ms + within_ms):
        return
    if len(rule_state.watches) >= MAX_WATCHES:
        rule_state.unwatched += 1
        return
    above_fen = occasion.assets_fen
    if reads_retained:
        above_fen += flow_after(state, event.occurred_ms, event.event_id)
    amount_fen: int | None = getattr(event, "amount_fen", None)
    rule_state.watches.append(Watch(event.occurred_ms, event.event_id, amount_fen, above_fen))


def move_watches(rule_state: RuleState, occasion: Occasion) -> None:
    """Take an event's flow into the watches whose opening event it follows in event time."""
    event = occasion.event
    if event is None or not occasion.assets_fen:
        return
    mark = (event.occurred_ms, event.event_id)
    watches = rule_state.watches
    if rule_state.open is not None and rule_state.open.watch is not None:
        watches = [*watches, rule_state.open.watch]
    for watch in watches:
        if mark > (watch.opened_ms, watch.event_id):
            watch.above_fen += occasion.assets_fen


def retained(watch: Watch) -> Any:
    """Share of the opening event's amount that `assets` still stand above the level before it, 0 to 1."""
    if not watch.amount_fen:
        return None
    if watch.above_fen <= 0:
        return 0
    return 1 if watch.above_fen >= watch.amount_fen else Fraction(watch.above_fen, watch.amount_fen)


def watched(evaluation: Evaluation, watch: Watch | None, reads_retained: bool) -> dict[str, Printed]:
    """What a tag's `value` says of its watch: `retained`, where it is read, and the event's `amount`."""
    if watch is None:
        return {}
    value: dict[str, Printed] = {}
    if reads_retained:
        share = evaluation.environment[RETAINED]
        value["retained"] = None if share is None else print_number(Fraction(share))
    if watch.amount_fen is not None:
        value["amount"] = print_money(watch.amount_fen)
    return value
