"""Another rulebook takes effect: when, from where its features warm, and what becomes of a customer.

A changed threshold keeps state and is evaluated anew, a changed feature begins to warm (`Context.warming`), a
removed rule revokes its open episodes, and state that nothing defines any more is dropped (docs/rulebook.md, "When
a rulebook changes").
"""

from schemas.bankday import BankCalendar
from schemas.journal import Activation
from schemas.tags import RevokeReason
from tagger.compiler.program import Program
from tagger.episodes import change_episode
from tagger.folding.fold import Fold
from tagger.folding.meta import FeatureStart, Meta
from tagger.kinds.approvals import ApprovedRule
from tagger.kinds.contract import Evaluation, Occasion, Rule
from tagger.kinds.grades import GradedRule
from tagger.kinds.signal import SignalRule
from tagger.policy.gate import end_holds
from tagger.state.customer import CustomerState, RuleState


def find_ready(meta: Meta) -> Activation | None:
    """The first waiting activation whose time has come; None when there is none."""
    for activation in meta.waiting:
        if activation.from_ms is None or (meta.clock_ms is not None and meta.clock_ms >= activation.from_ms):
            return activation
    return None


def begin_upgrade(meta: Meta, digest: str, program: Program, calendar: BankCalendar) -> None:
    """Put a rulebook in force; customers are brought under it next, in order of ids up to `meta.upgraded_to`."""
    meta.upgrading_from, meta.rulebook = meta.rulebook, digest
    meta.activations += 1
    day = None if meta.clock_ms is None else calendar.day_of(meta.clock_ms)
    start = FeatureStart(meta.activations, day)
    meta.features = {str(key): meta.features.get(str(key), start) for key in sorted(program.feature_keys)}


def end_upgrade(meta: Meta) -> None:
    """Every customer is under the rulebook in force."""
    meta.upgrading_from, meta.upgraded_to = None, ""


def warming(meta: Meta, program: Program) -> dict[int, tuple[int, int]]:
    """Features that may not have seen their whole window yet: key → (activation, first exact bank day)."""
    warm: dict[int, tuple[int, int]] = {}
    for key, feature in program.feature_keys.items():
        start = meta.features.get(str(key))
        full_day = None if start is None or start.day is None else feature.warm_from(start.day)
        if start is not None and full_day is not None:
            warm[key] = (start.activation, full_day)
    return warm


def upgrade_customer(state: CustomerState, old: Program | None, new: Fold, now_ms: int, today: int) -> None:
    """Bring a customer under the new program, as of the clock `now_ms` on bank day `today`."""
    now_ms = max(now_ms, state.clock_ms)
    if old is not None:
        _close_what_is_gone(state, old, new, Occasion(now_ms, today))
    kept = new.program.feature_keys
    for held in (state.features, state.aggregates):
        for key in [key for key in held if key not in kept]:
            del held[key]
    state.horizon_ms = max(state.horizon_ms, now_ms)
    end_holds(state, now_ms)
    new.evaluate_all(state, now_ms)
    # What the old program left here is no lower bound for the new one's deadlines.
    new.settle(state)


def _close_what_is_gone(state: CustomerState, old: Program, new: Fold, occasion: Occasion) -> None:
    rules = {rule.terms.name: rule for rule in new.program.rules}
    for rule in old.rules:
        name = rule.terms.name
        rule_state = state.rules.get(name)
        if rule_state is None:
            continue
        successor = rules.get(name)
        gone = not _continues(rule, successor)
        levels = (None, *successor.levels) if isinstance(successor, GradedRule) else (None,)
        level_gone = not gone and rule_state.level not in levels
        proposal_gone = gone or not isinstance(successor, ApprovedRule) or rule_state.computed not in levels
        evaluation = Evaluation(rule.terms, rule_state, state, [], occasion, new.context)
        reason: RevokeReason = "rule removed" if gone else "level"
        if rule_state.open is not None and (gone or level_gone):
            change_episode(evaluation, change="revoked", reason=reason, value={}, evidence=())
        if rule_state.proposed is not None and proposal_gone:
            change_episode(evaluation, change="revoked", reason=reason, value={}, evidence=(), proposed=True)
        if gone:
            # Should the rule come back, its episodes are numbered on and its cooldown still counts.
            state.rules[name] = RuleState(rule_state.episodes, last_opened_ms=rule_state.last_opened_ms)
            continue
        if successor is not None and successor.terms.expires_ms is None:
            # A group now: membership is the episode, and nothing keeps a time at which it would end.
            for episode in (rule_state.open, rule_state.proposed):
                if episode is not None:
                    episode.expires_ms = None
        if proposal_gone:
            rule_state.computed = None
        if level_gone:
            rule_state.level = rule_state.pending = rule_state.since_ms = rule_state.left = None


def _continues(rule: Rule, successor: Rule | None) -> bool:
    """Whether a rule's state means the same to the rule of its name in the new program."""
    if isinstance(rule, SignalRule) and isinstance(successor, SignalRule):
        return (rule.after is None) is (successor.after is None)
    return isinstance(rule, GradedRule) and isinstance(successor, GradedRule)
