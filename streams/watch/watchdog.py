"""Ends a worker that no longer does its work, so that whatever supervises it starts another.

A thread looks at the worker once a second, because a loop that hangs cannot look at itself. How long what it finds
may last stands in the settings `watchdog_*_seconds`; 0 turns one off. Beside `streams.watch.conditions` these are:

- *loop*: the event loop runs nothing. Told with where it hangs; the process ends at once.
- *stop*: a worker that was told to stop, or has failed, does not come to its end. It ends at once too.

What a restart does not mend is no reason to end: time counts only while a broker answers. Nor does time
count in which the process itself stood still, as after a SIGSTOP.
"""

import asyncio
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress

from aiokafka.errors import KafkaError

from streams.clients import MissingTopicError, UnreachableError, partition_counts
from streams.lanes.ownership import Ownership
from streams.settings import Settings
from streams.watch.conditions import Condition, Conditions, Seen, read_ends

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks; a look that comes later than twice this counts for no more."""
ASK_SECONDS = (0.5, 15.0)
"""Least and most between two questions to the brokers; a quarter of the shortest limit lies between."""
_TELL_SECONDS = 5.0
_FRAMES = 12


class StuckError(Exception):
    """The worker no longer does its work; says which condition, where and for how long."""


class TopicChangedError(Exception):
    """A topic has another number of partitions than when the worker started."""


class Watchdog:
    """Looks after a worker.

    Args:
        stages: what runs.
        fail: told, from the event loop, of an error after which the worker must end.
        end: ends the process at once with an exit code; returns only in tests.
    """

    def __init__(
        self,
        settings: Settings,
        stages: Sequence[Ownership],
        fail: Callable[[BaseException], None],
        end: Callable[[int], None] = os._exit,
    ) -> None:
        self._settings = settings
        self._stages = stages
        self._conditions = Conditions(stages)
        self._fail = fail
        self._end = end
        self._limits: dict[str, float] = {
            name.removeprefix("watchdog_").removesuffix("_seconds"): getattr(settings, name)
            for name in Settings.model_fields
            if name.startswith("watchdog_")
        }
        self._seen = Seen()
        self._beats = 0
        self._is_stopping = False
        self._has_told = False
        self._since: dict[tuple[str, Hashable], tuple[object, float]] = {}
        self._ran = self._ran_answered = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main_thread = threading.get_ident()

    def start(self) -> list["asyncio.Task[None]"]:
        """Begin to watch; gives the tasks in the running loop that help with it."""
        self._loop = asyncio.get_running_loop()
        self._main_thread = threading.get_ident()
        self._thread.start()
        return [asyncio.create_task(self._beat()), asyncio.create_task(self._ask())]

    def stopping(self) -> None:
        """The worker is told to stop: nothing else matters from here on."""
        self._is_stopping = True

    def close(self) -> None:
        """Watch no longer."""
        self._over.set()

    # -- in the event loop

    async def _beat(self) -> None:
        while True:
            self._beats += 1
            await asyncio.sleep(LOOK_SECONDS / 2)

    async def _ask(self) -> None:
        least, most = ASK_SECONDS
        shortest = min((limit for limit in self._limits.values() if limit), default=4 * most)
        topics = sorted({topic for owner in self._stages for topic in owner.stage.topics})
        counts: dict[str, int] = {}
        while True:
            try:
                now = await partition_counts(self._settings, topics)
                counts = counts or now
                if now != counts:
                    self._fail(_changed(counts, now))
                    return
                owned = sorted({tp for owner in self._stages for tp in owner.owned})
                self._seen = Seen(True, await read_ends(self._settings, owned))
            except MissingTopicError as error:
                self._fail(error)
                return
            except (UnreachableError, KafkaError, OSError) as error:
                log.debug("watchdog gets no answer", extra={"error": repr(error)})
                self._seen = Seen()
            await asyncio.sleep(min(most, max(least, shortest / 4)))

    # -- in the thread

    def _run(self) -> None:
        last = time.monotonic()
        while not self._over.wait(LOOK_SECONDS):
            now = time.monotonic()
            try:
                self.look(min(now - last, 2 * LOOK_SECONDS))
            except Exception as error:
                self._fail_in_loop(error)  # who watches must not end unseen
            last = now

    def look(self, seconds: float) -> None:
        """Judge what there is to see.

        Args:
            seconds: how long the process ran since the last look.
        """
        seen = self._seen
        self._ran += seconds
        self._ran_answered += seconds if seen.is_answered else 0.0
        conditions = list(self._own_conditions())
        if not self._is_stopping and not self._has_told:
            conditions += self._conditions.find(seen)
        found = {(each.kind, each.of): each for each in conditions}
        self._since = {key: since for key, since in self._since.items() if key in found}
        for key, condition in found.items():
            lasted = self._lasted(key, condition)
            limit = self._limits[condition.kind]
            if limit and lasted > limit:
                self._tell(condition, lasted)
                return

    def _lasted(self, key: tuple[str, Hashable], condition: Condition) -> float:
        now = self._ran if condition.kind in ("loop", "stop", "task") else self._ran_answered
        state, since = self._since.get(key, (None, now))
        if state != condition.state or key not in self._since:
            since = now
        self._since[key] = condition.state, since
        return now - since

    def _own_conditions(self) -> Iterator[Condition]:
        yield Condition("loop", "", self._beats, "the event loop runs nothing")
        if self._is_stopping:
            yield Condition("stop", "", True, "the worker does not come to its end")

    def _tell(self, condition: Condition, lasted: float) -> None:
        told = f"{condition.told} for {lasted:.0f} s (watchdog_{condition.kind}_seconds).{condition.hint}"
        if condition.kind not in ("loop", "stop"):
            self._fail_in_loop(StuckError(told))
            return
        # Whatever hangs may hold a lock that logging needs: tell if that is possible, and end in any case.
        teller = threading.Thread(target=self._tell_trace, args=(told,), daemon=True)
        teller.start()
        teller.join(_TELL_SECONDS)
        self._over.set()
        self._end(1)

    def _fail_in_loop(self, error: BaseException) -> None:
        self._has_told = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._fail, error)

    def _tell_trace(self, told: str) -> None:
        frames = traceback.extract_stack(sys._current_frames().get(self._main_thread))[-_FRAMES:]
        trace = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        log.error("cannot go on", extra={"error": f"StuckError: {told}", "trace": trace})


def _changed(before: dict[str, int], now: dict[str, int]) -> TopicChangedError:
    changes = [
        f"{topic} {before[topic]} partitions, found {now[topic]}"
        for topic in before
        if before[topic] != now[topic]
    ]
    return TopicChangedError(f"expected as at the start {', '.join(changes)}: a restart reads them")
