"""Where the CPU of a piece of Python goes, by a timer that runs with the CPU time of the process.

At each tick of the timer the innermost function on the stack that belongs to a part is looked for. It costs a few
microseconds every 4 ms, where a profiler that sees every call would double the price of short functions.
"""

import gc
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

_SECONDS = 0.004


class Sampler:
    """Counts samples of the main thread while `running`.

    Args:
        parts: functions by the part that they and what they call belong to.
        rest: the part of everything else.

    Attributes:
        cpu_seconds: of the process while running.
    """

    def __init__(self, parts: Mapping[str, tuple[Callable[..., Any], ...]], rest: str) -> None:
        self._part_of: dict[CodeType, str] = {
            function.__code__: part for part, functions in parts.items() for function in functions
        }
        self._rest = rest
        self._counts: Counter[str] = Counter(dict.fromkeys([*parts, rest], 0))
        self.cpu_seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample, with garbage collection held back as a worker does it."""
        before = signal.signal(signal.SIGPROF, self._take)
        gc.collect()
        gc.disable()
        signal.setitimer(signal.ITIMER_PROF, _SECONDS, _SECONDS)
        began = time.process_time()
        try:
            yield
        finally:
            self.cpu_seconds += time.process_time() - began
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
            gc.enable()

    def shares(self) -> dict[str, float]:
        """Each part's share of the samples, all 0 when there was none."""
        total = max(self._counts.total(), 1)
        return {part: count / total for part, count in self._counts.items()}

    def _take(self, _number: int, frame: FrameType | None) -> None:
        while frame is not None:
            part = self._part_of.get(frame.f_code)
            if part is not None:
                self._counts[part] += 1
                return
            frame = frame.f_back
        self._counts[self._rest] += 1
