"""The made-up bank: same seed, same bytes; in order of arrival; labels for every customer."""

import json
from collections import Counter, defaultdict
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest

from schemas.bankday import BankCalendar
from streams.sources.customer import Customer, Period
from streams.sources.expected import expect_silence
from streams.sources.labels import Label
from streams.sources.record import SourceRecord
from streams.sources.simulate import CONSENTS, Plan, simulate
from streams.sources.stories import MIN_DAYS, STORIES

PLAN = Plan(customers=60, days=MIN_DAYS)


def made(plan: Plan) -> tuple[list[SourceRecord], list[Label], Counter[str]]:
    simulation = simulate(plan)
    return list(simulation.records()), simulation.labels, simulation.notes


def read(record: SourceRecord) -> dict[str, str] | None:
    try:
        return json.loads(record.value or b"")
    except ValueError:
        return None


def test_the_same_plan_gives_the_same_bytes_and_another_seed_others() -> None:
    assert made(PLAN) == made(PLAN)
    assert made(PLAN)[0] != made(Plan(customers=60, days=MIN_DAYS, seed=2))[0]


def test_more_customers_change_no_ones_life() -> None:
    few, many = made(Plan(customers=20, days=MIN_DAYS))[0], made(PLAN)[0]
    assert few == [record for record in many if record.key is not None and record.key < b"S000020"]


@pytest.mark.parametrize("days", [MIN_DAYS, 30, 95])
def test_every_customer_has_labels_of_one_story_within_the_run(days: int) -> None:
    plan = Plan(customers=60, days=days)
    stories = defaultdict(set)
    for label in made(plan)[1]:
        stories[label.customer_id].add(label.story)
        if label.at is not None:
            day = (datetime.fromisoformat(label.at).date() - plan.start).days
            assert 0 <= day < days
    assert len(stories) == 60
    assert all(len(told) == 1 for told in stories.values())
    assert set.union(*stories.values()) == set(STORIES)


def test_records_arrive_in_order_but_for_the_delayed_ones_which_are_counted() -> None:
    records, _, notes = made(PLAN)
    latest, behind, repeats, seen = "", 0, 0, set()
    for record in records:
        value = read(record)
        if value is None or "occurred_at" not in value:
            continue
        if value["event_id"] in seen:
            repeats += 1
        elif value["occurred_at"] < latest:
            behind += 1
        seen.add(value["event_id"])
        latest = max(latest, value["occurred_at"])
    assert behind == notes["late"] + notes["out of order"] > 0
    assert repeats == notes["repeated"] > 0
    assert notes["broken"] > 0


def test_stated_balances_follow_from_the_amounts() -> None:
    """In the order they occurred; delayed ones are put back, repeated ones left out."""
    accounts: dict[str, list[tuple[str, int, Decimal, Decimal]]] = defaultdict(list)
    spoiling = {label.customer_id for label in made(PLAN)[1] if label.story == "broken"}
    for record in made(PLAN)[0]:
        value = read(record)
        if value is not None and "amount" in value and value["customer_id"] not in spoiling:
            amount = Decimal(value["amount"]) * (1 if value["direction"] == "credit" else -1)
            sequence = int(value["event_id"].rpartition("-")[2])
            row = (value["occurred_at"], sequence, amount, Decimal(value["balance_after"]))
            accounts[value["account_id"]].append(row)
    assert len(accounts) > 50
    for account, rows in accounts.items():
        for (_, _, _, before), (_, _, amount, after) in pairwise(sorted(set(rows))):
            assert before + amount == after, account


def test_a_run_too_short_for_the_stories_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 14 days.*got 3"):
        Plan(days=3)


def test_the_first_day_can_be_chosen() -> None:
    first = made(Plan(customers=1, days=MIN_DAYS, start=date(2020, 2, 25)))[0][0]
    assert (read(first) or {})["occurred_at"].startswith("2020-02-25")


def test_everybody_begins_with_a_profile_that_says_what_was_agreed_to() -> None:
    records = made(Plan(customers=200, days=MIN_DAYS))[0]
    first, profiles = records[:200], [record for record in records if record.topic == "bank.profiles"]
    assert profiles == first
    consents = [json.loads(record.value or b"")["consent"] for record in profiles]
    for channel, share in CONSENTS.items():
        assert abs(sum(consent[channel] for consent in consents) / 200 - share) < 0.1


def quiet(*active: tuple[int, int], days: int) -> list[tuple[str, int]]:
    """What silence brings to one who acts on days and holds so much after each, in yuan: rule and day."""
    calendar = BankCalendar("Asia/Shanghai")
    period = Period(calendar, PLAN.start.toordinal(), days)
    labels: list[Label] = []
    customer = Customer(
        customer_id="C1", story="s", period=period, random=Random(1), labels=labels, notes=Counter()
    )
    for day, yuan in active:
        customer.balance_fen = yuan * 100
        customer.act(customer.time(day, 12, 13), "login")
    expect_silence(customer)
    moments = [datetime.fromisoformat(label.at or "") for label in labels]
    assert all(moment.hour == moment.minute == 0 for moment in moments)
    return [(label.rule, (moment.date() - PLAN.start).days) for label, moment in zip(labels, moments, strict=True)]


def test_ninety_days_of_silence_are_labelled_before_after_and_between() -> None:
    assert quiet((0, 500), days=92) == [("dormant", 91)]
    assert quiet((0, 500), days=91) == []
    assert quiet((0, 500), (90, 500), days=100) == []
    assert quiet((0, 500), (91, 500), days=183) == [("dormant", 91), ("dormant", 182)]


def test_half_a_year_of_silence_with_next_to_nothing_left_is_a_lapse() -> None:
    assert quiet((0, 99), (182, 100), days=400) == [("dormant", 91), ("lapsed", 181), ("dormant", 273)]
    assert quiet((0, 99), days=181) == [("dormant", 91)]


def test_who_is_silent_between_two_payments_is_labelled_in_a_story_that_says_nothing_of_it() -> None:
    labels = made(Plan(customers=300, days=130))[1]
    assert ("out-of-order", "dormant") in {(label.story, label.rule) for label in labels if label.at is not None}
