"""`tagger simulate`: a made-up bank into the input topics or a file, and how well a run's tags fit its stories."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import BinaryIO

import click
import msgspec

from schemas.topics import APP_EVENTS, TRANSACTIONS
from streams.cli.exits import CommandError, reading_sources
from streams.cli.outputs import Output, OutputFile
from streams.cli.progress import counting
from streams.cli.sending import FiniteRange, say_counts, send
from streams.cli.show import Columns, print_table
from streams.exits import NOT_SO
from streams.settings import Settings
from streams.sources.jsonl import format_line
from streams.sources.labels import Label, Score, read_tags, score, unscored_levels
from streams.sources.record import SourceError, SourceRecord
from streams.sources.simulate import DEFAULT_START, Plan, Simulation
from streams.sources.simulate import simulate as make_up

_PROGRESS_RECORDS = 5000
# Before 1973 zones had offsets that RFC 3339 cannot write; after 2199 no event is accepted.
_FIRST_START, _LAST_DAY = date(1973, 1, 1), date(2199, 12, 31)


@click.command()
@click.option("--customers", default=1000, show_default=True, type=click.IntRange(min=1), help="How many.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(min=14), help="How many bank days.")
@click.option("--seed", default=1, show_default=True, type=int, help="Same seed, same bank, byte for byte.")
@click.option(
    "--start",
    default=str(DEFAULT_START),
    show_default=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="First bank day.",
)
@click.option("--rate", type=FiniteRange(min=0, min_open=True), help="Records a second; all speed without.")
@click.option("--out", type=OutputFile("wb"), help="Write the records here as jsonl, and publish nothing.")
@click.option(
    "--labels", "labels_file", type=OutputFile("wb"), help="Write what should be tagged here, as JSON lines."
)
@click.option(
    "--score",
    "tags_file",
    type=click.File("rb"),
    is_eager=True,
    help="Compare this run's tags with the labels; send nothing.",
)
@click.pass_obj
def simulate(
    settings: Settings,
    *,
    customers: int,
    days: int,
    seed: int,
    start: datetime,
    rate: float | None,
    out: Output | None,
    labels_file: Output | None,
    tags_file: BinaryIO | None,
) -> None:
    """Publish a made-up bank whose customers live out known stories.

    Each story is labelled with what should be tagged and when, or that nothing should: salary and spend, an
    inflow that leaves or stays, browsing with or without a purchase, a merchant's settlements, climbing a tier,
    a VIP leaving, a dormant customer, and records that are out of order, late, repeated or broken.

    \b
    tagger simulate --customers 500 --out bank.jsonl --labels labels.jsonl
    tagger backtest bank.jsonl --format jsonl --tags tags.jsonl
    tagger simulate --customers 500 --score tags.jsonl

    Records that lie ahead of the time of day when they are read are dead letters, there and in `backtest`.

    With fewer than about 200 customers some partitions of a topic may hold the clock for days, because nobody
    on them does anything; `late` records are then not late.
    """
    if out is not None and rate is not None:
        raise click.UsageError("--rate is for publishing; --out writes at all speed")
    if tags_file is not None and (out is not None or rate is not None):
        raise click.UsageError("--score neither writes nor sends records; --out and --rate are for another run")
    if start.date() < _FIRST_START or start.date().toordinal() + days - 1 > _LAST_DAY.toordinal():
        raise click.UsageError(f"expected days from {_FIRST_START} to {_LAST_DAY}, got {days} from {start.date()}")
    bank = make_up(Plan(customers=customers, days=days, seed=seed, start=start.date(), zone=settings.zone))
    with reading_sources():
        if tags_file is not None:
            _exhaust(bank.records())
        elif out is not None:
            _write(bank, out)
        else:
            send(settings, bank.records(), frozenset({TRANSACTIONS, APP_EVENTS}), rate, bank.notes)
    if labels_file is not None:
        for label in _in_order(bank.labels):
            labels_file.write(msgspec.json.encode(label) + b"\n")
    if tags_file is not None:
        with reading_sources():
            _show_scores(_in_order(bank.labels), tags_file)


def _write(bank: Simulation, out: Output) -> None:
    began, written = time.monotonic(), Counter[str]()
    with counting("records written") as progress:
        for number, record in enumerate(bank.records(), start=1):
            out.write(format_line(record))
            written[record.topic] += 1
            if number % _PROGRESS_RECORDS == 0:
                progress(number)
    say_counts("wrote", written, bank.notes, time.monotonic() - began)


def _in_order(labels: list[Label]) -> list[Label]:
    return sorted(labels, key=lambda label: label.customer_id)


def _exhaust(records: Iterable[SourceRecord]) -> None:
    for _ in records:
        pass


def _show_scores(labels: Sequence[Label], tags_file: BinaryIO) -> None:
    try:
        tags = list(read_tags(tags_file))
    except ValueError as error:
        raise SourceError(f"{tags_file.name}: expected a tag event a line: {error}") from error
    scores, levels = score(labels, tags), unscored_levels(labels, tags)
    columns: Columns = {
        **{name: attrgetter(name) for name in ("story", "rule", "customers", "hits", "missing", "extra")},
        "precision": lambda line: _share(line.precision),
        "recall": lambda line: _share(line.recall),
    }
    print_table(columns, scores)
    if levels:
        counted = ", ".join(f"{rule} {count}" for rule, count in sorted(levels.items()))
        click.echo(f"levels opened that no label names, not scored: {counted}", err=True)
    wrong = [line for line in scores if line.missing or line.extra]
    if wrong:
        raise CommandError("not as labelled: " + "; ".join(_wrong(line) for line in wrong), NOT_SO)


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.3f}"


def _wrong(line: Score) -> str:
    shown = ", ".join(line.wrong[:3]) + (", …" if len(line.wrong) > 3 else "")
    return f"{line.story} / {line.rule} ({line.missing} missing, {line.extra} extra: {shown})"
