"""`tagger backtest`: the core over a file, no broker needed, no effect outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from schemas.bankday import BankCalendar
from schemas.topics import JOURNAL
from streams.cli.exits import run
from streams.cli.outputs import Output, OutputFile
from streams.cli.packs import read_rules
from streams.cli.progress import counting
from streams.cli.report import html_report
from streams.cli.rulebooks import find_rulebook
from streams.cli.source import JOURNAL_FORMAT, Beside, SourceRun, source_options
from streams.cli.summary import Summary
from streams.refold import refold
from streams.rulebooks.comparison import Comparison, Volume
from streams.settings import Settings
from tagger.folding.partition import Partition
from tagger.folding.plain_fold import Emit
from tagger.packs.rulebook import Rulebook
from tagger.view import project_customer

_ENCODER = msgspec.json.Encoder()


@click.command()
@source_options
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
    rules give the same bytes; but records ahead of the time of day are dead letters until it has come to them.

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

    if source["format_name"] == JOURNAL_FORMAT and str(source["source"]) == JOURNAL:
        partitions = _refold(settings, source["rules"], emit)
        if tally is not None and tally.beside is not None:
            other, take = tally.beside
            with counting("records folded again") as progress:
                run(refold(settings, other, take, progress))
    else:
        reading = SourceRun(settings, **source)
        if dead_letters_file is not None:
            reading.refused.keep = lambda letter: dead_letters_file.write(_ENCODER.encode(letter) + b"\n")
        reading.fold(reading.journal(), emit, None if tally is None else tally.beside)
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

    @property
    def beside(self) -> Beside | None:
        """The rulebook to compare with, and what counts its tags."""
        return None if self.against is None or self.old is None else (self.against, self.old.take)

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


def _refold(settings: Settings, rules: Path | None, emit: Emit) -> list[Partition]:
    rulebook = None if rules is None else read_rules(rules)
    with counting("records folded") as progress:
        return run(refold(settings, rulebook, emit, progress))


def _write_states(partitions: list[Partition], settings: Settings, file: Output) -> None:
    calendar = BankCalendar(settings.zone)
    states = {customer_id: state for partition in partitions for customer_id, state in partition.customers.items()}
    for customer_id in sorted(states):
        view = project_customer(customer_id, states[customer_id], calendar)
        line = {"customer_id": customer_id, "profile": view.profile, "accounts": view.accounts, "tags": view.tags}
        file.write(_ENCODER.encode(line) + b"\n")
