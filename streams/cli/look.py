"""`tagger customers`, `tagger tags`, `tagger dead-letters`: what stands in the topics, read committed.

These read the truth, not the Redis view: a customer from the changelog, tags and dead letters from their topics,
each from its beginning. A partition of some million records takes some ten seconds.
"""

import heapq
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
import msgspec
from aiokafka import ConsumerRecord
from rich.console import Console
from rich.table import Table

from schemas.bankday import BankCalendar
from schemas.deadletters import REASONS, DeadLetter, decode_dead_letter
from streams.cli.exits import NOT_SO, CommandError, run
from streams.clients import partition_counts, read_topic
from streams.partitioner import partition_of
from streams.settings import Settings
from streams.topics import CUSTOMERS, DEAD_LETTERS, TAGS
from tagger.view import View, project_customer

Columns = Mapping[str, Callable[[Any], object]]
_JSON_HELP = "One JSON object a line."
_LIMIT = 50


@click.group()
def customers() -> None:
    """Look at customers' states."""


@customers.command("show")
@click.argument("customer_id", metavar="CUSTOMER")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def show_customer(settings: Settings, customer_id: str, as_json: bool) -> None:
    """Show a customer's profile and open tags, from the changelog.

    Exits 1 when nothing was ever folded for this customer.
    """
    with _reading(settings.topic(CUSTOMERS)):
        record = run(_last_state(settings, customer_id))
    if record is None:
        raise CommandError(f"expected a customer {customer_id} in {settings.topic(CUSTOMERS)}, found none", NOT_SO)
    view = project_customer(customer_id, record.value, BankCalendar(settings.zone))
    if as_json:
        where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        shown = {"profile": view.profile, "accounts": view.accounts, "tags": view.tags}
        _print_json({"customer_id": customer_id, **shown, "changelog": where})
        return
    _print_customer(customer_id, view)


def _print_customer(customer_id: str, view: View) -> None:
    fields = {"field": lambda item: item[0], "value": lambda item: item[1]}
    _print_table(fields, [("customer_id", customer_id), *view.profile.items(), *view.accounts.items()])
    click.echo()
    columns: Columns = {
        "rule": lambda item: item[1].rule,
        "level": lambda item: item[1].level,
        "opened_at": lambda item: item[1].opened_at,
        "expires_at": lambda item: item[1].expires_at,
        "delivery": lambda item: "push" if item[1].delivery.push else item[1].delivery.reason,
        "revision": lambda item: item[1].revision,
        "tag_id": lambda item: item[0],
    }
    _print_table(columns, list(view.tags.items()))


async def _last_state(settings: Settings, customer_id: str) -> ConsumerRecord | None:
    topic, key = settings.topic(CUSTOMERS), customer_id.encode()
    last = None
    async for record in _partition_for(settings, topic, key):
        if record.key == key:
            last = record
    return None if last is None or last.value is None else last


@click.group()
def tags() -> None:
    """Look at tag events."""


@tags.command("list")
@click.option("--customer", metavar="CUSTOMER", help="Of this customer only; reads one partition.")
@click.option("--rule", metavar="RULE", help="Of this rule only.")
@click.option("--open", "open_only", is_flag=True, help="Only episodes that are open, each as last revised.")
@click.option("--limit", default=_LIMIT, show_default=True, type=click.IntRange(min=1), help="The last N.")
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
@click.pass_obj
def list_tags(
    settings: Settings, *, customer: str | None, rule: str | None, open_only: bool, limit: int, as_json: bool
) -> None:
    """List the tag events published last, the newest at the end."""
    with _reading(settings.topic(TAGS)):
        found = run(_last_tags(settings, customer, rule, open_only, limit))
    if as_json:
        _print_json(*found)
        return
    columns: Columns = {
        "at": lambda tag: tag["at"],
        "customer": lambda tag: tag["customer_id"],
        "rule": lambda tag: tag["rule"],
        "change": lambda tag: tag["change"],
        "level": lambda tag: tag.get("level"),
        "reason": lambda tag: tag.get("reason"),
        "delivery": lambda tag: "push" if tag["delivery"]["push"] else tag["delivery"]["reason"],
        "revision": lambda tag: tag["revision"],
        "tag_id": lambda tag: tag["tag_id"],
    }
    _print_table(columns, found)


async def _last_tags(
    settings: Settings, customer: str | None, rule: str | None, open_only: bool, limit: int
) -> list[dict[str, Any]]:
    topic = settings.topic(TAGS)
    key = None if customer is None else customer.encode()
    records = read_topic(settings, topic) if key is None else _partition_for(settings, topic, key)
    kept: Iterable[tuple[tuple[int, int, int], dict[str, Any]]]
    wanted = _decoded_tags(records, key, rule)
    if open_only:
        episodes = {tag["tag_id"]: (place, tag) async for place, tag in wanted}
        kept = [item for item in episodes.values() if item[1]["state"] == "open"]
        kept = heapq.nlargest(limit, kept, key=lambda item: item[0])
    else:
        kept = await _largest(limit, wanted)
    return [tag for _, tag in sorted(kept, key=lambda item: item[0])]


async def _decoded_tags(
    records: AsyncIterator[ConsumerRecord], key: bytes | None, rule: str | None
) -> AsyncIterator[tuple[tuple[int, int, int], dict[str, Any]]]:
    async for record in records:
        if key is None or record.key == key:
            tag = msgspec.json.decode(record.value)
            if rule is None or tag["rule"] == rule:
                yield (record.timestamp, record.partition, record.offset), tag


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at input records that broke the contract."""


@dead_letters.command("list")
@click.option("--reason", type=click.Choice(sorted(REASONS)), help="Of this reason only.")
@click.option("--limit", default=_LIMIT, show_default=True, type=click.IntRange(min=1), help="The last N.")
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
@click.pass_obj
def list_dead_letters(settings: Settings, reason: str | None, limit: int, as_json: bool) -> None:
    """List the dead letters written last, the newest at the end.

    The first column is what `dead-letters show` takes.
    """
    with _reading(settings.topic(DEAD_LETTERS)):
        found = run(_last_dead_letters(settings, reason, limit))
    if as_json:
        _print_json(*found)
        return
    columns: Columns = {
        "source": _place,
        "reason": lambda letter: letter.reason,
        "field": lambda letter: letter.field,
        "expected": lambda letter: letter.expected,
        "got": lambda letter: letter.got,
        "at": lambda letter: letter.at,
    }
    _print_table(columns, found)


async def _last_dead_letters(settings: Settings, reason: str | None, limit: int) -> list[DeadLetter]:
    async def wanted() -> AsyncIterator[tuple[tuple[int, int, int], DeadLetter]]:
        async for record in read_topic(settings, settings.topic(DEAD_LETTERS)):
            letter = decode_dead_letter(record.value)
            if reason is None or letter.reason == reason:
                yield (record.timestamp, record.partition, record.offset), letter

    return [letter for _, letter in sorted(await _largest(limit, wanted()), key=lambda item: item[0])]


@dead_letters.command("show")
@click.argument("place", metavar="TOPIC-PARTITION@OFFSET")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def show_dead_letter(settings: Settings, place: str, as_json: bool) -> None:
    """Show one dead letter whole, by where its record lies, such as bank.transactions-3@812.

    Exits 1 when that record is no dead letter.
    """
    source, at, offset = place.rpartition("@")
    if not (at and offset.isdigit() and "-" in source):
        raise click.BadParameter(f"expected TOPIC-PARTITION@OFFSET such as bank.transactions-3@812, got {place}")
    with _reading(settings.topic(DEAD_LETTERS)):
        letter = run(_dead_letter(settings, source, int(offset)))
    if letter is None:
        topic = settings.topic(DEAD_LETTERS)
        raise CommandError(f"expected a dead letter of {place} in {topic}, found none", NOT_SO)
    if as_json:
        _print_json(letter)
        return
    fields = {"field": lambda item: item[0], "value": lambda item: item[1]}
    _print_table(fields, [("meaning", REASONS[letter.reason]), *msgspec.to_builtins(letter).items()])


async def _dead_letter(settings: Settings, source: str, offset: int) -> DeadLetter | None:
    found = None
    async for record in _partition_for(settings, settings.topic(DEAD_LETTERS), source.encode()):
        letter = decode_dead_letter(record.value)
        if letter.message_key == source and letter.source.offset == offset:
            found = letter
    return found


def _place(letter: DeadLetter) -> str:
    return f"{letter.message_key}@{letter.source.offset}"


async def _partition_for(settings: Settings, topic: str, key: bytes) -> AsyncIterator[ConsumerRecord]:
    """The records of the one partition that holds a key."""
    partitions = (await partition_counts(settings, [topic]))[topic]
    async for record in read_topic(settings, topic, [partition_of(key, partitions)]):
        yield record


async def _largest(
    limit: int, items: AsyncIterator[tuple[tuple[int, int, int], Any]]
) -> list[tuple[tuple[int, int, int], Any]]:
    """The `limit` items of the largest places, holding no more than that many."""
    heap: list[tuple[tuple[int, int, int], Any]] = []
    async for item in items:
        if len(heap) < limit:
            heapq.heappush(heap, item)
        elif item[0] > heap[0][0]:
            heapq.heapreplace(heap, item)
    return heap


@contextmanager
def _reading(topic: str) -> Iterator[None]:
    console = Console(stderr=True)
    if not (sys.stdout.isatty() and console.is_terminal):
        yield
        return
    with console.status(f"reading {topic}"):
        yield


def _print_json(*values: object) -> None:
    for value in values:
        click.echo(msgspec.json.encode(value))


def _print_table(columns: Columns, rows: Sequence[Any]) -> None:
    """A table on a terminal, tab-separated lines with a heading when piped."""
    cells = [[_cell(value(row)) for value in columns.values()] for row in rows]
    if not sys.stdout.isatty():
        click.echo("\t".join(columns))
        for row in cells:
            click.echo("\t".join(" ".join(cell.split()) for cell in row))
        return
    table = Table()
    for name in columns:
        table.add_column(name, overflow="fold")  # an id cut short cannot be copied
    for row in cells:
        table.add_row(*row)
    # Console markup in a payload is text, not style.
    Console(markup=False, highlight=False).print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
