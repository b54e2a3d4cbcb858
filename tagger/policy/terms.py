"""A contact policy, compiled: what holds a tag back, as numbers of one bank calendar."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from hashlib import blake2b

from schemas.bankday import BankCalendar
from schemas.packs.policy import CHANNELS, Control, Limits, Policy, QuietHours

_HASH_BYTES = 8
_ANY_FAMILY = ""


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """What a policy says; without any, it holds nothing back.

    Attributes:
        consent: a tag is pushed only to whom has agreed to its channel.
        limits: of a channel, or of `family/<name>`; `family/` stands for each family without limits of its own.
        within_ms: for how long after a push later tags of its need are outranked; None without arbitration.
        stale_ms: how far the clock may have gone beyond a tag's `at`, at most.
    """

    consent: bool = False
    quiet_hours: QuietHours | None = None
    limits: Mapping[str, Limits] = field(default_factory=dict)
    within_ms: int | None = None
    control: Control | None = None
    stale_ms: int | None = None

    def is_control(self, customer_id: str) -> bool:
        """Whether a customer belongs to the control group, by a hash of customer and salt."""
        if self.control is None:
            return False
        digest = blake2b(f"{self.control.salt}\0{customer_id}".encode(), digest_size=_HASH_BYTES).digest()
        return int.from_bytes(digest, "big") < self.control.share * (1 << 8 * _HASH_BYTES)

    def limits_of(self, channel: str, family: str | None) -> list[tuple[str, Limits]]:
        """The limits that a push falls under, each with the name it is counted by."""
        names = [(channel, channel)]
        if family is not None:
            name = family_name(family)
            names.append((name, name if name in self.limits else family_name(_ANY_FAMILY)))
        return [(name, self.limits[limited]) for name, limited in names if limited in self.limits]

    def counts(self, name: str) -> bool:
        """Whether anything is counted by a name."""
        return name in self.limits or (family_name(_ANY_FAMILY) in self.limits and name not in CHANNELS)

    def quiet_end(self, at_ms: int, calendar: BankCalendar) -> int | None:
        """The first instant after the quiet hours that hold `at_ms`; None when it lies in none."""
        if self.quiet_hours is None:
            return None
        local = calendar.local(at_ms)
        start, end = self.quiet_hours.from_, self.quiet_hours.to
        now = local.time()
        if not (start <= now < end if start < end else now >= start or now < end):
            return None
        day = local.date() if now < end else local.date() + timedelta(days=1)
        return _next(datetime.combine(day, end), at_ms, calendar)


def compile_policy(policy: Policy) -> PolicyTerms:
    """Take a policy apart into its terms."""
    limits: dict[str, Limits] = {}
    if policy.caps is not None:
        channels = {channel: getattr(policy.caps, channel) for channel in CHANNELS}
        limits |= {channel: of for channel, of in channels.items() if of is not None}
        limits |= {family_name(family): of for family, of in policy.caps.family.items()}
    return PolicyTerms(
        consent=policy.consent,
        quiet_hours=policy.quiet_hours,
        limits=limits,
        within_ms=None if policy.arbitrate is None else policy.arbitrate.within_ms,
        control=policy.control,
        stale_ms=policy.stale_ms,
    )


def family_name(family: str) -> str:
    """The name a family's pushes are counted by; no channel has one like it."""
    return f"family/{family}"


def format_hours(hours: QuietHours) -> str:
    """`21:00 to 09:00`."""
    return f"{_format(hours.from_)} to {_format(hours.to)}"


def _format(of_day: time) -> str:
    return of_day.strftime("%H:%M")


def _next(moment: datetime, after_ms: int, calendar: BankCalendar) -> int:
    """The instant of a bank time, the second one where the clock was put back in between."""
    instant_ms = calendar.instant_ms(moment)
    return instant_ms if instant_ms > after_ms else calendar.instant_ms(moment.replace(fold=1))
