"""What turns with a bank day: one generated function that says when, and for which rules.

It asks no feature that a customer has no state of, none that only rules behind a shut gate read (`tagger.gates`),
and what turns with the month only where nothing turns before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from schemas.bankday import BankCalendar, next_period_start
from tagger.expr.compile import define
from tagger.expr.turns import DayTurns
from tagger.features.aggregates import DayAggregate
from tagger.features.closings import AverageBalance, Balance
from tagger.features.contract import FIRST_NAME, Feature, Moment
from tagger.features.lists import ListFeature
from tagger.features.lookups import ActiveRule, Attribute, Derived, LevelOf, turn_ms
from tagger.features.recurring import Recurring
from tagger.features.sliding import SlidingAggregate
from tagger.features.stored import StoredFeature
from tagger.gates import Gate, gate
from tagger.kinds.contract import Rule
from tagger.readers import Readers
from tagger.state import CustomerState
from tagger.writer import Writer

NEVER_DAYS = 366
_UNTIMED = (Balance, LevelOf, ActiveRule, Attribute)
# What a window this long loses is rarely due tomorrow: a gate would cost more looks than it saves.
_GATED_DAYS = 14

NextTurn = Callable[[CustomerState, int, int, int, int, bool], tuple[int, int]]
"""From a state, the last bank day whose beginning has been evaluated, its horizon, the first deadline known so far
with the bits of its rules, and whether something warms: the first deadline of all, and its rules."""

_HEAD = """def next_turn(state, evaluated_day, horizon_ms, due_ms, bits, warms):
    today = _day_of(horizon_ms)
    occasion = _moment(horizon_ms, today)
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that turns with a bank day.

    Attributes:
        name: for who reads the generated function.
        next_change: when, as `Feature.next_change` says it.
        readers: each rule that reads it, with the bits of what it moves.
        held: Python that is true where the state holds something that may turn; "" for always.
        monthly: turns on the first day of a month only.
        source, leaves_after: the events that bring a turn, and at least how many days later; None for all.
    """

    name: str
    next_change: Callable[[CustomerState, int, int], int | None]
    readers: tuple[tuple[Rule, int], ...]
    held: str = ""
    monthly: bool = False
    source: str | None = None
    leaves_after: int = 1

    @property
    def is_gated(self) -> bool:
        """Whether gates are worth their looks."""
        return not self.monthly and self.leaves_after < _GATED_DAYS

    def after(self, source: str) -> int:
        """At least how many bank days after its own an event of this kind changes something by passing time.

        Any event may open a gate, behind which something has been turning since long before.
        """
        if self.is_gated:
            return 1
        return self.leaves_after if self.source in (None, source) else NEVER_DAYS


def turns_of(rules: Sequence[Rule], readers: Readers, calendar: BankCalendar) -> tuple[Turn, ...]:
    """All that turns for a program's rules; the likeliest to turn tomorrow come first."""
    turns = []
    for feature, reading in readers.of_features():
        moved = tuple((rule, readers.of_rule(rule)) for rule in reading)
        if isinstance(feature, Derived):
            if feature.turns is not None:
                turns.append(_of_days(feature.name, feature.turns, feature.features, moved, calendar))
        elif not isinstance(feature, (*_UNTIMED, SlidingAggregate)):
            turns.append(_of_feature(feature, moved))
    for rule in rules:
        terms = rule.terms
        if terms.turns is not None:
            moved = ((rule, readers.of_rule(rule)),)
            turns.append(_of_days(terms.name, terms.turns, terms.features, moved, calendar))
    return tuple(sorted(turns, key=lambda turn: (turn.monthly, turn.leaves_after, turn.held == "")))


def _of_feature(feature: Feature, readers: tuple[tuple[Rule, int], ...]) -> Turn:
    held = _held(feature)
    if isinstance(feature, DayAggregate):
        return Turn(
            feature.name, feature.next_change, readers, held, feature.bucket is not None, feature.source,
            feature.leaves_after,
        )  # fmt: skip
    monthly = isinstance(feature, Recurring) or (isinstance(feature, AverageBalance) and feature.previous)
    return Turn(feature.name, feature.next_change, readers, held, monthly, feature.source)


def _of_days(
    name: str,
    turns: DayTurns,
    features: Sequence[Feature],
    readers: tuple[tuple[Rule, int], ...],
    calendar: BankCalendar,
) -> Turn:
    dates = [_held(features[place - FIRST_NAME]) for place in turns.places]
    held = " or ".join(dict.fromkeys(dates)) if turns.only_dated and all(dates) else ""

    def next_change(state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        return turn_ms(turns, features, state, evaluated_day, calendar)

    return Turn(name, next_change, readers, held, turns.monthly)


def _held(feature: Feature) -> str:
    """Python for whether a state holds anything of a feature's, "" where that cannot be told quickly."""
    if isinstance(feature, Attribute | ListFeature):
        return "attributes is not None"
    if isinstance(feature, DayAggregate):
        return f"{feature.key} in aggregates"
    if isinstance(feature, StoredFeature):
        return f"{feature.key} in features"
    return ""


def compile_turning(turns: Sequence[Turn], calendar: BankCalendar, stops: bool) -> tuple[str, NextTurn]:
    """The function for what turns, and its source.

    Args:
        stops: it goes no further than the first that turns tomorrow, and its rules are not all.
    """
    draft = Writer(None, None)
    for turn in turns:
        _lines(draft, turn, stops)
    writer = Writer(None, draft)
    writer.constants["_day_of"] = calendar.day_of
    writer.constants["_moment"] = Moment
    writer.constants["_start_ms"] = calendar.start_ms
    writer.constants["_next_month"] = partial(next_period_start, "month")
    lines = [_HEAD, writer.beginning(), "    tomorrow_ms = _start_ms(evaluated_day + 1)\n" if stops else ""]
    lines += [line for turn in turns if not turn.monthly for line in _lines(writer, turn, stops)]
    lines.append("    if due_ms < _start_ms(_next_month(evaluated_day)):\n        return due_ms, bits\n")
    lines += [line for turn in turns if turn.monthly for line in _lines(writer, turn, False)]
    code = "".join([*lines, "    return due_ms, bits\n"])
    return code, define(code, "next_turn", writer.constants)


def _lines(writer: Writer, turn: Turn, stops: bool) -> list[str]:
    """Statements that ask one turn, and bring the deadline down to it."""
    always, gates = 0, list[tuple[Gate, int]]()
    for rule, bits in turn.readers:
        found = gate(writer, rule) if turn.is_gated else None
        if found is None:
            always |= bits
        else:
            gates.append((found, bits))
    prelude = writer.prelude()
    lines, indent = [f"    # {turn.name}\n", *prelude], "    "
    if turn.held:
        lines.append(f"{indent}if {turn.held}:\n")
        indent += "    "
    moved = str(always)
    if gates:
        lines.append(f"{indent}_b = {_bits(always, [(one.quick, bits) for one, bits in gates])}\n")
        lines.append(f"{indent}if _b:\n")
        indent += "    "
        moved = "_b"
    asked = f"(_t := {writer.bind(turn.next_change)}(state, evaluated_day, horizon_ms))"
    lines.append(f"{indent}if {asked} is not None and _t <= due_ms:\n")
    indent += "    "
    if any(one.slow for one, _ in gates):
        slow = [(f"({one.quick} and {one.slow})" if one.slow else one.quick, bits) for one, bits in gates]
        lines += [f"{indent}_b = {_bits(always, slow)}\n", f"{indent}if _b:\n"]
        indent += "    "
    lines += [
        f"{indent}bits = {moved} | (bits if _t == due_ms else 0)\n",
        f"{indent}due_ms = _t\n",
    ]
    if stops:
        lines.append(f"{indent}if _t <= tomorrow_ms:\n{indent}    return _t, bits\n")
    return lines


def _bits(always: int, gated: Sequence[tuple[str, int]]) -> str:
    return " | ".join([str(always), *(f"({bits} if warms or {is_open} else 0)" for is_open, bits in gated)])
