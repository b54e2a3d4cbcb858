"""What every source yields: a record as a broker would carry it.

A source is an iterator of `SourceRecord` in the order it is to be sent. It never raises on a bad *record*: what
cannot be read is passed on as it stands, for ingest to make a dead letter of, because only ingest may say what is
bad. It raises `SourceError` when the file itself is not what was asked for.
"""

from typing import NamedTuple


class SourceRecord(NamedTuple):
    """One record of a source.

    Attributes:
        topic: the contract's name, without a deployment's prefix.
        key: the customer's id, None where it is not known.
        value: UTF-8 JSON for a good record, None for a null value.
        headers: name and bytes, in order.
        timestamp_ms: None stands for the time of sending. Recorded times are not used: a topic that keeps a week
            would delete a record of 1993 as soon as it is written.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp_ms: int | None = None


class SourceError(ValueError):
    """A source that is not there or not in the format asked for; the message says where and what was expected."""
