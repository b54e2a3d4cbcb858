"""When passing time alone may change something for a customer, and which rules it concerns.

Timers of rules, events leaving a window of minutes or hours, and held tags fall due at any instant; all else turns
with a bank day (`tagger.turning`), and so no earlier than the next midnight after what has been evaluated.
"""

from collections.abc import Callable, Mapping, Sequence

from schemas.bankday import BankCalendar
from tagger.features.sliding import SlidingAggregate
from tagger.kinds.contract import Rule
from tagger.readers import Readers
from tagger.state import NEVER, CustomerState
from tagger.turning import NEVER_DAYS, Turn, compile_turning, turns_of

Slide = tuple[Callable[[CustomerState, int, int], int | None], int]
"""`next_change` of a feature, and the rules that read it: a bit a rule, in the program's order."""
Timer = tuple[Callable[[CustomerState], int | None], int]


class Timetable:
    """What a program's features and rules do as time passes.

    Attributes:
        all_rules: the bits of all rules.
        slides: features over minutes or hours.
        turns: what turns with a bank day.
    """

    def __init__(self, rules: Sequence[Rule], calendar: BankCalendar) -> None:
        self._calendar = calendar
        self.all_rules = (1 << len(rules)) - 1
        readers = Readers(rules)
        self._timers: dict[str, Timer] = {
            rule.terms.name: (rule.next_deadline, readers.of_rule(rule)) for rule in rules if rule.has_timers
        }
        # Validity begins and ends for customers whom a rule keeps no state of, too.
        self._valid = {rule.terms.name for rule in rules if rule.terms.has_validity}
        self.slides: tuple[Slide, ...] = tuple(
            (feature.next_change, readers.of_rules(reading))
            for feature, reading in readers.of_features()
            if isinstance(feature, SlidingAggregate)
        )
        self.turns: tuple[Turn, ...] = turns_of(rules, readers, calendar)
        self._next_turn = compile_turning(self.turns, calendar, stops=False)[1]
        self._turns_at = compile_turning(self.turns, calendar, stops=True)[1]

    def turns_after(self, source: str) -> int:
        """At least how many bank days after its own an event of this kind changes something by passing time."""
        return min((turn.after(source) for turn in self.turns), default=NEVER_DAYS)

    def next_due(self, state: CustomerState, warming: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
        """The first instant from the customer's horizon on at which something may change, and for which rules."""
        horizon_ms = state.horizon_ms
        evaluated_day = self._calendar.day_of(horizon_ms - 1)
        due_ms, rules = NEVER, 0
        for timer, bits in self._timers_of(state):
            change_ms = timer(state)
            if change_ms is not None and change_ms <= due_ms:
                due_ms, rules = change_ms, bits | (rules if change_ms == due_ms else 0)
        for next_change, bits in self.slides:
            change_ms = next_change(state, evaluated_day, horizon_ms)
            if change_ms is not None and change_ms <= due_ms:
                due_ms, rules = change_ms, bits | (rules if change_ms == due_ms else 0)
        if due_ms >= self._calendar.start_ms(evaluated_day + 1):
            due_ms, rules = self._next_turn(
                state, evaluated_day, horizon_ms, due_ms, rules, _warms(state, warming)
            )
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
        due_ms = self._within_day(state, evaluated_day)
        if due_ms <= self._calendar.start_ms(evaluated_day + 1):
            return due_ms
        due_ms, _ = self._turns_at(state, evaluated_day, horizon_ms, due_ms, 0, _warms(state, warming))
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


def _warms(state: CustomerState, warming: Mapping[int, tuple[int, int]]) -> bool:
    """Whether something a rule reads may be unknown to this customer because of warming."""
    return bool(warming) and any(state.created < began for began, _ in warming.values())


def _releases(state: CustomerState) -> list[int]:
    release_ms = None if state.contacts is None else state.contacts.next_release(state.horizon_ms)
    return [] if release_ms is None else [release_ms]
