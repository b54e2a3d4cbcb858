"""Servers that tests share: one of each a session, told apart by topic prefix and database content.

Hypothesis tries the same examples on each CI run, and new ones at a desk.

A test that stops or kills a server starts its own (`with own_kafka() as kafka`); `kafka` and `redis_url` are
for reading and writing only. At a desk a missing part is a skip that names it; with CI=true it is a failure.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings
from kafka_broker import KafkaBroker
from parts import MissingPartError
from redis import Redis
from redis_server import RedisServer

_CI = os.environ.get("CI") == "true"
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("desk", deadline=None, suppress_health_check=_SLOW)
settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=_SLOW)
settings.load_profile("ci" if _CI else "desk")


def missing(part: MissingPartError) -> NoReturn:
    """Skip the test at a desk, fail it in CI."""
    if _CI:
        pytest.fail(str(part), pytrace=False)
    pytest.skip(str(part))


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaBroker]:
    """A running Kafka broker; do not stop it."""
    try:
        broker = KafkaBroker()
    except MissingPartError as part:
        missing(part)
    with broker:
        yield broker


@pytest.fixture
def own_kafka() -> Callable[..., KafkaBroker]:
    """`KafkaBroker`'s constructor, for a broker that the test may stop and kill."""

    def make(**options: Any) -> KafkaBroker:
        try:
            return KafkaBroker(**options)
        except MissingPartError as part:
            missing(part)

    return make


@pytest.fixture
def own_redis() -> Callable[[], RedisServer]:
    """`RedisServer`'s constructor, for a server that the test may stop and kill."""

    def make() -> RedisServer:
        try:
            return RedisServer()
        except MissingPartError as part:
            missing(part)

    return make


@pytest.fixture
def topic_prefix() -> str:
    """A prefix of topic names no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}."


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A running redis-server; do not stop it."""
    try:
        server = RedisServer()
    except MissingPartError as part:
        missing(part)
    with server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Address of an empty Redis, emptied before each test that asks for it."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url
