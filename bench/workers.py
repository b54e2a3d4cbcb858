"""Workers and other contenders as child processes of a run, with their logs."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from streams.child import Child
from streams.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
_SECONDS = 120.0


class BenchError(Exception):
    """A contender did not do the job, so that its figures mean nothing."""


@contextmanager
def worker_of(settings: Settings, only: str, folder: Path) -> Iterator[Child]:
    """A `tagger worker` with these stages; its log goes into the folder."""
    given = settings.model_dump(mode="json", include=settings.model_fields_set)
    env = {
        f"TAGGER_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }
    arguments = ["-m", "streams.cli.main", "worker", "--only", only]
    with started(f"{settings.app}-{only}", arguments, env, folder) as child:
        yield child


@contextmanager
def started(name: str, arguments: list[str], env: Mapping[str, str], folder: Path) -> Iterator[Child]:
    """A Python process, stopped at the end."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TAGGER_")}
    number = len(list(folder.glob("*.log")))
    child = Child(
        [sys.executable, *arguments],
        folder / f"{number}-{name}.log",
        {**inherited, "PYTHONPATH": str(ROOT), **env},
    )
    try:
        yield child
    finally:
        child.stop()


async def wait_for_event(child: Child, event: str, times: int = 1, seconds: float = _SECONDS) -> None:
    """Wait until a worker has logged an event so many times.

    Raises:
        BenchError: it ended, or did not within the time.
    """
    deadline = time.monotonic() + seconds
    while len(log_events(child.log, event)) < times:
        if not child.running or time.monotonic() > deadline:
            raise BenchError(f"expected a worker to say `{event}`, it ended with {child.log_tail()}")
        await asyncio.sleep(0.02)


def log_events(log: Path, name: str) -> list[dict[str, str]]:
    """The lines of one event in a worker's log."""
    whole = log.read_text().rpartition("\n")[0]  # the last line may be half written
    lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]
