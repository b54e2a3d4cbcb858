"""A wrong policy.yaml is told like a wrong pack: file, line, column, what was expected, the nearest right name."""

import pytest

from tagger.packs.errors import RulebookError
from tagger.packs.rulebook import read_rulebook

PACK = "pack: p\nrules:\n  r: {when: assets > 1, offer: {family: wealth-rate-coupon}}\n"


def errors(policy: str) -> list[str]:
    with pytest.raises(RulebookError) as caught:
        read_rulebook({"p.yaml": PACK, "policy.yaml": policy})
    return [str(error) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("quiet_hour: {from: 21:00}", "1:1: unknown key `quiet_hour`; expected one of"),
        ("quiet_hour: {from: 21:00}", "did you mean `quiet_hours`?"),
        ("quiet_hours: {from: 25:00, to: 09:00}", "1:21: got '25:00'; expected a time of day"),
        ("quiet_hours: {from: 21:00}", "`to` is missing; expected `to: …` here"),
        ("quiet_hours: {from: 09:00, to: 9:00}", "got '09:00 twice'; expected an end other than the beginning"),
        ("caps: {push: {per_day: 0}}", "1:24: got '0'; expected a number from 1 to 1000"),
        ("caps: {push: {per_day: 3, per_week: 2}}", "expected at least as many a week as a day"),
        ("caps: {push: {}}", "expected `per_day` or `per_week`"),
        ("caps: {mail: {per_day: 1}}", "1:8: unknown key `mail`; expected one of push, call, branch, family"),
        ("caps: {push: {per_dya: 1}}", "did you mean `per_day`?"),
        ("caps: {family: {welth-rate-coupon: {per_day: 1}}}", "did you mean `wealth-rate-coupon`?"),
        ("arbitrate: {within: 10m, one_per: rule}", "1:35: got 'rule'; expected need"),
        ("arbitrate: {one_per: need}", "`within` is missing"),
        ("control: {share: 120%, salt: x}", "expected a share above 0% and at most 100%"),
        ("stale: soon", "1:8: got 'soon'; expected a duration"),
        ("consent: required", "1:10: got 'required'; expected true or false"),
        ("- consent", "1:1: the file holds no mapping"),
    ],
)
def test_an_error_says_where_and_what_was_expected(policy: str, told: str) -> None:
    found = errors(policy)
    assert all(line.startswith("policy.yaml:") for line in found)
    assert any(told in line for line in found), found


def test_all_errors_of_packs_and_policy_come_at_once() -> None:
    with pytest.raises(RulebookError) as caught:
        read_rulebook({"p.yaml": PACK.replace("assets", "asets"), "policy.yaml": "stale: soon\nconsnt: true"})
    assert [error.file for error in caught.value.errors] == ["p.yaml", "policy.yaml", "policy.yaml"]


def test_there_is_one_policy() -> None:
    with pytest.raises(RulebookError, match=r"a/policy\.yaml holds the contact policy too"):
        read_rulebook({"p.yaml": PACK, "a/policy.yaml": "stale: 1h", "b/policy.yaml": "stale: 2h"})


def test_the_policy_is_part_of_the_digest_and_its_words_are_not() -> None:
    def digest(policy: str | None) -> str:
        return read_rulebook({"p.yaml": PACK} | ({} if policy is None else {"policy.yaml": policy})).digest

    assert len({digest(None), digest("stale: 1h"), digest("stale: 2h"), digest("consent: false")}) == 4
    assert digest("stale: 1h") == digest("title: Any\nstale: 60m\nconsent: true")
    # As before there were policies: rulebooks published then are still found.
    assert digest(None) == "488a360b33d8015d"
