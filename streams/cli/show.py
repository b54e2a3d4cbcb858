"""What the looking commands share: reading topics, and tables on a terminal or plain lines when piped."""

import heapq
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
import msgspec
from aiokafka import ConsumerRecord
from rich.console import Console
from rich.table import Table

from streams.clients import partition_counts, read_topic
from streams.partitioner import partition_of
from streams.settings import Settings

Columns = Mapping[str, Callable[[Any], object]]
"""Heading → the cell of a row."""
JSON_HELP = "One JSON object a line."
LIMIT = 50


async def partition_for(settings: Settings, topic: str, key: bytes) -> AsyncIterator[ConsumerRecord]:
    """The records of the one partition that holds a key."""
    partitions = (await partition_counts(settings, [topic]))[topic]
    async for record in read_topic(settings, topic, [partition_of(key, partitions)]):
        yield record


async def largest(
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
def reading(topic: str) -> Iterator[None]:
    """Say on a terminal that this may take a while."""
    console = Console(stderr=True)
    if not (sys.stdout.isatty() and console.is_terminal):
        yield
        return
    with console.status(f"reading {topic}"):
        yield


def print_json(*values: object) -> None:
    """One line of JSON each."""
    for value in values:
        click.echo(msgspec.json.encode(value))


def print_table(columns: Columns, rows: Sequence[Any], *, err: bool = False) -> None:
    """A table on a terminal, tab-separated lines with a heading when piped; on standard error when asked."""
    cells = [[_cell(value(row)) for value in columns.values()] for row in rows]
    if not (sys.stderr if err else sys.stdout).isatty():
        click.echo("\t".join(columns), err=err)
        for row in cells:
            click.echo("\t".join(" ".join(cell.split()) for cell in row), err=err)
        return
    table = Table()
    for name in columns:
        table.add_column(name, overflow="fold")  # an id cut short cannot be copied
    for row in cells:
        table.add_row(*row)
    # Console markup in a payload is text, not style.
    Console(stderr=err, markup=False, highlight=False).print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
