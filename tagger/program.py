"""A rulebook, compiled: which features and rules there are, and which of them an event can change.

Compiled once, at activation; what a pack fixes is resolved here, so that folding an event walks tuples.
"""

from typing import get_args

from schemas.bankday import BankCalendar
from schemas.journal import CustomerEvent
from tagger.compiler import compile_packs
from tagger.features.bits import FeatureBits
from tagger.features.closings import Balance
from tagger.features.contract import Feature, Update
from tagger.features.lookups import ActiveRule, Attribute, LevelOf
from tagger.kinds.signal import SignalRule
from tagger.rulebook import Rulebook

_UNTIMED = (Balance, LevelOf, ActiveRule, Attribute)
ALL_SOURCES: tuple[str, ...] = tuple(event.source_kind for event in get_args(CustomerEvent))


class Program:
    """A compiled rulebook.

    Attributes:
        name: `version:digest` as tags carry it.
        digest: the rulebook's.
        features: all features by `pack.feature`, in the packs' order.
        printers: how to print each feature, one a part.
        rules: all rules, a rule after those whose level or episode it reads.
        updaters: by kind of event, what it may update with the bits that changes set, each state once.
        timed: the features that rules read and that may change by passing time.
        timed_rules: the rules that may have timers of their own.
        daily: some rule reads `today`.
        flows_wanted: some rule reads `retained`, so that recent movements must be remembered.
    """

    def __init__(self, rulebook: Rulebook, calendar: BankCalendar) -> None:
        self.name = rulebook.name
        self.digest = rulebook.digest
        compiled = compile_packs(rulebook.packs, calendar)
        # Compiled in the order in which they read each other.
        self.features = {
            name: compiled.features[name]
            for pack in rulebook.packs
            for name in (f"{pack.pack}.{feature}" for feature in pack.features)
        }
        self.printers, self.rules = compiled.printers, compiled.rules
        self.updaters = {source: self._updaters(source, compiled.bits) for source in ALL_SOURCES}
        read = {feature.name: feature for rule in self.rules for feature in rule.terms.features}
        self.timed = tuple(feature for feature in read.values() if not isinstance(feature, _UNTIMED))
        self.timed_rules = tuple(rule for rule in self.rules if rule.has_timers)
        self.daily = compiled.reads_today
        self.flows_wanted = any(isinstance(rule, SignalRule) and rule.reads_retained for rule in self.rules)
        # Rules a kind of event must lead to even when no feature changed, with the bits they depend on.
        self.candidates = {
            source: tuple((rule, source in rule.terms.sources, rule.terms.depends) for rule in self.rules)
            for source in ALL_SOURCES
        }

    def _updaters(self, source: str, bits: FeatureBits) -> tuple[tuple[Update, int], ...]:
        by_key = {feature.key: feature for feature in self.features.values() if feature.source == source}
        return tuple((feature.update, bits.of(feature)) for feature in by_key.values())

    @property
    def feature_keys(self) -> dict[int, Feature]:
        """Stateful features by key."""
        return {feature.key: feature for feature in self.features.values() if feature.key}
