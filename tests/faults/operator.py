"""Who looks after a run's brokers: restarts one whose group coordinator is out of step with its log, and says so.

Seen with Kafka 4.1.0, and provoked with 4.1.2. A single node that comes back after a SIGKILL leads each partition
of `__consumer_offsets` twice within seconds: as its metadata left it, and after it registered anew. When it still
reads a partition in for the first as the second begins, it takes the end of the first reading for the end of the
second: it answers from a memory that it still fills, refuses the next write ("out of sync with the underlying
log") and reads again, one end too early once more; or gives the group no coordinator for good. Clients can do
nothing, and a worker that is restarted neither. Another restart of the broker helps: the log itself is whole.
"""

import asyncio
import time

from kafka_broker import KafkaBroker

from .servers import START_SECONDS, Cluster
from .storm import Storm, Struck

GRACE_SECONDS = 5.0
LOOK_SECONDS = 2.0
_SIGN = b"is out of sync with the underlying log"


class Operator:
    """Looks until cancelled.

    Attributes:
        restarts: how many brokers had to be restarted.
    """

    def __init__(self, cluster: Cluster, storm: Storm) -> None:
        self.restarts = 0
        self._cluster = cluster
        self._storm = storm
        self._read = [0] * len(cluster.nodes)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for number, node in enumerate(self._cluster.nodes):
                if self.has_sign(number):
                    await asyncio.sleep(GRACE_SECONDS)
                    async with self._cluster.hands:
                        await self._mend(number, node)

    def has_sign(self, number: int) -> bool:
        """Whether a node has logged, since it was last asked, that a coordinator is out of step."""
        with self._cluster.nodes[number].log.open("rb") as log:
            log.seek(self._read[number])
            # the last line may be half written
            text = log.read().rpartition(b"\n")[0]
        self._read[number] += len(text)
        return _SIGN in text

    async def _mend(self, number: int, node: KafkaBroker) -> None:
        self.restarts += 1
        struck = Struck(f"broker {number + 1} restarted", "coordinator-lost", time.time())
        self._storm.struck.append(struck)
        self._storm.note(f"broker {number + 1} restarted: a group coordinator was out of step with its log")
        await asyncio.to_thread(node.stop)
        self.has_sign(number)  # what it logged until then is done with
        await asyncio.to_thread(node.start, START_SECONDS)
        struck.healed_at = time.time()
