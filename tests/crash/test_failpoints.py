"""Fail-points: each is listed, stands in the code once, is reached, and may kill a worker there at no loss."""

import ast
import asyncio
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from simulation.plan import Plan, Step
from simulation.run import simulate

from streams import failpoints
from streams.failpoints import REGISTRY, FailPointError

STREAMS = Path(failpoints.__file__).parent


def places_in_code() -> list[str]:
    found = []
    for path in sorted(STREAMS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoints.reach":
                [name] = node.args
                assert isinstance(name, ast.Constant), f"{path.name}: a place is named in the code"
                found.append(name.value)
    return found


def test_every_place_in_the_registry_stands_in_the_code() -> None:
    assert set(places_in_code()) == set(REGISTRY)


def test_every_reach_stands_behind_the_switch() -> None:
    for path in sorted(STREAMS.rglob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for before, line in pairwise(lines):
            if "await failpoints.reach(" in line:
                assert before.strip() == "if failpoints.armed:", f"{path.name}: {line.strip()}"


@pytest.mark.parametrize("action", ["crash", "stall", "freeze", "raise"])
@pytest.mark.parametrize("place", sorted(REGISTRY))
def test_a_worker_may_break_anywhere(place: str, action: str) -> None:
    """Crash, stall while heartbeats go on, freeze beyond the session, or raise, at the second hit; nothing is
    lost, doubled or stuck."""

    def only(plan: Plan) -> None:
        plan.steps = [Step(place, 2, action, BREAK_SECONDS)]  # type: ignore[arg-type]

    hits = 0
    for seed in SEEDS:
        verdict = simulate(seed, only)
        assert not verdict.problems, verdict
        hits = verdict.places[place]
        if hits >= 2:
            return
    pytest.fail(f"{place} was hit {hits} times in seed {SEEDS[-1]}, twice in none of {SEEDS}")


SEEDS = (7, 18, 25, 31)
"""Between them they come to every place twice."""
BREAK_SECONDS = 15.0
"""Longer than any session of a plan."""


@pytest.mark.parametrize(("action", "is_refused"), [("freeze", True), ("stall", False)])
def test_only_a_frozen_worker_loses_its_session(action: str, is_refused: bool) -> None:
    """Its transaction is complete when it stops; whoever took over has fenced it when it wakes."""

    def only(plan: Plan) -> None:
        plan.calm_down()
        plan.workers = 2
        plan.steps = [Step("unit.before-produce", nth, action, BREAK_SECONDS) for nth in (20, 40)]  # type: ignore[arg-type]

    verdict = simulate(7, only)
    assert not verdict.problems, verdict
    for told in ("session ended", "refused a zombie"):
        assert any(told in line for line in verdict.story) == is_refused, told


def run_python(text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


REACHES = """
import asyncio, os
from streams import failpoints
failpoints.arm_from(os.environ)
async def work():
    for number in range(3):
        if failpoints.armed:
            await failpoints.reach("decide.after-fold")
        print(number, flush=True)
asyncio.run(work())
"""


def test_a_process_is_killed_at_the_hit_that_its_environment_names(tmp_path: Path) -> None:
    told = tmp_path / "hits"
    done = run_python(REACHES, TAGGER_FAILPOINTS="decide.after-fold=crash@2", TAGGER_FAILPOINTS_HITS=str(told))
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == "0\n"
    assert told.read_text() == "decide.after-fold\n" * 2, "hits are known of a process that was killed"


def test_a_process_raises_and_stalls_as_its_environment_says() -> None:
    done = run_python(REACHES, TAGGER_FAILPOINTS="decide.after-fold=stall:0.01@*,decide.after-fold=raise@3")
    assert done.stdout == "0\n1\n"
    assert "FailPointError: planted at decide.after-fold" in done.stderr


def test_nothing_is_armed_without_the_variables() -> None:
    assert not failpoints.arm_from({})
    assert not failpoints.armed


@pytest.mark.parametrize(
    "text", ["decide.after-fold", "nowhere.at-all=crash", "decide.after-fold=explode", "=crash"]
)
def test_a_step_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        failpoints.read_steps(text)


async def test_hits_are_counted_while_armed_and_told_to_the_handler() -> None:
    seen: list[tuple[str, int]] = []

    async def handle(place: str, nth: int) -> None:
        seen.append((place, nth))
        if nth == 3:
            raise FailPointError

    with failpoints.arming(handle) as hits:
        await failpoints.reach("restore.reading")
        await failpoints.reach("restore.reading")
        with pytest.raises(FailPointError):
            await failpoints.reach("restore.reading")
    assert seen == [("restore.reading", nth) for nth in (1, 2, 3)]
    assert hits["restore.reading"] == 3
    assert not failpoints.armed
    await asyncio.sleep(0)
