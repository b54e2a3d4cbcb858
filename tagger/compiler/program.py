"""A rulebook, compiled: which features and rules there are, and which of them an event can change.

Compiled once, at activation; what a pack fixes is resolved here, so that folding an event walks tuples.
"""

from schemas.bankday import BankCalendar
from tagger.compiler.compile import compile_packs
from tagger.compiler.reach import ALL_SOURCES, Looks, Reach
from tagger.compiler.timetable import Timetable
from tagger.features.contract import Feature
from tagger.kinds.contract import Rule
from tagger.kinds.signal import SignalRule
from tagger.packs.rulebook import Rulebook
from tagger.policy.terms import compile_policy


class Program:
    """A compiled rulebook.

    Attributes:
        name: `version:digest` as tags carry it.
        digest: the rulebook's.
        features: all features by `pack.feature`, in the packs' order.
        printers: how to print each feature, one a part.
        rules: all rules, a rule after those whose level or episode it reads.
        reach: by kind of event, what it can change.
        timetable: what passing time alone may change.
        deadlines: what looks at rules when time has passed, by the timetable's bits.
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
        self.timetable = Timetable(self.rules, calendar)
        self.reach = {
            source: Reach(source, self.features.values(), self.rules, compiled.bits, self.timetable)
            for source in ALL_SOURCES
        }
        self.deadlines = Looks(self._rules_of, None)
        self.flows_wanted = any(isinstance(rule, SignalRule) and rule.reads_retained for rule in self.rules)

    def _rules_of(self, bits: int) -> list[Rule]:
        return [rule for index, rule in enumerate(self.rules) if bits >> index & 1]

    @property
    def feature_keys(self) -> dict[int, Feature]:
        """Stateful features by key."""
        return {feature.key: feature for feature in self.features.values() if feature.key}
