"""Files that a command writes: opened before the work begins, and whole when it exits 0."""

import sys
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

import click

from streams.cli.exits import CommandError
from streams.exits import BAD_CONFIGURATION


class Output:
    """An open file whose failing writes end the command with a message."""

    def __init__(self, file: IO[Any], name: str) -> None:
        self._file = file
        self._name = name

    @property
    def name(self) -> str:
        """As it was given, `-` for standard output."""
        return self._name

    @property
    def is_standard_output(self) -> bool:
        return self._name == "-"

    def write(self, data: Any) -> int:
        """Write bytes or text, as the file was opened for.

        Raises:
            CommandError: it cannot be written.
        """
        try:
            return self._file.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._unwritable(error) from error

    def flush(self) -> None:
        """Write what is still held back.

        Raises:
            CommandError: it cannot be written.
        """
        try:
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> CommandError:
        return CommandError(f"{self._name}: expected a file to write to: {error.strerror}", BAD_CONFIGURATION)


class OutputFile(click.File):
    """The type of an option that names a file to write, `-` for standard output.

    click's own opens it at the first write, so that nothing written leaves an old file as it was, and drops the
    error of the last one.
    """

    def __init__(self, mode: str) -> None:
        super().__init__(mode, lazy=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        self._refuse_a_source(str(value), param, ctx)
        self._refuse_another_output(str(value), param, ctx)
        if str(value) == "-" and sys.__stdout__ is None:  # Python's word for one that was closed at start
            self.fail("-: expected a file to write to: standard output is closed", param, ctx)
        output = Output(super().convert(value, param, ctx), str(value))
        if ctx is not None:
            # Before click's own closing, which comes first in and so last out.
            ctx.call_on_close(output.flush)
        return output

    def _refuse_another_output(self, name: str, param: click.Parameter | None, ctx: click.Context | None) -> None:
        """Two options that write to one file would write over each other."""
        if ctx is None or name == "-":
            return
        others = [output.name for output in ctx.params.values() if isinstance(output, Output)]
        if any(_is_same_file(name, other) for other in others):
            self.fail(f"{name}: expected another file than the one that another option writes to", param, ctx)

    def _refuse_a_source(self, name: str, param: click.Parameter | None, ctx: click.Context | None) -> None:
        """Opening what is still to be read would empty it; what a command reads is eager, and so known here."""
        if ctx is None or name == "-":
            return
        read = [value.name for value in ctx.params.values() if isinstance(value, BufferedReader)]
        source = ctx.params.get("source")
        if source is not None and str(source) != "-":
            read.append(source)
        if any(_is_same_file(name, one) for one in read):
            self.fail(f"{name}: expected another file than the one that is read", param, ctx)


def _is_same_file(name: str, other: str | Path) -> bool:
    """Whether two names are one regular file; devices may be written to twice."""
    try:
        return Path(name).samefile(other) and Path(name).is_file()
    except OSError:
        return False
