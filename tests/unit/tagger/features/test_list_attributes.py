"""Rules may read a profile's lists, and their tags say what stood in them."""

from casepacks import cases_hold

PACK = """
pack: p
rules:
  student: {when: 'any_age(children_birth_dates, 18, 25)'}
  driver: {when: '"etc" in labels'}
cases:
  - it: reads lists of dates and of words
    given:
      - {at: 2026-03-02 09:00, profile: {children_birth_dates: [2004-05-06, 2020-01-02], labels: [etc, vip]}}
    expect:
      - {at: 2026-03-02 09:00, opened: student, value: {children_birth_dates: '2004-05-06, 2020-01-02'}}
      - {at: 2026-03-02 09:00, opened: driver, value: {labels: 'etc, vip'}}
"""


def test_a_rule_reads_a_profiles_lists() -> None:
    cases_hold(PACK)
