"""Which rules read what, themselves or through the level or episode of a rule before them."""

from collections.abc import Iterable, Iterator, Sequence

from tagger.features.contract import Feature
from tagger.features.lookups import ActiveRule, Derived, LevelOf
from tagger.kinds.contract import Rule


class Readers:
    """The readers of a program's rules and features, as sets: a bit a rule, in the program's order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._of_rule: dict[str, int] = {}
        # From the last to the first: a rule stands after those it reads.
        for index in reversed(range(len(rules))):
            name = rules[index].terms.name
            self._of_rule[name] = 1 << index
            for later in rules[index + 1 :]:
                if any(name in rules_read(feature) for feature in later.terms.features):
                    self._of_rule[name] |= self._of_rule[later.terms.name]

    def of_rule(self, rule: Rule) -> int:
        """A rule, and those that read it."""
        return self._of_rule[rule.terms.name]

    def of_rules(self, rules: Iterable[Rule]) -> int:
        """These rules, and those that read them."""
        bits = 0
        for rule in rules:
            bits |= self.of_rule(rule)
        return bits

    def of_features(self) -> list[tuple[Feature, tuple[Rule, ...]]]:
        """Each feature that rules read or derive from, once a meaning, and the rules that do."""
        found: dict[str, tuple[Feature, dict[str, Rule]]] = {}
        for rule in self._rules:
            for feature in _parts(rule.terms.features):
                found.setdefault(feature.meaning, (feature, {}))[1].setdefault(rule.terms.name, rule)
        return [(feature, tuple(rules.values())) for feature, rules in found.values()]


def _parts(features: Iterable[Feature]) -> Iterator[Feature]:
    for feature in features:
        yield feature
        if isinstance(feature, Derived):
            yield from _parts(feature.features)


def rules_read(feature: Feature) -> Iterable[str]:
    """The rules whose level or episode a feature tells, itself or through those that it is derived from."""
    if isinstance(feature, Derived):
        return [name for part in feature.features for name in rules_read(part)]
    return [feature.rule] if isinstance(feature, LevelOf | ActiveRule) else []
