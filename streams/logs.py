"""Logs as one JSON line an event on standard error, without personal data.

`log.info("restored", extra={"partition": …, "seconds": …})` gives the event's name and its fields. Values of
records never go into a log; customer ids may. An exception is told by its type and where it came from; its message
only when its type is among `TOLD`, because other messages may quote what a record held.

A library's line that repeats itself is told once in `REPEAT_SECONDS`: a client without its broker or coordinator
says so at every attempt, ten times a second, for as long as that lasts.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import IO, Any

from aiokafka.errors import KafkaError

# What a LogRecord has of its own; everything else came with `extra`.
_OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FRAMES = 12
_OURS = "streams"
REPEAT_SECONDS = 10.0
_MOST_LINES = 1000

TOLD: list[type[BaseException]] = [KafkaError, OSError, TimeoutError]
"""Exceptions whose messages name ids, partitions and addresses only; `streams.worker` adds ours with `tell`."""


def tell(*errors: type[BaseException]) -> None:
    """Say that the messages of these exceptions hold no personal data, and may be logged."""
    TOLD.extend(error for error in errors if error not in TOLD)


def describe(error: BaseException) -> str:
    """An exception in a line that is safe to log and to print."""
    kind = type(error).__name__
    return f"{kind}: {error}" if isinstance(error, tuple(TOLD)) and str(error) else kind


class JsonFormatter(logging.Formatter):
    """Writes `{"at", "level", "event", "logger", …extra, "error"?, "trace"?}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line["error"] = describe(error)
            line["trace"] = _trace(error)
        return json.dumps(line, ensure_ascii=False, default=str)


class _OnceInAWhile(logging.Filter):
    """Passes each line of a library once in `REPEAT_SECONDS`; the next says how many were `left_out` since."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] == _OURS:
            return True
        line = record.name, record.getMessage()
        told_at, left_out = self._told.get(line, (float("-inf"), 0))
        if abs(record.created - told_at) < REPEAT_SECONDS:
            self._told[line] = told_at, left_out + 1
            return False
        if len(self._told) >= _MOST_LINES:  # lines that differ each time, which do not repeat
            self._told.clear()
        self._told[line] = record.created, 0
        if left_out:
            record.left_out = left_out
        return True


def set_up_logs(level: str, stream: IO[str] | None = None) -> None:
    """Send our logs from `level` up, and libraries' warnings, to standard error (or `stream`)."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_OnceInAWhile())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level.upper())


def _trace(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
