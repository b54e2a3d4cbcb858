"""The doctor on a real broker and Redis: silent on a sound deployment, and every planted damage is found."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from click.testing import CliRunner
from counting_run import until
from kafka_broker import KafkaBroker
from pipeline import Pipeline
from task_deployment import TaskDeployment

from schemas.topics import CUSTOMERS, DEAD_LETTERS, INPUTS, JOURNAL, TAGS, TRANSACTIONS
from streams.child import free_port
from streams.cli.doctor import doctor
from streams.clients import committed_offsets, open_producer, read_topic
from streams.doctor.examine import examine
from streams.doctor.report import Report
from streams.lanes.stage import group_of
from streams.lanes.unit_of_work import UnitOfWork
from streams.partitioner import partition_of
from streams.publish import publish
from streams.rulebooks import activation
from streams.settings import Settings
from streams.sources.record import SourceRecord
from streams.sources.simulate import Plan, simulate
from streams.stages import decide
from streams.stages.redis_view import customer_key, rule_key
from streams.topics import create
from tagger.folding.meta import META_KEY, decode_meta, encode_meta
from tagger.ingest.committed import IngestState
from tagger.state.customer import decode_state, encode_state

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 2
ALL = 10_000
"""A sample larger than the bank."""


def bank() -> list[SourceRecord]:
    """Made-up customers with repeated, late and broken records among them."""
    return list(simulate(Plan(customers=26, days=14)).records())


@pytest.fixture
async def deployment(kafka: KafkaBroker, topic_prefix: str, redis_url: str) -> AsyncIterator[TaskDeployment]:
    async with TaskDeployment.open(kafka.bootstrap, topic_prefix, redis_url, partitions=PARTITIONS) as made:
        await made.run(bank())
        yield made


async def examined(deployment: TaskDeployment, sample: int = ALL, *customers: str) -> Report:
    return await examine(deployment.settings, sample, customers)


async def test_a_sound_deployment_has_no_findings(deployment: TaskDeployment) -> None:
    report = await examined(deployment)
    assert (report.findings, report.not_checked, report.unreachable) == ([], [], None)
    checked = report.checked
    assert checked["customers folded again"] == checked["customers in Redis"] == 26
    assert checked["input partitions"] == len(INPUTS) * PARTITIONS
    assert checked["tags"] > 26
    assert [(clock.partition, clock.held_by) for clock in report.clocks] == [(0, None), (1, None)]
    assert all(clock.at is not None for clock in report.clocks)
    assert (await examined(deployment, sample=0)).findings == []
    assert (await examined(deployment, sample=4)).checked["customers folded again"] == 4


# Damages. Each is done to a sound deployment, and says what the doctor must find.

Damage = Callable[[TaskDeployment], Awaitable[tuple[str, str]]]


async def a_member_of_a_rules_set_gone(deployment: TaskDeployment) -> tuple[str, str]:
    customer, redis = await deployment.tagged(), deployment.redis
    held = [key async for key in redis.scan_iter("tagger:rule:{*}") if await redis.zscore(key, customer)]
    await redis.zrem(held[0], customer)
    return f"customer {customer}", f"{held[0]} to hold it since"


async def a_member_too_many(deployment: TaskDeployment) -> tuple[str, str]:
    await deployment.redis.zadd(rule_key("no-such-rule"), {await deployment.tagged(): 7})
    return f"customer {await deployment.tagged()}", f"{rule_key('no-such-rule')} not to hold it"


async def a_profile_gone(deployment: TaskDeployment) -> tuple[str, str]:
    customer = await deployment.tagged()
    await deployment.redis.delete(customer_key(customer, "profile"))
    return f"customer {customer}", "version "


async def a_profile_altered(deployment: TaskDeployment) -> tuple[str, str]:
    customer = await deployment.tagged()
    await deployment.redis.hset(customer_key(customer, "profile"), "assets", "1.00")
    return f"customer {customer}", "the profile that the changelog gives"


async def a_profile_of_an_older_state(deployment: TaskDeployment) -> tuple[str, str]:
    customer = await deployment.tagged()
    await deployment.redis.hset(customer_key(customer, "profile"), "version", "0")
    return f"customer {customer}", "version "


async def an_open_tag_gone(deployment: TaskDeployment) -> tuple[str, str]:
    customer = await deployment.tagged()
    tag_id = (await deployment.redis.hkeys(customer_key(customer, "tags")))[0]
    await deployment.redis.hdel(customer_key(customer, "tags"), tag_id)
    return f"customer {customer}", f"open tag {tag_id}"


async def a_customer_nobody_knows_in_redis(deployment: TaskDeployment) -> tuple[str, str]:
    await deployment.redis.hset(customer_key("ghost", "profile"), mapping={"assets": "1.00", "version": "0"})
    return "customer ghost", "nothing of a customer that the changelog does not hold"


async def a_redis_of_another_deployment(deployment: TaskDeployment) -> tuple[str, str]:
    await deployment.redis.hset("tagger:meta", "app", "another")
    return "tagger:meta", f"the view of the deployment {deployment.settings.app}"


async def a_partition_forgotten_by_redis(deployment: TaskDeployment) -> tuple[str, str]:
    await deployment.redis.hdel("tagger:meta", "1")
    return "partition 1", "the view of "


async def a_state_altered(deployment: TaskDeployment) -> tuple[str, str]:
    customer = await deployment.tagged()
    partition, value = (await deployment.last(CUSTOMERS))[customer]
    state = decode_state(value)
    state.revision += 1
    await deployment.send(CUSTOMERS, partition, customer, encode_state(state))
    await deployment.catch_up()  # Redis follows, and is no witness
    return f"customer {customer}", "the state that the journal gives"


async def a_state_lost(deployment: TaskDeployment) -> tuple[str, str]:
    customer = await deployment.tagged()
    await deployment.send(CUSTOMERS, partition_of(customer.encode(), PARTITIONS), customer, None)
    await deployment.catch_up()
    return f"customer {customer}", "a state"


async def a_state_from_nowhere(deployment: TaskDeployment) -> tuple[str, str]:
    partition, value = (await deployment.last(CUSTOMERS))[await deployment.tagged()]
    await deployment.send(CUSTOMERS, partition, "ghost", value)
    return "customer ghost", "no state without an event in the journal"


async def with_meta(deployment: TaskDeployment, change: Callable[[object], None]) -> int:
    partition, value = (await deployment.last(CUSTOMERS))[META_KEY]
    meta = decode_meta(value)
    change(meta)
    await deployment.send(CUSTOMERS, partition, META_KEY, encode_meta(meta))
    return partition


async def a_fate_of_decide_too_many(deployment: TaskDeployment) -> tuple[str, str]:
    def change(meta: object) -> None:
        next(iter(meta.fates.values())).applied += 1  # type: ignore[attr-defined]

    partition = await with_meta(deployment, change)
    return f"{JOURNAL}-{partition} of ", "as applied + duplicate + late, as the journal holds"


async def a_clock_set_back(deployment: TaskDeployment) -> tuple[str, str]:
    def change(meta: object) -> None:
        meta.clock_ms -= 1  # type: ignore[attr-defined]

    return (
        f"{CUSTOMERS}-{await with_meta(deployment, change)} #meta",
        "what the journal's ticks, activations and pauses give",
    )


async def ingested_as(deployment: TaskDeployment, **changes: int) -> str:
    """Alter what ingest has committed of one partition, adding to its counts; returns its name."""
    settings = deployment.settings
    tp = TopicPartition(settings.topic(TRANSACTIONS), 0)
    group = group_of(settings, "ingest")
    at = (await committed_offsets(settings, group, [tp]))[tp]
    state = IngestState.from_metadata(at.metadata)
    state = msgspec.structs.replace(state, **{name: getattr(state, name) + more for name, more in changes.items()})
    unit = UnitOfWork(settings, "vandal")
    await unit.fence()
    async with unit.begin() as transaction:
        transaction.offsets(group, {tp: (at.offset, state.to_metadata())})
        await transaction.commit()
    await unit.close()
    return f"{TRANSACTIONS}-0"


async def a_fate_of_ingest_too_many(deployment: TaskDeployment) -> tuple[str, str]:
    return await ingested_as(deployment, control=1), "one for each offset from 0 to"


async def a_record_said_to_be_passed_on(deployment: TaskDeployment) -> tuple[str, str]:
    return await ingested_as(deployment, passed_on=1, control=-1), "in the journal, as ingest passed on"


async def a_dead_letter_lost(deployment: TaskDeployment) -> tuple[str, str]:
    return await ingested_as(deployment, dead_letters=1, control=-1), "dead letters, as ingest counted"


async def a_journal_record_of_nobody(deployment: TaskDeployment) -> tuple[str, str]:
    partition, value = (await deployment.last(JOURNAL))[await deployment.tagged()]
    event = msgspec.json.decode(value)
    event["source"] = [TRANSACTIONS, 0, 900_000]
    await deployment.send(JOURNAL, partition, event["customer_id"], msgspec.json.encode(event))
    await deployment.catch_up()
    return f"{TRANSACTIONS}-0", "in the journal, as ingest passed on"


async def a_tag_twice(deployment: TaskDeployment) -> tuple[str, str]:
    customer, (partition, value) = next(iter((await deployment.last(TAGS)).items()))
    await deployment.send(TAGS, partition, customer, value)
    return f"{TAGS}-{partition}@", f"of {msgspec.json.decode(value)['tag_id']}"


async def a_tag_of_nobodys_decision(deployment: TaskDeployment) -> tuple[str, str]:
    customer, (partition, value) = next(iter((await deployment.last(TAGS)).items()))
    tag = msgspec.json.decode(value) | {"tag_id": "invented.1", "revision": 1}
    await deployment.send(TAGS, partition, customer, msgspec.json.encode(tag))
    return f"{TAGS}-{partition} customer {customer}", "tags, as the journal gives"


async def a_state_that_is_none(deployment: TaskDeployment) -> tuple[str, str]:
    customer = await deployment.tagged()
    await deployment.send(CUSTOMERS, partition_of(customer.encode(), PARTITIONS), customer, b"\xff")
    return f"customer {customer}", "a state of this release"


async def a_meta_record_that_is_none(deployment: TaskDeployment) -> tuple[str, str]:
    await deployment.send(CUSTOMERS, 0, META_KEY, b"{}}")
    return f"{CUSTOMERS}-0", "a meta record"


async def a_tag_that_is_none(deployment: TaskDeployment) -> tuple[str, str]:
    await deployment.send(TAGS, 0, "C1", b"{}")
    return f"{TAGS}-0@", "a tag event"


async def a_journal_record_that_is_none(deployment: TaskDeployment) -> tuple[str, str]:
    await deployment.send(JOURNAL, 0, "C1", b"{}")
    return f"{JOURNAL}-0@", "journal records only"


async def a_dead_letter_that_is_none(deployment: TaskDeployment) -> tuple[str, str]:
    await deployment.send(DEAD_LETTERS, 0, "bank.transactions-0", b"{}")
    return f"{DEAD_LETTERS}-0@", "a dead letter"


async def an_offset_of_ingest_without_counts(deployment: TaskDeployment) -> tuple[str, str]:
    settings = deployment.settings
    tp, group = TopicPartition(settings.topic(TRANSACTIONS), 0), group_of(settings, "ingest")
    at = (await committed_offsets(settings, group, [tp]))[tp]
    unit = UnitOfWork(settings, "vandal")
    await unit.fence()
    async with unit.begin() as transaction:
        transaction.offsets(group, {tp: (at.offset, "moved")})
        await transaction.commit()
    await unit.close()
    return f"{TRANSACTIONS}-0", f"counts in the metadata of ingest's offset {at.offset}"


DAMAGES: list[Damage] = [
    a_member_of_a_rules_set_gone,
    a_member_too_many,
    a_profile_gone,
    a_profile_altered,
    a_profile_of_an_older_state,
    an_open_tag_gone,
    a_customer_nobody_knows_in_redis,
    a_redis_of_another_deployment,
    a_partition_forgotten_by_redis,
    a_state_altered,
    a_state_lost,
    a_state_from_nowhere,
    a_fate_of_decide_too_many,
    a_clock_set_back,
    a_fate_of_ingest_too_many,
    a_record_said_to_be_passed_on,
    a_dead_letter_lost,
    a_journal_record_of_nobody,
    a_tag_twice,
    a_tag_of_nobodys_decision,
]
UNREADABLE: list[Damage] = [
    a_state_that_is_none,
    a_meta_record_that_is_none,
    a_tag_that_is_none,
    a_journal_record_that_is_none,
    a_dead_letter_that_is_none,
    an_offset_of_ingest_without_counts,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
async def test_a_damage_is_found_and_named(deployment: TaskDeployment, damage: Damage) -> None:
    where, expected = await damage(deployment)
    findings = (await examined(deployment)).findings
    assert [one for one in findings if where in one.where and expected in one.expected], findings
    assert all(one.found and one.remedy for one in findings)
    assert len(findings) <= 3, "what is not damaged is left alone"


async def test_what_cannot_be_read_is_a_finding_too(deployment: TaskDeployment) -> None:
    """All at once: none hides another, and none ends the examination."""
    expected = [await damage(deployment) for damage in UNREADABLE]
    findings = (await examined(deployment)).findings
    for where, what in expected:
        assert [one for one in findings if where in one.where and what in one.expected], (where, what, findings)


async def test_a_state_is_found_in_a_sample_by_name(deployment: TaskDeployment) -> None:
    where, _ = await a_state_altered(deployment)
    customer = where.removeprefix("customer ")
    assert [one.check for one in (await examined(deployment, 0, customer)).findings] == ["changelog"]
    assert (await examined(deployment, 0)).findings == []


async def test_no_attribute_of_a_customer_is_told(deployment: TaskDeployment) -> None:
    customer = await deployment.tagged()
    await deployment.redis.hset(customer_key(customer, "profile"), "assets", "31415926.53")
    (finding,) = (await examined(deployment)).findings
    shown = await deployment.redis.hgetall(customer_key(customer, "profile"))
    assert finding.found == "one that differs in assets"
    assert "31415926" not in repr(finding)
    assert shown["updated_at"] not in repr(finding)


async def test_many_findings_of_a_kind_are_counted_not_listed(deployment: TaskDeployment) -> None:
    customers = [customer for customer in await deployment.last(CUSTOMERS) if customer != META_KEY]
    for customer in customers:
        await deployment.redis.delete(customer_key(customer, "profile"))
    sizes = Counter(partition_of(customer.encode(), PARTITIONS) for customer in customers).values()
    report = await examined(deployment)
    assert len(report.findings) == sum(min(size, 10) for size in sizes)
    assert sum(report.untold.values()) == sum(max(size - 10, 0) for size in sizes) > 0


def test_command_says_so_and_exits(kafka: KafkaBroker, redis_url: str, topic_prefix: str) -> None:
    settings = Settings(
        bootstrap=kafka.bootstrap, topic_prefix=topic_prefix, app=topic_prefix, partitions=1, redis_url=redis_url
    )
    asyncio.run(create(settings))
    fine = CliRunner().invoke(doctor, [], obj=settings)
    assert fine.exit_code == 0, fine.output
    assert fine.stdout.startswith("all is right: looked at ")
    assert fine.stdout.endswith("\nclock not begun, held by bank.transactions-0 (journal partition 0)\n")
    unknown = CliRunner().invoke(doctor, ["--customer", "C404"], obj=settings)
    assert unknown.exit_code == 0, unknown.output
    assert "not checked: customer C404: not in the changelog" in unknown.stderr
    assert unknown.stdout.startswith("nothing is wrong in what could be checked: looked at ")
    with_redis_down = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    down = CliRunner().invoke(doctor, ["--json"], obj=with_redis_down)
    assert down.exit_code == 3, down.output
    assert "Redis" in msgspec.json.decode(down.stdout)["unreachable"]
    no_such_database = settings.model_copy(update={"redis_url": f"{redis_url.rpartition('/')[0]}/99999"})
    refused = CliRunner().invoke(doctor, ["--json"], obj=no_such_database)
    assert refused.exit_code == 3, refused.output
    assert "DB index is out of range" in msgspec.json.decode(refused.stdout)["unreachable"]

    async def damage() -> None:
        async with open_producer(settings) as producer:
            await producer.send_and_wait(settings.topic(CUSTOMERS), b"x", b"C1", 0)

    asyncio.run(damage())
    wrong = CliRunner().invoke(doctor, ["--json"], obj=settings)
    assert wrong.exit_code == 1
    findings = msgspec.json.decode(wrong.stdout, type=msgspec.Raw)
    assert b"a meta record" in bytes(findings)
    broker_down = settings.model_copy(update={"bootstrap": f"127.0.0.1:{free_port()}"})
    assert CliRunner().invoke(doctor, [], obj=broker_down).exit_code == 3
    nothing = settings.model_copy(update={"topic_prefix": "never."})
    assert CliRunner().invoke(doctor, [], obj=nothing).exit_code == 2


class StoppedError(Exception):
    """Where the test lets a worker end."""


def stop_at(monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    """Let decide touch five customers a transaction beyond those of its records, and end before the `last` one."""
    commit, commits = decide.DecideTask._commit, itertools.count(1)

    async def stopping(task: decide.DecideTask, *arguments: Any) -> Any:
        if next(commits) == last:
            raise StoppedError
        return await commit(task, *arguments)

    monkeypatch.setattr(decide, "MAX_CUSTOMERS", 5)
    monkeypatch.setattr(decide.DecideTask, "_commit", stopping)


def fridays() -> list[SourceRecord]:
    """Thirty customers on a Friday, and the Monday after, which makes each of them due."""
    friday = [deposit(number, "2026-02-27T09:00:00+08:00") for number in range(30)]
    return [*friday, deposit(30, "2026-03-02T09:00:00+08:00")]


MONDAYS = "pack: p\nrules: {mondays: {when: today.weekday == 1}}\n"


async def test_deadlines_that_still_wait_are_no_damage(
    kafka: KafkaBroker, topic_prefix: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some customers' deadlines are evaluated, the others' due since the last tick: the sample is compared."""
    (tmp_path / "pack.yaml").write_text(MONDAYS)
    async with TaskDeployment.open(
        kafka.bootstrap, topic_prefix, redis_url, partitions=1, rules=tmp_path, batch_records=1000
    ) as made:
        await publish(made.settings, fridays(), topics=None)
        await made.catch_up("ingest")
        stop_at(monkeypatch, 4)
        with pytest.raises(StoppedError):
            await made.catch_up("decide")
        monkeypatch.undo()
        await made.catch_up("project")
        half = await examined(made)
        assert (half.findings, half.not_checked) == ([], [])
        assert half.checked["customers folded again"] == 31
        assert 0 < half.checked["tags"] < 31
        partition, value = (await made.last(CUSTOMERS))["C29"]
        state = decode_state(value)
        state.revision += 1
        await made.send(CUSTOMERS, partition, "C29", encode_state(state))
        damaged = await examined(made)
        assert [finding.where for finding in damaged.findings if "revision" in finding.found]
        await made.send(CUSTOMERS, partition, "C29", value)
        await made.catch_up()
        whole = await examined(made)
        assert (whole.findings, whole.not_checked) == ([], [])
        assert whole.checked["tags"] == 31


async def test_an_activation_half_done_is_no_damage(
    kafka: KafkaBroker, topic_prefix: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some customers are under the new rulebook, the position stands before it: the sample waits for later."""
    (tmp_path / "pack.yaml").write_text(MONDAYS)
    async with TaskDeployment.open(
        kafka.bootstrap, topic_prefix, redis_url, partitions=1, rules=tmp_path, batch_records=1000
    ) as made:
        await made.run(fridays())
        digest = await activation.publish(made.settings, {"pack.yaml": MONDAYS.replace("== 1", "== 2")})
        await activation.activate(made.settings, digest)
        stop_at(monkeypatch, 4)
        with pytest.raises(StoppedError):
            await made.catch_up("decide")
        monkeypatch.undo()
        await made.catch_up("project")
        half = await examined(made)
        assert half.findings == []
        assert [told for told in half.not_checked if "stands in the middle of journal offset" in told]
        assert "customers folded again" not in half.checked
        await made.catch_up()
        whole = await examined(made)
        assert (whole.findings, whole.not_checked) == ([], [])
        assert whole.checked["customers folded again"] == 31


def deposit(number: int, at: str) -> SourceRecord:
    value = {
        "event_id": f"t{number}",
        "customer_id": f"C{number}",
        "occurred_at": at,
        "account_id": "A",
        "direction": "credit",
        "amount": "10.00",
    }
    return SourceRecord(TRANSACTIONS, f"C{number}".encode(), msgspec.json.encode(value))


async def test_a_living_deployment_under_load_has_no_findings(
    kafka: KafkaBroker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Three stages at work, small transactions, doctor after doctor: what moves is not mistaken for damage."""
    pipeline = Pipeline.create(
        kafka.bootstrap,
        topic_prefix,
        tmp_path,
        redis_url=redis_url,
        partitions=PARTITIONS,
        batch_records=50,
        fetch_bytes=20_000,
        tick_seconds=0.1,
    )
    with pipeline.running():
        pipeline.start_worker()
        records = simulate(Plan(customers=1000, days=60)).records()
        sending = asyncio.create_task(publish(pipeline.settings, records, topics=None, rate=400))
        await until(lambda: _has_tags(pipeline.settings), "the first tag")
        reports = [await examine(pipeline.settings, sample) for sample in (ALL, 20, 0, 20)]
        assert not sending.done(), "the load ended too early to show anything"
        sending.cancel()
        assert [finding for report in reports for finding in report.findings] == []
        assert reports[-1].checked["tags"] > reports[0].checked["tags"], "nothing moved, so nothing was shown"
        await pipeline.leave()


async def _has_tags(settings: Settings) -> bool:
    async for _ in read_topic(settings, settings.topic(TAGS)):
        return True
    return False
