"""Laws: distinct, recurring, summary and next equal a naive recomputation, and change at their own time."""

from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from builders import at, money, profile, ticks
from driver import Run, run
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.journal import Card, Holding, Transaction

FIRST = date(2026, 1, 1)
KINDS = ("a", "b", "c", "d")
PACK = """
pack: p
features:
  kinds: {distinct: kind, of: transactions, over: 5d}
  last_two: {distinct: kind, of: transactions, over: 5d, at_most: 2}
  salary: {recurring: transactions, where: 'kind == "a"', every: month, slack: 3d, times: 3}
  pair: {recurring: transactions, where: 'kind == "a"', every: month, slack: 5d, times: 2}
  closing: {recurring: transactions, where: 'kind == "a"', every: quarter, slack: 10d, times: 2}
  bought: {summary: transactions, where: 'kind == "b"'}
  due: {next: matures_on, of: transactions, where: 'kind != "c"'}
rules: {r: {when: assets > 0}}
"""

# What happened: bank day from 1 January 2026, minute of the day, fen, kind, days to a maturity.
Move = tuple[int, int, int, str, int | None]
MOVES = st.lists(
    st.tuples(
        st.integers(0, 300), st.integers(0, 1439), st.integers(1, 500), st.sampled_from(KINDS),
        st.none() | st.integers(-3, 40),
    ),
    min_size=1, max_size=60,
)  # fmt: skip
SALARIES = st.lists(
    st.tuples(st.integers(0, 10), st.integers(1, 31), st.integers(1, 4), st.just("a")), max_size=24
).map(lambda found: [_salary(*one) for one in found])


def _salary(month: int, day: int, fen: int, kind: str) -> Move:
    first = date(2026, month + 1, 1)
    return min((first - FIRST).days + day - 1, 304), 600, fen, kind, None


def day_of(move: Move) -> date:
    return FIRST + timedelta(days=move[0])


def journal(moves: list[Move], jitter: list[int]) -> list[Transaction]:
    """Moves in an order of arrival that lies at most two days behind."""
    numbered = list(enumerate(moves))
    order = sorted(numbered, key=lambda one: (one[1][0] + jitter[one[0] % len(jitter)], one[0]))
    return [
        money(
            at(f"{day_of(move)} {move[1] // 60:02d}:{move[1] % 60:02d}"),
            0,
            f"t{index:03d}",
            fen=move[2],
            kind=move[3],
            matures_day=None if move[4] is None else (day_of(move) + timedelta(days=move[4])).toordinal(),
        )
        for index, move in order
    ]


JITTER = st.lists(st.integers(0, 2), min_size=1, max_size=7)


def measured(moves: list[Move], jitter: list[int], today: date) -> dict[str, str | None]:
    known = [move for move in moves if day_of(move) <= today]
    result = run(journal(known, jitter), PACK)
    return result.measure(at(f"{today} 23:59:59"))


# The naive readings


def middle(values: list[Any]) -> Any:
    return sorted(values)[(len(values) + 1) // 2 - 1]


def period(day: date, months: int) -> int:
    return (day.year * 12 + day.month - 1) // months


def bounds(index: int, months: int) -> tuple[date, date]:
    first = date(index * months // 12, index * months % 12 + 1, 1)
    after = (index + 1) * months
    return first, date(after // 12, after % 12 + 1, 1) - timedelta(days=1)


def recurring(moves: list[Move], today: date, months: int, slack: int, times: int) -> dict[str, Any]:
    best: dict[int, Move] = {}
    for move in sorted(moves, key=lambda move: (move[0], move[1])):
        index = period(day_of(move), months)
        if index not in best or move[2] > best[index][2]:
            best[index] = move
    current = period(today, months)
    last = current if current in best else current - 1
    wanted = [last - back for back in range(times)]
    unknown = {"recurs": False, "day": None, "next": None, "amount": None}
    if any(index not in best for index in wanted):
        return unknown
    numbers = []
    for index in wanted:
        first, end = bounds(index, months)
        day = day_of(best[index])
        numbers.append((day - first).days + 1 if months == 1 else (end - day).days + 1)
    usual = middle(numbers)
    if any(abs(number - usual) > slack for number in numbers):
        return unknown
    first, end = bounds(last + 1, months)
    usual = min(usual, (end - first).days + 1)
    following = first + timedelta(days=usual - 1) if months == 1 else end - timedelta(days=usual - 1)
    return {"recurs": True, "day": usual, "next": following, "amount": middle([best[i][2] for i in wanted])}


def fen(value: Decimal | int) -> str:
    return str((Decimal(value) / 100).quantize(Decimal("0.01"), ROUND_HALF_UP))


def printed(expected: dict[str, Any]) -> dict[str, str | None]:
    return {
        "recurs": str(expected["recurs"]).lower(),
        "day": None if expected["day"] is None else str(expected["day"]),
        "next": None if expected["next"] is None else expected["next"].isoformat(),
        "amount": None if expected["amount"] is None else fen(expected["amount"]),
    }


def parts(values: dict[str, str | None], name: str) -> dict[str, str | None]:
    return {key.rpartition(".")[2]: value for key, value in values.items() if key.startswith(f"p.{name}.")}


TODAY = st.integers(0, 330).map(lambda days: FIRST + timedelta(days=days))


@settings(max_examples=40, deadline=None)
@given(moves=MOVES, jitter=JITTER, today=TODAY)
def test_distinct_counts_the_values_of_its_window(moves: list[Move], jitter: list[int], today: date) -> None:
    window = [move for move in moves if timedelta(0) <= today - day_of(move) < timedelta(days=5)]
    if not any(day_of(move) <= today for move in moves):
        return
    values = measured(moves, jitter, today)
    assert values["p.kinds"] == str(len({move[3] for move in window}))
    assert values["p.last_two"] == str(min(2, len({move[3] for move in window})))


@settings(max_examples=60, deadline=None)
@given(moves=st.one_of(MOVES, SALARIES.filter(bool)), jitter=JITTER, today=TODAY)
@example(moves=[_salary(0, 31, 5, "a"), _salary(1, 28, 5, "a")], jitter=[0], today=date(2026, 3, 1))
@example(moves=[_salary(0, 31, 5, "a"), _salary(2, 31, 5, "a")], jitter=[0], today=date(2026, 4, 2))
def test_recurring_finds_what_comes_back(moves: list[Move], jitter: list[int], today: date) -> None:
    known = [move for move in moves if day_of(move) <= today]
    if not known:
        return
    values = measured(moves, jitter, today)
    mine = [move for move in known if move[3] == "a"]
    for name, months, slack, times in (("salary", 1, 3, 3), ("pair", 1, 5, 2), ("closing", 3, 10, 2)):
        assert parts(values, name) == printed(recurring(mine, today, months, slack, times)), name


@settings(max_examples=40, deadline=None)
@given(moves=MOVES, jitter=JITTER, today=TODAY)
@example(  # the first day comes after the second
    moves=[(1, 0, 5, "b", None), (0, 0, 7, "b", None)], jitter=[0, 2], today=date(2026, 1, 9)
)
def test_summary_is_what_happened_so_far(moves: list[Move], jitter: list[int], today: date) -> None:
    known = [move for move in moves if day_of(move) <= today]
    if not known:
        return
    totals: dict[date, int] = {}
    for move in known:
        if move[3] == "b":
            totals[day_of(move)] = totals.get(day_of(move), 0) + move[2]
    count = sum(move[3] == "b" for move in known)
    expected: dict[str, str | None] = {"count": str(count), "days": str(len(totals))}
    expected |= dict.fromkeys(("mean", "x", "t_x", "T", "m"))
    if totals:
        first, last = min(totals), max(totals)
        rest = [total for day, total in totals.items() if day != first]
        expected |= {"mean": fen(Decimal(sum(totals.values())) / count), "x": str(len(totals) - 1),
                     "t_x": str((last - first).days), "T": str((today - first).days),
                     "m": fen(Decimal(sum(rest)) / len(rest)) if rest else None}  # fmt: skip
    assert parts(measured(moves, jitter, today), "bought") == expected


@settings(max_examples=40, deadline=None)
@given(moves=MOVES, jitter=JITTER, today=TODAY)
def test_next_is_the_earliest_date_to_come(moves: list[Move], jitter: list[int], today: date) -> None:
    known = [move for move in moves if day_of(move) <= today]
    if not known:
        return
    dates = [day_of(move) + timedelta(days=move[4]) for move in known if move[3] != "c" and move[4] is not None]
    coming = [day for day in dates if day >= today]
    assert measured(moves, jitter, today)["p.due"] == (min(coming).isoformat() if coming else None)


# Deadlines: a rule that tells every change of a feature tells it at the same times, however time is told.

CHANGES = [
    "kinds", "salary.next", "pair.recurs", "closing.amount", "bought.T", "due", "cards_soon", "card", "families",
    "held", "worth",
]  # fmt: skip
TELLING = (
    PACK.replace("rules: {r: {when: assets > 0}}", "")
    + """
  cards_soon: {count: cards, where: 'days_to(expires_on) <= 3 and days_to(expires_on) >= 0'}
  card: {next: expires_on, of: cards}
  families: {distinct: family, of: holdings, where: 'days_to(matures_on) > 2'}
  held: {sum: amount, of: holdings, where: 'age(matures_on) < 0'}
  worth: {expr: 'clv(bought, model, 60)'}
settings:
  model: {r: 0.2426, alpha: 30.92, a: 0.7928, b: 2.4259, p: 6.25, q: 3.74, v: 15.44, discount: 0.1}
rules:
"""
    + "".join(f"  r{n}: {{when: assets >= 0, refresh: {name}}}\n" for n, name in enumerate(CHANGES))
)
PEOPLE = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 1439), st.integers(0, 9)), max_size=3)


def told(moves: list[Move], people: list[tuple[int, int, int]], every: int) -> Run:
    """A journal in order of time, with a tick every so many hours."""
    records: list[Any] = [*journal(moves, [0])]
    for n, (day, minute, soon) in enumerate(people):
        when = FIRST + timedelta(days=day)
        records.append(
            profile(
                at(f"{when} {minute // 60:02d}:{minute % 60:02d}"), f"p{n}",
                cards=(Card(card_id="1", kind="debit", expires_day=when.toordinal() + soon),),
                holdings=(Holding(product_id="h", family="f", amount_fen=5, matures_day=when.toordinal() + soon),
                          Holding(product_id="i", family="g")),
            )
        )  # fmt: skip
    records.sort(key=lambda record: (record.occurred_ms, record.event_id))
    now = datetime.fromisoformat("2026-01-01 00:30")
    end = datetime.fromisoformat("2026-04-15 00:30")
    timed: list[Any] = []
    while now < end:
        # Off the hour: what falls on a midnight is told by the first tick behind it.
        now = min(now + timedelta(hours=every), end)
        while records and records[0].occurred_ms <= at(f"{now:%Y-%m-%d %H:%M}"):
            timed.append(records.pop(0))
        timed += ticks(f"{now:%Y-%m-%d %H:%M}")
    return run(timed, TELLING)


@settings(max_examples=6, deadline=None)
@given(
    moves=st.lists(
        st.tuples(st.integers(0, 80), st.integers(0, 1439), st.integers(1, 500), st.sampled_from(KINDS),
                  st.none() | st.integers(-1, 9)), min_size=1, max_size=8,
    ),
    people=PEOPLE,
)  # fmt: skip
def test_every_change_is_told_at_its_time(moves: list[Move], people: list[tuple[int, int, int]]) -> None:
    dense, sparse = told(moves, people, 24), told(moves, people, 24 * 20)
    assert sparse.brief() == dense.brief()
    assert [tag["value"] for tag in sparse.told()] == [tag["value"] for tag in dense.told()]
