"""How measured values are printed in tags, cases and tables, by their type."""

from collections.abc import Callable
from datetime import date
from fractions import Fraction
from typing import Any

from schemas.money import divide_half_away, format_fen, format_number
from schemas.tags import Printed
from tagger.expr.scope import Type

Print = Callable[[Any], Printed]


def print_money(value: Any) -> Printed:
    """Fen, whole or a fraction, as a decimal string; halves away from zero."""
    exact = Fraction(value)
    return format_fen(divide_half_away(exact.numerator, exact.denominator))


def print_number(value: Any) -> Printed:
    """A count as an integer, a quotient as a decimal string with three decimals."""
    if isinstance(value, int):
        return value
    return format_number(value)


def print_date(value: Any) -> Printed:
    """A bank day as ISO text."""
    return date.fromordinal(value).isoformat()


def print_plain(value: Any) -> Printed:
    """A text or a truth value as it is."""
    return value  # type: ignore[no-any-return]


def print_list(value: Any) -> Printed:
    """The words or dates of a profile's list, one after the other."""
    return ", ".join(item if isinstance(item, str) else str(print_date(item)) for item in value)


_PRINTS: dict[Type, Print] = {
    Type.MONEY: print_money,
    Type.NUMBER: print_number,
    Type.DATE: print_date,
    Type.TEXT: print_plain,
    Type.BOOLEAN: print_plain,
    Type.LIST: print_list,
}


def printer(value_type: Type) -> Print:
    """The way to print values of a type; unknown prints as None."""
    known = _PRINTS[value_type]

    def print_value(value: Any) -> Printed:
        return None if value is None else known(value)

    return print_value
