"""What `tagger demo` shows: live tables on a terminal, a line at a time when piped."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from streams.follow import Followed
from streams.settings import Settings
from streams.sources.labels import Score, SeenTag, score
from streams.sources.simulate import Plan, Simulation

_LINES_AT_ONCE = 3
_LINE_SECONDS = 1.0
_ROWS = 12
_WIDTH = 115  # of tables where there is no terminal to fit


class Screen:
    """A line at a time: new tags, a few a second, and the counts."""

    def __init__(self, plan: Plan) -> None:
        self._began = time.monotonic()
        self._shown_at = 0.0
        click.echo(f"a made-up bank of {plan.customers} customers, {plan.days} days from {plan.start}")

    def update(self, seen: Followed, sent: int) -> None:
        """Show how far it is."""
        if time.monotonic() - self._shown_at < _LINE_SECONDS or not sent:
            return
        self._shown_at = time.monotonic()
        for tag in seen.all_tags[-_LINES_AT_ONCE:]:
            click.echo("  tag " + tag_line(tag))
        click.echo(counts_line(seen, sent, time.monotonic() - self._began))

    def close(self) -> None:
        """Nothing more will be updated."""

    def summary(self, seen: Followed, simulation: Simulation) -> None:
        """Show what came out, and how it compares with what the stories should give."""
        self.close()
        took = time.monotonic() - self._began
        console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _WIDTH)
        console.print(_tags_table(seen))
        console.print(_fates_table(seen))
        console.print(_scores_table(score(simulation.labels, _seen_tags(seen))))
        opened = [tag for tag in seen.all_tags if tag["change"] == "opened" and tag["evidence"]]
        if opened:
            console.print(_evidence(opened[-1]))
        console.print(f"\nDone in {took:.0f} s: each of {seen.fates().total()} records has one fate.")
        console.print(_FURTHER)

    def kept(self, settings: Settings, log: Path) -> None:
        """Say how to look at what is left running."""
        click.echo(f"Still running, until Ctrl-C; the worker writes to {log}. In another terminal:")
        click.echo(f"    export TAGGER_APP={settings.app} TAGGER_BOOTSTRAP={settings.bootstrap}")
        click.echo(f"    export TAGGER_REDIS_URL={settings.redis_url}")
        click.echo(f"    export TAGGER_PARTITIONS={settings.partitions} TAGGER_CLOCK={settings.clock}")
        click.echo("    .venv/bin/tagger tags list --open")
        click.echo("    .venv/bin/tagger customers show S000007")
        click.echo("    .venv/bin/tagger dead-letters list")


class LiveScreen(Screen):
    """Tables that are drawn anew in place."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._live = Live(refresh_per_second=8, transient=True)
        self._live.start()

    def update(self, seen: Followed, sent: int) -> None:
        counts = Text(counts_line(seen, sent, time.monotonic() - self._began))
        table = Table("at", "customer", "rule", "change", "level", "measured", title="tags as they come")
        for tag in seen.all_tags[-_ROWS:]:
            table.add_row(*_cells(tag))
        self._live.update(Group(counts, table))

    def close(self) -> None:
        self._live.stop()


@contextmanager
def open_screen(plan: Plan) -> Iterator[Screen]:
    """The screen that fits where standard output goes, left as a terminal should be however the block ends."""
    screen = LiveScreen(plan) if sys.stdout.isatty() else Screen(plan)
    try:
        yield screen
    finally:
        screen.close()


def counts_line(seen: Followed, sent: int, seconds: float) -> str:
    """How far it is, in one line."""
    fates = ", ".join(f"{count} {fate}" for fate, count in seen.fates().items())
    return f"{seconds:4.0f} s: {sent} sent; {fates}; {seen.tags.total()} tag events"


def tag_line(tag: Mapping[str, Any]) -> str:
    """One tag event in one line."""
    return "  ".join(cell for cell in _cells(tag) if cell)


def _cells(tag: Mapping[str, Any]) -> tuple[str, ...]:
    measured = ", ".join(f"{name} {value}" for name, value in tag["value"].items())
    return tag["at"][:16], tag["customer_id"], tag["rule"], tag["change"], tag["level"] or "", measured


def _tags_table(seen: Followed) -> Table:
    changes = sorted({change for _, change in seen.tags})
    table = Table("rule", *changes, title="tag events")
    for rule in sorted({rule for rule, _ in seen.tags}):
        table.add_row(rule, *(str(seen.tags[rule, change] or "-") for change in changes))
    return table


def _fates_table(seen: Followed) -> Table:
    table = Table("fate", "records", title="what became of each record")
    for fate, count in seen.fates().items():
        table.add_row(fate, str(count))
    for reason, count in sorted(seen.dead_letters.items()):
        table.add_row(f"  {reason}", str(count), style="dim")
    return table


def _scores_table(scores: list[Score]) -> Table:
    """By rule: what the stories say should have been tagged, and what was. Stories that came out wrong by name."""
    table = Table("rule", "customers", "as told", "missing", "unexpected", "stories that differ")
    table.title = "what the made-up stories say should come out"
    for rule in sorted({item.rule for item in scores}):
        of_rule = [item for item in scores if item.rule == rule]
        sums = (sum(getattr(item, name) for item in of_rule) for name in ("customers", "hits", "missing", "extra"))
        wrong = ", ".join(item.story for item in of_rule if item.missing or item.extra)
        table.add_row(rule, *map(str, sums), wrong or "none")
    return table


def _seen_tags(seen: Followed) -> list[SeenTag]:
    return [
        SeenTag(tag["customer_id"], tag["rule"], tag["change"], tag["at"], tag["level"]) for tag in seen.all_tags
    ]


def _evidence(tag: Mapping[str, Any]) -> Table:
    table = Table(
        "condition", "measured", "threshold", "holds", title=f"why {tag['customer_id']} is {tag['rule']}"
    )
    for item in tag["evidence"]:
        measured = ", ".join(f"{name} {value}" for name, value in item["measured"].items())
        table.add_row(item["condition"], measured, item["threshold"] or "", str(item["holds"]).lower())
    return table


_FURTHER = """
Where to look further:
    make demo EVENTS=100000                       a larger bank
    .venv/bin/tagger demo --keep                  the same, left running to look at
    docker compose up -d --build                  Kafka, Redis and a worker for each stage
    make kafka                                    a real Kafka to play with
    .venv/bin/tagger --help                       every command"""
