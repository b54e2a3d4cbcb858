"""What a lane shows of its life to the watchdog: numbers and names that another thread may read at any time."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Vitals:
    """Of one lane.

    Attributes:
        done: input offset up to which everything is committed, as of the last take-over or fetch; -1 at first.
        steps: parts of the work at hand that are done: transactions of a fetch, parts of a restore.
        is_busy: a take-over or a fetch is in hand.
        transaction: number of the transaction that is open; 0 when none is.
        waiting_for: what outside Kafka it waits for, which no restart would bring back; None when nothing.
    """

    done: int = -1
    steps: int = 0
    is_busy: bool = False
    transaction: int = 0
    waiting_for: str | None = None
    _transactions: int = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A take-over or a fetch, until the block ends."""
        self.is_busy, self.steps = True, 0
        try:
            yield
        finally:
            self.is_busy = False

    @contextmanager
    def in_transaction(self) -> Iterator[None]:
        """An open transaction, until the block ends."""
        self._transactions += 1
        self.transaction = self._transactions
        try:
            yield
        finally:
            self.transaction = 0

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A wait for something outside Kafka, until the block ends."""
        self.waiting_for = what
        try:
            yield
        finally:
            self.waiting_for = None


CURRENT: ContextVar[Vitals] = ContextVar("vitals")
"""Of the lane that runs here."""


def current() -> Vitals:
    """The vitals of the lane that runs here; some that nobody looks at outside of lanes."""
    return CURRENT.get(None) or Vitals()
