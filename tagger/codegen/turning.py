"""What turns with a bank day: one generated function that says when, and for which rules.

It asks no feature that a customer has no state of, none that only rules read which a time guard
holds back (`tagger.codegen.time_guards`), and what turns with the month only where nothing turns before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby

import msgspec

from schemas.bankday import BankCalendar, next_period_start
from tagger.codegen.crossings import Crossing, cuts_of, next_crossing
from tagger.codegen.time_guards import TimeGuard, time_guard
from tagger.codegen.writer import Writer
from tagger.expr.compile import define
from tagger.expr.turns import DayTurns
from tagger.features.aggregates import DayAggregate, DaysSince
from tagger.features.closings import AverageBalance, Balance, ExtremeBalance
from tagger.features.contract import FIRST_NAME, Feature, Moment
from tagger.features.lists import ListFeature
from tagger.features.lookups import ActiveRule, Attribute, Derived, LevelOf, turn_ms
from tagger.features.recurring import Recurring
from tagger.features.sliding import SlidingAggregate
from tagger.features.stored import StoredFeature
from tagger.features.summary import Summary
from tagger.kinds.contract import Rule
from tagger.kinds.readers import Readers
from tagger.state.customer import NEVER, CustomerState

NEVER_DAYS = 366
_UNTIMED = (Balance, LevelOf, ActiveRule, Attribute)
# What a window this long loses is rarely due tomorrow: a time guard would cost more looks than it saves.
_GUARDED_DAYS = 14


class Days(msgspec.Struct, frozen=True, gc=False):
    """A bank day and what may turn after it.

    Attributes:
        day: the last one whose beginning has been evaluated.
        end_ms: the first instant of the day after it.
        month_ms: the first instant of the month after it.
    """

    day: int
    end_ms: int
    month_ms: int


def days_after(calendar: BankCalendar, day: int) -> Days:
    """What may turn after a bank day."""
    month = next_period_start("month", day)
    return Days(day, calendar.start_ms(day + 1), calendar.start_ms(month))


NextTurn = Callable[[CustomerState, Days, int, int, int, bool, bool], tuple[int, int]]
"""From a state, the day from which on it has not been evaluated, its horizon, the first deadline known so far with
the bits of its rules, whether something warms, and whether the instant alone is wanted: the first deadline of all,
and its rules. Of the instant alone the rules are not all."""

_HEAD = """def next_turn(state, days, horizon_ms, due_ms, bits, warms, alone):
    evaluated_day, tomorrow_ms = days.day, days.end_ms
    today = evaluated_day if horizon_ms < tomorrow_ms else evaluated_day + 1
    occasion = _moment(horizon_ms, today)
    stop_ms = tomorrow_ms if alone else _never_stop
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that turns with a bank day.

    Attributes:
        name: for who reads the generated function.
        next_change: when, as `Feature.next_change` says it.
        readers: each rule that reads it, with the bits of what it moves.
        held: Python that is true where the state holds something that may turn; "" for always.
        at_hand: Python that says the same as `next_change` where `held` is true, without a call; "" for none.
        no_earlier: a lower bound of `next_change` that costs less; None where there is none.
        monthly: turns on the first day of a month only.
        each_month: turns on every one of them.
        source, leaves_after: the events that bring a turn, and at least how many days later; None for all.
        crossing: comes only where a number is crossed, so that an event that crosses one brings the turn of days
            before it. Other events do not, where the value is never negative: they only put it off.
    """

    name: str
    next_change: Callable[[CustomerState, int, int], int | None]
    readers: tuple[tuple[Rule, int], ...]
    held: str = ""
    at_hand: str = ""
    no_earlier: Callable[[CustomerState, int, int], int | None] | None = None
    monthly: bool = False
    each_month: bool = False
    source: str | None = None
    leaves_after: int = 1
    crossing: Crossing | None = None

    @property
    def is_guarded(self) -> bool:
        """Whether time guards are worth their looks."""
        return not self.monthly and self.leaves_after < _GUARDED_DAYS

    def after(self, source: str) -> int:
        """At least how many bank days after its own an event of this kind brings a turn, if it crosses no number.

        An event may have a time guard let through what it held back, and that may turn the next day.
        """
        if self.is_guarded:
            return 1
        if self.source not in (None, source):
            return NEVER_DAYS
        return 1 if self.crossing is not None and not self.crossing.only_adds else self.leaves_after

    @property
    def order(self) -> tuple[bool, bool, int, bool, str]:
        """The likeliest to turn tomorrow come first, and what asks for the same stands together."""
        return self.monthly, not self.each_month, self.leaves_after, self.held == "", self.held


def turns_of(rules: Sequence[Rule], readers: Readers, calendar: BankCalendar) -> tuple[Turn, ...]:
    """All that turns for a program's rules, in `Turn.order`."""
    turns = list[Turn]()
    for feature, reading in readers.of_features():
        moved = tuple((rule, readers.of_rule(rule)) for rule in reading)
        if isinstance(feature, Derived):
            if feature.turns is not None:
                turns.append(_of_days(feature.name, feature.turns, feature.features, moved, calendar))
        elif isinstance(feature, DayAggregate):
            turns += _of_aggregate(feature, moved, calendar)
        elif not isinstance(feature, (*_UNTIMED, SlidingAggregate)):
            turns.append(_of_feature(feature, moved))
    for rule in rules:
        terms = rule.terms
        if terms.turns is not None:
            moved = ((rule, readers.of_rule(rule)),)
            turns.append(_of_days(terms.name, terms.turns, terms.features, moved, calendar))
    return tuple(sorted(turns, key=lambda turn: turn.order))


def _of_feature(feature: Feature, readers: tuple[tuple[Rule, int], ...]) -> Turn:
    monthly = isinstance(feature, Recurring) or (isinstance(feature, AverageBalance) and feature.previous)
    daily = isinstance(feature, Summary | DaysSince)
    return Turn(
        feature.name,
        feature.next_change,
        readers,
        held=_held(feature),
        at_hand="tomorrow_ms" if daily else "",
        no_earlier=feature.first_leaves if isinstance(feature, ExtremeBalance) else None,
        monthly=monthly,
        source=feature.source,
    )


def _of_aggregate(
    feature: DayAggregate, readers: tuple[tuple[Rule, int], ...], calendar: BankCalendar
) -> Iterator[Turn]:
    """Rules that only compare it are told of crossings, the others of all that leaves."""
    turn = Turn(
        feature.name,
        feature.next_change,
        readers,
        held=_held(feature),
        monthly=feature.bucket is not None,
        source=feature.source,
        leaves_after=feature.leaves_after,
    )
    if turn.monthly:
        yield turn
        return
    told, compares, cuts = list[tuple[Rule, int]](), list[tuple[Rule, int]](), set[int]()
    for reader in readers:
        found = cuts_of(reader[0], feature)
        if found is None:
            told.append(reader)
        elif found:
            compares.append(reader)
            cuts |= found
    if told:
        yield replace(turn, readers=tuple(told))
    if compares:
        # Whether there is any at all: until the last one leaves.
        last_day = f"(_d := aggregates[{feature.key}].last + {feature.leaves_after})"
        at_hand = f"(_start_ms(_d) if {last_day} > evaluated_day else None)"
        is_any = feature.field is None and cuts == {1}
        yield replace(
            turn,
            name=f"{feature.name} against {', '.join(map(str, sorted(cuts)))}",
            next_change=next_crossing(feature, cuts, calendar),
            readers=tuple(compares),
            at_hand=at_hand if is_any else "",
            crossing=None if is_any else Crossing(feature, tuple(sorted(cuts))),
        )


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

    each_month = turns.monthly and not turns.only_dated
    return Turn(
        name,
        next_change,
        readers,
        held,
        at_hand="days.month_ms" if each_month else "",
        monthly=turns.monthly,
        each_month=each_month,
    )


def _held(feature: Feature) -> str:
    """Python for whether a state holds anything of a feature's, "" where that cannot be told quickly."""
    if isinstance(feature, Attribute | ListFeature):
        return "attributes is not None"
    if isinstance(feature, DayAggregate):
        return f"{feature.key} in aggregates"
    if isinstance(feature, StoredFeature):
        return f"{feature.key} in features"
    return ""


def compile_turning(turns: Sequence[Turn], calendar: BankCalendar) -> tuple[str, NextTurn]:
    """The function for what turns, in `Turn.order`, and its source."""
    draft = Writer(None, None)
    _body(draft, turns)
    writer = Writer(None, draft)
    writer.constants["_moment"] = Moment
    writer.constants["_start_ms"] = calendar.start_ms
    writer.constants["_never_stop"] = -NEVER
    body = _body(writer, turns)
    code = "".join([_HEAD, writer.beginning(), *body, "    return due_ms, bits\n"])
    return code, define(code, "next_turn", writer.constants)


def _body(writer: Writer, turns: Sequence[Turn]) -> list[str]:
    lines = []
    # What turns each month bounds what else is worth a look.
    for turn in turns:
        if turn.each_month:
            lines += _lines(writer, turn, "    ")
    lines += _held_lines(writer, [turn for turn in turns if not turn.monthly])
    lines.append(
        "    if due_ms < days.month_ms or (alone and due_ms == days.month_ms):\n        return due_ms, bits\n"
    )
    lines.append("    if alone:\n        stop_ms = days.month_ms\n")
    return lines + _held_lines(writer, [turn for turn in turns if turn.monthly and not turn.each_month])


def _held_lines(writer: Writer, turns: Sequence[Turn]) -> list[str]:
    """Statements that ask turns, those of the same state behind one look at whether it is held."""
    lines = []
    for held, group in groupby(turns, key=lambda turn: turn.held):
        indent = "        " if held else "    "
        asked = [_lines(writer, turn, indent) for turn in group]
        lines += [*writer.prelude(), *([f"    if {held}:\n"] if held else []), *chain.from_iterable(asked)]
    return lines


def _lines(writer: Writer, turn: Turn, indent: str) -> list[str]:
    """Statements that ask one turn, and bring the deadline down to it."""
    always, guards = 0, list[tuple[TimeGuard, int]]()
    for rule, bits in turn.readers:
        found = time_guard(writer, rule) if turn.is_guarded else None
        if found is None:
            always |= bits
        else:
            guards.append((found, bits))
    lines = [f"{indent}# {turn.name}\n"]
    # A guard is asked first where it costs less than the turn, and once more where that tells less than all.
    is_asked_first = guards and not (always or turn.at_hand) and all(one.quick for one, _ in guards)
    is_slow = any(one.quick != one.whole for one, _ in guards)
    moved = f"{indent}_b = {_bits(always, guards)}\n{indent}if _b:\n"
    if is_asked_first:
        lines.append(f"{indent}if warms or {' or '.join(one.quick for one, _ in guards)}:\n" if is_slow else moved)
        indent += "    "
    asked = turn.at_hand or _called(writer, turn.no_earlier or turn.next_change)
    lines.append(f"{indent}if (_t := {asked}) is not None and _t <= due_ms:\n")
    indent += "    "
    if guards and (is_slow or not is_asked_first):
        lines.append(f"{indent}_b = {_bits(always, guards)}\n{indent}if _b:\n")
        indent += "    "
    if turn.no_earlier is not None:
        lines.append(f"{indent}if (_t := {_called(writer, turn.next_change)}) is not None and _t <= due_ms:\n")
        indent += "    "
    lines += [
        f"{indent}bits = {'_b' if guards else always} | (bits if _t == due_ms else 0)\n",
        f"{indent}due_ms = _t\n",
        f"{indent}if _t <= stop_ms:\n{indent}    return _t, bits\n",
    ]
    return lines


def _called(writer: Writer, asked: Callable[[CustomerState, int, int], int | None]) -> str:
    return f"{writer.bind(asked)}(state, evaluated_day, horizon_ms)"


def _bits(always: int, guards: Sequence[tuple[TimeGuard, int]]) -> str:
    return " | ".join([str(always), *(f"({bits} if warms or {one.whole} else 0)" for one, bits in guards)])
