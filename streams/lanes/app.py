"""One Faust app a stage. Importing this does nothing; `build_app` wires and connects to nothing yet.

One app id a stage (`<app>-ingest`, …): with one id for several kinds of worker each join stops them all, and the
partitions of one stage would be spread over the workers of another. Three apps run well in one process.

The agent only moves fetches into lanes. (`isolated_partitions`, one actor a partition, is Faust's own way to the
same end; but Faust cancels and restarts those actors at every rebalance, in the middle of a commit.)
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import faust
from mode.supervisors import CrashingSupervisor
from yarl import URL

from streams.lanes.fetch import BatchTransport
from streams.lanes.intake import Fetch
from streams.lanes.lane import REBALANCE_SECONDS
from streams.lanes.ownership import Ownership
from streams.lanes.stage import Stage, group_of
from streams.settings import Settings

log = logging.getLogger(__name__)

Fail = Callable[[BaseException], None]

_NEVER_SECONDS = 86_400.0


class FetchSchema(faust.Schema):  # type: ignore[misc]
    """A fetch arrives as it is: bytes are decoded by the task, not by Faust."""

    def loads_key(self, app: Any, message: Any, **_options: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **_options: Any) -> Fetch:
        fetch: Fetch = message.value
        return fetch


class StageApp(faust.App):  # type: ignore[misc]
    """A Faust app without tables, files and web server."""

    logger = logging.getLogger("faust")  # or Faust logs under our name
    ownership: Ownership

    def _create_directories(self) -> None:
        """None: there is no local state, and a folder beside the caller's is a surprise."""


def build_app(stage: Stage, settings: Settings, fail: Fail) -> StageApp:
    """The Faust app of a stage.

    Args:
        fail: told, once or more, of an exception after which the worker must end non-zero; must not raise.
    """
    urls = [URL(f"kafka://{address.strip()}") for address in settings.bootstrap.split(",")]
    session = settings.session_timeout_ms / 1000
    app = StageApp(
        group_of(settings, stage.name),
        broker=urls,
        autodiscover=False,
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        processing_guarantee="at_least_once",  # ours is exactly once; Faust's is not, and must stay out of it
        broker_commit_interval=_NEVER_SECONDS,  # tasks commit offsets in their transactions
        broker_max_poll_records=settings.batch_records,
        broker_max_poll_interval=_NEVER_SECONDS,  # a long restore fetches nothing and is not dead
        broker_session_timeout=session,
        broker_heartbeat_interval=min(3.0, session / 4),
        broker_rebalance_timeout=REBALANCE_SECONDS,
        broker_request_timeout=max(40.0, session + 10.0),
        consumer_max_fetch_size=settings.fetch_bytes,
        stream_wait_empty=False,  # lanes come to rest before Faust is told
        stream_recovery_delay=0.0,
        agent_supervisor=CrashingSupervisor,
    )
    app.ownership = Ownership(stage, settings, fail)
    app.transport = BatchTransport(urls, app, app.ownership, settings.gather_ms)
    topic = app.topic(*stage.topics, schema=FetchSchema(), acks=False, allow_empty=True)
    app.agent(topic, name=f"{stage.name}.deliver")(_deliver(app, fail))
    return app


def _deliver(app: StageApp, fail: Fail) -> Callable[[Any], Any]:
    async def deliver(stream: Any) -> None:
        try:
            async for event in stream.events():
                app.ownership.deliver(event.message.tp, event.value)
        except BaseException as error:
            if app.should_stop or app.ownership.is_stopping:
                raise
            # Faust would restart the agent and go on past what failed. It never gets the chance: the agent
            # stays here, and the worker ends.
            fail(error)
            await asyncio.Event().wait()

    return deliver
