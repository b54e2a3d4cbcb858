"""The contact policy as an analyst writes it (`rules/policy.yaml`, docs/policy.md)."""

import re
from datetime import time
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from schemas.packs.model import ContactChannel, PackModel, one_of
from schemas.packs.scalars import Boolean, DurationMs, Share, Slug, Text, parse_integer, parse_mapping, refuse

CHANNELS: tuple[ContactChannel, ...] = get_args(ContactChannel)
_TIME_OF_DAY = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_MAX_PER_WEEK = 1000
_LIMITS = frozenset({"per_day", "per_week"})


def parse_time_of_day(value: object) -> time:
    """Read a time of the bank's day such as `21:00`."""
    if isinstance(value, time):
        return value
    expected = "a time of day from 00:00 to 23:59, such as 21:00"
    match = _TIME_OF_DAY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        refuse(expected, value if isinstance(value, str) else "something else")
    return time(int(match[1]), int(match[2]))


def _parse_limit(value: object) -> int:
    limit = parse_integer(value)
    if not 1 <= limit <= _MAX_PER_WEEK:
        refuse(f"a number from 1 to {_MAX_PER_WEEK} (`tagger rules pause` stops a rule)", value)
    return limit


TimeOfDay = Annotated[
    time, BeforeValidator(parse_time_of_day), WithJsonSchema({"type": "string", "examples": ["21:00"]})
]
Limit = Annotated[int, BeforeValidator(_parse_limit), WithJsonSchema({"type": ["integer", "string"]})]


class QuietHours(PackModel):
    """From the first time up to, and not including, the second; over midnight where that comes first."""

    from_: TimeOfDay = Field(alias="from")
    to: TimeOfDay

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.from_ == self.to:
            refuse("an end other than the beginning", f"{self.to:%H:%M} twice", at=("to",))
        return self


class Limits(PackModel):
    """How many pushes a bank day and a bank week (Monday to Sunday) may have."""

    per_day: Limit | None = None
    per_week: Limit | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.per_day is None and self.per_week is None:
            refuse("`per_day` or `per_week`", "neither")
        if self.per_day is not None and self.per_week is not None and self.per_day > self.per_week:
            got = f"{self.per_day} a day, {self.per_week} a week"
            refuse("at least as many a week as a day", got, at=("per_week",))
        return self


def _any_family(value: Any) -> Any:
    """Limits without a family's name hold for each family alone."""
    mapping = parse_mapping(value)
    return {"": mapping} if isinstance(mapping, dict) and mapping and set(mapping) <= _LIMITS else mapping


class Caps(PackModel):
    """Limits a channel, and for offers of a family; `""` among the families stands for each of the others."""

    push: Limits | None = None
    call: Limits | None = None
    branch: Limits | None = None
    family: Annotated[
        dict[Annotated[str, Field(max_length=64)], Limits],
        BeforeValidator(_any_family),
        WithJsonSchema({"type": "object"}),
    ] = Field(default_factory=dict)


class Arbitrate(PackModel):
    """Of several tags that mean one thing, one is pushed."""

    within_ms: DurationMs = Field(alias="within")
    one_per: Annotated[Literal["need"], one_of("need")] = "need"
    rank: Annotated[Literal["priority"], one_of("priority")] = "priority"


class Control(PackModel):
    """The share of customers who are tagged and never contacted, drawn anew with another salt."""

    share: Share
    salt: Slug


class Policy(PackModel):
    """`rules/policy.yaml`. What it does not say holds nothing back, but for `consent`, asked for anyway."""

    title: Text | None = None
    source: Text | None = None
    consent: Boolean = True
    quiet_hours: QuietHours | None = None
    caps: Caps | None = None
    arbitrate: Arbitrate | None = None
    control: Control | None = None
    stale_ms: DurationMs | None = Field(None, alias="stale")


POLICY_MODELS: dict[str, type[PackModel]] = {
    "quiet_hours": QuietHours,
    "caps": Caps,
    "push": Limits,
    "call": Limits,
    "branch": Limits,
    "family": Limits,
    "arbitrate": Arbitrate,
    "control": Control,
}
"""Which model a key of the policy is read by, for naming the nearest key."""


def policy_model_at(path: tuple[int | str, ...]) -> type[PackModel]:
    """The model that the value at a validator's path is read by."""
    step = next((str(step) for step in reversed(path) if str(step) in POLICY_MODELS), None)
    return Policy if step is None else POLICY_MODELS[step]
