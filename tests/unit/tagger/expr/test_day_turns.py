"""The days on which an expression may change by itself, against asking it every day."""

from datetime import date
from typing import Any

import pytest

from tagger.expr.compile import compile_expression
from tagger.expr.scope import Name, Scope, Type
from tagger.expr.turns import day_turns

SCOPE = Scope(
    {
        "born": Name(Type.DATE, True, "env[2]"),
        "children": Name(Type.LIST, True, "env[3]", item=Type.DATE),
        "rate": Name(Type.NUMBER, True, "env[4]"),
        "due": Name(Type.DATE, True, "env[5][1]"),
    },
    today="env[0]",
)
FIRST = date(2026, 1, 20).toordinal()
BIRTHDAYS = [date(1996, 2, 29), date(1990, 3, 1), date(1960, 12, 31), date(2008, 1, 1), date(2026, 1, 25)]
DATED = ["2026-01-20", "2026-01-27", "2026-02-28", "2026-03-01", "2025-12-31"]


def value_on(evaluate: Any, environment: list[Any], day: int) -> Any:
    return evaluate([day, *environment[1:]])


def environments() -> list[list[Any]]:
    days = [born.toordinal() for born in BIRTHDAYS]
    due = [date.fromisoformat(text).toordinal() for text in DATED]
    known = [[0, None, one, (one, days[0]), 1, (0, when)] for one, when in zip(days, due, strict=True)]
    return [*known, [0, None, None, (), None, (0, None)]]


@pytest.mark.parametrize(
    ("text", "days_asked"),
    [
        ("age(born) >= 30", 20),
        ("any_age(children, 18, 25)", 20),
        ("birthday_in(born, 7)", 20),
        ("birthday_in(born, 0)", 20),
        ("birthday_in(born, 400)", 30),
        ("days_to(due) <= 7", 5),
        ("7.5 > days_to(due)", 5),
        ("days_to(due) == 0", 5),
        ("days_to(due) < 30 and rate > 0", 5),
        ("today.month in [3, 9]", 41),
        ("not birthday_in(born, 3) or today.month == 6", 61),
        ("days_to(due) * rate < 9", None),
        ("today.weekday == 1", None),
        ("today.day <= 3", None),
    ],
)
def test_between_its_turns_an_expression_says_the_same(text: str, days_asked: int | None) -> None:
    expression = compile_expression(text, SCOPE, Type.BOOLEAN)
    turns = day_turns([expression.tree])
    assert turns is not None
    for environment in environments():
        read = [None, None, *(one if place in turns.places else None for place, one in enumerate(environment))][2:]
        day, last, asked = FIRST, FIRST + 1200, 0
        while day < last:
            turn = turns.next_day(read, day)
            assert turn is None or turn > day
            following = min(turn or last, last)
            said = {value_on(expression.evaluate, environment, one) for one in range(day, following)}
            assert len(said) == 1, (environment, date.fromordinal(day), following - day)
            day, asked = following, asked + 1
        assert days_asked is None or asked <= days_asked


def test_what_does_not_read_today_has_no_turns() -> None:
    assert day_turns([compile_expression("rate > 1", SCOPE, Type.BOOLEAN).tree]) is None
