"""Health over HTTP, for orchestrators and load balancers.

`/health/live`: 200 while the event loop runs; one that hangs does not answer, and the watchdog ends the process.
`/health/ready`: 200 when every assigned partition is taken over, with its state restored; 503 before, when the
worker stops, and while `project` waits for Redis. A worker that the group gave no partition is ready.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from streams.lanes.ownership import Ownership
from streams.settings import Settings

_STOP_SECONDS = 1.0


class HealthAddressError(Exception):
    """The address for health checks cannot be listened at."""


@asynccontextmanager
async def serving_health(settings: Settings, stages: Sequence[Ownership]) -> AsyncIterator[None]:
    """Answer health checks inside the block; nothing listens when `health_port` is None.

    Raises:
        HealthAddressError: says which address.
    """
    if settings.health_port is None:
        yield
        return
    app = web.Application()
    app.add_routes([web.get("/health/live", _live), web.get("/health/ready", _Ready(stages).answer)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        await _listen(runner, settings.health_host, settings.health_port)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise HealthAddressError(
            f"expected to listen at {host}:{port} for health checks, which failed: {error.strerror}. Give each "
            "worker of a machine a port of its own (TAGGER_HEALTH_PORT)"
        ) from error


async def _live(_request: web.Request) -> web.Response:
    return web.json_response({"live": True})


class _Ready:
    def __init__(self, stages: Sequence[Ownership]) -> None:
        self._stages = stages

    async def answer(self, _request: web.Request) -> web.Response:
        is_ready = all(owner.all_taken_over() and not owner.is_stopping for owner in self._stages)
        told = {
            owner.stage.name: {
                "assigned": len(owner.lanes),
                "taken_over": sum(lane.is_live for lane in owner.lanes),
            }
            for owner in self._stages
        }
        return web.json_response({"ready": is_ready, "stages": told}, status=200 if is_ready else 503)
