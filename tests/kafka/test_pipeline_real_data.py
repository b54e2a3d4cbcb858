"""A real bank's year and a real shop's hours through the whole pipeline, with one worker and with three.

Each run publishes Berka and the Taobao slice to one deployment, waits until nothing is left to read, stops the
workers and reads every topic: both files whole, 49,102 transactions and a cut row, 110,300 app events. The rules
are the tiers of two banks and the signals.
"""

import asyncio
import shutil
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka_broker import KafkaBroker
from pipeline import ROOT, Pipeline, data
from redis import Redis
from redis_server import RedisServer
from seen import Seen, check_equals_a_plain_fold, check_every_offset_has_one_fate, look

from schemas.bankday import BankCalendar
from streams.stages.redis_view import customer_key, rule_key
from tagger.view import project_customer

pytestmark = pytest.mark.kafka

SAMPLE = 500
RULES = ("ccb.yaml", "joint_stock.yaml", "signals.yaml", "rulebook.yaml", "policy.yaml")


@dataclass
class Run:
    """One run: what stands in the topics, and what stood in Redis."""

    seen: Seen
    redis: dict[str, Any]


@pytest.fixture(scope="module", params=[1, 3], ids=["one worker", "three workers"])
def run(
    request: pytest.FixtureRequest,
    kafka: KafkaBroker,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    sources = {"berka": data("berka"), "taobao": data("taobao")}
    with Redis.from_url(redis_server.url, decode_responses=True) as redis:
        redis.flushall()
        pipeline = Pipeline.create(
            kafka.bootstrap,
            f"real{uuid.uuid4().hex[:8]}.",
            tmp_path_factory.mktemp("run"),
            redis_url=redis_server.url,
            rules=rules_in(tmp_path_factory.mktemp("rules")),
        )
        seen = asyncio.run(publish_and_look(pipeline, sources, request.param))
        return Run(seen, read_view(redis, seen))


def rules_in(folder: Path) -> Path:
    for name in RULES:
        shutil.copy(ROOT / "rules" / name, folder)
    return folder


async def publish_and_look(pipeline: Pipeline, sources: dict[str, Path], workers: int) -> Seen:
    with pipeline.running():
        for _ in range(workers):
            pipeline.start_worker()
        for name, folder in sources.items():
            await asyncio.to_thread(pipeline.tagger, "replay", str(folder), "--format", name)
        await pipeline.settle()
        await pipeline.leave()
        return await look(pipeline)


def sample(seen: Seen) -> list[str]:
    customers = sorted(seen.customers())
    return customers[:: max(1, len(customers) // SAMPLE)]


def read_view(redis: Redis, seen: Seen) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for customer in sample(seen):
        profile = redis.hgetall(customer_key(customer, "profile"))
        del profile["version"], profile["epoch"]
        found[customer] = (profile, redis.hgetall(customer_key(customer, "tags")))
    found["#profiles"] = sum(1 for _ in redis.scan_iter("tagger:{*}:profile", count=5000))
    rules = {msgspec.json.decode(tag)["rule"] for tags in seen.tags().values() for tag in tags}
    found["#rules"] = {rule: dict(redis.zrange(rule_key(rule), 0, -1, withscores=True)) for rule in rules}
    return found


def test_every_input_offset_has_one_fate(run: Run) -> None:
    check_every_offset_has_one_fate(run.seen)


def test_counts_add_up_with_the_files(run: Run) -> None:
    """Nothing is late or twice in either file, and the cut last row is the only dead letter."""
    rows = len((data("berka") / "trans.asc").read_bytes().splitlines()) - 2  # a head, and the cut row
    behaviours = len((data("taobao") / "slice.csv").read_bytes().splitlines())
    expected = {
        ("bank.transactions", "applied"): rows,
        ("bank.app-events", "applied"): behaviours,
    }
    totals: Counter[tuple[str, str]] = Counter()
    for (topic, _), fates in run.seen.fates().items():
        for fate in ("applied", "duplicate", "late"):
            totals[topic, fate] += getattr(fates, fate)
    assert +totals == expected
    assert [letter.reason for letter in run.seen.dead_letters] == ["not_json"]


@pytest.mark.parametrize("batch_records", [977, 1 << 30], ids=["in batches of 977", "at once"])
def test_tags_and_changelog_equal_those_of_a_plain_fold_of_the_journal(run: Run, batch_records: int) -> None:
    assert len(run.seen.tags()) > 500
    check_equals_a_plain_fold(run.seen, batch_records)


def test_redis_shows_what_the_changelog_holds(run: Run) -> None:
    """Profiles and open tags of a sample; how many profiles, and each rule's set, of all."""
    calendar = BankCalendar(run.seen.settings.zone)
    views = {one: project_customer(one, state, calendar) for one, state in run.seen.customers().items()}
    for customer in sample(run.seen):
        profile, tags = run.redis[customer]
        assert profile == views[customer].profile
        assert {tag_id: msgspec.json.decode(tag)["revision"] for tag_id, tag in tags.items()} == {
            tag_id: tag.revision for tag_id, tag in views[customer].tags.items()
        }
    assert run.redis["#profiles"] == len(views)
    for rule, members in run.redis["#rules"].items():
        opened = {
            one: tag.opened_ms for one, view in views.items() for tag in view.tags.values() if tag.rule == rule
        }
        assert members == opened, rule
