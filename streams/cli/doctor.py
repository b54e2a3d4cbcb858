"""`tagger doctor`: look at a whole deployment, and say what is wrong with it."""

from collections.abc import Sequence
from operator import attrgetter

import click
import msgspec

from streams.cli.exits import CommandError, run
from streams.cli.show import print_json, print_table, reading
from streams.doctor.examine import examine
from streams.doctor.report import PartitionClock, Report
from streams.exits import NOT_SO, UNREACHABLE
from streams.settings import Settings


@click.command()
@click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Customers, chosen at random, whose journal is folded again; 0 leaves the journal unread.",
)
@click.option("--customer", "customers", metavar="CUSTOMER", multiple=True, help="Fold this one again too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the whole report.")
@click.pass_context
def doctor(context: click.Context, sample: int, customers: tuple[str, ...], as_json: bool) -> None:
    """Check counts against offsets, the changelog against the journal, tags, and Redis against the changelog.

    Works on a living deployment, at rest or under load, and writes nothing. Says of whatever is wrong where, what
    was expected, what came, and what to do. Reads the changelog, the tags and, unless --sample is 0, the journal
    from its beginning; a large deployment takes minutes.

    Exits 0 when all is right, 1 when something is wrong, 2 when topics are missing, 3 when Kafka or Redis does
    not answer.
    """
    settings: Settings = context.obj
    with reading("the deployment"):
        report = run(examine(settings, sample, customers))
    if as_json:
        _print_as_json(report)
    else:
        _print(report)
    if report.findings:
        context.exit(NOT_SO)
    if report.unreachable is not None:
        raise CommandError(report.unreachable, UNREACHABLE)


def _print_as_json(report: Report) -> None:
    print_json(
        {
            "findings": [msgspec.to_builtins(finding) for finding in report.findings],
            "untold": report.untold,
            "not_checked": report.not_checked,
            "checked": report.checked,
            "unreachable": report.unreachable,
            "clocks": [msgspec.to_builtins(clock) for clock in report.clocks],
        }
    )


def _print(report: Report) -> None:
    if report.findings:
        columns = ("check", "where", "expected", "found", "remedy")
        print_table({name: attrgetter(name) for name in columns}, report.findings)
    for kind, count in report.untold.items():
        click.echo(f"and {count} more: {kind}", err=True)
    for told in report.not_checked:
        click.echo(f"not checked: {told}", err=True)
    counts = ", ".join(f"{count} {what}" for what, count in report.checked.items())
    click.echo(f"{verdict(report)}: looked at {counts}", err=bool(report.findings))
    for line in clock_lines(report.clocks):
        click.echo(line, err=bool(report.findings))


def verdict(report: Report) -> str:
    """What the report comes to; that all is right only where all was looked at."""
    if report.findings:
        return f"{len(report.findings)} things are wrong"
    if report.not_checked or report.unreachable is not None:
        return "nothing is wrong in what could be checked"
    return "all is right"


def clock_lines(clocks: Sequence[PartitionClock]) -> list[str]:
    """Which source holds the clock, one line each with the partitions of the journal where it does."""
    held: dict[tuple[str | None, bool], list[PartitionClock]] = {}
    for clock in clocks:
        held.setdefault((clock.held_by, clock.at is None), []).append(clock)
    lines = []
    for (source, _), partitions in held.items():
        by = "every source has closed" if source is None else f"held by {source}"
        # Of one source the partitions learn within a moment of each other: the earliest stands for them.
        at = min((clock.at for clock in partitions if clock.at is not None), default="not begun")
        numbers = ", ".join(str(clock.partition) for clock in partitions)
        lines.append(f"clock {at}, {by} (journal partition{'s' * (len(partitions) > 1)} {numbers})")
    return lines
