"""What a customer's state shows to readers: the profile and the open tags (docs/operations.md, "Redis").

A view is a pure function of the changelog's value, so whatever stands in Redis can be thrown away and made
again.
"""

from dataclasses import dataclass, field
from typing import get_args

from schemas.bankday import BankCalendar
from schemas.journal import AccountType
from schemas.money import format_fen
from schemas.tags import Delivery
from tagger.episodes import tag_id
from tagger.features.balances import balance
from tagger.state.customer import CustomerState, Episode, decode_state

SEGMENT_RULE = "lifecycle-segment"
"""The rule whose level is a customer's segment; without it there is none."""


@dataclass(frozen=True, slots=True)
class OpenTag:
    """One open episode.

    Attributes:
        opened_ms: when it opened, epoch milliseconds; `opened_at` is the same instant in bank time.
        expires_at: RFC 3339 in bank time, None when it does not expire.
        level: the ladder's level, None for other kinds.
        delivery: as it stands now.
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
        profile: field → text: `assets`, balances by type of account, `level.{rule}` of each rule that grades,
            `segment` (the level of `SEGMENT_RULE`), `updated_at`.
        tags: tag id → open episode, in order of opening.
        accounts: `type:account` → balance; "others" sums what lies beyond the accounts remembered.
        drift: `type:account` → what its latest statement says more than was booked; only where they differ.
    """

    profile: dict[str, str] = field(default_factory=dict)
    tags: dict[str, OpenTag] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    drift: dict[str, str] = field(default_factory=dict)


def project_customer(customer_id: str, state: bytes, calendar: BankCalendar) -> View:
    """The view of a changelog record.

    Raises:
        msgspec.DecodeError: the changelog holds something the fold did not write.
    """
    customer = decode_state(state)
    profile = {"assets": format_fen(balance(customer, "assets"))}
    profile |= {
        name: format_fen(balance(customer, name)) for name in get_args(AccountType) if name in customer.series
    }
    for rule, rule_state in sorted(customer.rules.items()):
        if rule_state.level is not None:
            profile[f"level.{rule}"] = rule_state.level
            if rule == SEGMENT_RULE:
                profile["segment"] = rule_state.level
    profile["updated_at"] = calendar.format(customer.clock_ms)
    accounts = {
        name or "others": format_fen(account.opening_fen + account.moved_fen)
        for name, account in sorted(customer.accounts.items())
    }
    drift = {name: format_fen(one.drift_fen) for name, one in sorted(customer.accounts.items()) if one.drift_fen}
    return View(profile, _open_tags(customer_id, customer, calendar), accounts, drift)


def _open_tags(customer_id: str, customer: CustomerState, calendar: BankCalendar) -> dict[str, OpenTag]:
    episodes = [
        (episode, rule)
        for rule, state in customer.rules.items()
        for episode in (state.open, state.proposed)
        if episode is not None
    ]
    return {
        tag_id(rule, customer_id, episode.number): OpenTag(
            rule=rule,
            revision=episode.revision,
            opened_ms=episode.opened_ms,
            opened_at=calendar.format(episode.opened_ms),
            expires_at=None if episode.expires_ms is None else calendar.format(episode.expires_ms),
            delivery=_delivery(customer, rule, episode, calendar),
            level=episode.level,
        )
        for episode, rule in sorted(episodes, key=lambda item: (item[0].opened_ms, item[1], item[0].number))
    }


def _delivery(customer: CustomerState, rule: str, episode: Episode, calendar: BankCalendar) -> Delivery:
    """As it stands now: a reason may have given way to another since the last revision said one."""
    held = None if customer.contacts is None else customer.contacts.held.get(rule)
    return Delivery(
        push=episode.push,
        reason=episode.held,
        not_before=None if held is None or episode.push else calendar.format(held),
        control=episode.control,
    )
