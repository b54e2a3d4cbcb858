"""`tagger backtest` and `tagger features`: the core over a file, no broker needed, no effect outside."""

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import click
import msgspec

from schemas.bankday import BankCalendar
from schemas.journal import Activation, CustomerEvent, JournalRecord
from streams.cli.exits import CommandError, run
from streams.cli.outputs import Output, OutputFile
from streams.cli.progress import counting
from streams.cli.publish import reading_sources
from streams.cli.report import html_report
from streams.cli.rulebooks import find_rulebook
from streams.cli.summary import Summary
from streams.comparison import Comparison, Volume
from streams.exits import BAD_CONFIGURATION
from streams.history import Refused, decode_journal, parse_time, read_journal, until
from streams.packs import UnreadablePacksError, read_folder
from streams.refold import refold
from streams.settings import Settings
from streams.sources.formats import FORMATS, ReadOptions, open_source
from streams.topics import JOURNAL
from tagger.partition import Partition
from tagger.plain_fold import Emit, Folding, fold
from tagger.rulebook import Rulebook, RulebookError, read_rulebook
from tagger.view import project_customer

_JOURNAL = "journal"
_ENCODER = msgspec.json.Encoder()
_Command = Callable[..., object]


def _source_options(command: _Command) -> _Command:
    """What both commands take to say what to read, and by which rules."""
    options = [
        click.argument("source", type=click.Path(path_type=Path, allow_dash=True), is_eager=True),
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
    "--tags", "tags_file", type=OutputFile("wb"), help="Write the tag events here, one a line, in order."
)
@click.option("--dead-letters", "dead_letters_file", type=OutputFile("wb"), help="Write what was refused here.")
@click.option(
    "--state", "state_file", type=OutputFile("wb"), help="Write every customer's profile and open tags here."
)
@click.option(
    "--against",
    metavar="DIR|DIGEST|active",
    help="Compare with what another rulebook decides over the same records.",
)
@click.option("--report", "report_file", type=OutputFile("w"), help="Write an HTML report here.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object.")
@click.pass_obj
def backtest(
    settings: Settings,
    /,
    *,
    tags_file: Output | None,
    dead_letters_file: Output | None,
    state_file: Output | None,
    against: str | None,
    report_file: Output | None,
    as_json: bool,
    **source: Any,
) -> None:
    """Run the rules over a file: the same core as live, no broker, no effect outside.

    SOURCE and --format are those of `tagger replay`; Taobao's link to a bank is INVENTED, see its --help. Tags are
    those that the workers would publish had they read the file in its order as one partition. The same file and
    rules give the same bytes.

    `--format journal` reads journal records, a line each, as jsonl; or, with the SOURCE tagging.journal, the
    deployment's own journal from the broker. Without --rules that one is decided by the rulebooks that were in
    force, and the tags are the very ones that the workers published, partition after partition.

    \b
    tagger backtest data/berka --format berka --rules rules --tags tags.jsonl
    tagger backtest tagging.journal --format journal --rules new-rules
    tagger backtest tagging.journal --format journal --rules new-rules --against active --report report.html

    --against counts, by rule, what opened and what would be pushed a day, and names the customers that differ with
    the conditions that held; --report writes it down. Under recorded time a push counts where only `replay` keeps
    it back.
    """
    summary, tally = Summary(), _tally(settings, against, report_file)

    def emit(tag: bytes) -> None:
        summary.count(tag)
        if tally is not None:
            tally.new.take(tag)
        if tags_file is not None:
            tags_file.write(tag + b"\n")

    if source["format_name"] == _JOURNAL and str(source["source"]) == JOURNAL:
        partitions = _refold(settings, source["rules"], emit)
        if tally is not None and tally.old is not None:
            assert tally.against is not None
            with counting("records folded again") as progress:
                other = (tally.against.digest, dict(tally.against.files))
                run(refold(settings, other, tally.old.take, progress))
    else:
        reading = _Run(settings, **source)
        if dead_letters_file is not None:
            reading.refused.keep = lambda letter: dead_letters_file.write(_ENCODER.encode(letter) + b"\n")
        reading.fold(reading.journal(), emit, tally)
        partitions = [reading.partition]
        summary.refused, summary.notes = reading.refused.reasons, reading.source.notes
    if state_file is not None:
        _write_states(partitions, settings, state_file)
    customers = sum(len(partition.customers) for partition in partitions)
    outputs = (tags_file, dead_letters_file, state_file)
    err = any(output is not None and output.is_standard_output for output in outputs)
    comparison = None if tally is None else tally.compare(partitions)
    summary.show((partition.meta for partition in partitions), customers, comparison, as_json=as_json, err=err)
    if comparison is not None and report_file is not None:
        report_file.write(html_report(comparison, str(source["source"])))


@dataclass(slots=True)
class _Tally:
    """What is counted for a comparison.

    Attributes:
        against: the rulebook to compare with, decided over the same records into `old`.
    """

    new: Volume
    old: Volume | None = None
    against: Rulebook | None = None

    def compare(self, partitions: Sequence[Partition]) -> Comparison:
        """The volumes, the new one named by the rulebook that decided last."""
        for partition in partitions:
            self.new.name = partition.program(partition.meta.rulebook).name
        return Comparison(self.new, self.old)


def _tally(settings: Settings, against: str | None, report: Output | None) -> _Tally | None:
    if against is None:
        return None if report is None else _Tally(Volume(""))
    rulebook = find_rulebook(settings, against)
    return _Tally(Volume(""), Volume(rulebook.name), rulebook)


@click.command()
@_source_options
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
    reading = _Run(settings, **source)
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
        self._digest, files = _read_rules(rules or settings.rules)
        self.partition = Partition(settings.core(), {self._digest: files}.__getitem__)
        self.refused = Refused(Counter())
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

    def fold(
        self, journal: Iterable[JournalRecord], emit: Emit = lambda tag: None, tally: _Tally | None = None
    ) -> None:
        """Fold it into the partition, and into one of the rulebook to compare with."""
        with reading_sources(), counting("records folded") as progress:
            if tally is not None and tally.against is not None and tally.old is not None:
                journal = self._folding_aside(journal, tally.against, tally.old)
            fold(self.partition, self._digest, journal, emit, progress)

    def _folding_aside(
        self, journal: Iterable[JournalRecord], against: Rulebook, volume: Volume
    ) -> Iterator[JournalRecord]:
        """The journal as it passes, each record decided by another rulebook too."""
        files = {against.digest: dict(against.files)}
        aside = Folding(Partition(self._settings.core(), files.__getitem__), volume.take)
        aside.take(Activation(digest=against.digest))
        for record in journal:
            aside.take(record)
            yield record
        aside.finish()


def _refold(settings: Settings, rules: Path | None, emit: Emit) -> list[Partition]:
    rulebook = None if rules is None else _read_rules(rules)
    with counting("records folded") as progress:
        return run(refold(settings, rulebook, emit, progress))


def _read_rules(folder: Path) -> tuple[str, dict[str, str]]:
    """Digest and texts of the packs in a folder."""
    try:
        files = read_folder(folder)
        return read_rulebook(files).digest, files
    except UnreadablePacksError as error:
        raise CommandError(str(error), BAD_CONFIGURATION) from error
    except RulebookError as error:
        raise CommandError(f"the packs in {folder} are not valid:\n{error}", BAD_CONFIGURATION) from error


def _noting(journal: Iterable[JournalRecord], customers: set[str]) -> Iterator[JournalRecord]:
    for record in journal:
        if isinstance(record, CustomerEvent):
            customers.add(record.customer_id)
        yield record


def _write_states(partitions: list[Partition], settings: Settings, file: Output) -> None:
    calendar = BankCalendar(settings.zone)
    states = {customer_id: state for partition in partitions for customer_id, state in partition.customers.items()}
    for customer_id in sorted(states):
        view = project_customer(customer_id, states[customer_id], calendar)
        line = {"customer_id": customer_id, "profile": view.profile, "accounts": view.accounts, "tags": view.tags}
        file.write(_ENCODER.encode(line) + b"\n")
