"""How long a lane rests after a fetch: the stage whose work nothing waits for gathers, and leaves the processor.

A tag waits for ingest and decide, nothing waits for the view. What project writes is absolute, so that a customer
who moved ten times between two writes costs one write. Left to take whatever is there it writes each change alone,
which takes more CPU than to decide the event.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from streams.settings import Settings

SHARES: Mapping[str, float] = {"project": 4.0}
"""Rest of a stage's lanes, as a multiple of the time the fetch before took: short when idle, longer the busier the
process is. Stages not named never rest."""
_WORTH = 0.25
"""A waiting fetch with this part of `fetch_bytes` ends a rest."""
_CUT = 0.75
"""After a fetch with this part of `fetch_bytes`, framing not counted, there was more already: no rest follows."""


class _Record(Protocol):
    """What is looked at of a record."""

    @property
    def value(self) -> bytes | None: ...


class Rest:
    """The rests of one lane. Times are seconds of one monotonic clock."""

    def __init__(self, stage: str, settings: Settings) -> None:
        self._share = SHARES.get(stage, 0.0)
        self._most_seconds = settings.view_rest_seconds
        self._records = settings.batch_records
        self._bytes = settings.fetch_bytes
        self._until = 0.0

    def worked(self, done: Sequence[_Record], began: float, ended: float) -> None:
        """Say when the last fetch was processed."""
        behind = bool(self._share) and self._fills(done, _CUT)
        self._until = ended if behind else ended + min((ended - began) * self._share, self._most_seconds)

    def left(self, waiting: Sequence[_Record], now: float) -> float:
        """Seconds that a fetch is to be left waiting; 0 when it may be processed."""
        if now >= self._until or self._fills(waiting, _WORTH):
            return 0.0
        return self._until - now

    def _fills(self, fetch: Sequence[_Record], part: float) -> bool:
        if len(fetch) >= self._records:
            return True
        return sum(len(record.value or b"") for record in fetch) >= part * self._bytes
