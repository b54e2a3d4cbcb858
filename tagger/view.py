"""What a customer's state shows to readers: the profile and the open tags (contracts.md §4).

A view is a pure function of the changelog's value, so whatever stands in Redis can be thrown away and made
again.
"""

from dataclasses import dataclass, field

from schemas.tags import Delivery


@dataclass(frozen=True, slots=True)
class OpenTag:
    """One open episode.

    Attributes:
        opened_ms: when it opened, epoch milliseconds; `opened_at` is the same instant in bank time.
        expires_at: RFC 3339 in bank time, None when it does not expire.
        level: the ladder's level, None for other kinds.
        delivery: as of its last revision.
    """

    rule: str
    revision: int
    opened_ms: int
    opened_at: str
    expires_at: str | None
    delivery: Delivery
    level: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What readers may see of one customer.

    Attributes:
        profile: field → text: `assets`, `segment`, `updated_at`, and `level.{scheme}` a ladder.
        tags: tag id → open episode, in order of opening.
    """

    profile: dict[str, str] = field(default_factory=dict)
    tags: dict[str, OpenTag] = field(default_factory=dict)


def project_customer(state: bytes) -> View:
    """The view of a changelog value.

    Raises:
        msgspec.DecodeError: the changelog holds something the fold did not write.
    """
    raise NotImplementedError
