"""Signals: a condition, or a condition measured on its own since each matching event (`after` / `within`).

The order inside one evaluation is the language's: watches are opened and moved, trips are looked at, then closings
(converted, revoked, expired: the first named wins), then openings.
"""

from dataclasses import dataclass
from typing import Literal

from schemas.tags import Change, Evidence, Printed, RevokeReason
from tagger.episodes import change_episode, is_converted, is_late_reason, open_episode
from tagger.evidence import measured, trace
from tagger.expr.compile import Expression
from tagger.features.contract import RETAINED
from tagger.kinds.contract import Context, Evaluation, EventPattern, Occasion, RuleTerms
from tagger.kinds.watches import move_watches, open_watch, retained, watched
from tagger.state.customer import CustomerState, RuleState, Watch

# A condition's verdict: its own three values, and `hold` where it is unknown only because of warming.
Verdict = Literal[True, False, None, "hold"]


@dataclass(frozen=True, slots=True)
class SignalRule:
    """A compiled signal.

    Attributes:
        after: the event that opens a watch; None for a plain condition.
        within_ms: how long a watch waits, both ends included.
        reads_retained: some expression reads `retained`.
    """

    terms: RuleTerms
    when: Expression
    until: Expression | None = None
    after: EventPattern | None = None
    within_ms: int = 0
    reads_retained: bool = False

    def evaluate(self, state: CustomerState, occasion: Occasion, context: Context) -> None:
        terms = self.terms
        rule_state = state.rules.get(terms.name)
        if self.after is None:
            environment = context.measure(terms.features, state, occasion)
            if rule_state is None:
                if self.when.evaluate(environment) is not True:
                    return
                rule_state = RuleState()
            self._evaluate_plain(Evaluation(terms, rule_state, state, environment, occasion, context))
        else:
            opens_watch = not occasion.late and self.after.matches(occasion.event)
            if rule_state is None:
                if not opens_watch:
                    return
                rule_state = RuleState()
            environment = context.measure(terms.features, state, occasion)
            if opens_watch:
                open_watch(rule_state, state, occasion, self.within_ms, self.reads_retained)
            self._evaluate_watched(Evaluation(terms, rule_state, state, environment, occasion, context))
        if rule_state.episodes or rule_state.watches or rule_state.since_ms is not None or rule_state.unwatched:
            state.rules[terms.name] = rule_state
        else:
            state.rules.pop(terms.name, None)

    # A plain condition

    def _evaluate_plain(self, evaluation: Evaluation) -> None:
        rule_state = evaluation.rule_state
        verdict = self._verdict(evaluation)
        if verdict is True:
            if rule_state.since_ms is None:
                rule_state.since_ms = evaluation.now_ms
        elif verdict != "hold":
            rule_state.since_ms = None
        if rule_state.open is not None:
            if self._close(evaluation, verdict):
                rule_state.armed = verdict is not True and verdict != "hold"
            else:
                self._refresh(evaluation)
        elif verdict is True:
            if rule_state.armed and self._may_open(evaluation, rule_state.since_ms):
                self._open(evaluation, None)
        elif verdict != "hold":
            rule_state.armed = True

    def _verdict(self, evaluation: Evaluation) -> Verdict:
        if not self.terms.is_valid(evaluation.occasion):
            return False
        verdict: Verdict = self.when.evaluate(evaluation.environment)
        return "hold" if verdict is None and evaluation.is_warming() else verdict

    def _may_open(self, evaluation: Evaluation, since_ms: int | None) -> bool:
        """Whether a condition true since then has held long enough, with no `until` and no cooldown against it."""
        assert since_ms is not None
        if self.terms.for_ms and not evaluation.occasion.is_past(since_ms + self.terms.for_ms):
            return False
        if evaluation.is_cooling():
            return False
        return self.until is None or self.until.evaluate(evaluation.environment) is not True

    # Watches

    def _evaluate_watched(self, evaluation: Evaluation) -> None:
        move_watches(evaluation.rule_state, evaluation.occasion)
        episode = evaluation.rule_state.open
        tripped = self._trip(evaluation)
        if episode is not None:
            assert episode.watch is not None
            evaluation.environment[RETAINED] = retained(episode.watch)
            if not self._close(evaluation, self._verdict(evaluation)):
                self._refresh(evaluation)
        elif tripped is not None:
            evaluation.environment[RETAINED] = retained(tripped)
            self._open(evaluation, tripped)

    def _trip(self, evaluation: Evaluation) -> Watch | None:
        """Use up the watches that trip and drop those whose time is over; return the one to open with."""
        rule_state = evaluation.rule_state
        chosen: Watch | None = None
        waiting: list[Watch] = []
        for watch in rule_state.watches:
            evaluation.environment[RETAINED] = retained(watch)
            trips = self._trips(evaluation, watch)
            if trips and (rule_state.open is not None or chosen is not None or self._uses_up(evaluation)):
                rule_state.used_up += 1
            elif trips:
                chosen = watch
            elif not evaluation.occasion.is_past(watch.opened_ms + self.within_ms):
                waiting.append(watch)
        rule_state.watches = waiting
        return chosen

    def _trips(self, evaluation: Evaluation, watch: Watch) -> bool:
        # The end of `within` is included: at it, and never beyond it, a watch still trips.
        if evaluation.now_ms > watch.opened_ms + self.within_ms:
            return False
        verdict = self._verdict(evaluation)
        if verdict is True:
            if watch.since_ms is None:
                watch.since_ms = evaluation.now_ms
            if self.terms.for_ms and not evaluation.occasion.is_past(watch.since_ms + self.terms.for_ms):
                return False
            return self.until is None or self.until.evaluate(evaluation.environment) is not True
        if verdict != "hold":
            watch.since_ms = None
        return False

    def _uses_up(self, evaluation: Evaluation) -> bool:
        """Whether a watch that trips now falls into the cooldown, whose last instant belongs to it."""
        opened_ms = evaluation.rule_state.last_opened_ms
        if not self.terms.cooldown_ms or opened_ms is None:
            return False
        return evaluation.now_ms <= opened_ms + self.terms.cooldown_ms

    # Opening and closing

    def _open(self, evaluation: Evaluation, watch: Watch | None) -> None:
        open_episode(
            evaluation,
            value=self._value(evaluation, watch),
            evidence=self._evidence(self.when, evaluation, watch),
            watch=watch,
            refreshed=self._refreshable(evaluation),
        )

    def _close(self, evaluation: Evaluation, verdict: Verdict) -> bool:
        change = self._closing(evaluation, verdict)
        if change is None:
            return False
        episode = evaluation.rule_state.open
        assert episode is not None
        reason: RevokeReason | None = None
        decisive = self.when
        if change == "revoked":
            reason = "ended" if self.until is None else "until"
            decisive = self.until or self.when
            if is_late_reason(evaluation.occasion):
                reason = "late"
        change_episode(
            evaluation,
            change=change,
            reason=reason,
            value=self._value(evaluation, episode.watch),
            evidence=self._evidence(decisive, evaluation, episode.watch),
        )
        return True

    def _closing(self, evaluation: Evaluation, verdict: Verdict) -> Change | None:
        episode = evaluation.rule_state.open
        assert episode is not None
        if is_converted(evaluation, episode):
            return "converted"
        if self.until is not None:
            if self.until.evaluate(evaluation.environment) is True:
                return "revoked"
        elif verdict is not True and verdict != "hold":
            return "revoked"
        expires_ms = episode.expires_ms
        return "expired" if expires_ms is not None and evaluation.occasion.is_past(expires_ms) else None

    def _refresh(self, evaluation: Evaluation) -> None:
        episode = evaluation.rule_state.open
        assert episode is not None
        if self.terms.refresh is None:
            return
        fresh = self._refreshable(evaluation)
        if fresh == episode.refreshed:
            return
        episode.refreshed = fresh
        change_episode(
            evaluation,
            change="refreshed",
            value=self._value(evaluation, episode.watch),
            evidence=self._evidence(self.when, evaluation, episode.watch),
        )

    def _refreshable(self, evaluation: Evaluation) -> Printed:
        if self.terms.refresh is None:
            return None
        return list(measured(evaluation).values())[self.terms.refresh]

    def _value(self, evaluation: Evaluation, watch: Watch | None) -> dict[str, Printed]:
        return watched(evaluation, watch, self.reads_retained) | measured(evaluation)

    def _evidence(
        self, expression: Expression, evaluation: Evaluation, watch: Watch | None
    ) -> tuple[Evidence, ...]:
        return trace(
            expression.conditions,
            evaluation,
            extra=watched(evaluation, watch, self.reads_retained),
            watch=watch,
            within_ms=self.within_ms,
        )

    # Time

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
