"""JSON Schemas of the files under `rules/`, for editors: completion, and marks while one writes.

They are wider than the pipeline: names, types and numbers in their order are `tagger rules check`'s to judge. Only
times written in an unusual way are marked although they can be read.
"""

from typing import Any

from schemas.packs.manifest import Manifest
from schemas.packs.pack import Pack
from schemas.packs.policy import Policy

PACK_SCHEMA_FILE = "rulepack.schema.json"
POLICY_SCHEMA_FILE = "policy.schema.json"
MANIFEST_SCHEMA_FILE = "rulebook.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def pack_schema() -> dict[str, Any]:
    """The schema of one YAML file under `rules/`, its scalars as an editor reads them."""
    schema = Pack.model_json_schema(mode="validation")
    return {"$schema": DIALECT, "$id": PACK_SCHEMA_FILE, **_loosened(schema)}


def policy_schema() -> dict[str, Any]:
    """The schema of `rules/policy.yaml`."""
    return {"$schema": DIALECT, "$id": POLICY_SCHEMA_FILE, **Policy.model_json_schema(mode="validation")}


def manifest_schema() -> dict[str, Any]:
    """The schema of `rules/rulebook.yaml`."""
    return {"$schema": DIALECT, "$id": MANIFEST_SCHEMA_FILE, **Manifest.model_json_schema(mode="validation")}


def _loosened(value: Any) -> Any:
    """`oneOf` as `anyOf`: a tick of a case is a transaction without an amount, too."""
    match value:
        case dict():
            return {"anyOf" if key == "oneOf" else key: _loosened(item) for key, item in value.items()}
        case list():
            return [_loosened(item) for item in value]
        case _:
            return value
