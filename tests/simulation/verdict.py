"""What must hold when everything came to rest, whatever happened on the way."""

from collections import defaultdict
from collections.abc import Iterator

from aiokafka import TopicPartition
from rulebooks import CHANGED, RICH
from seen import Folded, Input, Seen, check_equals_a_plain_fold, check_every_offset_has_one_fate

from schemas.bankday import BankCalendar
from schemas.deadletters import DeadLetter, decode_dead_letter
from schemas.decode import Decoder
from schemas.journal import Activation, Tick, decode_record, encode_record
from schemas.topics import CONTROL_HEADER, CUSTOMERS, DEAD_LETTERS, JOURNAL, TAGS
from streams.lanes.stage import group_of
from streams.partitioner import partition_of
from streams.stages.redis_view import META_KEY as VIEW_META_KEY
from streams.stages.redis_view import _opened, _tag_text, customer_key, rule_key
from tagger.folding.meta import META_KEY
from tagger.ingest.committed import IngestState
from tagger.ingest.partition import InputPartition
from tagger.view import project_customer

from .bank import COUNTS
from .world import PROGRAMS, World, rulebook

_DISTURBED = ("fenced", "outcome unknown, state dropped", "fetch lost on the way, reading again")


def problems(world: World) -> Iterator[str]:
    """Everything that is not as it must be."""
    for name, error in world.failures:
        yield f"worker {name} could not go on: {error!r}"
    if world.plan.is_calm():
        for at, who, what, facts in world.story:
            if what in _DISTURBED:
                yield f"{at:.3f} {who} {what} {facts}, though nothing ever went wrong"
    seen = look(world)
    for check in (
        check_every_offset_has_one_fate,
        lambda _seen: check_ingest_counts_to_the_end_of_each_fetch(world),
        lambda seen: check_equals_a_plain_fold(seen, 7),
        lambda seen: check_equals_a_plain_ingest(world, seen),
        lambda _seen: check_redis_equals_changelog(world),
    ):
        try:
            check(seen)
        except AssertionError as error:
            yield f"{error}"[:2000] or repr(error)


def look(world: World) -> Seen:
    """What readers of the topics see."""
    logs, settings = world.broker.logs, world.settings
    numbers = range(world.plan.journal_partitions)
    live = {number: Folded() for number in numbers}
    for number in numbers:
        for record in logs[TopicPartition(TAGS, number)].committed():
            live[number].tags.setdefault(record.key.decode(), []).append(record.value)
        for record in logs[TopicPartition(CUSTOMERS, number)].committed():
            if record.key == META_KEY.encode():
                live[number].meta = record.value
            else:
                live[number].customers[record.key.decode()] = record.value
    journal = {
        number: [(record.offset, record.value) for record in logs[TopicPartition(JOURNAL, number)].committed()]
        for number in numbers
    }
    inputs: dict[tuple[str, int], Input] = {}
    for topic, count in COUNTS.items():
        for number in range(count):
            inputs[topic, number] = _input(world, TopicPartition(topic, number))
    books = {rulebook(text)[0]: {"pack.yaml": text} for text in (RICH, CHANGED)}
    return Seen(settings, inputs, journal, live, _letters(world), books, PROGRAMS)


def _letters(world: World) -> list[DeadLetter]:
    found = world.broker.logs[TopicPartition(DEAD_LETTERS, 0)].committed()
    return [decode_dead_letter(record.value) for record in found]


def _input(world: World, tp: TopicPartition) -> Input:
    log = world.broker.logs[tp]
    at = world.broker.offsets.get((group_of(world.settings, "ingest"), tp))
    records = [
        record.offset
        for record in log.committed()
        if record.value is not None or CONTROL_HEADER not in dict(record.headers)
    ]
    if at is None or not at.metadata:
        return Input(0 if not records else log.end, records, 0, IngestState(first_offset=0, next_offset=0))
    # A reader learns of markers at the end only with the record after them.
    end = log.end if log.read(at.offset, 1, committed=True)[0] else at.offset
    return Input(end, records, at.offset, IngestState.from_metadata(at.metadata))


def check_ingest_counts_to_the_end_of_each_fetch(world: World) -> None:
    """Markers and aborted records behind the last record of a fetch are counted with it, not with a later one."""
    group = group_of(world.settings, "ingest")
    for of, tp, offset in sorted(world.broker.positions):
        is_told = of != group or offset == 0 or (tp, offset) in world.fetch_ends
        assert is_told, f"ingest committed {offset} of {tp.topic}-{tp.partition}, where no fetch ended"


def check_equals_a_plain_ingest(world: World, seen: Seen) -> None:
    """Events, their order and bytes in each journal partition, dead letters, and the source's last time."""
    found: dict[tuple[str, int], list[tuple[int, bytes]]] = defaultdict(list)
    times: dict[tuple[str, int, int], int] = {}
    for number, log in seen.journal.items():
        for _, value in log:
            record = decode_record(value)
            if isinstance(record, Tick):
                known = times.get((record.topic, record.partition, number), -1)
                told = -1 if record.time_ms is None else record.time_ms
                assert told >= known, f"the time of {record.topic}-{record.partition} falls in journal {number}"
                times[record.topic, record.partition, number] = told
            elif not isinstance(record, Activation):
                found[record.source.topic, record.source.partition].append((number, value))
    letters = {
        (letter.source.topic, letter.source.partition, letter.source.offset): (letter.reason, letter.field)
        for letter in seen.dead_letters
    }
    for (topic, partition), given in seen.inputs.items():
        source = InputPartition(topic, partition, COUNTS[topic], Decoder({}), world.settings.ingest())
        records = world.broker.logs[TopicPartition(topic, partition)].committed()
        state, ingested = source.read(source.start_at(IngestState(), 0), records, world.wall_ms())
        expected: dict[int, list[bytes]] = defaultdict(list)
        for event in ingested.events:
            home = partition_of(event.customer_id.encode(), world.plan.journal_partitions)
            expected[home].append(encode_record(event))
        name = f"{topic}-{partition}"
        for number in seen.journal:
            got = [value for home, value in found[topic, partition] if home == number]
            assert got == expected[number], f"{name} in journal {number}: expected {expected[number]}, got {got}"
            if source.moves_clock and world.settings.clock == "events" and given.end:
                told = times.get((topic, partition, number), -1)
                assert told == (-1 if state.time_ms is None else state.time_ms), f"{name}: last tick {told}"
        for letter in ingested.dead_letters:
            place = (topic, partition, letter.source.offset)
            assert letters.get(place) == (letter.reason, letter.field), f"{place}: {letters.get(place)}"


def check_redis_equals_changelog(world: World) -> None:
    """Every key of the view, and no other."""
    calendar, expected = BankCalendar(world.settings.zone), {}
    for number in range(world.plan.journal_partitions):
        tp = TopicPartition(CUSTOMERS, number)
        last = {record.key: record for record in world.broker.logs[tp].committed()}
        for record in last.values():
            if record.key == META_KEY.encode():
                continue
            customer = record.key.decode()
            view = project_customer(customer, record.value, calendar)
            expected[customer_key(customer, "profile")] = {**view.profile, "version": str(record.offset)}
            if view.tags:
                expected[customer_key(customer, "tags")] = {i: _tag_text(tag) for i, tag in view.tags.items()}
                expected[customer_key(customer, "rules")] = _opened(view)
            for rule, opened in _opened(view).items():
                expected.setdefault(rule_key(rule), {})[customer] = opened
    found = {
        key: {field: text for field, text in value.items() if field != "epoch"}
        for key, value in world.store.data.items()
        if not key.endswith(":epochs") and key != VIEW_META_KEY
    }
    for key in sorted({*found, *expected}):
        assert found.get(key) == expected.get(key), f"{key}: expected {expected.get(key)}, got {found.get(key)}"
