"""Syntax tree → typed tree: names resolved, types checked, literals folded, yuan turned into fen.

A literal or setting has no type of its own until it meets one: compared with, added to or chosen beside money
it is yuan, otherwise a plain number. Multiplied or divided by, it is a plain number; divided *by money* it is
yuan. Text met with a date must be an ISO date.

Every part that can be checked is, so that an expression's mistakes come at once; what is made of a wrong part is
not judged.
"""

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal, TypeVar

from tagger.expr import nodes
from tagger.expr.errors import ExpressionError, UnresolvedNameError
from tagger.expr.functions import FUNCTIONS, FunctionSpec
from tagger.expr.literals import as_date, as_money, calculate, constants_of, is_untyped, meet_list
from tagger.expr.model_calls import days_ahead, group_settings, summary_parts
from tagger.expr.names import read_name, unknown_name
from tagger.expr.nodes import Const, Node
from tagger.expr.parse import Parsed, dotted, number_of
from tagger.expr.scope import Name, Scope, Type, exact

_T = TypeVar("_T")
_ORDERED = (Type.MONEY, Type.NUMBER, Type.DATE)
_COMPARISONS: Mapping[type[ast.cmpop], nodes.Comparison] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
    ast.NotIn: "not in",
}  # fmt: skip
_ARITHMETIC: Mapping[type[ast.operator], nodes.Arithmetic] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/",
}  # fmt: skip
# Left and right type → type of the result; what is not here is an error.
_RESULTS: Mapping[nodes.Arithmetic, Mapping[tuple[Type, Type], Type]] = {
    "+": {(Type.MONEY, Type.MONEY): Type.MONEY, (Type.NUMBER, Type.NUMBER): Type.NUMBER},
    "-": {
        (Type.MONEY, Type.MONEY): Type.MONEY,
        (Type.NUMBER, Type.NUMBER): Type.NUMBER,
        (Type.DATE, Type.DATE): Type.NUMBER,
    },
    "*": {
        (Type.MONEY, Type.NUMBER): Type.MONEY,
        (Type.NUMBER, Type.MONEY): Type.MONEY,
        (Type.NUMBER, Type.NUMBER): Type.NUMBER,
    },
    "/": {
        (Type.MONEY, Type.NUMBER): Type.MONEY,
        (Type.MONEY, Type.MONEY): Type.NUMBER,
        (Type.NUMBER, Type.NUMBER): Type.NUMBER,
    },
}


def check(parsed: Parsed, scope: Scope, expected: Type | None = None) -> Node:
    """Give every part of an expression its type.

    Args:
        expected: the type the whole must have; None for any but a list.

    Raises:
        ExpressionError: an unknown name, or types that do not go together; `others` holds whatever else is wrong.
    """
    checker = _Checker(parsed, scope)
    (root,) = checker.whole([partial(checker.check, parsed.root)])
    return _as_expected(root, expected)


def _as_expected(root: Node, expected: Type | None) -> Node:
    if expected is None:
        if root.type is Type.LIST:
            raise ExpressionError("the whole is a list", root.column, "a single value")
        return root
    if expected is Type.MONEY:
        root = as_money(root)
    if root.type is not expected:
        raise ExpressionError(
            f"this is a {root.type.value}, where a {expected.value} is needed", root.column, _hint(expected)
        )
    return root


def _raise_all(errors: Sequence[ExpressionError]) -> None:
    """Raise the first with the others; what is told elsewhere only where nothing else is wrong."""
    told = [error for error in errors if not isinstance(error, UnresolvedNameError)] or errors
    if told:
        told[0].others = tuple(told[1:])
        raise told[0]


def _attempt_all(attempts: Iterable[Callable[[], _T]]) -> tuple[list[_T], list[ExpressionError]]:
    made: list[_T] = []
    errors: list[ExpressionError] = []
    for attempt in attempts:
        try:
            made.append(attempt())
        except ExpressionError as error:
            errors += (error, *error.others)
    return made, errors


def _hint(expected: Type) -> str:
    return "a comparison such as assets >= 50000" if expected is Type.BOOLEAN else f"a {expected.value}"


class _Checker:
    def __init__(self, parsed: Parsed, scope: Scope) -> None:
        self._parsed = parsed
        self._scope = scope

    def check(self, node: ast.expr) -> Node:
        return _CHECKS[type(node)](self, node)

    def whole(self, attempts: Iterable[Callable[[], _T]]) -> list[_T]:
        """What every attempt gives; where some fail, one error with all of theirs."""
        made, errors = _attempt_all(attempts)
        _raise_all(errors)
        return made

    def parts(self, nodes: Iterable[ast.expr]) -> list[Node]:
        return self.whole(partial(self.check, node) for node in nodes)

    def _base(self, node: ast.expr) -> tuple[str, int]:
        return self._parsed.segment(node), self._parsed.column(node)

    # Leaves

    def constant(self, node: ast.Constant) -> Node:
        text, column = self._base(node)
        if isinstance(node.value, bool):
            return Const(Type.BOOLEAN, False, text, column, node.value)
        if isinstance(node.value, str):
            return Const(Type.TEXT, False, text, column, node.value)
        return Const(Type.NUMBER, False, text, column, exact(number_of(self._parsed, node)), untyped=True)

    def name(self, node: ast.Name | ast.Attribute) -> Node:
        name = dotted(node)
        assert name is not None
        return read_name(self._scope, name, *self._base(node))

    def list_of(self, node: ast.List) -> Node:
        text, column = self._base(node)
        items = self.parts(node.elts)
        if not items or not all(isinstance(item, Const) for item in items):
            raise ExpressionError("a list holds one or more literals or settings", column, '["wealth", "deposit"]')
        unified = self._unify(items, column, "items of a list")
        values = tuple(item.value for item in unified if isinstance(item, Const))
        untyped = all(is_untyped(item) for item in unified)
        return nodes.ListOf(Type.LIST, False, text, column, unified[0].type, values, untyped)

    # Operators

    def compare(self, node: ast.Compare) -> Node:
        text, column = self._base(node)
        operators = tuple(_COMPARISONS[type(operator)] for operator in node.ops)
        operands = self.parts((node.left, *node.comparators))
        if any(operator in {"in", "not in"} for operator in operators):
            return self._membership(text, column, operands, operators)
        operands = self._unify(operands, column, "sides of a comparison")
        kind = operands[0].type
        if kind is Type.LIST:
            raise ExpressionError("lists are not compared", column, "`in`")
        if kind not in _ORDERED and any(operator not in {"==", "!="} for operator in operators):
            raise ExpressionError(f"a {kind.value} has no order", column, "== or !=")
        self._check_words(operands)
        optional = any(operand.optional for operand in operands)
        return nodes.Compare(Type.BOOLEAN, optional, text, column, tuple(operands), operators)

    def _membership(
        self, text: str, column: int, operands: Sequence[Node], operators: tuple[nodes.Comparison, ...]
    ) -> Node:
        if len(operators) != 1:
            raise ExpressionError("`in` stands alone", column, "(a in b) and …")
        item, group = operands
        kind = _item_type(group)
        if kind is None:
            raise ExpressionError(f"a {group.type.value} follows `in`", group.column, 'a list such as ["a", "b"]')
        if isinstance(group, nodes.ListOf) and item.type is not kind:
            group = meet_list(item, group)
            kind = group.item
        if kind is Type.DATE:
            item = as_date(item)
        if item.type is not kind:
            raise ExpressionError(
                f"a {item.type.value} is looked for among {kind.value if kind else 'other'}s", item.column
            )
        self._check_words([item, *constants_of(group)])
        optional = item.optional or group.optional
        return nodes.Compare(Type.BOOLEAN, optional, text, column, (item, group), operators)

    def _check_words(self, operands: Sequence[Node]) -> None:
        words = next((node.source.words for node in operands if isinstance(node, nodes.Read)), ())
        if not words:
            return
        wrong = [
            node
            for node in operands
            if isinstance(node, Const) and node.type is Type.TEXT and node.value not in words
        ]
        _raise_all([
            ExpressionError(
                f"{node.text} is never the case", node.column, " or ".join(words),
                next(iter(get_close_matches(node.value, words, n=1)), None),
            )
            for node in wrong
        ])  # fmt: skip

    def logic(self, node: ast.BoolOp) -> Node:
        text, column = self._base(node)
        items = tuple(self.whole(partial(self._boolean, item) for item in node.values))
        optional = any(item.optional for item in items)
        operator: Literal["and", "or"] = "and" if isinstance(node.op, ast.And) else "or"
        return nodes.Logic(Type.BOOLEAN, optional, text, column, operator, items)

    def _boolean(self, node: ast.expr) -> Node:
        checked = self.check(node)
        if checked.type is not Type.BOOLEAN:
            raise ExpressionError(
                f"`{checked.text}` is a {checked.type.value}, not true or false",
                checked.column,
                _hint(Type.BOOLEAN),
            )
        return checked

    def unary(self, node: ast.UnaryOp) -> Node:
        text, column = self._base(node)
        if isinstance(node.op, ast.Not):
            item = self._boolean(node.operand)
            return nodes.Not(Type.BOOLEAN, item.optional, text, column, item)
        item = self.check(node.operand)
        if item.type not in {Type.MONEY, Type.NUMBER}:
            raise ExpressionError(f"a {item.type.value} has no negative", column, "a number or money")
        if isinstance(item, Const):
            return replace(item, text=text, column=column, value=-item.value)
        return nodes.Negate(item.type, item.optional, text, column, item)

    def arithmetic(self, node: ast.BinOp) -> Node:
        text, column = self._base(node)
        operator = _ARITHMETIC[type(node.op)]
        left, right = self.parts((node.left, node.right))
        if isinstance(left, Const) and isinstance(right, Const) and left.untyped and right.untyped:
            return Const(Type.NUMBER, False, text, column, calculate(operator, left, right), untyped=True)
        if operator in {"+", "-"} and Type.MONEY in {left.type, right.type}:
            left, right = as_money(left), as_money(right)
        if operator == "/" and right.type is Type.MONEY:
            left = as_money(left)
        if operator == "-" and Type.DATE in {left.type, right.type}:
            left, right = as_date(left), as_date(right)
        result = _RESULTS[operator].get((left.type, right.type))
        if result is None:
            raise ExpressionError(
                f"{left.type.value} {operator} {right.type.value} has no meaning", column, _sums(operator)
            )
        if operator == "/" and isinstance(right, Const) and right.value == 0:
            raise ExpressionError("division by zero", right.column)
        optional = left.optional or right.optional or (operator == "/" and not isinstance(right, Const))
        return nodes.Arith(result, optional, text, column, operator, left, right)

    def choose(self, node: ast.IfExp) -> Node:
        text, column = self._base(node)
        test, yes, no = self.whole(
            (partial(self._boolean, node.test), partial(self.check, node.body), partial(self.check, node.orelse))
        )
        yes, no = self._unify([yes, no], column, "outcomes")
        optional = test.optional or yes.optional or no.optional
        return nodes.Choose(yes.type, optional, text, column, test, yes, no)

    def call(self, node: ast.Call) -> Node:
        text, column = self._base(node)
        assert isinstance(node.func, ast.Name)
        spec = FUNCTIONS.get(node.func.id)
        if spec is None:
            error = unknown_name(node.func.id, column, list(FUNCTIONS), "function")
            error.others = tuple(_attempt_all(partial(self.check, argument) for argument in node.args)[1])
            raise error
        if spec.needs_today and not self._knows_today(spec.name):
            raise ExpressionError(f"`{spec.name}` needs today, which `where` does not know", column)
        if spec.arguments == "model":
            return self._call_model(node, spec)
        arguments = self.parts(node.args)
        if spec.arguments == "alike":
            return self._call_alike(text, column, spec.name, arguments)
        if len(arguments) != len(spec.arguments):
            raise ExpressionError(f"`{spec.name}` takes {len(spec.arguments)} arguments", column, spec.usage)
        arguments = [as_date(a) if t is Type.DATE else a for a, t in zip(arguments, spec.arguments, strict=True)]
        _raise_all([
            ExpressionError(f"`{argument.text}` is not a {wanted.value} here", argument.column, spec.usage)
            for argument, wanted in zip(arguments, spec.arguments, strict=True)
            if argument.type is not wanted or (wanted is Type.LIST and _item_type(argument) is not Type.DATE)
        ])  # fmt: skip
        assert spec.result is not None
        optional = any(argument.optional for argument in arguments)
        return nodes.Call(spec.result, optional, text, column, spec.name, tuple(arguments))

    def _knows_today(self, function: str) -> bool:
        allowed = self._scope.today_functions
        return self._scope.today is not None and (allowed is None or function in allowed)

    def _call_model(self, node: ast.Call, spec: FunctionSpec) -> Node:
        """A call that is handed a summary and a group of settings: their parts become its arguments."""
        text, column = self._base(node)
        if len(node.args) != 3:
            raise ExpressionError(f"`{spec.name}` takes 3 arguments", column, spec.usage)
        summary, group, days = node.args
        reads, settings, horizon = self.whole(
            (
                partial(summary_parts, self._scope, spec, dotted(summary), *self._base(summary)),
                partial(group_settings, self._scope, spec, *self._base(group)),
                lambda: days_ahead(self.check(days)),
            )
        )
        return nodes.Call(Type.MONEY, True, text, column, spec.name, (*reads, *settings, *horizon))

    def _call_alike(self, text: str, column: int, name: str, arguments: list[Node]) -> Node:
        spec = FUNCTIONS[name]
        if len(arguments) < 2:
            raise ExpressionError(f"`{name}` takes two arguments or more", column, spec.usage)
        arguments = self._unify(arguments, column, f"arguments of {name}")
        kind = arguments[0].type
        if kind not in spec.types:
            raise ExpressionError(f"`{name}` does not take a {kind.value}", column, spec.usage)
        if all(isinstance(argument, Const) for argument in arguments):
            values = [argument.value for argument in arguments if isinstance(argument, Const)]
            untyped = all(is_untyped(argument) for argument in arguments)
            return Const(kind, False, text, column, spec.implementation(*values), untyped)
        combine: Callable[[list[bool]], bool] = any if spec.strict else all
        optional = combine([argument.optional for argument in arguments])
        return nodes.Call(kind, optional, text, column, name, tuple(arguments))

    def _unify(self, operands: Sequence[Node], column: int, what: str) -> list[Node]:
        """Bring operands to one type, as far as literals allow."""
        types = {operand.type for operand in operands}
        if Type.MONEY in types:
            operands = [as_money(operand) for operand in operands]
        if Type.DATE in types:
            operands = [as_date(operand) for operand in operands]
        types = {operand.type for operand in operands}
        if len(types) > 1:
            found = " and ".join(sorted(kind.value for kind in types))
            raise ExpressionError(f"{what} are {found}", column, "the same type on all of them")
        return list(operands)


def _item_type(node: Node) -> Type | None:
    match node:
        case nodes.ListOf(item=item):
            return item
        case nodes.Read(source=Name(type=Type.LIST, item=item)):
            return item
        case _:
            return None


def _sums(operator: nodes.Arithmetic) -> str:
    return " or ".join(f"{left.value} {operator} {right.value}" for left, right in _RESULTS[operator])


# The parser lets only these through.
_CHECKS: Mapping[type[ast.expr], Callable[[_Checker, Any], Node]] = {
    ast.Constant: _Checker.constant,
    ast.Name: _Checker.name,
    ast.Attribute: _Checker.name,
    ast.List: _Checker.list_of,
    ast.Compare: _Checker.compare,
    ast.BoolOp: _Checker.logic,
    ast.UnaryOp: _Checker.unary,
    ast.BinOp: _Checker.arithmetic,
    ast.IfExp: _Checker.choose,
    ast.Call: _Checker.call,
}
