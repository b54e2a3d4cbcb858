"""`tagger customers`: what stands in the changelog, read committed.

It is the truth, not the Redis view. A partition of some million records takes some ten seconds.
"""

import click
from aiokafka import ConsumerRecord

from schemas.bankday import BankCalendar
from schemas.topics import CUSTOMERS
from streams.cli.exits import CommandError, run
from streams.cli.show import Columns, partition_for, print_json, print_table, reading
from streams.exits import NOT_SO
from streams.settings import Settings
from tagger.folding.meta import META_KEY
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
        shown = {"profile": view.profile, "accounts": view.accounts, "drift": view.drift, "tags": view.tags}
        print_json({"customer_id": customer_id, **shown, "changelog": where})
        return
    _print_customer(customer_id, view)


def _print_customer(customer_id: str, view: View) -> None:
    fields = {"field": lambda item: item[0], "value": lambda item: item[1]}
    drift = [(f"drift of {name}", amount) for name, amount in view.drift.items()]
    print_table(fields, [("customer_id", customer_id), *view.profile.items(), *view.accounts.items(), *drift])
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
        if record.key == key and customer_id != META_KEY:
            last = record
    return None if last is None or last.value is None else last
