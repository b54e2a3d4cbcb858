"""Sends the stream to the input topics, spread over the time that the faults take.

One idempotent producer with a long patience: a broker that is away holds the feed up and loses nothing of it.
"""

import asyncio
import time
from collections.abc import Iterator
from itertools import islice

from aiokafka import AIOKafkaProducer

from schemas.topics import CONTROL_HEADER, INPUTS
from streams.settings import Settings

from .bank import QUIET_SHARE, Sent

_PATIENCE_MS = 180_000
_CHUNKS_A_SECOND = 3
_SLOWEST, _FASTEST = 20.0, 1000.0
"""Records a second."""
_TRICKLE = 6.0
_AT_FIRST_SECONDS = 600.0
"""What the stream is spread over until somebody knows better."""


class Feed:
    """The stream on its way in.

    Args:
        records: all of them.
        count: how many they are.

    Attributes:
        is_last: the last part may go too, which is held back while faults strike: a partition to which nothing
            comes has no next tag.
    """

    def __init__(self, settings: Settings, records: Iterator[Sent], count: int) -> None:
        self._settings = settings
        self._records = records
        self._count = count
        self.sent = 0
        self.is_last = False
        self.spread_over(_AT_FIRST_SECONDS)

    def spread_over(self, seconds: float) -> None:
        """Set the rate so that what is left takes about this long."""
        self._rate = min(_FASTEST, max(_SLOWEST, (self._count - self.sent) / max(seconds, 0.1)))

    async def run(self) -> None:
        """Send everything, framed by what says that a recorded run begins and ends."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.bootstrap, enable_idempotence=True, request_timeout_ms=_PATIENCE_MS
        )
        await producer.start()
        try:
            await self._control(producer, b"begin")
            await self._send_all(producer)
            await self._control(producer, b"end")
        finally:
            await producer.stop()

    async def _send_all(self, producer: AIOKafkaProducer) -> None:
        due = time.monotonic()
        while chunk := list(islice(self._records, max(1, int(self._pace() / _CHUNKS_A_SECOND)))):
            sends = [
                await producer.send(
                    self._settings.topic(one.topic), one.value, one.key, one.partition, headers=one.headers
                )
                for one in chunk
            ]
            await asyncio.gather(*sends)
            self.sent += len(chunk)
            # what an absent broker held up is not made up for in one burst
            due = max(due + len(chunk) / self._pace(), time.monotonic() - 1.0)
            await asyncio.sleep(due - time.monotonic())

    def _pace(self) -> float:
        """Records a second at this moment."""
        is_near_end = self.sent > self._count * (1 - QUIET_SHARE)
        return _TRICKLE if is_near_end and not self.is_last else self._rate

    async def _control(self, producer: AIOKafkaProducer, word: bytes) -> None:
        for topic in self._settings.clock_topics:
            assert topic in INPUTS
            for partition in range(self._settings.partitions):
                await producer.send_and_wait(
                    self._settings.topic(topic), None, b"control", partition, headers=[(CONTROL_HEADER, word)]
                )
