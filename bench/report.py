"""The figures of one run: as JSON for machines, as a page for people."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from bench.measure import Speed
from bench.packs import AllPacks
from bench.pages import day_and_time, machine_rows, write_report

TITLES = {
    "ingest": "ingest alone, input to journal",
    "decide": "**decide** alone, journal to state and tags",
    "project": "project alone, changelog to Redis",
    "all packs": "decide alone with every shipped pack in force",
    "whole pipeline": "**whole pipeline**: ingest, decide and project in one process",
    "spike": "spike: batches, one transaction a batch, hand-written fold",
    "usual": "Faust written the usual way, at least once",
}
LEAST_RATE_RATIO = 12.0
MOST_CPU_RATIO = 1.5
LEAST_PACKS_RATE = 15_000.0


@dataclass(frozen=True, slots=True)
class Result:
    """One contender's speed."""

    name: str
    speed: Speed


@dataclass(frozen=True, slots=True)
class Latency:
    """Input to committed tag, in milliseconds; `rate` is what was really sent, `cpu_share` of one core."""

    tags: int
    rate: float
    cpu_share: float
    p50_ms: float
    p99_ms: float
    most_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float], *, rate: float, cpu_share: float) -> Self:
        ordered = sorted(seconds) or [float("nan")]
        p50, p99, most = (percentile(ordered, share) * 1000 for share in (0.5, 0.99, 1.0))
        return cls(len(seconds), rate, cpu_share, p50, p99, most)


@dataclass(frozen=True, slots=True)
class StateSize:
    """Bytes a customer in the changelog: key and latest state."""

    customers: int
    mean_bytes: float
    p99_bytes: float

    @classmethod
    def of(cls, sizes: Sequence[int]) -> Self:
        return cls(len(sizes), sum(sizes) / len(sizes), percentile(sorted(sizes), 0.99))


@dataclass(frozen=True, slots=True)
class Restore:
    """A decide worker's start on a changelog of `records` for `customers` (it was not compacted yet).

    Attributes:
        seconds: from fence to the end of the slowest partition; they are restored side by side.
        ready_seconds: from the start of the process until all partitions are being processed.
    """

    customers: int
    records: int
    seconds: float
    ready_seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one run measured. `began` is seconds since 1970."""

    began: float
    size: dict[str, int]
    machine: dict[str, str]
    results: list[Result]
    packs: AllPacks
    latency: Latency
    state: StateSize
    restore: Restore

    def speed(self, name: str) -> Speed:
        return next(result.speed for result in self.results if result.name == name)

    @property
    def rate_ratio(self) -> float:
        """How many times the events a second of the usual way decide does."""
        return self.speed("decide").events_a_second / self.speed("usual").events_a_second

    @property
    def cpu_ratio(self) -> float:
        """How many times the spike's CPU an event decide takes."""
        return self.speed("decide").cpu_us_an_event / self.speed("spike").cpu_us_an_event

    @property
    def packs_rate(self) -> float:
        """Events a second of a whole core that decide does with every shipped pack in force."""
        return 1e6 / self.speed("all packs").cpu_us_an_event

    @property
    def usual_cpu_ratio(self) -> float:
        """How many times decide's CPU an event the usual way takes; steadier than rates where others work too."""
        return self.speed("usual").cpu_us_an_event / self.speed("decide").cpu_us_an_event

    def as_json(self) -> dict[str, Any]:
        ratios = {"rate_ratio": self.rate_ratio, "cpu_ratio": self.cpu_ratio, "packs_rate": self.packs_rate}
        return asdict(self) | ratios | {"usual_cpu_ratio": self.usual_cpu_ratio}

    def write(self, folder: Path) -> None:
        """Write `<time>.json` and `<time>.md`."""
        write_report(folder, self.began, self.as_json(), self.page())

    def page(self) -> str:
        """The report in Markdown."""
        size = ", ".join(f"{count:,} {what}" for what, count in self.size.items())
        return "\n".join(
            [
                f"# Benchmark of {day_and_time(self.began)}",
                "",
                f"One run, one broker, one job: {size}. One process with one processing thread a row; CPU is that "
                "process's, user and system, without the broker.",
                "",
                *self._speeds(),
                "",
                *self._ratios(),
                "",
                *self.packs.rows(),
                "",
                *self._others(),
                "",
                "| machine | |",
                "|---|---|",
                *machine_rows(self.machine),
                "",
            ]
        )

    def _speeds(self) -> list[str]:
        rows = [
            f"| {TITLES[result.name]} | {result.speed.events_a_second:,.0f} | {result.speed.cpu_us_an_event:.1f} "
            f"| {result.speed.events:,} |"
            for result in self.results
        ]
        return ["| what | events a second | CPU µs an event | measured over |", "|---|---:|---:|---:|", *rows]

    def _ratios(self) -> list[str]:
        return [
            "| figure | measured | wanted | |",
            "|---|---:|---:|---|",
            f"| decide to the usual way, events a second | {self.rate_ratio:.1f} | ≥ {LEAST_RATE_RATIO:g} "
            f"| {_met(self.rate_ratio >= LEAST_RATE_RATIO)} |",
            f"| decide to the spike, CPU an event | {self.cpu_ratio:.2f} | ≤ {MOST_CPU_RATIO:g} "
            f"| {_met(self.cpu_ratio <= MOST_CPU_RATIO)} |",
            f"| decide with all packs, events a second a core (by CPU) | {self.packs_rate:,.0f} "
            f"| ≥ {LEAST_PACKS_RATE:,.0f} | {_met(self.packs_rate >= LEAST_PACKS_RATE)} |",
            f"| the usual way to decide, CPU an event | {self.usual_cpu_ratio:.1f} | | |",
        ]

    def _others(self) -> list[str]:
        latency, state, restore = self.latency, self.state, self.restore
        return [
            "| what | figure |",
            "|---|---|",
            f"| input to committed tag at half load ({latency.rate:,.0f} events a second, {latency.tags:,} tags) "
            f"| p50 {latency.p50_ms:.0f} ms, p99 {latency.p99_ms:.0f} ms, most {latency.most_ms:.0f} ms; "
            f"the worker takes {latency.cpu_share:.0%} of a core |",
            f"| state of {state.customers:,} customers | mean {state.mean_bytes:,.0f} bytes, "
            f"p99 {state.p99_bytes:,.0f} bytes |",
            f"| restore of {restore.customers:,} customers from {restore.records:,} changelog records "
            f"| {restore.seconds:.2f} s: {restore.customers / restore.seconds:,.0f} customers a second "
            f"({restore.records / restore.seconds:,.0f} records, so that many customers once compacted); "
            f"ready {restore.ready_seconds:.1f} s after the start of the process |",
        ]


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; `ordered` ascends and is not empty."""
    index = max(0, -int(-share * len(ordered) // 1) - 1)
    return ordered[index]


def _met(is_met: bool) -> str:
    return "met" if is_met else "**not met**"
