"""Records one a line: `{"topic": "bank.transactions", "value": {…}}`.

`value` is sent byte for byte as it stands in the file when it is an object; a string is sent as the text it holds,
so that broken input can be written down too; null is a null value. Beside them may stand `key` (a string;
otherwise the value's `customer_id`), `headers` (an object of strings), `timestamp` (epoch milliseconds) and
`encoding: "base64"` (the value is a string of base64). Empty lines are skipped.
"""

import binascii
import sys
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import msgspec

from streams.sources.record import SourceError, SourceRecord

_Timestamp = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what Kafka's format holds


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    topic: str | None = None
    key: str | None = None
    headers: dict[str, str] = {}
    timestamp: _Timestamp | None = None
    encoding: Literal["base64"] | None = None
    value: msgspec.Raw


class _Keyed(msgspec.Struct):
    customer_id: str


_LINES = msgspec.json.Decoder(_Line)
_KEYED = msgspec.json.Decoder(_Keyed)
_ENCODER = msgspec.json.Encoder()


def read_jsonl(
    source: Path | BinaryIO,
    *,
    topic: str | None = None,
    keep_going: bool = False,
    notes: Counter[str] | None = None,
) -> Iterator[SourceRecord]:
    """Read records in file order, one line at a time.

    Args:
        source: a file, `-` for standard input, or an open binary file.
        topic: where lines without a `topic` go.
        keep_going: count a line that is no such record as `broken lines`, and go on.

    Raises:
        SourceError: the file cannot be read, or a line is no such record; the message names the line.
    """
    if isinstance(source, Path):
        if str(source) == "-":
            if sys.stdin is None:  # Python's word for a standard input that was closed at start
                raise SourceError("-: cannot be read as JSON lines: standard input is closed")
            yield from read_jsonl(sys.stdin.buffer, topic=topic, keep_going=keep_going, notes=notes)
            return
        try:
            with source.open("rb") as file:
                yield from read_jsonl(file, topic=topic, keep_going=keep_going, notes=notes)
        except OSError as error:
            raise SourceError(f"{source}: cannot be read as JSON lines: {error.strerror}") from error
        return
    notes = Counter() if notes is None else notes
    for number, line in enumerate(source, start=1):
        if not line.strip():
            continue
        try:
            yield parse_line(line, topic)
        except ValueError as error:
            if not keep_going:
                where = getattr(source, "name", "input")
                raise SourceError(
                    f'{where}, line {number}: expected {{"topic": "…", "value": {{…}}}}: {error}'
                ) from error
            notes["broken lines"] += 1


def topics_of(source: Path, topic: str | None = None) -> frozenset[str] | None:
    """The topics that a file's good lines name; None for standard input, which can be read only once."""
    if str(source) == "-":
        return None
    return frozenset(record.topic for record in read_jsonl(source, topic=topic, keep_going=True))


def parse_line(line: bytes, topic: str | None = None) -> SourceRecord:
    """Read one line.

    Raises:
        ValueError: it is no such record.
    """
    try:
        read = _LINES.decode(line)
    except RecursionError as error:
        raise ValueError("a value nested too deeply; write it as a string to send it") from error
    to = read.topic or topic
    if to is None:
        raise ValueError("no topic is named")
    value = _value(bytes(read.value), read.encoding)
    key = read.key.encode() if read.key is not None else customer_key(value)
    headers = tuple((name, text.encode()) for name, text in read.headers.items())
    return SourceRecord(to, key, value, headers, read.timestamp)


def format_line(record: SourceRecord) -> bytes:
    """Write a record as a line that `parse_line` reads back as the same record."""
    value, encoding = _raw(record.value)
    key = None if record.key == customer_key(record.value) else record.key
    line = _Line(
        topic=record.topic,
        key=None if key is None else key.decode(),
        headers={name: text.decode() for name, text in record.headers},
        timestamp=record.timestamp_ms,
        encoding=encoding,
        value=msgspec.Raw(value),
    )
    return _ENCODER.encode(line) + b"\n"


def customer_key(value: bytes | None) -> bytes | None:
    """The `customer_id` that a value names, None when it names none."""
    try:
        return _KEYED.decode(value).customer_id.encode() if value else None
    except (ValueError, RecursionError):
        return None


def _value(raw: bytes, encoding: str | None) -> bytes | None:
    if encoding == "base64":
        try:
            return b64decode(msgspec.json.decode(raw, type=str), validate=True)
        except binascii.Error as error:
            raise ValueError(f"a value of base64: {error}") from error
    if raw == b"null":
        return None
    return msgspec.json.decode(raw, type=str).encode() if raw[:1] == b'"' else raw


def _raw(value: bytes | None) -> tuple[bytes, Literal["base64"] | None]:
    """A value as JSON in a line: itself where it is a one-line object, else text, else base64."""
    if value is None:
        return b"null", None
    if value[:1] == b"{" and value[-1:] == b"}" and b"\n" not in value and b"\r" not in value:
        try:
            msgspec.json.decode(value)
        except (ValueError, RecursionError):
            pass
        else:
            return value, None
    try:
        return _ENCODER.encode(value.decode()), None
    except UnicodeDecodeError:
        return _ENCODER.encode(b64encode(value).decode()), "base64"
