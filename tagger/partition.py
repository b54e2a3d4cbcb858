"""One journal partition's decisions: the loop that live workers, replays, backtests and case runs share.

A `Partition` is what is committed: every customer's state as its encoded record, and the meta record. A
`Batch` folds journal records on top of it, reading its own writes; `finish` gives what one transaction must
hold, and `merge` makes a *committed* batch the new committed state. A batch that fails is dropped, nothing
to undo.
"""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.journal import JournalRecord
from tagger.settings import CoreSettings


@dataclass(frozen=True, slots=True)
class Changes:
    """What one transaction holds.

    Attributes:
        customers: changelog records, customer id → encoded state, each id once.
        tags: `tagging.tags` records in order, customer id and encoded tag event.
        meta: the meta record's value.
        next_offset: the journal offset to go on at.
    """

    customers: list[tuple[str, bytes]]
    tags: list[tuple[str, bytes]]
    meta: bytes
    next_offset: int


class Partition:
    """Committed state of one journal partition.

    Args:
        core: settings of the core.
        rulebooks: gives the packs' texts (file name → YAML) of a published rulebook by its digest;
            raises LookupError for one it does not know.
        customers: encoded states by customer id, as restored from the changelog.
        meta: the meta record's value as restored, None for a journal not begun.
    """

    def __init__(
        self,
        core: CoreSettings,
        rulebooks: Callable[[str], dict[str, str]],
        customers: dict[str, bytes] | None = None,
        meta: bytes | None = None,
    ) -> None:
        raise NotImplementedError

    @property
    def next_offset(self) -> int:
        """The first journal offset not folded yet; 0 for a journal not begun."""
        raise NotImplementedError

    def batch(self, max_customers: int) -> "Batch":
        """Begin a batch that touches about `max_customers` customers at most (soft within one record)."""
        raise NotImplementedError

    def merge(self, changes: Changes) -> None:
        """Make a committed batch the committed state. Call it after the commit, never before."""
        raise NotImplementedError


class Batch:
    """Uncommitted decisions over a partition."""

    def fold(self, offset: int, record: JournalRecord) -> bool:
        """Fold one record.

        Records below the partition's `next_offset` are dropped without a trace.

        Returns:
            False when the batch is full before the record is done (a tick may make a million deadlines due):
            commit what `finish` gives, merge, begin another batch and fold the same record again.
        """
        raise NotImplementedError

    @property
    def size_bytes(self) -> int:
        """Lower estimate of the transaction's size so far."""
        raise NotImplementedError

    def finish(self) -> Changes:
        """Encode what was touched."""
        raise NotImplementedError
