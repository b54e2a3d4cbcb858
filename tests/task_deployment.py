"""A small deployment run by its tasks alone: no worker processes and no groups, and so at rest when told to be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from aiokafka import TopicPartition
from redis.asyncio import Redis
from task_driver import TaskDriver

from schemas.topics import CUSTOMERS, INPUTS, JOURNAL
from streams.clients import open_producer, read_topic
from streams.publish import publish
from streams.rulebooks.activation import bootstrap as activate_packs
from streams.settings import Settings
from streams.sources.record import SourceRecord
from streams.stages.decide import Decide
from streams.stages.ingest import Ingest
from streams.stages.project import Project
from streams.topics import create

ROOT = Path(__file__).resolve().parent.parent


class TaskDeployment:
    """One deployment on a broker and a Redis that others use too.

    Attributes:
        redis: a client that decodes.
    """

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self.settings = settings
        self.redis = redis

    @classmethod
    @asynccontextmanager
    async def open(cls, bootstrap: str, prefix: str, redis_url: str, **options: Any) -> AsyncIterator[Self]:
        """With its topics, and the project's own packs in force."""
        values = {"partitions": 2, "clock": "events", "batch_records": 100, "rules": ROOT / "rules"}
        settings = Settings(
            bootstrap=bootstrap,
            topic_prefix=prefix,
            app=prefix.strip("."),
            redis_url=redis_url,
            **values | options,
        )
        await create(settings)
        await activate_packs(settings)
        async with Redis.from_url(redis_url, decode_responses=True) as redis:
            yield cls(settings, redis)

    async def run(self, records: list[SourceRecord]) -> None:
        """Publish, and let every stage read to its end."""
        await publish(self.settings, records, topics=None)
        await self.catch_up()

    async def catch_up(self, *only: str) -> None:
        """Take over, process all there is, and let go: these stages, all when none is named, in turn."""
        settings = self.settings
        topics = {"ingest": INPUTS, "decide": [JOURNAL], "project": [CUSTOMERS]}
        for stage in (Ingest(settings), Decide(settings), Project(settings)):
            if only and stage.name not in only:
                continue
            tps = [
                TopicPartition(settings.topic(topic), number)
                for topic in topics[stage.name]
                for number in range(settings.partitions)
            ]
            await asyncio.gather(*[TaskDriver(settings, stage, tp).run(333) for tp in tps])

    async def last(self, topic: str) -> dict[str, tuple[int, bytes]]:
        """Key → partition and value of its last record."""
        return {
            record.key.decode(): (record.partition, record.value)
            async for record in read_topic(self.settings, self.settings.topic(topic))
            if record.key is not None
        }

    async def send(self, topic: str, partition: int, key: str, value: bytes | None) -> None:
        async with open_producer(self.settings) as producer:
            await producer.send_and_wait(self.settings.topic(topic), value, key.encode(), partition)

    async def tagged(self) -> str:
        """A customer with an open tag."""
        return (
            sorted([key async for key in self.redis.scan_iter("tagger:{*}:tags")])[0].split("{")[1].split("}")[0]
        )
