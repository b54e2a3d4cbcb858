"""The workers of a run, and what supervises them: whoever ends without being told to is replaced.

A worker's log tells which partitions it owns and why it ended. Every way of ending is kept; one that no fault of
the plan explains is a problem of the run.
"""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from pipeline import COMMAND, ROOT

from streams.child import Child
from streams.settings import Settings

POLL_SECONDS = 0.05
_RESTART_SECONDS = 0.5
_STOP_SECONDS = 60.0
_BROKER_AWAY = frozenset({"broker-kill", "broker-restart", "broker-freeze", "coordinator-lost"})
EXPLAINED = {
    "UnreachableError": _BROKER_AWAY,  # no broker at the start, or a coordinator that stays away
    "KafkaConnectionError": _BROKER_AWAY,
    "StuckError": _BROKER_AWAY | {"open", "pause"},  # the watchdog's, of what stays frozen
    "HangingTransactionError": _BROKER_AWAY | {"open"},  # a stable offset that does not move
}
"""Errors after which a worker may end, and the kinds of fault that bring them about."""
EXPLAINED_SECONDS = 360.0
"""How long after a fault it explains an ending: the watchdog's longest wait for progress, and a minute."""


@dataclass(eq=False)
class Worker:
    """One `tagger worker` process.

    Attributes:
        armed: its `TAGGER_FAILPOINTS`.
        started_at: monotonic seconds.
    """

    number: int
    child: Child
    log: Path
    armed: str
    started_at: float = field(default_factory=time.monotonic)
    is_expected_to_end: bool = False
    is_frozen: bool = False

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's lines of one event."""
        lines = [
            line for line in self.log.read_bytes().splitlines() if line.startswith(b"{") and line.endswith(b"}")
        ]
        mark = f'"event": "{name}"'.encode()
        return [msgspec.json.decode(line) for line in lines if mark in line]

    def owned(self, stage: str) -> set[int]:
        """Partitions that the group gave it last."""
        given = [event for event in self.events("assigned") if event["stage"] == stage][-1:]
        return {int(name.rpartition("-")[2]) for event in given for name in (*event["kept"], *event["new"])}

    def is_settled(self) -> bool:
        """Whether it was given partitions in each stage, and took over all that were new to it."""
        waiting: dict[tuple[str, str], bool] = {}
        stages = set()
        for line in self.log.read_bytes().splitlines():
            if b'"event": "assigned"' in line:
                event = msgspec.json.decode(line)
                stages.add(event["stage"])
                held = {*event["kept"], *event["new"]}
                waiting = {key: on for key, on in waiting.items() if key[0] != event["stage"] or key[1] in held}
                waiting |= {(event["stage"], name): True for name in event["new"]}
            elif b'"event": "taken over"' in line:
                event = msgspec.json.decode(line)
                waiting.pop((event["stage"], event["partition"]), None)
        return len(stages) == 3 and not waiting

    def last_words(self) -> str:
        """The error that it ended with, by its type; empty when it told none."""
        for name in ("cannot go on", "unreachable", "bad configuration"):
            for event in self.events(name):
                return str(event.get("error", name)).partition(":")[0]
        return ""


@dataclass(frozen=True, slots=True)
class Ending:
    """A worker that ended by itself."""

    worker: int
    code: int
    error: str
    armed: str
    at: float


class Fleet:
    """Workers, kept at a number.

    Args:
        planted: a bug of `mutants.planted` that every worker runs with; none when empty.

    Attributes:
        crashed: told of each worker that a fail-point killed.
        endings: who ended by itself.
        peaks_mb: largest resident size of each worker that left.
    """

    def __init__(self, settings: Settings, folder: Path, planted: str = "") -> None:
        self.settings = settings
        self.folder = folder
        self.endings: list[Ending] = []
        self.crashed: Callable[[Worker], None] = lambda worker: None
        self.workers: list[Worker] = []
        self.peaks_mb: list[int] = []
        self._planted = planted
        self._started = 0
        self.is_closing = False

    @property
    def hits(self) -> Path:
        """The file with a line a fail-point reached, over all workers."""
        return self.folder / "failpoint-hits"

    def hit_counts(self) -> Counter[str]:
        return Counter(self.hits.read_text().split()) if self.hits.exists() else Counter()

    def start(self, armed: str = "") -> Worker:
        """Another worker."""
        names = self.settings.model_fields_set - {"clock_topics", "rates"}
        environment = {
            **os.environ,
            **{f"TAGGER_{name.upper()}": str(getattr(self.settings, name)) for name in names},
            "TAGGER_FAILPOINTS": armed,
            "TAGGER_FAILPOINTS_HITS": str(self.hits),
            # the sources beside us, whatever the environment has installed
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
        }
        command = [sys.executable, "-m", "faults.planted_worker", self._planted] if self._planted else COMMAND
        log = self.folder / f"worker-{self._started:03d}.log"
        worker = Worker(self._started, Child([*command, "worker"], log, environment), log, armed)
        self._started += 1
        self.workers.append(worker)
        return worker

    def kill(self, worker: Worker) -> None:
        """SIGKILL."""
        self.workers.remove(worker)
        worker.child.kill()

    def freeze(self, worker: Worker) -> None:
        worker.is_frozen = True
        worker.child.signal(signal.SIGSTOP)

    def thaw(self, worker: Worker) -> None:
        worker.is_frozen = False
        worker.child.signal(signal.SIGCONT)

    async def leave(self, worker: Worker) -> None:
        """Ask it to stop, and wait."""
        self.peaks_mb.append(_peak_mb(worker.child.pid))
        worker.is_expected_to_end = True
        code = await asyncio.to_thread(worker.child.stop, _STOP_SECONDS)
        if worker in self.workers:
            self.workers.remove(worker)
        if code:
            self._note(worker, code, "did not end well when told to stop")

    def able(self) -> list[Worker]:
        """Workers that run and are neither frozen nor leaving."""
        return [one for one in self.workers if one.child.running and not (one.is_frozen or one.is_expected_to_end)]

    def is_settled(self) -> bool:
        """Whether every worker has all it was given, and all partitions of decide are with somebody."""
        able = self.able()
        if len(able) < len(self.workers) or not all(worker.is_settled() for worker in able):
            return False
        held = [number for worker in able for number in worker.owned("decide")]
        return sorted(held) == list(range(self.settings.partitions))

    async def supervise(self) -> None:
        """Replace whoever ends unasked, until cancelled."""
        while True:
            for worker in list(self.workers):
                code = worker.child.returncode
                if code is None or worker.is_expected_to_end or worker not in self.workers:
                    continue
                self.workers.remove(worker)
                worker.child.kill()  # its guard
                if code == -signal.SIGKILL:
                    self.crashed(worker)
                self._note(worker, code, worker.last_words())
                asyncio.get_running_loop().call_later(_RESTART_SECONDS, self._replace)
            await asyncio.sleep(POLL_SECONDS)

    def _replace(self) -> None:
        if not self.is_closing:
            self.start()

    def _note(self, worker: Worker, code: int, error: str) -> None:
        self.endings.append(Ending(worker.number, code, error, worker.armed, time.time()))

    def unexplained(self, struck: Collection[tuple[str, float]]) -> list[Ending]:
        """Workers that ended although nothing of the plan ends one.

        Args:
            struck: kind and time, in epoch seconds, of every fault.
        """
        return [ending for ending in self.endings if not _is_explained(ending, struck)]

    def close(self) -> None:
        self.is_closing = True
        for worker in self.workers:
            worker.child.kill()


def _peak_mb(pid: int) -> int:
    """The largest resident size of a running process so far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def _is_explained(ending: Ending, struck: Collection[tuple[str, float]]) -> bool:
    if ending.code == -signal.SIGKILL:
        return "=crash" in ending.armed
    if ending.error == "FailPointError":
        return "=raise" in ending.armed
    kinds = EXPLAINED.get(ending.error, frozenset())
    return any(kind in kinds and 0.0 <= ending.at - at <= EXPLAINED_SECONDS for kind, at in struck)
