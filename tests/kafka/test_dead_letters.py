"""Dead letters sent again on a real broker: mended, each applied once, whatever is run how often."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from kafka_broker import KafkaBroker
from redis.asyncio import Redis
from task_deployment import TaskDeployment

from schemas.deadletters import DeadLetter, decode_dead_letter
from schemas.topics import CUSTOMERS, DEAD_LETTERS, INPUTS, TRANSACTIONS
from streams.cli.dead_letters import dead_letters
from streams.clients import read_topic
from streams.dead_letters import REPLAYED_HEADER, place_of
from streams.doctor.examine import examine
from streams.lanes.unit_of_work import UnitOfWork
from streams.settings import Settings
from streams.sources.record import SourceRecord
from tagger.features.balances import balance
from tagger.folding.meta import META_KEY, decode_meta
from tagger.state.customer import decode_state

pytestmark = [pytest.mark.kafka, pytest.mark.redis]


def deposit(event_id: str, customer: str = "C1", **fields: Any) -> bytes:
    return msgspec.json.encode(
        {
            "event_id": event_id,
            "customer_id": customer,
            "occurred_at": "2026-03-02T09:00:00+08:00",
            "account_id": "A1",
            "direction": "credit",
            "amount": "10.00",
        }
        | fields
    )


class Bank:
    """A deployment whose records are broken, and the command."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def publish(self, *values: bytes | None) -> None:
        records = [SourceRecord(TRANSACTIONS, b"C1", value) for value in values]
        self._run(lambda deployment: deployment.run(records))

    def catch_up(self) -> None:
        self._run(lambda deployment: deployment.catch_up())

    def letters(self) -> list[DeadLetter]:
        """All there are, in order."""
        return [decode_dead_letter(record.value) for record in self._read(DEAD_LETTERS)]

    def assets(self) -> dict[str, int]:
        """Customer → fen, as the changelog says."""
        states = {record.key.decode(): record.value for record in self._read(CUSTOMERS)}
        states.pop(META_KEY, None)
        return {customer: balance(decode_state(state), "assets") for customer, state in states.items()}

    def fates(self) -> dict[str, int]:
        metas = {
            record.partition: record.value for record in self._read(CUSTOMERS) if record.key == META_KEY.encode()
        }
        totals = {"applied": 0, "duplicate": 0, "late": 0}
        for value in metas.values():
            for fates in decode_meta(value).fates.values():
                for name in totals:
                    totals[name] += getattr(fates, name)
        return totals

    def replayed(self) -> list[tuple[str, bytes, bytes]]:
        """Place in the header, value and key of every replayed record."""
        return [
            (dict(record.headers)[REPLAYED_HEADER].decode(), record.value, record.key)
            for topic in INPUTS
            for record in self._read(topic)
            if REPLAYED_HEADER in dict(record.headers)
        ]

    def command(self, *arguments: str) -> Result:
        return CliRunner().invoke(dead_letters, arguments, obj=self.settings)

    def replay(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and outcomes."""
        result = self.command("replay", *arguments, "--json")
        return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]

    def is_sound(self) -> bool:
        report = asyncio.run(examine(self.settings, 100))
        assert report.findings == []
        return True

    def _run(self, work: Any) -> None:
        async def run() -> None:
            async with Redis.from_url(self.settings.redis_url, decode_responses=True) as redis:
                await work(TaskDeployment(self.settings, redis))

        asyncio.run(run())

    def _read(self, topic: str) -> list[Any]:
        async def read() -> list[Any]:
            return [record async for record in read_topic(self.settings, self.settings.topic(topic), whole=True)]

        return asyncio.run(read())


@contextmanager
def opened(kafka: KafkaBroker, prefix: str, redis_url: str, **options: Any) -> Iterator[Bank]:
    async def settings() -> Settings:
        async with TaskDeployment.open(kafka.bootstrap, prefix, redis_url, **options) as made:
            return made.settings

    yield Bank(asyncio.run(settings()))


@pytest.fixture
def bank(kafka: KafkaBroker, topic_prefix: str, redis_url: str) -> Iterator[Bank]:
    with opened(kafka, topic_prefix, redis_url, partitions=1) as made:
        yield made


def test_mended_twice_is_applied_once(bank: Bank) -> None:
    bank.publish(deposit("t-1"), deposit("t-2", amount="ten"))
    (letter,) = bank.letters()
    place = place_of(letter)
    assert bank.replay(place, "--set", "amount=10.00") == (0, [{"place": place, "outcome": "sent", "why": None}])
    code, (again,) = bank.replay(place, "--set", "amount=10.00")
    assert (code, again["outcome"]) == (0, "replayed before")
    bank.catch_up()
    code, (after,) = bank.replay(place, "--set", "amount=10.00")
    assert (code, after["outcome"]) == (0, "replayed before")
    bank.catch_up()
    assert bank.replayed() == [(place, deposit("t-2"), b"C1")]
    assert bank.assets() == {"C1": 2000}
    assert bank.fates() == {"applied": 2, "duplicate": 0, "late": 0}
    assert bank.is_sound()


def test_broken_event_id_set_to_something_else_each_time_is_applied_once(bank: Bank) -> None:
    bank.publish(deposit(""))
    place = place_of(bank.letters()[0])
    for event_id in ("t-1", "t-2", "t-3"):
        bank.replay(place, "--set", f"event_id={event_id}")
        bank.catch_up()
    assert bank.assets() == {"C1": 1000}
    assert len(bank.replayed()) == 1


def test_event_that_upstream_sent_again_meanwhile_is_a_duplicate(bank: Bank) -> None:
    bank.publish(deposit("t-1", amount="ten"))
    place = place_of(bank.letters()[0])
    bank.publish(deposit("t-1"))
    bank.replay(place, "--set", "amount=10.00")
    bank.catch_up()
    assert bank.fates() == {"applied": 1, "duplicate": 1, "late": 0}
    assert bank.assets() == {"C1": 1000}


def test_replay_that_was_refused_again_can_be_mended_again_from_either_letter(
    kafka: KafkaBroker, topic_prefix: str, redis_url: str
) -> None:
    """What only ingest can refuse (a time far ahead) comes back as another dead letter, of the same origin."""
    with opened(kafka, topic_prefix, redis_url, partitions=1) as bank:
        bank.publish(deposit("t-1"), deposit("t-2", occurred_at="nonsense"))
        first = place_of(bank.letters()[0])
        assert bank.replay(first, "--set", "occurred_at=2030-01-01T00:00:00+08:00")[0] == 0
        bank.catch_up()
        second = place_of(bank.letters()[1])
        assert bank.letters()[1].reason == "far_future"
        assert bank.replay(second, "--set", "occurred_at=2026-03-02T09:00:00+08:00")[0] == 0
        bank.catch_up()
        assert [origin for origin, _, _ in bank.replayed()] == [first, first]
        assert {one["outcome"] for place in (first, second) for one in bank.replay(place)[1]} == {
            "replayed before"
        }
        assert bank.assets() == {"C1": 2000}
        assert bank.is_sound()


def test_all_of_a_reason_once_the_setting_is_mended(bank: Bank) -> None:
    bank.publish(*[deposit(f"t-{number}", currency="USD") for number in range(5)], deposit("x", amount="-"))
    assert {letter.reason for letter in bank.letters()} == {"no_rate", "bad_value"}
    code, refused = bank.replay("--reason", "no_rate")
    assert (code, {one["outcome"] for one in refused}) == (1, {"refused"})
    assert "no_rate" in refused[0]["why"]
    assert bank.replayed() == []
    bank.settings = bank.settings.model_copy(update={"rates": {"USD": Decimal("7.00")}})
    assert [one["outcome"] for one in bank.replay("--reason", "no_rate", "--dry-run")[1]] == ["would be sent"] * 5
    assert bank.replayed() == []
    assert [one["outcome"] for one in bank.replay("--reason", "no_rate")[1]] == ["sent"] * 5
    bank.catch_up()
    assert bank.assets() == {"C1": 5 * 7000}


def test_listed_letters_are_mended_in_a_file(bank: Bank, tmp_path: Path) -> None:
    bank.publish(b"\xff broken", b"[1]", None)
    listed = [json.loads(line) for line in bank.command("list", "--json").stdout.splitlines()]
    assert len(listed) == 3
    listed[0]["payload"] = deposit("t-1").decode()
    listed[0].pop("payload_encoding")
    listed[1]["value"] = json.loads(deposit("t-2"))
    mended = tmp_path / "mended.jsonl"
    mended.write_text("\n".join(json.dumps(line) for line in listed))
    code, outcomes = bank.replay("--file", str(mended))
    assert code == 1
    assert {one["place"]: one["outcome"] for one in outcomes} == {
        f"bank.transactions-0@{line['source']['offset']}": outcome
        for line, outcome in zip(listed, ["sent", "sent", "refused"], strict=True)
    }
    bank.catch_up()
    assert bank.assets() == {"C1": 2000}


def test_only_the_fields_named_are_changed(bank: Bank) -> None:
    odd = deposit("t-1", amount="ten", note="keep", channel=7)[:-1] + b', "unknown": 1.50}'
    bank.publish(odd)
    place = place_of(bank.letters()[0])
    code, outcomes = bank.replay(
        place, "--set", "amount=10.00", "--unset", "channel", "--set", "own_transfer:=true"
    )
    assert code == 0, outcomes
    ((_, value, _),) = bank.replayed()
    sent = json.loads(value)
    assert (sent["amount"], sent["own_transfer"], sent["note"]) == ("10.00", True, "keep")
    assert "channel" not in sent
    assert b'"unknown":1.50' in value.replace(b" ", b"")


def test_what_cannot_be_mended_says_what_to_do(bank: Bank) -> None:
    whole = deposit("t-1", note="x" * 300_000)
    twice = deposit("t-2")[:-1] + b',"amount":"20.00"}'
    bank.publish(whole, None, b"[1]", twice)
    told = {letter.reason: place_of(letter) for letter in bank.letters()}
    for reason, words in {
        "too_large": "beginning of",
        "no_value": "the record had none",
        "not_an_object": "JSON object to set fields in",
        "duplicate_field": "which amount is meant",
    }.items():
        code, (outcome,) = bank.replay(told[reason], "--set", "event_id=t-9")
        assert (code, outcome["outcome"]) == (1, "refused")
        assert words in outcome["why"]
    assert (
        bank.replay("bank.transactions-0@999")[1][0]["why"] == "expected a dead letter of this record, found none"
    )
    assert bank.replayed() == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bank.transactions-0@1", "--reason", "not_json"],
        ["bank.transactions"],
        ["bank.transactions-0@1", "--set", "amount"],
        ["bank.transactions-0@1", "--set", "amount:=x"],
    ],
)
def test_usage_that_means_nothing_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(dead_letters, ["replay", *arguments], obj=Settings()).exit_code == 2


def test_a_second_replayer_shuts_the_first_out(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first has searched and not found; the second sends; the first must not send too."""
    bank.publish(deposit("t-1", amount="ten"))
    place = place_of(bank.letters()[0])
    begin = UnitOfWork.begin

    def overtaken(unit: UnitOfWork) -> Any:
        monkeypatch.setattr(UnitOfWork, "begin", begin)
        outcome: list[int] = []

        async def second() -> None:
            outcome.append(await asyncio.to_thread(lambda: bank.replay(place, "--set", "amount=10.00")[0]))

        class Overtaken:
            async def __aenter__(self) -> Any:
                await second()
                assert outcome == [0]
                self.whole = begin(unit)
                return await self.whole.__aenter__()

            async def __aexit__(self, *error: Any) -> Any:
                return await self.whole.__aexit__(*error)

        return Overtaken()

    monkeypatch.setattr(UnitOfWork, "begin", overtaken)
    result = bank.command("replay", place, "--set", "amount=10.00")
    assert result.exit_code == 1
    assert "found another" in result.output
    assert len(bank.replayed()) == 1
