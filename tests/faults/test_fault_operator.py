"""The operator of a fault run: a broker that logs that its group coordinator is out of step is restarted, once."""

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

SIGN = "ERROR [GroupCoordinator id=1] The state machine of … is out of sync with the underlying log. …\n"


class One(Cluster):
    """A cluster of a node that runs already."""

    def __init__(self, node: KafkaBroker) -> None:
        self.nodes, self.bootstrap, self.hands = [node], node.bootstrap, asyncio.Lock()


@pytest.mark.kafka
async def test_a_broker_with_the_sign_is_restarted_once(
    own_kafka: Callable[..., KafkaBroker],
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operator, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(operator, "LOOK_SECONDS", 0.1)
    with own_kafka() as node:
        cluster, settings = One(node), Settings(bootstrap=node.bootstrap)
        feed, fleet = Feed(settings, stream(1, 10, 1), 10), Fleet(settings, tmp_path)
        storm = Storm(draw(1, 1, 10), settings, cluster, redis_server, fleet, feed, TagWatch(settings))
        one, before = Operator(cluster, storm), node.pid
        looking = asyncio.create_task(one.run())
        await cluster.hands.acquire()  # the storm has its hands on the broker
        with node.log.open("a") as log:
            log.write(SIGN)
        await asyncio.sleep(0.5)
        assert one.restarts == 0
        cluster.hands.release()
        async with asyncio.timeout(100):
            while not (storm.struck and storm.struck[-1].healed_at):
                assert not looking.done() or looking.result() is None
                await asyncio.sleep(0.1)
        assert node.pid not in (before, None)
        await asyncio.sleep(0.5)
        looking.cancel()
    assert (one.restarts, [struck.kind for struck in storm.struck]) == (1, ["coordinator-lost"])
    assert storm.notes[0].endswith("broker 1 restarted: a group coordinator was out of step with its log")


def test_a_sign_is_seen_once_and_whole(tmp_path: Path) -> None:
    class Node:
        log = tmp_path / "kafka.log"

    Node.log.write_text("all is well\n")
    cluster = One.__new__(One)
    cluster.nodes = [Node()]  # type: ignore[list-item]
    one = Operator(cluster, None)  # type: ignore[arg-type]
    assert not one.has_sign(0)
    with Node.log.open("a") as log:
        log.write(SIGN[:50])
        log.flush()
        assert not one.has_sign(0)
        log.write(SIGN[50:])
    assert one.has_sign(0)
    assert not one.has_sign(0)
