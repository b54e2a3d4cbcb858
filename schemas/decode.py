"""Outside bytes become journal events here, and nowhere else.

The pydantic models (`schemas.events`) define the contract and decide in doubt. The hot path accepts a record
only when the models would, with the same fields, and otherwise has no opinion: whatever it does not accept
goes to the models, which accept it too or say what is wrong. `tests/laws/test_decode_parity.py` holds the two
to that.

JSON itself is taken strictly (RFC 8259 and I-JSON): UTF-8 without a byte order mark, no NaN, no number beyond
a double, no lone surrogate, no field twice in one object, at most 200 levels.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NoReturn

import msgspec
from pydantic import ValidationError

from schemas import convert, events, topics, wire
from schemas.deadletters import BadRecord
from schemas.journal import CustomerEvent, Source
from schemas.refusals import refusal

_QUOTE, _BACKSLASH = b'"\\'
_DOUBTFUL_ESCAPES = (b"\\\\", b'\\"', b"\\u0022")
# Unknown fields that the hot path learns to pass over, a topic. Learning changes cost and never results.
_MAX_LEARNED = 32
# Records looked at for that; some teach nothing (nested fields, names that need escapes).
_MAX_LESSONS = 256
_LEARNABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A journal event, and how many fields of the record the contract does not know."""

    event: CustomerEvent
    unknown_fields: int


@dataclass(frozen=True, slots=True)
class _Codec:
    """What decoding a topic takes, resolved once."""

    model: type[events.InputEvent]
    struct: type[msgspec.Struct]
    read: Callable[[bytes], Any]
    to_record: Callable[[Any, Source, convert.Hasher, convert.Rates], CustomerEvent]
    hasher: convert.Hasher
    unknown_names: tuple[str, ...] = ()
    unknown_attributes: tuple[str, ...] = ()


_KINDS: dict[str, tuple[type[msgspec.Struct], Callable[..., CustomerEvent]]] = {
    topics.TRANSACTIONS: (wire.Transaction, convert.transaction),
    topics.APP_EVENTS: (wire.AppEvent, convert.app_event),
    topics.PROFILES: (wire.Profile, convert.profile),
    topics.APPROVALS: (wire.Approval, convert.approval),
    topics.FEEDBACK: (wire.Feedback, convert.feedback),
}


class Decoder:
    """Decodes input records.

    Args:
        rates: CNY for one unit of another currency.

    Raises:
        ValueError: a rate is not a number > 0.
    """

    def __init__(self, rates: Mapping[str, Decimal]) -> None:
        self._rates = convert.Rates.of(rates)
        self._codecs = {
            topic: _Codec(
                events.INPUTS[topic], struct, msgspec.json.Decoder(struct).decode, convert_, _hasher(topic)
            )
            for topic, (struct, convert_) in _KINDS.items()
        }
        self._lessons_left = dict.fromkeys(self._codecs, _MAX_LESSONS)
        self._write = msgspec.json.Encoder().encode

    def decode(self, topic: str, partition: int, offset: int, value: bytes | None) -> Decoded:
        """Decode one record.

        Args:
            topic: a key of `events.INPUTS`, without a deployment's prefix.
            partition, offset: what the event's `source` says; offset -1 for a file.

        Raises:
            BadRecord: the record breaks the contract.
            KeyError: there is no such input topic.
        """
        codec = self._codecs[topic]
        if value is not None and len(value) <= events.MAX_VALUE_BYTES:
            try:
                raw = codec.read(value)
                # msgspec lets the later of two fields of one name win. It refused fields that have no place, so
                # a record written again holds every member once, in its shortest form; what came is never
                # shorter, and longer by every repeated member. Of equal length, it has none.
                again = self._write(raw)
                if len(again) == len(value) or _has_distinct_fields(value, again):
                    event = codec.to_record(raw, Source(topic, partition, offset), codec.hasher, self._rates)
                    return Decoded(event, _count_came(raw, codec.unknown_attributes) if codec.unknown_names else 0)
            except (msgspec.MsgspecError, ValueError, RecursionError, BadRecord):
                pass
        decoded = self.decode_by_model(topic, partition, offset, value)
        if decoded.unknown_fields and value is not None and self._lessons_left[topic] > 0:
            self._lessons_left[topic] -= 1
            self._learn(topic, value)
        return decoded

    def decode_by_model(self, topic: str, partition: int, offset: int, value: bytes | None) -> Decoded:
        """Decode one record by the models alone: slower, the arbiter, and the source of every reason.

        Args and Raises: as `decode`.
        """
        codec = self._codecs[topic]
        text = _checked_text(value)
        try:
            model = codec.model.model_validate_json(text)
        except ValidationError as error:
            raise refusal(error, is_personal=topic == events.PERSONAL_TOPIC) from None
        # The models skip what they do not know; here unknown fields must be good JSON too. No integer is needed,
        # and reading one takes time that is quadratic in its digits: `len` stands in for it.
        members = json.loads(
            text, object_pairs_hook=_distinct, parse_constant=_refuse_number, parse_float=_finite, parse_int=len
        )
        event = codec.to_record(model, Source(topic, partition, offset), codec.hasher, self._rates)
        return Decoded(event, _count_unknown(codec.model, members))

    def _learn(self, topic: str, value: bytes) -> None:
        """Let the hot path pass over the unknown fields of a good record from now on."""
        codec = self._codecs[topic]
        unknown = (
            json.loads(value, parse_int=len).keys() - codec.model.model_fields.keys() - set(codec.unknown_names)
        )
        names = [*codec.unknown_names, *sorted(filter(_LEARNABLE.fullmatch, unknown))][:_MAX_LEARNED]
        if len(names) > len(codec.unknown_names):
            struct, attributes = wire.with_unknown(codec.struct, names)
            self._codecs[topic] = replace(
                codec,
                read=msgspec.json.Decoder(struct).decode,
                unknown_names=tuple(names),
                unknown_attributes=attributes,
            )


def _hasher(topic: str) -> convert.Hasher:
    """`journal.hash_event` of a fixed topic, a third cheaper."""
    prefix = blake2b(f"{topic}\0".encode(), digest_size=8)

    def event_hash(event_id: str) -> int:
        digest = prefix.copy()
        digest.update(event_id.encode())
        return int.from_bytes(digest.digest(), "big") >> 1

    return event_hash


def _checked_text(value: bytes | None) -> str:
    """The value as text, when there is one of a bearable size in UTF-8."""
    if value is None:
        raise BadRecord(
            "no_value",
            None,
            f"a JSON object, or the header {topics.CONTROL_HEADER}: begin or end",
            "no value (null)",
        )
    if len(value) > events.MAX_VALUE_BYTES:
        raise BadRecord("too_large", None, f"at most {events.MAX_VALUE_BYTES} bytes", f"{len(value)} bytes")
    if not value:
        raise BadRecord("not_json", None, "a JSON object", "an empty value")
    if value.startswith(_BYTE_ORDER_MARK):
        raise BadRecord("not_json", None, "JSON in UTF-8 without a byte order mark", "a byte order mark")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BadRecord(
            "not_utf8", None, "JSON in UTF-8", f"byte 0x{value[error.start]:02x} at position {error.start}"
        ) from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice, times = Counter(name for name, _ in pairs).most_common(1)[0]
        raise BadRecord("duplicate_field", twice[:64], "each field once in an object", f"it {times} times")
    return members


def _refuse_number(literal: str) -> NoReturn:
    raise BadRecord("not_json", None, "JSON numbers (RFC 8259)", literal)


def _finite(literal: str) -> float:
    number = float(literal)
    if number in (float("inf"), float("-inf")):
        raise BadRecord("not_json", None, "numbers within a double's range", literal)
    return number


def _has_distinct_fields(value: bytes, again: bytes) -> bool:
    """Whether no field came twice in a record that is longer than itself written `again`; False when in doubt.

    Blanks or escapes make it longer, and then quotes tell: unless one is escaped, or a backslash is, each opens or
    closes a text.
    """
    return value.count(_QUOTE) == again.count(_QUOTE) and (
        _BACKSLASH not in value or not any(escape in value for escape in _DOUBTFUL_ESCAPES)
    )


def _count_came(raw: Any, attributes: tuple[str, ...]) -> int:
    """How many of a structure's attributes came."""
    return sum(getattr(raw, attribute) is not msgspec.UNSET for attribute in attributes)


def _count_unknown(model: type[events.InputEvent], members: dict[str, Any]) -> int:
    known = model.model_fields.keys()
    count = len(members.keys() - known)
    if model is events.Profile:
        count += sum(len(card.keys() - events.Card.model_fields.keys()) for card in members.get("cards", ()))
        count += sum(len(held.keys() - events.Holding.model_fields.keys()) for held in members.get("holdings", ()))
        count += len(members.get("consent", {}).keys() - events.Consent.model_fields.keys())
    return count
