"""Rate and CPU of a child process, read off its group's committed offsets and `/proc`.

A sample is taken whenever the sum of the committed offsets has changed. The first one is the baseline, so that
start, imports, joining the group and the first batches are left out, in the clock as in the CPU; the last one is
when the lag is 0.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from bench.job import PARTITIONS
from streams.child import Child

_POLL_SECONDS = 0.05
_QUIET_SECONDS = 0.5
_PATIENCE_SECONDS = 120.0
# The last records of a partition may be markers of transactions, one a writer, that no group commits.
_MARKERS = 8
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class StuckError(Exception):
    """A process that is measured ended, or made no progress."""


@dataclass(frozen=True, slots=True)
class Lag:
    """A group and the topic it reads."""

    group: str
    topic: str


@dataclass(frozen=True, slots=True)
class Sample:
    """Wall seconds (monotonic), CPU seconds of the process, and the first lag's committed offsets, summed."""

    at: float
    cpu: float
    done: int


@dataclass(frozen=True, slots=True)
class Speed:
    """What one process did from its first progress to the end of its input.

    Attributes:
        events: how many the figures are taken over.
        events_a_second: by the wall.
        cpu_us_an_event: user and system time of the process, all threads, the broker not counted.
    """

    events: int
    seconds: float
    events_a_second: float
    cpu_us_an_event: float

    def __add__(self, other: "Speed") -> "Speed":
        """Of two runs of the same, together."""
        events, seconds = self.events + other.events, self.seconds + other.seconds
        cpu_us = self.cpu_us_an_event * self.events + other.cpu_us_an_event * other.events
        return Speed(events, seconds, events / seconds, cpu_us / events)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def peak_bytes(pid: int) -> int:
    """The most resident memory that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


class Progress:
    """Asks a broker how far groups are; its clients stay open between questions."""

    def __init__(self, bootstrap: str) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)

    async def __aenter__(self) -> Self:
        await self._admin.start()
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def watch(self, child: Child, lags: Sequence[Lag], done: int = 0) -> list[Sample]:
        """Sample a child until its groups have read everything.

        Args:
            lags: what it reads, in the order in which the work flows; progress is counted on the first.
            done: offsets of the first that were committed before the child started.

        Raises:
            StuckError: it ended, or nothing moved for two minutes.
        """
        positions = [done, *[0] * (len(lags) - 1)]
        samples: list[Sample] = []
        moved_at = finished_at = time.monotonic()
        before = Sample(moved_at, cpu_seconds(child.pid), done)
        while True:
            now = [await self._position(lag) for lag in lags]
            sample = Sample(time.monotonic(), cpu_seconds(child.pid), now[0])
            if now != positions and sample.done > done:
                # The very first progress of a short run may be its last: then count from the poll before it.
                samples += [sample] if samples else [before, sample]
            if now != positions:
                positions, moved_at = now, sample.at
            before = sample
            if not samples or not await self._is_finished(lags):
                finished_at = sample.at
            elif sample.at - max(finished_at, moved_at) > _QUIET_SECONDS:
                return samples
            if not child.running or sample.at - moved_at > _PATIENCE_SECONDS:
                state = "runs" if child.running else f"ended with {child.returncode}"
                raise StuckError(f"expected {lags[0].group} to go on from {now}, it {state}:\n{child.log_tail()}")
            await asyncio.sleep(_POLL_SECONDS)

    async def ends(self, topic: str) -> dict[TopicPartition, int]:
        """High watermarks of a topic."""
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(_partitions(topic))
        return ends

    async def _position(self, lag: Lag) -> int:
        return sum((await self._committed(lag)).values())

    async def _committed(self, lag: Lag) -> dict[TopicPartition, int]:
        try:
            found = await self._admin.list_consumer_group_offsets(lag.group, partitions=_partitions(lag.topic))
        except KafkaError:  # the coordinator is not there yet
            return {}
        return {tp: max(position.offset, 0) for tp, position in found.items()}

    async def _is_finished(self, lags: Sequence[Lag]) -> bool:
        for lag in lags:  # upstream first: once that is done, the next one's end stands
            committed = await self._committed(lag)
            if any(committed.get(tp, 0) < end - _MARKERS for tp, end in (await self.ends(lag.topic)).items()):
                return False
        return True


def speed(samples: Sequence[Sample], events: int) -> Speed:
    """What samples say.

    Args:
        events: how many events the whole input holds; offsets also count markers and ticks.
    """
    first, last = (samples[1], samples[-1]) if len(samples) > 2 else (samples[0], samples[-1])
    share = (last.done - first.done) / last.done
    if not share:  # all was read when the first commit was seen, and the rest of the time went downstream
        first, share = samples[0], 1.0
    counted = round(events * share)
    seconds = last.at - first.at
    cpu = max(last.cpu - first.cpu, 1 / _CLOCK_TICKS)  # what /proc can tell apart
    return Speed(counted, seconds, counted / seconds, cpu / counted * 1e6)


def _partitions(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(PARTITIONS)]
