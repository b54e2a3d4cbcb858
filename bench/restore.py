"""Restore alone: a decide worker takes over a changelog of any number of customers.

The customers are copies of a made-up bank's, folded by the shipped packs, so that states have the size and the
deadlines that those packs give them; a state does not hold its customer's id. Each stands in the changelog once,
as after compaction.
"""

import asyncio
import json
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import msgspec
from aiokafka import TopicPartition
from kafka_broker import KafkaBroker
from redis_server import RedisServer

from bench.job import PARTITIONS
from bench.machine import describe_machine, load_average
from bench.measure import cpu_seconds, peak_bytes
from bench.workers import ROOT, log_events, wait_for_event, worker_of
from streams import topics as contract
from streams.activation import bootstrap, published
from streams.clients import offset_ranges
from streams.history import Refused, read_journal
from streams.partitioner import partition_of
from streams.settings import Settings
from streams.sources.formats import OpenSource
from streams.sources.simulate import Plan, simulate
from streams.unit import UnitOfWork
from tagger.meta import META_KEY, Meta, encode_meta
from tagger.partition import Partition
from tagger.plain_fold import fold

_MODELS = 500
_DAYS = 60
_BATCH_BYTES = 4_000_000
_SECONDS = 600.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore took.

    Attributes:
        state_bytes: of the changelog's values together.
        seconds: from fence to the last record of the slowest partition; they are read side by side.
        ready_seconds: from the start of the process until every partition is being processed.
        cpu_seconds: of the worker until then.
        peak_bytes: the worker's resident memory at most.
    """

    began: float
    customers: int
    partitions: int
    state_bytes: int
    seconds: float
    ready_seconds: float
    cpu_seconds: float
    peak_bytes: int
    machine: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write `<time>-restore-<customers>.json` and `.md`."""
        folder.mkdir(parents=True, exist_ok=True)
        name = datetime.fromtimestamp(self.began, UTC).strftime("%Y-%m-%dT%H%MZ") + f"-restore-{self.customers}"
        (folder / f"{name}.json").write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        (folder / f"{name}.md").write_text(self.page(), encoding="utf-8")

    def page(self) -> str:
        """The report in Markdown."""
        at = datetime.fromtimestamp(self.began, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return "\n".join(
            [
                f"# Restore of {self.customers:,} customers, {at}",
                "",
                f"One decide worker, {self.partitions} partitions, each customer once in the changelog, states as "
                "the shipped packs give them. CPU is the worker's, user and system, from its start on.",
                "",
                "| what | figure |",
                "|---|---|",
                f"| changelog read | {self.seconds:.1f} s, {self.customers / self.seconds:,.0f} a second |",
                f"| process started until all partitions are processed | {self.ready_seconds:.1f} s, "
                f"{self.cpu_seconds:.1f} s of CPU |",
                f"| state | mean {self.state_bytes / self.customers:,.0f} bytes |",
                f"| worker's memory at its peak | {self.peak_bytes / 1e6:,.0f} MB, "
                f"{self.peak_bytes / self.customers:,.0f} bytes a customer |",
                *[f"| {name} | {text} |" for name, text in self.machine.items()],
                "",
            ]
        )


def run_restore(customers: int, results: Path, say: Say) -> RestoreReport:
    """Measure a restore, and write the report into the folder `results`.

    Raises:
        BenchError: the worker did not come to work.
        MissingPartError: no Java, Maven or Redis here.
    """
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tagger-bench-")))
        kafka = stack.enter_context(KafkaBroker(heap="1g"))
        redis = stack.enter_context(RedisServer())
        settings = Settings(
            bootstrap=kafka.bootstrap,
            redis_url=redis.url,
            app="bench-restore",
            topic_prefix="restore.",
            rules=ROOT / "rules",
            partitions=PARTITIONS,
            clock="events",
        )
        report = asyncio.run(_measure(settings, customers, folder, say))
    report.write(results)
    return report


async def _measure(settings: Settings, customers: int, folder: Path, say: Say) -> RestoreReport:
    before = load_average()
    await contract.create(settings)
    digest = await bootstrap(settings)
    assert digest is not None
    say("folding a made-up bank")
    files = (await published(settings)).rulebooks[digest].files
    partition = Partition(settings.core(), {digest: files}.__getitem__)
    topics = frozenset({contract.TRANSACTIONS, contract.APP_EVENTS})
    source = OpenSource(simulate(Plan(customers=_MODELS, days=_DAYS)).records(), topics, Counter())
    meta = fold(partition, digest, read_journal(source, settings, int(time.time() * 1000), Refused(Counter())))
    say(f"writing {customers:,} customers")
    written = await _write(settings, partition, meta, customers)
    say("restoring")
    began, start = time.time(), time.monotonic()
    with worker_of(settings, "decide", folder) as child:
        await wait_for_event(child, "taken over", PARTITIONS, _SECONDS)
        ready = time.monotonic() - start
        lines = log_events(child.log, "restored")
        cpu, peak = cpu_seconds(child.pid), peak_bytes(child.pid)
    assert sum(int(line["customers"]) for line in lines) == customers
    return RestoreReport(
        began=began,
        customers=customers,
        partitions=PARTITIONS,
        state_bytes=written,
        seconds=max(float(line["seconds"]) for line in lines),
        ready_seconds=ready,
        cpu_seconds=cpu,
        peak_bytes=peak,
        machine=describe_machine() | {"load before and after": f"{before} / {load_average()}"},
    )


async def _write(settings: Settings, partition: Partition, meta: Meta, customers: int) -> int:
    """Write the changelog; returns the bytes of all states."""
    journal, changelog = settings.topic(contract.JOURNAL), settings.topic(contract.CUSTOMERS)
    ranges = await offset_ranges(settings, [TopicPartition(journal, number) for number in range(PARTITIONS)])
    unit = UnitOfWork(settings, "bench-restore-writer")
    await unit.fence()
    states, total = _copies(partition, customers), 0
    last = False
    while not last:
        async with unit.begin() as batch:
            last = True
            for key, state in states:
                batch.append(changelog, partition_of(key, PARTITIONS), key, state)
                total += len(state)
                if batch.size_bytes >= _BATCH_BYTES:
                    last = False
                    break
            if last:
                for tp, (_, end) in ranges.items():
                    value = encode_meta(msgspec.structs.replace(meta, next_offset=end))
                    batch.append(changelog, tp.partition, META_KEY.encode(), value)
            await batch.commit()
    await unit.close()
    return total


def _copies(partition: Partition, customers: int) -> Iterator[tuple[bytes, bytes]]:
    models = cycle(partition.customers.values())
    for number in range(customers):
        yield f"R{number:08}".encode(), next(models)
