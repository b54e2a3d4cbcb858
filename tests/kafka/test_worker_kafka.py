"""The worker process: how it starts, fails and ends."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from counting_run import Deployment, numbered, until
from kafka_broker import KafkaBroker
from redis import Redis

from streams.child import free_port
from streams.clients import open_admin

pytestmark = pytest.mark.kafka

TAGGER = [sys.executable, "-m", "streams.cli.main"]


def run_tagger(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TAGGER, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def events(stderr: str) -> list[dict[str, str]]:
    return [msgspec.json.decode(line) for line in stderr.splitlines() if line.startswith("{")]


def last_event(stderr: str) -> dict[str, str]:
    return events(stderr)[-1]


@pytest.fixture
async def deployment(kafka: KafkaBroker, topic_prefix: str, tmp_path: Path) -> Deployment:
    return await Deployment.create(kafka.bootstrap, topic_prefix, tmp_path, partitions=2)


def test_missing_topics_end_it_with_2_and_what_to_run(kafka: KafkaBroker, topic_prefix: str) -> None:
    done = run_tagger("worker", TAGGER_BOOTSTRAP=kafka.bootstrap, TAGGER_TOPIC_PREFIX=topic_prefix)
    assert done.returncode == 2
    error = last_event(done.stderr)["error"]
    assert f"{topic_prefix}tagging.journal" in error
    assert "tagger topics create" in error


def test_no_broker_ends_it_with_3(topic_prefix: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    done = run_tagger("--bootstrap", address, "worker")
    assert done.returncode == 3
    assert address in last_event(done.stderr)["error"]


def test_view_of_another_deployment_ends_it_with_2_and_what_to_do(
    kafka: KafkaBroker, topic_prefix: str, redis_url: str
) -> None:
    environment = {
        "TAGGER_BOOTSTRAP": kafka.bootstrap,
        "TAGGER_TOPIC_PREFIX": topic_prefix,
        "TAGGER_APP": "ours",
        "TAGGER_REDIS_URL": redis_url,
        "TAGGER_PARTITIONS": "2",
    }
    assert run_tagger("topics", "create", **environment).returncode == 0
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        redis.hset("tagger:meta", "app", "theirs")
        done = run_tagger("worker", "--only", "project", **environment)
        assert done.returncode == 2
        (error,) = [line["error"] for line in events(done.stderr) if line["event"] == "cannot go on"]
        assert "'theirs' where 'ours' would write" in error
        assert "TAGGER_REDIS_URL" in error
        assert redis.hgetall("tagger:meta") == {"app": "theirs"}


def test_taken_health_port_ends_it_with_2_and_what_to_do(kafka: KafkaBroker, topic_prefix: str) -> None:
    environment = {"TAGGER_BOOTSTRAP": kafka.bootstrap, "TAGGER_TOPIC_PREFIX": topic_prefix}
    assert run_tagger("topics", "create", TAGGER_PARTITIONS="2", **environment).returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_tagger("worker", "--only", "project", TAGGER_HEALTH_PORT=port, **environment)
    assert done.returncode == 2
    error = last_event(done.stderr)["error"]
    assert f"127.0.0.1:{port}" in error
    assert "TAGGER_HEALTH_PORT" in error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_gracefully(deployment: Deployment, number: signal.Signals) -> None:
    with deployment.running():
        worker = deployment.start_worker()
        await deployment.write(numbered(100))
        await deployment.settle()
        worker.signal(number)
        assert await worker.ended() == 0
        assert worker.events("stopped")


async def test_it_stops_gracefully_before_it_has_joined(deployment: Deployment) -> None:
    with deployment.running():
        worker = deployment.start_worker()
        await until(lambda: bool(worker.events("starting")), "the worker to start")
        assert await worker.leave() == 0


async def test_an_exception_in_the_fold_ends_it_and_skips_nothing(deployment: Deployment, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    with deployment.running():
        await deployment.write(numbered(1000))
        for _ in range(2):
            worker = deployment.start_worker(
                FAIL_ON_EVENT="e777", FAIL_WHILE=str(broken), TAGGER_BATCH_RECORDS="50"
            )
            assert await worker.ended() == 1
            failure = worker.events("cannot go on")[0]
            assert failure["error"] == "ZeroDivisionError"
            assert "counting.py" in str(failure["trace"])
        assert not await deployment.has_decided_all()
        broken.unlink()
        mended = deployment.start_worker()
        await deployment.settle()
        assert await mended.leave() == 0


async def test_an_exception_in_the_agent_ends_it_and_skips_nothing(deployment: Deployment, tmp_path: Path) -> None:
    """Faust would restart its agent, which would go on behind the fetch that failed."""
    broken = tmp_path / "broken"
    broken.touch()
    with deployment.running():
        await deployment.write(numbered(1000))
        worker = deployment.start_worker(FAIL_IN="deliver", FAIL_WHILE=str(broken))
        assert await worker.ended() == 1
        failure = worker.events("cannot go on")[0]
        assert failure["error"] == "ZeroDivisionError"
        assert "app.py" in str(failure["trace"])
        assert await deployment.tags() == {}
        broken.unlink()
        mended = deployment.start_worker()
        await deployment.settle()
        assert await mended.leave() == 0


async def test_logs_hold_no_payload(deployment: Deployment, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    with deployment.running():
        await deployment.write(numbered(100))
        worker = deployment.start_worker(FAIL_ON_EVENT="e77", FAIL_WHILE=str(broken), TAGGER_LOG_LEVEL="debug")
        assert await worker.ended() == 1
    written = worker.log.read_text()
    assert "A-C1" not in written
    assert "amount" not in written
    for line in written.splitlines():
        assert set(msgspec.json.decode(line)) >= {"at", "level", "event", "logger"}


async def test_journal_records_deleted_before_they_were_decided_end_it(deployment: Deployment) -> None:
    with deployment.running():
        worker = deployment.start_worker()
        await deployment.write(numbered(100))
        await deployment.settle()
        worker.signal(signal.SIGSTOP)
        # The first of these may answer the fetch under way, which then holds it; the second cannot.
        await deployment.write(numbered(100, start=100))
        await deployment.write(numbered(100, start=200))
        async with open_admin(deployment.settings) as admin:
            everything = RecordsToDelete(before_offset=-1)
            await admin.delete_records({TopicPartition(deployment.journal, place): everything for place in (0, 1)})
        await deployment.write(numbered(100, start=300))
        worker.signal(signal.SIGCONT)
        assert await worker.ended() == 1
        assert "deleted before they were processed" in str(worker.events("cannot go on")[0]["error"])
        again = deployment.start_worker()
        assert await again.ended() == 1
        assert "PositionError" in str(again.events("cannot go on")[0]["error"])


async def test_a_topic_that_takes_less_than_the_settings_say_ends_it(deployment: Deployment) -> None:
    topic = deployment.settings.topic("tagging.customers")
    async with open_admin(deployment.settings) as admin:
        small = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"max.message.bytes": "200"})
        await admin.alter_configs([small])
    with deployment.running():
        worker = deployment.start_worker()
        await deployment.write(numbered(200))
        assert await worker.ended() == 1
        assert "RefusedError" in str(worker.events("cannot go on")[0]["error"])
    assert await deployment.tags() == {}
