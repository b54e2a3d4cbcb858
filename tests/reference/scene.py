"""A customer at one instant: everything ever known, and what the names of expressions stand for."""

from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cached_property
from typing import Any

from reference import money
from reference.book import Book
from reference.language import Walker, names_in, setting
from reference.sight import Known, Sight
from reference.verbs import VERBS, full_on
from schemas.bankday import BankCalendar
from schemas.packs import features
from schemas.packs.rules import GradedRule, LadderRule, LeveledRule, MatrixRule, ScorecardRule

Tag = dict[str, Any]


@dataclass(eq=False)
class Watch:
    """What an `after` rule measures on its own since one event.

    Attributes:
        number: which transaction of the customer it was, from 0 in order of arrival.
    """

    record: Any
    number: int
    since_ms: int | None = None

    @property
    def opened_ms(self) -> int:
        return int(self.record.occurred_ms)


@dataclass(eq=False)
class Episode:
    number: int
    opened_ms: int
    expires_ms: int | None
    watch: Watch | None = None
    level: str | None = None
    previous_level: str | None = None
    rank: int | None = None
    previous_rank: int | None = None
    revision: int = 0
    last_refreshable: Any = None
    unmet: bool = False


@dataclass(eq=False)
class Life:
    """Where a rule stands with a customer.

    Attributes:
        since_ms: the clock at which the condition (the level in `pending`) became true.
        was_untrue: the condition stopped being true at the last closing or since, or there was none.
        level: stood on; `computed` the one that waits for approval, or was rejected.
        pending: a level that waits for `for`, None being the fall to none.
        left: the level before one that waits for the cooldown to open, in a list of one.
    """

    episodes: int = 0
    last_opened_ms: int | None = None
    open: Episode | None = None
    proposed: Episode | None = None
    since_ms: int | None = None
    was_untrue: bool = True
    watches: list[Watch] = field(default_factory=list)
    level: str | None = None
    computed: str | None = None
    pending: str | None = None
    left: list[str | None] = field(default_factory=list)


@dataclass(eq=False)
class Customer:
    """Everything ever known of a customer.

    Attributes:
        created: how many rulebooks had taken effect when its first record came.
        seen: what arrived when, oldest first: (topic, event id, bank day).
        horizon_ms: deadlines before this have been evaluated.
    """

    customer_id: str
    created: int
    horizon_ms: int
    clock_ms: int
    history: list[Known] = field(default_factory=list)
    seen: list[tuple[str, str, date]] = field(default_factory=list)
    lives: dict[str, Life] = field(default_factory=dict)

    def life(self, rule: str) -> Life:
        return self.lives.setdefault(rule, Life())


@dataclass(eq=False)
class Scene:
    """A customer at one instant under one rulebook: after a record, or, without one, at a deadline.

    Attributes:
        starts: when a feature that keeps something began: which activation, and the bank day of the clock then.
        successor: the rulebook that takes over, while what it does away with is closed; nothing is measured then.
    """

    book: Book
    starts: dict[str, tuple[int, date | None]]
    calendar: BankCalendar
    customer: Customer
    now_ms: int
    known: Known | None = None
    recorded: bool = True
    tags: list[Tag] = field(default_factory=list)
    successor: str | None = None
    _values: dict[tuple[str, str], Any] = field(default_factory=dict)

    @cached_property
    def sight(self) -> Sight:
        return Sight(self.calendar, self.now_ms, self.customer.history)

    @property
    def record(self) -> Any:
        return None if self.known is None else self.known.record

    def is_over(self, end_ms: int) -> bool:
        """Whether a time whose end is included is over; a deadline comes after all that occurred at it."""
        return self.now_ms > end_ms or (self.known is None and self.now_ms == end_ms)

    @property
    def is_from_an_earlier_day(self) -> bool:
        return self.known is not None and self.known.day < self.sight.today

    # What names stand for

    def value(self, pack: str, name: str) -> Any:
        """A name of a pack's expressions: money, attribute, feature, or a part of one."""
        first, _, part = name.partition(".")
        if first not in self.book.packs[pack].features:
            if name in money.MEASURES:
                return money.balance(self.sight.transactions, name)
            return self.sight.attribute(name)
        whole = self._feature(pack, first)
        if not part:
            return whole
        parts = self.book.parts(self.book.packs[pack].features[first])
        return whole[parts.index(part)]

    def _feature(self, pack: str, name: str) -> Any:
        model = self.book.packs[pack].features[name]
        if isinstance(model, features.LevelOf | features.ActiveRule | features.Derived):
            return self._looked_up(pack, model)
        if (pack, name) not in self._values:
            self._values[pack, name] = self._measured(pack, name, model)
        return self._values[pack, name]

    def _measured(self, pack: str, name: str, model: Any) -> Any:
        if self.is_warming(pack, name):
            return (None,) * len(self.book.parts(model)) or None
        return VERBS[type(model)](model, self.sight_of(pack, name))

    def _looked_up(self, pack: str, model: Any) -> Any:
        if isinstance(model, features.Derived):
            settings = self.book.packs[pack].settings
            return Walker(lambda name: self.value(pack, name), settings, self.sight.today).evaluate(model.text)
        life = self.customer.lives.get(model.rule, Life())
        if isinstance(model, features.ActiveRule):
            return life.open is not None or life.proposed is not None
        return self._level(model, life.level)

    def _level(self, model: Any, level: str | None) -> tuple[Any, ...]:
        rule = self.book.rule(model.rule)
        assert isinstance(rule, GradedRule)
        if isinstance(rule, MatrixRule):
            return (level,)
        if level is None:
            return None, None, None
        rank = rule.level_names.index(level)
        following = None
        if isinstance(rule, LeveledRule) and rule.is_measured and rank + 1 < len(rule.level_names):
            following = self.cut(model.rule, rule.level_names[rank + 1])
        return level, rank, following

    def cut(self, rule: str, level: str) -> Fraction | None:
        """Where a level starts; None for `otherwise`."""
        pack = next(pack for pack in self.book.packs.values() if rule in pack.rules)
        model = pack.rules[rule]
        assert isinstance(model, LadderRule | ScorecardRule)
        return None if level == model.otherwise else self.book.number(pack.pack, model.levels[level])

    def sight_of(self, pack: str, name: str) -> Sight:
        """What one feature sees."""
        identity = self.book.identity(pack, name)
        began = 0 if identity is None else self.starts[identity][0]
        settings = self.book.packs[pack].settings
        return Sight(self.calendar, self.now_ms, self.customer.history, settings, began)

    # Warming

    def is_warming(self, pack: str, name: str) -> bool:
        """Whether a feature, or one behind it, has not seen its whole window of this customer yet."""
        first = name.split(".", maxsplit=1)[0]
        model = self.book.packs[pack].features.get(first)
        if isinstance(model, features.Derived):
            settings = self.book.packs[pack].settings
            inner = [one for one in names_in(model.text) if setting(settings, one) is None]
            return any(self.is_warming(pack, one) for one in inner)
        identity = None if model is None else self.book.identity(pack, first)
        if identity is None:
            return False
        activation, began = self.starts[identity]
        full = None if began is None else full_on(model, began)
        return full is not None and self.customer.created < activation and self.sight.today < full
