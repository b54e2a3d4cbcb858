"""A midnight at which every idle customer has a deadline, while the events of others keep coming.

The states stand in the changelog before the worker starts (see `bench.changelog`), and the journal is written here
in place of ingest: `bench.midnight_feed` says how, `bench.midnight_watch` how the worker's work is measured.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from kafka_broker import KafkaBroker

from bench.changelog import MODELS, fold_made_up_bank, write_changelog
from bench.job import PARTITIONS
from bench.machine import describe_machine, load_average
from bench.measure import Progress, StuckError, cpu_seconds, peak_bytes
from bench.midnight_eve import eve_of
from bench.midnight_feed import OTHERS, RATE, Feed
from bench.midnight_report import MidnightReport, Others
from bench.midnight_watch import Watch
from bench.workers import ROOT, BenchError, wait_for_event, worker_of
from schemas.topics import JOURNAL, TAGS
from streams.child import Child
from streams.clients import read_topic
from streams.settings import Settings
from streams.topics import create

_LEAD_SECONDS = 5.0
"""How long at most the worker warms up before it is measured, and how shortly before midnight an event counts as
one of the midnight, because it may still be on its way then."""
_TAKE_OVER_SECONDS = 600.0
_PATIENCE_SECONDS = 300.0
_TAGS_SECONDS = 20.0
_POLL_SECONDS = 0.02

Say = Callable[[str], None]


def run_midnight(customers: int, seconds: float, results: Path, say: Say) -> MidnightReport:
    """Measure a midnight, and write the report into the folder `results`.

    Args:
        customers: idle ones, each with a deadline at the midnight.
        seconds: how long others' events are measured before it, and after it.

    Raises:
        BenchError, StuckError: the worker did not do the work.
        MissingPartError: no Java or Maven here.
    """
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tagger-bench-")))
        kafka = stack.enter_context(KafkaBroker(heap="1g"))
        settings = Settings(
            bootstrap=kafka.bootstrap,
            app="bench-midnight",
            topic_prefix="midnight.",
            rules=ROOT / "rules",
            partitions=PARTITIONS,
            clock="events",
            push_recorded=True,
        )
        report = asyncio.run(_measure(settings, customers, seconds, folder, say))
    report.write(results)
    return report


async def _measure(settings: Settings, customers: int, seconds: float, folder: Path, say: Say) -> MidnightReport:
    load = load_average()
    await create(settings)
    say("folding a made-up bank")
    eve = eve_of(await fold_made_up_bank(settings), settings, seconds + 2 * _lead(seconds))
    say(f"writing {customers:,} customers")
    await write_changelog(settings, eve.copies(customers), eve.bank.meta)
    say("restoring")
    began = time.time()
    feed = Feed(settings, eve.begin_ms, eve.midnight_ms)
    watch = Watch(settings, customers, eve.midnight_ms, feed.waiting)
    with worker_of(settings, "decide", folder) as child:
        await wait_for_event(child, "taken over", PARTITIONS, _TAKE_OVER_SECONDS)
        restored = peak_bytes(child.pid)
        async with watch:
            night = _Night(child, feed, watch, seconds)
            await night.run(settings, say)
        tags = await _check_tags(settings, eve.tags(feed.ticks, customers))
        peak = peak_bytes(child.pid)
    assert feed.midnight_at is not None
    assert watch.finished_at is not None
    return MidnightReport(
        began=began,
        customers=customers,
        models=MODELS,
        due_models=len(eve.models),
        partitions=PARTITIONS,
        rate=RATE,
        tags=tags,
        seconds=watch.finished_at - feed.midnight_at,
        cpu_seconds=night.cpu_seconds,
        idle_cpu_share=night.idle_cpu_share,
        behind_seconds=night.caught_up_at - watch.finished_at,
        others=night.others(),
        transactions=watch.transactions,
        restored_bytes=restored,
        peak_bytes=peak,
        machine=describe_machine() | {"load before and after": f"{load} / {load_average()}"},
    )


class _Night:
    """The worker from the first event on until it has come to rest after midnight."""

    def __init__(self, child: Child, feed: Feed, watch: Watch, seconds: float) -> None:
        self._child, self._feed, self._watch = child, feed, watch
        self._seconds, self._lead = seconds, _lead(seconds)
        self._tasks: list[asyncio.Task[None]] = []
        self._measured_from = self.caught_up_at = 0.0
        self.cpu_seconds = 0.0
        self.idle_cpu_share = 0.0

    async def run(self, settings: Settings, say: Say) -> None:
        child, feed, watch = self._child, self._feed, self._watch
        say(f"{RATE} events a second of {OTHERS:,} others")
        feeding, reading = asyncio.create_task(feed.run()), asyncio.create_task(watch.run())
        self._tasks = [feeding, reading]
        await asyncio.sleep(self._lead)
        self._measured_from, cpu = time.monotonic(), cpu_seconds(child.pid)
        await self._until(lambda: feed.midnight_at is not None)
        midnight_cpu = cpu_seconds(child.pid)
        self.idle_cpu_share = (midnight_cpu - cpu) / (time.monotonic() - self._measured_from)
        say("midnight")
        await self._until(lambda: watch.finished_at is not None)
        self.cpu_seconds = cpu_seconds(child.pid) - midnight_cpu
        say("catching up")
        await self._until(lambda: feed.waiting.since() > (watch.finished_at or 0.0))
        self.caught_up_at = time.monotonic()
        await asyncio.sleep(self._seconds)
        feed.stop()
        await feeding
        self._tasks = [reading]
        async with Progress(settings.bootstrap) as progress:
            ends = await progress.ends(settings.topic(JOURNAL))
        await self._until(
            lambda: (
                not feed.waiting.count and all(watch.positions[tp.partition] >= end for tp, end in ends.items())
            )
        )
        reading.cancel()

    def others(self) -> dict[str, Others]:
        """How long the others' events took, by when they were appended."""
        assert self._feed.midnight_at is not None
        begin, end = self._feed.midnight_at - self._lead, self.caught_up_at
        phases: dict[str, list[float]] = {"before": [], "from midnight until caught up": [], "after": []}
        before, meanwhile, after = phases.values()
        for appended_at, took in self._watch.latencies:
            if appended_at >= end:
                after.append(took)
            elif appended_at >= begin:
                meanwhile.append(took)
            elif appended_at >= self._measured_from:
                before.append(took)
        return {phase: Others.of(latencies) for phase, latencies in phases.items()}

    async def _until(self, is_so: Callable[[], bool]) -> None:
        moved_at, before = time.monotonic(), None
        while not is_so():
            for task in self._tasks:
                if task.done():
                    task.result()
            now = (self._watch.left, self._watch.transactions.count)
            if now != before:
                moved_at, before = time.monotonic(), now
            if not self._child.running or time.monotonic() - moved_at > _PATIENCE_SECONDS:
                raise StuckError(f"expected the worker to go on, {now[0]} left:\n{self._child.log_tail()}")
            await asyncio.sleep(_POLL_SECONDS)


async def _check_tags(settings: Settings, expected: int) -> int:
    """Count the committed tags of the idle customers; the last may still be on their way."""
    topic, deadline = settings.topic(TAGS), time.monotonic() + _TAGS_SECONDS
    while True:
        keys = [record.key or b"" async for record in read_topic(settings, topic, whole=True)]
        found = sum(key.startswith(b"R") for key in keys)
        if found == expected:
            return found
        if time.monotonic() > deadline:
            raise BenchError(f"expected {expected} tags of idle customers, found {found}")
        await asyncio.sleep(1)


def _lead(seconds: float) -> float:
    return min(_LEAD_SECONDS, seconds)
