"""The figures of a midnight: as JSON for machines, as a page for people."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from bench.midnight_watch import Transactions
from bench.pages import day_and_time, machine_rows, write_report
from bench.report import percentile


@dataclass(frozen=True, slots=True)
class Others:
    """Append to committed state of the events appended in one phase, in milliseconds."""

    events: int
    p50_ms: float
    p99_ms: float
    most_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        ordered = sorted(seconds) or [float("nan")]
        return cls(len(seconds), *[percentile(ordered, share) * 1000 for share in (0.5, 0.99, 1.0)])


@dataclass(frozen=True, slots=True)
class MidnightReport:
    """What a midnight with many deadlines took.

    Attributes:
        began: seconds since 1970.
        customers: idle ones, each with a deadline at the midnight.
        models, due_models: customers of the made-up bank, and those of them with such a deadline, who were copied.
        rate: events of the other customers a second.
        tags: those of idle customers.
        seconds: from the append of the ticks to the last committed deadline.
        behind_seconds: from then until no event was left that had been appended before.
        cpu_seconds: of the worker in that time.
        idle_cpu_share: of a core, what the worker took before, with the same events.
        others: by when the events were appended.
        transactions: in all phases; sizes are the changelog's part.
        restored_bytes, peak_bytes: the worker's resident memory at most, by the end of the restore and of all.
    """

    began: float
    customers: int
    models: int
    due_models: int
    partitions: int
    rate: int
    tags: int
    seconds: float
    behind_seconds: float
    cpu_seconds: float
    idle_cpu_share: float
    others: dict[str, Others]
    transactions: Transactions
    restored_bytes: int
    peak_bytes: int
    machine: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write `<time>-midnight-<customers>.json` and `.md`."""
        write_report(folder, self.began, asdict(self), self.page(), f"-midnight-{self.customers}")

    def page(self) -> str:
        """The report in Markdown."""
        deadline_us = self.cpu_seconds / self.customers * 1e6
        largest = self.transactions
        return "\n".join(
            [
                f"# A midnight with {self.customers:,} deadlines, {day_and_time(self.began)}",
                "",
                f"One decide worker, {self.partitions} partitions. {self.customers:,} customers without events "
                f"have a deadline at one midnight; {self.rate} events a second of other customers come in "
                f"meanwhile. States are copies of those {self.due_models} of a made-up bank's {self.models} "
                "customers who have a deadline then, as the shipped packs give them. CPU is the worker's, user "
                "and system.",
                "",
                "| what | figure |",
                "|---|---|",
                f"| from the ticks in the journal until all deadlines are committed | {self.seconds:.1f} s, "
                f"{self.customers / self.seconds:,.0f} deadlines a second |",
                f"| from then until events appended meanwhile are committed too | {self.behind_seconds:.1f} s |",
                f"| CPU until the last deadline | {self.cpu_seconds:.1f} s, {deadline_us:.0f} µs a deadline, the "
                f"events' own included ({self.idle_cpu_share:.0%} of a core before) |",
                f"| tags of the idle customers | {self.tags:,}, as many as a plain fold makes |",
                f"| largest of {largest.count:,} transactions, without tags | {largest.most_records:,} records, "
                f"{largest.most_bytes / 1e6:.1f} MB |",
                f"| worker's memory at its peak | {self.peak_bytes / 1e6:,.0f} MB, "
                f"{self.restored_bytes / 1e6:,.0f} MB by the end of the restore |",
                "",
                "The other customers, from the append to the journal until the event's state is committed:",
                "",
                "| appended | events | p50 | p99 | most |",
                "|---|---:|---:|---:|---:|",
                *[
                    f"| {phase} | {found.events:,} | {found.p50_ms:,.0f} ms | {found.p99_ms:,.0f} ms "
                    f"| {found.most_ms:,.0f} ms |"
                    for phase, found in self.others.items()
                ],
                "",
                "| machine | |",
                "|---|---|",
                *machine_rows(self.machine),
                "",
            ]
        )
