"""A record of another version stops whoever reads it, instead of losing what it does not know."""

import msgspec
import pytest

from tagger.folding.meta import Meta, decode_meta, encode_meta
from tagger.state.customer import (
    STATE_VERSION,
    CustomerState,
    VersionError,
    decode_due,
    decode_state,
    encode_state,
)


def test_a_state_of_another_version_is_refused() -> None:
    newer = encode_state(CustomerState(version=STATE_VERSION + 1))
    for decode in (decode_state, decode_due):
        with pytest.raises(VersionError, match=f"version {STATE_VERSION}, got version {STATE_VERSION + 1}"):
            decode(newer)


def test_a_meta_record_of_another_version_is_refused() -> None:
    with pytest.raises(VersionError, match="meta"):
        decode_meta(encode_meta(Meta(version=99)))


def test_a_state_without_the_last_fields_reads_with_their_defaults() -> None:
    fields = msgspec.msgpack.decode(encode_state(CustomerState(due_ms=7, clock_ms=5)))
    shorter = msgspec.msgpack.encode(fields[:5])
    assert decode_state(shorter) == CustomerState(due_ms=7, clock_ms=5)
