"""docker-compose.yml as it stands, on a real engine: events in from the host, tags out, a worker killed."""

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from redis import Redis

from schemas.deadletters import decode_dead_letter
from schemas.topics import CUSTOMERS, DEAD_LETTERS, INPUTS, TAGS
from streams.child import free_port
from streams.clients import offset_ranges, partition_counts, read_topic
from streams.follow import Follower
from streams.settings import Settings

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "tagger:0.1.0"
WORKERS = ("ingest", "decide", "project")
PARTITIONS = 4
SIMULATE = [sys.executable, "-m", "streams.cli.main", "simulate", "--customers", "120", "--rate", "250"]


def run(*command: str, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


class Deployment:
    """One `docker compose` project of its own name and ports."""

    def __init__(self) -> None:
        self.project = f"tagger-test-{uuid.uuid4().hex[:8]}"
        kafka, redis = free_port(), free_port()
        self.variables = {
            "KAFKA_PORT": str(kafka),
            "REDIS_PORT": str(redis),
            "KAFKA_HEAP_OPTS": "-Xmx512m",
            "TAGGER_CLOCK": "events",
            "TAGGER_TICK_SECONDS": "0.5",
            "TAGGER_PARTITIONS": str(PARTITIONS),
        }
        self.settings = Settings(
            bootstrap=f"localhost:{kafka}",
            redis_url=f"redis://localhost:{redis}/0",
            clock="events",
            partitions=PARTITIONS,
        )

    def compose(self, *arguments: str) -> str:
        return run("docker", "compose", "--project-name", self.project, *arguments, **self.variables)

    def inspect(self, service: str) -> dict[str, Any]:
        container = self.compose("ps", "--all", "--quiet", service).split()
        assert len(container) == 1, f"expected one container of {service}, got {container}"
        (found,) = json.loads(run("docker", "inspect", container[0]))
        return dict(found)

    def healthy(self, service: str) -> bool:
        state = self.inspect(service)["State"]
        return bool(state["Running"] and state.get("Health", {}).get("Status") == "healthy")

    def kill(self, service: str) -> None:
        """SIGKILL from outside: `docker kill` would count as a stop that is meant, and no restart follows."""
        pid = self.inspect(service)["State"]["Pid"]
        code = f"import os; os.kill({pid}, 9)"
        options = ("--rm", "--pid", "host", "--network", "none", "--user", "0")
        run("docker", "run", *options, "--entrypoint", "python", IMAGE, "-c", code)


def wait_for(what: str, condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"expected within {seconds:.0f} s: {what}"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    engine = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False) if _docker() else None
    if engine is None or engine.returncode:
        problem = "expected a Docker engine that answers `docker info`, found none"
        if os.environ.get("CI") == "true":
            pytest.fail(problem, pytrace=False)
        pytest.skip(problem)
    deployed = Deployment()
    try:
        deployed.compose("up", "--detach", "--build", "--quiet-pull")
        wait_for("three healthy workers", lambda: all(map(deployed.healthy, WORKERS)), 180)
        yield deployed
    finally:
        logs = deployed.compose("logs", "--no-color", "--tail", "60", *WORKERS)
        deployed.compose("down", "--volumes", "--timeout", "20")
        sys.stdout.write(logs)


def _docker() -> bool:
    return any((Path(folder) / "docker").exists() for folder in os.environ["PATH"].split(os.pathsep))


async def test_a_worker_killed_under_load_comes_back_and_every_record_has_one_fate(deployment: Deployment) -> None:
    settings = deployment.settings
    environment = os.environ | {"TAGGER_BOOTSTRAP": settings.bootstrap}
    watch = Follower(settings)
    following = asyncio.create_task(watch.follow())
    sending = await asyncio.create_subprocess_exec(*SIMULATE, env=environment)
    try:
        await _until("tags while events come in", lambda: bool(watch.seen.tags), following, 120)
        assert sending.returncode is None, "the worker must be killed while events still come in"
        deployment.kill("decide")
        assert await sending.wait() == 0
        sources = 2 * PARTITIONS
        await _until("the end of time", lambda: watch.seen.closed(PARTITIONS, sources), following, 180)
        await _balanced(settings, watch, following)
    finally:
        following.cancel()
        if sending.returncode is None:
            sending.kill()
    assert deployment.inspect("decide")["RestartCount"] == 1
    wait_for("three healthy workers again", lambda: all(map(deployment.healthy, WORKERS)), 60)
    open_tags = await _tags_each_once(settings)
    await _until("the view", lambda: _view(settings, open_tags) == open_tags, following=None, seconds=60)


async def _until(what: str, condition: Callable[[], bool], following: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if following is not None and following.done():
            following.result()
        assert time.monotonic() < deadline, f"expected within {seconds:.0f} s: {what}"
        await asyncio.sleep(0.2)


async def _balanced(settings: Settings, watch: Follower, following: Any) -> None:
    """Each input partition's records, less begin and end, are applied, duplicate, late or dead letters."""
    counts = await partition_counts(settings, INPUTS)
    places = [TopicPartition(topic, number) for topic in INPUTS for number in range(counts[topic])]
    ranges = await offset_ranges(settings, places)
    control = {place: 2 if place.topic in settings.clock_topics else 0 for place in places}
    sent = {f"{place.topic}-{place.partition}": end - control[place] for place, (_, end) in ranges.items()}
    sent = {name: count for name, count in sent.items() if count}
    assert sum(sent.values()) > 1000
    total = sum(sent.values())
    await _until("a fate for each record", lambda: watch.seen.fates().total() >= total, following, 60)
    fates: Counter[str] = Counter()
    for meta in watch.seen.metas.values():
        for source, count in meta.fates.items():
            fates[source] += count.applied + count.duplicate + count.late
    async for record in read_topic(settings, settings.topic(DEAD_LETTERS)):
        fates[decode_dead_letter(record.value).message_key] += 1
    assert fates == sent


async def _tags_each_once(settings: Settings) -> dict[str, set[str]]:
    """Assert that no revision of a tag was published twice; gives each customer's open tags."""
    revisions: Counter[tuple[str, int]] = Counter()
    last: dict[str, Any] = {}
    async for record in read_topic(settings, settings.topic(TAGS)):
        tag = json.loads(record.value)
        revisions[tag["tag_id"], tag["revision"]] += 1
        last[tag["tag_id"]] = tag
    assert last
    assert {key: count for key, count in revisions.items() if count > 1} == {}
    for tag_id, tag in last.items():
        assert all(revisions[tag_id, number] for number in range(1, tag["revision"] + 1)), f"a gap in {tag_id}"
    open_tags: dict[str, set[str]] = {}
    for tag_id, tag in last.items():
        if tag["state"] == "open":
            open_tags.setdefault(tag["customer_id"], set()).add(tag_id)
    return open_tags


def _view(settings: Settings, customers: dict[str, set[str]]) -> dict[str, set[str]]:
    with Redis.from_url(settings.redis_url, decode_responses=True) as redis:
        shown = {key.split("{")[1].split("}")[0] for key in redis.scan_iter("tagger:{*}:tags")}
        return {customer: set(redis.hkeys(f"tagger:{{{customer}}}:tags")) for customer in shown | customers.keys()}


async def test_the_changelog_is_compacted_and_the_topics_are_as_the_settings_say(deployment: Deployment) -> None:
    environment = {"TAGGER_BOOTSTRAP": deployment.settings.bootstrap, "TAGGER_PARTITIONS": str(PARTITIONS)}
    checked = run(sys.executable, "-m", "streams.cli.main", "topics", "check", **environment)
    assert "as they must be" in checked
    assert (await partition_counts(deployment.settings, [CUSTOMERS]))[CUSTOMERS] == PARTITIONS
