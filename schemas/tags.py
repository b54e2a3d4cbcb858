"""The tag event: what the push service acts on (`tagger contracts export`). Field order is wire order."""

from typing import Literal

import msgspec

Change = Literal["opened", "refreshed", "converted", "expired", "revoked", "released"]
EpisodeState = Literal["open", "closed"]
RevokeReason = Literal["ended", "until", "level", "late", "rejected", "rule removed"]
HeldReason = Literal[
    "approval", "no_consent", "quiet_hours", "cap", "outranked",
    "control", "shadow", "over_budget", "stale", "replay",
]  # fmt: skip
# Money and quotients travel as decimal strings, counts as integers, dates as ISO text; unknown is null.
Printed = str | int | bool | None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of a rule as it was measured.

    `window` is the first instant and the first instant after it; `events` are ids, the tripping one last.
    """

    condition: str
    measured: dict[str, Printed]
    threshold: str | None
    holds: bool | None
    window: tuple[str, str] | None = None
    events: tuple[str, ...] = ()


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    family: str
    also: tuple[str, ...] = ()
    channel: str = "push"
    priority: int = 0
    policy: str | None = None
    owner_id: str | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the push service may act, and if not, why.

    `not_before` is the first time at which no reason known now holds the tag; null where no time ends it. `detail`
    says which cap, whose push, which hours.
    """

    push: bool
    reason: HeldReason | None = None
    not_before: str | None = None
    control: bool = False
    detail: str | msgspec.UnsetType = msgspec.UNSET


class RecordCause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The record that brought a tag about; partition and offset are left out where a file was read."""

    topic: str
    partition: int | None = None
    offset: int | None = None
    event_id: str


class DeadlineCause(msgspec.Struct, frozen=True, kw_only=True):
    """The time whose passing brought a tag about."""

    deadline: str


class TagEvent(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int = 1
    tag_id: str
    revision: int
    customer_id: str
    rule: str
    pack: str
    change: Change
    state: EpisodeState
    at: str
    rulebook: str
    value: dict[str, Printed]
    level: str | None = None
    previous_level: str | None = None
    reason: RevokeReason | None = None
    evidence: tuple[Evidence, ...] = ()
    offer: Offer | None = None
    need: str | None = None
    delivery: Delivery
    expires_at: str | None = None
    cause: RecordCause | DeadlineCause
    needs: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


_ENCODER = msgspec.json.Encoder()


def encode_tag(tag: TagEvent) -> bytes:
    """Write a tag as a `tagging.tags` value; equal tags give equal bytes."""
    return _ENCODER.encode(tag)
