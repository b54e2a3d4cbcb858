"""Episodes, the tags they give off, and one evaluation of one rule for one customer."""

from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cached_property
from hashlib import blake2b
from typing import Any

from reference import money
from reference.book import RETAINED, Book
from reference.language import Walker, names_in, setting
from reference.sight import Known, Sight
from reference.verbs import VERBS, full_on
from schemas import packfeatures as features
from schemas.bankday import BankCalendar
from schemas.journal import Feedback, Transaction
from schemas.rulepack import GradedRule, LadderRule, LeveledRule, MatrixRule, RuleModel, ScorecardRule

Tag = dict[str, Any]
HOLD = "hold"
"""A condition that is unknown only because a feature is warming: it neither opens nor ends anything."""


@dataclass(eq=False)
class Watch:
    """What an `after` rule measures on its own since one event."""

    record: Any
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


@dataclass(eq=False)
class Turn:
    """One evaluation of one rule.

    Attributes:
        watch: what `retained` is measured of.
    """

    scene: Scene
    pack: str
    rule: str
    watch: Watch | None = None

    @cached_property
    def model(self) -> RuleModel:
        return self.scene.book.packs[self.pack].rules[self.rule]

    @property
    def life(self) -> Life:
        return self.scene.customer.life(self.rule)

    @property
    def now_ms(self) -> int:
        return self.scene.now_ms

    @property
    def settings(self) -> Any:
        return self.scene.book.packs[self.pack].settings

    def evaluate(self, text: str) -> Any:
        return Walker(self.look_up, self.settings, self.scene.sight.today).evaluate(text)

    def look_up(self, name: str) -> Any:
        return self.retained if name == RETAINED else self.scene.value(self.pack, name)

    @property
    def retained(self) -> Any:
        """Share of the opening event's amount that `assets` still stand above the level before it, 0 to 1."""
        if self.watch is None or not isinstance(self.watch.record, Transaction):
            return None
        event = self.watch.record
        stands = money.above(self.scene.sight.transactions, money.place(event))
        return max(Fraction(0), min(Fraction(1), stands / Fraction(event.amount_fen, 100)))

    # Conditions

    @property
    def is_valid(self) -> bool:
        valid = self.model.valid
        if valid is None:
            return True
        calendar = self.scene.calendar
        if valid.from_ is not None and self.now_ms < calendar.instant_ms(valid.from_):
            return False
        return valid.to is None or not self.scene.is_over(calendar.instant_ms(valid.to))

    def verdict(self, text: str) -> Any:
        """A condition's three values, or `HOLD`."""
        if not self.is_valid:
            return False
        truth = self.evaluate(text)
        return HOLD if truth is None and self.is_warming else truth

    @property
    def is_warming(self) -> bool:
        """Whether an unknown may be unknown only because of warming."""
        return any(self.scene.is_warming(self.pack, name) for name in self._names)

    @property
    def _names(self) -> list[str]:
        return self.scene.book.reads(self.pack, self.rule)

    def is_cooling(self) -> bool:
        """Whether the cooldown since the last opening is not over."""
        opened, cooldown = self.life.last_opened_ms, self.model.cooldown_ms
        return bool(cooldown) and opened is not None and not self.scene.is_over(opened + (cooldown or 0))

    def matches(self, wanted: Any) -> bool:
        """Whether the record is one that `after` or `converts` means; a late one is none."""
        known = self.scene.known
        if wanted is None or wanted.event is None or known is None or known.late:
            return False
        if known.record.source_kind != wanted.event:
            return False
        sight = Sight(self.scene.calendar, self.now_ms, (), self.settings)
        return wanted.where is None or sight.record_test(wanted.where, known.record)

    def is_converted(self, episode: Episode) -> bool:
        """Whether something later than the opening counts as success: a record, or a condition becoming true."""
        record, known, was_unmet = self.scene.record, self.scene.known, episode.unmet
        converts = self.model.converts
        if converts is not None and converts.when is not None:
            episode.unmet = self.is_unmet(was_unmet)
            if was_unmet and not episode.unmet and not (known is not None and known.late):
                return True
        if isinstance(record, Feedback) and record.outcome == "converted":
            return record.tag_id == self.tag_id(episode)
        return self.matches(converts)

    def is_unmet(self, before: bool) -> bool:
        """Whether the condition that converts is not true, as far as warming lets one know."""
        converts = self.model.converts
        if converts is None or converts.when is None:
            return False
        truth = self.evaluate(converts.when)
        return before if truth is None and self.is_warming else truth is not True

    # Tags

    def tag_id(self, episode: Episode) -> str:
        named = f"{self.rule}\0{self.scene.customer.customer_id}\0{episode.number}"
        return f"{self.rule}.{blake2b(named.encode(), digest_size=10).hexdigest()}"

    def open(self, episode_of: dict[str, Any], proposed: bool = False) -> None:
        life, expires = self.life, self.model.expires_ms
        life.episodes += 1
        life.was_untrue = False
        life.last_opened_ms = self.now_ms
        ends = None if expires is None else self.now_ms + expires
        episode = Episode(life.episodes, self.now_ms, ends, **episode_of)
        episode.unmet = self.is_unmet(False)
        if proposed:
            life.proposed = episode
        else:
            life.open = episode
        self.give_off(episode, "opened")

    def close(self, episode: Episode, change: str, reason: str | None = None) -> None:
        self.give_off(episode, change, reason)
        if self.life.proposed is episode:
            self.life.proposed = None
        else:
            self.life.open = None

    def refresh(self, episode: Episode) -> None:
        """A revision when the feature named by `refresh` differs from the last tag's."""
        if self.model.refresh is not None and self._refreshable != episode.last_refreshable:
            self.give_off(episode, "refreshed")

    @property
    def _refreshable(self) -> Any:
        name = self.model.refresh
        return None if name is None or self.scene.successor else self.printed(name)

    def give_off(self, episode: Episode, change: str, reason: str | None = None) -> None:
        scene = self.scene
        episode.revision += 1
        episode.last_refreshable = self._refreshable
        is_open = change in ("opened", "refreshed", "released")
        ends = episode.expires_ms
        scene.tags.append(
            {
                "tag_id": self.tag_id(episode),
                "revision": episode.revision,
                "customer_id": scene.customer.customer_id,
                "rule": self.rule,
                "pack": self.pack,
                "change": change,
                "state": "open" if is_open else "closed",
                "at": scene.calendar.format(self.now_ms),
                "rulebook": scene.successor or scene.book.name,
                "value": self.value(episode),
                "level": episode.level,
                "previous_level": episode.previous_level,
                "reason": reason,
                "need": self.model.need,
                "needs": list(self.model.needs),
                "offer": self._offer(episode.level),
                "delivery": self._delivery(episode, is_open),
                "expires_at": None if ends is None else scene.calendar.format(ends),
                "cause": self._cause(),
            }
        )

    def value(self, episode: Episode) -> dict[str, Any]:
        """Every feature and money name the expressions read, and what the kind of rule adds."""
        said: dict[str, Any] = {}
        if self.scene.successor is None:
            said = self._watched(episode) | self._points() | {name: self.printed(name) for name in self._names}
        if episode.rank is not None:
            said |= {"rank": episode.rank, "previous_rank": episode.previous_rank}
        return said

    def _watched(self, episode: Episode) -> dict[str, Any]:
        said: dict[str, Any] = {}
        if episode.watch is None:
            return said
        texts = [text for _, text in self.model.expressions()]
        if any(RETAINED in names_in(text) for text in texts):
            said["retained"] = number_text(self.retained)
        if isinstance(episode.watch.record, Transaction):
            said["amount"] = money_text(Fraction(episode.watch.record.amount_fen, 100))
        return said

    def _points(self) -> dict[str, Any]:
        if not isinstance(self.model, ScorecardRule):
            return {}
        parts = score_parts(self)
        total = None if None in parts.values() else sum(parts.values())
        return {name: number_text(points) for name, points in {**parts, "total": total}.items()}

    def printed(self, name: str) -> Any:
        return printed(self.look_up(name), self.scene.book.kind(self.pack, name))

    def _offer(self, level: str | None) -> dict[str, Any] | None:
        offer = self.model.offer or getattr(self.model, "offers", {}).get(level)
        if offer is None:
            return None
        owner = self.scene.sight.attribute("owner_id")
        return {**offer.model_dump(), "also": list(offer.also), "owner_id": owner}

    def _delivery(self, episode: Episode, is_open: bool) -> tuple[bool, str | None]:
        """Whether to push, and why not; an episode that closes has nothing to send."""
        if is_open and episode is self.life.proposed:
            return False, "approval"
        if self.model.mode == "shadow":
            return False, "shadow"
        return (False, "replay") if self.scene.recorded else (is_open, None)

    def _cause(self) -> dict[str, Any]:
        record = self.scene.record
        if record is None:
            return {"deadline": self.scene.calendar.format(self.now_ms)}
        source = record.source
        place = {} if source.offset < 0 else {"partition": source.partition, "offset": source.offset}
        return {"topic": source.topic, **place, "event_id": record.event_id}


def score_parts(turn: Turn) -> dict[str, Any]:
    """Weight × points of each part; below the first bin 0, unknown where what is measured is."""
    model = turn.model
    assert isinstance(model, ScorecardRule)
    scores: dict[str, Any] = {}
    for name, part in model.points.items():
        measured = turn.evaluate(part.by)
        if measured is None:
            scores[name] = None
            continue
        number = turn.scene.book.number
        fallen = [points for start, points in part.bins.items() if number(turn.pack, start) <= measured]
        scores[name] = number(turn.pack, part.weight) * number(turn.pack, fallen[-1]) if fallen else Fraction(0)
    return scores


# How values travel


def printed(value: Any, kind: str) -> Any:
    if value is None:
        return None
    match kind:
        case "money":
            return money_text(value)
        case "number":
            return number_text(value)
        case "date":
            return value.isoformat()
        case "list":
            return ", ".join(item if isinstance(item, str) else item.isoformat() for item in value)
    return value


def money_text(value: Any) -> str:
    return _decimal(value, 2)


def number_text(value: Any) -> str | None:
    """A count as it is, a quotient with three decimals; compared as numbers."""
    return None if value is None else _decimal(value, 3)


def _decimal(value: Any, places: int) -> str:
    """Halves away from zero."""
    whole = (abs(Fraction(value)) * 10**places + Fraction(1, 2)).__floor__()
    sign = "-" if value < 0 and whole else ""
    return f"{sign}{whole // 10**places}.{whole % 10**places:0{places}d}"
