"""Keys go where Kafka's Java clients send them."""

import pytest
from aiokafka.partitioner import murmur2

from streams.partitioner import partition_of

# org.apache.kafka.common.utils.UtilsTest.testMurmur2
JAVA_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "signed"), JAVA_VECTORS.items())
def test_hash_is_the_java_clients(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed & 0xFFFFFFFF


@pytest.mark.parametrize(("key", "signed"), JAVA_VECTORS.items())
@pytest.mark.parametrize("partitions", [1, 2, 12, 100])
def test_partition_is_the_positive_hash_modulo_the_count(key: bytes, signed: int, partitions: int) -> None:
    # Utils.toPositive(murmur2(key)) % numPartitions
    assert partition_of(key, partitions) == (signed & 0x7FFFFFFF) % partitions


def test_cache_is_bounded() -> None:
    assert partition_of.cache_info().maxsize is not None
