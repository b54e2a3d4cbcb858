"""Maker and checker: from some level up, a level takes effect when a person has approved it.

The level *computed* is the one the rule would stand on without approval, its hysteresis and `for` included. While
it waits, its episode is a proposal, and the highest met level below stands in an episode beside it. `computed`
of the state is set while the level computed is not the one stood on: proposed, rejected, or expired.
"""

from dataclasses import dataclass

from schemas.journal import Approval
from tagger.kinds.grades import HOLD, GradedEvaluation, GradedRule
from tagger.state.customer import Episode


@dataclass(frozen=True, slots=True)
class ApprovedRule(GradedRule):
    """A ladder or scorecard some of whose levels need approval.

    Attributes:
        approval_from: the lowest of these levels.
    """

    approval_from: int = 0

    def settle(self, evaluation: GradedEvaluation, before: int, reached: int) -> None:
        rule_state = evaluation.rule_state
        has_changed = reached != before
        proposal = rule_state.proposed
        if proposal is not None and (has_changed or reached < self.approval_from):
            self.leave(evaluation, proposal, "level" if reached >= 0 else "ended")
        if reached < self.approval_from:
            rule_state.computed = None
            self.stand(evaluation, reached)
        elif not has_changed and rule_state.level == self.levels[reached]:
            # Approved, or stood on since before the rule asked for approval.
            self.stand(evaluation, reached)
        else:
            self._wait(evaluation, reached, has_changed)
        event = evaluation.occasion.event
        if isinstance(event, Approval) and event.subject in (self.terms.name, self.terms.pack):
            self._answer(evaluation, event, proposal)

    def _wait(self, evaluation: GradedEvaluation, reached: int, has_changed: bool) -> None:
        """Stand below, the level reached being proposed (or rejected, when it has not changed since)."""
        rule_state = evaluation.rule_state
        self.stand(evaluation, self._highest_below(evaluation))
        if has_changed:
            rule_state.computed = self.levels[reached]
            self.open(evaluation, reached, self.index(rule_state.level), proposed=True)
        elif rule_state.proposed is not None:
            self.look_after(evaluation, rule_state.proposed)

    def _highest_below(self, evaluation: GradedEvaluation) -> int:
        stood_on = self.index(evaluation.rule_state.level)
        met = self.look(evaluation, stood_on, self.approval_from)
        return stood_on if met == HOLD else met

    def _answer(self, evaluation: GradedEvaluation, approval: Approval, proposal: Episode | None) -> None:
        """Take a checker's decision about the proposal that stood before it."""
        rule_state = evaluation.rule_state
        if (
            proposal is None
            or rule_state.proposed is not proposal
            or approval.grade != proposal.level
            or approval.occurred_ms < proposal.opened_ms
        ):
            rule_state.ignored += 1
        elif approval.decision == "reject":
            self.change(evaluation, proposal, "revoked", "rejected")
        else:
            self._release(evaluation, proposal)

    def _release(self, evaluation: GradedEvaluation, proposal: Episode) -> None:
        rule_state = evaluation.rule_state
        if rule_state.open is not None:
            self.change(evaluation, rule_state.open, "revoked", "level")
        stood_on = self.index(rule_state.level)
        proposal.previous_level = rule_state.level
        proposal.previous_rank = stood_on if stood_on >= 0 else None
        rule_state.open, rule_state.proposed = proposal, None
        rule_state.level, rule_state.computed = proposal.level, None
        self.change(evaluation, proposal, "released")
