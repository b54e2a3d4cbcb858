"""What an event can change, and what then looks at the rules it may concern."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import get_args

from schemas.journal import CustomerEvent
from tagger.codegen.guards import Look, compile_look
from tagger.codegen.updates import compile_updates
from tagger.compiler.timetable import Timetable
from tagger.features.bits import BALANCES, PROFILE, FeatureBits
from tagger.features.contract import Feature
from tagger.kinds.contract import Context, Occasion, Rule
from tagger.policy.gate import WORDS_OF_THE_CUSTOMER
from tagger.state.customer import CustomerState

ALL_SOURCES: tuple[str, ...] = tuple(event.source_kind for event in get_args(CustomerEvent))
EVERYTHING = -1
"""The bits of a change that may concern every rule."""
GUARDED_SOURCES = ("transactions", "app_events", "profiles")
"""Kinds of event whose rules stand behind guards."""
_CHANGED = {"transactions": BALANCES, "profiles": PROFILE}

COMPILE_AFTER = 64
"""How often the same rules are looked at one by one before a function of their own is worth its compilation. It
changes cost and never results."""
_MAX_COMPILED = 256
_MAX_ASKED = 4096


class Looks:
    """What looks at the rules that an occasion concerns; a memo of generated functions.

    Args:
        rules_of: the rules for a set of bits, in the program's order.
        source: the kind of event of the occasions; None for deadlines.
        following_of: names of those among them that only a move of a rule before them concerns.
    """

    def __init__(
        self,
        rules_of: Callable[[int], Sequence[Rule]],
        source: str | None,
        following_of: Callable[[int], Collection[str]] = lambda bits: (),
    ) -> None:
        self._rules_of, self._source, self._following_of = rules_of, source, following_of
        self._asked: dict[int, int] = {}
        self._each: dict[int, Look] = {}
        self._compiled: dict[int, Look] = {}

    def look(self, bits: int, guarded: bool) -> Look:
        """What looks at the rules for these bits, behind guards or one by one."""
        if guarded:
            found = self._compiled.get(bits)
            if found is not None:
                return found
            if len(self._asked) >= _MAX_ASKED:
                self._asked.clear()
            asked = self._asked[bits] = self._asked.get(bits, 0) + 1
            if asked > COMPILE_AFTER and len(self._compiled) < _MAX_COMPILED:
                return self._compile(bits)
        found = self._each.get(bits)
        if found is None:
            found = look_at_each(self._rules_of(bits))
            if len(self._each) < _MAX_COMPILED:
                self._each[bits] = found
        return found

    def _compile(self, bits: int) -> Look:
        rules = self._rules_of(bits)
        found = look_at_each(rules)
        if self._source is None or self._source in GUARDED_SOURCES:
            with suppress(SyntaxError, RecursionError, MemoryError):
                found = compile_look(rules, self._source, self._following_of(bits)).look
        self._compiled[bits] = found
        return found


def look_at_each(rules: Sequence[Rule]) -> Look:
    """Evaluates every one of these rules."""

    def look(state: CustomerState, occasion: Occasion, context: Context, due_ms: int) -> int:
        for rule in rules:
            rule.evaluate(state, occasion, context)
            if rule.terms.name in state.rules or rule.terms.has_validity:
                timer_ms = rule.next_deadline(state)
                if timer_ms is not None and timer_ms < due_ms:
                    due_ms = timer_ms
        return due_ms

    return look


class Reach:
    """What one kind of event can change.

    Attributes:
        update: folds it into features, each state once.
        changeable: the bits of all that it may change.
        looks: what looks at the rules, by the bits that have changed.
        ends_holds: may end what holds a tag back, without a tag of its own.
        turns_after: at least how many bank days after its own an event that crosses nothing changes something by
            passing time.
    """

    def __init__(
        self,
        source: str,
        features: Iterable[Feature],
        rules: Sequence[Rule],
        bits: FeatureBits,
        timetable: Timetable,
    ) -> None:
        by_key = {feature.key: feature for feature in features if feature.source == source}
        updated = [(feature, bits.of(feature)) for feature in by_key.values()]
        self.update = compile_updates(updated, timetable.crossings(source))[1]
        self.changeable = _CHANGED.get(source, 0) | sum(bit for _, bit in updated)
        self.looks = Looks(self.touched, source, self.following)
        self.ends_holds = any(source == event.source_kind for event in WORDS_OF_THE_CUSTOMER)
        self.turns_after = timetable.turns_after(source)
        self._source, self._rules = source, rules

    def touched(self, changed: int) -> tuple[Rule, ...]:
        """The rules to evaluate after an event that changed these bits, in the program's order."""
        return tuple(
            rule
            for rule in self._rules
            if changed == EVERYTHING or changed & rule.terms.depends or self._source in rule.terms.sources
        )

    def following(self, changed: int) -> frozenset[str]:
        """Those of the `touched` rules that nothing concerns but a move of the rules that they read."""
        return frozenset(
            rule.terms.name
            for rule in self._rules
            if not (changed == EVERYTHING or changed & rule.terms.reads or self._source in rule.terms.sources)
        )
