"""The verdict of a fault run: a small bank, decided by the pure parts, is well; each thing put wrong is told."""

import copy
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from seen import Folded, Input, Seen

from faults.bank import PACKS, Sent, ghost, stream
from faults.fleet import EXPLAINED_SECONDS, Ending, Fleet
from faults.plan import draw
from faults.report import sigkills
from faults.run import LEAST_RECOVERIES, Result, percentile
from faults.storm import Struck, recoveries
from faults.tag_watch import Heard, Moved
from faults.verdict import Left, problems
from faults.view import expected_view
from schemas.bankday import BankCalendar
from schemas.deadletters import DeadLetter
from schemas.decode import Decoder
from schemas.journal import Activation, Tick, decode_record, encode_record
from schemas.topics import CONTROL_HEADER, INPUTS
from streams import failpoints
from streams.partitioner import partition_of
from streams.settings import Settings
from tagger.folding.meta import decode_meta, encode_meta
from tagger.folding.partition import Partition
from tagger.ingest.committed import IngestState
from tagger.ingest.partition import InputPartition, RawRecord

SEED, EVENTS, PARTITIONS = 5, 600, 2
Spoil = Callable[[Left], None]


def sent_records() -> list[Sent]:
    return list(stream(SEED, EVENTS, PARTITIONS))


def _inputs() -> dict[tuple[str, int], list[RawRecord]]:
    inputs: dict[tuple[str, int], list[RawRecord]] = defaultdict(list)
    for topic in ("bank.transactions", "bank.app-events"):
        for number in range(PARTITIONS):
            inputs[topic, number].append(RawRecord(None, b"control", ((CONTROL_HEADER, b"begin"),), 0, 0))
    for sent in sent_records():
        place = inputs[sent.topic, sent.partition]
        place.append(RawRecord(sent.value, sent.key, tuple(sent.headers), 0, len(place)))
    return dict(inputs)


def _ingested(
    settings: Settings, inputs: dict[tuple[str, int], list[RawRecord]]
) -> tuple[dict[tuple[str, int], Input], dict[int, list[tuple[int, bytes]]], list[DeadLetter]]:
    journal: dict[int, list[bytes]] = {
        number: [encode_record(Activation(digest="first"))] for number in range(PARTITIONS)
    }
    told: dict[tuple[str, int], Input] = {
        (topic, number): Input(0, [], 0, IngestState(first_offset=0, next_offset=0))
        for topic in INPUTS
        for number in range(PARTITIONS)
    }
    letters: list[DeadLetter] = []
    for (topic, number), records in inputs.items():
        source = InputPartition(topic, number, PARTITIONS, Decoder({}), settings.ingest())
        state, out = source.read(source.start_at(IngestState(), 0), records, int(time.time() * 1000))
        letters += out.dead_letters
        for event in out.events:
            journal[partition_of(event.customer_id.encode(), PARTITIONS)].append(encode_record(event))
        if source.moves_clock:
            tick = Tick(
                topic=topic, partition=number, of=PARTITIONS, time_ms=state.time_ms, closed=False, recorded=True
            )
            for log in journal.values():
                log.append(encode_record(tick))
        offsets = [raw.offset for raw in records if CONTROL_HEADER not in dict(raw.headers)]
        told[topic, number] = Input(len(records), offsets, len(records), state)
    return told, {number: list(enumerate(log)) for number, log in journal.items()}, letters


def _decided(settings: Settings, journal: dict[int, list[tuple[int, bytes]]]) -> dict[int, Folded]:
    live = {}
    for number, log in journal.items():
        partition, folded = Partition(settings.core(), {"first": PACKS[0]}.__getitem__), Folded()
        batch = partition.batch()
        for offset, value in log:
            batch.fold(offset, decode_record(value))
        changes = batch.finish()
        partition.merge(changes)
        for customer, tag in changes.tags:
            folded.tags.setdefault(customer, []).append(tag)
        folded.customers, folded.meta = partition.customers, changes.meta
        live[number] = folded
    return live


def _heard(live: dict[int, Folded]) -> list[Heard]:
    told = []
    for number in sorted(live):
        heard = Heard()
        for offset, tag in enumerate(tag for tags in live[number].tags.values() for tag in tags):
            heard.take(offset, tag)
        told.append(heard)
    return told


@pytest.fixture(scope="module")
def well() -> Left:
    settings = Settings(clock="events", partitions=PARTITIONS, dedupe_days=60, dedupe_count=128)
    inputs = _inputs()
    told, journal, letters = _ingested(settings, inputs)
    live = _decided(settings, journal)
    seen = Seen(settings, told, journal, live, letters, {"first": PACKS[0]})
    versions = {customer: number for number, customer in enumerate(sorted(seen.customers()))}
    keys = expected_view(seen.customers(), versions, BankCalendar(settings.zone))
    keys["tagger:meta"] = {str(number): str(len(versions)) for number in range(PARTITIONS)}
    return Left(seen, inputs, versions, keys, _heard(live), _heard(live))


def spoiled(well: Left, spoil: Spoil) -> list[str]:
    seen = copy.copy(well.seen)
    seen.inputs, seen.journal = copy.deepcopy(seen.inputs), copy.deepcopy(seen.journal)
    seen.live, seen.dead_letters = copy.deepcopy(seen.live), list(seen.dead_letters)
    keys = copy.deepcopy(well.keys)
    left = Left(seen, dict(well.inputs), dict(well.versions), keys, list(well.tags), list(well.heard))
    spoil(left)
    return list(problems(left, sent_records()))


def tagged(left: Left) -> list[bytes]:
    return next(tags for tags in left.seen.live[0].tags.values() if len(set(tags)) > 2)


def one_more_applied(left: Left) -> None:
    meta = decode_meta(left.seen.live[0].meta)
    next(iter(meta.fates.values())).applied += 1
    left.seen.live[0].meta = encode_meta(meta)


def reverse(values: list[Any]) -> None:
    values[:2] = values[1::-1]


def old_state(left: Left) -> None:
    customers = left.seen.live[0].customers
    one, other = list(customers)[:2]
    customers[one] = customers[other]


def rule_set(left: Left) -> dict[str, str]:
    return next(members for key, members in left.keys.items() if key.startswith("tagger:rule:"))


def profile(left: Left) -> dict[str, str]:
    return next(fields for key, fields in left.keys.items() if key.endswith(":profile"))


def first_event(left: Left) -> int:
    log = left.seen.journal[0]
    return next(place for place, (_, value) in enumerate(log) if b"event_id" in value)


def deaf(left: Left) -> None:
    left.heard[0] = Heard()


def ghostly(left: Left) -> None:
    place = next(iter(left.inputs))
    left.inputs[place] = [*left.inputs[place], RawRecord(ghost(1), b"GHOST", (), 0, 10**6)]


def lost_by_us(left: Left) -> None:
    place = next(iter(left.inputs))
    left.inputs[place] = left.inputs[place][:-1]


WRONG: dict[str, tuple[Spoil, str]] = {
    "a doubled tag": (lambda left: tagged(left).append(tagged(left)[-1]), "customers differ"),
    "a missing tag": (lambda left: tagged(left).pop(), "customers differ"),
    "tags of a customer out of order": (lambda left: reverse(tagged(left)), "customers differ"),
    "another state": (old_state, "customers differ"),
    "an extra fate": (one_more_applied, "fates of what was sent"),
    "an event lost from the journal": (lambda left: left.seen.journal[0].pop(first_event(left)), "expected"),
    "an event twice in the journal": (
        lambda left: left.seen.journal[0].insert(first_event(left), left.seen.journal[0][first_event(left)]),
        "events, found",
    ),
    "a dead letter twice": (
        lambda left: left.seen.dead_letters.append(left.seen.dead_letters[0]),
        "dead letter twice",
    ),
    "a dead letter missing": (lambda left: left.seen.dead_letters.pop(), "dead letter or not"),
    "an aborted record read": (ghostly, "nobody committed"),
    "a record that the harness lost": (lost_by_us, "harness's own fault"),
    "a stale member of a rule's set": (lambda left: rule_set(left).update(C999="1"), "C999: expected None"),
    "a member missing from a rule's set": (lambda left: rule_set(left).popitem(), "tagger:rule:"),
    "a customer that Redis should not have": (
        lambda left: left.keys.update({"tagger:{C999}:profile": {"assets": "0"}}),
        "expected no such key",
    ),
    "a customer that Redis lacks": (lambda left: left.keys.pop("tagger:{C1}:profile"), "found no such key"),
    "an old version in Redis": (lambda left: profile(left).update(version="-5"), "version: expected"),
    "a changelog not applied to its end": (
        lambda left: left.keys["tagger:meta"].pop("0"),
        "tagger:meta says None",
    ),
    "a tag shown and taken back": (deaf, "a live listener heard 0"),
}


def test_what_is_well_is_found_well(well: Left) -> None:
    assert not list(problems(well, sent_records()))
    assert sum(heard.count for heard in well.tags) > 50
    assert {sent.fate for sent in sent_records()} == {"good", "repeat", "late", "broken"}


@pytest.mark.parametrize("name", WRONG)
def test_it_is_told(well: Left, name: str) -> None:
    spoil, words = WRONG[name]
    told = spoiled(well, spoil)
    assert any(words in problem for problem in told), told


def test_a_plan_is_a_function_of_its_seed() -> None:
    assert draw(3, 20, 1000) == draw(3, 20, 1000) != draw(4, 20, 1000)
    assert draw(3, 20, 1000).counts()["kill"] == 20
    assert list(stream(3, 300, 4)) == list(stream(3, 300, 4))


def test_long_plans_arm_every_fail_point() -> None:
    armed = {fault.armed.partition("=")[0] for fault in draw(1, 200, 1000).faults if fault.armed}
    assert armed == set(failpoints.REGISTRY)
    assert all(failpoints.read_steps(fault.armed) for fault in draw(1, 200, 1000).faults if fault.armed)


@pytest.mark.parametrize(
    ("code", "error", "armed", "struck", "is_explained"),
    [
        (1, "FailPointError", "decide.after-fold=raise@1", "kill", True),
        (1, "FailPointError", "", "kill", False),
        (-9, "", "decide.after-fold=crash@1", "kill", True),
        (3, "UnreachableError", "", "broker-kill", True),
        (3, "UnreachableError", "", "kill", False),
        (1, "StuckError", "", "broker-freeze", True),
        (1, "StuckError", "", "redis-kill", False),
        (1, "HangingTransactionError", "", "open", True),
        (1, "HangingTransactionError", "", "kill", False),
        (1, "PositionError", "", "broker-kill", False),
        (1, "AssertionError", "decide.after-fold=raise@1", "kill", False),
        (-9, "", "", "kill", False),
        (-11, "", "", "kill", False),
        (0, "", "", "kill", False),
    ],
)
def test_a_worker_may_end_only_for_a_reason(
    tmp_path: Any, code: int, error: str, armed: str, struck: str, is_explained: bool
) -> None:
    fleet = Fleet(Settings(), tmp_path)
    fleet.endings.append(Ending(0, code, error, armed, 1000.0))
    assert bool(fleet.unexplained([(struck, 990.0)])) != is_explained


def test_a_fault_explains_no_ending_long_after_it_or_before(tmp_path: Any) -> None:
    fleet = Fleet(Settings(), tmp_path)
    fleet.endings.append(Ending(0, 3, "UnreachableError", "", 1000.0))
    assert fleet.unexplained([("broker-kill", 1000.0 - EXPLAINED_SECONDS - 1), ("broker-kill", 1001.0)])


def test_sigkills_are_counted_by_what_was_killed(tmp_path: Any) -> None:
    kinds = ("kill", "kill", "crash", "broker-kill", "redis-kill", "pause", "broker-restart", "aborted")
    result = Result(draw(1, 1, 10), tmp_path, struck=[Struck(kind, kind, 1.0) for kind in kinds])
    expected = {"workers": 2, "workers at a fail-point": 1, "brokers": 1, "Redis": 1}
    assert sigkills(result) == expected


def test_a_recovery_is_judged_of_enough_samples_on_a_free_machine(tmp_path: Any) -> None:
    result = Result(draw(1, 1, 10), tmp_path, alone=[1.0] * LEAST_RECOVERIES)
    assert result.is_recovery_judged
    assert not replace(result, alone=result.alone[1:]).is_recovery_judged
    assert not replace(result, taken_by_others=0.5).is_recovery_judged


def test_a_plan_of_kills_alone_holds_nothing_else() -> None:
    plan = draw(3, 20, 1000, only_kills=True)
    assert len(plan.faults) == 20
    assert {(fault.kind, fault.armed, fault.is_hasty) for fault in plan.faults} == {("kill", "", False)}


def test_a_recovery_into_which_another_fault_reaches_is_counted_apart() -> None:
    struck = [
        Struck("kill", "kill", 100.0, 110.0, [Moved(0, 100.0, 7.0), Moved(1, 100.0, 8.0)]),
        Struck("kill", "kill", 200.0, 215.0, [Moved(0, 200.0, 7.5)]),
        Struck("broker-kill", "broker-kill", 204.0, 212.0),
        Struck("redis-flush", "redis-flush", 302.0, 303.0),
        Struck("kill", "kill", 300.0, None, [Moved(0, 300.0)]),
    ]
    assert recoveries(struck, 6.0) == ([7.0, 8.0, float("inf")], [7.5])


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(1, 41)]
    assert [percentile(values, share) for share in (50, 95, 100)] == [20.0, 38.0, 40.0]
    assert percentile([3.0], 95) == 3.0
