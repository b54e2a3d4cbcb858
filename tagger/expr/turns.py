"""On which days an expression that reads `today` may change by itself, so that it need not be asked every day.

Ages change on birthdays, `days_to(date) <= 7` on one day and the next, `today.month` with the month, and nothing
does for a date that is unknown. What is of no such form may change tomorrow. What else an expression reads is left
out: it has turns of its own.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, date
from typing import Any

from schemas.bankday import next_period_start
from tagger.expr import nodes
from tagger.expr.compile import define
from tagger.expr.functions import FUNCTIONS, anniversary
from tagger.expr.nodes import Call, Compare, Const, Node, Read

NextDay = Callable[[Any, int], int | None]
"""From an environment and a bank day: the first day after it on which something may change, None for never."""

_PLACE = re.compile(r"env\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class DayTurns:
    """The turns of one or more expressions over one environment.

    Attributes:
        places: where in the environment their dates stand; nothing else is looked at.
        parts: one a place that reads `today`.
        only_dated: without a date at all of these places nothing turns.
        monthly: all turns are first days of months.
    """

    places: tuple[int, ...]
    parts: tuple[NextDay, ...]
    only_dated: bool
    monthly: bool

    def next_day(self, environment: Any, day: int) -> int | None:
        """The first day after `day` on which an expression may say something else, None for never."""
        return min((turn for part in self.parts if (turn := part(environment, day)) is not None), default=None)


def day_turns(trees: Iterable[Node]) -> DayTurns | None:
    """The turns of expressions; None when none of them reads `today`."""
    found = [part for tree in trees for part in _parts(tree)]
    places = {int(match[1]) for read, _ in found if read and (match := _PLACE.match(read.source.read))}
    if not found:
        return None
    return DayTurns(
        places=tuple(sorted(places)),
        parts=tuple(turn for _, turn in found),
        only_dated=all(read is not None for read, _ in found),
        monthly=all(turn is _next_month for _, turn in found),
    )


def _parts(node: Node) -> Iterator[tuple[Read | None, NextDay]]:
    crossing = _crossing(node)
    if crossing is not None:
        yield crossing
    elif isinstance(node, Call) and FUNCTIONS[node.function].needs_today:
        yield _of_call(node)
    elif isinstance(node, nodes.Today):
        yield None, _next_month if node.part == "month" else _tomorrow
    else:
        for child in nodes.children(node):
            yield from _parts(child)


def _tomorrow(environment: Any, day: int) -> int:
    return day + 1


def _next_month(environment: Any, day: int) -> int:
    return next_period_start("month", day)


def _of_call(node: Call) -> tuple[Read | None, NextDay]:
    first, *others = node.arguments
    if not isinstance(first, Read) or not all(isinstance(other, Const) for other in others):
        return None, _tomorrow
    read = _reader(first)
    if node.function in {"age", "any_age"}:
        return first, lambda environment, day: _first_after(day, _birthdays(read(environment), day))
    if node.function == "birthday_in" and isinstance(others[0], Const):
        ahead = math.floor(others[0].number)
        return first, lambda environment, day: _first_after(day, _near_birthdays(read(environment), ahead, day))
    return first, lambda environment, day: None if read(environment) is None else day + 1


def _crossing(node: Node) -> tuple[Read, NextDay] | None:
    """`days_to(date)` against a number, which changes on the day it equals it and on the next."""
    if not isinstance(node, Compare) or len(node.operands) != 2:
        return None
    call, number = sorted(node.operands, key=lambda operand: isinstance(operand, Const))
    if not isinstance(call, Call) or call.function != "days_to" or not isinstance(number, Const):
        return None
    dated = call.arguments[0]
    if not isinstance(dated, Read):
        return None
    read, cut = _reader(dated), number.number

    def turn(environment: Any, day: int) -> int | None:
        held = read(environment)
        if held is None:
            return None
        equal = math.floor(held - cut)
        return _first_after(day, (equal, equal + 1))

    return dated, turn


def _reader(node: Read) -> Callable[[Any], Any]:
    return define(f"def read(env):\n    return {node.source.read}\n", "read", {})


def _first_after(day: int, turns: Iterable[int]) -> int | None:
    return min((turn for turn in turns if turn > day), default=None)


def _years_from(day: int, count: int) -> range:
    year = date.fromordinal(day).year
    return range(year, min(year + count, MAXYEAR + 1))


def _birthdays(held: int | tuple[int, ...] | None, day: int) -> Iterator[int]:
    """The birthdays of this year and the next, of one date or of several."""
    for born in (held,) if isinstance(held, int) else held or ():
        yield from (anniversary(born, year) for year in _years_from(day, 2))


def _near_birthdays(held: int | None, ahead: int, day: int) -> Iterator[int]:
    """The days on which a birthday comes near, and on which it is over."""
    if held is not None:
        for birthday in (anniversary(held, year) for year in _years_from(day, 3)):
            yield from (birthday - ahead, birthday + 1)
