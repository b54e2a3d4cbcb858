"""The servers of a run: one Kafka node, or a cluster of three with every topic on all of them."""

import asyncio
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kafka_broker import KafkaBroker

from streams.child import free_port

START_SECONDS = 180.0
"""For a node, on a machine that has other things to do."""
_HEAP = {1: "512m", 3: "384m"}
# A transaction needs two of three replicas: one node may be gone at any time.
_REPLICATED = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
}
_FASTER = {
    # what a frozen or slow node keeps from the others ends within seconds
    "replica.lag.time.max.ms": "5000",
    "controller.quorum.election.timeout.ms": "1000",
    "controller.quorum.fetch.timeout.ms": "2000",
}


class Cluster:
    """Kafka, of one node or three.

    Attributes:
        nodes: each may be killed, frozen and started again by itself.
        hands: held by whoever does so.
    """

    def __init__(self, nodes: int) -> None:
        self.nodes = [KafkaBroker(heap=_HEAP[1])] if nodes == 1 else _three()
        self.bootstrap = ",".join(node.bootstrap for node in self.nodes)
        self.hands = asyncio.Lock()

    def __enter__(self) -> Self:
        try:
            # A node answers when the others do.
            together(partial(node.start, START_SECONDS) for node in self.nodes)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    def keep_logs(self, folder: Path) -> None:
        """Copy what the nodes logged, which goes with them."""
        for number, node in enumerate(self.nodes, 1):
            shutil.copy(node.log, folder / f"kafka-{number}.log")


def _three() -> list[KafkaBroker]:
    numbers = (1, 2, 3)
    ports = {number: (free_port(), free_port()) for number in numbers}
    voters = ",".join(f"{number}@127.0.0.1:{ports[number][1]}" for number in numbers)
    made = []
    for number in numbers:
        client, controller = ports[number]
        settings = {
            **_REPLICATED,
            **_FASTER,
            "node.id": str(number),
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}",
        }
        made.append(KafkaBroker(settings, heap=_HEAP[3], port=client))
    return made


def together(works: Iterable[Callable[[], Any]]) -> None:
    """Do blocking things at the same time, and wait for all."""
    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(work) for work in works]:
            done.result()
