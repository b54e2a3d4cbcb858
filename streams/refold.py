"""Fold the deployment's own journal again, apart from the workers: the same core, no effect outside.

`refold` reads it partition by partition and read committed, and under the rulebooks that were in force then gives
the very bytes that the workers published; under another it says what that one would have decided.
"""

from schemas.journal import Activation, decode_record
from schemas.topics import JOURNAL
from streams.clients import partition_counts, read_topic
from streams.lanes.stage import ForeignRecordError
from streams.rulebooks.activation import published
from streams.settings import Settings
from tagger.compiler.program import Program
from tagger.folding.partition import Partition
from tagger.folding.plain_fold import Emit, Folding, Progress
from tagger.packs.rulebook import Rulebook


async def refold(
    settings: Settings,
    rulebook: Rulebook | None = None,
    emit: Emit = lambda tag: None,
    progress: Progress = lambda folded: None,
) -> list[Partition]:
    """Fold the deployment's journal from its beginning to its end as of now.

    Args:
        rulebook: the one to decide by; None: those that were in force.
        emit: is given the tags, partition after partition.

    Returns:
        The partitions as folded.

    Raises:
        UnreachableError, MissingTopicError: as `read_topic`.
        ForeignRecordError: the journal holds a record that ingest did not write.
    """
    if rulebook is None:
        files = {digest: book.files for digest, book in (await published(settings)).rulebooks.items()}
    else:
        files = {rulebook.digest: dict(rulebook.files)}
    topic = settings.topic(JOURNAL)
    done, partitions = 0, []
    programs: dict[str, Program] = {}
    for number in range((await partition_counts(settings, [topic]))[topic]):
        partition = Partition(settings.core(), files.__getitem__, programs=programs)
        folding = Folding(partition, emit, progress, done)
        if rulebook is not None:
            folding.take(Activation(digest=rulebook.digest))
        async for message in read_topic(settings, topic, [number], whole=True):
            try:
                record = decode_record(message.value)
            except (TypeError, ValueError) as error:
                raise ForeignRecordError(message, error) from error
            if rulebook is None or type(record) is not Activation:
                folding.take(record)
        folding.finish()
        done = folding.done
        partitions.append(partition)
    return partitions
