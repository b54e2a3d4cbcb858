"""What the core must be told, the same for every reader of one journal.

State and tags are a function of the journal *and of these*; changing one on a living deployment changes what
a replay gives, so they are printed at start and compared by `tagger doctor`.
"""

from dataclasses import dataclass

from schemas.topics import APP_EVENTS, TRANSACTIONS

DEFAULT_ZONE = "Asia/Shanghai"
DEFAULT_CLOCK_TOPICS = (TRANSACTIONS, APP_EVENTS)


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """Settings of the decision core.

    Attributes:
        zone: IANA name of the bank's time zone.
        clock_topics: the topics whose partitions' ticks make up the clock.
        allowed_lateness_days: bank days an event may lie behind the clock's day before its fate is `late`.
        dedupe_days: how long since its arrival an event id is remembered, in days of the customer's clock.
        dedupe_count: how many event ids a customer's state remembers at most; the oldest arrival goes first.
    """

    zone: str = DEFAULT_ZONE
    clock_topics: tuple[str, ...] = DEFAULT_CLOCK_TOPICS
    allowed_lateness_days: int = 2
    dedupe_days: int = 7
    dedupe_count: int = 64
