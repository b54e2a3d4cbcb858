"""Planted bugs that need a question of their own: what the simulation's oracle shares with the code under test,
and what a second line of defence hides."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka import ConsumerRecord, TopicPartition
from builders import activation, app, money, tick, ticks
from counting import CountingPartition, counting_stage, journal_value
from driver import run
from mutants import planted
from mutants.focus import uncommitted
from rulebooks import RICH
from simulation.run import simulate

from schemas.decode import Decoder
from schemas.journal import encode_record
from streams.lanes import lane, ownership
from streams.lanes.app import build_app
from streams.lanes.fetch import BatchConsumerThread
from streams.lanes.intake import Fetch
from streams.lanes.ownership import Claim, Ownership
from streams.lanes.unit_of_work import FencedError, OutcomeUnknownError
from streams.settings import Settings
from streams.stages.project import Project
from tagger.folding.partition import Partition
from tagger.settings import CoreSettings

pytestmark = pytest.mark.mutant

TP = TopicPartition("in", 0)
ROOT = Path(__file__).resolve().parents[2]


def record(value: bytes = b"", offset: int = 0) -> ConsumerRecord:
    return ConsumerRecord("in", 0, offset, 0, 0, None, value, None, -1, 0, ())


# -- an ownership over stubs


class StubIntake:
    def __init__(self) -> None:
        self.epoch = 0
        self.rejoins = 0

    async def seek(self, _tp: TopicPartition, _offset: int, epoch: int) -> None:
        self.epoch = epoch

    def wake(self) -> None:
        """Nobody sleeps."""

    def is_caught_up(self, _tp: TopicPartition, _position: int, _epoch: int) -> bool:
        return True

    async def is_member(self) -> bool:
        return True

    async def rejoin(self) -> None:
        self.rejoins += 1


class StubStage:
    """Makes tasks that are all itself."""

    name = "decide"
    topics = ("in",)
    has_more = False

    def __init__(self) -> None:
        self.taken = self.done = 0
        self.restoring: Callable[[], Awaitable[None]] = nothing
        self.working: Callable[[], Awaitable[None]] = nothing

    def make_task(self, _tp: TopicPartition) -> Any:
        return self

    async def take_over(self) -> int:
        self.taken += 1
        await self.restoring()
        return 0

    async def process(self, _records: Sequence[ConsumerRecord]) -> None:
        await self.working()
        self.done += 1

    async def idle(self, _caught_up: bool) -> None:
        """Nothing."""

    async def release(self) -> None:
        """Nothing held."""


async def nothing() -> None:
    """Done."""


async def for_ever() -> None:
    await asyncio.Event().wait()


class Setting:
    def __init__(self) -> None:
        self.stage, self.intake = StubStage(), StubIntake()
        self.owners = Ownership(self.stage, Settings(tick_seconds=0.02), lambda _error: None)  # type: ignore[arg-type]
        self.owners.attach(self.intake)

    async def own(self, generation: int = 1) -> None:
        await self.owners.assign((TP,), Claim("me", generation))
        async with asyncio.timeout(5):
            while not self.owners.all_taken_over():  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.001)

    def deliver(self) -> None:
        self.owners.deliver(TP, Fetch([record()], 0, 1, self.intake.epoch))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "REVOKE_SECONDS", 1.0)
    monkeypatch.setattr(ownership, "REJOIN_SECONDS", (0.01, 0.02))


# -- the questions


async def does_a_revoke_await_the_batch_in_flight() -> bool:
    setting, at_work = Setting(), asyncio.Event()

    async def work() -> None:
        at_work.set()
        await asyncio.sleep(0.05)

    setting.stage.working = work
    await setting.own()
    setting.deliver()
    await at_work.wait()
    await setting.owners.revoke()
    done = setting.stage.done
    await setting.owners.stop()
    return done == 1


async def does_an_assignment_return_while_a_restore_goes_on() -> bool:
    setting = Setting()
    setting.stage.restoring = for_ever
    try:
        await asyncio.wait_for(setting.owners.assign((TP,), Claim("me", 1)), 2.0)
    except TimeoutError:
        return False
    finally:
        await setting.owners.stop()
    return True


async def does_a_fenced_task_ask_the_group() -> bool:
    setting = Setting()

    async def fenced() -> None:
        raise FencedError

    setting.stage.working = fenced
    await setting.own()
    setting.deliver()
    await asyncio.sleep(0.1)
    found = setting.stage.taken, setting.intake.rejoins
    await setting.owners.stop()
    return found == (1, 1)


async def is_what_others_may_have_owned_taken_over_anew() -> bool:
    setting = Setting()
    await setting.own(1)
    await setting.owners.revoke()
    await setting.own(3)  # of generation 2 nothing was heard
    await setting.owners.stop()
    return setting.stage.taken == 2


class FailingUnit:
    """A unit of work whose commits all fail."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        def ignore(*_arguments: Any) -> None:
            """Collected."""

        async def commit() -> None:
            raise OutcomeUnknownError

        yield SimpleNamespace(append=ignore, append_all=ignore, offsets=ignore, commit=commit)


async def does_a_failed_commit_leave_the_state_alone() -> bool:
    settings = Settings()
    task = counting_stage(settings).make_task(TopicPartition(settings.topic("tagging.journal"), 0))
    partition = CountingPartition(CoreSettings(), dict)
    task._partition, task._unit = partition, FailingUnit()  # type: ignore[assignment]
    with pytest.raises(OutcomeUnknownError):
        await task.process(Fetch([record(journal_value("C1", "e1"))], 0, 1))
    return (partition.states, partition.next_offset) == ({}, 0)


class KeepingUnit:
    """A unit of work that keeps what was committed, and always succeeds."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes | str, bytes]] = []

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        def append(topic: str, _partition: int, key: bytes, value: bytes) -> None:
            self.records.append((topic, key, value))

        def append_all(topic: str, _partition: int, records: Any) -> None:
            self.records += [(topic, *one) for one in records]

        yield SimpleNamespace(append=append, append_all=append_all, offsets=lambda *_: None, commit=nothing)


async def is_what_lies_below_the_position_dropped() -> bool:
    """A fetch that begins with what was decided already ends as one that does not."""
    journal = [
        activation("a"),
        *(app("2026-03-02 10:00", f"a{number}", product="P") for number in range(6)),
        tick("2026-03-02 11:00", "bank.transactions"),
        tick("2026-03-02 11:00", "bank.app-events"),
        app("2026-03-02 12:00", "a6", product="P"),
    ]
    fetched = [record(encode_record(one), offset) for offset, one in enumerate(journal)]

    async def decide(*fetches: slice) -> list[tuple[str, bytes | str, bytes]]:
        settings, unit = Settings(), KeepingUnit()
        task = counting_stage(settings).make_task(TopicPartition(settings.topic("tagging.journal"), 0))
        task._rulebooks = {"a": {"p.yaml": RICH}}  # type: ignore[assignment]
        task._partition = Partition(CoreSettings(), task._rulebooks.__getitem__)  # type: ignore[attr-defined]
        task._unit = unit  # type: ignore[assignment]
        for part in fetches:
            await task.process(fetched[part])
        return unit.records

    return await decide(slice(0, 9), slice(9, 10)) == await decide(slice(0, 9), slice(2, 10))


async def is_the_group_told_what_a_failed_commit_did_not() -> bool:
    told: list[Any] = []

    class Unit:
        @asynccontextmanager
        async def begin(self) -> AsyncIterator[Any]:
            yield SimpleNamespace(offsets=lambda _group, positions: told.append(positions), commit=nothing)

    task = Project(Settings()).make_task(TP)
    task._view = SimpleNamespace(write=lambda *_arguments: nothing())  # type: ignore[assignment]
    task._unit = Unit()  # type: ignore[assignment]
    task._position, task._told = 5, 3
    await task.idle(True)
    await task.idle(True)
    return told == [{TP: (5, "")}]


async def is_the_consumer_read_committed() -> bool:
    stage = counting_stage(Settings())
    app = build_app(stage, Settings(), lambda _error: None)
    thread = BatchConsumerThread.__new__(BatchConsumerThread)
    thread.__dict__.update(app=app, consumer=SimpleNamespace(in_transaction=False))
    consumer = thread._create_worker_consumer(app.transport)
    consumer._closed = True  # never started: nothing to close
    return bool(consumer._isolation_level == "read_committed")


def is_the_clock_the_slowest_source() -> bool:
    """One source is ten days ahead; the other's events are not late for it."""
    journal = [
        tick("2026-03-12 00:00", "bank.transactions"),
        tick("2026-03-02 00:00", "bank.app-events"),
        app("2026-03-02 10:00", "a1", product="P"),
    ]
    fates = run(journal, RICH).clock.fates
    return sum(fate.late for fate in fates.values()) == 0


def is_late_said_by_the_partitions_clock() -> bool:
    """A customer with one event far ahead may still have one within the clock's lateness."""
    journal = [
        tick("2026-03-05 00:00", "bank.transactions"),
        tick("2026-03-05 00:00", "bank.app-events"),
        money("2026-03-12 10:00", 100, "t1"),
        money("2026-03-04 10:00", 100, "t2"),
    ]
    fates = run(journal, RICH).clock.fates
    return sum(fate.late for fate in fates.values()) == 0


def is_an_id_unique_in_its_topic_only() -> bool:
    decoder = Decoder({})
    common = {"event_id": "same", "customer_id": "C1", "occurred_at": "2026-03-04T10:00:00+08:00"}
    payloads = {
        "bank.transactions": {**common, "account_id": "A", "direction": "credit", "amount": "1.00"},
        "bank.app-events": {**common, "action": "view"},
    }
    events = [decoder.decode(topic, 0, 7, msgspec.json.encode(one)).event for topic, one in payloads.items()]
    fates = run(events, RICH).clock.fates
    return sum(fate.applied for fate in fates.values()) == 2


FINGERPRINT = """
import sys
sys.path[:0] = ["tests", "tests/laws", "."]
from contextlib import nullcontext
from driver import run
from mutants import planted
from test_purity import PACKS, busy_journal, fingerprint
with {plant}():
    print(fingerprint(run(busy_journal(count=150), PACKS)))
"""


def is_a_deadline_passed_as_of_the_tick_that_made_it_due() -> bool:
    """Later ticks make nothing stale that the first of them was in time for, through restarts and a record."""
    pack = "pack: p\nrules: {in: {when: 'assets > 0', for: 30m, offer: {family: coupon, priority: 1}}}\n---\n"
    day = "2026-03-02"
    records = [
        *ticks(f"{day} 08:00"),
        *(money(f"{day} 09:00", 100, f"t-{one}", customer=one) for one in ("C1", "C2")),
        *(one for hour in (10, 15, 20) for one in ticks(f"{day} {hour}:00")),
        money(f"{day} 20:00", 100, "t3", customer="C2"),
    ]
    left = run(records, f"{pack}consent: false\nstale: 1h\n", sweeps={}, cuts=None, restart=True)
    told = [left.told(customer)[0]["delivery"] for customer in ("C1", "C2") if left.told(customer)]
    return [delivery["reason"] for delivery in told] == [None, None]


def does_no_hash_seed_change_a_byte(plant: str) -> bool:
    prints = {
        subprocess.run(
            [sys.executable, "-c", FINGERPRINT.format(plant=plant)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": number},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for number in ("1", "2", "3")
    }
    return len(prints) == 1


# -- the answers, without the bug and with it


async def test_revoke_without_awaiting_the_batch_in_flight() -> None:
    assert await does_a_revoke_await_the_batch_in_flight()
    with planted.revoke_without_awaiting_the_batch_in_flight():
        assert not await does_a_revoke_await_the_batch_in_flight()


async def test_restore_inside_the_assignment_callback() -> None:
    assert await does_an_assignment_return_while_a_restore_goes_on()
    with planted.restore_inside_the_assignment_callback():
        assert not await does_an_assignment_return_while_a_restore_goes_on()


async def test_a_fenced_task_re_fences_itself() -> None:
    assert await does_a_fenced_task_ask_the_group()
    with planted.a_fenced_task_re_fences_itself():
        assert not await does_a_fenced_task_ask_the_group()


async def test_kept_through_a_generation_it_was_not_part_of() -> None:
    assert await is_what_others_may_have_owned_taken_over_anew()
    with planted.kept_through_a_generation_it_was_not_part_of():
        assert not await is_what_others_may_have_owned_taken_over_anew()


async def test_merge_before_commit() -> None:
    assert await does_a_failed_commit_leave_the_state_alone()
    with planted.merge_before_commit():
        assert not await does_a_failed_commit_leave_the_state_alone()


async def test_records_below_the_position_folded_again() -> None:
    assert await is_what_lies_below_the_position_dropped()
    with planted.records_below_the_position_folded_again():
        assert not await is_what_lies_below_the_position_dropped()


async def test_a_group_never_told_what_failed() -> None:
    assert await is_the_group_told_what_a_failed_commit_did_not()
    with planted.a_group_never_told_what_failed():
        assert not await is_the_group_told_what_a_failed_commit_did_not()


async def test_consumer_reading_uncommitted() -> None:
    assert await is_the_consumer_read_committed()
    with planted.consumer_reading_uncommitted():
        assert not await is_the_consumer_read_committed()


def test_what_a_consumer_reading_uncommitted_does() -> None:
    assert any(simulate(seed, uncommitted).problems for seed in range(10))


def test_clock_as_maximum() -> None:
    assert is_the_clock_the_slowest_source()
    with planted.clock_as_maximum():
        assert not is_the_clock_the_slowest_source()


def test_sweep_forgotten_on_restore() -> None:
    assert is_a_deadline_passed_as_of_the_tick_that_made_it_due()
    with planted.sweep_forgotten_on_restore():
        assert not is_a_deadline_passed_as_of_the_tick_that_made_it_due()


def test_known_time_of_the_latest_tick() -> None:
    assert is_a_deadline_passed_as_of_the_tick_that_made_it_due()
    with planted.known_time_of_the_latest_tick():
        assert not is_a_deadline_passed_as_of_the_tick_that_made_it_due()


def test_a_record_before_its_customers_deadlines() -> None:
    assert is_a_deadline_passed_as_of_the_tick_that_made_it_due()
    with planted.a_record_before_its_customers_deadlines():
        assert not is_a_deadline_passed_as_of_the_tick_that_made_it_due()


def test_late_by_the_customers_own_clock() -> None:
    assert is_late_said_by_the_partitions_clock()
    with planted.late_by_the_customers_own_clock():
        assert not is_late_said_by_the_partitions_clock()


def test_dedup_key_without_the_topic() -> None:
    assert is_an_id_unique_in_its_topic_only()
    with planted.dedup_key_without_the_topic():
        assert not is_an_id_unique_in_its_topic_only()


def test_a_set_iterated_into_a_tag() -> None:
    assert does_no_hash_seed_change_a_byte("nullcontext")
    assert not does_no_hash_seed_change_a_byte("planted.a_set_iterated_into_a_tag")
