"""A deployment of counting workers on a real broker: journal in, tags out, worker processes started and ended."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from counting import CountingPartition, NoRulebooks, expected_tags, journal_value

from schemas.topics import JOURNAL, TAGS
from streams.clients import committed_offsets, open_producer, read_topic
from streams.partitioner import partition_of
from streams.settings import Settings
from streams.stages.decide import DecideTask
from streams.topics import create

Event = tuple[str, str]
"""Customer id and event id."""

WAIT_SECONDS = 180.0
"""Long enough for a machine with five times as much work as it has cores."""


async def until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for a condition, or fail saying what never came."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        met = condition()
        if met if isinstance(met, bool) else await met:
            return
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS:.0f} s for {what}"
        await asyncio.sleep(0.05)


class WorkerProcess:
    """A `counting.py` process and its log."""

    def __init__(self, log: Path, environment: dict[str, str]) -> None:
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).parent / "counting.py")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **environment},
            )

    def events(self, name: str) -> list[dict[str, object]]:
        """The log's lines of one event."""
        lines = [line for line in self.log.read_bytes().splitlines() if line.startswith(b"{")]
        return [line for line in map(msgspec.json.decode, lines) if line["event"] == name]

    def is_running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code, once it has ended."""
        await until(lambda: self._process.poll() is not None, f"the end of the worker, see {self.log}")
        return self._process.wait()

    async def leave(self) -> int:
        """Ask it to stop; its exit code."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


class Deployment:
    """One journal, its workers, and the events put into it."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.events: list[Event] = []
        self._workers: list[WorkerProcess] = []

    @classmethod
    async def create(cls, bootstrap: str, prefix: str, folder: Path, **options: object) -> Self:
        """With its topics."""
        values = {"partitions": 4, "session_timeout_ms": 6000, "transaction_timeout_ms": 5000} | options
        settings = Settings(bootstrap=bootstrap, topic_prefix=prefix, app=prefix.rstrip("."), **values)
        await create(settings)
        return cls(settings, folder)

    @property
    def journal(self) -> str:
        return self.settings.topic(JOURNAL)

    def place(self, customer: str) -> int:
        return partition_of(customer.encode(), self.settings.partitions)

    async def write(self, events: Sequence[Event], producer: AIOKafkaProducer | None = None) -> None:
        """Append events to the journal; they count as given."""
        await self.send(events, producer)
        self.events.extend(events)

    async def send(self, events: Sequence[Event], producer: AIOKafkaProducer | None = None) -> None:
        """Append events to the journal, which may be aborted yet: they do not count."""
        if producer is None:
            async with open_producer(self.settings) as own:
                await self.send(events, own)
            return
        sends = []
        for customer, event_id in events:
            value, key = journal_value(customer, event_id), customer.encode()
            sends.append(await producer.send(self.journal, value, key, self.place(customer)))
        await asyncio.gather(*sends)

    def start_worker(self, **environment: str) -> WorkerProcess:
        """Another worker process; ended with the deployment."""
        settings = self.settings
        given = {
            f"TAGGER_{name.upper()}": str(getattr(settings, name))
            for name in settings.model_fields_set
            if name != "clock_topics"
        }
        log = self.folder / f"worker-{len(self._workers)}.log"
        worker = WorkerProcess(log, given | environment)
        self._workers.append(worker)
        return worker

    def task(self, partition: int) -> DecideTask:
        """A task in this process, outside any group."""
        tp = TopicPartition(self.journal, partition)
        return DecideTask(self.settings, NoRulebooks(self.settings), tp, CountingPartition)  # type: ignore[arg-type]

    async def tags(self) -> dict[str, list[bytes]]:
        """Committed tags a customer, in order."""
        found: dict[str, list[bytes]] = {}
        async for record in read_topic(self.settings, self.settings.topic(TAGS), whole=True):
            found.setdefault(record.key.decode(), []).append(record.value)
        return found

    async def has_decided_all(self) -> bool:
        """Whether the group has committed every event written so far."""
        last: dict[TopicPartition, int] = {}
        async for record in read_topic(self.settings, self.journal):
            last[TopicPartition(record.topic, record.partition)] = record.offset
        group = f"{self.settings.app}-decide"
        committed = await committed_offsets(self.settings, group, list(last))
        return all(tp in committed and committed[tp].offset > offset for tp, offset in last.items())

    async def settle(self) -> None:
        """Wait until everything is decided, and compare with the oracle."""
        await until(self.has_decided_all, "every event to be decided")
        assert await self.tags() == expected_tags(self.events)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Ends every worker process at the end."""
        try:
            yield self
        finally:
            for worker in self._workers:
                worker.end()


def numbered(count: int, customers: int = 50, start: int = 0) -> list[Event]:
    """Events `e<start>` on, dealt out to customers in turn."""
    return [(f"C{number % customers}", f"e{number}") for number in range(start, start + count)]
