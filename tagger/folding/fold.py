"""One step of one customer's state: the order of the steps, and nothing else.

    duplicate? → late? → deadlines earlier than the record → features → rules

State is folded in place, on a copy the caller owns. `due_ms` is a lower bound while a batch is under way and is
made exact by `settle` before the state is encoded, so that an event costs no look at every feature.
"""

from typing import Literal

from schemas.bankday import BankCalendar
from schemas.journal import AppEvent, CustomerEvent, Profile, Transaction
from tagger.compiler.program import Program
from tagger.compiler.reach import EVERYTHING, Reach
from tagger.features.balances import book
from tagger.features.bits import BALANCES, PROFILE
from tagger.kinds.contract import Context, Occasion
from tagger.settings import CoreSettings
from tagger.state.customer import NEVER, CustomerState
from tagger.state.dedupe import ENTRY_BYTES, HASH_BYTES, forget_before, is_remembered, pack_day

Fate = Literal["applied", "duplicate", "late"]


class Fold:
    """Folds events and passing time into customers under one program.

    Args:
        context: receives the tags.

    Attributes:
        deadlines: how many it has evaluated.
    """

    def __init__(self, program: Program, context: Context, core: CoreSettings, calendar: BankCalendar) -> None:
        self.program, self.context, self._core, self._calendar = program, context, core, calendar
        self._timetable = program.timetable
        self._reach = program.reach
        # Customers seen before the activation of what still warms are looked at without guards.
        self._warmed_since = max((began for began, _ in context.warming.values()), default=0)
        self.deadlines = 0
        self._clock_ms = -NEVER
        self._late_before_day = 0
        # Movements are kept for opening events, where a rule asks for them. One not yet late may still come from
        # here on, however far the customer is ahead.
        self._flows_since_ms = -NEVER if program.flows_wanted else None
        # The bank day last asked for: events come close together, and a look at two bounds is cheap.
        self._today = 0
        self._today_ms, self._tomorrow_ms = 0, 0
        self._packed_today = self._packed_oldest = pack_day(0)
        self._dedupe_bytes = core.dedupe_count * ENTRY_BYTES

    def set_clock(self, clock_ms: int | None) -> None:
        """Tell the partition's clock C; None while it is unset, and nothing is late."""
        if clock_ms is not None:
            self._clock_ms = clock_ms
            self._late_before_day = self._calendar.day_of(clock_ms) - self._core.allowed_lateness_days
            if self._flows_since_ms is not None:
                self._flows_since_ms = self._calendar.start_ms(self._late_before_day)

    def fold_event(self, state: CustomerState, event: CustomerEvent, is_new: bool) -> Fate:
        """Fold one event; `is_new` for a customer not seen before.

        A duplicate, and a late event that is no transaction, leave the state as it was.
        """
        # The hot path: comparisons instead of min() and max(), and no function for what is one line, because a
        # call costs as much as the rest of its line (0.1 µs).
        occurred_ms = event.occurred_ms
        now_ms = state.clock_ms if state.clock_ms > self._clock_ms else self._clock_ms
        if now_ms < occurred_ms:  # noqa: PLR1730
            now_ms = occurred_ms
        if not self._today_ms <= now_ms < self._tomorrow_ms:
            self._turn_to(now_ms)
        today = self._today
        day = today if occurred_ms >= self._today_ms else self._calendar.day_of(occurred_ms)
        packed_hash = event.event_hash.to_bytes(HASH_BYTES, "big")
        if packed_hash in state.seen and is_remembered(state.seen, packed_hash, today - self._core.dedupe_days):
            return "duplicate"
        late = day < self._late_before_day and isinstance(event, Transaction | AppEvent)
        if late and not isinstance(event, Transaction):
            return "late"
        if is_new:
            state.horizon_ms = now_ms
        elif state.due_ms < now_ms:
            self.pass_time(state, now_ms)
        # Remember it; the first event of a day forgets what has had its time.
        seen = state.seen
        if not seen.endswith(self._packed_today) and seen[HASH_BYTES:ENTRY_BYTES] < self._packed_oldest:
            seen = forget_before(seen, self._packed_oldest)
        if len(seen) >= self._dedupe_bytes:
            seen = seen[ENTRY_BYTES:]
            state.forgotten += 1
        state.seen = seen + packed_hash + self._packed_today
        state.clock_ms = now_ms
        if state.horizon_ms < now_ms:  # noqa: PLR1730
            state.horizon_ms = now_ms
        state.revision += 1
        occasion = Occasion(now_ms, today, event, day, late)
        reach = self._reach[event.source_kind]
        changed = 0
        if type(event) is Transaction:
            occasion.assets_fen = book(state, event, day, self._flows_since_ms)
            changed = BALANCES
        elif type(event) is Profile and _take_profile(state, event):
            changed = PROFILE
        if not late:
            changed |= reach.update(state, event, day, occasion)
        occasion.changed = EVERYTHING if is_new else changed
        self._evaluate_touched(state, reach, occasion)
        return "late" if late else "applied"

    def _turn_to(self, now_ms: int) -> None:
        self._today = self._calendar.day_of(now_ms)
        self._today_ms = self._calendar.start_ms(self._today)
        self._tomorrow_ms = self._calendar.start_ms(self._today + 1)
        self._packed_today = pack_day(self._today)
        self._packed_oldest = pack_day(max(self._today - self._core.dedupe_days, 0))

    def _evaluate_touched(self, state: CustomerState, reach: Reach, occasion: Occasion) -> None:
        """Evaluate the rules an event touched, and bring `due_ms` down to the earliest that may have come."""
        changed, days = occasion.changed, reach.turns_after
        if days > 1 and changed != EVERYTHING and not occasion.crosses:
            due_ms = self._calendar.start_ms(occasion.day + days)
        else:
            # What turns with the very midnight of an event is still to come, after all that occurs at it.
            due_ms = self._tomorrow_ms if occasion.now_ms > self._today_ms else occasion.now_ms
        if state.due_ms < due_ms:  # noqa: PLR1730
            due_ms = state.due_ms
        context = self.context
        look = reach.looks.look(changed, state.created >= self._warmed_since)
        due_ms = look(state, occasion, context, due_ms)
        if self._timetable.slides:
            due_ms = min(due_ms, self._timetable.slides_at(state))
        state.due_ms = due_ms
        # What a tag has to pass looks at nothing else after an event that is no word of the customer's.
        if context.gate is not None and (context.tags or reach.ends_holds):
            context.gate.apply(state, occasion, context)

    def pass_time(self, state: CustomerState, before_ms: int) -> bool:
        """Evaluate the deadlines earlier than `before_ms`, in order; True when there was one."""
        passed = False
        while True:
            due_ms, rules = self._timetable.next_due(state, self.context.warming, before_ms)
            if due_ms >= before_ms:
                state.due_ms = due_ms
                return passed
            passed = True
            self.deadlines += 1
            self.context.known_ms = before_ms
            self._evaluate_due(state, due_ms, rules)
            self.context.known_ms = None
            state.horizon_ms = due_ms + 1

    def _evaluate_due(self, state: CustomerState, now_ms: int, rules: int) -> None:
        """Evaluate the rules that time may have changed something for, after all that occurred at an instant."""
        state.clock_ms = max(state.clock_ms, now_ms)
        state.revision += 1
        occasion = Occasion(now_ms, self._calendar.day_of(now_ms))
        look = self.program.deadlines.look(rules, state.created >= self._warmed_since)
        look(state, occasion, self.context, NEVER)
        if self.context.gate is not None:
            self.context.gate.apply(state, occasion, self.context)

    def evaluate_all(self, state: CustomerState, now_ms: int) -> None:
        """Evaluate every rule as of an instant, after all that occurred at it."""
        state.clock_ms = max(state.clock_ms, now_ms)
        state.revision += 1
        occasion = Occasion(now_ms, self._calendar.day_of(now_ms))
        for rule in self.program.rules:
            rule.evaluate(state, occasion, self.context)
        if self.context.gate is not None:
            self.context.gate.apply(state, occasion, self.context)

    def raise_due(self, state: CustomerState, before_ms: int) -> None:
        """Make `due_ms` exact if it is earlier than `before_ms`, and else no earlier than that."""
        state.due_ms, _ = self._timetable.next_due(state, self.context.warming, before_ms)

    def settle(self, state: CustomerState) -> None:
        """Make `due_ms` exact: the first instant from the horizon on at which something may change by itself."""
        state.due_ms = self._timetable.next_due_ms(state, self.context.warming)


def _take_profile(state: CustomerState, profile: Profile) -> bool:
    """Take in a profile that is later than the one held; whether it is."""
    if (profile.occurred_ms, profile.event_id) <= (state.profile_ms, state.profile_id):
        return False
    state.attributes = profile.attributes
    state.profile_ms, state.profile_id = profile.occurred_ms, profile.event_id
    return True
