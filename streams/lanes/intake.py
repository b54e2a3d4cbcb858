"""Where a lane's records come from: a fetch, and what of the consumer steers fetching."""

from collections.abc import Awaitable
from typing import Protocol

from aiokafka import ConsumerRecord, TopicPartition


class Fetch(list[ConsumerRecord]):
    """Records of one fetch in order, and the offsets it covers: from `start` up to, not including, `end`.

    Offsets without a record are transaction markers, aborted or compacted records.
    """

    __slots__ = ("end", "epoch", "start")

    def __init__(self, records: list[ConsumerRecord], start: int, end: int, epoch: int = 0) -> None:
        super().__init__(records)
        self.start = start
        self.end = end
        self.epoch = epoch


class Intake(Protocol):
    """What a lane needs of the consumer."""

    def seek(self, tp: TopicPartition, offset: int, epoch: int) -> Awaitable[None]:
        """Read on at `offset`; what is fetched from here on carries `epoch`."""
        ...

    def wake(self) -> None:
        """A lane has room again."""
        ...

    def is_caught_up(self, tp: TopicPartition, position: int, epoch: int) -> bool:
        """Whether nothing readable lies beyond `position`, and no fetch of `epoch` is on its way."""
        ...

    def read_up_to(self, tp: TopicPartition) -> int | None:
        """The offset after the last that was fetched; None where nothing is being read."""
        ...

    def lost_parts(self) -> list[str]:
        """What of the consumer ended though nobody stopped it: it no longer fetches, or is no member any more."""
        ...

    async def is_member(self) -> bool:
        """Ask the group's coordinator whether this member's generation is current."""
        ...

    async def rejoin(self) -> None:
        """Ask the group for an assignment."""
        ...
