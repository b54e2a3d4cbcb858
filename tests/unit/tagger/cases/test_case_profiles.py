"""What a case says of a customer, a decision or a tag is checked where it stands, and means what inputs mean."""

import pytest

from schemas import events
from schemas.packs.model import PackModel
from schemas.packs.profile import CardText, ConsentText, HoldingText, ProfileText
from tagger.cases.run import run_cases
from tagger.packs.errors import RulebookError
from tagger.packs.rulebook import read_rulebook
from tagger.settings import CoreSettings

PACK = """\
pack: p
features:
  income: {expr: household_income}
  views: {top: product_id, of: app_events, over: 7d}
rules:
  r: {when: views.count > 1, refresh: assets, converts: {when: income > 1}}
  w: {after: {event: transactions}, within: 7d, when: retained < 1}
  a: {after: {event: app_events}, within: 7d, when: assets > 1}
  l: {by: income, levels: {low: 1, mid: 2, high: 3}, approval: {from: high}}
  c: {points: {size: {by: assets, bins: {0: 1}}}, levels: {low: 1}}
  m: {rows: {by: assets, cuts: [1]}, columns: {by: income, cuts: [1]}, cells: [[k, b], [c, d]]}
cases:
  - it: is read
    given:
      - {at: 2026-03-02 09:00, LINE}
    expect:
      - {at: 2026-03-02 09:00, EXPECTED}
"""


def errors_of(line: str, expected: str = "opened: r") -> list[str]:
    text = PACK.replace("LINE", line).replace("EXPECTED", expected)
    with pytest.raises(RulebookError) as caught:
        read_rulebook({"p.yaml": text})
    return [str(error).removeprefix("p.yaml:") for error in caught.value.errors]


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ("credit_score: abc", "15:56: got 'abc'; expected a number such as 0.2, 50000 or 5万"),
        ("credit_score: 1.5", "15:56: got '1.5'; expected a whole number"),
        ("credit_score: -1", "15:56: got '-1'; expected credit_score of at least 0"),
        ("birth_date: 1990-13-01", "15:54: got '1990-13-01'; expected a date such as 2026-03-02"),
        ("birth_date: 1700-01-01", "15:54: got '1700-01-01'; expected a date written 2026-03-04, from"),
        ("gender: female", "15:50: got 'female'; expected f, m or x"),
        ("employment: retird", "did you mean `retired`?"),
        ("default_history: maybe", "15:59: got 'maybe'; expected true or false"),
        ("expected_profitt: 1", "15:42: unknown key `expected_profitt`; expected one of opened_on,"),
        ("expected_profitt: 1", "did you mean `expected_profit`?"),
        ("expected_profit: 1.234", "15:59: got '1.234'; expected a decimal string"),
        ("cards: x", "15:49: got 'x'; expected a list"),
        (
            "cards: [{card_id: K, kind: credt}]",
            "15:69: got 'credt'; expected debit or credit; did you mean `credit`?",
        ),
        ("cards: [{card_id: K, knd: credit}]", "did you mean `kind`?"),
        ("cards: [{kind: credit}]", "15:50: `card_id` is missing"),
        ("holdings: [{product_id: A, mount: 1}]", "did you mean `amount`?"),
        ("consent: {pusj: true}", "did you mean `push`?"),
        (f"owner_id: {'x' * 65}", "15:52: got 65 characters; expected at most 64 characters"),
        (
            f"children_birth_dates: [{', '.join(['2020-01-01'] * 51)}]",
            "got 51 entries; expected at most 50 entries",
        ),
    ],
)
def test_what_is_wrong_with_a_profile_is_told_where_it_stands(profile: str, told: str) -> None:
    assert any(told in error for error in errors_of(f"profile: {{{profile}}}"))


def test_all_that_is_wrong_with_a_profile_is_told() -> None:
    found = errors_of("profile: {credit_score: abc, birth_date: 1990-13-01, employment: boss}")
    assert [error.split(":")[1] for error in found] == ["56", "73", "97"]


def test_money_and_counts_of_a_profile_are_numbers_like_any_other() -> None:
    said = {
        "expected_profit": "1万",
        "household_income": "50_000",
        "credit_score": "0.07万",
        "collateral": "0.00012万",
    }
    event = ProfileText.model_validate(said | {"holdings": [{"product_id": "A", "amount": "2万"}]}).event()
    assert (event.expected_profit, event.household_income, event.collateral) == ("10000", "50000", "1.2")
    assert (event.credit_score, event.holdings[0].amount) == (700, "20000")


def test_a_profile_counts_in_a_case() -> None:
    text = PACK.replace("LINE", "profile: {household_income: 0.0002万}").replace(
        "EXPECTED", "opened: l, level: mid, value: {income: 2, rank: 1}"
    )
    rulebook = read_rulebook({"p.yaml": text.replace("    given", "    rules: [l]\n    given")})
    assert [result.message for result in run_cases(rulebook, CoreSettings())] == [""]


@pytest.mark.parametrize(
    ("text", "model"),
    [
        (ProfileText, events.Profile),
        (CardText, events.Card),
        (HoldingText, events.Holding),
        (ConsentText, events.Consent),
    ],
)
def test_a_case_may_say_all_that_the_input_may(text: type[PackModel], model: type[events.Profile]) -> None:
    common = set(events.InputEvent.model_fields)
    assert set(text.model_fields) == set(model.model_fields) - common


def test_nobody_approves_alone() -> None:
    (error,) = errors_of("approval: {subject: l, grade: high, maker: u1, checker: u1, decision: approve}")
    assert error == "15:88: got 'u1'; expected a checker other than the maker"


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ("revoked: r, reason: endd", "17:52: got 'endd'; expected ended, until, level,"),
        ("revoked: r, reason: endd", "did you mean `ended`?"),
        ("opened: r, value: {vews.count: 2}", "17:51: a tag of `r` says no `vews.count`; expected one of"),
        ("opened: r, value: {vews.count: 2}", "one of views.count, income, assets; did you mean `views.count`?"),
        ("opened: r, value: {rank: 2}", "a tag of `r` says no `rank`"),
        ("opened: r, value: {amount: 2}", "a tag of `r` says no `amount`"),
        ("opened: w, value: {retaned: 2}", "expected one of retained, amount; did you mean `retained`?"),
        ("opened: a, value: {amount: 2}", "a tag of `a` says no `amount`"),
        ("opened: l, value: {total: 2}", "expected one of income, rank, previous_rank"),
        ("opened: c, value: {siz: 2}", "one of assets, size, total, rank, previous_rank; did you mean `size`?"),
        ("opened: m, value: {rank: 2}", "a tag of `m` says no `rank`"),
    ],
)
def test_what_no_tag_says_is_not_expected_of_one(expected: str, told: str) -> None:
    assert any(told in error for error in errors_of("credit: 1", expected))
