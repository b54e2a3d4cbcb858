"""Law: bad records leave no trace but their dead letter, and no record of any kind stops the core.

Input partitions are made of good records, records at the edges of the contract, mutated ones and plain bytes, and
go the whole way: ingest → journal → decisions under the rule packs as they stand → tags, changelog and view.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.bankday import BankCalendar
from schemas.deadletters import REASONS, decode_dead_letter, encode_dead_letter
from schemas.decode import Decoder
from schemas.journal import Activation, CustomerEvent, decode_record, encode_record
from schemas.topics import CONTROL_HEADER
from tagger.compiler.program import Program
from tagger.folding.partition import Partition
from tagger.ingest.committed import IngestState
from tagger.ingest.partition import Ingested, IngestSettings, InputPartition, RawRecord
from tagger.packs.rulebook import read_rulebook
from tagger.settings import CoreSettings
from tagger.view import project_customer

RULES = Path(__file__).resolve().parents[2] / "rules"
FILES = {path.name: path.read_text(encoding="utf-8") for path in sorted(RULES.glob("*.yaml"))}
CORE = CoreSettings()
CALENDAR = BankCalendar(CORE.zone)
PROGRAMS = {"r": Program(read_rulebook(FILES), CALENDAR)}
DECODER = Decoder({})
NOW_MS = 1_772_600_000_000  # 2026-03-04T04:53:20Z
EVENTS = IngestSettings(clock="events")
WALL = IngestSettings(clock="wall")
CENTURIES = IngestSettings(clock="events", max_future_ms=10**13, max_jump_ms=10**13)

# Edges of the contract: each is good, and should be hard on the core.
INSTANTS = [
    "1900-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00", "2026-02-28T23:59:59.999999999+08:00",
    "2026-03-01T00:00:00+08:00", "2026-03-02T09:00:00+08:00", "2026-03-04T00:00:00-23:59",
    "2026-03-04T12:53:20+08:00", "2026-03-04T12:58:20+08:00", "2026-04-01T00:00:00+08:00",
    "2199-12-31T23:59:59.999Z",
]  # fmt: skip
AMOUNTS = ["0.01", "1", "5000.00", "49999.99", "50000", "60000", "99999999999.99", "100000000000"]
BALANCES = [None, "0", "-0", "61000", "-1000000000000000", "1000000000000000.00"]
CUSTOMERS = ["C1", "C2", "-", ":._", "x" * 64]

common = {
    "event_id": st.sampled_from(["e1", "e2", "名" * 64, "\u0000", "\U0001f600"]) | st.uuids().map(str),
    "customer_id": st.sampled_from(CUSTOMERS),
    "occurred_at": st.sampled_from(INSTANTS),
}
GOOD = {
    "bank.transactions": st.fixed_dictionaries(
        common
        | {
            "account_id": st.sampled_from(["a", "b", "账"]) | st.integers(0, 99).map(str),
            "account_type": st.sampled_from(["current", "term", "wealth", "loan"]),
            "direction": st.sampled_from(["credit", "debit"]),
            "amount": st.sampled_from(AMOUNTS),
            "balance_after": st.sampled_from(BALANCES),
            "own_transfer": st.booleans(),
        },
        optional={"x-unknown": st.sampled_from([None, {"a": [1e308]}, "y" * 1000])},
    ),
    "bank.app-events": st.fixed_dictionaries(
        common
        | {
            "action": st.sampled_from(["view", "purchase", "login"]),
            "category": st.sampled_from([None, "wealth", "\u0000"]),
            "product_id": st.sampled_from([None, "P1", "P2", "\U0001f600" * 64]),
            "dwell_ms": st.sampled_from([None, 0, 2**53 - 1]),
        }
    ),
    "bank.profiles": st.fixed_dictionaries(
        common,
        optional={
            "birth_date": st.sampled_from([None, "1800-01-01", "2000-02-29", "2999-12-31"]),
            "children_birth_dates": st.just(["2999-12-31"] * 50),
            "household_income": st.sampled_from(["-1000000000000000", "1000000000000000"]),
            "labels": st.just(["l"] * 200),
            "consent": st.just({"push": True}),
        },
    ),
    "bank.approvals": st.fixed_dictionaries(
        common
        | {
            "subject": st.sampled_from(["ccb-level", "nothing"]),
            "grade": st.sampled_from(["gold", "\u0000"]),
            "maker": st.just("m"),
            "checker": st.just("c"),
            "decision": st.sampled_from(["approve", "reject"]),
        }
    ),
    "push.feedback": st.fixed_dictionaries(
        common
        | {
            "tag_id": st.sampled_from(["joint-stock-layer.0", "?" * 256]),
            "outcome": st.sampled_from(["converted", "clicked"]),
        }
    ),
}  # fmt: skip
LITERALS = [
    "NaN",
    "-Infinity",
    "1e999",
    "9" * 5000,
    "-0",
    "[" * 5000,
    '"\\ud800"',
    "null",
    '"\\u0000"',
    "{}",
    "[[]]",
    "2",
]


@st.composite
def broken(draw: Any, topic: str) -> bytes | None:
    """A good record with a hole in it, mostly bad."""
    good = json.dumps(draw(GOOD[topic]) | {"customer_id": "BAD"}).encode()
    match draw(st.sampled_from(["literal", "cut", "bytes", "flip", "none", "double", "shift"])):
        case "literal":
            members = msgspec.json.decode(good, type=dict[str, msgspec.Raw])
            members[draw(st.sampled_from(sorted(members)))] = msgspec.Raw(draw(st.sampled_from(LITERALS)).encode())
            return (
                b"{"
                + b",".join(json.dumps(name).encode() + b":" + bytes(raw) for name, raw in members.items())
                + b"}"
            )
        case "cut":
            return good[: draw(st.integers(0, len(good) - 1))]
        case "bytes":
            return draw(st.binary(max_size=100))
        case "flip":
            at = draw(st.integers(0, len(good) - 1))
            return good[:at] + draw(st.binary(min_size=1, max_size=3)) + good[at + 1 :]
        case "double":
            return good + good
        case "shift":
            return good[:-1] + b',"occurred_at":"0001-01-01T00:00:00Z"}'
    return None


@st.composite
def inputs(draw: Any, topic: str) -> list[RawRecord]:
    """An input partition."""
    kinds = draw(st.lists(st.sampled_from(["good", "good", "broken", "control"]), min_size=1, max_size=25))
    records = []
    for offset, kind in enumerate(kinds):
        key = draw(st.sampled_from([None, b"", b"\xff", b"C1"]))
        if kind == "control":
            word = draw(st.sampled_from([b"begin", b"end", b"\xff", b""]))
            records.append(RawRecord(None, key, ((CONTROL_HEADER, word),), 0, offset))
            continue
        value = json.dumps(draw(GOOD[topic])).encode() if kind == "good" else draw(broken(topic))
        records.append(RawRecord(value, key, (), draw(st.sampled_from([None, -1, 0, NOW_MS])), offset))
    return records


def ingest(topic: str, records: list[RawRecord], how: IngestSettings) -> tuple[IngestState, Ingested]:
    source = InputPartition(topic, 0, 1, DECODER, how)
    return source.read(source.start_at(IngestState(), 0), records, NOW_MS)


topic_and_inputs = st.sampled_from(sorted(GOOD)).flatmap(lambda topic: st.tuples(st.just(topic), inputs(topic)))


@settings(max_examples=300)
@given(topic_and_inputs, st.sampled_from([EVENTS, WALL]))
def test_bad_records_leave_no_trace_but_their_dead_letter(
    case: tuple[str, list[RawRecord]], how: IngestSettings
) -> None:
    topic, records = case
    state, ingested = ingest(topic, records, how)
    refused = {letter.source.offset for letter in ingested.dead_letters}
    assert len(refused) == len(ingested.dead_letters)
    assert state.passed_on + state.dead_letters + state.control == len(records) == state.next_offset

    kept = [record for record in records if record.offset not in refused]
    kept_state, kept_ingested = ingest(topic, kept, how)
    assert kept_ingested.events == ingested.events
    assert kept_ingested.dead_letters == []
    if how is EVENTS:  # on the wall, the broker's timestamps of bad records tell the time too
        assert kept_state.time_ms == state.time_ms
    for letter in ingested.dead_letters:
        assert letter.reason in REASONS
        assert letter.expected
        assert letter.got
        assert len(letter.got) <= 64
        assert decode_dead_letter(encode_dead_letter(letter)) == letter


@st.composite
def pipelines(draw: Any) -> list[Any]:
    """Journal records of all five topics, interleaved, with their ticks."""
    waiting = []
    how = draw(st.sampled_from([EVENTS, CENTURIES]))
    for topic in sorted(GOOD):
        records = draw(inputs(topic))
        source = InputPartition(topic, 0, 1, DECODER, how)
        state = source.start_at(IngestState(), 0)
        log: list[Any] = []
        for record in records:
            state, ingested = source.read(state, [record], NOW_MS)
            log += ingested.events
            tick = source.make_tick(state)
            if tick is not None and draw(st.booleans()):
                log.append(tick)
        waiting.append(log)
    journal: list[Any] = [Activation(digest="r")]
    while any(waiting):
        journal.append(draw(st.sampled_from([log for log in waiting if log])).pop(0))
    return journal


@settings(max_examples=200)
@given(pipelines(), st.integers(1, 10))
@pytest.mark.timeout(200)
def test_the_core_takes_whatever_ingest_passes_on(journal: list[Any], batch_records: int) -> None:
    """Edges of the contract included: sums beyond 64 bits, times of three centuries, nothing but odd names."""
    partition = Partition(CORE, {"r": FILES}.__getitem__, programs=dict(PROGRAMS))
    batch = partition.batch()
    tags: list[tuple[str, bytes]] = []
    events = 0
    for offset, record in enumerate(journal):
        events += isinstance(record, CustomerEvent)
        assert batch.fold(offset, decode_record(encode_record(record)))
        if offset % batch_records == 0 or offset == len(journal) - 1:
            changes = batch.finish()
            partition.merge(changes)
            tags += changes.tags
            batch = partition.batch()
    counted = partition.meta.fates.values()
    assert sum(fates.applied + fates.duplicate + fates.late for fates in counted) == events
    assert set(partition.customers) <= {
        record.customer_id for record in journal if isinstance(record, CustomerEvent)
    }
    for customer, state in partition.customers.items():
        view = project_customer(customer, state, CALENDAR)
        assert view.profile["assets"]
        assert partition.measure(customer, NOW_MS)
    for customer, tag in tags:
        assert msgspec.json.decode(tag)["customer_id"] == customer
