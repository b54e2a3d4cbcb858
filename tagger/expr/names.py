"""Names of an expression resolved, and what is said of one that stands for nothing."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from tagger.expr import nodes
from tagger.expr.errors import ExpressionError
from tagger.expr.nodes import Const, Node
from tagger.expr.scope import Scope, Type, exact

_TODAY_PARTS = ("day", "month", "weekday")


def read_name(scope: Scope, name: str, text: str, column: int) -> Node:
    """What a name, with its part after a dot, stands for: a setting's value, a reading, or today.

    Raises:
        ExpressionError: it stands for nothing here.
    """
    first, _, part = name.partition(".")
    if first == "today":
        return _today(scope, text, column, part)
    setting = scope.settings.get(first)
    if setting is not None:
        value = setting.get(part) if isinstance(setting, Mapping) else None if part else setting
        if value is None:
            names = [f"{first}.{key}" for key in setting] if isinstance(setting, Mapping) else [first]
            raise unknown_name(name, column, names, "setting")
        return Const(Type.NUMBER, False, text, column, exact(value), untyped=True)
    source = scope.names.get(name)
    if source is None:
        raise _unknown(scope, name, column)
    return nodes.Read(source.type, source.optional, text, column, name, source)


def _today(scope: Scope, text: str, column: int, part: str) -> Node:
    if scope.today is None or scope.today_functions is not None:
        raise ExpressionError("there is no `today` inside `where`", column, "the record's day, month or weekday")
    if part == "":
        return nodes.Today(Type.DATE, False, text, column, "")
    if part not in _TODAY_PARTS:
        raise unknown_name(text, column, [f"today.{name}" for name in _TODAY_PARTS], "part of today")
    return nodes.Today(Type.NUMBER, False, text, column, part)  # type: ignore[arg-type]


def _unknown(scope: Scope, name: str, column: int) -> ExpressionError:
    names = list(scope.names)
    parts = [other for other in names if other.startswith(f"{name}.")]
    if parts:
        return ExpressionError(f"`{name}` has parts; say which", column, " or ".join(parts), parts[0])
    if name == "retained":
        expected = "`after: {event: …}` and `within: …` in the rule that reads it"
        return ExpressionError("`retained` belongs to `when` and `until` of a rule with `after`", column, expected)
    if name in {"true", "false"}:
        return ExpressionError(f"unknown name `{name}`", column, "True or False", name.capitalize())
    groups = scope.settings.items()
    settings = [
        other
        for key, value in groups
        for other in ([f"{key}.{part}" for part in value] if isinstance(value, Mapping) else [key])
    ]
    known = [*names, *settings] + (["today"] if scope.today is not None else [])
    return unknown_name(name, column, known, "name")


def unknown_name(name: str, column: int, known: Sequence[str], what: str) -> ExpressionError:
    """Of a name that is not among those known: the nearest of them, and the first few."""
    near = next(iter(get_close_matches(name, known, n=1, cutoff=0.6)), None)
    shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return ExpressionError(f"unknown {what} `{name}`", column, f"one of {shown}" if known else None, near)
