"""Garbage collection of a worker that is not ready yet."""

import asyncio
import gc

from streams.settings import Settings
from streams.worker import Worker


async def test_a_starting_worker_does_not_walk_what_was_imported_again_and_again() -> None:
    gc.unfreeze()  # a worker that ran in this process before has left frozen what was there
    before = gc.get_freeze_count()
    collecting = asyncio.create_task(Worker(Settings(), [])._collect_garbage())
    try:
        await asyncio.sleep(0)
        assert not collecting.done()
        assert gc.get_freeze_count() - before > 10_000
    finally:
        collecting.cancel()
        gc.unfreeze()
