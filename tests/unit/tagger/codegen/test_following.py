"""Rules that an event concerns only through rules that they read, looked at behind guards and one by one."""

from collections.abc import Sequence

import pytest
from builders import app, money, program_of, ticks
from driver import run

from schemas.journal import JournalRecord
from tagger.compiler import reach


def causes(monkeypatch: pytest.MonkeyPatch, records: Sequence[JournalRecord], over: str) -> list[object]:
    """What brought about the tags of a rule that reads another one's episode, the same in both ways."""
    pack = (
        f"pack: p\nfeatures: {{seen: {{count: app_events, over: {over}}}, is_rich: {{active: rich}}}}\n"
        "rules: {rich: {when: assets > 1000}, looked: {when: not is_rich and seen > 0}}"
    )
    told = []
    for compile_after in (0, 1 << 30):
        monkeypatch.setattr(reach, "COMPILE_AFTER", compile_after)
        program_of.cache_clear()  # programs keep what they have generated
        told.append([(tag["at"][5:16], tag["change"], tag["cause"]) for tag in run(records, pack).told()])
    assert told[0] == told[1]
    return [(when, change, cause.get("event_id", "deadline")) for when, change, cause in told[0]]


def test_an_event_at_the_very_midnight_sees_what_turns_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = app("2026-03-02 09:00", "a1")
    for when, cause in (
        ("2026-03-03 23:59", "deadline"),
        ("2026-03-04 00:00", "t1"),
        ("2026-03-04 00:01", "deadline"),
    ):
        found = causes(monkeypatch, [first, money(when, 5, "t1"), *ticks("2026-03-06 00:00")], "2d")
        assert found == [("03-02T09:00", "opened", "a1"), ("03-04T00:00", "revoked", cause)], when


def test_an_event_at_the_very_end_of_a_window_of_minutes_sees_what_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    first = app("2026-03-02 09:00", "a1")
    for when, cause in (("2026-03-02 09:29", "deadline"), ("2026-03-02 09:30", "t1")):
        found = causes(monkeypatch, [first, money(when, 5, "t1"), *ticks("2026-03-02 12:00")], "30m")
        assert found == [("03-02T09:00", "opened", "a1"), ("03-02T09:30", "revoked", cause)], when
