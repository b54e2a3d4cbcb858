"""`tagger demo`: the whole pipeline on a machine that has nothing but Python.

An embedded broker, a simulated bank, one worker that runs all three stages, and a reader of what comes out. The
worker is a process of its own, started as anyone would start it.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import click

from streams import topics
from streams.child import Child
from streams.cli.demo_screen import open_screen
from streams.cli.exits import CommandError, run
from streams.cli.sending import FiniteRange
from streams.embedded import Address, EmbeddedBroker, EmbeddedBrokerError
from streams.exits import NOT_SO, UNREACHABLE
from streams.follow import Followed, Follower
from streams.publish import publish
from streams.settings import Settings
from streams.sources.simulate import Plan, Simulation, simulate

# A made-up customer of the default thirty days has about this many events.
_EVENTS_A_CUSTOMER = 21.5
_STALL_SECONDS = 60.0
_PARTITIONS = 4


@dataclass(slots=True)
class Progress:
    """How far the demo is; `expected` is unknown until everything is sent."""

    sent: int = 0
    expected: int | None = None


@dataclass(slots=True)
class Stall:
    """Where sent and settled records stood, and since when."""

    stand: tuple[int, int] = (0, 0)
    since: float = field(default_factory=time.monotonic)


@click.command()
@click.option("--events", default=20_000, show_default=True, type=click.IntRange(min=300), help="About how many.")
@click.option("--seconds", default=15.0, show_default=True, type=FiniteRange(min=1), help="To send them over.")
@click.option("--seed", default=1, show_default=True, help="Another seed makes up another bank.")
@click.option("--keep", is_flag=True, help="Leave broker and worker running at the end, until Ctrl-C.")
def demo(events: int, seconds: float, seed: int, keep: bool) -> None:
    """Show the pipeline at work: a made-up bank goes in, tags come out.

    Starts an embedded broker and one worker, sends a month in the life of a small bank, shows tags as they
    come, and stops everything again. Nothing is kept and nothing is sent anywhere.
    """
    plan = Plan(customers=max(13, round(events / _EVENTS_A_CUSTOMER)), seed=seed)
    try:
        with EmbeddedBroker() as address, tempfile.TemporaryDirectory(prefix="tagger-demo-") as folder:
            settings = demo_settings(address)
            run(_demo(settings, plan, events / seconds, Path(folder) / "worker.log", keep))
    except EmbeddedBrokerError as error:
        raise CommandError(str(error), UNREACHABLE) from error


def demo_settings(address: Address) -> Settings:
    """Settings of the demo's deployment: made-up time, few partitions, frequent ticks."""
    return Settings(
        bootstrap=address.bootstrap,
        redis_url=address.redis_url,
        app="demo",
        topic_prefix="",
        rules=_rules(),
        clock="events",
        tick_seconds=0.5,
        partitions=_PARTITIONS,
        replication=1,
    )


def _rules() -> Path:
    """The packs of the folder we stand in, else those of the checkout that this package is installed from."""
    here = Path("rules")
    return here if here.is_dir() else Path(__file__).resolve().parents[2] / "rules"


async def _demo(settings: Settings, plan: Plan, rate: float, log: Path, keep: bool) -> None:
    await topics.create(settings)
    simulation, progress, follower = simulate(plan), Progress(), Follower(settings)
    with open_screen(plan) as screen, _worker(settings, log) as worker:
        await _ready(worker)
        following = asyncio.create_task(follower.follow())
        sending = asyncio.create_task(_send(settings, simulation, rate, progress))
        stall = Stall()
        try:
            while not _finished(settings, progress, follower.seen):
                screen.update(follower.seen, progress.sent)
                await asyncio.wait([following, sending], timeout=0.1)
                for task in (following, sending):
                    if task.done():
                        task.result()
                _check(worker, stall, progress.sent, follower.seen.fates().total())
        finally:
            following.cancel()
            sending.cancel()
            await asyncio.gather(following, sending, return_exceptions=True)
        screen.summary(follower.seen, simulation)
        if keep:
            screen.kept(settings, log)
            with suppress(asyncio.CancelledError):  # Ctrl-C, which is how this ends
                await asyncio.to_thread(worker.wait)


async def _send(settings: Settings, simulation: Simulation, rate: float, progress: Progress) -> None:
    def told(sent: int) -> None:
        progress.sent = sent

    sent = await publish(settings, simulation.records(), topics=None, rate=rate, progress=told)
    progress.sent = progress.expected = sent.total()


def _finished(settings: Settings, progress: Progress, seen: Followed) -> bool:
    """Whether every record sent has a fate and time has ended in every partition of the journal."""
    sources = len(settings.clock_topics) * settings.partitions
    return seen.fates().total() == progress.expected and seen.closed(settings.partitions, sources)


async def _ready(worker: Child) -> None:
    """Wait until the worker has taken over its partitions: what is sent before would arrive all at once, and days
    of the made-up month would pass between two ticks."""
    stall = Stall()
    while '"event": "ready"' not in worker.log.read_text():
        _check(worker, stall, 0, 0)
        await asyncio.sleep(0.1)


def _check(worker: Child, stall: Stall, sent: int, settled: int) -> None:
    """Raise CommandError when the worker ended, or nothing moved for a long time."""
    if not worker.running:
        raise CommandError(f"the worker ended with {worker.returncode}; it said:\n{worker.log_tail()}", NOT_SO)
    if (sent, settled) != stall.stand:
        stall.stand, stall.since = (sent, settled), time.monotonic()
    elif time.monotonic() - stall.since > _STALL_SECONDS:
        raise CommandError(
            f"expected a fate for each of {sent} records, stand at {settled} for {_STALL_SECONDS:.0f} s; "
            f"the worker said:\n{worker.log_tail()}",
            NOT_SO,
        )


@contextmanager
def _worker(settings: Settings, log: Path) -> Iterator[Child]:
    program = "from streams.cli.main import main; main()"
    worker = Child([sys.executable, "-c", program, "worker"], log, env=os.environ | environment(settings))
    try:
        yield worker
    finally:
        worker.stop(timeout=15)


def environment(settings: Settings) -> dict[str, str]:
    """The `TAGGER_*` variables that make another process's settings differ from the defaults as these do."""
    given = settings.model_dump(mode="json", exclude_unset=True)
    prefix = str(settings.model_config["env_prefix"])
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    return {prefix + name.upper(): text for name, text in texts.items()}
