"""`tagger topics`: create what is missing, compare what is there."""

import json

import click

from streams import topics as contract
from streams.cli.exits import run
from streams.exits import NOT_SO
from streams.settings import Settings


@click.group()
def topics() -> None:
    """Create and check the pipeline's Kafka topics.

    Partition counts, replication and retention are settings (TAGGER_PARTITIONS, TAGGER_REPLICATION, …). The
    partition count is fixed for the life of a deployment: state and tags lie where the customer's key hashes to.
    """


@topics.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the topics created.")
@click.pass_obj
def create(settings: Settings, as_json: bool) -> None:
    """Create every topic that is missing; topics that exist are left as they are.

    Run it before the first worker: workers and brokers create none by themselves.
    """
    created = run(contract.create(settings))
    if as_json:
        click.echo(json.dumps({"created": created}))
        return
    for name in created:
        click.echo(f"created {name}")
    existed = len(contract.topic_specs(settings)) - len(created)
    if existed:
        click.echo(f"{existed} existed already; `tagger topics check` compares them with the settings")


@topics.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a difference.")
@click.pass_context
def check(context: click.Context, as_json: bool) -> None:
    """Compare partitions, replication, cleanup, retention and record size of every topic with the settings.

    Exits 1 when something differs or is missing.
    """
    settings: Settings = context.obj
    differences = run(contract.check(settings))
    for difference in differences:
        click.echo(json.dumps(difference.as_json()) if as_json else str(difference))
    if differences:
        context.exit(NOT_SO)
    if not as_json:
        click.echo(f"{len(contract.topic_specs(settings))} topics at {settings.bootstrap} are as they must be")
