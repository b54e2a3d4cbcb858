"""What features share that are worked out when read, and keep no state of their own."""

from schemas.bankday import BankCalendar
from tagger.features.contract import Moment
from tagger.state.customer import CustomerState


class Computed:
    """A feature without a state: one plain value, from the beginning on, that time leaves as it is."""

    source: str | None = None
    parts: tuple[str, ...] = ()
    key = 0

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        return None

    def window_ms(self, moment: Moment, calendar: BankCalendar) -> tuple[int, int] | None:
        return None

    def warm_from(self, began_day: int) -> int | None:
        return None
