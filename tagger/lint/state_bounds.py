"""How many bytes of a customer's state a rulebook can come to: the bound is part of each definition.

Bytes are MessagePack's, as `tagger.state.customer` writes them: 9 an amount or a time, 5 a bank day, and a text as
long as `schemas` lets it be. What no rulebook changes (closings, accounts, remembered events) stands in
`tagger.state.customer`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.packs.features import (
    ActiveRule,
    AverageBalance,
    Count,
    DaysSince,
    Derived,
    Distinct,
    FeatureModel,
    High,
    LevelOf,
    ListCount,
    ListDistinct,
    ListNext,
    ListSum,
    Low,
    Next,
    Recurring,
    Sum,
    Summary,
    Top,
)
from schemas.packs.policy import CHANNELS
from schemas.packs.rules import LeveledRule, RuleModel, SignalRule
from tagger.features.next_date import MAX_KEPT_DATES
from tagger.features.sliding import MAX_KEPT_EVENTS
from tagger.features.summary import MAX_RECENT_DAYS
from tagger.packs.rulebook import Rulebook, families
from tagger.policy.terms import family_name
from tagger.state.customer import MAX_WATCHES

_DAY, _AMOUNT, _TIME, _TEXT = 5, 9, 9, 66
# Its address among the features, and the headers of its lists.
_SLOT = 9 + 1 + 2 * 3
_EPISODE, _WATCH, _RULE = 320, 4 * _TIME + _TEXT, 80


@dataclass(frozen=True, slots=True)
class Bound:
    """The most bytes that one feature or rule keeps for a customer."""

    name: str
    verb: str
    bytes: int


def state_bounds(rulebook: Rulebook) -> list[Bound]:
    """The bound of every feature and rule, in order of packs, then of the contact policy.

    Equal definitions share their state.
    """
    bounds = []
    for pack in rulebook.packs:
        for name, model in pack.features.items():
            bounds.append(Bound(f"{pack.pack}.{name}", model.verb, FEATURE_BYTES[type(model)](model)))
        for name, rule in pack.rules.items():
            bounds.append(Bound(name, rule.kind, _rule_bytes(name, rule)))
    if rulebook.policy is not None:
        bounds.append(Bound("policy", "policy", _policy_bytes(rulebook)))
    return bounds


def _policy_bytes(rulebook: Rulebook) -> int:
    """A held tag a rule, two counts a limited name, a last push a need (`tagger.state.contacts`)."""
    policy, names = rulebook.policy, list(rulebook.rules)
    assert policy is not None
    held = sum(len(name) + 2 + _TIME for name in names)
    limited = 0
    if policy.caps is not None:
        offered = {family_name(family) for pack in rulebook.packs for family in families(pack)}
        limited = sum(len(name) + 2 + 2 * _DAY for name in (*CHANNELS, *offered))
    needs = {rule.need for _, rule in rulebook.rules.values() if rule.need is not None}
    longest = max(map(len, names), default=0)
    pushed = 0 if policy.arbitrate is None else sum(len(need) + longest + 4 + _TIME for need in needs)
    return 2 * _SLOT + held + limited + pushed


def _aggregate_bytes(model: Sum | Count) -> int:
    window = model.over
    # A calendar period keeps itself and the one before it, `ever` a single bucket.
    buckets = {"days": window.count, "months": window.count, "ms": MAX_KEPT_EVENTS, "ever": 1}.get(window.unit, 2)
    return _SLOT + buckets * (_AMOUNT + (_TIME if window.unit == "ms" else _DAY))


def _top_bytes(model: Top) -> int:
    # Value, time and id of its last event, and a count a day.
    return _SLOT + model.at_most * (1 + 2 * _TEXT + _TIME + 2 * 3 + model.over.count * 2 * _DAY)


def _distinct_bytes(model: Distinct) -> int:
    return _SLOT + model.at_most * (1 + 2 * _TEXT + _TIME + _DAY)


def _recurring_bytes(model: Recurring) -> int:
    return _SLOT + (model.times + 1) * (1 + 2 * _DAY + _AMOUNT + _TIME + _TEXT)


def _rule_bytes(name: str, rule: RuleModel) -> int:
    watches = MAX_WATCHES * _WATCH if isinstance(rule, SignalRule) and rule.after is not None else 0
    proposed = _EPISODE if isinstance(rule, LeveledRule) and rule.approval is not None else 0
    return len(name) + _RULE + _EPISODE + watches + proposed


def _nothing(_: FeatureModel) -> int:
    return 0


# Balances read the daily closings that every customer has; the rest of the zeros are worked out when read.
FEATURE_BYTES: Mapping[type[FeatureModel], Callable[[Any], int]] = {
    AverageBalance: _nothing,
    Low: _nothing,
    High: _nothing,
    Sum: _aggregate_bytes,
    Count: _aggregate_bytes,
    Top: _top_bytes,
    Distinct: _distinct_bytes,
    DaysSince: lambda _: _SLOT + _DAY,
    Next: lambda _: _SLOT + MAX_KEPT_DATES * _DAY,
    Recurring: _recurring_bytes,
    Summary: lambda _: _SLOT + 4 * _AMOUNT + (2 + MAX_RECENT_DAYS) * _DAY,
    # A profile's lists are part of it.
    ListCount: _nothing,
    ListSum: _nothing,
    ListDistinct: _nothing,
    ListNext: _nothing,
    LevelOf: _nothing,
    ActiveRule: _nothing,
    Derived: _nothing,
}
