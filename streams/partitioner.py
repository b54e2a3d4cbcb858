"""Which partition a key belongs to (murmur2, as Kafka's Java clients do), and how it is named."""

from functools import lru_cache

from aiokafka import TopicPartition
from aiokafka.partitioner import murmur2

# An entry takes about 200 bytes, so at most 50 MB; the hash is pure Python, 3-10 µs a key.
_CACHED_KEYS = 262_144


@lru_cache(maxsize=_CACHED_KEYS)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of `key` in a topic of `partitions` partitions (≥ 1)."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def name_of(tp: TopicPartition) -> str:
    """How logs and errors name a partition."""
    return f"{tp.topic}-{tp.partition}"
