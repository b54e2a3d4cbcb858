"""Law: a signal does what a naive reading of rulebook.md §4 does, looked at after every record and every minute.

The reference keeps the whole history, recomputes what it measures from it, and evaluates at each minute whether
anything is due or not; the fold evaluates at the deadlines it has worked out. Durations and events are of whole
minutes, so no deadline lies between.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from builders import app, at, money, tick
from driver import run
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.journal import JournalRecord

START = at("2026-03-01 22:00")
MINUTE = 60_000
MIDNIGHT = 120
END = 500

CONDITIONS = {
    "assets >= 10": lambda h, t: h.assets() >= 10,
    "n >= 2": lambda h, t: h.count(t) >= 2,
    "assets >= 10 and today.weekday == 1": lambda h, t: h.assets() >= 10 and t >= MIDNIGHT,
    "half >= 1 or days >= 1": lambda h, t: h.count(t) >= 2 or h.days(t) >= 1,
}
WATCHED = {
    "retained < 0.5": lambda h, t, share: share < Fraction(1, 2),
    "retained < 0.9 and n >= 1": lambda h, t, share: share < Fraction(9, 10) and h.count(t) >= 1,
}


@dataclass
class History:
    """All that has happened, in order."""

    records: list[tuple[int, Any]] = field(default_factory=list)

    def assets(self) -> int:
        return sum(what for _, what in self.records if isinstance(what, int))

    def count(self, now: int) -> int:
        return sum(1 for when, what in self.records if isinstance(what, str) and now - 40 < when)

    def days(self, now: int) -> int:
        last = [when for when, what in self.records if isinstance(what, int)]
        return int(now >= MIDNIGHT and bool(last) and last[-1] < MIDNIGHT)

    def retained(self, opened: int) -> Fraction:
        """Share of the inflow at index `opened` that stands above the level before it."""
        moved = sum(what for _, what in self.records[opened:] if isinstance(what, int))
        return max(Fraction(0), min(Fraction(1), Fraction(moved, self.records[opened][1])))


@dataclass
class Terms:
    when: str
    held: int | None
    until: bool
    expires: int | None
    cooldown: int | None
    converts: bool
    within: int | None = None

    def is_touched_by(self, history: History) -> bool:
        """Whether the latest record leads to an evaluation: it is the first, or of a kind the rule reads."""
        if len(history.records) == 1:
            return True
        if isinstance(history.records[-1][1], int):
            return "assets" in self.when or "days" in self.when or self.until or self.within is not None
        return "n >=" in self.when or "half" in self.when or self.converts


def expected(terms: Terms, records: list[tuple[int, Any]]) -> list[tuple[int, str]]:
    """(minute, change) of every tag."""
    reference = (_Plain if terms.within is None else _Watching)(terms)
    pending = list(records)
    for minute in range(END):
        while pending and pending[0][0] == minute:
            reference.history.records.append(pending.pop(0))
            if terms.is_touched_by(reference.history):
                reference.look(minute, reference.history.records[-1][1])
        reference.look(minute, None)
    return reference.tags


class _Reference:
    def __init__(self, terms: Terms) -> None:
        self.terms, self.history = terms, History()
        self.tags: list[tuple[int, str]] = []
        self.opened: int | None = None
        self.last: int | None = None

    def over(self, now: int, end: int, event: Any) -> bool:
        """Whether a time whose end is included is over; between minutes, all at this one has occurred."""
        return now > end or (event is None and now == end)

    def blocked(self) -> bool:
        return self.terms.until and self.history.assets() >= 100

    def closing(self, now: int, event: Any, condition: bool) -> str | None:
        if self.terms.converts and event == "purchase":
            return "converted"
        if self.blocked() if self.terms.until else not condition:
            return "revoked"
        assert self.opened is not None
        if self.terms.expires is not None and self.over(now, self.opened + self.terms.expires, event):
            return "expired"
        return None

    def open(self, now: int) -> None:
        self.opened = self.last = now
        self.tags.append((now, "opened"))


class _Plain(_Reference):
    since: int | None = None
    was_false = True

    def look(self, now: int, event: Any) -> None:
        terms, condition = self.terms, CONDITIONS[self.terms.when](self.history, now)
        self.since = (now if self.since is None else self.since) if condition else None
        if self.opened is not None:
            change = self.closing(now, event, condition)
            if change:
                self.tags.append((now, change))
                self.opened, self.was_false = None, not condition
            return
        self.was_false = self.was_false or not condition
        if self.since is None or not self.was_false or self.blocked():
            return
        held = terms.held is None or self.over(now, self.since + terms.held, event)
        cool = terms.cooldown is None or self.last is None or self.over(now, self.last + terms.cooldown, event)
        if held and cool:
            self.was_false = False
            self.open(now)


class _Watching(_Reference):
    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self.waiting: list[list[Any]] = []
        self.tripped = -1

    def holds(self, now: int, opened: int) -> bool:
        return bool(WATCHED[self.terms.when](self.history, now, self.history.retained(opened)))

    def look(self, now: int, event: Any) -> None:
        if isinstance(event, int) and event >= 50 and len(self.waiting) < 8:
            self.waiting.append([len(self.history.records) - 1, None])
        was_open = self.opened is not None
        for watch in list(self.waiting):
            self._look_at(watch, now, event)
        if was_open:
            change = self.closing(now, event, self.holds(now, self.tripped))
            if change:
                self.tags.append((now, change))
                self.opened = None

    def _look_at(self, watch: list[Any], now: int, event: Any) -> None:
        terms, opened = self.terms, self.history.records[watch[0]][0]
        assert terms.within is not None
        holds = now <= opened + terms.within and self.holds(now, watch[0])
        watch[1] = (now if watch[1] is None else watch[1]) if holds else None
        held = holds and (terms.held is None or self.over(now, watch[1] + terms.held, event))
        if held and not self.blocked():
            self.waiting.remove(watch)
            cool = terms.cooldown is None or self.last is None or now > self.last + terms.cooldown
            if self.opened is None and cool:
                self.tripped = watch[0]
                self.open(now)
        elif self.over(now, opened + terms.within, event):
            self.waiting.remove(watch)


def pack(terms: Terms) -> str:
    rule = [f"when: {terms.when}"]
    if terms.within is not None:
        rule += ["after: {event: transactions, where: 'direction == \"credit\" and amount >= 50'}"]
        rule += [f"within: {terms.within}m"]
    rule += [f"for: {terms.held}m"] if terms.held else []
    rule += ["until: assets >= 100"] if terms.until else []
    rule += [f"expires: {terms.expires}m"] if terms.expires else []
    rule += [f"cooldown: {terms.cooldown}m"] if terms.cooldown else []
    rule += ["converts: {event: app_events, where: 'action == \"purchase\"'}"] if terms.converts else []
    features = (
        "features: {n: {count: app_events, over: 40m}, half: {expr: n / 2}, days: {days_since: transactions}}\n"
    )
    return f"pack: p\n{features}rules:\n  sig:\n    " + "\n    ".join(rule) + "\n"


minute = st.integers(0, 300) | st.sampled_from([0, 30, 40, 60, 70, 90, 100, 119, 120, 121])
happening = st.sampled_from([10, -10, 60, 50, -30, -60, 5, -100]) | st.sampled_from(["view", "view", "purchase"])
stories = st.lists(st.tuples(minute, happening), min_size=1, max_size=14).map(
    lambda story: sorted(story, key=lambda one: one[0])
)
maybe = {"held": st.sampled_from([None, 30]), "until": st.booleans(), "expires": st.sampled_from([None, 60]),
         "cooldown": st.sampled_from([None, 90]), "converts": st.booleans()}  # fmt: skip
plain_terms = st.builds(Terms, when=st.sampled_from(list(CONDITIONS)), **maybe)
watch_terms = st.builds(Terms, when=st.sampled_from(list(WATCHED)), within=st.just(100), **maybe)


def journal(story: list[tuple[int, Any]], tick_times: list[int]) -> list[JournalRecord]:
    records: list[JournalRecord] = []
    pending = sorted(tick_times)
    for number, (when, what) in enumerate(story):
        while pending and pending[0] <= when:
            told = START + pending.pop(0) * MINUTE
            records += [tick(told), tick(told, "bank.app-events")]
        moment = START + when * MINUTE
        record = (
            money(moment, what, f"t{number:02d}")
            if isinstance(what, int)
            else app(moment, f"a{number:02d}", action=what)
        )
        records.append(record)
    # Passing beyond the last minute looked at.
    end = START + (END - 1) * MINUTE + 1
    return [*records, tick(end), tick(end, "bank.app-events")]


def told(terms: Terms, story: list[tuple[int, Any]], tick_times: list[int]) -> list[tuple[int, str]]:
    result = run(journal(story, tick_times), pack(terms), cuts=(3, 5, 8), restart=True)
    return [(round((at(row[0]) - START) / MINUTE), row[1]) for row in result.brief()]


@settings(max_examples=250)
@given(plain_terms, stories, st.lists(minute, max_size=3))
def test_a_plain_signal_does_what_the_naive_reading_does(
    terms: Terms, story: list[tuple[int, Any]], tick_times: list[int]
) -> None:
    first = story[0][0]
    # A customer not yet seen has no tags.
    assert told(terms, story, tick_times) == [one for one in expected(terms, story) if one[0] >= first]


@settings(max_examples=250)
@given(watch_terms, stories, st.lists(minute, max_size=3))
def test_a_watching_signal_does_what_the_naive_reading_does(
    terms: Terms, story: list[tuple[int, Any]], tick_times: list[int]
) -> None:
    assert told(terms, story, tick_times) == expected(terms, story)
