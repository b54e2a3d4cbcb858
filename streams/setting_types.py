"""What a setting's value must be beyond its type, so that a wrong one ends a command at its start."""

import re
from decimal import Decimal
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from schemas.convert import Rates
from schemas.events import INPUTS

_ADDRESS = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_TOPIC_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,200}")
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def _bootstrap(value: str) -> str:
    if not all(_ADDRESS.fullmatch(address.strip()) for address in value.split(",")):
        raise ValueError("expected host:port, several of them comma separated")
    return value


def _redis_url(value: str) -> str:
    if not value.startswith(_REDIS_SCHEMES):
        raise ValueError(f"expected a URL that begins with one of {', '.join(_REDIS_SCHEMES)}")
    return value


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
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
TopicPrefix = Annotated[str, AfterValidator(_topic_prefix)]
Zone = Annotated[str, AfterValidator(_zone)]
ClockTopics = Annotated[tuple[str, ...], AfterValidator(_clock_topics)]
CurrencyRates = Annotated[dict[str, Decimal], AfterValidator(_rates)]
