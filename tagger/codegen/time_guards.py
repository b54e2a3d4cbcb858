"""Which rules passing time cannot move, whatever the features they read come to: a *time guard* holds them back.

`assets < line and lately >= line` stays false, whichever days leave the window of `lately`, while `assets` do not
fall. Such a part is one that time never changes, or one that time only makes falser: a highest balance only falls
by passing time, and a lowest one only rises. Events are not asked about here, because they bring an evaluation of
all rules whose features they change. A time guard may let through what then does not move, and never holds back
what may: this is sound only while no unknown is owed to warming, which callers see to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tagger.codegen.cheapest import read_feature
from tagger.codegen.writer import RESTS, Writer
from tagger.expr import nodes
from tagger.expr.compile import uses_today
from tagger.expr.nodes import Call, Compare, Const, Node, Read
from tagger.features.aggregates import DayAggregate
from tagger.features.closings import Balance, ExtremeBalance
from tagger.features.contract import Feature
from tagger.features.lookups import ActiveRule, Attribute, LevelOf
from tagger.features.top import Top
from tagger.kinds.contract import Rule
from tagger.kinds.grades import GradedRule
from tagger.kinds.scorecard import Scorecard
from tagger.kinds.signal import SignalRule

_UNTIMED = (Balance, Attribute, LevelOf, ActiveRule)
# By comparison: how its left side must move to make it true.
_RISING = {">": 1, ">=": 1, "<": -1, "<=": -1}


@dataclass(frozen=True, slots=True)
class TimeGuard:
    """Python that is true where passing time may move a rule.

    Attributes:
        whole: measures days, where `quick` is not the same.
        quick: reads what is at hand, and is true where `whole` is; "" where nothing at hand tells.
    """

    whole: str
    quick: str


def time_guard(writer: Writer, rule: Rule) -> TimeGuard | None:
    """A rule's time guard, where `rules`, `state` and `occasion` are at hand; None for one never held back."""
    if rule.terms.has_validity:
        return None
    state = f"(_s := rules.get({rule.terms.name!r}))"
    if isinstance(rule, SignalRule):
        if rule.after is not None:
            waits = f"({state} is not None and (_s.watches or _s.open is not None))"
            return TimeGuard(waits, waits)
        return _signal_guard(writer, rule, f"{state} is None or {RESTS}")
    if isinstance(rule, GradedRule) and isinstance(rule.grading, Scorecard):
        return _scorecard_guard(writer, rule, rule.grading, f"{state} is None")
    return None


def _signal_guard(writer: Writer, rule: SignalRule, rests: str) -> TimeGuard | None:
    features = rule.terms.features
    parts = list(_conjuncts(rule.when.tree))
    quick = [part for part in parts if _stays(part, features)]
    slow = [part for part in parts if part not in quick and _turns_falser(part, features)]
    # What does not rest is never held back: an episode may end, expire or be refreshed.
    whole = _not_resting(rests, [writer.tree(part, features) for part in (*quick, *slow)])
    if not slow:
        return TimeGuard(whole, whole) if quick else None
    return TimeGuard(whole, _not_resting(rests, [writer.tree(part, features) for part in quick]) if quick else "")


def _not_resting(rests: str, parts: Sequence[str]) -> str:
    return f"(not ({rests}) or ({' and '.join(f'{part} is True' for part in parts)}))"


def _scorecard_guard(writer: Writer, rule: GradedRule, grading: Scorecard, rests: str) -> TimeGuard | None:
    """Without one of its attributes a scorecard has no total, and stays on no level."""
    attributes = [read for part in grading.parts if (read := _attribute(part.by.tree, rule.terms.features))]
    if not attributes or grading.grades.otherwise:
        return None
    known = " and ".join(f"{writer.tree(read, rule.terms.features)} is not None" for read in attributes)
    whole = f"(not ({rests}) or ({known}))"
    return TimeGuard(whole, whole)


def _attribute(node: Node, features: Sequence[Feature]) -> Read | None:
    """The attribute without which an expression is unknown."""
    if isinstance(node, Call) and node.function == "age":
        node = node.arguments[0]
    return node if isinstance(node, Read) and isinstance(read_feature(node, features)[0], Attribute) else None


def _conjuncts(node: Node) -> Iterator[Node]:
    """The parts that must all be true; `a < b < c` is two."""
    if isinstance(node, nodes.Logic) and node.operator == "and":
        for item in node.items:
            yield from _conjuncts(item)
    elif isinstance(node, Compare):
        for place, operator in enumerate(node.operators):
            yield replace(node, operands=node.operands[place : place + 2], operators=(operator,))
    else:
        yield node


def _stays(node: Node, features: Sequence[Feature]) -> bool:
    """Whether passing time leaves an expression as it is."""
    if isinstance(node, Read):
        return isinstance(read_feature(node, features)[0], _UNTIMED)
    return not uses_today(node) and all(_stays(child, features) for child in nodes.children(node))


def _turns_falser(node: Node, features: Sequence[Feature]) -> bool:
    """Whether an expression that is not true will not become so as time passes."""
    if not isinstance(node, Compare) or node.operators[0] not in _RISING:
        return False
    left, right = (_course(operand, features) for operand in node.operands)
    if left is None or right is None:
        return False
    wanted = _RISING[node.operators[0]]
    return left * wanted <= 0 and right * wanted >= 0


def _course(node: Node, features: Sequence[Feature]) -> int | None:
    """How an amount moves as time passes: 1 it only rises, −1 it only falls, 0 it stays; None for all else."""
    if _stays(node, features):
        return 0
    if isinstance(node, Read):
        return _course_of(*read_feature(node, features))
    if isinstance(node, nodes.Arith) and node.operator == "*":
        factors = sorted((node.left, node.right), key=lambda factor: isinstance(factor, Const))
        if isinstance(factors[1], Const) and factors[1].number > 0:
            return _course(factors[0], features)
    return None


def _course_of(feature: Feature | None, part: str) -> int | None:
    if isinstance(feature, ExtremeBalance):
        return -1 if feature.highest else 1
    # What counts running days only loses some, one that has closed is exchanged for the next.
    if isinstance(feature, DayAggregate):
        return None if feature.field is not None or feature.previous else -1
    if isinstance(feature, Top):
        return -1 if part == f"[{Top.parts.index('count')}]" else None
    return None
