"""Taobao's UserBehavior slice as app events.

The shop's visitors are nobody's bank customers, and its goods are no bank products: **every link from this file to
a bank is invented**. What is invented is one thing, the category: a category number stands for the bank category
at its remainder by four (`INVENTED_CATEGORIES`). Each event says so in its channel, `taobao-invented`.
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from schemas.topics import APP_EVENTS
from streams.sources.record import SourceError, SourceRecord

ACTIONS = {"pv": "view", "fav": "favourite", "cart": "cart", "buy": "purchase"}
INVENTED_CATEGORIES = ("wealth", "deposit", "loan", "card")
INVENTED_CHANNEL = "taobao-invented"

_LINE = re.compile(rb"([0-9]{1,18}),([0-9]{1,18}),([0-9]{1,18}),(pv|fav|cart|buy),([0-9]{1,11})")


def read_taobao(source: Path, *, prefix: str = "", notes: Counter[str] | None = None) -> Iterator[SourceRecord]:
    """Read behaviours in file order, one line at a time.

    Args:
        source: a CSV file without a header, or the folder that holds `slice.csv`:
            user, item, category, behaviour, epoch seconds.
        prefix: put before every user's number to make the customer's id.
        notes: is added to: `broken rows`, passed on as they stand.

    Raises:
        SourceError: the file cannot be read, or its first line is no such row.
    """
    path = source / "slice.csv" if source.is_dir() else source
    notes = Counter() if notes is None else notes
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                raw = line.rstrip(b"\r\n")
                match = _LINE.fullmatch(raw)
                if match:
                    yield _app_event(prefix, *(field.decode() for field in match.groups()))
                elif number == 1:
                    raise SourceError(
                        f"{path}: expected user,item,category,pv|fav|cart|buy,epoch seconds; got {raw[:64]!r}"
                    )
                else:
                    notes["broken rows"] += 1
                    yield SourceRecord(APP_EVENTS, None, raw)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read as Taobao's CSV: {error.strerror}") from error


def _app_event(prefix: str, *fields: str) -> SourceRecord:
    user, item, category, behaviour, seconds = fields
    customer_id = prefix + user
    value = {
        "event_id": f"{user}-{item}-{behaviour}-{seconds}",
        "customer_id": customer_id,
        "occurred_at": datetime.fromtimestamp(int(seconds), UTC).isoformat(),
        "action": ACTIONS[behaviour],
        "category": invented_category(category),
        "product_id": item,
        "channel": INVENTED_CHANNEL,
    }
    return SourceRecord(APP_EVENTS, customer_id.encode(), msgspec.json.encode(value))


def invented_category(category_id: str) -> str:
    """The bank category that a shop category stands for; made up, see the module."""
    return INVENTED_CATEGORIES[int(category_id) % len(INVENTED_CATEGORIES)]
