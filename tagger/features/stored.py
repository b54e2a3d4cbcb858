"""What all features with a state of their own share: their name, the state's address, and the filter."""

from dataclasses import dataclass

from schemas.bankday import BankCalendar
from tagger.features.contract import Where


@dataclass(frozen=True, slots=True)
class Stored:
    """What addresses and feeds a state.

    Attributes:
        definition: canonical text of what the feature means.
        key: hash of the definition.
        source: the events that update it.
        where: which of them; None for all.
    """

    name: str
    definition: str
    key: int
    source: str
    where: Where | None
    calendar: BankCalendar


class StoredFeature:
    """A feature whose state events update."""

    parts: tuple[str, ...] = ()

    def __init__(self, stored: Stored) -> None:
        self.name, self.definition, self.key = stored.name, stored.definition, stored.key
        self.source: str | None = stored.source
        self._where, self._calendar = stored.where, stored.calendar
