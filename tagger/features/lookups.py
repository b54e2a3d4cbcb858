"""Features that look something up in the state: a ladder's level, an open episode, a profile attribute, and
expressions over other features.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from schemas.bankday import BankCalendar
from tagger.expr.compile import Expression
from tagger.expr.turns import DayTurns, day_turns
from tagger.features.computed import Computed
from tagger.features.contract import FIRST_NAME, Environment, Feature, Moment
from tagger.state.customer import CustomerState


class _Lookup(Computed):
    def __init__(self, name: str, definition: str) -> None:
        self.name, self.definition = name, definition
        self.meaning = definition


class LevelOf(_Lookup):
    """`level: RULE`: the level stood on: `.name`, `.rank` (0 the lowest) and `.next`, where the next starts.

    Args:
        levels: the rule's levels from the lowest up.
        cuts: where each starts; empty for a ladder of expressions, whose `.next` is unknown.
        is_ranked: levels have an order; a matrix's have not, and only a `.name`.
    """

    def __init__(
        self,
        name: str,
        definition: str,
        rule: str,
        levels: Sequence[str],
        cuts: Sequence[int | Fraction],
        is_ranked: bool = True,
    ) -> None:
        super().__init__(name, definition)
        self.rule = rule
        self.parts = ("name", "rank", "next") if is_ranked else ("name",)
        followers = [*cuts[1:], None] if cuts else [None] * len(levels)
        self._values: dict[str | None, tuple[Any, ...]] = {
            level: (level, rank, follower)[: len(self.parts)]
            for rank, (level, follower) in enumerate(zip(levels, followers, strict=True))
        }
        self._values[None] = (None,) * len(self.parts)

    def value(self, state: CustomerState, moment: Moment) -> Any:
        rule_state = state.rules.get(self.rule)
        return self.of_level(None if rule_state is None else rule_state.level)

    def of_level(self, level: str | None) -> tuple[Any, ...]:
        """The value while a level is stood on."""
        return self._values[level]


class ActiveRule(_Lookup):
    """`active: RULE`: whether an episode of the rule is open."""

    def __init__(self, name: str, definition: str, rule: str) -> None:
        super().__init__(name, definition)
        self.rule = rule

    def value(self, state: CustomerState, moment: Moment) -> Any:
        rule_state = state.rules.get(self.rule)
        return rule_state is not None and (rule_state.open is not None or rule_state.proposed is not None)


class Attribute(_Lookup):
    """A profile attribute; unknown while no profile says it."""

    def __init__(self, name: str, field: str) -> None:
        super().__init__(name, f"attribute {name}")
        self.field = field

    def value(self, state: CustomerState, moment: Moment) -> Any:
        return None if state.attributes is None else getattr(state.attributes, self.field)


def turn_ms(
    turns: DayTurns | None,
    features: Sequence[Feature],
    state: CustomerState,
    evaluated_day: int,
    calendar: BankCalendar,
) -> int | None:
    """The first midnight after a bank day at which expressions over these features may change by themselves."""
    if turns is None:
        return None
    environment: Environment = [None] * (FIRST_NAME + len(features))
    moment = Moment(calendar.start_ms(evaluated_day), evaluated_day)
    for place in turns.places:
        environment[place] = features[place - FIRST_NAME].value(state, moment)
    day = turns.next_day(environment, evaluated_day)
    return None if day is None else calendar.start_ms(day)


class Derived(_Lookup):
    """`expr:` over other features of its pack, which have changes of their own besides those of `today`."""

    def __init__(
        self,
        name: str,
        definition: str,
        expression: Expression,
        features: Sequence[Feature],
        calendar: BankCalendar,
    ) -> None:
        super().__init__(name, definition)
        self.meaning = f"{name} {definition}"  # its names are its pack's own
        self.expression = expression
        self._evaluate = expression.evaluate
        self.turns = day_turns([expression.tree])
        self.features = tuple(features)
        self._calendar = calendar

    def value(self, state: CustomerState, moment: Moment) -> Any:
        return self.derive([feature.value(state, moment) for feature in self.features], moment)

    def derive(self, values: Sequence[Any], moment: Moment) -> Any:
        """The expression's value over those of `features`."""
        return self._evaluate([moment.today, None, *values])

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        return turn_ms(self.turns, self.features, state, evaluated_day, self._calendar)
