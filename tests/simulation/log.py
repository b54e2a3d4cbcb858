"""Partition logs as a broker keeps them: records, transactions, markers, the stable offset."""

from collections.abc import Callable
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord


@dataclass(eq=False, slots=True)
class Transaction:
    """One transaction of a producer. `outcome` is decided once: None while open, then whether it committed."""

    transactional_id: str
    producer: int
    epoch: int
    began: float
    outcome: bool | None = None
    partitions: list[TopicPartition] = field(default_factory=list)
    offsets: list[tuple[str, dict[TopicPartition, tuple[int, str]]]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Entry:
    """What stands at one offset; a marker has no record."""

    record: ConsumerRecord | None
    transaction: Transaction | None = None


class Log:
    """One partition."""

    def __init__(self, tp: TopicPartition) -> None:
        self.tp = tp
        self.entries: list[Entry] = []
        self.open: dict[Transaction, int] = {}
        self.listeners: list[Callable[[], None]] = []

    @property
    def end(self) -> int:
        """The high watermark."""
        return len(self.entries)

    @property
    def stable_end(self) -> int:
        """The last stable offset: where the first open transaction began, or the end."""
        return min(self.open.values(), default=self.end)

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int,
        headers: tuple[tuple[str, bytes], ...] = (),
        transaction: Transaction | None = None,
    ) -> int:
        offset = self.end
        topic, partition = self.tp
        record = ConsumerRecord(
            topic,
            partition,
            offset,
            timestamp_ms,
            0,
            key,
            value,
            None,
            len(key or b""),
            len(value or b""),
            headers,
        )
        if transaction is not None:
            self.open.setdefault(transaction, offset)
        self.entries.append(Entry(record, transaction))
        if transaction is None:
            self._tell()
        return offset

    def _tell(self) -> None:
        listeners, self.listeners = self.listeners, []
        for listener in listeners:
            listener()

    def mark(self, transaction: Transaction) -> None:
        """Write a transaction's marker: what it wrote here is now decided for readers."""
        self.entries.append(Entry(None, transaction))
        self.open.pop(transaction, None)
        self._tell()

    def read(self, position: int, most: int, *, committed: bool) -> tuple[list[ConsumerRecord], int]:
        """Records from a position on, and where the next read begins."""
        end = self.stable_end if committed else self.end
        found: list[ConsumerRecord] = []
        while position < end and len(found) < most:
            entry = self.entries[position]
            position += 1
            if entry.record is None:
                continue
            transaction = entry.transaction
            if not committed or transaction is None or transaction.outcome:
                found.append(entry.record)
        return found, position

    def compact(self) -> int:
        """Drop what a later committed record of the same key stands for, and what was aborted; offsets stay.

        Only below the stable offset, as a cleaner does, and never the last record.
        """
        latest: set[bytes | None] = set()
        dropped = 0
        for entry in reversed(self.entries[: self.stable_end]):
            record, transaction = entry.record, entry.transaction
            if record is None:
                continue
            if (transaction is not None and not transaction.outcome) or record.key in latest:
                entry.record = None
                dropped += 1
            else:
                latest.add(record.key)
        return dropped

    def committed(self) -> list[ConsumerRecord]:
        """Everything a read-committed reader would see."""
        return self.read(0, self.end, committed=True)[0]
