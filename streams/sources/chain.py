"""The order of booked rows, found again from the balances they state.

Each row goes from one balance (`before`, its stated balance less its signed amount) to another (`after`, its
stated balance). Rows are in booking order when each begins where the last one ended, so an order is a path that
uses each row once. The search is exact: depth first, the nearest balance first, backing out of dead ends. Two
facts keep it from growing with n!: few rows begin at any one balance (they are found by bisection), and what can
follow depends only on *which* rows are used and the balance reached, so a dead end is remembered under that pair.
Rows equal in both balances are interchangeable and tried once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

Step = tuple[int, int]

# Far above any day met (seven rows in Berka, found in seven visits); a bound, so that no file can hold up a run.
MAX_VISITS = 200_000


def chain_order(
    steps: Sequence[Step], start: int | None, tolerance: int, max_visits: int = MAX_VISITS
) -> list[int] | None:
    """Order steps so that each begins where the one before it ended.

    Args:
        steps: (balance before, balance after), in fen.
        start: the balance before the first step; None when it is not known, then any step may be the first and the
            one that begins nearest to zero is tried first.
        tolerance: how far, in fen, a beginning may lie from the end before it (both ends included).
        max_visits: how many steps to try before giving up.

    Returns:
        Positions in `steps`, or None when there is no such order (or none within `max_visits`). Among equals the
        earlier position comes first.
    """
    by_before = sorted(range(len(steps)), key=lambda i: (steps[i][0], i))
    befores = [steps[i][0] for i in by_before]

    def followers(balance: int | None, used: int) -> list[int]:
        if balance is None:
            near, balance = by_before, 0
        else:
            first = bisect_left(befores, balance - tolerance)
            near = by_before[first : bisect_right(befores, balance + tolerance, lo=first)]
        free = sorted((abs(steps[i][0] - balance), i) for i in near if not used >> i & 1)
        return list({steps[i]: i for _, i in reversed(free)}.values())  # nearest last, to be popped first

    path: list[int] = []
    used = visits = 0
    dead: set[tuple[int, int]] = set()
    choices = [followers(start, used)]
    while len(path) < len(steps):
        while choices and not choices[-1]:
            choices.pop()
            if path:
                last = path.pop()
                dead.add((used, steps[last][1]))
                used &= ~(1 << last)
        if not choices or visits >= max_visits:
            return None
        step = choices[-1].pop()
        visits += 1
        if (used | 1 << step, steps[step][1]) in dead:
            continue
        path.append(step)
        used |= 1 << step
        choices.append(followers(steps[step][1], used))
    return path
