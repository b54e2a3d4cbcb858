"""docs/policy.md: its example is read, is what the packs come with, and every reason and key has its row."""

import re
from pathlib import Path
from typing import get_args

from schemas.packs.policy import Policy
from schemas.tags import HeldReason
from tagger.packs.rulebook import read_rulebook

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
PACK = """
pack: p
rules: {r: {when: assets > 1, offer: {family: f}}}
"""


def test_the_example_is_the_policy_that_comes_with_the_packs() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    live = (ROOT / "rules" / "policy.yaml").read_text(encoding="utf-8")
    shown = read_rulebook({"p.yaml": PACK, "policy.yaml": example}).policy
    kept = read_rulebook({"p.yaml": PACK, "policy.yaml": live}).policy
    assert shown is not None
    assert kept is not None
    assert shown == kept.model_copy(update={"title": None, "source": None})


def test_every_reason_and_every_key_has_a_row() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE))
    assert set(get_args(HeldReason)) <= rows
    assert set(Policy.yaml_names()) - {"title", "source"} <= rows
