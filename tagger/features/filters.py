"""`where` over records, compiled: a test to call, and what generated code writes in place instead."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import FunctionType
from typing import Any, cast

from schemas.bankday import BankCalendar
from tagger.expr.compile import Emitter, compile_expression
from tagger.expr.fields import RecordCalendar, record_scope
from tagger.expr.nodes import Node, Read
from tagger.expr.scope import Type
from tagger.features.definition import canonical


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records a feature, a watch or a conversion is about.

    Attributes:
        matches: takes a record of `schemas.journal`; True where it matches, and None is no match.
        meaning: canonical text.
    """

    matches: Callable[[Any], Any]
    meaning: str
    calendar: RecordCalendar = field(repr=False)
    tree: Node = field(repr=False)

    def written(self, emitter: Emitter, record: str) -> str:
        """Python for `matches` of what stands under this name."""

        def read(node: Read) -> str:
            return node.source.read.replace("env.", f"{record}.")

        emitter.constants["cal"] = self.calendar
        outer, emitter.read_node = emitter.read_node, read
        written = emitter.emit(self.tree)
        emitter.read_node = outer
        return f"{written} is True" if self.tree.optional else written


def compile_filter(
    source: str, text: str | None, settings: Mapping[str, Decimal | Mapping[str, Decimal]], calendar: BankCalendar
) -> RecordFilter | None:
    """Compile a filter over records; None matches all.

    Raises:
        ExpressionError: it is no condition over the source's fields.
    """
    if text is None:
        return None
    expression = compile_expression(text, record_scope(source, settings), Type.BOOLEAN)
    matches = cast(FunctionType, expression.evaluate)
    # The function is this filter's own; a default costs nothing at a call, a partial doubles it.
    record_calendar = RecordCalendar(calendar)
    matches.__defaults__ = (record_calendar,)
    return RecordFilter(cast(Any, matches), canonical(expression.tree), record_calendar, expression.tree)
