"""An asyncio event loop with a clock of its own and processes that can be paused and killed.

Time stands still while anything can run, and jumps to the next timer when nothing can. Every callback belongs to
the process in whose context it was made; callbacks of one process run in asyncio's own order, which code may rely
on, and between processes the seed chooses. A paused process is skipped (SIGSTOP), a dead one never runs again
(SIGKILL): its coroutines stop where they are, no `finally` runs.
"""

import asyncio
import heapq
import warnings
from collections import deque
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Any
from weakref import WeakSet

PROCESS: ContextVar["Process | None"] = ContextVar("process", default=None)
"""Whose code is running; None is the world: broker, network, bank and the faults."""


class StuckError(Exception):
    """Nothing can ever run again."""


class CrashError(BaseException):
    """The process whose code is running was killed."""


@dataclass(eq=False)
class Process:
    """One worker process.

    Attributes:
        paused_until, cut_until: simulated seconds; stopped, or without a network, until then.
    """

    name: str
    is_dead: bool = False
    paused_until: float = 0.0
    cut_until: float = 0.0
    ready: deque[Any] = field(default_factory=deque)
    tasks: "WeakSet[asyncio.Task[Any]]" = field(default_factory=WeakSet)
    body: list[Any] = field(default_factory=list)
    context: Context = field(default_factory=Context)

    def __post_init__(self) -> None:
        self.context = copy_context()
        self.context.run(PROCESS.set, self)

    def kill(self) -> None:
        """End it where it stands."""
        self.is_dead = True
        self.body = list(self.tasks)  # collected only when all is over: no finally may run before
        self.ready.clear()


class SimulatedLoop(asyncio.BaseEventLoop):
    """The loop of one run."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random
        self._now = 0.0
        self._clock_resolution = 1e-9
        self._world = Process("world")
        self._world.context = copy_context()
        self._processes: list[Process] = [self._world]
        self._ever: list[Process] = [self._world]
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        self.steps = 0
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _loop, _context: None)

    def time(self) -> float:
        return self._now

    def start_process(self, name: str) -> Process:
        """A new process; run things in its `context`."""
        process = Process(name)
        self._processes = [one for one in self._processes if not one.is_dead]
        self._processes.append(process)
        self._ever.append(process)
        return process

    def world_context(self) -> Context:
        """What the world's callbacks run in."""
        return self._world.context

    def _make_task(self, loop: Any, coro: Any, context: Context | None = None) -> Any:
        task = asyncio.Task(coro, loop=loop, context=context) if context else asyncio.Task(coro, loop=loop)
        process = (context or copy_context()).get(PROCESS) if context else PROCESS.get()
        (process or self._world).tasks.add(task)
        return task

    # asyncio's own calls do the same with more checks; a run makes half a million

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        handle = asyncio.Handle(callback, args, self, context)
        self._enqueue(handle)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def _enqueue(self, handle: Any) -> None:
        process = handle._context.get(PROCESS) or self._world
        if not process.is_dead:
            process.ready.append(handle)

    def _timer_handle_cancelled(self, handle: Any) -> None:
        """Dropped when its time comes."""

    def _write_to_self(self) -> None:
        """Nobody waits in a selector."""

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """What a killed process left open stays open."""

    def _run_once(self) -> None:
        processes, choose = self._processes, self._random.choice
        while not self._stopping:  # type: ignore[attr-defined]
            now = self._now
            runnable = [one for one in processes if one.ready and one.paused_until <= now]
            if not runnable:
                self._advance()
                return
            process = runnable[0] if len(runnable) == 1 else choose(runnable)
            handle = process.ready.popleft()
            if not handle._cancelled:
                self.steps += 1
                handle._run()
                processes = self._processes

    def _advance(self) -> None:
        """Go to the next timer, or the next end of a pause."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        times = [one.paused_until for one in self._processes if one.ready and one.paused_until > self._now]
        if timers:
            times.append(timers[0][0])
        if not times:
            raise StuckError(f"nothing left to run at {self._now:.3f} s")
        self._now = max(self._now, min(times))
        while timers and timers[0][0] <= self._now:
            handle = heapq.heappop(timers)[2]
            if not handle._cancelled:
                self._enqueue(handle)

    def dispose(self) -> None:
        """Unwind what never ended, quietly; nothing of it has an effect any more."""
        for process in self._ever:
            if not process.is_dead:
                process.kill()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for process in self._ever:
                for task in process.body:
                    if not task.done():
                        task._log_destroy_pending = False
                        _unwind(task.get_coro())
                process.body.clear()
        self.close()


def _unwind(coroutine: Any) -> None:
    for _ in range(20):
        try:
            coroutine.close()
        except BaseException:
            continue
        return
