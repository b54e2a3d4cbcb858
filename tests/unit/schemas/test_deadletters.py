"""Dead letters: whole where they may be, bounded whatever came, quoting no attribute of a person."""

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.deadletters import (
    MAX_KEY_BYTES,
    MAX_PAYLOAD_BYTES,
    BadRecord,
    DeadLetter,
    DeadLetterSource,
    bury,
    decode_dead_letter,
    encode_dead_letter,
)
from schemas.decode import Decoder

SOURCE = DeadLetterSource(topic="bank.transactions", partition=1, offset=2, timestamp=3)
AT = "2026-03-04T10:00:00+08:00"
BROKER_LIMIT = 1_000_000


def buried(value: bytes | None, key: bytes | None = b"k") -> DeadLetter:
    return bury(BadRecord("bad_value", "f", "e", "g"), SOURCE, key, value, AT)


def on_wire(letter: DeadLetter) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(encode_dead_letter(letter))
    return members


def test_the_envelope_has_the_fields_of_the_contract_in_its_order() -> None:
    assert on_wire(buried(b"{}")) == {
        "source": {"topic": "bank.transactions", "partition": 1, "offset": 2, "timestamp": 3},
        "reason": "bad_value",
        "field": "f",
        "expected": "e",
        "got": "g",
        "key": "k",
        "payload": "{}",
        "at": AT,
    }


def test_null_key_and_value_stay_null() -> None:
    letter = buried(None, None)
    assert (letter.key, letter.payload) == (None, None)


def test_what_is_not_utf8_is_base64() -> None:
    members = on_wire(buried(b"\xff\x00", b"\xfe"))
    assert (base64.b64decode(members["payload"]), members["payload_encoding"]) == (b"\xff\x00", "base64")
    assert (base64.b64decode(members["key"]), members["key_encoding"]) == (b"\xfe", "base64")
    assert "payload_size" not in members


def test_a_payload_at_the_limit_is_whole_and_one_above_is_cut_with_size_and_digest() -> None:
    whole = on_wire(buried(b"x" * MAX_PAYLOAD_BYTES))
    assert len(whole["payload"]) == MAX_PAYLOAD_BYTES
    assert "payload_size" not in whole
    value = b"x" * MAX_PAYLOAD_BYTES + b"y"
    cut = on_wire(buried(value))
    assert cut["payload"] == "x" * MAX_PAYLOAD_BYTES
    assert cut["payload_size"] == len(value)
    assert cut["payload_sha256"] == hashlib.sha256(value).hexdigest()


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_a_cut_within_a_character_leaves_text(shift: int) -> None:
    letter = buried(b"x" * shift + "\U0001f600".encode() * MAX_PAYLOAD_BYTES)
    assert letter.payload is not None
    assert letter.payload.strip("x\U0001f600") == ""
    assert MAX_PAYLOAD_BYTES - 4 < len(letter.payload.encode()) <= MAX_PAYLOAD_BYTES


@pytest.mark.parametrize("unit", [b"\x00", b'"', b"\\", b"\xff", "中".encode(), b"\n", b"\x7f", b"a"])
@pytest.mark.parametrize("size", [MAX_PAYLOAD_BYTES, 10_000_000])
def test_it_fits_a_broker_whatever_came(unit: bytes, size: int) -> None:
    value = unit * (size // len(unit))
    encoded = encode_dead_letter(buried(value, value))
    assert len(encoded) < 700_000 < BROKER_LIMIT
    letter = decode_dead_letter(encoded)
    assert letter.key_size == len(value)
    if len(value) <= MAX_PAYLOAD_BYTES:
        assert restored(letter.payload, letter.payload_encoding == "base64") == value


def restored(text: str | None, is_base64: bool) -> bytes:
    assert text is not None
    return base64.b64decode(text) if is_base64 else text.encode()


@given(st.binary(max_size=200), st.binary(max_size=MAX_KEY_BYTES))
def test_payload_and_key_can_be_given_back_whole(value: bytes, key: bytes) -> None:
    letter = decode_dead_letter(encode_dead_letter(buried(value, key)))
    assert restored(letter.payload, letter.payload_encoding == "base64") == value
    assert restored(letter.key, letter.key_encoding == "base64") == key


def test_got_is_cut_at_64_characters() -> None:
    assert len(BadRecord("bad_value", None, "e", "x" * 65).got) == 64
    assert BadRecord("bad_value", None, "e", "x" * 64).got == "x" * 64


SECRET = "Zebrafish-1234567"


@pytest.mark.parametrize(
    ("attributes", "field", "got"),
    [
        ({"birth_date": SECRET}, "birth_date", "a string of 17 characters"),
        ({"household_income": 98765}, "household_income", "a number"),
        ({"default_history": 98765}, "default_history", "a number"),
        ({"credit_score": True}, "credit_score", "a boolean"),
        ({"gender": SECRET}, "gender", "a string of 17 characters"),
        ({"occupation": [SECRET]}, "occupation", "a list of 1"),
        ({"labels": [SECRET * 9]}, "labels[0]", "a string of 153 characters"),
        ({"cards": [{"card_id": "c", "kind": SECRET}]}, "cards[0].kind", "a string of 17 characters"),
        ({"cards": [{"kind": "debit"}]}, "cards[0].card_id", "nothing"),
        ({"consent": {"push": SECRET}}, "consent.push", "a string of 17 characters"),
        ({"holdings": {"x": SECRET}}, "holdings", "an object of 1 fields"),
    ],
)
def test_attributes_of_a_person_are_named_and_never_quoted(
    attributes: dict[str, Any], field: str, got: str
) -> None:
    common = {"event_id": "e", "customer_id": "C1", "occurred_at": "2026-03-04T10:00:00Z"}
    with pytest.raises(BadRecord) as caught:
        Decoder({}).decode("bank.profiles", 0, 0, json.dumps({**common, **attributes}).encode())
    assert (caught.value.field, caught.value.got) == (field, got)
    for secret in (SECRET, "98765"):
        assert secret not in str(caught.value)


def test_the_common_fields_of_a_profile_are_quoted_as_elsewhere() -> None:
    value = json.dumps({"event_id": "e", "customer_id": "C 1", "occurred_at": "2026-03-04T10:00:00Z"}).encode()
    with pytest.raises(BadRecord) as caught:
        Decoder({}).decode("bank.profiles", 0, 0, value)
    assert caught.value.got == '"C 1"'
