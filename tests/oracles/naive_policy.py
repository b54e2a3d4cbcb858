"""The contact policy, recomputed from what the rules would push: every held tag asked again at every instant.

Works on the tags of a run without policy, whose episodes are the same, and shares no code with the gate. Instants
are minutes; `instants` must hold every one at which a reason may end.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

BEIJING = timezone(timedelta(hours=8))


@dataclass
class Wish:
    """A tag that the rules would push."""

    rule: str
    need: str | None
    family: str | None
    channel: str
    priority: int
    opened: datetime
    reason: str | None = None


@dataclass
class Naive:
    """One customer under one policy; caps are (a day, a week), None without."""

    places: list[str]
    consent: bool = True
    quiet: tuple[int, int] | None = None
    caps: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)
    family: tuple[int | None, int | None] | None = None
    within: timedelta | None = None
    agreed: dict[str, bool] = field(default_factory=dict)
    agreed_at: datetime | None = None
    refused_at: datetime | None = None
    paused: set[str] = field(default_factory=set)
    pushes: list[tuple[datetime, Wish]] = field(default_factory=list)
    held: dict[str, Wish] = field(default_factory=dict)
    told: list[tuple[str, str, str, str | None]] = field(default_factory=list)

    def tags(self, now: datetime, tags: list[dict[str, Any]], is_record: bool, recheck: str | None) -> None:
        """One occasion: what the rules gave off together, and what is held.

        Args:
            recheck: the reason that this occasion may have ended; None at a deadline, which asks all.
        """
        asked: list[tuple[Wish, str | None]] = []
        for tag in tags:
            if tag["state"] == "closed":
                self.held.pop(tag["rule"], None)
                self.told.append((now.isoformat(), tag["rule"], tag["change"], None))
                continue
            offer = tag["offer"] or {"family": None, "channel": "push", "priority": 0}
            wish = Wish(tag["rule"], tag["need"], offer["family"], offer["channel"], offer["priority"], now)
            if tag["change"] == "refreshed":
                wish.opened = max(
                    datetime.fromisoformat(row[0]) for row in self.told if row[1:3] == (tag["rule"], "opened")
                )
            self.held.pop(tag["rule"], None)
            asked.append((wish, tag["change"]))
        fresh = {wish.rule for wish, _ in asked}
        for rule, wish in list(self.held.items()):
            if rule not in fresh and (recheck is None or wish.reason == recheck):
                asked.append((wish, None))
        asked.sort(key=lambda one: (-one[0].priority, one[0].opened, self.places.index(one[0].rule)))
        for wish, change in asked:
            wish.reason = self.reason(now, wish, is_record)
            if wish.reason is None:
                self.held.pop(wish.rule, None)
                self.pushes.append((now, wish))
                self.told.append((now.isoformat(), wish.rule, change or "released", "push"))
            else:
                self.held[wish.rule] = wish
                if change:
                    self.told.append((now.isoformat(), wish.rule, change, wish.reason))

    def reason(self, now: datetime, wish: Wish, is_record: bool) -> str | None:
        if wish.rule in self.paused:
            return "over_budget"
        if self.consent and not self.may_contact(wish.channel):
            return "no_consent"
        if self.quiet is not None:
            start, end = self.quiet
            if (start <= now.hour < end) if start < end else (now.hour >= start or now.hour < end):
                return "quiet_hours"
        if self.is_capped(now, wish):
            return "cap"
        for at, pushed in self.pushes:
            if self.within is None or wish.need is None or pushed.need != wish.need or pushed.rule == wish.rule:
                continue
            if now < at + self.within or (is_record and now == at + self.within):
                return "outranked"
        return None

    def may_contact(self, channel: str) -> bool:
        if not self.agreed.get(channel):
            return False
        if channel != "push" or self.refused_at is None:
            return True
        assert self.agreed_at is not None
        return self.agreed_at > self.refused_at

    def is_capped(self, now: datetime, wish: Wish) -> bool:
        limits = [(self.caps[wish.channel], "channel")] if wish.channel in self.caps else []
        if self.family is not None and wish.family is not None:
            limits.append((self.family, "family"))
        for (a_day, a_week), what in limits:
            alike = [at for at, pushed in self.pushes if getattr(pushed, what) == getattr(wish, what)]
            today = sum(at.date() == now.date() for at in alike)
            week = sum(at.isocalendar()[:2] == now.isocalendar()[:2] for at in alike)
            if (a_day is not None and today >= a_day) or (a_week is not None and week >= a_week):
                return True
        return False
