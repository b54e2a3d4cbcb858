"""A Redis as far as `streams.stages.redis_view` uses one: a server's data, and a client that reaches it.

The Lua scripts are written again here in Python; `tests/contract/test_simulated_redis.py` holds both to the
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

    def __init__(self, now: Callable[[], float] = lambda: 1.0) -> None:
        self.data: dict[str, Any] = {}
        self.now = now
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
        if digest == _TAKE:
            plain.append(str(int(self.now() * 1_000_000)))
        return script(self.data, plain[:count], plain[count:])

    def hash(self, key: str) -> Hash:
        found: Hash = self.data.get(key, {})
        return found


def _put(data: dict[str, Any], key: str, fields: Hash) -> None:
    data.pop(key, None)
    if fields:
        data[key] = dict(fields)


def _take(data: dict[str, Any], keys: list[str], argv: list[str]) -> list[bytes | None]:
    meta: Hash = data.get(keys[0], {})
    if meta.get("app", argv[0]) != argv[0]:
        return [meta["app"].encode()]
    epoch = max(int(meta.get(f"epoch:{argv[1]}", "0")) + 1, int(argv[2]))
    data[keys[0]] = {**meta, "app": argv[0], f"epoch:{argv[1]}": str(epoch)}
    applied = meta.get(argv[1])
    return [argv[0].encode(), str(epoch).encode(), None if applied is None else applied.encode()]


def _advance(data: dict[str, Any], keys: list[str], argv: list[str]) -> int:
    meta: Hash = data.get(keys[0], {})
    if meta.get(f"epoch:{argv[0]}") != argv[1]:
        return 0
    if argv[3] == "":
        meta.pop(argv[0], None)
        return 1
    stands = int(meta.get(argv[0], "-1"))
    if stands < int(argv[2]):
        return 0
    if int(argv[3]) > stands:
        meta[argv[0]] = argv[3]
    return 1


def _fence_rule(data: dict[str, Any], keys: list[str], argv: list[str]) -> int:
    if int(argv[1]) < int(data.get(keys[0], {}).get(argv[0], "0")):
        return 0
    data.setdefault(keys[0], {})[argv[0]] = argv[1]
    return 1


def _guarded_member(data: dict[str, Any], keys: list[str], argv: list[str]) -> int:
    if data.get(keys[1], {}).get(argv[0]) != argv[1]:
        return 0
    members = data.setdefault(keys[0], {})
    for customer, opened in zip(argv[2::2], argv[3::2], strict=True):
        if opened:
            members[customer] = opened
        else:
            members.pop(customer, None)
    if not members:
        data.pop(keys[0])
    return 1


def _guarded_delete(data: dict[str, Any], keys: list[str], argv: list[str]) -> int:
    written = int(data.get(keys[0], {}).get("epoch", "0"))
    claimed = int(data.get(keys[2], {}).get("#epoch", "0"))
    if int(argv[0]) < max(written, claimed):
        return 0
    for key in keys:
        data.pop(key, None)
    return 1


def _guarded_write(data: dict[str, Any], keys: list[str], argv: list[str]) -> list[bytes] | int | None:
    version, epoch, step = argv[0], argv[1], argv[2]
    stands, marks = data.get(keys[0], {}), data.get(keys[2], {})
    if int(epoch) < max(int(stands.get("epoch", "0")), int(marks.get("#epoch", "0"))):
        return 0
    if step == "apply" and (marks.get("#version"), marks.get("#epoch")) != (version, epoch):
        return 0
    if int(version) < int(stands.get("version") or marks.get("#deleted") or "-1"):
        return None
    profile, tags, rules = json.loads(argv[4])
    if step == "claim":
        changing = [rule for rule, opened in marks.items() if rule[0] != "#" and rules.get(rule) != opened]
        changing += [rule for rule in rules if rule not in marks]
        if changing:
            data[keys[2]] = {**marks, "#version": version, "#epoch": epoch, **dict.fromkeys(changing, "?")}
            return [rule.encode() for rule in changing]
    _put(data, keys[1], tags)
    if profile is None:
        data.pop(keys[0], None)
        _put(data, keys[2], {"#deleted": version, "#epoch": epoch})
    else:
        _put(data, keys[2], rules)
        _put(data, keys[0], {**profile, "version": version, "epoch": epoch})
    return []


def _text(name: str) -> str:
    return files("streams.stages").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


_SCRIPTS: dict[str, Callable[..., Any]] = {
    _text("take"): _take,
    _text("advance"): _advance,
    _text("fence_rule"): _fence_rule,
    _text("guarded_member"): _guarded_member,
    _text("guarded_delete"): _guarded_delete,
    _text("guarded_write"): _guarded_write,
}
_TAKE = sha1(_text("take").encode()).hexdigest()


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
