"""What each odd text means or why it is refused, by table; and conversion worked by hand."""

import json
from decimal import Decimal
from typing import Any

import pytest

from schemas import journal, scalars
from schemas.deadletters import BadRecord
from schemas.decode import Decoder
from schemas.journal import Source

DECODER = Decoder({"USD": Decimal("7.1"), "JPY": Decimal("0.047"), "XAU": Decimal("9000000")})
BASE: dict[str, Any] = {
    "event_id": "t-1",
    "customer_id": "C1",
    "occurred_at": "2026-03-04T10:00:17+08:00",
    "account_id": "A-1",
    "direction": "credit",
    "amount": "60000.00",
}


def transaction(**changes: Any) -> journal.Transaction:
    event = DECODER.decode("bank.transactions", 3, 9, json.dumps({**BASE, **changes}).encode()).event
    assert isinstance(event, journal.Transaction)
    return event


def refused(value: bytes | None, topic: str = "bank.transactions") -> BadRecord:
    with pytest.raises(BadRecord) as caught:
        DECODER.decode(topic, 3, 9, value)
    return caught.value


def test_a_transaction_becomes_its_journal_record() -> None:
    event = transaction(balance_after="-61000.5", kind="salary", matures_on="2026-03-05", own_transfer=True)
    assert event == journal.Transaction(
        customer_id="C1",
        source=Source("bank.transactions", 3, 9),
        event_id="t-1",
        event_hash=journal.hash_event("bank.transactions", "t-1"),
        occurred_ms=1_772_589_617_000,
        account_id="A-1",
        direction="credit",
        amount_fen=6_000_000,
        balance_after_fen=-6_100_050,
        kind="salary",
        matures_day=739_680,
        own_transfer=True,
    )


def test_a_profile_becomes_its_journal_record() -> None:
    value = {
        "event_id": "p-1",
        "customer_id": "C1",
        "occurred_at": "1970-01-01T08:00:00+08:00",
        "birth_date": "1900-01-01",
        "children_birth_dates": ["2020-02-29"],
        "household_income": "120000",
        "credit_score": 0,
        "default_history": False,
        "cards": [{"card_id": "c", "kind": "credit", "expires_on": "2027-01-01"}],
        "holdings": [{"product_id": "p", "amount": "1.5", "matures_on": "2026-03-05"}],
        "consent": {"push": True},
        "expected_risk": "-2.00",
    }
    event = DECODER.decode("bank.profiles", 0, 1, json.dumps(value).encode()).event
    assert isinstance(event, journal.Profile)
    assert event.occurred_ms == 0
    assert event.attributes == journal.Attributes(
        birth_date=693_596,
        children_birth_dates=(737_484,),
        household_income_fen=12_000_000,
        credit_score=0,
        default_history=False,
        cards=(journal.Card(card_id="c", kind="credit", expires_day=739_982),),
        holdings=(journal.Holding(product_id="p", amount_fen=150, matures_day=739_680),),
        consent=journal.Consent(push=True),
        expected_risk_fen=-200,
    )


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("5", 500),
        ("05", 500),
        ("00.10", 10),
        ("0.01", 1),
        ("5.5", 550),
        ("100000000000", 10**13),
        ("100000000000.00", 10**13),
        ("00000000000000005.00", 500),
    ],
)
def test_amounts_accepted(text: str, fen: int) -> None:
    assert transaction(amount=text).amount_fen == fen


@pytest.mark.parametrize(
    "text",
    ["", " 5", "5 ", "5\n", "+5", "-5", "5.", ".5", "5.001", "1e3", "1_0", "1,000.00", "0", "0.00", "٥", "٥.00",
     "NaN", "Infinity", "100000000000.01", "1" * 18, "0x10", "5.0.0", "..00", "1.２0"],
)  # fmt: skip
def test_amounts_refused(text: str) -> None:
    error = refused(json.dumps({**BASE, "amount": text}).encode())
    assert (error.reason, error.field, error.got) == ("bad_value", "amount", json.dumps(text, ensure_ascii=False))


@pytest.mark.parametrize(
    ("value", "got"), [(5, "5"), (5.5, "5.5"), (None, "null"), (True, "true"), (["5"], "a list of 1")]
)
def test_an_amount_that_is_no_string_is_refused(value: Any, got: str) -> None:
    error = refused(json.dumps({**BASE, "amount": value}).encode())
    assert (error.reason, error.field, error.expected, error.got) == ("wrong_type", "amount", "a string", got)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-03-04T10:00:17+08:00", 1_772_589_617_000),
        ("2026-03-04T02:00:17Z", 1_772_589_617_000),
        ("2026-03-04t02:00:17.5z", 1_772_589_617_500),
        ("2026-03-04T02:00:17.123999999Z", 1_772_589_617_123),
        ("2026-03-04T02:00:17.0001Z", 1_772_589_617_000),
        ("2026-03-04T02:00:17-00:00", 1_772_589_617_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1900-01-01T00:00:00Z", -2_208_988_800_000),
        ("2199-12-31T23:59:59Z", 7_258_118_399_000),
    ],
)
def test_times_accepted(text: str, ms: int) -> None:
    assert transaction(occurred_at=text).occurred_ms == ms
    assert transaction(occurred_at=text).occurred_ms == ms  # now from the memo


@pytest.mark.parametrize(
    "text",
    ["2026-03-04T10:00:17", "2026-03-04", "2026-03-04 10:00:17Z", "2026-03-04T10:00:60Z", "2026-03-04T24:00:00Z",
     "2026-02-29T10:00:00Z", "2026-03-04T10:00:17+24:00", "2026-03-04T10:00:17+0800", "2026-03-04T10:00Z",
     "2026-03-04T10:00:17,5Z", "2026-03-04T10:00:17.Z", "2026-03-04T10:00:17.0123456789Z", "2026-W10-3T10:00:00Z",
     "1899-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+08:00",
     "9999-12-31T23:59:59-08:00", "2026-03-04T10:00:17Z\n", "1772589617", "now", "2026-03-04T10:00:1٧Z"],
)  # fmt: skip
def test_times_refused(text: str) -> None:
    transaction(occurred_at="2026-03-04T10:00:00Z")  # its minute is in the memo
    error = refused(json.dumps({**BASE, "occurred_at": text}).encode())
    assert (error.reason, error.field) == ("bad_value", "occurred_at")
    assert "RFC 3339" in error.expected


@pytest.mark.parametrize(
    ("changes", "amount_fen", "balance_fen"),
    [
        ({"currency": "USD", "amount": "100.00", "balance_after": "-0.05"}, 71_000, -36),  # -35.5 away from zero
        ({"currency": "USD", "amount": "0.05"}, 36, None),  # 35.5 up
        ({"currency": "JPY", "amount": "10"}, 47, None),
        ({"currency": "CNY", "amount": "10", "balance_after": "0"}, 1000, 0),
    ],
)
def test_other_currencies_become_fen_half_up(
    changes: dict[str, Any], amount_fen: int, balance_fen: int | None
) -> None:
    event = transaction(**changes)
    assert (event.amount_fen, event.balance_after_fen) == (amount_fen, balance_fen)
    if changes["currency"] == "CNY":
        assert (event.original_amount, event.original_balance_after) == (None, None)
    else:
        assert event.original_amount == changes["amount"]
        assert event.original_balance_after == changes.get("balance_after")


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"currency": "EUR"}, "no_rate", "currency"),
        ({"currency": "eur"}, "bad_value", "currency"),
        ({"currency": "JPY", "amount": "0.10"}, "bad_value", "amount"),  # 0.47 of a fen
        ({"currency": "XAU", "balance_after": "1000000000"}, "bad_value", "balance_after"),
        ({"currency": "XAU", "amount": "1000000000"}, "bad_value", "amount"),
    ],
)
def test_what_cannot_become_fen_is_refused(changes: dict[str, Any], reason: str, field: str) -> None:
    error = refused(json.dumps({**BASE, **changes}).encode())
    assert (error.reason, error.field) == (reason, field)


def test_rates_are_checked() -> None:
    for rate in ("0", "-1", "NaN", "Infinity"):
        with pytest.raises(ValueError, match="rate of USD"):
            Decoder({"USD": Decimal(rate)})
    with pytest.raises(ValueError, match="currency code"):
        Decoder({"usd": Decimal(1)})


@pytest.mark.parametrize(
    ("value", "reason", "got"),
    [
        (None, "no_value", "no value (null)"),
        (b"", "not_json", "an empty value"),
        (b" ", "not_json", "EOF while parsing a value at line 1 column 1"),
        (b"\xef\xbb\xbf{}", "not_json", "a byte order mark"),
        (b"\xff\xfe{\x00}\x00", "not_utf8", "byte 0xff at position 0"),
        (b'{"a":"\xed\xa0\x80"}', "not_utf8", "byte 0xed at position 6"),
        (b'{"a":"\\ud800"}', "not_json", "a lone surrogate or a broken \\u escape at line 1 column 13"),
        (b"null", "not_an_object", "null"),
        (b"[1]", "not_an_object", "a list of 1"),
        (b'"x"', "not_an_object", "a string of 1 characters"),
        (b"1", "not_an_object", "a number"),
        (b"{}x", "not_json", "trailing characters at line 1 column 3"),
        (b"{'a':1}", "not_json", "key must be a string at line 1 column 2"),
        (b"[" * 300, "not_json", "more levels at line 1 column 202"),
        (b"x" * 300_000, "too_large", "300000 bytes"),
    ],
)
def test_what_is_no_json_object_is_refused(value: bytes | None, reason: str, got: str) -> None:
    error = refused(value)
    assert (error.reason, error.field, error.got) == (reason, None, got)


def with_tail(tail: str) -> bytes:
    return (json.dumps(BASE)[:-1] + tail + "}").encode()


@pytest.mark.parametrize(
    ("tail", "reason", "field", "got"),
    [
        (', "amount": "60000.00"', "duplicate_field", "amount", "it 2 times"),
        (', "amo\\u0075nt": "1"', "duplicate_field", "amount", "it 2 times"),
        (', "x": {"y": 1, "y": 1}', "duplicate_field", "y", "it 2 times"),
        (', "x": NaN', "not_json", None, "NaN"),
        (', "x": -Infinity', "not_json", None, "-Infinity"),
        (', "x": 1e999', "not_json", None, "1e999"),
        (', "x": ' + "9" * 5000, "not_json", None, "a number of more than 4300 digits at line 1 column 4458"),
        (', "schema_version": 0', "bad_value", "schema_version", "0"),
        (', "schema_version": 1.0', "wrong_type", "schema_version", "1.0"),
        (', "schema_version": true', "wrong_type", "schema_version", "true"),
        (', "schema_version": ' + "9" * 4000, "bad_value", "schema_version", "a huge number"),
        (', "own_transfer": 1', "wrong_type", "own_transfer", "1"),
        (', "own_transfer": "true"', "wrong_type", "own_transfer", '"true"'),
        (', "own_transfer": null', "wrong_type", "own_transfer", "null"),
        (', "kind": "Salary"', "bad_value", "kind", '"Salary"'),
        (', "account_type": "savings"', "bad_value", "account_type", '"savings"'),
        (', "matures_on": "2026-3-4"', "bad_value", "matures_on", '"2026-3-4"'),
        (', "matures_on": "9999-12-31"', "bad_value", "matures_on", '"9999-12-31"'),
    ],
)
def test_what_breaks_a_field_is_refused(tail: str, reason: str, field: str | None, got: str) -> None:
    error = refused(with_tail(tail))
    assert (error.reason, error.field, error.got) == (reason, field, got)


@pytest.mark.parametrize(
    ("text", "is_good"),
    [("C1", True), ("a.b:c_d-e", True), ("x" * 64, True), ("", False), ("x" * 65, False), ("C1\n", False),
     ("C 1", False), ("客户", False), ("C１", False), ("C1\u0000", False)],
)  # fmt: skip
def test_customer_ids(text: str, is_good: bool) -> None:
    value = json.dumps({**BASE, "customer_id": text}).encode()
    if is_good:
        assert DECODER.decode("bank.transactions", 0, 0, value).event.customer_id == text
    else:
        assert refused(value).field == "customer_id"


def test_unknown_fields_are_kept_out_and_counted_nested_ones_too() -> None:
    assert DECODER.decode("bank.transactions", 0, 0, with_tail(', "x": 1, "y": {"a": 1}')).unknown_fields == 2
    value = {"event_id": "p", "customer_id": "C", "occurred_at": "2026-03-04T10:00:17Z", "z": 1}
    nested = {
        "cards": [
            {"card_id": "c", "kind": "debit", "pan": "1"},
            {"card_id": "c", "kind": "debit", "pin": 1, "q": 1},
        ],
        "holdings": [{"product_id": "p", "x": 1}],
        "consent": {"sms": True},
    }
    decoded = DECODER.decode("bank.profiles", 0, 0, json.dumps({**value, **nested}).encode())
    assert decoded.unknown_fields == 6
    assert b"pan" not in journal.encode_record(decoded.event)


def test_a_null_is_as_missing_where_a_field_is_optional() -> None:
    absent = transaction()
    assert transaction(balance_after=None, channel=None, product_id=None, matures_on=None) == absent


def test_maker_and_checker_must_differ() -> None:
    value = {
        "event_id": "a", "customer_id": "C", "occurred_at": "2026-03-04T10:00:17Z",
        "subject": "risk_class", "grade": "A", "maker": "m", "checker": "m", "decision": "approve",
    }  # fmt: skip
    error = refused(json.dumps(value).encode(), "bank.approvals")
    assert (error.reason, error.field) == ("bad_value", "checker")
    approval = DECODER.decode("bank.approvals", 0, 0, json.dumps({**value, "checker": "c"}).encode()).event
    assert isinstance(approval, journal.Approval)
    assert (approval.subject, approval.grade, approval.decision) == ("risk_class", "A", "approve")


def test_an_app_event_and_feedback_become_their_journal_records() -> None:
    common = {"event_id": "a", "customer_id": "C", "occurred_at": "2026-03-04T02:00:17Z"}
    event = DECODER.decode(
        "bank.app-events", 0, 0, json.dumps({**common, "action": "view", "dwell_ms": 0}).encode()
    ).event
    assert isinstance(event, journal.AppEvent)
    assert (event.action, event.channel, event.dwell_ms, event.category) == ("view", "app", 0, None)
    feedback = DECODER.decode(
        "push.feedback", 0, 0, json.dumps({**common, "tag_id": "r.1", "outcome": "clicked"}).encode()
    ).event
    assert isinstance(feedback, journal.Feedback)
    assert (feedback.tag_id, feedback.outcome) == ("r.1", "clicked")


def test_the_memo_of_minutes_is_bounded_and_changes_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scalars, "_MAX_MINUTES", 3)
    scalars._MINUTE_MS.clear()
    for _ in range(2):
        for minute in range(10):
            expected = 1_772_589_600_000 + minute * 60_000 + 59_000
            assert scalars.parse_instant(f"2026-03-04T10:{minute:02d}:59+08:00") == expected
            assert len(scalars._MINUTE_MS) <= 3
