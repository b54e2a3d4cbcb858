"""What a rulebook gives off over a history, and how it differs from what another does (`tagger backtest`).

A push is a revision that the contact policy lets go: `delivery.push`, or the reason `replay`, which is told last
and so of what would have been pushed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import msgspec

from schemas.tags import Printed

_DATE = len("2026-03-02")


class _Delivery(msgspec.Struct):
    push: bool
    reason: str | None = None
    control: bool = False


class _Offer(msgspec.Struct):
    family: str
    channel: str


class _Evidence(msgspec.Struct):
    condition: str
    measured: dict[str, Printed]


class _Tag(msgspec.Struct):
    customer_id: str
    rule: str
    change: str
    state: str
    at: str
    level: str | None
    delivery: _Delivery
    evidence: list[_Evidence]
    offer: _Offer | None


_TAG = msgspec.json.Decoder(_Tag)
Opening = tuple[str, str, str]
"""Rule, level ("" for none) and time of an episode that opened."""


@dataclass(slots=True)
class Volume:
    """What one rulebook gave off.

    Attributes:
        name: `version:digest`.
        opened: episodes by rule and bank day (ISO text).
        pushes: by rule, day, and channel and family of the offer.
        held: revisions not pushed, by rule and reason.
        openings: by customer, each with the conditions that held.
    """

    name: str
    opened: Counter[tuple[str, str]] = field(default_factory=Counter)
    pushes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    held: Counter[tuple[str, str]] = field(default_factory=Counter)
    openings: dict[str, dict[Opening, str]] = field(default_factory=lambda: defaultdict(dict))

    def take(self, encoded: bytes) -> None:
        """Take an encoded tag event in."""
        tag = _TAG.decode(encoded)
        day = tag.at[:_DATE]
        if tag.change == "opened":
            self.opened[tag.rule, day] += 1
            self.openings[tag.customer_id][tag.rule, tag.level or "", tag.at] = _why(tag.evidence)
        if tag.state != "open":
            return
        if tag.delivery.push or tag.delivery.reason == "replay":
            offer = "no offer" if tag.offer is None else f"{tag.offer.channel}, {tag.offer.family}"
            self.pushes[tag.rule, day, offer] += 1
        else:
            self.held[tag.rule, tag.delivery.reason or "none"] += 1

    @property
    def days(self) -> list[str]:
        """The bank days on which something opened or was pushed."""
        return sorted({day for _, day in self.opened} | {day for _, day, _ in self.pushes})

    def opened_of(self, rule: str) -> int:
        """Episodes of a rule."""
        return sum(count for (one, _), count in self.opened.items() if one == rule)

    def pushed_of(self, rule: str) -> int:
        """Pushes of a rule."""
        return sum(count for (one, _, _), count in self.pushes.items() if one == rule)

    def pushed_on(self, day: str) -> int:
        """Pushes on a bank day."""
        return sum(count for (_, one, _), count in self.pushes.items() if one == day)


@dataclass(frozen=True, slots=True)
class Departure:
    """A customer's episode that only one of two rulebooks opens.

    Attributes:
        is_new: the newer one opens it.
        why: the conditions that held there, with what was measured.
    """

    customer_id: str
    rule: str
    level: str
    at: str
    is_new: bool
    why: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A rulebook's volume, beside that of the one it is compared with."""

    new: Volume
    old: Volume | None = None

    @property
    def rules(self) -> list[str]:
        """Every rule that opened or pushed something."""
        sides = [self.new] if self.old is None else [self.new, self.old]
        return sorted({rule for side in sides for rule, *_ in (*side.opened, *side.held, *side.pushes)})

    @property
    def days(self) -> list[str]:
        """Every bank day on which something happened."""
        return sorted({*self.new.days, *([] if self.old is None else self.old.days)})

    @property
    def span_days(self) -> int:
        """Bank days from the first to the last of them, at least 1."""
        days = self.days
        return (date.fromisoformat(days[-1]) - date.fromisoformat(days[0])).days + 1 if days else 1

    def departures(self) -> Iterator[Departure]:
        """What only one of the two opens, by customer and time."""
        if self.old is None:
            return
        for customer in sorted({*self.new.openings, *self.old.openings}):
            new, old = self.new.openings.get(customer, {}), self.old.openings.get(customer, {})
            only = [(opening[2], opening, True) for opening in new if opening not in old]
            only += [(opening[2], opening, False) for opening in old if opening not in new]
            for at, (rule, level, _), is_new in sorted(only):
                why = (new if is_new else old)[rule, level, at]
                yield Departure(customer, rule, level, at, is_new, why)


def _why(evidence: list[_Evidence]) -> str:
    parts = []
    for one in evidence:
        measured = ", ".join(
            f"{name} {'unknown' if value is None else value}" for name, value in one.measured.items()
        )
        parts.append(f"{one.condition} ({measured})" if measured else one.condition)
    return "; ".join(parts)
