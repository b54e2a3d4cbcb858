"""The simulation's Redis against a real one: the same views written, stale, torn, cleared; the same keys left."""

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis
from simulation.view_store import Client, Store

from schemas.tags import Delivery
from streams import redis_view
from streams.partitioner import partition_of
from streams.redis_view import META_KEY, RedisView, Row, ViewLostError
from tagger.view import OpenTag, View

PARTITIONS = 2
CUSTOMERS = ("C1", "C2", "C3", "C4")

pytestmark = pytest.mark.redis


def row(random: Random) -> Row:
    tags = {
        f"{rule}.{number}": OpenTag(rule, 1, 1000 * number, "at", None, Delivery(push=False))
        for number, rule in enumerate(random.sample(("r1", "r2", "r3"), random.randrange(4)))
    }
    view = View({"assets": str(random.randrange(100))}, tags) if random.random() < 0.85 else None
    return Row(random.choice(CUSTOMERS), random.randrange(12), view)


async def play(view: RedisView, seed: int) -> list[str]:
    """Some writes, each an old or a new version, some claims that stop half way, a clear in between."""
    random, told = Random(seed), []
    for number in range(40):
        chosen = random.random()
        if chosen < 0.1:
            if not view._digests:
                await view._load()
            await view._write_customers([row(random)], "claim")  # dies before the second step
        elif chosen < 0.15:
            await view.clear(random.randrange(PARTITIONS))
        else:
            rows = {one.customer_id: one for one in (row(random) for _ in range(3))}
            try:
                await view.write(0, rows.values(), random.choice((-1, number - 3)), number)
                told.append("written")
            except ViewLostError:
                told.append("lost")
        told.append(str(await view.applied(0)))
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


class Wire:
    """No delay, no loss."""

    async def call(self, work: Any, **_options: Any) -> Any:
        return work()


@pytest.fixture(autouse=True)
def same_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_view, "token_hex", lambda _bytes: "token")


async def test_the_second_half_of_a_write_is_refused_once_its_first_was_cleared_away(redis_url: str) -> None:
    """Or it would say of rules' sets, which went with the first half, that they are right."""
    tag = OpenTag("r1", 1, 1000, "at", None, Delivery(push=False))
    one = Row("C1", 7, View({"assets": "1"}, {"r1.1": tag}))
    redis = Redis.from_url(redis_url)
    late, new = RedisView(redis, PARTITIONS), RedisView(redis, PARTITIONS)
    number = partition_of(b"C1", PARTITIONS)
    try:
        await late._load()
        assert await late._write_customers([one], "claim") == [[b"r1"]]
        await new.clear(number)
        assert await late._write_customers([one], "apply") == [None]
        await new.begin(number, 0)
        await new.write(number, [one], 0, 8)
        assert await redis.zrange("tagger:rule:{r1}", 0, -1) == [b"C1"]
    finally:
        await redis.aclose()


@pytest.mark.parametrize("seed", range(12))
async def test_both_hold_the_same(redis_url: str, seed: int) -> None:
    real = Redis.from_url(redis_url)
    store = Store()
    world = SimpleNamespace(store=store, network=Wire(), network_random=Random(seed))
    simulated = type("Simulated", (Client,), {"world": world})()
    try:
        told = await play(RedisView(real, PARTITIONS), seed)
        again = await play(RedisView(simulated, PARTITIONS), seed)
        assert again == told
        assert store.data == await content(real)
        assert META_KEY in store.data
    finally:
        await real.aclose()
    await asyncio.sleep(0)
