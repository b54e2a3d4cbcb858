"""What a backtest came to: tags by rule and change, fates, and what was refused."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter

import click
import msgspec

from streams.cli.report import brief_json, brief_lines, brief_rows
from streams.cli.show import print_table
from streams.rulebooks.comparison import Comparison
from tagger.folding.meta import Meta


class _Head(msgspec.Struct):
    rule: str
    change: str


_HEADS = msgspec.json.Decoder(_Head)


@dataclass(slots=True)
class Summary:
    """Counts of one run.

    Attributes:
        changes: tags by rule and change.
        refused: dead letters by reason.
        notes: what the reader of the source had to say.
    """

    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def count(self, tag: bytes) -> None:
        """Take an encoded tag event in."""
        head = _HEADS.decode(tag)
        self.changes[head.rule, head.change] += 1

    def show(
        self,
        metas: Iterable[Meta],
        customers: int,
        comparison: Comparison | None = None,
        *,
        as_json: bool,
        err: bool,
    ) -> None:
        """Print it.

        Args:
            metas: of every partition folded.
            comparison: pushes, and what another rulebook decides.
            err: on standard error, because standard output holds records.
        """
        metas = list(metas)
        fates = [fates for meta in metas for fates in meta.fates.values()]
        totals = {
            "applied": sum(fate.applied for fate in fates),
            "duplicate": sum(fate.duplicate for fate in fates),
            "late": sum(fate.late for fate in fates),
            "dead-letter": self.refused.total(),
        }
        rulebooks = sorted({meta.rulebook for meta in metas})
        if as_json:
            self._show_json(totals, rulebooks, customers, comparison, err)
            return
        tags = [(rule, change, f"{count:,}") for (rule, change), count in sorted(self.changes.items())]
        print_table(
            {name: itemgetter(place) for place, name in enumerate(("rule", "change", "tags"))}, tags, err=err
        )
        lines = [
            f"fates: {_listed(totals)}",
            f"dead letters: {_listed(dict(sorted(self.refused.items()))) or 'none'}",
            *([f"source: {_listed(+self.notes)}"] if any(self.notes.values()) else []),
            f"{customers:,} customers, rulebook {', '.join(rulebooks)}",
        ]
        click.echo("\n".join(lines), err=err)
        if comparison is not None:
            columns, rows = brief_rows(comparison)
            print_table({name: itemgetter(place) for place, name in enumerate(columns)}, rows, err=err)
            click.echo("\n".join(brief_lines(comparison)), err=err)

    def _show_json(
        self,
        fates: dict[str, int],
        rulebooks: list[str],
        customers: int,
        comparison: Comparison | None,
        err: bool,
    ) -> None:
        tags = [{"rule": rule, "change": change, "count": n} for (rule, change), n in sorted(self.changes.items())]
        summary: dict[str, object] = {
            "rulebooks": rulebooks,
            "customers": customers,
            "fates": fates,
            "dead_letters": dict(sorted(self.refused.items())),
            "source": dict(self.notes),
            "tags": tags,
        }
        if comparison is not None:
            summary["comparison"] = brief_json(comparison)
        click.echo(msgspec.json.encode(summary).decode(), err=err)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
