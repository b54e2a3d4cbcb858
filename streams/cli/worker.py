"""`tagger worker`: run the agents."""

import logging
import os
from typing import get_args

import click

from streams.lanes.stage import StageName
from streams.logs import set_up_logs
from streams.settings import Settings, misspelled

log = logging.getLogger(__name__)
_STAGES: tuple[StageName, ...] = get_args(StageName)


def _stages(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    if value is None:
        return _STAGES
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    unknown = [name for name in names if name not in _STAGES]
    if unknown or not names:
        raise click.BadParameter(f"expected some of {', '.join(_STAGES)}, got {', '.join(unknown) or 'none'}")
    return names


@click.command()
@click.option(
    "--only",
    metavar="STAGES",
    callback=_stages,
    help="Comma-separated stages to run: ingest, decide, project. All of them when left out.",
)
@click.pass_obj
def worker(settings: Settings, only: tuple[str, ...]) -> None:
    """Run agents: ingest validates and orders events, decide folds them into tags, project fills Redis.

    Start as many workers as you like; the partitions are shared out among those that run the same stage. A worker
    finishes the batch in flight on SIGTERM or Ctrl-C and exits 0. It exits 1 when it cannot go on (nothing of what
    failed was committed: mend the cause and start it again), 2 when topics are missing, 3 when no broker answers.
    Logs are one JSON line an event on standard error.
    """
    from streams.worker import end_process, run_worker  # noqa: PLC0415 - Faust takes a second to import

    set_up_logs(settings.log_level)
    for warning in misspelled(os.environ):
        log.warning(warning)
    end_process(run_worker(settings, only))  # type: ignore[arg-type]
