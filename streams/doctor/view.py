"""Redis against a changelog partition: profiles, open tags, rules' sets, what is stale or missing.

`project` may write meanwhile. How far it had come is read before the changelog; a customer whose last record lies
beyond that may be behind, one whose version lies beyond what we read of the changelog is ahead, and both are left
out. Whatever else looks wrong is looked at again a moment later, customer by customer, and told only when it
stays so.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec
from redis.asyncio import Redis

from schemas.bankday import BankCalendar
from streams.doctor.reading import Changelog
from streams.doctor.report import Report
from streams.partitioner import partition_of
from streams.settings import Settings
from streams.stages.redis_view import META_KEY, customer_key, rule_key
from tagger.state.customer import VersionError
from tagger.view import View, project_customer

_PIPELINE = 500
_SCAN_COUNT = 1000
_AGAIN_SECONDS = 0.5
_TRIES = 4
# The writer's own, beside the fields that readers have (docs/operations.md, "Redis").
_WRITERS_FIELDS = ("version", "epoch")


@dataclass(slots=True)
class Shown:
    """What Redis shows of one customer.

    Attributes:
        version: of the profile; None when there is none.
        tags: tag id → its fields.
        opened: rule → score in the rule's set.
        is_being_written: a change of rules' sets is under way.
    """

    version: int | None
    profile: dict[str, str]
    tags: dict[str, Any]
    opened: dict[str, int] = field(default_factory=dict)
    is_being_written: bool = False


class ViewCheck:
    """Compares one partition.

    Args:
        applied: what `tagger:meta` said before the changelog was read.
        partitions: of the changelog.
    """

    def __init__(
        self,
        client: "Redis",
        settings: Settings,
        changelog: Changelog,
        applied: int,
        partitions: int,
        report: Report,
    ) -> None:
        self._client = client
        self._changelog = changelog
        self._applied = applied
        self._partitions = partitions
        self._report = report
        self._calendar = BankCalendar(settings.zone)
        self._name = f"partition {changelog.number}"

    async def run(self) -> None:
        """Compare everything.

        Raises:
            redis.RedisError, OSError: Redis does not answer.
        """
        sets = await self._sets()
        suspects = [customer async for customer in self._suspects(sets)]
        self._report.checked["customers in Redis"] += len(self._changelog.customers)
        await self._look_again(suspects, set(sets))

    async def _suspects(self, sets: Mapping[str, Mapping[str, int]]) -> AsyncIterator[str]:
        opened: dict[str, dict[str, int]] = {}
        for rule, members in sets.items():
            for customer, score in members.items():
                opened.setdefault(customer, {})[rule] = score
        remaining = iter(self._changelog.customers)
        while chunk := list(islice(remaining, _PIPELINE)):
            for customer, shown in zip(chunk, await self._shown(chunk), strict=True):
                shown.opened = opened.pop(customer, {})
                if self._problems(customer, shown):
                    yield customer
        strangers = set(opened)
        async for key in self._keys("tagger:{*}:*"):
            customer = key[len("tagger:{") : key.rindex("}")]
            if self._is_ours(customer) and not key.endswith(":rules"):
                strangers.add(customer)
        for customer in sorted(strangers - self._changelog.customers.keys()):
            yield customer

    async def _look_again(self, suspects: list[str], rules: set[str]) -> None:
        """Tell what stays wrong over some moments; who is right once was being written."""
        problems: dict[str, list[tuple[str, str]]] = {customer: [] for customer in suspects}
        for attempt in range(_TRIES):
            if attempt and problems:
                await asyncio.sleep(_AGAIN_SECONDS)
            for customer in list(problems):
                problems[customer] = await self._problems_of(customer, rules)
                if not problems[customer]:
                    del problems[customer]
        for customer, pairs in problems.items():
            for expected, found in pairs:
                self._report.wrong("view", f"{self._name} customer {customer}", expected, found, of=self._name)

    async def _problems_of(self, customer: str, rules: set[str]) -> list[tuple[str, str]]:
        (shown,) = await self._shown([customer])
        wanted = sorted(rules | self._rules_of(customer))
        scores = await asyncio.gather(*[self._client.zscore(rule_key(rule), customer) for rule in wanted])
        shown.opened = {rule: int(score) for rule, score in zip(wanted, scores, strict=True) if score is not None}
        return self._problems(customer, shown)

    def _problems(self, customer: str, shown: Shown) -> list[tuple[str, str]]:
        """What is wrong as pairs of expected and found; [] also for what cannot be told while it changes."""
        version, end = shown.version, self._changelog.end
        if version is not None and version >= end:
            return []
        if customer not in self._changelog.customers:
            is_there = version is not None or shown.tags or shown.opened
            return [("nothing of a customer that the changelog does not hold", _told(shown))] if is_there else []
        offset = self._changelog.customers[customer][0]
        if version != offset:
            if offset >= self._applied or shown.is_being_written:
                return []
            return [(f"version {offset}", "no profile" if version is None else f"version {version}")]
        try:
            wanted = self._view(customer)
        except (msgspec.MsgspecError, VersionError) as error:
            return [
                ("a state of this release in the changelog", f"one that cannot be read ({type(error).__name__})")
            ]
        assert wanted is not None
        return list(_differences(wanted, shown))

    def _rules_of(self, customer: str) -> set[str]:
        """Rules whose sets must hold a customer; none when the state cannot be read."""
        with suppress(msgspec.MsgspecError, VersionError):
            wanted = self._view(customer)
            return set() if wanted is None else set(wanted.opened)
        return set()

    def _view(self, customer: str) -> "_Wanted | None":
        if customer not in self._changelog.customers:
            return None
        return _Wanted.of(project_customer(customer, self._changelog.customers[customer][1], self._calendar))

    async def _shown(self, customers: list[str]) -> list[Shown]:
        async with self._client.pipeline(transaction=False) as pipe:
            for customer in customers:
                for kind in ("profile", "tags", "rules"):
                    pipe.hgetall(customer_key(customer, kind))
            replies = await pipe.execute()
        return [_shown(*replies[at : at + 3]) for at in range(0, len(replies), 3)]

    async def _sets(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        prefix = len("tagger:rule:{")
        async for key in self._keys("tagger:rule:{*}"):
            members = found.setdefault(key[prefix:-1], {})
            async for member, score in self._client.zscan_iter(key, count=_SCAN_COUNT):
                if self._is_ours(member.decode()):
                    members[member.decode()] = int(score)
        return found

    async def _keys(self, pattern: str) -> AsyncIterator[str]:
        async for key in self._client.scan_iter(match=pattern, count=_SCAN_COUNT):
            yield key.decode()

    def _is_ours(self, customer: str) -> bool:
        return partition_of(customer.encode(), self._partitions) == self._changelog.number


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What Redis must show, worked out apart from the code that writes it."""

    profile: dict[str, str] = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)
    opened: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, view: View) -> "_Wanted":
        tags: dict[str, Any] = {}
        opened: dict[str, int] = {}
        for tag_id, tag in view.tags.items():
            tags[tag_id] = {
                "rule": tag.rule,
                "level": tag.level,
                "revision": tag.revision,
                "opened_at": tag.opened_at,
                "expires_at": tag.expires_at,
                "delivery": msgspec.to_builtins(tag.delivery),
            }
            opened[tag.rule] = min(tag.opened_ms, opened.get(tag.rule, tag.opened_ms))
        return cls(view.profile, tags, opened)


def _differences(wanted: _Wanted, shown: Shown) -> Iterable[tuple[str, str]]:
    fields = sorted(
        name for name in {*wanted.profile, *shown.profile} if wanted.profile.get(name) != shown.profile.get(name)
    )
    if fields:
        yield "the profile that the changelog gives", f"one that differs in {', '.join(fields)}"
    ids = sorted(one for one in {*wanted.tags, *shown.tags} if wanted.tags.get(one) != shown.tags.get(one))
    for tag_id in ids:
        if tag_id not in shown.tags:
            yield f"open tag {tag_id}", "none"
        elif tag_id not in wanted.tags:
            yield f"no open tag {tag_id}", "one"
        else:
            yield f"tag {tag_id} revision {wanted.tags[tag_id]['revision']}", "one that differs"
    rules = sorted(
        rule for rule in {*wanted.opened, *shown.opened} if wanted.opened.get(rule) != shown.opened.get(rule)
    )
    for rule in rules:
        key, left, right = rule_key(rule), wanted.opened.get(rule), shown.opened.get(rule)
        yield (
            f"{key} not to hold it" if left is None else f"{key} to hold it since {left}",
            "it does not" if right is None else f"it does since {right}",
        )


def _shown(profile: dict[bytes, bytes], tags: dict[bytes, bytes], rules: dict[bytes, bytes]) -> Shown:
    fields = {name.decode(): text.decode() for name, text in profile.items()}
    version = fields.get("version")
    return Shown(
        version=int(version) if version is not None and version.isdigit() else None,
        profile={name: text for name, text in fields.items() if name not in _WRITERS_FIELDS},
        tags={name.decode(): _decoded(text) for name, text in tags.items()},
        is_being_written=b"#version" in rules,
    )


def _decoded(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _told(shown: Shown) -> str:
    parts = {
        "a profile": shown.version is not None,
        f"{len(shown.tags)} tags": bool(shown.tags),
        f"a place in {', '.join(map(rule_key, sorted(shown.opened)))}": bool(shown.opened),
    }
    return " and ".join(part for part, is_there in parts.items() if is_there)


async def read_owner(client: "Redis") -> str | None:
    """The `app` whose view Redis holds; None when it holds none."""
    found = await client.hget(META_KEY, "app")
    return found.decode() if isinstance(found, bytes) else found
