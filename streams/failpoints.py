"""Named places where a test can crash, stall or break a worker; inert unless armed.

    if failpoints.armed:
        await failpoints.reach("decide.before-merge")

Off, a place costs the look at `armed`. A test in the same process gives `arm` a handler of its own. A real worker
reads the variable `TAGGER_FAILPOINTS`, comma separated `place=action[@nth]` (`nth`: the how-manieth hit, 1 when
left out, `*` each):

    unit.after-commit=crash@3        SIGKILL to itself, nothing is flushed or closed
    restore.reading=stall:20@*       wait this many seconds
    decide.after-fold=hang:20        the same, and nothing else in the event loop runs meanwhile
    decide.after-fold=raise          FailPointError

Hits are counted in `hits`; `TAGGER_FAILPOINTS_HITS` names a file that gets a line a hit, which outlives a crash.
"""

import asyncio
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REGISTRY: dict[str, str] = {
    "lane.before-take-over": "A lane begins to take a partition over; nothing was asked or written yet.",
    "lane.after-take-over": "The task says where to go on, and nothing is read from there yet.",
    "lane.before-release": "A task ended, however; its producer is still open.",
    "ownership.before-revoke": "The group takes all partitions away, and batches are still in flight.",
    "ownership.after-revoke": "Every lane is at rest, and the group was not told yet.",
    "ownership.before-assign": "The group gave partitions, and no lane knows.",
    "ownership.after-assign": "Lanes are kept, dropped and begun; kept ones do not read yet.",
    "ownership.before-rejoin": "A fenced member is about to ask the group again.",
    "unit.before-fence": "An older producer of the transactional id can still commit.",
    "unit.after-fence": "No older producer can commit any more; nothing was read since.",
    "unit.before-produce": "A transaction is complete in memory, and nothing of it was sent.",
    "unit.after-produce": "Every record was acknowledged, and the offsets were not sent.",
    "unit.after-offsets": "The transaction is whole at the broker and still open.",
    "unit.after-commit": "The transaction is committed, and the task does not know.",
    "unit.before-abort": "A transaction is left without a commit and still open.",
    "restore.before-reading": "The changelog's end is known, and nothing of it was read.",
    "restore.reading": "A part of the changelog was read.",
    "decide.after-restore": "State is complete, and where to go on is not known yet.",
    "decide.before-decode": "A fetch of the journal came, and nothing of it was decoded; decoding and folding are "
    "one loop, with no place between them.",
    "decide.after-fold": "A batch is folded on its overlay, and no transaction was begun.",
    "decide.before-merge": "A batch is committed, and its overlay is not the state yet.",
    "decide.after-merge": "The overlay became the state.",
    "ingest.before-position": "Fenced, and the group's offset was not read yet.",
    "ingest.before-decode": "A fetch of an input came, and nothing of it was decoded.",
    "ingest.after-decode": "Journal events and dead letters are made, and no transaction was begun.",
    "ingest.before-merge": "A fetch is committed, and the task's own state is the one before.",
    "ingest.before-tick": "Nothing came for a while, and time is about to be told.",
    "project.before-position": "Fenced, and neither Kafka nor Redis was asked how far the view is.",
    "project.after-clear": "A partition's view was deleted, and its beginning is not noted.",
    "project.before-write": "A fetch of the changelog came, and nothing of it is in Redis.",
    "project.after-write": "A fetch is in Redis, and the group's offset is the one before.",
    "view.after-claim": "Customers are marked, and the sets of their rules were not changed.",
    "view.after-members": "The sets of rules were changed, and the customers' own keys were not.",
}
"""Every place, and what is true when a worker gets there."""

Handler = Callable[[str, int], Awaitable[None]]
"""Told a place and its how-manieth hit."""

armed = False
hits: Counter[str] = Counter()
_handler: Handler | None = None

_STEP = re.compile(
    r"(?P<place>[a-z.-]+)=(?P<action>crash|raise|(stall|hang):(?P<seconds>[\d.]+))(@(?P<nth>\d+|\*))?"
)


class FailPointError(Exception):
    """Planted; no fault of the worker's."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to happen at a place. `nth` 0 is each hit."""

    place: str
    action: str
    nth: int = 1
    seconds: float = 0.0


async def reach(place: str) -> None:
    """Count a hit, and do what was armed there."""
    assert place in REGISTRY, place
    hits[place] += 1
    if _handler is not None:
        await _handler(place, hits[place])


def arm(handler: Handler) -> None:
    """Give every place to a handler, and begin counting anew."""
    global armed, _handler  # one switch a process, or it would cost something when off
    hits.clear()
    armed, _handler = True, handler


def disarm() -> None:
    """Make every place inert again; the counts stay."""
    global armed, _handler
    armed, _handler = False, None


@contextmanager
def arming(handler: Handler) -> Iterator[Counter[str]]:
    """Armed inside the block; gives the hits."""
    arm(handler)
    try:
        yield hits
    finally:
        disarm()


def read_steps(text: str) -> list[Step]:
    """Read what `TAGGER_FAILPOINTS` says.

    Raises:
        ValueError: a step is not `place=action[@nth]`, or there is no such place.
    """
    steps = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _STEP.fullmatch(part)
        if found is None:
            raise ValueError(f"expected place=crash|raise|stall:SECONDS|hang:SECONDS[@nth|@*], got {part!r}")
        if found["place"] not in REGISTRY:
            raise ValueError(f"expected a fail-point of {', '.join(sorted(REGISTRY))}, got {found['place']!r}")
        nth = 0 if found["nth"] == "*" else int(found["nth"] or 1)
        steps.append(Step(found["place"], found["action"].partition(":")[0], nth, float(found["seconds"] or 0)))
    return steps


def arm_from(environment: Mapping[str, str]) -> bool:
    """Arm what the variables say; says whether anything is armed."""
    steps = read_steps(environment.get("TAGGER_FAILPOINTS", ""))
    told = environment.get("TAGGER_FAILPOINTS_HITS")
    if not steps and not told:
        return False

    async def handle(place: str, nth: int) -> None:
        if told:
            _note(Path(told), place)
        for step in steps:
            if step.place == place and step.nth in (0, nth):
                await _act(step)

    arm(handle)
    return True


def _note(told: Path, place: str) -> None:
    with told.open("a", encoding="utf-8") as file:  # one short line: appended whole
        file.write(f"{place}\n")


async def _act(step: Step) -> None:
    if step.action == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    elif step.action == "raise":
        raise FailPointError(f"planted at {step.place}")
    elif step.action == "hang":
        time.sleep(step.seconds)  # noqa: ASYNC251 - planted
    else:
        await asyncio.sleep(step.seconds)
