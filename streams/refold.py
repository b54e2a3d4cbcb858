"""Fold a journal again, apart from the workers: the same core, no effect outside.

`fold` takes one made of a file (`streams.history`). `refold` reads the deployment's own journal, partition by
partition and read committed, and under the rulebooks that were in force then gives the very bytes that the workers
published; under another it says what that one would have decided.
"""

from collections.abc import Callable, Iterable

from schemas.journal import Activation, JournalRecord, decode_record
from streams.activation import published
from streams.clients import partition_counts, read_topic
from streams.settings import Settings
from streams.topics import JOURNAL
from tagger.meta import Meta
from tagger.partition import Partition

# About as many as a worker decides in one transaction; nothing depends on it.
_BATCH_RECORDS = 5000
_MAX_CUSTOMERS = 20_000

Emit = Callable[[bytes], object]
Progress = Callable[[int], None]


class Folding:
    """A journal going into a partition, committed in memory from time to time.

    Args:
        partition: is changed.
        emit: is given every encoded tag event, in order.
        progress: is told how many records have been folded since `done`.
        done: how many had been folded before.
    """

    def __init__(
        self,
        partition: Partition,
        emit: Emit = lambda tag: None,
        progress: Progress = lambda folded: None,
        done: int = 0,
    ) -> None:
        self._partition = partition
        self._emit = emit
        self._progress = progress
        self._offset = partition.next_offset
        self._batch = partition.batch(_MAX_CUSTOMERS)
        self.done = done

    def take(self, record: JournalRecord) -> None:
        """Fold one record."""
        while not self._batch.fold(self._offset, record):
            self._commit()
        self._offset += 1
        self.done += 1
        if self.done % _BATCH_RECORDS == 0:
            self._commit()

    def finish(self) -> Meta:
        """Commit what is left; the meta record counts every fate."""
        self._commit()
        return self._partition.meta

    def _commit(self) -> None:
        changes = self._batch.finish()
        self._partition.merge(changes)
        for _, tag in changes.tags:
            self._emit(tag)
        self._progress(self.done)
        self._batch = self._partition.batch(_MAX_CUSTOMERS)


def fold(
    partition: Partition,
    digest: str,
    records: Iterable[JournalRecord],
    emit: Emit = lambda tag: None,
    progress: Progress = lambda folded: None,
) -> Meta:
    """Put a rulebook in force and fold a journal.

    Args:
        digest: of a rulebook that the partition can find.
    """
    folding = Folding(partition, emit, progress)
    folding.take(Activation(digest=digest))
    for record in records:
        folding.take(record)
    return folding.finish()


async def refold(
    settings: Settings,
    rulebook: tuple[str, dict[str, str]] | None = None,
    emit: Emit = lambda tag: None,
    progress: Progress = lambda folded: None,
) -> list[Partition]:
    """Fold the deployment's journal from its beginning to its end as of now.

    Args:
        rulebook: digest and packs' texts of the one to decide by; None: those that were in force.
        emit: is given the tags, partition after partition.

    Returns:
        The partitions as folded.

    Raises:
        UnreachableError, MissingTopicError: as `read_topic`.
    """
    if rulebook is None:
        files = {digest: book.files for digest, book in (await published(settings)).rulebooks.items()}
    else:
        files = {rulebook[0]: rulebook[1]}
    topic = settings.topic(JOURNAL)
    done, partitions = 0, []
    for number in range((await partition_counts(settings, [topic]))[topic]):
        partition = Partition(settings.core(), files.__getitem__)
        folding = Folding(partition, emit, progress, done)
        if rulebook is not None:
            folding.take(Activation(digest=rulebook[0]))
        async for message in read_topic(settings, topic, [number], whole=True):
            record = decode_record(message.value)
            if rulebook is None or type(record) is not Activation:
                folding.take(record)
        folding.finish()
        done = folding.done
        partitions.append(partition)
    return partitions
