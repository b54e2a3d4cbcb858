"""What `backtest` and `features` share: a source under one rulebook, and the options that say which."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import click

from schemas.journal import Activation, JournalRecord
from schemas.topics import JOURNAL
from streams.cli.exits import reading_sources
from streams.cli.packs import read_rules
from streams.cli.progress import counting
from streams.history import Refused, decode_journal, read_journal
from streams.settings import Settings
from streams.sources.formats import FORMATS, ReadOptions, open_source
from tagger.folding.partition import Partition
from tagger.folding.plain_fold import Emit, Folding, fold
from tagger.packs.rulebook import Rulebook

JOURNAL_FORMAT = "journal"
_Command = Callable[..., object]

Beside = tuple[Rulebook, Emit]
"""Another rulebook to decide the same records, and what is given its tags."""


def source_options(command: _Command) -> _Command:
    """What both commands take to say what to read, and by which rules."""
    options = [
        click.argument("source", type=click.Path(path_type=Path, allow_dash=True), is_eager=True),
        click.option(
            "--format",
            "format_name",
            required=True,
            type=click.Choice([*FORMATS, JOURNAL_FORMAT]),
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


class SourceRun:
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
        rulebook = read_rules(rules or settings.rules)
        self._digest = rulebook.digest
        self.partition = Partition(settings.core(), {rulebook.digest: dict(rulebook.files)}.__getitem__)
        self.refused = Refused(Counter())
        if format_name == JOURNAL_FORMAT:
            format_name, options["to_topic"] = "jsonl", JOURNAL
        with reading_sources():
            opened = open_source(format_name, source, ReadOptions(zone=settings.zone, **options))
        self.source = replace(opened, records=islice(opened.records, limit))

    def journal(self) -> Iterator[JournalRecord]:
        """What is to be folded."""
        if self._format == JOURNAL_FORMAT:
            return decode_journal(self.source.records)
        return read_journal(self.source, self._settings, int(time.time() * 1000), self.refused)

    def fold(
        self, journal: Iterable[JournalRecord], emit: Emit = lambda tag: None, beside: Beside | None = None
    ) -> None:
        """Fold it into the partition, and into one of another rulebook."""
        with reading_sources(), counting("records folded") as progress:
            if beside is not None:
                journal = self._folding_beside(journal, *beside)
            fold(self.partition, self._digest, journal, emit, progress)

    def _folding_beside(
        self, journal: Iterable[JournalRecord], other: Rulebook, emit: Emit
    ) -> Iterator[JournalRecord]:
        """The journal as it passes, each record decided by another rulebook too."""
        files = {other.digest: dict(other.files)}
        folding = Folding(Partition(self._settings.core(), files.__getitem__), emit)
        folding.take(Activation(digest=other.digest))
        for record in journal:
            folding.take(record)
            yield record
        folding.finish()
