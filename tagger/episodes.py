"""The life of a tag: from opened to converted, revoked or expired, in one table, and the tags it gives off.

`LIFE` has a row for every state an episode can be in; a change that its row does not hold is a bug, never
something that input can bring about.
"""

from hashlib import blake2b

import msgspec

from schemas.bankday import BankCalendar
from schemas.journal import CustomerEvent, Feedback
from schemas.tags import (
    Change,
    DeadlineCause,
    Delivery,
    EpisodeState,
    Evidence,
    Offer,
    Printed,
    RecordCause,
    RevokeReason,
    TagEvent,
)
from tagger.kinds.contract import Context, Evaluation, Occasion, RuleTerms
from tagger.state.customer import CustomerState, Episode, Watch

LIFE: dict[EpisodeState | None, dict[Change, EpisodeState]] = {
    None: {"opened": "open"},
    "open": {
        "refreshed": "open",
        "released": "open",
        "converted": "closed",
        "revoked": "closed",
        "expired": "closed",
    },
    "closed": {},
}


def tag_id(rule: str, customer_id: str, number: int) -> str:
    """The id of an episode, a pure function of rule, customer and the episode's number."""
    digest = blake2b(f"{rule}\0{customer_id}\0{number}".encode(), digest_size=10).hexdigest()
    return f"{rule}.{digest}"


def cause_of(event: CustomerEvent | None, at_ms: int, calendar: BankCalendar) -> RecordCause | DeadlineCause:
    """What brought a tag about: the record, or the time that passed."""
    if event is None:
        return DeadlineCause(deadline=calendar.format(at_ms))
    source = event.source
    if source.offset < 0:
        return RecordCause(topic=source.topic, event_id=event.event_id)
    return RecordCause(
        topic=source.topic, partition=source.partition, offset=source.offset, event_id=event.event_id
    )


def is_late_reason(occasion: Occasion) -> bool:
    """Whether a closing was brought about by a record of a bank day before the clock's."""
    return occasion.event is not None and occasion.day < occasion.today


def is_converted(evaluation: Evaluation, episode: Episode) -> bool:
    """Whether an open episode converts on this occasion; a late record converts nothing.

    Called once an evaluation: a condition converts when it becomes true, and not where it was when the tag opened.
    """
    terms, occasion = evaluation.terms, evaluation.occasion
    event, was_unmet = occasion.event, episode.unmet
    if terms.converts_when is not None:
        episode.unmet = _is_unmet(evaluation, was_unmet)
        if was_unmet and not episode.unmet and not occasion.late:
            return True
    if isinstance(event, Feedback):
        return event.outcome == "converted" and event.tag_id == tag_id(
            terms.name, evaluation.context.customer_id, episode.number
        )
    return terms.converts is not None and not occasion.late and terms.converts.matches(event)


def _is_unmet(evaluation: Evaluation, before: bool) -> bool:
    """Whether the condition that converts is not true; unknown only because of warming, it is as it was before."""
    condition = evaluation.terms.converts_when
    if condition is None:
        return False
    truth = condition.evaluate(evaluation.environment)
    return before if truth is None and evaluation.is_warming() else truth is not True


def open_episode(
    evaluation: Evaluation,
    *,
    value: dict[str, Printed],
    evidence: tuple[Evidence, ...],
    watch: Watch | None = None,
    level: str | None = None,
    rank: int | None = None,
    previous_level: str | None = None,
    previous_rank: int | None = None,
    refreshed: Printed = None,
    proposed: bool = False,
) -> None:
    """Begin the rule's next episode and give off its first revision; a proposed one waits beside the open one."""
    terms, rule_state, now_ms = evaluation.terms, evaluation.rule_state, evaluation.now_ms
    assert (rule_state.proposed if proposed else rule_state.open) is None
    rule_state.episodes += 1
    rule_state.armed = False
    rule_state.last_opened_ms = now_ms
    episode = Episode(
        number=rule_state.episodes,
        revision=0,
        opened_ms=now_ms,
        expires_ms=None if terms.expires_ms is None else now_ms + terms.expires_ms,
        level=level,
        previous_level=previous_level,
        rank=rank,
        previous_rank=previous_rank,
        watch=watch,
        refreshed=refreshed,
        unmet=_is_unmet(evaluation, False),
    )
    if proposed:
        rule_state.proposed = episode
    else:
        rule_state.open = episode
    _give_off(evaluation, episode, "opened", None, value, evidence)


def change_episode(
    evaluation: Evaluation,
    *,
    change: Change,
    reason: RevokeReason | None = None,
    value: dict[str, Printed],
    evidence: tuple[Evidence, ...],
    proposed: bool = False,
) -> None:
    """Give off the next revision of the open (or proposed) episode; a change that closes it ends its life."""
    rule_state = evaluation.rule_state
    episode = rule_state.proposed if proposed else rule_state.open
    assert episode is not None
    after = _give_off(evaluation, episode, change, reason, value, evidence)
    if after == "closed" and proposed:
        rule_state.proposed = None
    elif after == "closed":
        rule_state.open = None


def _give_off(
    evaluation: Evaluation,
    episode: Episode,
    change: Change,
    reason: RevokeReason | None,
    value: dict[str, Printed],
    evidence: tuple[Evidence, ...],
) -> EpisodeState:
    terms, context, now_ms = evaluation.terms, evaluation.context, evaluation.now_ms
    after = LIFE["open" if episode.revision else None][change]
    episode.revision += 1
    if episode.rank is not None:
        value = value | {"rank": episode.rank, "previous_rank": episode.previous_rank}
    delivery = _delivery(terms, after, context, episode is evaluation.rule_state.proposed)
    episode.push, episode.held, episode.control = delivery.push, delivery.reason, delivery.control
    context.tags.append(
        TagEvent(
            tag_id=tag_id(terms.name, context.customer_id, episode.number),
            revision=episode.revision,
            customer_id=context.customer_id,
            rule=terms.name,
            pack=terms.pack,
            change=change,
            state=after,
            at=context.calendar.format(now_ms),
            rulebook=context.rulebook,
            value=value,
            level=episode.level,
            previous_level=episode.previous_level,
            reason=reason,
            evidence=evidence,
            offer=_offer(terms, episode.level, evaluation.state),
            need=terms.need,
            delivery=delivery,
            expires_at=None if episode.expires_ms is None else context.calendar.format(episode.expires_ms),
            cause=cause_of(evaluation.occasion.event, now_ms, context.calendar),
            needs=terms.needs or msgspec.UNSET,
        )
    )
    return after


def _offer(terms: RuleTerms, level: str | None, state: CustomerState) -> Offer | None:
    offer = terms.offers.get(level) or terms.offers.get(None)
    owner_id = None if state.attributes is None else state.attributes.owner_id
    if offer is None or owner_id is None:
        return offer
    return msgspec.structs.replace(offer, owner_id=owner_id)


def _delivery(terms: RuleTerms, after: EpisodeState, context: Context, proposed: bool) -> Delivery:
    """Whether the push service may act; there is nothing to send for an episode that closes.

    That a level is only proposed is said before any other reason, replayed or not: it has no effect yet. `replay`
    comes last, for what would have been pushed.
    """
    if proposed and after == "open":
        return Delivery(push=False, reason="approval")
    if terms.shadow:
        return Delivery(push=False, reason="shadow")
    if context.recorded:
        return Delivery(push=False, reason="replay")
    return Delivery(push=after == "open")
