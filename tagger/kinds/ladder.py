"""Ladders: grades in order, the last one that is met wins.

A change of level closes the episode of the level left and opens one for the level reached, in the same record.
Levels stood on are remembered whether they make a tag or not, because `level:` reads them and hysteresis is
about the level stood on.
"""

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from schemas.tags import Evidence, Printed, RevokeReason
from tagger.episodes import change_episode, is_converted, is_late_reason, open_episode
from tagger.evidence import measured, trace
from tagger.expr.compile import Condition, Expression
from tagger.kinds.contract import Context, Evaluation, Occasion, RuleTerms
from tagger.printing import Print
from tagger.state import CustomerState, RuleState

_NO_LEVEL = ""
_HOLD = -2


@dataclass(frozen=True, slots=True)
class LadderRule:
    """A compiled ladder.

    Attributes:
        levels: names from the lowest up.
        by, cuts: what is measured, and where each level starts (fen when it is money); None and empty where
            each level is an expression in `conditions`.
        otherwise: the first level takes all who meet none; its cut lies below everything.
        leave_below: share of its start below which the level stood on is left.
        silent: levels that make no tag.
    """

    terms: RuleTerms
    levels: tuple[str, ...]
    by: Expression | None = None
    cuts: tuple[int | Fraction, ...] = ()
    conditions: tuple[Expression | None, ...] = ()
    otherwise: bool = False
    leave_below: Fraction | None = None
    silent: frozenset[str] = frozenset()
    print_cut: Print | None = None

    def evaluate(self, state: CustomerState, occasion: Occasion, context: Context) -> None:
        rule_state = state.rules.get(self.terms.name) or RuleState()
        environment = context.measure(self.terms.features, state, occasion.moment)
        evaluation = Evaluation(self.terms, rule_state, state, environment, occasion, context)
        stood_on = -1 if rule_state.level is None else self.levels.index(rule_state.level)
        reached = self._reached(evaluation, stood_on)
        if reached != _HOLD and self._has_held(rule_state, reached, stood_on, occasion) and reached != stood_on:
            self._change(evaluation, reached, stood_on)
        elif rule_state.open is not None:
            self._close_or_refresh(evaluation)
        if rule_state.level is not None or rule_state.pending is not None or rule_state.episodes:
            state.rules[self.terms.name] = rule_state

    def _reached(self, evaluation: Evaluation, stood_on: int) -> int:
        """Index of the level met now, −1 for none, `_HOLD` where it is unknown only because of warming."""
        if not self.terms.is_valid(evaluation.occasion):
            return -1
        if self.by is None:
            return self._reached_by_conditions(evaluation)
        measure = self.by.evaluate(evaluation.environment)
        if measure is None:
            return _HOLD if evaluation.is_warming() else self._lowest()
        reached = max(bisect_right(self.cuts, measure) - 1, self._lowest())
        if reached < stood_on and self.leave_below is not None:
            cut = self._cut(stood_on)
            if cut is not None and measure >= self.leave_below * cut:
                return stood_on
        return reached

    def _lowest(self) -> int:
        """The level of those who meet none: `otherwise`, or none."""
        return 0 if self.otherwise else -1

    def _cut(self, level: int) -> int | Fraction | None:
        return self.cuts[level] if level > 0 or (level == 0 and not self.otherwise) else None

    def _reached_by_conditions(self, evaluation: Evaluation) -> int:
        unknown = False
        for level in range(len(self.levels) - 1, -1, -1):
            condition = self.conditions[level]
            holds = True if condition is None else condition.evaluate(evaluation.environment)
            if holds is True:
                break
            unknown = unknown or holds is None
        else:
            level = -1
        if unknown and evaluation.is_warming():
            return _HOLD
        return level

    def _has_held(self, rule_state: RuleState, reached: int, stood_on: int, occasion: Occasion) -> bool:
        """Whether the level reached has been met for as long as `for` asks."""
        if not self.terms.for_ms:
            return True
        if reached == stood_on:
            rule_state.pending = rule_state.since_ms = None
            return True
        name = self.levels[reached] if reached >= 0 else _NO_LEVEL
        if rule_state.pending != name or rule_state.since_ms is None:
            rule_state.pending, rule_state.since_ms = name, occasion.moment.now_ms
        if not occasion.is_past(rule_state.since_ms + self.terms.for_ms):
            return False
        rule_state.pending = rule_state.since_ms = None
        return True

    def _change(self, evaluation: Evaluation, reached: int, stood_on: int) -> None:
        rule_state = evaluation.rule_state
        value = measured(evaluation)
        level = self.levels[reached] if reached >= 0 else None
        if rule_state.open is not None:
            is_success = is_converted(evaluation, rule_state.open)
            reason: RevokeReason = "ended" if level is None else "level"
            if is_late_reason(evaluation.occasion):
                reason = "late"
            change_episode(
                evaluation,
                change="converted" if is_success else "revoked",
                reason=None if is_success else reason,
                value=value,
                evidence=self._evidence(evaluation, stood_on),
            )
        rule_state.level = level
        if level is not None and level not in self.silent:
            open_episode(
                evaluation,
                value=value,
                evidence=self._evidence(evaluation, reached),
                level=level,
                rank=reached,
                previous_level=self.levels[stood_on] if stood_on >= 0 else None,
                previous_rank=stood_on if stood_on >= 0 else None,
                refreshed=self._refreshable(value),
            )

    def _close_or_refresh(self, evaluation: Evaluation) -> None:
        episode = evaluation.rule_state.open
        assert episode is not None
        assert episode.level is not None
        value = measured(evaluation)
        # Not by `rank`, which may be of an earlier rulebook's levels.
        evidence = self._evidence(evaluation, self.levels.index(episode.level))
        if is_converted(evaluation, episode):
            change_episode(
                evaluation,
                change="converted",
                value=value,
                evidence=evidence,
            )
        elif episode.expires_ms is not None and evaluation.occasion.is_past(episode.expires_ms):
            change_episode(evaluation, change="expired", value=value, evidence=evidence)
        elif self.terms.refresh is not None and self._refreshable(value) != episode.refreshed:
            episode.refreshed = self._refreshable(value)
            change_episode(
                evaluation,
                change="refreshed",
                value=value,
                evidence=evidence,
            )

    def _refreshable(self, value: dict[str, Printed]) -> Printed:
        return None if self.terms.refresh is None else list(value.values())[self.terms.refresh]

    def _evidence(self, evaluation: Evaluation, level: int) -> tuple[Evidence, ...]:
        return trace(self._conditions(level), evaluation)

    def _conditions(self, level: int) -> tuple[Condition, ...]:
        """What had to hold for a level, as conditions that can be traced."""
        if self.by is None:
            condition = self.conditions[level]
            return () if condition is None else condition.conditions
        cut = self._cut(level)
        if cut is None or self.print_cut is None:
            return ()
        by, printed = self.by, str(self.print_cut(cut))

        def holds(environment: Any) -> bool | None:
            measure = by.evaluate(environment)
            return None if measure is None else bool(measure >= cut)

        return (Condition(text=f"{by.text} >= {printed}", reads=by.reads, threshold=printed, evaluate=holds),)

    @property
    def has_timers(self) -> bool:
        return bool(self.terms.for_ms) or self.terms.expires_ms is not None or self.terms.has_validity

    def next_deadline(self, state: CustomerState) -> int | None:
        rule_state = state.rules.get(self.terms.name)
        times: list[int] = [moment for moment in self.terms.valid if moment is not None]
        if rule_state is not None:
            if rule_state.open is not None and rule_state.open.expires_ms is not None:
                times.append(rule_state.open.expires_ms)
            if rule_state.since_ms is not None:
                times.append(rule_state.since_ms + self.terms.for_ms)
        return min([moment for moment in times if moment >= state.horizon_ms], default=None) if times else None
