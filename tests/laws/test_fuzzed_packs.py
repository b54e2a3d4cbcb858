"""Law: whatever stands in a pack, `rules check` and `rules test` answer in words and with an exit code of theirs.

Packs are the examples of `docs/rulebook.md`, changed where it hurts: in their text, and in their tree.
"""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from streams.cli.rules import rules
from streams.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "rulebook.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
# What stands for another scalar: wrong kinds, edges of numbers and windows, names, broken and deep expressions.
WORDS = (
    "",
    "~",
    "0",
    "-1",
    "1e999",
    "9" * 40,
    "0.0000000001",
    "5万",
    "万",
    "true",
    "null",
    "today",
    "assets",
    "nobody",
    "assets.x",
    "otherwise",
    "retained",
    "31.12.2026",
    "2026-02-30",
    "2026-03-02 25:00",
    "9999-12-31 23:59",
    "0d",
    "62d",
    "63d",
    "36mo",
    "1s",
    "99999999h",
    "ever",
    "month",
    "-5%",
    "101%",
    "a b",
    "ä",
    "x" * 70,
    "'",
    '"',
    "{",
    "[",
    "assets >",
    "not",
    "1 / 0",
    "assets / 0 > 1",
    "((((assets))))",
    "(" * 60 + "assets" + ")" * 60,
    "assets >= 1 or",
    "lambda: 0",
    "__import__('os')",
    "assets.__class__",
    "f'{assets}'",
    "[1, 'a']",
    "1 in []",
    "min(1)",
    "age(assets)",
    "clv(assets, model, 1)",
    "level",
    "\u2028",
    "\x7f",
    "assets if loan",
    "a and " * 300 + "a",
    "1 < 2 < 3 < assets",
)
KEYS = (
    "when",
    "by",
    "levels",
    "over",
    "where",
    "count",
    "sum",
    "of",
    "points",
    "cells",
    "rows",
    "after",
    "expect",
    "given",
    "at",
    "profile",
    "credit",
    "value",
    "",
    "x",
    "settings",
    "cases",
    "approval",
    "valid",
)


def answer(command: str, text: str) -> None:
    with TemporaryDirectory() as folder:
        Path(folder, "pack.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
        result = CliRunner().invoke(rules, [command, folder], obj=Settings())
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(text) from result.exception
    assert result.exit_code in (0, 1, 2), text
    assert "Traceback" not in result.output, text
    assert "Input should" not in result.output, text


trees = st.recursive(st.sampled_from(WORDS), lambda inner: st.lists(inner, max_size=3)
                     | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3), max_leaves=4)  # fmt: skip


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place below the root."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for key, value in items for place in ((*path, key), *places(value, (*path, key)))]


@st.composite
def changed_trees(draw: st.DrawFn) -> str:
    tree = YAML(typ="base").load(draw(st.sampled_from(BLOCKS)))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(places(tree)))
        held = tree
        for step in way:
            held = held[step]
        match draw(st.sampled_from(["other", "other", "gone", "renamed"])):
            case "other":
                held[last] = draw(trees)
            case "gone":
                del held[last]
            case _ if isinstance(held, dict):
                held[draw(st.sampled_from(KEYS))] = held.pop(last)
        if not places(tree):
            break
    return json.dumps(tree, ensure_ascii=False)


@st.composite
def changed_texts(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(BLOCKS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 0, 1, 3, 20])))
        text = text[:start] + draw(st.sampled_from(WORDS) | st.text(max_size=3)) + text[end:]
    return text


@pytest.mark.parametrize("command", ["check", "test"])
@settings(max_examples=60)
@given(text=changed_trees() | changed_texts())
def test_a_pack_of_any_shape_is_answered_in_words(command: str, text: str) -> None:
    answer(command, text)
