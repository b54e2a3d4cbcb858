"""Writers of one partition's view that overlap, are stopped, lose answers, and whose commands come late.

Whatever they do, once the last of them has come to the end the view is what the changelog says, and stays so when
everything that was still under way arrives. The scripts are the simulation's; `test_simulated_redis.py` holds them
to a real Redis.
"""

from collections.abc import Callable, Coroutine, Generator
from random import Random
from typing import Any

import pytest
from redis import exceptions as redis_errors
from simulation import view_store
from simulation.view_store import Client, Store

from schemas.tags import Delivery
from streams.stages.redis_view import (
    META_KEY,
    RedisView,
    Row,
    ViewLostError,
    _opened,
    _tag_text,
    customer_key,
    rule_key,
)
from tagger.view import OpenTag, View

CUSTOMERS = ("C1", "C2", "C3")
RULES = ("r1", "r2")
STEPS = 150
SEEDS = 400


class Turn:
    """Where a writer waits until it is its turn."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Wire:
    """A connection to the store: a command arrives at once, late, or without an answer."""

    def __init__(self, world: "World") -> None:
        self.world = world

    async def call(self, work: Callable[[], Any], **_options: Any) -> Any:
        await Turn()
        chance = self.world.random.random()
        if self.world.is_calm or chance < 0.85:
            result = work()
            await Turn()
            return result
        if chance < 0.95:
            self.world.late.append(work)
        else:
            work()
        raise redis_errors.TimeoutError("no answer")


class World:
    """One changelog partition, its view, and everyone who writes it."""

    def __init__(self, seed: int) -> None:
        self.random = self.network_random = Random(seed)
        self.is_calm = False
        self.time = 1.0
        self.store = Store(lambda: self.time)
        self.network = Wire(self)
        self.late: list[Callable[[], Any]] = []
        self.log: list[Row] = []
        self.end = 0
        self.group: int | None = None
        self.owner = 0
        self.writers: dict[int, Coroutine[Any, Any, None]] = {}

    def run(self) -> None:
        acts = [self.append, *[self.step] * 7]
        rare = [self.start, self.start, self.wipe, self.forget, self.compact, self.deliver]
        self.start()
        for _ in range(STEPS):
            self.time += 0.001
            self.random.choice(acts if self.random.random() < 0.95 else rare)()
        self.start()
        self.is_calm = True
        while self.owner in self.writers:
            self.time += 0.001
            self.random.choice((*[self.step] * 30, self.deliver))()
        while self.late or self.writers:
            self.random.choice((self.step, self.deliver))()

    def append(self) -> None:
        tags = {
            f"{rule}.{self.end}": OpenTag(rule, 1, 1000 + self.end, "at", None, Delivery(push=False))
            for rule in RULES
            if self.random.random() < 0.5
        }
        view = View({"assets": str(self.end)}, tags) if self.random.random() < 0.85 else None
        self.log.append(Row(self.random.choice(CUSTOMERS), self.end, view))
        self.end += 1

    def compact(self) -> None:
        last = {row.customer_id: row.version for row in self.log}
        self.log = [row for row in self.log if row.version == last[row.customer_id]]

    def start(self) -> None:
        """Another owner; those before go on until somebody stops them."""
        self.owner += 1
        self.writers[self.owner] = self.write(self.owner)

    def step(self) -> None:
        if self.writers:
            number = self.random.choice(list(self.writers))
            try:
                self.writers[number].send(None)
            except StopIteration:
                del self.writers[number]

    def deliver(self) -> None:
        if self.late:
            self.late.pop(self.random.randrange(len(self.late)))()

    def wipe(self) -> None:
        self.store.wipe()

    def forget(self) -> None:
        self.store.data.pop(META_KEY, None)

    async def write(self, number: int) -> None:
        """As `streams.stages.project`: until everything is written, or another owner is seen after an error."""
        client = type("Wired", (Client,), {"world": self})()
        while True:
            view = RedisView(client, "bank", 0, 1)
            try:
                position = await self.take(view)
                while not self.is_calm or position < self.end or number != self.owner:
                    until = min(self.end, position + self.random.randrange(1, 6))
                    rows = {row.customer_id: row for row in self.log if position <= row.version < until}
                    await view.write(rows.values(), position, until)
                    position = until
                    if number != self.owner:
                        return  # fenced by Kafka
                    self.group = position
                    await Turn()
                return
            except (redis_errors.RedisError, ViewLostError):
                if number != self.owner:
                    return

    async def take(self, view: RedisView) -> int:
        group = self.group
        await Turn()
        applied = await view.take()
        if applied is None or group is None or not group <= applied <= self.end:
            await view.clear()
            await view.begin(0)
            applied = 0
        return applied

    def check(self) -> None:
        """Every key of the view, and no other."""
        expected: dict[str, Any] = {}
        for row in {row.customer_id: row for row in self.log}.values():
            if row.view is None:
                continue
            expected[customer_key(row.customer_id, "profile")] = row.view.profile | {"version": str(row.version)}
            if row.view.tags:
                tags = {tag_id: _tag_text(tag) for tag_id, tag in row.view.tags.items()}
                expected[customer_key(row.customer_id, "tags")] = tags
            for rule, opened in _opened(row.view).items():
                expected.setdefault(rule_key(rule), {})[row.customer_id] = opened
        found = {
            key: {name: text for name, text in value.items() if name != "epoch"}
            for key, value in self.store.data.items()
            if key != META_KEY and not key.endswith((":epochs", ":rules"))
        }
        assert found == expected


def failing(seeds: range) -> int | None:
    """The first seed after which the view is wrong."""
    for seed in seeds:
        world = World(seed)
        world.run()
        try:
            world.check()
        except AssertionError:
            return seed
    return None


def test_the_view_is_the_changelogs_whoever_wrote_and_whatever_came_late() -> None:
    assert failing(range(SEEDS)) is None


def _change_sets_for_anyone(data: dict[str, Any], keys: list[str], argv: list[str]) -> int:
    fenced = data.pop(keys[1], None)
    data[keys[1]] = {argv[0]: argv[1]}
    done = view_store._guarded_member(data, keys, argv)
    del data[keys[1]]
    if fenced is not None:
        data[keys[1]] = fenced
    return done


def _delete_anything(data: dict[str, Any], keys: list[str], _argv: list[str]) -> int:
    for key in keys:
        data.pop(key, None)
    return 1


def _write_for_anyone(data: dict[str, Any], keys: list[str], argv: list[str]) -> Any:
    for key, name in ((keys[0], "epoch"), (keys[2], "#epoch")):
        data.get(key, {}).pop(name, None)
    if argv[2] == "apply":
        data.setdefault(keys[2], {}).update({"#version": argv[0], "#epoch": argv[1]})
    return view_store._guarded_write(data, keys, argv)


def _advance_for_anyone(data: dict[str, Any], keys: list[str], argv: list[str]) -> int:
    data.setdefault(keys[0], {})[f"epoch:{argv[0]}"] = argv[1]
    return view_store._advance(data, keys, argv)


@pytest.mark.mutant
@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("guarded_member", _change_sets_for_anyone),
        ("guarded_delete", _delete_anything),
        ("guarded_write", _write_for_anyone),
        ("advance", _advance_for_anyone),
    ],
)
def test_a_script_that_takes_what_an_earlier_writer_sends_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, script: Callable[..., Any]
) -> None:
    monkeypatch.setitem(view_store._SCRIPTS, view_store._text(name), script)
    assert failing(range(10 * SEEDS)) is not None


@pytest.mark.mutant
def test_a_set_that_is_changed_without_asking_who_is_last_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fence(self: RedisView, rules: Any) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            for rule in rules:
                self._add(pipe, "fence_rule", [f"{rule_key(rule)}:epochs"], 0, self._epoch)
            self._expect_all(await pipe.execute())

    monkeypatch.setattr(RedisView, "_fence", fence)
    assert failing(range(10 * SEEDS)) is not None
