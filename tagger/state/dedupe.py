"""The bounded memory of event ids: which events a customer's state has folded of late.

An entry is 12 bytes, the event's hash and the bank day of its arrival, oldest first in one byte string: it costs
nothing to decode with the state, and is searched at the speed of `bytes.find`. Remembered for `dedupe_days` since
arrival, and at most `dedupe_count` of them; what goes before its time is counted by the caller.
"""

ENTRY_BYTES = 12
HASH_BYTES = 8
"""An entry begins with the hash, big-endian."""


def pack_day(day: int) -> bytes:
    """A bank day as it stands in an entry."""
    return day.to_bytes(ENTRY_BYTES - HASH_BYTES, "big")


def is_remembered(seen: bytes, packed_hash: bytes, oldest_day: int) -> bool:
    """Whether an event arrived on `oldest_day` or since, as far as is remembered."""
    place = seen.find(packed_hash)
    while place >= 0:
        # Bytes of two neighbours may look like a hash; only what begins an entry is one.
        if place % ENTRY_BYTES == 0:
            return _day(seen, place) >= oldest_day
        place = seen.find(packed_hash, place + 1)
    return False


def forget_before(seen: bytes, packed_oldest: bytes) -> bytes:
    """The memory without the entries that arrived before a packed day."""
    start = 0
    while start < len(seen) and seen[start + HASH_BYTES : start + ENTRY_BYTES] < packed_oldest:
        start += ENTRY_BYTES
    return seen[start:]


def _day(seen: bytes, place: int) -> int:
    return int.from_bytes(seen[place + HASH_BYTES : place + ENTRY_BYTES], "big")
