"""Bad records: the one error of decoding, and the dead letter that is written for it (`tagger contracts export`).

A dead letter holds all that is needed to find, understand, mend and resend a record. `expected` and `got` are
for people; only `payload` and `key` hold what came, and attributes of a profile are named, never quoted.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Literal

import msgspec

Reason = Literal[
    "no_value", "too_large", "not_utf8", "not_json", "duplicate_field", "not_an_object",
    "missing_field", "wrong_type", "bad_value", "no_rate", "far_future",
]  # fmt: skip

REASONS: dict[Reason, str] = {
    "no_value": "the record has no value and is no control record",
    "too_large": "the value is larger than a record may be",
    "not_utf8": "the value is not UTF-8",
    "not_json": "the value is not JSON",
    "duplicate_field": "an object holds the same field twice",
    "not_an_object": "the value is JSON but no object",
    "missing_field": "a field without a default is missing",
    "wrong_type": "a field has another JSON type",
    "bad_value": "a field's value breaks the contract",
    "no_rate": "no rate is set for the currency",
    "far_future": "the event lies too far ahead of its source's time",
}
"""What each reason means."""

MAX_GOT_CHARACTERS = 64
MAX_PAYLOAD_BYTES = 262_144
MAX_KEY_BYTES = 1_024
# Text is written as JSON text up to this size with its escapes, as base64 beyond it (a control character takes
# six bytes, base64 four thirds of one): an envelope stays below 700 KB, a broker's limit is 1 MB.
_MAX_ESCAPED_BYTES = 524_288


class BadRecord(Exception):  # noqa: N818  a record is bad; no code of ours has failed
    """A record that breaks the contract; it becomes a dead letter and nothing else happens.

    Attributes:
        reason: one of `REASONS`.
        field: path of the field, such as `cards[0].kind`; None when it is about the whole record.
        expected, got: for people. `got` is cut at `MAX_GOT_CHARACTERS` and quotes no personal attribute.
    """

    def __init__(self, reason: Reason, field: str | None, expected: str, got: str) -> None:
        self.reason: Reason = reason
        self.field = field
        self.expected = expected
        self.got = got if len(got) <= MAX_GOT_CHARACTERS else got[: MAX_GOT_CHARACTERS - 1] + "…"
        super().__init__(f"{reason}: {field or 'record'}: expected {expected}, got {self.got}")


class DeadLetterSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a bad record lies. `offset` is -1 for a file; `timestamp` is the broker's, epoch milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A `tagging.dead-letters` value; field order is wire order.

    Attributes:
        payload: the value as text, or as base64 when `payload_encoding` says so; None when there was none.
        payload_size, payload_sha256: of the whole value, when `payload` was cut.
        key, key_encoding, key_size: likewise; a key is cut at `MAX_KEY_BYTES`.
        at: when ingest refused it, RFC 3339.
    """

    source: DeadLetterSource
    reason: Reason
    field: str | None
    expected: str
    got: str
    key: str | None
    payload: str | None
    at: str
    key_encoding: Literal["base64"] | msgspec.UnsetType = msgspec.UNSET
    key_size: int | msgspec.UnsetType = msgspec.UNSET
    payload_encoding: Literal["base64"] | msgspec.UnsetType = msgspec.UNSET
    payload_size: int | msgspec.UnsetType = msgspec.UNSET
    payload_sha256: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def message_key(self) -> str:
        """The Kafka key of this dead letter: source topic and partition."""
        return f"{self.source.topic}-{self.source.partition}"


def bury(
    error: BadRecord, source: DeadLetterSource, key: bytes | None, value: bytes | None, at: str
) -> DeadLetter:
    """Write the dead letter of a record.

    Args:
        source: where the record lies.
        key, value: as read.
        at: the time of refusal, RFC 3339.
    """
    key_text, key_encoding = _as_text(key, MAX_KEY_BYTES)
    payload, payload_encoding = _as_text(value, MAX_PAYLOAD_BYTES)
    key_is_cut = key is not None and len(key) > MAX_KEY_BYTES
    whole = value if value is not None and len(value) > MAX_PAYLOAD_BYTES else None
    return DeadLetter(
        source=source,
        reason=error.reason,
        field=error.field,
        expected=error.expected,
        got=error.got,
        key=key_text,
        payload=payload,
        at=at,
        key_encoding=key_encoding,
        key_size=len(key) if key is not None and key_is_cut else msgspec.UNSET,
        payload_encoding=payload_encoding,
        payload_size=len(whole) if whole is not None else msgspec.UNSET,
        payload_sha256=sha256(whole).hexdigest() if whole is not None else msgspec.UNSET,
    )


def _as_text(data: bytes | None, max_bytes: int) -> tuple[str | None, Literal["base64"] | msgspec.UnsetType]:
    """The first `max_bytes` as text where they are UTF-8 and escape well, else as base64."""
    if data is None:
        return None, msgspec.UNSET
    head = data[:max_bytes]
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        # A cut may fall within a character (at most four bytes): what is whole is still text.
        if len(data) <= max_bytes or error.start < max_bytes - 3 or error.reason != "unexpected end of data":
            return b64encode(head).decode("ascii"), "base64"
        text = head[: error.start].decode()
    if len(msgspec.json.encode(text)) > _MAX_ESCAPED_BYTES:
        return b64encode(head).decode("ascii"), "base64"
    return text, msgspec.UNSET


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(DeadLetter)


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """Write a dead letter as a `tagging.dead-letters` value; below 700 KB whatever the record held."""
    return _ENCODER.encode(letter)


def decode_dead_letter(value: bytes) -> DeadLetter:
    """Read a `tagging.dead-letters` value.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _DECODER.decode(value)
