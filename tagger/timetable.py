"""When passing time alone may change something for a customer, and which rules it concerns.

Timers of rules, events leaving a window of minutes or hours, and held tags fall due at any instant; all else turns
with a bank day, and so no earlier than the next midnight after what has been evaluated.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from schemas.bankday import BankCalendar
from tagger.features.aggregates import DayAggregate
from tagger.features.closings import AverageBalance, Balance
from tagger.features.contract import Feature
from tagger.features.lookups import ActiveRule, Attribute, Derived, LevelOf, turn_ms
from tagger.features.sliding import SlidingAggregate
from tagger.kinds.contract import Rule, RuleTerms
from tagger.state import NEVER, CustomerState

Turn = tuple[Callable[[CustomerState, int, int], int | None], int]
"""`next_change` of a feature, and the rules that read it: a bit a rule, in the program's order."""
Timer = tuple[Callable[[CustomerState], int | None], int]
_NEVER_DAYS = 366
_UNTIMED = (Balance, LevelOf, ActiveRule, Attribute)


class Timetable:
    """What a program's features and rules do as time passes.

    Attributes:
        all_rules: the bits of all rules.
        slides: features over minutes or hours.
    """

    def __init__(self, rules: Sequence[Rule], calendar: BankCalendar) -> None:
        self._calendar = calendar
        self.all_rules = (1 << len(rules)) - 1
        readers = _Readers(rules)
        self._timers: dict[str, Timer] = {
            rule.terms.name: (rule.next_deadline, readers.of_rule(rule)) for rule in rules if rule.has_timers
        }
        # Validity begins and ends for customers whom a rule keeps no state of, too.
        self._valid = {rule.terms.name for rule in rules if rule.terms.has_validity}
        slides: list[Turn] = []
        turns: list[Turn] = []
        self._features = [feature for feature, _ in readers.of_features()]
        for feature, bits in readers.of_features():
            if isinstance(feature, SlidingAggregate):
                slides.append((feature.next_change, bits))
            elif not isinstance(feature, _UNTIMED) and not (isinstance(feature, Derived) and not feature.turns):
                turns.append((feature.next_change, bits))
        turns += [(self._days_of(rule.terms), readers.of_rule(rule)) for rule in rules if rule.terms.turns]
        self.slides, self._turns = tuple(slides), tuple(turns)
        self._turn_daily = any(rule.terms.turns is not None for rule in rules)

    def turns_after(self, source: str) -> int:
        """At least how many bank days after its own an event of this kind changes something by passing time."""
        days = [_turns_after(feature, source) for feature in self._features]
        return min([_NEVER_DAYS, *days, *([1] if self._turn_daily else [])])

    def next_due(self, state: CustomerState, warming: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
        """The first instant from the customer's horizon on at which something may change, and for which rules."""
        horizon_ms = state.horizon_ms
        evaluated_day = self._calendar.day_of(horizon_ms - 1)
        due_ms, rules = NEVER, 0
        for timer, bits in self._timers_of(state):
            change_ms = timer(state)
            if change_ms is not None and change_ms <= due_ms:
                due_ms, rules = change_ms, bits | (rules if change_ms == due_ms else 0)
        for turns in (self.slides, self._turns):
            for next_change, bits in turns:
                change_ms = next_change(state, evaluated_day, horizon_ms)
                if change_ms is not None and change_ms <= due_ms:
                    due_ms, rules = change_ms, bits | (rules if change_ms == due_ms else 0)
        others = [(full_ms, self.all_rules) for full_ms in self._warm_at(state, warming)]
        others += [(release_ms, 0) for release_ms in _releases(state)]
        for change_ms, bits in others:
            if change_ms <= due_ms:
                due_ms, rules = change_ms, bits | (rules if change_ms == due_ms else 0)
        return due_ms, rules

    def next_due_ms(self, state: CustomerState, warming: Mapping[int, tuple[int, int]]) -> int:
        """The instant alone: what turns with a day need not be looked at beyond the first that turns tomorrow."""
        horizon_ms = state.horizon_ms
        evaluated_day = self._calendar.day_of(horizon_ms - 1)
        tomorrow_ms = self._calendar.start_ms(evaluated_day + 1)
        due_ms = self._within_day(state, evaluated_day)
        if due_ms <= tomorrow_ms:
            return due_ms
        for next_change, _ in self._turns:
            change_ms = next_change(state, evaluated_day, horizon_ms)
            if change_ms is not None and change_ms < due_ms:
                if change_ms <= tomorrow_ms:
                    return change_ms
                due_ms = change_ms
        return min([due_ms, *self._warm_at(state, warming)]) if warming else due_ms

    def bound(self, state: CustomerState) -> int:
        """An instant before which nothing changes, at no look at what turns with a day."""
        evaluated_day = self._calendar.day_of(state.horizon_ms - 1)
        return min(self._within_day(state, evaluated_day), self._calendar.start_ms(evaluated_day + 1))

    def slides_at(self, state: CustomerState) -> int:
        """The first instant from the horizon on at which an event leaves a window of minutes or hours."""
        due_ms = NEVER
        for next_change, _ in self.slides:
            change_ms = next_change(state, 0, state.horizon_ms)
            if change_ms is not None and change_ms < due_ms:
                due_ms = change_ms
        return due_ms

    def _days_of(self, terms: RuleTerms) -> Callable[[CustomerState, int, int], int | None]:
        def next_change(state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
            return turn_ms(terms.turns, terms.features, state, evaluated_day, self._calendar)

        return next_change

    def _timers_of(self, state: CustomerState) -> Sequence[Timer]:
        if not self._timers:
            return ()
        names = state.rules.keys() | self._valid if self._valid else state.rules
        return [timer for name in names if (timer := self._timers.get(name)) is not None]

    def _within_day(self, state: CustomerState, evaluated_day: int) -> int:
        due_ms = NEVER
        for timer, _ in self._timers_of(state):
            change_ms = timer(state)
            if change_ms is not None and change_ms < due_ms:
                due_ms = change_ms
        for next_change, _ in self.slides:
            change_ms = next_change(state, evaluated_day, state.horizon_ms)
            if change_ms is not None and change_ms < due_ms:
                due_ms = change_ms
        return min([due_ms, *_releases(state)]) if state.contacts is not None else due_ms

    def _warm_at(self, state: CustomerState, warming: Mapping[int, tuple[int, int]]) -> list[int]:
        times = [self._calendar.start_ms(day) for began, day in warming.values() if state.created < began]
        return [full_ms for full_ms in times if full_ms >= state.horizon_ms]


def _releases(state: CustomerState) -> list[int]:
    release_ms = None if state.contacts is None else state.contacts.next_release(state.horizon_ms)
    return [] if release_ms is None else [release_ms]


def _turns_after(feature: Feature, source: str) -> int:
    if isinstance(feature, Derived):
        return 1 if feature.turns else _NEVER_DAYS  # what it is derived from stands for itself
    if isinstance(feature, _UNTIMED) or feature.source not in (None, source):
        return _NEVER_DAYS
    return feature.leaves_after if isinstance(feature, DayAggregate) else 1


class _Readers:
    """Which rules read what, themselves or through the level or episode of a rule before them."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._of_rule: dict[str, int] = {}
        # From the last to the first: a rule stands after those it reads.
        for index in reversed(range(len(rules))):
            name = rules[index].terms.name
            self._of_rule[name] = 1 << index
            for later in rules[index + 1 :]:
                if any(name in _rules_read(feature) for feature in later.terms.features):
                    self._of_rule[name] |= self._of_rule[later.terms.name]

    def of_rule(self, rule: Rule) -> int:
        """A rule, and those that read it."""
        return self._of_rule[rule.terms.name]

    def of_features(self) -> list[tuple[Feature, int]]:
        """Each feature that rules read or derive from, once a meaning; the likeliest to turn daily come first."""
        found: dict[str, tuple[Feature, int]] = {}
        for rule in self._rules:
            for feature in _parts(rule.terms.features):
                bits = found.get(feature.meaning, (feature, 0))[1]
                found[feature.meaning] = (feature, bits | self._of_rule[rule.terms.name])
        return sorted(found.values(), key=lambda item: not isinstance(item[0], AverageBalance))


def _parts(features: Iterable[Feature]) -> Iterator[Feature]:
    for feature in features:
        yield feature
        if isinstance(feature, Derived):
            yield from _parts(feature.features)


def _rules_read(feature: Feature) -> Iterable[str]:
    if isinstance(feature, Derived):
        return [name for part in feature.features for name in _rules_read(part)]
    return [feature.rule] if isinstance(feature, LevelOf | ActiveRule) else []
