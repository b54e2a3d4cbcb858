"""What a setting's value must be beyond its type, so that a wrong one ends a command at its start."""

import re
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from schemas.convert import Rates
from schemas.events import INPUTS

_ADDRESS = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_TOPIC_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,200}")
_APP = re.compile(r"[A-Za-z0-9._-]{1,100}")
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def _bootstrap(value: str) -> str:
    for address in value.split(","):
        if not _ADDRESS.fullmatch(address.strip()):
            raise ValueError("expected host:port, several of them comma separated")
        port = re.search(r":([0-9]+)$", address.strip())
        if port is not None and not 1 <= int(port[1]) <= 65_535:
            raise ValueError(f"expected a port from 1 to 65535 in {address.strip()}")
    return value


def _app(value: str) -> str:
    if not _APP.fullmatch(value):
        raise ValueError("expected 1 to 100 letters, digits, '.', '_' and '-'")
    return value


def _redis_url(value: str) -> str:
    if not value.startswith(_REDIS_SCHEMES):
        raise ValueError(f"expected a URL that begins with one of {', '.join(_REDIS_SCHEMES)}")
    try:
        _try_redis(value)
    except (TypeError, ValueError):  # whose words may hold the password
        raise ValueError(
            "expected redis://[user:password@]host[:port][/number of the database], with options that Redis has"
        ) from None
    return value


def _try_redis(value: str) -> None:
    """Raise what the client would raise at its first connection, and where it would take another database."""
    parts = urlsplit(value)
    _ = parts.port
    if parts.scheme != "unix" and not re.fullmatch(r"/?|/[0-9]{1,9}", parts.path):
        raise ValueError
    if parts.query:
        from redis.asyncio import ConnectionPool  # noqa: PLC0415 - costs every command its import

        ConnectionPool.from_url(value).make_connection()  # type: ignore[no-untyped-call]


def _topic_prefix(value: str) -> str:
    if not _TOPIC_PREFIX.fullmatch(value):
        raise ValueError("expected at most 200 letters, digits, '.', '_' and '-'")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    # A folder of the zone database is an OSError; a name that is not there, a KeyError.
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("expected the IANA name of a time zone, such as Asia/Shanghai") from error
    return value


def _clock_topics(value: tuple[str, ...]) -> tuple[str, ...]:
    # A topic that nobody ticks for would hold the clock for ever.
    if not value or not set(value) <= set(INPUTS) or len(set(value)) < len(value):
        raise ValueError(f"expected some of {', '.join(INPUTS)}, each once")
    return value


def _rates(value: dict[str, Decimal]) -> dict[str, Decimal]:
    Rates.of(value)
    return value


Bootstrap = Annotated[str, AfterValidator(_bootstrap)]
App = Annotated[str, AfterValidator(_app)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
TopicPrefix = Annotated[str, AfterValidator(_topic_prefix)]
Zone = Annotated[str, AfterValidator(_zone)]
ClockTopics = Annotated[tuple[str, ...], AfterValidator(_clock_topics)]
CurrencyRates = Annotated[dict[str, Decimal], AfterValidator(_rates)]
