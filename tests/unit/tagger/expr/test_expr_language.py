"""What expressions come to, one line a case, and what the compiled form looks like."""

import inspect
from decimal import Decimal
from fractions import Fraction
from itertools import product

import pytest

from schemas.bankday import BankCalendar, epoch_ms
from schemas.journal import Source, Transaction
from tagger.expr.compile import compile_expression
from tagger.expr.explain import explain, walk
from tagger.expr.fields import RecordCalendar, record_scope
from tagger.expr.parse import referenced_names
from tagger.expr.scope import Name, Scope, Type

TODAY = 739_677  # 2026-03-02, a Monday


def name(kind: Type, dotted: str, *, optional: bool = True, item: Type | None = None) -> Name:
    return Name(kind, optional, f'env["{dotted}"]', item)


NAMES = {
    "assets": name(Type.MONEY, "assets", optional=False),
    "income": name(Type.MONEY, "income"),
    "count": name(Type.NUMBER, "count", optional=False),
    "views.count": name(Type.NUMBER, "views.count"),
    "share": name(Type.NUMBER, "share"),
    "word": name(Type.TEXT, "word"),
    "labels": name(Type.LIST, "labels", optional=False, item=Type.TEXT),
    "born": name(Type.DATE, "born"),
    "open": name(Type.BOOLEAN, "open", optional=False),
    "p": name(Type.BOOLEAN, "p"),
    "q": name(Type.BOOLEAN, "q"),
}
SETTINGS = {"large": Decimal(50000), "kept": Decimal("0.2"), "cuts": {"mid": Decimal(50000)}}
SCOPE = Scope(NAMES, SETTINGS, today='env["today"]')
ENV = {
    "assets": 5_000_000, "income": None, "count": 3, "views.count": None, "share": Fraction(1, 5), "word": "b",
    "labels": ("etc", "vip"), "born": TODAY - 1, "open": True, "p": None, "q": None, "today": TODAY,
}  # fmt: skip


def value_of(text: str, **changed: object) -> object:
    return compile_expression(text, SCOPE, None).evaluate({**ENV, **changed})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # money is fen, and a literal or setting beside it is yuan
        ("assets", 5_000_000),
        ("assets >= 50000", True),
        ("assets > 5万", False),
        ("50000.01 > assets", True),
        ("assets == large", True),
        ("assets >= cuts.mid", True),
        ("49999 < assets <= 50000", True),
        ("assets in [50000, 60000]", True),
        ("assets + 0.01", 5_000_001),
        ("assets - 50000", 0),
        ("assets * 0.95 >= 47500", True),
        ("0.5 * assets", 2_500_000),
        ("assets / 3", Fraction(5_000_000, 3)),
        ("assets / assets", 1),
        ("100000 / assets", 2),
        ("-assets", -5_000_000),
        ("min(assets, 100)", 10_000),
        ("max(assets, income)", None),
        ("coalesce(income, 12)", 1200),
        ("(1 if open else 2) < assets", True),
        ("assets > -1", True),
        # numbers are exact
        ("0.1 + 0.2 == 0.3", True),
        ("share == kept", True),
        ("share < 0.2", False),
        ("1 / 3 * 3 == 1", True),
        ("count / 4", Fraction(3, 4)),
        ("count / 2 * 2", 3),
        ("2 * 3万", 60000),
        ("1_000 + 1", 1001),
        ("count in [1, 2, 3]", True),
        ("count not in [1, 2, 3]", False),
        # nothing is known of what is divided by nothing, or unknown
        ("1 / (count - 3)", None),
        ("1 / (count - 3) > 2", None),
        ("views.count + 1", None),
        ("views.count >= 3", None),
        ("views.count >= 3 and count == 4", False),
        ("views.count >= 3 and count == 3", None),
        ("views.count >= 3 or count == 3", True),
        ("not views.count >= 3", None),
        ("1 < views.count < 3", None),
        ("4 < count < views.count", False),
        ("1 < count < views.count", None),
        ("1 if views.count > 2 else 2", None),
        ("views.count if open else 2", None),
        ("2 if open else views.count", 2),
        ("income * 2", None),
        # texts, lists, dates
        ('word == "b"', True),
        ("word != 'b'", False),
        ('word in ["a", "b"]', True),
        ('"vip" in labels', True),
        ('"mop" not in labels', True),
        ('born < "2026-03-02"', True),
        ('born in ["2026-03-01"]', True),
        ("today - born", 1),
        ("today.day", 2),
        ("today.month", 3),
        ("today.weekday", 1),
        ("open == True", True),
        ("not open", False),
        ("open and\n  count == 3", True),
    ],
)  # fmt: skip
def test_value(text: str, expected: object) -> None:
    value = value_of(text)
    assert value == expected
    assert type(value) is not float
    assert walk(compile_expression(text, SCOPE, None).tree, ENV.__getitem__, TODAY) == expected


# Kleene's tables, worked by hand: rows p, columns q, each False, unknown, True.
AND = {
    (False, False): False, (False, None): False, (False, True): False,
    (None, False): False, (None, None): None, (None, True): None,
    (True, False): False, (True, None): None, (True, True): True,
}  # fmt: skip
OR = {
    (False, False): False, (False, None): None, (False, True): True,
    (None, False): None, (None, None): None, (None, True): True,
    (True, False): True, (True, None): True, (True, True): True,
}  # fmt: skip


@pytest.mark.parametrize(("p", "q"), list(product([False, None, True], repeat=2)))
def test_three_valued_logic(p: bool | None, q: bool | None) -> None:
    assert value_of("p and q", p=p, q=q) is AND[p, q]
    assert value_of("p or q", p=p, q=q) is OR[p, q]
    assert value_of("not p", p=p) is {False: True, None: None, True: False}[p]


@pytest.mark.parametrize(("p", "q"), list(product([False, True], [False, None, True])))
def test_three_valued_logic_where_one_side_is_always_known(p: bool, q: bool | None) -> None:
    assert value_of("open and q", open=p, q=q) is AND[p, q]
    assert value_of("q and open", open=p, q=q) is AND[q, p]
    assert value_of("open or q", open=p, q=q) is OR[p, q]
    assert value_of("q or open", open=p, q=q) is OR[q, p]


def test_what_cannot_be_unknown_is_plain_python() -> None:
    expression = compile_expression("assets >= large and count < 3 and not open", SCOPE, Type.BOOLEAN)
    assert not expression.optional
    assert expression.code == (
        "def evaluate(env):\n"
        '    return ((env["assets"] >= 5000000) and (env["count"] < 3) and (not env["open"]))\n'
    )


def test_the_source_can_be_inspected() -> None:
    expression = compile_expression("assets >= large", SCOPE, Type.BOOLEAN)
    assert inspect.getsource(expression.evaluate) == expression.code


def test_reads_are_in_order_of_first_use_and_settings_are_none() -> None:
    text = "share < kept and (count if views.count > 1 else count) > 2 and min(share, 1) > age(born)"
    expression = compile_expression(text, SCOPE, Type.BOOLEAN)
    assert expression.reads == ("share", "count", "views.count", "born")
    assert expression.uses_today
    assert not compile_expression("share < kept", SCOPE, None).uses_today
    assert referenced_names(text) == ("share", "kept", "count", "views.count", "born")


def test_conditions_are_the_and_parts_with_settings_as_numbers() -> None:
    text = 'share < kept and assets >= cuts.mid and word == "kept" and (open or p) and count > count'
    expression = compile_expression(text, SCOPE, Type.BOOLEAN)
    assert [(part.text, part.threshold) for part in expression.conditions] == [
        ("share < 0.2", "0.2"),
        ("assets >= 50000", "50000"),
        ('word == "kept"', "kept"),
        ("open or p", None),
        ("count > count", None),
    ]
    assert [part.evaluate(ENV) for part in expression.conditions] == [False, True, False, True, False]
    assert expression.conditions[0].reads == ("share",)
    assert compile_expression("count", SCOPE, None).conditions == ()


def test_explanation_names_every_part_with_its_value() -> None:
    tree = compile_expression("views.count >= 3 or count == 3", SCOPE, None).tree
    said = explain(tree, ENV.__getitem__)
    assert (said.text, said.value) == ("views.count >= 3 or count == 3", True)
    assert [(part.text, part.value) for part in said.parts] == [("views.count >= 3", None), ("count == 3", True)]
    assert [(leaf.text, leaf.value) for leaf in said.parts[1].parts] == [("count", 3), ("3", 3)]


def test_expected_money_makes_a_literal_yuan() -> None:
    assert compile_expression("500", SCOPE, Type.MONEY).evaluate(ENV) == 50_000
    assert compile_expression("500", SCOPE, Type.NUMBER).evaluate(ENV) == 500


def test_record_fields_over_the_journal_struct_in_bank_time() -> None:
    calendar = BankCalendar("Asia/Shanghai")
    late_evening = epoch_ms(calendar.local(0).replace(year=2026, month=3, day=1, hour=23, minute=30))
    record = Transaction(
        customer_id="C1", source=Source("t", 0, 0), event_id="e", event_hash=1, occurred_ms=late_evening,
        account_id="A", direction="credit", amount_fen=5_000_000, product_family="fund",
    )  # fmt: skip
    text = (
        'amount >= large and direction == "credit" and not own_transfer and product_family == "fund"'
        " and hour == 23 and day == 1 and month == 3 and weekday == 7"
    )
    where = compile_expression(text, record_scope("transactions", SETTINGS), Type.BOOLEAN)
    assert where.evaluate(record, RecordCalendar(calendar)) is True
    channel = compile_expression('channel == "app"', record_scope("transactions", {}), Type.BOOLEAN)
    assert channel.evaluate(record, None) is None
