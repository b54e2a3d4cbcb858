"""`tagger replay`: recorded events into the input topics."""

from itertools import chain, islice
from pathlib import Path

import click

from streams.cli.exits import reading_sources
from streams.cli.sending import FiniteRange, send
from streams.settings import Settings
from streams.sources.formats import FORMATS, ReadOptions, open_source


@click.command()
@click.argument("source", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--format", "format_name", required=True, type=click.Choice(list(FORMATS)), help="What SOURCE is.")
@click.option("--rate", type=FiniteRange(min=0, min_open=True), help="Records a second; all speed without.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many records.")
@click.option("--to-topic", help="Send every record to this input topic.")
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
        send(settings, records, opened.topics, rate, opened.notes)
