"""What is committed of an input partition: position, the source's time, and counts by fate.

It rides in the metadata string of the committed offset, so that it moves with it in one transaction.
"""

import msgspec

MAX_METADATA_BYTES = 4_000  # Kafka's default limit of an offset's metadata is 4,096


class IngestState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is committed of an input partition, beside its offset.

    The fates of ingest add up: `passed_on + dead_letters + control == next_offset - first_offset`, when the
    offsets are a broker's. `applied`, `duplicate` and `late` fall later, among the ones passed on.

    Attributes:
        first_offset, next_offset: where reading began, where it goes on; None before either is known, and
            always for a file without offsets.
        time_ms: W; None before anything was accepted, and on topics outside the clock.
        began, closed: whether a control record opened the source; whether one closed it.
        passed_on, dead_letters, control: records by fate. Offsets that hold no record for a reader
            (transaction markers, aborted records) are `control` too.
        unknown_fields: fields the contract does not know, in records passed on.
    """

    first_offset: int | None = None
    next_offset: int | None = None
    time_ms: int | None = None
    began: bool = False
    closed: bool = False
    passed_on: int = 0
    dead_letters: int = 0
    control: int = 0
    unknown_fields: int = 0

    def to_metadata(self) -> str:
        """Write the state as an offset's metadata string: JSON, at most `MAX_METADATA_BYTES`."""
        text = _ENCODER.encode(self).decode()
        assert len(text) <= MAX_METADATA_BYTES
        return text

    @classmethod
    def from_metadata(cls, text: str) -> "IngestState":
        """Read an offset's metadata string; an empty one is a partition not begun.

        Raises:
            ValueError: it is not what `to_metadata` wrote.
        """
        if not text:
            return cls()
        try:
            return _DECODER.decode(text)
        except msgspec.DecodeError as error:
            raise ValueError(f"offset metadata: expected an ingest state, got {text[:64]!r}: {error}") from None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(IngestState)
