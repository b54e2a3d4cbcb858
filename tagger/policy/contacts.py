"""What the contact policy remembers of one customer; it stands at the end of the customer's state.

Bounds: a tag held a rule, a count a name that the policy caps, a last push a need. A customer whom the policy
never held back or counted has none of it.
"""

import msgspec


class Contacts(msgspec.Struct, array_like=True):
    """Pushes counted and tags held back.

    Attributes:
        held: rule whose open episode is held → the instant its reason ends, `NEVER` when no time ends it.
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
