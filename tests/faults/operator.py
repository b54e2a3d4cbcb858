"""Who looks after the brokers of a run: restarts one whose group coordinator is lost, and says so.

Seen with Kafka 4.1.0, and provoked with 4.1.2. A node that comes back after a SIGKILL leads each partition of
`__consumer_offsets` twice within seconds: as its metadata left it, and after it registered anew. When it still
reads a partition in for the first as the second begins, it takes the end of the first reading for the end of the
second: it answers from a memory that it still fills, refuses the next write ("out of sync with the underlying
log"), and reads again, one end too early once more; or gives the group no coordinator for good. Clients can do
nothing, and a worker that is restarted neither. Another restart of the broker helps.
"""

import asyncio
import time

from aiokafka import TopicPartition
from kafka_broker import KafkaBroker

from streams.app import group_of
from streams.settings import Settings
from streams.topics import CUSTOMERS, JOURNAL, TRANSACTIONS
from streams.unit import FencedError, OutcomeUnknownError, RefusedError, UnitOfWork

from .servers import START_SECONDS, Cluster
from .storm import Storm, Struck

GRACE_SECONDS = 20.0
"""In which a coordinator may mend itself."""
PROBE_SECONDS = 20.0
"""In which a healthy one takes an offset."""
_LOOK_SECONDS = 2.0
_SIGNS = (b"is out of sync with the underlying log", b"Failed to load metadata from __consumer_offsets")
_STAGES = {"ingest": TRANSACTIONS, "decide": JOURNAL, "project": CUSTOMERS}


class Operator:
    """Looks until cancelled.

    Attributes:
        restarts: how many brokers had to be restarted.
    """

    def __init__(self, settings: Settings, cluster: Cluster, storm: Storm) -> None:
        self.restarts = 0
        self._settings = settings
        self._cluster = cluster
        self._storm = storm
        self._read = [0] * len(cluster.nodes)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for number, node in enumerate(self._cluster.nodes):
                if self.has_sign(number):
                    await asyncio.sleep(GRACE_SECONDS)
                    async with self._cluster.hands:
                        if lost := await self.lost():
                            await self._mend(number, node, lost)

    def has_sign(self, number: int) -> bool:
        """Whether a node has logged, since it was last asked, what a lost coordinator logs."""
        with self._cluster.nodes[number].log.open("rb") as log:
            log.seek(self._read[number])
            # the last line may be half written
            text = log.read().rpartition(b"\n")[0]
        self._read[number] += len(text)
        return any(sign in text for sign in _SIGNS)

    async def lost(self) -> list[str]:
        """Stages whose group takes no offset."""
        taken = await asyncio.gather(*map(self._takes_offsets, _STAGES))
        return [stage for stage, is_taken in zip(_STAGES, taken, strict=True) if not is_taken]

    async def _takes_offsets(self, stage: str) -> bool:
        settings = self._settings
        unit = UnitOfWork(settings, f"{settings.app}-operator-{stage}")
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await unit.fence()
                await unit.wake(group_of(settings, stage), TopicPartition(settings.topic(_STAGES[stage]), 0))
        except (FencedError, OutcomeUnknownError, RefusedError, TimeoutError):
            return False
        finally:
            await unit.close()
        return True

    async def _mend(self, number: int, node: KafkaBroker, lost: list[str]) -> None:
        self.restarts += 1
        struck = Struck(f"broker {number + 1} restarted", "coordinator-lost", time.time())
        self._storm.struck.append(struck)
        self._storm.note(f"broker {number + 1} restarted: {', '.join(lost)} had no group coordinator any more")
        await asyncio.to_thread(node.stop)
        await asyncio.to_thread(node.start, START_SECONDS)
        struck.healed_at = time.time()
