"""`tagger contracts`: the contracts as files that upstream systems and the push service can build against."""

from importlib.metadata import version
from pathlib import Path

import click

from schemas.contracts import ASYNCAPI_FILE, build_contracts
from streams.cli.exits import CommandError
from streams.exits import BAD_CONFIGURATION


@click.group()
def contracts() -> None:
    """Export what enters and leaves the pipeline.

    JSON Schema (2020-12) of each record, with examples that are valid, and one AsyncAPI 3 document of all topics.
    """


@contracts.command()
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def export(directory: Path) -> None:
    """Write the documents into DIR, making it when it is not there.

    The same version writes the same bytes, so DIR can be kept under version control and compared. Files of other
    names are left alone.
    """
    files = build_contracts(version("tagger"))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"{directory}: expected a folder to write to: {error.strerror}", BAD_CONFIGURATION
        ) from error
    click.echo(f"wrote {len(files)} files to {directory}; begin with {ASYNCAPI_FILE}")
