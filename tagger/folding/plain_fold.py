"""A journal folded in one thread, with no transactions and no effect outside: backtests, features, comparisons.

Batches are committed in memory. For the same records and rulebooks the tags are the very bytes that workers
publish.
"""

from collections.abc import Callable, Iterable

from schemas.journal import Activation, JournalRecord
from tagger.folding.meta import Meta
from tagger.folding.partition import Partition

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

    def take(self, record: JournalRecord, offset: int | None = None) -> None:
        """Fold one record, at its journal's own offset or at the one after the last."""
        self._offset = self._offset if offset is None else offset
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
        self._keep(changes.tags)
        self._progress(self.done)
        self._batch = self._partition.batch(_MAX_CUSTOMERS)

    def _keep(self, tags: Iterable[tuple[str, bytes]]) -> None:
        for _, tag in tags:
            self._emit(tag)


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
