"""What is refused, where the error points, and what it says would have been right."""

import os
from decimal import Decimal

import pytest

from tagger.expr.compile import compile_expression
from tagger.expr.errors import ExpressionError
from tagger.expr.fields import record_scope
from tagger.expr.parse import MAX_LENGTH
from tagger.expr.scope import Name, Scope, Type

SCOPE = Scope(
    {
        "assets": Name(Type.MONEY, False, "env.assets"),
        "bought": Name(Type.NUMBER, False, "env.bought"),
        "views.count": Name(Type.NUMBER, True, "env.views"),
        "word": Name(Type.TEXT, True, "env.word"),
        "gender": Name(Type.TEXT, True, "env.gender", words=("f", "m", "x")),
        "labels": Name(Type.LIST, False, "env.labels", item=Type.TEXT),
        "born": Name(Type.DATE, True, "env.born"),
    },
    {"large": Decimal(5), "cuts": {"mid": Decimal(5)}},
    today="env.today",
)


def refusal(text: str, expected: Type | None = None) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, SCOPE, expected)
    return caught.value


@pytest.mark.parametrize(
    ("text", "column", "message", "nearest"),
    [
        ("bought > 1 and vews.count > 2", 15, "unknown name `vews.count`", "views.count"),
        ("asets > 1", 0, "unknown name `asets`", "assets"),
        ("bought > lagre", 9, "unknown name `lagre`", "large"),
        ("cuts.mud > bought", 0, "unknown setting `cuts.mud`", "cuts.mid"),
        ("cuts > bought", 0, "unknown setting `cuts`", "cuts.mid"),
        ("large.x > bought", 0, "unknown setting `large.x`", "large"),
        ("views > 1", 0, "`views` has parts; say which", "views.count"),
        ("today.wekday == 1", 0, "unknown part of today `today.wekday`", "today.weekday"),
        ("minn(bought, 1)", 0, "unknown function `minn`", "min"),
        ('gender == "n"', 10, '"n" is never the case', None),
        ('gender in ["f", "mm"]', 10, "'mm' is never the case", "m"),
        ("true", 0, "unknown name `true`", "True"),
    ],
)
def test_names(text: str, column: int, message: str, nearest: str | None) -> None:
    error = refusal(text)
    assert (error.column, error.message, error.nearest) == (column, message, nearest)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("asets > 0 and lrge == 2 and birht > 3", [(0, "`asets`"), (14, "`lrge`"), (28, "`birht`")]),
        ("not asets > 1 or (lagre + 1) * bougt < 2", [(4, "`asets`"), (18, "`lagre`"), (31, "`bougt`")]),
        ("asets if wrod == 1 else lagre", [(0, "`asets`"), (9, "`wrod`"), (24, "`lagre`")]),
        ("minn(asets, max(bougt, 1)) > 1", [(0, "`minn`"), (5, "`asets`"), (16, "`bougt`")]),
        ('gender in ["n", "ff"] and word', [(10, "'n'"), (10, "'ff'"), (26, "`word` is a text")]),
        ("clv(asets, lagre, dyas) > 1", [(4, "`asets`"), (11, "`lagre`"), (18, "`dyas`")]),
        ("any_age(assets, word, 3)", [(8, "`assets`"), (16, "`word`")]),
        # Of what holds a wrong part nothing more is said.
        ("asets + word > labels", [(0, "`asets`")]),
        ('today.wekday == "x" and bought', [(0, "`today.wekday`"), (24, "`bought` is a number")]),
    ],
)
def test_all_mistakes_of_an_expression_come_at_once(text: str, wrong: list[tuple[int, str]]) -> None:
    error = refusal(text, Type.BOOLEAN)
    found = sorted((one.column, one.message) for one in (error, *error.others))
    assert len(found) == len(wrong)
    assert all(message.find(part) >= 0 and at == column for (at, message), (column, part) in zip(
        found, sorted(wrong), strict=True
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("assets > bought", "sides of a comparison are money and number"),
        ("assets + bought", "money + number has no meaning"),
        ("assets * assets", "money * money has no meaning"),
        ("bought / assets", "number / money has no meaning"),
        ("born + 1", "date + number has no meaning"),
        ('word > "a"', "a text has no order"),
        ("bought and word", "`bought` is a number, not true or false"),
        ("not bought", "`bought` is a number, not true or false"),
        ("1 if bought else 2", "`bought` is a number, not true or false"),
        ("-word", "a text has no negative"),
        ("labels == labels", "lists are not compared"),
        ('bought in ["a"]', "a number is looked for among texts"),
        ("bought in labels", "a number is looked for among texts"),
        ("bought in word", "a text follows `in`"),
        ("bought in [bought]", "a list holds one or more literals or settings"),
        ("bought in []", "a list holds one or more literals or settings"),
        ('bought in [1, "a"]', "items of a list are number and text"),
        ("1 if bought > 1 else word", "outcomes are number and text"),
        ("min(bought, word)", "arguments of min are number and text"),
        ('min("a", "b")', "`min` does not take a text"),
        ("min(bought)", "`min` takes two arguments or more"),
        ("age(born, 1)", "`age` takes 1 arguments"),
        ("age(bought)", "`bought` is not a date here"),
        ("any_age(labels, 1, 2)", "`labels` is not a list here"),
        ("clv(bought, bought, 3)", "`bought` is no summary"),
        ("assets / 0", "division by zero"),
        ("1 / (2 - 2)", "division by zero"),
        ('born > "2026-02-30"', '"2026-02-30" is no date'),
        ("labels", "the whole is a list"),
    ],
)
def test_types(text: str, message: str) -> None:
    assert refusal(text).message == message


def test_a_condition_must_be_true_or_false() -> None:
    error = refusal("assets", Type.BOOLEAN)
    assert error.message == "this is a money, where a boolean is needed"
    assert error.expected == "a comparison such as assets >= 50000"


def test_where_knows_no_today() -> None:
    scope = record_scope("transactions", {})
    for text in ("today.day == 1", "days_to(matures_on) < 3"):
        with pytest.raises(ExpressionError, match="today"):
            compile_expression(text, scope, Type.BOOLEAN)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "assets.__class__", "().__class__.__bases__", "(lambda: 1)()", "lambda: bought",
        "[x for x in labels]", "{x for x in labels}", "(x for x in labels)", "{1: 2}", "{1}", "(1, 2)",
        "labels[0]",
        "(y := 1)", "f'{bought}'", "b'a' == word", "u'a' == word", "r'a' == word", "2 ** 9999999", "bought % 2",
        "bought // 2", "bought << 9999", "bought | 1", "~bought", "+bought", "bought is None", "None", "...",
        "1 if bought > 1", "min(*labels)", "min(a=1, b=2)", "bought.real.imag", "'a'.upper()", "print(1)",
        "exec('1')", "1e9 > bought", "0x10", "0b1", "1j", "5J", "1.", ".5 > bought", "9" * 30, "1 # two", "1; 2",
        "bought\\\n > 1", "'a\\x41' == word", "'a' 'b' == word", '"""a""" == word', "ｂought > 1", "bought > １",
        "bought == 1 = 2", "await bought", "yield", "not", "", "   ", "\x00", "bought > 1\x00", "🎉", "'", '"',
        "(" * 300, "-" * 500 + "1", "not " * 200 + "(bought > 1)", "[" * 100 + "]" * 100,
        "(" * 41 + "-" * 60 + "1" + ")" * 41, "bought" + " + bought" * 100,
    ],
)  # fmt: skip
def test_not_part_of_the_language(text: str) -> None:
    error = refusal(text)
    assert error.message
    assert 0 <= error.column <= len(text)


def test_length_is_bounded() -> None:
    assert "characters" in refusal("bought > 1 and " * 1000 + "bought > 1").message
    assert len("bought > 1") < MAX_LENGTH


def test_nothing_runs_while_an_expression_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(os, "system", ran.append)
    for text in ("__import__('os').system('x')", "os.system('x')", "eval('1')"):
        refusal(text)
    assert ran == []


def test_compiled_code_has_no_builtins() -> None:
    evaluate = compile_expression("bought > 1", SCOPE, None).evaluate
    assert evaluate.__globals__["__builtins__"] == {}  # type: ignore[attr-defined]
