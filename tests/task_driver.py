"""Runs one task of a stage as its lane would, without a consumer group: take over, fetch by fetch, let go."""

from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.lanes.intake import Fetch
from streams.lanes.stage import Stage, Task
from streams.settings import Settings


class TaskDriver:
    """Drives tasks of one partition.

    Attributes:
        task: the one that `run` takes over next; made anew after each `run`.
    """

    def __init__(self, settings: Settings, stage: Stage, tp: TopicPartition) -> None:
        self.settings = settings
        self.tp = tp
        self._stage = stage
        self.task = self.make_task()

    def make_task(self) -> Task:
        return self._stage.make_task(self.tp)

    async def run(self, max_records: int = 1000) -> int:
        """Take over, process all there is, idle until nothing more is to be done, let go.

        Returns:
            The offset it ended at.
        """
        position = await self.task.take_over()
        position = await self.process_rest(position, max_records)
        await self.task.idle(True)
        while self.task.has_more:
            await self.task.idle(True)
        await self.task.release()
        self.task = self.make_task()
        return position

    async def process_rest(self, position: int, max_records: int = 1000) -> int:
        """Process what lies between a position and the end, and return the end."""
        async for fetch in self.fetches(position, max_records):
            await self.task.process(fetch)
            position = fetch.end
        return position

    async def fetches(self, position: int, max_records: int = 1000) -> AsyncIterator[Fetch]:
        """What a lane would be given from a position on, to the end that is committed now."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.bootstrap, isolation_level="read_committed", enable_auto_commit=False
        )
        await consumer.start()
        try:
            consumer.assign([self.tp])
            consumer.seek(self.tp, position)
            end = (await consumer.end_offsets([self.tp]))[self.tp]
            while position < end:
                fetched = await consumer.getmany(self.tp, timeout_ms=200, max_records=max_records)
                after = await consumer.position(self.tp)
                if after > position:
                    yield Fetch(fetched.get(self.tp, []), position, after)
                position = after
        finally:
            await consumer.stop()
