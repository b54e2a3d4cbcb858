"""The one gate after all rules (docs/policy.md): which tags given off may be pushed, and when the others may.

Every revision of an open episode that the rules would push is a push, and passes here; so does a held tag when
its reason ends. What came together is taken in order of rank, so that the first in rank has what a cap leaves.
A customer of the control group is counted as if pushed: the tags with reason `control` are those that would have
gone. Ends of reasons are deadlines of the customer like any other.
"""

from collections.abc import Iterable, Iterator

import msgspec

from schemas.bankday import BankCalendar
from schemas.journal import Feedback, Profile
from schemas.tags import Delivery, HeldReason, Offer, TagEvent
from tagger.episodes import tag_id
from tagger.kinds.contract import Context, Occasion, Rule
from tagger.policy.reasons import Candidate, Hold, Review, find_hold, free_from
from tagger.policy.release import release
from tagger.policy.terms import PolicyTerms
from tagger.state.contacts import Contacts, count, forget
from tagger.state.customer import NEVER, CustomerState, Episode

_NO_OFFER = Offer(family="")
_NOTHING_HELD = PolicyTerms()
# Reasons that end, so that a tag held by one may still go.
_ENDING: frozenset[HeldReason | None] = frozenset({"no_consent", "quiet_hours", "cap", "outranked", "over_budget"})
WORDS_OF_THE_CUSTOMER = (Profile, Feedback)
"""The kinds of event that may end what holds a tag back, without a tag of their own."""


def is_paused(state: CustomerState, rule: str) -> bool:
    """Whether a customer's tag is held because its rule was paused."""
    episode = _open_episode(state, rule)
    return episode is not None and episode.held == "over_budget"


def end_holds(state: CustomerState, now_ms: int) -> None:
    """Let every tag that the policy holds be looked at again at an instant."""
    held = {rule: now_ms for rule, one in state.rules.items() if one.open is not None and one.open.held in _ENDING}
    if held:
        state.contacts = Contacts() if state.contacts is None else state.contacts
        state.contacts.held = held


def reconsider(state: CustomerState, context: Context, now_ms: int) -> None:
    """Let the gate look at all that it holds, at no record of the customer's."""
    assert context.gate is not None
    state.clock_ms = max(state.clock_ms, now_ms)
    state.revision += 1
    end_holds(state, state.clock_ms)
    context.gate.apply(state, Occasion(state.clock_ms, context.calendar.day_of(state.clock_ms)), context)


class Gate:
    """The contact policy of one rulebook.

    Args:
        terms: None without a policy.
        rules: the rulebook's, in the program's order.
        paused: rules of which nothing may be pushed.
    """

    def __init__(
        self, terms: PolicyTerms | None, rules: Iterable[Rule], paused: frozenset[str], calendar: BankCalendar
    ) -> None:
        self._terms = _NOTHING_HELD if terms is None else terms
        self._rules = {rule.terms.name: rule for rule in rules}
        self._places = {name: place for place, name in enumerate(self._rules)}
        self._paused, self._calendar = paused, calendar

    def apply(self, state: CustomerState, occasion: Occasion, context: Context) -> None:
        """Decide on the tags given off since the last time, and on held ones whose reason has ended."""
        event = occasion.event
        if len(context.tags) == context.gated and event is not None and type(event) not in WORDS_OF_THE_CUSTOMER:
            # Time ends nothing at a record: deadlines before it have been passed, one at it comes after it.
            return
        due = _due(state, occasion)
        refuses = isinstance(event, Feedback) and event.outcome == "unsubscribed"
        if len(context.tags) == context.gated and not due and not refuses:
            return
        contacts = Contacts() if state.contacts is None else state.contacts
        if refuses:
            _note_refusal(state, contacts, occasion)
        known_ms = None if context.recorded else context.known_ms
        review = Review(self._terms, self._paused, self._calendar, state, contacts, occasion, known_ms)
        candidates = list(self._given_off(review, context))
        candidates += self._held(review, due, frozenset(candidate.rule for candidate in candidates))
        for candidate in sorted(candidates, key=lambda one: one.rank):
            self._decide(review, candidate, context)
        if self._terms.is_control(context.customer_id):
            _mark_control(state, context)
        context.gated = len(context.tags)
        forget(contacts, self._terms.counts, occasion.now_ms - (self._terms.within_ms or -1))
        state.contacts = None if contacts.is_empty() else contacts
        state.due_ms = min(state.due_ms, min(contacts.held.values(), default=NEVER))

    def _given_off(self, review: Review, context: Context) -> Iterator[Candidate]:
        """The new tags that the rules would push; each of them ends what was held of its rule before."""
        for index in range(context.gated, len(context.tags)):
            tag = context.tags[index]
            episode = _episode(review.state, tag)
            if _open_episode(review.state, tag.rule) in (None, episode):
                review.contacts.held.pop(tag.rule, None)
            if tag.state == "open" and (tag.delivery.push or tag.delivery.reason == "replay"):
                place = self._places[tag.rule]
                yield Candidate(tag.rule, place, tag.need, tag.offer or _NO_OFFER, index, episode)

    def _held(self, review: Review, due: list[str], given_off: frozenset[str]) -> Iterator[Candidate]:
        """The held tags whose reason has ended, but for those whose rule has just given off another."""
        for name in due:
            episode = _open_episode(review.state, name)
            if episode is None or episode.held not in _ENDING or name in given_off:
                continue
            terms = self._rules[name].terms
            if terms.shadow:
                # The rulebook in force took it out of use.
                review.contacts.held.pop(name, None)
                episode.held = "shadow"
                continue
            offer = terms.offers.get(episode.level) or terms.offers.get(None) or _NO_OFFER
            yield Candidate(name, self._places[name], terms.need, offer, None, episode)

    def _decide(self, review: Review, candidate: Candidate, context: Context) -> None:
        hold = find_hold(review, candidate)
        if hold is None:
            self._let_go(review, candidate, context)
        elif candidate.tag is None:
            self._hold_on(review, candidate, hold)
        else:
            self._hold(review, candidate, hold, context)

    def _let_go(self, review: Review, candidate: Candidate, context: Context) -> None:
        now_ms, offer, contacts = review.occasion.now_ms, candidate.offer, review.contacts
        limited = [name for name, _ in self._terms.limits_of(offer.channel, offer.family or None)]
        if limited:
            count(contacts, limited, review.occasion.today)
        if candidate.need is not None and self._terms.within_ms is not None:
            contacts.needs[candidate.need] = now_ms, candidate.rule
        index = candidate.tag
        if index is None:
            contacts.held.pop(candidate.rule, None)
            index = len(context.tags)
            release(self._rules[candidate.rule], review.state, review.occasion, context)
        reason: HeldReason | None = "replay" if context.recorded else None
        if self._terms.is_control(context.customer_id):
            reason = "control"
        _deliver(context, index, candidate.episode, Delivery(push=reason is None, reason=reason))

    def _hold(self, review: Review, candidate: Candidate, hold: Hold, context: Context) -> None:
        """Hold a tag that has just been given off."""
        end_ms = free_from(review, candidate, review.occasion.now_ms)
        if candidate.episode is not None and hold.ends:
            review.contacts.held[candidate.rule] = end_ms
        delivery = Delivery(
            push=False,
            reason=hold.reason,
            not_before=self._calendar.format(end_ms) if hold.ends else None,
            detail=msgspec.UNSET if hold.detail is None else hold.detail,
        )
        assert candidate.tag is not None
        _deliver(context, candidate.tag, candidate.episode, delivery)

    def _hold_on(self, review: Review, candidate: Candidate, hold: Hold) -> None:
        """Go on holding a tag for another reason, which its next revision will say."""
        assert candidate.episode is not None
        if hold.reason == "stale":
            # Only its release comes too late, not the news: it is looked at again as of the time that is known.
            assert review.known_ms is not None
            review.contacts.held[candidate.rule] = free_from(review, candidate, review.known_ms)
            return
        candidate.episode.held = hold.reason
        if hold.ends:
            review.contacts.held[candidate.rule] = free_from(review, candidate, review.occasion.now_ms)
        else:
            review.contacts.held.pop(candidate.rule, None)


def _due(state: CustomerState, occasion: Occasion) -> list[str]:
    """The rules whose held tag is to be looked at again."""
    if isinstance(occasion.event, Profile):
        return [
            rule for rule, one in state.rules.items() if one.open is not None and one.open.held == "no_consent"
        ]
    if state.contacts is None:
        return []
    return [rule for rule, end_ms in state.contacts.held.items() if occasion.is_past(end_ms)]


def _open_episode(state: CustomerState, rule: str) -> Episode | None:
    rule_state = state.rules.get(rule)
    return None if rule_state is None else rule_state.open


def _episode(state: CustomerState, tag: TagEvent) -> Episode | None:
    """A tag's episode while it is open; a proposal is none that could be pushed."""
    episode = _open_episode(state, tag.rule)
    if episode is None or tag_id(tag.rule, tag.customer_id, episode.number) != tag.tag_id:
        return None
    return episode


def _note_refusal(state: CustomerState, contacts: Contacts, occasion: Occasion) -> None:
    event = occasion.event
    assert event is not None
    if event.occurred_ms >= max(state.profile_ms, contacts.unsubscribed_ms or 0):
        contacts.unsubscribed_ms = event.occurred_ms


def _deliver(context: Context, index: int, episode: Episode | None, delivery: Delivery) -> None:
    context.tags[index] = msgspec.structs.replace(context.tags[index], delivery=delivery)
    if episode is not None:
        episode.push, episode.held = delivery.push, delivery.reason


def _mark_control(state: CustomerState, context: Context) -> None:
    """Say of every tag of a customer of the control group that it is one, whatever else holds it."""
    for index in range(context.gated, len(context.tags)):
        tag = context.tags[index]
        one = state.rules.get(tag.rule)
        for episode in () if one is None else (one.open, one.proposed):
            if episode is not None and tag_id(tag.rule, tag.customer_id, episode.number) == tag.tag_id:
                episode.control = True
        delivery = msgspec.structs.replace(tag.delivery, control=True)
        context.tags[index] = msgspec.structs.replace(tag, delivery=delivery)
