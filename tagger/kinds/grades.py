"""Graded rules: a customer stands on one level, and an episode says on which.

What grades (a number against cuts, conditions, points, a matrix) is a `Grading`; what follows from it is the same
for all of them. A change of level closes the episode of the level left and opens one for the level reached, in
the same record. Levels stood on are remembered whether they make a tag or not, because `level:` reads them and
hysteresis is about the level stood on.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from schemas.tags import Evidence, Printed, RevokeReason
from tagger.episodes import change_episode, is_converted, is_late_reason, open_episode
from tagger.evidence import measured, print_measure, trace
from tagger.expr.compile import Condition
from tagger.features.contract import Environment
from tagger.kinds.contract import Context, Evaluation, Occasion, RuleTerms
from tagger.state.customer import CustomerState, Episode, RuleState

_NO_LEVEL = ""
HOLD = -2


class Grading(Protocol):
    """What tells levels apart. Levels are indices, −1 for none."""

    @property
    def is_ranked(self) -> bool:
        """Whether a later level is a higher one."""

    def reached(self, environment: Environment, stood_on: int, end: int) -> tuple[int, bool]:
        """The level met among the first `end`, and whether something unknown may have kept it from a higher one.

        Args:
            stood_on: the level to which hysteresis applies.
        """

    def conditions(self, level: int, environment: Environment) -> tuple[Condition, ...]:
        """What had to hold for a level, as conditions that can be traced."""

    def extra(self, environment: Environment) -> dict[str, Printed]:
        """What a tag's value and evidence say beside measured names."""


class GradedEvaluation(Evaluation, dict=True, gc=True):
    """One evaluation of a graded rule; what its tags would carry is worked out once, when one is given off."""

    grading: Grading

    @cached_property
    def extra(self) -> dict[str, Printed]:
        """What the grading says beside measured names, which keep their own."""
        names = {measure.name for measure in self.terms.measures}
        said = self.grading.extra(self.environment)
        return {name: value for name, value in said.items() if name not in names}

    @cached_property
    def value(self) -> dict[str, Printed]:
        """What tags carry."""
        return measured(self) | self.extra

    def evidence(self, level: int) -> tuple[Evidence, ...]:
        """The trace of a level's conditions."""
        return trace(self.grading.conditions(level, self.environment), self, extra=self.extra)

    @property
    def refreshable(self) -> Printed:
        """The value that a change of makes a revision."""
        refresh = self.terms.refresh
        return None if refresh is None else print_measure(self.terms.measures[refresh], self)


@dataclass(frozen=True, slots=True)
class GradedRule:
    """A compiled ladder, scorecard or matrix.

    Attributes:
        levels: names from the lowest up, or in order of appearance where there is no order.
        silent: levels that make no tag.
    """

    terms: RuleTerms
    levels: tuple[str, ...]
    grading: Grading
    silent: frozenset[str] = frozenset()

    def evaluate(self, state: CustomerState, occasion: Occasion, context: Context) -> None:
        environment = context.measure(self.terms.features, state, occasion)
        rule_state = state.rules.get(self.terms.name) or RuleState()
        evaluation = GradedEvaluation(self.terms, rule_state, state, environment, occasion, context, self.grading)
        before = self.index(rule_state.computed or rule_state.level)
        self.settle(evaluation, before, self._reached(evaluation, before))
        if (
            rule_state.level is not None
            or rule_state.pending is not None
            or rule_state.episodes
            or rule_state.ignored
        ):
            state.rules[self.terms.name] = rule_state

    def settle(self, evaluation: GradedEvaluation, before: int, reached: int) -> None:
        """Bring episodes up to the level reached."""
        self.stand(evaluation, reached)

    def index(self, level: str | None) -> int:
        """A level's place, −1 for none."""
        return -1 if level is None else self.levels.index(level)

    def _reached(self, evaluation: GradedEvaluation, before: int) -> int:
        """The level reached, once it has been met for as long as `for` asks; until then the one before."""
        met = self.look(evaluation, before, len(self.levels))
        if met == HOLD:
            return before
        return met if self._has_held(evaluation.rule_state, met, before, evaluation.occasion) else before

    def look(self, evaluation: GradedEvaluation, stood_on: int, end: int) -> int:
        """The level met now among the first `end`, `HOLD` where it is unknown only because of warming."""
        if not self.terms.is_valid(evaluation.occasion):
            return -1
        level, is_unknown = self.grading.reached(evaluation.environment, stood_on, end)
        return HOLD if is_unknown and evaluation.is_warming() else level

    def _has_held(self, rule_state: RuleState, met: int, before: int, occasion: Occasion) -> bool:
        if not self.terms.for_ms:
            return True
        if met == before:
            rule_state.pending = rule_state.since_ms = None
            return True
        name = self.levels[met] if met >= 0 else _NO_LEVEL
        if rule_state.pending != name or rule_state.since_ms is None:
            rule_state.pending, rule_state.since_ms = name, occasion.now_ms
        if not occasion.is_past(rule_state.since_ms + self.terms.for_ms):
            return False
        rule_state.pending = rule_state.since_ms = None
        return True

    def stand(self, evaluation: GradedEvaluation, reached: int) -> None:
        """Stand on a level: close and open episodes, or look after the one that is open."""
        rule_state = evaluation.rule_state
        stood_on = self.index(rule_state.level)
        if reached == stood_on:
            if rule_state.open is not None:
                self.look_after(evaluation, rule_state.open)
            elif rule_state.left is not None and not evaluation.is_cooling():
                self.open(
                    evaluation,
                    reached,
                    self.levels.index(rule_state.left) if rule_state.left in self.levels else -1,
                )
                rule_state.left = None
            return
        if rule_state.open is not None:
            self.leave(evaluation, rule_state.open, "level" if reached >= 0 else "ended")
        left = rule_state.level or _NO_LEVEL
        rule_state.level = self.levels[reached] if reached >= 0 else None
        makes_tag = reached >= 0 and self.levels[reached] not in self.silent
        rule_state.left = left if makes_tag and evaluation.is_cooling() else None
        if makes_tag and rule_state.left is None:
            self.open(evaluation, reached, stood_on)

    def open(self, evaluation: GradedEvaluation, reached: int, previous: int, *, proposed: bool = False) -> None:
        """Open an episode for a level."""
        is_ranked = self.grading.is_ranked
        open_episode(
            evaluation,
            value=evaluation.value,
            evidence=evaluation.evidence(reached),
            level=self.levels[reached],
            rank=reached if is_ranked else None,
            previous_level=self.levels[previous] if previous >= 0 else None,
            previous_rank=previous if previous >= 0 and is_ranked else None,
            refreshed=evaluation.refreshable,
            proposed=proposed,
        )

    def leave(self, evaluation: GradedEvaluation, episode: Episode, reason: RevokeReason) -> None:
        """Close an episode whose level is left; what converts first, converts."""
        if is_converted(evaluation, episode):
            self.change(evaluation, episode, "converted")
        else:
            self.change(evaluation, episode, "revoked", "late" if is_late_reason(evaluation.occasion) else reason)

    def look_after(self, evaluation: GradedEvaluation, episode: Episode) -> None:
        """Convert, expire or refresh an episode whose level goes on."""
        if is_converted(evaluation, episode):
            self.change(evaluation, episode, "converted")
        elif episode.expires_ms is not None and evaluation.occasion.is_past(episode.expires_ms):
            self.change(evaluation, episode, "expired")
        elif self.terms.refresh is not None and (fresh := evaluation.refreshable) != episode.refreshed:
            episode.refreshed = fresh
            self.change(evaluation, episode, "refreshed")

    def change(
        self, evaluation: GradedEvaluation, episode: Episode, change: Any, reason: RevokeReason | None = None
    ) -> None:
        """Give off an episode's next revision."""
        # Not by `rank`, which may be of an earlier rulebook's levels.
        evidence = evaluation.evidence(self.index(episode.level))
        change_episode(
            evaluation,
            change=change,
            reason=reason,
            value=evaluation.value,
            evidence=evidence,
            proposed=episode is evaluation.rule_state.proposed,
        )

    @property
    def has_timers(self) -> bool:
        terms = self.terms
        return bool(terms.for_ms or terms.cooldown_ms) or terms.expires_ms is not None or terms.has_validity

    def next_deadline(self, state: CustomerState) -> int | None:
        rule_state = state.rules.get(self.terms.name)
        times: list[int] = [moment for moment in self.terms.valid if moment is not None]
        if rule_state is not None:
            episodes = (rule_state.open, rule_state.proposed)
            times += [one.expires_ms for one in episodes if one is not None and one.expires_ms is not None]
            if rule_state.since_ms is not None:
                times.append(rule_state.since_ms + self.terms.for_ms)
            if rule_state.left is not None and rule_state.last_opened_ms is not None:
                times.append(rule_state.last_opened_ms + self.terms.cooldown_ms)
        return min([moment for moment in times if moment >= state.horizon_ms], default=None) if times else None
