"""What a customer is worth over the coming days: BG/NBD for how often, Gamma-Gamma for how much.

Expected transactions: Fader, Hardie & Lee, "Counting Your Customers" the Easy Way (Marketing Science 24, 2005),
equation 10. Expected value of one: Fader & Hardie, The Gamma-Gamma Model of Monetary Value (2013), equation 5.
Discounted in steps of 30 days, each step's value at its end. Units: days, and yuan for `v`.

In floats, which is why the one result is rounded, to the fen, before anything compares or sends it; the order of
operations is fixed.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

PARAMETERS = ("r", "alpha", "a", "b", "p", "q", "v", "discount")
STEP_DAYS = 30
_DAYS_A_YEAR = 365
_PRECISION = 1e-15
_MOST_TERMS = 200_000
Number = int | Fraction


def refuses(settings: Mapping[str, float]) -> str | None:
    """What is wrong with a group of parameters, as what was expected; None when nothing is."""
    for name in PARAMETERS[:-1]:
        if settings[name] <= 0:
            return f"`{name}` above 0"
    if settings["a"] == 1:
        return "`a` other than 1 (such as 1.0001), where the formula has a gap"
    if settings["q"] <= 1:
        return "`q` above 1, without which the mean value has no end"
    return None if settings["discount"] > -1 else "`discount` as a share a year, such as 0.1"


def clv(
    x: int | None,
    t_x: int | None,
    age: int | None,
    m: Number | None,
    r: Number,
    alpha: Number,
    a: Number,
    b: Number,
    p: Number,
    q: Number,
    v: Number,
    discount: Number,
    days: Number,
) -> int | None:
    """Discounted value of the coming `days` in fen.

    Unknown for a customer of no transaction, as of a day before the last one, and where it lies beyond what floats
    hold.

    Args:
        x: days with a transaction after the first one.
        t_x: days from the first to the last one.
        age: days from the first one to today (`T`).
        m: mean value in fen of the days but the first; unknown (and not needed) when there is no other.
        discount: rate a year.
    """
    if x is None or t_x is None or age is None or age < t_x:
        return None
    try:
        times = _discounted_transactions(
            x, t_x, age, float(r), float(alpha), float(a), float(b), float(discount), float(days)
        )
        mean = expected_value(x, 0.0 if m is None else float(m) / 100, float(p), float(q), float(v))
        return round(times * mean * 100)
    except (OverflowError, ValueError):  # of a float's range, and of what is no number
        return None


def expected_value(x: int, m: float, p: float, q: float, v: float) -> float:
    """Mean value of a transaction, that of the customer drawn towards that of all: (2013, eq. 5)."""
    return p * (v + m * x) / (p * x + q - 1)


# Customers share many summaries, and a summary's value is asked for once a day.
@lru_cache(maxsize=65_536)
def _discounted_transactions(
    x: int, t_x: int, age: int, r: float, alpha: float, a: float, b: float, discount: float, days: float
) -> float:
    parts, before, end = [], 0.0, 0.0
    while end < days:
        end = min(end + STEP_DAYS, days)
        expected = expected_transactions(end, x, t_x, age, r, alpha, a, b)
        parts.append((expected - before) * math.pow(1 + discount, -end / _DAYS_A_YEAR))
        before = expected
    return math.fsum(parts)


def expected_transactions(
    days: float, x: int, t_x: int, age: int, r: float, alpha: float, a: float, b: float
) -> float:
    """Transactions of the coming days, given the past: (2005, eq. 10).

    The hypergeometric function is turned by Euler's transformation, 2F1(A, B; C; z) =
    (1 − z)^(C−A−B) 2F1(C−A, C−B; C; z), after which its series ends soon for every z below 1.
    """
    z = days / (alpha + age + days)
    series = _hypergeometric(a + b - 1 - r, a - 1, a + b + x - 1, z)
    expected = (a + b + x - 1) / (a - 1) * (1 - math.pow(1 - z, a - 1) * series)
    if x == 0:
        return expected
    return expected / (1 + a / (b + x - 1) * math.pow((alpha + age) / (alpha + t_x), r + x))


def _hypergeometric(a: float, b: float, c: float, z: float) -> float:
    """2F1 by its series, for 0 ≤ z < 1."""
    term = total = 1.0
    for n in range(_MOST_TERMS):
        term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * z
        total += term
        if abs(term) <= _PRECISION * abs(total):
            break
    return total
