"""The looking commands, on topics as a deployment leaves them: with markers, aborted records and meta records."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner, Result
from kafka_broker import KafkaBroker

from schemas.deadletters import BadRecord, DeadLetterSource, bury, encode_dead_letter
from schemas.money import parse_fen
from streams.child import free_port
from streams.cli.customers import customers
from streams.cli.dead_letters import dead_letters
from streams.cli.tags import tags
from streams.clients import open_producer
from streams.partitioner import partition_of
from streams.settings import Settings
from streams.topics import create
from tagger.folding.meta import Meta, encode_meta
from tagger.state.customer import Account, CustomerState, Episode, RuleState, Series, encode_state

pytestmark = pytest.mark.kafka

PARTITIONS = 3


@pytest.fixture(scope="module")
def settings(kafka: KafkaBroker) -> Settings:
    settings = Settings(bootstrap=kafka.bootstrap, topic_prefix="look.", app="look", partitions=PARTITIONS)
    asyncio.run(fill(settings))
    return settings


async def fill(settings: Settings) -> None:
    await create(settings)
    async with open_producer(settings, "look-writer") as producer:
        await producer.begin_transaction()
        for customer, assets in [("C1", "1.00"), ("C2", "2.00"), ("C1", "3.00"), ("C3", "4.00")]:
            await send(producer, settings, "tagging.customers", customer, state(assets, "inflow"))
        await send(producer, settings, "tagging.customers", "C3", None)
        await send(producer, settings, "tagging.customers", "#meta", encode_meta(Meta()))
        for number in range(6):
            at = 1_000_000 + number
            await send(producer, settings, "tagging.tags", f"C{number % 3}", tag(number), timestamp_ms=at)
        await send(
            producer, settings, "tagging.tags", "C0", tag(0, revision=2, state="closed"), timestamp_ms=2_000_000
        )
        for number, reason in enumerate(["not_json", "bad_value", "not_json"]):
            letter = dead_letter(number, reason)
            await send(producer, settings, "tagging.dead-letters", "bank.transactions-7", letter)
        await producer.commit_transaction()
        await producer.begin_transaction()
        await send(producer, settings, "tagging.customers", "C1", state("999.00"))
        await send(producer, settings, "tagging.tags", "C1", tag(99))
        await producer.abort_transaction()


async def send(
    producer: AIOKafkaProducer, settings: Settings, topic: str, customer: str, value: bytes | None, **options: Any
) -> None:
    key = customer.encode()
    partition = partition_of(key, PARTITIONS)
    await producer.send_and_wait(settings.topic(topic), value, key, partition, **options)


def state(assets: str, *rules: str) -> bytes:
    return encode_state(
        CustomerState(
            clock_ms=0,
            series={"current": Series(total_fen=parse_fen(assets))},
            accounts={"current:A1": Account(moved_fen=parse_fen(assets), drift_fen=-25)},
            rules={rule: RuleState(episodes=1, open=Episode(1, 1, 7)) for rule in rules},
        )
    )


def tag(number: int, revision: int = 1, state: str = "open") -> bytes:
    return msgspec.json.encode(
        {
            "tag_id": f"tag-{number}",
            "revision": revision,
            "customer_id": f"C{number % 3}",
            "rule": "even" if number % 2 == 0 else "odd",
            "change": "opened" if state == "open" else "expired",
            "state": state,
            "at": "2026-03-04T10:00:00+08:00",
            "delivery": {"push": False, "reason": "no_consent"},
        }
    )


def dead_letter(offset: int, reason: Any) -> bytes:
    source = DeadLetterSource(topic="bank.transactions", partition=7, offset=offset, timestamp=None)
    error = BadRecord(reason, "amount", "a decimal string", "[red]x[/red]")
    return encode_dead_letter(bury(error, source, None, b'{"amount": "x"}', "2026-03-04T10:00:00+08:00"))


def invoke(command: Any, settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, obj=settings)


def lines(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def tag_ids(result: Result) -> list[tuple[str, int]]:
    return [(line["tag_id"], line["revision"]) for line in lines(result)]


def test_customer_is_shown_as_last_committed(settings: Settings) -> None:
    (shown,) = lines(invoke(customers, settings, "show", "C1", "--json"))
    assert shown["profile"]["assets"] == "3.00"
    assert [tag["rule"] for tag in shown["tags"].values()] == ["inflow"]
    assert (shown["accounts"], shown["drift"]) == ({"current:A1": "3.00"}, {"current:A1": "-0.25"})
    assert shown["changelog"]["topic"] == "look.tagging.customers"


def test_customer_is_plain_lines_when_piped(settings: Settings) -> None:
    output = invoke(customers, settings, "show", "C2").output.splitlines()
    assert "assets\t2.00" in output
    assert "drift of current:A1\t-0.25" in output
    assert any(line.startswith("inflow\t-\t1970-01-01T08:00:00.007+08:00") for line in output)


@pytest.mark.parametrize("customer", ["C3", "nobody", "#meta"])
def test_customer_that_is_gone_or_never_was_is_exit_code_1(settings: Settings, customer: str) -> None:
    result = invoke(customers, settings, "show", customer)
    assert result.exit_code == 1
    assert f"expected a customer {customer} in look.tagging.customers, found none" in result.output


def test_tags_are_listed_in_order_of_publishing_and_only_committed_ones(settings: Settings) -> None:
    expected = [(f"tag-{number}", 1) for number in range(6)] + [("tag-0", 2)]
    assert tag_ids(invoke(tags, settings, "list", "--json")) == expected


def test_tags_can_be_narrowed(settings: Settings) -> None:
    assert tag_ids(invoke(tags, settings, "list", "--json", "--limit", "2")) == [("tag-5", 1), ("tag-0", 2)]
    assert tag_ids(invoke(tags, settings, "list", "--json", "--customer", "C2")) == [("tag-2", 1), ("tag-5", 1)]
    odd = [("tag-1", 1), ("tag-3", 1), ("tag-5", 1)]
    assert tag_ids(invoke(tags, settings, "list", "--json", "--rule", "odd")) == odd


def test_open_tags_are_the_last_revisions_that_are_open(settings: Settings) -> None:
    expected = [(f"tag-{number}", 1) for number in range(1, 6)]
    assert tag_ids(invoke(tags, settings, "list", "--json", "--open")) == expected


def test_tags_are_tab_separated_when_piped(settings: Settings) -> None:
    heading, first, *_ = invoke(tags, settings, "list").output.splitlines()
    assert dict(zip(heading.split("\t"), first.split("\t"), strict=True)) == {
        "at": "2026-03-04T10:00:00+08:00",
        "customer": "C0",
        "rule": "even",
        "change": "opened",
        "level": "-",
        "reason": "-",
        "delivery": "no_consent",
        "revision": "1",
        "tag_id": "tag-0",
    }


def test_dead_letters_are_listed_by_where_their_records_lie(settings: Settings) -> None:
    result = invoke(dead_letters, settings, "list")
    assert [line.split("\t")[:2] for line in result.output.splitlines()[1:]] == [
        ["bank.transactions-7@0", "not_json"],
        ["bank.transactions-7@1", "bad_value"],
        ["bank.transactions-7@2", "not_json"],
    ]
    narrowed = lines(invoke(dead_letters, settings, "list", "--reason", "not_json", "--limit", "1", "--json"))
    assert [letter["source"]["offset"] for letter in narrowed] == [2]


def test_dead_letter_is_shown_with_its_meaning_and_payload(settings: Settings) -> None:
    output = invoke(dead_letters, settings, "show", "bank.transactions-7@1").output
    assert "meaning\ta field's value breaks the contract" in output
    assert 'payload\t{"amount": "x"}' in output
    (letter,) = lines(invoke(dead_letters, settings, "show", "bank.transactions-7@1", "--json"))
    assert letter["payload"] == '{"amount": "x"}'


def test_record_that_is_no_dead_letter_is_exit_code_1(settings: Settings) -> None:
    result = invoke(dead_letters, settings, "show", "bank.transactions-7@3")
    assert result.exit_code == 1
    assert (
        "expected a dead letter of bank.transactions-7@3 in look.tagging.dead-letters, found none" in result.output
    )


@pytest.mark.parametrize(
    "place",
    [
        "bank.transactions",
        "bank.transactions@1",
        "bank.transactions-0@x",
        "bank.transactions-0@\u00b2",
        f"bank.transactions-0@{'9' * 5000}",
    ],
)
def test_place_that_is_none_is_wrong_usage_and_shown_how(settings: Settings, place: str) -> None:
    result = invoke(dead_letters, settings, "show", place)
    assert result.exit_code == 2
    assert "such as bank.transactions-3@812" in result.output


def test_broker_that_is_down_is_exit_code_3() -> None:
    address = f"127.0.0.1:{free_port()}"
    down = Settings(bootstrap=address)
    for command, arguments in [(tags, ["list"]), (customers, ["show", "C1"]), (dead_letters, ["list"])]:
        result = invoke(command, down, *arguments)
        assert (result.exit_code, address in result.output) == (3, True)


def test_missing_topics_are_exit_code_2_and_say_what_to_run(kafka: KafkaBroker) -> None:
    result = invoke(tags, Settings(bootstrap=kafka.bootstrap, topic_prefix="never."), "list")
    assert result.exit_code == 2
    assert "never.tagging.tags" in result.output
    assert "tagger topics create" in result.output
