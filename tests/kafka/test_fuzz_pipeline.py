"""Every kind of bad record in every input topic of a running pipeline, among good ones.

Bad records name customers and say things that no good record does: whatever of it shows up beyond the dead letters
was let through.
"""

import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from counting_run import until
from kafka_broker import KafkaBroker
from pipeline import Pipeline
from redis import Redis
from seen import check_equals_a_plain_fold, check_every_offset_has_one_fate, look

from schemas.deadletters import REASONS, DeadLetter
from schemas.events import INPUTS as MODELS
from schemas.topics import APP_EVENTS, CONTROL_HEADER, CUSTOMERS, PROFILES, TRANSACTIONS
from streams.clients import read_topic
from tagger.folding.meta import META_KEY, decode_meta

pytestmark = pytest.mark.kafka

PARTITIONS = 2
CUSTOMERS_A_ROUND = 4
MARK = "never-to-be-shown"
NOON = "2026-03-02T12:00:00+08:00"
SPECIFIC: dict[str, dict[str, Any]] = {
    "bank.transactions": {"account_id": "A", "direction": "credit", "amount": "60000.00"},
    "bank.app-events": {"action": "view", "category": "wealth", "product_id": "P1"},
    "bank.profiles": {"occupation": "clerk", "labels": ["etc"], "consent": {"push": True}},
    "bank.approvals": {"subject": "risk", "grade": "A", "maker": "m", "checker": "c", "decision": "approve"},
    "push.feedback": {"tag_id": "nothing.1", "outcome": "clicked"},
}
# One of some words, of whatever type the other thing is.
CHOICES = {"account_type", "direction", "action", "gender", "employment", "decision", "outcome"}
Header = tuple[str, bytes]


def members(topic: str, customer: str, **other: Any) -> dict[str, Any]:
    """A record's fields; a good record unless `other` says otherwise."""
    common = {"event_id": uuid.uuid4().hex, "customer_id": customer, "occurred_at": NOON}
    return common | SPECIFIC[topic] | other


def good(topic: str, customer: str, **other: Any) -> bytes:
    return json.dumps(members(topic, customer, **other)).encode()


@dataclass
class Case:
    """A bad record, and what its dead letter must say; `named` is the field it is about, None for the record."""

    value: bytes | None
    reason: str
    named: str | None = None
    headers: list[Header] = field(default_factory=list)


def with_raw(topic: str, name: str, raw: bytes) -> bytes:
    """A good record but for one field, written as it stands."""
    text = good(topic, "BAD", **{name: "@"})
    return text.replace(b'"@"', raw)


def bad_cases(topic: str) -> Iterator[Case]:
    record = good(topic, "BAD", extra=MARK)
    yield from [
        Case(None, "no_value"),
        Case(None, "no_value", headers=[(CONTROL_HEADER, b"stop")]),
        Case(None, "no_value", headers=[("other", b"begin")]),
        Case(b"", "not_json"),
        Case(b"\x00\xff\xfe" + record, "not_utf8"),
        Case(record.replace(b"BAD", b"\xc3\x28"), "not_utf8"),
        Case(b"\xef\xbb\xbf" + record, "not_json"),
        Case(record[:-1], "not_json"),
        Case(record + record, "not_json"),
        Case(b"[" * 200_000, "not_json"),
        Case(record[:-1] + b',"deep":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001, "not_json"),
        Case(record[:-1] + b',"deep":NaN}', "not_json"),
        Case(record[:-1] + b',"deep":1e999}', "not_json"),
        Case(b"[" + record + b"]", "not_an_object"),
        Case(json.dumps(MARK).encode(), "not_an_object"),
        Case(b"NaN", "not_an_object"),
        Case(record[:-1] + b',"customer_id":"BAD"}', "duplicate_field", "customer_id"),
        Case(good(topic, "BAD", extra=MARK * 600_000), "too_large"),
        Case(good(topic, "BAD", occurred_at="0001-01-01T00:00:00Z"), "bad_value", "occurred_at"),
        Case(good(topic, "BAD", occurred_at="1899-12-31T23:59:59Z"), "bad_value", "occurred_at"),
        Case(good(topic, "BAD", occurred_at="9999-12-31T23:59:59Z"), "bad_value", "occurred_at"),
        Case(good(topic, "BAD", occurred_at="2199-01-01T00:00:00Z"), "far_future", "occurred_at"),
        Case(good(topic, "BAD", occurred_at=1.7e18), "wrong_type", "occurred_at"),
        Case(good(topic, "BAD" * 30), "bad_value", "customer_id"),
        Case(good(topic, "BAD; DROP"), "bad_value", "customer_id"),
        Case(with_raw(topic, "event_id", b"9" * 3_000), "wrong_type", "event_id"),
        Case(with_raw(topic, "event_id", b"NaN"), "wrong_type", "event_id"),
        Case(with_raw(topic, "event_id", b"1e999"), "wrong_type", "event_id"),
        Case(with_raw(topic, "event_id", b"9" * 5_000), "not_json"),
    ]
    for name, info in MODELS[topic].model_fields.items():
        reason = "bad_value" if name in CHOICES else "wrong_type"
        yield Case(good(topic, "BAD", **{name: [1.5, MARK]}), reason, name)
        if info.is_required():
            lacking = {key: value for key, value in members(topic, "BAD").items() if key != name}
            yield Case(json.dumps(lacking).encode(), "missing_field", name)
    yield from MORE.get(topic, list)()


MORE = {
    TRANSACTIONS: lambda: [
        *(
            Case(good(TRANSACTIONS, "BAD", amount=amount), "bad_value", "amount")
            for amount in ("0.00", "-5", "1e3", "NaN", "Infinity", "0.001", "100000000000.01", "9" * 1000, MARK)
        ),
        Case(good(TRANSACTIONS, "BAD", currency="USD"), "no_rate", "currency"),
        Case(good(TRANSACTIONS, "BAD", direction=MARK), "bad_value", "direction"),
    ],
    APP_EVENTS: lambda: [
        Case(good(APP_EVENTS, "BAD", dwell_ms=-1), "bad_value", "dwell_ms"),
        Case(good(APP_EVENTS, "BAD", dwell_ms=10**300), "bad_value", "dwell_ms"),
    ],
    PROFILES: lambda: [
        Case(good(PROFILES, "BAD", gender=MARK), "bad_value", "gender"),
        Case(good(PROFILES, "BAD", cards=[{"card_id": "1", "kind": MARK}]), "bad_value", "cards[0].kind"),
        Case(good(PROFILES, "BAD", birth_date="2026-02-30"), "bad_value", "birth_date"),
    ],
    "bank.approvals": lambda: [Case(good("bank.approvals", "BAD", checker="m"), "bad_value", "checker")],
}


class Writer:
    """Writes single records, and keeps what was bad by where it lies."""

    def __init__(self, pipeline: Pipeline, producer: AIOKafkaProducer) -> None:
        self._settings, self._producer = pipeline.settings, producer
        self.bad: dict[tuple[str, int, int], Case] = {}
        self.sent: Counter[str] = Counter()
        self._keys = 0

    async def put(self, topic: str, partition: int, value: bytes | None, headers: list[Header]) -> int:
        """Write one record, every other one without a key; returns its offset."""
        self._keys += 1
        key = None if self._keys % 2 else b"\xffanything"
        batch = self._producer.create_batch()
        batch.append(key=key, value=value, timestamp=None, headers=headers)
        sent = await self._producer.send_batch(batch, self._settings.topic(topic), partition=partition)
        offset: int = (await sent).offset
        return offset

    async def put_good(self, topic: str, partition: int, customer: str, **other: Any) -> None:
        self.sent[topic] += 1
        await self.put(topic, partition, good(topic, customer, **other), [])

    async def put_bad(self, topic: str, partition: int, case: Case) -> None:
        self.bad[topic, partition, await self.put(topic, partition, case.value, case.headers)] = case

    async def control(self, word: bytes) -> None:
        for topic in (TRANSACTIONS, APP_EVENTS):
            for partition in range(PARTITIONS):
                await self.put(topic, partition, None, [(CONTROL_HEADER, word)])


async def clock_is_known(pipeline: Pipeline) -> bool:
    clocks: dict[int, int | None] = {}
    async for record in read_topic(pipeline.settings, pipeline.settings.topic(CUSTOMERS)):
        if record.key == META_KEY.encode():
            clocks[record.partition] = decode_meta(record.value).clock_ms
    return len(clocks) == PARTITIONS and None not in clocks.values()


def check_letter(letter: DeadLetter, case: Case) -> None:
    """It says why in words, and where in the record."""
    what = (letter.source, letter.reason, letter.field, letter.expected, letter.got)
    assert letter.reason == case.reason, what
    assert REASONS[letter.reason]
    assert (letter.field or "").startswith(case.named or ""), what
    assert (letter.field is None) == (case.named is None), what
    assert re.search(r"\w{2}|\d", letter.expected), what
    assert 0 < len(letter.got) <= 64, what
    if letter.source.topic == PROFILES and letter.field not in {"event_id", "customer_id", "occurred_at"}:
        assert MARK not in letter.got, what
    if case.value is None:
        assert letter.payload is None
    else:
        assert letter.payload or letter.payload_encoding or not case.value


async def test_bad_records_become_dead_letters_and_nothing_else(
    kafka: KafkaBroker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    pipeline = Pipeline.create(
        kafka.bootstrap, topic_prefix, tmp_path, redis_url=redis_url, partitions=PARTITIONS, tick_seconds=0.2
    )
    customers = [f"G{number}" for number in range(3 * CUSTOMERS_A_ROUND)]
    rounds = [customers[start::3] for start in range(3)]
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=16_000_000) as producer:
        writer = Writer(pipeline, producer)

        async def put_round(number: int) -> None:
            for topic in SPECIFIC:
                for place, customer in enumerate(rounds[number]):
                    await writer.put_good(topic, place % PARTITIONS, customer, unknown={"a": [MARK]})

        with pipeline.running():
            workers = [pipeline.start_worker() for _ in range(2)]
            await writer.control(b"begin")
            await put_round(0)
            await until(lambda: clock_is_known(pipeline), "the clock to be known")
            for topic in SPECIFIC:
                for number, case in enumerate(bad_cases(topic)):
                    await writer.put_bad(topic, number % PARTITIONS, case)
            await put_round(1)
            await writer.put_good(APP_EVENTS, 0, "LATE-VISITOR", occurred_at="1900-01-01T00:00:00Z")
            await writer.put_good(TRANSACTIONS, 1, "LATE-PAYER", occurred_at="1900-01-01T00:00:00Z")
            await put_round(2)
            await writer.control(b"end")
            await pipeline.settle()
            assert all(worker.child.running for worker in workers)
            await pipeline.leave()
            seen = await look(pipeline)

    check_every_offset_has_one_fate(seen)
    check_equals_a_plain_fold(seen, 7)
    letters = {
        (at.topic, at.partition, at.offset): letter for letter in seen.dead_letters for at in [letter.source]
    }
    assert letters.keys() == writer.bad.keys()
    for where, letter in letters.items():
        check_letter(letter, writer.bad[where])

    fates: Counter[str] = Counter()
    for (topic, _), counted in seen.fates().items():
        fates += Counter({topic: counted.applied, "late": counted.late, "duplicate": counted.duplicate})
    assert fates == {**writer.sent, TRANSACTIONS: len(customers), APP_EVENTS: len(customers), "late": 2}
    # late money is still money; any other late event changes nothing
    assert set(seen.customers()) == {*customers, "LATE-PAYER"}
    assert set(seen.tags()) - {"LATE-PAYER"} == set(customers)
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        names = {re.findall(r"{(.*)}", key)[0] for key in redis.scan_iter("tagger:{*}:profile")}
        assert names == set(seen.customers())
    for worker in workers:
        assert MARK not in worker.log.read_text()
