"""How values travel in tags; numbers are compared as numbers, however many decimals they have."""

from fractions import Fraction
from typing import Any


def printed(value: Any, kind: str) -> Any:
    if value is None:
        return None
    match kind:
        case "money":
            return money_text(value)
        case "number":
            return number_text(value)
        case "date":
            return value.isoformat()
        case "list":
            return ", ".join(item if isinstance(item, str) else item.isoformat() for item in value)
    return value


def money_text(value: Any) -> str:
    return _decimal(value, 2)


def number_text(value: Any) -> str | None:
    """A count as it is, a quotient with three decimals; compared as numbers."""
    return None if value is None else _decimal(value, 3)


def _decimal(value: Any, places: int) -> str:
    """Halves away from zero."""
    whole = (abs(Fraction(value)) * 10**places + Fraction(1, 2)).__floor__()
    sign = "-" if value < 0 and whole else ""
    return f"{sign}{whole // 10**places}.{whole % 10**places:0{places}d}"
