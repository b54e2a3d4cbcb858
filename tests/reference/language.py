"""Expressions: parsed with `ast`, walked node by node, unknown (None) being a value.

Numbers and money are ints and fractions (money in yuan), dates `date`, lists tuples.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

Lookup = Callable[[str], Any]
Settings = Mapping[str, Any]

_TEXT_OR_WAN = re.compile(r"""('[^']*'|"[^"]*")|(?<![\w.])([0-9][0-9_]*(?:\.[0-9]+)?)万""")


@lru_cache(maxsize=4096)
def parse(text: str) -> ast.expr:
    """An expression's tree; every number in it is a `Fraction`."""
    plain = _TEXT_OR_WAN.sub(lambda found: found[1] or str(Decimal(found[2].replace("_", "")) * 10000), text)
    tree = ast.parse(plain.strip(), mode="eval").body
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            written = ast.get_source_segment(plain.strip(), node) or str(node.value)
            node.value = Fraction(written.replace("_", ""))  # type: ignore[assignment]
    return tree


def dotted(node: ast.AST) -> str | None:
    """`a` or `a.b` of a node that is a name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return None


def names_in(text: str) -> Iterator[str]:
    """The dotted names an expression reads, those of settings and `today` among them."""
    yield from names_of(parse(text))


def names_of(node: ast.AST) -> Iterator[str]:
    name = dotted(node)
    if name is not None:
        yield name
    elif isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        if node.func.id == "clv":
            yield from (f"{dotted(node.args[0])}.{part}" for part in ("x", "t_x", "T", "m"))
        else:
            for argument in node.args:
                yield from names_of(argument)
    else:
        for child in ast.iter_child_nodes(node):
            yield from names_of(child)


def setting(settings: Settings, name: str) -> Any:
    """The number a dotted name of a setting stands for; None when there is no such setting."""
    first, _, part = name.partition(".")
    value = settings.get(first)
    if isinstance(value, Mapping):
        value = value.get(part)
    return None if value is None else Fraction(value)


# Walking


class Walker:
    """Evaluates trees over what names stand for.

    Args:
        lookup: a dotted name's value.
        today: the bank day, None inside `where`.
    """

    def __init__(self, lookup: Lookup, settings: Settings, today: date | None) -> None:
        self._lookup, self._settings, self._today = lookup, settings, today

    def evaluate(self, text: str) -> Any:
        return self.walk(parse(text))

    def walk(self, node: ast.expr) -> Any:
        name = dotted(node)
        if name is not None:
            return self._name(name)
        match node:
            case ast.Constant(value=value):
                return value
            case ast.List(elts=items):
                return tuple(self.walk(item) for item in items)
            case ast.BoolOp(op=ast.And(), values=values):
                return all_of([self.walk(value) for value in values])
            case ast.BoolOp(values=values):
                return any_of([self.walk(value) for value in values])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = self.walk(operand)
                return None if value is None else not value
            case ast.UnaryOp(operand=operand):
                value = self.walk(operand)
                return None if value is None else -value
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                sides = [self.walk(side) for side in (left, *comparators)]
                pairs = zip(ops, sides, sides[1:], strict=False)
                return all_of([compare(op, a, b) for op, a, b in pairs])
            case ast.BinOp(left=left, op=op, right=right):
                return calculate(op, self.walk(left), self.walk(right))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                decided = self.walk(test)
                return None if decided is None else self.walk(body if decided else orelse)
            case ast.Call():
                return self._call(node)
        raise AssertionError(f"not in the language: {ast.dump(node)}")

    def _name(self, name: str) -> Any:
        first, _, part = name.partition(".")
        if first == "today":
            assert self._today is not None
            return part_of_day(self._today, part) if part else self._today
        known = setting(self._settings, name)
        return self._lookup(name) if known is None else known

    def _call(self, node: ast.Call) -> Any:
        assert isinstance(node.func, ast.Name)
        if node.func.id == "clv":
            summary, model, days = node.args
            read = {part: self._lookup(f"{dotted(summary)}.{part}") for part in ("x", "t_x", "T", "m")}
            group = {name: Fraction(value) for name, value in self._settings[dotted(model)].items()}
            return lifetime_value(read, group, self.walk(days))
        arguments = [self.walk(argument) for argument in node.args]
        if node.func.id == "coalesce":
            return next((value for value in arguments if value is not None), None)
        if None in arguments:
            return None
        return _FUNCTIONS[node.func.id](self._today, *arguments)


def all_of(values: list[Any]) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def any_of(values: list[Any]) -> bool | None:
    if True in values:
        return True
    return None if None in values else False


def compare(op: ast.cmpop, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    if isinstance(op, ast.In | ast.NotIn):
        is_in = any(compare(ast.Eq(), left, item) for item in right)
        return is_in if isinstance(op, ast.In) else not is_in
    left, right = _as_dates(left, right)
    match op:
        case ast.Eq():
            return bool(left == right)
        case ast.NotEq():
            return bool(left != right)
        case ast.Lt():
            return bool(left < right)
        case ast.LtE():
            return bool(left <= right)
        case ast.Gt():
            return bool(left > right)
    return bool(left >= right)


def _as_dates(left: Any, right: Any) -> tuple[Any, Any]:
    """A text beside a date is a date."""
    if isinstance(left, date) and isinstance(right, str):
        return left, date.fromisoformat(right)
    if isinstance(right, date) and isinstance(left, str):
        return date.fromisoformat(left), right
    return left, right


def calculate(op: ast.operator, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    left, right = _as_dates(left, right)
    match op:
        case ast.Add():
            return left + right
        case ast.Sub() if isinstance(left, date):
            return (left - right).days
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
    return None if right == 0 else Fraction(left) / Fraction(right)


# Functions


def part_of_day(day: date, part: str) -> int:
    return {"day": day.day, "month": day.month, "weekday": day.isoweekday()}[part]


def birthday(born: date, year: int) -> date:
    try:
        return born.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def age(today: date, born: date) -> int:
    return today.year - born.year - (1 if today < birthday(born, today.year) else 0)


def birthday_in(today: date, born: date, days: Any) -> bool:
    coming = [birthday(born, year) for year in (today.year, today.year + 1)]
    return bool((min(day for day in coming if day >= today) - today).days <= days)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": lambda today, *values: min(values),
    "max": lambda today, *values: max(values),
    "age": age,
    "any_age": lambda today, days, low, high: any(low <= age(today, day) <= high for day in days),
    "days_to": lambda today, day: (day - today).days,
    "birthday_in": birthday_in,
}


def lifetime_value(summary: Mapping[str, Any], model: Mapping[str, Fraction], days: Any) -> Fraction | None:
    """BG/NBD times Gamma-Gamma, discounted by months of 30 days; to the fen.

    Expected transactions by the series as it stands in the paper (Fader, Hardie & Lee 2005, equation 10), which
    the core turns into another before it sums it up.
    """
    if None in (summary["x"], summary["t_x"], summary["T"]):
        return None
    x, t_x, age_days = (int(summary[name]) for name in ("x", "t_x", "T"))
    group = tuple(float(model[name]) for name in ("r", "alpha", "a", "b"))
    discount, p, q, v = (float(model[name]) for name in ("discount", "p", "q", "v"))
    total, before, end = 0.0, 0.0, 0
    while end < days:
        end = min(end + 30, int(days))
        expected = _expected(end, x, t_x, age_days, *group)
        total += (expected - before) * (1 + discount) ** (-end / 365)
        before = expected
    mean = 0.0 if summary["m"] is None else float(summary["m"])
    return Fraction(round(total * p * (v + mean * x) / (p * x + q - 1) * 100), 100)


@lru_cache(maxsize=4096)
def _expected(t: int, x: int, t_x: int, age_days: int, r: float, alpha: float, a: float, b: float) -> float:
    ended = alpha + age_days
    series = _hypergeometric(r + x, b + x, a + b + x - 1, t / (ended + t))
    whole = (a + b + x - 1) / (a - 1) * (1 - (ended / (ended + t)) ** (r + x) * series)
    return whole if x == 0 else whole / (1 + a / (b + x - 1) * (ended / (alpha + t_x)) ** (r + x))


def _hypergeometric(a: float, b: float, c: float, z: float) -> float:
    term = total = 1.0
    n = 0
    while abs(term) > 1e-17 * abs(total):
        term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * z
        total += term
        n += 1
    return total


# What kind of value an expression has, for printing

Kinds = Callable[[str], str]


def kind_of(text: str, kinds: Kinds, settings: Settings) -> str:
    """`money`, `number`, `date`, `text`, `boolean` or `list`."""
    return _kind(parse(text), kinds, settings) or "number"


def _kind(node: ast.expr, kinds: Kinds, settings: Settings) -> str | None:
    """None for a literal or setting, which takes the kind of what it meets."""
    name = dotted(node)
    if name is not None:
        if name == "today":
            return "date"
        if name.startswith("today."):
            return "number"
        return None if setting(settings, name) is not None else kinds(name)
    match node:
        case ast.Constant(value=value):
            return "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else None
        case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return "boolean"
        case ast.UnaryOp(operand=operand):
            return _kind(operand, kinds, settings)
        case ast.IfExp(body=body, orelse=orelse):
            return _first([body, orelse], kinds, settings)
        case ast.BinOp(left=left, op=op, right=right):
            sides = _kind(left, kinds, settings), _kind(right, kinds, settings)
            if "date" in sides:
                return "number"
            if isinstance(op, ast.Div):
                return "number" if sides[1] == "money" else sides[0]
            return "money" if "money" in sides else sides[0] or sides[1]
        case ast.Call(func=ast.Name(id="min" | "max" | "coalesce"), args=arguments):
            return _first(arguments, kinds, settings)
        case ast.Call(func=ast.Name(id=function)):
            return {"clv": "money", "any_age": "boolean", "birthday_in": "boolean"}.get(function, "number")
    raise AssertionError(ast.dump(node))


def _first(nodes: list[ast.expr], kinds: Kinds, settings: Settings) -> str | None:
    found = [_kind(node, kinds, settings) for node in nodes]
    return next((kind for kind in found if kind is not None), None)
