"""What a pipeline has done so far, as its topics tell it: tags, dead letters, and the fate of every record.

`Follower` reads the output topics from their beginning, read committed, as any outside reader would. It belongs to
no group and writes nothing, so it may look at a pipeline that others run.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from schemas.deadletters import decode_dead_letter
from schemas.topics import CUSTOMERS, DEAD_LETTERS, TAGS
from streams.clients import POLL_MS, open_reader, partition_counts
from streams.settings import Settings
from tagger.folding.meta import META_KEY, Meta, decode_meta


@dataclass(slots=True)
class Followed:
    """What has been read so far.

    Attributes:
        tags: how many by rule and change.
        all_tags: every tag event, in the order read.
        dead_letters: how many by reason.
        metas: the newest meta record of each journal partition.
    """

    tags: Counter[tuple[str, str]] = field(default_factory=Counter)
    all_tags: list[Mapping[str, Any]] = field(default_factory=list)
    dead_letters: Counter[str] = field(default_factory=Counter)
    metas: dict[int, Meta] = field(default_factory=dict)

    def fates(self) -> Counter[str]:
        """How many input records came to each fate."""
        total: Counter[str] = Counter()
        for meta in self.metas.values():
            for fates in meta.fates.values():
                total.update(applied=fates.applied, duplicate=fates.duplicate, late=fates.late)
        total["dead-letter"] = self.dead_letters.total()
        return total

    def closed(self, partitions: int, sources: int) -> bool:
        """Whether each of the journal's partitions knows that all sources have ended, and has swept.

        Args:
            partitions: of the journal.
            sources: input partitions that make up the clock.
        """
        return len(self.metas) == partitions and all(
            sum(source.closed for source in meta.sources.values()) == sources and not meta.unswept
            for meta in self.metas.values()
        )


class Follower:
    """Follows a deployment's outputs into `seen` for as long as `follow` runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.seen = Followed()
        self._take = {
            settings.topic(TAGS): self._tag,
            settings.topic(DEAD_LETTERS): self._dead_letter,
            settings.topic(CUSTOMERS): self._changelog,
        }

    async def follow(self) -> None:
        """Read on until cancelled.

        Raises:
            MissingTopicError: an output topic does not exist.
            UnreachableError: no broker answers.
        """
        counts = await partition_counts(self._settings, list(self._take))
        places = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        async with open_reader(self._settings, "be followed") as reader:
            reader.assign(places)
            for place in places:
                reader.seek(place, 0)
            while True:
                for records in (await reader.getmany(timeout_ms=POLL_MS)).values():
                    for record in records:
                        self._take[record.topic](record)
                await asyncio.sleep(0)

    def _tag(self, record: ConsumerRecord) -> None:
        tag = msgspec.json.decode(record.value)
        self.seen.tags[tag["rule"], tag["change"]] += 1
        self.seen.all_tags.append(tag)

    def _dead_letter(self, record: ConsumerRecord) -> None:
        self.seen.dead_letters[decode_dead_letter(record.value).reason] += 1

    def _changelog(self, record: ConsumerRecord) -> None:
        if record.key == META_KEY.encode() and record.value is not None:
            self.seen.metas[record.partition] = decode_meta(record.value)
