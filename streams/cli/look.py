"""`tagger customers` and `tagger tags`: what stands in the topics, read committed.

These read the truth, not the Redis view: a customer from the changelog, tags from their topic, each from its
beginning. A partition of some million records takes some ten seconds.
"""

import heapq
from collections.abc import AsyncIterator, Iterable
from typing import Any

import click
import msgspec
from aiokafka import ConsumerRecord

from schemas.bankday import BankCalendar
from streams.cli.exits import CommandError, run
from streams.cli.show import JSON_HELP, LIMIT, Columns, largest, partition_for, print_json, print_table, reading
from streams.clients import read_topic
from streams.exits import NOT_SO
from streams.settings import Settings
from streams.topics import CUSTOMERS, TAGS
from tagger.view import View, project_customer


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
    with reading(settings.topic(CUSTOMERS)):
        record = run(_last_state(settings, customer_id))
    if record is None:
        raise CommandError(f"expected a customer {customer_id} in {settings.topic(CUSTOMERS)}, found none", NOT_SO)
    view = project_customer(customer_id, record.value, BankCalendar(settings.zone))
    if as_json:
        where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        shown = {"profile": view.profile, "accounts": view.accounts, "tags": view.tags}
        print_json({"customer_id": customer_id, **shown, "changelog": where})
        return
    _print_customer(customer_id, view)


def _print_customer(customer_id: str, view: View) -> None:
    fields = {"field": lambda item: item[0], "value": lambda item: item[1]}
    print_table(fields, [("customer_id", customer_id), *view.profile.items(), *view.accounts.items()])
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
    print_table(columns, list(view.tags.items()))


async def _last_state(settings: Settings, customer_id: str) -> ConsumerRecord | None:
    topic, key = settings.topic(CUSTOMERS), customer_id.encode()
    last = None
    async for record in partition_for(settings, topic, key):
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
