"""What a stage is to whatever runs it: a name, the topics it reads, and a task for each partition owned."""

from collections.abc import Sequence
from typing import Literal, Protocol

from aiokafka import ConsumerRecord, TopicPartition

from streams.settings import Settings

StageName = Literal["ingest", "decide", "project"]


class ForeignRecordError(Exception):
    """A record of the journal that ingest did not write."""

    def __init__(self, record: ConsumerRecord, error: Exception) -> None:
        super().__init__(
            f"expected a journal record at {record.topic}-{record.partition}@{record.offset}, found one that is "
            f"none ({type(error).__name__}): something besides the workers wrote it; see `tagger doctor`"
        )


class PositionError(Exception):
    """What says where to go on is contradicted; going on could lose, skip or repeat records or decisions."""


def group_of(settings: Settings, stage: str) -> str:
    """The consumer group of a stage, which is its Faust app's id."""
    return f"{settings.app}-{stage}"


class Task(Protocol):
    """What a stage does with one input partition. Made anew for every take-over, never reused after `release`.

    `FencedError`, `OutcomeUnknownError`, a KafkaError or an OSError out of `take_over`, `process` or `idle` is
    an unknown outcome: the task is released and, if this member still owns the partition, a new one takes over
    after a back-off. Any other exception, `RefusedError` and `RecordTooLargeError` among them, is a fault: the
    worker ends with exit code 1.

    Attributes:
        has_more: there is work that needs no fetch: `idle` is called at once when none waits.
    """

    @property
    def has_more(self) -> bool: ...

    async def take_over(self) -> int:
        """Fence, restore, and give the input offset to go on at.

        Runs in the background with the partition paused and heartbeats going on; cancelled at a revoke.
        """
        ...

    async def process(self, records: Sequence[ConsumerRecord]) -> None:
        """Handle one fetch of the partition, in order.

        `records` is a `streams.lanes.intake.Fetch`: a list with `start` and `end`, the half-open range of offsets
        it covers. Fetches join without a gap: `start` is what `take_over` gave or the last `end`, so offsets in
        the range without a record are transaction markers, aborted or compacted records, and nothing else.
        Returning means committed up to `end`.
        """
        ...

    async def idle(self, caught_up: bool) -> None:
        """Called about once a `tick_seconds` when nothing came, and whenever `has_more` and no fetch waits.

        Args:
            caught_up: everything readable (committed) in the partition has been processed.
        """
        ...

    async def release(self) -> None:
        """Let go: close producers and clients, keep nothing. Called once, however the task ended, also after a
        failed or cancelled `take_over`; must return within seconds and not raise."""
        ...


class Stage(Protocol):
    """One of the three kinds of agent."""

    name: StageName
    topics: Sequence[str]

    def make_task(self, tp: TopicPartition) -> Task:
        """A task for one input partition, with no effect yet."""
        ...
