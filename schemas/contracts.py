"""The contracts as documents: JSON Schema (2020-12) of records, packs and the policy, and AsyncAPI 3 of topics.

Pure: gives file names and texts, the same at every run; `tagger contracts export` writes them.
"""

import json
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel

from schemas import events, journal_models, outputs, topics
from schemas.examples import INPUT_EXAMPLES, TAG_EXAMPLE, dead_letter_example, journal_examples
from schemas.journal import encode_record
from schemas.packs.json_schema import (
    DIALECT,
    MANIFEST_SCHEMA_FILE,
    PACK_SCHEMA_FILE,
    POLICY_SCHEMA_FILE,
    manifest_schema,
    pack_schema,
    policy_schema,
)
from schemas.scalars import CUSTOMER_ID_PATTERN

ASYNCAPI_FILE = "asyncapi.json"


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic as its readers and writers must see it.

    Attributes:
        name: of the document's channel and message, and of the schema's file.
        action: what the pipeline does there: `receive` what others send, or `send`.
        model: of the value; None where only the pipeline itself reads it.
        key: what the key is, for people.
        summary: what the records are.
        cleanup: Kafka's `cleanup.policy`.
    """

    name: str
    topic: str
    action: str
    model: type[BaseModel] | None
    key: str
    summary: str
    cleanup: str = "delete"


_CUSTOMER_KEY = "customer_id; co-partitioned by murmur2, as Kafka's Java clients do"
CHANNELS = (
    Channel(
        "transaction", topics.TRANSACTIONS, "receive", events.Transaction, "anything", "A booked transaction."
    ),
    Channel(
        "app-event", topics.APP_EVENTS, "receive", events.AppEvent, "anything", "What a customer did in an app."
    ),
    Channel(
        "profile", topics.PROFILES, "receive", events.Profile, "anything", "A whole profile; the latest wins."
    ),
    Channel(
        "approval", topics.APPROVALS, "receive", events.Approval, "anything", "A checker's decision on a grade."
    ),
    Channel("feedback", topics.FEEDBACK, "receive", events.Feedback, "anything", "What came of a push."),
    Channel(
        "rulebook",
        topics.RULEBOOKS,
        "send",
        None,
        "rulebook digest",
        "A published rulebook; internal.",
        "compact",
    ),
    Channel(
        "journal",
        topics.JOURNAL,
        "send",
        journal_models.JournalRecord,
        f"{_CUSTOMER_KEY}; none for ticks, rulebooks and pauses",
        "Valid events, time, activations, pauses: one ordered log. Read with isolation.level=read_committed.",
    ),
    Channel(
        "customer",
        topics.CUSTOMERS,
        "send",
        None,
        f"{_CUSTOMER_KEY}; one reserved key a partition holds its position",
        "State snapshots (MessagePack, internal, versioned). Read with isolation.level=read_committed.",
        "compact",
    ),
    Channel(
        "tag",
        topics.TAGS,
        "send",
        outputs.TagEvent,
        _CUSTOMER_KEY,
        "Tag events; act on delivery.push == true only. Read with isolation.level=read_committed.",
    ),
    Channel(
        "dead-letter",
        topics.DEAD_LETTERS,
        "send",
        outputs.DeadLetter,
        "source topic-partition",
        "Refused records, each with its reason.",
    ),
)
"""Every topic of the contract."""


def build_contracts(version: str) -> dict[str, str]:
    """Write every document.

    Args:
        version: what the AsyncAPI document calls itself.

    Returns:
        File name → text, ending in a newline.
    """
    files = {_schema_file(channel): _write(_json_schema(channel)) for channel in CHANNELS if channel.model}
    files[PACK_SCHEMA_FILE] = _write(pack_schema())
    files[POLICY_SCHEMA_FILE] = _write(policy_schema())
    files[MANIFEST_SCHEMA_FILE] = _write(manifest_schema())
    files[ASYNCAPI_FILE] = _write(_asyncapi(version))
    return files


def examples_of(name: str) -> list[dict[str, Any]]:
    """Examples of a channel's values, as JSON objects."""
    if name == "journal":
        return [msgspec.json.decode(encode_record(record)) for record in journal_examples().values()]
    if name == "tag":
        return [TAG_EXAMPLE]
    if name == "dead-letter":
        return [msgspec.json.decode(msgspec.json.encode(dead_letter_example()))]
    topic = next(channel.topic for channel in CHANNELS if channel.name == name)
    return [INPUT_EXAMPLES[topic]]


def _schema_file(channel: Channel) -> str:
    return f"{channel.name}.schema.json"


def _json_schema(channel: Channel) -> dict[str, Any]:
    assert channel.model is not None
    schema = channel.model.model_json_schema(mode="validation")
    return {"$schema": DIALECT, "$id": _schema_file(channel), **schema, "examples": examples_of(channel.name)}


def _asyncapi(version: str) -> dict[str, Any]:
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Customer tags",
            "version": version,
            "description": "Bank events in, tag events out. Fields may be added, with a default; none is renamed.",
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {
            f"{channel.action}-{channel.name}": {
                "action": channel.action,
                "channel": {"$ref": f"#/channels/{channel.name}"},
                "summary": channel.summary,
            }
            for channel in CHANNELS
        },
        "components": {"messages": {channel.name: _message(channel) for channel in CHANNELS}},
    }


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "address": channel.topic,
        "description": channel.summary,
        "messages": {channel.name: {"$ref": f"#/components/messages/{channel.name}"}},
        "bindings": {
            "kafka": {
                "topic": channel.topic,
                "topicConfiguration": {"cleanup.policy": [channel.cleanup]},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(channel: Channel) -> dict[str, Any]:
    key: dict[str, Any] = {"type": "string", "description": channel.key}
    if channel.key == _CUSTOMER_KEY:
        key["pattern"] = CUSTOMER_ID_PATTERN
    message: dict[str, Any] = {
        "name": channel.name,
        "summary": channel.summary,
        "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}},
    }
    if channel.model is None:
        content_type = "application/msgpack" if channel.name == "customer" else "application/octet-stream"
        return {**message, "contentType": content_type}
    if channel.action == "receive":
        message["headers"] = {
            "type": "object",
            "properties": {
                topics.CONTROL_HEADER: {
                    "type": "string",
                    "enum": ["begin", "end"],
                    "description": "on a record without a value: a recorded run starts or ends in this partition",
                }
            },
        }
    return {
        **message,
        "contentType": "application/json",
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./{_schema_file(channel)}"},
        },
        "examples": [{"payload": example} for example in examples_of(channel.name)],
    }


def _write(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
