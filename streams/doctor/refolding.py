"""Folding some customers of a journal partition again, at the journal's own offsets.

A customer's state depends on its own events, on ticks and on activations, so that the others' events can be left
out; whether a record is a repeated append is told here, because that depends on what was left out too.
"""

from schemas.journal import JournalRecord
from tagger.meta import Meta
from tagger.partition import Partition
from tagger.state import CustomerState, decode_state

# Nothing depends on it.
_RECORDS_A_BATCH = 5000
_MAX_CUSTOMERS = 20_000


class Refolding:
    """A partition with the customers that are given to it, and their tags.

    Args:
        partition: one that has decided nothing yet.

    Attributes:
        tags: customer id → encoded tags in order.
    """

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._batch = self._partition.batch(_MAX_CUSTOMERS)
        self._folded = 0
        self.tags: dict[str, list[bytes]] = {}

    @property
    def customers(self) -> dict[str, bytes]:
        return self._partition.customers

    def take(self, offset: int, record: JournalRecord) -> None:
        """Fold one record.

        Raises:
            LookupError: it activates a rulebook that is not published.
            tagger.rulebook.RulebookError: this release cannot read the rulebook.
        """
        while not self._batch.fold(offset, record):
            self._commit()
        self._folded += 1
        if self._folded % _RECORDS_A_BATCH == 0:
            self._commit()

    def finish(self) -> Meta:
        """Commit what is left; counts of fates are of what was taken only."""
        self._commit()
        return self._partition.meta

    def _commit(self) -> None:
        changes = self._batch.finish()
        self._partition.merge(changes)
        for customer, tag in changes.tags:
            self.tags.setdefault(customer, []).append(tag)
        self._batch = self._partition.batch(_MAX_CUSTOMERS)


def differing_fields(expected: bytes, found: bytes) -> list[str]:
    """Names of the parts in which two encoded states differ; [] when they are the same state.

    Raises:
        msgspec.MsgspecError, tagger.state.VersionError: one is no state of this release.
    """
    if expected == found:
        return []
    left, right = decode_state(expected), decode_state(found)
    return [name for name in CustomerState.__struct_fields__ if getattr(left, name) != getattr(right, name)]
