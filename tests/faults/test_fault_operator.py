"""The operator of a fault run, on a broker whose group coordinator is lost, and on one that is well."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka_broker import KafkaBroker
from redis_server import RedisServer

from faults import operator
from faults.bank import stream
from faults.feed import Feed
from faults.fleet import Fleet
from faults.operator import Operator
from faults.plan import draw
from faults.servers import Cluster
from faults.storm import Storm
from faults.tag_watch import TagWatch
from streams.settings import Settings
from streams.topics import create

pytestmark = pytest.mark.kafka

SIGN = "ERROR [GroupCoordinator id=1] The state machine of … is out of sync with the underlying log. …\n"


class One(Cluster):
    """A cluster of a node that runs already."""

    def __init__(self, node: KafkaBroker) -> None:
        self.nodes, self.bootstrap, self.hands = [node], node.bootstrap, asyncio.Lock()


async def look(node: KafkaBroker, redis: RedisServer, folder: Path, seconds: float) -> tuple[Storm, Operator]:
    """Log the sign and let an operator look for a while, or until it has restarted the node."""
    settings = Settings(bootstrap=node.bootstrap, app="operated", topic_prefix="operated.", partitions=1)
    await create(settings)
    plan, cluster = draw(1, 1, 10), One(node)
    feed = Feed(settings, stream(1, 10, 1), 10)
    storm = Storm(plan, settings, cluster, redis, Fleet(settings, folder), feed, TagWatch(settings))
    one = Operator(settings, cluster, storm)
    assert not one.has_sign(0)
    with node.log.open("a") as log:
        log.write(SIGN)
    task = asyncio.create_task(one.run())
    deadline = asyncio.get_running_loop().time() + seconds
    while not (storm.struck and storm.struck[-1].healed_at) and asyncio.get_running_loop().time() < deadline:
        assert not task.done() or task.result() is None
        await asyncio.sleep(0.1)
    task.cancel()
    return storm, one


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "GRACE_SECONDS", 0.0)


@pytest.mark.usefixtures("hasty")
async def test_a_broker_that_gives_groups_no_coordinator_is_restarted(
    own_kafka: Callable[..., KafkaBroker],
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operator, "PROBE_SECONDS", 3.0)
    # the log of the groups cannot be made on one node
    with own_kafka(settings={"offsets.topic.replication.factor": "3"}) as node:
        before = node.pid
        storm, one = await look(node, redis_server, tmp_path, 120.0)
        assert node.pid not in (before, None)
    assert one.restarts == 1
    assert [(struck.kind, struck.healed_at is not None) for struck in storm.struck] == [("coordinator-lost", True)]
    assert storm.notes[0].endswith("restarted: ingest, decide, project had no group coordinator any more")


@pytest.mark.usefixtures("hasty")
async def test_a_coordinator_that_mended_itself_is_let_be(
    own_kafka: Callable[..., KafkaBroker], redis_server: RedisServer, tmp_path: Path
) -> None:
    with own_kafka() as node:
        before = node.pid
        storm, one = await look(node, redis_server, tmp_path, 15.0)
        assert await one.lost() == []
        assert node.pid == before
    assert (one.restarts, storm.struck, storm.notes) == (0, [], [])


def test_a_sign_is_seen_once_and_whole(tmp_path: Path) -> None:
    class Node:
        log = tmp_path / "kafka.log"

    Node.log.write_text("all is well\n")
    cluster = One.__new__(One)
    cluster.nodes = [Node()]  # type: ignore[list-item]
    one = Operator(Settings(), cluster, None)  # type: ignore[arg-type]
    assert not one.has_sign(0)
    with Node.log.open("a") as log:
        log.write(SIGN[:50])
        log.flush()
        assert not one.has_sign(0)
        log.write(SIGN[50:])
    assert one.has_sign(0)
    assert not one.has_sign(0)
