"""The simulation's Redis against a real one: the same views written, stale, torn, cleared; the same keys left."""

import asyncio
from collections import defaultdict
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis
from simulation.view_store import Client, Store

from schemas.tags import Delivery
from streams.partitioner import partition_of
from streams.stages.redis_view import RedisView, Row, ViewLostError, applied_offset
from tagger.view import OpenTag, View

PARTITIONS = 2
CUSTOMERS = [
    [
        name
        for name in (f"C{number}" for number in range(8))
        if partition_of(name.encode(), PARTITIONS) == partition
    ]
    for partition in range(PARTITIONS)
]

pytestmark = pytest.mark.redis


def row(random: Random, partition: int) -> Row:
    tags = {
        f"{rule}.{number}": OpenTag(rule, 1, 1000 * number, "at", None, Delivery(push=False))
        for number, rule in enumerate(random.sample(("r1", "r2", "r3"), random.randrange(4)))
    }
    view = View({"assets": str(random.randrange(100))}, tags) if random.random() < 0.85 else None
    return Row(random.choice(CUSTOMERS[partition]), random.randrange(12), view)


async def play(client: Any, seed: int) -> list[str]:
    """Two writers of a partition and one of another: old and new versions, claims that stop half way, clears,
    take-overs; what a writer that was followed tries is refused."""
    random, told = Random(seed), []
    views = [(partition, RedisView(client, "bank", partition, PARTITIONS)) for partition in (0, 0, 1)]
    for _, view in views:
        await view.take()
    for number in range(60):
        chosen, (partition, view) = random.random(), random.choice(views)
        try:
            if chosen < 0.1:
                (changing,) = await view._write_customers([row(random, partition)], "claim")  # and dies
                told.append("newer" if changing is None else str(sorted(changing)))
            elif chosen < 0.15:
                await view.clear()
            elif chosen < 0.35:
                told.append(str(await view.take()))
            else:
                rows = {one.customer_id: one for one in (row(random, partition) for _ in range(3))}
                await view.write(rows.values(), random.choice((-1, number - 3)), number)
                told.append("written")
        except ViewLostError:
            told.append("lost")
        told.append(str(await applied_offset(client, 0)))
    return told


async def content(redis: "Redis") -> dict[str, Any]:
    found: dict[str, Any] = {}
    async for key in redis.scan_iter():
        kind = (await redis.type(key)).decode()
        if kind == "hash":
            found[key.decode()] = {k.decode(): v.decode() for k, v in (await redis.hgetall(key)).items()}
        elif kind == "zset":
            members = await redis.zrange(key, 0, -1, withscores=True)
            found[key.decode()] = {member.decode(): str(int(score)) for member, score in members}
        else:
            found[key.decode()] = (await redis.get(key)).decode()
    return found


def ranked(data: dict[str, Any]) -> dict[str, Any]:
    """With a partition's epochs by their order: in one of the two they begin with the time of day."""

    def partition_at(key: str, name: str) -> str | None:
        if key.endswith(":epochs"):
            return name
        if name in ("epoch", "#epoch"):
            return str(partition_of(key[key.index("{") + 1 : key.rindex("}")].encode(), PARTITIONS))
        return name.partition(":")[2] if name.startswith("epoch:") else None

    places = {(key, name): partition_at(key, name) for key, fields in data.items() for name in fields}
    epochs = defaultdict[str | None, set[int]](set)
    for (key, name), partition in places.items():
        if partition is not None:
            epochs[partition].add(int(data[key][name]))
    order = {partition: sorted(found) for partition, found in epochs.items()}
    return {
        key: {
            name: text if (at := places[key, name]) is None else order[at].index(int(text))
            for name, text in fields.items()
        }
        for key, fields in data.items()
    }


class Wire:
    """No delay, no loss."""

    async def call(self, work: Any, **_options: Any) -> Any:
        return work()


@pytest.mark.parametrize("seed", range(24))
async def test_both_hold_the_same(redis_url: str, seed: int) -> None:
    real = Redis.from_url(redis_url)
    store = Store()
    world = SimpleNamespace(store=store, network=Wire(), network_random=Random(seed))
    simulated = type("Simulated", (Client,), {"world": world})()
    try:
        told = await play(real, seed)
        assert await play(simulated, seed) == told
        assert {"written", "lost"} <= set(told)
        assert ranked(store.data) == ranked(await content(real))
    finally:
        await real.aclose()
    await asyncio.sleep(0)
