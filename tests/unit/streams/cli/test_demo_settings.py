"""The demo's worker, another process, reads the settings that the demo made."""

import pytest

from streams.cli.demo import demo_settings, environment
from streams.embedded import Address
from streams.settings import Settings


def test_another_process_reads_the_same_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    made = demo_settings(Address("127.0.0.1:15001", "redis://127.0.0.1:15002/0"))
    for name, text in environment(made).items():
        monkeypatch.setenv(name, text)
    assert Settings() == made
    assert made.clock == "events"


def test_lists_tables_and_switches_survive_the_way_through_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Settings(
        clock_topics=("bank.profiles", "bank.transactions"),
        rates={"USD": "7.10"},
        push_recorded=True,
        tick_seconds=0.25,
    )  # type: ignore[dict-item]
    for name, text in environment(made).items():
        monkeypatch.setenv(name, text)
    assert Settings() == made
