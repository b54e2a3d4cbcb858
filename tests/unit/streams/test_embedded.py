"""The embedded broker carries our transport, and leaves nothing behind."""

import os
import tempfile
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis import Redis

from streams import embedded
from streams.embedded import EmbeddedBroker, EmbeddedBrokerError

if os.environ.get("CI") != "true":  # there a missing part is a failure
    pytest.importorskip("noida_db", reason="the extra `demo` is not installed")


async def test_a_reader_of_committed_records_never_sees_an_aborted_transaction() -> None:
    with EmbeddedBroker() as address:
        admin = AIOKafkaAdminClient(bootstrap_servers=address.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("t", 1, 1)])
        await admin.close()
        producer = AIOKafkaProducer(bootstrap_servers=address.bootstrap, transactional_id="x")
        await producer.start()
        for value, commits in ((b"kept", True), (b"aborted", False), (b"last", True)):
            await producer.begin_transaction()
            await producer.send_and_wait("t", value)
            await (producer.commit_transaction() if commits else producer.abort_transaction())
        await producer.stop()
        place = TopicPartition("t", 0)
        async with AIOKafkaConsumer(
            bootstrap_servers=address.bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
        ) as consumer:
            consumer.assign([place])
            assert [(await consumer.getone()).value for _ in range(2)] == [b"kept", b"last"]


def test_redis_scripts_run_on_it() -> None:
    with EmbeddedBroker() as address, Redis.from_url(address.redis_url) as redis:
        guarded = redis.register_script(
            "if not redis.call('GET', KEYS[1]) then redis.call('SET', KEYS[1], ARGV[1]) end"
        )
        guarded(keys=["{c}:k"], args=["1"])
        guarded(keys=["{c}:k"], args=["2"])
        assert redis.get("{c}:k") == b"1"


def test_it_ends_and_its_folder_goes_when_the_block_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    broker = EmbeddedBroker()
    pids: list[int | None] = []

    def interrupted() -> None:
        with broker:
            pids.append(broker.pid)
            assert list(tmp_path.iterdir())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert broker.pid is None
    assert not list(tmp_path.iterdir())
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0] or 0, 0)


def test_a_missing_wheel_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> None:
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(embedded.resources, "files", missing)
    with pytest.raises(EmbeddedBrokerError, match="make install"), EmbeddedBroker():
        pass


def test_a_binary_that_does_not_start_is_an_error_with_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "noida-db"
    program.write_text("#!/bin/sh\necho no such system; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(embedded, "_program", lambda: program)
    with pytest.raises(EmbeddedBrokerError, match="no such system"), EmbeddedBroker():
        pass
