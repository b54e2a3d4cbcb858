"""The bench runs, and what it compares does the same job. No time is asserted: figures are for people to read."""

import importlib
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest
from aiokafka import TopicPartition
from kafka_broker import install_kafka
from parts import MissingPartError, program

from bench.job import DEDUPE_COUNT, Bank, Record
from bench.measure import Sample, speed
from bench.midnight_feed import Waiting
from bench.midnight_watch import Watch
from bench.report import percentile
from bench.sampling import Sampler
from schemas.decode import Decoder
from schemas.journal import Activation
from streams.rulebooks.folder import read_folder
from streams.settings import Settings
from tagger.folding.meta import META_KEY, Meta, encode_meta
from tagger.folding.partition import Partition
from tagger.packs.rulebook import read_rulebook
from tagger.settings import CoreSettings
from tagger.state.customer import CustomerState, encode_state
from tagger.state.dedupe import HASH_BYTES, pack_day

ROOT = Path(__file__).resolve().parents[2]
PACKS = read_folder(ROOT / "bench" / "rules")
CHANGELOG = TopicPartition("tagging.customers", 0)


@pytest.fixture
def records() -> list[Record]:
    return list(Bank(3000, 100).records(3000))


@pytest.fixture
def expected() -> int:
    bank = Bank(3000, 100)
    assert sum(1 for _ in bank.records(3000)) == 3000
    assert bank.tags > 20
    return bank.tags


def contender(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for variable in ("BOOTSTRAP", "APP", "INPUT", "TAGS", "CHANGELOG"):
        monkeypatch.setenv(f"BENCH_{variable}", variable.lower())
    return importlib.import_module(f"bench.{name}")


def tags_by_hand(module: ModuleType, records: Iterable[Record]) -> int:
    """How often a contender's own fold opens or ends the tag."""
    states: dict[bytes, dict[str, object]] = {}
    count = 0
    for record in records:
        if module.__name__ == "bench.usual":
            transaction, new = module.Transaction.model_validate_json(record.value), dict
        else:
            transaction, new = module._decode(record.value), module.new_state
        count += module.fold(states.setdefault(record.key, new()), transaction) is not None
    return count


@pytest.mark.parametrize("name", ["usual", "spike"])
def test_a_hand_written_fold_makes_the_tags_of_the_job(
    name: str, records: list[Record], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tags_by_hand(contender(name, monkeypatch), records) == expected


def test_the_bench_pack_makes_the_tags_of_the_job(records: list[Record], expected: int) -> None:
    rulebook = read_rulebook(PACKS)
    core = CoreSettings(clock_topics=("bank.transactions",), dedupe_count=DEDUPE_COUNT)
    batch = Partition(core, lambda digest: PACKS).batch()
    decoder = Decoder({})
    assert batch.fold(0, Activation(digest=rulebook.digest))
    for offset, record in enumerate(records, start=1):
        event = decoder.decode("bank.transactions", 0, offset, record.value).event
        assert batch.fold(offset, event)
    assert len(batch.finish().tags) == expected


def test_figures_leave_out_what_came_before_the_first_progress() -> None:
    start, first, last = Sample(0.0, 2.0, 0), Sample(10.0, 3.0, 200), Sample(12.0, 4.0, 1000)
    measured = speed([start, first, last], 500)
    assert (measured.events, measured.seconds) == (400, 2.0)
    assert (measured.events_a_second, measured.cpu_us_an_event) == (200.0, 2500.0)


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile([1, 2, 3, 4], share) for share in (0.25, 0.5, 0.51, 0.99, 1.0)] == [1, 2, 3, 4, 4]
    assert percentile([7], 0.5) == 7


def entry(event_hash: int) -> bytes:
    """A remembered event as it stands in a state."""
    return event_hash.to_bytes(HASH_BYTES, "big") + pack_day(1)


@pytest.fixture
def servers() -> None:
    """Skip where the bench's servers cannot be had."""
    try:
        install_kafka()
        program("redis-server", "redis-server")
    except MissingPartError as part:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(part))


def run_bench(folder: Path, **sizes: int) -> tuple[str, str]:
    """A run of the command; the page and the JSON that it wrote."""
    options = [text for name, value in sizes.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli.main", "bench", *options, "--results", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page, report = (next(folder.glob(f"*.{kind}")).read_text() for kind in ("md", "json"))
    assert page.strip() == done.stdout.strip()
    return page, report


@pytest.mark.kafka
@pytest.mark.redis
def test_a_small_restore_writes_its_report(tmp_path: Path, servers: None) -> None:
    page, report = run_bench(tmp_path, restore=700)
    found = json.loads(report)
    assert f"# Restore of {found['customers']} customers" in page
    assert found["customers"] == 700
    assert found["state_bytes"] > 700 * 100
    assert found["ready_seconds"] > found["seconds"] > 0


@pytest.mark.kafka
def test_a_small_midnight_writes_its_report(tmp_path: Path, servers: None) -> None:
    page, report = run_bench(tmp_path, midnight=900, live_seconds=2)
    found = json.loads(report)
    assert "# A midnight with 900 deadlines" in page
    assert 0 < found["due_models"] <= found["models"]
    before, meanwhile, after = (phase["events"] for phase in found["others"].values())
    assert before > 0
    assert meanwhile > 0
    assert after > 0
    assert found["transactions"]["count"] >= found["partitions"]
    assert found["transactions"]["most_bytes"] > 0
    assert found["cpu_seconds"] > 0


def test_an_event_is_found_in_the_first_state_that_remembers_it() -> None:
    settings, midnight_ms = Settings(partitions=1), 1_000
    waiting = Waiting({b"L00000000": deque([(7, 1.0), (8, 2.0), (9, 3.0)])}, 3)
    watch = Watch(settings, 1, midnight_ms, waiting)

    def see(key: str, state: CustomerState, now: float) -> None:
        watch.take(CHANGELOG, key.encode(), encode_state(state), now)

    see("L00000000", CustomerState(), 3.5)
    see("L00000000", CustomerState(seen=entry(7) + entry(8)), 4.0)
    assert watch.latencies == [(1.0, 3.0), (2.0, 2.0)]
    see("L00000000", CustomerState(seen=entry(7) + entry(8)), 5.0)
    assert (len(watch.latencies), waiting.count) == (2, 1)


def test_an_idle_customer_is_done_with_a_deadline_beyond_midnight() -> None:
    watch = Watch(Settings(partitions=1), 2, 1_000, Waiting())
    for number, due_ms in [(0, 1_000), (1, 2_000), (1, 3_000)]:
        watch.take(CHANGELOG, f"R{number:08}".encode(), encode_state(CustomerState(due_ms=due_ms)), 5.0)
    assert (watch.left, watch.finished_at) == (1, None)
    watch.take(CHANGELOG, b"R00000000", encode_state(CustomerState(due_ms=2_000)), 6.0)
    assert (watch.left, watch.finished_at) == (0, 6.0)


def test_a_transaction_ends_with_its_meta_record() -> None:
    watch = Watch(Settings(partitions=1), 1, 1_000, Waiting())
    meta = encode_meta(Meta(next_offset=12))
    for key in (b"X1", b"X2", META_KEY.encode(), b"X1", META_KEY.encode()):
        watch.take(CHANGELOG, key, meta if key == META_KEY.encode() else b"12345678", 1.0)
    found = watch.transactions
    size = 2 * (2 + 8) + len(META_KEY) + len(meta)
    assert (found.count, found.most_records, found.most_bytes) == (2, 3, size)
    assert watch.positions == {0: 12}


def test_samples_fall_to_the_part_that_called() -> None:
    def busy() -> int:
        return sum(number * number for number in range(3_000_000))

    def idle() -> None:
        """Belongs to a part and is never called."""

    sampler = Sampler({"busy": (busy,), "idle": (idle,)}, "rest")
    with sampler.running():
        busy()
    shares = sampler.shares()
    assert shares["busy"] > 0.9
    assert shares["idle"] == 0
    assert sum(shares.values()) == pytest.approx(1)
    assert sampler.cpu_seconds > 0


@pytest.mark.kafka
@pytest.mark.redis
def test_a_small_run_writes_its_report(tmp_path: Path, servers: None) -> None:
    page, report = run_bench(tmp_path, events=2000, customers=100, usual_events=500, live_seconds=2)
    found = json.loads(report)
    names = [result["name"] for result in found["results"]]
    assert names == ["ingest", "decide", "project", "spike", "all packs", "whole pipeline", "usual"]
    assert all(result["speed"]["cpu_us_an_event"] > 0 for result in found["results"])
    assert found["state"]["customers"] == found["restore"]["customers"] == 100
    assert found["latency"]["tags"] > 0
    packs, cost = found["packs"], found["results"][4]["speed"]["cpu_us_an_event"]
    assert packs["tags"] > 0
    assert 0 < packs["folded"] < 2000
    assert sum(packs["parts_us"].values()) == pytest.approx(cost)
    assert found["packs_rate"] == pytest.approx(1e6 / cost)
    assert os.uname().nodename not in page + report
    assert str(ROOT) not in page + report
