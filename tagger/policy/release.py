"""The revision with which a held tag is let go: the rule's values and evidence as of now."""

from tagger.episodes import change_episode
from tagger.evidence import measured, trace
from tagger.features.contract import RETAINED
from tagger.kinds.contract import Context, Evaluation, Occasion, Rule
from tagger.kinds.grades import GradedEvaluation, GradedRule
from tagger.kinds.signal import SignalRule
from tagger.kinds.watches import retained, watched
from tagger.state.customer import CustomerState


def release(rule: Rule, state: CustomerState, occasion: Occasion, context: Context) -> None:
    """Give off `released` for a rule's open episode."""
    if isinstance(rule, GradedRule):
        _release_grade(rule, state, occasion, context)
    else:
        assert isinstance(rule, SignalRule)
        _release_signal(rule, state, occasion, context)


def _release_grade(rule: GradedRule, state: CustomerState, occasion: Occasion, context: Context) -> None:
    rule_state = state.rules[rule.terms.name]
    environment = context.measure(rule.terms.features, state, occasion)
    evaluation = GradedEvaluation(rule.terms, rule_state, state, environment, occasion, context, rule.grading)
    assert rule_state.open is not None
    evidence = evaluation.evidence(rule.index(rule_state.open.level))
    change_episode(evaluation, change="released", value=evaluation.value, evidence=evidence)


def _release_signal(rule: SignalRule, state: CustomerState, occasion: Occasion, context: Context) -> None:
    rule_state = state.rules[rule.terms.name]
    environment = context.measure(rule.terms.features, state, occasion)
    evaluation = Evaluation(rule.terms, rule_state, state, environment, occasion, context)
    assert rule_state.open is not None
    watch = rule_state.open.watch
    if watch is not None:
        environment[RETAINED] = retained(watch)
    said = watched(evaluation, watch, rule.reads_retained)
    evidence = trace(rule.when.conditions, evaluation, extra=said, watch=watch, within_ms=rule.within_ms)
    change_episode(evaluation, change="released", value=said | measured(evaluation), evidence=evidence)
