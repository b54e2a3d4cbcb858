"""`tagger features`: every customer's features and levels as of a time, as CSV; no broker needed."""

import csv
from collections.abc import Iterable, Iterator
from typing import Any

import click

from schemas.bankday import BankCalendar
from schemas.journal import CustomerEvent, JournalRecord
from streams.cli.outputs import Output, OutputFile
from streams.cli.source import SourceRun, source_options
from streams.history import parse_time, until
from streams.settings import Settings


@click.command()
@source_options
@click.option("--at", "at_text", required=True, metavar="TIME", help="RFC 3339, or bank time, or a date: its end.")
@click.option("--out", required=True, type=OutputFile("w"), help="The CSV file; - for standard output.")
@click.pass_obj
def features(settings: Settings, /, *, at_text: str, out: Output, **source: Any) -> None:
    """Write every customer's features and levels as of a time.

    Every event up to and including TIME is applied, and the clock stands at TIME. TIME is RFC 3339, or a time of
    the bank such as "1994-03-31 18:00", or a date, which stands for the end of that bank day.

    The file has a line for every customer seen, ordered by customer_id, and after that column one for each
    feature, named pack.feature, or pack.feature.part where it has parts. Money has two decimals; unknown is empty.

    \b
    tagger features data/berka --format berka --at 1994-02-28 --out features.csv
    """
    try:
        at_ms = parse_time(at_text, BankCalendar(settings.zone))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from error
    reading = SourceRun(settings, **source)
    customers: set[str] = set()
    reading.fold(_noting(until(reading.journal(), at_ms, settings), customers))
    columns = reading.partition.feature_columns()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["customer_id", *columns])
    for customer_id in sorted(customers):
        # One of whom only late events are known has no state, and nothing that could be measured.
        known = customer_id in reading.partition.customers
        measured = reading.partition.measure(customer_id, at_ms) if known else {}
        writer.writerow([customer_id, *(measured.get(column) for column in columns)])
    when = BankCalendar(settings.zone).format(at_ms)
    parts = [f"{len(customers):,} customers", f"{len(columns)} columns at {when}"]
    parts += [f"rulebook {reading.partition.meta.rulebook}", f"{reading.refused.reasons.total():,} dead letters"]
    click.echo(", ".join(parts), err=True)


def _noting(journal: Iterable[JournalRecord], customers: set[str]) -> Iterator[JournalRecord]:
    for record in journal:
        if isinstance(record, CustomerEvent):
            customers.add(record.customer_id)
        yield record
