"""The examples in the function specs are run; every function has some."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from tagger.expr.compile import compile_expression
from tagger.expr.explain import walk
from tagger.expr.functions import FUNCTIONS, Example, anniversary
from tagger.expr.scope import Name, Scope, Type

TYPES = {
    "a": Type.NUMBER, "b": Type.NUMBER, "assets": Type.MONEY, "birth_date": Type.DATE,
    "children_birth_dates": Type.LIST, "bought.x": Type.NUMBER, "bought.t_x": Type.NUMBER,
    "bought.T": Type.NUMBER, "bought.m": Type.MONEY,
}  # fmt: skip


def ordinal(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(ordinal(item) for item in value)
    return date.fromisoformat(value).toordinal() if isinstance(value, str) else value


EXAMPLES = [example for spec in FUNCTIONS.values() for example in spec.examples]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.expression} {example.values}")
def test_example(example: Example) -> None:
    today = date.fromisoformat(example.today).toordinal()
    env = {name: ordinal(value) for name, value in (example.values or {}).items()}
    names = {
        name: Name(kind, True, f'env["{name}"]', Type.DATE if kind is Type.LIST else None)
        for name, kind in TYPES.items()
    }
    expression = compile_expression(example.expression, Scope(names, example.settings, today="env['today']"), None)
    expected = Fraction(Decimal(example.result)) if isinstance(example.result, str) else example.result
    assert expression.evaluate({**env, "today": today}) == expected
    assert walk(expression.tree, env.get, today) == expected


def test_every_function_shows_a_known_and_an_unknown_result_or_both_truths() -> None:
    for spec in FUNCTIONS.values():
        results = [example.result for example in spec.examples]
        assert len({str(result) for result in results}) >= 2, spec.name


@pytest.mark.parametrize(
    ("year", "expected"),
    [(2024, "2024-02-29"), (2025, "2025-02-28"), (2100, "2100-02-28"), (2000, "2000-02-29"), (1900, "1900-02-28")],
)
def test_29_february_is_kept_on_the_28th_in_other_years(year: int, expected: str) -> None:
    leap_day = date(2000, 2, 29).toordinal()
    assert date.fromordinal(anniversary(leap_day, year)).isoformat() == expected
