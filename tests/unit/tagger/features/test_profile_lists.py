"""`cards` and `holdings` as sources, and `next` over them: read from the latest profile, turning with the day."""

from casepacks import cases_hold

PACK = """
pack: p
settings: {big: 5万}
features:
  long_held: {count: cards, where: 'kind == "debit" and days_to(opened_on) < -181'}
  grown: {count: cards, where: 'age(opened_on) >= 1'}
  grand: {count: cards, where: 'grade in ["platinum", "diamond"]'}
  held: {sum: amount, of: holdings}
  families: {distinct: family, of: holdings}
  due: {next: matures_on, of: holdings, where: amount >= big}
  days_left: {expr: days_to(due)}
rules:
  maturing: {when: days_to(due) <= 7}
  settled: {when: long_held >= 1}
  rich: {when: held >= 100000 and families >= 2}
"""


def test_items_count_as_the_latest_profile_says() -> None:
    cases_hold(
        PACK
        + """
cases:
  - it: is nothing without a profile
    given: [{at: 2026-03-02 09:00, credit: 1}]
    expect: []
    features: {long_held: 0, held: 0, families: 0, due: unknown, days_left: unknown, grand: 0}
  - it: sums, tells families apart and leaves out what is not said
    given:
      - at: 2026-03-02 09:00
        profile:
          holdings:
            - {product_id: a, family: fund, amount: "60000"}
            - {product_id: b, family: fund, amount: "40000"}
            - {product_id: c, family: deposit}
            - {product_id: d}
      - at: 2026-03-02 10:00
        profile: {holdings: [{product_id: a, family: fund, amount: "60000"}]}
    expect:
      - {at: 2026-03-02 09:00, opened: rich, value: {held: 100000, families: 2}}
      - {at: 2026-03-02 10:00, revoked: rich}
    features: {held: 60000, families: 1}
  - it: opens on the very day a card has been held long enough
    given:
      - at: 2026-03-02 09:00
        profile: {cards: [{card_id: c, kind: debit, grade: platinum, opened_on: 2025-09-03}]}
      - {at: 2026-03-04 00:00}
      - {at: 2026-03-04 01:00}
    rules: [settled]
    expect: [{at: 2026-03-04 00:00, opened: settled, value: {long_held: 1}}]
    features: {grand: 1, grown: 0}
  - it: looks forward to the next large maturity, that of today too
    given:
      - at: 2026-03-02 09:00
        profile:
          holdings:
            - {product_id: a, amount: "60000", matures_on: 2026-03-10}
            - {product_id: b, amount: "50000", matures_on: 2026-03-20}
            - {product_id: c, amount: "49999.99", matures_on: 2026-03-11}
            - {product_id: d, amount: "50000", matures_on: 2026-03-01}
      - {at: 2026-03-20 12:00}
    rules: [maturing]
    expect:
      - {at: 2026-03-03 00:00, opened: maturing, value: {due: 2026-03-10}}
      - {at: 2026-03-11 00:00, revoked: maturing, reason: ended, value: {due: 2026-03-20}}
      - {at: 2026-03-13 00:00, opened: maturing}
    features: {due: 2026-03-20, days_left: 0}
"""
    )


def test_transactions_bring_their_own_dates() -> None:
    cases_hold("""
pack: p
features:
  due: {next: matures_on, of: transactions, where: 'account_type == "term" and direction == "credit"'}
rules:
  maturing: {when: days_to(due) <= 3, converts: {event: transactions, where: 'kind == "renew"'}}
cases:
  - it: keeps the nearest, and forgets what has passed
    given:
      - {at: 2026-03-02 09:00, credit: 10, account_type: term, matures_on: 2026-03-30}
      - {at: 2026-03-02 10:00, credit: 10, account_type: term, matures_on: 2026-03-10}
      - {at: 2026-03-02 11:00, credit: 10, account_type: term, matures_on: 2026-03-01}
      - {at: 2026-03-02 12:00, credit: 10, account_type: current, matures_on: 2026-03-03}
      - {at: 2026-03-29 09:00}
    expect:
      - {at: 2026-03-07 00:00, opened: maturing, value: {due: 2026-03-10}}
      - {at: 2026-03-11 00:00, revoked: maturing}
      - {at: 2026-03-27 00:00, opened: maturing}
    features: {due: 2026-03-30}
""")


def test_a_payday_is_looked_forward_to() -> None:
    cases_hold("""
pack: p
features:
  salary: {recurring: transactions, where: 'kind == "salary"', every: month, slack: 3d, times: 3}
rules:
  payday: {when: salary.recurs and 0 <= days_to(salary.next) <= 2}
cases:
  - it: comes back once three months had one, and is over when a month had none
    given:
      - {at: 2026-01-31 09:00, credit: 10000, kind: salary}
      - {at: 2026-02-28 09:00, credit: 9000, kind: salary}
      - {at: 2026-02-28 10:00, credit: 100, kind: salary}
      - {at: 2026-03-31 09:00, credit: 12000, kind: salary}
      - {at: 2026-06-10 09:00}
    expect:
      - {at: 2026-04-28 00:00, opened: payday, value: {salary.next: 2026-04-30, salary.recurs: true}}
      - {at: 2026-05-01 00:00, revoked: payday}
    features: {salary.recurs: false, salary.day: unknown, salary.amount: unknown}
  - it: takes the median day, and amount, of the last three
    given:
      - {at: 2026-01-10 09:00, credit: 10000, kind: salary}
      - {at: 2026-02-09 09:00, credit: 9000, kind: salary}
      - {at: 2026-03-12 09:00, credit: 12000, kind: salary}
    expect: []
    features: {salary.recurs: true, salary.day: 10, salary.next: 2026-04-10, salary.amount: 10000}
  - it: allows three days of slack and no fourth
    given:
      - {at: 2026-01-10 09:00, credit: 10000, kind: salary}
      - {at: 2026-02-10 09:00, credit: 9000, kind: salary}
      - {at: 2026-03-14 09:00, credit: 12000, kind: salary}
    expect: []
    features: {salary.recurs: false}
""")


def test_quarters_are_counted_from_their_end() -> None:
    cases_hold("""
pack: p
features:
  inflow: {recurring: transactions, where: 'kind == "settlement"', every: quarter, slack: 5d, times: 2}
rules:
  season: {when: inflow.recurs}
cases:
  - it: counts the last day as the first, whatever the quarter's length
    given:
      - {at: 2026-03-31 09:00, credit: 10, kind: settlement}
      - {at: 2026-06-27 09:00, credit: 30, kind: settlement}
    expect: [{at: 2026-06-27 09:00, opened: season}]
    features: {inflow.day: 1, inflow.next: 2026-09-30, inflow.amount: 10}
""")


def test_a_value_no_longer_counts_from_the_day_it_leaves_the_window() -> None:
    cases_hold("""
pack: p
features: {kinds: {distinct: kind, of: transactions, over: 3d}}
rules: {varied: {when: kinds >= 2}}
cases:
  - it: ends at the midnight of the third day after
    given:
      - {at: 2026-03-02 09:00, credit: 1, kind: a}
      - {at: 2026-03-03 09:00, credit: 1, kind: b}
      - {at: 2026-03-03 08:00, credit: 1, kind: b}
      - {at: 2026-03-09 09:00}
    expect:
      - {at: 2026-03-03 09:00, opened: varied, value: {kinds: 2}}
      - {at: 2026-03-05 00:00, revoked: varied, reason: ended, value: {kinds: 1}}
""")
