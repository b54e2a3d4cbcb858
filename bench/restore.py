"""Restore alone: a decide worker takes over a changelog of any number of customers (see `bench.changelog`)."""

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

from kafka_broker import KafkaBroker
from redis_server import RedisServer

from bench.changelog import fold_made_up_bank, write_changelog
from bench.job import PARTITIONS
from bench.machine import describe_machine, load_average
from bench.measure import cpu_seconds, peak_bytes
from bench.pages import day_and_time, machine_rows, write_report
from bench.workers import ROOT, log_events, wait_for_event, worker_of
from streams.settings import Settings
from streams.topics import create
from tagger.folding.partition import Partition

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
        write_report(folder, self.began, asdict(self), self.page(), f"-restore-{self.customers}")

    def page(self) -> str:
        """The report in Markdown."""
        return "\n".join(
            [
                f"# Restore of {self.customers:,} customers, {day_and_time(self.began)}",
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
                *machine_rows(self.machine),
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
    await create(settings)
    say("folding a made-up bank")
    bank = await fold_made_up_bank(settings)
    say(f"writing {customers:,} customers")
    written = await write_changelog(settings, _copies(bank, customers), bank.meta)
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


def _copies(partition: Partition, customers: int) -> Iterator[tuple[bytes, bytes]]:
    models = cycle(partition.customers.values())
    for number in range(customers):
        yield f"R{number:08}".encode(), next(models)
