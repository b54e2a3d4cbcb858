"""The exported documents: valid, complete, the same every time, and as strict as they can say."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from schemas.contracts import ASYNCAPI_FILE, CHANNELS, build_contracts, examples_of
from schemas.events import INPUTS
from streams import topics
from streams.cli.contracts import contracts
from streams.settings import Settings

FILES = build_contracts("1.2.3")
MODELLED = [channel for channel in CHANNELS if channel.model]


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(FILES[f"{name}.schema.json"])
    return loaded


@pytest.mark.parametrize("channel", MODELLED, ids=lambda channel: channel.name)
def test_each_schema_is_valid_and_accepts_its_examples(channel: Any) -> None:
    document = schema(channel.name)
    Draft202012Validator.check_schema(document)
    assert document["examples"]
    for example in document["examples"]:
        Draft202012Validator(document).validate(example)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("transaction", {"amount": 5}),
        ("transaction", {"amount": "-5"}),
        ("transaction", {"amount": "5.001"}),
        ("transaction", {"direction": "in"}),
        ("transaction", {"customer_id": "C 1"}),
        ("transaction", {"occurred_at": "2026-03-04T10:00:00"}),
        ("transaction", {"own_transfer": None}),
        ("transaction", {"event_id": ""}),
        ("app-event", {"dwell_ms": -1}),
        ("profile", {"cards": [{"kind": "debit"}]}),
        ("profile", {"consent": {"push": 1}}),
        ("feedback", {"outcome": "seen"}),
        ("tag", {"change": "closed"}),
        ("tag", {"delivery": {}}),
        ("dead-letter", {"reason": "other"}),
    ],
)
def test_a_schema_refuses_what_the_contract_refuses(name: str, change: dict[str, Any]) -> None:
    validator = Draft202012Validator(schema(name))
    good = examples_of(name)[0]
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, **change})


@pytest.mark.parametrize("topic", sorted(INPUTS))
def test_only_what_has_no_default_is_required(topic: str) -> None:
    name = next(channel.name for channel in CHANNELS if channel.topic == topic)
    required = {field for field, info in INPUTS[topic].model_fields.items() if info.is_required()}
    assert set(schema(name)["required"]) == required


def test_the_asyncapi_document_names_every_topic_as_it_is_created() -> None:
    document = json.loads(FILES[ASYNCAPI_FILE])
    assert (document["asyncapi"], document["info"]["version"]) == ("3.0.0", "1.2.3")
    created = {spec.name: spec.config["cleanup.policy"] for spec in topics.topic_specs(Settings())}
    written = {
        channel["address"]: ",".join(channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"])
        for channel in document["channels"].values()
    }
    assert written == created


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for child in node.values() for found in references(child)]
    return [found for child in node for found in references(child)] if isinstance(node, list) else []


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = json.loads(FILES[ASYNCAPI_FILE])
    found = references(document)
    assert len(found) > len(CHANNELS)
    for reference in found:
        if reference.startswith("./"):
            assert reference[2:] in FILES
            continue
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    payloads = [message for message in document["components"]["messages"].values() if "payload" in message]
    assert len(payloads) == len(MODELLED) == len(FILES) - 4


def test_export_writes_the_same_bytes_each_time_and_leaves_other_files_alone(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    for _ in range(2):
        result = CliRunner().invoke(contracts, ["export", str(target)])
        assert result.exit_code == 0, result.output
        assert f"wrote {len(FILES)} files" in result.output
        (target / "mine.txt").write_text("kept")
        written = {path.name: path.read_text(encoding="utf-8") for path in target.iterdir()}
        assert written.keys() == {*FILES, "mine.txt"}
        assert all(written[name] == text for name, text in FILES.items() if name != ASYNCAPI_FILE)


def test_a_folder_that_cannot_be_written_to_is_bad_usage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(contracts, ["export", str(tmp_path / "file" / "below")])
    assert result.exit_code == 2
    assert "expected a folder to write to" in result.output
