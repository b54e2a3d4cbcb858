"""`docs/rulebook.md` teaches the language by whole packs: their cases pass, and nothing lacks an example."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from schemas.packs.cases import CHANGES, GIVEN_MODELS
from schemas.packs.features import FEATURE_MODELS, LIST_MODELS
from schemas.packs.pack import Pack
from schemas.packs.rules import RULE_MODELS
from tagger.cases.run import run_cases
from tagger.expr.functions import FUNCTIONS
from tagger.packs.rulebook import read_rulebook
from tagger.settings import CoreSettings

PAGE = (Path(__file__).parents[2] / "docs" / "rulebook.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
BOOKS = {YAML(typ="base").load(block)["pack"]: read_rulebook({"page.yaml": block}) for block in BLOCKS}


def packs() -> Iterator[Pack]:
    for book in BOOKS.values():
        yield from book.packs


def keys_of(value: Any) -> set[str]:
    """Every key that stands anywhere."""
    if isinstance(value, dict):
        return set(value).union(*(keys_of(item) for item in value.values()), set())
    return set().union(*(keys_of(item) for item in value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("name", BOOKS)
def test_the_cases_of_an_example_pass(name: str) -> None:
    results = run_cases(BOOKS[name], CoreSettings())
    assert results, "an example without a case"
    assert [f"{one.it}: {one.message}" for one in results if not one.passed] == []


def test_every_rule_of_an_example_is_seen_to_speak_unless_it_is_there_to_be_silent() -> None:
    silent = {"first-days", "neither"}
    for pack in packs():
        spoken = {expected.rule for case in pack.cases for expected in case.expect}
        helpers = {"tiers", "low-water", "spends-more", "in-a-hurry"}
        assert set(pack.rules) - spoken <= silent | helpers, pack.pack


def test_every_verb_has_an_example() -> None:
    shown = {type(feature) for pack in packs() for feature in pack.features.values()}
    assert shown == {*FEATURE_MODELS.values(), *LIST_MODELS.values()}


def test_every_kind_of_rule_and_all_that_rules_may_say_has_an_example() -> None:
    rules = [rule for pack in packs() for rule in pack.rules.values()]
    assert {type(rule) for rule in rules} == set(RULE_MODELS.values())
    said = set().union(*(keys_of(YAML(typ="base").load(block)["rules"]) for block in BLOCKS))
    for model in RULE_MODELS.values():
        assert set(model.yaml_names()) <= said, model.kind


def test_every_function_has_an_example() -> None:
    text = "".join(BLOCKS)
    assert [name for name in FUNCTIONS if f"{name}(" not in text] == []


def test_cases_show_every_kind_of_line_change_and_reason() -> None:
    given = {type(line) for pack in packs() for case in pack.cases for line in case.given}
    expected = [one for pack in packs() for case in pack.cases for one in case.expect]
    assert given == set(GIVEN_MODELS)
    assert {one.change for one in expected} == set(CHANGES)
    assert {one.reason for one in expected} >= {"ended", "until", "level", "late", "rejected"}


def test_packs_of_the_page_go_together() -> None:
    """A reader may put them all into one folder."""
    files = {f"{name}.yaml": block for name, block in zip(BOOKS, BLOCKS, strict=True)}
    assert len(read_rulebook(files).packs) == len(BLOCKS)


def test_the_settings_of_a_deployment_fit_the_first_pack() -> None:
    (manifest,) = re.findall(r"```yml\n(.*?)```", PAGE, flags=re.DOTALL)
    (pack,) = read_rulebook({"basics.yaml": BLOCKS[0], "rulebook.yaml": manifest}).packs
    assert pack.settings != BOOKS["basics"].packs[0].settings
