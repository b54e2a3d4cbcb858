"""Typed tree → one Python function, generated once when a rulebook is loaded.

Unknown is None. Where nothing can be unknown the code is what one would write by hand; where something can,
each operator tests for it, with three-valued logic for `and`, `or` and `not`. Values are exact: a literal with
decimals and every quotient is a `Fraction`, so that a cut is met to the fen.

The source of a generated function stays readable through `inspect.getsource` and in tracebacks.
"""

import linecache
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from hashlib import blake2b
from typing import Any

from schemas.bankday import weekday_of
from tagger.expr import nodes
from tagger.expr.check import check
from tagger.expr.errors import ExpressionError
from tagger.expr.functions import FUNCTIONS
from tagger.expr.nodes import Const, Node, Read
from tagger.expr.parse import Parsed, parse
from tagger.expr.scope import Scope, Type


@dataclass(frozen=True)
class Condition:
    """One top-level `and` part of a condition, for evidence.

    Attributes:
        text: as written, settings in it replaced by their numbers.
        reads: dotted names in order of first use, each once.
        threshold: the right-hand side of a single comparison with a literal or setting, as a number in the
            pack's own unit (yuan), or the text or list as written; None otherwise.
        evaluate: called like the expression's own.
    """

    text: str
    reads: tuple[str, ...]
    threshold: str | None
    evaluate: Callable[..., Any]


@dataclass(frozen=True)
class Expression:
    """A compiled expression.

    Attributes:
        text: as written.
        type: of what it gives.
        optional: whether that can be unknown (None).
        reads: dotted names in order of first use, each once; settings and `today` are not among them.
        uses_today: whether the result depends on the bank day of now.
        code: source of the generated function.
        evaluate: takes the scope's `parameters` by position.
        conditions: the top-level `and` parts of a BOOLEAN, for evidence; empty for other types.
        tree: for walking (`tagger.expr.explain`).
    """

    text: str
    type: Type
    optional: bool
    reads: tuple[str, ...]
    uses_today: bool
    code: str
    evaluate: Callable[..., Any]
    conditions: tuple[Condition, ...]
    tree: Node = field(repr=False)


def compile_expression(text: str, scope: Scope, expected: Type | None) -> Expression:
    """Compile an expression.

    Args:
        expected: the type it must have; None for any single value.

    Raises:
        ExpressionError: it cannot be read, names something unknown, or mixes types.
    """
    parsed = parse(text)
    tree = check(parsed, scope, expected)
    code, evaluate = _function(tree, scope)
    conditions: tuple[Condition, ...] = ()
    if tree.type is Type.BOOLEAN:
        is_and = isinstance(tree, nodes.Logic) and tree.operator == "and"
        parts = nodes.children(tree) if is_and else (tree,)
        conditions = tuple(_condition(part, parsed, scope) for part in parts)
    return Expression(
        text, tree.type, tree.optional, reads_of(tree), uses_today(tree), code, evaluate, conditions, tree
    )


def reads_of(tree: Node) -> tuple[str, ...]:
    """The names a tree reads, in order of first use."""
    names: dict[str, None] = {}
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, nodes.Read):
            names.setdefault(node.name)
        stack.extend(reversed(nodes.children(node)))
    return tuple(names)


def uses_today(tree: Node) -> bool:
    """Whether a tree's value depends on the bank day of now."""
    if isinstance(tree, nodes.Today) or (isinstance(tree, nodes.Call) and FUNCTIONS[tree.function].needs_today):
        return True
    return any(uses_today(child) for child in nodes.children(tree))


def _condition(tree: Node, parsed: Parsed, scope: Scope) -> Condition:
    _, evaluate = _function(tree, scope)
    threshold = None
    if isinstance(tree, nodes.Compare) and len(tree.operators) == 1:
        threshold = _threshold(tree.operands[1])
    return Condition(_with_settings(tree, parsed, scope.settings), reads_of(tree), threshold, evaluate)


def _with_settings(tree: Node, parsed: Parsed, settings: Mapping[str, Decimal | Mapping[str, Decimal]]) -> str:
    """A part as written, each setting replaced by its number."""
    end = tree.column + len(tree.text)
    pieces, position = [], tree.column
    for name, start, stop in parsed.names():
        first, _, part = name.partition(".")
        setting = settings.get(first)
        value = setting.get(part) if isinstance(setting, Mapping) else setting
        if tree.column <= start and stop <= end and value is not None:
            pieces += [parsed.text[position:start], plain_number(Fraction(value))]
            position = stop
    return "".join([*pieces, parsed.text[position:end]])


def _threshold(node: Node) -> str | None:
    if isinstance(node, nodes.ListOf):
        return node.text
    if not isinstance(node, Const):
        return None
    if node.type is Type.MONEY:
        return plain_number(node.number / 100)
    if node.type is Type.NUMBER:
        return plain_number(node.number)
    return str(node.value) if node.type is Type.TEXT else node.text


def plain_number(value: Fraction) -> str:
    """A number as a person writes it: `0.2`, `50000`; three decimals where it has no end."""
    if value.denominator == 1:
        return str(value.numerator)
    for decimals in range(1, 13):
        scaled = value * 10**decimals
        if scaled.denominator == 1:
            digits = str(abs(scaled.numerator)).rjust(decimals + 1, "0")
            return f"{'-' if value < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"
    return f"{float(round(value, 3)):.3f}"


def _function(tree: Node, scope: Scope) -> tuple[str, Callable[..., Any]]:
    emitter = Emitter(scope.today, lambda node: node.source.read)
    result = emitter.emit(tree)
    lines = [f"def evaluate({', '.join(scope.parameters)}):", *emitter.prelude, f"    return {result}", ""]
    code = "\n".join(lines)
    try:
        return code, define(code, "evaluate", emitter.constants)
    except (SyntaxError, RecursionError, MemoryError):
        raise ExpressionError("nested too deeply", tree.column, "a feature of its own for a part") from None


def define(code: str, name: str, constants: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of that name which generated code defines; its source stays readable.

    The code is made from typed trees alone: literals are constants or repr of plain values, names come from
    scopes.

    Raises:
        SyntaxError, RecursionError, MemoryError: it is nested more deeply than Python reads.
    """
    filename = f"<{name} {blake2b(code.encode(), digest_size=6).hexdigest()}>"
    linecache.cache[filename] = (len(code), None, code.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"__builtins__": {}, "__name__": "tagger.expr", **constants}
    exec(compile(code, filename, "exec"), namespace)
    function: Callable[..., Any] = namespace[name]
    return function


class Emitter:
    """Writes Python for trees; every temporary is assigned once, before it is used.

    Args:
        today: Python that reads the bank day of now.
        read: Python that reads a name; may be changed from tree to tree.

    Attributes:
        prelude: statements to stand before the expression.
        constants: what the code names beside what it reads.
    """

    def __init__(self, today: str | None, read: Callable[[Read], str]) -> None:
        self._today, self.read_node = today, read
        self.prelude: list[str] = []
        self.constants: dict[str, Any] = {}
        self._temporaries = 0

    def emit(self, node: Node) -> str:
        return _EMITTERS[type(node)](self, node)

    def _temporary(self) -> str:
        self._temporaries += 1
        return f"_{self._temporaries}"

    def _constant(self, value: Any) -> str:
        if isinstance(value, bool | int | str):
            return repr(value)
        name = f"_c{len(self.constants)}"
        self.constants[name] = value
        return name

    def _guard(self, operands: list[tuple[Node, str]], result: Callable[[list[str]], str]) -> str:
        """`result` of operands, or None when one of them is."""
        tests, names = [], []
        for node, code in operands:
            if node.optional:
                name = self._temporary()
                tests.append(f"({name} := {code}) is None")
                names.append(name)
            else:
                names.append(code)
        done = result(names)
        return f"(None if {' or '.join(tests)} else {done})" if tests else f"({done})"

    def const(self, node: Const) -> str:
        code = self._constant(node.value)
        return f"({code})" if code.startswith("-") else code

    def list_of(self, node: nodes.ListOf) -> str:
        return self._constant(frozenset(node.values))

    def read(self, node: nodes.Read) -> str:
        return self.read_node(node)

    def today(self, node: nodes.Today) -> str:
        today = str(self._today)
        if node.part == "":
            return today
        if node.part == "weekday":
            self.constants["_weekday_of"] = weekday_of
            return f"_weekday_of({today})"
        self.constants["_date_of"] = date.fromordinal
        return f"_date_of({today}).{node.part}"

    def compare(self, node: nodes.Compare) -> str:
        operands = node.operands
        if len(node.operators) > 1 and node.optional:
            return self._chain(node)
        codes = [(operand, self.emit(operand)) for operand in operands]

        def chain(names: list[str]) -> str:
            pairs = zip(node.operators, names[1:], strict=True)
            return names[0] + "".join(f" {operator} {name}" for operator, name in pairs)

        return self._guard(codes, chain)

    def _chain(self, node: nodes.Compare) -> str:
        # `a < b < c` is `a < b and b < c`, each operand evaluated once.
        names = []
        for operand in node.operands:
            name = self._temporary()
            self.prelude.append(f"    {name} = {self.emit(operand)}")
            names.append(name)
        parts = []
        for index, operator in enumerate(node.operators):
            left, right = node.operands[index], node.operands[index + 1]
            tests = [f"{names[i]} is None" for i in (index, index + 1) if node.operands[i].optional]
            comparison = f"{names[index]} {operator} {names[index + 1]}"
            code = f"(None if {' or '.join(tests)} else {comparison})" if tests else f"({comparison})"
            parts.append((left.optional or right.optional, code))
        return self._kleene("and", parts)

    def logic(self, node: nodes.Logic) -> str:
        return self._kleene(node.operator, [(item.optional, self.emit(item)) for item in node.items])

    def _kleene(self, operator: str, items: list[tuple[bool, str]]) -> str:
        if not any(optional for optional, _ in items):
            return f"({f' {operator} '.join(code for _, code in items)})"
        decided = "False" if operator == "and" else "True"
        settles, unknown = [], []
        for optional, code in items:
            if optional:
                name = self._temporary()
                settles.append(f"({name} := {code}) is {decided}")
                unknown.append(f"{name} is None")
            else:
                settles.append(f"not {code}" if operator == "and" else code)
        otherwise = "True" if operator == "and" else "False"
        return f"({decided} if {' or '.join(settles)} else None if {' or '.join(unknown)} else {otherwise})"

    def negation(self, node: nodes.Not) -> str:
        return self._guard([(node.item, self.emit(node.item))], lambda names: f"not {names[0]}")

    def negative(self, node: nodes.Negate) -> str:
        return self._guard([(node.item, self.emit(node.item))], lambda names: f"-{names[0]}")

    def arithmetic(self, node: nodes.Arith) -> str:
        left, right = (node.left, self.emit(node.left)), (node.right, self.emit(node.right))
        if node.operator != "/":
            return self._guard([left, right], lambda names: f"{names[0]} {node.operator} {names[1]}")
        if isinstance(node.right, Const):
            # int / int would be a float: multiply by the exact reciprocal.
            reciprocal = self._constant(Fraction(1) / node.right.number)
            return self._guard([left], lambda names: f"{names[0]} * {reciprocal}")
        self.constants["_fraction"] = Fraction
        divisor = self._temporary()

        def quotient(names: list[str]) -> str:
            return f"(_fraction({names[0]}, {divisor}) if ({divisor} := {names[1]}) else None)"

        return self._guard([left, right], quotient)

    def choose(self, node: nodes.Choose) -> str:
        yes, no = self.emit(node.yes), self.emit(node.no)
        return self._guard([(node.test, self.emit(node.test))], lambda names: f"{yes} if {names[0]} else {no}")

    def call(self, node: nodes.Call) -> str:
        spec = FUNCTIONS[node.function]
        # Where nothing can be unknown, Python's own will do; both may stand in one expression.
        plain = {"min": min, "max": max}.get(spec.name) if not node.optional else None
        name = f"_plain_{spec.name}" if plain else f"_{spec.name}"
        self.constants[name] = plain or spec.implementation
        arguments = [self.emit(argument) for argument in node.arguments]
        if spec.needs_today:
            arguments.insert(0, str(self._today))
        return f"{name}({', '.join(arguments)})"


_EMITTERS: dict[type[Node], Callable[[Emitter, Any], str]] = {
    Const: Emitter.const,
    nodes.ListOf: Emitter.list_of,
    nodes.Read: Emitter.read,
    nodes.Today: Emitter.today,
    nodes.Compare: Emitter.compare,
    nodes.Logic: Emitter.logic,
    nodes.Not: Emitter.negation,
    nodes.Negate: Emitter.negative,
    nodes.Arith: Emitter.arithmetic,
    nodes.Choose: Emitter.choose,
    nodes.Call: Emitter.call,
}
