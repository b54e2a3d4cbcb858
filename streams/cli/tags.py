"""`tagger tags`: tag events from their topic, from its beginning, read committed.

A partition of some million records takes some ten seconds.
"""

import heapq
from collections.abc import AsyncIterator, Iterable
from typing import Any

import click
import msgspec
from aiokafka import ConsumerRecord

from schemas.topics import TAGS
from streams.cli.exits import run
from streams.cli.show import JSON_HELP, LIMIT, Columns, largest, partition_for, print_json, print_table, reading
from streams.clients import read_topic
from streams.settings import Settings


@click.group()
def tags() -> None:
    """Look at tag events."""


@tags.command("list")
@click.option("--customer", metavar="CUSTOMER", help="Of this customer only; reads one partition.")
@click.option("--rule", metavar="RULE", help="Of this rule only.")
@click.option("--open", "open_only", is_flag=True, help="Only episodes that are open, each as last revised.")
@click.option("--limit", default=LIMIT, show_default=True, type=click.IntRange(min=1), help="The last N.")
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
@click.pass_obj
def list_tags(
    settings: Settings, *, customer: str | None, rule: str | None, open_only: bool, limit: int, as_json: bool
) -> None:
    """List the tag events published last, the newest at the end."""
    with reading(settings.topic(TAGS)):
        found = run(_last_tags(settings, customer, rule, open_only, limit))
    if as_json:
        print_json(*found)
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
    print_table(columns, found)


async def _last_tags(
    settings: Settings, customer: str | None, rule: str | None, open_only: bool, limit: int
) -> list[dict[str, Any]]:
    topic = settings.topic(TAGS)
    key = None if customer is None else customer.encode()
    records = read_topic(settings, topic) if key is None else partition_for(settings, topic, key)
    kept: Iterable[tuple[tuple[int, int, int], dict[str, Any]]]
    wanted = _decoded_tags(records, key, rule)
    if open_only:
        episodes = {tag["tag_id"]: (place, tag) async for place, tag in wanted}
        kept = [item for item in episodes.values() if item[1]["state"] == "open"]
        kept = heapq.nlargest(limit, kept, key=lambda item: item[0])
    else:
        kept = await largest(limit, wanted)
    return [tag for _, tag in sorted(kept, key=lambda item: item[0])]


async def _decoded_tags(
    records: AsyncIterator[ConsumerRecord], key: bytes | None, rule: str | None
) -> AsyncIterator[tuple[tuple[int, int, int], dict[str, Any]]]:
    async for record in records:
        if key is None or record.key == key:
            tag = msgspec.json.decode(record.value)
            if rule is None or tag["rule"] == rule:
                yield (record.timestamp, record.partition, record.offset), tag
