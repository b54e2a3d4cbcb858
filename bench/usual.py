"""Faust written the usual way: the job as its user guide teaches it, at least once.

A pydantic model, a Table of dicts (changed and assigned again, which is what sends the changelog), one `send` a
tag. Settings are the ones that help it: no leader topic, no web server, no standbys, requests that may linger for
a batch, and offsets committed each second. Runs as a program over `BENCH_BOOTSTRAP`, `BENCH_APP`, `BENCH_INPUT`
and `BENCH_TAGS`.
"""

import logging
import os
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import faust
from pydantic import BaseModel

from bench.in_memory import InMemoryApp
from bench.job import ACTIVE_FEN, DEDUPE_COUNT, LEAST_MOVES, LOW_FEN, PARTITIONS, WINDOW_DAYS


class Transaction(BaseModel):
    event_id: str
    customer_id: str
    occurred_at: datetime
    account_id: str
    account_type: str = "current"
    direction: Literal["credit", "debit"]
    amount: Decimal
    currency: str = "CNY"
    balance_after: Decimal | None = None
    kind: str = "other"
    channel: str | None = None


app = InMemoryApp(
    os.environ["BENCH_APP"],
    broker=f"kafka://{os.environ['BENCH_BOOTSTRAP']}",
    store="memory://",
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    topic_disable_leader=True,
    table_standby_replicas=0,
    web_enabled=False,
    broker_commit_interval=1.0,
    producer_linger_ms=5,
    processing_guarantee="at_least_once",
)
transactions = app.topic(os.environ["BENCH_INPUT"], value_serializer="raw")
tags = app.topic(os.environ["BENCH_TAGS"], value_serializer="json")
customers = app.Table("customers", default=dict, partitions=PARTITIONS)


def fold(state: dict[str, Any], transaction: Transaction) -> bool | None:
    """Change a customer's state; whether the tag opens (True) or ends (False), None when neither."""
    ids = state.setdefault("ids", [])
    if transaction.event_id in ids:
        return None
    ids.append(transaction.event_id)
    del ids[:-DEDUPE_COUNT]
    fen = int(transaction.amount * 100)
    is_debit = transaction.direction == "debit"
    if "balance" not in state:
        state["balance"] = int((transaction.balance_after or 0) * 100)
    else:
        state["balance"] += -fen if is_debit else fen
    day = transaction.occurred_at.date()
    oldest = (day - timedelta(days=WINDOW_DAYS - 1)).isoformat()
    days = state.setdefault("days", {})  # JSON keys are text
    spent, moves = days.get(day.isoformat(), (0, 0))
    days[day.isoformat()] = [spent + (fen if is_debit else 0), moves + 1]
    for old in [day for day in days if day < oldest]:
        del days[old]
    spent = sum(entry[0] for entry in days.values())
    moves = sum(entry[1] for entry in days.values())
    is_low = state["balance"] < LOW_FEN and spent >= ACTIVE_FEN and moves >= LEAST_MOVES
    if is_low is state.get("is_low", False):
        return None
    state["is_low"] = is_low
    return bool(is_low)


@app.agent(transactions)  # type: ignore[untyped-decorator]
async def tag_customers(stream: faust.Stream[bytes]) -> None:
    async for value in stream:
        transaction = Transaction.model_validate_json(value)
        customer_id = transaction.customer_id
        state = customers[customer_id]
        opens = fold(state, transaction)
        customers[customer_id] = state
        if opens is not None:
            await tags.send(
                key=customer_id,
                value={
                    "customer_id": customer_id,
                    "rule": "running-low",
                    "change": "opened" if opens else "revoked",
                    "at": transaction.occurred_at.isoformat(),
                    "value": {"current": state["balance"]},
                    "event_id": transaction.event_id,
                },
            )


if __name__ == "__main__":
    faust.Worker(app, loglevel=logging.WARNING).execute_from_commandline()
