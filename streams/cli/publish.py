"""`tagger replay` and `tagger simulate`: recorded and made-up events into the input topics."""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from streams.cli.exits import CommandError, run
from streams.cli.outputs import Output, OutputFile
from streams.cli.progress import counting
from streams.cli.show import Columns, print_table
from streams.exits import BAD_CONFIGURATION, NOT_SO
from streams.publish import publish
from streams.settings import Settings
from streams.sources.formats import FORMATS, ReadOptions, open_source
from streams.sources.jsonl import format_line
from streams.sources.labels import Label, Score, read_tags, score
from streams.sources.record import SourceError, SourceRecord
from streams.sources.simulate import DEFAULT_START, Plan, Simulation
from streams.sources.simulate import simulate as make_up
from streams.topics import APP_EVENTS, TRANSACTIONS

_PROGRESS_RECORDS = 5000
# Before 1973 zones had offsets that RFC 3339 cannot write; after 2199 no event is accepted.
_FIRST_START, _LAST_DAY = date(1973, 1, 1), date(2199, 12, 31)


@contextmanager
def reading_sources() -> Iterator[None]:
    """A source that is not what was asked for is wrong usage."""
    try:
        yield
    except SourceError as error:
        raise CommandError(str(error), BAD_CONFIGURATION) from error


@contextmanager
def quiet_client() -> Iterator[None]:
    """Keep aiokafka's own log off the screen: a topic just made has no leader for a moment, it says so for every
    try, and what fails in the end is an error with a message of ours.
    """
    log = logging.getLogger("aiokafka")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


@click.command()
@click.argument("source", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--format", "format_name", required=True, type=click.Choice(list(FORMATS)), help="What SOURCE is.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Records a second; all speed without.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many records.")
@click.option("--to-topic", help="Send every record to this topic.")
@click.option("--profiles", is_flag=True, help="berka: send the accounts' owners too.")
@click.option("--customer-prefix", default="", help="berka, taobao: put before every customer's id.")
@click.option("--keep-going", is_flag=True, help="jsonl: count lines that are no records, and go on.")
@click.pass_obj
def replay(
    settings: Settings,
    /,
    *,
    source: Path,
    format_name: str,
    rate: float | None,
    limit: int | None,
    **options: str | bool | None,
) -> None:
    """Publish recorded events to the input topics.

    \b
    SOURCE is, by --format:
      berka   trans.asc or the folder that holds it: a real Czech bank of 1993. An
              account is a customer; each day is put into booking order by its balances.
      taobao  slice.csv or the folder that holds it: a shop's visitors as app events.
              INVENTED: the shop is no bank. A category number stands for wealth,
              deposit, loan or card by its remainder by four, and every event says so
              in its channel, taobao-invented.
      jsonl   a record a line, {"topic": "bank.transactions", "value": {...}}; - reads
              standard input.

    Every partition of the clock topics is told where the run begins and ends, so workers should run with
    TAGGER_CLOCK=events. What SOURCE holds that cannot be read is sent as it stands and becomes a dead letter.

    \b
    tagger replay data/berka --format berka
    tagger replay - --format jsonl --rate 100 < events.jsonl
    """
    read = ReadOptions(zone=settings.zone, **options)  # type: ignore[arg-type]  # click gives each its type
    with reading_sources():
        opened = open_source(format_name, source, read)
        # A file that is not what was asked for is told before any broker is looked for.
        first = list(islice(opened.records, 1))
        records = islice(chain(first, opened.records), limit)
        _send(settings, records, opened.topics, rate, opened.notes)


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
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Records a second; all speed without.")
@click.option("--out", type=OutputFile("wb"), help="Write the records here as jsonl, and publish nothing.")
@click.option(
    "--labels", "labels_file", type=OutputFile("wb"), help="Write what should be tagged here, as JSON lines."
)
@click.option(
    "--score", "tags_file", type=click.File("rb"), help="Compare this run's tags with the labels; send nothing."
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

    With fewer than about 200 customers some partitions of a topic may hold the clock for days, because nobody
    on them does anything; `late` records are then not late.
    """
    if out is not None and rate is not None:
        raise click.UsageError("--rate is for publishing; --out writes at all speed")
    if start.date() < _FIRST_START or start.date().toordinal() + days > _LAST_DAY.toordinal():
        raise click.UsageError(f"expected days from {_FIRST_START} to {_LAST_DAY}, got {days} from {start.date()}")
    bank = make_up(Plan(customers=customers, days=days, seed=seed, start=start.date(), zone=settings.zone))
    with reading_sources():
        if tags_file is not None:
            _exhaust(bank.records())
            _show_scores(_in_order(bank.labels), tags_file)
        elif out is not None:
            _write(bank, out)
        else:
            _send(settings, bank.records(), frozenset({TRANSACTIONS, APP_EVENTS}), rate, bank.notes)
    if labels_file is not None:
        for label in _in_order(bank.labels):
            labels_file.write(msgspec.json.encode(label) + b"\n")


def _send(
    settings: Settings,
    records: Iterable[SourceRecord],
    topics: frozenset[str] | None,
    rate: float | None,
    notes: Counter[str],
) -> None:
    began = time.monotonic()
    with quiet_client(), counting("records sent") as progress:
        sent = run(publish(settings, records, topics=topics, rate=rate, progress=progress))
    _summary("sent", sent, notes, time.monotonic() - began)


def _write(bank: Simulation, out: Output) -> None:
    began, written = time.monotonic(), Counter[str]()
    with counting("records written") as progress:
        for number, record in enumerate(bank.records(), start=1):
            out.write(format_line(record))
            written[record.topic] += 1
            if number % _PROGRESS_RECORDS == 0:
                progress(number)
    _summary("wrote", written, bank.notes, time.monotonic() - began)


def _in_order(labels: list[Label]) -> list[Label]:
    return sorted(labels, key=lambda label: label.customer_id)


def _exhaust(records: Iterable[SourceRecord]) -> None:
    for _ in records:
        pass


def _summary(verb: str, counts: Counter[str], notes: Counter[str], seconds: float) -> None:
    parts = [f"{count:,} to {topic}" for topic, count in sorted(counts.items())]
    parts += [f"{count:,} {note}" for note, count in notes.items() if count]
    total = counts.total()
    rate = f"{total / seconds:,.0f} a second" if seconds > 0 else "at once"
    click.echo(f"{verb} {total:,} records in {seconds:.1f} s ({rate}): {', '.join(parts) or 'nothing'}", err=True)


def _show_scores(labels: Iterable[Label], tags_file: BinaryIO) -> None:
    try:
        scores = score(labels, read_tags(tags_file))
    except msgspec.DecodeError as error:
        raise SourceError(f"{tags_file.name}: expected a tag event a line: {error}") from error
    columns: Columns = {
        **{name: attrgetter(name) for name in ("story", "rule", "customers", "hits", "missing", "extra")},
        "precision": lambda line: _share(line.precision),
        "recall": lambda line: _share(line.recall),
    }
    print_table(columns, scores)
    wrong = [line for line in scores if line.missing or line.extra]
    if wrong:
        raise CommandError("not as labelled: " + "; ".join(_wrong(line) for line in wrong), NOT_SO)


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.3f}"


def _wrong(line: Score) -> str:
    shown = ", ".join(line.wrong[:3]) + (", …" if len(line.wrong) > 3 else "")
    return f"{line.story} / {line.rule} ({line.missing} missing, {line.extra} extra: {shown})"
