"""DECIDE on a real broker: what it reads, what it restores, where it begins. The fold only counts."""

from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete
from counting import expected_tags
from counting_run import Deployment, numbered, until
from kafka_broker import KafkaBroker

from schemas.topics import CUSTOMERS, TAGS
from streams import failpoints
from streams.clients import offset_ranges, open_admin, open_producer, read_topic
from streams.failpoints import FailPointError
from streams.lanes.stage import ForeignRecordError, PositionError
from streams.lanes.unit_of_work import FencedError, OutcomeUnknownError, RecordTooLargeError, UnitOfWork
from streams.refold import refold
from streams.rulebooks.folder import read_folder
from streams.stages.restore import HangingTransactionError, restore
from streams.topics import create
from tagger.packs.rulebook import read_rulebook

pytestmark = pytest.mark.kafka
RULES = Path(__file__).resolve().parents[2] / "rules"


@pytest.fixture
async def deployment(kafka: KafkaBroker, topic_prefix: str, tmp_path: Path) -> Deployment:
    return await Deployment.create(kafka.bootstrap, topic_prefix, tmp_path, partitions=2)


async def test_tags_equal_those_of_a_plain_fold(deployment: Deployment) -> None:
    with deployment.running():
        await deployment.write(numbered(500))
        worker = deployment.start_worker()
        await deployment.settle()
        await deployment.write(numbered(500, start=500))
        await deployment.settle()
        assert await worker.leave() == 0


async def test_aborted_and_open_journal_records_are_never_seen(deployment: Deployment) -> None:
    with deployment.running():
        deployment.start_worker()
        await deployment.write(numbered(100))
        async with open_producer(deployment.settings, "upstream") as upstream:
            await upstream.begin_transaction()
            await deployment.send(numbered(100, start=1000), upstream)
            await upstream.abort_transaction()
            await deployment.write(numbered(100, start=100))
            await deployment.settle()
            await upstream.begin_transaction()
            await deployment.send(numbered(100, start=200), upstream)
            before = await deployment.tags()
            assert before == expected_tags(deployment.events)
            await upstream.commit_transaction()
        deployment.events += numbered(100, start=200)
        await deployment.settle()


async def test_a_restart_goes_on_from_the_changelog(deployment: Deployment) -> None:
    with deployment.running():
        for number in range(3):
            worker = deployment.start_worker()
            await deployment.write(numbered(200, start=200 * number))
            await deployment.settle()
            assert await worker.leave() == 0


async def test_restore_takes_the_last_committed_value_of_each_key(deployment: Deployment) -> None:
    changelog = TopicPartition(deployment.settings.topic(CUSTOMERS), 1)
    async with open_producer(deployment.settings, "writer") as writer:

        async def put(*records: tuple[bytes, bytes | None]) -> None:
            for key, value in records:
                await writer.send_and_wait(changelog.topic, value, key, changelog.partition)

        await writer.begin_transaction()
        await put((b"A", b"1"), (b"B", b"1"), (b"C", b"1"), (b"#meta", b"m1"))
        await writer.commit_transaction()
        await writer.begin_transaction()
        await put((b"A", b"2"), (b"B", None), (b"#meta", b"m2"))
        await writer.commit_transaction()
        await writer.begin_transaction()
        await put((b"A", b"never"), (b"D", b"never"), (b"#meta", b"never"))
        await writer.abort_transaction()

    restored = await restore(deployment.settings, changelog)

    assert restored.customers == {"A": b"2", "C": b"1"}
    assert restored.meta == b"m2"


async def test_restore_names_the_transaction_that_hangs(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.clients.BROKER_GRACE_SECONDS", 0.5)
    patient = deployment.settings.model_copy(update={"transaction_timeout_ms": 60_000})
    hasty = deployment.settings.model_copy(update={"transaction_timeout_ms": 1000})
    changelog = TopicPartition(deployment.settings.topic(CUSTOMERS), 0)
    async with open_producer(patient, "foreign") as foreign:
        await foreign.begin_transaction()
        await foreign.send_and_wait(changelog.topic, b"x", b"A", 0)
        await foreign.commit_transaction()
        await foreign.begin_transaction()
        await foreign.send_and_wait(changelog.topic, b"y", b"A", 0)
        with pytest.raises(HangingTransactionError, match=r"up to 3.*began at offset 2.*--start-offset 2"):
            await restore(hasty, changelog)
        await foreign.abort_transaction()
    assert (await restore(hasty, changelog)).customers == {"A": b"x"}


async def test_the_older_owner_cannot_commit_after_the_fence(deployment: Deployment) -> None:
    unit, newer = (UnitOfWork(deployment.settings, "one-id") for _ in range(2))
    changelog = TopicPartition(deployment.settings.topic(CUSTOMERS), 0)

    async def write(writer: UnitOfWork, value: bytes) -> None:
        async with writer.begin() as transaction:
            transaction.append(changelog.topic, 0, b"A", value)
            await transaction.commit()

    await unit.fence()
    await write(unit, b"old")
    await newer.fence()
    with pytest.raises(FencedError):
        await write(unit, b"zombie")
    await write(newer, b"new")
    assert (await restore(deployment.settings, changelog)).customers == {"A": b"new"}
    await unit.close()
    await newer.close()


async def test_leaving_without_commit_aborts(deployment: Deployment) -> None:
    unit = UnitOfWork(deployment.settings, "careless")
    changelog = TopicPartition(deployment.settings.topic(CUSTOMERS), 0)
    await unit.fence()
    async with unit.begin() as transaction:
        transaction.append(changelog.topic, 0, b"A", b"1")
    async with unit.begin() as transaction:
        transaction.append(changelog.topic, 0, b"B", b"1")
        await transaction.commit()
    await unit.close()
    assert (await restore(deployment.settings, changelog)).customers == {"B": b"1"}


async def test_records_of_one_transaction_are_cut_into_batches_a_broker_takes(deployment: Deployment) -> None:
    unit = UnitOfWork(deployment.settings, "large")
    changelog = TopicPartition(deployment.settings.topic(CUSTOMERS), 0)
    states = {f"C{number}": bytes([number]) * 300_000 for number in range(12)}
    largest = b"x" * (deployment.settings.max_record_bytes - 1)
    await unit.fence()
    async with unit.begin() as transaction:
        for customer, state in states.items():
            transaction.append(changelog.topic, 0, customer.encode(), state)
        transaction.append(changelog.topic, 0, b"L", largest)
        for number in range(12_000):
            transaction.append(changelog.topic, 0, b"small", b"%d" % number)
        with pytest.raises(RecordTooLargeError, match=r"key C-too-large, got 1000001"):
            transaction.append(changelog.topic, 0, b"C-too-large", b"x" * (1_000_001 - len(b"C-too-large")))
        await transaction.commit()
    await unit.close()
    restored = await restore(deployment.settings, changelog)
    assert restored.customers == {**states, "L": largest, "small": b"11999"}


async def test_a_journal_cut_before_its_first_decision_is_refused(deployment: Deployment) -> None:
    await deployment.write(numbered(100))
    async with open_admin(deployment.settings) as admin:
        await admin.delete_records({TopicPartition(deployment.journal, 0): RecordsToDelete(before_offset=3)})
    task = deployment.task(0)
    with pytest.raises(PositionError, match="journal begins at 3"):
        await task.take_over()
    await task.release()


async def test_a_journal_that_ingest_began_before_decide_is_begun_at_its_start(deployment: Deployment) -> None:
    await deployment.write(numbered(100))
    task = deployment.task(0)
    assert await task.take_over() == 0
    await task.release()


async def decide_and_leave(deployment: Deployment) -> None:
    """A tag for each customer, by a worker that is gone then."""
    with deployment.running():
        await deployment.write(numbered(200))
        worker = deployment.start_worker()
        await deployment.settle()
        assert await worker.leave() == 0


async def make_anew(deployment: Deployment, *topics: str) -> None:
    """Delete topics with all that they hold, and create them again."""
    names = {deployment.settings.topic(topic) for topic in topics}
    async with open_admin(deployment.settings) as admin:
        await admin.delete_topics(sorted(names))

    async def are_gone() -> bool:
        async with open_admin(deployment.settings) as admin:
            return not names & set(await admin.list_topics())

    await until(are_gone, "topics to be deleted")
    await create(deployment.settings)


async def test_a_changelog_that_was_lost_is_refused(deployment: Deployment) -> None:
    await decide_and_leave(deployment)
    await make_anew(deployment, CUSTOMERS)
    task = deployment.task(0)
    with pytest.raises(PositionError, match=r"the group's offset of .* is \d+,.*the changelog is lost"):
        await task.take_over()
    await task.release()


async def test_a_lost_changelog_is_refused_also_by_a_group_that_has_no_offset_any_more(
    deployment: Deployment,
) -> None:
    """A group's offsets expire when it is idle; another `app` has another group, and so none either."""
    await decide_and_leave(deployment)
    await make_anew(deployment, CUSTOMERS)
    deployment.settings = deployment.settings.model_copy(update={"app": f"{deployment.settings.app}-again"})
    task = deployment.task(0)
    with pytest.raises(PositionError, match=r"tags were written to .*tags-0: the changelog is lost"):
        await task.take_over()
    await task.release()

    await make_anew(deployment, TAGS)
    task = deployment.task(0)
    assert await task.take_over() == 0, "the whole journal is decided again, as the error says"
    await task.release()


async def test_a_first_transaction_that_was_aborted_is_no_beginning(deployment: Deployment) -> None:
    """It leaves tags that nobody may act on, and an end of their partition above 0."""
    settings, tags = deployment.settings, TopicPartition(deployment.settings.topic(TAGS), 0)

    async def break_off(place: str, _nth: int) -> None:
        if place == "unit.after-offsets":
            raise FailPointError

    await deployment.write(numbered(200))
    records = [record async for record in read_topic(settings, deployment.journal, [0])]
    task = deployment.task(0)
    await task.take_over()
    with failpoints.arming(break_off), pytest.raises(OutcomeUnknownError):
        await task.process(records)
    await task.release()
    assert (await offset_ranges(settings, [tags]))[tags][1] > 0
    again = deployment.task(0)
    assert await again.take_over() == 0
    await again.release()


@pytest.mark.parametrize("value", [b'{"event_id": "t-1"}', None])
async def test_a_record_that_ingest_did_not_write_is_named_by_its_place(
    deployment: Deployment, value: bytes | None
) -> None:
    await deployment.write(numbered(20))
    async with open_producer(deployment.settings) as producer:
        wrong = await producer.send_and_wait(deployment.journal, value, b"C1", 0)
    records = [record async for record in read_topic(deployment.settings, deployment.journal, [0])]
    told = f"expected a journal record at {deployment.journal}-0@{wrong.offset}, found one that is none"
    task = deployment.task(0)
    await task.take_over()
    with pytest.raises(ForeignRecordError, match=told):
        await task.process(records)
    await task.release()
    with pytest.raises(ForeignRecordError, match=told):
        await refold(deployment.settings, read_rulebook(read_folder(RULES)))


async def test_a_changelog_that_lost_its_end_is_refused(deployment: Deployment) -> None:
    await decide_and_leave(deployment)
    settings, journal = deployment.settings, TopicPartition(deployment.journal, 0)
    group = f"{settings.app}-decide"
    # Where decide stands is certain only once its producer is fenced: its last commit may still be under way.
    earlier = deployment.task(0)
    at = await earlier.take_over()
    await earlier.release()
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        group_id=group,
        enable_auto_commit=False,  # which would commit where the group stood, over ours
    ) as consumer:
        consumer.assign([journal])
        await consumer.commit({journal: at + 5})
    task = deployment.task(0)
    with pytest.raises(PositionError, match=f"at most {at}, .*found {at + 5}: the changelog's end is lost"):
        await task.take_over()
    await task.release()


async def test_a_worker_waits_for_a_journal_partition_to_be_fenced_free(deployment: Deployment) -> None:
    """A producer of the same transactional id fences the worker: it asks the group, and takes over anew."""
    with deployment.running():
        worker = deployment.start_worker()
        await deployment.write(numbered(100))
        await deployment.settle()
        intruder = deployment.task(0)
        await intruder.take_over()
        await intruder.release()
        await deployment.write(numbered(300, start=100))
        await until(lambda: len(worker.events("fenced")) > 0, "the worker to notice that it was fenced")
        await deployment.settle()
        taken = [event for event in worker.events("taken over") if str(event["partition"]).endswith("-0")]
        assert len(taken) == 2
        assert await worker.leave() == 0
