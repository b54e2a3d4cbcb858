"""A changelog of any number of customers: copies of a made-up bank's, as the shipped packs fold them.

So states have the size and the deadlines that those packs give them; a state does not hold its customer's id. Each
customer stands in the changelog once, as after compaction.
"""

import time
from collections import Counter
from collections.abc import Iterable

import msgspec
from aiokafka import TopicPartition

from schemas.topics import APP_EVENTS, CUSTOMERS, JOURNAL, TRANSACTIONS
from streams.clients import offset_ranges
from streams.history import Refused, read_journal
from streams.lanes.unit_of_work import UnitOfWork
from streams.partitioner import partition_of
from streams.rulebooks.activation import bootstrap, published
from streams.settings import Settings
from streams.sources.formats import OpenSource
from streams.sources.simulate import Plan, simulate
from tagger.folding.meta import META_KEY, Meta, encode_meta
from tagger.folding.partition import Partition
from tagger.folding.plain_fold import fold

MODELS = 500
DAYS = 60
_BATCH_BYTES = 4_000_000


async def fold_made_up_bank(settings: Settings) -> Partition:
    """Put the shipped packs in force on a deployment not begun, and fold a bank of `MODELS` customers under them.

    Returns:
        The bank, in one partition; its sources have ended.
    """
    digest = await bootstrap(settings)
    assert digest is not None
    files = (await published(settings)).rulebooks[digest].files
    partition = Partition(settings.core(), {digest: files}.__getitem__)
    topics = frozenset({TRANSACTIONS, APP_EVENTS})
    source = OpenSource(simulate(Plan(customers=MODELS, days=DAYS)).records(), topics, Counter())
    fold(partition, digest, read_journal(source, settings, int(time.time() * 1000), Refused(Counter())))
    return partition


async def write_changelog(settings: Settings, states: Iterable[tuple[bytes, bytes]], meta: Meta) -> int:
    """Write customers, id and encoded state, and a meta record a partition that goes on at the journal's end.

    Returns:
        The bytes of all states.
    """
    journal, changelog = settings.topic(JOURNAL), settings.topic(CUSTOMERS)
    partitions = [TopicPartition(journal, number) for number in range(settings.partitions)]
    ranges = await offset_ranges(settings, partitions)
    unit = UnitOfWork(settings, f"{settings.app}-writer")
    await unit.fence()
    left, total = iter(states), 0
    last = False
    while not last:
        async with unit.begin() as batch:
            last = True
            for key, state in left:
                batch.append(changelog, partition_of(key, settings.partitions), key, state)
                total += len(state)
                if batch.size_bytes >= _BATCH_BYTES:
                    last = False
                    break
            if last:
                for tp, (_, end) in ranges.items():
                    value = encode_meta(msgspec.structs.replace(meta, next_offset=end))
                    batch.append(changelog, tp.partition, META_KEY.encode(), value)
            await batch.commit()
    await unit.close()
    return total
