"""A rulebook, compiled: which features and rules there are, and which of them an event can change.

Compiled once, at activation; what a pack fixes is resolved here, so that folding an event walks tuples.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, get_args

from schemas.bankday import BankCalendar
from schemas.journal import CustomerEvent
from tagger.compiler import compile_packs
from tagger.features.bits import FeatureBits
from tagger.features.closings import Balance
from tagger.features.contract import Feature
from tagger.features.lookups import ActiveRule, Attribute, LevelOf
from tagger.kinds.contract import Context, Occasion, Rule
from tagger.kinds.signal import SignalRule
from tagger.policy.terms import compile_policy
from tagger.rulebook import Rulebook
from tagger.state import CustomerState

_UNTIMED = (Balance, LevelOf, ActiveRule, Attribute)
ALL_SOURCES: tuple[str, ...] = tuple(event.source_kind for event in get_args(CustomerEvent))
EVERYTHING = -1
"""The bits of a change that may concern every rule."""
_MAX_MEMOS = 4096


class Touched(NamedTuple):
    """A rule to evaluate, taken apart for the loop over all of them.

    Attributes:
        timer: its `next_deadline`, where it may have timers.
        has_validity: it has timers of a customer who is not in its state too.
    """

    evaluate: Callable[[CustomerState, Occasion, Context], None]
    name: str
    timer: Callable[[CustomerState], int | None] | None
    has_validity: bool


class Reach:
    """What one kind of event can change, and which rules have to be looked at when it did.

    Attributes:
        updaters: what it may update with the bits that changes set, each state once.
        touched: rules by the bits that have changed; a memo, filled by `touch`.
    """

    def __init__(self, source: str, features: Iterable[Feature], rules: Sequence[Rule], bits: FeatureBits) -> None:
        by_key = {feature.key: feature for feature in features if feature.source == source}
        self.updaters = tuple((feature.update, bits.of(feature)) for feature in by_key.values())
        self.touched: dict[int, tuple[Touched, ...]] = {}
        self._source, self._rules = source, rules

    def touch(self, changed: int) -> tuple[Touched, ...]:
        """The rules to evaluate after an event that changed these bits, in the program's order."""
        if len(self.touched) >= _MAX_MEMOS:
            self.touched.clear()
        found = self.touched[changed] = tuple(
            Touched(
                rule.evaluate,
                rule.terms.name,
                rule.next_deadline if rule.has_timers else None,
                rule.terms.has_validity,
            )
            for rule in self._rules
            if changed == EVERYTHING or changed & rule.terms.depends or self._source in rule.terms.sources
        )
        return found


class Program:
    """A compiled rulebook.

    Attributes:
        name: `version:digest` as tags carry it.
        digest: the rulebook's.
        features: all features by `pack.feature`, in the packs' order.
        printers: how to print each feature, one a part.
        rules: all rules, a rule after those whose level or episode it reads.
        reach: by kind of event, what it can change.
        timed: the features that rules read and that may change by passing time.
        timed_rules: the rules that may have timers of their own.
        daily: some rule reads `today`.
        flows_wanted: some rule reads `retained`, so that recent movements must be remembered.
        policy: the contact policy, None where nothing is held back.
    """

    def __init__(self, rulebook: Rulebook, calendar: BankCalendar) -> None:
        self.name = rulebook.name
        self.digest = rulebook.digest
        self.policy = None if rulebook.policy is None else compile_policy(rulebook.policy)
        compiled = compile_packs(rulebook.packs, calendar)
        # Compiled in the order in which they read each other.
        self.features = {
            name: compiled.features[name]
            for pack in rulebook.packs
            for name in (f"{pack.pack}.{feature}" for feature in pack.features)
        }
        self.printers, self.rules = compiled.printers, compiled.rules
        self.reach = {
            source: Reach(source, self.features.values(), self.rules, compiled.bits) for source in ALL_SOURCES
        }
        read = {feature.name: feature for rule in self.rules for feature in rule.terms.features}
        self.timed = tuple(feature for feature in read.values() if not isinstance(feature, _UNTIMED))
        self.timed_rules = tuple(rule for rule in self.rules if rule.has_timers)
        self.daily = compiled.reads_today
        self.flows_wanted = any(isinstance(rule, SignalRule) and rule.reads_retained for rule in self.rules)

    @property
    def feature_keys(self) -> dict[int, Feature]:
        """Stateful features by key."""
        return {feature.key: feature for feature in self.features.values() if feature.key}
