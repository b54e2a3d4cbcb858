"""One story told in every topic: an inflow that leaves. Shown in the exported contracts and in the manual.

Journal records are not written by hand: they are what decoding gives for the inputs.
"""

from typing import Any

import msgspec

from schemas.deadletters import BadRecord, DeadLetter, DeadLetterSource, bury
from schemas.decode import Decoder
from schemas.journal import Activation, JournalRecord, Pause, Tick

INPUT_EXAMPLES: dict[str, dict[str, Any]] = {
    "bank.transactions": {
        "event_id": "t-9",
        "customer_id": "C1",
        "occurred_at": "2026-03-04T10:00:00+08:00",
        "account_id": "A-1",
        "direction": "debit",
        "amount": "55000.00",
        "balance_after": "6000.00",
        "kind": "transfer",
        "channel": "mobile",
    },
    "bank.app-events": {
        "event_id": "e-4",
        "customer_id": "C1",
        "occurred_at": "2026-03-04T10:02:11.250+08:00",
        "action": "view",
        "category": "wealth",
        "product_id": "W-30D",
        "dwell_ms": 41000,
    },
    "bank.profiles": {
        "event_id": "p-1",
        "customer_id": "C1",
        "occurred_at": "2026-03-01T00:00:00+08:00",
        "opened_on": "2019-06-01",
        "birth_date": "1988-02-29",
        "gender": "f",
        "children_birth_dates": ["2015-09-10"],
        "employment": "self_employed",
        "household_income": "420000.00",
        "cards": [{"card_id": "K-1", "kind": "credit", "grade": "gold", "expires_on": "2027-05-31"}],
        "holdings": [
            {"product_id": "W-30D", "family": "wealth", "amount": "20000.00", "matures_on": "2026-04-01"}
        ],
        "labels": ["payroll"],
        "owner_id": "RM12",
        "consent": {"push": True},
    },
    "bank.approvals": {
        "event_id": "a-1",
        "customer_id": "C1",
        "occurred_at": "2026-03-04T11:00:00+08:00",
        "subject": "risk_class",
        "grade": "B",
        "maker": "u-17",
        "checker": "u-23",
        "decision": "approve",
    },
    "push.feedback": {
        "event_id": "f-1",
        "customer_id": "C1",
        "occurred_at": "2026-03-04T10:05:00+08:00",
        "tag_id": "inflow-not-retained.3f9c1a2b4d5e6f70",
        "outcome": "opened",
    },
}
"""Input topic → an example of its value."""

TAG_EXAMPLE: dict[str, Any] = {
    "schema_version": 1,
    "tag_id": "inflow-not-retained.3f9c1a2b4d5e6f70",
    "revision": 1,
    "customer_id": "C1",
    "rule": "inflow-not-retained",
    "pack": "signals",
    "change": "opened",
    "state": "open",
    "at": "2026-03-04T10:00:00+08:00",
    "rulebook": "2026.3:ab12cd34",
    "value": {"retained": "0.083", "amount": "60000.00"},
    "level": None,
    "previous_level": None,
    "reason": None,
    "evidence": [
        {
            "condition": "retained < 0.2",
            "measured": {"retained": "0.083"},
            "threshold": "0.2",
            "holds": True,
            "window": ["2026-03-02T09:00:00+08:00", "2026-03-09T09:00:00+08:00"],
            "events": ["t-1", "t-9"],
        }
    ],
    "offer": {
        "family": "wealth-rate-coupon",
        "also": [],
        "channel": "push",
        "priority": 50,
        "policy": None,
        "owner_id": "RM12",
    },
    "need": "money-left",
    "delivery": {"push": True, "reason": None, "not_before": None, "control": False},
    "expires_at": "2026-03-18T10:00:00+08:00",
    "cause": {"topic": "bank.transactions", "partition": 0, "offset": 8123, "event_id": "t-9"},
}


def journal_examples() -> dict[str, JournalRecord]:
    """One journal record of each kind: record kind → record."""
    decoder = Decoder({})
    events: list[JournalRecord] = [
        decoder.decode(topic, 0, 8123, msgspec.json.encode(value)).event for topic, value in INPUT_EXAMPLES.items()
    ]
    records = [
        *events,
        Tick(topic="bank.transactions", partition=0, of=12, time_ms=1_772_589_602_000),
        Activation(digest="ab12cd34ef56ab78", from_ms=1_772_553_600_000),
        Pause(rule="inflow-not-retained"),
    ]
    return {str(record.__struct_config__.tag): record for record in records}


def dead_letter_example() -> DeadLetter:
    """The dead letter of a transaction whose amount is no decimal string."""
    value = msgspec.json.encode({**INPUT_EXAMPLES["bank.transactions"], "amount": "5.5e4"})
    source = DeadLetterSource(topic="bank.transactions", partition=0, offset=8124, timestamp=1_772_589_600_120)
    try:
        Decoder({}).decode(source.topic, source.partition, source.offset, value)
    except BadRecord as error:
        return bury(error, source, b"A-1", value, "2026-03-04T10:00:00.180+08:00")
    raise AssertionError("the example is a good record")
