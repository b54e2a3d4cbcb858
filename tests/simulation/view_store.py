"""A Redis as far as `streams.redis_view` uses one: a server's data, and a client that reaches it.

The three Lua scripts are written again here in Python; `tests/contract/test_simulated_redis.py` holds both to the
same results.
"""

import fnmatch
import json
from collections.abc import AsyncIterator, Callable
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

if TYPE_CHECKING:
    from .world import World

Hash = dict[str, str]


class Store:
    """The server."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.is_down = False
        self._scripts: dict[str, Callable[..., Any]] = {}

    def wipe(self) -> None:
        self.data.clear()

    def restart(self) -> None:
        """Scripts are forgotten, data too: nothing is saved."""
        self.data.clear()
        self._scripts.clear()

    def load(self, text: str) -> str:
        digest = sha1(text.encode()).hexdigest()
        self._scripts[digest] = _SCRIPTS[text]
        return digest

    def run(self, digest: str, count: int, arguments: tuple[Any, ...]) -> Any:
        script = self._scripts.get(digest)
        if script is None:
            raise redis_errors.NoScriptError
        plain = [one.decode() if isinstance(one, bytes) else str(one) for one in arguments]
        return script(self.data, plain[:count], plain[count:])

    def hash(self, key: str) -> Hash:
        found: Hash = self.data.get(key, {})
        return found

    def remove(self, key: str, *fields: str) -> None:
        """Take fields or members out; an empty key is gone."""
        found = self.data.get(key, {})
        for field in fields:
            found.pop(field, None)
        if not found:
            self.data.pop(key, None)


def _put(data: dict[str, Any], key: str, fields: Hash) -> None:
    data.pop(key, None)
    if fields:
        data[key] = dict(fields)


def _advance(data: dict[str, Any], keys: list[str], argv: list[str]) -> int:
    meta = data.setdefault(keys[0], {})
    stands = int(meta.get(argv[0], "-1"))
    if not meta:
        data.pop(keys[0])
    if stands < int(argv[1]):
        return 0
    if int(argv[2]) > stands:
        data.setdefault(keys[0], {})[argv[0]] = argv[2]
    return 1


def _guarded_member(data: dict[str, Any], keys: list[str], argv: list[str]) -> int:
    written = 0
    for number, guard in enumerate(keys[1:]):
        version, customer, opened = argv[1 + 3 * number : 4 + 3 * number]
        if int(version) < int(data.get(guard, "-1")):
            continue
        data[guard] = version
        members = data.setdefault(keys[0], {})
        if opened:
            members[customer] = opened
        else:
            members.pop(customer, None)
        if not members:
            data.pop(keys[0])
        written += 1
    return written


def _guarded_write(data: dict[str, Any], keys: list[str], argv: list[str]) -> list[bytes] | None:
    version, step = argv[0], argv[1]
    written = int(data.get(keys[0], {}).get("version", "-1"))
    claimed = int(data.get(keys[2], {}).get("#version", "-1"))
    if int(version) < max(written, claimed):
        return None
    if step == "apply" and data.get(keys[2], {}).get("#claim") != argv[4]:
        return None
    profile, tags, rules = json.loads(argv[3])
    if step == "claim":
        known = data.get(keys[2], {})
        changing = [rule for rule, opened in known.items() if rule[0] != "#" and rules.get(rule) != opened]
        changing += [rule for rule in rules if rule not in known]
        if changing:
            known = data.setdefault(keys[2], {})
            known["#version"], known["#claim"] = version, argv[4]
            known.update(dict.fromkeys(changing, "?"))
            return [rule.encode() for rule in changing]
    _put(data, keys[1], tags)
    _put(data, keys[2], rules)
    if profile is None:
        data.pop(keys[0], None)
        data.setdefault(keys[2], {})["#version"] = version
    else:
        _put(data, keys[0], {**profile, "version": version})
    return []


def _text(name: str) -> str:
    return files("streams").joinpath(f"{name}.lua").read_text(encoding="utf-8")


_SCRIPTS = {
    _text("advance"): _advance,
    _text("guarded_member"): _guarded_member,
    _text("guarded_write"): _guarded_write,
}


class Pipeline:
    """Commands sent together; others may come between them, and the connection may break half way."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._calls: list[Callable[[], Any]] = []

    async def __aenter__(self) -> "Pipeline":
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._calls.clear()

    def evalsha(self, digest: str, count: int, *arguments: Any) -> None:
        store = self._client.store
        self._calls.append(lambda: store.run(digest, count, arguments))

    async def execute(self) -> list[Any]:
        calls, replies = list(self._calls), []
        cut = self._client.world.network_random.randrange(len(calls) + 1)
        for part in (calls[:cut], calls[cut:]):
            if part:
                replies += await self._client.ask(lambda part=part: [call() for call in part])
        return replies


class Client:
    """`redis.asyncio.Redis`, for one process."""

    world: "World"

    @property
    def store(self) -> Store:
        return self.world.store

    @classmethod
    def from_url(cls, _url: str, **_options: Any) -> "Client":
        return cls()

    async def ask(self, work: Callable[[], Any]) -> Any:
        def on_arrival() -> Any:
            if self.store.is_down:
                raise redis_errors.ConnectionError("down")
            return work()

        return await self.world.network.call(on_arrival, lost=lambda: redis_errors.TimeoutError("no answer"))

    async def aclose(self) -> None:
        """Closed."""

    async def hget(self, key: str, field: str) -> bytes | None:
        found = await self.ask(lambda: self.store.hash(key).get(field))
        return None if found is None else found.encode()

    async def hset(self, key: str, field: str, value: str) -> None:
        await self.ask(lambda: self.store.data.setdefault(key, {}).update({field: value}))

    async def hdel(self, key: str, field: str) -> None:
        await self.ask(lambda: self.store.remove(key, field))

    async def script_load(self, text: str) -> bytes:
        return (await self.ask(lambda: self.store.load(text))).encode()  # type: ignore[no-any-return]

    async def evalsha(self, digest: str, count: int, *arguments: Any) -> Any:
        return await self.ask(lambda: self.store.run(digest, count, arguments))

    def pipeline(self, transaction: bool = True) -> Pipeline:
        assert not transaction
        return Pipeline(self)

    async def scan_iter(self, match: str, count: int = 10) -> AsyncIterator[bytes]:
        for key in await self.ask(lambda: sorted(self.store.data)):
            if fnmatch.fnmatchcase(key, match):
                yield key.encode()

    async def zscan_iter(self, key: str, count: int = 10) -> AsyncIterator[tuple[bytes, float]]:
        for member in await self.ask(lambda: sorted(self.store.hash(key))):
            yield member.encode(), 0.0

    async def unlink(self, *keys: str) -> None:
        await self.ask(lambda: [self.store.data.pop(key, None) for key in keys])

    async def zrem(self, key: str, *members: str) -> None:
        await self.ask(lambda: self.store.remove(key, *members))
