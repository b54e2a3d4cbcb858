"""Fault runs on real servers: the short one, and one whose workers have a bug that must not pass."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka_broker import KafkaBroker
from redis_server import RedisServer

from faults.plan import draw
from faults.report import command, section, sigkills, write
from faults.run import Result, run
from faults.storm import NO_TIME
from streams import failpoints

pytestmark = [pytest.mark.faults, pytest.mark.kafka, pytest.mark.redis]

SHORT_SECONDS = 1200
"""A run takes five to six minutes on two free cores, which the test shares."""
MOST_MINUTES = 9.0
"""After which no further fault strikes, on a machine too busy for all of them."""
LEAST_SIGKILLS = 20
"""Below which a run shows too little, however busy the machine."""


@pytest.fixture(autouse=True)
def parts(own_kafka: Callable[[], KafkaBroker], own_redis: Callable[[], RedisServer]) -> None:
    """Skip, or in CI fail, where a server is missing."""
    own_kafka().close()
    own_redis().close()


async def struck(seed: int, kills: int, events: int, *, only_kills: bool = False, planted: str = "") -> Result:
    plan = draw(seed, kills, events, most_minutes=MOST_MINUTES, only_kills=only_kills)
    return await run(plan, planted)


def too_few(result: Result) -> str:
    """How many SIGKILLs there were, and why there were no more."""
    killed = ", ".join(f"{name} {count}" for name, count in sigkills(result).items())
    why = [note for note in result.notes if NO_TIME in note] or ["the plan has no more"]
    return (
        f"expected at least {LEAST_SIGKILLS} SIGKILLs, found {sigkills(result).total()} ({killed}): "
        f"{'; '.join(why)} within {MOST_MINUTES:.0f} minutes, of which the storm took "
        f"{result.seconds['storm'] / 60:.1f}; other processes took {result.taken_by_others:.0%} of the CPU"
    )


@pytest.mark.timeout(SHORT_SECONDS)
async def test_twenty_kills_and_more_leave_no_trace(tmp_path: Path) -> None:
    result = await struck(4, 20, 100_000)
    assert not result.problems, f"{section(result)}\nlogs: {result.folder}\nagain: {command(result)}"
    assert sigkills(result).total() >= LEAST_SIGKILLS, too_few(result)
    if not any(NO_TIME in note for note in result.notes):
        kinds = {one.kind for one in result.struck}
        assert kinds >= {"kill", "pause", "join", "broker-kill", "redis-kill", "redis-flush", "aborted", "open"}
        assert len(result.alone) + len(result.overlapped) >= 20
    assert sum(result.fates[fate] for fate in ("applied", "duplicate", "late", "dead letters")) == 100_000
    assert set(result.hits) <= set(failpoints.REGISTRY)
    write(result, tmp_path / "page.md")
    assert "20 kills, 100,000 events, seed 4: green" in (tmp_path / "page.md").read_text()
    shutil.rmtree(result.folder)


@pytest.mark.mutant
@pytest.mark.timeout(400)
async def test_workers_that_forget_deadlines_on_restore_do_not_pass() -> None:
    result = await struck(1, 8, 12_000, only_kills=True, planted="deadline_lost_on_restore")
    assert any("customers differ" in problem for problem in result.problems), result.problems
    assert "**" in section(result)
    shutil.rmtree(result.folder)
