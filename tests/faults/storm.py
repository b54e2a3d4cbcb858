"""The faults of a plan, one after the other, each healed before the next unless it is hasty."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from aiokafka.errors import KafkaError
from kafka_broker import KafkaBroker
from redis import Redis
from redis_server import RedisServer

from streams.clients import MissingTopicError, UnreachableError
from streams.lanes.unit_of_work import FencedError, OutcomeUnknownError
from streams.rulebooks.activation import activate, publish, published
from streams.settings import Settings

from .bank import PACKS
from .feed import Feed
from .fleet import Fleet, Worker
from .ghosts import OPEN_SECONDS, haunt
from .plan import Fault, Plan
from .servers import START_SECONDS, Cluster
from .tag_watch import Moved, TagWatch

HEAL_SECONDS = 60.0
"""What has not healed by then is told, and the next fault strikes."""
NO_TIME = "no time left"
"""Begins the note of a run that ended before its plan did."""
FEED_AFTER_SECONDS = 10.0
_POLL_SECONDS = 0.1
_UNREACHED = (UnreachableError, MissingTopicError, OutcomeUnknownError, FencedError, KafkaError, OSError)


@dataclass
class Struck:
    """One fault as it went; times in epoch seconds.

    Attributes:
        healed_at: None while it has not healed, or nobody waited for it.
        moved: partitions whose owner was killed.
    """

    what: str
    kind: str
    at: float
    healed_at: float | None = None
    moved: list[Moved] = field(default_factory=list)


class Storm:
    """Everything that breaks."""

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        cluster: Cluster,
        redis: RedisServer,
        fleet: Fleet,
        feed: Feed,
        watch: TagWatch,
    ) -> None:
        self.plan, self.struck = plan, list[Struck]()
        self.notes: list[str] = []
        self._settings, self._cluster, self._redis = settings, cluster, redis
        self._fleet, self._feed, self._watch = fleet, feed, watch
        self._background: set[asyncio.Task[None]] = set()
        self._activated = 0
        self._began = 0.0
        self._strikes: dict[str, Callable[[Fault, Struck], Awaitable[None]]] = {
            "kill": self._kill,
            "pause": self._pause,
            "join": self._join,
            "broker-kill": lambda fault, _: self._restart(fault, KafkaBroker.kill),
            "broker-restart": lambda fault, _: self._restart(fault, KafkaBroker.stop),
            "broker-freeze": self._freeze_broker,
            "redis-kill": self._kill_redis,
            "redis-flush": self._flush_redis,
            "aborted": lambda fault, _: self._haunt(fault, leave_open=False),
            "open": lambda fault, _: self._haunt(fault, leave_open=True),
            "activate": self._activate,
        }
        fleet.crashed = self._on_crash

    async def run(self) -> None:
        """Strike every fault, then wait until all that was begun has ended."""
        self._began = time.monotonic()
        faults = self.plan.faults
        for number, fault in enumerate(faults):
            if time.monotonic() - self._began > self.plan.most_minutes * 60:
                self.notes.append(f"{NO_TIME} after {number} of {len(faults)} faults")
                break
            self._pace(number)
            await self._until(lambda: bool(self._owners()), "a worker that owns something")
            struck = Struck(str(fault), fault.kind, time.time())
            self.struck.append(struck)
            self._say(f"{number + 1}/{len(faults)} {fault}")
            await self._strikes[fault.kind](fault, struck)
            if not fault.is_hasty:
                await self._heal(struck)
            await asyncio.sleep(fault.rest)
        self._feed.is_last = True
        self._feed.spread_over(FEED_AFTER_SECONDS)
        while self._background:
            await asyncio.wait(set(self._background))

    def _pace(self, done: int) -> None:
        """Let the stream last as long as the faults will, by what they took so far."""
        elapsed = time.monotonic() - self._began
        guess = (elapsed + 30.0) / (done + 3)
        left = min((len(self.plan.faults) - done) * guess, self.plan.most_minutes * 60 - elapsed)
        self._feed.spread_over(left + FEED_AFTER_SECONDS)

    async def _heal(self, struck: Struck) -> None:
        """After a kill, wait until the moved partitions have tags: whoever comes in its stead may be still on its
        way. After anything else, until all workers have settled and every partition has tags decided after now."""
        is_kill = struck.kind == "kill"
        awaited = struck.moved
        if not is_kill:
            awaited = self._watch.expect(range(self._settings.partitions), time.time())

        def is_healed() -> bool:
            has_tags = all(moved.seconds is not None for moved in awaited)
            return has_tags and (is_kill or self._fleet.is_settled())

        if await self._until(is_healed, f"healing after {struck.what}"):
            struck.healed_at = time.time()

    async def _until(self, condition: Callable[[], bool], what: str, seconds: float = HEAL_SECONDS) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.note(f"waited {seconds:.0f} s for {what}")
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    # Workers

    def _victim(self, fault: Fault) -> Worker:
        """One that owns something, if any does."""
        able = self._owners() or self._fleet.able() or self._fleet.workers
        return able[fault.place % len(able)]

    def _owners(self) -> list[Worker]:
        return [worker for worker in self._fleet.able() if worker.owned("decide")]

    async def _kill(self, fault: Fault, struck: Struck) -> None:
        victim = self._victim(fault)
        owned = victim.owned("decide")
        struck.at = time.time()
        self._fleet.kill(victim)
        struck.moved = self._watch.expect(owned, struck.at)
        self._later(fault.seconds, lambda: self._start(fault.armed))

    async def _start(self, armed: str) -> None:
        self._fleet.start(armed)

    def _on_crash(self, worker: Worker) -> None:
        at = time.time()
        self.struck.append(
            Struck(f"crash at {worker.armed}", "crash", at, None, self._watch.expect(worker.owned("decide"), at))
        )

    async def _pause(self, fault: Fault, struck: Struck) -> None:
        victim = self._victim(fault)
        self._fleet.freeze(victim)
        await asyncio.sleep(fault.seconds)
        self._fleet.thaw(victim)

    async def _join(self, fault: Fault, struck: Struck) -> None:
        worker = self._fleet.start()
        await self._until(worker.is_settled, "a worker that joins")
        await asyncio.sleep(fault.seconds)
        if worker.child.running:
            await self._fleet.leave(worker)

    # Servers

    async def _restart(self, fault: Fault, end: Callable[[KafkaBroker], None]) -> None:
        node = self._node(fault)
        async with self._cluster.hands:
            await asyncio.to_thread(end, node)
            await asyncio.sleep(fault.seconds)
            await asyncio.to_thread(node.start, START_SECONDS)

    async def _freeze_broker(self, fault: Fault, struck: Struck) -> None:
        node = self._node(fault)
        async with self._cluster.hands:
            node.pause()
            await asyncio.sleep(fault.seconds)
            node.resume()

    def _node(self, fault: Fault) -> KafkaBroker:
        return self._cluster.nodes[fault.place % len(self._cluster.nodes)]

    async def _kill_redis(self, fault: Fault, struck: Struck) -> None:
        self._redis.kill()
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(self._redis.start)

    async def _flush_redis(self, fault: Fault, struck: Struck) -> None:
        with Redis.from_url(self._redis.url) as client:
            client.flushall()

    # Logs

    async def _haunt(self, fault: Fault, *, leave_open: bool) -> None:
        with suppress(KafkaError, OSError):  # a broker that is away aborts it all the same
            await haunt(self._settings, fault.place, leave_open=leave_open)
        if leave_open:
            await asyncio.sleep(OPEN_SECONDS)

    async def _activate(self, fault: Fault, struck: Struck) -> None:
        self._activated += 1
        files = PACKS[self._activated % len(PACKS)]
        while True:
            try:
                digest = await publish(self._settings, files)
                now = (await published(self._settings)).activated
                if now is not None and now.digest == digest:
                    return
                await activate(self._settings, digest)
                return
            except _UNREACHED as error:
                self.notes.append(f"activation tried again after {type(error).__name__}")
                await asyncio.sleep(1.0)

    def _later(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            await work()

        task = asyncio.create_task(wait())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def note(self, what: str) -> None:
        """Tell it now, and in the report."""
        self.notes.append(f"{time.strftime('%H:%M:%S', time.gmtime())} {what}")
        self._say(self.notes[-1])

    def _say(self, what: str) -> None:
        seconds = time.monotonic() - self._began
        sys.stderr.write(f"{seconds:7.1f} s {self._feed.sent:8} sent  {what}\n")
        sys.stderr.flush()


DISTURBING = frozenset(
    {"kill", "crash", "pause", "broker-kill", "broker-restart", "broker-freeze", "coordinator-lost", "open"}
)
"""What keeps tags from coming for a while."""


def recoveries(struck: Iterable[Struck], session_seconds: float) -> tuple[list[float], list[float]]:
    """Seconds from each SIGKILL of a worker to the first tag of each partition that it owned.

    Returns:
        Those of kills by themselves; those of kills into which another fault reached, or a worker that ended at a
        fail-point. A partition that had no tag at all afterwards is infinity.
    """
    struck = list(struck)
    alone: list[float] = []
    others: list[float] = []
    for one in struck:
        if one.kind not in {"kill", "crash"}:
            continue
        for moved in one.moved:
            seconds = float("inf") if moved.seconds is None else moved.seconds
            reached = any(
                other is not one
                and other.kind in DISTURBING
                and other.at < one.at + seconds
                and (other.healed_at or other.at + 3 * session_seconds) > one.at
                for other in struck
            )
            (others if reached else alone).append(seconds)
    return alone, others
