"""Requests and answers between processes and servers: late, lost, doubled, cut off.

What is on its way arrives even if its sender is killed, fenced or cancelled meanwhile. A request may fail in two
ways that look the same to who sent it: it never arrived, or the answer was lost.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from aiokafka.errors import KafkaTimeoutError

from .loop import PROCESS, Process, SimulatedLoop

T = TypeVar("T")


@dataclass(slots=True)
class Weather:
    """How bad the network is. Shares are between 0 and 1, times in seconds."""

    mean_seconds: float = 0.003
    slow_share: float = 0.0
    slow_seconds: float = 1.0
    lost_share: float = 0.0
    doubled_share: float = 0.0


class Network:
    """Everything that passes between a process and the servers."""

    def __init__(self, loop: SimulatedLoop, random: Random) -> None:
        self.weather = Weather()
        self._loop = loop
        self._random = random

    async def call(
        self, work: Callable[[], T], *, lossy: bool = True, lost: Callable[[], Exception] = KafkaTimeoutError
    ) -> T:
        """Have a server do something, and give what it answers.

        Args:
            work: run when the request arrives; twice when it is doubled, so it must be what a server does with
                the same request again.
            lossy: whether the request or its answer may be lost; raises `lost`.
        """
        loop, random, weather = self._loop, self._random, self.weather
        process = PROCESS.get()
        future: asyncio.Future[Any] = loop.create_future()
        if process is not None and process.is_dead:
            return await future  # for ever
        home = loop.world_context() if process is None else process.context

        def answer(result: Any, error: Exception | None) -> None:
            if not future.done():
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)

        def arrive() -> None:
            result: Any = None
            error: Exception | None = None
            try:
                result = work()
                if weather.doubled_share and random.random() < weather.doubled_share:
                    result = work()
            except Exception as raised:
                error = raised
            if lossy and weather.lost_share and random.random() < weather.lost_share:
                result, error = None, lost()
            loop.call_later(self._delay(process), answer, result, error, context=home)

        if lossy and weather.lost_share and random.random() < weather.lost_share:
            loop.call_later(self._delay(process) + random.random(), answer, None, lost(), context=home)
        else:
            loop.call_later(self._delay(process), arrive, context=loop.world_context())
        return await future

    async def wait_for(self, ask: Callable[[], "asyncio.Future[T]"]) -> T:
        """As `call`, for what a server answers only later."""
        coming = await self.call(ask, lossy=False)
        loop = self._loop
        process = PROCESS.get()
        future: asyncio.Future[Any] = loop.create_future()
        home = loop.world_context() if process is None else process.context

        def answer(result: Any) -> None:
            if not future.done():
                future.set_result(result)

        def arrived(done: "asyncio.Future[T]") -> None:
            if not done.cancelled():
                loop.call_later(self._delay(process), answer, done.result(), context=home)

        coming.add_done_callback(arrived, context=loop.world_context())
        return await future

    def _delay(self, process: Process | None) -> float:
        random, weather = self._random, self.weather
        delay = random.expovariate(1 / weather.mean_seconds)
        if weather.slow_share and random.random() < weather.slow_share:
            delay += random.random() * weather.slow_seconds
        if process is not None and process.cut_until > self._loop.time():
            delay += process.cut_until - self._loop.time()
        return delay
