"""Sending dead letters again, mended or as they are, each at most once.

A replayed record lies in the input partition that its dead letter came from, with the header
`tagger-replayed-from: bank.transactions-3@812`: where the first bad record of its history lies, also when a
replayed record became a dead letter itself and was mended once more.

**Once.** Before anything is sent the transactional id `<app>-dead-letters` is fenced, so that one replay goes on
at a time, and the input topics are searched for the headers of earlier ones, from the time of the oldest dead
letter on. A dead letter whose replay was not refused in its turn is passed over, whatever was set in it, an
`event_id` too, so that no mending can apply it twice. What is sent is sent in transactions, so that a replay that
breaks off can be run again. Where input retention has deleted the earlier replay, the `event_id` is what is left:
the record is a duplicate while decide remembers it (`dedupe_days`).
"""

from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from aiokafka import TopicPartition

from schemas.deadletters import BadRecord, DeadLetter, decode_dead_letter
from schemas.decode import Decoder
from schemas.topics import DEAD_LETTERS, INPUTS
from streams.clients import POLL_MS, offset_ranges, open_reader, partition_counts, read_topic
from streams.lanes.unit_of_work import UnitOfWork
from streams.settings import Settings
from streams.sources.jsonl import customer_key

REPLAYED_HEADER = "tagger-replayed-from"
_BATCH_BYTES = 4_000_000
# Clocks of ingest and of whoever replayed may differ; a record is found by its time.
_CLOCK_SLACK_MS = 86_400_000
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()


class CannotMendError(Exception):
    """A dead letter cannot be sent; the message says what was expected, and what to do."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What to change in a payload.

    Attributes:
        members: top-level field → its JSON text, None to leave the field out.
        value: stands in the place of the whole payload.
    """

    members: Mapping[str, bytes | None] = field(default_factory=dict)
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one dead letter: `sent`, `replayed before` or `refused`, and why."""

    place: str
    outcome: str
    why: str | None = None


def place_of(letter: DeadLetter) -> str:
    """Where a dead letter's record lies: `bank.transactions-3@812`."""
    return f"{letter.message_key}@{letter.source.offset}"


def mend(letter: DeadLetter, edit: Edit, decoder: Decoder) -> bytes:
    """The value to send; members that are not edited stay byte for byte.

    Raises:
        CannotMendError: the payload is not whole, or no JSON object to set a field in, or would be refused again.
    """
    value = _whole_payload(letter) if edit.value is None else edit.value
    if edit.members:
        value = _with_members(letter, value, edit.members)
    source = letter.source
    try:
        decoder.decode(source.topic, source.partition, source.offset, value)
    except BadRecord as error:
        raise CannotMendError(f"would be refused again: {error}") from error
    except KeyError as error:
        raise CannotMendError(f"expected one of the input topics, got {source.topic}") from error
    return value


def _whole_payload(letter: DeadLetter) -> bytes:
    if letter.payload is None:
        raise CannotMendError("expected a payload, the record had none: give its value with --file")
    if letter.payload_size is not msgspec.UNSET:
        raise CannotMendError(
            f"expected the whole payload, the dead letter holds the beginning of {letter.payload_size} bytes: "
            "give the value with --file"
        )
    return b64decode(letter.payload) if letter.payload_encoding == "base64" else letter.payload.encode()


def _with_members(letter: DeadLetter, value: bytes, edits: Mapping[str, bytes | None]) -> bytes:
    try:
        members = _MEMBERS.decode(value)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise CannotMendError(
            "expected a JSON object to set fields in, got none: give the value with --file"
        ) from error
    if letter.reason == "duplicate_field" and letter.field not in edits:
        raise CannotMendError(
            f"expected to be told which {letter.field} is meant: set it, or give the value with --file"
        )
    for name, text in edits.items():
        if text is None:
            members.pop(name, None)
        else:
            members[name] = msgspec.Raw(text)
    return _ENCODER.encode(members)


async def replay(
    settings: Settings,
    wanted: Callable[[DeadLetter], Edit | None],
    *,
    dry_run: bool = False,
) -> AsyncIterator[Outcome]:
    """Send dead letters again.

    Args:
        wanted: what to change in a dead letter; None leaves it where it is.
        dry_run: send nothing, and say what would be.

    Raises:
        UnreachableError, MissingTopicError: as `read_topic`.
        FencedError: somebody else began to replay; nothing of the batch under way was sent.
        OutcomeUnknownError: the broker went away; run the same again.
    """
    unit = UnitOfWork(settings, f"{settings.app}-dead-letters")
    try:
        if not dry_run:
            await unit.fence()
        refused, oldest_ms = await _survey(settings, wanted)
        origins = {} if oldest_ms is None else await _origins(settings, oldest_ms - _CLOCK_SLACK_MS)
        replaying = _Replaying(settings, unit, dry_run, origins, refused)
        async for record in read_topic(settings, settings.topic(DEAD_LETTERS), whole=True):
            letter = decode_dead_letter(record.value)
            edit = wanted(letter)
            if edit is not None:
                for outcome in await replaying.take(letter, edit):
                    yield outcome
        for outcome in await replaying.send():
            yield outcome
    finally:
        await unit.close()


async def _survey(settings: Settings, wanted: Callable[[DeadLetter], Edit | None]) -> tuple[set[str], int | None]:
    """The places of all dead letters, and the time of the oldest one wanted."""
    places, oldest_ms = set(), None
    async for record in read_topic(settings, settings.topic(DEAD_LETTERS), whole=True):
        letter = decode_dead_letter(record.value)
        places.add(place_of(letter))
        if wanted(letter) is not None:
            at_ms = int(datetime.fromisoformat(letter.at).timestamp() * 1000)
            oldest_ms = at_ms if oldest_ms is None else min(oldest_ms, at_ms)
    return places, oldest_ms


async def _origins(settings: Settings, since_ms: int) -> dict[str, str]:
    """Place of each replayed record → what its header says, in all input topics."""
    topics = {settings.topic(topic): topic for topic in INPUTS}
    counts = await partition_counts(settings, list(topics))
    tps = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
    found: dict[str, str] = {}
    async with open_reader(settings, "be searched for replayed records") as consumer:
        consumer.assign(tps)
        begins = await consumer.offsets_for_times(dict.fromkeys(tps, max(0, since_ms)))
        ranges = await offset_ranges(settings, tps)
        for tp in tps:
            at = begins.get(tp)
            position, end = (ranges[tp][1] if at is None else at.offset), (await consumer.end_offsets([tp]))[tp]
            consumer.seek(tp, position)
            while position < end:
                for record in (await consumer.getmany(tp, timeout_ms=POLL_MS)).get(tp, []):
                    for name, text in record.headers:
                        if name == REPLAYED_HEADER:
                            found[f"{topics[tp.topic]}-{tp.partition}@{record.offset}"] = text.decode()
                position = await consumer.position(tp)
    return found


class _Replaying:
    """One replay under way."""

    def __init__(
        self,
        settings: Settings,
        unit: UnitOfWork,
        dry_run: bool,
        origins: Mapping[str, str],
        refused: Collection[str],
    ) -> None:
        self._settings = settings
        self._unit = unit
        self._dry_run = dry_run
        self._origins = origins
        self._decoder = Decoder(settings.rates)
        self._done = {origin: place for place, origin in origins.items() if place not in refused}
        self._waiting: list[tuple[DeadLetter, bytes, str]] = []
        self._waiting_bytes = 0
        self._seen: set[str] = set()

    async def take(self, letter: DeadLetter, edit: Edit) -> Iterable[Outcome]:
        place = place_of(letter)
        origin = self._origins.get(place, place)
        if place in self._seen:
            return []
        self._seen.add(place)
        if origin in self._done:
            return [Outcome(place, "replayed before", f"it lies at {self._done[origin]}")]
        try:
            value = mend(letter, edit, self._decoder)
        except CannotMendError as error:
            return [Outcome(place, "refused", str(error))]
        self._done[origin] = "the same run"
        self._waiting.append((letter, value, origin))
        self._waiting_bytes += len(value)
        return await self.send() if self._waiting_bytes >= _BATCH_BYTES else []

    async def send(self) -> Iterable[Outcome]:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if waiting and not self._dry_run:
            async with self._unit.begin() as transaction:
                for letter, value, origin in waiting:
                    transaction.append(
                        self._settings.topic(letter.source.topic),
                        letter.source.partition,
                        _key(letter, value),
                        value,
                        headers=[(REPLAYED_HEADER, origin.encode())],
                    )
                await transaction.commit()
        return [
            Outcome(place_of(letter), "would be sent" if self._dry_run else "sent") for letter, _, _ in waiting
        ]


def _key(letter: DeadLetter, value: bytes) -> bytes | None:
    """The record's own key where the dead letter holds it whole, else the customer's."""
    if letter.key is None or letter.key_size is not msgspec.UNSET:
        return customer_key(value)
    return b64decode(letter.key) if letter.key_encoding == "base64" else letter.key.encode()
