"""Folding some customers of a journal partition again, at the journal's own offsets.

A customer's state depends on its own events, on ticks and on activations, so that the others' events can be left
out; whether a record is a repeated append is told here, because that depends on what was left out too.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec

from tagger.folding.partition import Partition
from tagger.folding.plain_fold import Folding
from tagger.state.customer import CustomerState, VersionError, decode_state

_SWEPT_AT_ONCE = 20_000


class Refolding(Folding):
    """A partition with the customers that are given to it, and their tags; `finish` counts fates of these only.

    Args:
        partition: one that has decided nothing yet.

    Attributes:
        tags: customer id → encoded tags in order.
    """

    def __init__(self, partition: Partition) -> None:
        super().__init__(partition)
        self.customers = partition.customers
        self.tags: dict[str, list[bytes]] = {}

    def _keep(self, tags: Iterable[tuple[str, bytes]]) -> None:
        for customer, tag in tags:
            self.tags.setdefault(customer, []).append(tag)


def sweep(partition: Partition) -> dict[str, int]:
    """Evaluate the deadlines that ticks have made due for a partition's customers.

    Returns:
        How many tags each gave off, by customer id.
    """
    batch = partition.batch()
    while batch.sweep(_SWEPT_AT_ONCE):
        pass
    changes = batch.finish()
    partition.merge(changes)
    return Counter(customer for customer, _ in changes.tags)


def is_readable(encoded: bytes) -> bool:
    """Whether a state is one of this release."""
    try:
        decode_state(encoded)
    except (msgspec.MsgspecError, VersionError):
        return False
    return True


def differing_fields(expected: bytes, found: bytes) -> list[str]:
    """Names of the parts in which two encoded states differ; [] when they are the same state.

    Raises:
        msgspec.MsgspecError, tagger.state.customer.VersionError: one is no state of this release.
    """
    if expected == found:
        return []
    left, right = decode_state(expected), decode_state(found)
    return [name for name in CustomerState.__struct_fields__ if getattr(left, name) != getattr(right, name)]
