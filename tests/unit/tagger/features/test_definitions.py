"""Stored states are addressed by these hashes: they must not change while a feature means the same."""

import pytest
from builders import program_of

from tagger.compiler.program import Program

PACK = """
pack: p
settings: {large: 500}
features:
  counted: {count: transactions, where: 'amount >= large and kind == "card"', over: 7d}
  summed: {sum: amount, of: transactions, over: 12mo}
  running: {sum: amount, of: transactions, where: direction == "debit", over: quarter}
  closed: {sum: amount, of: transactions, where: direction == "debit", over: quarter, previous: true}
  ever: {count: app_events, over: ever}
  minutes: {count: app_events, over: 30m}
  favourite: {top: product_id, of: app_events, over: 7d}
  products: {distinct: product_id, of: app_events, over: 7d}
  quiet: {days_since: transactions}
  maturity: {next: matures_on, of: transactions}
  payday: {recurring: transactions, where: kind == "salary", every: month}
  bought: {summary: transactions}
rules: {}
"""
KEYS = {
    "counted": "afbab507",
    "summed": "649450e5",
    "running": "49e282b8",
    "closed": "49e282b8",
    "ever": "6776773c",
    "minutes": "6327b84c",
    "favourite": "311deb61",
    "products": "7ac3c633",
    "quiet": "cbfff6f8",
    "maturity": "f3a10ce4",
    "payday": "cfb14425",
    "bought": "d0bd8191",
}


@pytest.fixture(scope="module")
def program() -> Program:
    return program_of(PACK)


def test_the_address_of_each_verbs_state_is_pinned(program: Program) -> None:
    assert {name.removeprefix("p."): f"{one.key:08x}" for name, one in program.features.items()} == KEYS


def test_a_period_and_the_one_before_it_share_their_state(program: Program) -> None:
    assert program.features["p.running"].key == program.features["p.closed"].key
