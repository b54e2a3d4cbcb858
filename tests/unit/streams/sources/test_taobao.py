"""Taobao's rows as app events."""

import json
from collections import Counter
from pathlib import Path

import pytest

from streams.sources.record import SourceError
from streams.sources.taobao import INVENTED_CHANNEL, read_taobao


def test_a_behaviour_becomes_an_app_event_that_says_what_is_invented(tmp_path: Path) -> None:
    path = tmp_path / "slice.csv"
    path.write_text("543462,1715,1464116,pv,1511658000\n1,2,3,buy,1511658001\n")
    first, second = read_taobao(tmp_path)
    assert first.key == b"543462"
    assert json.loads(first.value or b"") == {
        "event_id": "543462-1715-pv-1511658000",
        "customer_id": "543462",
        "occurred_at": "2017-11-26T01:00:00+00:00",
        "action": "view",
        "category": "wealth",
        "product_id": "1715",
        "channel": INVENTED_CHANNEL,
    }
    assert json.loads(second.value or b"")["action"] == "purchase"
    assert json.loads(second.value or b"")["category"] == "card"


def test_a_broken_row_is_passed_on_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "slice.csv"
    path.write_text("1,2,3,fav,1511658000\n1,2,3,stare,1511658000\n")
    notes: Counter[str] = Counter()
    records = list(read_taobao(path, notes=notes))
    assert records[1].value == b"1,2,3,stare,1511658000"
    assert notes == {"broken rows": 1}


def test_another_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "slice.csv"
    path.write_text("user,item\n")
    with pytest.raises(SourceError, match=r"expected user,item,category.*got b'user,item'"):
        list(read_taobao(path))
