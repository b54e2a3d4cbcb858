"""The whole pipeline on a real broker: `tagger` commands, and `tagger worker` processes started, awaited, ended.

    pipeline = Pipeline.create(kafka.bootstrap, "run1.", folder, redis_url=url)
    with pipeline.running():
        pipeline.start_worker()
        pipeline.tagger("replay", str(data("berka")), "--format", "berka")
        await pipeline.settle()

What the topics hold then is read and judged by `seen.py`. Runs as a program too: `tagger`, with a fault planted
where `FAIL_IN` says (`fold`, `ingest` or `project`), at the event id or customer in `FAIL_ON`, while the file in
`FAIL_WHILE` exists.
"""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from counting_run import until

from schemas.topics import CUSTOMERS, INPUTS, JOURNAL
from streams.child import Child
from streams.clients import committed_offsets, offset_ranges, open_reader
from streams.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "streams.cli.main"]
READS = {"ingest": INPUTS, "decide": (JOURNAL,), "project": (CUSTOMERS,)}
"""What each stage's consumer group reads."""
_COMMAND_SECONDS = 120
SETTLE_SECONDS = 180
"""A whole file takes 20 s on two free cores."""


def data(name: str) -> Path:
    """A folder of the public data, which is not ours to ship: skip or, in CI, fail without it."""
    folder = Path(os.environ.get("TAGGER_DATA", ROOT.parent / "shared" / "data")) / name
    if not folder.is_dir():
        told = f"expected the data in {folder}; TAGGER_DATA says where it is"
        if os.environ.get("CI") == "true":
            pytest.fail(told, pytrace=False)
        pytest.skip(told)
    return folder


class Worker:
    """A `tagger worker` process with all three stages, and its log."""

    def __init__(self, command: Sequence[str], log: Path, env: dict[str, str]) -> None:
        self.log = log
        self.child = Child(command, log, env)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's lines of one event."""
        lines = [line for line in self.log.read_bytes().splitlines() if line.startswith(b"{")]
        return [line for line in map(msgspec.json.decode, lines) if line["event"] == name]

    def has_taken_over(self, stage: str, partitions: int) -> bool:
        return len([event for event in self.events("taken over") if event["stage"] == stage]) >= partitions

    async def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        await until(lambda: not self.child.running, f"the end of the worker, see {self.log}")
        return self.child.kill()

    async def leave(self) -> int:
        """Ask it to stop; its exit code."""
        return await asyncio.to_thread(self.child.stop, 40.0)


class Pipeline:
    """One deployment on a broker that others use too."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.workers: list[Worker] = []

    @classmethod
    def create(cls, bootstrap: str, prefix: str, folder: Path, **options: Any) -> Self:
        """With its topics, by `tagger topics create`."""
        values = {"clock": "events", "partitions": 4, "tick_seconds": 0.5, "session_timeout_ms": 6000}
        settings = Settings(
            bootstrap=bootstrap,
            topic_prefix=prefix,
            app=prefix.rstrip("."),
            **{"rules": ROOT / "rules"} | values | options,
        )
        pipeline = cls(settings, folder)
        pipeline.tagger("topics", "create")
        return pipeline

    @property
    def environment(self) -> dict[str, str]:
        names = self.settings.model_fields_set - {"clock_topics", "rates"}
        return {**os.environ, **{f"TAGGER_{name.upper()}": str(getattr(self.settings, name)) for name in names}}

    def tagger(self, *arguments: str) -> str:
        """Run a command; what it printed to standard output."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )
        assert done.returncode == 0, f"tagger {' '.join(arguments)}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def start_worker(self, **planted: str) -> Worker:
        """Another worker; `planted` are the variables of the fault, see above."""
        command = [sys.executable, __file__] if planted else COMMAND
        log = self.folder / f"worker-{len(self.workers)}.log"
        worker = Worker([*command, "worker"], log, self.environment | planted)
        self.workers.append(worker)
        return worker

    async def settle(self, *stages: str) -> None:
        """Wait until these stages, all when none is named, have nothing left to read, stage by stage."""
        deadline = time.monotonic() + SETTLE_SECONDS
        for stage in stages or READS:
            while not await self.has_read_all(stage):
                assert time.monotonic() < deadline, f"{stage} has not read everything, see {self.folder}"
                await asyncio.sleep(0.2)

    async def leave(self) -> None:
        """Stop all workers that run; each must end well."""
        running = [worker for worker in self.workers if worker.child.running]
        assert [await worker.leave() for worker in running] == [0] * len(running)

    async def committed(self, stage: str) -> dict[TopicPartition, Any]:
        """Offsets and metadata of a stage's group, for every partition it reads."""
        return await committed_offsets(
            self.settings, f"{self.settings.app}-{stage}", self.partitions(*READS[stage])
        )

    def partitions(self, *topics: str) -> list[TopicPartition]:
        """All partitions of topics, given by their contract names."""
        return [
            TopicPartition(self.settings.topic(topic), number)
            for topic in topics
            for number in range(self.settings.partitions)
        ]

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Ends every worker at the end, well or not."""
        try:
            yield self
        finally:
            for worker in self.workers:
                worker.child.kill()

    async def has_read_all(self, stage: str) -> bool:
        """Whether a stage has committed all that lies there for it now."""
        assert all(worker.child.returncode in (None, 0) for worker in self.workers), "a worker failed, see its log"
        committed = await self.committed(stage)
        ends = await _ends_of_records(self.settings, self.partitions(*READS[stage]))
        return all(end == 0 or (tp in committed and committed[tp].offset >= end) for tp, end in ends.items())


async def _ends_of_records(settings: Settings, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """The offset after the last committed record of each partition; markers and aborted records may follow it."""
    starts = {tp: start for tp, (start, _) in (await offset_ranges(settings, tps)).items()}
    async with open_reader(settings) as consumer:
        consumer.assign(list(tps))
        stable = await consumer.end_offsets(list(tps))
        return {tp: await _end_of_records(consumer, tp, starts[tp], stable[tp]) for tp in tps}


async def _end_of_records(consumer: AIOKafkaConsumer, tp: TopicPartition, start: int, stable: int) -> int:
    back = 4
    while stable > start:
        first = max(start, stable - back)
        consumer.seek(tp, first)
        last = -1
        while await consumer.position(tp) < stable:
            for record in (await consumer.getmany(tp, timeout_ms=200)).get(tp, []):
                last = max(last, record.offset if record.offset < stable else -1)
        if last >= 0 or first == start:
            return last + 1
        back *= 16
    return 0


class PlantedError(Exception):
    """The fault."""


def _plant() -> None:
    """Make one function of a stage fail on one event or customer while the file is there."""
    import streams.stages.project  # noqa: PLC0415 - only as a program
    from schemas.decode import Decoder  # noqa: PLC0415
    from tagger.folding.fold import Fold  # noqa: PLC0415

    owner, name, mark_of = {
        "ingest": (Decoder, "decode", lambda _self, _topic, _partition, _offset, value: _event_id(value)),
        "fold": (Fold, "fold_event", lambda _self, _state, event, _is_new: event.event_id),
        "project": (streams.stages.project, "project_customer", lambda customer_id, *_: customer_id),
    }[os.environ["FAIL_IN"]]
    whole = getattr(owner, name)
    fail_on, fail_while = os.environ["FAIL_ON"], Path(os.environ["FAIL_WHILE"])

    def planted(*arguments: Any) -> Any:
        if mark_of(*arguments) == fail_on and fail_while.exists():
            raise PlantedError
        return whole(*arguments)

    setattr(owner, name, planted)


def _event_id(value: bytes | None) -> str | None:
    found = re.search(rb'"event_id":"([^"]*)"', value or b"")
    return found and found[1].decode()


if __name__ == "__main__":
    from streams.cli.main import main

    _plant()
    main()
