"""Decimal strings outside, integer fen inside; the only place that knows the scale.

A fen is 1/100 CNY. Nothing here is a float: a share or a quotient is a `Fraction` until it is printed.
"""

import re
from decimal import Decimal
from fractions import Fraction

FEN_PER_YUAN = 100
SHARE_DECIMALS = 3

_MONEY = re.compile(r"-?[0-9]{1,17}(\.[0-9]{1,2})?", re.ASCII)


def parse_fen(text: str) -> int:
    """Read a decimal string with at most two decimals as fen.

    Raises:
        ValueError: the text is no such decimal string.
    """
    if not _MONEY.fullmatch(text):
        raise ValueError("a decimal string with at most two decimals")
    whole, _, cents = text.partition(".")
    fen = abs(int(whole)) * FEN_PER_YUAN + int(cents.ljust(2, "0") if cents else 0)
    return -fen if text[0] == "-" else fen


def format_fen(fen: int) -> str:
    """Write fen as a decimal string with two decimals: -5 → "-0.05"."""
    whole, cents = divmod(abs(fen), FEN_PER_YUAN)
    return f"{'-' if fen < 0 else ''}{whole}.{cents:02d}"


def divide_half_away(numerator: int, denominator: int) -> int:
    """Divide to the nearest integer, halves away from zero as `average_balance` does.

    Args:
        denominator: > 0.
    """
    quotient, rest = divmod(abs(numerator), denominator)
    if 2 * rest >= denominator:
        quotient += 1
    return -quotient if numerator < 0 else quotient


def format_number(value: int | Fraction | Decimal) -> str:
    """Write a share or another quotient with three decimals, halves away from zero."""
    exact = Fraction(value)
    thousandths = divide_half_away(exact.numerator * 10**SHARE_DECIMALS, exact.denominator)
    whole, rest = divmod(abs(thousandths), 10**SHARE_DECIMALS)
    return f"{'-' if thousandths < 0 else ''}{whole}.{rest:03d}"
