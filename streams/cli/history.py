"""`tagger backtest` and `tagger features`: the core over a file, no broker needed, no effect outside."""

import csv
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import click
import msgspec
from rich.console import Console
from rich.table import Table

from schemas.bankday import BankCalendar
from schemas.journal import CustomerEvent, JournalRecord
from streams.activation import read_folder
from streams.cli.exits import BAD_CONFIGURATION, CommandError
from streams.cli.progress import counting
from streams.cli.publish import reading_sources
from streams.history import Refused, decode_journal, fold, parse_time, read_journal, until
from streams.settings import Settings
from streams.sources.formats import FORMATS, ReadOptions, open_source
from streams.topics import JOURNAL
from tagger.meta import Meta
from tagger.partition import Partition
from tagger.rulebook import Rulebook, RulebookError, read_rulebook
from tagger.view import project_customer

_JOURNAL = "journal"
_PLAIN_WIDTH = 120
_Command = Callable[..., object]


def _source_options(command: _Command) -> _Command:
    """What both commands take to say what to read, and by which rules."""
    options = [
        click.argument("source", type=click.Path(path_type=Path, allow_dash=True)),
        click.option(
            "--format",
            "format_name",
            required=True,
            type=click.Choice([*FORMATS, _JOURNAL]),
            help="What SOURCE is.",
        ),
        click.option(
            "--rules", type=click.Path(path_type=Path), help="Folder of the packs; TAGGER_RULES without."
        ),
        click.option("--limit", type=click.IntRange(min=1), help="Stop after this many records of SOURCE."),
        click.option("--to-topic", help="Take every record for one of this topic."),
        click.option("--profiles", is_flag=True, help="berka: read the accounts' owners too."),
        click.option("--customer-prefix", default="", help="berka, taobao: put before every customer's id."),
        click.option("--keep-going", is_flag=True, help="jsonl: count lines that are no records, and go on."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_source_options
@click.option(
    "--tags", "tags_file", type=click.File("wb"), help="Write the tag events here, one a line, in order."
)
@click.option("--dead-letters", "dead_letters_file", type=click.File("wb"), help="Write what was refused here.")
@click.option(
    "--state", "state_file", type=click.File("wb"), help="Write every customer's profile and open tags here."
)
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object.")
@click.pass_obj
def backtest(
    settings: Settings,
    /,
    *,
    tags_file: BinaryIO | None,
    dead_letters_file: BinaryIO | None,
    state_file: BinaryIO | None,
    as_json: bool,
    **source: Any,
) -> None:
    """Run the rules over a file: the same core as live, no broker, no effect outside.

    SOURCE and --format are those of `tagger replay`; `journal` reads journal records, a line each, as jsonl with
    the topic tagging.journal. Taobao's link to a bank is INVENTED, see `tagger replay --help`.

    Tags are those that the workers would publish had they read the file in its order as one partition. The same
    file and rules give the same bytes.

    \b
    tagger backtest data/berka --format berka --rules rules --tags tags.jsonl
    """
    run = _Run(settings, **source)
    changes: Counter[tuple[str, str]] = Counter()

    def emit(tag: bytes) -> None:
        head = _HEADS.decode(tag)
        changes[head.rule, head.change] += 1
        if tags_file is not None:
            tags_file.write(tag + b"\n")

    if dead_letters_file is not None:
        run.refused.keep = lambda letter: dead_letters_file.write(_ENCODER.encode(letter) + b"\n")
    meta = run.fold(run.journal(), emit)
    if state_file is not None:
        _write_states(run.states, settings, state_file)
    _summarize(run, meta, changes, as_json)


@click.command()
@_source_options
@click.option("--at", "at_text", required=True, metavar="TIME", help="RFC 3339, or bank time, or a date: its end.")
@click.option(
    "--out", required=True, type=click.File("w", lazy=False), help="The CSV file; - for standard output."
)
@click.pass_obj
def features(settings: Settings, /, *, at_text: str, out: TextIO, **source: Any) -> None:
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
    run = _Run(settings, **source)
    customers: set[str] = set()
    meta = run.fold(_noting(until(run.journal(), at_ms, settings), customers))
    columns = run.partition.feature_columns()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["customer_id", *columns])
    for customer_id in sorted(customers):
        measured = run.partition.measure(customer_id, at_ms)
        writer.writerow([customer_id, *(measured.get(column, "") for column in columns)])
    refused = f", {run.refused.reasons.total():,} dead letters" if run.refused.reasons else ""
    when = BankCalendar(settings.zone).format(at_ms)
    click.echo(
        f"{len(customers):,} customers, {len(columns)} columns at {when}, rulebook {meta.rulebook}{refused}",
        err=True,
    )


class _Head(msgspec.Struct):
    rule: str
    change: str


_HEADS = msgspec.json.Decoder(_Head)
_ENCODER = msgspec.json.Encoder()


class _Run:
    """One source under one rulebook."""

    def __init__(
        self,
        settings: Settings,
        *,
        source: Path,
        format_name: str,
        rules: Path | None,
        limit: int | None,
        **options: Any,
    ) -> None:
        self._settings = settings
        self._format = format_name
        files, self.rulebook = _read_rules(rules or settings.rules)
        digest = self.rulebook.digest
        self.partition = Partition(settings.core(), {digest: files}.__getitem__)
        self.refused = Refused(Counter())
        self.states: dict[str, bytes] = {}
        self.seconds = 0.0
        if format_name == _JOURNAL:
            format_name, options["to_topic"] = "jsonl", JOURNAL
        with reading_sources():
            opened = open_source(format_name, source, ReadOptions(zone=settings.zone, **options))
        self.source = replace(opened, records=islice(opened.records, limit))

    def journal(self) -> Iterator[JournalRecord]:
        """What is to be folded."""
        if self._format == _JOURNAL:
            return decode_journal(self.source.records)
        return read_journal(self.source, self._settings, int(time.time() * 1000), self.refused)

    def fold(self, journal: Iterable[JournalRecord], emit: Callable[[bytes], object] = lambda tag: None) -> Meta:
        """Fold it; `states` then holds every customer's encoded state."""
        began = time.monotonic()
        with reading_sources(), counting("records folded") as progress:
            meta = fold(
                self.partition,
                self.rulebook.digest,
                journal,
                emit=emit,
                keep=self.states.update,
                progress=progress,
            )
        self.seconds = time.monotonic() - began
        return meta


def _read_rules(folder: Path) -> tuple[dict[str, str], Rulebook]:
    try:
        files = read_folder(folder)
        return files, read_rulebook(files)
    except FileNotFoundError as error:
        raise CommandError(str(error), BAD_CONFIGURATION) from error
    except RulebookError as error:
        raise CommandError(f"the packs in {folder} are not valid:\n{error}", BAD_CONFIGURATION) from error


def _noting(journal: Iterable[JournalRecord], customers: set[str]) -> Iterator[JournalRecord]:
    for record in journal:
        if isinstance(record, CustomerEvent):
            customers.add(record.customer_id)
        yield record


def _write_states(states: dict[str, bytes], settings: Settings, file: BinaryIO) -> None:
    calendar = BankCalendar(settings.zone)
    for customer_id in sorted(states):
        view = project_customer(customer_id, states[customer_id], calendar)
        line = {"customer_id": customer_id, "profile": view.profile, "accounts": view.accounts, "tags": view.tags}
        file.write(_ENCODER.encode(line) + b"\n")


def _summarize(run: _Run, meta: Meta, changes: Counter[tuple[str, str]], as_json: bool) -> None:
    fates = {
        "applied": sum(fates.applied for fates in meta.fates.values()),
        "duplicate": sum(fates.duplicate for fates in meta.fates.values()),
        "late": sum(fates.late for fates in meta.fates.values()),
        "dead-letter": run.refused.reasons.total(),
    }
    if as_json:
        summary = {
            "rulebook": meta.rulebook,
            "fates": fates,
            "dead_letters": dict(sorted(run.refused.reasons.items())),
            "source": dict(run.source.notes),
            "tags": [
                {"rule": rule, "change": change, "count": n} for (rule, change), n in sorted(changes.items())
            ],
        }
        click.echo(_ENCODER.encode(summary).decode())
        return
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    tags = Table("rule", "change", "tags")
    for (rule, change), count in sorted(changes.items()):
        tags.add_row(rule, change, f"{count:,}")
    console.print(tags)
    refused = ", ".join(f"{count:,} {reason}" for reason, count in sorted(run.refused.reasons.items()))
    console.print(f"fates: {', '.join(f'{count:,} {fate}' for fate, count in fates.items())}")
    console.print(f"dead letters: {refused or 'none'}")
    if notes := ", ".join(f"{count:,} {note}" for note, count in run.source.notes.items() if count):
        console.print(f"source: {notes}")
    console.print(f"{len(run.states):,} customers, rulebook {meta.rulebook}")
    click.echo(f"{meta.next_offset / max(run.seconds, 1e-3):,.0f} records a second", err=True)
