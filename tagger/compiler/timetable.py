"""When passing time alone may change something for a customer, and which rules it concerns.

Timers of rules, events leaving a window of minutes or hours, and held tags fall due at any instant; all else turns
with a bank day (`tagger.codegen.turning`), and so no earlier than the next midnight after what has been evaluated.
"""

from collections.abc import Callable, Mapping, Sequence

from schemas.bankday import BankCalendar
from tagger.codegen.crossings import Crossing
from tagger.codegen.turning import NEVER_DAYS, Days, Turn, compile_turning, days_after, turns_of
from tagger.features.sliding import SlidingAggregate
from tagger.kinds.contract import Rule
from tagger.kinds.readers import Readers
from tagger.state.customer import NEVER, CustomerState

Slide = tuple[Callable[[CustomerState, int, int], int | None], int]
"""`next_change` of a feature, and the rules that read it: a bit a rule, in the program's order."""
Timer = tuple[Callable[[CustomerState], int | None], int]


_MAX_DAYS = 1024


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
        # Validity begins and ends for customers whom a rule keeps no state of, too.
        self._valid: tuple[Timer, ...] = tuple(
            (rule.next_deadline, readers.of_rule(rule)) for rule in rules if rule.terms.has_validity
        )
        self._timers: dict[str, Timer] = {
            rule.terms.name: (rule.next_deadline, readers.of_rule(rule))
            for rule in rules
            if rule.has_timers and not rule.terms.has_validity
        }
        self.slides: tuple[Slide, ...] = tuple(
            (feature.next_change, readers.of_rules(reading))
            for feature, reading in readers.of_features()
            if isinstance(feature, SlidingAggregate)
        )
        self.turns: tuple[Turn, ...] = turns_of(rules, readers, calendar)
        self._next_turn = compile_turning(self.turns, calendar)[1]
        self._days: dict[int, Days] = {}

    def turns_after(self, source: str) -> int:
        """At least how many bank days after its own an event changes something by passing time.

        Of an event of this kind, if it does not cross one of the `crossings`.
        """
        return min((turn.after(source) for turn in self.turns), default=NEVER_DAYS)

    def crossings(self, source: str) -> tuple[Crossing, ...]:
        """Which numbers an event of this kind may cross, so that something may change the next day."""
        if self.turns_after(source) == 1:
            return ()
        return tuple(turn.crossing for turn in self.turns if turn.crossing is not None and turn.source == source)

    def next_due(
        self, state: CustomerState, warming: Mapping[int, tuple[int, int]], before_ms: int
    ) -> tuple[int, int]:
        """The first instant from the customer's horizon on at which something may change, and for which rules.

        Where that is not earlier than `before_ms`: a lower bound, itself not earlier.
        """
        days = self._days_from(state.horizon_ms)
        due_ms, rules = self._within_day(state, days, warming)
        if days.end_ms >= before_ms or due_ms < days.end_ms:
            return (due_ms, rules) if due_ms < days.end_ms else (days.end_ms, 0)
        warms = bool(warming) and _warms(state, warming)
        if due_ms < before_ms:
            return self._next_turn(state, days, state.horizon_ms, due_ms, rules, warms, False)
        turn_ms, rules = self._next_turn(state, days, state.horizon_ms, before_ms, 0, warms, False)
        if turn_ms < before_ms:
            return turn_ms, rules
        # Nothing else turns but at a midnight.
        return min(due_ms, self._calendar.start_ms(self._calendar.day_of(before_ms - 1) + 1)), 0

    def next_due_ms(self, state: CustomerState, warming: Mapping[int, tuple[int, int]]) -> int:
        """The instant alone, exact."""
        days = self._days_from(state.horizon_ms)
        due_ms, _ = self._within_day(state, days, warming)
        if due_ms <= days.end_ms:
            return due_ms
        warms = bool(warming) and _warms(state, warming)
        return self._next_turn(state, days, state.horizon_ms, due_ms, 0, warms, True)[0]

    def slides_at(self, state: CustomerState) -> int:
        """The first instant from the horizon on at which an event leaves a window of minutes or hours."""
        due_ms = NEVER
        for next_change, _ in self.slides:
            change_ms = next_change(state, 0, state.horizon_ms)
            if change_ms is not None and change_ms < due_ms:
                due_ms = change_ms
        return due_ms

    def _days_from(self, horizon_ms: int) -> Days:
        day = self._calendar.day_of(horizon_ms - 1)
        days = self._days.get(day)
        if days is None:
            if len(self._days) >= _MAX_DAYS:
                self._days.clear()
            days = self._days[day] = days_after(self._calendar, day)
        return days

    def _within_day(
        self, state: CustomerState, days: Days, warming: Mapping[int, tuple[int, int]]
    ) -> tuple[int, int]:
        """The same of all that turns with no bank day."""
        due_ms, rules = NEVER, 0
        timers = self._timers
        for name, held in state.rules.items():
            timer = timers.get(name)
            if timer is None:
                continue
            is_open = held.open is not None or held.proposed is not None
            if not (is_open or held.since_ms is not None or held.left is not None or held.watches):
                continue  # nothing of it waits: a look at five fields instead of a call
            change_ms = timer[0](state)
            if change_ms is not None and change_ms <= due_ms:
                due_ms, rules = change_ms, timer[1] | (rules if change_ms == due_ms else 0)
        others: list[tuple[int | None, int]] = []
        if self._valid:
            others += [(timer(state), bits) for timer, bits in self._valid]
        if self.slides:
            others += [(change(state, days.day, state.horizon_ms), bits) for change, bits in self.slides]
        if warming:
            others += [(full_ms, self.all_rules) for full_ms in self._warm_at(state, warming)]
        if state.contacts is not None:
            others.append((state.contacts.next_release(state.horizon_ms), 0))
        for change_ms, bits in others:
            if change_ms is not None and change_ms <= due_ms:
                due_ms, rules = change_ms, bits | (rules if change_ms == due_ms else 0)
        return due_ms, rules

    def _warm_at(self, state: CustomerState, warming: Mapping[int, tuple[int, int]]) -> list[int]:
        times = [self._calendar.start_ms(day) for began, day in warming.values() if state.created < began]
        return [full_ms for full_ms in times if full_ms >= state.horizon_ms]


def _warms(state: CustomerState, warming: Mapping[int, tuple[int, int]]) -> bool:
    """Whether something a rule reads may be unknown to this customer because of warming."""
    return bool(warming) and any(state.created < began for began, _ in warming.values())
