"""What the contact policy remembers of one customer; it stands at the end of the customer's state.

Bounds: a tag held a rule, a count a name that the policy limits, a last push a need. A customer whom the policy
never held back for a time or counted has none of it.
"""

from collections.abc import Callable

import msgspec

from schemas.bankday import weekday_of


class Contacts(msgspec.Struct, array_like=True, gc=False):
    """Pushes counted and tags held back.

    Attributes:
        held: rule whose open episode is held → the instant at which time ends the reason. What no time ends (no
            consent, a pause) stands in the episode alone.
        counts: channel, or `family/<name>` → pushes on `day`, and in the bank week that holds it.
        day: bank day of the latest push counted.
        needs: need → (instant, rule) of the latest push of that need.
        unsubscribed_ms: when the customer last refused pushes; a later profile gives consent anew.
    """

    held: dict[str, int] = {}
    counts: dict[str, tuple[int, int]] = {}
    day: int = 0
    needs: dict[str, tuple[int, str]] = {}
    unsubscribed_ms: int | None = None

    def is_empty(self) -> bool:
        """Whether there is nothing to remember."""
        return not (self.held or self.counts or self.needs) and self.unsubscribed_ms is None

    def next_release(self, horizon_ms: int) -> int | None:
        """The first instant from the horizon on at which a tag's reason ends."""
        return min([end_ms for end_ms in self.held.values() if end_ms >= horizon_ms], default=None)


def week_start(day: int) -> int:
    """The Monday of the bank week that holds a day."""
    return day - weekday_of(day) + 1


def next_week_start(day: int) -> int:
    """The Monday after the bank week that holds a day."""
    return week_start(day) + 7


def counted(contacts: Contacts, name: str, day: int) -> tuple[int, int]:
    """Pushes by a name on a bank day not before the latest push, and in the week that holds it."""
    if week_start(day) != week_start(contacts.day):
        return 0, 0
    today, week = contacts.counts.get(name, (0, 0))
    return (today if day == contacts.day else 0), week


def count(contacts: Contacts, names: list[str], day: int) -> None:
    """Count a push under each of its names."""
    if day != contacts.day:
        same_week = week_start(day) == week_start(contacts.day)
        contacts.counts = {name: (0, week) for name, (_, week) in contacts.counts.items()} if same_week else {}
        contacts.day = day
    for name in names:
        today, week = contacts.counts.get(name, (0, 0))
        contacts.counts[name] = today + 1, week + 1


def forget(contacts: Contacts, is_counted: Callable[[str], bool], needs_since_ms: int) -> None:
    """Drop counts of names that nothing limits any more, and pushes too old to outrank one."""
    contacts.counts = {name: counts for name, counts in contacts.counts.items() if is_counted(name)}
    contacts.needs = {need: push for need, push in contacts.needs.items() if push[0] >= needs_since_ms}
    if not contacts.counts:
        contacts.day = 0
