"""What goes out, as pydantic models: the tag event and the dead letter, for JSON Schema and for readers.

The pipeline itself writes the structures of `schemas.tags` and `schemas.deadletters`; a test holds both to the
same fields, types and defaults.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.deadletters import MAX_GOT_CHARACTERS, Reason
from schemas.events import MAX_INTEGER
from schemas.tags import Change, EpisodeState, HeldReason, Printed, RevokeReason

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Output(BaseModel):
    """Readers must ignore fields they do not know: some may be added."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Evidence(Output):
    """One condition of a rule as it was measured; `window` is half-open, the tripping event is the last."""

    condition: str
    measured: dict[str, Printed]
    threshold: str | None
    holds: Annotated[bool | None, Field(description="null is unknown")]
    window: tuple[Time, Time] | None = None
    events: tuple[str, ...] = ()


class Offer(Output):
    """What to offer."""

    family: str
    also: tuple[str, ...] = ()
    channel: str = "push"
    priority: int = 0
    policy: str | None = None
    owner_id: str | None = None


class Delivery(Output):
    """Whether the push service may act on the tag, and if not, why."""

    push: bool
    reason: HeldReason | None = None
    not_before: Time | None = None
    control: Annotated[bool, Field(description="the customer belongs to the control group")] = False
    detail: Annotated[str | None, Field(description="which cap, whose push, which hours; may be left out")] = None


class RecordCause(Output):
    """The record that brought the tag about; partition and offset are left out where a file was read."""

    topic: str
    partition: int | None = None
    offset: int | None = None
    event_id: str


class DeadlineCause(Output):
    """The time whose passing brought the tag about."""

    deadline: Time


class TagEvent(Output):
    """A revision of a tag (`tagging.tags`); (`tag_id`, `revision`) is the idempotency key."""

    schema_version: int = 1
    tag_id: str
    revision: Annotated[int, Field(ge=1)]
    customer_id: str
    rule: str
    pack: str
    change: Change
    state: EpisodeState
    at: Time
    rulebook: str
    value: dict[str, Printed]
    level: str | None = None
    previous_level: str | None = None
    reason: RevokeReason | None = None
    evidence: tuple[Evidence, ...] = ()
    offer: Offer | None = None
    need: str | None = None
    delivery: Delivery
    expires_at: Time | None = None
    cause: RecordCause | DeadlineCause
    needs: Annotated[
        tuple[str, ...] | None, Field(description="what the customer may need besides; left out where none")
    ] = None


class DeadLetterSource(Output):
    """Where the bad record lies; offset -1 for a file."""

    topic: str
    partition: int
    offset: Annotated[int, Field(ge=-1, le=MAX_INTEGER)]
    timestamp: Annotated[int | None, Field(description="the broker's, epoch milliseconds")]


class DeadLetter(Output):
    """A refused record (`tagging.dead-letters`); the fields with a default are left out where they say nothing."""

    source: DeadLetterSource
    reason: Reason
    field: str | None
    expected: str
    got: Annotated[str, Field(max_length=MAX_GOT_CHARACTERS)]
    key: str | None
    payload: str | None
    at: Time
    key_encoding: Literal["base64"] | None = None
    key_size: int | None = None
    payload_encoding: Literal["base64"] | None = None
    payload_size: Annotated[int | None, Field(description="bytes of the whole value, when it was cut")] = None
    payload_sha256: Annotated[str | None, Field(description="of the whole value, when it was cut")] = None
