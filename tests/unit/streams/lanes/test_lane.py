"""A partition's lane, and who owns it: what is accepted, awaited, dropped and taken over again. No broker."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from streams.lanes import lane as lane_module
from streams.lanes.intake import Fetch
from streams.lanes.ownership import Claim, Ownership
from streams.lanes.unit_of_work import FencedError, OutcomeUnknownError
from streams.settings import Settings

TP = TopicPartition("in", 0)
OTHER = TopicPartition("in", 1)
FIRST = Claim("me", 1)


def record(offset: int) -> ConsumerRecord:
    return ConsumerRecord("in", 0, offset, 0, 0, None, b"", None, -1, 0, ())


class StubIntake:
    """Remembers seeks; membership is what the test says."""

    def __init__(self) -> None:
        self.seeks: list[tuple[TopicPartition, int, int]] = []
        self.member = True
        self.rejoins = 0
        self.end = 0

    async def seek(self, tp: TopicPartition, offset: int, epoch: int) -> None:
        self.seeks.append((tp, offset, epoch))

    def wake(self) -> None:
        """Nobody sleeps."""

    def is_caught_up(self, tp: TopicPartition, position: int, epoch: int) -> bool:
        return position == self.end

    async def is_member(self) -> bool:
        return self.member

    async def rejoin(self) -> None:
        self.rejoins += 1


class StubTask:
    """Starts at 0; `work` decides what a fetch does, and has `more` calls of `idle` to ask for."""

    def __init__(self, stage: "StubStage") -> None:
        self._stage = stage

    async def take_over(self) -> int:
        self._stage.taken += 1
        return self._stage.begins_at

    async def process(self, records: Sequence[ConsumerRecord]) -> None:
        await self._stage.work(records)
        self._stage.done.extend(item.offset for item in records)

    @property
    def has_more(self) -> bool:
        return self._stage.more > 0

    async def idle(self, caught_up: bool) -> None:
        self._stage.more -= 1
        self._stage.idles.append(caught_up)

    async def release(self) -> None:
        self._stage.released += 1


class StubStage:
    name = "decide"
    topics = ("in",)

    def __init__(self) -> None:
        self.begins_at = 0
        self.more = 0
        self.taken = self.released = 0
        self.done: list[int] = []
        self.idles: list[bool] = []
        self.work: Callable[[Sequence[ConsumerRecord]], Awaitable[None]] = self._nothing

    async def _nothing(self, records: Sequence[ConsumerRecord]) -> None:
        """Work done."""

    def make_task(self, tp: TopicPartition) -> StubTask:
        return StubTask(self)


class Setting:
    """An ownership over stubs."""

    def __init__(self, tick_seconds: float = 0.02) -> None:
        self.stage = StubStage()
        self.intake = StubIntake()
        self.failures: list[BaseException] = []
        self.limit(tick_seconds=tick_seconds)

    def limit(self, tick_seconds: float = 0.02, **limits: float) -> None:
        """Begin with other settings."""
        settings = Settings(tick_seconds=tick_seconds, **limits)  # type: ignore[arg-type]
        self.owners = Ownership(self.stage, settings, self.failures.append)  # type: ignore[arg-type]
        self.owners.attach(self.intake)

    async def own(self, claim: Claim = FIRST, *tps: TopicPartition) -> None:
        """One rebalance, as the consumer drives it, until everything is taken over."""
        await self.owners.revoke()
        await self.owners.assign(tps or (TP,), claim)
        await self.owners.resume()
        await until(self.owners.all_taken_over)

    def deliver(self, start: int, end: int, *, records: Sequence[int] | None = None, seek: int = -1) -> None:
        offsets = range(start, end) if records is None else records
        epoch = self.intake.seeks[seek][2]
        self.owners.deliver(TP, Fetch([record(offset) for offset in offsets], start, end, epoch))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Setting:
    monkeypatch.setattr(lane_module, "BACKOFF_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(lane_module, "REVOKE_SECONDS", 0.2)
    monkeypatch.setattr("streams.lanes.ownership.REJOIN_SECONDS", (0.01, 0.02))
    return Setting()


async def test_fetches_are_processed_in_order(setting: Setting) -> None:
    await setting.own()
    setting.deliver(0, 3)
    await until(lambda: setting.stage.done == [0, 1, 2])
    setting.deliver(3, 9, records=[5, 6])  # markers and aborted records between
    await until(lambda: setting.stage.done == [0, 1, 2, 5, 6])


async def test_a_lane_asks_for_no_more_than_it_may_hold(setting: Setting) -> None:
    free = asyncio.Event()

    async def wait(_records: Sequence[ConsumerRecord]) -> None:
        await free.wait()

    setting.stage.work = wait
    await setting.own()
    setting.deliver(0, 1)
    await until(lambda: setting.owners.wants_more(TP))  # in process
    setting.deliver(1, 2)
    assert not setting.owners.wants_more(TP)
    free.set()
    await until(lambda: setting.stage.done == [0, 1])
    assert setting.owners.wants_more(TP)


async def test_a_lane_at_rest_leaves_a_fetch_waiting_unless_it_is_behind(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "streams.lanes.rest.SHARES", {"decide": 1e9}
    )  # the first fetch is followed by the longest rest
    setting.limit(view_rest_seconds=60, batch_records=3)
    await setting.own()
    setting.deliver(0, 1)
    await until(lambda: setting.stage.done == [0])
    setting.deliver(1, 2)
    ticks = len(setting.stage.idles)
    await asyncio.sleep(0.1)  # five ticks
    assert setting.stage.done == [0]
    assert len(setting.stage.idles) == ticks, "what waits is no idleness"
    assert not setting.owners.wants_more(TP)

    await setting.own(Claim("me", 2))  # a revoke waits for no rest
    assert setting.stage.taken == 1
    setting.deliver(1, 4)  # as much as a transaction takes
    await until(lambda: setting.stage.done == [0, 1, 2, 3])


async def test_a_rest_that_is_over_ends_in_work(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.lanes.rest.SHARES", {"decide": 1e9})
    setting.limit(view_rest_seconds=0.05)
    await setting.own()
    setting.deliver(0, 1)
    await until(lambda: setting.stage.done == [0])
    setting.deliver(1, 2)
    ticks = len(setting.stage.idles)
    await until(lambda: setting.stage.done == [0, 1])
    assert len(setting.stage.idles) == ticks


async def test_a_fetch_from_before_the_last_seek_is_dropped(setting: Setting) -> None:
    await setting.own()
    await setting.own(Claim("me", 2))
    setting.deliver(0, 3, seek=0)
    setting.deliver(0, 2)
    await until(lambda: len(setting.stage.done) > 0)
    assert setting.stage.done == [0, 1]


async def test_a_fetch_lost_on_the_way_is_read_again(setting: Setting) -> None:
    await setting.own()
    setting.deliver(0, 2)
    setting.deliver(4, 6)
    await until(lambda: len(setting.intake.seeks) == 2)
    assert setting.intake.seeks[-1][:2] == (TP, 2)
    setting.deliver(2, 6)
    await until(lambda: setting.stage.done == [0, 1, 2, 3, 4, 5])


async def test_a_resume_that_comes_late_leaves_the_seek_to_the_next_generation(setting: Setting) -> None:
    """Faust resumes the first generation when the second has revoked already: positions sought then are lost."""
    await setting.own(FIRST)
    await setting.owners.revoke()
    before = len(setting.intake.seeks)
    await setting.owners.resume()
    assert len(setting.intake.seeks) == before
    await setting.owners.assign((TP,), Claim("me", 2))
    await setting.owners.resume()
    assert [seek[:2] for seek in setting.intake.seeks[before:]] == [(TP, 0)]
    setting.deliver(0, 3)
    await until(lambda: setting.stage.done == [0, 1, 2])


async def test_a_revoke_awaits_the_batch_in_flight(setting: Setting) -> None:
    async def work(_records: Sequence[ConsumerRecord]) -> None:
        await asyncio.sleep(0.05)

    setting.stage.work = work
    await setting.own()
    setting.deliver(0, 2)
    await until(lambda: setting.owners.wants_more(TP))
    setting.deliver(2, 4)
    await setting.owners.revoke()
    assert setting.stage.done == [0, 1]
    assert not setting.owners.wants_more(TP)
    await asyncio.sleep(0.1)
    assert setting.stage.done == [0, 1], "what waited must not be processed after the revoke"


async def test_a_kept_partition_goes_on_where_it_was_without_a_take_over(setting: Setting) -> None:
    await setting.own(FIRST, TP, OTHER)
    setting.deliver(0, 2, seek=[tp for tp, _, _ in setting.intake.seeks].index(TP))
    await until(lambda: setting.stage.done == [0, 1])
    await setting.own(Claim("me", 2), TP)
    assert setting.intake.seeks[-1][:2] == (TP, 2)
    assert setting.stage.taken == 2
    await until(lambda: setting.stage.released == 1)


@pytest.mark.parametrize("claim", [Claim("me", 3), Claim("somebody", 2), Claim("me", 0)])
async def test_a_partition_that_others_may_have_owned_is_taken_over_anew(setting: Setting, claim: Claim) -> None:
    await setting.own()
    await setting.own(claim)
    assert setting.stage.taken == 2
    await until(lambda: setting.stage.released == 1)


async def test_a_batch_that_outlasts_a_revoke_is_cancelled_and_its_state_dropped(setting: Setting) -> None:
    async def forever(_records: Sequence[ConsumerRecord]) -> None:
        await asyncio.Event().wait()

    setting.stage.work = forever
    await setting.own()
    setting.deliver(0, 2)
    await until(lambda: setting.owners.wants_more(TP))
    async with asyncio.timeout(2):
        await setting.owners.revoke()
    assert setting.stage.released == 1
    await setting.own(Claim("me", 2))
    assert setting.stage.taken == 2
    assert setting.stage.done == []


async def test_an_unknown_outcome_is_taken_over_anew_only_by_a_member(setting: Setting) -> None:
    async def fail_once(_records: Sequence[ConsumerRecord]) -> None:
        if setting.stage.taken == 1:
            raise OutcomeUnknownError("broker away")

    setting.stage.work = fail_once
    await setting.own()
    setting.intake.member = False
    setting.deliver(0, 2)
    await until(lambda: setting.stage.released == 1)
    await asyncio.sleep(0.1)
    assert setting.stage.taken == 1
    setting.intake.member = True
    await until(lambda: setting.stage.taken == 2)
    await until(setting.owners.all_taken_over)
    setting.deliver(0, 2)
    await until(lambda: setting.stage.done == [0, 1])
    assert setting.failures == []


async def test_a_fenced_task_asks_the_group_and_never_fences_by_itself(setting: Setting) -> None:
    async def fenced(_records: Sequence[ConsumerRecord]) -> None:
        raise FencedError

    setting.stage.work = fenced
    await setting.own()
    setting.deliver(0, 2)
    await until(lambda: setting.intake.rejoins == 1)
    await asyncio.sleep(0.1)
    assert setting.stage.taken == 1
    await setting.own()  # the group confirms the very same generation
    assert setting.stage.taken == 2


async def test_any_other_exception_is_a_fault(setting: Setting) -> None:
    async def fold(_records: Sequence[ConsumerRecord]) -> None:
        raise ZeroDivisionError

    setting.stage.work = fold
    await setting.own()
    setting.deliver(0, 2)
    await until(lambda: len(setting.failures) == 1)
    assert isinstance(setting.failures[0], ZeroDivisionError)
    await asyncio.sleep(0.1)
    assert (setting.stage.taken, setting.stage.released, setting.stage.done) == (1, 1, [])


async def test_a_quiet_partition_ticks_and_a_revoked_one_does_not(setting: Setting) -> None:
    await setting.own()
    await until(lambda: setting.stage.idles[:2] == [True, True])
    setting.intake.end = 1
    await until(lambda: setting.stage.idles[-1:] == [False])
    await setting.owners.revoke()
    ticks = len(setting.stage.idles)
    await asyncio.sleep(0.1)
    assert len(setting.stage.idles) == ticks


async def test_a_task_that_has_more_to_do_does_it_at_once_and_a_fetch_comes_first() -> None:
    setting = Setting(tick_seconds=3600.0)
    setting.stage.more = 50
    await setting.own()
    await until(lambda: len(setting.stage.idles) == 50)
    setting.stage.more = 1 << 30
    setting.deliver(0, 2)
    await until(lambda: setting.stage.done == [0, 1])
    await until(lambda: len(setting.stage.idles) > 60)
    await setting.owners.revoke()
    idles = len(setting.stage.idles)
    await asyncio.sleep(0.05)
    assert len(setting.stage.idles) == idles


async def test_stopping_releases_everything_and_takes_nothing_more(setting: Setting) -> None:
    await setting.own(FIRST, TP, OTHER)
    await setting.owners.stop()
    assert setting.stage.released == 2
    await setting.owners.assign((TP,), Claim("me", 2))
    assert setting.stage.taken == 2
