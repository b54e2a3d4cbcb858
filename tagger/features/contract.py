"""What a compiled feature offers, whatever its verb."""

from typing import Any, Protocol

import msgspec

from schemas.bankday import BankCalendar
from tagger.state.customer import CustomerState

Environment = list[Any]
"""What expressions read: today, what a watch has retained, then the value of each feature read."""
TODAY, RETAINED, FIRST_NAME = 0, 1, 2
"""Where an environment's parts stand; measured values from `FIRST_NAME` on."""


class Moment(msgspec.Struct, gc=False):
    """When something is measured: an instant and its bank day."""

    now_ms: int
    today: int


class Feature(Protocol):
    """One measured value of a customer."""

    @property
    def name(self) -> str:
        """`pack.feature`."""

    @property
    def definition(self) -> str:
        """Canonical text of what it means; features of equal definition share their state."""

    @property
    def meaning(self) -> str:
        """Text of what the value is; features of equal meaning have equal values."""

    @property
    def key(self) -> int:
        """Hash of the definition, the address of its state; 0 for one that keeps none."""

    @property
    def source(self) -> str | None:
        """The events that update its state, `transactions` or `app_events`; None where none does."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of its parts (`value`, `count`), empty for a plain value."""

    def value(self, state: CustomerState, moment: Moment) -> Any:
        """The value, a tuple where it has parts; None is unknown."""

    def next_change(self, state: CustomerState, evaluated_day: int, horizon_ms: int) -> int | None:
        """The earliest instant, not before `horizon_ms`, at which passing time alone may change the value.

        Args:
            evaluated_day: the last bank day whose beginning has been evaluated.
        """

    def window_ms(self, moment: Moment, calendar: BankCalendar) -> tuple[int, int] | None:
        """What the value covers: its first instant and the first after it."""

    def warm_from(self, began_day: int) -> int | None:
        """The bank day from which a feature that began on `began_day` is exact; None: at once."""
