"""How a command ends: what goes wrong as a message and an exit code (`streams.exits`)."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from aiokafka.errors import (
    InvalidConfigurationError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    KafkaError,
    PolicyViolationError,
)

from streams.clients import MissingTopicError, UnreachableError
from streams.exits import BAD_CONFIGURATION, NOT_SO, UNREACHABLE
from streams.lanes.stage import ForeignRecordError
from streams.lanes.unit_of_work import RefusedError
from streams.sources.record import SourceError

Answer = TypeVar("Answer")

_REFUSED_SETTINGS = (
    InvalidConfigurationError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    PolicyViolationError,
)


class CommandError(click.ClickException):
    """Ends the command: the message on standard error, and this exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a command's asynchronous part; what may go wrong with a broker becomes its exit code."""
    # What aiokafka logs on the way to an error, the error says once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        return asyncio.run(work)
    except UnreachableError as error:
        raise CommandError(str(error), UNREACHABLE) from error
    except MissingTopicError as error:
        raise CommandError(str(error), BAD_CONFIGURATION) from error
    except ForeignRecordError as error:
        raise CommandError(str(error), NOT_SO) from error
    except RefusedError as error:
        raise CommandError(str(error), BAD_CONFIGURATION) from error
    except _REFUSED_SETTINGS as error:
        raise CommandError(f"the broker refused what the settings ask for: {error}", BAD_CONFIGURATION) from error
    except KafkaError as error:
        raise CommandError(f"the broker refused: {error}", UNREACHABLE) from error


@contextmanager
def reading_sources() -> Iterator[None]:
    """A source that is not what was asked for is wrong usage."""
    try:
        yield
    except SourceError as error:
        raise CommandError(str(error), BAD_CONFIGURATION) from error
