"""Which ticks have made deadlines due that are not evaluated yet, and what time was known at each.

A tick at midnight may make a million deadlines due. It only sets the clock and notes its time here; the customers
are swept bit by bit while later records are folded, each customer before its own next record. What a deadline
gives off depends on nothing but the customer and the time known when it fell due (`Context.known_ms`), which is
that of the first tick beyond it. So the times are kept in order, and a customer passes them one by one.

Only `stale` of the contact policy asks for the time known: whether more than so much went by. Neighbouring ticks
no further apart than that are kept as one time, because nothing that falls due between them can be stale; nor can
anything in a recorded run or under a policy that does not ask.
"""

from bisect import bisect_right

from tagger.folding.fold import Fold
from tagger.folding.meta import Meta
from tagger.state.customer import NEVER, CustomerState

MAX_TIMES = 64
"""Times kept at most; with one more, the tick that told it waits until all are swept."""


def note_time(meta: Meta, since_ms: int | None, stale_ms: int | None) -> None:
    """Take the clock, told by a tick, among the times that deadlines are to be passed up to.

    Args:
        since_ms: the clock before the tick.
        stale_ms: of the contact policy in force.
    """
    times, now_ms = meta.unswept, meta.clock_ms
    assert now_ms is not None
    if not times:
        meta.unswept = [-NEVER if since_ms is None else since_ms, now_ms]
    elif now_ms > times[-1]:
        if stale_ms is None or meta.recorded or now_ms - times[-2] <= stale_ms:
            times[-1] = now_ms
        else:
            times.append(now_ms)


def has_room(meta: Meta) -> bool:
    """Whether deadlines may wait for longer."""
    return len(meta.unswept) <= MAX_TIMES


def pass_times(fold: Fold, state: CustomerState, meta: Meta) -> None:
    """Evaluate all of a customer's deadlines that are due, each as of the first tick beyond it."""
    times = meta.unswept
    while state.due_ms < times[-1]:
        fold.pass_time(state, times[bisect_right(times, state.due_ms, 1)])


def forget_times(meta: Meta, first_ms: int | None) -> None:
    """Drop the times that all customers have passed.

    Args:
        first_ms: the first deadline that is not evaluated; None when no tick has made another one due.
    """
    if first_ms is None:
        meta.unswept = []
    else:
        del meta.unswept[: bisect_right(meta.unswept, first_ms, 1) - 1]
