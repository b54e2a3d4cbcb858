"""The worker process: some or all of the three stages, from start to exit code.

Exit codes: 0 told to stop, and everything came to rest; 1 a fault, such as an exception in the fold, after which
nothing was committed; 2 the topics, the rule packs or the Redis database are not what they must be; 3 no broker at
the start. A broker that goes away later is waited for.
"""

import asyncio
import gc
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import get_args

from aiokafka.errors import KafkaConnectionError

from streams import failpoints
from streams.clients import MissingTopicError, UnreachableError
from streams.exits import BAD_CONFIGURATION, FINE, NOT_SO, UNREACHABLE
from streams.lanes.app import StageApp, build_app
from streams.lanes.fetch import InputLostError
from streams.lanes.stage import ForeignRecordError, PositionError, Stage, StageName
from streams.lanes.unit_of_work import FencedError, OutcomeUnknownError, RecordTooLargeError, RefusedError
from streams.logs import describe, tell
from streams.rulebooks.activation import RulesError
from streams.settings import Settings
from streams.stages.redis_view import ForeignViewError
from streams.stages.restore import HangingTransactionError
from streams.topics import CO_PARTITIONED, check
from streams.watch.health import HealthAddressError, serving_health
from streams.watch.watchdog import StuckError, TopicChangedError, Watchdog
from tagger.packs.errors import RulebookError
from tagger.state.customer import VersionError

log = logging.getLogger(__name__)

ALL_STAGES: tuple[StageName, ...] = get_args(StageName)
STAGES: dict[StageName, tuple[str, str]] = {
    "ingest": ("streams.stages.ingest", "Ingest"),
    "decide": ("streams.stages.decide", "Decide"),
    "project": ("streams.stages.project", "Project"),
}
"""Module and class of each stage; the class takes the settings and is a `streams.lanes.stage.Stage`."""

_TO_STOP = (signal.SIGTERM, signal.SIGINT)

STOP_SECONDS = 15.0
"""How long apps may take to leave their groups; past it the process ends all the same."""
COLLECT_SECONDS = 30.0
"""Time between garbage collections. State is bytes in dictionaries, which the collector need not see: with
everything there after the take-over frozen, a collection looks at what came since, the records in flight above
all; every 5 s that took 7 % of decide's samples in a profile. Left to itself the collector would walk the heap in
the middle of batches (53,000 events a second against 42,000)."""


class TopicsError(Exception):
    """Topics are missing or do not fit together."""


tell(
    FencedError,
    ForeignRecordError,
    ForeignViewError,
    HangingTransactionError,
    HealthAddressError,
    InputLostError,
    MissingTopicError,
    OutcomeUnknownError,
    PositionError,
    RecordTooLargeError,
    RefusedError,
    RulebookError,
    RulesError,
    StuckError,
    TopicChangedError,
    TopicsError,
    UnreachableError,
    VersionError,
)


def run_worker(settings: Settings, only: Sequence[StageName] = ALL_STAGES) -> int:
    """Run stages until told to stop (SIGTERM, SIGINT) or unable to go on.

    Returns:
        The exit code.
    """
    try:
        if failpoints.arm_from(os.environ):
            log.warning("fail-points armed")
    except ValueError as error:
        log.error("bad configuration", extra={"error": str(error)})
        return BAD_CONFIGURATION
    try:
        return asyncio.run(_start(settings, only))
    except asyncio.CancelledError:
        log.info("stopped")
        return FINE
    except UnreachableError as error:
        log.error("unreachable", extra={"error": describe(error)})
        return UNREACHABLE
    except (TopicsError, MissingTopicError, RulesError, HealthAddressError) as error:
        log.error("bad configuration", extra={"error": describe(error)})
        return BAD_CONFIGURATION
    finally:
        if failpoints.armed:
            log.info("fail-points hit", extra={"hits": dict(failpoints.hits)})


def end_process(code: int) -> None:
    """Exit, also when a thread of a consumer that could not stop would keep the process alive."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if any(not thread.daemon for thread in others):
        os._exit(code)
    sys.exit(code)


async def check_topics(settings: Settings) -> None:
    """Make sure the topics are there and co-partitioned; other differences are warned of.

    Raises:
        TopicsError: says what is wrong and what to run.
        UnreachableError: no broker answers.
    """
    differences = await check(settings)
    missing = [difference for difference in differences if difference.found == "missing"]
    if missing:
        raise TopicsError(
            f"expected these topics at {settings.bootstrap}: {', '.join(d.topic for d in missing)}. "
            "Create them with `tagger topics create`"
        )
    joined = {settings.topic(name) for name in CO_PARTITIONED}
    counts = {d.topic: d.found for d in differences if d.setting == "partitions" and d.topic in joined}
    if counts and (len(counts) < len(joined) or len(set(counts.values())) > 1):
        raise TopicsError(
            f"expected as many partitions in each of {_joined(joined)}, found {_told(counts)}. "
            "Give a new deployment (app, topic_prefix) topics made by `tagger topics create`"
        )
    for difference in differences:
        log.warning("topic differs", extra={"difference": str(difference)})


async def _start(settings: Settings, only: Sequence[StageName]) -> int:
    starting = asyncio.current_task()
    assert starting is not None
    for number in _TO_STOP:  # until `Worker.run` puts its own in their place
        with suppress(ValueError, RuntimeError, NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, starting.cancel)
    await check_topics(settings)
    if set(only) & {"ingest", "decide"}:
        digest = await importlib.import_module("streams.rulebooks.activation").bootstrap(settings)
        if digest is not None:
            log.info("rulebook activated", extra={"rulebook": digest})
    stages: list[Stage] = []
    for name in only:
        module, kind = STAGES[name]
        stages.append(getattr(importlib.import_module(module), kind)(settings))
    return await Worker(settings, stages).run()


class Worker:
    """Stages running in this process.

    Args:
        stages: what to run; each becomes a Faust app of its own.
    """

    def __init__(self, settings: Settings, stages: Sequence[Stage]) -> None:
        self._settings = settings
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self.apps: list[StageApp] = [build_app(stage, settings, self.fail) for stage in stages]
        self._owners = [app.ownership for app in self.apps]

    def stop(self) -> None:
        """Come to rest and end with exit code 0."""
        self._stop.set()

    def fail(self, error: BaseException) -> None:
        """End with a non-zero exit code; the first failure counts."""
        if self._failure is None:
            self._failure = error
            log.error("cannot go on", exc_info=error)
        self._stop.set()

    def is_ready(self) -> bool:
        """Whether every assigned partition of every stage is being processed."""
        return all(app.ownership.all_taken_over() for app in self.apps)

    async def run(self) -> int:
        """Run until stopped or failed; returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in _TO_STOP:
            with suppress(ValueError, NotImplementedError):  # not in the main thread: the caller stops us
                loop.add_signal_handler(number, self.stop)
        log.info("starting", extra={"stages": [app.ownership.stage.name for app in self.apps]})
        watchdog = Watchdog(self._settings, self._owners, self.fail)
        async with serving_health(self._settings, self._owners):
            gc.disable()
            work = [
                *watchdog.start(),
                asyncio.create_task(self._collect_garbage()),
                *(asyncio.create_task(self._run_app(app)) for app in self.apps),
            ]
            try:
                await self._stop.wait()
                log.info("stopping")
                watchdog.stopping()
                await self._shut_down()
            finally:
                gc.enable()
                for task in work:
                    task.cancel()
                await asyncio.wait(work, timeout=STOP_SECONDS)
                watchdog.close()
        if self._failure is None:
            log.info("stopped")
            return FINE
        if isinstance(self._failure, ForeignViewError):
            return BAD_CONFIGURATION
        return UNREACHABLE if isinstance(self._failure, UnreachableError | KafkaConnectionError) else NOT_SO

    async def _run_app(self, app: StageApp) -> None:
        try:
            await app.start()
            await app._crashed.wait()
            error = app.crash_reason or RuntimeError("a Faust service crashed")
        except Exception as raised:
            error = raised
        if not self._stop.is_set():  # what Faust stumbles over while it stops is nobody's loss
            self.fail(error)

    async def _shut_down(self) -> None:
        # lanes first: batches in flight end before the group hears that we leave
        await asyncio.gather(*(app.ownership.stop() for app in self.apps))
        stopping = [asyncio.create_task(app.stop()) for app in self.apps]
        _, late = await asyncio.wait(stopping, timeout=STOP_SECONDS)
        if late:
            log.warning("did not leave the group in time", extra={"apps": len(late)})

    async def _collect_garbage(self) -> None:
        frozen_for: list[object] = []
        # What was imported alone takes 60 ms to walk. Walked ten times a second until ready, it cost a starting
        # worker a third of its core, and on a busy machine its heartbeats.
        gc.collect()
        gc.freeze()
        while True:
            claims: list[object] = [app.ownership.claim for app in self.apps]
            gc.collect()
            if claims != frozen_for and self.is_ready():
                gc.unfreeze()  # or what a rebalance left behind in cycles would stay for good
                gc.collect()
                gc.freeze()
                frozen_for = claims
                log.info("ready", extra={"stages": [app.ownership.stage.name for app in self.apps]})
            await asyncio.sleep(COLLECT_SECONDS if frozen_for else 0.1)


def _joined(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _told(counts: dict[str, str]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
