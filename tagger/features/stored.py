"""What all features with a state of their own share: their name, the state's address, and the filter."""

from dataclasses import dataclass

from schemas.bankday import BankCalendar
from schemas.journal import CustomerEvent
from tagger.features.contract import Moment
from tagger.features.filters import RecordFilter
from tagger.features.windows import DayWindow
from tagger.state.customer import CustomerState


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
    where: RecordFilter | None
    calendar: BankCalendar


class StoredFeature:
    """A feature whose state events update."""

    parts: tuple[str, ...] = ()

    def __init__(self, stored: Stored) -> None:
        self.name, self.definition, self.key = stored.name, stored.definition, stored.key
        self.meaning = stored.definition
        self.source: str | None = stored.source
        self.filter = stored.where
        self._calendar = stored.calendar

    def update(self, state: CustomerState, event: CustomerEvent, day: int, moment: Moment) -> bool:
        """Fold an event of `day` that the filter matches into the state; True when the value may have changed."""
        raise NotImplementedError

    def window_ms(self, moment: Moment, calendar: BankCalendar) -> tuple[int, int] | None:
        """As `Feature.window_ms`: no window."""
        return None

    def warm_from(self, began_day: int) -> int | None:
        """As `Feature.warm_from`: at once."""
        return None


class WindowedFeature(StoredFeature):
    """A feature over bank days: what it covers, and from when on a new one has seen it all."""

    def __init__(self, stored: Stored, window: DayWindow) -> None:
        super().__init__(stored)
        # `previous` shares the state of the running period.
        self.meaning = f"{stored.definition} as of {window.describe()}"
        self.window = window

    def window_ms(self, moment: Moment, calendar: BankCalendar) -> tuple[int, int] | None:
        if self.window.kind == "ever":
            return None
        first, end = self.window.span(moment.today)
        return calendar.start_ms(first), calendar.start_ms(end)

    def warm_from(self, began_day: int) -> int | None:
        return self.window.full_on(began_day)
