"""`converts: {when}`: success is the condition becoming true while the tag is open, whatever else is looked at."""

from casepacks import cases_hold

# `ticking` has deadlines of its own, at which every rule is looked at.
PACK = """
pack: p
features:
  quiet: {days_since: transactions}
rules:
  rich: {when: assets >= 100, converts: {when: loan < 500}}
  tiers: {by: assets, levels: {some: 100, more: 1000}, converts: {when: loan < 500}}
  ticking: {when: quiet >= 1}
cases:
  - it: does not convert by what was so when the tag opened, at no later look either
    rules: [rich, tiers]
    given:
      - {at: 2026-03-02 09:00, credit: 100}
      - {at: 2026-03-03 09:00, credit: 1}
      - {at: 2026-03-05 09:00}
    expect:
      - {at: 2026-03-02 09:00, opened: rich}
      - {at: 2026-03-02 09:00, opened: tiers, level: some}
  - it: converts when it has stopped being so and becomes so again
    rules: [rich, tiers]
    given:
      - {at: 2026-03-02 09:00, credit: 100}
      - {at: 2026-03-03 09:00, debit: 600, account_type: loan}
      - {at: 2026-03-04 09:00, credit: 600, account_type: loan}
    expect:
      - {at: 2026-03-02 09:00, opened: rich}
      - {at: 2026-03-02 09:00, opened: tiers, level: some}
      - {at: 2026-03-04 09:00, converted: rich}
      - {at: 2026-03-04 09:00, converted: tiers, level: some}
  - it: is not converted by a late record
    rules: [rich]
    given:
      - {at: 2026-03-02 09:00, debit: 600, account_type: loan}
      - {at: 2026-03-02 10:00, credit: 100}
      - {at: 2026-03-06 09:00}
      - {at: 2026-03-02 11:00, credit: 600, account_type: loan}
      - {at: 2026-03-06 10:00, credit: 1}
    expect:
      - {at: 2026-03-02 10:00, opened: rich}
"""


def test_a_condition_converts_when_it_becomes_true() -> None:
    cases_hold(PACK)
