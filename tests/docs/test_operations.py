"""docs/operations.md names what the code has: topics, groups, transactional ids, log events, keys."""

import re
from pathlib import Path

import pytest

from streams.lanes.stage import group_of
from streams.lanes.unit_of_work import transactional_id
from streams.rulebooks.activation import ACTIVATED_KEY, activation_id
from streams.settings import Settings
from streams.stages.redis_view import META_KEY, customer_key, rule_key
from streams.topics import topic_specs

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "streams").rglob("*.py")))


def table(heading: str) -> list[list[str]]:
    """Rows of the table whose heading row begins so."""
    lines = PAGE[PAGE.index(f"\n| {heading} |") + 1 :].splitlines()[2:]
    rows = [line.strip("|").split("|") for line in lines[: next(n for n, line in enumerate(lines) if not line)]]
    return [[cell.strip() for cell in row] for row in rows]


def test_topics_are_the_contracts_with_their_cleanup_and_retention() -> None:
    settings = Settings(input_retention_days=1, tags_retention_days=2, journal_retention_days=3)
    days = {"input_retention_days": 1, "tags_retention_days": 2, "journal_retention_days": 3}
    documented = {row[0].strip("`"): (row[3], days.get(row[4].strip("`"))) for row in table("topic")}
    assert documented == {
        spec.name: (
            spec.config["cleanup.policy"],
            int(spec.config["retention.ms"]) // 86_400_000 if "retention.ms" in spec.config else None,
        )
        for spec in topic_specs(settings)
    }


@pytest.mark.parametrize(
    ("stage", "topic"),
    [("ingest", "bank.transactions"), ("decide", "tagging.journal"), ("project", "tagging.customers")],
)
def test_groups_and_transactional_ids_are_the_codes(stage: str, topic: str) -> None:
    (row,) = [row for row in table("stage") if row[0] == stage]
    assert row[1] == f"`{group_of(Settings(), stage)}`"
    assert f"`{transactional_id('tagger', stage, topic, 0)}`" in row[2]


def test_activation_writes_under_the_documented_id_and_key() -> None:
    (row,) = [row for row in table("stage") if row[0] == "activation"]
    assert row[2] == f"`{activation_id(Settings())}`"
    assert f"`{ACTIVATED_KEY.decode()}`" in row[3]


@pytest.mark.parametrize("row", table("event"), ids=lambda row: row[0])
def test_documented_log_events_are_logged(row: list[str]) -> None:
    assert f'"{row[0].strip("`")}"' in SOURCES


def test_redis_keys_are_the_codes() -> None:
    kinds = [customer_key("customer", kind) for kind in ("profile", "tags", "rules")]
    keys = [*kinds, rule_key("rule"), f"{rule_key('rule')}:epochs", META_KEY]
    assert [row[0].strip("`") for row in table("key")] == keys


def test_settings_named_exist() -> None:
    named = re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE)
    state_fields = {"passed_on", "dead_letters", "next_offset", "updated_at", "first_offset", "unknown_fields"}
    log_fields = {"left_out"}
    assert set(named) - state_fields - log_fields <= set(Settings.model_fields)
