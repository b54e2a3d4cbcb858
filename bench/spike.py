"""The floor: Faust with batches, one Kafka transaction a batch, and the job's fold written by hand.

It keeps the promise of one transaction a batch and nothing else. No journal, no packs, no evidence, no ticks or
deadlines, no late events, no fencing of partitions, no restore, state changed in place. It shares no code with
`streams`, so that a cost in there shows. Runs as a program over the same variables as `usual.py`, and
`BENCH_CHANGELOG`.
"""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Mapping
from datetime import date
from typing import Any

import aiokafka.producer.sender
import faust
import msgspec
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from yarl import URL

from bench.in_memory import InMemoryApp
from bench.job import ACTIVE_FEN, DEDUPE_COUNT, LEAST_MOVES, LOW_FEN, WINDOW_DAYS

aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.002
POLL_RECORDS = 5000
COLLECT_SECONDS = 5.0
BOOTSTRAP = os.environ["BENCH_BOOTSTRAP"]
INPUT, TAGS, CHANGELOG = (os.environ[f"BENCH_{name}"] for name in ("INPUT", "TAGS", "CHANGELOG"))

State = dict[str, Any]


class Transaction(msgspec.Struct):
    event_id: str
    customer_id: str
    occurred_at: str
    direction: str
    amount: str
    balance_after: str


_decode = msgspec.json.Decoder(Transaction).decode
_encode_state = msgspec.msgpack.Encoder().encode
_encode_tag = msgspec.json.Encoder().encode
_days: dict[str, int] = {}


def fold(state: State, transaction: Transaction) -> bool | None:
    """Change a customer's state; whether the tag opens (True) or ends (False), None when neither."""
    ids = state["ids"]
    if transaction.event_id in ids:
        return None
    ids.append(transaction.event_id)
    if len(ids) > DEDUPE_COUNT:
        del ids[0]
    fen = int(transaction.amount.replace(".", ""))
    is_debit = transaction.direction == "debit"
    if state["balance"] is None:
        state["balance"] = int(transaction.balance_after.replace(".", ""))
    else:
        state["balance"] += -fen if is_debit else fen
    text = transaction.occurred_at[:10]
    day = _days.get(text)
    if day is None:
        day = _days[text] = date.fromisoformat(text).toordinal()
    days = state["days"]
    bucket = days.get(day)
    if bucket is None:
        bucket = days[day] = [0, 0]
        for old in [one for one in days if one <= day - WINDOW_DAYS]:
            spent, moves = days.pop(old)
            state["spent"] -= spent
            state["moves"] -= moves
    if is_debit:
        bucket[0] += fen
        state["spent"] += fen
    bucket[1] += 1
    state["moves"] += 1
    is_low = state["balance"] < LOW_FEN and state["spent"] >= ACTIVE_FEN and state["moves"] >= LEAST_MOVES
    if is_low is state["is_low"]:
        return None
    state["is_low"] = is_low
    return bool(is_low)


def new_state() -> State:
    return {"balance": None, "spent": 0, "moves": 0, "days": {}, "ids": [], "is_low": False}


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Hands over one message a partition and fetch."""

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, Any]:  # noqa: ASYNC109
        fetched = await self._thread.getmany(active_partitions, timeout)
        return {tp: [records] for tp, records in fetched.items()}

    def _to_message(self, tp: TP, record: list[ConsumerRecord]) -> ConsumerMessage:
        last = record[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            last.timestamp_type,
            (),
            None,
            record,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )


class BatchTransport(driver.Transport):  # type: ignore[misc]
    Consumer = BatchConsumer


class BatchSchema(faust.Schema):  # type: ignore[misc]
    def loads_key(self, app: Any, message: Any, **_options: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **_options: Any) -> list[ConsumerRecord]:
        records: list[ConsumerRecord] = message.value
        return records


class Spike:
    """All state of all partitions, and the one producer."""

    def __init__(self, app: faust.App) -> None:
        self._group = app.conf.id
        self._states: dict[str, State] = {}
        self._producer = AIOKafkaProducer(
            bootstrap_servers=BOOTSTRAP, transactional_id=f"{self._group}-0", max_batch_size=900_000
        )

    async def start(self) -> None:
        await self._producer.start()

    async def process(self, tp: TP, records: list[ConsumerRecord]) -> None:
        touched: dict[str, State] = {}
        tags = []
        states = self._states
        for record in records:
            transaction = _decode(record.value)
            customer = transaction.customer_id
            state = touched.get(customer)
            if state is None:
                state = states.get(customer)
                if state is None:
                    state = states[customer] = new_state()
                touched[customer] = state
            opens = fold(state, transaction)
            if opens is not None:
                tags.append((customer, _encode_tag(_tag(customer, opens, state, transaction))))
        producer = self._producer
        async with producer.transaction():
            changes = [(customer, _encode_state(state)) for customer, state in touched.items()]
            sends = await self._send(CHANGELOG, tp.partition, changes)
            sends += await self._send(TAGS, tp.partition, tags)
            await asyncio.gather(*sends)
            position = {TopicPartition(tp.topic, tp.partition): records[-1].offset + 1}
            await producer.send_offsets_to_transaction(position, self._group)

    async def _send(self, topic: str, partition: int, records: list[tuple[str, bytes]]) -> list[Any]:
        batches: list[BatchBuilder] = []
        for key, value in records:
            if not batches or batches[-1].append(key=key.encode(), value=value, timestamp=None) is None:
                batches.append(self._producer.create_batch())
                batches[-1].append(key=key.encode(), value=value, timestamp=None)
        return [await self._producer.send_batch(batch, topic, partition=partition) for batch in batches]


def _tag(customer: str, opens: bool, state: State, transaction: Transaction) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "rule": "running-low",
        "change": "opened" if opens else "revoked",
        "at": transaction.occurred_at,
        "value": {"current": state["balance"]},
        "event_id": transaction.event_id,
    }


async def run() -> None:
    url = URL(f"kafka://{BOOTSTRAP}")
    app = InMemoryApp(
        os.environ["BENCH_APP"],
        broker=[url],
        autodiscover=False,
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        broker_max_poll_records=POLL_RECORDS,
        consumer_max_fetch_size=4_000_000,
        broker_commit_interval=86_400.0,
        stream_wait_empty=False,
    )
    app.transport = BatchTransport([url], app)
    spike = Spike(app)

    async def decide(stream: Any) -> None:
        async for event in stream.events():
            try:
                await spike.process(event.message.tp, event.value)
            except BaseException:
                logging.exception("cannot go on")
                os._exit(1)

    app.agent(app.topic(INPUT, schema=BatchSchema(), acks=False, allow_empty=True), name="spike")(decide)
    await spike.start()
    await app.start()
    gc.collect()
    gc.freeze()
    gc.disable()
    while not app.should_stop:
        await asyncio.sleep(COLLECT_SECONDS)
        gc.collect()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(asyncio.run(run()))
