"""The view in Redis (contracts.md §4): absolute values, guarded by a version, made again at any time.

A customer's version is the changelog offset that its view came from. Two writers of one partition may overlap
for a moment (one was paused and lost the partition), so each write is refused where a newer one stands. That is
simple for the customer's own keys. A rule's set lies in another hash slot, and no script may span two, so a
change of membership takes three steps:

1. *claim*: in the customer's slot, note the version and mark the rules whose sets will change;
2. change each set, guarded by the version of the last change of this customer in it;
3. *apply*: write profile and tags, and with them what the sets now hold. Refused unless the claim still stands:
   where the view was wiped or cleared in between, the sets hold nothing any more.

A writer that dies between two steps leaves the marks, and whoever reads the record again changes those sets
again. The guard of a set lives for `GUARD_SECONDS`, far longer than a writer that lost its partition can still
have a write under way; the guard of a customer's own keys is permanent.

Keys beyond the contract's: `tagger:{customer}:rules`, only while it has open tags, and the guards
`tagger:rule:{rule}:guard:customer`, which expire.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from secrets import token_hex
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from streams import failpoints
from streams.partitioner import partition_of
from tagger.view import OpenTag, View

GUARD_SECONDS = 3600
META_KEY = "tagger:meta"
# Two round trips for this many customers; a pipeline's replies are held in memory by both sides.
_PIPELINE = 500
_SCAN_COUNT = 1000
_SCRIPTS = ("guarded_write", "guarded_member", "advance")
_ENCODER = msgspec.json.Encoder()


class ViewLostError(Exception):
    """What was written is no longer there."""


@dataclass(frozen=True, slots=True)
class Row:
    """One customer as of a changelog offset; `view` is None for a customer that was deleted."""

    customer_id: str
    version: int
    view: View | None


class RedisView:
    """Writes and clears views.

    Args:
        client: of the Redis database that holds one deployment's view and nothing else named `tagger:`.
        partitions: of the changelog.
    """

    def __init__(self, client: "Redis", partitions: int) -> None:
        self._client = client
        self._partitions = partitions
        self._digests: dict[str, str] = {}
        self._token = token_hex(8)

    async def applied(self, partition: int) -> int | None:
        """The changelog offset to go on at; None when nothing stands here of this partition."""
        found = await self._client.hget(META_KEY, str(partition))
        return None if found is None else int(found)

    async def begin(self, partition: int, offset: int) -> None:
        """Note that the view of a partition is complete up to a changelog offset: its first, after `clear`."""
        await self._client.hset(META_KEY, str(partition), str(offset))

    async def write(self, partition: int, rows: Iterable[Row], position: int, next_offset: int) -> None:
        """Write rows, then note how far the changelog is applied.

        Args:
            rows: of this partition, each customer at most once.
            position: how far the changelog was applied before, as this writer knows; -1 when it does not.
            next_offset: the changelog offset after the last record that the rows came from.

        Raises:
            ViewLostError: less is applied than `position`; clear, and write everything again.
            redis.RedisError: some rows may have been written; writing all again is safe.
        """
        if not self._digests:
            await self._load()
        try:
            remaining = iter(rows)
            while chunk := list(islice(remaining, _PIPELINE)):
                await self._write_chunk(chunk)
            stands = await self._client.evalsha(
                self._digests["advance"], 1, META_KEY, partition, position, next_offset
            )
        except NoScriptError:
            self._digests = {}
            raise
        if not stands:
            raise ViewLostError(
                f"expected {META_KEY} to say that partition {partition} is applied up to {position} at least, "
                f"found {await self.applied(partition)}: Redis was wiped or set back"
            )

    async def _load(self) -> None:
        """Give Redis the scripts. redis-py's own `Script` would ask for them again before each pipeline."""
        texts = {name: files("streams").joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in _SCRIPTS}
        self._digests = {name: _text(await self._client.script_load(text)) for name, text in texts.items()}

    async def _write_chunk(self, rows: Sequence[Row]) -> None:
        self._token = token_hex(8)
        claims = await self._write_customers(rows, "claim")
        changing = [(row, rules) for row, rules in zip(rows, claims, strict=True) if rules]
        if changing:
            if failpoints.armed:
                await failpoints.reach("view.after-claim")
            await self._write_members(changing)
            if failpoints.armed:
                await failpoints.reach("view.after-members")
            await self._write_customers([row for row, _ in changing], "apply")

    async def _write_customers(self, rows: Sequence[Row], step: str) -> list[Any]:
        digest = self._digests["guarded_write"]
        async with self._client.pipeline(transaction=False) as pipe:
            for row in rows:
                keys = [customer_key(row.customer_id, kind) for kind in ("profile", "tags", "rules")]
                pipe.evalsha(digest, 3, *keys, row.version, step, GUARD_SECONDS, _encoded(row.view), self._token)
            replies: list[Any] = await pipe.execute()
            return replies

    async def _write_members(self, changing: Iterable[tuple[Row, Iterable[bytes | str]]]) -> None:
        guards: dict[str, list[str]] = {}
        values: dict[str, list[str | int]] = {}
        for row, rules in changing:
            opened = _opened(row.view)
            for rule in map(_text, rules):
                guards.setdefault(rule, []).append(_guard_key(rule, row.customer_id))
                values.setdefault(rule, []).extend((row.version, row.customer_id, opened.get(rule, "")))
        digest = self._digests["guarded_member"]
        async with self._client.pipeline(transaction=False) as pipe:
            for rule, keys in guards.items():
                pipe.evalsha(digest, 1 + len(keys), rule_key(rule), *keys, GUARD_SECONDS, *values[rule])
            await pipe.execute()

    async def clear(self, partition: int) -> None:
        """Delete everything that stands here of one partition's customers, guards too.

        Costs a scan of the database. Needed before a rebuild: a customer that the changelog no longer holds
        would stay, and versions of a changelog that was made anew start again from 0.
        """
        await self._client.hdel(META_KEY, str(partition))
        owned = [
            *[(key, key[len("tagger:{") : key.rindex("}")]) async for key in self._keys("tagger:{*}:*")],
            *[(key, key.split("}:guard:", 1)[1]) async for key in self._keys("tagger:rule:{*}:guard:*")],
        ]
        doomed = [key for key, customer_id in owned if self._is_of(partition, customer_id)]
        for start in range(0, len(doomed), _SCAN_COUNT):
            await self._client.unlink(*doomed[start : start + _SCAN_COUNT])
        async for key in self._keys("tagger:rule:{*}"):
            members = [_text(member) async for member, _ in self._client.zscan_iter(key, count=_SCAN_COUNT)]
            gone = [member for member in members if self._is_of(partition, member)]
            for start in range(0, len(gone), _SCAN_COUNT):
                await self._client.zrem(key, *gone[start : start + _SCAN_COUNT])

    async def _keys(self, pattern: str) -> AsyncIterator[str]:
        async for key in self._client.scan_iter(match=pattern, count=_SCAN_COUNT):
            yield _text(key)

    def _is_of(self, partition: int, customer_id: str) -> bool:
        return partition_of(customer_id.encode(), self._partitions) == partition


def customer_key(customer_id: str, kind: str) -> str:
    """The key of a customer's `profile`, `tags` or `rules`; the braces are Redis Cluster's hash tag."""
    return f"tagger:{{{customer_id}}}:{kind}"


def rule_key(rule: str) -> str:
    """The key of a rule's set of customers."""
    return f"tagger:rule:{{{rule}}}"


def _guard_key(rule: str, customer_id: str) -> str:
    return f"{rule_key(rule)}:guard:{customer_id}"


def _encoded(view: View | None) -> bytes:
    if view is None:
        return b"[null,{},{}]"
    tags = {tag_id: _tag_text(tag) for tag_id, tag in view.tags.items()}
    return _ENCODER.encode((view.profile, tags, _opened(view)))


def _tag_text(tag: OpenTag) -> str:
    return _ENCODER.encode(
        {
            "rule": tag.rule,
            "level": tag.level,
            "revision": tag.revision,
            "opened_at": tag.opened_at,
            "expires_at": tag.expires_at,
            "delivery": tag.delivery,
        }
    ).decode()


def _opened(view: View | None) -> dict[str, str]:
    """Rule → opening time as text; of two open episodes of a rule (a proposal beside a level), the first."""
    opened: dict[str, int] = {}
    for tag in () if view is None else view.tags.values():
        opened[tag.rule] = min(tag.opened_ms, opened.get(tag.rule, tag.opened_ms))
    return {rule: str(ms) for rule, ms in opened.items()}


def _text(raw: bytes | str) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw
