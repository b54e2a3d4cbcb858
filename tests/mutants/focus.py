"""Plans in which one kind of fault is frequent, and the hunt for a seed that a planted bug fails."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from random import Random
from unittest import mock

from simulation import world
from simulation.plan import Fault, Plan, Step
from simulation.run import Verdict, simulate

Focus = Callable[[Plan], None]
Plant = Callable[[], AbstractContextManager[None]]

MOST_SEEDS = 60
"""A bug that as many seeds do not find would not be found by a run of thousands either, for all a test can say."""


def hunt(plant: Plant, focus: Focus | None, seeds: range = range(MOST_SEEDS)) -> Verdict | None:
    """The first seed that fails with the bug planted, and is clean without; None when there is none."""
    for seed in seeds:
        with plant(), mock.patch.object(world, "DRAIN_SECONDS", 150.0):
            verdict = simulate(seed, focus)
        if verdict.problems:
            without = simulate(seed, focus)
            assert not without.problems, without
            return verdict
    return None


def frequent(*kinds: str, workers: int = 2) -> Focus:
    """These faults, ten each, and no others."""

    def focus(plan: Plan) -> None:
        random = Random(f"focus {plan.seed}")
        plan.workers, plan.steps = max(plan.workers, workers), []
        plan.faults = [
            Fault(random.uniform(1, 38), kind, random.uniform(2, 25))  # type: ignore[arg-type]
            for kind in kinds
            for _ in range(10)
        ]
        plan.faults.sort(key=lambda fault: fault.at)

    return focus


def failing_sends(plan: Plan) -> None:
    plan.failed_send_share = 0.1


def lost_answers(plan: Plan) -> None:
    plan.faults, plan.steps = [], []
    plan.weather.lost_share, plan.weather.slow_share = 0.05, 0.05


def slow_answers(plan: Plan) -> None:
    plan.faults, plan.steps = [], []
    plan.weather.slow_share = 0.2


def disorder(plan: Plan) -> None:
    plan.disorder_share = 0.1


def uncommitted(plan: Plan) -> None:
    frequent("foreign")(plan)
    plan.reads_committed = False


def raising(plan: Plan) -> None:
    plan.faults = []
    plan.steps = [Step("decide.after-fold", nth, "raise") for nth in (3, 6, 9, 12)]


def frozen_after_the_first_restore(plan: Plan) -> None:
    plan.calm_down()
    plan.workers, plan.journal_partitions, plan.session = 2, 1, 6.0
    plan.steps = [Step("decide.after-restore", 1, "freeze", 20.0)]


def frozen_between_two_writes_to_a_wiped_view(plan: Plan) -> None:
    frequent("wipe")(plan)
    plan.session = 6.0
    plan.steps = [Step("view.after-claim", nth, "freeze", 20.0) for nth in (5, 15, 25)]
