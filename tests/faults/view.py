"""What Redis holds, and what the changelog says it must."""

import re
from collections.abc import Iterator, Mapping

import msgspec
from redis import Redis

from schemas.bankday import BankCalendar
from streams.stages.redis_view import customer_key, rule_key
from tagger.view import View, project_customer

Keys = dict[str, dict[str, str]]
"""Key → fields of a hash, or members of a sorted set with their scores."""
_CUSTOMER = re.compile(r"tagger:\{(?P<id>[^}]*)\}:(?P<kind>\w+)")
_RULE = re.compile(r"tagger:rule:\{[^}]*\}")


def read_redis(url: str) -> Keys:
    """Every key of the view; the epoch of a customer's last writer left out, which the changelog does not know."""
    found: Keys = {}
    with Redis.from_url(url, decode_responses=True) as client:
        for key in client.scan_iter("tagger:*", count=5000):
            kind = client.type(key)
            if kind == "hash":
                found[key] = {name: text for name, text in client.hgetall(key).items() if name != "epoch"}
            elif kind == "zset":
                found[key] = {
                    member: str(int(score)) for member, score in client.zrange(key, 0, -1, withscores=True)
                }
    return found


def expected_view(states: Mapping[str, bytes], versions: Mapping[str, int], calendar: BankCalendar) -> Keys:
    """The keys of the contract that these customers must have.

    Args:
        versions: changelog offset of each customer's last record.
    """
    expected: Keys = {}
    for customer, state in states.items():
        view = project_customer(customer, state, calendar)
        expected[customer_key(customer, "profile")] = {**view.profile, "version": str(versions[customer])}
        if view.tags:
            expected[customer_key(customer, "tags")] = {one: _tag(view, one) for one in view.tags}
        for rule in {tag.rule for tag in view.tags.values()}:
            opened = min(tag.opened_ms for tag in view.tags.values() if tag.rule == rule)
            expected.setdefault(rule_key(rule), {})[customer] = str(opened)
    return expected


def _tag(view: View, tag_id: str) -> str:
    tag = view.tags[tag_id]
    names = ("rule", "level", "revision", "opened_at", "expires_at", "delivery")
    return msgspec.json.encode({name: getattr(tag, name) for name in names}).decode()


def view_problems(found: Keys, expected: Keys, most: int = 5) -> Iterator[str]:
    """Keys that differ, are missing, or should not be there."""
    known = {match["id"] for match in map(_CUSTOMER.fullmatch, expected) if match}
    told = 0
    for key in sorted({*found, *expected}):
        match = _CUSTOMER.fullmatch(key)
        if match is None and not _RULE.fullmatch(key):
            continue  # the applied offsets, and what is for writers only
        if match is not None and match["kind"] not in {"profile", "tags"} and match["id"] in known:
            continue
        have, want = found.get(key), expected.get(key)
        if match is not None and match["kind"] == "tags":
            have, want = _decoded(have), _decoded(want)
        if have != want:
            told += 1
            if told <= most:
                yield f"Redis, {key}: {_differing(have, want)}"
    if told > most:
        yield f"Redis: {told - most} keys more differ"


def _decoded(tags: Mapping[str, str] | None) -> dict[str, object] | None:
    return None if tags is None else {one: msgspec.json.decode(text) for one, text in tags.items()}


def _differing(have: Mapping[str, object] | None, want: Mapping[str, object] | None) -> str:
    if have is None or want is None:
        return "expected it, found no such key" if have is None else "expected no such key, found it"
    names = sorted(name for name in {*have, *want} if have.get(name) != want.get(name))
    told = ", ".join(f"{name}: expected {want.get(name)}, found {have.get(name)}" for name in names[:2])
    return f"{len(names)} fields differ, such as {told}"
