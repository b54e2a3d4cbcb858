"""Publishing rulebooks, putting one in force, and pausing rules (docs/operations.md, "Rulebooks").

A published rulebook is a record of `tagging.rulebooks` under its digest. It comes into force by an activation
record in every journal partition, all in one transaction of the one id `<app>-activation`, so that there is one
writer at a time; the same transaction notes it in `tagging.rulebooks` under the reserved key `#activated`. That
note is how workers that start together find out that somebody was first: fence, look, and only then write. A pause
is written in the same way.

Markers of a transaction reach its partitions one after the other, so a reader may see an activation in the
journal a moment before the rulebook it names; `published` waits for what is on its way.
"""

import asyncio
import logging
import random
from dataclasses import dataclass

import msgspec

from schemas.journal import Activation, ControlRecord, Pause, encode_record
from schemas.packs.model import nearest
from schemas.topics import JOURNAL, RULEBOOKS
from streams.clients import UnreachableError, open_producer, partition_counts, read_topic
from streams.lanes.unit_of_work import FencedError, OutcomeUnknownError, Transaction, UnitOfWork
from streams.partitioner import partition_of
from streams.rulebooks.folder import UnreadablePacksError, read_folder
from streams.settings import Settings
from tagger.packs.errors import RulebookError
from tagger.packs.rulebook import read_rulebook

ACTIVATED_KEY = b"#activated"
"""No digest looks like this. Its value is the last activation."""
log = logging.getLogger(__name__)

_TRIES = 10
_WAIT_SECONDS = (0.2, 1.0)
_WHAT_TO_DO = (
    "`tagger rules diff active DIR` shows the differences, `tagger rules activate DIR` puts the folder in force"
)


class RulesError(Exception):
    """The rules folder holds no valid packs; the message names every error by file, line and column."""


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
        tagger.packs.rulebook.RulebookError: the packs are not valid.
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
    await _write(settings, Activation(digest=digest, from_ms=from_ms))


async def pause(settings: Settings, rule: str, *, resumed: bool = False) -> None:
    """Hold back every push of a rule from here on, or let them go again.

    A rule that is paused already, or resumed without being paused, stays as it is. One that is no longer in force
    can be resumed.

    Raises:
        LookupError: no rulebook was activated, or the last one activated has no such rule.
        UnreachableError, MissingTopicError, FencedError, OutcomeUnknownError: as `activate`.
    """
    found = await published(settings)
    if found.activated is None:
        raise LookupError("expected a rulebook in force, found that none was ever activated")
    rulebook = read_rulebook(found.rulebooks[found.activated.digest].files)
    if rule not in rulebook.rules and not resumed:
        near = nearest(rule, rulebook.rules)
        hint = f"; did you mean {near}?" if near else ""
        raise LookupError(f"expected a rule of the rulebook {rulebook.name} in force, got {rule}{hint}")
    await _write(settings, Pause(rule=rule, resumed=resumed))


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
        activated = (await published(settings)).activated
        if activated is not None:
            _warn_of_other_packs(settings, activated.digest)
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


def _warn_of_other_packs(settings: Settings, in_force: str) -> None:
    """Say once, at start, that the folder's packs are not those that decide."""
    try:
        found = read_rulebook(read_folder(settings.rules)).digest
    except (UnreadablePacksError, RulebookError):
        # They decide nothing here; `tagger rules check` says what is wrong with them.
        return
    if found != in_force:
        log.warning(
            "rules folder is not in force",
            extra={"folder": str(settings.rules), "found": found, "in_force": in_force, "do": _WHAT_TO_DO},
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
        async with unit.begin() as transaction:
            _append_rulebook(transaction, settings, counts, digest.encode(), value)
            _append_control(transaction, settings, counts, Activation(digest=digest))
            await transaction.commit()
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
    transaction: Transaction, settings: Settings, counts: dict[str, int], key: bytes, value: bytes
) -> None:
    topic = settings.topic(RULEBOOKS)
    transaction.append(topic, partition_of(key, counts[topic]), key, value)


async def _write(settings: Settings, record: ControlRecord) -> None:
    """Write a record to every journal partition, in one transaction of the one writer."""
    counts = await _counts(settings)
    unit = UnitOfWork(settings, activation_id(settings))
    try:
        await unit.fence()
        async with unit.begin() as transaction:
            _append_control(transaction, settings, counts, record)
            await transaction.commit()
    finally:
        await unit.close()


def _append_control(
    transaction: Transaction, settings: Settings, counts: dict[str, int], record: ControlRecord
) -> None:
    value = encode_record(record)
    journal = settings.topic(JOURNAL)
    for partition in range(counts[journal]):
        transaction.append(journal, partition, None, value)
    if isinstance(record, Activation):
        _append_rulebook(transaction, settings, counts, ACTIVATED_KEY, value)
