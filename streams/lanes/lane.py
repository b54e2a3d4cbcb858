"""One input partition's lane: its task, its few waiting fetches, and the loop that joins them.

A lane accepts a fetch only when it comes from after the lane's last seek (`epoch`) and begins where the last one
ended (`start`); Faust clears its buffers at a rebalance, and a fetch lost there must become a seek, never a gap.
The loop runs in an asyncio task of its own, so that nothing Faust cancels can cancel a commit half way.
"""

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams import failpoints
from streams.clients import UnreachableError
from streams.lanes import vitals
from streams.lanes.intake import Fetch, Intake
from streams.lanes.rest import Rest
from streams.lanes.stage import Stage, Task
from streams.lanes.unit_of_work import FencedError, OutcomeUnknownError
from streams.partitioner import name_of
from streams.settings import Settings

log = logging.getLogger(__name__)

UNKNOWN_OUTCOMES = (OutcomeUnknownError, UnreachableError, KafkaError, OSError, TimeoutError)
"""After these a task's state is thrown away and, if the partition is still ours, taken over anew."""

BACKOFF_SECONDS = (0.1, 10.0)
"""Least and most between two take-overs of a lane; doubled each time in a row."""
FETCHES_WAITING = 1
"""Fetches a lane holds beside the one in process: enough to never run dry, one `fetch_bytes` of memory."""
REREAD_SECONDS = 10.0
"""After so long without a fetch and without being told that there is nothing to read, the lane seeks anew: the
last fetch before a lull may be lost in a buffer, and no later one would show the gap."""
REVOKE_SECONDS = 8.0
"""How long a revoke waits for a batch in flight before it is cancelled."""
REBALANCE_SECONDS = 30.0
"""The group's rebalance timeout: well above what a revoke may take."""

_epochs = itertools.count(1)


class Lane:
    """One owned partition.

    Args:
        fail: told of an exception after which the worker cannot go on.
        fenced: told that a newer producer owns the partition's transactional id.
    """

    def __init__(
        self,
        tp: TopicPartition,
        stage: Stage,
        intake: Intake,
        settings: Settings,
        *,
        fail: Callable[[BaseException], None],
        fenced: Callable[[TopicPartition], None],
    ) -> None:
        self.tp = tp
        self.vitals = vitals.Vitals()
        self._stage = stage
        self._intake = intake
        self._tick_seconds = settings.tick_seconds
        self._rest = Rest(stage.name, settings)
        self._fail = fail
        self._fenced = fenced
        self._epoch = 0
        self._position: int | None = None
        self._expected = 0
        self._waiting: deque[Fetch] = deque()
        self._news = asyncio.Event()
        self._at_rest = asyncio.Event()
        self._flowing = False
        self._suspended = False
        self._cancelled = False
        self._runner: asyncio.Task[None] | None = None
        self._seek_again: asyncio.Future[None] | None = None

    @property
    def is_live(self) -> bool:
        """Taken over and not dropped since."""
        return self._position is not None and self._runner is not None and not self._runner.done()

    @property
    def has_ended(self) -> bool:
        """Its loop is over, though nobody closed it: fenced, cancelled from outside, or failed."""
        return self._runner is not None and self._runner.done()

    @property
    def wants_more(self) -> bool:
        return self._flowing and len(self._waiting) < FETCHES_WAITING

    def start(self) -> None:
        """Begin to take over, in the background."""
        self._runner = asyncio.create_task(self._run(), name=f"{self._stage.name} {self.tp}")

    def offer(self, fetch: Fetch) -> None:
        """Take a fetch when it is the next one."""
        if not self._flowing or fetch.epoch != self._epoch:
            return
        if fetch.start != self._expected:
            log.warning(
                "fetch lost on the way, reading again",
                extra={"partition": name_of(self.tp), "expected": self._expected, "got": fetch.start},
            )
            # what waits joins up to `_expected`, so reading goes on there
            self._epoch = next(_epochs)
            again = self._intake.seek(self.tp, self._expected, self._epoch)
            self._seek_again = asyncio.ensure_future(again)
            return
        self._expected = fetch.end
        self._waiting.append(fetch)
        self._news.set()

    async def suspend(self) -> None:
        """Stop intake and come to rest: cancel a take-over, await a batch in flight, cancel one that takes
        longer than `REVOKE_SECONDS`."""
        self._suspended, self._flowing = True, False
        self._epoch = next(_epochs)
        self._waiting.clear()
        if self._runner is None or self._runner.done():
            return
        if self._position is not None:
            rest = asyncio.ensure_future(self._at_rest.wait())
            await asyncio.wait((rest, self._runner), timeout=REVOKE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            rest.cancel()
            if self._at_rest.is_set() or self._runner.done():
                return
            log.warning("batch in flight cancelled at a revoke", extra={"partition": name_of(self.tp)})
        await self._cancel()

    async def resume(self) -> None:
        """Go on where the last batch ended."""
        if self.is_live and self._suspended:
            self._suspended = False
            await self._read_from(self._position or 0)

    async def close(self) -> None:
        """Let go of the partition."""
        self._suspended, self._flowing = True, False
        self._waiting.clear()
        await self._cancel()

    async def _cancel(self) -> None:
        if self._runner is None:
            return
        if not self._cancelled:  # a second cancel would cut short the task's release
            self._cancelled = True
            self._runner.cancel()
        await asyncio.wait((self._runner,), timeout=REVOKE_SECONDS)

    async def _run(self) -> None:
        vitals.CURRENT.set(self.vitals)
        least, most = BACKOFF_SECONDS
        backoff = 0.0
        while not self._suspended:
            if backoff:
                await asyncio.sleep(backoff)
                if not await self._intake.is_member():
                    continue
            began = time.monotonic()
            try:
                await self._serve(self._stage.make_task(self.tp))
            except FencedError:
                self._fenced(self.tp)
                return
            except UNKNOWN_OUTCOMES as error:
                log.warning(
                    "outcome unknown, state dropped",
                    extra={"stage": self._stage.name, "partition": name_of(self.tp), "error": repr(error)},
                )
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                self._fail(error)
                return
            backoff = least if time.monotonic() - began > 2 * most else min(max(least, backoff * 2), most)

    async def _serve(self, task: Task) -> None:
        try:
            if failpoints.armed:
                await failpoints.reach("lane.before-take-over")
            with self.vitals.at_work():
                position = await task.take_over()
            self.vitals.done = position
            if failpoints.armed:
                await failpoints.reach("lane.after-take-over")
            await self._read_from(position)
            log.info(
                "taken over",
                extra={"stage": self._stage.name, "partition": name_of(self.tp), "offset": self._position},
            )
            told_at = time.monotonic()
            while True:
                fetch = await self._next(task)
                caught_up = self._intake.is_caught_up(self.tp, self._expected, self._epoch)
                if fetch is not None or caught_up:
                    told_at = time.monotonic()
                elif time.monotonic() - told_at > REREAD_SECONDS:
                    told_at = time.monotonic()
                    await self._read_from(self._expected)
                if fetch is None:
                    await task.idle(caught_up)
                else:
                    began = time.monotonic()
                    with self.vitals.at_work():
                        await task.process(fetch)
                    self._position = self.vitals.done = fetch.end
                    self._rest.worked(fetch, began, time.monotonic())
        finally:
            self._position, self._flowing = None, False
            self._waiting.clear()
            try:
                if failpoints.armed:
                    await failpoints.reach("lane.before-release")
            finally:
                await task.release()

    async def _read_from(self, offset: int) -> None:
        epoch = self._epoch = next(_epochs)
        self._position = self._expected = offset
        await self._intake.seek(self.tp, offset, epoch)
        if epoch == self._epoch:  # not suspended meanwhile
            self._flowing = True
            self._intake.wake()

    async def _next(self, task: Task) -> Fetch | None:
        """The next fetch; None when nothing came for a tick, or nothing waits and the task has more to do.

        Never returns while suspended.
        """
        self._at_rest.set()
        try:
            while True:
                patience = 0.0 if task.has_more and not self._suspended else self._tick_seconds
                if self._waiting and not self._suspended:
                    patience = self._rest.left(self._waiting[0], time.monotonic())
                    if not patience:
                        fetch = self._waiting.popleft()
                        self._intake.wake()
                        return fetch
                self._news.clear()
                try:
                    async with asyncio.timeout(patience):
                        await self._news.wait()
                except TimeoutError:
                    if not self._waiting and not self._suspended:
                        return None
        finally:
            self._at_rest.clear()
