"""Law: the hot path and the models accept and refuse the same records, with the same fields and reasons.

Records are generated valid and then mutated: fields dropped, doubled, misspelt, nested, retyped, moved just
beyond a bound; texts escaped; blanks added. `decode` tries the hot path first; `decode_by_model` never does.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from schemas.deadletters import REASONS, BadRecord
from schemas.decode import Decoded, Decoder
from schemas.events import INPUTS, MAX_INTEGER, MAX_VALUE_BYTES
from schemas.journal import decode_record, encode_record, hash_event

DECODER = Decoder({"USD": Decimal("7.1"), "JPY": Decimal("0.047")})


class HotOnly(Decoder):
    """Hands nothing to the models."""

    def decode_by_model(self, topic: str, partition: int, offset: int, value: bytes | None) -> Decoded:
        raise LookupError("not accepted by the hot path")


HOT = HotOnly({"USD": Decimal("7.1"), "JPY": Decimal("0.047")})

name = st.text(min_size=1, max_size=64) | st.sampled_from(
    ["a", "x" * 64, "名", "\u0000", "a\n", "\x7f", "\U0001f600"]
)
customer = st.from_regex(r"[A-Za-z0-9_.:-]{1,64}", fullmatch=True)
instant = (
    st.datetimes(timezones=st.just(None))
    .filter(lambda at: 1901 < at.year < 2199)
    .flatmap(
        lambda at: st.sampled_from(["+08:00", "Z", "-00:00", "+23:59", "z"]).map(
            lambda zone: at.isoformat() + zone
        )
    )
)
day = st.dates().filter(lambda at: 1800 <= at.year < 3000).map(str)
amount = st.integers(1, 10**13).map(lambda fen: f"{fen // 100}.{fen % 100:02d}") | st.sampled_from(
    ["5", "05", "00.10", "0.5", "100000000000", "100000000000.00", "0.01"]
)
money = amount | amount.map(lambda text: "-" + text) | st.sampled_from(["0", "-0", "0.00"])
count = st.integers(0, MAX_INTEGER)
word = st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True)


def optional(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return value | st.none()


def record(required: dict[str, Any], rest: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    common = {"event_id": name, "customer_id": customer, "occurred_at": instant}
    return st.fixed_dictionaries(
        {**common, **required}, optional={"schema_version": st.integers(1, MAX_INTEGER), **rest}
    )


card = st.fixed_dictionaries(
    {"card_id": name, "kind": st.sampled_from(["debit", "credit"])},
    optional={"grade": optional(name), "opened_on": optional(day), "expires_on": optional(day)},
)
holding = st.fixed_dictionaries(
    {"product_id": name},
    optional={"family": optional(name), "amount": optional(money), "matures_on": optional(day)},
)
VALID = {
    "bank.transactions": record(
        {"account_id": name, "direction": st.sampled_from(["credit", "debit"]), "amount": amount},
        {
            "account_type": st.sampled_from(["current", "term", "wealth", "loan"]),
            "currency": st.sampled_from(["CNY", "USD", "JPY", "EUR"]),
            "balance_after": optional(money),
            "kind": word,
            "channel": optional(name),
            "product_id": optional(name),
            "product_family": optional(name),
            "matures_on": optional(day),
            "own_transfer": st.booleans(),
        },
    ),
    "bank.app-events": record(
        {"action": st.sampled_from(["view", "favourite", "cart", "purchase", "search", "click", "login"])},
        {"category": optional(name), "product_id": optional(name), "channel": name, "dwell_ms": optional(count)},
    ),
    "bank.profiles": record(
        {},
        {
            "birth_date": optional(day),
            "gender": optional(st.sampled_from(["f", "m", "x"])),
            "children_birth_dates": st.lists(day, max_size=3),
            "occupation": optional(st.text(min_size=1, max_size=200)),
            "employment": optional(st.sampled_from(["farmer", "retired"])),
            "household_income": optional(money),
            "credit_score": optional(count),
            "default_history": optional(st.booleans()),
            "cards": st.lists(card, max_size=2),
            "holdings": st.lists(holding, max_size=2),
            "labels": st.lists(name, max_size=3),
            "consent": st.fixed_dictionaries({}, optional={"push": st.booleans(), "call": st.booleans()}),
            "expected_risk": optional(money),
        },
    ),
    "bank.approvals": record(
        {
            "subject": name,
            "grade": name,
            "maker": name,
            "checker": name,
            "decision": st.sampled_from(["approve", "reject"]),
        },
        {},
    ),
    "push.feedback": record({"tag_id": name, "outcome": st.sampled_from(["delivered", "opened"])}, {}),
}

# fmt: off
ODD_VALUES = [
    None, True, False, 0, 1, -1, 5, 1.0, -0.0, 1.5, 2**53, 2**64, 10**30, [], {}, ["a"], {"a": 1}, [None], [[]],
    [{}], [{"kind": "debit"}], ["2026-03-04"], "C 1", "C1\n", "C1\x00", "-", "x" * 64, "x" * 32,
    "a1", "1a", "A" * 64,
    "", " ", "5", " 5", "+5", "05", "5.", ".5", "1e3", "1_0", "0", "-5", "٥", "٥.00", "1.234", "100000000000.01",
    "1" * 17, "1" * 18, "1" * 18 + ".00", "NaN", "Infinity", "CNY", "cny", "EUR", "US1", "A\n",
    "a" * 33, "a" * 65, "a" * 201, "客户",
    "2026-02-30", "1799-12-31", "2999-12-31", "3000-01-01", "20260304", "2026-W10-3",
    "2026-03-04T10:00:00", "2026-03-04T10:00:00+08:00", "2026-03-04T10:00:60+08:00", "2026-03-04T24:00:00+08:00",
    "2026-03-04T10:00:00+24:00", "2026-03-04 10:00:00Z", "2026-03-04T10:00:00Z\n", "2026-03-04T10:00:00,5Z",
    "2026-03-04T10:00Z", "20260304T100000.000+08:00", "2026-W10-3T10:00:00+08:00", "2026-03-04T1٠:00:00+08:00",
    "1899-12-31T23:59:59Z", "2199-12-31T23:59:59.999Z", "2200-01-01T00:00:00Z",
]
# fmt: on
odd_value = st.sampled_from(ODD_VALUES)


def draw_mutated(draw: Any, members: dict[str, Any]) -> list[tuple[str, Any]]:
    """Members as pairs, so that a name may come twice, after up to three mutations."""
    pairs = list(members.items())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(pairs) - 1))
        field, value = pairs[at]
        match draw(st.sampled_from(["drop", "odd", "double", "rename", "nest", "unknown", "deeper"])):
            case "drop" if len(pairs) > 1:
                del pairs[at]
            case "odd":
                pairs[at] = (field, draw(odd_value))
            case "double":
                pairs.insert(draw(st.integers(0, len(pairs))), (field, draw(st.just(value) | odd_value)))
            case "rename":
                pairs[at] = (draw(st.sampled_from([field.upper(), field + " ", "", field[:-1]])), value)
            case "nest":
                pairs[at] = (field, draw(st.sampled_from([[value], {field: value}])))
            case "unknown":
                pairs.append((draw(st.sampled_from(["extra", "x", "名"])), draw(odd_value)))
            case "deeper" if isinstance(value, list) and value and isinstance(value[0], dict):
                pairs[at] = (field, [dict(draw_mutated(draw, value[0])), *value[1:]])
    return pairs


def write(draw: Any, pairs: list[tuple[str, Any]]) -> bytes:
    escape = draw(st.booleans())
    colon, comma = draw(st.sampled_from([(":", ","), (": ", ", "), (" :\n", "\t, ")]))

    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=escape, separators=(comma, colon))

    return ("{" + comma.join(text(key) + colon + text(value) for key, value in pairs) + "}").encode(
        "utf-8", "surrogatepass"
    )


@st.composite
def records(draw: Any) -> tuple[str, bytes]:
    topic = draw(st.sampled_from(sorted(VALID)))
    return topic, write(draw, draw_mutated(draw, draw(VALID[topic])))


def outcome(decode: Any, topic: str, value: bytes) -> Any:
    try:
        return decode(topic, 3, 17, value)
    except BadRecord as error:
        return error.reason, error.field, error.expected, error.got


GOOD = (
    b'{"event_id":"t","customer_id":"C","occurred_at":"2026-03-04T10:00:00Z",'
    b'"account_id":"a","direction":"credit","amount":"5"'
)


@settings(max_examples=400, deadline=None)
@given(records())
@example(("bank.transactions", GOOD + b',"amount":"5"}'))
@example(("bank.transactions", GOOD + b',"amou\\u006et":"7"}'))
@example(("bank.transactions", GOOD + b',"amount":"6", "kind":"\\""}'))
@example(("bank.transactions", GOOD + b',"z":[{"a":1,"a":1}]}'))
@example(("bank.transactions", GOOD + b',"z":1e999}'))
@example(("bank.transactions", GOOD + b',"z":-NaN}'))
@example(("bank.transactions", GOOD + b',"z":"\xff"}'))
@example(("bank.transactions", GOOD + b',"kind":null}'))
@example(("bank.transactions", GOOD + b', "channel":"\\u0022\\u0022","own_transfer":true,"own_transfer":false}'))
@example(("bank.transactions", GOOD + b',"schema_version":-0}'))
def test_both_paths_accept_and_refuse_the_same_records(case: tuple[str, bytes]) -> None:
    topic, value = case
    by_model = outcome(DECODER.decode_by_model, topic, value)
    assert outcome(DECODER.decode, topic, value) == by_model
    try:
        hot = HOT.decode(topic, 3, 17, value)
    except LookupError:
        return
    assert hot == by_model


FULL: dict[str, dict[str, Any]] = {
    "bank.transactions": {
        "account_id": "a", "direction": "debit", "amount": "5.00", "account_type": "term", "currency": "USD",
        "balance_after": "-5.00", "kind": "card", "channel": "app", "product_id": "p", "product_family": "f",
        "matures_on": "2026-03-04", "own_transfer": True,
    },
    "bank.app-events": {"action": "view", "category": "c", "product_id": "p", "channel": "app", "dwell_ms": 0},
    "bank.profiles": {
        "opened_on": "2026-03-04", "birth_date": "1990-01-01", "gender": "x", "marital_status": "m",
        "children_birth_dates": ["2020-02-29"], "occupation": "o", "industry": "i", "employment": "farmer",
        "trade": "t", "region": "r", "household_income": "1.00", "credit_score": 0, "default_history": False,
        "collateral": "0", "labels": ["l"], "owner_id": "RM1", "expected_profit": "-1", "expected_risk": "1.5",
        "cards": [{"card_id": "c", "kind": "debit", "grade": "g", "opened_on": "2026-01-01", "expires_on": None}],
        "holdings": [{"product_id": "p", "family": "f", "amount": "1.00", "matures_on": "2026-01-01"}],
        "consent": {"push": True, "call": False, "branch": False},
    },
    "bank.approvals": {"subject": "s", "grade": "g", "maker": "m", "checker": "c", "decision": "approve"},
    "push.feedback": {"tag_id": "t", "outcome": "opened"},
}  # fmt: skip
COMMON = {"event_id": "e", "customer_id": "C1", "occurred_at": "2026-03-04T10:00:00+08:00", "schema_version": 1}


def every_single_change(topic: str) -> Iterator[tuple[str, Any]]:
    """The full record of a topic with one thing wrong or odd, for every field, nested ones too."""
    full = {**COMMON, **FULL[topic]}
    yield "nothing", full
    for field, value in full.items():
        yield f"{field} dropped", {name: kept for name, kept in full.items() if name != field}
        for odd in ODD_VALUES:
            yield f"{field} is {odd!r}", {**full, field: odd}
        inner = value[0] if isinstance(value, list) else value
        for name in inner if isinstance(inner, dict) else ():
            for odd in ODD_VALUES:
                changed = {**inner, name: odd}
                yield (
                    f"{field}.{name} is {odd!r}",
                    {**full, field: [changed] if isinstance(value, list) else changed},
                )
        if isinstance(value, list) and not isinstance(inner, dict):
            for odd in ODD_VALUES:
                yield f"{field}[0] is {odd!r}", {**full, field: [odd]}


@pytest.mark.parametrize("topic", sorted(INPUTS))
def test_every_field_with_every_odd_value_is_judged_alike(topic: str) -> None:
    assert (FULL[topic].keys() | COMMON.keys()) == INPUTS[topic].model_fields.keys()
    for change, members in every_single_change(topic):
        value = json.dumps(members, ensure_ascii=False).encode()
        by_model = outcome(DECODER.decode_by_model, topic, value)
        assert outcome(DECODER.decode, topic, value) == by_model, change
        if change == "nothing":
            assert isinstance(by_model, Decoded)


_ESCAPED = str.maketrans(dict.fromkeys(['"', "\\", *map(chr, range(0x20))], "x"))


def without_escapes(value: Any) -> Any:
    """The same value with other letters for those that JSON escapes."""
    if isinstance(value, str):
        return value.translate(_ESCAPED)
    if isinstance(value, dict):
        return {key: without_escapes(one) for key, one in value.items()}
    return [without_escapes(one) for one in value] if isinstance(value, list) else value


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_valid_records_without_escapes_take_the_hot_path(data: st.DataObject) -> None:
    topic = data.draw(st.sampled_from(sorted(VALID)))
    members = without_escapes(data.draw(VALID[topic]))
    assume(members.get("currency") != "EUR" and members.get("maker", 1) != members.get("checker", 2))
    assume(not (members.get("currency") == "JPY" and float(members["amount"]) < 0.2))
    value = json.dumps(
        members, ensure_ascii=False, separators=data.draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    )
    assert "\\" not in value
    decoded = HOT.decode(topic, 3, 17, value.encode())
    event = decoded.event
    assert decoded.unknown_fields == 0
    assert (event.event_id, event.customer_id) == (members["event_id"], members["customer_id"])
    assert (event.source.topic, event.source.partition, event.source.offset) == (topic, 3, 17)
    assert event.event_hash == hash_event(topic, members["event_id"])
    assert decode_record(encode_record(event)) == event


class Counting(Decoder):
    """Counts what is handed to the models."""

    handed = 0

    def decode_by_model(self, topic: str, partition: int, offset: int, value: bytes | None) -> Decoded:
        self.handed += 1
        return super().decode_by_model(topic, partition, offset, value)


@pytest.mark.parametrize(
    ("tail", "unknown_fields", "handed"),
    [
        (b',"x":1}', 1, 1),  # seen once, passed over from then on
        (b',"x":"a", "y_2":null, "Z":true}', 3, 1),
        (b',"kind":"card"}', 0, 0),
        (b',"channel":"\\u624b\\n"}', 0, 0),
        (b',"x":1.5}', 1, 9),  # a float may be 1e999: for the models to judge, every time
        (b',"x":{"a":1}}', 1, 9),
        (b',"x":[1]}', 1, 9),
        (b',"a b":1}', 1, 9),
    ],
)
def test_unknown_fields_are_learned_and_still_counted(tail: bytes, unknown_fields: int, handed: int) -> None:
    decoder = Counting({})
    for _ in range(9):
        assert decoder.decode("bank.transactions", 3, 17, GOOD + tail).unknown_fields == unknown_fields
    assert decoder.handed == handed
    assert decoder.decode("bank.transactions", 3, 17, GOOD + b"}").unknown_fields == 0
    with pytest.raises(BadRecord, match="duplicate_field"):
        decoder.decode("bank.transactions", 3, 17, GOOD + b',"x":1,"x":2}')


def test_no_more_than_a_bounded_number_of_unknown_fields_is_learned() -> None:
    decoder = Counting({})
    for number in range(100):
        decoder.decode("bank.transactions", 3, 17, GOOD + b',"x%d":1}' % number)
    decoder.handed = 0
    for number in range(100):
        assert decoder.decode("bank.transactions", 3, 17, GOOD + b',"x%d":1}' % number).unknown_fields == 1
    assert decoder.handed == 68


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(INPUTS)), st.binary(max_size=300) | records().map(lambda case: case[1]), st.data())
def test_bytes_of_any_kind_raise_nothing_but_a_bad_record(topic: str, value: bytes, data: st.DataObject) -> None:
    if value and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(value) - 1))
        value = value[:at] + data.draw(st.binary(max_size=4)) + value[at + data.draw(st.integers(0, 3)) :]
    got = outcome(DECODER.decode, topic, value)
    assert isinstance(got, Decoded) or got[0] in REASONS
    assert got == outcome(DECODER.decode_by_model, topic, value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"[" * 100_000, "not_json"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "not_json"),
        (GOOD + b',"z":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "not_json"),
        (GOOD + b',"kind":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "not_json"),
        (b" " * 10_000_000, "too_large"),
        (b"1" * 200_000, "not_json"),
        (b"{" + b",".join(b'"%d":1' % n for n in range(20_000)) + b',"1":1}', "missing_field"),
        (GOOD + b"," + b",".join(b'"%d":1' % n for n in range(20_000)) + b',"1":1}', "duplicate_field"),
        (b'{"cards":[' + b",".join([b"1"] * 100_000) + b"]}", "missing_field"),
    ],
)
@pytest.mark.timeout(20)
def test_large_and_deep_values_are_refused_in_bounded_time(value: bytes, reason: str) -> None:
    got = outcome(DECODER.decode, "bank.transactions", value)
    assert got[0] == reason
    assert len(got[3]) <= 64


@pytest.mark.parametrize(
    ("field", "entry", "most"),
    [
        ("children_birth_dates", "2020-01-01", 50),
        ("cards", {"card_id": "c", "kind": "debit"}, 100),
        ("holdings", {"product_id": "p"}, 500),
        ("labels", "l", 200),
    ],
)
def test_lists_are_bounded_alike_on_both_paths(field: str, entry: Any, most: int) -> None:
    full, beyond = (json.dumps({**COMMON, field: [entry] * size}).encode() for size in (most, most + 1))
    assert len(getattr(HOT.decode("bank.profiles", 0, 0, full).event.attributes, field)) == most  # type: ignore[union-attr]
    assert outcome(DECODER.decode, "bank.profiles", full) == outcome(
        DECODER.decode_by_model, "bank.profiles", full
    )
    with pytest.raises(LookupError):
        HOT.decode("bank.profiles", 0, 0, beyond)
    assert outcome(DECODER.decode, "bank.profiles", beyond)[:3] == ("bad_value", field, f"at most {most} entries")


def test_a_record_at_the_size_limit_is_still_looked_into() -> None:
    value = GOOD + b',"z":"' + b"x" * (MAX_VALUE_BYTES - len(GOOD) - 8) + b'"}'
    assert len(value) == MAX_VALUE_BYTES
    assert DECODER.decode("bank.transactions", 0, 0, value).unknown_fields == 1
    with pytest.raises(BadRecord, match="too_large"):
        DECODER.decode("bank.transactions", 0, 0, value + b" ")


def test_an_unknown_topic_is_our_own_mistake_and_no_bad_record() -> None:
    with pytest.raises(KeyError):
        DECODER.decode("bank.others", 0, 0, GOOD + b"}")


def test_the_structures_of_the_hot_path_have_the_fields_of_the_models() -> None:
    from schemas import events, wire  # noqa: PLC0415

    for kind in ("Transaction", "AppEvent", "Profile", "Approval", "Feedback", "Card", "Holding", "Consent"):
        model, struct = getattr(events, kind), getattr(wire, kind)
        assert set(model.model_fields) == {field.name for field in msgspec.structs.fields(struct)}, kind
