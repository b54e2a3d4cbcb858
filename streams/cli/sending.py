"""Publishing records from a command: progress on the way, and what was sent at the end."""

import math
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import click

from streams.cli.exits import run
from streams.cli.progress import counting
from streams.publish import publish
from streams.settings import Settings
from streams.sources.record import SourceRecord


class FiniteRange(click.FloatRange):
    """A range that neither infinity nor what is no number lies in; click's own takes `nan` for any."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"expected a finite number, got {value}", param, ctx)
        return number


def send(
    settings: Settings,
    records: Iterable[SourceRecord],
    topics: frozenset[str] | None,
    rate: float | None,
    notes: Counter[str],
) -> None:
    """Publish records, then say how many each topic got.

    Args:
        topics: all that the records go to; None when not known.
        rate: records a second; all speed when None.
        notes: what the source had to say.
    """
    began = time.monotonic()
    with counting("records sent") as progress:
        sent = run(publish(settings, records, topics=topics, rate=rate, progress=progress))
    say_counts("sent", sent, notes, time.monotonic() - began)


def say_counts(verb: str, counts: Counter[str], notes: Counter[str], seconds: float) -> None:
    """Say on standard error how many records went where, and what the source had to say."""
    parts = [f"{count:,} to {topic}" for topic, count in sorted(counts.items())]
    parts += [f"{count:,} {note}" for note, count in notes.items() if count]
    total = counts.total()
    rate = f"{total / seconds:,.0f} a second" if seconds > 0 else "at once"
    click.echo(f"{verb} {total:,} records in {seconds:.1f} s ({rate}): {', '.join(parts) or 'nothing'}", err=True)
