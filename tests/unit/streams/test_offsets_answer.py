"""What an answer about committed offsets means when the coordinator is not ready."""

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.commit import OffsetFetchResponse_v3
from aiokafka.structs import OffsetAndMetadata

from streams.clients import _ask_offsets

FIRST, SECOND = TopicPartition("a", 0), TopicPartition("a", 1)
LOADING = 14


class Answering(AIOKafkaAdminClient):  # type: ignore[misc]
    """The real client, answered with these bytes' meaning instead of by a broker."""

    def __init__(self, response: OffsetFetchResponse_v3) -> None:
        self._response = response

    async def find_coordinator(self, group_id: str, coordinator_type: int = 0) -> int:
        return 1

    async def _send_request(self, request: object, node_id: int | None = None) -> OffsetFetchResponse_v3:
        return self._response


async def test_answer_of_a_loading_coordinator_is_no_answer() -> None:
    """It names no partition, and aiokafka does not look at its error."""
    client = Answering(OffsetFetchResponse_v3(0, [], LOADING))
    assert await AIOKafkaAdminClient.list_consumer_group_offsets(client, "g", partitions=[FIRST]) == {}
    assert await _ask_offsets(client, "g", [FIRST]) is None


@pytest.mark.parametrize(("offset", "metadata"), [(-1, ""), (7, "{}")])
async def test_partition_that_is_listed_is_answered(offset: int, metadata: str) -> None:
    client = Answering(OffsetFetchResponse_v3(0, [("a", [(0, offset, metadata, 0)])], 0))
    assert await _ask_offsets(client, "g", [FIRST]) == {FIRST: OffsetAndMetadata(offset, metadata)}
    assert await _ask_offsets(client, "g", [FIRST, SECOND]) is None
