"""Calls that are handed a summary and a group of settings: their parts become the arguments of the model."""

from collections.abc import Mapping

from tagger.expr import nodes
from tagger.expr.errors import ExpressionError
from tagger.expr.functions import FunctionSpec
from tagger.expr.nodes import Const, Node
from tagger.expr.scope import Scope, Type, exact

MAX_DAYS = 3660
"""The longest time ahead that a model is asked about."""


def days_ahead(days: Node) -> tuple[Node, ...]:
    """The number of days ahead that a model is asked about.

    Raises:
        ExpressionError: it is none, or lies beyond what is asked.
    """
    if not isinstance(days, Const) or days.type is not Type.NUMBER or not 1 <= days.value <= MAX_DAYS:
        raise ExpressionError(
            f"`{days.text}` is no number of days", days.column, f"a number or setting, 1 to {MAX_DAYS}"
        )
    return (days,)


def summary_parts(scope: Scope, spec: FunctionSpec, name: str | None, text: str, column: int) -> tuple[Node, ...]:
    """The parts of a summary that a model is fed with.

    Args:
        name: of the summary; None where the text is no name.

    Raises:
        ExpressionError: there is no summary of that name.
    """
    names = [f"{name}.{part}" for part in spec.parts]
    sources = [scope.names.get(name) for name in names]
    if name is None or None in sources:
        raise ExpressionError(f"`{text}` is no summary", column, spec.usage)
    return tuple(
        nodes.Read(source.type, source.optional, text, column, name, source)
        for name, source in zip(names, sources, strict=True)
        if source is not None
    )


def group_settings(scope: Scope, spec: FunctionSpec, text: str, column: int) -> tuple[Node, ...]:
    """A model's parameters, out of a group of settings.

    Raises:
        ExpressionError: the text is no such group's name, or its numbers make no model.
    """
    group = scope.settings.get(text)
    if not isinstance(group, Mapping):
        named = f"a group of settings with {', '.join(spec.settings)}"
        raise ExpressionError(f"`{text}` is no group of settings", column, named)
    lacking = [name for name in spec.settings if name not in group]
    if lacking:
        raise ExpressionError(f"`{text}` lacks {', '.join(lacking)}", column, ", ".join(spec.settings))
    refusal = spec.refuses({name: float(group[name]) for name in spec.settings}) if spec.refuses else None
    if refusal is not None:
        raise ExpressionError(f"`{text}` makes no model", column, refusal)
    return tuple(Const(Type.NUMBER, False, f"{text}.{name}", column, exact(group[name])) for name in spec.settings)
