"""What the topics must be, before any broker is asked."""

from schemas.topics import CUSTOMERS, INPUTS, RULEBOOKS
from streams.settings import Settings
from streams.topics import CO_PARTITIONED, topic_specs


def test_every_topic_of_the_contract_is_there_with_its_cleanup() -> None:
    compacted = {"tagging.rulebooks", "tagging.customers"}
    deleted = {
        "bank.transactions", "bank.app-events", "bank.profiles", "bank.approvals", "push.feedback",
        "tagging.journal", "tagging.tags", "tagging.dead-letters",
    }  # fmt: skip
    found = {spec.name: spec.config["cleanup.policy"] for spec in topic_specs(Settings())}
    assert found == dict.fromkeys(compacted, "compact") | dict.fromkeys(deleted, "delete")


def test_prefix_partitions_and_replication_come_from_the_settings() -> None:
    specs = topic_specs(Settings(topic_prefix="eu.", partitions=5, replication=3))
    assert all(spec.name.startswith("eu.") for spec in specs)
    assert {(spec.partitions, spec.replication) for spec in specs} == {(5, 3)}


def test_state_journal_and_tags_take_a_record_of_the_largest_size() -> None:
    settings = Settings(max_record_bytes=2_000_000)
    limits = {spec.name: int(spec.config["max.message.bytes"]) for spec in topic_specs(settings)}
    assert all(limits[name] > 2_000_000 for name in CO_PARTITIONED)


def test_inputs_take_a_ten_megabyte_value_so_that_it_can_become_a_dead_letter() -> None:
    limits = {spec.name: int(spec.config["max.message.bytes"]) for spec in topic_specs(Settings())}
    assert all(limits[name] > 10_000_000 for name in INPUTS)


def test_retention_is_in_days_and_compacted_topics_have_none() -> None:
    configs = {spec.name: spec.config for spec in topic_specs(Settings(input_retention_days=3))}
    assert configs["bank.transactions"]["retention.ms"] == str(3 * 24 * 3600 * 1000)
    assert all("retention.ms" not in configs[name] for name in (CUSTOMERS, RULEBOOKS))
