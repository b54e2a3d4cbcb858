"""Signals: a condition, or a condition measured on its own since each matching event (`after` / `within`).

The order inside one evaluation is the language's (rulebook.md §4): watches are opened and moved, trips are
looked at, then closings (converted, revoked, expired: the first named wins), then openings.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from schemas.tags import Change, Evidence, Printed, RevokeReason
from tagger.episodes import change_episode, is_converted, is_late_reason, open_episode
from tagger.evidence import measured, trace
from tagger.expr.compile import Expression
from tagger.features.balances import flow_after
from tagger.features.contract import RETAINED, Environment
from tagger.kinds.contract import Context, EventPattern, Occasion, RuleTerms
from tagger.printing import print_money, print_number
from tagger.state import MAX_WATCHES, CustomerState, RuleState, Watch

# A condition's verdict: its own three values, and `hold` where it is unknown only because of warming.
Verdict = Literal[True, False, None, "hold"]


@dataclass(frozen=True, slots=True)
class SignalRule:
    """A compiled signal.

    Attributes:
        after: the event that opens a watch; None for a plain condition.
        reads_retained: some expression reads `retained`.
    """

    terms: RuleTerms
    when: Expression
    until: Expression | None = None
    after: EventPattern | None = None
    within_ms: int = 0
    reads_retained: bool = False

    def evaluate(self, state: CustomerState, occasion: Occasion, context: Context) -> None:
        rule_state = state.rules.get(self.terms.name)
        if self.after is None:
            environment = context.measure(self.terms.features, state, occasion.moment)
            if rule_state is None:
                if self.when.evaluate(environment) is not True:
                    return
                rule_state = RuleState()
            self._evaluate_plain(rule_state, state, environment, occasion, context)
        else:
            opens_watch = not occasion.late and self.after.matches(occasion.event)
            if rule_state is None:
                if not opens_watch:
                    return
                rule_state = RuleState()
            environment = context.measure(self.terms.features, state, occasion.moment)
            if opens_watch:
                self._open_watch(rule_state, state, occasion)
            self._evaluate_watched(rule_state, state, environment, occasion, context)
        if rule_state.episodes or rule_state.watches or rule_state.since_ms is not None or rule_state.unwatched:
            state.rules[self.terms.name] = rule_state
        else:
            state.rules.pop(self.terms.name, None)

    # A plain condition

    def _evaluate_plain(
        self,
        rule_state: RuleState,
        state: CustomerState,
        environment: Environment,
        occasion: Occasion,
        context: Context,
    ) -> None:
        verdict = self._verdict(environment, state, occasion, context)
        if verdict is True:
            if rule_state.since_ms is None:
                rule_state.since_ms = occasion.moment.now_ms
        elif verdict != "hold":
            rule_state.since_ms = None
        if rule_state.open is not None:
            if self._close(rule_state, state, environment, occasion, context, verdict):
                rule_state.armed = verdict is not True and verdict != "hold"
            else:
                self._refresh(rule_state, state, environment, occasion, context)
        elif verdict is True:
            if rule_state.armed and self._may_open(rule_state, rule_state.since_ms, environment, occasion):
                self._open(rule_state, state, environment, occasion, context, None)
        elif verdict != "hold":
            rule_state.armed = True

    def _verdict(
        self, environment: Environment, state: CustomerState, occasion: Occasion, context: Context
    ) -> Verdict:
        if not self.terms.is_valid(occasion):
            return False
        verdict: Verdict = self.when.evaluate(environment)
        if verdict is None and context.any_warming(self.terms.features, state, occasion.moment):
            return "hold"
        return verdict

    def _may_open(
        self, rule_state: RuleState, since_ms: int | None, environment: Environment, occasion: Occasion
    ) -> bool:
        """Whether a condition true since then has held long enough, with no `until` and no cooldown against it."""
        assert since_ms is not None
        if self.terms.for_ms and not occasion.is_past(since_ms + self.terms.for_ms):
            return False
        if self._is_cooling(rule_state, occasion):
            return False
        return self.until is None or self.until.evaluate(environment) is not True

    def _is_cooling(self, rule_state: RuleState, occasion: Occasion) -> bool:
        if not self.terms.cooldown_ms or rule_state.last_opened_ms is None:
            return False
        return not occasion.is_past(rule_state.last_opened_ms + self.terms.cooldown_ms)

    def _uses_up(self, rule_state: RuleState, occasion: Occasion) -> bool:
        """Whether a watch that trips now falls into the cooldown, whose last instant belongs to it."""
        opened_ms = rule_state.last_opened_ms
        return (
            bool(self.terms.cooldown_ms)
            and opened_ms is not None
            and occasion.moment.now_ms <= opened_ms + self.terms.cooldown_ms
        )

    # Watches

    def _open_watch(self, rule_state: RuleState, state: CustomerState, occasion: Occasion) -> None:
        event = occasion.event
        assert event is not None
        if occasion.is_past(event.occurred_ms + self.within_ms):
            return
        if len(rule_state.watches) >= MAX_WATCHES:
            rule_state.unwatched += 1
            return
        above_fen = occasion.assets_fen
        if self.reads_retained:
            above_fen += flow_after(state, event.occurred_ms, event.event_id)
        amount_fen: int | None = getattr(event, "amount_fen", None)
        rule_state.watches.append(Watch(event.occurred_ms, event.event_id, amount_fen, above_fen))

    def _evaluate_watched(
        self,
        rule_state: RuleState,
        state: CustomerState,
        environment: Environment,
        occasion: Occasion,
        context: Context,
    ) -> None:
        self._move(rule_state, occasion)
        episode = rule_state.open
        tripped = self._trip(rule_state, state, environment, occasion, context)
        if episode is not None:
            watch = episode.watch
            assert watch is not None
            environment[RETAINED] = retained(watch)
            verdict = self._verdict(environment, state, occasion, context)
            if not self._close(rule_state, state, environment, occasion, context, verdict):
                self._refresh(rule_state, state, environment, occasion, context)
        elif tripped is not None:
            environment[RETAINED] = retained(tripped)
            self._open(rule_state, state, environment, occasion, context, tripped)

    def _move(self, rule_state: RuleState, occasion: Occasion) -> None:
        """Take an event's flow into the watches whose opening event it follows in event time."""
        event = occasion.event
        if event is None or not occasion.assets_fen:
            return
        mark = (event.occurred_ms, event.event_id)
        watches = rule_state.watches
        if rule_state.open is not None and rule_state.open.watch is not None:
            watches = [*watches, rule_state.open.watch]
        for watch in watches:
            if mark > (watch.opened_ms, watch.event_id):
                watch.above_fen += occasion.assets_fen

    def _trip(
        self,
        rule_state: RuleState,
        state: CustomerState,
        environment: Environment,
        occasion: Occasion,
        context: Context,
    ) -> Watch | None:
        """Use up the watches that trip and drop those whose time is over; return the one to open with."""
        chosen: Watch | None = None
        waiting: list[Watch] = []
        for watch in rule_state.watches:
            environment[RETAINED] = retained(watch)
            trips = self._trips(watch, rule_state, state, environment, occasion, context)
            if trips and (
                rule_state.open is not None or chosen is not None or self._uses_up(rule_state, occasion)
            ):
                rule_state.used_up += 1
            elif trips:
                chosen = watch
            elif not occasion.is_past(watch.opened_ms + self.within_ms):
                waiting.append(watch)
        rule_state.watches = waiting
        return chosen

    def _trips(
        self,
        watch: Watch,
        rule_state: RuleState,
        state: CustomerState,
        environment: Environment,
        occasion: Occasion,
        context: Context,
    ) -> bool:
        # The end of `within` is included: at it, and never beyond it, a watch still trips.
        if occasion.moment.now_ms > watch.opened_ms + self.within_ms:
            return False
        verdict = self._verdict(environment, state, occasion, context)
        if verdict is True:
            if watch.since_ms is None:
                watch.since_ms = occasion.moment.now_ms
            if self.terms.for_ms and not occasion.is_past(watch.since_ms + self.terms.for_ms):
                return False
            return self.until is None or self.until.evaluate(environment) is not True
        if verdict != "hold":
            watch.since_ms = None
        return False

    # Opening and closing

    def _open(
        self,
        rule_state: RuleState,
        state: CustomerState,
        environment: Environment,
        occasion: Occasion,
        context: Context,
        watch: Watch | None,
    ) -> None:
        open_episode(
            self.terms,
            rule_state,
            state,
            occasion,
            context,
            value=self._value(environment, watch),
            evidence=self._evidence(self.when, environment, occasion, context, watch),
            watch=watch,
            refreshed=self._refreshable(environment),
        )

    def _close(
        self,
        rule_state: RuleState,
        state: CustomerState,
        environment: Environment,
        occasion: Occasion,
        context: Context,
        verdict: Verdict,
    ) -> bool:
        change = self._closing(rule_state, environment, occasion, context, verdict)
        if change is None:
            return False
        episode = rule_state.open
        assert episode is not None
        reason: RevokeReason | None = None
        decisive = self.when
        if change == "revoked":
            reason = "ended" if self.until is None else "until"
            decisive = self.until or self.when
            if is_late_reason(occasion):
                reason = "late"
        change_episode(
            self.terms,
            rule_state,
            state,
            occasion,
            context,
            change=change,
            reason=reason,
            value=self._value(environment, episode.watch),
            evidence=self._evidence(decisive, environment, occasion, context, episode.watch),
        )
        return True

    def _closing(
        self,
        rule_state: RuleState,
        environment: Environment,
        occasion: Occasion,
        context: Context,
        verdict: Verdict,
    ) -> Change | None:
        assert rule_state.open is not None
        if is_converted(self.terms, rule_state.open, environment, occasion, context):
            return "converted"
        if self.until is not None:
            if self.until.evaluate(environment) is True:
                return "revoked"
        elif verdict is not True and verdict != "hold":
            return "revoked"
        expires_ms = rule_state.open.expires_ms
        return "expired" if expires_ms is not None and occasion.is_past(expires_ms) else None

    def _refresh(
        self,
        rule_state: RuleState,
        state: CustomerState,
        environment: Environment,
        occasion: Occasion,
        context: Context,
    ) -> None:
        episode = rule_state.open
        assert episode is not None
        fresh = self._refreshable(environment)
        if self.terms.refresh is None or fresh == episode.refreshed:
            return
        episode.refreshed = fresh
        change_episode(
            self.terms,
            rule_state,
            state,
            occasion,
            context,
            change="refreshed",
            value=self._value(environment, episode.watch),
            evidence=self._evidence(self.when, environment, occasion, context, episode.watch),
        )

    def _refreshable(self, environment: Environment) -> Printed:
        if self.terms.refresh is None:
            return None
        return list(measured(self.terms, environment).values())[self.terms.refresh]

    def _value(self, environment: Environment, watch: Watch | None) -> dict[str, Printed]:
        return _watched(environment, watch, self.reads_retained) | measured(self.terms, environment)

    def _evidence(
        self,
        expression: Expression,
        environment: Environment,
        occasion: Occasion,
        context: Context,
        watch: Watch | None,
    ) -> tuple[Evidence, ...]:
        return trace(
            expression.conditions,
            self.terms,
            environment,
            occasion,
            context,
            extra=_watched(environment, watch, self.reads_retained),
            watch=watch,
            within_ms=self.within_ms,
        )

    @property
    def has_timers(self) -> bool:
        terms = self.terms
        timed = terms.for_ms or terms.cooldown_ms or terms.expires_ms is not None
        return bool(timed) or self.after is not None or terms.has_validity

    def next_deadline(self, state: CustomerState) -> int | None:
        rule_state = state.rules.get(self.terms.name)
        times = [] if rule_state is None else self._timers(rule_state)
        times += [moment for moment in self.terms.valid if moment is not None]
        return min([moment for moment in times if moment >= state.horizon_ms], default=None) if times else None

    def _timers(self, rule_state: RuleState) -> list[int]:
        times: list[int] = []
        if rule_state.open is not None:
            if rule_state.open.expires_ms is not None:
                times.append(rule_state.open.expires_ms)
        elif rule_state.since_ms is not None and rule_state.armed:
            if self.terms.for_ms:
                times.append(rule_state.since_ms + self.terms.for_ms)
            if self.terms.cooldown_ms and rule_state.last_opened_ms is not None:
                times.append(rule_state.last_opened_ms + self.terms.cooldown_ms)
        for watch in rule_state.watches:
            times.append(watch.opened_ms + self.within_ms)
            if self.terms.for_ms and watch.since_ms is not None:
                times.append(watch.since_ms + self.terms.for_ms)
        return times


def retained(watch: Watch) -> Any:
    """Share of the opening event's amount that `assets` still stand above the level before it, 0 to 1."""
    if not watch.amount_fen:
        return None
    if watch.above_fen <= 0:
        return 0
    return 1 if watch.above_fen >= watch.amount_fen else Fraction(watch.above_fen, watch.amount_fen)


def _watched(environment: Environment, watch: Watch | None, reads_retained: bool) -> dict[str, Printed]:
    if watch is None:
        return {}
    value: dict[str, Printed] = {}
    if reads_retained:
        share = environment[RETAINED]
        value["retained"] = None if share is None else print_number(Fraction(share))
    if watch.amount_fen is not None:
        value["amount"] = print_money(watch.amount_fen)
    return value
