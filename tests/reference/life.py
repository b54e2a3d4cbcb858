"""One evaluation of one rule for one customer, and the tags it gives off."""

import ast
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from hashlib import blake2b
from typing import Any

from reference import money
from reference.book import RETAINED
from reference.language import Walker, names_in, names_of, parse
from reference.printing import money_text, number_text, printed
from reference.scene import Episode, Life, Scene, Watch
from reference.sight import Sight
from schemas.journal import Feedback, Transaction
from schemas.packs.rules import RuleModel, ScorecardRule, SignalRule

HOLD = "hold"
"""A condition that is unknown only because a feature is warming: it neither opens nor ends anything."""


@dataclass(eq=False)
class Evaluation:
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
        sight = self.scene.sight
        stands = money.above(sight.transactions, sight.moves_kept, self.watch.number)
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
                "evidence": self._evidence(change),
            }
        )

    def _evidence(self, change: str) -> list[tuple[Any, dict[str, Any]]] | None:
        """Of each `and` part of a signal's decisive condition: whether it holds, and what it measured."""
        model = self.model
        if not isinstance(model, SignalRule):
            return None
        if self.scene.successor is not None:
            return []
        decisive = model.until if change == "revoked" and model.until is not None else model.when
        tree = parse(decisive)
        parts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
        walker = Walker(self.look_up, self.settings, self.scene.sight.today)
        return [(walker.walk(part), self._measured_by(part)) for part in parts]

    def _measured_by(self, part: ast.expr) -> dict[str, Any]:
        named = set(names_of(part))
        said = {name: self.printed(name) for name in self._names if name in named}
        return said | ({RETAINED: number_text(self.retained)} if RETAINED in named else {})

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


def score_parts(evaluation: Evaluation) -> dict[str, Any]:
    """Weight × points of each part; below the first bin 0, unknown where what is measured is."""
    model = evaluation.model
    assert isinstance(model, ScorecardRule)
    scores: dict[str, Any] = {}
    for name, part in model.points.items():
        measured = evaluation.evaluate(part.by)
        if measured is None:
            scores[name] = None
            continue
        number = evaluation.scene.book.number
        fallen = [points for start, points in part.bins.items() if number(evaluation.pack, start) <= measured]
        scores[name] = (
            number(evaluation.pack, part.weight) * number(evaluation.pack, fallen[-1]) if fallen else Fraction(0)
        )
    return scores
