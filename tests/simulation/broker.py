"""A broker: logs, the transaction coordinator and the groups' offsets, all as what a request does when it arrives.

Transactions end in two steps, as in Kafka: the coordinator decides, and then a marker reaches each partition, and
the group's offsets, in its own time. Until then readers wait at the stable offset, offsets asked for are the old
ones, and the id can neither begin another transaction nor be fenced (the client tries again). A transaction past
its timeout is aborted and its epoch raised, which fences whoever holds it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    ConcurrentTransactions,
    IllegalOperation,
    InvalidProducerEpoch,
    MessageSizeTooLargeError,
    ProducerFenced,
)
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata

from .log import Log, Transaction

Later = Callable[[float, Callable[[], None]], None]
Told = Callable[..., None]


@dataclass(eq=False, slots=True)
class Producer:
    """What the coordinator knows of one transactional id."""

    transactional_id: str
    number: int
    epoch: int = -1
    timeout: float = 60.0
    current: Transaction | None = None
    ending: bool = False
    ended: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What one produce request brings for one partition. `serial` counts the producer's transactions: a broker
    takes nothing for one that has ended (KIP-890)."""

    tp: TopicPartition
    serial: int
    sequence: int
    records: Sequence[tuple[bytes | None, bytes | None, int, tuple[tuple[str, bytes], ...]]]


class Broker:
    """One cluster.

    Args:
        counts: partitions by topic.
        clock: simulated seconds.
        wall_ms: the time of day.
        later: run something in the world after some seconds.
        tell: one line for the story.
    """

    def __init__(
        self,
        counts: dict[str, int],
        random: Random,
        clock: Callable[[], float],
        wall_ms: Callable[[], int],
        later: Later,
        tell: Told,
        marker_seconds: float,
    ) -> None:
        self.counts = counts
        self.logs = {
            tp: Log(tp)
            for topic, count in counts.items()
            for tp in (TopicPartition(topic, n) for n in range(count))
        }
        self.offsets: dict[tuple[str, TopicPartition], OffsetAndMetadata] = {}
        self.positions: set[tuple[str, TopicPartition, int]] = set()
        """Every offset that a group ever committed."""
        self.producers: dict[str, Producer] = {}
        self.max_record_bytes = 1_000_000
        self._random = random
        self._clock = clock
        self._wall_ms = wall_ms
        self._later = later
        self._tell = tell
        self._marker_seconds = marker_seconds
        self._sequences: dict[tuple[int, int, TopicPartition], int] = {}

    # -- what a producer without transactions does

    def append(
        self,
        tp: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int | None = None,
        headers: tuple[tuple[str, bytes], ...] = (),
    ) -> int:
        return self.logs[tp].append(key, value, self._wall_ms() if timestamp_ms is None else timestamp_ms, headers)

    # -- what transactional producers do

    def init_producer(self, transactional_id: str, timeout: float) -> tuple[int, int]:
        """Fence older producers of the id; gives producer number and epoch."""
        producer = self.producers.get(transactional_id)
        if producer is None:
            producer = self.producers[transactional_id] = Producer(transactional_id, len(self.producers))
        if producer.ending:
            raise ConcurrentTransactions
        producer.epoch += 1
        producer.ended = 0
        producer.timeout = timeout
        if producer.current is not None:
            self._tell("fence aborts", transactional_id, producer.epoch)
            self._end(producer, commit=False)
            raise ConcurrentTransactions
        self._tell("fenced off", transactional_id, producer.epoch)
        return producer.number, producer.epoch

    def produce(self, transactional_id: str, epoch: int, batch: Batch) -> None:
        """Append a batch inside the id's transaction, once however often it is sent."""
        producer = self._checked(transactional_id, epoch)
        size = max((len(k or b"") + len(v or b"") for k, v, _, _ in batch.records), default=0)
        if size > self.max_record_bytes:
            raise MessageSizeTooLargeError
        if batch.serial <= producer.ended:
            raise IllegalOperation
        known = producer.number, epoch, batch.tp
        if self._sequences.get(known, -1) >= batch.sequence:
            return
        self._sequences[known] = batch.sequence
        transaction = self._transaction(producer)
        if batch.tp not in transaction.partitions:
            transaction.partitions.append(batch.tp)
        log = self.logs[batch.tp]
        for key, value, timestamp_ms, headers in batch.records:
            log.append(key, value, timestamp_ms, headers, transaction)

    def add_offsets(
        self, transactional_id: str, epoch: int, group: str, offsets: dict[TopicPartition, tuple[int, str]]
    ) -> None:
        producer = self._checked(transactional_id, epoch)
        self._transaction(producer).offsets.append((group, offsets))

    def end(self, transactional_id: str, epoch: int, serial: int, *, commit: bool) -> None:
        """Decide the id's transaction; its markers follow."""
        producer = self._checked(transactional_id, epoch, ending=True)
        if serial <= producer.ended:
            return
        producer.ended = serial
        if producer.current is not None and not producer.ending:
            self._end(producer, commit=commit)

    def _checked(self, transactional_id: str, epoch: int, *, ending: bool = False) -> Producer:
        producer = self.producers[transactional_id]
        if epoch != producer.epoch:
            self._tell("refused a zombie", transactional_id, epoch)
            raise (ProducerFenced if self._random.random() < 0.5 else InvalidProducerEpoch)
        if producer.ending and not ending:
            raise ConcurrentTransactions
        return producer

    def _transaction(self, producer: Producer) -> Transaction:
        if producer.current is None:
            transaction = producer.current = Transaction(
                producer.transactional_id, producer.number, producer.epoch, self._clock()
            )
            self._later(producer.timeout, lambda: self._expire(producer, transaction))
        return producer.current

    def _expire(self, producer: Producer, transaction: Transaction) -> None:
        if producer.current is transaction and not producer.ending:
            producer.epoch += 1
            self._tell("transaction timed out", producer.transactional_id, producer.epoch)
            self._end(producer, commit=False)

    def _end(self, producer: Producer, *, commit: bool) -> None:
        transaction = producer.current
        assert transaction is not None
        transaction.outcome, producer.ending = commit, True
        self._tell("committed" if commit else "aborted", producer.transactional_id, _spans(self, transaction))
        waiting = [*transaction.partitions, None]  # None: the group's offsets
        self._random.shuffle(waiting)
        left = len(waiting)

        def mark(tp: TopicPartition | None) -> None:
            nonlocal left
            if tp is not None:
                self.logs[tp].mark(transaction)
            elif commit:
                for group, offsets in transaction.offsets:
                    for of, (offset, metadata) in offsets.items():
                        self.offsets[group, of] = OffsetAndMetadata(offset, metadata)
                        self.positions.add((group, of, offset))
            left -= 1
            if not left:
                producer.current, producer.ending = None, False

        for tp in waiting:
            self._later(self._random.expovariate(1 / self._marker_seconds), lambda tp=tp: mark(tp))

    # -- what readers do

    def fetch(
        self, position: dict[TopicPartition, int], most: int, *, committed: bool
    ) -> dict[TopicPartition, tuple[list[ConsumerRecord], int, int]]:
        """By partition: records, where to read on, and the stable offset."""
        return {
            tp: (*self.logs[tp].read(at, most, committed=committed), self.logs[tp].stable_end)
            for tp, at in position.items()
        }

    def ends(self, tps: Sequence[TopicPartition], *, committed: bool) -> dict[TopicPartition, int]:
        return {tp: self.logs[tp].stable_end if committed else self.logs[tp].end for tp in tps}

    def committed(self, group: str, tps: Sequence[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        return {tp: self.offsets.get((group, tp), OffsetAndMetadata(-1, "")) for tp in tps}

    def describe(self) -> list[dict[str, Any]]:
        return [{"topic": topic, "partitions": [{}] * count} for topic, count in self.counts.items()]


def _spans(broker: Broker, transaction: Transaction) -> str:
    places = [
        f"{tp.topic.rpartition('.')[2]}-{tp.partition}@{broker.logs[tp].open[transaction]}"
        for tp in transaction.partitions
        if transaction in broker.logs[tp].open
    ]
    offsets = [
        f"{group.rpartition('-')[2]}:{tp.topic.rpartition('.')[2]}-{tp.partition}={offset}"
        for group, positions in transaction.offsets
        for tp, (offset, _) in positions.items()
    ]
    return " ".join([*places, *offsets])
