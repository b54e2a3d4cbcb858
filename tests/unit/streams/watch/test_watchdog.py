"""What the watchdog makes of what it sees, look by look."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from streams.lanes.vitals import Vitals
from streams.settings import Settings
from streams.watch import watchdog
from streams.watch.conditions import Ends, Seen
from streams.watch.watchdog import StuckError, Watchdog

TP = TopicPartition("tagging.journal", 0)
LIMIT = 10.0
LIMITS = {
    f"watchdog_{kind}_seconds": LIMIT for kind in ("loop", "progress", "transaction", "stable", "task", "stop")
}
AT_REST = Ends(100, 100)
BEHIND = Ends(500, 500)
HELD = Ends(100, 200)


@dataclass
class FakeLane:
    tp: TopicPartition = TP
    vitals: Vitals = field(default_factory=lambda: Vitals(done=100))
    is_live: bool = True
    has_ended: bool = False


@dataclass
class FakeStage:
    """What the watchdog sees of `Ownership` and of the consumer behind it."""

    lanes: tuple[FakeLane, ...]
    claim: object | None = "a generation"
    lost: list[str] = field(default_factory=list)
    read: int | None = 100
    stage: Any = field(default_factory=lambda: SimpleNamespace(name="decide", topics=[TP.topic]))

    @property
    def intake(self) -> Any:
        return SimpleNamespace(lost_parts=lambda: self.lost, read_up_to=lambda _tp: self.read)


class Watched:
    """A worker with one lane, at rest, and its watchdog. Its loop runs unless `loop_hangs`."""

    def __init__(self, **limits: float) -> None:
        self.lane = FakeLane()
        self.stage = FakeStage((self.lane,))
        self.ends = AT_REST
        self.is_answered = True
        self.loop_hangs = False
        self.failures: list[BaseException] = []
        self.ended: list[int] = []
        settings = Settings(**(LIMITS | limits))  # type: ignore[arg-type]
        self.dog = Watchdog(settings, [self.stage], self.failures.append, self.ended.append)  # type: ignore[list-item]
        self.dog._loop = SimpleNamespace(call_soon_threadsafe=lambda call, error: call(error))  # type: ignore[assignment]

    def look(self, times: int, then: Callable[[], object] | None = None) -> None:
        """Look once a second; `then` runs after each look."""
        for _ in range(times):
            self.dog._seen = Seen(True, {TP: self.ends}) if self.is_answered else Seen()
            self.dog._beats += not self.loop_hangs
            self.dog.look(1.0)
            if then is not None:
                then()

    @property
    def told(self) -> str:
        (failure,) = self.failures
        assert isinstance(failure, StuckError)
        return str(failure)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def lag(watched: Watched) -> None:
    watched.ends = BEHIND


def busy(watched: Watched) -> None:
    watched.lane.vitals.is_busy = True


def not_taken_over(watched: Watched) -> None:
    watched.lane.is_live = False


def transaction(watched: Watched) -> None:
    watched.lane.vitals.transaction = 1


def held(watched: Watched) -> None:
    watched.ends = HELD


def lost_part(watched: Watched) -> None:
    watched.stage.lost = ["fetch task"]


def lost_lane(watched: Watched) -> None:
    watched.lane.has_ended = True


def no_assignment(watched: Watched) -> None:
    watched.stage.claim = None


CONDITIONS = {
    lag: "decide: tagging.journal-0: no progress beyond offset 100 with lag for 11 s (watchdog_progress_seconds).",
    busy: "decide: tagging.journal-0: no progress beyond offset 100 with work in hand for 11 s (watchdog_progress",
    not_taken_over: "decide: tagging.journal-0: no progress beyond offset 100 with work in hand for 11 s (watch",
    transaction: "decide: tagging.journal-0: a transaction has been open for 11 s (watchdog_transaction_seconds).",
    held: "decide: tagging.journal-0: an open transaction has held the stable offset at 100, below 200, for 11 s",
    lost_part: "decide: the consumer's fetch task has ended for 11 s (watchdog_task_seconds).",
    lost_lane: "decide: tagging.journal-0: what processes it has ended for 11 s (watchdog_task_seconds).",
    no_assignment: "decide: the group gave no assignment for 11 s (watchdog_task_seconds).",
}
Plant = Callable[[Watched], None]


def test_a_worker_at_rest_is_left_alone(watched: Watched) -> None:
    watched.look(1000)
    assert (watched.failures, watched.ended) == ([], [])


@pytest.mark.parametrize("plant", CONDITIONS, ids=lambda plant: plant.__name__)
def test_a_condition_that_lasts_ends_the_worker_once(watched: Watched, plant: Plant) -> None:
    watched.look(100)
    plant(watched)
    watched.look(11)
    assert watched.failures == []
    watched.look(20)
    assert watched.told.startswith(CONDITIONS[plant])
    assert watched.ended == []


@pytest.mark.parametrize("plant", CONDITIONS, ids=lambda plant: plant.__name__)
def test_a_limit_of_nothing_never_ends_it(plant: Plant) -> None:
    watched = Watched(**dict.fromkeys(LIMITS, 0))
    plant(watched)
    watched.loop_hangs = True
    watched.look(1000)
    assert (watched.failures, watched.ended) == ([], [])


@pytest.mark.parametrize("plant", [lag, busy, not_taken_over, transaction, held], ids=lambda plant: plant.__name__)
def test_time_counts_only_while_a_broker_answers(watched: Watched, plant: Plant) -> None:
    plant(watched)
    watched.is_answered = False
    watched.look(1000)
    assert watched.failures == []
    watched.is_answered = True
    watched.look(12)
    assert watched.failures


@pytest.mark.parametrize("plant", CONDITIONS, ids=lambda plant: plant.__name__)
def test_a_condition_that_passes_and_comes_again_begins_anew(watched: Watched, plant: Plant) -> None:
    for _ in range(5):
        plant(watched)
        watched.look(9)
        watched.lane.vitals, watched.ends = Vitals(done=100), AT_REST
        watched.lane.is_live, watched.lane.has_ended = True, False
        watched.stage.lost, watched.stage.claim = [], "a generation"
        watched.look(1)
    assert watched.failures == []


def test_a_loop_that_hangs_ends_the_process_at_once(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.look(5)
    watched.loop_hangs = True
    watched.look(11)
    assert watched.ended == [1]
    (line,) = [record for record in caplog.records if record.getMessage() == "cannot go on"]
    assert line.error == "StuckError: the event loop runs nothing for 11 s (watchdog_loop_seconds)."  # type: ignore[attr-defined]
    assert any("look" in frame for frame in line.trace), "where the main thread stands"  # type: ignore[attr-defined]


@pytest.mark.parametrize("plant", CONDITIONS, ids=lambda plant: plant.__name__)
def test_a_stop_has_its_own_limit_and_nothing_else_matters(plant: Plant) -> None:
    watched = Watched(watchdog_stop_seconds=50)
    watched.dog.stopping()
    plant(watched)
    watched.look(51)
    assert (watched.failures, watched.ended) == ([], [])
    watched.look(1)
    assert (watched.failures, watched.ended) == ([], [1])


def test_committed_fetches_and_steps_within_one_are_progress(watched: Watched) -> None:
    vitals, watched.ends = watched.lane.vitals, Ends(10_000, 10_000)
    vitals.is_busy = True

    def go_on() -> None:
        vitals.steps += 1
        if vitals.steps == 30:
            vitals.done, vitals.steps = vitals.done + 1, 0

    watched.look(200, go_on)
    assert watched.failures == []


def test_reading_over_aborted_records_is_progress(watched: Watched) -> None:
    watched.ends = Ends(10_000, 10_000)

    def read_on() -> None:
        assert watched.stage.read is not None
        watched.stage.read += 1

    watched.look(200, read_on)
    assert watched.failures == []


def test_reading_the_same_again_and_again_is_none(watched: Watched) -> None:
    watched.ends = BEHIND

    def read_again() -> None:
        watched.stage.read = 100 if watched.stage.read != 100 else 400

    watched.look(20, read_again)
    assert "no progress beyond offset 100 with lag" in watched.told


def test_attempts_that_fail_at_the_same_place_are_none(watched: Watched) -> None:
    """Each restores anew, gets as far as the one before, and is made again after a pause."""
    vitals, watched.ends = watched.lane.vitals, BEHIND

    def attempt() -> None:
        vitals.steps = (vitals.steps + 1) % 4
        vitals.is_busy = vitals.steps != 0
        watched.lane.is_live = vitals.steps == 3

    watched.look(20, attempt)
    assert "no progress" in watched.told


def test_a_view_that_is_rebuilt_from_the_beginning_is_progress(watched: Watched) -> None:
    vitals, watched.ends = watched.lane.vitals, BEHIND
    watched.look(9)
    vitals.done = 0

    def go_on() -> None:
        vitals.done += 1

    watched.look(50, go_on)
    assert watched.failures == []


def test_a_wait_for_redis_is_no_lack_of_progress(watched: Watched) -> None:
    watched.ends = BEHIND
    busy(watched)
    watched.lane.is_live = False
    with watched.lane.vitals.waiting("Redis"):
        watched.look(1000)
    assert watched.failures == []
    watched.look(12)
    assert "no progress" in watched.told


def test_a_stable_offset_that_moves_is_held_by_nobody(watched: Watched) -> None:
    def go_on() -> None:
        watched.ends = Ends(watched.ends.stable + 1, watched.ends.high + 1)
        watched.stage.read = watched.ends.stable

    watched.ends = HELD
    watched.look(100, go_on)
    assert watched.failures == []


def test_one_transaction_after_the_other_is_none_that_stays_open(watched: Watched) -> None:
    vitals = watched.lane.vitals

    def another() -> None:
        with vitals.in_transaction():
            watched.look(1)

    for _ in range(50):
        another()
    assert watched.failures == []


def run_looks(watched: Watched, monkeypatch: pytest.MonkeyPatch, clock: Iterator[float]) -> None:
    """The thread's own loop, on a clock of the test's, until the clock ends."""

    def monotonic() -> float:
        now = next(clock, None)
        if now is None:
            watched.dog.close()
        return now or 0.0

    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=monotonic))
    watched.dog._run()


def test_time_in_which_the_process_stood_still_does_not_count(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.loop_hangs = True
    run_looks(watched, monkeypatch, iter(range(0, 100_000, 1000)))
    assert watched.ended == []


def test_a_watchdog_that_cannot_look_ends_the_worker(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStage, "intake", property(lambda _self: 1 / 0))
    run_looks(watched, monkeypatch, iter((0.0, 0.01)))
    assert isinstance(watched.failures[0], ZeroDivisionError)
