"""Writes the generated pages under docs/: `python -m tools.docs`. A test compares them with what this gives."""

import json
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from schemas.packs.json_schema import (
    MANIFEST_SCHEMA_FILE,
    PACK_SCHEMA_FILE,
    POLICY_SCHEMA_FILE,
    manifest_schema,
    pack_schema,
    policy_schema,
)
from streams.settings import Settings
from tools.packs_page import packs_page

DOCS = Path(__file__).resolve().parent.parent / "docs"

_SETTINGS_HEAD = """# Settings

Generated from `streams/settings.py` by `make docs`.

A setting is taken from the first of these that has it: a command-line option, its environment variable, the TOML
file given by `--config` or `TAGGER_CONFIG` (keys are the names below), its default. Lists and tables are given as
JSON in variables. Two more variables make a worker crash on purpose, for tests: `TAGGER_FAILPOINTS` and
`TAGGER_FAILPOINTS_HITS` (`streams/failpoints.py`).

| setting | variable | values | default | what it is |
|---|---|---|---|---|
"""


def settings_page() -> str:
    """docs/settings.md: one row a field of `Settings`, in the order of the class."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return _SETTINGS_HEAD + "".join(rows)


def _schema_file(schema: Callable[[], dict[str, Any]]) -> Callable[[], str]:
    return lambda: json.dumps(schema(), ensure_ascii=False, indent=1) + "\n"


# The schemas are what `.vscode/settings.json` names.
PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "packs.md": packs_page,
    PACK_SCHEMA_FILE: _schema_file(pack_schema),
    POLICY_SCHEMA_FILE: _schema_file(policy_schema),
    MANIFEST_SCHEMA_FILE: _schema_file(manifest_schema),
}


def _row(name: str, field: FieldInfo) -> str:
    prefix = str(Settings.model_config["env_prefix"])
    cells = (f"`{name}`", f"`{prefix}{name.upper()}`", _values(field), _default(field), field.description or "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return f"`{text}`" if text else "empty"


def _values(field: FieldInfo) -> str:
    bounds = " ".join(
        f"{sign} {getattr(rule, name)}"
        for rule in field.metadata
        for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        if getattr(rule, name, None) is not None
    )
    return " ".join(part for part in (_type(field.annotation), bounds) if part)


_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", NoneType: "none"}


def _type(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if origin in (Union, UnionType):
        return " or ".join(_type(part) for part in get_args(kind))
    if origin in (tuple, list):
        return "list of " + _type(get_args(kind)[0])
    if origin is dict:
        return "table"
    return _NAMES.get(kind, getattr(kind, "__name__", str(kind)))


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
