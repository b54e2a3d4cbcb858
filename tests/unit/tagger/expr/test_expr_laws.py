"""Laws of the language: compiled and walked agree, and nothing but an ExpressionError comes of bad text."""

import ast
from collections.abc import Callable
from datetime import date
from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tagger.expr.compile import compile_expression
from tagger.expr.errors import ExpressionError
from tagger.expr.explain import walk
from tagger.expr.parse import referenced_names
from tagger.expr.scope import Name, Scope, Type

KINDS = {
    "m": (Type.MONEY, False),
    "mo": (Type.MONEY, True),
    "n": (Type.NUMBER, False),
    "no": (Type.NUMBER, True),
    "t": (Type.TEXT, False),
    "to": (Type.TEXT, True),
    "d": (Type.DATE, False),
    "do": (Type.DATE, True),
    "b": (Type.BOOLEAN, False),
    "bo": (Type.BOOLEAN, True),
}
SCOPE = Scope(
    {
        **{name: Name(kind, optional, f'env["{name}"]') for name, (kind, optional) in KINDS.items()},
        "dates": Name(Type.LIST, True, 'env["dates"]', item=Type.DATE),
        "words": Name(Type.LIST, False, 'env["words"]', item=Type.TEXT),
    },
    {},
    today='env["today"]',
)

DAYS = st.integers(date(1950, 1, 1).toordinal(), date(2050, 12, 31).toordinal())
WORDS = st.sampled_from(["a", "b", "c"])
VALUES = {
    Type.MONEY: st.integers(-(10**12), 10**12),
    Type.NUMBER: st.one_of(st.integers(-5, 5), st.fractions(-5, 5, max_denominator=7)),
    Type.TEXT: WORDS,
    Type.DATE: DAYS,
    Type.BOOLEAN: st.booleans(),
}
ENVIRONMENTS = st.fixed_dictionaries(
    {
        **{n: (st.none() | VALUES[kind]) if optional else VALUES[kind] for n, (kind, optional) in KINDS.items()},
        "dates": st.none() | st.lists(DAYS, max_size=3).map(tuple),
        "words": st.lists(WORDS, max_size=2).map(tuple),
        "today": DAYS,
    }
)

LITERALS = st.sampled_from(["0", "1", "2", "0.2", "5万", "3.25"])
COMPARISONS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


def text(value: str) -> st.SearchStrategy[str]:
    return st.just(value)


def branches(condition: st.SearchStrategy[str], item: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        joined(text("("), item, text(" if "), condition, text(" else "), item, text(")")),
        joined(text("coalesce("), item, text(", "), item, text(")")),
    )


def comparison(item: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    chain = joined(text("("), item, COMPARISONS, item, COMPARISONS, item, text(")"))
    return joined(text("("), item, COMPARISONS, item, text(")")) | chain


NUMBERS = st.deferred(lambda: _numbers)
MONEY = st.deferred(lambda: _money)
CONDITIONS = st.deferred(lambda: _conditions)

_number_leaf = st.sampled_from(["n", "no", "today.day", "today.month", "today.weekday"]) | LITERALS
_numbers = st.one_of(
    _number_leaf,
    joined(text("("), NUMBERS, st.sampled_from([" + ", " - ", " * ", " / "]), NUMBERS, text(")")),
    joined(text("(-"), NUMBERS, text(")")),
    joined(st.sampled_from(["min(", "max("]), NUMBERS, text(", "), NUMBERS, text(")")),
    joined(text("("), MONEY, text(" / "), st.sampled_from(["m", "mo"]), text(")")),
    st.sampled_from(["age(d)", "age(do)", "days_to(do)", "(d - do)"]),
    branches(CONDITIONS, NUMBERS),
)
_money_leaf = st.sampled_from(["m", "mo"])
_money = st.one_of(
    _money_leaf,
    joined(text("("), _money_leaf, st.sampled_from([" + ", " - "]), MONEY | LITERALS, text(")")),
    joined(text("("), _money_leaf, st.sampled_from([" * ", " / "]), NUMBERS, text(")")),
    joined(st.sampled_from(["min(", "max("]), _money_leaf, text(", "), MONEY | LITERALS, text(")")),
    branches(CONDITIONS, MONEY),
)
_conditions = st.one_of(
    st.sampled_from(["b", "bo", "True", "False", "birthday_in(do, n)", "any_age(dates, 1, no)"]),
    comparison(NUMBERS),
    comparison(st.sampled_from(["d", "do", "today"])),
    joined(text("("), _money_leaf, COMPARISONS, MONEY | LITERALS, text(")")),
    st.sampled_from(["t == to", "to != 'a'", "to in ['a', 'b']", "t not in words", "do in ['2026-03-02']"]),
    joined(text("("), CONDITIONS, st.sampled_from([" and ", " or "]), CONDITIONS, text(")")),
    joined(text("("), CONDITIONS, text(" and "), CONDITIONS, text(" and "), CONDITIONS, text(")")),
    joined(text("(not "), CONDITIONS, text(")")),
    branches(CONDITIONS, CONDITIONS),
)
_RUN_TIME = {
    Type.MONEY: (int, Fraction),
    Type.NUMBER: (int, Fraction),
    Type.BOOLEAN: (bool,),
    Type.TEXT: (str,),
    Type.DATE: (int,),
}


def refusal_of(action: Callable[[], object]) -> ExpressionError | None:
    try:
        action()
    except ExpressionError as error:
        return error
    return None


@settings(max_examples=120, deadline=None)
@given(st.one_of(CONDITIONS, NUMBERS, MONEY), st.lists(ENVIRONMENTS, min_size=3, max_size=3))
@example("max(max(n, 0), no)", [{"n": 1, "no": None, "today": 1}])
def test_compiled_and_walked_agree(written: str, environments: list[dict[str, object]]) -> None:
    error = refusal_of(lambda: compile_expression(written, SCOPE, None))
    if error is not None:
        # Well typed by construction, so only the bounds and constants can be in the way.
        assert error.message.startswith(("nested", "division by zero", "an expression has at most", "this cannot"))
        return
    expression = compile_expression(written, SCOPE, None)
    for env in environments:
        today = env["today"]
        assert isinstance(today, int)
        value = expression.evaluate(env)
        assert value == walk(expression.tree, env.__getitem__, today)
        assert value is None or type(value) in _RUN_TIME[expression.type]
        assert value is not None or expression.optional


@settings(max_examples=60, deadline=None)
@given(CONDITIONS, ENVIRONMENTS)
def test_the_whole_is_the_and_of_its_conditions(written: str, env: dict[str, object]) -> None:
    try:
        expression = compile_expression(written, SCOPE, Type.BOOLEAN)
    except ExpressionError:
        return
    parts = [condition.evaluate(env) for condition in expression.conditions]
    expected = False if False in parts else None if None in parts else True
    assert expression.evaluate(env) is expected


@settings(max_examples=60, deadline=None)
@given(CONDITIONS, ENVIRONMENTS)
def test_an_expression_reads_nothing_but_its_names(written: str, env: dict[str, object]) -> None:
    try:
        expression = compile_expression(written, SCOPE, Type.BOOLEAN)
    except ExpressionError:
        return
    needed = {name: env[name] for name in expression.reads}
    if expression.uses_today:
        needed["today"] = env["today"]
    assert expression.evaluate(needed) == expression.evaluate(env)
    named = {name for name in referenced_names(written) if not name.startswith("today")}
    # A folded constant may drop a name's twin, never add one.
    assert set(expression.reads) <= named


TOKENS = st.sampled_from(
    [
        "m",
        "no",
        "t",
        "b",
        "(",
        ")",
        "[",
        "]",
        " and ",
        " or ",
        " not ",
        " in ",
        " if ",
        " else ",
        "<",
        "==",
        "+",
        "-",
        "*",
        "/",
        "**",
        ".",
        ",",
        ":",
        "=",
        ":=",
        "1",
        "0.5",
        "5万",
        "万",
        "j",
        "e9",
        "'a'",
        '"',
        "'",
        "min",
        "age",
        "lambda",
        "__class__",
        "today",
        "\n",
        "\t",
        "#",
        "\\",
        " ",
        "{",
        "}",
        "f'",
        "%",
        "@",
        "~",
        "None",
        "await ",
    ]
)


def attempt(written: str) -> None:
    for action in (
        lambda: compile_expression(written, SCOPE, None),
        lambda: compile_expression(written, SCOPE, Type.BOOLEAN),
        lambda: referenced_names(written),
    ):
        error = refusal_of(action)
        assert error is None or (error.message and 0 <= error.column <= len(written))


@settings(max_examples=400, deadline=None)
@given(st.lists(TOKENS, max_size=25).map("".join) | st.text(max_size=60))
def test_any_text_is_an_expression_or_an_expression_error(written: str) -> None:
    attempt(written)


_names = st.sampled_from(["m", "no", "b", "t", "os", "min"]).map(lambda name: ast.Name(name, ast.Load()))
_constants = st.sampled_from([1, 1.5, "a", None, True, b"x", 2j, ...]).map(ast.Constant)
_binary = st.sampled_from([ast.Add, ast.Div, ast.Pow, ast.Mod, ast.LShift, ast.MatMult, ast.BitOr])
_comparing = st.sampled_from([ast.Lt, ast.In, ast.Is, ast.NotIn, ast.Eq])


def _target() -> ast.Name:
    return ast.Name("x", ast.Store())


def _extend(node: st.SearchStrategy[ast.expr]) -> st.SearchStrategy[ast.expr]:
    generator = node.map(lambda n: ast.comprehension(_target(), n, [], 0))
    return st.one_of(
        st.builds(lambda a, o, c: ast.BinOp(a, o(), c), node, _binary, node),
        st.builds(lambda a, o, c: ast.Compare(a, [o()], [c]), node, _comparing, node),
        st.builds(lambda a, c: ast.BoolOp(ast.And(), [a, c]), node, node),
        st.builds(lambda a: ast.UnaryOp(ast.Invert(), a), node),
        st.builds(lambda a: ast.Attribute(a, "real", ast.Load()), node),
        st.builds(lambda a, c: ast.Subscript(a, c, ast.Load()), node, node),
        st.builds(lambda a, c: ast.Call(a, [c], []), node, node),
        st.builds(lambda a: ast.NamedExpr(_target(), a), node),
        st.builds(lambda a: ast.JoinedStr([ast.FormattedValue(a, -1)]), _names),
        st.builds(lambda a: ast.Lambda(ast.arguments([], [], None, [], [], None, []), a), node),
        st.builds(lambda a, g: ast.ListComp(a, [g]), node, generator),
        st.builds(lambda a, g: ast.GeneratorExp(a, [g]), node, generator),
        st.builds(lambda a, c: ast.Dict([a], [c]), node, node),
        st.builds(ast.IfExp, node, node, node),
        st.builds(lambda a, c: ast.List([a, c], ast.Load()), node, node),
        st.builds(lambda a: ast.Starred(a, ast.Load()), node),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(_names | _constants, _extend, max_leaves=8))
def test_any_python_expression_is_one_of_the_language_or_an_expression_error(tree: ast.expr) -> None:
    attempt(ast.unparse(ast.fix_missing_locations(tree)))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["({})", "not {}", "-{}", "[{}]", "{} and bo", "bo or {}", "{} if b else bo", "bo < {}"]))
def test_any_depth_and_length_is_an_expression_or_an_expression_error(wrap: str) -> None:
    for times in (10, 30, 45, 90, 250, 600):
        written = "bo"
        for _ in range(times):
            written = wrap.format(written)
        attempt(written)
    attempt(" and ".join(["bo"] * 280))
    attempt(" < ".join(["no"] * 300))
