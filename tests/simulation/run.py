"""One seed: run it, judge it, tell it."""

import asyncio
import gc
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random

from .loop import SimulatedLoop, StuckError
from .plan import Plan, draw
from .verdict import problems
from .world import WedgedError, World, installed

MOST_STEPS = 3_000_000
"""Callbacks of a run at most; far more than any that ends."""


@dataclass
class Verdict:
    """What came of a seed.

    Attributes:
        problems: what is not as it must be; empty when all is well.
        digest: of the whole story; the same for each run of a seed.
        places: hits of fail-points.
        tags: how many were committed.
    """

    seed: int
    problems: list[str]
    story: list[str]
    digest: str
    seconds: float
    steps: int
    tags: int = 0
    places: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: {len(self.problems)} problems", *self.problems, "", "story:", *self.story]
        return "\n".join(lines)


def simulate(seed: int, change: Callable[[Plan], None] | None = None) -> Verdict:
    """Run a seed to its end and judge it.

    Args:
        change: changes the seed's plan before it runs.
    """
    plan = draw(seed)
    if change is not None:
        change(plan)
    loop = SimulatedLoop(Random(f"loop {seed}"))
    world = World(plan, loop)
    asyncio.set_event_loop(None)
    found: list[str] = []
    was_enabled = gc.isenabled()
    gc.disable()  # finalizers must not run when memory happens to be full
    try:
        with installed(world):
            try:
                loop.run_until_complete(world.run())
                found = list(problems(world))
            except (WedgedError, StuckError) as error:
                found = [str(error), *(f"{name}: {failure!r}" for name, failure in world.failures[:3])]
            world.is_over = True
            _dispose(loop)
    finally:
        if was_enabled:
            gc.enable()
    story = [_line(*line) for line in world.story]
    digest = blake2b("\n".join(story).encode(), digest_size=8).hexdigest()
    tags = sum(len(log.committed()) for tp, log in world.broker.logs.items() if tp.topic.endswith("tags"))
    return Verdict(seed, found, story, digest, loop.time(), loop.steps, tags, world.places)


def _dispose(loop: SimulatedLoop) -> None:
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loop.dispose()
            gc.collect(0)  # all of the run is young, collection having been off
    finally:
        sys.unraisablehook = hook


def _line(at: float, who: str, what: str, facts: tuple[object, ...]) -> str:
    return f"{at:9.3f} {who:8} {what} {' '.join(str(fact) for fact in facts)}".rstrip()
