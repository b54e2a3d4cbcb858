"""The formats that `replay`, `backtest` and `features` read, by name."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from schemas.topics import APP_EVENTS, PROFILES, TRANSACTIONS
from streams.sources.berka import read_berka
from streams.sources.jsonl import read_jsonl, topics_of
from streams.sources.record import SourceError, SourceRecord
from streams.sources.taobao import read_taobao


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a source.

    Attributes:
        zone: the bank's time zone.
        to_topic: every record goes here instead of where its format puts it.
        profiles: Berka: read the accounts' owners too.
        customer_prefix: Berka, Taobao: put before every customer's id.
        keep_going: jsonl: count lines that are no records instead of stopping.
    """

    zone: str
    to_topic: str | None = None
    profiles: bool = False
    customer_prefix: str = ""
    keep_going: bool = False


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source about to be read.

    Attributes:
        records: to be taken once.
        topics: all that records go to; None when that is not known before they are read.
        notes: what the reader has to say, complete once `records` is exhausted.
    """

    records: Iterator[SourceRecord]
    topics: frozenset[str] | None
    notes: Counter[str]


def _berka(path: Path, options: ReadOptions, notes: Counter[str]) -> OpenSource:
    records = read_berka(
        path, options.zone, profiles=options.profiles, prefix=options.customer_prefix, notes=notes
    )
    topics = {TRANSACTIONS, PROFILES} if options.profiles else {TRANSACTIONS}
    return OpenSource(records, frozenset(topics), notes)


def _taobao(path: Path, options: ReadOptions, notes: Counter[str]) -> OpenSource:
    return OpenSource(
        read_taobao(path, prefix=options.customer_prefix, notes=notes), frozenset({APP_EVENTS}), notes
    )


def _jsonl(path: Path, options: ReadOptions, notes: Counter[str]) -> OpenSource:
    records = read_jsonl(path, topic=options.to_topic, keep_going=options.keep_going, notes=notes)
    return OpenSource(records, topics_of(path, options.to_topic), notes)


FORMATS: dict[str, Callable[[Path, ReadOptions, Counter[str]], OpenSource]] = {
    "berka": _berka,
    "taobao": _taobao,
    "jsonl": _jsonl,
}
# Options that mean something to some formats only; given to another they are a mistake.
_ONLY_FOR = {"profiles": ("berka",), "customer_prefix": ("berka", "taobao"), "keep_going": ("jsonl",)}


def open_source(format_name: str, path: Path, options: ReadOptions) -> OpenSource:
    """Open a file or folder in a format of `FORMATS`.

    Raises:
        SourceError: there is nothing at `path`, or an option is not for this format. Reading raises it too.
    """
    for option, formats in _ONLY_FOR.items():
        if getattr(options, option) and format_name not in formats:
            raise SourceError(f"{option} is for the format {' or '.join(formats)}, not for {format_name}")
    if str(path) == "-" and format_name != "jsonl":
        raise SourceError(f"standard input is read as jsonl only, not as {format_name}")
    if str(path) != "-" and not path.exists():
        raise SourceError(f"{path}: expected a file or folder in the format {format_name}, there is none")
    source = FORMATS[format_name](path, options, Counter())
    if options.to_topic is None:
        return source
    to = options.to_topic
    return replace(
        source, records=(record._replace(topic=to) for record in source.records), topics=frozenset({to})
    )
