"""The heartbeat file is as old as the event loop's last breath."""

import asyncio
import time
from pathlib import Path

import pytest

from streams import heartbeat


async def touched_after(path: Path, instant: float, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and path.stat().st_mtime > instant:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_the_file_is_touched_again_and_again_until_the_loop_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02)
    path = tmp_path / "beat"
    beating = asyncio.create_task(heartbeat.beat(path))
    assert await touched_after(path, 0)
    assert await touched_after(path, path.stat().st_mtime)
    hung_at = time.time()
    time.sleep(0.2)  # noqa: ASYNC251  a loop that hangs
    assert path.stat().st_mtime <= hung_at
    assert await touched_after(path, hung_at)
    beating.cancel()


async def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        await heartbeat.beat(tmp_path / "missing" / "beat")


async def test_without_a_path_nothing_is_touched() -> None:
    await asyncio.wait_for(heartbeat.beat(None), 1)
