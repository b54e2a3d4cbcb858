"""One run: a broker, a Redis, the job, and each contender after the other, alone on the machine but for these."""

import asyncio
import logging
import tempfile
import time
from array import array
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from aiokafka import TopicPartition
from kafka_broker import KafkaBroker
from redis_server import RedisServer

from bench.clients import TagReader, create_topics, feed, feed_at
from bench.job import PARTITIONS, Bank
from bench.machine import describe_machine, load_average
from bench.measure import Lag, Speed, cpu_seconds
from bench.packs import RULES, run_all_packs
from bench.report import Latency, Report, Restore, Result, StateSize
from bench.stand import INPUTS, Say, Stand, lag_of
from bench.workers import log_events, wait_for_event
from schemas.topics import CUSTOMERS, TAGS, TRANSACTIONS
from streams.stages.restore import restore
from streams.topics import create

SETTLE_SECONDS = 5.0
"""Time at most before a paced run for the worker to come to rest, and after it for the last tags to arrive."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a run is.

    Attributes:
        usual_events: events for Faust written the usual way, which takes 10 times as long an event.
        live_seconds: how long the paced run takes that latency is measured on.
    """

    events: int
    customers: int
    usual_events: int
    live_seconds: float


class Run:
    """The deployments of one run, and the job."""

    def __init__(self, size: Size, stand: Stand) -> None:
        self._size, self._stand, self._say = size, stand, stand.say
        self._bank = Bank(size.events, size.customers)
        self._stages = stand.settings("stages", 0)
        self._whole = stand.settings("whole", 1)
        self._packs = stand.settings("packs", 2, RULES)
        self._tags = 0

    async def all(self) -> Report:
        """Measure everything."""
        load = load_average()
        began = time.time()
        self._say("writing the job's input")
        await self._write_input()
        stages = await self._each_stage()
        packs_speed, packs = await run_all_packs(self._stand, self._packs, self._size.events)
        whole = await self._whole_pipeline()
        latency = await self._latency(whole.speed.events_a_second / 2)
        results = [*stages, Result("all packs", packs_speed), whole, await self._usual()]
        return Report(
            began=began,
            size={
                "events": self._size.events,
                "customers": self._size.customers,
                "partitions": PARTITIONS,
                "events of the usual way": self._size.usual_events,
            },
            machine=describe_machine() | {"load before and after": f"{load} / {load_average()}"},
            results=results,
            packs=packs,
            latency=latency,
            state=await self._state_size(),
            restore=await self._restore(),
        )

    async def _write_input(self) -> None:
        deployments = (self._stages, self._packs, self._whole)
        for settings in deployments:
            await create(settings)
        inputs = [settings.topic(TRANSACTIONS) for settings in deployments]
        await feed(self._stand.bootstrap, self._bank, self._size.events, inputs)
        self._tags = self._bank.tags

    # Contenders

    async def _each_stage(self) -> list[Result]:
        """Ingest, decide and project one after the other, each with all its input written before; decide between
        two runs of the spike, because what else the machine does changes within minutes."""
        ingest = await self._stage("ingest")
        before = await self._spike("spike-before")
        decide = await self._stage("decide")
        await self._stand.check_tags("decide", self._stages.topic(TAGS), self._tags)
        after = await self._spike("spike-after")
        return [ingest, decide, await self._stage("project"), Result("spike", before + after)]

    async def _stage(self, stage: str) -> Result:
        self._say(stage)
        return Result(stage, await self._stand.run_stage(self._stages, stage, self._size.events))

    async def _whole_pipeline(self) -> Result:
        self._say("ingest, decide and project in one process")
        lags = [lag_of(self._whole, stage) for stage in INPUTS]
        with self._stand.worker(self._whole, "ingest,decide,project") as child:
            measured = await self._stand.watch(child, lags, self._size.events)
        await self._stand.check_tags("the whole pipeline", self._whole.topic(TAGS), self._tags)
        return Result("whole pipeline", measured)

    async def _spike(self, name: str) -> Speed:
        self._say("the spike")
        topic = self._stages.topic(TRANSACTIONS)
        names = {"TAGS": f"{name}.tags", "CHANGELOG": f"{name}.changelog"}
        await create_topics(self._stand.bootstrap, names.values())
        with self._stand.program("spike", topic, APP=f"bench-{name}", **names) as child:
            measured = await self._stand.watch(child, [Lag(f"bench-{name}", topic)], self._size.events)
        await self._stand.check_tags("the spike", names["TAGS"], self._tags)
        return measured

    async def _usual(self) -> Result:
        self._say("Faust written the usual way")
        events = self._size.usual_events
        # its own bank, so that the tags of a part of the events are known
        bank = Bank(self._size.events, self._size.customers)
        await create_topics(self._stand.bootstrap, ["usual.transactions", "usual.tags"])
        await feed(self._stand.bootstrap, bank, events, ["usual.transactions"])
        with self._stand.program("usual", "usual.transactions", TAGS="usual.tags") as child:
            measured = await self._stand.watch(child, [Lag("bench-usual", "usual.transactions")], events)
        await self._stand.check_tags("Faust written the usual way", "usual.tags", bank.tags)
        return Result("usual", measured)

    # The rest

    async def _latency(self, rate: float) -> Latency:
        self._say(f"{rate:,.0f} events a second for {self._size.live_seconds:.0f} s")
        settings, seconds = self._whole, self._size.live_seconds
        settle = min(SETTLE_SECONDS, seconds)
        produced: array[float] = array("d")
        measured: list[float] = []
        first = self._bank.made
        with self._stand.worker(settings, "ingest,decide,project") as child:
            await wait_for_event(child, "ready")
            await asyncio.sleep(settle)
            async with TagReader(self._stand.bootstrap, settings.topic(TAGS)) as reader:
                reading = asyncio.create_task(reader.read_latencies(first, produced, measured))
                cpu, began = cpu_seconds(child.pid), time.monotonic()
                topic = settings.topic(TRANSACTIONS)
                await feed_at(self._stand.bootstrap, self._bank, topic, rate, seconds, produced)
                share = (cpu_seconds(child.pid) - cpu) / (time.monotonic() - began)
                await asyncio.sleep(settle)
                if reading.done():
                    reading.result()
                reading.cancel()
        return Latency.of(measured, rate=len(produced) / seconds, cpu_share=share)

    async def _state_size(self) -> StateSize:
        sizes: list[int] = []
        for number in range(PARTITIONS):
            changelog = TopicPartition(self._stages.topic(CUSTOMERS), number)
            restored = await restore(self._stages, changelog)
            sizes += [len(customer) + len(state) for customer, state in restored.customers.items()]
        return StateSize.of(sizes)

    async def _restore(self) -> Restore:
        self._say("restore")
        began = time.monotonic()
        with self._stand.worker(self._stages, "decide") as child:
            await wait_for_event(child, "ready")
            ready = time.monotonic() - began
            lines = log_events(child.log, "restored")
        return Restore(
            customers=sum(int(line["customers"]) for line in lines),
            records=sum(int(line["records"]) for line in lines),
            seconds=max(float(line["seconds"]) for line in lines),
            ready_seconds=ready,
        )


def run_bench(size: Size, results: Path, say: Say) -> Report:
    """Run everything, and write the report into the folder `results`.

    Raises:
        BenchError, StuckError: a contender did not do the job.
        MissingPartError: no Java, Maven or Redis here.
    """
    size = replace(size, usual_events=min(size.usual_events, size.events))
    # a topic just made has no leader for a moment, and every retry would be told
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tagger-bench-")))
        kafka = stack.enter_context(KafkaBroker(heap="1g"))
        redis = stack.enter_context(RedisServer())
        report = asyncio.run(Run(size, Stand(kafka, redis, folder, say)).all())
    report.write(results)
    return report
