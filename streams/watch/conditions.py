"""What a worker may look like only for a while, as `streams.watch.watchdog` sees it from its thread.

- *progress*: a partition has records, or a fetch or take-over in hand, and comes no further. An attempt that
  failed and is made again is no progress until it comes further than the one before. A wait for Redis is no lack.
- *transaction*: a transaction of ours stays open.
- *stable*: somebody's open transaction holds a partition's stable offset, and nobody reads beyond it.
- *task*: a part of the consumer, or what processes a partition, has ended; or the group never gave an assignment.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka import TopicPartition

from streams.clients import offset_ranges, open_reader
from streams.lanes.lane import Lane
from streams.lanes.ownership import Ownership
from streams.partitioner import name_of
from streams.settings import Settings


class Ends(NamedTuple):
    """Of a partition: where read-committed readers end, and where the log does."""

    stable: int
    high: int


@dataclass(slots=True)
class Seen:
    """What was last heard from the brokers."""

    is_answered: bool = False
    ends: dict[TopicPartition, Ends] = field(default_factory=dict)


class Condition(NamedTuple):
    """Something that may not last.

    Attributes:
        kind: which limit holds.
        of: what it is about; with `kind`, its identity.
        state: when this changes, it is another one.
        told: what it is, in words.
        hint: what to do beyond a restart.
    """

    kind: str
    of: Hashable
    state: object
    told: str
    hint: str = ""


class Progress(NamedTuple):
    """The furthest a lane has come."""

    done: int
    steps: int
    read: int


class Conditions:
    """Finds what there is to see of a worker's stages."""

    def __init__(self, stages: Sequence[Ownership]) -> None:
        self._stages = stages
        self._come: dict[Hashable, Progress] = {}

    def find(self, seen: Seen) -> Iterator[Condition]:
        """Everything that may not last, as of now."""
        for owner in self._stages:
            stage = owner.stage.name
            for part in owner.intake.lost_parts() if owner.intake is not None else ():
                yield Condition("task", (stage, part), True, f"{stage}: the consumer's {part} has ended")
            if owner.claim is None and seen.is_answered:
                yield Condition("task", stage, True, f"{stage}: the group gave no assignment")
            for lane in owner.lanes:
                read_up_to = None if owner.intake is None else owner.intake.read_up_to(lane.tp)
                yield from self._of_lane(stage, lane, read_up_to, seen.ends.get(lane.tp))

    def _of_lane(self, stage: str, lane: Lane, read_up_to: int | None, ends: Ends | None) -> Iterator[Condition]:
        of, vitals, where = (stage, lane.tp), lane.vitals, f"{stage}: {name_of(lane.tp)}"
        if lane.has_ended:
            yield Condition("task", of, True, f"{where}: what processes it has ended")
        if vitals.transaction:
            yield Condition("transaction", of, vitals.transaction, f"{where}: a transaction has been open")
        if ends is not None and ends.stable < ends.high:
            told = f"{where}: an open transaction has held the stable offset at {ends.stable}, below {ends.high},"
            yield Condition(
                "stable", of, ends.stable, told, " Find whose it is: kafka-transactions.sh find-hanging"
            )
        has_lag = ends is not None and (read_up_to is None or read_up_to < ends.stable)
        if not vitals.waiting_for and (vitals.is_busy or has_lag or not lane.is_live):
            self._come[of] = come = _progress(self._come.get(of), lane, read_up_to)
            told = f"{where}: no progress beyond offset {vitals.done} with {'lag' if has_lag else 'work in hand'}"
            yield Condition("progress", of, come, told)


def _progress(known: "Progress | None", lane: Lane, read_up_to: int | None) -> "Progress":
    """How far a lane has come: an attempt that failed and is made again is no progress until it comes further."""
    done, steps, read = lane.vitals.done, lane.vitals.steps, -1 if read_up_to is None else read_up_to
    if known is None or done < known.done:  # a view is rebuilt from the changelog's beginning
        return Progress(done, steps, read)
    return Progress(*max((known.done, known.steps), (done, steps)), max(known.read, read))


async def read_ends(settings: Settings, tps: Sequence[TopicPartition]) -> dict[TopicPartition, Ends]:
    """Ask the brokers for the ends of partitions.

    Raises:
        UnreachableError: no broker answers.
    """
    if not tps:
        return {}
    async with open_reader(settings, "tell the stable offsets of partitions") as reader:
        stable = await reader.end_offsets(list(tps))
    ranges = await offset_ranges(settings, tps)
    return {tp: Ends(stable[tp], ranges[tp][1]) for tp in tps}
