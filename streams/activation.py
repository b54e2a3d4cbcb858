"""Publishing rulebooks, and putting one in force (rulebook.md §6).

A published rulebook is a record of `tagging.rulebooks` under its digest. It comes into force by an activation
record in every journal partition, all in one transaction of the one id `<app>-activation`, so that there is one
writer at a time; the same transaction notes it in `tagging.rulebooks` under the reserved key `#activated`. That
note is how workers that start together find out that somebody was first: fence, look, and only then write.

Markers of a transaction reach its partitions one after the other, so a reader may see an activation in the
journal a moment before the rulebook it names; `published` waits for what is on its way.
"""

import asyncio
import random
from dataclasses import dataclass

import msgspec

from schemas.journal import Activation, encode_record
from streams.clients import UnreachableError, open_producer, partition_counts, read_topic
from streams.logs import tell
from streams.packs import UnreadablePacksError, read_folder
from streams.partitioner import partition_of
from streams.settings import Settings
from streams.topics import JOURNAL, RULEBOOKS
from streams.unit import FencedError, OutcomeUnknownError, Transaction, UnitOfWork
from tagger.rulebook import RulebookError, read_rulebook

ACTIVATED_KEY = b"#activated"
"""No digest looks like this. Its value is the last activation."""
_TRIES = 10
_WAIT_SECONDS = (0.2, 1.0)


class RulesError(Exception):
    """The rules folder holds no valid packs; the message names every error by file, line and column."""


tell(RulesError)


class PublishedRulebook(msgspec.Struct, frozen=True, kw_only=True):
    """A `tagging.rulebooks` value. `files`: name below the rules folder → YAML text."""

    digest: str
    version: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Published:
    """What `tagging.rulebooks` holds; `activated` is the last activation, None when there never was one."""

    rulebooks: dict[str, PublishedRulebook]
    activated: Activation | None


_ENCODER = msgspec.json.Encoder()
_RULEBOOK = msgspec.json.Decoder(PublishedRulebook)
_ACTIVATION = msgspec.json.Decoder(Activation)


async def published(settings: Settings) -> Published:
    """Everything published, including what a transaction under way is about to show.

    Raises:
        UnreachableError, MissingTopicError: as `read_topic`.
    """
    rulebooks: dict[str, PublishedRulebook] = {}
    activated = None
    async for record in read_topic(settings, settings.topic(RULEBOOKS), whole=True):
        if record.value is None:
            rulebooks.pop((record.key or b"").decode(), None)
        elif record.key == ACTIVATED_KEY:
            activated = _ACTIVATION.decode(record.value)
        else:
            rulebook = _RULEBOOK.decode(record.value)
            rulebooks[rulebook.digest] = rulebook
    return Published(rulebooks, activated)


async def publish(settings: Settings, files: dict[str, str]) -> str:
    """Store a rulebook under its digest; storing the same again changes nothing.

    Returns:
        The digest.

    Raises:
        tagger.rulebook.RulebookError: the packs are not valid.
        UnreachableError, MissingTopicError: as `read_topic`.
    """
    digest, value = _checked(files)
    topic = settings.topic(RULEBOOKS)
    partitions = (await partition_counts(settings, [topic]))[topic]
    async with open_producer(settings, what=f"write {topic}") as producer:
        key = digest.encode()
        await producer.send_and_wait(topic, value, key, partition_of(key, partitions))
    return digest


async def activate(settings: Settings, digest: str, from_ms: int | None = None) -> None:
    """Put a published rulebook in force once the clock reaches `from_ms` (None: at once).

    Raises:
        LookupError: nothing is published under this digest.
        UnreachableError, MissingTopicError: as `read_topic`.
        FencedError, OutcomeUnknownError: somebody else activates at this moment, or the broker went away; look
            which one is in force before trying again.
    """
    known = (await published(settings)).rulebooks
    if digest not in known:
        raise LookupError(f"expected a published rulebook {digest}, found {', '.join(sorted(known)) or 'none'}")
    counts = await _counts(settings)
    unit = UnitOfWork(settings, activation_id(settings))
    try:
        await unit.fence()
        async with unit.begin() as batch:
            _append_activation(batch, settings, counts, Activation(digest=digest, from_ms=from_ms))
            await batch.commit()
    finally:
        await unit.close()


async def bootstrap(settings: Settings) -> str | None:
    """On a deployment where nothing was ever activated, publish and activate the packs of `settings.rules`.

    Any number of workers may do this together: one activates, the others find that it has.

    Returns:
        The digest that this call activated, None when one was in force or waiting already.

    Raises:
        RulesError: nothing was activated yet, and there are no valid packs.
        UnreachableError, MissingTopicError: as `read_topic`.
    """
    for _ in range(_TRIES):
        if (await published(settings)).activated is not None:
            return None
        try:
            return await _bootstrap_fenced(settings)
        except (FencedError, OutcomeUnknownError):
            # Another worker does the same; apart in time, one of us gets through.
            await asyncio.sleep(random.uniform(*_WAIT_SECONDS))
    raise UnreachableError(
        f"expected to activate the packs in {settings.rules} at {settings.bootstrap}, gave up after {_TRIES} "
        "tries: each time another writer came in between or the outcome stayed unknown"
    )


async def _bootstrap_fenced(settings: Settings) -> str | None:
    try:
        digest, value = _checked(read_folder(settings.rules))
    except (UnreadablePacksError, RulebookError) as error:
        raise RulesError(f"the packs to put in force cannot be used:\n{error}") from error
    counts = await _counts(settings)
    unit = UnitOfWork(settings, activation_id(settings))
    try:
        await unit.fence()
        if (await published(settings)).activated is not None:
            return None
        async with unit.begin() as batch:
            _append_rulebook(batch, settings, counts, digest.encode(), value)
            _append_activation(batch, settings, counts, Activation(digest=digest))
            await batch.commit()
        return digest
    finally:
        await unit.close()


def activation_id(settings: Settings) -> str:
    """The transactional id of whoever activates."""
    return f"{settings.app}-activation"


def _checked(files: dict[str, str]) -> tuple[str, bytes]:
    rulebook = read_rulebook(files)
    record = PublishedRulebook(digest=rulebook.digest, version=rulebook.version, files=files)
    return rulebook.digest, _ENCODER.encode(record)


async def _counts(settings: Settings) -> dict[str, int]:
    return await partition_counts(settings, [settings.topic(RULEBOOKS), settings.topic(JOURNAL)])


def _append_rulebook(
    batch: Transaction, settings: Settings, counts: dict[str, int], key: bytes, value: bytes
) -> None:
    topic = settings.topic(RULEBOOKS)
    batch.append(topic, partition_of(key, counts[topic]), key, value)


def _append_activation(
    batch: Transaction, settings: Settings, counts: dict[str, int], activation: Activation
) -> None:
    value = encode_record(activation)
    journal = settings.topic(JOURNAL)
    for partition in range(counts[journal]):
        batch.append(journal, partition, None, value)
    _append_rulebook(batch, settings, counts, ACTIVATED_KEY, value)
