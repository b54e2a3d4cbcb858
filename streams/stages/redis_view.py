"""The view in Redis: absolute values, guarded by epoch and version, made again at any time.

Its keys stand in docs/operations.md, "Redis".

Writers of one partition may overlap: one that was cut off believes in its ownership for a while, and what it sent
may arrive any time later. So whoever takes a partition over raises its *epoch* in `tagger:meta`, and each slot of
Redis refuses what comes from a lower epoch than it has seen: a customer's keys hold the epoch of their last
writer, a rule's set has its epochs beside it. A customer's *version* is the changelog offset that its view came
from; a version lower than the one that stands is left out.

A rule's set lies in another hash slot than the customer, and no script may span two, so a change of membership
takes four steps:

1. *claim*: in the customer's slot, note version and epoch, and mark the rules whose sets will change;
2. *fence* each set not fenced yet, then ask `tagger:meta` whether the epoch is still the last. Whoever raises it
   later and clears the partition finds the set, because its epochs were there before;
3. change each set, which takes only the very epoch it was fenced with;
4. *apply*: write profile and tags, and with them what the sets now hold. Refused unless the claim still stands:
   where the view was wiped or cleared in between, the sets hold nothing any more.

A writer that dies between two steps leaves the marks, and whoever reads the record again changes those sets
again. After an error nobody knows what has arrived or still will: the view is written again under a new epoch.

Keys beyond the contract's: `tagger:{customer}:rules`, only while it has open tags or was just deleted, and
`tagger:rule:{rule}:epochs`. `tagger:meta` also names the deployment, and holds the partitions' epochs.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from streams import failpoints
from streams.partitioner import partition_of
from tagger.view import OpenTag, View

DELETED_SECONDS = 3600
"""How long a deleted customer is remembered: far longer than an older write of it may be under way."""
META_KEY = "tagger:meta"
# Two round trips for this many customers; a pipeline's replies are held in memory by both sides.
_PIPELINE = 500
_SCAN_COUNT = 1000
_SCRIPTS = ("take", "advance", "fence_rule", "guarded_member", "guarded_write", "guarded_delete")
_ENCODER = msgspec.json.Encoder()


class ViewLostError(Exception):
    """The view is not this writer's any more: another one took it over, or it was wiped or set back."""


class ForeignViewError(Exception):
    """The database holds the view of another deployment."""


@dataclass(frozen=True, slots=True)
class Row:
    """One customer as of a changelog offset; `view` is None for a customer that was deleted."""

    customer_id: str
    version: int
    view: View | None


class RedisView:
    """Writes and clears the view of one partition.

    Made anew, or taken again, after any `redis.RedisError`: what failed may still arrive.

    Args:
        client: of the Redis database that holds one deployment's view and nothing else named `tagger:`.
        app: the deployment's name.
        partition: of the changelog.
        partitions: how many the changelog has.
    """

    def __init__(self, client: "Redis", app: str, partition: int, partitions: int) -> None:
        self._client = client
        self._app = app
        self._partition = partition
        self._partitions = partitions
        self._digests: dict[str, str] = {}
        self._epoch = b""
        self._fenced: set[str] = set()

    async def take(self) -> int | None:
        """Become the partition's only writer.

        Returns:
            The changelog offset to go on at; None when nothing stands here of this partition.

        Raises:
            ForeignViewError: says whose view stands here.
        """
        await self._load()
        self._fenced.clear()
        app, *given = await self._run("take", [META_KEY], self._app, self._partition)
        if not given:
            raise ForeignViewError(
                f"expected a Redis database with no other deployment's view, found that of {_text(app)!r} where "
                f"{self._app!r} would write. Give each deployment a database of its own (TAGGER_REDIS_URL); if "
                "the view that stands there may go, empty the database with FLUSHDB"
            )
        self._epoch, applied = given
        return None if applied is None else int(applied)

    async def begin(self, offset: int) -> None:
        """Note that the view is complete up to a changelog offset: its first, after `clear`."""
        await self._advance(-1, offset)

    async def write(self, rows: Iterable[Row], position: int, next_offset: int) -> None:
        """Write rows, then note how far the changelog is applied.

        Args:
            rows: of this partition, each customer at most once.
            position: how far the changelog was applied before, as this writer knows; -1 when it does not.
            next_offset: the changelog offset after the last record that the rows came from.

        Raises:
            ViewLostError: take it again; clear, and write everything anew where less is applied than `position`.
            redis.RedisError: some rows may have been written, or will be; take it and write all again.
        """
        remaining = iter(rows)
        while chunk := list(islice(remaining, _PIPELINE)):
            await self._write_chunk(chunk)
        await self._advance(position, next_offset)

    async def clear(self) -> None:
        """Delete everything that stands here of the partition's customers.

        Costs a scan of the database. Needed before a rebuild: a customer that the changelog no longer holds
        would stay, and versions of a changelog that was made anew start again from 0.
        """
        await self._advance(-1, None)
        # Sets first: their marks in the customers' keys are what a late change of a set could be mended by.
        keys = [key async for key in self._keys("tagger:rule:{*}*")]
        rules = sorted({key[len("tagger:rule:{") : key.rindex("}")] for key in keys})
        await self._fence(rules)
        for rule in rules:
            members = [_text(one) async for one, _ in self._client.zscan_iter(rule_key(rule), count=_SCAN_COUNT)]
            gone = iter([member for member in members if self._is_ours(member)])
            while chunk := list(islice(gone, _SCAN_COUNT)):
                await self._write_members({rule: [item for member in chunk for item in (member, "")]})
        found = {key[len("tagger:{") : key.rindex("}")] async for key in self._keys("tagger:{*}:*")}
        customers = iter(sorted(customer for customer in found if self._is_ours(customer)))
        while chunk := list(islice(customers, _SCAN_COUNT)):
            async with self._client.pipeline(transaction=False) as pipe:
                for customer in chunk:
                    self._add(pipe, "guarded_delete", _customer_keys(customer), self._epoch)
                self._expect_all(await pipe.execute())

    async def _load(self) -> None:
        """Give Redis the scripts. redis-py's own `Script` would ask for them again before each pipeline."""
        texts = {
            name: files("streams.stages").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
            for name in _SCRIPTS
        }
        self._digests = {name: _text(await self._client.script_load(text)) for name, text in texts.items()}

    async def _write_chunk(self, rows: Sequence[Row]) -> None:
        claims = await self._write_customers(rows, "claim")
        changing = [(row, rules) for row, rules in zip(rows, claims, strict=True) if rules]
        if changing:
            if failpoints.armed:
                await failpoints.reach("view.after-claim")
            values: dict[str, list[str]] = {}
            for row, rules in changing:
                opened = _opened(row.view)
                for rule in map(_text, rules):
                    values.setdefault(rule, []).extend((row.customer_id, opened.get(rule, "")))
            await self._fence([rule for rule in values if rule not in self._fenced])
            await self._write_members(values)
            if failpoints.armed:
                await failpoints.reach("view.after-members")
            await self._write_customers([row for row, _ in changing], "apply")

    async def _write_customers(self, rows: Sequence[Row], step: str) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for row in rows:
                keys, view = _customer_keys(row.customer_id), _encoded(row.view)
                self._add(pipe, "guarded_write", keys, row.version, self._epoch, step, DELETED_SECONDS, view)
            replies: list[Any] = await pipe.execute()
        self._expect_all(replies)
        return replies

    async def _fence(self, rules: Sequence[str]) -> None:
        """Keep earlier writers out of rules' sets, and make sure that there is no later one."""
        if not rules:
            return
        async with self._client.pipeline(transaction=False) as pipe:
            for rule in rules:
                self._add(pipe, "fence_rule", [_epochs_key(rule)], self._partition, self._epoch)
            self._expect_all(await pipe.execute())
        await self._advance(-1, -1)
        self._fenced.update(rules)

    async def _write_members(self, values: dict[str, list[str]]) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            for rule, changes in values.items():
                keys = [rule_key(rule), _epochs_key(rule)]
                self._add(pipe, "guarded_member", keys, self._partition, self._epoch, *changes)
            self._expect_all(await pipe.execute())

    async def _advance(self, before: int, after: int | None) -> None:
        told = "" if after is None else after
        stands = await self._run("advance", [META_KEY], self._partition, self._epoch, before, told)
        if not stands:
            raise ViewLostError(
                f"expected {META_KEY} to say that partition {self._partition} is this writer's and applied up to "
                f"{before} at least: another one took it over, or Redis was wiped or set back"
            )

    def _expect_all(self, replies: Iterable[Any]) -> None:
        if 0 in replies:
            raise ViewLostError(
                f"expected the view of partition {self._partition} to be this writer's, was refused: another one "
                "took it over, or Redis was wiped or set back"
            )

    async def _run(self, script: str, keys: Sequence[str], *values: str | int | bytes) -> Any:
        return await self._client.evalsha(self._digests[script], len(keys), *keys, *values)

    def _add(self, pipe: "Pipeline", script: str, keys: Sequence[str], *values: str | int | bytes) -> None:
        pipe.evalsha(self._digests[script], len(keys), *keys, *values)

    async def _keys(self, pattern: str) -> AsyncIterator[str]:
        async for key in self._client.scan_iter(match=pattern, count=_SCAN_COUNT):
            yield _text(key)

    def _is_ours(self, customer_id: str) -> bool:
        return partition_of(customer_id.encode(), self._partitions) == self._partition


async def applied_offset(client: "Redis", partition: int) -> int | None:
    """The changelog offset up to which a partition's view is complete; None when it is not."""
    found = await client.hget(META_KEY, str(partition))
    return None if found is None else int(found)


def customer_key(customer_id: str, kind: str) -> str:
    """The key of a customer's `profile`, `tags` or `rules`; the braces are Redis Cluster's hash tag."""
    return f"tagger:{{{customer_id}}}:{kind}"


def rule_key(rule: str) -> str:
    """The key of a rule's set of customers."""
    return f"tagger:rule:{{{rule}}}"


def _customer_keys(customer_id: str) -> list[str]:
    return [customer_key(customer_id, kind) for kind in ("profile", "tags", "rules")]


def _epochs_key(rule: str) -> str:
    return f"{rule_key(rule)}:epochs"


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
