"""One run: servers, workers, the bank and the faults on one clock."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock

from aiokafka import TopicPartition
from rulebooks import CHANGED, RICH

from schemas.topics import CONTROL_HEADER, CUSTOMERS, DEAD_LETTERS, INPUTS, JOURNAL, RULEBOOKS, TAGS
from streams import clients, failpoints
from streams.failpoints import FailPointError
from streams.lanes import lane, ownership
from streams.lanes import unit_of_work as unit
from streams.lanes.fetch import InputLostError
from streams.lanes.ownership import Ownership
from streams.lanes.stage import StageName, group_of
from streams.rulebooks import activation
from streams.settings import Settings
from streams.stages import decide, project, restore
from streams.stages.decide import Decide
from streams.stages.ingest import Ingest
from streams.stages.project import Project
from streams.stages.redis_view import META_KEY as VIEW_META_KEY
from tagger.compiler.program import Program
from tagger.folding.meta import META_KEY, decode_meta
from tagger.folding.partition import Partition

from .bank import COUNTS, SPAN_MS, START_MS, records
from .broker import Batch, Broker
from .groups import Group
from .kafka_clients import Admin, Consumer, Producer
from .loop import PROCESS, CrashError, Process, SimulatedLoop
from .member import Member
from .network import Network, Weather
from .plan import PUBLISH_SECONDS, STORM_SECONDS, Fault, Plan
from .view_store import Client, Store

ALL: tuple[StageName, ...] = ("ingest", "decide", "project")
PROGRAMS: dict[str, Program] = {}
"""Compiled rulebooks, shared by all runs of a process."""
DRAIN_SECONDS = 600.0
"""How long after the last fault everything may take to be done."""
_STAGES: dict[str, str] = {"decide": JOURNAL, "project": CUSTOMERS}


class WedgedError(Exception):
    """The pipeline came to a stand with work left."""


@lru_cache(maxsize=8)
def rulebook(text: str) -> tuple[str, bytes]:
    """Digest and published record of a pack."""
    return activation._checked({"pack.yaml": text})


class World:
    """Everything of one run."""

    def __init__(self, plan: Plan, loop: SimulatedLoop) -> None:
        self.plan = plan
        self.loop = loop
        self.story: list[tuple[float, str, str, tuple[object, ...]]] = []
        self.failures: list[tuple[str, BaseException]] = []
        self.places: Counter[str] = Counter()
        self.fetch_ends: set[tuple[TopicPartition, int]] = set()
        self.network_random = Random(f"network {plan.seed}")
        self._random = Random(f"faults {plan.seed}")
        self.settings = Settings(
            app="sim",
            clock=plan.clock,
            tick_seconds=plan.tick_seconds,
            batch_records=plan.batch_records,
            session_timeout_ms=int(plan.session * 1000),
            transaction_timeout_ms=int(plan.transaction_timeout * 1000),
            partitions=plan.journal_partitions,
            max_future_seconds=366 * 86_400 if plan.clock == "events" else 300,
        )
        self.network = Network(loop, self.network_random)
        counts = dict(COUNTS)
        counts.update(dict.fromkeys((JOURNAL, CUSTOMERS, TAGS), plan.journal_partitions))
        counts.update({RULEBOOKS: 1, DEAD_LETTERS: 1})
        self.broker = Broker(
            counts, self.network_random, loop.time, self.wall_ms, self._later, self.tell, plan.marker_seconds
        )
        self.store = Store(loop.time)
        self.groups = {name: self._group(name) for name in ALL}
        self.workers: dict[int, Worker] = {}
        self._is_calm = True
        self._numbers = 0
        self._foreign = 0
        self._is_emptying = False
        self.is_over = False

    # -- what others ask the world

    def wall_ms(self) -> int:
        """The time of day; it runs `speed` times as fast as the clock of timeouts."""
        return START_MS + int(self.loop.time() * 1000 * self.plan.speed)

    def chance(self, share: float) -> bool:
        return not self._is_calm and share > 0 and self.network_random.random() < share

    def fetch_records(self) -> int:
        return self.network_random.randint(1, self.plan.fetch_records)

    def when_changed(self, tps: Iterable[TopicPartition], event: asyncio.Event) -> None:
        """Set an event of the asking process a moment after one of the partitions has something new to read."""
        process = PROCESS.get()
        assert process is not None

        def changed() -> None:
            self.loop.call_later(0.002, event.set, context=process.context)

        for tp in tps:
            self.broker.logs[tp].listeners.append(changed)

    def tell(self, what: str, *facts: object) -> None:
        process = PROCESS.get()
        self.story.append((self.loop.time(), process.name if process else "", what, facts))

    # -- a run

    async def run(self) -> None:
        """From the first record to the last, and until everything came to rest.

        Raises:
            WedgedError: something was never done.
        """
        await self._put_in_force(RICH)
        self._storm(True)
        for number in range(self.plan.workers):
            self.start_worker(number)
        publishing = asyncio.create_task(self._publish())
        for fault in self.plan.faults:
            await asyncio.sleep(max(0.0, fault.at - self.loop.time()))
            await self._break(fault)
        await publishing
        if self.plan.faults or self.plan.steps:
            await asyncio.sleep(max(0.0, STORM_SECONDS - self.loop.time()))
        self._storm(False)
        await self._until("ingest", self._ingested)
        await asyncio.sleep(3 * self.plan.tick_seconds + 1)
        self._is_emptying = True  # nobody ticks any more, or what is left would never be done
        await asyncio.gather(*(worker.stop() for worker in list(self.workers.values())))
        self.workers.clear()
        self.start_worker(99, ("decide", "project"))
        await self._until("decide", lambda: self._done("decide"))
        await self._until("project", lambda: self._done("project") and self._shown())
        # somebody else's open transaction would hide what is committed behind it
        await self._until("everything", lambda: not any(log.open for log in self.broker.logs.values()))
        await asyncio.gather(*(worker.stop() for worker in list(self.workers.values())))
        self.is_over = True

    def start_worker(self, number: int, stages: tuple[StageName, ...] = ALL) -> None:
        self._numbers += 1
        worker = self.workers[number] = Worker(self, number, f"w{number}.{self._numbers}", stages)
        self.tell("starts", worker.process.name)

    def restart_later(self, number: int, seconds: float) -> None:
        def start() -> None:
            if number not in self.workers and not self._is_emptying:
                self.start_worker(number)

        if number != 99:
            self._later(seconds, start)
        else:
            self._later(seconds, lambda: self.start_worker(99, ("decide", "project")))

    async def reach(self, place: str, _nth: int) -> None:
        """A fail-point was hit."""
        process = PROCESS.get()
        self.places[place] += 1
        for step in self.plan.steps:
            if self._is_calm or step.place != place or step.nth != self.places[place] or process is None:
                continue
            self.tell("fail-point", place, step.action, step.seconds if step.action in ("stall", "freeze") else "")
            if step.action == "stall":
                await asyncio.sleep(step.seconds)
            elif step.action == "freeze":
                process.paused_until = max(process.paused_until, self.loop.time() + step.seconds)
                await asyncio.sleep(0)
            elif step.action == "raise":
                raise FailPointError(place)
            else:
                self._kill(process)
                raise CrashError

    def _kill(self, process: Process) -> None:
        for number, worker in list(self.workers.items()):
            if worker.process is process:
                del self.workers[number]
                self.restart_later(number, self._random.uniform(0.1, 6.0))
        process.kill()

    def _storm(self, is_on: bool) -> None:
        self._is_calm = not is_on
        self.network.weather = self.plan.weather if is_on else Weather()
        self.tell("the storm begins" if is_on else "the storm is over")
        if not is_on:
            self.store.is_down = False
            for worker in self.workers.values():
                worker.process.paused_until = min(worker.process.paused_until, self.loop.time())
                worker.process.cut_until = 0.0
            for number in range(self.plan.workers):
                if number not in self.workers:
                    self.start_worker(number)

    async def _publish(self) -> None:
        random = Random(f"publish {self.plan.seed}")
        pause = PUBLISH_SECONDS / self.plan.events
        recorded = self.plan.clock == "events"
        if recorded and random.random() < 0.5:
            self._control(b"begin")
        for topic, partition, key, value in records(self.plan, self.wall_ms):
            self.broker.append(TopicPartition(topic, partition), key, value)
            await asyncio.sleep(random.expovariate(1 / pause) if random.random() < 0.7 else 0)
        if recorded and random.random() < 0.5:
            self._control(b"end")

    def _control(self, command: bytes) -> None:
        for topic in self.settings.clock_topics:
            for number in range(COUNTS[topic]):
                self.broker.append(TopicPartition(topic, number), None, None, None, ((CONTROL_HEADER, command),))

    async def _put_in_force(self, text: str) -> None:
        digest, value = rulebook(text)
        self.broker.append(TopicPartition(RULEBOOKS, 0), digest.encode(), value)
        await activation.activate(self.settings, digest)

    async def _break(self, fault: Fault) -> None:
        victims = [worker for worker in self.workers.values() if worker.process.paused_until <= self.loop.time()]
        if fault.kind in ("crash", "pause", "cut", "restart") and not victims:
            return
        now = self.loop.time()
        worker = self._random.choice(victims) if victims else None
        self.tell("fault", fault.kind, worker.process.name if worker else "", round(fault.seconds, 2))
        match fault.kind:
            case "crash" if worker:
                self._kill(worker.process)
            case "pause" if worker:
                worker.process.paused_until = now + fault.seconds
            case "cut" if worker:
                worker.process.cut_until = now + fault.seconds
            case "restart" if worker:
                del self.workers[worker.number]
                worker.stop_by_itself()
                self.restart_later(worker.number, fault.seconds)
            case "upset":
                self.groups[self._random.choice(ALL)].upset()
            case "wipe":
                (self.store.wipe if self._random.random() < 0.5 else self.store.restart)()
            case "redis-down":
                self.store.is_down = True
                self._later(fault.seconds, lambda: setattr(self.store, "is_down", False))
            case "compact":
                for number in range(self.plan.journal_partitions):
                    self.broker.logs[TopicPartition(CUSTOMERS, number)].compact()
            case "foreign":
                self._write_foreign(fault.seconds)
            case "activate":
                self._later(0.0, lambda: self._in_world(self._activate_again()))

    async def _activate_again(self) -> None:
        with suppress(Exception):  # a lost answer: in force or not, the journal says
            await self._put_in_force(self._random.choice((RICH, CHANGED)))

    def _write_foreign(self, seconds: float) -> None:
        """Somebody else's transaction, with records nobody may ever act on: it hangs a while, and is aborted."""
        self._foreign += 1
        name, broker = f"foreign-{self._foreign}", self.broker
        _, epoch = broker.init_producer(name, 12.0)
        topics = self._random.sample((*COUNTS, JOURNAL, CUSTOMERS, TAGS), 2)
        for topic in topics:
            tp = TopicPartition(topic, self._random.randrange(broker.counts[topic]))
            seen = [entry.record for entry in broker.logs[tp].entries if entry.record is not None]
            value = self._random.choice(seen).value if seen else b"{}"
            broker.produce(name, epoch, Batch(tp, 1, 0, ((b"C0", value, self.wall_ms(), ()),)))
        if self._random.random() < 0.6:
            self._later(seconds, lambda: self._abort_foreign(name, epoch))

    def _abort_foreign(self, name: str, epoch: int) -> None:
        with suppress(Exception):
            self.broker.end(name, epoch, 1, commit=False)

    # -- when is it done

    async def _until(self, what: str, condition: Callable[[], bool]) -> None:
        began = self.loop.time()
        while not condition():
            if self.loop.time() - began > DRAIN_SECONDS:
                raise WedgedError(f"{what} did not come to its end within {DRAIN_SECONDS:g} s: {self._left(what)}")
            await asyncio.sleep(0.5)

    def _left(self, what: str) -> str:
        topics = COUNTS if what == "ingest" else {_STAGES.get(what, ""): 0}
        group = group_of(self.settings, what)
        behind = {}
        for tp, log in self.broker.logs.items():
            at = self.broker.offsets.get((group, tp))
            if tp.topic in topics and (at is None or at.offset < log.end):
                behind[f"{tp.topic}-{tp.partition}"] = (at.offset if at else None, log.stable_end, log.end)
        return str(behind)

    def _ingested(self) -> bool:
        group = group_of(self.settings, "ingest")
        for tp, log in self.broker.logs.items():
            if tp.topic in COUNTS and log.end:
                at = self.broker.offsets.get((group, tp))
                if log.open or log.read(at.offset if at else 0, 1, committed=True)[0]:
                    return False
        return True

    def _done(self, stage: str) -> bool:
        group = group_of(self.settings, stage)
        for number in range(self.plan.journal_partitions):
            tp = TopicPartition(_STAGES[stage], number)
            log, at = self.broker.logs[tp], self.broker.offsets.get((group, tp))
            # a reader learns of markers at the end only with the record after them
            if log.open or log.read(at.offset if at else 0, 1, committed=True)[0]:
                return False
            if stage == "decide" and self._is_behind(number):
                return False
        return all(owner.all_taken_over() for worker in self.workers.values() for owner in worker.ownerships)

    def _is_behind(self, number: int) -> bool:
        """Whether decide's last word of a partition is that deadlines are due."""
        log = self.broker.logs[TopicPartition(CUSTOMERS, number)]
        metas = [record.value for record in log.committed() if record.key == META_KEY.encode()]
        return bool(metas and decode_meta(metas[-1]).unswept)

    def _shown(self) -> bool:
        """Whether Redis says that it holds everything."""
        applied = self.store.hash(VIEW_META_KEY)
        for number in range(self.plan.journal_partitions):
            log = self.broker.logs[TopicPartition(CUSTOMERS, number)]
            at = applied.get(str(number))
            if at is None or log.read(int(at), 1, committed=True)[0]:
                return False
        return True

    # -- parts

    def _group(self, stage: StageName) -> Group:
        topics = INPUTS if stage == "ingest" else (_STAGES[stage],)
        tps = [tp for tp in self.broker.logs if tp.topic in topics]
        return Group(
            stage,
            tps,
            self.network_random,
            self.loop.time,
            self._later,
            self.tell,
            session=self.plan.session,
            rebalance=lane.REBALANCE_SECONDS,
        )

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        self.loop.call_later(seconds, work, context=self.loop.world_context())

    def _in_world(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._kept = [*getattr(self, "_kept", []), task]


class Worker:
    """One process with some stages."""

    def __init__(self, world: World, number: int, name: str, stages: tuple[StageName, ...]) -> None:
        self.world = world
        self.number = number
        self.process = world.loop.start_process(name)
        self.ownerships: list[Ownership] = []
        self.members: list[Member] = []
        self._stages = stages
        self._main = world.loop.create_task(self._run(), context=self.process.context)
        self._stopping: asyncio.Task[None] | None = None

    async def _run(self) -> None:
        world = self.world
        try:
            async with asyncio.TaskGroup() as group:
                for name in self._stages:
                    owner = Ownership(make_stage(world, name), world.settings, self.fail)
                    member = Member(world, world.groups[name], owner, self.process.name)
                    self.ownerships.append(owner)
                    self.members.append(member)
                    group.create_task(member.run())
        except* Exception as errors:
            self.fail(errors.exceptions[0])

    def fail(self, error: BaseException) -> None:
        """End non-zero, as the real worker does."""
        if self.process.is_dead:
            return
        self.world.tell("cannot go on", repr(error))
        if not isinstance(error, FailPointError):
            self.world.failures.append((self.process.name, error))
        self.world._later(0.0, lambda: self.world._kill(self.process))

    async def stop(self) -> None:
        """Come to rest, leave the groups, end; awaited by the world."""
        self.stop_by_itself()
        assert self._stopping is not None
        while not self._stopping.done() and not self.process.is_dead:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    def stop_by_itself(self) -> None:
        if self._stopping is None:
            self._stopping = self.world.loop.create_task(self._stop(), context=self.process.context)

    async def _stop(self) -> None:
        try:
            await asyncio.gather(*(owner.stop() for owner in self.ownerships))
            self._main.cancel()
            await asyncio.gather(*(member.leave() for member in self.members))
        except Exception as error:
            self.fail(error)
        else:
            self.process.kill()


def make_stage(world: World, name: StageName) -> Any:
    """A stage as the worker makes it, with compiled rulebooks shared and the world's time of day."""
    if name == "ingest":
        return Ingest(world.settings, now=lambda: world.wall_ms() / 1000)
    if name == "project":
        return Project(world.settings)

    def make_partition(*arguments: Any, **named: Any) -> Partition:
        return decide.Partition(*arguments, **named, programs=PROGRAMS)

    return Decide(world.settings, make_partition)  # type: ignore[arg-type]


class _Told(logging.Handler):
    """Log lines of the pipeline become lines of the story."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.INFO)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        facts = {name: value for name, value in vars(record).items() if name not in _OWN}
        self._world.tell(record.getMessage(), facts)


_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime"}


@contextmanager
def installed(world: World) -> Iterator[None]:
    """The world in place of the outermost clients and of the clocks."""
    time = SimpleNamespace(monotonic=world.loop.time, time=lambda: world.wall_ms() / 1000)
    parts = {"Producer": Producer, "Consumer": Consumer, "Admin": Admin, "Redis": Client}
    made: dict[str, Any] = {name: type(name, (kind,), {"world": world}) for name, kind in parts.items()}
    patches = [
        mock.patch.object(unit, "AIOKafkaProducer", made["Producer"]),
        mock.patch.object(clients, "AIOKafkaProducer", made["Producer"]),
        mock.patch.object(clients, "AIOKafkaConsumer", made["Consumer"]),
        mock.patch.object(clients, "AIOKafkaAdminClient", made["Admin"]),
        mock.patch.object(project, "Redis", made["Redis"]),
        mock.patch.object(decide, "MAX_CUSTOMERS", world.plan.max_customers),
        mock.patch.object(decide, "MAX_DEADLINES", world.plan.max_deadlines),
        *(mock.patch.object(module, "time", time) for module in (unit, lane, ownership, restore)),
    ]
    handler, log = _Told(world), logging.getLogger("streams")
    level, propagates = log.level, log.propagate
    with failpoints.arming(world.reach):
        for patch in patches:
            patch.start()
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.setLevel(level)
            log.propagate = propagates
            for patch in reversed(patches):
                patch.stop()


__all__ = ["SPAN_MS", "InputLostError", "WedgedError", "World", "installed"]
