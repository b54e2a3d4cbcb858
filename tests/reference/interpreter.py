"""The journal, record by record: fates, the clock, deadlines in their order, rulebooks taking effect."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from reference import grades, signals
from reference.book import RETAINED, Book
from reference.language import names_in
from reference.life import Evaluation
from reference.money import MEASURES, balance
from reference.printing import money_text, printed
from reference.scene import Customer, Episode, Scene, Tag
from reference.sight import Known
from reference.verbs import enters, month_start
from schemas.bankday import BankCalendar
from schemas.journal import Activation, AppEvent, JournalRecord, Tick, Transaction
from schemas.packs import features
from schemas.packs.rules import GradedRule, LeveledRule, SignalRule

REMEMBERED_EVENTS = 64
REMEMBERED_DAYS = 7
ALLOWED_LATENESS_DAYS = 2
CLOCK_TOPICS = ("bank.transactions", "bank.app-events")
ALWAYS = ("feedback", "approvals")
_LOOKED_UP = (features.LevelOf, features.ActiveRule, features.Derived)
EMPTY = Book("0:", {})


@dataclass
class Interpreter:
    """Reads a journal under the rulebooks that its activations name.

    Args:
        books: by digest.

    Attributes:
        tags: all of them, in order.
    """

    books: Mapping[str, Book]
    zone: str = "Asia/Shanghai"
    tags: list[Tag] = field(default_factory=list)
    customers: dict[str, Customer] = field(default_factory=dict)
    fates: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.calendar = BankCalendar(self.zone)
        self.book = EMPTY
        self.clock_ms: int | None = None
        self._sources: dict[tuple[str, int], Tick] = {}
        self._waiting: list[Activation] = []
        self._activations = 0
        self._starts: dict[str, tuple[int, date | None]] = {}
        self._recorded = True

    def read(self, records: Iterable[JournalRecord]) -> "Interpreter":
        for record in records:
            if isinstance(record, Tick):
                self._tick(record)
            elif isinstance(record, Activation):
                self._waiting.append(record)
                self._put_in_force()
            else:
                fate = self._event(record)
                self.fates[fate] = self.fates.get(fate, 0) + 1
        return self

    def day_of(self, ms: int) -> date:
        return self.calendar.local(ms).date()

    # Events

    def _event(self, record: Any) -> str:
        customer = self.customers.get(record.customer_id)
        clocks = [self.clock_ms, None if customer is None else customer.clock_ms, record.occurred_ms]
        now_ms = max(clock for clock in clocks if clock is not None)
        today, day = self.day_of(now_ms), self.day_of(record.occurred_ms)
        if customer is not None and self._is_repeated(customer, record, today):
            return "duplicate"
        late = self._is_late(record, day)
        if late and isinstance(record, AppEvent):
            return "late"
        is_new = customer is None
        if customer is None:
            customer = Customer(record.customer_id, self._activations, now_ms, now_ms)
            self.customers[record.customer_id] = customer
        self._pass_time(customer, now_ms)
        customer.seen.append((record.source.topic, record.event_id, today))
        customer.clock_ms = now_ms
        customer.horizon_ms = max(customer.horizon_ms, now_ms)
        known = Known(record, day, today, late, self._activations, self.book.reads_retained)
        customer.history.append(known)
        self._evaluate(customer, now_ms, known, is_new)
        return "late" if late else "applied"

    def _is_repeated(self, customer: Customer, record: Any, today: date) -> bool:
        """Whether the event arrived within the days and the number that are remembered."""
        since = today - timedelta(days=REMEMBERED_DAYS)
        return any(
            (topic, event_id) == (record.source.topic, record.event_id) and arrived >= since
            for topic, event_id, arrived in customer.seen[-REMEMBERED_EVENTS:]
        )

    def _is_late(self, record: Any, day: date) -> bool:
        if self.clock_ms is None or not isinstance(record, Transaction | AppEvent):
            return False
        return day < self.day_of(self.clock_ms) - timedelta(days=ALLOWED_LATENESS_DAYS)

    # Time

    def _tick(self, tick: Tick) -> None:
        self._recorded = tick.recorded
        before_ms = self.clock_ms
        self._tell(tick)
        if self.clock_ms is not None and self.clock_ms != before_ms:
            for customer in self.customers.values():
                self._pass_time(customer, self.clock_ms)
        self._put_in_force()

    def _tell(self, tick: Tick) -> None:
        """The clock is the minimum over the sources that are open, and never falls."""
        source = (tick.topic, tick.partition)
        if tick.topic not in CLOCK_TOPICS:
            return
        known = self._sources.get(source)
        if known is not None and known.time_ms is not None:
            later = max(known.time_ms, known.time_ms if tick.time_ms is None else tick.time_ms)
            tick = Tick(topic=tick.topic, partition=tick.partition, of=tick.of, time_ms=later, closed=tick.closed)
        self._sources[source] = tick
        for topic in CLOCK_TOPICS:
            of = {one.of for (name, _), one in self._sources.items() if name == topic}
            if not of or any((topic, number) not in self._sources for number in range(max(of))):
                return
        times = [one.time_ms for one in self._sources.values() if not one.closed]
        if not times:
            ended = [one.time_ms for one in self._sources.values() if one.time_ms is not None]
            times = [max(ended)] if ended else [None]
        told = [time_ms for time_ms in times if time_ms is not None]
        if len(told) == len(times) and (self.clock_ms is None or min(told) > self.clock_ms):
            self.clock_ms = min(told)

    def _pass_time(self, customer: Customer, before_ms: int) -> None:
        """Evaluate every rule at each instant before another at which anything may be due, in order.

        Evaluating where nothing is due changes nothing, so that too many instants do no harm.
        """
        while True:
            due_ms = min(self._instants(customer), default=before_ms)
            if due_ms >= before_ms:
                return
            self._evaluate(customer, due_ms, None, True)
            customer.clock_ms = max(customer.clock_ms, due_ms)
            customer.horizon_ms = due_ms + 1

    def _instants(self, customer: Customer) -> Iterable[int]:
        horizon_ms = customer.horizon_ms
        turned = self.day_of(horizon_ms - 1)
        turns = turned + timedelta(days=1) if self.book.turns_daily else month_start(turned, -1)
        yield self.calendar.start_ms(turns.toordinal())
        for ms in self._timers(customer):
            if ms >= horizon_ms:
                yield ms

    def _timers(self, customer: Customer) -> Iterable[int]:
        for pack in self.book.packs.values():
            for model in pack.features.values():
                window = getattr(model, "over", None)
                if window is not None and window.unit == "ms":
                    yield from (known.record.occurred_ms + window.count for known in customer.history)
        for pack_name, rule in self.book.order:
            model = self.book.packs[pack_name].rules[rule]
            life = customer.life(rule)
            for episode in (life.open, life.proposed):
                if episode is not None and episode.expires_ms is not None:
                    yield episode.expires_ms
            for since_ms in (life.since_ms, *(watch.since_ms for watch in life.watches)):
                if since_ms is not None:
                    yield since_ms + (model.for_ms or 0)
            if life.last_opened_ms is not None:
                yield life.last_opened_ms + (model.cooldown_ms or 0)
            if isinstance(model, SignalRule) and model.within_ms is not None:
                yield from (watch.opened_ms + model.within_ms for watch in life.watches)
            if model.valid is not None:
                moments = (model.valid.from_, model.valid.to)
                yield from (self.calendar.instant_ms(moment) for moment in moments if moment is not None)

    # Rules

    def scene(self, customer: Customer, now_ms: int, known: Known | None = None) -> Scene:
        return Scene(self.book, self._starts, self.calendar, customer, now_ms, known, self._recorded, self.tags)

    def _evaluate(self, customer: Customer, now_ms: int, known: Known | None, everything: bool) -> None:
        """Evaluate the rules, each after those that it reads; after a record, the ones it touched."""
        scene = self.scene(customer, now_ms, known)
        touched: set[str] = set()
        for pack, rule in self.book.order:
            if everything or self._touches(scene, pack, rule, touched):
                touched.add(rule)
                evaluation = Evaluation(scene, pack, rule)
                (grades if isinstance(evaluation.model, GradedRule) else signals).evaluate(evaluation)

    def _touches(self, scene: Scene, pack: str, rule: str, touched: set[str]) -> bool:
        """Whether a record may matter to a rule: it is of a kind the rule waits for, or changes what it reads."""
        known, model = scene.known, self.book.packs[pack].rules[rule]
        assert known is not None
        kind = known.record.source_kind
        waited_for = (getattr(model, "after", None), model.converts)
        if kind in ALWAYS or any(one is not None and one.event == kind for one in waited_for):
            return True
        if touched & set(self.book.rules_read(pack, rule)):
            return True
        for name in self._names_behind(pack, rule):
            first = name.split(".")[0]
            feature = self.book.packs[pack].features.get(first)
            if feature is None:
                is_money = name in MEASURES or name == RETAINED
                if isinstance(known.record, Transaction) if is_money else scene.sight.profile is known.record:
                    return True
            elif not isinstance(feature, _LOOKED_UP) and enters(feature, scene.sight_of(pack, first), known):
                return True
        return False

    def _names_behind(self, pack: str, rule: str) -> set[str]:
        model = self.book.packs[pack].rules[rule]
        texts = [text for _, text in model.expressions()]
        return self.book.names_read(pack, rule) | (
            {RETAINED} & {name for text in texts for name in names_in(text)}
        )

    # Rulebooks

    def _put_in_force(self) -> None:
        while True:
            ready = [one for one in self._waiting if self._has_come(one)]
            if not ready:
                return
            self._waiting.remove(ready[0])
            self._activate(self.books[ready[0].digest])

    def _has_come(self, activation: Activation) -> bool:
        from_ms = activation.from_ms
        return from_ms is None or (self.clock_ms is not None and self.clock_ms >= from_ms)

    def _activate(self, book: Book) -> None:
        old, self.book = self.book, book
        self._activations += 1
        day = None if self.clock_ms is None else self.day_of(self.clock_ms)
        identities = [book.identity(pack.pack, name) for pack in book.packs.values() for name in pack.features]
        start = (self._activations, day)
        self._starts = {one: self._starts.get(one, start) for one in identities if one is not None}
        for _, customer in sorted(self.customers.items()):
            now_ms = max(customer.clock_ms, customer.clock_ms if self.clock_ms is None else self.clock_ms)
            self._close_what_is_gone(customer, old, now_ms)
            customer.horizon_ms = max(customer.horizon_ms, now_ms)
            customer.clock_ms = now_ms
            self._evaluate(customer, now_ms, None, True)

    def _close_what_is_gone(self, customer: Customer, old: Book, now_ms: int) -> None:
        """A removed rule, or one become another kind, revokes its episodes; so does a level that is gone."""
        scene = Scene(old, {}, self.calendar, customer, now_ms, None, self._recorded, self.tags, self.book.name)
        for pack, rule in old.order:
            life, model = customer.life(rule), old.packs[pack].rules[rule]
            successor = self.book.rule(rule) if rule in self.book.rule_names else None
            evaluation = Evaluation(scene, pack, rule)
            if not _continues(model, successor):
                for episode in (life.open, life.proposed):
                    self._revoke(evaluation, episode, "rule removed")
                customer.lives[rule] = type(life)(life.episodes, life.last_opened_ms)
                continue
            if isinstance(successor, GradedRule):
                self._drop_levels(evaluation, successor)
            for episode in (life.open, life.proposed):
                if episode is not None and successor is not None and successor.expires_ms is None:
                    episode.expires_ms = None

    def _drop_levels(self, evaluation: Evaluation, successor: GradedRule) -> None:
        life, names = evaluation.life, successor.level_names
        has_approval = isinstance(successor, LeveledRule) and successor.approval is not None
        if life.level is not None and life.level not in names:
            self._revoke(evaluation, life.open, "level")
            life.level, life.pending, life.since_ms, life.left = None, None, None, []
        if life.computed is not None and (not has_approval or life.computed not in names):
            self._revoke(evaluation, life.proposed, "level")
            life.computed = None

    def _revoke(self, evaluation: Evaluation, episode: Episode | None, reason: str) -> None:
        if episode is not None:
            evaluation.close(episode, "revoked", reason)

    # Features

    def measure(self, customer_id: str, now_ms: int) -> dict[str, Any]:
        """What `tagger features` writes for a customer, by column."""
        customer = self.customers[customer_id]
        scene = self.scene(customer, now_ms)
        transactions = scene.sight.transactions
        values: dict[str, Any] = {name: money_text(balance(transactions, name)) for name in MEASURES}
        for pack in self.book.packs.values():
            for name, model in pack.features.items():
                for column in [f"{name}.{part}" for part in self.book.parts(model)] or [name]:
                    kind = self.book.kind(pack.pack, column)
                    values[f"{pack.pack}.{column}"] = printed(scene.value(pack.pack, column), kind)
            for rule, model in pack.rules.items():
                if isinstance(model, GradedRule):
                    values[f"{pack.pack}.{rule}"] = customer.life(rule).level
        return values


def _continues(model: Any, successor: Any) -> bool:
    """Whether what a rule knows of a customer means the same to the rule of its name in the next rulebook."""
    if isinstance(model, SignalRule) and isinstance(successor, SignalRule):
        return (model.after is None) == (successor.after is None)
    return isinstance(model, GradedRule) and isinstance(successor, GradedRule)
