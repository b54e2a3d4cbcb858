"""A sign of life for health checks: a file that a worker touches while its event loop runs.

A process that is there but whose loop hangs stops touching it. It says nothing about lag: a worker that waits for
a broker to come back is alive, and restarting it would not help.
"""

import asyncio
from pathlib import Path

BEAT_SECONDS = 1.0


async def beat(path: Path | None) -> None:
    """Touch `path` every second, until cancelled; does nothing for None.

    Raises:
        OSError: the file cannot be written, which is found at the first beat.
    """
    while path is not None:
        path.touch()  # noqa: ASYNC240  microseconds, and a disk that blocks the loop should show
        await asyncio.sleep(BEAT_SECONDS)
