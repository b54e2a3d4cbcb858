"""`tagger bench`: the benchmark of a checkout, which brings the broker, the job and the ones to compare with."""

import importlib
import sys
from pathlib import Path

import click

from streams.cli.exits import CommandError
from streams.exits import BAD_CONFIGURATION, NOT_SO, UNREACHABLE

ROOT = Path(__file__).resolve().parents[2]


@click.command()
@click.option("--events", metavar="N", type=click.IntRange(100), default=1_000_000, show_default=True)
@click.option(
    "--customers", metavar="N", type=click.IntRange(1), default=20_000, show_default=True, help="Who share them."
)
@click.option(
    "--usual-events",
    metavar="N",
    type=click.IntRange(100),
    default=100_000,
    show_default=True,
    help="Events for Faust written the usual way, which is slow; rates are an event's.",
)
@click.option(
    "--live-seconds",
    metavar="S",
    type=click.IntRange(1, 3600),
    default=20,
    show_default=True,
    help="How long events come at half the pipeline's rate, for latency; how long before and after --midnight.",
)
@click.option(
    "--restore",
    metavar="N",
    type=click.IntRange(1),
    help="Measure only this: a worker's restore of so many customers.",
)
@click.option(
    "--midnight",
    metavar="N",
    type=click.IntRange(1),
    help="Measure only this: a midnight at which so many customers have a deadline, while events of others come.",
)
@click.option(
    "--results",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the report goes, as JSON and Markdown; bench/results when left out.",
)
def bench(
    *,
    events: int,
    customers: int,
    usual_events: int,
    live_seconds: int,
    restore: int | None,
    midnight: int | None,
    results: Path | None,
) -> None:
    """Measure this machine: each stage, the whole pipeline, and the same job done in two other ways.

    Starts a Kafka and a Redis of its own (Java, Maven and redis-server are needed), and takes ten to fifteen
    minutes. Nothing else should run meanwhile. Works in a checkout; docs/benchmarks.md says how to read what comes
    out.
    """
    if restore is not None and midnight is not None:
        raise click.UsageError("expected one of --restore and --midnight, got both: each is measured alone")
    if not (ROOT / "bench" / "run.py").is_file():
        raise CommandError(
            "expected a checkout with the folder bench/, which packages leave out", BAD_CONFIGURATION
        )
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    run = importlib.import_module("bench.run")
    alone = {name: importlib.import_module(f"bench.{name}") for name in ("restore", "midnight")}
    parts = importlib.import_module("parts")
    measure = importlib.import_module("bench.measure")
    workers = importlib.import_module("bench.workers")
    folder = results or ROOT / "bench" / "results"

    def say(text: str) -> None:
        click.echo(text, err=True)

    try:
        if restore is not None:
            report = alone["restore"].run_restore(restore, folder, say)
        elif midnight is not None:
            report = alone["midnight"].run_midnight(midnight, live_seconds, folder, say)
        else:
            report = run.run_bench(run.Size(events, customers, usual_events, live_seconds), folder, say)
    except parts.MissingPartError as error:
        raise CommandError(str(error), UNREACHABLE) from error
    except (workers.BenchError, measure.StuckError) as error:
        raise CommandError(str(error), NOT_SO) from error
    click.echo(report.page())
