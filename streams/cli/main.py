"""The command `tagger`: settings, then one of its commands, each imported only when it is asked for.

Exit codes are those of `streams.exits`.
"""

import errno
import importlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from pydantic_settings import SettingsError

from streams.exits import BAD_CONFIGURATION
from streams.settings import load_settings, misspelled

_FIELD = re.compile(r'for field "(\w+)" from source "EnvSettingsSource"')
_OURS = ("schemas", "tagger", "streams")
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("streams.cli.demo", "demo"),
    "worker": ("streams.cli.worker", "worker"),
    "replay": ("streams.cli.replay", "replay"),
    "simulate": ("streams.cli.simulate", "simulate"),
    "backtest": ("streams.cli.backtest", "backtest"),
    "features": ("streams.cli.features", "features"),
    "rules": ("streams.cli.rules", "rules"),
    "customers": ("streams.cli.customers", "customers"),
    "tags": ("streams.cli.tags", "tags"),
    "dead-letters": ("streams.cli.dead_letters", "dead_letters"),
    "topics": ("streams.cli.topics", "topics"),
    "doctor": ("streams.cli.doctor", "doctor"),
    "contracts": ("streams.cli.contracts", "contracts"),
    "bench": ("streams.cli.bench", "bench"),
}
"""Command → module and function."""


class LazyGroup(click.Group):
    """Imports a command when it is run or described, so that one that is not there hides no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if self.get_command(ctx, name) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, function = COMMANDS[cmd_name]
        try:
            command = getattr(importlib.import_module(module), function)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] not in _OURS:
                raise
            return None
        assert isinstance(command, click.Command)
        return command

    def main(self, *args: Any, **options: Any) -> Any:
        _open_closed_streams()
        return super().main(*args, **options)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with _telling_what_takes_no_more():  # --help and --version print while they are read
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _telling_what_takes_no_more():
            return super().invoke(ctx)


def _open_closed_streams() -> None:
    """Let what is printed to a stream that was closed at start, Python's None, go nowhere.

    A `print` to None goes to standard output, and None is asked in vain whether it is a terminal.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as the process lives


@contextmanager
def _telling_what_takes_no_more() -> Iterator[None]:
    try:
        yield
    # Files that a command names tell for themselves (`outputs`); what is left is what it prints.
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise UnwritableOutput(f"what was printed could not be written: {error.strerror}") from error


class SettingsProblem(click.ClickException):
    """The settings are not what they must be."""

    exit_code = BAD_CONFIGURATION


class UnwritableOutput(click.ClickException):
    """Standard output takes no more."""

    exit_code = BAD_CONFIGURATION


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="TAGGER_CONFIG",
    help="TOML file of settings; TAGGER_* variables go before it.",
)
@click.option("--bootstrap", metavar="HOST:PORT", help="Kafka bootstrap addresses, comma separated.")
@click.version_option(package_name="tagger")
@click.pass_context
def main(context: click.Context, config: Path | None, bootstrap: str | None) -> None:
    """Tag a bank's customers from their transactions and app events.

    To look around, with nothing but this package: `tagger demo`. On a Kafka of your own: `tagger topics create`,
    then `tagger worker`, then `tagger simulate` or `tagger replay`, then `tagger tags list`.

    Settings come from --config, or from TAGGER_* variables such as TAGGER_BOOTSTRAP=broker:9092; docs/settings.md
    lists them.
    """
    if context.resilient_parsing:
        return
    try:
        context.obj = load_settings(config, bootstrap=bootstrap)
    except FileNotFoundError as error:
        raise SettingsProblem(str(error)) from error
    except ValidationError as error:
        raise SettingsProblem(_told(error)) from error
    except (SettingsError, ValueError) as error:
        raise SettingsProblem(f"the settings cannot be read: {_unread(error, config)}") from error
    if context.invoked_subcommand != "worker":  # whose standard error is JSON, and which logs it
        for warning in misspelled(os.environ):
            click.echo(f"Warning: {warning}", err=True)


def _told(error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False, include_context=False):
        first, name = str(item["loc"][0]), ".".join(str(part) for part in item["loc"])
        problem = "no such setting" if item["type"] == "extra_forbidden" else item["msg"]
        # A URL may hold a password.
        got = "something else" if first == "redis_url" else repr(item["input"])
        lines.append(
            f"setting {name} (TAGGER_{first.upper()}): {problem.removeprefix('Value error, ')}, got {got}"
        )
    return "\n".join(lines)


def _unread(error: Exception, config: Path | None) -> str:
    """What a reader of settings said; of a variable that is not JSON it names no more than the field."""
    field = _FIELD.search(str(error))
    if field is None:
        return f"{config}: expected a TOML file: {error}"
    variable = f"TAGGER_{field[1].upper()}"
    return f"{variable}: expected JSON as docs/settings.md shows it, got {os.environ.get(variable, '')!r}"


if __name__ == "__main__":
    main()
