"""Why a tag may not be pushed, one function a reason, in the order in which they are asked.

A reason that time ends says when; the first that holds is told. What ends one reason may begin another, so a tag
is held until none of the reasons that time ends would hold it any more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from schemas.bankday import BankCalendar
from schemas.tags import HeldReason, Offer
from tagger.kinds.contract import Occasion
from tagger.policy.terms import PolicyTerms, format_hours
from tagger.state.contacts import Contacts, counted, next_week_start
from tagger.state.customer import CustomerState, Episode


@dataclass(slots=True)
class Candidate:
    """A tag that the rules would push, or a held one whose reason has ended.

    Attributes:
        place: of the rule among the program's.
        tag: its index among the tags given off; None for a held one.
        episode: None for a tag whose episode has closed by the same record.
    """

    rule: str
    place: int
    need: str | None
    offer: Offer
    tag: int | None
    episode: Episode | None

    @property
    def rank(self) -> tuple[int, float, int]:
        """The first is pushed first: the higher priority, then the older episode, then the earlier rule."""
        opened_ms = float("inf") if self.episode is None else self.episode.opened_ms
        return -self.offer.priority, opened_ms, self.place


@dataclass(frozen=True, slots=True)
class Review:
    """One customer's tags held against the policy on one occasion: what the reasons look at.

    Attributes:
        paused: rules of which nothing may be pushed.
        known_ms: the time up to which deadlines are being passed; None at a record.
    """

    terms: PolicyTerms
    paused: frozenset[str]
    calendar: BankCalendar
    state: CustomerState
    contacts: Contacts
    occasion: Occasion
    known_ms: int | None


class Hold(NamedTuple):
    """A reason with what is to be said of it; `ends` where time ends it."""

    reason: HeldReason
    detail: str | None = None
    ends: bool = False


def find_hold(review: Review, candidate: Candidate) -> Hold | None:
    """The first reason against a push, None when it may go."""
    for reason in REASONS:
        hold = reason(review, candidate)
        if hold is not None:
            return hold
    return None


def free_from(review: Review, candidate: Candidate, since_ms: int) -> int:
    """The first instant from `since_ms` on at which no reason that time ends holds a tag, as things stand."""
    while True:
        ends = [end(review, candidate, since_ms) for end in _ENDS]
        end_ms = max((one for one in ends if one is not None), default=since_ms)
        if end_ms <= since_ms:
            return since_ms
        since_ms = end_ms


def has_consent(state: CustomerState, contacts: Contacts | None, channel: str) -> bool:
    """Whether the latest profile agrees to a channel, and no later word of the customer refuses pushes."""
    if state.attributes is None or not getattr(state.attributes.consent, channel):
        return False
    refused_ms = None if contacts is None or channel != "push" else contacts.unsubscribed_ms
    return refused_ms is None or state.profile_ms > refused_ms


def _paused(review: Review, candidate: Candidate) -> Hold | None:
    return Hold("over_budget", "paused") if candidate.rule in review.paused else None


def _without_consent(review: Review, candidate: Candidate) -> Hold | None:
    channel = candidate.offer.channel
    if not review.terms.consent or has_consent(review.state, review.contacts, channel):
        return None
    return Hold("no_consent", channel)


def _stale(review: Review, _: Candidate) -> Hold | None:
    stale_ms, known_ms = review.terms.stale_ms, review.known_ms
    if stale_ms is None or known_ms is None or known_ms - review.occasion.now_ms <= stale_ms:
        return None
    return Hold("stale")


def _quiet(review: Review, candidate: Candidate) -> Hold | None:
    hours = review.terms.quiet_hours
    if hours is None or _quiet_end(review, candidate, review.occasion.now_ms) is None:
        return None
    return Hold("quiet_hours", format_hours(hours), ends=True)


def _capped(review: Review, candidate: Candidate) -> Hold | None:
    day = review.occasion.today
    offer = candidate.offer
    for name, limits in review.terms.limits_of(offer.channel, offer.family or None):
        today, week = counted(review.contacts, name, day)
        if limits.per_week is not None and week >= limits.per_week:
            return Hold("cap", f"{name}: {limits.per_week} a week", ends=True)
        if limits.per_day is not None and today >= limits.per_day:
            return Hold("cap", f"{name}: {limits.per_day} a day", ends=True)
    return None


def _outranked(review: Review, candidate: Candidate) -> Hold | None:
    if _outranked_end(review, candidate, review.occasion.now_ms) is None:
        return None
    assert candidate.need is not None
    return Hold("outranked", review.contacts.needs[candidate.need][1], ends=True)


REASONS: tuple[Callable[[Review, Candidate], Hold | None], ...] = (
    _paused,
    _without_consent,
    _stale,
    _quiet,
    _capped,
    _outranked,
)
"""In the order in which they are asked: what no time ends first."""


def _quiet_end(review: Review, _: Candidate, at_ms: int) -> int | None:
    return review.terms.quiet_end(at_ms, review.calendar)


def _cap_end(review: Review, candidate: Candidate, at_ms: int) -> int | None:
    day, ends = review.calendar.day_of(at_ms), []
    offer = candidate.offer
    for name, limits in review.terms.limits_of(offer.channel, offer.family or None):
        today, week = counted(review.contacts, name, day)
        if limits.per_week is not None and week >= limits.per_week:
            ends.append(review.calendar.start_ms(next_week_start(day)))
        if limits.per_day is not None and today >= limits.per_day:
            ends.append(review.calendar.start_ms(day + 1))
    return max(ends, default=None)


def _outranked_end(review: Review, candidate: Candidate, at_ms: int) -> int | None:
    """The end is included: a deadline at it comes after all that occurred at it, a record does not."""
    within_ms = review.terms.within_ms
    pushed = None if candidate.need is None else review.contacts.needs.get(candidate.need)
    if within_ms is None or pushed is None or pushed[1] == candidate.rule:
        return None
    end_ms = pushed[0] + within_ms
    still = at_ms < end_ms or (
        at_ms == end_ms and review.occasion.event is not None and at_ms == review.occasion.now_ms
    )
    return end_ms if still else None


_ENDS = (_quiet_end, _cap_end, _outranked_end)
