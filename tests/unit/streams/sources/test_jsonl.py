"""Records as lines and back."""

from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.sources.jsonl import format_line, parse_line, read_jsonl, topics_of
from streams.sources.record import SourceError, SourceRecord

json_values = st.binary(max_size=40) | st.sampled_from(
    [
        b'{"customer_id":"C1","amount":1.10}',
        b'{"customer_id":7}',
        b"{}",
        b'{"a":1}\n',
        b"[1]",
        b"",
        b"\xff{}",
        b"[" * 5000,
    ]
)


@given(
    value=st.none() | json_values,
    key=st.none() | st.text(st.characters(codec="utf-8"), max_size=9).map(str.encode),
    headers=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.just(b"x")), max_size=2, unique=True).map(tuple),
    timestamp=st.none() | st.integers(0, 2**53),
)
def test_a_record_written_as_a_line_reads_back_the_same(
    value: bytes | None, key: bytes | None, headers: tuple[tuple[str, bytes], ...], timestamp: int | None
) -> None:
    record = SourceRecord("bank.transactions", key, value, headers, timestamp)
    line = format_line(record)
    assert line.count(b"\n") == 1
    read = parse_line(line)
    if key is None:  # a value that names a customer is its own key
        read = read._replace(key=None)
    assert read == record


def test_an_object_is_sent_byte_for_byte_under_its_customer() -> None:
    record = parse_line(b'{"topic": "t", "value": {"customer_id": "C1",  "amount": 1.10}}')
    assert record == SourceRecord("t", b"C1", b'{"customer_id": "C1",  "amount": 1.10}')


def test_a_string_is_sent_as_the_text_it_holds_and_null_as_null() -> None:
    assert parse_line(b'{"topic":"t","value":"{\\"cut"}').value == b'{"cut'
    assert parse_line(b'{"topic":"t","value":null}').value is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"value": {}}', "no topic is named"),
        (b'{"topic": "t"}', "missing required field `value`"),
        (b"{", "truncated"),
        (b'{"topic":"t","value":{},"vale":1}', "unknown field `vale`"),
        (b'{"topic":"t","value":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
        (b'{"topic":"t","value":"%","encoding":"base64"}', "a value of base64"),
    ],
)
def test_a_line_that_is_no_record_is_an_error_that_names_it(line: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=f"input, line 3: expected .*{message}"):
        list(read_jsonl(BytesIO(b'{"topic":"t","value":{}}\n\n' + line + b"\n")))


def test_keep_going_counts_such_a_line() -> None:
    notes: Counter[str] = Counter()
    records = list(read_jsonl(BytesIO(b'{\n{"value":{}}\n'), topic="t", keep_going=True, notes=notes))
    assert [record.topic for record in records] == ["t"]
    assert notes == {"broken lines": 1}


def test_the_topics_of_a_file_are_known_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"topic":"a","value":{}}\nbroken\n{"topic":"b","value":{}}\n')
    assert topics_of(path) == {"a", "b"}
    assert topics_of(Path("-")) is None


@pytest.mark.parametrize("timestamp", [2**63, -(2**63) - 1, 10**30])
def test_a_timestamp_that_kafka_cannot_hold_is_refused(timestamp: int) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        parse_line(b'{"topic": "t", "timestamp": %d, "value": {}}' % timestamp)
