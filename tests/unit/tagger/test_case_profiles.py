"""A case whose profile is none of the contract fails in words."""

import pytest

from tagger.cases import run_cases
from tagger.rulebook import read_rulebook
from tagger.settings import CoreSettings

PACK = """
pack: p
rules: {r: {when: assets > 0}}
cases:
  - it: knows the customer
    given:
      - {at: 2026-03-02 09:00, profile: {PROFILE}}
    expect: []
"""


@pytest.mark.parametrize(
    ("profile", "said"),
    [("gender: female", "gender: "), ("cards: ''", "cards: "), ("credit_score: high", "credit_score: ")],
)
def test_what_is_wrong_with_a_profile_is_told(profile: str, said: str) -> None:
    (result,) = run_cases(read_rulebook({"p.yaml": PACK.replace("PROFILE", profile)}), CoreSettings())
    assert not result.passed
    assert said in result.message
