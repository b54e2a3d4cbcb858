"""What an expression may name, and how each name is read when it runs."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction


class Type(enum.Enum):
    """Types of the language and what holds them at run time; unknown is None in all of them."""

    MONEY = "money"  # int fen; a Fraction of fen in between
    NUMBER = "number"  # int or Fraction, never float
    BOOLEAN = "boolean"  # bool
    TEXT = "text"  # str
    DATE = "date"  # int, a bank day
    LIST = "list"  # tuple of texts or of dates


@dataclass(frozen=True)
class Name:
    """Something an expression can read.

    Attributes:
        optional: whether its value can be unknown (None).
        read: Python that reads it, over the scope's parameters, such as `env.amount_fen` or `env[3]`.
        item: of a LIST, the type of its items.
        words: of a TEXT, the only values it can have; empty when any will do.
    """

    type: Type
    optional: bool
    read: str
    item: Type | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scope:
    """All that an expression sees.

    Attributes:
        names: by dotted name.
        settings: named numbers, or named groups of them (`group.name`). Untyped: yuan where money is met.
        today: Python that reads the bank day of now; None where there is no today (a record's `where`).
        today_functions: the only functions that may use it; None for all of them, and for `today` itself.
        parameters: of the compiled function, and of the `read` snippets.
    """

    names: Mapping[str, Name]
    settings: Mapping[str, Decimal | Mapping[str, Decimal]] = field(default_factory=dict)
    today: str | None = None
    today_functions: frozenset[str] | None = None
    parameters: tuple[str, ...] = ("env",)


def exact(number: Decimal, as_type: Type = Type.NUMBER) -> int | Fraction:
    """A literal, setting or cut as its run-time value: yuan become fen where the type is MONEY."""
    value = Fraction(number) * (100 if as_type is Type.MONEY else 1)
    return value.numerator if value.denominator == 1 else value
