"""The view in a real Redis: what docs/operations.md says of it ("Redis"), whatever order writers come in."""

import contextlib
import itertools
import json
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from schemas.tags import Delivery
from streams.partitioner import partition_of
from streams.stages.redis_view import ForeignViewError, RedisView, Row, ViewLostError, applied_offset
from tagger.view import OpenTag, View

PARTITIONS = 3
pytestmark = pytest.mark.redis


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url, decode_responses=True)
    yield client
    await client.aclose()


def view_of(redis: Redis, partition: int = 0) -> RedisView:
    return RedisView(redis, "bank", partition, PARTITIONS)


async def taken(redis: Redis, partition: int = 0) -> RedisView:
    """A writer that took the partition over, whatever stands there."""
    view = view_of(redis, partition)
    await view.take()
    return view


@pytest.fixture
async def view(redis: Redis) -> RedisView:
    return await taken(redis)


def tag(rule: str = "inflow", opened_ms: int = 1000, revision: int = 1) -> OpenTag:
    return OpenTag(
        rule=rule,
        revision=revision,
        opened_ms=opened_ms,
        opened_at="2026-03-04T10:00:00+08:00",
        expires_at=None,
        delivery=Delivery(push=False, reason="no_consent"),
    )


def having(assets: str, *tags: OpenTag) -> View:
    return View({"assets": assets}, {f"{item.rule}.{item.opened_ms}": item for item in tags})


async def everything(redis: Redis) -> dict[str, object]:
    """All keys a reader may see, with their contents but for epochs."""
    found: dict[str, object] = {}
    for key in sorted([key async for key in redis.scan_iter("*")]):
        if key.endswith((":epochs", ":rules")):
            continue
        kind = await redis.type(key)
        if kind == "hash":
            fields = await redis.hgetall(key)
            found[key] = {name: text for name, text in fields.items() if not name.startswith("epoch")}
        else:
            found[key] = dict(await redis.zrange(key, 0, -1, withscores=True))
    return found


async def test_keys_and_values_are_the_contracts(redis: Redis, view: RedisView) -> None:
    await view.write([Row("C1", 7, having("10.00", tag(opened_ms=1234)))], -1, 9)
    profile = await redis.hgetall("tagger:{C1}:profile")
    assert int(profile.pop("epoch")) > 0
    assert profile == {"assets": "10.00", "version": "7"}
    tags = await redis.hgetall("tagger:{C1}:tags")
    assert {tag_id: json.loads(text) for tag_id, text in tags.items()} == {
        "inflow.1234": {
            "rule": "inflow",
            "level": None,
            "revision": 1,
            "opened_at": "2026-03-04T10:00:00+08:00",
            "expires_at": None,
            "delivery": {"push": False, "reason": "no_consent", "not_before": None, "control": False},
        }
    }
    assert await redis.zrange("tagger:rule:{inflow}", 0, -1, withscores=True) == [("C1", 1234.0)]
    meta = await redis.hgetall("tagger:meta")
    assert int(meta.pop("epoch:0")) > 0
    assert meta == {"app": "bank", "0": "9"}


async def test_closed_tag_leaves_the_customer_and_the_rules_set(redis: Redis, view: RedisView) -> None:
    await view.write([Row("C1", 1, having("1.00", tag("a"), tag("b")))], -1, 2)
    await view.write([Row("C1", 2, having("1.00", tag("b")))], -1, 3)
    assert list(await redis.hgetall("tagger:{C1}:tags")) == ["b.1000"]
    assert await redis.exists("tagger:rule:{a}") == 0
    assert await redis.zrange("tagger:rule:{b}", 0, -1) == ["C1"]


async def test_reopened_tag_stands_at_its_new_time(redis: Redis, view: RedisView) -> None:
    await view.write([Row("C1", 1, having("1.00", tag(opened_ms=1000)))], -1, 2)
    await view.write([Row("C1", 2, having("1.00", tag(opened_ms=5000)))], -1, 3)
    assert await redis.zscore("tagger:rule:{inflow}", "C1") == 5000


async def test_older_version_changes_nothing(redis: Redis, view: RedisView) -> None:
    await view.write([Row("C1", 5, having("5.00", tag("a")))], -1, 6)
    before = await everything(redis)
    await view.write([Row("C1", 4, having("4.00", tag("b")))], -1, 5)
    assert await everything(redis) == before


async def test_writing_the_same_again_changes_nothing(redis: Redis, view: RedisView) -> None:
    row = Row("C1", 5, having("5.00", tag("a")))
    await view.write([row], -1, 6)
    before = await everything(redis)
    await view.write([row], -1, 6)
    assert await everything(redis) == before


async def test_deleted_customer_leaves_nothing_readable(redis: Redis, view: RedisView) -> None:
    await view.write([Row("C1", 1, having("1.00", tag("a")))], -1, 2)
    await view.write([Row("C1", 2, None)], -1, 3)
    assert await everything(redis) == {"tagger:meta": {"app": "bank", "0": "3"}}
    assert 0 < await redis.ttl("tagger:{C1}:rules") <= 3600
    await view.write([Row("C1", 1, having("1.00", tag("a")))], -1, 2)
    assert await everything(redis) == {"tagger:meta": {"app": "bank", "0": "3"}}


async def test_customer_that_came_back_after_deletion_does_not_expire(redis: Redis, view: RedisView) -> None:
    await view.write([Row("C1", 1, None)], -1, 2)
    await view.write([Row("C1", 2, having("1.00", tag("a")))], -1, 3)
    assert [await redis.ttl(key) async for key in redis.scan_iter("tagger:{C1}:*")] == [-1, -1, -1]


class EndedError(Exception):
    """Stands for the end of a writer's process."""


class Faulty(RedisView):
    """A writer that ends before its n-th write to Redis: claims, sets, applies, meta."""

    steps_left: int

    async def _write_customers(self, rows, step):  # type: ignore[no-untyped-def]
        self._step()
        return await super()._write_customers(rows, step)

    def _step(self) -> None:
        if self.steps_left == 0:
            raise EndedError
        self.steps_left -= 1


HISTORY = [
    having("1.00", tag("a")),
    having("2.00", tag("a"), tag("b", 2000)),
    having("3.00", tag("b", 3000)),
    having("4.00"),
]


@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize(
    ("dies_at", "goes_on_at"), list(itertools.combinations_with_replacement(range(len(HISTORY)), 2))
)
async def test_writer_that_died_between_steps_is_made_good(
    redis: Redis, steps: int, dies_at: int, goes_on_at: int
) -> None:
    """The next writer reads the same record, or, compacted, only a later one."""
    first = await taken(redis)
    for version in range(dies_at):
        await first.write([Row("C1", version, HISTORY[version])], -1, version + 1)
    faulty = Faulty(redis, "bank", 0, PARTITIONS)
    await faulty.take()
    faulty.steps_left = steps
    with contextlib.suppress(EndedError):
        await faulty.write([Row("C1", dies_at, HISTORY[dies_at])], -1, dies_at + 1)
    await (await taken(redis)).write([Row("C1", goes_on_at, HISTORY[goes_on_at])], -1, goes_on_at + 1)
    left = await everything(redis)
    await redis.flushall()
    await (await taken(redis)).write([Row("C1", goes_on_at, HISTORY[goes_on_at])], -1, goes_on_at + 1)
    assert left == await everything(redis)


@pytest.mark.parametrize("paused_after", range(4))
@pytest.mark.parametrize(("old", "new"), list(itertools.combinations(range(len(HISTORY)), 2)))
async def test_paused_writer_that_goes_on_later_changes_nothing(
    redis: Redis, paused_after: int, old: int, new: int
) -> None:
    """A writer that lost its partition is stopped between two round trips while its successor writes."""
    requests = 0

    class Paused(RedisView):
        async def _write_customers(self, rows, step):  # type: ignore[no-untyped-def]
            await successor()
            reply = await super()._write_customers(rows, step)
            await successor()
            return reply

    async def successor() -> None:
        nonlocal requests
        requests += 1
        if requests == paused_after + 1:
            await (await taken(redis)).write([Row("C1", new, HISTORY[new])], -1, new + 1)

    paused = Paused(redis, "bank", 0, PARTITIONS)
    await paused.take()
    with contextlib.suppress(ViewLostError):
        await paused.write([Row("C1", old, HISTORY[old])], -1, old + 1)
    if requests <= paused_after:
        await (await taken(redis)).write([Row("C1", new, HISTORY[new])], -1, new + 1)
    left = await everything(redis)
    await redis.flushall()
    await (await taken(redis)).write([Row("C1", new, HISTORY[new])], -1, new + 1)
    assert left == await everything(redis)


async def test_every_call_of_a_writer_that_was_followed_is_refused(redis: Redis) -> None:
    row = Row("C1", 3, having("3.00", tag("a")))
    late = await taken(redis)
    await late.write([row], -1, 4)
    new = await taken(redis)
    await new.write([Row("C1", 5, having("5.00", tag("b")))], 4, 6)
    before = await everything(redis)
    for call in (
        lambda: late.write([Row("C1", 7, having("7.00"))], 4, 8),
        lambda: late.write([Row("C2", 7, having("7.00", tag("a")))], 4, 8),
        lambda: late._write_members({"b": ["C1", ""]}),
        lambda: late._fence(["b"]),
        lambda: late.begin(0),
        late.clear,
    ):
        with pytest.raises(ViewLostError):
            await call()
        assert await everything(redis) == before


async def test_clear_deletes_one_partitions_customers_and_no_others(redis: Redis) -> None:
    customers = [f"C:{number}" for number in range(30)]
    of = {customer: partition_of(customer.encode(), PARTITIONS) for customer in customers}
    assert set(of.values()) == {0, 1, 2}
    for partition in range(PARTITIONS):
        rows = [Row(c, 50, having("1.00", tag("a"))) for c in customers if of[c] == partition]
        await (await taken(redis, partition)).write(rows, -1, 51)
    view = await taken(redis, 1)
    await view.clear()
    assert await applied_offset(redis, 1) is None
    assert await applied_offset(redis, 0) == 51
    kept = [customer for customer in customers if of[customer] != 1]
    assert sorted(await redis.zrange("tagger:rule:{a}", 0, -1)) == sorted(kept)
    assert {key.split("{")[1].split("}")[0] async for key in redis.scan_iter("tagger:{*}:*")} == set(kept)
    # versions of a changelog made anew start again below those that stood here
    again = [Row(customer, 0, having("2.00", tag("a"))) for customer in customers if of[customer] == 1]
    await view.write(again, -1, 1)
    assert len(await redis.zrange("tagger:rule:{a}", 0, -1)) == len(customers)


async def test_applied_offset_never_goes_back(redis: Redis, view: RedisView) -> None:
    await view.begin(0)
    await view.write([], 0, 10)
    await view.write([], 8, 9)
    assert await applied_offset(redis, 0) == 10
    assert await (await taken(redis)).take() == 10


@pytest.mark.parametrize("stands", [None, 4])
async def test_writer_notices_that_redis_was_wiped_or_set_back(redis: Redis, stands: int | None) -> None:
    view = await taken(redis)
    await view.begin(0)
    if stands is not None:
        await view.write([], 0, stands)
    copy = await redis.hgetall("tagger:meta")
    await view.write([], 0, 5)
    await redis.flushall()
    if stands is not None:
        await redis.hset("tagger:meta", mapping=copy)
    with pytest.raises(ViewLostError, match="applied up to 5 at least"):
        await view.write([Row("C1", 5, having("1.00"))], 5, 6)
    assert await applied_offset(redis, 0) == stands


@pytest.mark.parametrize("lost", ["tagger:{C1}:rules", "tagger:rule:{a}:epochs"])
async def test_half_of_a_write_that_was_wiped_is_not_completed(redis: Redis, lost: str) -> None:
    """A key of the first half goes, and with it the reason to believe what the second half says."""

    class Wiped(RedisView):
        async def _write_members(self, values):  # type: ignore[no-untyped-def]
            await redis.delete(lost)
            await super()._write_members(values)

    view = Wiped(redis, "bank", 0, PARTITIONS)
    await view.take()
    with pytest.raises(ViewLostError, match="Redis was wiped"):
        await view.write([Row("C1", 1, having("1.00", tag("a")))], -1, 2)
    assert await redis.exists("tagger:{C1}:profile") == 0


async def test_an_epoch_is_above_those_that_a_wiped_database_has_forgotten(redis: Redis) -> None:
    late = await taken(redis)
    await late._fence(["a"])
    await redis.delete("tagger:meta")
    await (await taken(redis)).write([Row("C1", 1, having("1.00", tag("a")))], -1, 2)
    assert await redis.zrange("tagger:rule:{a}", 0, -1) == ["C1"]


async def test_view_of_another_deployment_is_refused_and_left_as_it_is(redis: Redis, view: RedisView) -> None:
    await view.write([Row("C1", 1, having("1.00", tag("a")))], -1, 2)
    before = await redis.hgetall("tagger:meta")
    with pytest.raises(ForeignViewError, match=r"'bank' where 'other' would write.*TAGGER_REDIS_URL.*FLUSHDB"):
        await RedisView(redis, "other", 0, PARTITIONS).take()
    assert await redis.hgetall("tagger:meta") == before


async def test_scripts_that_redis_forgot_are_given_to_it_again(redis: Redis, view: RedisView) -> None:
    await view.write([Row("C1", 1, having("1.00", tag("a")))], -1, 2)
    await redis.script_flush()
    with pytest.raises(NoScriptError):
        await view.write([Row("C1", 2, having("2.00"))], 2, 3)
    await view.take()
    await view.write([Row("C1", 2, having("2.00"))], 2, 3)
    assert await redis.hget("tagger:{C1}:profile", "assets") == "2.00"


async def test_many_customers_are_written_in_pieces(redis: Redis, view: RedisView) -> None:
    rows = [Row(f"C{number}", number, having(f"{number}.00", tag("a", number + 1))) for number in range(1201)]
    await view.write(rows, -1, 1201)
    assert await redis.zcard("tagger:rule:{a}") == 1201
    assert await redis.hget("tagger:{C1200}:profile", "assets") == "1200.00"
