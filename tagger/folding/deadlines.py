"""The queue of customers' next deadlines: whom passing time reaches first."""

import heapq
from collections.abc import Container, Iterable, Mapping

from tagger.state.customer import NEVER, decode_due

Due = tuple[int, str]
"""When, and whose deadline."""

# Entries out of date are swept out once they outnumber the customers by this.
_SLACK = 1024


class DueQueue:
    """Deadlines of committed states, first due first.

    A customer whose deadline moves gets another entry; the old one is known by the state, which says otherwise,
    and dropped when it comes up.

    Args:
        customers: encoded states by customer id, read anew at every look; its owner keeps it up to date.
    """

    def __init__(self, customers: Mapping[str, bytes]) -> None:
        self._customers = customers
        self._heap: list[Due] = []
        self._build()

    def _build(self) -> None:
        dues = ((decode_due(encoded), customer_id) for customer_id, encoded in self._customers.items())
        self._heap = [due for due in dues if due[0] != NEVER]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        """Entries held, those out of date too."""
        return len(self._heap)

    def push(self, dues: Iterable[Due]) -> None:
        """Take in new deadlines of customers, whose states hold them already."""
        for due in dues:
            heapq.heappush(self._heap, due)
        if len(self._heap) > 2 * len(self._customers) + _SLACK:
            self._build()

    def first(self, before_ms: int, touched: Container[str]) -> Due | None:
        """The first deadline before an instant; customers in `touched` lose theirs, until they get another."""
        while self._heap and self._heap[0][0] < before_ms:
            due_ms, customer_id = self._heap[0]
            if customer_id not in touched and decode_due(self._customers[customer_id]) == due_ms:
                return self._heap[0]
            heapq.heappop(self._heap)
        return None
