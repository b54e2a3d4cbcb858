"""What every report has: a file for machines and a page for people, named by when it was measured."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def write_report(folder: Path, began: float, as_json: Mapping[str, Any], page: str, kind: str = "") -> None:
    """Write `<time><kind>.json` and `.md`; `began` is seconds since 1970."""
    folder.mkdir(parents=True, exist_ok=True)
    name = datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H%MZ") + kind
    (folder / f"{name}.json").write_text(json.dumps(as_json, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(page, encoding="utf-8")


def day_and_time(began: float) -> str:
    return datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%d %H:%M UTC")


def machine_rows(machine: Mapping[str, str]) -> list[str]:
    """Rows of a table of two columns."""
    return [f"| {name} | {text} |" for name, text in machine.items()]
